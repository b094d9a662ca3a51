//! Instants as people type them.

use jiff::{Timestamp, civil::DateTime};
use zam_names::UnixTime;
use zam_policy::{Span, Zone};

/// An instant that was typed, before it is known from where it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Now.
    Now,
    /// So long from now.
    In(Span),
    /// Said with its offset from Greenwich.
    Instant(UnixTime),
    /// On the wall clock.
    Local(DateTime),
}

impl At {
    /// The instant, seen from `now` and on the wall clock of `zone`.
    #[must_use]
    pub fn resolve(&self, now: UnixTime, zone: &Zone) -> UnixTime {
        match self {
            Self::Now => now,
            Self::In(span) => span.after(now, zone.calendar()),
            Self::Instant(instant) => *instant,
            Self::Local(local) => {
                local.to_zoned(zone.calendar().clone()).map_or(now, |zoned| UnixTime(zoned.timestamp().as_second()))
            }
        }
    }
}

impl std::str::FromStr for At {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Some(span) = text.strip_prefix('+') {
            return span.parse().map(Self::In).map_err(|error: zam_policy::SpanError| error.to_string());
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(UnixTime(instant.as_second())));
        }
        text.parse().map(Self::Local).map_err(|_| {
            "write `+3h` or `+2d`, `2026-12-24` or `2026-12-24 18:00` by the local clock, or `2026-12-24T18:00:00Z`"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn at(text: &str) -> UnixTime {
        let vienna = Zone::named("Europe/Vienna").unwrap();
        text.parse::<At>().unwrap().resolve(UnixTime(1_782_864_000), &vienna)
    }

    #[test]
    fn instants_are_read_in_every_form() {
        assert_eq!(at("now"), UnixTime(1_782_864_000));
        assert_eq!(at("+3h"), UnixTime(1_782_864_000 + 3 * 3600));
        assert_eq!(at("+2d"), UnixTime(1_782_864_000 + 2 * 86_400));
        assert_eq!(at("2026-07-01T00:00:00Z"), UnixTime(1_782_864_000));
        assert_eq!(at("2026-07-01T02:00:00+02:00"), UnixTime(1_782_864_000));
        for local in ["2026-07-01 02:00", "2026-07-01T02:00", "2026-07-01 02:00:00"] {
            assert_eq!(at(local), UnixTime(1_782_864_000), "{local}");
        }
        assert_eq!(at("2026-07-01"), UnixTime(1_782_864_000 - 7200));
    }

    #[test]
    fn anything_else_is_refused_with_the_forms_there_are() {
        for bad in ["", "+", "+3", "3h", "tomorrow", "2026-13-01", "2026-07-01 25:00"] {
            assert!(bad.parse::<At>().is_err(), "{bad:?}");
        }
        assert!("tomorrow".parse::<At>().unwrap_err().contains("2026-12-24 18:00"));
    }
}
