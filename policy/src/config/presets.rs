//! `default`: keys for every entry, or for blocks deeper in every entry.

use super::{
    findings::Findings,
    merge::second_time,
    node::{At, Item, Table, Value},
    schema,
};

/// A key for all blocks at a path below an entry.
pub(super) struct Preset {
    path: Vec<String>,
    item: Item,
}

/// All presets, the outer ones first.
#[derive(Default)]
pub(super) struct Presets(Vec<Preset>);

impl Presets {
    /// Reads the items of `default`, whose keys are paths such as `managed-datasets[*].destinations[*].windows`.
    pub fn read(defaults: Vec<Item>, out: &mut Findings<'_>) -> Self {
        let mut presets = Self::default();
        for item in defaults {
            let Some(mut path) = steps(&item, out) else { continue };
            match (path.pop(), item.node.value) {
                (_, Value::Broken) => {}
                (Some(key), value) => {
                    let node = super::node::Node { value, ..item.node };
                    presets.add(&path, Item { key, node, ..item }, out);
                }
                (None, Value::Table(table)) => presets.add_all(&[], table, out),
                (None, other) => {
                    out.error(
                        item.node.at,
                        format!("the default of an entry is a block of keys, not {}", other.kind()),
                    );
                }
            }
        }
        presets.0.sort_by_key(|preset| preset.path.len());
        presets
    }

    /// Fills in what tells which dataset an entry is for; done first, because inheritance needs to know.
    pub fn apply_to_source(&self, entry: &mut Table) {
        for preset in self.0.iter().filter(|preset| preset.names_source()) {
            apply(entry, &preset.path, &preset.item);
        }
    }

    /// Fills in what belongs into each destination that is there; done before one is handed down.
    pub fn apply_to_destinations(&self, entry: &mut Table) {
        for preset in self.0.iter().filter(|preset| preset.path.first().is_some_and(|step| step == "destinations")) {
            apply(entry, &preset.path, &preset.item);
        }
    }

    /// Fills in everything else.
    pub fn apply(&self, entry: &mut Table) {
        for preset in self.0.iter().filter(|preset| !preset.names_source()) {
            apply(entry, &preset.path, &preset.item);
        }
    }

    fn add_all(&mut self, path: &[String], table: Table, out: &mut Findings<'_>) {
        for item in table.0 {
            self.add(path, item, out);
        }
    }

    fn add(&mut self, path: &[String], item: Item, out: &mut Findings<'_>) {
        let known = schema::keys_at(path).unwrap_or_default();
        if !known.contains(&item.key.as_str()) {
            return schema::unknown(&item.key, item.at, known, out);
        }
        let inner: Vec<String> = path.iter().cloned().chain([item.key.clone()]).collect();
        match item.node.value {
            Value::Table(table) if has_parts(&item.key) => self.add_all(&inner, table, out),
            // The windows in a source block are the entry's.
            _ if path == ["source"] && matches!(item.key.as_str(), "windows" | "keep") => {
                self.push(Vec::new(), item, out)
            }
            _ => self.push(path.to_vec(), item, out),
        }
    }

    fn push(&mut self, path: Vec<String>, item: Item, out: &mut Findings<'_>) {
        match self.0.iter().find(|old| old.path == path && old.item.key == item.key) {
            Some(old) => second_time(&item.key, old.item.at, item.at, out),
            None => self.0.push(Preset { path, item }),
        }
    }
}

impl Preset {
    fn names_source(&self) -> bool {
        self.path.first().is_some_and(|step| step == "source") || (self.path.is_empty() && self.item.key == "source")
    }
}

/// Whether a block given for this key stands for its parts: for the source's, or for those of every element of a list.
fn has_parts(key: &str) -> bool {
    matches!(key, "source" | "destinations" | "windows")
}

fn apply(table: &mut Table, path: &[String], item: &Item) {
    let Some((step, rest)) = path.split_first() else {
        if !table.decides(&item.key) {
            table.0.push(item.clone());
        }
        return;
    };
    match table.get_mut(step).map(|node| &mut node.value) {
        Some(Value::Table(inner)) => apply(inner, rest, item),
        Some(Value::List(list)) => {
            for node in list {
                if let Value::Table(inner) = &mut node.value {
                    apply(inner, rest, item);
                }
            }
        }
        _ => {}
    }
}

/// The keys of a path below `managed-datasets[*]`; none if it is no path, and then it is said why.
fn steps(item: &Item, out: &mut Findings<'_>) -> Option<Vec<String>> {
    let mut steps = item.key.split('.');
    let first = step(steps.next().unwrap_or_default(), item.at, out)?;
    if first != "managed-datasets" {
        schema::unknown(first, item.at, &["managed-datasets"], out);
        return None;
    }
    let mut path = Vec::new();
    for written in steps {
        let key = written.split('[').next().unwrap_or_default();
        let known = schema::keys_at(&path).unwrap_or_default();
        if !known.contains(&key) {
            schema::unknown(key, item.at, known, out);
            return None;
        }
        path.push(step(written, item.at, out)?.to_owned());
    }
    Some(path)
}

/// The key of a step, behind which `[*]` may stand if it is a list.
fn step<'a>(written: &'a str, at: At, out: &mut Findings<'_>) -> Option<&'a str> {
    let Some((key, index)) = written.split_once('[') else { return Some(written) };
    let list = matches!(key, "managed-datasets" | "destinations" | "windows");
    match index {
        "*]" if list => return Some(key),
        "*]" => out.error(at, format!("`{key}` is not a list")),
        _ => out.error(at, format!("`{written}` is not a step of a path: only `[*]`, every element, can follow a key")),
    }
    None
}
