//! An entry's keys into an [`Entry`].

use super::{
    Destination, Entry,
    decode::{block, flag, list, number, parsed, patterns, period, read, span, text, word},
    findings::Findings,
    inherit::Draft,
    node::{Node, Table},
    schema,
    tiers::tiers,
};
use crate::{Rule, Span, Unit, Zone};
use zam_names::Kind;

/// What holds for all entries.
pub(super) struct Globals {
    pub prefix: String,
    pub timezone: Zone,
}

/// Decodes an entry. Without a source there is none, but the faults in the rest of it are found.
pub(super) fn entry(draft: &Draft, globals: &Globals, out: &mut Findings<'_>) -> Option<Entry> {
    let keys = &draft.keys;
    Some(Entry {
        recursive: read(keys, "recursive", out, flag).unwrap_or(false),
        exclude: read(keys, "exclude", out, patterns).unwrap_or_default(),
        kind: read(keys, "type", out, kind).flatten(),
        enabled: read(keys, "enabled", out, flag).unwrap_or(true),
        hold: read(keys, "hold", out, flag).unwrap_or(true),
        rule: rule(keys, globals, out),
        snapshot_period: read(keys, "snapshot-period", out, period).flatten(),
        prune_period: read(keys, "prune-period", out, period).unwrap_or_else(|| Span::new(1, Unit::Hour)),
        replication_period: read(keys, "replication-period", out, period).flatten(),
        grace: read(keys, "grace", out, span).or_else(|| Span::new(24, Unit::Hour))?,
        brake: read(keys, "brake", out, percent).unwrap_or(20),
        silence: read(keys, "silence", out, |node, out| number(node, 1000, out)).unwrap_or(3),
        splay: read(keys, "splay", out, span),
        absent_expected: read(keys, "absent", out, absent).unwrap_or(false),
        destinations: read(keys, "destinations", out, destinations).unwrap_or_default(),
        place: out.place(draft.at),
        // The last one, so that all others have been looked at when it ends the attempt.
        source: draft.source.clone()?,
    })
}

fn rule(keys: &Table, globals: &Globals, out: &mut Findings<'_>) -> Rule {
    Rule {
        windows: tiers(keys, out).unwrap_or_default(),
        at_least: read(keys, "at-least", out, |node, out| number(node, 1_000_000, out)).unwrap_or(0),
        zone: read(keys, "timezone", out, zone).unwrap_or_else(|| globals.timezone.clone()),
        prefix: globals.prefix.clone(),
        adopt: read(keys, "adopt", out, patterns).unwrap_or_default(),
    }
}

fn destinations(node: &Node, out: &mut Findings<'_>) -> Option<Vec<Destination>> {
    let nodes = list(node, "a list of destinations, such as [{ remote-host = \"olympus\" }]", out);
    Some(nodes.iter().filter_map(|node| destination(node, out)).collect())
}

fn destination(node: &Node, out: &mut Findings<'_>) -> Option<Destination> {
    let table = block(node, "a destination, such as { remote-host = \"olympus\" }", out)?;
    schema::refuse_unknown(table, schema::DESTINATION, out);
    if table.get("remote-host").is_none() && table.get("pool").is_none() {
        out.error_with(node.at, "this destination is nowhere", "name a `remote-host`, or a `pool` of this host");
    }
    Some(Destination {
        remote_host: read(table, "remote-host", out, host),
        pool: read(table, "pool", out, |node, out| parsed(node, "the name of a pool", out)),
        dataset: read(table, "dataset", out, |node, out| parsed(node, "the path of a dataset", out)),
        windows: tiers(table, out).unwrap_or_default(),
    })
}

/// A host as ssh knows it. It will stand on a command line, so nothing that could pass for an option or a second word.
fn host(node: &Node, out: &mut Findings<'_>) -> Option<String> {
    let written = text(node, "a host, such as \"olympus\"", out)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@%[]".contains(c);
    if written.is_empty() || written.starts_with('-') || !written.chars().all(plain) {
        out.error_with(node.at, format!("{written:?} is not a host"), "write a name or an address as ssh takes it");
        return None;
    }
    Some(written.to_owned())
}

fn kind(node: &Node, out: &mut Findings<'_>) -> Option<Option<Kind>> {
    Some(match word(node, &["filesystem", "volume", "any"], out)? {
        "filesystem" => Some(Kind::Filesystem),
        "volume" => Some(Kind::Volume),
        _ => None,
    })
}

fn absent(node: &Node, out: &mut Findings<'_>) -> Option<bool> {
    Some(word(node, &["expected", "unexpected"], out)? == "expected")
}

fn percent(node: &Node, out: &mut Findings<'_>) -> Option<u8> {
    number(node, 100, out).and_then(|percent| percent.try_into().ok())
}

/// A time zone by its name.
pub(super) fn zone(node: &Node, out: &mut Findings<'_>) -> Option<Zone> {
    parsed(node, "the name of a time zone, such as \"Europe/Vienna\"", out)
}
