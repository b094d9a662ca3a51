//! From how long another tool keeps what, to zam's tiers, which never keep less.

use zam_policy::{Span, Tier, Unit};

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 86_400;
pub const WEEK: i64 = 7 * DAY;

/// How often snapshots come: the period, and how many seconds lie between two at most.
pub type Pace = (Span, i64);

/// The kinds of snapshots that most tools have.
pub fn kind(name: &str) -> Option<Pace> {
    let (period, seconds) = match name {
        "frequent" => ("15m", 15 * MINUTE),
        "hourly" => ("1h", HOUR),
        "daily" => ("1d", DAY),
        "weekly" => ("1w", WEEK),
        "monthly" => ("1mo", 31 * DAY),
        "yearly" => ("1y", 366 * DAY),
        _ => return None,
    };
    Some((period.parse().ok()?, seconds))
}

/// A tier for the newest `count` of the snapshots that come at this pace. zam keeps the first of each piece of the calendar and
/// the others some later one, hence one period more.
pub fn newest(count: u32, (period, seconds): Pace) -> Tier {
    Tier { max_age: up((i64::from(count) + 1).saturating_mul(seconds)), period }
}

/// Tiers that keep at least what each of these keeps by itself: the finer first, and each further back than those before it.
pub fn tiers(mut wanted: Vec<Tier>) -> Vec<Tier> {
    wanted.sort_by_key(|tier| (tier.period.approximate_seconds(), std::cmp::Reverse(age(tier))));
    let mut tiers: Vec<Tier> = Vec::new();
    for mut tier in wanted {
        let from = tiers.last().map_or(0, age);
        // What a finer tier keeps for longer, it keeps for this one too.
        if age(&tier) <= from {
            continue;
        }
        let least = from.saturating_add(tier.period.approximate_seconds());
        if age(&tier) < least {
            tier.max_age = up(least);
        }
        tiers.push(tier);
    }
    tiers
}

/// The longest good span of at most so many seconds, but for 0.
pub fn down(seconds: i64) -> Option<Span> {
    let (unit, one) = scale(seconds)?;
    Span::new(u32::try_from(seconds / one).ok()?, unit)
}

/// The shortest good span of at least so many seconds; none, which never ends, where there is none so long.
pub fn up(seconds: i64) -> Option<Span> {
    let (unit, one) = scale(seconds)?;
    Span::new(u32::try_from(seconds.saturating_add(one - 1) / one).ok()?, unit)
}

/// The unit in which to write it, and its seconds: one that fits, in not too many, else the longest that is not longer.
fn scale(seconds: i64) -> Option<(Unit, i64)> {
    let exact = UNITS.into_iter().find(|(_, one)| *one > 1 && seconds % one == 0 && seconds / one <= 200);
    exact.or_else(|| UNITS.into_iter().find(|(_, one)| seconds >= *one))
}

const UNITS: [(Unit, i64); 4] = [(Unit::Day, DAY), (Unit::Hour, HOUR), (Unit::Minute, MINUTE), (Unit::Second, 1)];

fn age(tier: &Tier) -> i64 {
    tier.max_age.map_or(i64::MAX, Span::approximate_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn tiers_of(wanted: &[(u32, &str)]) -> String {
        let wanted = wanted.iter().map(|(count, name)| newest(*count, kind(name).unwrap())).collect();
        let text = |tier: &Tier| format!("{} by {}", tier.max_age.unwrap(), tier.period);
        tiers(wanted).iter().map(text).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn counts_become_tiers_that_the_config_takes() {
        assert_eq!(tiers_of(&[(3, "monthly"), (30, "daily"), (36, "hourly")]), "37h by 1h, 31d by 1d, 124d by 1mo");
        // Two days of hours are more than one of days, and the piece of a tier fits into it.
        assert_eq!(tiers_of(&[(48, "hourly"), (1, "daily")]), "49h by 1h");
        assert_eq!(tiers_of(&[(48, "hourly"), (2, "daily")]), "49h by 1h, 73h by 1d");
    }

    #[test]
    fn spans_are_rounded_up() {
        let up = |seconds| up(seconds).map(|span| span.to_string());
        let cases = [
            (1, "1s"),
            (59, "59s"),
            (61, "2m"),
            (49 * HOUR, "49h"),
            (30 * DAY, "30d"),
            (DAY + 1, "2d"),
            (8766 * HOUR, "366d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(up(seconds).unwrap(), text);
        }
        assert_eq!(up(i64::MAX), None);
    }
}
