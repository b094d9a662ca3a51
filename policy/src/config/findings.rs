//! What is wrong or odd in a config, and where.

use super::node::At;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// A line of a config file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's name as the caller gave it.
    pub file: Arc<str>,
    /// From 1 on.
    pub line: usize,
}

/// Something to say about a place: shows the place, the line with a caret, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// The column, in characters from 1 on.
    pub column: usize,
    /// What is the matter.
    pub what: String,
    /// What to do instead.
    pub help: Option<String>,
    /// The line, or the part of it around the column.
    excerpt: String,
    /// Where in the excerpt the matter starts, and how many characters it has.
    caret: (usize, usize),
}

/// Something odd that does not keep a config from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub Finding);

/// Why a config cannot be used: all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Finding>);

impl std::error::Error for Errors {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Finding {
    /// Writes it with a word such as `error` before the message.
    fn write(&self, f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
        let number = self.place.line.to_string();
        let gutter = " ".repeat(number.len());
        let (before, carets) = (" ".repeat(self.caret.0), "^".repeat(self.caret.1));
        writeln!(f, "{}:{}: {word}: {}", self.place, self.column, self.what)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        write!(f, "{gutter} | {before}{carets}")?;
        match &self.help {
            Some(help) => write!(f, "\n{gutter} = {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "warning")
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, finding) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n\n")?;
            }
            finding.write(f, "error")?;
        }
        Ok(())
    }
}

/// A finding that still needs its file to be shown.
type Raw = (At, String, Option<String>);

/// Gathers what is found on the way. The same thing said twice of the same place is one finding.
pub(super) struct Findings<'a> {
    files: &'a [(String, String)],
    errors: BTreeSet<Raw>,
    warnings: BTreeSet<Raw>,
}

impl<'a> Findings<'a> {
    pub fn new(files: &'a [(String, String)]) -> Self {
        Self { files, errors: BTreeSet::new(), warnings: BTreeSet::new() }
    }

    /// The line on which something stands.
    pub fn place(&self, at: At) -> Place {
        let Some((name, text)) = self.files.get(at.file) else { return Place::default() };
        let line = text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1;
        Place { file: name.as_str().into(), line }
    }

    pub fn error(&mut self, at: At, what: impl Into<String>) {
        self.errors.insert((at, what.into(), None));
    }

    pub fn error_with(&mut self, at: At, what: impl Into<String>, help: impl Into<String>) {
        self.errors.insert((at, what.into(), Some(help.into())));
    }

    pub fn warning(&mut self, at: At, what: impl Into<String>) {
        self.warnings.insert((at, what.into(), None));
    }

    pub fn warning_with(&mut self, at: At, what: impl Into<String>, help: impl Into<String>) {
        self.warnings.insert((at, what.into(), Some(help.into())));
    }

    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The warnings, or the errors if there is one; each in the order of the files.
    pub fn finish(self) -> Result<Vec<Warning>, Errors> {
        let shown = |raw: &BTreeSet<Raw>| raw.iter().map(|raw| self.locate(raw)).collect::<Vec<_>>();
        if self.has_errors() {
            return Err(Errors(shown(&self.errors)));
        }
        Ok(shown(&self.warnings).into_iter().map(Warning).collect())
    }

    fn locate(&self, (at, what, help): &Raw) -> Finding {
        let text = self.files.get(at.file).map_or("", |(_, text)| text.as_str());
        let start = (0..=at.start).rev().find(|start| text.is_char_boundary(*start)).unwrap_or(0);
        let (before, after) = text.split_at(start);
        let head = before.rsplit('\n').next().unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default().trim_end();
        let column = head.chars().count();
        let marked = tail.get(..(at.end - at.start).min(tail.len())).map_or(1, |marked| marked.chars().count());
        // Long lines are cut to what stands around the column.
        let skipped = column.saturating_sub(LEFT_OF_CARET);
        let excerpt: String = head.chars().chain(tail.chars()).skip(skipped).take(EXCERPT).map(printable).collect();
        let room = excerpt.chars().count().saturating_sub(column - skipped);
        Finding {
            place: self.place(*at),
            column: column + 1,
            what: what.clone(),
            help: help.clone(),
            excerpt,
            caret: (column - skipped, marked.min(room).max(1)),
        }
    }
}

/// A tab would move the caret, another control character the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

const EXCERPT: usize = 120;
const LEFT_OF_CARET: usize = 80;
