//! What an administrator does to the tree of datasets: no role can.

use super::admin::{Why, parse};
use super::state::{DatasetState, PoolState, Use};
use crate::door::GrantScope;
use zam_names::{DatasetName, Guid, Kind, UnixTime};

impl DatasetState {
    /// Adds to what the user has.
    pub(super) fn allow(&mut self, user: &str, scope: GrantScope, permissions: &[String]) {
        let grant = self.grants.entry(user.to_owned()).or_default();
        if scope != GrantScope::Descendent {
            grant.local.extend(permissions.iter().cloned());
        }
        if scope != GrantScope::Local {
            grant.descendent.extend(permissions.iter().cloned());
        }
    }
}

impl PoolState {
    /// The dataset, and the filesystems above it that are missing.
    pub(super) fn make_missing(&mut self, name: &DatasetName, kind: Kind) {
        if self.datasets.contains_key(name) {
            return;
        }
        if let Some(parent) = name.parent() {
            self.make_missing(&parent, Kind::Filesystem);
        }
        let guid = self.new_guid();
        self.datasets.insert(name.clone(), DatasetState::new(guid, kind));
    }

    pub(super) fn destroy_bare(&mut self, name: &DatasetName, now: UnixTime) -> Result<(), Why> {
        let bare = self.tree(name).count() == 1 && self.datasets.get(name).is_some_and(DatasetState::is_bare);
        if !bare || name.parent().is_none() {
            return Err(Why("it has children or snapshots, is busy, or is the pool's root".to_owned()));
        }
        self.remove(name, now);
        Ok(())
    }

    pub(super) fn destroy_tree(&mut self, top: &DatasetName, now: UnixTime) -> Result<(), Why> {
        let names: Vec<DatasetName> = self.tree(top).map(|(name, _)| name.clone()).collect();
        let snapshots = || self.tree(top).flat_map(|(_, dataset)| dataset.snapshots.values());
        let cloned_outside = |origin: Option<Guid>| snapshots().any(|s| Some(s.guid) == origin);
        let outside = self.datasets.iter().filter(|(name, _)| name.below(top).is_none());
        if top.parent().is_none() || outside.into_iter().any(|(_, dataset)| cloned_outside(dataset.origin)) {
            return Err(Why("it has clones elsewhere, or is the pool's root".to_owned()));
        }
        if self.tree(top).any(|(_, d)| d.in_use == Use::Busy) || snapshots().any(|s| !s.holds.is_empty()) {
            return Err(Why("something in it is busy or held".to_owned()));
        }
        names.iter().for_each(|name| self.remove(name, now));
        Ok(())
    }

    /// Takes the dataset away; if it was the last clone of a snapshot that is marked, the snapshot goes too.
    pub(super) fn remove(&mut self, name: &DatasetName, now: UnixTime) {
        let Some(origin) = self.datasets.remove(name).and_then(|dataset| dataset.origin) else {
            return;
        };
        let of_origin = |(dataset, state): (&DatasetName, &DatasetState)| {
            let (tag, _) = state.snapshots.iter().find(|(_, snapshot)| snapshot.guid == origin)?;
            dataset.at(tag).ok()
        };
        if let Some(origin) = self.datasets.iter().find_map(of_origin) {
            self.end_if_marked(&origin, now);
        }
    }

    pub(super) fn rename_tree(&mut self, from: &DatasetName, to: &DatasetName) -> Result<(), Why> {
        let into_itself = to.below(from).is_some();
        let has_parent = to.parent().is_some_and(|parent| self.datasets.contains_key(&parent));
        if from.parent().is_none() || into_itself || !has_parent || self.datasets.contains_key(to) {
            return Err(Why("the new name is taken, has no parent, or lies in the old one".to_owned()));
        }
        let names: Vec<DatasetName> = self.tree(from).map(|(name, _)| name.clone()).collect();
        for old in names {
            let new = match old.below(from) {
                None | Some("") => to.clone(),
                Some(rest) => parse(&format!("{to}/{rest}"))?,
            };
            if let Some(state) = self.datasets.remove(&old) {
                self.datasets.insert(new, state);
            }
        }
        Ok(())
    }
}
