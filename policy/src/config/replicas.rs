//! `[[replicas]]`: what may arrive on this host, and how long it is kept. Each block becomes an entry, and each of its
//! `datasets` another one below it.

use super::{
    Entry,
    decode::{block, list, parsed, text},
    destination::plain,
    findings::Findings,
    inherit::{Draft, elements},
    merge::second_time,
    node::{Node, Table},
    schema,
};
use zam_names::{DatasetName, RelPath};

/// The blocks and their datasets, complete.
pub(super) fn drafts(replicas: &[Node], out: &mut Findings<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut roots: Vec<Draft> = Vec::new();
    for node in elements("replicas", replicas, out) {
        let Some((root, datasets)) = replica(node, out) else { continue };
        for other in &roots {
            if let (Some(this), Some(that)) = (&root.source, &other.source)
                && (this.below(that).is_some() || that.below(this).is_some())
            {
                let help = "give each client a root of its own; what differs within one belongs into its `datasets`";
                out.error_with(root.source_at, format!("the roots {that} and {this} overlap"), help);
            }
        }
        drafts.extend(overrides(&root, &datasets, out));
        roots.push(root);
    }
    drafts.extend(roots);
    drafts
}

/// One block, and what stands under its `datasets`.
fn replica(node: &Node, out: &mut Findings<'_>) -> Option<(Draft, Vec<Node>)> {
    let mut keys = block(node, "a replica: a block with a `client` and a `root`", out)?.clone();
    schema::refuse_unknown(&keys, schema::REPLICA, out);
    let datasets = keys.take("datasets").map(|item| item.node);
    let datasets = datasets.map(|node| list(&node, "a list of blocks, each with a `dataset`", out).to_vec());
    let client = keys.take("client");
    if client.is_none() {
        out.error_with(node.at, "this replica has no `client`", "name whose copies arrive: client = \"laptop\"");
    }
    let root = keys.take("root");
    if root.is_none() {
        out.error_with(node.at, "this replica has no `root`", "name where they arrive: root = \"nas/zam/laptop\"");
    }
    let draft = Draft {
        at: node.at,
        source_at: root.as_ref().map_or(node.at, |item| item.node.at),
        source: root.and_then(|item| parsed(&item.node, "a dataset, such as \"nas/zam/laptop\"", out)),
        own: keys.0.iter().map(|item| item.key.clone()).collect(),
        client: Some(client.and_then(|item| name(&item.node, out)).unwrap_or_default()),
        keys,
    };
    Some((draft, datasets.unwrap_or_default()))
}

/// A client's name. It will stand on a command line.
fn name(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "a name for the client, such as \"laptop\"", out)?;
    if !plain(written, "-_.") || written.len() > LONGEST_NAME {
        out.error_with(
            node.at,
            format!("{written:?} cannot name a client"),
            format!("write at most {LONGEST_NAME} letters, digits and -_."),
        );
        return None;
    }
    Some(written.to_owned())
}

/// The entries that a replica's `datasets` mean, each with what it does not say itself from the next one above it.
fn overrides(root: &Draft, datasets: &[Node], out: &mut Findings<'_>) -> Vec<Draft> {
    let mut found: Vec<(RelPath, &Node, Table)> = Vec::new();
    for node in datasets {
        let Some(table) = block(node, "a block with a `dataset`, such as { dataset = \"home\" }", out) else {
            continue;
        };
        schema::refuse_unknown(table, schema::OVERRIDE, out);
        let mut keys = table.clone();
        let Some(path) = keys.take("dataset") else {
            out.error_with(node.at, "this block has no `dataset`", "name it by its path below the `root`");
            continue;
        };
        let Some(path) = parsed::<RelPath>(&path.node, "a path below the root, such as \"tank/home\"", out) else {
            continue;
        };
        match found.iter().find(|(other, ..)| *other == path) {
            Some((_, first, _)) => second_time(path.as_str(), first.at, node.at, out),
            None => found.push((path, node, keys)),
        }
    }
    // What is above comes first.
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut drafts: Vec<Draft> = Vec::new();
    for (path, node, mut keys) in found {
        let own = keys.0.iter().map(|item| item.key.clone()).collect();
        let source = root
            .source
            .as_ref()
            .and_then(|root| path.below(root).map_err(|why| out.error(node.at, why.to_string())).ok());
        let above = drafts.iter().rev().find(|above| match (&above.source, &source) {
            (Some(above), Some(this)) => this.below(above).is_some(),
            _ => false,
        });
        keys.fill(&above.unwrap_or(root).keys);
        drafts.push(Draft { at: node.at, source_at: node.at, source, keys, own, client: root.client.clone() });
    }
    drafts
}

/// Refuses what would spoil copies: snapshots of one's own among them, and copies of copies in themselves.
pub(super) fn check(entries: &[(&Draft, &Entry)], out: &mut Findings<'_>) {
    let roots = || entries.iter().map(|(_, entry)| *entry).filter(|entry| entry.is_replica());
    let received = |dataset: &DatasetName| roots().find(|root| dataset.below(&root.source).is_some());
    for (draft, entry) in entries.iter().filter(|(_, entry)| !entry.is_replica() && entry.enabled) {
        if let Some(root) = received(&entry.source)
            && entry.snapshot_period.is_some()
        {
            out.error_with(
                draft.keys.get("snapshot-period").map_or(draft.at, |node| node.at),
                format!("snapshots of {} that are taken here would end what arrives there", entry.source),
                format!("it is a replica ({}); write snapshot-period = \"never\" to send on what arrives", root.place),
            );
        }
        let at = draft.keys.get("destinations").map_or(draft.at, |node| node.at);
        for root in entry.destinations.iter().filter_map(|destination| destination.local_root()) {
            if received(&root).is_some() {
                continue;
            }
            if entry.recursive && root.below(&entry.source).is_some() || root == entry.source {
                out.error_with(
                    at,
                    format!("the copies below {root} would lie within what is copied, {}", entry.source),
                    format!("write a [[replicas]] block with root = \"{root}\", which takes them out"),
                );
            } else {
                out.warning_with(
                    at,
                    format!("nothing that arrives below {root} ever expires: no `[[replicas]]` speaks for it"),
                    format!("write a block with root = \"{root}\"; `zamctl replica-config --print` shows one"),
                );
            }
        }
    }
}

const LONGEST_NAME: usize = 64;
