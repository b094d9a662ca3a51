//! Reasons in words.

use crate::{
    Tier, Zone,
    assess::{Assessment, Next, Veto},
    config::Entry,
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
            None => "asked for by hand, until `zamctl expire`".to_owned(),
            Some(end) => format!("asked for by hand, until {}", moment(end, zone)),
        },
        Reason::LetGo => "let go by an operator".to_owned(),
        Reason::ExpiredBefore { aged_out: true } => "older than its windows".to_owned(),
        Reason::ExpiredBefore { aged_out: false } => "outdone by an earlier snapshot of its bucket".to_owned(),
        Reason::Winner => winner(entry, verdict.date, verdict.expires, now),
        Reason::Outdone { tier, by } => {
            let window = entry.rule.windows[tier];
            let by = &seen.snapshots()[by].tag;
            let bucket = bucket(window, verdict.date, zone);
            match tier.checked_sub(1).and_then(|before| entry.rule.windows[before].max_age) {
                None => format!("{bucket} belongs to @{by}"),
                Some(age) if verdict.expired(now) => format!("past {age}, {bucket} belongs to @{by}"),
                Some(age) => format!("{}; at {age}, {bucket} goes to @{by}", holds_now(entry, verdict.date, now)),
            }
        }
    }
}

fn winner(entry: &Entry, date: UnixTime, expires: Option<UnixTime>, now: UnixTime) -> String {
    match expires {
        Some(end) if end <= now => "older than its windows".to_owned(),
        _ => holds_now(entry, date, now),
    }
}

/// Which tier keeps it at `now`.
fn holds_now(entry: &Entry, date: UnixTime, now: UnixTime) -> String {
    let zone = entry.rule.zone.calendar();
    let current = |tier: &&Tier| tier.max_age.is_none_or(|age| age.after(date, zone) > now);
    match entry.rule.windows.iter().find(current) {
        Some(tier) => format!("first of {}", bucket(*tier, date, &entry.rule.zone)),
        None => "older than its windows".to_owned(),
    }
}

/// A bucket by its length and start: `the 1d of 2026-07-01 00:00`.
fn bucket(tier: Tier, date: UnixTime, zone: &Zone) -> String {
    format!("the {} from {}", tier.period, moment(tier.period.bucket_start(date, zone.calendar()), zone))
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
            Self::Held(tag) => write!(f, "held by {tag:?}"),
            Self::Clones(1) => f.write_str("a clone needs it"),
            Self::Clones(count) => write!(f, "{count} clones need it"),
            Self::Silence => f.write_str("no good new snapshot for too long, so ageing out pauses"),
            Self::Marked => f.write_str("marked by somebody with `zfs destroy -d`, so zam keeps its hold"),
            Self::Braked(plan) => write!(f, "braked: more would die than was foretold; `zamctl prune --approve {plan}`"),
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
        Next::Vetoed(vetoes) => {
            let all: Vec<String> = vetoes.iter().map(ToString::to_string).collect();
            format!("expired, but stays: {}", all.join("; "))
        }
        Next::Release => "expired: zamd-snap releases it at its next look".to_owned(),
        Next::Grace(None) => "expired and released: its grace begins when zamd-prune looks next".to_owned(),
        Next::Grace(Some(end)) => format!("expired and released: zamd-prune destroys it after {}", moment(*end, zone)),
        Next::Destroy => "expired, released, past its grace: zamd-prune destroys it at its next look".to_owned(),
    }
}
