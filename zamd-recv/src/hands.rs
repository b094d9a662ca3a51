//! What a worker of zamd-recv can do to its pool: look, and hold. What is received is received by processes of their own.

use serde::{Deserialize, Serialize};
use zam_names::{HoldTag, PoolName, SnapshotName};
use zam_runtime::keeper::{Acted, Hands, Held, chain};
use zam_zfs::{Lister, Receiver, RecvDoor, Scope};

/// What it is asked beside listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Act {
    /// What is to be known of the copies.
    Facts(PoolName),
    /// Put this hold on these.
    Hold(HoldTag, Vec<SnapshotName>),
}

/// The role's door in a worker's hands.
pub struct RecvHands(pub RecvDoor);

impl Hands for RecvHands {
    type Act = Act;

    fn lister(&self) -> &dyn Lister {
        &self.0
    }

    fn act(&mut self, act: Act) -> (Acted, Option<Held>) {
        match act {
            Act::Facts(pool) => {
                let facts = self.0.copy_facts(Scope::Pool(&pool));
                let copies = |facts| Acted::Copies { bookmarks: Vec::new(), facts };
                (facts.map_or_else(|error| Acted::Failed(chain(&error)), copies), None)
            }
            Act::Hold(tag, names) => (Acted::Names(self.0.hold(&tag, &names)), Some(Held::On(tag))),
        }
    }
}
