//! Taking, holding, releasing: each a call to the worker, an audit line for every name, and what went wrong remembered
//! for the status.

use crate::{Snap, hands::Act};
use std::collections::{BTreeMap, BTreeSet};
use zam_names::{DatasetName, Guid, HOLD_TAG, HoldTag, SnapTag, SnapshotName, Target};
use zam_runtime::{
    audit::{self, Op, Outcome},
    keeper::{Acted, Keeper},
};
use zam_zfs::Batch;

/// Who wants it and why, for the audit trail.
#[derive(Clone, Copy)]
pub struct Cause<'a> {
    pub why: &'a str,
    pub uid: Option<u32>,
}

impl Cause<'_> {
    /// What the schedule or the policy brings.
    pub const fn policy(why: &str) -> Cause<'_> {
        Cause { why, uid: None }
    }
}

/// The tag of zam's own holds.
pub fn zam_tag() -> Result<HoldTag, String> {
    HOLD_TAG.parse().map_err(|error: zam_names::NameError| error.to_string())
}

/// Takes a snapshot of this name of each dataset and, where told to, holds it at once.
pub async fn take(
    keeper: &mut Keeper<Snap>,
    tag: &SnapTag,
    datasets: &[(DatasetName, bool)],
    cause: Cause<'_>,
) -> Result<Batch<SnapshotName>, String> {
    let mut failures = BTreeMap::new();
    let mut names = Vec::new();
    let mut to_hold = Vec::new();
    for (dataset, hold) in datasets {
        match dataset.at(tag) {
            Ok(name) => {
                to_hold.extend(hold.then(|| name.clone()));
                names.push(name);
            }
            Err(error) => drop(failures.insert(dataset.clone(), format!("no snapshot was taken: {error}"))),
        }
    }
    let batch = by_name(keeper, Op::Snapshot, None, Act::Snapshot(names), cause).await?;
    to_hold.retain(|name| batch.done.contains(name));
    for failed in &batch.failed {
        let hint = remedy(&failed.why);
        failures.insert(failed.what.dataset().clone(), format!("no snapshot was taken: {}{hint}", failed.why));
    }
    for (dataset, _) in datasets {
        keeper.memory.failures.remove(dataset);
    }
    keeper.memory.failures.extend(failures);
    hold(keeper, zam_tag()?, to_hold, cause).await.map(drop)?;
    Ok(batch)
}

/// Puts a hold on each.
pub async fn hold(
    keeper: &mut Keeper<Snap>,
    tag: HoldTag,
    names: Vec<SnapshotName>,
    cause: Cause<'_>,
) -> Result<Batch<SnapshotName>, String> {
    let act = Act::Hold(tag.clone(), names);
    let batch = by_name(keeper, Op::Hold, Some(tag.as_str().to_owned()), act, cause).await?;
    keeper.remember_holds(&batch.done, &tag);
    for failed in &batch.failed {
        let problem = format!("@{} is not held: {}{}", failed.what.tag(), failed.why, remedy(&failed.why));
        keeper.memory.failures.insert(failed.what.dataset().clone(), problem);
    }
    Ok(batch)
}

/// Takes a hold off each that still is what was meant.
pub async fn release(
    keeper: &mut Keeper<Snap>,
    tag: HoldTag,
    targets: Vec<Target>,
    cause: Cause<'_>,
) -> Result<Batch<Target>, String> {
    if targets.is_empty() {
        return Ok(Batch::nothing());
    }
    let text = tag.as_str().to_owned();
    let Acted::Targets(batch) = keeper.act("release snapshots", Act::Release(tag, targets)).await? else {
        return Err("the worker answered something else than what became of a release".to_owned());
    };
    for target in &batch.done {
        let act = audit::Act::new(Op::Release, &target.name, cause.why, Outcome::Done);
        audit::Act { guid: Some(target.guid), tag: Some(&text), uid: cause.uid, ..act }.log();
    }
    for failed in &batch.failed {
        let why = failed.why.to_string();
        let act = audit::Act::new(Op::Release, &failed.what.name, cause.why, Outcome::Failed(&why));
        audit::Act { guid: Some(failed.what.guid), tag: Some(&text), uid: cause.uid, ..act }.log();
        let problem = format!("@{} is not released: {why}{}", failed.what.name.tag(), remedy(&failed.why));
        keeper.memory.failures.insert(failed.what.name.dataset().clone(), problem);
    }
    Ok(batch)
}

/// Of these, those that somebody did not mark to be destroyed with their last hold, as of right now: to release a marked one
/// is to destroy it. The marked ones are told in the audit trail, and the status shows the mark.
pub async fn unmarked(keeper: &mut Keeper<Snap>, targets: Vec<Target>) -> Result<Vec<Target>, String> {
    keeper.look(targets.iter().map(|target| target.name.clone()).collect()).await?;
    let marked: BTreeSet<Guid> =
        keeper.datasets.iter().flat_map(|dataset| &dataset.snapshots).filter(|s| s.deferred).map(|s| s.guid).collect();
    for target in targets.iter().filter(|target| marked.contains(&target.guid)) {
        let why = "it is marked to be destroyed with its last hold, so its holds stay";
        let act = audit::Act::new(Op::Refuse, &target.name, "release", Outcome::Failed(why));
        audit::Act { guid: Some(target.guid), ..act }.log();
    }
    Ok(targets.into_iter().filter(|target| !marked.contains(&target.guid)).collect())
}

async fn by_name(
    keeper: &mut Keeper<Snap>,
    op: Op,
    tag: Option<String>,
    act: Act,
    cause: Cause<'_>,
) -> Result<Batch<SnapshotName>, String> {
    let (Act::Snapshot(names) | Act::Hold(_, names)) = &act else { return Ok(Batch::nothing()) };
    if names.is_empty() {
        return Ok(Batch::nothing());
    }
    let what = if op == Op::Hold { "hold snapshots" } else { "take snapshots" };
    let Acted::Names(batch) = keeper.act(what, act).await? else {
        return Err(format!("the worker answered something else: {what}"));
    };
    let line = |name: &SnapshotName, outcome: Outcome<'_>| {
        let act = audit::Act::new(op, name, cause.why, outcome);
        audit::Act { tag: tag.as_deref(), uid: cause.uid, ..act }.log();
    };
    batch.done.iter().for_each(|name| line(name, Outcome::Done));
    for failed in &batch.failed {
        let why = failed.why.to_string();
        line(&failed.what, Outcome::Failed(&why));
    }
    Ok(batch)
}

/// What an admin does about a refusal.
fn remedy(why: &zam_zfs::Refusal) -> &'static str {
    match why {
        zam_zfs::Refusal::NotPermitted => " (`zamctl grant --check` says which grant is missing)",
        zam_zfs::Refusal::NoSpace => " (free space, or raise the limit; the next tick tries again)",
        _ => "",
    }
}
