//! Patterns for names: a name, a glob (`*`, `?`, `[…]`), or `re:` and a regular expression. They match whole texts.

use regex::Regex;
use serde::{Deserialize, Serialize};

/// A checked pattern. Equal if written equally.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    written: String,
    compiled: Regex,
}

impl Pattern {
    /// Whether it matches the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(written: String) -> Result<Self, String> {
        let expression = match written.strip_prefix("re:") {
            Some(expression) => expression.to_owned(),
            None => glob(&written)?,
        };
        // Unanchored alternatives inside must not escape the anchors, hence the group.
        match Regex::new(&format!("^(?:{expression})$")) {
            Ok(compiled) => Ok(Self { written, compiled }),
            Err(error) => Err(format!("{written:?} is not a pattern: {error}")),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.written
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

/// The regular expression that a glob means. A name holds no slash here, so `*` needs no care for them.
fn glob(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("an empty pattern matches nothing; remove it".to_owned());
    }
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let Some((class, after)) = rest.as_str().split_once(']').filter(|(class, _)| !class.is_empty()) else {
                    return Err(format!("{text:?} is not a pattern: its [ is not closed by a ]"));
                };
                rest = after.chars();
                let (negated, class) = match class.strip_prefix(['!', '^']) {
                    Some(class) => ("^", class),
                    None => ("", class),
                };
                out.push_str(&format!(
                    "[{negated}{}]",
                    class.replace('\\', r"\\").replace('[', r"\[").replace('^', r"\^")
                ));
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::try_from(pattern.to_owned()).unwrap().matches(text)
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches("cache", "cache") && !matches("cache", "caches") && !matches("cache", "a cache"));
        assert!(matches("build-*", "build-") && matches("build-*", "build-7") && !matches("build-*", "rebuild-7"));
        assert!(matches("a?c", "abc") && !matches("a?c", "ac"));
        assert!(matches("v[0-9]", "v7") && !matches("v[0-9]", "vx") && matches("v[!0-9]", "vx"));
        assert!(matches("re:^tmp[0-9]+$", "tmp42") && !matches("re:tmp|x", "tmp1") && matches("re:tmp|x", "x"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "axb"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "a[", "re:(", "a[]b"] {
            assert!(Pattern::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
