//! What is known of a pool's snapshots, so that a tick lists again only what changed (`snapshots_changed`, OpenZFS 2.2+).

use crate::door::{Error, Lister, Scope};
use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use zam_names::{CreateTxg, Dataset, DatasetName, Guid, HoldTag, PoolName, SnapTag, Snapshot, SnapshotName, UnixTime};

/// When a snapshot of this name was made, if its name says so.
pub type NamedDate<'a> = &'a dyn Fn(&SnapTag) -> Option<UnixTime>;

/// A pool's datasets with their snapshots, as they were at the last [`refresh`](Index::refresh).
///
/// What is known of a snapshot is asked once, when its GUID is first seen. Holds, clones, marks and sizes may change
/// afterwards without any stamp that tells: [`note_held`](Index::note_held) and [`note_released`](Index::note_released) take
/// in what this process does itself, [`refresh_details`](Index::refresh_details) asks again for candidates before anything
/// happens to them, and [`refresh_all`](Index::refresh_all) asks for everything, now and then.
pub struct Index {
    pool: PoolName,
    datasets: Vec<Dataset>,
    /// When the last listing began; none before the first.
    began: Option<UnixTime>,
}

/// One row of a listing.
type Row = (SnapshotName, Guid, CreateTxg);

impl Index {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(pool: PoolName) -> Self {
        Self { pool, datasets: Vec::new(), began: None }
    }

    /// The datasets in the order of their names, the snapshots of each in the order of their `createtxg`.
    #[must_use]
    pub fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// Lists the datasets, and the snapshots of those in which something may have changed. What fails leaves all as it was.
    ///
    /// # Errors
    /// If a listing fails or cannot be understood.
    pub fn refresh(&mut self, lister: &dyn Lister, named_date: NamedDate<'_>) -> Result<&[Dataset], Error> {
        self.list(lister, named_date, Trust::Stamps, now())
    }

    /// Lists everything again and asks about every snapshot as if it were new.
    ///
    /// # Errors
    /// If a listing fails or cannot be understood.
    pub fn refresh_all(&mut self, lister: &dyn Lister, named_date: NamedDate<'_>) -> Result<&[Dataset], Error> {
        self.list(lister, named_date, Trust::Nothing, now())
    }

    /// Asks again for everything about these snapshots; those that are gone, or are no longer the same, are dropped.
    ///
    /// # Errors
    /// If the listing fails or cannot be understood.
    pub fn refresh_details(&mut self, lister: &dyn Lister, names: &[SnapshotName]) -> Result<(), Error> {
        let mut found: HashMap<SnapshotName, Snapshot> = lister.details(names)?.into_iter().collect();
        for (dataset, tags) in by_dataset(names) {
            let Some(dataset) = self.datasets.iter_mut().find(|known| known.name == *dataset) else { continue };
            let name = dataset.name.clone();
            dataset.snapshots.retain_mut(|known| {
                if !tags.contains(&known.tag) {
                    return true;
                }
                match name.at(&known.tag).ok().and_then(|name| found.remove(&name)) {
                    Some(now) if now.guid == known.guid => {
                        *known = now;
                        true
                    }
                    _ => false,
                }
            });
        }
        Ok(())
    }

    /// Takes in that these are held now.
    pub fn note_held(&mut self, names: &[SnapshotName], tag: &HoldTag) {
        self.each_of(names, |snapshot| {
            if !snapshot.holds.contains(tag) {
                snapshot.holds.push(tag.clone());
            }
        });
    }

    /// Takes in that these are held no more.
    pub fn note_released(&mut self, names: &[SnapshotName], tag: &HoldTag) {
        self.each_of(names, |snapshot| snapshot.holds.retain(|held| held != tag));
    }

    fn each_of(&mut self, names: &[SnapshotName], change: impl Fn(&mut Snapshot)) {
        let meant = by_dataset(names);
        for dataset in &mut self.datasets {
            let Some(tags) = meant.get(&dataset.name) else { continue };
            dataset.snapshots.iter_mut().filter(|snapshot| tags.contains(&snapshot.tag)).for_each(&change);
        }
    }

    fn list(
        &mut self,
        lister: &dyn Lister,
        named_date: NamedDate<'_>,
        trust: Trust,
        now: UnixTime,
    ) -> Result<&[Dataset], Error> {
        let mut datasets = lister.datasets(&self.pool)?;
        let dirty = match trust {
            Trust::Stamps => self.dirty(&datasets),
            Trust::Nothing => datasets.iter().map(|dataset| dataset.name.clone()).collect(),
        };
        let mut rows = self.rows(lister, &dirty, datasets.len())?;
        let known: HashMap<Guid, &Dataset> = self.datasets.iter().map(|dataset| (dataset.guid, dataset)).collect();
        let is_known = |dataset: &Dataset| -> HashSet<Guid> {
            let old = known.get(&dataset.guid).filter(|_| trust == Trust::Stamps);
            old.iter().flat_map(|old| &old.snapshots).map(|snapshot| snapshot.guid).collect()
        };
        let mut new: Vec<Row> = Vec::new();
        for dataset in datasets.iter().filter(|dataset| dirty.contains(&dataset.name)) {
            let known = is_known(dataset);
            let listed = rows.get(&dataset.name).into_iter().flatten();
            new.extend(listed.filter(|(_, guid, _)| !known.contains(guid)).cloned());
        }
        let mut found = about(lister, named_date, trust, &new)?;

        // Nothing fails from here on.
        let mut old: HashMap<Guid, Vec<Snapshot>> =
            std::mem::take(&mut self.datasets).into_iter().map(|dataset| (dataset.guid, dataset.snapshots)).collect();
        for dataset in &mut datasets {
            dataset.snapshots = old.remove(&dataset.guid).unwrap_or_default();
            if dirty.contains(&dataset.name) {
                let mut rows = rows.remove(&dataset.name).unwrap_or_default();
                rows.sort_by_key(|(_, guid, createtxg)| (*createtxg, *guid));
                let old = std::mem::take(&mut dataset.snapshots).into_iter().map(|snapshot| (snapshot.guid, snapshot));
                let mut old: HashMap<Guid, Snapshot> = old.collect();
                dataset.snapshots = rows.into_iter().filter_map(|row| merged(row, &mut found, &mut old)).collect();
            }
        }
        self.datasets = datasets;
        self.began = Some(now);
        Ok(&self.datasets)
    }

    /// The datasets whose snapshots must be listed.
    fn dirty(&self, datasets: &[Dataset]) -> HashSet<DatasetName> {
        let known: HashMap<Guid, &Dataset> = self.datasets.iter().map(|dataset| (dataset.guid, dataset)).collect();
        // Without a single stamp this is an OpenZFS before 2.2, and everything may have changed.
        let has_stamps = datasets.iter().any(|dataset| dataset.snapshots_changed.is_some());
        let is_clean =
            |new: &Dataset| has_stamps && known.get(&new.guid).is_some_and(|old| self.is_unchanged(old, new));
        datasets.iter().filter(|dataset| !is_clean(dataset)).map(|dataset| dataset.name.clone()).collect()
    }

    /// Whether nothing can have happened to a dataset's snapshots since they were listed. A stamp counts whole seconds, by a
    /// clock that lags some milliseconds behind: one of the second in which the listing began, or of the one before, may
    /// have been set again since.
    fn is_unchanged(&self, old: &Dataset, new: &Dataset) -> bool {
        let settled = |stamp: UnixTime| self.began.is_some_and(|began| stamp < began.plus(-1));
        old.name == new.name
            && old.snapshots_changed == new.snapshots_changed
            && new.snapshots_changed.is_none_or(settled)
    }

    /// The snapshots of the dirty datasets, in one call.
    fn rows(
        &self,
        lister: &dyn Lister,
        dirty: &HashSet<DatasetName>,
        all: usize,
    ) -> Result<HashMap<DatasetName, Vec<Row>>, Error> {
        let rows = if dirty.is_empty() {
            Vec::new()
        } else if dirty.len() * 2 > all {
            lister.snapshots(Scope::Pool(&self.pool))?
        } else {
            let mut dirty: Vec<DatasetName> = dirty.iter().cloned().collect();
            dirty.sort();
            lister.snapshots(Scope::Datasets(&dirty))?
        };
        let mut sorted: HashMap<DatasetName, Vec<Row>> = HashMap::new();
        for row in rows {
            sorted.entry(row.0.dataset().clone()).or_default().push(row);
        }
        Ok(sorted)
    }
}

/// What a listing takes from the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// What the stamps say is unchanged, and what was asked about a GUID.
    Stamps,
    Nothing,
}

/// Everything about new snapshots: from their names and the list of their holds where the name has a date (no process, a
/// fast ioctl each) and a listing went before, else from the slow listing. Gone ones are left out.
fn about(
    lister: &dyn Lister,
    named_date: NamedDate<'_>,
    trust: Trust,
    new: &[Row],
) -> Result<HashMap<SnapshotName, Snapshot>, Error> {
    // A snapshot that was just made has no clones and no marks; of one that may be old, the slow listing alone knows.
    let is_young = |row: &&Row| trust == Trust::Stamps && named_date(row.0.tag()).is_some();
    let (dated, undated): (Vec<&Row>, Vec<&Row>) = new.iter().partition(is_young);
    let names = |rows: &[&Row]| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    let mut found: HashMap<SnapshotName, Snapshot> = HashMap::new();
    if !undated.is_empty() {
        found.extend(lister.details(&names(&undated))?);
    }
    if !dated.is_empty() {
        let mut holds: HashMap<SnapshotName, Vec<HoldTag>> = lister.holds(&names(&dated))?.into_iter().collect();
        for (name, guid, createtxg) in dated {
            let (Some(creation), Some(holds)) = (named_date(name.tag()), holds.remove(name)) else { continue };
            let (tag, guid, createtxg) = (name.tag().clone(), *guid, *createtxg);
            let snapshot = Snapshot { tag, guid, createtxg, creation, holds, clones: 0, deferred: false, used: None };
            found.insert(name.clone(), snapshot);
        }
    }
    Ok(found)
}

/// What is known of a listed snapshot, under the name that it has now. What was just asked goes before what was known; a
/// GUID of which nothing is known is gone again.
fn merged(
    (name, guid, createtxg): Row,
    found: &mut HashMap<SnapshotName, Snapshot>,
    old: &mut HashMap<Guid, Snapshot>,
) -> Option<Snapshot> {
    let asked = found.remove(&name).filter(|snapshot| snapshot.guid == guid);
    let snapshot = asked.or_else(|| old.remove(&guid))?;
    Some(Snapshot { tag: name.tag().clone(), createtxg, ..snapshot })
}

fn by_dataset(names: &[SnapshotName]) -> HashMap<&DatasetName, HashSet<&SnapTag>> {
    let mut sorted: HashMap<&DatasetName, HashSet<&SnapTag>> = HashMap::new();
    for name in names {
        sorted.entry(name.dataset()).or_default().insert(name.tag());
    }
    sorted
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
