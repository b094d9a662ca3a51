//! What is wrong or odd in a config, and where.

use std::{fmt, sync::Arc};

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
        let (before, width) = (" ".repeat(self.caret.0), "^".repeat(self.caret.1.max(1)));
        writeln!(f, "{}:{}: {word}: {}", self.place, self.column, self.what)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        write!(f, "{gutter} | {before}{width}")?;
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
