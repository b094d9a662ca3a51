//! zrepl's rules for what is kept.

use super::{
    keep::{self, DAY, HOUR, MINUTE, WEEK, down, newest, up},
    text::{At, Note},
    yaml::Node,
};
use crate::failure::Failure;
use zam_policy::{Pattern, Span, Tier, Unit};

/// What the rules keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Empty: all, for ever.
    pub windows: Vec<Tier>,
    pub at_least: u32,
}

impl Kept {
    /// Of snapshots with names such as `example` that come one each `taken`. A snapshot stays if one rule keeps it.
    pub fn by(rules: Vec<Node>, example: &str, taken: Option<Span>, notes: &mut Vec<Note>) -> Result<Self, Failure> {
        let (mut tiers, mut at_least, mut all) = (Vec::new(), 0, rules.is_empty());
        let first = rules.first().map(|rule| rule.at.clone());
        for rule in rules {
            let mut rule = rule.fields()?;
            let kind = rule.need("type")?;
            let at = kind.at.clone();
            let kind = kind.text()?;
            let regex = rule.word("regex")?;
            let applies = regex.as_deref().map_or(Ok(true), |regex| matches(regex, example, &at))?;
            match kind.as_str() {
                "grid" => {
                    let grid = rule.text("grid")?;
                    let read = grid_of(&grid, taken).ok_or_else(|| at.wrong(format!("{grid:?} is not a grid such as 1x1h(keep=all) | 24x1h")))?;
                    if applies {
                        tiers.extend(read);
                    } else {
                        notes.push(at.note("this grid is not for the snapshots of its own job"));
                    }
                }
                "last_n" => {
                    let count = rule.need("count")?;
                    let place = count.at.clone();
                    let count = place.number("count", &count.text()?)?;
                    at_least = at_least.max(if applies { count } else { 0 });
                }
                "regex" => all |= applies != rule.flag("negate")?,
                "not_replicated" => notes.push(at.note(
                    "not_replicated: zam keeps a bookmark for the next copy, and not the snapshots that a replica which is away has not had yet",
                )),
                other => return Err(at.wrong(format!("{other:?} is no rule of zrepl's: grid, last_n, regex, not_replicated"))),
            }
        }
        if all {
            return Ok(Self::default());
        }
        if let (true, 0, Some(at)) = (tiers.is_empty(), at_least, first) {
            notes.push(at.note("no rule here keeps snapshots of its own job; so that zam keeps no less than was meant, nothing expires: write `windows`"));
            return Ok(Self::default());
        }
        if tiers.is_empty() {
            // Those that `at-least` keeps need no window; without one, all would stay.
            tiers.extend(match taken {
                Some(period) => Some(newest(at_least, (period, period.approximate_seconds()))),
                None => every().map(|period| Tier { max_age: up(DAY), period }),
            });
        }
        Ok(Self { windows: keep::tiers(tiers), at_least })
    }
}

/// Whether a regular expression of zrepl's, which is looked for anywhere in a name, finds such names.
fn matches(regex: &str, example: &str, at: &At) -> Result<bool, Failure> {
    let anywhere = Pattern::try_from(format!("re:.*(?:{regex}).*"))
        .map_err(|_| at.wrong(format!("{regex:?} is no regular expression that zam knows")))?;
    Ok(anywhere.matches(example))
}

/// `1x1h(keep=all) | 24x1h | 14x1d`: one kept in each piece, the pieces one behind the other, back from now.
fn grid_of(grid: &str, taken: Option<Span>) -> Option<Vec<Tier>> {
    let (mut tiers, mut reached) = (Vec::new(), 0_i64);
    for part in grid.split('|') {
        let part = part.trim();
        let (pieces, kept) = match part.split_once('(') {
            Some((pieces, kept)) => {
                (pieces.trim(), kept.strip_suffix(')')?.trim().strip_prefix("keep")?.trim().strip_prefix('=')?.trim())
            }
            None => (part, "1"),
        };
        let (count, length) = pieces.split_once('x')?;
        let (count, length) = (count.trim().parse::<i64>().ok()?, duration(length)?);
        reached = reached.checked_add(count.checked_mul(length)?)?;
        let period = match kept {
            "all" => taken.or_else(every)?,
            kept => down((length / kept.parse::<i64>().ok().filter(|kept| *kept > 0)?).max(1))?,
        };
        tiers.push(Tier { max_age: up(reached.checked_add(length)?), period });
    }
    Some(tiers)
}

/// A period that thins nothing.
fn every() -> Option<Span> {
    Span::new(1, Unit::Second)
}

/// Seconds of `10m`.
pub fn duration(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let one = match unit.trim() {
        "s" => 1,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => WEEK,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(one).filter(|seconds| *seconds > 0)
}
