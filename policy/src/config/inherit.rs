//! From what is written to what holds: an entry has its own keys, then those of the entry it displaces, then the defaults.

use super::{
    decode::{block, parsed, wrong},
    findings::Findings,
    merge::second_time,
    node::{At, Node, Table, Value},
    presets::Presets,
    schema,
};
use std::collections::BTreeSet;
use zam_names::{DatasetName, PoolName};

/// An entry on its way.
pub(super) struct Draft {
    /// Where the entry begins.
    pub at: At,
    /// Where its source stands.
    pub source_at: At,
    /// None if that is wrong, which has been said.
    pub source: Option<DatasetName>,
    /// All keys that hold for it but the source.
    pub keys: Table,
    /// The keys that it says itself.
    pub own: BTreeSet<String>,
    /// Whose copies arrive there, if it is one of `replicas`.
    pub client: Option<String>,
}

/// The entries in the order of their sources, complete.
pub(super) fn drafts(managed: &[Node], presets: &Presets, out: &mut Findings<'_>) -> Vec<Draft> {
    let elements = elements("managed-datasets", managed, out);
    let mut drafts: Vec<Draft> = elements.into_iter().filter_map(|node| draft(node, presets, out)).collect();
    drafts.sort_by(|a, b| a.source.cmp(&b.source));
    refuse_twins(&drafts, out);
    inherit(&mut drafts, presets);
    drafts
}

/// The elements of the lists that the files have under one key.
pub(super) fn elements<'n>(key: &str, lists: &'n [Node], out: &mut Findings<'_>) -> Vec<&'n Node> {
    let mut elements = Vec::new();
    for node in lists {
        match &node.value {
            Value::List(list) => elements.extend(list),
            Value::Table(_) => {
                out.error_with(node.at, format!("`{key}` is a list"), format!("in TOML write [[{key}]] before each"));
            }
            _ => wrong(node, "a list of entries", out),
        }
    }
    elements
}

fn draft(node: &Node, presets: &Presets, out: &mut Findings<'_>) -> Option<Draft> {
    let mut keys = block(node, "an entry: a block with a `source`", out)?.clone();
    schema::refuse_unknown(&keys, schema::ENTRY, out);
    presets.apply_to_source(&mut keys);
    let own = keys.0.iter().map(|item| item.key.clone()).collect();
    let Some(source) = keys.take("source") else {
        out.error_with(node.at, "this entry has no `source`", "name the dataset: source = \"tank/home\"");
        return Some(Draft { at: node.at, source_at: node.at, source: None, keys, own, client: None });
    };
    let source_at = source.node.at;
    let source = match source.node.value {
        Value::Table(block) => source_block(block, source_at, &mut keys, out),
        _ => parsed(&source.node, "a dataset, such as \"tank/home\" or { pool = \"tank\", dataset = \"home\" }", out),
    };
    Some(Draft { at: node.at, source_at, source, keys, own, client: None })
}

/// Reads a source that is written as a block, whose windows are the entry's.
fn source_block(mut block: Table, at: At, keys: &mut Table, out: &mut Findings<'_>) -> Option<DatasetName> {
    schema::refuse_unknown(&block, schema::SOURCE, out);
    for key in ["windows", "keep"] {
        let Some(item) = block.take(key) else { continue };
        match ["windows", "keep"].into_iter().find_map(|key| keys.item(key)) {
            Some(other) => {
                let help = format!("`{}` stands at {}: choose one place", other.key, out.place(other.at));
                out.error_with(item.at, format!("`{key}` here and in the entry are the same"), help);
            }
            None => keys.0.push(item),
        }
    }
    let Some(pool) = block.get("pool") else {
        out.error_with(
            at,
            "this source has no `pool`",
            "write { pool = \"tank\", dataset = \"home\" }, or \"tank/home\"",
        );
        return None;
    };
    let pool: Option<PoolName> = parsed(pool, "the name of a pool", out);
    let Some(path) = block.get("dataset") else { return pool.map(DatasetName::from) };
    let below: Option<DatasetName> = parsed(path, "the path of a dataset below the pool", out);
    let full = format!("{}/{}", pool?, below?);
    full.parse().map_err(|why: zam_names::NameError| out.error(path.at, why.to_string())).ok()
}

fn refuse_twins(sorted: &[Draft], out: &mut Findings<'_>) {
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && first.source.is_some()
            && first.source == second.source
        {
            let name = first.source.as_ref().map(DatasetName::as_str).unwrap_or_default();
            second_time(name, first.source_at, second.source_at, out);
        }
    }
}

fn inherit(drafts: &mut [Draft], presets: &Presets) {
    // What holds without the defaults is what the next one inherits: a default is weaker than any entry.
    let mut without_defaults: Vec<Table> = Vec::new();
    for nth in 0..drafts.len() {
        let (above, rest) = drafts.split_at_mut(nth);
        let Some(this) = rest.first_mut() else { break };
        presets.apply_to_destinations(&mut this.keys);
        if let Some((base, path)) = displaced(above, this.source.as_ref()) {
            this.keys.fill(&handed_down(&without_defaults[base], &path));
        }
        without_defaults.push(this.keys.clone());
        presets.apply(&mut this.keys);
    }
}

/// The entry that would be in charge if `source` had none of its own, and the path from there to it.
fn displaced(above: &[Draft], source: Option<&DatasetName>) -> Option<(usize, String)> {
    let source = source?;
    let mut best: Option<(usize, &str)> = None;
    for (nth, draft) in above.iter().enumerate() {
        let recursive = matches!(draft.keys.get("recursive").map(|node| &node.value), Some(Value::Flag(true)));
        let below = draft.source.as_ref().and_then(|above| source.below(above)).filter(|path| !path.is_empty());
        if let (true, Some(path)) = (recursive, below)
            && best.is_none_or(|(_, longest)| path.len() < longest.len())
        {
            best = Some((nth, path));
        }
    }
    best.map(|(nth, path)| (nth, path.to_owned()))
}

/// What the entry at `path` below has from this one: all but `enabled`, and the destinations as much deeper as it is.
fn handed_down(keys: &Table, path: &str) -> Table {
    let mut keys = Table(keys.0.iter().filter(|item| item.key != "enabled").cloned().collect());
    let Some(Value::List(destinations)) = keys.get_mut("destinations").map(|node| &mut node.value) else { return keys };
    for destination in destinations {
        if let Value::Table(table) = &mut destination.value
            // On this host it says where the root is, which all share.
            && ["remote-host", "root"].iter().any(|key| table.get(key).is_some())
            && let Some(Node { value: Value::Text(dataset), .. }) = table.get_mut("dataset")
        {
            dataset.push('/');
            dataset.push_str(path);
        }
    }
    keys
}
