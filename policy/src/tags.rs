//! The names that zam gives snapshots: `zam-20260101T000000Z` on schedule, `zam-manual-20260101T000000Z` on request.

use jiff::{Timestamp, civil, tz::TimeZone};
use zam_names::{SnapTag, Snapshot, UnixTime};

/// What a snapshot's name says about who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// zam, on schedule, at that time.
    Schedule(UnixTime),
    /// zam, because somebody asked, at that time.
    Request(UnixTime),
    /// Somebody else.
    Other,
}

const STAMP: &str = "%Y%m%dT%H%M%SZ";
const MANUAL: &str = "manual-";

/// Reads a name. Only names that zam itself would have written count: a valid UTC date in just this form.
#[must_use]
pub fn maker(prefix: &str, tag: &SnapTag) -> Maker {
    let Some(rest) = tag.as_str().strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) else {
        return Maker::Other;
    };
    match rest.strip_prefix(MANUAL) {
        Some(rest) => stamp(rest).map_or(Maker::Other, Maker::Request),
        None => stamp(rest).map_or(Maker::Other, Maker::Schedule),
    }
}

/// When the newest of these was taken that zam took on schedule, of those that are not of the future.
#[must_use]
pub fn last_scheduled(prefix: &str, snapshots: &[Snapshot], now: UnixTime) -> Option<UnixTime> {
    let date = |snapshot: &Snapshot| match maker(prefix, &snapshot.tag) {
        Maker::Schedule(date) => Some(date),
        Maker::Request(_) | Maker::Other => None,
    };
    snapshots.iter().rev().filter_map(date).find(|date| *date <= now)
}

/// The name of a snapshot taken on schedule at `now`. None for an instant that no calendar has, or a prefix that no name
/// may begin with.
#[must_use]
pub fn scheduled(prefix: &str, now: UnixTime) -> Option<SnapTag> {
    format!("{prefix}-{}", utc(now)?).parse().ok()
}

/// The name of a snapshot taken on request at `now`, where the one who asks gives none.
#[must_use]
pub fn manual(prefix: &str, now: UnixTime) -> Option<SnapTag> {
    format!("{prefix}-{MANUAL}{}", utc(now)?).parse().ok()
}

fn utc(now: UnixTime) -> Option<jiff::fmt::strtime::Display<'static>> {
    Some(Timestamp::from_second(now.0).ok()?.strftime(STAMP))
}

fn stamp(text: &str) -> Option<UnixTime> {
    let digits = |range: std::ops::Range<usize>| {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i16>().ok())?
    };
    let small = |range| i8::try_from(digits(range)?).ok();
    if text.len() != 16 || text.as_bytes()[8] != b'T' || text.as_bytes()[15] != b'Z' {
        return None;
    }
    let date = civil::DateTime::new(
        digits(0..4)?,
        small(4..6)?,
        small(6..8)?,
        small(9..11)?,
        small(11..13)?,
        small(13..15)?,
        0,
    );
    Some(UnixTime(date.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn names_say_when_they_were_made() {
        for seconds in [0, 1, 951_782_399, 1_782_864_000, 253_402_207_200] {
            let now = UnixTime(seconds);
            assert_eq!(maker("zam", &scheduled("zam", now).unwrap()), Maker::Schedule(now));
            assert_eq!(maker("zam", &manual("zam", now).unwrap()), Maker::Request(now));
        }
        assert_eq!(scheduled("zam", UnixTime(1_782_864_000)).unwrap().as_str(), "zam-20260701T000000Z");
    }

    #[test]
    fn names_of_others_are_not_taken_for_ours() {
        for other in [
            "zam",
            "zam-",
            "zam-20260701",
            "zam-20260701T000000",
            "zam-20260701T000000Z1",
            "zam-20261301T000000Z",
            "zam-20260230T000000Z",
            "zam-20260701T250000Z",
            "zam-manual-x",
            "zams-20260701T000000Z",
            "autosnap_2026-07-01_00:00:00_daily",
            "zam-20260701 000000Z",
        ] {
            assert_eq!(maker("zam", &other.parse().unwrap()), Maker::Other, "{other}");
        }
        assert_eq!(maker("mine", &"zam-20260701T000000Z".parse().unwrap()), Maker::Other);
    }
}
