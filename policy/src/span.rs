//! Lengths of time as people write them, and the buckets that the calendar cuts with them.

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use zam_names::UnixTime;

/// What a span is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`: a calendar day, which may have 23 or 25 hours.
    Day,
    /// `w`: seven calendar days; as a period an ISO week, from Monday.
    Week,
    /// `mo`: a calendar month.
    Month,
    /// `y`: a calendar year.
    Year,
}

/// A positive number of units, such as `10m` or `6mo`. Months and years are the calendar's, in the configured zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    count: u32,
    unit: Unit,
}

/// Why a text is not a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a span of time: write a number above 0 (at most 100000) and one of s, m, h, d, w, mo, y, such as \"10m\""
)]
pub struct SpanError(String);

impl Unit {
    /// Every unit, shortest first.
    pub const ALL: [Self; 7] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// As it is written behind the number.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "mo",
            Self::Year => "y",
        }
    }

    /// About how many seconds one of them has: exact but for the calendar's own, whose mean is given.
    fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Week => 604_800,
            Self::Month => 2_629_746,
            Self::Year => 31_556_952,
        }
    }
}

impl Span {
    /// The largest count that is accepted; keeps all arithmetic far from the ends of the calendar.
    pub const MAX_COUNT: u32 = 100_000;

    /// `count` of `unit`, if the count is neither 0 nor above [`Span::MAX_COUNT`].
    #[must_use]
    pub const fn new(count: u32, unit: Unit) -> Option<Self> {
        match count {
            1..=Self::MAX_COUNT => Some(Self { count, unit }),
            _ => None,
        }
    }

    /// So many times as long, or as long as a span can be.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self { count: self.count.saturating_mul(factor.max(1)).min(Self::MAX_COUNT), ..self }
    }

    /// About how long it is, in seconds, for comparisons alone.
    #[must_use]
    pub fn approximate_seconds(self) -> i64 {
        i64::from(self.count) * self.unit.seconds()
    }

    /// `start` plus this span by the calendar of `zone`: a day after noon is noon, a month after 31 January is the last
    /// of February. Past the end of the calendar (the year 9999) it is the end of time.
    #[must_use]
    pub fn after(self, start: UnixTime, zone: &TimeZone) -> UnixTime {
        self.shifted(start, zone, 1).unwrap_or(UnixTime(i64::MAX))
    }

    /// `end` less this span by the calendar of `zone`.
    #[must_use]
    pub fn before(self, end: UnixTime, zone: &TimeZone) -> UnixTime {
        self.shifted(end, zone, -1).unwrap_or(UnixTime(i64::MIN))
    }

    fn shifted(self, from: UnixTime, zone: &TimeZone, sign: i64) -> Option<UnixTime> {
        let count = i64::from(self.count) * sign;
        if self.unit <= Unit::Hour {
            return Some(from.plus(count * self.unit.seconds()));
        }
        let span = match self.unit {
            Unit::Year => jiff::Span::new().try_years(count),
            Unit::Month => jiff::Span::new().try_months(count),
            Unit::Week => jiff::Span::new().try_weeks(count),
            _ => jiff::Span::new().try_days(count),
        };
        let start = Timestamp::from_second(from.0).ok()?.to_zoned(zone.clone());
        Some(UnixTime(start.checked_add(span.ok()?).ok()?.timestamp().as_second()))
    }

    /// The bucket of this length in which `instant` lies: calendar hours, days, ISO weeks, months and years of `zone`.
    /// Multiples are counted from 1970-01-01T00:00 in that zone (weeks from Monday 1969-12-29), so that 6 h starts at
    /// midnight. The two hours that share a name when summer time ends are two buckets; longer pieces are one.
    #[must_use]
    pub fn bucket(self, instant: UnixTime, zone: &TimeZone) -> Bucket {
        let offset = offset_at(instant, zone);
        let local = instant.0.saturating_add(offset);
        let count = i64::from(self.count);
        let index = match self.unit {
            Unit::Second | Unit::Minute | Unit::Hour => local.div_euclid(count * self.unit.seconds()),
            Unit::Day => local.div_euclid(86_400 * count),
            Unit::Week => local.saturating_add(3 * 86_400).div_euclid(604_800 * count),
            Unit::Month => months(local).div_euclid(count),
            Unit::Year => months(local).div_euclid(12 * count),
        };
        let told_apart = self.approximate_seconds() <= 3600;
        Bucket { index, offset: if told_apart { offset } else { 0 } }
    }

    /// The first instant after `instant` that lies in another bucket of this length, to the second.
    #[must_use]
    pub fn next_bucket(self, instant: UnixTime, zone: &TimeZone) -> UnixTime {
        let here = self.bucket(instant, zone);
        // A bucket is at most one span and a few hours of clock change long.
        let mut low = instant.0;
        let mut high = instant.plus(self.approximate_seconds() * 11 / 10 + 5 * 3600).0;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.bucket(UnixTime(middle), zone) == here { low = middle } else { high = middle }
        }
        UnixTime(high)
    }

    /// The first instant of the bucket in which `instant` lies, to the second.
    #[must_use]
    pub fn bucket_start(self, instant: UnixTime, zone: &TimeZone) -> UnixTime {
        let here = self.bucket(instant, zone);
        let mut high = instant.0;
        let mut low = instant.plus(-(self.approximate_seconds() * 11 / 10 + 5 * 3600)).0;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.bucket(UnixTime(middle), zone) == here { high = middle } else { low = middle }
        }
        UnixTime(high)
    }
}

/// One piece of the calendar. Two instants share a bucket if and only if these are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    index: i64,
    offset: i64,
}

/// Months from January of the year 0 to the one in which the local second lies.
fn months(local: i64) -> i64 {
    Timestamp::from_second(local).map_or(0, |t| {
        let date: civil::Date = Zoned::new(t, TimeZone::UTC).date();
        i64::from(date.year()) * 12 + i64::from(date.month()) - 1
    })
}

fn offset_at(instant: UnixTime, zone: &TimeZone) -> i64 {
    Timestamp::from_second(instant.0).map_or(0, |t| i64::from(zone.to_offset(t).seconds()))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.letter())
    }
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, letter) = text.split_at(digits);
        let unit = Unit::ALL.into_iter().find(|unit| unit.letter() == letter).ok_or_else(wrong)?;
        Self::new(count.parse().map_err(|_| wrong())?, unit).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn vienna() -> TimeZone {
        TimeZone::get("Europe/Vienna").unwrap()
    }

    fn at(text: &str) -> UnixTime {
        UnixTime(text.parse::<Timestamp>().unwrap().as_second())
    }

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    #[test]
    fn spans_read_as_they_are_written() {
        for text in ["1s", "10m", "6h", "2d", "1w", "6mo", "1y", "100000y"] {
            assert_eq!(span(text).to_string(), text);
        }
        for bad in ["", "m", "10", "0d", "1 d", "-1d", "1D", "1M", "1.5h", "100001d", "99999999999d", "1dd"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_day_is_the_calendars() {
        // 29 March 2026 has 23 hours in Vienna.
        assert_eq!(span("1d").after(at("2026-03-28T12:00:00+01:00"), &vienna()), at("2026-03-29T12:00:00+02:00"));
        assert_eq!(span("24h").after(at("2026-03-28T12:00:00+01:00"), &vienna()), at("2026-03-29T13:00:00+02:00"));
        assert_eq!(span("1mo").after(at("2026-01-31T12:00:00+01:00"), &vienna()), at("2026-02-28T12:00:00+01:00"));
        assert_eq!(span("100000y").after(at("2026-01-01T00:00:00Z"), &vienna()), UnixTime(i64::MAX));
    }

    #[test]
    fn buckets_begin_where_people_expect() {
        let starts = |period: &str, instant: &str| span(period).bucket_start(at(instant), &vienna());
        assert_eq!(starts("1h", "2026-07-01T10:59:59+02:00"), at("2026-07-01T10:00:00+02:00"));
        assert_eq!(starts("6h", "2026-07-01T10:59:59+02:00"), at("2026-07-01T06:00:00+02:00"));
        assert_eq!(starts("1d", "2026-07-01T10:59:59+02:00"), at("2026-07-01T00:00:00+02:00"));
        assert_eq!(starts("1w", "2026-07-01T10:59:59+02:00"), at("2026-06-29T00:00:00+02:00"));
        assert_eq!(starts("1mo", "2026-07-31T23:59:59+02:00"), at("2026-07-01T00:00:00+02:00"));
        assert_eq!(starts("3mo", "2026-08-31T23:59:59+02:00"), at("2026-07-01T00:00:00+02:00"));
        assert_eq!(starts("1y", "2026-07-01T10:59:59+02:00"), at("2026-01-01T00:00:00+01:00"));
        assert_eq!(
            span("1mo").next_bucket(at("2026-07-31T23:59:59+02:00"), &vienna()),
            at("2026-08-01T00:00:00+02:00")
        );
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_buckets() {
        let [summer, winter] = ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"].map(at);
        assert_ne!(span("1h").bucket(summer, &vienna()), span("1h").bucket(winter, &vienna()));
        assert_eq!(span("6h").bucket(summer, &vienna()), span("6h").bucket(winter, &vienna()));
        assert_eq!(span("1h").next_bucket(summer, &vienna()), at("2026-10-25T02:00:00+01:00"));
    }
}
