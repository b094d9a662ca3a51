//! Names of pools, datasets, snapshots, bookmarks and holds.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr};

/// The longest full name OpenZFS accepts (`ZFS_MAX_DATASET_NAME_LEN`, less its closing NUL), in bytes.
const MAX_NAME: usize = 255;

/// Why a text is not a name: says what was expected, quotes what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}: {why}")]
pub struct NameError {
    expected: &'static str,
    found: String,
    why: &'static str,
}

/// A name type: private text, one fallible constructor, deserialisation through it.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as ZFS writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(why) => Err(NameError { expected: $what, found: text, why }),
                }
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type!(
    /// The name of a pool: the first component of every dataset in it.
    PoolName, "a pool name", |s| { length(s)?; component(s) }
);
name_type!(
    /// The full name of a filesystem or volume, such as `tank/home/ann`.
    DatasetName, "a dataset name", dataset
);
name_type!(
    /// What stands behind the `@` of a snapshot (or the `#` of a bookmark).
    SnapTag, "a snapshot's own name", |s| { length(s)?; component(s) }
);
name_type!(
    /// The tag of a user hold (`zfs-hold(8)`). No tab or newline, so that a listing of holds stays one line each. A leading
    /// dot is ZFS's own (`.send-…` while it sends several snapshots), and stands in listings like any other.
    HoldTag, "a hold tag", |s| match s {
        "" => Err("it is empty"),
        s if s.len() > MAX_NAME => Err("it is longer than 255 bytes"),
        s if s.chars().any(|c| c.is_control()) => Err("it has a control character"),
        _ => Ok(()),
    }
);
name_type!(
    /// Where a dataset is below some root, such as `data/home`: at least one component, and no way out of the root.
    RelPath, "a path below a root", dataset
);

impl RelPath {
    /// The dataset there below `root`.
    ///
    /// # Errors
    /// If its full name is longer than 255 bytes.
    pub fn below(&self, root: &DatasetName) -> Result<DatasetName, NameError> {
        format!("{root}/{}", self.0).try_into()
    }

    /// Where it is below `root`; none for what is not below it, and for `root` itself.
    #[must_use]
    pub fn of(dataset: &DatasetName, root: &DatasetName) -> Option<Self> {
        dataset.below(root)?.parse().ok()
    }

    /// The path of what is `deeper` below this one.
    ///
    /// # Errors
    /// If it is longer than 255 bytes.
    pub fn join(&self, deeper: &Self) -> Result<Self, NameError> {
        format!("{}/{}", self.0, deeper.0).try_into()
    }

    /// The path one level up; none for what lies right below the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }
}

impl From<DatasetName> for RelPath {
    fn from(name: DatasetName) -> Self {
        Self(name.0)
    }
}

impl DatasetName {
    /// The pool that this dataset lives in.
    #[must_use]
    pub fn pool(&self) -> PoolName {
        PoolName(self.components().next().unwrap_or_default().to_owned())
    }

    /// The parts between the slashes, from the pool down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The dataset one level up; none for a pool's root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// What follows `ancestor` and a slash; empty for `ancestor` itself, none for a dataset that is not below it.
    #[must_use]
    pub fn below(&self, ancestor: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(&ancestor.0)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// A snapshot of this dataset, if the whole name is not too long.
    ///
    /// # Errors
    /// If the full name is longer than 255 bytes.
    pub fn at(&self, tag: &SnapTag) -> Result<SnapshotName, NameError> {
        SnapshotName::new(self.clone(), tag.clone())
    }
}

impl From<PoolName> for DatasetName {
    fn from(pool: PoolName) -> Self {
        Self(pool.0)
    }
}

/// A name of two halves around a mark.
macro_rules! marked_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $mark:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            dataset: DatasetName,
            tag: SnapTag,
        }

        impl $name {
            /// Puts the halves together.
            ///
            /// # Errors
            /// If the full name is longer than 255 bytes.
            pub fn new(dataset: DatasetName, tag: SnapTag) -> Result<Self, NameError> {
                if dataset.0.len() + 1 + tag.0.len() > MAX_NAME {
                    let found = format!("{dataset}{}{tag}", $mark);
                    return Err(NameError { expected: $what, found, why: "it is longer than 255 bytes" });
                }
                Ok(Self { dataset, tag })
            }

            /// The dataset it belongs to.
            #[must_use]
            pub fn dataset(&self) -> &DatasetName {
                &self.dataset
            }

            /// Its own name, behind the mark.
            #[must_use]
            pub fn tag(&self) -> &SnapTag {
                &self.tag
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                let Some((dataset, tag)) = text.split_once($mark) else {
                    let why = concat!("it has no ", $mark);
                    return Err(NameError { expected: $what, found: text, why });
                };
                Self::new(dataset.parse()?, tag.parse()?)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if f.width().is_some() {
                    return f.pad(&format!("{}{}{}", self.dataset, $mark, self.tag));
                }
                write!(f, "{}{}{}", self.dataset, $mark, self.tag)
            }
        }
    };
}

marked_name!(
    /// The full name of a snapshot, `dataset@tag`.
    SnapshotName, "a snapshot name", '@'
);
marked_name!(
    /// The full name of a bookmark, `dataset#tag`.
    BookmarkName, "a bookmark name", '#'
);

fn length(s: &str) -> Result<(), &'static str> {
    if s.len() > MAX_NAME { Err("it is longer than 255 bytes") } else { Ok(()) }
}

fn dataset(s: &str) -> Result<(), &'static str> {
    length(s)?;
    s.split('/').try_for_each(component)
}

fn component(s: &str) -> Result<(), &'static str> {
    match s {
        "" => Err("a component is empty"),
        "." | ".." => Err("a component is `.` or `..`"),
        s if s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.: ".contains(&b)) => Ok(()),
        _ => Err("only ASCII letters, digits and -_.: and blanks are allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn what_zfs_accepts_is_a_name() {
        for good in ["tank", "tank/a b/c-d_e.f:g", "s-root/data/home/i"] {
            assert_eq!(good.parse::<DatasetName>().unwrap().as_str(), good);
        }
        let snapshot: SnapshotName = "tank/a@zam-20260101T000000Z".parse().unwrap();
        assert_eq!(snapshot.dataset().as_str(), "tank/a");
        assert_eq!(snapshot.tag().as_str(), "zam-20260101T000000Z");
        assert_eq!("tank#b".parse::<BookmarkName>().unwrap().to_string(), "tank#b");
    }

    #[test]
    fn what_zfs_refuses_is_not() {
        let long = "x".repeat(256);
        for bad in [
            "", "/tank", "tank/", "a//b", "tank/..", "tank@x", "tank#x", "tank/ä", "a\nb", "a\tb", "a\0b", "a%b", &long,
        ] {
            assert!(bad.parse::<DatasetName>().is_err(), "{bad:?}");
        }
        for bad in ["tank", "@x", "tank@", "tank@a@b", "tank@a/b", "tank@a,b", "tank#x"] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad:?}");
        }
        let half = "x".repeat(200);
        assert!(format!("{half}@{half}").parse::<SnapshotName>().is_err());
    }

    #[test]
    fn a_message_with_a_bad_name_never_becomes_a_value() {
        assert!(serde_json::from_str::<SnapshotName>("\"tank@a b/c\"").is_err());
        assert!(serde_json::from_str::<HoldTag>("\"a\\nb\"").is_err());
        assert_eq!(serde_json::to_string(&"tank@a".parse::<SnapshotName>().unwrap()).unwrap(), "\"tank@a\"");
    }

    #[test]
    fn below_respects_whole_components() {
        let [home, ann, homes] =
            ["tank/home", "tank/home/ann", "tank/homes"].map(|s| s.parse::<DatasetName>().unwrap());
        assert_eq!(ann.below(&home), Some("ann"));
        assert_eq!(home.below(&home), Some(""));
        assert_eq!(homes.below(&home), None);
    }

    #[test]
    fn a_path_below_a_root_does_not_lead_out_of_it() {
        let root: DatasetName = "nas/zam/host".parse().unwrap();
        let path: RelPath = "tank/home".parse().unwrap();
        assert_eq!(path.below(&root).unwrap().as_str(), "nas/zam/host/tank/home");
        assert_eq!(RelPath::of(&path.below(&root).unwrap(), &root), Some(path.clone()));
        assert_eq!(path.parent().unwrap().join(&path).unwrap().as_str(), "tank/tank/home");
        assert_eq!(path.parent().unwrap().parent(), None);
        assert_eq!(RelPath::of(&root, &root), None);
        for bad in ["", "/tank", "..", "tank/../..", "tank//a", "tank/", "tank@a", "a\0b", "a\nb"] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(250).parse::<RelPath>().unwrap().below(&root).is_err());
    }

    #[test]
    fn the_error_quotes_and_explains() {
        let error = "tank/..".parse::<DatasetName>().unwrap_err().to_string();
        assert_eq!(error, "\"tank/..\" is not a dataset name: a component is `.` or `..`");
    }
}
