//! Who may do what, as `dsl_deleg_access_impl` of OpenZFS judges it.

use super::state::{GrantState, PoolState};
use crate::batch::Refusal;
use crate::door::GrantScope;
use zam_names::{DatasetName, SnapshotName};

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
            let grants = self.datasets.get(&name).map(|state| state.grants.as_slice()).unwrap_or_default();
            if grants.iter().any(|grant| grant.gives(user, permission, asked_as)) {
                return Ok(());
            }
            asked_as = Start::Descendent;
            at = name.parent();
        }
        Err(Refusal::NotPermitted)
    }
}

impl GrantState {
    fn gives(&self, user: &str, permission: &str, asked_as: Start) -> bool {
        let reaches = match self.scope {
            GrantScope::Local => asked_as == Start::Local,
            GrantScope::Descendent => asked_as == Start::Descendent,
            GrantScope::Both => true,
        };
        reaches && self.user == user && self.permissions.iter().any(|held| held == permission)
    }
}

/// Root of the initial namespace is not asked for grants.
pub(super) fn is_root(user: &str) -> bool {
    user == ROOT
}
