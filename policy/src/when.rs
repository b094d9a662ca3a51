//! What must be so that a task runs (`run-when`): hours, power, rest; and how long it waits for that at most.

use crate::Span;
use jiff::{Timestamp, civil::Time, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
use zam_names::UnixTime;

/// What a task waits for when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// Nobody has used the machine for so long (`idle`).
    pub idle: Option<Span>,
    /// The machine does not run on battery (`ac-power`).
    pub ac_power: bool,
    /// The time of day (`between`).
    pub between: Option<Hours>,
    /// That the replica answers: its absence is no failure (`reachable`).
    pub reachable: bool,
    /// So long after its last run it runs, whatever is so (`at-latest`).
    pub at_latest: Span,
}

impl When {
    /// From when on it runs whatever is so, if it has not run since `ran`.
    #[must_use]
    pub fn limit(&self, ran: UnixTime, zone: &TimeZone) -> UnixTime {
        self.at_latest.after(ran, zone)
    }
}

/// Some hours of every day, from the first time up to the second; over midnight where the second is the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: Time,
    to: Time,
}

impl Hours {
    /// The first instant from `instant` on that lies in them, by the clocks on the walls of `zone`. What a change of the
    /// clocks skips begins when the clocks go on; what it repeats is there twice.
    #[must_use]
    pub fn opens(&self, instant: UnixTime, zone: &TimeZone) -> UnixTime {
        let Some(time) = time_of(instant, zone).filter(|time| !self.holds(*time)) else { return instant };
        let wait = seconds(self.from) - seconds(time);
        let opens = instant.plus(wait.rem_euclid(DAY));
        if time_of(opens, zone) == Some(self.from) && offset(opens, zone) == offset(instant, zone) {
            return opens;
        }
        // The clocks change in between: minute by minute.
        let first = instant.plus(60 - i64::from(time.second()));
        let mut minutes = (0..3 * DAY / 60).map(|minute| first.plus(60 * minute));
        minutes.find(|at| time_of(*at, zone).is_none_or(|time| self.holds(time))).unwrap_or(opens)
    }

    fn holds(&self, time: Time) -> bool {
        match self.from <= self.to {
            true => (self.from..self.to).contains(&time),
            false => time >= self.from || time < self.to,
        }
    }
}

fn time_of(instant: UnixTime, zone: &TimeZone) -> Option<Time> {
    Some(Timestamp::from_second(instant.0).ok()?.to_zoned(zone.clone()).time())
}

fn offset(instant: UnixTime, zone: &TimeZone) -> Option<i32> {
    Some(zone.to_offset(Timestamp::from_second(instant.0).ok()?).seconds())
}

fn seconds(time: Time) -> i64 {
    i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

const DAY: i64 = 86_400;

impl TryFrom<String> for Hours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let time = |text: &str| -> Option<Time> {
            // Only this form, so that it is written back as it was read.
            let time: Time = text.parse().ok()?;
            (time.strftime("%H:%M").to_string() == text).then_some(time)
        };
        let hours = text.split_once('-').and_then(|(from, to)| Some(Self { from: time(from)?, to: time(to)? }));
        hours
            .filter(|hours| hours.from != hours.to)
            .ok_or_else(|| format!("{text:?} are no hours of the day: write them as \"22:00-06:00\""))
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

/// What a task that is due waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The hours.
    Hours(Hours),
    /// Power from the mains.
    Mains,
    /// That nobody uses the machine.
    Rest(Span),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = self.idle.map(|span| format!("idle for {span}"));
        let mains = self.ac_power.then(|| "not on battery".to_owned());
        let hours = self.between.map(|hours| format!("between {hours}"));
        let there = self.reachable.then(|| "the replica answers".to_owned());
        let all: Vec<String> = [hours, mains, idle, there].into_iter().flatten().collect();
        write!(f, "{}; at the latest {} after the last", all.join(", "), self.at_latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn hours(text: &str) -> Hours {
        text.to_owned().try_into().unwrap()
    }

    fn opens(of: &str, at: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let instant = UnixTime(at.parse::<Timestamp>().unwrap().as_second());
        Timestamp::from_second(hours(of).opens(instant, &zone).0).unwrap().to_string()
    }

    #[test]
    fn hours_may_lie_over_midnight() {
        assert_eq!(opens("22:00-06:00", "2026-07-01T12:00:07Z", "UTC"), "2026-07-01T22:00:00Z");
        for inside in ["2026-07-01T22:00:00Z", "2026-07-01T23:59:59Z", "2026-07-02T05:59:59Z"] {
            assert_eq!(opens("22:00-06:00", inside, "UTC"), inside);
        }
        assert_eq!(opens("22:00-06:00", "2026-07-02T06:00:00Z", "UTC"), "2026-07-02T22:00:00Z");
        assert_eq!(opens("09:00-17:30", "2026-07-01T17:30:00Z", "UTC"), "2026-07-02T09:00:00Z");
    }

    #[test]
    fn hours_are_those_of_the_clocks_on_the_walls() {
        let vienna = |of, at| opens(of, at, "Europe/Vienna");
        // The last night of March: after 01:59:59 comes 03:00.
        assert_eq!(vienna("02:30-06:00", "2026-03-29T00:10:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(vienna("02:30-02:45", "2026-03-29T00:10:00Z"), "2026-03-30T00:30:00Z");
        assert_eq!(vienna("22:00-06:00", "2026-03-29T10:00:00Z"), "2026-03-29T20:00:00Z");
        // The last night of October: 02:00 to 03:00 comes twice.
        assert_eq!(vienna("02:30-02:45", "2026-10-25T00:20:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(vienna("02:30-02:45", "2026-10-25T00:50:00Z"), "2026-10-25T01:30:00Z");
        assert_eq!(vienna("04:00-05:00", "2026-10-24T20:00:30Z"), "2026-10-25T03:00:00Z");
    }

    #[test]
    fn hours_are_read_as_they_are_written() {
        assert_eq!(hours("22:00-06:00").to_string(), "22:00-06:00");
        for bad in ["", "22-6", "22:00", "22:00-22:00", "24:00-06:00", "22:00:00-06:00", "22:00 - 06:00", "2:00-06:00"]
        {
            assert!(Hours::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
