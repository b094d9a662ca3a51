//! `ref` and `${name}`: what repeats is written once, under `define`.

use super::{
    findings::Findings,
    node::{At, DEEPEST, Item, Node, Table, Value},
    schema::{listed, nearest},
};
use std::collections::{BTreeMap, BTreeSet};

/// Puts the defines where they are named.
pub(super) struct Expander<'a> {
    defines: &'a BTreeMap<String, (At, Node)>,
    /// Those that are expanded already.
    done: BTreeMap<String, Node>,
    /// Those that are being expanded, the outermost first.
    open: Vec<String>,
    used: BTreeSet<String>,
    /// How many more nodes may be copied.
    budget: usize,
    /// How deep the node is that is being expanded, the defines that led to it included.
    depth: usize,
}

impl<'a> Expander<'a> {
    pub fn new(defines: &'a BTreeMap<String, (At, Node)>) -> Self {
        Self { defines, done: BTreeMap::new(), open: Vec::new(), used: BTreeSet::new(), budget: MOST_NODES, depth: 0 }
    }

    /// The node with everything in it expanded; broken where that cannot be, and then it is said why.
    pub fn node(&mut self, node: &Node, out: &mut Findings<'_>) -> Node {
        if self.depth == DEEPEST {
            return Node { at: node.at, value: too_deep(node.at, out) };
        }
        self.depth += 1;
        let value = match &node.value {
            Value::Text(text) => self.text(text, node.at, out),
            Value::List(list) => Value::List(list.iter().map(|node| self.node(node, out)).collect()),
            Value::Table(table) => self.table(table, node.at, out),
            other => other.clone(),
        };
        self.depth -= 1;
        Node { at: node.at, value }
    }

    /// Expands the defines that nobody named too, so that their faults are found, and says that nobody named them.
    pub fn finish(mut self, out: &mut Findings<'_>) {
        for (name, (at, _)) in self.defines {
            if !self.used.contains(name) {
                out.warning(*at, format!("`{name}` is defined, and nothing names it"));
                self.define(name, *at, out);
            }
        }
    }

    fn table(&mut self, table: &Table, at: At, out: &mut Findings<'_>) -> Value {
        let (refs, own): (Vec<&Item>, Vec<&Item>) =
            table.0.iter().partition(|item| matches!(item.key.as_str(), "ref" | "REF"));
        let expanded = own.into_iter().map(|item| Item { node: self.node(&item.node, out), ..item.clone() });
        let mut own = Table(expanded.collect());
        let named = match refs.as_slice() {
            [] => return Value::Table(own),
            [named] => self.node(&named.node, out),
            [_, second, ..] => {
                out.error(second.at, "a block names one define: `ref` and `REF` are the same key");
                return Value::Broken;
            }
        };
        let base = match &named.value {
            Value::Text(name) => self.define(name, named.at, out),
            Value::Broken => Value::Broken,
            other => {
                out.error(named.at, format!("`ref` is the name of a define, not {}", other.kind()));
                Value::Broken
            }
        };
        match base {
            base if own.0.is_empty() => base,
            Value::Table(base) => {
                own.fill(&base);
                Value::Table(own)
            }
            Value::Broken => Value::Broken,
            other => {
                let what = format!("keys beside `ref` need a define that is a block; this one is {}", other.kind());
                out.error(at, what);
                Value::Broken
            }
        }
    }

    fn text(&mut self, text: &str, at: At, out: &mut Findings<'_>) -> Value {
        // A text that is nothing but a name takes the defined value as it is, a number as a number.
        if let Some(name) =
            text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains('}'))
        {
            return self.scalar(name, at, out);
        }
        let mut made = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                made.extend([before, "${"]);
                rest = after;
                continue;
            }
            let Some((name, after)) = after.split_once('}') else {
                out.error_with(at, "this ${ is not closed by a }", "write $${ where ${ itself is meant");
                return Value::Broken;
            };
            match self.scalar(name, at, out) {
                Value::Text(value) => made.extend([before, &value]),
                Value::Whole(number) => made.extend([before, &number.to_string()]),
                Value::Flag(flag) => made.extend([before, &flag.to_string()]),
                _ => return Value::Broken,
            }
            rest = after;
            if made.len() > LONGEST_TEXT {
                out.error(at, format!("this becomes longer than {LONGEST_TEXT} bytes"));
                return Value::Broken;
            }
        }
        made.push_str(rest);
        Value::Text(made)
    }

    fn scalar(&mut self, name: &str, at: At, out: &mut Findings<'_>) -> Value {
        match self.define(name, at, out) {
            value @ (Value::Text(_) | Value::Whole(_) | Value::Flag(_) | Value::Broken) => value,
            other => {
                let what = format!("`{name}` is {}: only a text, a number or a flag can stand in a text", other.kind());
                out.error_with(at, what, format!("write {{ ref = \"{name}\" }} where a block is meant"));
                Value::Broken
            }
        }
    }

    /// What a define means.
    fn define(&mut self, name: &str, at: At, out: &mut Findings<'_>) -> Value {
        self.used.insert(name.to_owned());
        let Some((_, raw)) = self.defines.get(name) else {
            out.error_with(at, format!("`{name}` is not defined"), self.hint(name));
            return Value::Broken;
        };
        if !self.done.contains_key(name) {
            if self.open.iter().any(|open| open == name) {
                out.error_with(at, format!("`{name}` cannot be expanded: {} …", self.chain(name)), self.hint(""));
                return Value::Broken;
            }
            self.open.push(name.to_owned());
            let expanded = self.node(raw, out);
            self.open.pop();
            self.done.insert(name.to_owned(), expanded);
        }
        self.copy(name, at, out)
    }

    fn copy(&mut self, name: &str, at: At, out: &mut Findings<'_>) -> Value {
        let Some(done) = self.done.get(name) else { return Value::Broken };
        let (size, depth) = measure(done);
        if self.depth + depth > DEEPEST {
            return too_deep(at, out);
        }
        if size > self.budget {
            out.error(at, format!("the defines of this config grow into more than {MOST_NODES} values"));
            return Value::Broken;
        }
        self.budget -= size;
        done.value.clone()
    }

    fn chain(&self, name: &str) -> String {
        self.open.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" needs ")
    }

    fn hint(&self, name: &str) -> String {
        let names = || self.defines.keys().map(String::as_str);
        match nearest(name, names()) {
            Some(meant) => format!("did you mean `{meant}`? defined are: {}", listed(names())),
            None if self.defines.is_empty() => "no name is defined".to_owned(),
            None => format!("defined are: {}", listed(names())),
        }
    }
}

fn too_deep(at: At, out: &mut Findings<'_>) -> Value {
    out.error(at, format!("this is nested deeper than {DEEPEST} levels, with the defines in it"));
    Value::Broken
}

/// How many nodes it has, and how many levels.
fn measure(node: &Node) -> (usize, usize) {
    let inner: Vec<&Node> = match &node.value {
        Value::List(list) => list.iter().collect(),
        Value::Table(table) => table.0.iter().map(|item| &item.node).collect(),
        _ => Vec::new(),
    };
    let add = |(size, depth): (usize, usize), (more, deeper): (usize, usize)| (size + more, depth.max(deeper + 1));
    inner.into_iter().map(measure).fold((1, 1), add)
}

const MOST_NODES: usize = 1_000_000;
const LONGEST_TEXT: usize = 4096;
