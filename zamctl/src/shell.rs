//! Words for a POSIX shell.

use zam_names::SnapshotName;

/// A word that the shell takes as it stands: quoted where it must be.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:,/@+=%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// No line of it is a command, whoever's words are in it, and a terminal shows it as it is: what is printed here may go to a
/// root shell.
#[must_use]
pub fn comment(text: &str) -> String {
    let lines = text.trim_end().split(['\n', '\r']);
    let line = |line: &str| format!("# {}", line.replace(char::is_control, " ")).trim_end().to_owned();
    lines.map(line).collect::<Vec<_>>().join("\n")
}

/// A command over snapshots, as often as it takes.
pub fn in_batches(command: &str, names: &[SnapshotName]) -> impl Iterator<Item = String> {
    names.chunks(BATCH).map(move |names| {
        let names: Vec<String> = names.iter().map(|name| quoted(&name.to_string())).collect();
        format!("{command} {}", names.join(" "))
    })
}

/// So many names on one line: far below what a shell takes.
const BATCH: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        assert_eq!(quoted("tank/home"), "tank/home");
        assert_eq!(quoted("tank/my data"), "'tank/my data'");
        assert_eq!(quoted("a'b"), r"'a'\''b'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted(""), "''");
    }
}
