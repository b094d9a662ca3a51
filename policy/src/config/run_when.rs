//! `run-when`: what an entry's tasks wait for.

use super::{
    decode::{block, flag, parsed, read, span},
    findings::Findings,
    node::Node,
    schema,
};
use crate::{Span, Unit, when::When};

/// What the tasks of an entry wait for when they are due; none: for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunWhen {
    /// Before snapshots are taken on schedule.
    pub snapshots: Option<When>,
    /// Before they are sent on schedule.
    pub replication: Option<When>,
}

/// Decodes the block of an entry whose tasks come back so often.
pub(super) fn run_when(
    node: &Node,
    snapshots: Option<Span>,
    replication: Option<Span>,
    out: &mut Findings<'_>,
) -> Option<RunWhen> {
    let expected = "a block for each kind of task, such as { snapshots = { idle = \"5m\" } }";
    let mut table = block(node, expected, out)?.clone();
    for thinning in ["thinning", "prune"].into_iter().filter_map(|key| table.take(key)) {
        let help = "how often is said by `prune-period`; snapshots and replication can wait";
        out.error_with(thinning.at, "thinning waits for nothing: what is late with it fills the pool", help);
    }
    schema::refuse_unknown(&table, schema::RUN_WHEN, out);
    Some(RunWhen {
        snapshots: read(&table, "snapshots", out, |node, out| when(node, snapshots, false, out)),
        replication: read(&table, "replication", out, |node, out| when(node, replication, true, out)),
    })
}

/// Nothing to wait for is no condition.
fn when(node: &Node, every: Option<Span>, sends: bool, out: &mut Findings<'_>) -> Option<When> {
    let table = block(node, "conditions, such as { idle = \"5m\", between = \"22:00-06:00\" }", out)?;
    schema::refuse_unknown(table, schema::CONDITIONS, out);
    if let (false, Some(item)) = (sends, table.item("reachable")) {
        out.error_with(item.at, "a snapshot needs no replica to answer", "`reachable` is for `replication`");
    }
    let flag = |key, out: &mut Findings<'_>| read(table, key, out, flag).unwrap_or(false);
    let when = When {
        idle: read(table, "idle", out, span),
        ac_power: flag("ac-power", out),
        between: read(table, "between", out, |node, out| parsed(node, "hours, such as \"22:00-06:00\"", out)),
        reachable: flag("reachable", out),
        at_latest: read(table, "at-latest", out, span).or_else(|| default_at_latest(every))?,
    };
    let waits = when.idle.is_some() || when.ac_power || when.between.is_some() || when.reachable;
    waits.then_some(when)
}

/// A day, or two periods where that is longer: else a task would never wait.
fn default_at_latest(every: Option<Span>) -> Option<Span> {
    let day = Span::new(1, Unit::Day);
    every.map(|every| every.times(2)).into_iter().chain(day).max_by_key(|span| span.approximate_seconds())
}
