//! What a tool does where, and the entries that do the same.

use super::text::{At, Note};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{DatasetName, RelPath};
use zam_policy::{Span, Tier};

/// What is done for a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// How often a snapshot is taken.
    pub taken: Option<Span>,
    /// How long they are kept; empty: for ever.
    pub windows: Vec<Tier>,
    /// So many of the newest stay however old.
    pub at_least: u32,
    /// Patterns for the tool's own snapshots.
    pub adopt: BTreeSet<String>,
    /// Where copies go.
    pub goals: Vec<Goal>,
}

/// A destination: the keys of its block, with their values as TOML.
pub type Goal = Vec<(&'static str, String)>;

/// A dataset that the tool's config names.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Where it is named.
    pub at: At,
    /// What is done for it; none: nothing.
    pub own: Option<Care>,
    /// What is done for all below it that is not named.
    pub below: Option<Care>,
    pub notes: Vec<Note>,
}

/// Copies that arrive here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub client: String,
    pub root: DatasetName,
    pub windows: Vec<Tier>,
    pub at_least: u32,
    pub adopt: BTreeSet<String>,
    /// What is kept otherwise, by the path below the root.
    pub datasets: BTreeMap<RelPath, Vec<Tier>>,
    pub notes: Vec<Note>,
}

/// All that a tool does.
#[derive(Clone, Debug, Default)]
pub struct Land {
    pub scopes: BTreeMap<DatasetName, Scope>,
    pub replicas: Vec<Replica>,
    /// What is about no dataset.
    pub notes: Vec<Note>,
    /// What holds for this tool in general.
    pub remarks: Vec<&'static str>,
}

/// An entry of `managed-datasets`.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub source: &'a DatasetName,
    pub recursive: bool,
    pub childless: bool,
    /// None: `enabled = false`.
    pub care: Option<Care>,
    pub notes: Vec<Note>,
}

impl Care {
    /// What two jobs do to the same dataset. Each of them destroys what it does not keep, unless it keeps all.
    pub fn and(mut self, other: Self) -> Self {
        self.taken = [self.taken, other.taken].into_iter().flatten().min_by_key(|span| span.approximate_seconds());
        if self.windows.is_empty() || other.windows.is_empty() {
            self.windows.extend(other.windows);
        } else {
            self.windows = super::keep::tiers([self.windows, other.windows].concat());
        }
        self.at_least = self.at_least.max(other.at_least);
        self.adopt.extend(other.adopt);
        self.goals.extend(other.goals);
        self
    }
}

impl Land {
    /// What is done for a dataset that is not named, or for all that is below one that is.
    pub fn around(&self, name: &DatasetName) -> Option<&Care> {
        std::iter::successors(name.parent(), DatasetName::parent)
            .find_map(|above| self.scopes.get(&above))?
            .below
            .as_ref()
    }

    /// The entries that it takes, those above first.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        self.scopes.iter().filter_map(|(source, scope)| self.entry(source, scope)).collect()
    }

    fn entry<'a>(&'a self, source: &'a DatasetName, scope: &'a Scope) -> Option<Entry<'a>> {
        let around = self.around(source);
        let (own, below) = (scope.own.as_ref(), scope.below.as_ref());
        let mut notes = scope.notes.clone();
        if own == below && below == around && notes.is_empty() {
            return None;
        }
        let (recursive, childless, care) = match (own, below) {
            _ if own == below => (true, false, own.cloned()),
            _ if below == around => (false, false, own.cloned()),
            (_, None) => (true, true, own.cloned()),
            (None, Some(below)) => {
                let what =
                    "all below it, and not the dataset itself: zam has no entry for that, so it gets snapshots too";
                notes.push(scope.at.note(what));
                (true, false, Some(below.clone()))
            }
            (Some(own), Some(below)) => {
                let what = "the dataset itself is treated otherwise than what is below it: zam does for both what either wants";
                notes.push(scope.at.note(what));
                (true, false, Some(own.clone().and(below.clone())))
            }
        };
        Some(Entry { source, recursive, childless, care, notes })
    }
}
