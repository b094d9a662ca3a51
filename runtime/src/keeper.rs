//! One pool, kept by one role: a task in the daemon that decides, a worker process that acts. What is common to the roles
//! is here; what a round over the pool does is the role's own.

mod pool;
mod shared;

pub use pool::{Acted, Call, Fresh, Hands, Held, Listing, Reply, chain, serve};
pub use shared::{Errand, Order, PoolView, Shared};

use crate::{clock, worker::Worker};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zam_names::{Dataset, DatasetName, Guid, HoldTag, PoolName, SnapshotName, UnixTime};
use zam_policy::{
    assess::Assessment,
    config::{Config, Entry, Match},
    notes::DatasetNotes,
    tags::{self, Maker},
    when::When,
};
use zam_protocol::{JobId, Row, Tick, Work, WorkerState};

/// A role's decisions.
pub trait Part: Sized + 'static {
    /// What its workers can do.
    type Act: serde::Serialize + serde::de::DeserializeOwned + 'static;
    /// What people may ask of it.
    type Order: 'static;
    /// A row of its status.
    type Row: Row + Clone + 'static;
    /// What it remembers of a pool while the daemon runs.
    type Memory: Default + 'static;
    /// What its pools share while the daemon runs.
    type Common: Default + 'static;

    /// One round over a pool that is there and was just listed. Gives the rows of the status and when to come again.
    fn round(
        keeper: &mut Keeper<Self>,
        orders: Vec<Order<Self>>,
    ) -> impl Future<Output = Result<Round<Self::Row>, String>>;

    /// Whether an entry is this role's business.
    fn concerns(_entry: &Entry) -> bool {
        true
    }

    /// What its scheduled tasks of an entry wait for, if for anything.
    fn when(_entry: &Entry) -> Option<&When> {
        None
    }

    /// The pools that the config gives it to keep.
    fn pools(config: &Config) -> Vec<PoolName> {
        let entries = config.entries.iter().filter(|entry| entry.enabled && Self::concerns(entry));
        let mut pools: Vec<PoolName> = entries.map(|entry| entry.source.pool()).collect();
        pools.sort();
        pools.dedup();
        pools
    }

    /// The row of an entry in this pool that covers nothing, and why.
    fn missing(dataset: DatasetName, entry: &Entry, why: String) -> Self::Row;
}

/// What a round leaves.
pub struct Round<R> {
    /// The status of the pool's datasets, by name.
    pub rows: Vec<R>,
    /// When to come again at the latest.
    pub again: UnixTime,
    /// What the round did, for the pool's status.
    pub tick: Option<Tick>,
}

/// A pool in the hands of a role.
pub struct Keeper<P: Part> {
    /// The pool.
    pub name: PoolName,
    /// What all pools of the daemon share.
    pub shared: Rc<Shared<P>>,
    /// Its datasets as last listed.
    pub datasets: Vec<Dataset>,
    /// What the role remembers of it.
    pub memory: P::Memory,
    worker: Worker<Call<P::Act>, Reply>,
    /// When everything was last asked again.
    refreshed: Option<UnixTime>,
    /// How many processes the worker had started in its life, as of now and as of the start of the round.
    processes: [u32; 2],
}

/// Within how many seconds a clock that is set, or a pool that is imported, is noticed.
const NAP: i64 = 30;
/// How often a pool is listed, so that new datasets are seen, in seconds.
const NEWS: i64 = 600;
/// How often everything is asked again, holds and marks that others changed included, in seconds.
const REFRESH: i64 = 3600;
/// How long notes on a dataset are kept after it was last seen, in seconds.
const FORGET: i64 = 90 * 86_400;
/// How long a worker may take for one answer, plus a share for each snapshot.
const PATIENCE: Duration = Duration::from_secs(120);

impl<P: Part> Keeper<P> {
    /// Takes charge of a pool.
    pub fn new(name: PoolName, shared: Rc<Shared<P>>) -> Self {
        let worker = Worker::new(name.clone());
        let memory = P::Memory::default();
        Self { name, shared, datasets: Vec::new(), memory, worker, refreshed: None, processes: [0; 2] }
    }

    /// Keeps the pool until told to stop: a round when one is due, or when somebody asks for something.
    pub async fn run(mut self, mut errands: mpsc::UnboundedReceiver<Errand<P>>, stop: CancellationToken) {
        let mut waiting = Vec::new();
        while !stop.is_cancelled() {
            while let Ok(errand) = errands.try_recv() {
                take(errand, &mut waiting);
            }
            let again = self.visit(std::mem::take(&mut waiting)).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep_until(again) => {}
                errand = errands.recv() => match errand {
                    Some(errand) => take(errand, &mut waiting),
                    None => break,
                },
            }
        }
        while let Ok(errand) = errands.try_recv() {
            take(errand, &mut waiting);
        }
        for order in waiting {
            self.shared.end(order.job, Err("the daemon stops, or the config no longer speaks of the pool".to_owned()));
        }
    }

    /// Lists the pool and plays a round; what fails is said in the pool's status. Gives when to come again.
    async fn visit(&mut self, orders: Vec<Order<P>>) -> UnixTime {
        let now = clock::wall().unwrap_or(UnixTime(0));
        let later = now.plus(NAP);
        self.processes[1] = self.processes[0];
        let jobs: Vec<JobId> = orders.iter().map(|order| order.job).collect();
        let round = match self.list().await {
            Ok(true) => P::round(self, orders).await,
            Ok(false) => {
                let rows = self.missing_rows(&self.shared.config(), |entry| {
                    let hint = if entry.absent_expected { "" } else { ": `zpool import` brings it back" };
                    format!("pool {} is not imported{hint}", self.name)
                });
                self.fail(&jobs, &format!("pool {} is not imported", self.name));
                self.shared.view(&self.name, |view| {
                    view.worker = WorkerState::Absent;
                    // What went wrong while it went is over with that.
                    view.last_error = None;
                    view.rows = rows;
                });
                self.datasets.clear();
                return later;
            }
            Err(error) => Err(error),
        };
        match round {
            Ok(round) => {
                self.shared.view(&self.name, |view| {
                    view.rows = round.rows;
                    view.last_error = None;
                    view.worker = WorkerState::Idle;
                    view.last_tick = round.tick.or(view.last_tick.take());
                });
                round.again.min(self.news(now))
            }
            Err(error) => {
                tracing::error!(pool = %self.name, error, "the round over the pool failed");
                self.fail(&jobs, &error);
                self.shared.view(&self.name, |view| view.last_error = Some(error));
                later
            }
        }
    }

    /// Lists what changed; false if the pool is not imported. Every hour, everything.
    ///
    /// # Errors
    /// If the pool does not answer, or cannot be listed.
    pub async fn list(&mut self) -> Result<bool, String> {
        let now = clock::wall().map_err(|error| chain(&error))?;
        let stale = self.refreshed.is_none_or(|at| !(0..REFRESH).contains(&now.since(at)));
        let fresh = if stale { Fresh::All } else { Fresh::Changes };
        let prefix = self.shared.config().prefix.clone();
        let listing = self.listing("list the pool", Call::List { prefix, fresh }).await?;
        let Some(_) = listing.pool else {
            self.refreshed = None;
            return Ok(false);
        };
        if stale {
            self.refreshed = Some(now);
        }
        self.datasets = listing.datasets;
        let guard = self.guard();
        self.shared.view(&self.name, |view| {
            view.last_listing = Some(now);
            view.worker = WorkerState::Idle;
            view.guard = guard;
        });
        Ok(true)
    }

    /// Looks again at these snapshots: their holds, clones and marks, or that they are gone.
    ///
    /// # Errors
    /// If the pool does not answer, or cannot be listed.
    pub async fn look(&mut self, names: Vec<SnapshotName>) -> Result<(), String> {
        if names.is_empty() {
            return Ok(());
        }
        let asked: BTreeSet<SnapshotName> = names.iter().cloned().collect();
        let listing = self.listing("look at snapshots", Call::Look(names)).await?;
        for dataset in asked.iter().map(SnapshotName::dataset).collect::<BTreeSet<_>>() {
            let seen = listing.datasets.iter().find(|seen| seen.name == *dataset);
            let some = seen.is_some_and(|seen| {
                seen.snapshots.iter().any(|s| seen.name_of(s).is_ok_and(|name| asked.contains(&name)))
            });
            if !some {
                // Renamed, exported, destroyed: nothing is to be concluded from what is missing.
                self.refreshed = None;
                return Err(format!("{dataset} changed while it was looked at; the next round sees it as it is"));
            }
        }
        for seen in listing.datasets {
            if let Some(known) = self.datasets.iter_mut().find(|known| known.name == seen.name) {
                *known = seen;
            }
        }
        Ok(())
    }

    /// Lets the worker act.
    ///
    /// # Errors
    /// If it does not answer; what was asked may have been done or not.
    pub async fn act(&mut self, what: &str, act: P::Act) -> Result<Acted, String> {
        match self.ask(what, Call::Act(act)).await? {
            Reply::Acted(acted) => Ok(acted),
            _ => Err(format!("the worker of pool {} answered something else: {what}", self.name)),
        }
    }

    /// Takes in that these are held now: a hold leaves no stamp by which a listing would notice it.
    pub fn remember_holds(&mut self, held: &[SnapshotName], tag: &HoldTag) {
        let held: BTreeSet<&SnapshotName> = held.iter().collect();
        for dataset in &mut self.datasets {
            let name = &dataset.name;
            for snapshot in &mut dataset.snapshots {
                let is_held = name.at(&snapshot.tag).is_ok_and(|full| held.contains(&full));
                if is_held && !snapshot.holds.contains(tag) {
                    snapshot.holds.push(tag.clone());
                }
            }
        }
    }

    /// How many processes were started for this pool since the round began, up to the last listing.
    pub fn processes(&self) -> u32 {
        let [now, before] = self.processes;
        // A worker that was replaced counts from nought.
        now.checked_sub(before).unwrap_or(now)
    }

    async fn listing(&mut self, what: &str, call: Call<P::Act>) -> Result<Listing, String> {
        match self.ask(what, call).await? {
            Reply::Listing(listing) => {
                self.processes[0] = listing.processes;
                Ok(listing)
            }
            Reply::Failed(error) => Err(error),
            Reply::Acted(_) => Err(format!("the worker of pool {} answered something else: {what}", self.name)),
        }
    }

    async fn ask(&mut self, what: &str, call: Call<P::Act>) -> Result<Reply, String> {
        let work = Work { what: what.to_owned(), since: clock::wall().unwrap_or(UnixTime(0)) };
        self.shared.view(&self.name, |view| {
            // A pool that is away stays so until it is seen.
            if view.worker != WorkerState::Absent {
                view.worker = WorkerState::Working(work.clone());
            }
        });
        let snapshots: usize = self.datasets.iter().map(|dataset| dataset.snapshots.len()).sum();
        let limit = PATIENCE + Duration::from_millis(20) * u32::try_from(snapshots).unwrap_or(u32::MAX);
        let answer = self.worker.ask(&call, limit).await;
        self.shared.view(&self.name, |view| match &answer {
            Err(_) => view.worker = WorkerState::Stuck(work),
            Ok(_) if view.worker == WorkerState::Absent => {}
            Ok(_) => view.worker = WorkerState::Idle,
        });
        answer.map_err(|error| chain(&error))
    }

    /// Says of those of these jobs that have no end yet that they failed.
    fn fail(&self, jobs: &[JobId], why: &str) {
        for job in jobs {
            self.shared.end(*job, Err(why.to_owned()));
        }
    }

    /// Each dataset that an entry covers, with that entry.
    pub fn managed<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = (&'a Dataset, &'a Entry)> {
        self.datasets.iter().filter_map(|dataset| match config.entry_for(&dataset.name, dataset.kind) {
            Match::Entry(entry) => Some((dataset, entry)),
            _ => None,
        })
    }

    /// Rows for the entries of this pool whose source is not there, each with its reason.
    pub fn missing_rows(&self, config: &Config, why: impl Fn(&Entry) -> String) -> Vec<P::Row> {
        self.missing(config).map(|e| P::missing(e.source.clone(), e, why(e))).collect()
    }

    fn missing<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = &'a Entry> {
        let here = |name: &DatasetName| self.datasets.iter().any(|dataset| dataset.name == *name);
        config.entries.iter().filter(move |entry| {
            entry.enabled && P::concerns(entry) && entry.source.pool() == self.name && !here(&entry.source)
        })
    }

    /// When what is new in the pool is seen at the latest: as soon as an entry whose source is not there would want it.
    fn news(&self, now: UnixTime) -> UnixTime {
        let config = self.shared.config();
        let periods = self.missing(&config).flat_map(|entry| [entry.snapshot_period, entry.prune_period]).flatten();
        now.plus(periods.map(|period| period.approximate_seconds()).min().unwrap_or(NEWS).clamp(1, NEWS))
    }

    /// Why an entry of a pool that is there covers nothing: gone, or known under another name now.
    pub fn why_missing(&self, entry: &Entry) -> String {
        let notes = self.shared.notes();
        let known = notes.get().datasets.iter().find(|(_, notes)| notes.name.as_ref() == Some(&entry.source));
        let renamed = known.and_then(|(guid, _)| self.datasets.iter().find(|dataset| dataset.guid == *guid));
        match renamed {
            Some(now) => format!(
                "it was renamed: write source = \"{}\" in {}:{}, and `zamctl grant --print` shows whether grants must follow",
                now.name, entry.place.file, entry.place.line
            ),
            None => format!("there is no such dataset: see source in {}:{}", entry.place.file, entry.place.line),
        }
    }

    /// Why nothing may die in this pool now, if that is so.
    pub fn guard(&self) -> Option<String> {
        let config = self.shared.config();
        let made = |dataset: &Dataset, snapshot: &zam_names::Snapshot| match tags::maker(&config.prefix, &snapshot.tag)
        {
            Maker::Schedule(date) => Some((date, dataset.name_of(snapshot).ok()?)),
            _ => None,
        };
        // What arrived in streams has a stranger's dates: they say nothing about this clock.
        let own = self.managed(&config).filter(|(_, entry)| !entry.is_replica());
        let newest = own.flat_map(|(d, _)| d.snapshots.iter().filter_map(move |s| made(d, s))).max();
        let newest_date = newest.as_ref().map(|(date, _)| *date);
        let why = self.shared.guard(newest_date)?;
        // Without it there is nothing to say, so it is that one's date.
        let Some((_, name)) = newest.filter(|_| self.shared.guard(None).is_none()) else { return Some(why) };
        Some(format!("{why}, {name}: set the clock, or as root `zfs release zam {name}` and `zfs destroy {name}`"))
    }

    /// Looks at each managed dataset and writes down what must be remembered, before anything is done about it. Nothing is
    /// written, and false comes back, while the clock is not to be trusted.
    ///
    /// # Errors
    /// If the notes cannot be written: then nothing may be done either.
    pub fn observe(&self, config: &Config, now: UnixTime) -> Result<bool, String> {
        if self.guard().is_some() {
            return Ok(false);
        }
        let mut notes = self.shared.notes_mut();
        if !self.datasets.is_empty() {
            // Pools of one name take turns, and a rename can hide a dataset from a listing: notes outlive that.
            let gone = |guid: &Guid, notes: &DatasetNotes| {
                notes.name.as_ref().is_some_and(|name| name.pool() == self.name)
                    && notes.seen.is_some_and(|seen| now.since(seen) > FORGET)
                    && !self.datasets.iter().any(|dataset| dataset.guid == *guid)
            };
            notes.get_mut().datasets.retain(|guid, notes| !gone(guid, notes));
        }
        for (dataset, entry) in self.managed(config) {
            let seen = {
                let old = notes.get().datasets.get(&dataset.guid).cloned().unwrap_or_default();
                let mut seen = Assessment::new(dataset, entry, &old, now).observe();
                seen.name = Some(dataset.name.clone());
                seen
            };
            notes.get_mut().datasets.insert(dataset.guid, seen);
        }
        notes.save().map(|()| true).map_err(|error| chain(&error))
    }

    /// The notes on these datasets, for a look without holding on to the store.
    pub fn notes(&self) -> BTreeMap<Guid, DatasetNotes> {
        let notes = self.shared.notes();
        let noted = |dataset: &Dataset| Some((dataset.guid, notes.get().datasets.get(&dataset.guid)?.clone()));
        self.datasets.iter().filter_map(noted).collect()
    }
}

/// Sleeps until the wall clock shows this instant, or was set back. Wakes now and then to look at it: a timer counts by a
/// clock that nobody sets and that stands still in sleep.
async fn sleep_until(instant: UnixTime) {
    let mut seen = None;
    loop {
        let Ok(now) = clock::wall() else { return tokio::time::sleep(Duration::from_secs(1)).await };
        // Not without any pause, whatever the caller says.
        if seen.is_some_and(|seen| now >= instant || now < seen) {
            return;
        }
        seen = Some(now);
        let nap = instant.since(now).clamp(1, NAP).unsigned_abs();
        // To the second: names are, and so are the ticks that people set.
        tokio::time::sleep(Duration::from_secs(nap).saturating_sub(clock::into_second())).await;
    }
}

fn take<P: Part>(errand: Errand<P>, waiting: &mut Vec<Order<P>>) {
    if let Errand::Order(order) = errand {
        waiting.push(order);
    }
}
