//! Which entry speaks for a dataset.

use super::{Config, Entry};
use crate::Pattern;
use zam_names::{DatasetName, Kind};

/// What a config says about a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// This entry is in charge.
    Entry(&'a Entry),
    /// The best entry leaves it out, by this pattern of its `exclude`.
    Excluded {
        /// The entry that would be in charge.
        entry: &'a Entry,
        /// The pattern as it was written.
        pattern: &'a str,
    },
    /// The best entry is switched off.
    Disabled(&'a Entry),
    /// The best entry is for the other kind of dataset.
    WrongKind(&'a Entry),
    /// No entry reaches it.
    Uncovered,
}

impl<'a> Match<'a> {
    /// The entry in charge, if one is.
    #[must_use]
    pub fn entry(self) -> Option<&'a Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            _ => None,
        }
    }
}

impl Config {
    /// What is said about `dataset`: the longest entry that covers it decides, and none beside it.
    #[must_use]
    pub fn entry_for(&self, dataset: &DatasetName, kind: Kind) -> Match<'_> {
        let covering = self.entries.iter().filter(|entry| entry.covers(dataset));
        let Some(entry) = covering.max_by_key(|entry| entry.source.as_str().len()) else {
            return Match::Uncovered;
        };
        if !entry.enabled {
            Match::Disabled(entry)
        } else if let Some(pattern) = entry.excluding(dataset) {
            Match::Excluded { entry, pattern: pattern.as_str() }
        } else if entry.kind.is_some_and(|only| only != kind) {
            Match::WrongKind(entry)
        } else {
            Match::Entry(entry)
        }
    }
}

impl Entry {
    /// Whether the dataset is the source, or below it and the entry is recursive. Exclusions are not asked.
    #[must_use]
    pub fn covers(&self, dataset: &DatasetName) -> bool {
        dataset.below(&self.source).is_some_and(|rest| rest.is_empty() || self.recursive)
    }

    /// The pattern that takes `dataset`, or something between it and the source, out.
    fn excluding(&self, dataset: &DatasetName) -> Option<&Pattern> {
        let below = dataset.below(&self.source).filter(|rest| !rest.is_empty())?;
        self.exclude.iter().find(|pattern| below.split('/').any(|component| pattern.matches(component)))
    }
}
