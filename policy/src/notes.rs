//! What a daemon must remember of a dataset, and nothing more: all else is in the listing. Each key keeps its own notes,
//! under its own user, so that losing one set of them, or both, only ever keeps more.

use crate::{Rule, rule::Digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{Guid, UnixTime};

/// The notes on every dataset, by the dataset's GUID, so that a rename loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// By dataset.
    #[serde(default)]
    pub datasets: BTreeMap<Guid, DatasetNotes>,
}

/// The notes on one dataset. Snapshots are named by GUID throughout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetNotes {
    /// Under which rules each snapshot was seen to have expired, and since when.
    #[serde(default)]
    pub expired: BTreeMap<Guid, Vec<Expiry>>,
    /// Snapshots that something pinned when these notes began: whether they had lost a competition before is not known any
    /// more, so they displace nobody.
    #[serde(default)]
    pub adrift: BTreeSet<Guid>,
    /// Snapshots that people asked for, with the end they gave, if any.
    #[serde(default)]
    pub manual: BTreeMap<Guid, Option<UnixTime>>,
    /// Snapshots that an operator let go of, and when.
    #[serde(default)]
    pub let_go: BTreeMap<Guid, UnixTime>,
    /// What people pinned with `zamctl keep`.
    #[serde(default)]
    pub kept: BTreeMap<Guid, Pin>,
    /// The rule whose deaths are foretold; none before the first look.
    #[serde(default)]
    pub accepted: Option<Rule>,
    /// When deaths happened that no accepted rule had foretold, each with their number. Only the last day matters.
    #[serde(default)]
    pub unforetold: Vec<(UnixTime, u32)>,
    /// The change of rule that an operator approved, until it is accepted.
    #[serde(default)]
    pub approved: Option<PlanId>,
    /// Since when root has paused the entry for this dataset (`zamctl unhold`).
    #[serde(default)]
    pub paused: Option<UnixTime>,
}

/// A snapshot's expiry under one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// The rule.
    pub rule: Digest,
    /// When it was first seen to have expired.
    pub seen: UnixTime,
    /// When it was first seen both expired and without any hold; forgotten when a hold comes back.
    pub unheld: Option<UnixTime>,
    /// Whether it had kept its bucket to the end of the windows, rather than lost it to another snapshot.
    pub aged_out: bool,
}

/// A pin that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// When it ends by itself.
    pub until: Option<UnixTime>,
    /// Why, in the words of whoever asked.
    pub why: String,
    /// Who asked (a uid).
    pub by: u32,
}

/// Names a change from one rule to another, so that approving the one does not approve the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(u32);

impl PlanId {
    /// The change from `accepted` (none: from nothing known) to `present`.
    #[must_use]
    pub fn of_change(accepted: Option<&Rule>, present: &Rule) -> Self {
        let mixed = accepted.map_or(0, |rule| rule.digest().0.rotate_left(17)) ^ present.digest().0;
        Self((mixed ^ (mixed >> 32)) as u32)
    }
}

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl std::str::FromStr for PlanId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a plan: `zamctl status` and `zamctl plan` name it in 8 hexadecimal digits");
        if text.len() != 8 {
            return Err(wrong());
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for PlanId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(plan: PlanId) -> String {
        plan.to_string()
    }
}
