//! The tree that every format becomes: values that know where they stand.

/// How many levels blocks and lists may nest: each is a call on the stack.
pub(super) const DEEPEST: usize = 32;

/// A stretch of one of the files: what a finding points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// The file, by its number in the list that was loaded.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: At,
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// Something is wrong with it, and that has been said.
    Broken,
    /// What no key here takes (a date, null, a fraction), by its description.
    Other(&'static str),
}

/// A block: keys in the order of the file, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub Vec<Item>);

/// A key, where it stands, and its value.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub key: String,
    pub at: At,
    pub node: Node,
}

impl Table {
    pub fn item(&self, key: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.key == key)
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.item(key).map(|item| &item.node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|item| item.key == key).map(|item| &mut item.node)
    }

    pub fn take(&mut self, key: &str) -> Option<Item> {
        let index = self.0.iter().position(|item| item.key == key)?;
        Some(self.0.remove(index))
    }

    /// Whether the key, or another way to say the same, is set: `windows` and `keep` are one decision.
    pub fn decides(&self, key: &str) -> bool {
        self.item(key).is_some() || other_way(key).is_some_and(|other| self.item(other).is_some())
    }

    /// Takes over what it does not decide itself.
    pub fn fill(&mut self, from: &Self) {
        let missing: Vec<_> = from.0.iter().filter(|item| !self.decides(&item.key)).cloned().collect();
        self.0.extend(missing);
    }
}

fn other_way(key: &str) -> Option<&'static str> {
    match key {
        "windows" => Some("keep"),
        "keep" => Some("windows"),
        _ => None,
    }
}

impl Value {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a block",
            Self::Broken => "something broken",
            Self::Other(what) => what,
        }
    }
}
