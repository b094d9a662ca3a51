//! Stands in until the real machine is written.

use crate::batch::CallResult;
use crate::door::{Error, Grant, Lister, Machine, Scope};
use zam_names::{Bookmark, CreateTxg, Dataset, DatasetName, Guid, HoldTag, Pool, PoolName, Snapshot, SnapshotName};

pub(crate) struct Real;

impl Real {
    pub(crate) fn open() -> Self {
        Self
    }
}

fn not_yet<T>() -> Result<T, Error> {
    Err(Error::Failed { command: "zfs".to_owned(), stderr: "not written yet".to_owned() })
}

impl Lister for Real {
    fn pools(&self) -> Result<Vec<Pool>, Error> {
        not_yet()
    }
    fn datasets(&self, _: &PoolName) -> Result<Vec<Dataset>, Error> {
        not_yet()
    }
    fn snapshots(&self, _: Scope<'_>) -> Result<Vec<(SnapshotName, Guid, CreateTxg)>, Error> {
        not_yet()
    }
    fn details(&self, _: &[SnapshotName]) -> Result<Vec<(SnapshotName, Snapshot)>, Error> {
        not_yet()
    }
    fn holds(&self, _: &[SnapshotName]) -> Result<Vec<(SnapshotName, Vec<HoldTag>)>, Error> {
        not_yet()
    }
    fn bookmarks(&self, _: &PoolName) -> Result<Vec<Bookmark>, Error> {
        not_yet()
    }
    fn grants(&self, _: &DatasetName) -> Result<Vec<Grant>, Error> {
        not_yet()
    }
}

impl Machine for Real {
    fn call_snapshot(&self, _: &[SnapshotName]) -> CallResult {
        Ok(Vec::new())
    }
    fn call_hold(&self, _: &HoldTag, _: &[SnapshotName]) -> CallResult {
        Ok(Vec::new())
    }
    fn call_release(&self, _: &HoldTag, _: &[SnapshotName]) -> CallResult {
        Ok(Vec::new())
    }
    fn call_destroy(&self, _: &[SnapshotName]) -> CallResult {
        Ok(Vec::new())
    }
}
