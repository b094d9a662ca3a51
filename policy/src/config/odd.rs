//! What is odd in a config that can be used: `zamctl check` says it.

use super::{Destination, Entry, findings::Findings, inherit::Draft, node::At};
use std::collections::BTreeMap;
use zam_names::{DatasetName, Kind};

/// Says what is odd about the entries.
pub(super) fn warn(entries: &[(&Draft, &Entry)], out: &mut Findings<'_>) {
    for (draft, entry) in entries.iter().filter(|(_, entry)| entry.enabled) {
        let root = |(_, other): &&(&Draft, &Entry)| other.is_replica() && entry.source.below(&other.source).is_some();
        match entries.iter().find(root).filter(|_| !entry.is_replica()) {
            Some((_, root)) => keeping_nothing(draft, root, out),
            None => windows(draft, entry, out),
        }
        matching(draft, entry, out);
        adoption(draft, entry, out);
        replication(draft, entry, out);
        waiting(draft, entry, out);
    }
    meeting(entries, out);
}

/// Where a key stands, or the entry.
fn at(draft: &Draft, key: &str) -> At {
    draft.keys.get(key).map_or(draft.at, |node| node.at)
}

fn windows(draft: &Draft, entry: &Entry, out: &mut Findings<'_>) {
    let Some(first) = entry.rule.windows.first() else {
        let help = "write `windows` or `keep`, unless that is what you want";
        out.warning_with(draft.at, "nothing of this entry ever expires: it has no windows", help);
        return;
    };
    let Some(taken) = entry.snapshot_period else { return };
    let long = |than: crate::Span| taken.approximate_seconds() > than.approximate_seconds();
    if first.max_age.is_some_and(long) {
        let what = format!("a snapshot every {taken}, and the first window ends before the next one comes");
        out.warning(at(draft, "snapshot-period"), what);
    } else if long(first.period) {
        let what = format!("a snapshot every {taken}: the first window, one for each {}, never thins", first.period);
        out.warning(at(draft, "snapshot-period"), what);
    }
}

/// An entry that sends on what arrives.
fn keeping_nothing(draft: &Draft, root: &Entry, out: &mut Findings<'_>) {
    for key in ["windows", "keep"].into_iter().filter(|key| draft.own.contains(*key)) {
        let what = format!("`{key}` does nothing here: how long this is kept is said at {}", root.place);
        out.warning(at(draft, key), what);
    }
}

fn matching(draft: &Draft, entry: &Entry, out: &mut Findings<'_>) {
    let is_pool = entry.source.parent().is_none();
    if is_pool && !entry.recursive && entry.kind == Some(Kind::Volume) {
        out.warning(at(draft, "type"), "this entry never matches: a pool's own dataset is a filesystem");
    }
    if draft.own.contains("exclude") && !entry.recursive && !entry.exclude.is_empty() {
        out.warning(at(draft, "exclude"), "`exclude` does nothing here: the entry is not recursive");
    }
    for pattern in entry.exclude.iter().filter(|pattern| !pattern.as_str().starts_with("re:")) {
        if pattern.as_str().contains('/') {
            let help =
                "a pattern is compared with each component by itself; for a path write an entry with `enabled = false`";
            out.warning_with(at(draft, "exclude"), format!("`{}` never matches", pattern.as_str()), help);
        }
    }
}

fn adoption(draft: &Draft, entry: &Entry, out: &mut Findings<'_>) {
    if entry.rule.adopt.iter().any(|pattern| pattern.matches("a snapshot that somebody made by hand")) {
        out.warning(
            at(draft, "adopt"),
            "this adopts every snapshot, also those that people made by hand: they will expire",
        );
    }
}

fn replication(draft: &Draft, entry: &Entry, out: &mut Findings<'_>) {
    if entry.destinations.is_empty() && entry.replication_period.is_some() && draft.own.contains("replication-period") {
        out.warning(
            at(draft, "replication-period"),
            "`replication-period` does nothing here: there are no `destinations`",
        );
    }
}

/// Conditions for what never runs, or that come too late or never to count.
fn waiting(draft: &Draft, entry: &Entry, out: &mut Findings<'_>) {
    let stale_there =
        entry.destinations.iter().filter_map(|to| to.stale_after).min_by_key(|span| span.approximate_seconds());
    let every = entry.replication_period.filter(|_| !entry.destinations.is_empty());
    for (task, when, every, stale_after) in [
        ("snapshots", &entry.run_when.snapshots, entry.snapshot_period, entry.stale_after),
        ("replication", &entry.run_when.replication, every, stale_there),
    ] {
        let Some(when) = when else { continue };
        let mut odd = |what: String| out.warning(at(draft, "run-when"), what);
        let (limit, seconds) = (when.at_latest, crate::Span::approximate_seconds);
        match (every, stale_after) {
            (None, _) => odd(format!("`run-when` does nothing here: there is no schedule for {task}")),
            (Some(every), _) if seconds(limit) <= seconds(every) => {
                odd(format!("{task} never wait: `at-latest` is {limit}, and they are due every {every}"))
            }
            (_, Some(stale)) if seconds(stale) <= seconds(limit) => {
                odd(format!("{task} may wait for {limit}, and `stale-after` raises an alarm after {stale}"))
            }
            _ => {}
        }
    }
}

/// Two sources that would be sent to one place.
fn meeting(entries: &[(&Draft, &Entry)], out: &mut Findings<'_>) {
    let mut taken: BTreeMap<String, &Entry> = BTreeMap::new();
    for (draft, entry) in entries.iter().filter(|(_, entry)| entry.enabled) {
        for destination in &entry.destinations {
            let Some(first) = taken.insert(full(entry, destination), entry) else { continue };
            let what =
                format!("{} and {} go to the same place: {}", first.source, entry.source, full(entry, destination));
            out.warning_with(
                draft.at,
                what,
                "give each a `dataset` of its own there, or none: its full name is the default",
            );
        }
    }
}

/// Where the entry's source goes, in one line.
fn full(entry: &Entry, destination: &Destination) -> String {
    let Some(host) = &destination.remote_host else {
        let place = |root: DatasetName| destination.relative(entry, &entry.source)?.below(&root).ok();
        return destination.local_root().and_then(place).map_or_else(String::new, |place| place.to_string());
    };
    let pool = destination.pool.as_ref().map(|pool| format!("{pool}/")).unwrap_or_default();
    format!("{host}:{pool}{}", destination.dataset.as_ref().map_or(entry.source.as_str(), |path| path.as_str()))
}
