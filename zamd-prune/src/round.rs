//! One round over a pool: see what has expired, ask again about it, write down what was seen, destroy what may go.

use crate::{Prune, destroy, orders};
use std::{collections::BTreeMap, time::Instant};
use zam_names::{Dataset, DatasetName, Guid, SnapshotName, Target, UnixTime};
use zam_policy::{
    assess::{Assessment, Next},
    config::{Config, Entry},
    notes::DatasetNotes,
    schedule::{Facts, Possible, Task, next_possible},
};
use zam_protocol::{
    Tick,
    prune::{Brake, Grace, PruneStatus},
};
use zam_runtime::{
    clock,
    keeper::{Keeper, Order, Round},
};

/// What the daemon remembers of a pool while it runs.
#[derive(Default)]
pub struct Memory {
    /// When what has expired was last looked for.
    looked: BTreeMap<Guid, UnixTime>,
    /// What last went wrong with a dataset.
    pub failures: BTreeMap<DatasetName, String>,
    /// How many of a dataset's snapshots were destroyed, and when the last.
    pub deaths: BTreeMap<DatasetName, (u64, UnixTime)>,
}

pub async fn round(keeper: &mut Keeper<Prune>, orders: Vec<Order<Prune>>) -> Result<Round<PruneStatus>, String> {
    let now = clock::wall().map_err(|error| format!("the clock cannot be read: {error}"))?;
    let began = Instant::now();
    let orders = orders::note(keeper, orders, now);
    let config = keeper.shared.config().clone();
    let meant: Vec<Guid> = due(keeper, &config, &orders, now);
    let mut tick = None;
    let done = prune(keeper, &config, &meant, &orders, now).await?;
    if !done.gone.is_empty() || !done.failed.is_empty() {
        tick = Some(Tick {
            when: now,
            datasets: count(meant.len()),
            done: count(done.gone.len()),
            atomic: done.failed.is_empty(),
            processes: keeper.processes(),
            milliseconds: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
        });
        keeper.list().await?;
    }
    answer(keeper, orders, &done);
    let notes = keeper.notes();
    let mut rows: Vec<PruneStatus> =
        keeper.managed(&config).map(|(dataset, entry)| row(keeper, dataset, entry, of(&notes, dataset), now)).collect();
    rows.extend(keeper.missing_rows(&config, |entry| keeper.why_missing(entry)));
    Ok(Round { rows, again: again(keeper, &config, now), tick })
}

/// What a round did.
#[derive(Default)]
struct Done {
    gone: Vec<Target>,
    failed: Vec<String>,
    guard: Option<String>,
}

/// The datasets to look at now: those whose period has come, and those that somebody asks for.
fn due(keeper: &Keeper<Prune>, config: &Config, orders: &[Order<Prune>], now: UnixTime) -> Vec<Guid> {
    let is_due = |dataset: &Dataset, entry: &Entry| {
        orders::is_meant(orders, &dataset.name, |_| true)
            || next_look(keeper, dataset, entry, now).is_some_and(|possible| possible.is_now(now))
    };
    keeper.managed(config).filter(|(dataset, entry)| is_due(dataset, entry)).map(|(dataset, _)| dataset.guid).collect()
}

async fn prune(
    keeper: &mut Keeper<Prune>,
    config: &Config,
    meant: &[Guid],
    orders: &[Order<Prune>],
    now: UnixTime,
) -> Result<Done, String> {
    if meant.is_empty() {
        return Ok(Done::default());
    }
    // Whether or not it may be acted on: the next look is a period away.
    keeper.memory.looked.extend(meant.iter().map(|guid| (*guid, now)));
    if let Some(guard) = keeper.guard() {
        return Ok(Done { guard: Some(guard), ..Done::default() });
    }
    // Holds, clones and marks change without a stamp that tells: of all that has expired they are asked again, right before.
    let expired = expired(keeper, config, meant, now);
    keeper.look(expired).await?;
    if !keeper.observe(config, now)? {
        return Ok(Done { guard: keeper.guard(), ..Done::default() });
    }
    if *keeper.shared.config() != *config {
        // A policy that came in the meantime is not acted against: the next round judges by it.
        return Ok(Done::default());
    }
    let notes = keeper.notes();
    let mut targets = Vec::new();
    for (dataset, entry) in keeper.managed(config).filter(|(dataset, _)| meant.contains(&dataset.guid)) {
        let seen = Assessment::new(dataset, entry, of(&notes, dataset), now);
        let skip = orders::is_meant(orders, &dataset.name, |wish| wish.grace == Grace::Skip);
        targets.extend(seen.to_destroy(skip));
    }
    let datasets: Vec<DatasetName> = targets.iter().map(|target| target.name.dataset().clone()).collect();
    for dataset in datasets {
        keeper.memory.failures.remove(&dataset);
    }
    let asked = |target: &Target| {
        let by =
            |order: &&Order<Prune>| orders::is_meant(std::slice::from_ref(*order), target.name.dataset(), |_| true);
        orders.iter().find(by).map(|order| order.uid)
    };
    let (gone, failed) = destroy::destroy(keeper, &targets, now, asked).await?;
    let sources: Vec<DatasetName> = keeper
        .managed(config)
        .filter(|(dataset, entry)| meant.contains(&dataset.guid) && !entry.is_replica())
        .map(|(dataset, _)| dataset.name.clone())
        .collect();
    destroy::surplus_bookmarks(keeper, config, &sources).await?;
    Ok(Done { gone, failed, guard: None })
}

/// The names of all that has expired, vetoed or not.
fn expired(keeper: &Keeper<Prune>, config: &Config, meant: &[Guid], now: UnixTime) -> Vec<SnapshotName> {
    let notes = keeper.notes();
    let mut names = Vec::new();
    for (dataset, entry) in keeper.managed(config).filter(|(dataset, _)| meant.contains(&dataset.guid)) {
        let seen = Assessment::new(dataset, entry, of(&notes, dataset), now);
        let expired = (0..seen.verdicts.len()).filter(|&i| seen.verdicts[i].expired(now));
        names.extend(expired.filter_map(|i| dataset.name_of(&dataset.snapshots[i]).ok()));
    }
    names
}

/// Tells those who asked what became of it.
fn answer(keeper: &Keeper<Prune>, orders: Vec<Order<Prune>>, done: &Done) {
    for order in orders {
        let meant = |target: &&Target| orders::is_meant(std::slice::from_ref(&order), target.name.dataset(), |_| true);
        let gone: Vec<String> =
            done.gone.iter().filter(meant).map(|target| format!("destroyed {}", target.name)).collect();
        keeper.shared.end(
            order.job,
            match &done.guard {
                Some(guard) => Err(format!("nothing is destroyed: {guard}")),
                None if done.failed.is_empty() => Ok(gone),
                None => Err(gone.into_iter().chain(done.failed.iter().cloned()).collect::<Vec<_>>().join("; ")),
            },
        );
    }
}

fn next_look(keeper: &Keeper<Prune>, dataset: &Dataset, entry: &Entry, now: UnixTime) -> Option<Possible> {
    let last = keeper.memory.looked.get(&dataset.guid).copied();
    let task = Task::every(entry.prune_period?, last);
    Some(next_possible(&task, now, entry.rule.zone.calendar(), &Facts::QUIET))
}

fn again(keeper: &Keeper<Prune>, config: &Config, now: UnixTime) -> UnixTime {
    let looks = keeper.managed(config).filter_map(|(dataset, entry)| next_look(keeper, dataset, entry, now));
    looks.filter_map(Possible::at).min().unwrap_or(UnixTime(i64::MAX))
}

fn row(keeper: &Keeper<Prune>, dataset: &Dataset, entry: &Entry, notes: &DatasetNotes, now: UnixTime) -> PruneStatus {
    let seen = Assessment::new(dataset, entry, notes, now);
    let mut row = empty_row(dataset.name.clone(), entry, String::new());
    row.problems = keeper.memory.failures.get(&dataset.name).cloned().into_iter().collect();
    for index in 0..seen.verdicts.len() {
        match seen.next(index) {
            Next::Release => row.held += 1,
            Next::Grace(end) => {
                row.in_grace += 1;
                row.next = row.next.map_or(end, |next| end.map_or(Some(next), |end| Some(next.min(end))));
            }
            Next::Destroy => {
                row.in_grace += 1;
                row.next = Some(now);
            }
            Next::Vetoed(_) => row.vetoed += 1,
            Next::Ignored | Next::Stays => {}
        }
    }
    row.braked = seen.brake.map(|brake| Brake { plan: brake.plan, deaths: brake.unforetold, of: brake.of });
    if let Some((deaths, last)) = keeper.memory.deaths.get(&dataset.name) {
        row.destroyed = *deaths;
        row.last = Some(*last);
    }
    row
}

/// The row of an entry that covers nothing.
pub fn empty_row(dataset: DatasetName, entry: &Entry, why: String) -> PruneStatus {
    let problems = if entry.absent_expected || why.is_empty() { Vec::new() } else { vec![why] };
    PruneStatus {
        dataset,
        held: 0,
        in_grace: 0,
        next: None,
        vetoed: 0,
        braked: None,
        destroyed: 0,
        last: None,
        problems,
    }
}

fn of<'a>(notes: &'a BTreeMap<Guid, DatasetNotes>, dataset: &Dataset) -> &'a DatasetNotes {
    static NONE: std::sync::LazyLock<DatasetNotes> = std::sync::LazyLock::new(DatasetNotes::default);
    notes.get(&dataset.guid).unwrap_or(&NONE)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
