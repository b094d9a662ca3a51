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
    /// What is said about `dataset`: the longest entry that covers it decides, and none beside it. How long copies are kept
    /// that arrive on this host is the business of `replicas` alone.
    #[must_use]
    pub fn entry_for(&self, dataset: &DatasetName, kind: Kind) -> Match<'_> {
        let received = self.root_above(dataset).is_some();
        self.best(dataset, kind, |entry| entry.is_replica() == received)
    }

    /// Which of `managed-datasets` says where copies of `dataset` go. Those that arrived on this host are sent on only by an
    /// entry that is meant for them: for their client's root, or for what is below it.
    #[must_use]
    pub fn sender_for(&self, dataset: &DatasetName, kind: Kind) -> Match<'_> {
        let root = self.root_above(dataset).map(|root| &root.source);
        let meant = |entry: &Entry| root.is_none_or(|root| entry.source.below(root).is_some());
        self.best(dataset, kind, |entry| !entry.is_replica() && meant(entry))
    }

    /// The entry for the whole of a client's root.
    #[must_use]
    pub fn replica_of(&self, client: &str, root: &DatasetName) -> Option<&Entry> {
        self.replica_at(root).filter(|entry| entry.client.as_deref() == Some(client))
    }

    /// The same, whoever the client is.
    #[must_use]
    pub fn replica_at(&self, root: &DatasetName) -> Option<&Entry> {
        self.root_above(root).filter(|entry| entry.source == *root)
    }

    /// The root of `replicas` below which `dataset` lies, or which it is.
    #[must_use]
    pub fn root_above(&self, dataset: &DatasetName) -> Option<&Entry> {
        let above = |entry: &&Entry| entry.is_replica() && entry.covers(dataset);
        self.entries.iter().filter(above).min_by_key(|entry| entry.source.as_str().len())
    }

    fn best(&self, dataset: &DatasetName, kind: Kind, may: impl Fn(&Entry) -> bool) -> Match<'_> {
        let covering = self.entries.iter().filter(|entry| entry.covers(dataset) && may(entry));
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
