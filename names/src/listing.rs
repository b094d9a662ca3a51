//! What a listing of a pool says: written by the `zfs` crate, judged by `policy`, shown by `zamctl`.

use crate::{
    BookmarkName, CreateTxg, DatasetName, Guid, HoldTag, NameError, PoolName, SnapTag, SnapshotName, UnixTime,
};
use serde::{Deserialize, Serialize};

/// What a dataset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file tree.
    Filesystem,
    /// A block device (zvol).
    Volume,
}

/// An imported pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// As `zpool list -o health` says it: `ONLINE`, `DEGRADED`, `SUSPENDED` …
    pub health: String,
    /// Bytes that can still be allocated.
    pub free: u64,
    /// Percentage of the space that is allocated, 0 to 100.
    pub capacity: u8,
}

/// A filesystem or volume with its snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its full name.
    pub name: DatasetName,
    /// Its identity, which survives a rename.
    pub guid: Guid,
    /// Filesystem or volume.
    pub kind: Kind,
    /// Bytes it takes with all that is below it (`used`).
    pub used: u64,
    /// Bytes that only its snapshots take (`usedbysnapshots`).
    pub used_by_snapshots: u64,
    /// When its set of snapshots last changed, to the second; none before OpenZFS 2.2 or while it has never changed.
    pub snapshots_changed: Option<UnixTime>,
    /// Its snapshots in the order of their `createtxg`.
    pub snapshots: Vec<Snapshot>,
}

/// A snapshot of the dataset under which it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its own name, behind the `@`.
    pub tag: SnapTag,
    /// Its identity.
    pub guid: Guid,
    /// Its place in the order.
    pub createtxg: CreateTxg,
    /// When ZFS says it was made; of a received snapshot: what the stream says.
    pub creation: UnixTime,
    /// The tags that hold it.
    pub holds: Vec<HoldTag>,
    /// How many clones have it as origin.
    pub clones: u32,
    /// Whether it is marked to be destroyed when its last hold goes (`defer_destroy`).
    pub deferred: bool,
    /// Bytes that only it takes; none where nobody asked.
    pub used: Option<u64>,
}

/// A snapshot that is meant: by name and by identity, so that another one of the same name is not taken for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Its full name.
    pub name: SnapshotName,
    /// What it must still be.
    pub guid: Guid,
}

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Its full name.
    pub name: BookmarkName,
    /// The identity of the snapshot it was made from.
    pub guid: Guid,
    /// That snapshot's place in the order.
    pub createtxg: CreateTxg,
}

impl Dataset {
    /// The full name of one of its snapshots.
    ///
    /// # Errors
    /// If the full name is longer than ZFS allows, which no listed one is.
    pub fn name_of(&self, snapshot: &Snapshot) -> Result<SnapshotName, NameError> {
        self.name.at(&snapshot.tag)
    }
}

impl Snapshot {
    /// Whether a hold with this tag is on it.
    #[must_use]
    pub fn is_held_by(&self, tag: &str) -> bool {
        self.holds.iter().any(|held| held.as_str() == tag)
    }
}
