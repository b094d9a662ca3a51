//! How often a line of a crontab comes.

use super::keep::{DAY, Pace, down};
use jiff::{ToSpan as _, civil};

/// The shortest and the longest time between two runs, the first as a period of zam's, the other in seconds.
pub fn every(fields: &[&str]) -> Option<Pace> {
    let [minutes, hours, days, months, weekdays] = fields else { return None };
    let (minutes, hours) = (values(minutes, 0, 59)?, values(hours, 0, 23)?);
    let (in_month, in_week) = (values(days, 1, 31)?, values(weekdays, 0, 7)?);
    let months = values(months, 1, 12)?;
    // Where both are said, either is enough.
    let either = !days.starts_with('*') && !weekdays.starts_with('*');
    let runs_on = |date: civil::Date| {
        let by_month = in_month.contains(&date.day());
        let weekday = date.weekday().to_sunday_zero_offset();
        let by_week = in_week.contains(&weekday) || (weekday == 0 && in_week.contains(&7));
        let by_day = if either { by_month || by_week } else { by_month && by_week };
        by_day && months.contains(&date.month())
    };
    let (mut before, mut shortest, mut longest) = (None, i64::MAX, 0);
    let first = civil::date(2024, 1, 1);
    for day in 0..FOUR_YEARS {
        if !runs_on(first.checked_add(day.days()).ok()?) {
            continue;
        }
        for hour in &hours {
            for minute in &minutes {
                let now = day * DAY + i64::from(*hour) * 3600 + i64::from(*minute) * 60;
                if let Some(before) = before.replace(now) {
                    shortest = shortest.min(now - before);
                    longest = longest.max(now - before);
                }
            }
        }
    }
    if longest == 0 {
        return None;
    }
    let period = match (shortest / DAY, longest / DAY) {
        (28.., ..=31) => "1mo".parse().ok(),
        (365, ..=366) => "1y".parse().ok(),
        (7, 7) => "1w".parse().ok(),
        _ => down(shortest),
    };
    Some((period?, longest))
}

/// The numbers of a field: `*`, `5`, `1-5`, `*/15`, `8-18/2`, and lists of them; names of days and months are not read.
fn values(field: &str, least: i8, most: i8) -> Option<Vec<i8>> {
    let mut values = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: usize = step.parse().ok().filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None if part.contains('/') => (range.parse().ok()?, most),
            None => (range.parse().ok()?, range.parse().ok()?),
        };
        if from < least || to > most || from > to {
            return None;
        }
        values.extend((from..=to).step_by(step));
    }
    values.sort_unstable();
    values.dedup();
    Some(values)
}

const FOUR_YEARS: i64 = 1461;

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_line_comes_so_often() {
        for (line, period, longest) in [
            ("*/15 * * * *", "15m", 900),
            ("0 * * * *", "1h", 3600),
            ("17 4 * * *", "1d", DAY),
            ("0 1,4 * * *", "3h", 21 * 3600),
            ("0 8-18/2 * * 1-5", "2h", 2 * DAY + 14 * 3600),
            ("0 0 * * 0", "1w", 7 * DAY),
            ("0 0 * * 7", "1w", 7 * DAY),
            ("0 0 1 * *", "1mo", 31 * DAY),
            ("0 0 1 1 *", "1y", 366 * DAY),
            ("0 0 1,15 * *", "14d", 17 * DAY),
            ("*/7 * * * *", "4m", 420),
        ] {
            let (shortest, seconds) = every(&line.split(' ').collect::<Vec<_>>()).unwrap();
            assert_eq!((shortest.to_string().as_str(), seconds), (period, longest), "{line}");
        }
        for bad in ["* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "0 0 30 2 *"] {
            assert_eq!(every(&bad.split(' ').collect::<Vec<_>>()), None, "{bad}");
        }
    }
}
