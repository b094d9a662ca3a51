//! What a daemon must remember of a dataset, and nothing more: all else is in the listing. Each key keeps its own notes,
//! under its own user, so that losing one set of them, or both, only ever keeps more.

use crate::{
    Rule,
    rule::Digest,
    tags::{self, Maker},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};
use zam_names::{DatasetName, Guid, SnapTag, UnixTime};

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
    /// On a replica: snapshots that were dated in the future when they were first seen. Waiting does not end that.
    #[serde(default)]
    pub quarantined: BTreeSet<Guid>,
    /// Snapshots that people asked for, with the end they gave, if any.
    #[serde(default)]
    pub manual: BTreeMap<Guid, Option<UnixTime>>,
    /// Snapshots that an operator let go of, and when.
    #[serde(default)]
    pub let_go: BTreeMap<Guid, UnixTime>,
    /// What people pinned with `zamctl keep`.
    #[serde(default)]
    pub kept: BTreeMap<Guid, Pin>,
    /// What was taken though the hook before it failed, and why it did.
    #[serde(default)]
    pub unprepared: BTreeMap<Guid, String>,
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
    /// When it was last looked at.
    #[serde(default)]
    pub seen: Option<UnixTime>,
    /// The name it had when it was last seen, which tells a rename.
    #[serde(default)]
    pub name: Option<DatasetName>,
}

impl DatasetNotes {
    /// As they were at `now`, for who began to look then and was told later: what has been seen to expire since had not
    /// expired yet, and went by its windows.
    #[must_use]
    pub fn as_of(mut self, now: UnixTime) -> Self {
        self.expired.values_mut().for_each(|seen| seen.retain(|expiry| expiry.seen <= now));
        self
    }

    /// Sets a snapshot's own end, or with none takes it away: what zam took on schedule goes by the windows again, anything
    /// else stays until it is let go.
    pub fn set_end(&mut self, snapshot: Guid, tag: &SnapTag, prefix: &str, end: Option<UnixTime>) {
        match (end, tags::maker(prefix, tag)) {
            (None, Maker::Schedule(_)) => drop(self.manual.remove(&snapshot)),
            (end, _) => drop(self.manual.insert(snapshot, end)),
        }
    }
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

/// Names a change from one rule to another, so that approving the one does not approve the next. Written as 16 hexadecimal
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(pub u64);

/// Why a text is not a [`PlanId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a plan: expected the hexadecimal digits that `zamctl status` or `zamctl plan` shows")]
pub struct PlanIdError(String);

impl PlanId {
    /// The change from `accepted` (none: from nothing known) to `present`.
    #[must_use]
    pub fn of_change(accepted: Option<&Rule>, present: &Rule) -> Self {
        Self(accepted.map_or(0, |rule| rule.digest().0.rotate_left(17)) ^ present.digest().0)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for PlanId {
    type Err = PlanIdError;
    fn from_str(text: &str) -> Result<Self, PlanIdError> {
        let digits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = if digits { u64::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or_else(|| PlanIdError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_later_is_not_known_yet() {
        let seen = |at| Expiry { rule: Digest(1), seen: UnixTime(at), unheld: None, aged_out: false };
        let notes = |expired| DatasetNotes { expired, ..DatasetNotes::default() };
        let later = notes(BTreeMap::from([(Guid(1), vec![seen(10), seen(12)]), (Guid(2), vec![seen(11)])]));
        let then = notes(BTreeMap::from([(Guid(1), vec![seen(10)]), (Guid(2), Vec::new())]));
        assert_eq!(later.as_of(UnixTime(10)), then);
    }

    #[test]
    fn plans_are_read_as_they_are_written() {
        assert_eq!(PlanId(0xbeef).to_string().parse(), Ok(PlanId(0xbeef)));
        for bad in ["", "+1", "0x1", "12345678901234567", "g"] {
            assert!(bad.parse::<PlanId>().is_err(), "{bad:?}");
        }
    }
}
