//! Simulated pools in a folder, shared by all processes that open it: for tests and for the demonstration on a machine
//! without ZFS. What ZFS would refuse is refused here, in the same shape, so that what is tried here holds there; the
//! suite in [`contract`](crate::contract) runs on both.

mod admin;
mod calls;
mod copy;
mod grants;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod tree;

pub use admin::{Admin, AdminError};

use crate::batch::{CallFailure, CallResult, Refusal};
use crate::copy::{CopyFacts, ReceiveError};
use crate::door::{Error, Grant, GrantScope, GrantWho, Lister, Machine, Scope};
use calls::Destroy;
use state::{DatasetState, PoolState};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use store::Store;
use zam_names::{
    Bookmark, BookmarkName, CreateTxg, Dataset, DatasetName, Guid, HoldTag, Pool, PoolName, Snapshot, SnapshotName,
    UnixTime,
};

/// The simulated pools of a folder, as one unix user sees them. `root` may do everything, anybody else what [`Admin`]
/// allowed him.
#[derive(Clone, Debug)]
pub struct Sim {
    store: Store,
    user: String,
}

impl Sim {
    /// Opens the folder; it need not exist until something is asked.
    #[must_use]
    pub fn open(folder: &Path, user: &str) -> Self {
        Self { store: Store::at(folder), user: user.to_owned() }
    }

    fn pool(&self, name: &PoolName) -> Result<PoolState, Error> {
        let pool = self.store.imported(name)?;
        pool.ok_or_else(|| self.store.error(format!("cannot open '{name}': no such pool")))
    }

    /// The pools in which the names are, each with its names; a name in a missing pool is left out.
    fn by_pool<'a>(&self, names: &'a [SnapshotName]) -> Result<Vec<(PoolState, Vec<&'a SnapshotName>)>, Error> {
        let mut pools: BTreeMap<PoolName, Vec<&SnapshotName>> = BTreeMap::new();
        for name in names {
            pools.entry(name.dataset().pool()).or_default().push(name);
        }
        let mut opened = Vec::new();
        for (pool, names) in pools {
            opened.extend(self.store.imported(&pool)?.map(|pool| (pool, names)));
        }
        Ok(opened)
    }

    fn each_in(
        &self,
        scope: Scope<'_>,
        mut each: impl FnMut(&PoolState, &DatasetName, &DatasetState) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (wanted, pools): (Option<BTreeSet<&DatasetName>>, Vec<PoolState>) = match scope {
            Scope::Pool(pool) => (None, vec![self.pool(pool)?]),
            Scope::Datasets(names) => {
                let pools: BTreeSet<PoolName> = names.iter().map(DatasetName::pool).collect();
                let imported = pools.iter().filter_map(|pool| self.store.imported(pool).transpose());
                (Some(names.iter().collect()), imported.collect::<Result<_, _>>()?)
            }
        };
        for pool in &pools {
            let is_wanted = |name: &DatasetName| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
            pool.datasets.iter().filter(|(name, _)| is_wanted(name)).try_for_each(|(n, state)| each(pool, n, state))?;
        }
        Ok(())
    }

    /// One call to the one pool of all names.
    fn call(&self, names: &[SnapshotName], call: impl FnOnce(&mut PoolState, UnixTime) -> CallResult) -> CallResult {
        let Some(pool) = names.first().map(|name| name.dataset().pool()) else {
            return Ok(Vec::new());
        };
        if names.iter().any(|name| name.dataset().pool() != pool) {
            return Err(CallFailure::whole(Refusal::Other("names of several pools in one call (EXDEV)".to_owned())));
        }
        self.store.change(&pool, |state, now| match state {
            Some(state) => call(state, now),
            None => Err(CallFailure::whole(Refusal::NotFound)),
        })
    }
}

impl Lister for Sim {
    fn pools(&self) -> Result<Vec<Pool>, Error> {
        let pools = self.store.all()?;
        Ok(pools.iter().filter(|pool| pool.health != state::Health::Exported).map(PoolState::listed).collect())
    }

    fn datasets(&self, pool: &PoolName) -> Result<Vec<Dataset>, Error> {
        Ok(self.pool(pool)?.listed_datasets())
    }

    fn snapshots(&self, scope: Scope<'_>) -> Result<Vec<(SnapshotName, Guid, CreateTxg)>, Error> {
        let mut rows = Vec::new();
        self.each_in(scope, |_, dataset, state| {
            for (tag, snapshot) in &state.snapshots {
                let name = dataset.at(tag).map_err(|e| self.store.error(e))?;
                rows.push((name, snapshot.guid, snapshot.createtxg));
            }
            Ok(())
        })?;
        Ok(rows)
    }

    fn details(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error> {
        let found = |(pool, names): &(PoolState, Vec<&SnapshotName>)| -> Vec<_> {
            names.iter().filter_map(|name| Some(((*name).clone(), pool.listed_snapshot(name)?))).collect()
        };
        Ok(self.by_pool(names)?.iter().flat_map(found).collect())
    }

    fn holds(&self, names: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
        Ok(self.details(names)?.into_iter().map(|(name, snapshot)| (name, snapshot.holds)).collect())
    }

    fn bookmarks(&self, pool: &PoolName) -> Result<Vec<Bookmark>, Error> {
        let pool = self.pool(pool)?;
        let mut rows = Vec::new();
        for (dataset, state) in &pool.datasets {
            for (tag, mark) in &state.bookmarks {
                let name = BookmarkName::new(dataset.clone(), tag.clone()).map_err(|e| self.store.error(e))?;
                rows.push(Bookmark { name, guid: mark.guid, createtxg: mark.createtxg });
            }
        }
        Ok(rows)
    }

    fn copy_facts(&self, scope: Scope<'_>) -> Result<Vec<CopyFacts>, Error> {
        let mut rows = Vec::new();
        self.each_in(scope, |pool, dataset, state| {
            rows.push(pool.listed_copy_facts(dataset, state));
            Ok(())
        })?;
        Ok(rows)
    }

    fn properties(&self, dataset: &DatasetName, names: &[&str]) -> Result<Vec<String>, Error> {
        let pool = self.pool(&dataset.pool())?;
        if !pool.datasets.contains_key(dataset) {
            return Err(self.store.error(format!("cannot open '{dataset}': dataset does not exist")));
        }
        let set = |dataset: &DatasetName, name: &str| pool.datasets.get(dataset)?.properties.get(name).cloned();
        let value = |name: &&str| {
            let mut above = std::iter::successors(Some(dataset.clone()), DatasetName::parent);
            above.find_map(|dataset| set(&dataset, name)).unwrap_or_else(|| "default".to_owned())
        };
        Ok(names.iter().map(value).collect())
    }

    fn grants(&self, dataset: &DatasetName) -> Result<Vec<Grant>, Error> {
        let pool = self.pool(&dataset.pool())?;
        let missing = || self.store.error(format!("cannot open '{dataset}': dataset does not exist"));
        let state = pool.datasets.get(dataset).ok_or_else(missing)?;
        let mut grants: Vec<_> = state.grants.iter().flat_map(|(user, grant)| grant.listed(dataset, user)).collect();
        if !state.granted_to_creator.is_empty() {
            let (who, permissions) = (GrantWho::Creator, state.granted_to_creator.iter().cloned().collect());
            grants.push(Grant { dataset: dataset.clone(), who, scope: GrantScope::Local, permissions });
        }
        grants.sort();
        Ok(grants)
    }
}

impl Machine for Sim {
    fn call_snapshot(&self, names: &[SnapshotName]) -> CallResult {
        self.call(names, |pool, now| pool.call_snapshot(&self.user, names, now))
    }

    fn call_hold(&self, tag: &HoldTag, names: &[SnapshotName]) -> CallResult {
        self.call(names, |pool, now| pool.call_hold(&self.user, tag, names, now))
    }

    fn call_release(&self, tag: &HoldTag, names: &[SnapshotName]) -> CallResult {
        self.call(names, |pool, now| pool.call_release(&self.user, tag, names, now))
    }

    fn call_destroy(&self, names: &[SnapshotName]) -> CallResult {
        self.call(names, |pool, now| pool.call_destroy(&self.user, names, Destroy::Now, now))
    }
}

impl<N> From<Error> for CallFailure<N> {
    fn from(error: Error) -> Self {
        Self::whole(error.into())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<Error> for ReceiveError {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
}
