//! Who may do what, as `dsl_deleg_access_impl` of OpenZFS judges it.

use super::state::{GrantState, PoolState};
use crate::batch::Refusal;
use std::collections::BTreeSet;
use zam_names::{DatasetName, Kind, SnapshotName};

/// The user that needs no grant.
pub(super) const ROOT: &str = "root";

/// With which flag the first dataset is asked; everything above it is asked as a descendent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Local,
    Descendent,
}

impl PoolState {
    /// Whether a permission on the dataset itself is there: `snapshot`, `hold`, `release`.
    pub(super) fn may(&self, user: &str, permission: &str, dataset: &DatasetName) -> Result<(), Refusal> {
        self.judge(user, permission, dataset, Start::Local)
    }

    /// Whether the user may destroy this snapshot: a snapshot is a descendent of its own filesystem.
    pub(super) fn may_destroy(&self, user: &str, name: &SnapshotName) -> Result<(), Refusal> {
        if !is_root(user) && self.snapshot(name).is_none() {
            return Err(Refusal::NotFound);
        }
        self.judge(user, "mount", name.dataset(), Start::Descendent)?;
        self.judge(user, "destroy", name.dataset(), Start::Descendent)
    }

    /// Whether a permission on what is below the dataset is there, its snapshots included: `send`.
    pub(super) fn may_below(&self, user: &str, permission: &str, dataset: &DatasetName) -> Result<(), Refusal> {
        self.judge(user, permission, dataset, Start::Descendent)
    }

    /// What whoever makes a dataset right below this one gets on it.
    pub(super) fn granted_to_creator(&self, above: Option<DatasetName>) -> BTreeSet<String> {
        let above = std::iter::successors(above, DatasetName::parent);
        above.filter_map(|name| self.datasets.get(&name)).flat_map(|state| state.granted_to_creator.clone()).collect()
    }

    /// Makes a dataset, whose maker gets what the create-time grants say.
    pub(super) fn make(&mut self, user: &str, name: &DatasetName, kind: Kind) {
        let granted = self.granted_to_creator(name.parent());
        self.make_missing(name, kind);
        if let Some(dataset) = self.datasets.get_mut(name) {
            dataset.grants.entry(user.to_owned()).or_default().local.extend(granted);
        }
    }

    fn judge(&self, user: &str, permission: &str, dataset: &DatasetName, start: Start) -> Result<(), Refusal> {
        if is_root(user) {
            return Ok(());
        }
        if !self.datasets.contains_key(dataset) {
            return Err(Refusal::NotFound);
        }
        let mut asked_as = start;
        let mut at = Some(dataset.clone());
        while let Some(name) = at {
            let grant = self.datasets.get(&name).and_then(|state| state.grants.get(user));
            if grant.is_some_and(|grant| grant.gives(permission, asked_as)) {
                return Ok(());
            }
            asked_as = Start::Descendent;
            at = name.parent();
        }
        Err(Refusal::NotPermitted)
    }
}

impl GrantState {
    fn gives(&self, permission: &str, asked_as: Start) -> bool {
        match asked_as {
            Start::Local => self.local.contains(permission),
            Start::Descendent => self.descendent.contains(permission),
        }
    }
}

/// Root of the initial namespace is not asked for grants.
pub(super) fn is_root(user: &str) -> bool {
    user == ROOT
}
