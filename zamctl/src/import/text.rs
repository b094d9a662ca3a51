//! Files of other tools, and places in them.

use crate::failure::Failure;
use std::{fmt, rc::Rc};
use zam_names::DatasetName;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct File {
    name: Rc<str>,
    text: String,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    file: Rc<str>,
    line: usize,
}

/// Something that the config cannot say, or says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub at: At,
    pub text: String,
}

impl File {
    /// As the user named it.
    #[must_use]
    pub fn new(name: &str, text: String) -> Self {
        Self { name: name.into(), text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of this number, counted from 1.
    pub fn at(&self, line: usize) -> At {
        At { file: Rc::clone(&self.name), line }
    }

    /// Its lines with their places, less what is empty or a comment.
    pub fn lines(&self) -> impl Iterator<Item = (At, &str)> {
        let lines = self.text.lines().zip(1..).map(|(text, line)| (self.at(line), text.trim()));
        lines.filter(|(_, text)| !text.is_empty() && !text.starts_with(['#', ';']))
    }
}

impl At {
    /// That what stands here is not what the tool takes.
    pub fn wrong(&self, what: impl fmt::Display) -> Failure {
        Failure::usage(format!("{self}: {what}"))
    }

    pub fn note(&self, text: impl Into<String>) -> Note {
        Note { at: self.clone(), text: text.into() }
    }

    /// The dataset of this name.
    pub fn dataset(&self, name: &str) -> Result<DatasetName, Failure> {
        name.parse().map_err(|why| self.wrong(format!("{name:?} is not a dataset: {why}")))
    }

    /// The number of this text.
    pub fn number(&self, key: &str, text: &str) -> Result<u32, Failure> {
        text.parse().map_err(|_| self.wrong(format!("{key} = {text:?} is not a number")))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
