//! The calls that change something, each failing as the kernel's own does (`dsl_dataset.c`, `dsl_userhold.c`,
//! `dsl_destroy.c`).

use super::grants::is_root;
use super::state::{DatasetState, Health, PoolState, SnapshotState, Space, Use};
use crate::batch::{CallFailure, CallResult, Refusal};
use std::collections::{BTreeMap, HashSet};
use zam_names::{HoldTag, SnapshotName, UnixTime};

/// Whether a held snapshot is refused or marked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Destroy {
    Now,
    /// `zfs destroy -d`.
    Deferred,
}

impl PoolState {
    /// `lzc_snapshot`: all or nothing, in one transaction.
    pub(super) fn call_snapshot(&mut self, user: &str, names: &[SnapshotName], now: UnixTime) -> CallResult {
        self.must_answer()?;
        let mut datasets = HashSet::new();
        if !names.iter().all(|name| datasets.insert(name.dataset())) {
            return Err(CallFailure::whole(Refusal::Other(
                "two snapshots of one dataset in one call (EXDEV)".to_owned(),
            )));
        }
        for name in names {
            self.may(user, "snapshot", name.dataset()).map_err(CallFailure::whole)?;
        }
        if self.space == Space::Full {
            return Err(CallFailure::whole(Refusal::NoSpace));
        }
        let refuse = |name: &SnapshotName| self.why_no_snapshot(user, name, names).map(|why| (name.clone(), why));
        all_or_nothing(names.iter().filter_map(refuse).collect())?;
        let createtxg = self.next_txg();
        for name in names {
            let guid = self.new_guid();
            if let Some(dataset) = self.datasets.get_mut(name.dataset()) {
                let mut snapshot = SnapshotState::new(guid, createtxg, now);
                snapshot.written = std::mem::take(&mut dataset.unsnapped);
                dataset.snapshots.insert(name.tag().clone(), snapshot);
                dataset.snapshots_changed = Some(now);
            }
        }
        Ok(Vec::new())
    }

    /// `lzc_hold`: passes missing snapshots over; the first other trouble ends it, and nothing is held.
    pub(super) fn call_hold(&mut self, user: &str, tag: &HoldTag, names: &[SnapshotName], now: UnixTime) -> CallResult {
        self.must_answer()?;
        for name in names {
            self.may(user, "hold", name.dataset()).map_err(CallFailure::whole)?;
        }
        let mut passed_over = Vec::new();
        for name in names {
            match self.snapshot(name) {
                None => passed_over.push((name.clone(), Refusal::NotFound)),
                Some(snapshot) if snapshot.holds.contains_key(tag) => {
                    passed_over.push((name.clone(), Refusal::TagExists));
                    return Err(CallFailure { whole: Refusal::TagExists, each: passed_over });
                }
                Some(_) => {}
            }
        }
        if passed_over.len() == names.len() {
            return Err(CallFailure { whole: Refusal::NotFound, each: passed_over });
        }
        self.next_txg();
        for name in names {
            if let Some(snapshot) = self.snapshot_mut(name) {
                snapshot.holds.insert(tag.clone(), now);
            }
        }
        Ok(passed_over)
    }

    /// `lzc_release`: passes missing snapshots and tags over. The last release ends a snapshot that is marked.
    pub(super) fn call_release(
        &mut self,
        user: &str,
        tag: &HoldTag,
        names: &[SnapshotName],
        now: UnixTime,
    ) -> CallResult {
        self.must_answer()?;
        for name in names {
            self.may(user, "release", name.dataset()).map_err(CallFailure::whole)?;
        }
        let mut passed_over = Vec::new();
        for name in names {
            match self.snapshot(name) {
                None => passed_over.push((name.clone(), Refusal::NotFound)),
                Some(snapshot) if !snapshot.holds.contains_key(tag) => passed_over.push((name.clone(), Refusal::NoTag)),
                Some(_) => {}
            }
        }
        if passed_over.len() == names.len() {
            return Err(CallFailure { whole: Refusal::NotFound, each: passed_over });
        }
        self.next_txg();
        for name in names {
            if let Some(snapshot) = self.snapshot_mut(name) {
                snapshot.holds.remove(tag);
            }
            self.end_if_marked(name, now);
        }
        Ok(passed_over)
    }

    /// `lzc_destroy_snaps`: all or nothing; missing ones count as destroyed.
    pub(super) fn call_destroy(
        &mut self,
        user: &str,
        names: &[SnapshotName],
        how: Destroy,
        now: UnixTime,
    ) -> CallResult {
        self.must_answer()?;
        for name in names {
            match self.may_destroy(user, name) {
                Ok(()) | Err(Refusal::NotFound) => {}
                Err(why) => return Err(CallFailure::whole(why)),
            }
        }
        let refuse = |name: &SnapshotName| self.why_no_destroy(name, how).map(|why| (name.clone(), why));
        all_or_nothing(names.iter().filter_map(refuse).collect())?;
        self.next_txg();
        for name in names {
            let stays = self.snapshot(name).is_some_and(|s| !s.holds.is_empty() || self.clones_of(s.guid) > 0);
            match self.snapshot_mut(name) {
                Some(snapshot) if stays => snapshot.deferred = true,
                _ => self.end(name, now),
            }
        }
        Ok(Vec::new())
    }

    /// Ends a snapshot that was only waiting for its last hold or clone to go.
    pub(super) fn end_if_marked(&mut self, name: &SnapshotName, now: UnixTime) {
        let over = |s: &SnapshotState| s.deferred && s.holds.is_empty() && self.clones_of(s.guid) == 0;
        if self.snapshot(name).is_some_and(over) {
            self.end(name, now);
        }
    }

    fn end(&mut self, name: &SnapshotName, now: UnixTime) {
        if let Some(dataset) = self.datasets.get_mut(name.dataset())
            && dataset.snapshots.remove(name.tag()).is_some()
        {
            dataset.snapshots_changed = Some(now);
        }
    }

    pub(super) fn must_answer(&self) -> Result<(), Refusal> {
        match self.health {
            Health::Online => Ok(()),
            Health::Suspended => Err(Refusal::Suspended),
            Health::Exported => Err(Refusal::NotFound),
        }
    }

    fn why_no_snapshot(&self, user: &str, name: &SnapshotName, all: &[SnapshotName]) -> Option<Refusal> {
        let Some(dataset) = self.datasets.get(name.dataset()) else {
            return Some(Refusal::NotFound);
        };
        if dataset.snapshots.contains_key(name.tag()) {
            return Some(Refusal::Exists);
        }
        if dataset.in_use == Use::Busy {
            return Some(Refusal::Busy);
        }
        (!is_root(user) && self.is_over_limit(name, all)).then_some(Refusal::NoSpace)
    }

    /// Whether the snapshots wanted below some `snapshot_limit` are more than it leaves.
    fn is_over_limit(&self, name: &SnapshotName, all: &[SnapshotName]) -> bool {
        let mut at = Some(name.dataset().clone());
        while let Some(top) = at {
            if let Some(limit) = self.datasets.get(&top).and_then(|dataset| dataset.snapshot_limit) {
                let there: usize = self.tree(&top).map(|(_, dataset)| dataset.snapshots.len()).sum();
                let wanted = all.iter().filter(|name| name.dataset().below(&top).is_some()).count();
                if there + wanted > limit {
                    return true;
                }
            }
            at = top.parent();
        }
        false
    }

    fn why_no_destroy(&self, name: &SnapshotName, how: Destroy) -> Option<Refusal> {
        let snapshot = self.snapshot(name)?;
        if snapshot.in_use == Use::Busy {
            return Some(Refusal::Busy);
        }
        if how == Destroy::Deferred {
            return None;
        }
        if !snapshot.holds.is_empty() {
            return Some(Refusal::Busy);
        }
        (self.clones_of(snapshot.guid) > 0).then_some(Refusal::HasClones)
    }
}

impl SnapshotState {
    pub(super) fn new(guid: zam_names::Guid, createtxg: zam_names::CreateTxg, creation: UnixTime) -> Self {
        let (holds, in_use) = (BTreeMap::new(), Use::Idle);
        Self { guid, createtxg, creation, used: 0, written: 0, holds, deferred: false, in_use }
    }

    /// Bytes in a stream that even a snapshot of nothing new takes.
    pub(super) const OWN: u64 = 1024;

    /// Bytes in the stream from the snapshot before it.
    pub(super) fn size(&self) -> u64 {
        self.written + Self::OWN
    }
}

impl DatasetState {
    /// Whether nothing hangs on it that keeps `zfs destroy` from it.
    pub(super) fn is_bare(&self) -> bool {
        self.snapshots.is_empty() && self.in_use == Use::Idle
    }
}

/// ZFS gives the last of the names' errors as that of the whole call.
pub(super) fn all_or_nothing<N>(each: Vec<(N, Refusal)>) -> Result<(), CallFailure<N>> {
    match each.last() {
        None => Ok(()),
        Some((_, last)) => Err(CallFailure { whole: last.clone(), each }),
    }
}
