//! One suite for both machines: what the daemons count on. `cargo test` runs it on the simulated pool, the example
//! `contract` on real ZFS in the lab, so that the simulation cannot drift.

mod changing;
mod looking;
mod rights;
mod stage;

pub use stage::{Ground, OTHER, RIGHTFUL, Trouble};

use crate::batch::{Batch, Failed};
use crate::door::{Destroyer, Keeper, Open, Snapshotter};
use serde::{Deserialize, Serialize};
use stage::{Check, Stage};
use zam_names::{HoldTag, SnapshotName, Target};

/// One verb of a role's door, as it is handed to a process of the user who is to try it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// [`Snapshotter::snapshot`].
    Snapshot(Vec<SnapshotName>),
    /// [`Keeper::hold`].
    Hold(HoldTag, Vec<SnapshotName>),
    /// [`Keeper::release`].
    Release(HoldTag, Vec<Target>),
    /// [`Destroyer::destroy`].
    Destroy(Vec<Target>),
}

impl Act {
    /// Does it, through the door of the role whose verb it is.
    pub fn perform(&self, open: &Open) -> Batch<SnapshotName> {
        match self {
            Self::Snapshot(names) => open.for_snap().snapshot(names),
            Self::Hold(tag, names) => open.for_snap().hold(tag, names),
            Self::Release(tag, targets) => by_name(open.for_snap().release(tag, targets)),
            Self::Destroy(targets) => by_name(open.for_prune().destroy(targets)),
        }
    }
}

/// What a case found.
#[derive(Debug)]
#[must_use]
pub struct CaseResult {
    /// The case, a sentence about behaviour.
    pub name: &'static str,
    /// Why it failed, if it did.
    pub outcome: Result<(), Trouble>,
}

/// The cases' names in the order in which they run.
pub fn names() -> impl Iterator<Item = &'static str> {
    cases().map(|(name, _)| *name)
}

/// Runs every case whose name contains `only`, each on a tree of its own, and tells `each` as soon as it is known.
pub fn run(ground: &dyn Ground, only: &str, mut each: impl FnMut(CaseResult)) {
    for (number, (name, check)) in cases().enumerate().filter(|(_, (name, _))| name.contains(only)) {
        let outcome = check(&Stage::new(ground, number));
        each(CaseResult { name, outcome });
    }
}

fn cases() -> impl Iterator<Item = &'static (&'static str, Check)> {
    looking::CASES.iter().chain(rights::CASES).chain(changing::CASES)
}

fn by_name(batch: Batch<Target>) -> Batch<SnapshotName> {
    let done = batch.done.into_iter().map(|target| target.name).collect();
    let failed = batch.failed.into_iter().map(|f| Failed { what: f.what.name, why: f.why }).collect();
    Batch { done, failed, atomic: batch.atomic }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Lister;
    use crate::sim::{Admin, Sim};
    use std::path::Path;
    use zam_names::PoolName;

    struct OnSim<'a> {
        folder: &'a Path,
        pool: PoolName,
    }

    impl Ground for OnSim<'_> {
        fn pool(&self) -> &PoolName {
            &self.pool
        }

        fn script(&self, lines: &str) -> Result<(), Trouble> {
            Admin::open(self.folder).unwrap().script(lines).map_err(Trouble::new)
        }

        fn act(&self, user: &str, act: &Act) -> Result<Batch<SnapshotName>, Trouble> {
            Ok(act.perform(&Open::Sim { folder: self.folder.to_owned(), user: user.to_owned() }))
        }

        fn lister(&self) -> Box<dyn Lister> {
            Box::new(Sim::open(self.folder, OTHER))
        }

        fn tells_when_snapshots_changed(&self) -> bool {
            self.pool.as_str() != "old"
        }
    }

    fn failures_on(pool: &str, make: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        Admin::open(folder.path()).unwrap().script(make).unwrap();
        let ground = OnSim { folder: folder.path(), pool: pool.parse().unwrap() };
        let mut failures = Vec::new();
        run(&ground, "", |case| failures.extend(case.outcome.err().map(|why| format!("{}: {why}", case.name))));
        failures
    }

    #[test]
    fn the_simulated_pool_keeps_the_contract() {
        assert_eq!(failures_on("tank", "pool tank"), [""; 0]);
    }

    #[test]
    fn the_simulated_old_pool_keeps_the_contract() {
        assert_eq!(failures_on("old", "pool old\n old old"), [""; 0]);
    }
}
