//! What arrived and is not held, since who received it was killed before it could: zamd-snap may look much later.

use crate::{Recv, hands::Act, stream};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{Dataset, DatasetName, Guid, HOLD_TAG, HoldTag, NameError, QUARANTINE_TAG, Snapshot, SnapshotName};
use zam_policy::{
    assess::Assessment,
    config::{Config, Entry},
    judge,
    notes::DatasetNotes,
};
use zam_runtime::{
    audit::{self, Op, Outcome},
    keeper::{Acted, Keeper},
};
use zam_zfs::Refusal;

/// How many of the newest are looked at: what was under way in the session when a receiver died lands on top of what it left.
const LAST: usize = 3;

/// What the daemon remembers of a pool while it runs.
#[derive(Default)]
pub struct Memory {
    /// The newest that were held once, or need not be: what zamd-snap or root has released since is theirs.
    minded: BTreeSet<Guid>,
    /// Why what should be held is not, by its dataset.
    pub failed: BTreeMap<DatasetName, String>,
}

/// A snapshot, and whether it came dated in the future.
type Found = (SnapshotName, bool);

/// Holds what came last of each copy where that is missing.
pub async fn hold(keeper: &mut Keeper<Recv>) -> Result<(), String> {
    // Who receives puts holds on without a stamp that tells, and what vanished meanwhile is for the next round.
    let names = missing(keeper).into_iter().map(|(name, _)| name).collect();
    if keeper.look(names).await.is_err() {
        return Ok(());
    }
    let missing = missing(keeper);
    let ahead = missing.iter().filter(|(_, ahead)| *ahead).map(|(name, _)| name.clone()).collect();
    let mut failed = put_on(keeper, QUARANTINE_TAG, ahead).await?;
    // What cannot be put aside is tried again as a whole.
    let rest = missing.into_iter().map(|(name, _)| name).filter(|name| !failed.contains_key(name.dataset())).collect();
    failed.extend(put_on(keeper, HOLD_TAG, rest).await?);
    keeper.memory.failed = failed;
    let config = keeper.shared.config().clone();
    let settled = |dataset: &Dataset, snapshot: &Snapshot| {
        keeper.memory.minded.contains(&snapshot.guid)
            || snapshot.is_held_by(HOLD_TAG)
            || !keeper.memory.failed.contains_key(&dataset.name) && !keeper.shared.common.book.is_busy(&dataset.name)
    };
    let minded = copies(keeper, &config).flat_map(|(dataset, _)| {
        last(dataset).iter().filter(move |snapshot| settled(dataset, snapshot)).map(|snapshot| snapshot.guid)
    });
    keeper.memory.minded = minded.collect();
    Ok(())
}

/// Of what came last, that which should be held and is not, and never was as far as is known. Where a stream is on its way its
/// receiver may be about to.
fn missing(keeper: &Keeper<Recv>) -> Vec<Found> {
    let (config, now) = (keeper.shared.config().clone(), stream::now());
    let mut found = Vec::new();
    for (dataset, entry) in copies(keeper, &config) {
        let is_open = |s: &&Snapshot| !s.is_held_by(HOLD_TAG) && !keeper.memory.minded.contains(&s.guid);
        let open: Vec<&Snapshot> = last(dataset).iter().filter(is_open).collect();
        // Judging takes all of the dataset's snapshots, and mostly there is nothing to judge.
        if open.is_empty() || keeper.shared.common.book.is_busy(&dataset.name) {
            continue;
        }
        for target in Assessment::new(dataset, entry, &DatasetNotes::default(), now).to_hold() {
            let Some(snapshot) = open.iter().find(|snapshot| snapshot.guid == target.guid) else { continue };
            let date = judge::claimed_date(&config.prefix, &snapshot.tag, snapshot.creation);
            found.push((target.name, judge::is_ahead(date, now)));
        }
    }
    found
}

/// The copies whose entries want holds.
fn copies<'a>(keeper: &'a Keeper<Recv>, config: &'a Config) -> impl Iterator<Item = (&'a Dataset, &'a Entry)> {
    let now = stream::now();
    keeper.managed(config).filter(move |(dataset, entry)| {
        entry.is_replica() && entry.hold && !entry.is_retired(now) && config.replica_at(&dataset.name).is_none()
    })
}

fn last(dataset: &Dataset) -> &[Snapshot] {
    &dataset.snapshots[dataset.snapshots.len().saturating_sub(LAST)..]
}

/// Says why of those on which it cannot be put; the audit trail hears that once.
async fn put_on(
    keeper: &mut Keeper<Recv>,
    tag: &str,
    names: Vec<SnapshotName>,
) -> Result<BTreeMap<DatasetName, String>, String> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let held: HoldTag = tag.parse().map_err(|error: NameError| error.to_string())?;
    let Acted::Names(batch) = keeper.act("hold snapshots", Act::Hold(held.clone(), names)).await? else {
        return Err("the worker answered something else than what became of a hold".to_owned());
    };
    keeper.remember_holds(&batch.done, &held);
    let line = |name: &SnapshotName, outcome: Outcome<'_>| {
        let act = audit::Act::new(Op::Hold, name, "it had arrived, and its hold was missing", outcome);
        audit::Act { tag: Some(tag), ..act }.log();
    };
    batch.done.iter().for_each(|name| line(name, Outcome::Done));
    let mut failed = BTreeMap::new();
    for no in batch.failed {
        let (why, dataset) = (no.why.to_string(), no.what.dataset().clone());
        let hint = match no.why {
            Refusal::NotPermitted => " (`zamctl grant --check --replica` says which grant is missing)",
            _ => "",
        };
        let problem = format!("@{} is not held: {why}{hint}", no.what.tag());
        if keeper.memory.failed.get(&dataset) != Some(&problem) {
            line(&no.what, Outcome::Failed(&why));
        }
        failed.insert(dataset, problem);
    }
    Ok(failed)
}
