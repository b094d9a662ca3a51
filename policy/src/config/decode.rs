//! Values into types, one at a time. What does not fit is said, and is none.

use super::{
    findings::Findings,
    node::{At, Node, Table, Value},
    schema::{listed, nearest},
};
use crate::{Pattern, Span, Unit};
use std::fmt::Display;

/// What stands under `key`, decoded; none if nothing stands there or it does not fit.
pub(super) fn read<T>(
    table: &Table,
    key: &str,
    out: &mut Findings<'_>,
    decode: impl FnOnce(&Node, &mut Findings<'_>) -> Option<T>,
) -> Option<T> {
    table.get(key).and_then(|node| decode(node, out))
}

/// Says that something else was expected, unless that has been said.
pub(super) fn wrong(node: &Node, expected: &str, out: &mut Findings<'_>) {
    if !matches!(node.value, Value::Broken) {
        out.error(node.at, format!("expected {expected}, found {}", node.value.kind()));
    }
}

pub(super) fn text<'n>(node: &'n Node, expected: &str, out: &mut Findings<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => {
            wrong(node, expected, out);
            None
        }
    }
}

/// A text that must be a name or the like, whose type says what is wrong with it.
pub(super) fn parsed<T: TryFrom<String>>(node: &Node, expected: &str, out: &mut Findings<'_>) -> Option<T>
where
    T::Error: Display,
{
    let text = text(node, expected, out)?;
    T::try_from(text.to_owned()).map_err(|why| out.error(node.at, one_line(&why.to_string()))).ok()
}

/// The first and the last line: a fault of a regular expression draws between them what is shown here anyway.
fn one_line(text: &str) -> String {
    match (text.lines().next(), text.lines().last()) {
        (Some(first), Some(last)) if first != last => format!("{first} {last}"),
        _ => text.to_owned(),
    }
}

pub(super) fn flag(node: &Node, out: &mut Findings<'_>) -> Option<bool> {
    match node.value {
        Value::Flag(flag) => Some(flag),
        _ => {
            wrong(node, "true or false", out);
            None
        }
    }
}

/// A whole number from 0 to `most`, as a number or as a text of digits.
pub(super) fn number(node: &Node, most: u32, out: &mut Findings<'_>) -> Option<u32> {
    let expected = format!("a whole number from 0 to {most}");
    let number = match &node.value {
        Value::Whole(number) => u32::try_from(*number).ok(),
        Value::Text(text) => text.parse().ok(),
        _ => {
            wrong(node, &expected, out);
            return None;
        }
    };
    let number = number.filter(|number| *number <= most);
    if number.is_none() {
        out.error(node.at, format!("expected {expected}"));
    }
    number
}

/// One of a few words.
pub(super) fn word<'w>(node: &Node, words: &[&'w str], out: &mut Findings<'_>) -> Option<&'w str> {
    let expected = format!("one of {}", listed(words.iter().copied()));
    let written = text(node, &expected, out)?;
    let found = words.iter().copied().find(|word| *word == written);
    if found.is_none() {
        match nearest(written, words.iter().copied()) {
            Some(meant) => out.error_with(node.at, format!("expected {expected}"), format!("did you mean `{meant}`?")),
            None => out.error(node.at, format!("expected {expected}")),
        }
    }
    found
}

/// A list, or nothing of it.
pub(super) fn list<'n>(node: &'n Node, expected: &str, out: &mut Findings<'_>) -> &'n [Node] {
    match &node.value {
        Value::List(list) => list,
        _ => {
            wrong(node, expected, out);
            &[]
        }
    }
}

pub(super) fn block<'n>(node: &'n Node, expected: &str, out: &mut Findings<'_>) -> Option<&'n Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        _ => {
            wrong(node, expected, out);
            None
        }
    }
}

pub(super) fn patterns(node: &Node, out: &mut Findings<'_>) -> Option<Vec<Pattern>> {
    let nodes = list(node, "a list of patterns, such as [\"cache\", \"build-*\"]", out);
    Some(nodes.iter().filter_map(|node| parsed(node, "a pattern, such as \"build-*\"", out)).collect())
}

/// A span or `"never"`.
pub(super) fn period(node: &Node, out: &mut Findings<'_>) -> Option<Option<Span>> {
    match &node.value {
        Value::Text(text) if text == NEVER => Some(None),
        _ => span(node, out).map(Some),
    }
}

/// A span as a text, `"6w"`, or as a block of one unit, `{ weeks = 6 }`.
pub(super) fn span(node: &Node, out: &mut Findings<'_>) -> Option<Span> {
    match &node.value {
        Value::Table(table) => counted(table, node.at, out),
        _ => parsed(node, "a span of time, such as \"10m\"", out),
    }
}

fn counted(table: &Table, at: At, out: &mut Findings<'_>) -> Option<Span> {
    let item = match table.0.as_slice() {
        [item] => item,
        [] => {
            out.error_with(at, "this span of time is empty", "write for example \"10m\", or { minutes = 10 }");
            return None;
        }
        _ => {
            out.error_with(
                at,
                "a span of time has one unit",
                "write the sum in the smaller unit: \"90m\" for an hour and a half",
            );
            return None;
        }
    };
    let names = UNITS.iter().map(|(name, _)| *name);
    let unit = UNITS.iter().find(|(name, _)| *name == item.key || name.strip_suffix('s') == Some(&item.key));
    let Some((_, unit)) = unit else {
        super::schema::unknown(&item.key, item.at, &names.collect::<Vec<_>>(), out);
        return None;
    };
    let count = number(&item.node, Span::MAX_COUNT, out)?;
    let span = Span::new(count, *unit);
    if span.is_none() {
        out.error(item.node.at, "a span of time is longer than nothing");
    }
    span
}

/// What stands for no period.
pub(super) const NEVER: &str = "never";

const UNITS: [(&str, Unit); 7] = [
    ("seconds", Unit::Second),
    ("minutes", Unit::Minute),
    ("hours", Unit::Hour),
    ("days", Unit::Day),
    ("weeks", Unit::Week),
    ("months", Unit::Month),
    ("years", Unit::Year),
];
