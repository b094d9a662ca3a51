//! YAML, with the lines on which things stand.

use super::text::{At, File};
use crate::failure::Failure;
use saphyr_parser::{Event, Parser, ScanError, Span, StrInput};
use std::collections::{BTreeMap, HashMap};

/// A value.
#[derive(Clone, Debug)]
pub struct Node {
    pub at: At,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Fields),
}

/// The keys of a block; what nobody takes stays.
#[derive(Clone, Debug)]
pub struct Fields {
    pub at: At,
    keys: BTreeMap<String, Node>,
}

/// Reads a file; none if there is nothing in it.
pub fn read(file: &File) -> Result<Option<Node>, Failure> {
    let mut reader = Reader { file, events: Parser::new_from_str(file.text()), anchors: HashMap::new(), nodes: 0 };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(None),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, at) => return reader.node(event, at, 0).map(Some),
        }
    }
}

struct Reader<'a> {
    file: &'a File,
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, At), Failure> {
        let wrong = |error: ScanError| self.file.at(error.marker().line()).wrong(format!("not YAML: {}", error.info()));
        match self.events.next() {
            Some(event) => {
                event.map(|(event, span): (_, Span)| (event, self.file.at(span.start.line()))).map_err(wrong)
            }
            None => Ok((Event::StreamEnd, self.file.at(1))),
        }
    }

    fn node(&mut self, event: Event<'a>, at: At, depth: usize) -> Result<Node, Failure> {
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST {
            return Err(at.wrong("this is nested too deeply, or too much"));
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| at.wrong("this alias is for what does not end before it"))?;
                self.nodes += node.size();
                return Ok(node);
            }
            Event::Scalar(text, _, anchor, _) => (anchor, Value::Text(text.into_owned())),
            Event::SequenceStart(anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break (anchor, Value::List(list)),
                        (event, at) => list.push(self.node(event, at, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => (anchor, Value::Map(self.fields(at.clone(), depth)?)),
            _ => return Err(at.wrong("not YAML: it ends here, and should not")),
        };
        let node = Node { at, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn fields(&mut self, at: At, depth: usize) -> Result<Fields, Failure> {
        let mut keys: BTreeMap<String, Node> = BTreeMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, at) = match self.next()? {
                (Event::MappingEnd, _) => break,
                found => found,
            };
            let key = self.node(event, at, depth + 1)?;
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            let (at, key) = (key.at.clone(), key.text()?);
            match value.value {
                Value::Map(fields) if key == "<<" => merged.push(fields),
                // The key's line says more than that of a value which begins below it.
                value => {
                    if keys.insert(key.clone(), Node { at: at.clone(), value }).is_some() {
                        return Err(at.wrong(format!("{key} stands twice")));
                    }
                }
            }
        }
        for fields in merged {
            for (key, value) in fields.keys {
                keys.entry(key).or_insert(value);
            }
        }
        Ok(Fields { at, keys })
    }
}

impl Node {
    pub fn text(self) -> Result<String, Failure> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.at.wrong("a word is expected here")),
        }
    }

    pub fn list(self) -> Result<Vec<Self>, Failure> {
        match self.value {
            Value::List(list) => Ok(list),
            Value::Text(text) if text.is_empty() || text == "null" || text == "~" => Ok(Vec::new()),
            _ => Err(self.at.wrong("a list is expected here")),
        }
    }

    pub fn fields(self) -> Result<Fields, Failure> {
        match self.value {
            Value::Map(fields) => Ok(fields),
            _ => Err(self.at.wrong("keys and values are expected here")),
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Text(_) => 0,
            Value::List(list) => list.iter().map(Self::size).sum(),
            Value::Map(fields) => fields.keys.values().map(Self::size).sum(),
        }
    }
}

impl Fields {
    /// Takes a key out.
    pub fn take(&mut self, key: &str) -> Option<Node> {
        self.keys.remove(key)
    }

    /// Takes a key out that must be there.
    pub fn need(&mut self, key: &str) -> Result<Node, Failure> {
        self.take(key).ok_or_else(|| self.at.wrong(format!("there is no {key} here")))
    }

    pub fn text(&mut self, key: &str) -> Result<String, Failure> {
        self.need(key)?.text()
    }

    pub fn word(&mut self, key: &str) -> Result<Option<String>, Failure> {
        self.take(key).map(Node::text).transpose()
    }

    pub fn list(&mut self, key: &str) -> Result<Vec<Node>, Failure> {
        self.take(key).map_or_else(|| Ok(Vec::new()), Node::list)
    }

    pub fn fields(&mut self, key: &str) -> Result<Option<Self>, Failure> {
        self.take(key).map(Node::fields).transpose()
    }

    pub fn flag(&mut self, key: &str) -> Result<bool, Failure> {
        match self.take(key) {
            None => Ok(false),
            Some(node) => node.flag(),
        }
    }

    /// What nobody took.
    pub fn rest(self) -> impl Iterator<Item = (String, Node)> {
        self.keys.into_iter()
    }
}

impl Node {
    pub fn flag(self) -> Result<bool, Failure> {
        let at = self.at.clone();
        match self.text()?.as_str() {
            "true" | "yes" | "on" | "True" => Ok(true),
            "false" | "no" | "off" | "False" => Ok(false),
            other => Err(at.wrong(format!("{other:?} is neither true nor false"))),
        }
    }
}

const DEEPEST: usize = 40;
const MOST: usize = 100_000;
