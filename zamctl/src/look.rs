//! The listing as zamctl needs it: which datasets there are, which entry speaks for each, and their snapshots.

use crate::failure::{Failure, Kind};
use std::collections::HashMap;
use zam_names::{Dataset, DatasetName, Pool, PoolName, SnapTag, Snapshot, SnapshotName, Target, UnixTime};
use zam_policy::{
    config::{Config, Entry, Match},
    tags::{self, Maker},
};
use zam_zfs::{Lister, Scope, index::Index};

/// The imported pools and their datasets, without snapshots.
pub struct Land {
    /// The pools.
    pub pools: Vec<Pool>,
    /// Their datasets, by name.
    pub datasets: Vec<Dataset>,
    /// Pools that were passed over, each with the reason.
    pub passed_over: Vec<String>,
}

impl Land {
    /// Lists all pools that answer.
    ///
    /// # Errors
    /// If the pools cannot be listed at all.
    pub fn survey(lister: &dyn Lister) -> Result<Self, Failure> {
        let pools = lister.pools()?;
        let (mut datasets, mut passed_over) = (Vec::new(), Vec::new());
        for pool in &pools {
            if pool.health == "SUSPENDED" {
                passed_over.push(format!("pool {} is suspended, so it was not looked at", pool.name));
                continue;
            }
            match lister.datasets(&pool.name) {
                Ok(listed) => datasets.extend(listed),
                Err(error) => passed_over.push(format!("pool {} was not looked at: {error}", pool.name)),
            }
        }
        datasets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { pools, datasets, passed_over })
    }

    /// Whether a pool is imported.
    #[must_use]
    pub fn has_pool(&self, name: &PoolName) -> bool {
        self.pools.iter().any(|pool| pool.name == *name)
    }

    /// A dataset by its name.
    #[must_use]
    pub fn dataset(&self, name: &DatasetName) -> Option<&Dataset> {
        self.datasets.iter().find(|dataset| dataset.name == *name)
    }

    /// The datasets for which this very entry is in charge, if only of where copies of them go.
    pub fn covered<'a>(&'a self, config: &'a Config, entry: &'a Entry) -> impl Iterator<Item = &'a Dataset> {
        self.datasets.iter().filter(move |dataset| {
            let found = [config.entry_for(&dataset.name, dataset.kind), config.sender_for(&dataset.name, dataset.kind)];
            found.into_iter().filter_map(Match::entry).any(|found| std::ptr::eq(found, entry))
        })
    }
}

/// Fills in everything about the snapshots of one dataset, in createtxg order.
///
/// # Errors
/// If a listing fails.
pub fn snapshots_of(lister: &dyn Lister, dataset: &mut Dataset) -> Result<(), Failure> {
    let rows = lister.snapshots(Scope::Datasets(std::slice::from_ref(&dataset.name)))?;
    let names: Vec<SnapshotName> = rows.into_iter().map(|(name, ..)| name).collect();
    dataset.snapshots = lister.details(&names)?.into_iter().map(|(_, snapshot)| snapshot).collect();
    dataset.snapshots.sort_by_key(|snapshot| (snapshot.createtxg, snapshot.guid));
    Ok(())
}

/// A pool with all its snapshots, the dates of zam's own taken from their names, as the daemons do it.
///
/// # Errors
/// If a listing fails.
pub fn pool(lister: &dyn Lister, pool: &PoolName, prefix: &str) -> Result<Vec<Dataset>, Failure> {
    let mut index = Index::new(pool.clone());
    index.refresh(lister, &|tag| date_in_name(prefix, tag))?;
    Ok(index.datasets().to_vec())
}

/// Asks again, and in full, about some snapshots of these datasets; what is gone is dropped.
///
/// # Errors
/// If the listing fails.
pub fn look_closer(lister: &dyn Lister, datasets: &mut [Dataset], names: &[SnapshotName]) -> Result<(), Failure> {
    let mut found: HashMap<SnapshotName, Snapshot> = lister.details(names)?.into_iter().collect();
    let asked: std::collections::HashSet<&SnapshotName> = names.iter().collect();
    for dataset in datasets {
        let name = dataset.name.clone();
        dataset.snapshots.retain_mut(|snapshot| match name.at(&snapshot.tag) {
            Ok(full) if asked.contains(&full) => match found.remove(&full) {
                Some(now) if now.guid == snapshot.guid => {
                    *snapshot = now;
                    true
                }
                _ => false,
            },
            _ => true,
        });
    }
    Ok(())
}

/// The snapshots of these names, with their identities; one that is not there is left out.
///
/// # Errors
/// If the listing fails.
pub fn targets(lister: &dyn Lister, names: &[SnapshotName]) -> Result<Vec<Target>, Failure> {
    Ok(lister.details(names)?.into_iter().map(|(name, snapshot)| Target { name, guid: snapshot.guid }).collect())
}

/// A snapshot that must be there.
///
/// # Errors
/// If it is not, or the listing fails.
pub fn target(lister: &dyn Lister, name: &SnapshotName) -> Result<Target, Failure> {
    targets(lister, std::slice::from_ref(name))?.pop().ok_or_else(|| {
        Failure::new(Kind::Failed, format!("there is no snapshot {name}"))
            .hint(format!("`zamctl explain {}` lists those there are", name.dataset()))
    })
}

fn date_in_name(prefix: &str, tag: &SnapTag) -> Option<UnixTime> {
    match tags::maker(prefix, tag) {
        Maker::Schedule(date) | Maker::Request(date) => Some(date),
        Maker::Other => None,
    }
}
