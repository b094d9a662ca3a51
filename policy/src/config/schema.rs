//! Which keys there are, and what a wrong one may have meant.

use super::{
    findings::Findings,
    node::{At, Table},
};

pub(super) const TOP: &[&str] =
    &["managed-datasets", "replicas", "prefix", "timezone", "clock", "watch", "define", "default"];
pub(super) const WATCH: &[&str] = &["repeat", "mail", "webhook", "program", "ping", "metrics"];
pub(super) const MAIL: &[&str] = &["to", "from", "smtp", "sendmail"];
pub(super) const PING: &[&str] = &["url", "period"];
pub(super) const ENTRY: &[&str] = &[
    "source",
    "recursive",
    "exclude",
    "type",
    "enabled",
    "windows",
    "keep",
    "at-least",
    "adopt",
    "timezone",
    "snapshot-period",
    "prune-period",
    "replication-period",
    "splay",
    "hold",
    "grace",
    "brake",
    "silence",
    "absent",
    "stale-after",
    "destinations",
    "run-when",
    "hook",
];
pub(super) const HOOK: &[&str] = &["name", "timeout", "on-failure"];
pub(super) const RUN_WHEN: &[&str] = &["snapshots", "replication"];
pub(super) const CONDITIONS: &[&str] = &["idle", "ac-power", "between", "reachable", "at-latest"];
pub(super) const SOURCE: &[&str] = &["pool", "dataset", "windows", "keep"];
pub(super) const DESTINATION: &[&str] = &[
    "remote-host",
    "user",
    "pool",
    "dataset",
    "root",
    "windows",
    "keep",
    "bandwidth",
    "concurrency",
    "compress",
    "raw",
    "absent",
    "stale-after",
    "give-up",
];
pub(super) const REPLICA: &[&str] = &[
    "client",
    "root",
    "windows",
    "keep",
    "at-least",
    "adopt",
    "timezone",
    "prune-period",
    "grace",
    "brake",
    "silence",
    "stale-after",
    "absent",
    "enabled",
    "retired",
    "datasets",
];
/// What one of a replica's `datasets` may say otherwise.
pub(super) const OVERRIDE: &[&str] = &[
    "dataset",
    "windows",
    "keep",
    "at-least",
    "adopt",
    "timezone",
    "prune-period",
    "grace",
    "brake",
    "silence",
    "stale-after",
    "enabled",
];
pub(super) const TIER: &[&str] = &["max-age", "period"];
/// The tiers that `keep` can count, shortest period first.
pub(super) const KEEP: &[&str] = &["secondly", "minutely", "hourly", "daily", "weekly", "monthly", "yearly"];
/// Keys that a later version will know.
pub(super) const LATER: &[&str] = &["series"];

/// The keys of the blocks that stand at a path below an entry; none where no block stands.
pub(super) fn keys_at(path: &[String]) -> Option<&'static [&'static str]> {
    match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Some(ENTRY),
        ["source"] => Some(SOURCE),
        ["destinations"] => Some(DESTINATION),
        ["windows"] | ["destinations" | "source", "windows"] => Some(TIER),
        ["keep"] | ["destinations" | "source", "keep"] => Some(KEEP),
        _ => None,
    }
}

/// Refuses the keys of `table` that are not among `known`.
pub(super) fn refuse_unknown(table: &Table, known: &[&str], out: &mut Findings<'_>) {
    for item in table.0.iter().filter(|item| !known.contains(&item.key.as_str())) {
        unknown(&item.key, item.at, known, out);
    }
}

/// Refuses a key, and says which one may have been meant.
pub(super) fn unknown(key: &str, at: At, known: &[&str], out: &mut Findings<'_>) {
    if LATER.contains(&key) {
        return out.error_with(
            at,
            format!("`{key}` is not known to this version"),
            "a later version of zam will read it",
        );
    }
    let near = known.iter().copied().chain(["ref"]);
    let help = nearest(key, near).map_or_else(
        || format!("known here: {}", listed(known.iter().copied())),
        |meant| format!("did you mean `{meant}`?"),
    );
    out.error_with(at, format!("unknown key `{key}`"), help);
}

/// Names in a row, each in its marks.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The name that is most like the written one, if one is near enough to have been meant.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let written = plain(written);
    // A third of the letters may be wrong.
    let near = |name: &str| (name.len().max(written.len()) / 3).max(1);
    let distances = known.map(|name| (distance(&written, &plain(name)), name));
    distances
        .filter(|(distance, name)| *distance <= near(name) && *distance < written.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to get from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONGEST).collect(), b.chars().take(LONGEST).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

const LONGEST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_slip_finds_its_key() {
        for (written, meant) in [
            ("window", "windows"),
            ("snapshot_period", "snapshot-period"),
            ("snapshot-peroid", "snapshot-period"),
            ("Recursive", "recursive"),
            ("excludes", "exclude"),
            ("sourec", "source"),
            ("destination", "destinations"),
        ] {
            assert_eq!(nearest(written, ENTRY.iter().copied()), Some(meant));
        }
        assert_eq!(nearest("zebra", ENTRY.iter().copied()), None);
        assert_eq!(nearest("", ENTRY.iter().copied()), None);
    }
}
