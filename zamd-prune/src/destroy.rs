//! Destroying: a call to the worker, an audit line for every snapshot, and what went wrong remembered for the status.

use crate::{Prune, hands::Act};
use zam_names::{DatasetName, Target, UnixTime};
use zam_policy::{
    config::{Config, DestinationId},
    copy,
};
use zam_runtime::{
    audit::{self, Op, Outcome},
    keeper::{Acted, Keeper},
};

/// So many at most go in one call: the kernel takes more, but a worker that dies in the middle should not leave much undone.
const BATCH: usize = 1000;

/// Destroys those that still are what was meant. Gives what is gone, and of what is not, why.
pub async fn destroy(
    keeper: &mut Keeper<Prune>,
    targets: &[Target],
    now: UnixTime,
    asked: impl Fn(&Target) -> Option<u32>,
) -> Result<(Vec<Target>, Vec<String>), String> {
    let (mut gone, mut failed) = (Vec::new(), Vec::new());
    for batch in targets.chunks(BATCH) {
        let Acted::Targets(batch) = keeper.act("destroy snapshots", Act::Destroy(batch.to_vec())).await? else {
            return Err("the worker answered something else than what became of a destroy".to_owned());
        };
        for target in &batch.done {
            log(target, asked(target), Outcome::Done);
            let deaths = keeper.memory.deaths.entry(target.name.dataset().clone()).or_insert((0, now));
            *deaths = (deaths.0 + 1, now);
        }
        for failure in &batch.failed {
            let why = failure.why.to_string();
            log(&failure.what, asked(&failure.what), Outcome::Failed(&why));
            let hint = match failure.why {
                zam_zfs::Refusal::NotPermitted => " (`zamctl grant --check` says which grant is missing)",
                _ => "",
            };
            let problem = format!("@{} was not destroyed: {why}{hint}", failure.what.name.tag());
            failed.push(format!("{}: {why}", failure.what.name));
            keeper.memory.failures.insert(failure.what.name.dataset().clone(), problem);
        }
        gone.extend(batch.done);
    }
    Ok((gone, failed))
}

/// Destroys the bookmarks that zamd-send has left on these datasets and no copy needs any more.
pub async fn surplus_bookmarks(
    keeper: &mut Keeper<Prune>,
    config: &Config,
    datasets: &[DatasetName],
) -> Result<(), String> {
    let live: Vec<DestinationId> =
        config.entries.iter().flat_map(|entry| &entry.destinations).map(|destination| destination.id()).collect();
    if live.is_empty() || datasets.is_empty() {
        return Ok(());
    }
    let mut bookmarks = match keeper.act("list bookmarks", Act::Bookmarks(keeper.name.clone())).await? {
        Acted::Copies { bookmarks, .. } => bookmarks,
        Acted::Failed(why) => return Err(why),
        _ => return Err("the worker answered something else than what bookmarks there are".to_owned()),
    };
    bookmarks.retain(|bookmark| datasets.contains(bookmark.name.dataset()));
    let surplus = copy::surplus_bookmarks(&bookmarks, &live);
    for names in surplus.chunks(BATCH) {
        let Acted::Bookmarks(batch) = keeper.act("destroy bookmarks", Act::DestroyBookmarks(names.to_vec())).await?
        else {
            return Err("the worker answered something else than what became of bookmarks".to_owned());
        };
        let why = "newer ones do for its destination";
        for name in &batch.done {
            audit::Act::new(Op::Destroy, name, why, Outcome::Done).log();
        }
        for failed in &batch.failed {
            let refused = failed.why.to_string();
            audit::Act::new(Op::Destroy, &failed.what, why, Outcome::Failed(&refused)).log();
            let problem = format!("#{} was not destroyed: {refused}", failed.what.tag());
            keeper.memory.failures.insert(failed.what.dataset().clone(), problem);
        }
    }
    Ok(())
}

fn log(target: &Target, uid: Option<u32>, outcome: Outcome<'_>) {
    let why = "expired, released, past its grace";
    let act = audit::Act::new(Op::Destroy, &target.name, why, outcome);
    audit::Act { guid: Some(target.guid), uid, ..act }.log();
}
