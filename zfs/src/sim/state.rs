//! What a simulated pool remembers, and how it counts.

use crate::copy::{CopyFacts, PartialFacts};
use crate::door::{Grant, GrantScope, GrantWho};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{
    CreateTxg, Dataset, DatasetName, Guid, HoldTag, Kind, Pool, PoolName, SnapTag, Snapshot, SnapshotName, UnixTime,
};

/// Bytes in every simulated pool.
const SIZE: u64 = 1 << 37;

/// One pool: the whole content of its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PoolState {
    pub(super) name: PoolName,
    /// Of the last call that changed something; every such call takes one.
    pub(super) txg: CreateTxg,
    /// How many GUIDs were given out.
    made: u64,
    pub(super) version: Version,
    pub(super) health: Health,
    pub(super) space: Space,
    pub(super) datasets: BTreeMap<DatasetName, DatasetState>,
}

/// Which OpenZFS the pool plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Version {
    /// 2.2 and later: tells when a dataset's snapshots last changed.
    Current,
    /// Before 2.2: does not.
    Old,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Health {
    Online,
    Suspended,
    Exported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Space {
    Free,
    Full,
}

/// Whether something uses it just now: a dataset is being received into, a snapshot is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Use {
    Idle,
    Busy,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DatasetState {
    pub(super) guid: Guid,
    pub(super) kind: Kind,
    /// The snapshot that it is a clone of.
    pub(super) origin: Option<Guid>,
    pub(super) in_use: Use,
    /// Bytes that the dataset itself refers to.
    pub(super) live: u64,
    /// Bytes written since the newest snapshot.
    pub(super) unsnapped: u64,
    pub(super) encrypted: bool,
    pub(super) key_loaded: bool,
    /// What a cut receive left. A dataset that has this and no snapshot is there for its sake alone.
    pub(super) partial: Option<PartialState>,
    /// Bytes that it and what is below may take.
    pub(super) quota: Option<u64>,
    /// Those that only people set: whatever they are, they are inherited and do nothing.
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
    /// `snapshot_limit`: counts the snapshots of all that is below, binds everybody but root.
    pub(super) snapshot_limit: Option<usize>,
    pub(super) snapshots_changed: Option<UnixTime>,
    pub(super) snapshots: BTreeMap<SnapTag, SnapshotState>,
    pub(super) bookmarks: BTreeMap<SnapTag, BookmarkState>,
    /// By user.
    pub(super) grants: BTreeMap<String, GrantState>,
    /// What whoever makes a dataset below gets on it.
    pub(super) granted_to_creator: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartialState {
    pub(super) facts: PartialFacts,
    /// Of the snapshot, as the stream says.
    pub(super) creation: UnixTime,
    /// Who was given what on the hidden dataset in which it lies.
    pub(super) receiver: String,
    pub(super) granted: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SnapshotState {
    pub(super) guid: Guid,
    pub(super) createtxg: CreateTxg,
    pub(super) creation: UnixTime,
    pub(super) used: u64,
    /// Bytes written since the snapshot before it.
    pub(super) written: u64,
    pub(super) holds: BTreeMap<HoldTag, UnixTime>,
    pub(super) deferred: bool,
    pub(super) in_use: Use,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BookmarkState {
    pub(super) guid: Guid,
    pub(super) createtxg: CreateTxg,
}

/// What one user was given on one dataset. ZFS keeps the two scopes apart; given without a flag is given in both.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct GrantState {
    pub(super) local: BTreeSet<String>,
    pub(super) descendent: BTreeSet<String>,
}

impl PoolState {
    /// An empty pool with its root filesystem.
    pub(super) fn new(name: PoolName) -> Self {
        let root = DatasetName::from(name.clone());
        let (version, health, space) = (Version::Current, Health::Online, Space::Free);
        let mut pool = Self { name, txg: CreateTxg(1), made: 0, version, health, space, datasets: BTreeMap::new() };
        let guid = pool.new_guid();
        pool.datasets.insert(root, DatasetState::new(guid, Kind::Filesystem));
        pool
    }

    /// The transaction of a call that changes something.
    pub(super) fn next_txg(&mut self) -> CreateTxg {
        self.txg.0 += 1;
        self.txg
    }

    /// A number that no other dataset or snapshot of this folder has: the pool's name and a count, well mixed.
    pub(super) fn new_guid(&mut self) -> Guid {
        self.made += 1;
        let seed = self
            .name
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut mixed = seed.wrapping_add(self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Guid(mixed ^ (mixed >> 31))
    }

    pub(super) fn snapshot(&self, name: &SnapshotName) -> Option<&SnapshotState> {
        self.datasets.get(name.dataset())?.snapshots.get(name.tag())
    }

    pub(super) fn snapshot_mut(&mut self, name: &SnapshotName) -> Option<&mut SnapshotState> {
        self.datasets.get_mut(name.dataset())?.snapshots.get_mut(name.tag())
    }

    /// The dataset and all that is below it.
    pub(super) fn tree<'a>(
        &'a self,
        top: &'a DatasetName,
    ) -> impl Iterator<Item = (&'a DatasetName, &'a DatasetState)> {
        self.datasets.iter().filter(move |(name, _)| name.below(top).is_some())
    }

    pub(super) fn clones_of(&self, snapshot: Guid) -> u32 {
        let count = self.datasets.values().filter(|dataset| dataset.origin == Some(snapshot)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// As `zpool list` shows it.
    pub(super) fn listed(&self) -> Pool {
        let used: u64 = self.datasets.values().map(DatasetState::own_used).sum();
        let free = if self.space == Space::Full { 0 } else { SIZE.saturating_sub(used) };
        let capacity = u8::try_from((SIZE - free) * 100 / SIZE).unwrap_or(100);
        let health = if self.health == Health::Suspended { "SUSPENDED" } else { "ONLINE" };
        Pool { name: self.name.clone(), health: health.to_owned(), free, capacity }
    }

    /// As `zfs list` shows them.
    pub(super) fn listed_datasets(&self) -> Vec<Dataset> {
        let mut used: BTreeMap<&DatasetName, u64> = BTreeMap::new();
        for (name, state) in &self.datasets {
            let mut above = Some(name.clone());
            while let Some(name) = above {
                if let Some((name, _)) = self.datasets.get_key_value(&name) {
                    *used.entry(name).or_default() += state.own_used();
                }
                above = name.parent();
            }
        }
        let listed = |(name, state): (&DatasetName, &DatasetState)| Dataset {
            name: name.clone(),
            guid: state.guid,
            kind: state.kind,
            used: used.get(name).copied().unwrap_or(0),
            used_by_snapshots: state.used_by_snapshots(),
            snapshots_changed: state.snapshots_changed.filter(|_| self.version == Version::Current),
            snapshots: Vec::new(),
        };
        self.datasets.iter().map(listed).collect()
    }

    /// As `zfs list` shows what copying needs to know.
    pub(super) fn listed_copy_facts(&self, name: &DatasetName, state: &DatasetState) -> CopyFacts {
        CopyFacts {
            dataset: name.clone(),
            partial: state.partial.as_ref().map(|partial| partial.facts.clone()),
            encrypted: state.encrypted,
            key_loaded: state.key_loaded,
            available: self.available(name),
            written: state.unsnapped,
        }
    }

    /// Bytes that the dataset may still take.
    pub(super) fn available(&self, name: &DatasetName) -> u64 {
        let left = |top: DatasetName| {
            let used: u64 = self.tree(&top).map(|(_, state)| state.own_used()).sum();
            Some(self.datasets.get(&top)?.quota?.saturating_sub(used))
        };
        let above = std::iter::successors(Some(name.clone()), DatasetName::parent);
        above.filter_map(left).fold(self.listed().free, u64::min)
    }

    /// As `zfs list` and `zfs holds` show it.
    pub(super) fn listed_snapshot(&self, name: &SnapshotName) -> Option<Snapshot> {
        let state = self.snapshot(name)?;
        Some(Snapshot {
            tag: name.tag().clone(),
            guid: state.guid,
            createtxg: state.createtxg,
            creation: state.creation,
            holds: state.holds.keys().cloned().collect(),
            clones: self.clones_of(state.guid),
            deferred: state.deferred,
            used: Some(state.used),
        })
    }
}

impl DatasetState {
    pub(super) fn new(guid: Guid, kind: Kind) -> Self {
        Self {
            guid,
            kind,
            origin: None,
            in_use: Use::Idle,
            live: 24 << 10,
            unsnapped: 0,
            encrypted: false,
            key_loaded: true,
            partial: None,
            quota: None,
            properties: BTreeMap::new(),
            snapshot_limit: None,
            snapshots_changed: None,
            snapshots: BTreeMap::new(),
            bookmarks: BTreeMap::new(),
            grants: BTreeMap::new(),
            granted_to_creator: BTreeSet::new(),
        }
    }

    /// Writes over old data: what the newest snapshot still needs of it becomes that snapshot's own.
    pub(super) fn write(&mut self, bytes: u64) {
        self.unsnapped += bytes;
        match self.snapshots.values_mut().max_by_key(|snapshot| snapshot.createtxg) {
            Some(newest) => newest.used += bytes,
            None => self.live += bytes,
        }
    }

    fn own_used(&self) -> u64 {
        self.live + self.used_by_snapshots() + self.partial.as_ref().map_or(0, |partial| partial.facts.bytes)
    }

    fn used_by_snapshots(&self) -> u64 {
        self.snapshots.values().map(|snapshot| snapshot.used).sum()
    }
}

impl GrantState {
    /// As `zfs allow DATASET` shows it: what is in both scopes is shown as given without a flag, however it was given.
    pub(super) fn listed(&self, dataset: &DatasetName, user: &str) -> Vec<Grant> {
        let scopes = [
            (GrantScope::Local, self.local.difference(&self.descendent).cloned().collect::<Vec<_>>()),
            (GrantScope::Descendent, self.descendent.difference(&self.local).cloned().collect()),
            (GrantScope::Both, self.local.intersection(&self.descendent).cloned().collect()),
        ];
        let grant = |(scope, permissions)| Grant {
            dataset: dataset.clone(),
            who: GrantWho::User(user.to_owned()),
            scope,
            permissions,
        };
        scopes.into_iter().filter(|(_, permissions)| !permissions.is_empty()).map(grant).collect()
    }
}
