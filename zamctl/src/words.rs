//! Numbers and instants as people read them.

use jiff::Timestamp;
use zam_names::UnixTime;
use zam_policy::{Zone, explain};

/// Bytes in ZFS's own form: `512`, `1.50K`, `12.3G`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value {
        _ if unit == 0 => count.to_string(),
        v if v < 10.0 => format!("{v:.2}{}", UNITS[unit]),
        v if v < 100.0 => format!("{v:.1}{}", UNITS[unit]),
        v => format!("{v:.0}{}", UNITS[unit]),
    }
}

/// A length of time in its one or two leading units: `45s`, `12m`, `3h`, `2d`.
#[must_use]
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        172_800..63_115_200 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_557_600),
    }
}

/// How long ago, or in how long.
#[must_use]
pub fn relative(instant: UnixTime, now: UnixTime) -> String {
    match instant.since(now) {
        0 => "now".to_owned(),
        ahead if ahead > 0 => format!("in {}", span(ahead)),
        behind => format!("{} ago", span(-behind)),
    }
}

/// An instant on the wall clock of `zone`.
#[must_use]
pub fn moment(instant: UnixTime, zone: &Zone) -> String {
    explain::moment(instant, zone)
}

/// The same to the full minute after it, unless it is close to `now`: for "from then on".
#[must_use]
pub fn from(instant: UnixTime, now: UnixTime, zone: &Zone) -> String {
    let close = instant.since(now).abs() < 3600;
    moment(if close { instant } else { instant.plus((-instant.0).rem_euclid(60)) }, zone)
}

/// An instant for programs: RFC 3339, in UTC.
#[must_use]
pub fn stamp(instant: UnixTime) -> String {
    Timestamp::from_second(instant.0).map_or_else(|_| "never".to_owned(), |instant| instant.to_string())
}

/// `1 snapshot`, `2 snapshots`.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn bytes_are_written_as_zfs_does() {
        let cases = [(0, "0"), (1023, "1023"), (1536, "1.50K"), (13_207_024_435, "12.3G"), (200 << 20, "200M")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(bytes(u64::MAX), "16.0E");
    }

    #[test]
    fn spans_are_short() {
        let cases = [(-5, "0s"), (119, "119s"), (600, "10m"), (7200, "2h"), (172_800, "2d"), (94_672_800, "3y")];
        for (seconds, text) in cases {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(relative(UnixTime(60), UnixTime(0)), "in 60s");
        assert_eq!(relative(UnixTime(0), UnixTime(7200)), "2h ago");
    }

    #[test]
    fn what_is_far_away_is_told_to_the_minute() {
        let utc = Zone::utc();
        assert_eq!(from(UnixTime(86_401), UnixTime(0), &utc), "1970-01-02 00:01");
        assert_eq!(from(UnixTime(86_400), UnixTime(0), &utc), "1970-01-02 00:00");
        assert_eq!(from(UnixTime(61), UnixTime(0), &utc), "1970-01-01 00:01:01");
    }

    #[test]
    fn stamps_are_utc() {
        assert_eq!(stamp(UnixTime(0)), "1970-01-01T00:00:00Z");
    }
}
