//! What a worker of zamd-prune can do to its pool.

use serde::{Deserialize, Serialize};
use zam_names::{BookmarkName, PoolName, Target};
use zam_runtime::keeper::{Acted, Hands, Held, chain};
use zam_zfs::{Destroyer, Lister, PruneDoor};

/// The verbs of the second key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Destroy these snapshots.
    Destroy(Vec<Target>),
    /// List the pool's bookmarks.
    Bookmarks(PoolName),
    /// Destroy these bookmarks.
    DestroyBookmarks(Vec<BookmarkName>),
}

/// The role's door in a worker's hands.
pub struct PruneHands(pub PruneDoor);

impl Hands for PruneHands {
    type Act = Act;

    fn lister(&self) -> &dyn Lister {
        &self.0
    }

    fn act(&mut self, act: Act) -> (Acted, Option<Held>) {
        let acted = match act {
            Act::Destroy(targets) => Acted::Targets(self.0.destroy(&targets)),
            Act::DestroyBookmarks(names) => Acted::Bookmarks(self.0.destroy_bookmarks(&names)),
            Act::Bookmarks(pool) => match self.0.bookmarks(&pool) {
                Ok(bookmarks) => Acted::Copies { bookmarks, facts: Vec::new() },
                Err(error) => Acted::Failed(chain(&error)),
            },
        };
        (acted, None)
    }
}
