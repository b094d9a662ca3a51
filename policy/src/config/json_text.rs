//! JSON into the tree, with the tolerance of JSON5: comments, trailing commas, bare keys, single quotes.

use super::{
    findings::Findings,
    node::{At, DEEPEST, Item, Node, Table, Value},
};
use jsonc_parser::{
    CollectOptions, ParseOptions, Scanner, ScannerOptions,
    ast::{self, ObjectPropName},
    common::{Range, Ranged},
    errors::ParseError,
    parse_to_ast,
    tokens::Token,
};

/// The block that a JSON text is. None if it is none, and then it is said why.
pub(super) fn parse(file: usize, text: &str, out: &mut Findings<'_>) -> Option<Table> {
    if let Some(range) = too_deep(text) {
        out.error(at(file, range), format!("this is nested deeper than {DEEPEST} levels"));
        return None;
    }
    let options = ParseOptions { allow_missing_commas: false, ..ParseOptions::default() };
    match parse_to_ast(text, &CollectOptions::default(), &options).map(|parsed| parsed.value) {
        Ok(Some(ast::Value::Object(object))) => block(file, &object, out),
        Ok(Some(other)) => {
            out.error(at(file, other.range()), "a config is a block: it begins with { and ends with }");
            None
        }
        Ok(None) => Some(Table::default()),
        Err(error) => {
            refuse(file, &error, out);
            None
        }
    }
}

fn refuse(file: usize, error: &ParseError, out: &mut Findings<'_>) {
    let kind = error.kind().to_string();
    let mut letters = kind.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    let what: String = first.into_iter().chain(letters).collect();
    out.error(at(file, error.range()), format!("this is not JSON: {what}"));
}

/// Where brackets nest deeper than is allowed: the parser calls itself for each, and would run out of stack.
fn too_deep(text: &str) -> Option<Range> {
    let mut scanner = Scanner::new(text, &ScannerOptions::default());
    let mut depth = 0_usize;
    // A text that does not scan will not parse either, and that is said then.
    while let Ok(Some(token)) = scanner.scan() {
        match token {
            Token::OpenBrace | Token::OpenBracket => depth += 1,
            Token::CloseBrace | Token::CloseBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(Range::new(scanner.token_start(), scanner.token_end()));
        }
    }
    None
}

fn block(file: usize, object: &ast::Object<'_>, out: &mut Findings<'_>) -> Option<Table> {
    let mut table = Table::default();
    let mut fine = true;
    for property in &object.properties {
        let (key, range) = match &property.name {
            ObjectPropName::String(name) => (name.value.to_string(), name.range),
            ObjectPropName::Word(name) => (name.value.to_owned(), name.range),
        };
        if table.item(&key).is_some() {
            out.error(at(file, range), format!("`{key}` stands here a second time"));
            fine = false;
        }
        match node(file, &property.value, out) {
            Some(node) => table.0.push(Item { key, at: at(file, range), node }),
            None => fine = false,
        }
    }
    fine.then_some(table)
}

fn node(file: usize, value: &ast::Value<'_>, out: &mut Findings<'_>) -> Option<Node> {
    let converted = match value {
        ast::Value::StringLit(text) => Value::Text(text.value.to_string()),
        ast::Value::NumberLit(number) => whole(number.value),
        ast::Value::BooleanLit(flag) => Value::Flag(flag.value),
        ast::Value::NullKeyword(_) => Value::Other("null"),
        ast::Value::Object(object) => Value::Table(block(file, object, out)?),
        ast::Value::Array(array) => {
            // All of them are read, so that all faults are found.
            let nodes: Vec<_> = array.elements.iter().map(|value| node(file, value, out)).collect();
            Value::List(nodes.into_iter().collect::<Option<_>>()?)
        }
    };
    Some(Node { at: at(file, value.range()), value: converted })
}

fn whole(written: &str) -> Value {
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", written.strip_prefix('+').unwrap_or(written)),
    };
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16),
        None => format!("{sign}{digits}").parse(),
    };
    number.map_or(Value::Other("a number that is not whole or out of all bounds"), Value::Whole)
}

fn at(file: usize, range: Range) -> At {
    At { file, start: range.start, end: range.end }
}
