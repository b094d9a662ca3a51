//! TOML into the tree.

use super::{
    findings::Findings,
    node::{At, Item, Node, Table, Value},
};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

/// The block that a TOML text is. None if it is none, and then it is said why.
pub(super) fn parse(file: usize, text: &str, out: &mut Findings<'_>) -> Option<Table> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut syntax_is_fine = true;
    for error in &errors {
        let duplicate = error.message() == "duplicate key";
        // What follows the first slip is mostly its echo.
        if duplicate || syntax_is_fine {
            let span = error.span().unwrap_or_default();
            let what = match text.get(span.clone()) {
                Some(key) if duplicate => format!("`{key}` stands here a second time"),
                _ => format!("this is not TOML: {}", error.message()),
            };
            if text.get(span.clone()).is_some_and(|found| found.starts_with(|c: char| c.is_alphabetic())) && !duplicate
            {
                out.error_with(at(file, span), what, "a text stands in quotes: source = \"tank/home\"");
            } else {
                out.error(at(file, span), what);
            }
        }
        syntax_is_fine &= duplicate;
    }
    errors.is_empty().then(|| block(file, table.get_ref()))
}

fn block(file: usize, table: &DeTable<'_>) -> Table {
    let item = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let at = at(file, key.span());
        Item { key: key.get_ref().to_string(), at, node: node(file, value) }
    };
    let mut items: Vec<Item> = table.iter().map(item).collect();
    items.sort_by_key(|item| item.at.start);
    Table(items)
}

fn node(file: usize, value: &Spanned<DeValue<'_>>) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => whole(number),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => Value::List(list.iter().map(|value| node(file, value)).collect()),
        DeValue::Table(table) => Value::Table(block(file, table)),
    };
    Node { at: at(file, value.span()), value: converted }
}

fn whole(number: &DeInteger<'_>) -> Value {
    let number = i64::from_str_radix(number.as_str(), number.radix());
    number.map_or(Value::Other("a number out of all bounds"), Value::Whole)
}

fn at(file: usize, span: std::ops::Range<usize>) -> At {
    At { file, start: span.start, end: span.end }
}
