//! What a worker of zamd-prune can do to its pool.

use serde::{Deserialize, Serialize};
use zam_names::Target;
use zam_runtime::keeper::{Acted, Hands, Held};
use zam_zfs::{Destroyer, Lister, PruneDoor};

/// The verb of the second key: destroy these snapshots.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Act(pub Vec<Target>);

/// The role's door in a worker's hands.
pub struct PruneHands(pub PruneDoor);

impl Hands for PruneHands {
    type Act = Act;

    fn lister(&self) -> &dyn Lister {
        &self.0
    }

    fn act(&mut self, Act(targets): Act) -> (Acted, Option<Held>) {
        (Acted::Targets(self.0.destroy(&targets)), None)
    }
}
