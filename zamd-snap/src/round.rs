//! One round over a pool: take what is due, do what was asked, write down what was seen, hold what must be held, release
//! what may go.

use crate::{
    Snap, hook, now, orders,
    take::{self, Cause},
};
use std::{collections::BTreeMap, time::Instant};
use zam_names::{Dataset, DatasetName, Guid, HOLD_TAG, KEEP_TAG, SnapshotName, Target, UnixTime};
use zam_policy::{
    assess::{Assessment, Next},
    config::{Config, Entry},
    notes::DatasetNotes,
    schedule::{Facts, Obstacle, Possible, Task, next_possible, share_of_splay},
    tags,
};
use zam_protocol::{Tick, snap::SnapStatus};
use zam_runtime::keeper::{Keeper, Order, Round};

/// What the daemon remembers of a pool while it runs.
#[derive(Default)]
pub struct Memory {
    /// When a snapshot of a dataset was last tried: what fails is tried again at its next tick, not at once.
    tried: BTreeMap<Guid, UnixTime>,
    /// When what has expired was last looked for.
    looked: BTreeMap<Guid, UnixTime>,
    /// What last went wrong with a dataset.
    pub failures: BTreeMap<DatasetName, String>,
}

/// A dataset's next tasks.
struct Due {
    snapshot: Option<Possible>,
    look: Option<Possible>,
}

pub async fn round(keeper: &mut Keeper<Snap>, mut orders: Vec<Order<Snap>>) -> Result<Round<SnapStatus>, String> {
    let (began, start) = (Instant::now(), now()?);
    let mut tick = tick(keeper, start).await?;
    let asked = orders::serve(keeper, &mut orders, start).await?;
    if tick.is_some() || asked.changed {
        keeper.list().await?;
    }
    let released = care(keeper, start, asked.release_now).await?;
    if let Some(tick) = &mut tick {
        tick.processes = keeper.processes();
        tick.milliseconds = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    }
    orders::finish(keeper, orders, &released);
    let config = keeper.shared.config().clone();
    let notes = keeper.notes();
    let mut rows: Vec<SnapStatus> =
        keeper.managed(&config).map(|(dataset, entry)| row(keeper, dataset, entry, &notes, start)).collect();
    rows.extend(keeper.missing_rows(&config, |entry| keeper.why_missing(entry)));
    let again = next_round(keeper, &config, &notes, start);
    Ok(Round { rows, again, tick })
}

/// Takes the snapshots that are due, all in one call. Those that have a hook are taken when that has been run, and nobody
/// waits for it.
async fn tick(keeper: &mut Keeper<Snap>, now: UnixTime) -> Result<Option<Tick>, String> {
    let config = keeper.shared.config().clone();
    let notes = keeper.notes();
    let is_due = |dataset: &Dataset, entry: &Entry| {
        due(keeper, dataset, entry, &notes, now).snapshot.is_some_and(|possible| possible.is_now(now))
    };
    let due: Vec<(&Dataset, &Entry)> =
        keeper.managed(&config).filter(|(dataset, entry)| is_due(dataset, entry)).collect();
    if due.is_empty() {
        return Ok(None);
    }
    let tag = tags::scheduled(&config.prefix, now).ok_or("the clock shows no date that a name can carry")?;
    let (mut datasets, mut hooks): (Vec<(DatasetName, bool)>, Vec<_>) = (Vec::new(), Vec::new());
    for (dataset, entry) in &due {
        match &entry.hook {
            None => datasets.push((dataset.name.clone(), entry.hold)),
            Some(hook) => hook::add(&mut hooks, hook, dataset.name.clone()),
        }
    }
    let tried: Vec<Guid> = due.iter().map(|(dataset, _)| dataset.guid).collect();
    keeper.memory.tried.extend(tried.into_iter().map(|guid| (guid, now)));
    for (hook, datasets) in hooks {
        hook::begin(&keeper.shared, keeper.name.clone(), hook, datasets, tag.clone());
    }
    if datasets.is_empty() {
        return Ok(None);
    }
    let batch = take::take(keeper, &tag, &datasets, Cause::policy("due")).await?;
    if !batch.atomic || !batch.failed.is_empty() {
        tracing::warn!(pool = %keeper.name, taken = batch.done.len(), failed = batch.failed.len(), "the tick was not whole");
    }
    Ok(Some(Tick {
        when: now,
        datasets: count(datasets.len()),
        done: count(batch.done.len()),
        atomic: batch.atomic && batch.failed.is_empty(),
        processes: 0,
        milliseconds: 0,
    }))
}

/// Writes down what is seen, holds what must be held, releases what may go. Gives what was released.
async fn care(keeper: &mut Keeper<Snap>, now: UnixTime, all_now: bool) -> Result<Vec<Target>, String> {
    let config = keeper.shared.config().clone();
    let trusted = keeper.observe(&config, now)?;
    let notes = keeper.notes();
    let mut hold: Vec<SnapshotName> = Vec::new();
    let mut candidates: Vec<Target> = Vec::new();
    let mut looked: Vec<Guid> = Vec::new();
    for (dataset, entry) in keeper.managed(&config) {
        let seen = Assessment::new(dataset, entry, of(&notes, dataset), now);
        let due = due(keeper, dataset, entry, &notes, now).look;
        let look = all_now || due.is_some_and(|possible| possible.is_now(now));
        // What failed is tried again at the next look, not in every round.
        if look || !keeper.memory.failures.contains_key(&dataset.name) {
            hold.extend(seen.to_hold().into_iter().map(|target| target.name));
        }
        if look {
            looked.push(dataset.guid);
        }
        if look && trusted {
            candidates.extend(seen.to_release());
        }
    }
    take::hold(keeper, take::zam_tag()?, hold, Cause::policy("kept by policy, and its hold was missing"))
        .await
        .map(drop)?;
    keeper.memory.looked.extend(looked.into_iter().map(|guid| (guid, now)));
    if trusted {
        end_pins(keeper, now).await?;
    }
    if candidates.is_empty() {
        return Ok(candidates);
    }
    // Holds, clones and marks change without a stamp that tells: they are asked again right before.
    keeper.look(candidates.iter().map(|target| target.name.clone()).collect()).await?;
    let mut targets = Vec::new();
    if keeper.guard().is_some() || *keeper.shared.config() != config {
        // The clock, or the policy, is another one than this round began with: the next round judges.
        return Ok(targets);
    }
    for (dataset, entry) in keeper.managed(&config) {
        let seen = Assessment::new(dataset, entry, of(&notes, dataset), now);
        targets.extend(seen.to_release().into_iter().filter(|target| candidates.contains(target)));
    }
    let released = take::release(keeper, take::zam_tag()?, targets, Cause::policy("expired")).await?;
    forget_holds(keeper, &released.done, HOLD_TAG);
    Ok(released.done)
}

/// Takes off the pins of `zamctl keep` whose time is over.
async fn end_pins(keeper: &mut Keeper<Snap>, now: UnixTime) -> Result<(), String> {
    let notes = keeper.notes();
    let ended = |dataset: &Dataset| -> Vec<Target> {
        let over = |guid| {
            let pin = of(&notes, dataset).kept.get(guid);
            pin.is_some_and(|pin| pin.until.is_some_and(|until| until <= now))
        };
        let ended = dataset.snapshots.iter().filter(|snapshot| over(&snapshot.guid));
        ended.filter_map(|s| Some(Target { name: dataset.name_of(s).ok()?, guid: s.guid })).collect()
    };
    let ended: Vec<(Guid, Target)> =
        keeper.datasets.iter().flat_map(|d| ended(d).into_iter().map(|target| (d.guid, target))).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let tag = KEEP_TAG.parse().map_err(|error: zam_names::NameError| error.to_string())?;
    let targets = take::unmarked(keeper, ended.iter().map(|(_, target)| target.clone()).collect()).await?;
    let released =
        take::release(keeper, tag, targets, Cause::policy("the time of `zamctl keep --for` is over")).await?;
    for (dataset, target) in ended.iter().filter(|(_, target)| released.done.contains(target)) {
        keeper.shared.note(*dataset, |notes| drop(notes.kept.remove(&target.guid)))?;
    }
    forget_holds(keeper, &released.done, KEEP_TAG);
    Ok(())
}

/// Takes in that these are held by `tag` no more, so that the status says so before the next listing.
pub fn forget_holds(keeper: &mut Keeper<Snap>, released: &[Target], tag: &str) {
    let gone: std::collections::BTreeSet<Guid> = released.iter().map(|target| target.guid).collect();
    for snapshot in keeper.datasets.iter_mut().flat_map(|dataset| &mut dataset.snapshots) {
        if gone.contains(&snapshot.guid) {
            snapshot.holds.retain(|held| held.as_str() != tag);
        }
    }
}

fn next_round(keeper: &Keeper<Snap>, config: &Config, notes: &BTreeMap<Guid, DatasetNotes>, now: UnixTime) -> UnixTime {
    let tasks = keeper.managed(config).map(|(dataset, entry)| due(keeper, dataset, entry, notes, now));
    let times = tasks.flat_map(|due| [due.snapshot, due.look]).flatten().filter_map(Possible::at);
    times.min().unwrap_or(UnixTime(i64::MAX))
}

fn due(
    keeper: &Keeper<Snap>,
    dataset: &Dataset,
    entry: &Entry,
    notes: &BTreeMap<Guid, DatasetNotes>,
    now: UnixTime,
) -> Due {
    let zone = entry.rule.zone.calendar();
    let paused = of(notes, dataset).paused.is_some().then_some(Obstacle::Paused);
    let facts = Facts { obstacle: paused, ..keeper.shared.machine.borrow().facts() };
    let tried = keeper.memory.tried.get(&dataset.guid).copied();
    let last = tags::last_scheduled(&entry.rule.prefix, &dataset.snapshots, now).max(tried);
    let splay = share_of_splay(entry.splay, &keeper.shared.host);
    let when = entry.run_when.snapshots.as_ref().map(|when| (when, last.unwrap_or(keeper.shared.started)));
    let task = |period| Task { splay, when, ..Task::every(period, last) };
    let snapshot = entry.snapshot_period.map(|period| next_possible(&task(period), now, zone, &facts));
    let last = keeper.memory.looked.get(&dataset.guid).copied();
    let look = entry.prune_period.map(|period| next_possible(&Task::every(period, last), now, zone, &facts));
    Due { snapshot, look }
}

fn row(
    keeper: &Keeper<Snap>,
    dataset: &Dataset,
    entry: &Entry,
    notes: &BTreeMap<Guid, DatasetNotes>,
    now: UnixTime,
) -> SnapStatus {
    let notes_on = of(notes, dataset);
    let seen = Assessment::new(dataset, entry, notes_on, now);
    let next = due(keeper, dataset, entry, notes, now).snapshot;
    let releasing = (0..seen.verdicts.len()).filter(|&index| seen.next(index) == Next::Release).count();
    SnapStatus {
        dataset: dataset.name.clone(),
        kind: Some(dataset.kind),
        entry: entry.source.to_string(),
        last: tags::last_scheduled(&entry.rule.prefix, &dataset.snapshots, now),
        next: next.and_then(Possible::next),
        waits: next.and_then(|next| next.waits(&entry.rule.zone)),
        snapshots: count(dataset.snapshots.len()),
        protected: count(dataset.snapshots.iter().filter(|snapshot| snapshot.is_held_by(HOLD_TAG)).count()),
        releasing: count(releasing),
        used: dataset.used,
        used_by_snapshots: dataset.used_by_snapshots,
        paused: notes_on.paused.is_some(),
        silent: seen.silent && !dataset.snapshots.is_empty(),
        braked: seen.brake.map(|brake| brake.plan),
        problems: problems(keeper, dataset, entry),
    }
}

/// What somebody should look at, beside what the row says in fields of its own.
fn problems(keeper: &Keeper<Snap>, dataset: &Dataset, entry: &Entry) -> Vec<String> {
    let mut problems: Vec<String> = keeper.memory.failures.get(&dataset.name).cloned().into_iter().collect();
    problems.extend(entry.hook.iter().filter_map(|hook| keeper.shared.common.failed.borrow().get(&hook.name).cloned()));
    let marked: Vec<&str> = dataset.snapshots.iter().filter(|s| s.deferred).map(|s| s.tag.as_str()).collect();
    if let Some(first) = marked.first() {
        problems.push(format!(
            "{} marked to be destroyed with the last hold, @{first} among them: zam did not do that, and keeps its hold",
            plural(marked.len(), "snapshot is", "snapshots are"),
        ));
    }
    problems
}

/// The row of an entry that covers nothing.
pub fn empty_row(dataset: DatasetName, entry: &Entry, why: String) -> SnapStatus {
    SnapStatus {
        dataset,
        kind: None,
        entry: entry.source.to_string(),
        last: None,
        next: None,
        waits: None,
        snapshots: 0,
        protected: 0,
        releasing: 0,
        used: 0,
        used_by_snapshots: 0,
        paused: false,
        silent: false,
        braked: None,
        problems: if entry.absent_expected { Vec::new() } else { vec![why] },
    }
}

/// The notes on a dataset; none are empty notes.
pub fn of<'a>(notes: &'a BTreeMap<Guid, DatasetNotes>, dataset: &Dataset) -> &'a DatasetNotes {
    static NONE: std::sync::LazyLock<DatasetNotes> = std::sync::LazyLock::new(DatasetNotes::default);
    notes.get(&dataset.guid).unwrap_or(&NONE)
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
