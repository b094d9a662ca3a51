//! An entry's keys into an [`Entry`].

use super::{
    Entry,
    decode::{flag, number, parsed, patterns, period, read, span, text, word},
    destination::destinations,
    findings::Findings,
    hook::hook,
    inherit::Draft,
    node::{Node, Table},
    run_when::run_when,
    tiers::tiers,
};
use crate::{Rule, Span, Unit, Zone, when::When};
use jiff::civil;
use zam_names::{Kind, UnixTime};

/// What holds for all entries.
pub(super) struct Globals {
    pub prefix: String,
    pub timezone: Zone,
}

/// Decodes an entry. Without a source there is none, but the faults in the rest of it are found.
pub(super) fn entry(draft: &Draft, globals: &Globals, out: &mut Findings<'_>) -> Option<Entry> {
    let keys = &draft.keys;
    let rule = rule(keys, globals, out);
    let retired = |node: &Node, out: &mut Findings<'_>| retired(node, &rule.zone, out);
    let snapshot_period = read(keys, "snapshot-period", out, period).flatten();
    let said = read(keys, "replication-period", out, period);
    let every = said.unwrap_or_else(|| snapshot_period.or_else(|| Span::new(1, Unit::Hour)));
    let run_when = read(keys, "run-when", out, |node, out| run_when(node, snapshot_period, every, out));
    let run_when = run_when.unwrap_or_default();
    // Nobody is alarmed by what is to wait.
    let patience = |every: Span, when: Option<&When>| {
        let waits = when.map(|when| when.at_latest.times(2));
        waits.into_iter().chain([every.times(3)]).max_by_key(|span| span.approximate_seconds())
    };
    let there = every.and_then(|every| patience(every, run_when.replication.as_ref()));
    let destinations = read(keys, "destinations", out, |node, out| destinations(node, there, out)).unwrap_or_default();
    let replication_period = said.flatten().or(every.filter(|_| said.is_none() && !destinations.is_empty()));
    let stale_after = match draft.client {
        Some(_) => Span::new(3, Unit::Day),
        None => snapshot_period.and_then(|every| patience(every, run_when.snapshots.as_ref())),
    };
    Some(Entry {
        client: draft.client.clone(),
        retired: read(keys, "retired", out, retired),
        recursive: draft.client.is_some() || read(keys, "recursive", out, flag).unwrap_or(false),
        exclude: read(keys, "exclude", out, patterns).unwrap_or_default(),
        kind: read(keys, "type", out, kind).flatten(),
        enabled: read(keys, "enabled", out, flag).unwrap_or(true),
        hold: read(keys, "hold", out, flag).unwrap_or(true),
        rule,
        snapshot_period,
        prune_period: read(keys, "prune-period", out, period).unwrap_or_else(|| Span::new(1, Unit::Hour)),
        replication_period,
        grace: read(keys, "grace", out, span).or_else(|| Span::new(24, Unit::Hour))?,
        brake: read(keys, "brake", out, percent).unwrap_or(20),
        silence: read(keys, "silence", out, |node, out| number(node, 1000, out)).unwrap_or(3),
        stale_after: read(keys, "stale-after", out, period).unwrap_or(stale_after),
        splay: read(keys, "splay", out, span),
        absent_expected: read(keys, "absent", out, absent).unwrap_or(false),
        run_when,
        hook: read(keys, "hook", out, hook),
        destinations,
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

fn kind(node: &Node, out: &mut Findings<'_>) -> Option<Option<Kind>> {
    Some(match word(node, &["filesystem", "volume", "any"], out)? {
        "filesystem" => Some(Kind::Filesystem),
        "volume" => Some(Kind::Volume),
        _ => None,
    })
}

pub(super) fn absent(node: &Node, out: &mut Findings<'_>) -> Option<bool> {
    Some(word(node, &["expected", "unexpected"], out)? == "expected")
}

/// The day, as it begins in the zone.
fn retired(node: &Node, zone: &Zone, out: &mut Findings<'_>) -> Option<UnixTime> {
    let written = text(node, "a date as a text, such as \"2026-05-01\"", out)?;
    // Only this form, so that it is written back as it was read.
    let date = written.parse::<civil::Date>().ok().filter(|date| date.to_string() == written);
    let begin = date.and_then(|date| date.to_zoned(zone.calendar().clone()).ok());
    if begin.is_none() {
        out.error(node.at, format!("{written:?} is not a date: write it as \"2026-05-01\""));
    }
    Some(UnixTime(begin?.timestamp().as_second()))
}

fn percent(node: &Node, out: &mut Findings<'_>) -> Option<u8> {
    number(node, 100, out).and_then(|percent| percent.try_into().ok())
}

/// A time zone by its name.
pub(super) fn zone(node: &Node, out: &mut Findings<'_>) -> Option<Zone> {
    parsed(node, "the name of a time zone, such as \"Europe/Vienna\"", out)
}
