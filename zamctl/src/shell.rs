//! Words for a POSIX shell.

/// A word that the shell takes as it stands: quoted where it must be.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:,/@+=%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

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
