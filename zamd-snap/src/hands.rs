//! What a worker of zamd-snap can do to its pool.

use serde::{Deserialize, Serialize};
use zam_names::{HoldTag, SnapshotName, Target};
use zam_runtime::keeper::{Acted, Hands, Held};
use zam_zfs::{Keeper, Lister, SnapDoor, Snapshotter};

/// The verbs of the first key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Take these, in one transaction if ZFS lets it.
    Snapshot(Vec<SnapshotName>),
    /// Put this hold on these.
    Hold(HoldTag, Vec<SnapshotName>),
    /// Take this hold off these.
    Release(HoldTag, Vec<Target>),
}

/// The role's door in a worker's hands.
pub struct SnapHands(pub SnapDoor);

impl Hands for SnapHands {
    type Act = Act;

    fn lister(&self) -> &dyn Lister {
        &self.0
    }

    fn act(&mut self, act: Act) -> (Acted, Option<Held>) {
        match act {
            Act::Snapshot(names) => (Acted::Names(self.0.snapshot(&names)), None),
            Act::Hold(tag, names) => (Acted::Names(self.0.hold(&tag, &names)), Some(Held::On(tag))),
            Act::Release(tag, targets) => (Acted::Targets(self.0.release(&tag, &targets)), Some(Held::Off(tag))),
        }
    }
}
