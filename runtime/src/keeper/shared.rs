//! What all pools of a daemon share, and its doors read.

use super::{Part, chain};
use crate::{
    Role,
    args::Args,
    clock::{self, Clock},
    config::Live,
    jobs::{Jobs, State},
    machine::Machine,
    notes_store::{Origin, Store},
};
use std::{
    cell::{Ref, RefCell, RefMut},
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tokio::sync::mpsc;
use zam_names::{DatasetName, Guid, Kind, PoolName, UnixTime};
use zam_policy::{
    config::{Config, Entry, Match},
    notes::{DatasetNotes, Notes, PlanId},
};
use zam_protocol::{ConfigState, Hello, JobId, JobState, Page, PoolStatus, Reach, Refused, Row, Tick, WorkerState};

/// Something that somebody asked of a pool.
pub struct Order<P: Part> {
    /// The job that tells what became of it.
    pub job: JobId,
    /// Who asked, as the kernel says.
    pub uid: u32,
    /// What.
    pub what: P::Order,
}

/// A job under way.
#[derive(Default)]
struct Open {
    /// How many pools are at it.
    parts: usize,
    /// Why it failed in some.
    failures: Vec<String>,
}

/// What wakes a pool.
pub enum Errand<P: Part> {
    /// Somebody asked for something.
    Order(Order<P>),
    /// Something changed, such as the config: look again.
    Look,
}

/// How a pool stands.
pub struct PoolView<R> {
    /// What its worker does.
    pub worker: WorkerState,
    /// When it was last listed.
    pub last_listing: Option<UnixTime>,
    /// What last went wrong, until something goes well.
    pub last_error: Option<String>,
    /// Why nothing may die in it now.
    pub guard: Option<String>,
    /// What the last round with something to do did.
    pub last_tick: Option<Tick>,
    /// Its datasets' rows of the status.
    pub rows: Vec<R>,
}

/// A daemon's state. It lives on one thread; nobody holds a borrow across an await.
pub struct Shared<P: Part> {
    role: Role,
    file: PathBuf,
    /// Where the role keeps its own files.
    pub folder: PathBuf,
    /// Where the roles' sockets are.
    pub runtime_dir: PathBuf,
    live: RefCell<Live>,
    config: RefCell<ConfigState>,
    notes: RefCell<Store<Notes>>,
    clock: RefCell<Clock>,
    lost_notes: Option<String>,
    /// The machine's name, which spreads the starts of many machines.
    pub host: String,
    /// What the role's pools share.
    pub common: P::Common,
    /// When the daemon started.
    pub started: UnixTime,
    /// What it knows of the machine.
    pub machine: RefCell<Machine>,
    /// Who asked for what.
    jobs: Jobs,
    open: RefCell<BTreeMap<JobId, Open>>,
    pools: RefCell<BTreeMap<PoolName, PoolView<P::Row>>>,
    orders: RefCell<BTreeMap<PoolName, mpsc::UnboundedSender<Errand<P>>>>,
}

impl<P: Part> Shared<P> {
    /// Opens the notes and starts the clock.
    ///
    /// # Errors
    /// If the notes cannot be kept, or there is no clock.
    pub fn new(role: Role, args: &Args, live: Live) -> Result<Self, String> {
        let notes: Store<Notes> = Store::open(&args.state_dir, role, "notes").map_err(|error| chain(&error))?;
        let lost_notes = match notes.origin() {
            Origin::Lost(aside) => {
                Some(format!("the notes could not be read and begin anew; what is left stands in {}", aside.display()))
            }
            _ => None,
        };
        let clock = Clock::start(live.config().clock).map_err(|error| chain(&error))?;
        let started = clock::wall().map_err(|error| chain(&error))?;
        let config = ConfigState { file: args.config.display().to_string(), loaded: started, problem: None };
        Ok(Self {
            role,
            file: args.config.clone(),
            folder: args.state_dir.join(role.folder()),
            runtime_dir: args.runtime_dir.clone(),
            live: RefCell::new(live),
            config: RefCell::new(config),
            notes: RefCell::new(notes),
            clock: RefCell::new(clock),
            lost_notes,
            host: nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            common: P::Common::default(),
            started,
            // Tests have a machine of their own.
            machine: RefCell::new(Machine::new(
                args.simulate.as_ref().and_then(|_| std::env::var_os("ZAM_TEST_FACTS")).map(Into::into),
            )),
            jobs: Jobs::default(),
            open: RefCell::default(),
            pools: RefCell::default(),
            orders: RefCell::default(),
        })
    }

    /// The config in force.
    pub fn config(&self) -> Ref<'_, Config> {
        Ref::map(self.live.borrow(), Live::config)
    }

    /// The file that the config was read from.
    pub fn config_file(&self) -> &Path {
        &self.file
    }

    /// The notes.
    pub fn notes(&self) -> Ref<'_, Store<Notes>> {
        self.notes.borrow()
    }

    /// The notes, to be changed and saved.
    pub fn notes_mut(&self) -> RefMut<'_, Store<Notes>> {
        self.notes.borrow_mut()
    }

    /// Changes the notes on one dataset, and writes them down.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn note(&self, dataset: Guid, change: impl FnOnce(&mut DatasetNotes)) -> Result<(), String> {
        let mut notes = self.notes_mut();
        change(notes.get_mut().datasets.entry(dataset).or_default());
        notes.save().map_err(|error| chain(&error))
    }

    /// Why nothing may die now, if that is so.
    pub fn guard(&self, newest: Option<UnixTime>) -> Option<String> {
        match self.clock.borrow_mut().facts() {
            Ok(facts) => clock::verdict(&facts, newest).map(str::to_owned),
            Err(error) => Some(format!("the clock cannot be read: {error}")),
        }
    }

    /// Reads the config again. A bad one is refused, said, and the old one stays.
    pub fn reload(&self) -> Result<(), String> {
        let reloaded = self.live.borrow_mut().reload().map_err(|error| chain(&error));
        let mut config = self.config.borrow_mut();
        match &reloaded {
            Ok(()) => {
                config.loaded = clock::wall().unwrap_or(config.loaded);
                config.problem = None;
                let trust = self.live.borrow().config().clock;
                self.clock.borrow_mut().set_trust(trust);
                self.machine.borrow_mut().look();
                tracing::info!("reloaded {}", self.file.display());
            }
            Err(error) => {
                tracing::error!(
                    "{} is not good and was not taken; the old config stays:\n{error}",
                    self.file.display()
                );
                config.problem = Some(error.clone());
            }
        }
        reloaded
    }

    /// Enters a pool; what is sent to it arrives at the receiver.
    pub fn enter(&self, pool: PoolName) -> mpsc::UnboundedReceiver<Errand<P>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let worker = WorkerState::Idle;
        let view =
            PoolView { worker, last_listing: None, last_error: None, guard: None, last_tick: None, rows: Vec::new() };
        self.pools.borrow_mut().insert(pool.clone(), view);
        self.orders.borrow_mut().insert(pool, sender);
        receiver
    }

    /// Forgets a pool that the config speaks of no more.
    pub fn leave(&self, pool: &PoolName) {
        self.pools.borrow_mut().remove(pool);
        self.orders.borrow_mut().remove(pool);
    }

    /// Changes how a pool stands.
    pub fn view(&self, pool: &PoolName, change: impl FnOnce(&mut PoolView<P::Row>)) {
        if let Some(view) = self.pools.borrow_mut().get_mut(pool) {
            change(view);
        }
    }

    /// Lets a pool look again.
    pub fn wake(&self, pool: &PoolName) {
        if let Some(sender) = self.orders.borrow().get(pool) {
            // A task that is gone needs no waking.
            let _ = sender.send(Errand::Look);
        }
    }

    /// Lets all look again.
    pub fn wake_all(&self) {
        for sender in self.orders.borrow().values() {
            let _ = sender.send(Errand::Look);
        }
    }

    /// Hands an order to the pool that it is about.
    ///
    /// # Errors
    /// If no entry speaks of that pool, or too many jobs are under way.
    pub fn order(&self, pool: &PoolName, uid: u32, title: String, what: P::Order) -> Result<JobId, Refused> {
        let full = |_| Refused::Busy { what: self.role.to_string(), why: "too many jobs are under way".to_owned() };
        let orders = self.orders.borrow();
        let sender = orders.get(pool).ok_or_else(|| Refused::NotManaged { dataset: pool.clone().into() })?;
        let job = JobId(self.jobs.start(uid, title).map_err(full)?);
        self.send(sender, job, uid, what);
        Ok(job)
    }

    /// Hands an order to every pool, as one job that ends when the last of them has done it.
    ///
    /// # Errors
    /// If there is no pool, or too many jobs are under way.
    pub fn order_all(&self, uid: u32, title: &str, what: impl Fn() -> P::Order) -> Result<JobId, Refused> {
        let orders = self.orders.borrow();
        if orders.is_empty() {
            let why = "the config has no enabled entry".to_owned();
            return Err(Refused::Invalid { what: title.to_owned(), why });
        }
        let full = |_| Refused::Busy { what: self.role.to_string(), why: "too many jobs are under way".to_owned() };
        let job = JobId(self.jobs.start(uid, title).map_err(full)?);
        for sender in orders.values() {
            self.send(sender, job, uid, what());
        }
        Ok(job)
    }

    /// Gives an order back to its pool, which is not done with it.
    pub fn go_on(&self, pool: &PoolName, order: Order<P>) {
        let job = order.job;
        let sent = self.orders.borrow().get(pool).is_some_and(|sender| sender.send(Errand::Order(order)).is_ok());
        if !sent {
            self.end(job, Err("the pool is no longer configured".to_owned()));
        }
    }

    fn send(&self, sender: &mpsc::UnboundedSender<Errand<P>>, job: JobId, uid: u32, what: P::Order) {
        self.open.borrow_mut().entry(job).or_default().parts += 1;
        if sender.send(Errand::Order(Order { job, uid, what })).is_err() {
            self.end(job, Err("the pool is no longer configured".to_owned()));
        }
    }

    /// Says what became of a job in one pool; with its last pool the job ends. Nothing happens to one that has ended.
    pub fn end(&self, job: JobId, done: Result<Vec<String>, String>) {
        let mut open = self.open.borrow_mut();
        let Some(state) = open.get_mut(&job) else { return };
        state.parts = state.parts.saturating_sub(1);
        match done {
            Ok(lines) => lines.into_iter().for_each(|line| self.jobs.say(job.0, line)),
            Err(why) => state.failures.push(why),
        }
        if state.parts > 0 {
            return;
        }
        let failures = std::mem::take(&mut state.failures);
        open.remove(&job);
        if failures.is_empty() {
            return self.jobs.finish(job.0, State::Done);
        }
        self.jobs.say(job.0, failures.join("; "));
        self.jobs.finish(job.0, State::Failed);
    }

    /// Whether an entry covers this dataset as the config stands; a name alone, since it may be either kind.
    ///
    /// # Errors
    /// If none does.
    pub fn covered(&self, dataset: &DatasetName) -> Result<(), Refused> {
        let config = self.config();
        let covers = |kind| matches!(config.entry_for(dataset, kind), Match::Entry(_));
        if covers(zam_names::Kind::Filesystem) || covers(zam_names::Kind::Volume) {
            return Ok(());
        }
        Err(Refused::NotManaged { dataset: dataset.clone() })
    }

    /// The same; with what is below it, an entry for something below will do.
    ///
    /// # Errors
    /// If none does.
    pub fn covered_or_below(&self, dataset: &DatasetName, reach: Reach) -> Result<(), Refused> {
        let below = |entry: &Entry| entry.enabled && entry.source.below(dataset).is_some();
        if reach == Reach::Below && self.config().entries.iter().any(below) {
            return Ok(());
        }
        self.covered(dataset)
    }

    /// How far a job is.
    ///
    /// # Errors
    /// If it is not known, or no longer.
    pub fn job(&self, id: JobId) -> Result<JobState, Refused> {
        let gone = || Refused::NotFound { name: format!("job {id}"), why: "the daemon keeps the last ones".to_owned() };
        let mut job = self.jobs.get(id.0).ok_or_else(gone)?;
        Ok(match job.state {
            State::Running if job.lines.is_empty() => JobState::Waiting,
            State::Running => JobState::Running,
            State::Done => JobState::done(job.lines),
            State::Failed => {
                let why = job.lines.pop().unwrap_or_default();
                JobState::failed(why, job.lines)
            }
        })
    }

    /// Who serves.
    pub fn hello(&self, role: zam_protocol::Role) -> Hello {
        let mut guards: Vec<String> = self.pools.borrow().values().filter_map(|view| view.guard.clone()).collect();
        guards.extend(self.guard(None));
        guards.sort();
        guards.dedup();
        let clock = guards.into_iter().map(|why| format!("nothing is released or destroyed: {why}"));
        Hello {
            role,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            minor: zam_protocol::preface::MINOR,
            pid: std::process::id(),
            started: self.started,
            config: self.config.borrow().clone(),
            problems: self.lost_notes.iter().cloned().chain(clock).collect(),
        }
    }

    /// The status, a page of it.
    pub fn page(&self, after: Option<&DatasetName>) -> Page<P::Row> {
        Page::of(self.rows(), after)
    }

    /// All of it, by name.
    pub fn rows(&self) -> Vec<P::Row> {
        let pools = self.pools.borrow();
        let mut rows: Vec<P::Row> = pools.values().flat_map(|view| view.rows.iter().cloned()).collect();
        rows.sort_by(|a, b| a.dataset().cmp(b.dataset()));
        rows
    }

    /// How the pools stand.
    pub fn pools(&self) -> Vec<PoolStatus> {
        let status = |(name, view): (&PoolName, &PoolView<P::Row>)| PoolStatus {
            name: name.clone(),
            worker: view.worker.clone(),
            last_listing: view.last_listing,
            last_error: view.last_error.clone(),
            last_tick: view.last_tick.clone(),
        };
        self.pools.borrow().iter().map(status).collect()
    }

    /// What is remembered of a dataset, as JSON.
    pub fn notes_on(&self, dataset: &DatasetName) -> Option<String> {
        let notes = self.notes();
        let noted = notes.get().datasets.values().find(|notes| notes.name.as_ref() == Some(dataset))?;
        serde_json::to_string(noted).ok()
    }

    /// The datasets, by GUID, on which the brake of this plan is on.
    pub fn braked(&self, plan: zam_protocol::PlanId) -> Vec<Guid> {
        let config = self.config();
        let waits = |notes: &DatasetNotes| {
            let Some(name) = &notes.name else { return false };
            let kinds = [Kind::Filesystem, Kind::Volume].map(|kind| config.entry_for(name, kind));
            let entries = kinds.into_iter().filter_map(Match::entry).map(|entry| &entry.rule);
            let accepted = notes.accepted.as_ref();
            let mut entries = entries;
            entries.any(|rule| accepted != Some(rule) && PlanId::of_change(accepted, rule) == plan)
        };
        self.notes().get().datasets.iter().filter(|(_, notes)| waits(notes)).map(|(guid, _)| *guid).collect()
    }

    /// Approves a change of rule wherever it waits, and writes that down.
    ///
    /// # Errors
    /// If it waits nowhere, or cannot be written down.
    pub fn approve(&self, waiting: &[Guid], plan: zam_protocol::PlanId) -> Result<(), Refused> {
        if waiting.is_empty() {
            let why = "no brake of that plan is on".to_owned();
            return Err(Refused::NotFound { name: format!("plan {plan}"), why });
        }
        let mut notes = self.notes_mut();
        for guid in waiting {
            notes.get_mut().datasets.entry(*guid).or_default().approved = Some(plan);
        }
        let failed = |error| Refused::Failed { what: "writing the notes".to_owned(), why: chain(&error) };
        notes.save().map_err(failed)
    }
}
