//! What operators ask of a pool, and what becomes of it.

use crate::{
    Snap,
    hook::{self, Hooked, Ready},
    round::{forget_holds, of},
    take::{self, Cause},
};
use zam_names::{Dataset, DatasetName, Guid, HOLD_TAG, KEEP_TAG, SnapTag, Snapshot, SnapshotName, Target, UnixTime};
use zam_policy::{
    assess::Assessment,
    config::{Hook, OnFailure},
    notes::Pin,
    tags::{self, Maker},
};
use zam_protocol::{
    EndOrder, JobId, Reach,
    snap::{KeepOrder, SnapshotOrder, Unhold, UnholdOrder},
};
use zam_runtime::keeper::{Keeper, Order};

/// An order to a pool.
pub enum Wish {
    Snapshot(SnapshotOrder),
    /// Hooks have been run for it.
    Hooked(Hooked),
    Keep(KeepOrder),
    Unkeep(SnapshotName),
    Expire(Target),
    SetEnd(EndOrder),
    Unhold(UnholdOrder),
    /// Release what has expired without waiting for the period.
    Release(Option<DatasetName>),
}

/// What the orders of a round ask of the rest of the round.
#[derive(Default)]
pub struct Asked {
    /// Snapshots or holds were changed.
    pub changed: bool,
    /// What has expired is to be released now.
    pub release_now: bool,
}

/// Carries out the orders. Those that only the rest of the round can answer stay in the list.
pub async fn serve(keeper: &mut Keeper<Snap>, orders: &mut Vec<Order<Snap>>, now: UnixTime) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut open = Vec::new();
    for Order { job, uid, what } in std::mem::take(orders) {
        let done = match what {
            Wish::Snapshot(wish) => match snapshot(keeper, job, uid, &wish, now).await {
                Ok(None) => continue,
                Ok(Some(lines)) => Ok(lines),
                Err(why) => Err(why),
            },
            Wish::Hooked(hooked) => take_hooked(keeper, uid, hooked, now).await,
            Wish::Keep(wish) => keep(keeper, uid, &wish, now).await,
            Wish::Unkeep(name) => unkeep(keeper, uid, &name).await,
            Wish::Expire(target) => {
                asked.release_now = true;
                expire(keeper, &target, now)
            }
            Wish::SetEnd(wish) => set_end(keeper, &wish),
            Wish::Unhold(wish) => unhold(keeper, uid, &wish, now).await,
            what @ Wish::Release(_) => {
                asked.release_now = true;
                open.push(Order { job, uid, what });
                continue;
            }
        };
        asked.changed = true;
        keeper.shared.end(job, done);
    }
    *orders = open;
    Ok(asked)
}

/// Answers the orders that waited for what the round would release.
pub fn finish(keeper: &Keeper<Snap>, orders: Vec<Order<Snap>>, released: &[Target]) {
    let guard = keeper.guard();
    for order in orders {
        let Wish::Release(scope) = &order.what else { continue };
        let within = |target: &&Target| scope.as_ref().is_none_or(|scope| target.name.dataset() == scope);
        let lines: Vec<String> = released.iter().filter(within).map(|t| format!("released {}", t.name)).collect();
        let done = match &guard {
            Some(why) => Err(format!("nothing is released: {why}")),
            None => Ok(lines),
        };
        keeper.shared.end(order.job, done);
    }
}

/// None: hooks are run first, and the order comes back.
async fn snapshot(
    keeper: &mut Keeper<Snap>,
    job: JobId,
    uid: u32,
    wish: &SnapshotOrder,
    now: UnixTime,
) -> Result<Option<Vec<String>>, String> {
    let config = keeper.shared.config().clone();
    let tag = match &wish.name {
        Some(tag) => tag.clone(),
        None => tags::manual(&config.prefix, now).ok_or("the clock shows no date that a name can carry")?,
    };
    let meant = |dataset: &Dataset| match wish.reach {
        Reach::Only => dataset.name == wish.dataset,
        Reach::Below => dataset.name.below(&wish.dataset).is_some(),
    };
    let mut datasets: Vec<(DatasetName, bool)> = Vec::new();
    let mut hooks: Vec<(Hook, Vec<DatasetName>)> = Vec::new();
    for (dataset, entry) in keeper.managed(&config).filter(|(dataset, _)| meant(dataset)) {
        let by_windows = |tag: &SnapTag| {
            matches!(tags::maker(&config.prefix, tag), Maker::Schedule(_))
                || entry.rule.adopt.iter().any(|pattern| pattern.matches(tag.as_str()))
        };
        if wish.name.as_ref().is_some_and(by_windows) {
            let why = "a snapshot of that name would go by the windows, like one taken on schedule";
            return Err(format!("{tag} is no name for a snapshot by hand on {}: {why}; take another", dataset.name));
        }
        if entry.is_replica() {
            // It would stand in the way of the next stream. With what is below, it is passed over.
            if wish.reach == Reach::Only {
                return Err(format!("{} is a copy: what it has comes from its source; take it there", dataset.name));
            }
            continue;
        }
        match &entry.hook {
            None => datasets.push((dataset.name.clone(), entry.hold)),
            Some(hook) => hook::add(&mut hooks, hook, dataset.name.clone()),
        }
    }
    if datasets.is_empty() && hooks.is_empty() {
        return Err(format!("{} is not there, or no entry covers it", wish.dataset));
    }
    if !hooks.is_empty() {
        hook::begin_asked(&keeper.shared, job, uid, wish.clone(), tag, hooks, datasets);
        return Ok(None);
    }
    let hooked = Hooked { tag, ready: Vec::new(), others: datasets, asked: Some(wish.clone()) };
    take_hooked(keeper, uid, hooked, now).await.map(Some)
}

/// Takes what hooks have been run for, and what needs none; after that the hooks have their end.
async fn take_hooked(
    keeper: &mut Keeper<Snap>,
    uid: u32,
    hooked: Hooked,
    now: UnixTime,
) -> Result<Vec<String>, String> {
    let Hooked { tag, mut ready, mut others, asked } = hooked;
    let shared = std::rc::Rc::clone(&keeper.shared);
    ready.iter_mut().for_each(|ready| ready.look_again(&shared, &tag));
    let config = keeper.shared.config().clone();
    let notes = keeper.notes();
    let wanted = |ready: &Ready| ready.before.is_ok() || ready.hook.on_failure == OnFailure::Take;
    for ready in ready.iter().filter(|ready| wanted(ready)) {
        // What the config says now: that may have changed meanwhile, or root may have paused it.
        let meant = keeper.managed(&config).filter(|(dataset, entry)| {
            entry.hook.as_ref() == Some(&ready.hook)
                && ready.datasets.contains(&dataset.name)
                && (asked.is_some() || of(&notes, dataset).paused.is_none())
        });
        others.extend(meant.map(|(dataset, entry)| (dataset.name.clone(), entry.hold)));
    }
    let why = if asked.is_some() { "asked for" } else { "due" };
    let taken = take::take(keeper, &tag, &others, Cause { why, uid: asked.as_ref().map(|_| uid) }).await;
    ready.iter_mut().for_each(|ready| ready.look_again(&shared, &tag));
    let mut failed: Vec<String> = ready.iter().filter_map(|ready| ready.before.clone().err()).collect();
    let unprepared: Vec<(DatasetName, String)> = ready
        .iter()
        .filter_map(|ready| Some((&ready.datasets, ready.before.clone().err()?)))
        .flat_map(|(datasets, why)| datasets.iter().map(move |dataset| (dataset.clone(), why.clone())))
        .collect();
    ready.into_iter().for_each(|ready| ready.after(&shared));
    let batch = taken?;
    keeper.list().await?;
    let mut lines = Vec::new();
    for name in &batch.done {
        let Some((dataset, snapshot)) = find(keeper, name) else { continue };
        let why = unprepared.iter().find(|(dataset, _)| dataset == name.dataset()).map(|(_, why)| why.clone());
        let end = asked.as_ref().map(|asked| asked.keep_for.map(|span| span.after(now, config.timezone.calendar())));
        if why.is_some() || end.is_some() {
            keeper.shared.note(dataset, |notes| {
                notes.unprepared.extend(why.map(|why| (snapshot, why)));
                notes.manual.extend(end.map(|end| (snapshot, end)));
            })?;
        }
        lines.push(format!("took {name}"));
    }
    failed.extend(batch.failed.iter().map(|failed| format!("{}: {}", failed.what, failed.why)));
    failed_or(lines, failed.into_iter())
}

async fn keep(keeper: &mut Keeper<Snap>, uid: u32, wish: &KeepOrder, now: UnixTime) -> Result<Vec<String>, String> {
    let Some((dataset, guid)) = find(keeper, &wish.snapshot) else { return Err(gone(&wish.snapshot)) };
    let zone = keeper.shared.config().timezone.clone();
    let until = wish.keep_for.map(|span| span.after(now, zone.calendar()));
    let why = wish.why.as_ref().map_or_else(|| "zamctl keep".to_owned(), ToString::to_string);
    let tag = KEEP_TAG.parse().map_err(|error: zam_names::NameError| error.to_string())?;
    // Written down first: a pin without a note would stay, a note without a pin does nothing.
    keeper.shared.note(dataset, |notes| drop(notes.kept.insert(guid, Pin { until, why: why.clone(), by: uid })))?;
    let batch = take::hold(keeper, tag, vec![wish.snapshot.clone()], Cause { why: &why, uid: Some(uid) }).await?;
    failed_or(
        batch.done.iter().map(|name| format!("keeping {name}")).collect(),
        batch.failed.iter().map(|failed| format!("{}: {}", failed.what, failed.why)),
    )
}

async fn unkeep(keeper: &mut Keeper<Snap>, uid: u32, name: &SnapshotName) -> Result<Vec<String>, String> {
    let Some((dataset, guid)) = find(keeper, name) else { return Err(gone(name)) };
    let targets = take::unmarked(keeper, vec![Target { name: name.clone(), guid }]).await?;
    if targets.is_empty() {
        return Err(marked(&[name.to_string()]));
    }
    let tag = KEEP_TAG.parse().map_err(|error: zam_names::NameError| error.to_string())?;
    let batch = take::release(keeper, tag, targets, Cause { why: "zamctl unkeep", uid: Some(uid) }).await?;
    if batch.failed.is_empty() {
        keeper.shared.note(dataset, |notes| drop(notes.kept.remove(&guid)))?;
    }
    forget_holds(keeper, &batch.done, KEEP_TAG);
    failed_or(
        batch.done.iter().map(|target| format!("no longer pinned: {}", target.name)).collect(),
        batch.failed.iter().map(|failed| format!("{}: {}", failed.what.name, failed.why)),
    )
}

fn expire(keeper: &mut Keeper<Snap>, target: &Target, now: UnixTime) -> Result<Vec<String>, String> {
    let config = keeper.shared.config().clone();
    let notes = keeper.notes();
    let found = keeper.managed(&config).find(|(dataset, _)| dataset.name == *target.name.dataset());
    let Some((dataset, entry)) = found else {
        return Err(format!("{} is not there, or no entry covers it", target.name.dataset()));
    };
    let Some(index) = place(dataset, target) else { return Err(gone(&target.name)) };
    let seen = Assessment::new(dataset, entry, of(&notes, dataset), now);
    if !seen.verdicts[index].is_managed() {
        return Err(format!("zam did not make {}, and lets go of its own alone: `zfs destroy` is root's", target.name));
    }
    keeper.shared.note(dataset.guid, |notes| _ = notes.let_go.insert(target.guid, now))?;
    Ok(vec![format!("zamd-snap lets go of {}", target.name)])
}

fn set_end(keeper: &mut Keeper<Snap>, wish: &EndOrder) -> Result<Vec<String>, String> {
    let name = &wish.snapshot.name;
    let Some((dataset, guid)) = find(keeper, name).filter(|(_, guid)| *guid == wish.snapshot.guid) else {
        return Err(gone(name));
    };
    let prefix = keeper.shared.config().prefix.clone();
    keeper.shared.note(dataset, |notes| notes.set_end(guid, name.tag(), &prefix, wish.end))?;
    Ok(vec![format!("zamd-snap knows when {name} ends")])
}

async fn unhold(keeper: &mut Keeper<Snap>, uid: u32, wish: &UnholdOrder, now: UnixTime) -> Result<Vec<String>, String> {
    let config = keeper.shared.config().clone();
    let meant = |dataset: &Dataset| match wish.reach {
        Reach::Only => dataset.name == wish.dataset,
        Reach::Below => dataset.name.below(&wish.dataset).is_some(),
    };
    let datasets: Vec<Dataset> =
        keeper.managed(&config).map(|(dataset, _)| dataset).filter(|dataset| meant(dataset)).cloned().collect();
    if datasets.is_empty() {
        return Err(format!("{} is not there, or no entry covers it", wish.dataset));
    }
    let paused = (wish.way == Unhold::Pause).then_some(now);
    let mut lines = Vec::new();
    for dataset in &datasets {
        keeper.shared.note(dataset.guid, |notes| notes.paused = paused)?;
        let word = if paused.is_some() { "paused" } else { "resumed" };
        lines.push(format!("{word} {}", dataset.name));
    }
    if paused.is_none() {
        return Ok(lines);
    }
    // What the tick of this very round took is meant too, and holds that others' hands put on since the last listing.
    keeper.list().await?;
    let datasets: Vec<Dataset> =
        keeper.datasets.iter().filter(|now| datasets.iter().any(|meant| meant.guid == now.guid)).cloned().collect();
    let names: Vec<SnapshotName> =
        datasets.iter().flat_map(|d| d.snapshots.iter().filter_map(|s| d.name_of(s).ok())).collect();
    keeper.look(names).await?;
    let datasets: Vec<Dataset> =
        keeper.datasets.iter().filter(|now| datasets.iter().any(|meant| meant.guid == now.guid)).cloned().collect();
    let held = |dataset: &Dataset| -> Vec<Target> {
        let target = |s: &Snapshot| Some(Target { name: dataset.name_of(s).ok()?, guid: s.guid });
        dataset.snapshots.iter().filter(|s| s.is_held_by(HOLD_TAG)).filter_map(target).collect()
    };
    let held: Vec<Target> = datasets.iter().flat_map(held).collect();
    let targets = take::unmarked(keeper, held.clone()).await?;
    let kept: Vec<String> =
        held.iter().filter(|target| !targets.contains(target)).map(|target| target.name.to_string()).collect();
    let cause = Cause { why: "zamctl unhold", uid: Some(uid) };
    let batch = take::release(keeper, take::zam_tag()?, targets, cause).await?;
    forget_holds(keeper, &batch.done, HOLD_TAG);
    lines.extend(batch.done.iter().map(|target| format!("released {}", target.name)));
    let marked = (!kept.is_empty()).then(|| marked(&kept));
    let failed = batch.failed.iter().map(|failed| format!("{}: {}", failed.what.name, failed.why));
    failed_or(lines, failed.chain(marked))
}

/// Why these are not released.
fn marked(names: &[String]) -> String {
    format!(
        "{} marked by somebody to be destroyed with the last hold, so zam keeps its own: `zfs release zam SNAPSHOT` as root \
         ends it",
        names.join(", ")
    )
}

/// The lines if nothing failed; else what failed, after them.
fn failed_or(lines: Vec<String>, failed: impl Iterator<Item = String>) -> Result<Vec<String>, String> {
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() {
        return Ok(lines);
    }
    Err(lines.into_iter().chain(failed).collect::<Vec<_>>().join("; "))
}

fn find(keeper: &Keeper<Snap>, name: &SnapshotName) -> Option<(Guid, Guid)> {
    let dataset = keeper.datasets.iter().find(|dataset| dataset.name == *name.dataset())?;
    let snapshot = dataset.snapshots.iter().find(|snapshot| snapshot.tag == *name.tag())?;
    Some((dataset.guid, snapshot.guid))
}

fn place(dataset: &Dataset, target: &Target) -> Option<usize> {
    dataset.snapshots.iter().position(|s| s.guid == target.guid && s.tag == *target.name.tag())
}

fn gone(name: &SnapshotName) -> String {
    format!("{name} is not there, or is another one now: see `zamctl explain {}`", name.dataset())
}
