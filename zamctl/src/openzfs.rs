//! Which OpenZFS there is, as far as the grants depend on it.

use std::{fmt, fs, str::FromStr};

/// A version of OpenZFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenZfs(u16, u16, u16);

impl OpenZfs {
    /// The first with `receive:append`, which lets nobody roll back by receiving.
    pub const RECEIVE_APPEND: Self = Self(2, 3, 2);
    /// The first with `send:raw`.
    pub const SEND_RAW: Self = Self(2, 4, 0);
    /// Where nobody knows which: all that zam makes use of.
    pub const ANY: Self = Self(u16::MAX, 0, 0);

    /// A version by its numbers.
    #[must_use]
    pub const fn new([major, minor, patch]: [u16; 3]) -> Self {
        Self(major, minor, patch)
    }

    /// The kernel's, which judges the grants.
    #[must_use]
    pub fn here() -> Option<Self> {
        fs::read_to_string("/sys/module/zfs/version").ok()?.parse().ok()
    }

    /// Whether it has what came with `version`.
    #[must_use]
    pub fn knows(self, version: Self) -> bool {
        self >= version
    }
}

/// Takes what `zfs version` and the kernel say, with what distributions add: `zfs-2.3.2-2~bpo12+2`.
impl FromStr for OpenZfs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut numbers = text.split(['.', '-']).map(str::parse::<u16>);
        let mut next = || numbers.next().and_then(Result::ok);
        match (next(), next()) {
            (Some(major), Some(minor)) => Ok(Self(major, minor, next().unwrap_or_default())),
            _ => Err("not a version such as 2.3.2"),
        }
    }
}

impl fmt::Display for OpenZfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("of unknown version");
        }
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn versions_are_read_as_they_are_said() {
        for (text, version) in [
            ("2.1.11-1+deb12u1\n", OpenZfs(2, 1, 11)),
            ("zfs-2.3.2-2~bpo12+2", OpenZfs(2, 3, 2)),
            ("zfs-kmod-2.4.99-612_g0ce", OpenZfs(2, 4, 99)),
            ("2.4-rc1", OpenZfs(2, 4, 0)),
        ] {
            assert_eq!(text.parse(), Ok(version), "{text}");
        }
        assert!("".parse::<OpenZfs>().is_err() && "2".parse::<OpenZfs>().is_err());
    }

    #[test]
    fn what_came_later_is_not_known_before() {
        let knows = |text: &str, what| text.parse::<OpenZfs>().unwrap().knows(what);
        assert!(knows("2.3.2", OpenZfs::RECEIVE_APPEND) && !knows("2.3.1", OpenZfs::RECEIVE_APPEND));
        assert!(knows("2.4.0", OpenZfs::SEND_RAW) && !knows("2.3.9", OpenZfs::SEND_RAW));
    }
}
