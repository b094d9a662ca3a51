//! When a task may run next. The answer is asked for again right before the run; if it has moved, the task waits.

use crate::Span;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use zam_names::UnixTime;

/// A task that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// How often; runs are aligned to the calendar's buckets of this length.
    pub period: Span,
    /// Seconds after the start of each bucket before which it does not run.
    pub splay: i64,
    /// When it last ran, or tried to.
    pub last: Option<UnixTime>,
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

/// When a task may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Possible {
    /// At this instant, which may be now.
    At(UnixTime),
    /// Not before something changes.
    Waits(Obstacle),
}

/// When `task` may run next, seen from `now`. A bucket that was missed is made up for once, not once for each.
#[must_use]
pub fn next_possible(task: &Task, now: UnixTime, zone: &TimeZone, obstacle: Option<Obstacle>) -> Possible {
    if let Some(obstacle) = obstacle {
        return Possible::Waits(obstacle);
    }
    let here = now.plus(-task.splay);
    // A last run in the future is a clock that was set back: it says nothing about today.
    let served = task
        .last
        .filter(|&last| last <= now)
        .is_some_and(|last| task.period.bucket(last.plus(-task.splay), zone) == task.period.bucket(here, zone));
    if served { Possible::At(task.period.next_bucket(here, zone).plus(task.splay)) } else { Possible::At(now) }
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
        let task = Task { period: period.parse().unwrap(), splay, last: last.map(UnixTime) };
        next_possible(&task, UnixTime(now), &TimeZone::UTC, None)
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
        let task = Task { period: "1h".parse().unwrap(), splay: 0, last: None };
        let waits = next_possible(&task, UnixTime(0), &TimeZone::UTC, Some(Obstacle::PoolAbsent));
        assert_eq!(waits, Possible::Waits(Obstacle::PoolAbsent));
    }
}
