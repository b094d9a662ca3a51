//! When a task may run next. The answer is asked for again right before the run; if it has moved, the task waits.

use crate::{
    Span, Zone,
    explain::moment,
    when::{Lack, When},
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use zam_names::UnixTime;

/// A task that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task<'a> {
    /// How often; runs are aligned to the calendar's buckets of this length.
    pub period: Span,
    /// Seconds after the start of each bucket before which it does not run.
    pub splay: i64,
    /// When it last ran, or tried to.
    pub last: Option<UnixTime>,
    /// After a failure: when it is tried again, be that before or after its next period.
    pub retry: Option<UnixTime>,
    /// What it waits for when it is due, and since when it has not run: its last run, or when it was first known.
    pub when: Option<(&'a When, UnixTime)>,
}

impl Task<'_> {
    /// One that comes back with its period, and knows of nothing else.
    #[must_use]
    pub fn every(period: Span, last: Option<UnixTime>) -> Self {
        Self { period, splay: 0, last, retry: None, when: None }
    }
}

/// What may keep a task from running now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Obstacle {
    /// The pool is not imported.
    PoolAbsent,
    /// The pool has stopped, or has not answered.
    PoolStuck,
    /// Root paused the entry for this dataset.
    Paused,
}

/// What is known of the machine and of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What keeps everything from running.
    pub obstacle: Option<Obstacle>,
    /// For how many seconds nobody has used the machine.
    pub idle_for: i64,
    /// Whether it runs on battery.
    pub on_battery: bool,
}

impl Facts {
    /// A machine that nobody needs: what is left to wait for is the clock.
    pub const QUIET: Self = Self { obstacle: None, idle_for: i64::MAX, on_battery: false };
}

/// When a task may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Possible {
    /// At this instant, which may be now.
    At(UnixTime),
    /// It is due, and waits.
    Lacks {
        /// For this.
        what: Lack,
        /// When that may have come about.
        again: UnixTime,
        /// When it runs all the same.
        at_latest: UnixTime,
    },
    /// Not before something changes.
    Waits(Obstacle),
}

impl Possible {
    /// When to ask again, if a time is known.
    #[must_use]
    pub fn at(self) -> Option<UnixTime> {
        match self {
            Self::At(at) | Self::Lacks { again: at, .. } => Some(at),
            Self::Waits(_) => None,
        }
    }

    /// When it runs, as far as that is known: what waits for more than the clock, at the latest.
    #[must_use]
    pub fn next(self) -> Option<UnixTime> {
        match self {
            Self::Lacks { what: Lack::Mains | Lack::Rest(_), at_latest, .. } => Some(at_latest),
            _ => self.at(),
        }
    }

    /// What it waits for, in words for people.
    #[must_use]
    pub fn waits(self, zone: &Zone) -> Option<String> {
        let Self::Lacks { what, again, at_latest } = self else { return None };
        let limit = format!("at the latest {}", moment(at_latest, zone));
        Some(match what {
            Lack::Hours(_) => format!("until {}", moment(again, zone)),
            Lack::Mains => format!("on battery; {limit}"),
            Lack::Rest(span) => format!("in use, idle for {span} wanted; {limit}"),
        })
    }

    /// Whether it may run now.
    #[must_use]
    pub fn is_now(self, now: UnixTime) -> bool {
        matches!(self, Self::At(at) if at <= now)
    }
}

/// When `task` may run next, seen from `now`. A bucket that was missed is made up for once, not once for each.
#[must_use]
pub fn next_possible(task: &Task<'_>, now: UnixTime, zone: &TimeZone, facts: &Facts) -> Possible {
    if let Some(obstacle) = facts.obstacle {
        return Possible::Waits(obstacle);
    }
    let due = task.retry.unwrap_or_else(|| due(task, now, zone)).max(now);
    let Some((when, ran)) = task.when else { return Possible::At(due) };
    let at_latest = when.limit(ran, zone);
    if at_latest <= due {
        return Possible::At(due);
    }
    let opens = when.between.map_or(due, |hours| hours.opens(due, zone)).min(at_latest);
    let lacks = |what, again: UnixTime| Possible::Lacks { what, again: again.min(at_latest), at_latest };
    match (when.between, when.idle.map(|idle| (idle, idle.approximate_seconds()))) {
        _ if due > now => Possible::At(opens),
        (Some(hours), _) if opens > now => lacks(Lack::Hours(hours), opens),
        _ if when.ac_power && facts.on_battery => lacks(Lack::Mains, at_latest),
        (_, Some((idle, wanted))) if wanted > facts.idle_for => {
            lacks(Lack::Rest(idle), now.plus(wanted - facts.idle_for))
        }
        _ => Possible::At(now),
    }
}

/// When it is due by its period alone.
fn due(task: &Task<'_>, now: UnixTime, zone: &TimeZone) -> UnixTime {
    let here = now.plus(-task.splay);
    // A last run in the future is a clock that was set back: it says nothing about today.
    let served = task
        .last
        .filter(|&last| last <= now)
        .is_some_and(|last| task.period.bucket(last.plus(-task.splay), zone) == task.period.bucket(here, zone));
    if served { task.period.next_bucket(here, zone).plus(task.splay) } else { now }
}

/// The share of `splay` that belongs to this machine: the same at every start, another one elsewhere.
#[must_use]
pub fn share_of_splay(splay: Option<Span>, machine: &str) -> i64 {
    let Some(splay) = splay else { return 0 };
    let hash = machine.bytes().fold(5381_i64, |hash, byte| (hash * 33 + i64::from(byte)) & 0xffff_ffff);
    hash % splay.approximate_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn next(period: &str, splay: i64, last: Option<i64>, now: i64) -> Possible {
        let task = Task { splay, ..Task::every(period.parse().unwrap(), last.map(UnixTime)) };
        next_possible(&task, UnixTime(now), &TimeZone::UTC, &Facts::QUIET)
    }

    #[test]
    fn runs_are_aligned_and_missed_ones_are_made_up_for_once() {
        assert_eq!(next("10m", 0, None, 1_000), Possible::At(UnixTime(1_000)));
        assert_eq!(next("10m", 0, Some(1_000), 1_001), Possible::At(UnixTime(1_200)));
        assert_eq!(next("10m", 0, Some(1_000), 1_200), Possible::At(UnixTime(1_200)));
        assert_eq!(next("10m", 0, Some(1_000), 999_999), Possible::At(UnixTime(999_999)));
        assert_eq!(next("10m", 0, Some(999_999), 1_000_000), Possible::At(UnixTime(1_000_200)));
    }

    #[test]
    fn a_splay_moves_the_start_of_every_bucket() {
        assert_eq!(next("10m", 30, Some(1_000), 1_200), Possible::At(UnixTime(1_230)));
        assert_eq!(next("10m", 30, Some(1_000), 1_230), Possible::At(UnixTime(1_230)));
        assert!((0..600).contains(&share_of_splay("10m".parse().ok(), "host")));
        assert_eq!(share_of_splay(None, "host"), 0);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_schedule() {
        assert_eq!(next("1d", 0, Some(864_000), 500), Possible::At(UnixTime(500)));
    }

    #[test]
    fn an_obstacle_makes_it_wait_without_a_time() {
        let task = Task::every("1h".parse().unwrap(), None);
        let facts = Facts { obstacle: Some(Obstacle::PoolAbsent), ..Facts::QUIET };
        let waits = next_possible(&task, UnixTime(0), &TimeZone::UTC, &facts);
        assert_eq!(waits, Possible::Waits(Obstacle::PoolAbsent));
    }
}
