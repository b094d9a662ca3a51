//! Several files into one document. Lists are joined; everything else may be said once, so that the order of the files
//! never decides.

use super::{
    findings::Findings,
    node::{At, Item, Node, Table, Value},
    schema,
};
use std::collections::BTreeMap;

/// What all files say together, not yet expanded.
#[derive(Default)]
pub(super) struct Document {
    /// `prefix`, `timezone`, `clock` and `watch`.
    pub globals: Table,
    /// By name: where the name stands, and what it means.
    pub defines: BTreeMap<String, (At, Node)>,
    /// `default`, each as the path it is for.
    pub defaults: Vec<Item>,
    /// What stands under `managed-datasets`, file by file.
    pub managed: Vec<Node>,
    /// The same of `replicas`.
    pub replicas: Vec<Node>,
}

impl Document {
    /// Adds a file.
    pub fn add(&mut self, table: Table, out: &mut Findings<'_>) {
        for item in table.0 {
            match item.key.as_str() {
                "managed-datasets" => self.managed.push(item.node),
                "replicas" => self.replicas.push(item.node),
                "prefix" | "timezone" | "clock" | "watch" => self.add_global(item, out),
                "define" => {
                    for item in inner(item, out).0 {
                        self.define(item, out);
                    }
                }
                "default" => self.defaults.extend(inner(item, out).0),
                key => match key.split_once('#') {
                    Some(("DEFINE", name)) => self.define(Item { key: name.to_owned(), ..item }, out),
                    Some(("DEFAULT", path)) => self.defaults.push(Item { key: path.to_owned(), ..item }),
                    _ => schema::unknown(key, item.at, schema::TOP, out),
                },
            }
        }
    }

    fn add_global(&mut self, item: Item, out: &mut Findings<'_>) {
        match self.globals.item(&item.key) {
            Some(first) => second_time(&item.key, first.at, item.at, out),
            None => self.globals.0.push(item),
        }
    }

    fn define(&mut self, item: Item, out: &mut Findings<'_>) {
        match self.defines.get(&item.key) {
            Some((first, _)) => second_time(&item.key, *first, item.at, out),
            None => {
                self.defines.insert(item.key, (item.at, item.node));
            }
        }
    }
}

/// Refuses what was said before.
pub(super) fn second_time(key: &str, first: At, at: At, out: &mut Findings<'_>) {
    let first = out.place(first);
    out.error_with(at, format!("`{key}` stands here a second time"), format!("the first is at {first}"));
}

fn inner(item: Item, out: &mut Findings<'_>) -> Table {
    match item.node.value {
        Value::Table(table) => table,
        other => {
            out.error(
                item.node.at,
                format!("`{}` is a block of names and what they mean, not {}", item.key, other.kind()),
            );
            Table::default()
        }
    }
}
