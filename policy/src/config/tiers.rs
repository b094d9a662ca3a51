//! `windows` and `keep`: two ways to write the tiers.

use super::{
    decode::{block, list, number, span},
    findings::Findings,
    node::{At, Node, Table},
    schema,
};
use crate::{Span, Tier, Unit};

/// A tier and where its halves stand.
struct Placed {
    tier: Tier,
    age: At,
    period: At,
}

/// The tiers that a block decides on, by `windows` or by `keep`; none if it leaves them open.
pub(super) fn tiers(table: &Table, out: &mut Findings<'_>) -> Option<Vec<Tier>> {
    let placed = match (table.item("windows"), table.item("keep")) {
        (None, None) => return None,
        (Some(windows), None) => windows_of(&windows.node, out),
        (None, Some(keep)) => counts_of(&keep.node, out),
        (Some(windows), Some(keep)) => {
            let help = format!("`windows` stand at {}: choose one way to say it", out.place(windows.at));
            out.error_with(keep.at, "`keep` stands beside `windows`", help);
            windows_of(&windows.node, out)
        }
    };
    check(&placed, out);
    Some(placed.into_iter().map(|placed| placed.tier).collect())
}

fn windows_of(node: &Node, out: &mut Findings<'_>) -> Vec<Placed> {
    let nodes = list(node, "a list of windows, such as [{ max-age = \"2d\", period = \"10m\" }]", out);
    nodes.iter().filter_map(|node| window(node, out)).collect()
}

fn window(node: &Node, out: &mut Findings<'_>) -> Option<Placed> {
    let table = block(node, "a window, such as { max-age = \"2d\", period = \"10m\" }", out)?;
    schema::refuse_unknown(table, schema::TIER, out);
    let age = table.get("max-age");
    let max_age = age.map(|node| span(node, out));
    let Some(period) = table.get("period") else {
        out.error_with(
            node.at,
            "a window needs a `period`",
            "of what length are the pieces that keep one snapshot each?",
        );
        return None;
    };
    let length = span(period, out)?;
    // A max-age that is there and is none must not pass for a window without end.
    let max_age = match max_age {
        Some(None) => return None,
        Some(Some(age)) => Some(age),
        None => None,
    };
    Some(Placed { tier: Tier { max_age, period: length }, age: age.map_or(node.at, |age| age.at), period: period.at })
}

fn counts_of(node: &Node, out: &mut Findings<'_>) -> Vec<Placed> {
    let Some(table) = block(node, "a block of counts, such as { hourly = 48, daily = 30 }", out) else {
        return Vec::new();
    };
    schema::refuse_unknown(table, schema::KEEP, out);
    let mut placed = Vec::new();
    for (key, unit) in schema::KEEP.iter().zip(Unit::ALL) {
        let Some(node) = table.get(key) else { continue };
        let count = number(node, Span::MAX_COUNT, out).and_then(|count| Span::new(count, unit));
        // A count of 0 is no tier.
        if let (Some(max_age), Some(period)) = (count, Span::new(1, unit)) {
            placed.push(Placed { tier: Tier { max_age: Some(max_age), period }, age: node.at, period: node.at });
        }
    }
    placed
}

/// Refuses what the windows cannot mean: ages that do not rise, an end after no end, pieces longer than the window.
fn check(placed: &[Placed], out: &mut Findings<'_>) {
    for (nth, this) in placed.iter().enumerate() {
        let before = nth.checked_sub(1).and_then(|before| placed.get(before));
        match (before.map(|before| before.tier.max_age), this.tier.max_age) {
            (Some(None), _) => {
                out.error(this.age, "the window before this one never ends: only the last may lack `max-age`")
            }
            (Some(Some(from)), Some(to)) if seconds(to) <= seconds(from) => out.error_with(
                this.age,
                format!("this window ends at {to}, and the one before it at {from}"),
                "each reaches further back than the one before: raise the age, or remove the window",
            ),
            (from, Some(to)) => fits(this, from.flatten(), to, out),
            (_, None) => {}
        }
    }
}

fn fits(this: &Placed, from: Option<Span>, to: Span, out: &mut Findings<'_>) {
    let period = this.tier.period;
    if seconds(period) > seconds(to) - from.map_or(0, seconds) {
        let from = from.map_or_else(|| "0".to_owned(), |from| from.to_string());
        let what = format!("this window reaches from {from} to {to}, which is less than its period of {period}");
        out.error_with(
            this.period,
            what,
            "it would keep what no window asks for: shorten the period, or raise the age",
        );
    }
}

fn seconds(span: Span) -> i64 {
    span.approximate_seconds()
}
