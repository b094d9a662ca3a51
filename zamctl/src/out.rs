//! The way to standard output and standard error.

use crate::failure::{Failure, Kind};
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

/// Prints a text to standard output.
///
/// # Errors
/// If it cannot be written; a reader that went away ends the command quietly.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Kind::Hushed, ""),
        _ => Failure::new(Kind::Failed, "cannot write to standard output").because(Some(&error)),
    })
}

/// Prints a value as JSON.
///
/// # Errors
/// As [`print()`].
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Kind::Failed, "cannot write this as JSON").because(Some(&error)))?;
    print(&(text + "\n"))
}

/// Tells the person at the terminal something that is not part of the answer.
pub fn remark(text: &str) {
    // Nobody is helped by a failure to write a remark.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// How many columns there are to write in; none if the answer goes to a file or a pipe.
#[must_use]
pub fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    set.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
}
