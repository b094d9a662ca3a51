//! Reasons in words.

use crate::{
    Rule, Span, Tier, Unit, Zone,
    assess::{Assessment, Next, Veto},
    config::{Entry, Match},
    judge::Reason,
};
use jiff::Timestamp;
use zam_names::UnixTime;

/// Why the snapshot at this place is kept, or is not, in a sentence without a full stop.
#[must_use]
pub fn reason(entry: &Entry, seen: &Assessment<'_>, index: usize, now: UnixTime) -> String {
    let verdict = &seen.verdicts[index];
    let zone = &entry.rule.zone;
    match verdict.reason {
        Reason::Foreign => "not zam's, and no `adopt` pattern takes it in".to_owned(),
        Reason::NoWindows => "the entry has no windows, so nothing ever expires".to_owned(),
        Reason::Manual => match verdict.expires {
            None => "asked for by hand: stays until `zamctl expire`".to_owned(),
            Some(end) if end <= now => format!("asked for by hand, until {}", moment(end, zone)),
            Some(end) => format!("asked for by hand: stays until {}", moment(end, zone)),
        },
        Reason::Quarantined => "dated in the future when it arrived: put aside, stays until `zamctl expire`".to_owned(),
        Reason::LetGo => "let go by an operator".to_owned(),
        Reason::ExpiredBefore { aged_out: true } => "older than its windows".to_owned(),
        Reason::ExpiredBefore { aged_out: false } => "an earlier one had its bucket".to_owned(),
        Reason::Winner => match verdict.expires {
            Some(end) if end <= now => "older than its windows".to_owned(),
            _ => wins(entry, verdict.date, now, entry.rule.windows.len()),
        },
        Reason::Outdone { tier, by } => {
            let window = entry.rule.windows[tier];
            let by = &seen.snapshots()[by].tag;
            let bucket = bucket(window, verdict.date, zone);
            match tier.checked_sub(1).and_then(|before| entry.rule.windows[before].max_age) {
                None => format!("{bucket} is kept by @{by}"),
                Some(age) if verdict.expired(now) => format!("older than {age}, and {bucket} is kept by @{by}"),
                Some(age) => {
                    format!("{}; from {age} on, {bucket} is kept by @{by}", wins(entry, verdict.date, now, tier))
                }
            }
        }
    }
}

/// A stretch of a snapshot's life and what keeps it through that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// When it ends; none: never.
    pub until: Option<UnixTime>,
    /// What keeps it.
    pub why: String,
}

/// The life of the snapshot at this place, tier by tier, from its first day to its expiry. Empty where no tier has a say.
#[must_use]
pub fn life(entry: &Entry, seen: &Assessment<'_>, index: usize) -> Vec<Stage> {
    let verdict = &seen.verdicts[index];
    let won = match verdict.reason {
        Reason::Winner => entry.rule.windows.len(),
        Reason::Outdone { tier, .. } => tier,
        _ => 0,
    };
    let stage = |tier: &Tier| Stage {
        until: tier.max_age.map(|age| age.after(verdict.date, entry.rule.zone.calendar())),
        why: format!("first of {}", bucket(*tier, verdict.date, &entry.rule.zone)),
    };
    entry.rule.windows.iter().take(won).map(stage).collect()
}

/// What a rule keeps, in words.
#[must_use]
pub fn windows(rule: &Rule) -> String {
    let each = |tier: &Tier| match tier.max_age {
        Some(age) => format!("one every {} to the age of {age}", tier.period),
        None => format!("one every {} for ever", tier.period),
    };
    let mut words = match rule.windows.as_slice() {
        [] => "everything, for ever: the entry has no windows".to_owned(),
        tiers => tiers.iter().map(each).collect::<Vec<_>>().join(", then "),
    };
    if rule.at_least > 0 {
        words += &format!("; and the newest {} however old", rule.at_least);
    }
    words
}

/// Why a dataset has the entry that it has, or none, in a sentence without a full stop.
#[must_use]
pub fn matched(found: Match<'_>) -> String {
    let named = |entry: &Entry| {
        let reach = if entry.recursive { " and all below it" } else { "" };
        format!("{}{reach} ({})", entry.source, entry.place)
    };
    match found {
        Match::Entry(entry) => named(entry),
        Match::Excluded { entry, pattern } => {
            format!("not managed: the entry {} leaves it out by the pattern {pattern:?}", named(entry))
        }
        Match::Disabled(entry) => {
            format!("not managed: the entry {} is switched off by `enabled = false`", named(entry))
        }
        Match::WrongKind(entry) => format!("not managed: the entry {} is for the other `type`", named(entry)),
        Match::Uncovered => "not managed: no entry covers it".to_owned(),
    }
}

/// What keeps it at `now` and what will later, of the first `won` tiers, all of which it has won.
fn wins(entry: &Entry, date: UnixTime, now: UnixTime, won: usize) -> String {
    let zone = entry.rule.zone.calendar();
    let ahead = |tier: &&Tier| tier.max_age.is_none_or(|age| age.after(date, zone) > now);
    let buckets: Vec<String> =
        entry.rule.windows[..won].iter().filter(ahead).map(|tier| bucket(*tier, date, &entry.rule.zone)).collect();
    if buckets.is_empty() {
        "older than its windows".to_owned()
    } else {
        format!("first of {}", buckets.join(", then of "))
    }
}

/// A bucket as a calendar names it: `day 2026-07-01`, `month 2026-07`, `10m from 2026-07-01 06:10`.
fn bucket(tier: Tier, date: UnixTime, zone: &Zone) -> String {
    let one = |unit| Span::new(1, unit) == Some(tier.period);
    let start = moment(tier.period.bucket_start(date, zone.calendar()), zone);
    // `YYYY-MM-DD hh:mm`, of which the calendar's names are the beginnings.
    let begin = |bytes: usize| start.get(..bytes).unwrap_or(&start).to_owned();
    if one(Unit::Hour) {
        format!("hour {start}")
    } else if one(Unit::Day) {
        format!("day {}", begin(10))
    } else if one(Unit::Week) {
        format!("the week from {}", begin(10))
    } else if one(Unit::Month) {
        format!("month {}", begin(7))
    } else if one(Unit::Year) {
        format!("year {}", begin(4))
    } else {
        format!("the {} from {start}", tier.period)
    }
}

/// An instant for people, to the minute (to the second where that matters), in `zone`.
#[must_use]
pub fn moment(instant: UnixTime, zone: &Zone) -> String {
    let Ok(timestamp) = Timestamp::from_second(instant.0) else { return "the end of time".to_owned() };
    let format = if instant.0 % 60 == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    timestamp.to_zoned(zone.calendar().clone()).strftime(format).to_string()
}

impl std::fmt::Display for Veto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest snapshot of its dataset"),
            Self::NewestOfZam => f.write_str("the newest that zam made"),
            Self::AtLeast(count) => write!(f, "one of the newest {count}, which stay however old"),
            Self::Held(tag) => write!(f, "held with the tag {:?}", tag.as_str()),
            Self::Clones(1) => f.write_str("a clone needs it"),
            Self::Clones(count) => write!(f, "{count} clones need it"),
            Self::Silence => f.write_str("no good new snapshot for too long, so ageing out pauses"),
            Self::Marked => f.write_str("marked by somebody with `zfs destroy -d`, so zam keeps its hold"),
            Self::Braked(plan) => write!(f, "braked until `zamctl prune --approve {plan}`"),
            Self::Paused => f.write_str("paused by root with `zamctl unhold`"),
        }
    }
}

/// What happens next, in words.
#[must_use]
pub fn next(next: &Next, zone: &Zone) -> String {
    match next {
        Next::Ignored => "none of zam's business".to_owned(),
        Next::Stays => "stays".to_owned(),
        Next::Vetoed(vetoes) => format!("expired, but stays: {}", all(vetoes)),
        Next::Release => "expired: zamd-snap releases it at its next look".to_owned(),
        Next::Grace(None) => "expired and released: its grace begins when zamd-prune looks next".to_owned(),
        Next::Grace(Some(end)) => {
            format!("expired and released: zamd-prune destroys it from {} on", moment(*end, zone))
        }
        Next::Destroy => "expired, released, past its grace: zamd-prune destroys it at its next look".to_owned(),
    }
}

/// Some vetoes in one line.
#[must_use]
pub fn all(vetoes: &[Veto]) -> String {
    vetoes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
