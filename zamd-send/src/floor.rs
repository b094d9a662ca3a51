//! The datasets that wait for their turn, and the lanes that take them: a slow one keeps one lane, and not for ever.

use crate::{
    Send, copies,
    copies::Key,
    lane::{Failure, Job, Lane, is_below},
    place::{Place, Ways},
    session::Session,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};
use zam_names::RelPath;
use zam_protocol::send::CopyState;
use zam_runtime::keeper::Shared;

/// How long a lane stays with one dataset while others wait.
const SLICE: Duration = Duration::from_secs(60);
/// How often a lane that has nothing to do looks again.
const NAP: Duration = Duration::from_millis(200);

/// How each job ended.
type Ends = Vec<(Key, Result<(), Failure>)>;

/// How many datasets are sent to a place at a time, by all runs there.
#[derive(Default)]
pub struct Slots(Cell<usize>);

/// One of them.
struct Slot(Rc<Slots>);

/// The jobs of a run.
pub struct Floor<'a> {
    shared: &'a Shared<Send>,
    slots: Rc<Slots>,
    /// How many of the slots there are.
    most: usize,
    waiting: RefCell<VecDeque<Job>>,
    /// Where lanes are at it, and whether that is there yet.
    active: RefCell<Vec<(RelPath, Rc<Cell<bool>>)>>,
    ends: RefCell<Ends>,
    lost: RefCell<Option<String>>,
}

impl<'a> Floor<'a> {
    pub fn new(shared: &'a Shared<Send>, slots: Rc<Slots>, most: usize, jobs: Vec<Job>) -> Self {
        let waiting = RefCell::new(jobs.into());
        let (active, ends, lost) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { shared, slots, most, waiting, active, ends, lost }
    }

    /// Works through what waits, in a session of its own, until nothing does. Gives the session back, for others may need it.
    pub async fn lane(&self, session: Option<Session>, ways: &Ways, place: &Place, run: u64) -> Option<Lane> {
        let mut lane = session.map(Lane::new);
        loop {
            let taken = match &mut lane {
                Some(lane) => match lane.session.while_beating(self.take()).await {
                    Ok(taken) => taken,
                    Err(error) => {
                        *self.lost.borrow_mut() = Some(error.to_string());
                        break;
                    }
                },
                None => self.take().await,
            };
            let Some((mut job, _slot)) = taken else { break };
            let lane = match &mut lane {
                Some(lane) => lane,
                // Only now that there is something to be said.
                None => match Session::open(ways, place, run).await {
                    Ok((session, _)) => lane.insert(Lane::new(session)),
                    // Fewer lanes do it too; the first one has its session.
                    Err(error) => {
                        tracing::info!(%place, %error, "one session less sends there");
                        self.give_back(job);
                        break;
                    }
                },
            };
            let until = Instant::now() + SLICE;
            let others = || Instant::now() >= until && !self.waiting.borrow().is_empty();
            match lane.work(self.shared, &mut job, others).await {
                Ok(true) => {
                    self.leave(&job);
                    self.ends.borrow_mut().push((job.key, Ok(())));
                }
                Ok(false) => self.give_back(job),
                Err(failure) => {
                    self.leave(&job);
                    let lost = if let Failure::Lost(why) = &failure { Some(why.clone()) } else { None };
                    self.fail(job, failure);
                    if lost.is_some() {
                        *self.lost.borrow_mut() = lost;
                        break;
                    }
                }
            }
        }
        lane
    }

    /// The first that may be sent now; none once nothing waits any more.
    async fn take(&self) -> Option<(Job, Slot)> {
        loop {
            {
                let mut waiting = self.waiting.borrow_mut();
                if waiting.is_empty() {
                    return None;
                }
                if self.slots.0.get() < self.most {
                    let ready = (0..waiting.len()).find(|&nth| !self.must_wait(&waiting, nth));
                    if let Some(job) = ready.and_then(|nth| waiting.remove(nth)) {
                        self.active.borrow_mut().push((job.path.clone(), Rc::clone(&job.first)));
                        return Some((job, Slot::of(&self.slots)));
                    }
                }
            }
            tokio::time::sleep(NAP).await;
        }
    }

    /// Whether something above it is to come first.
    fn must_wait(&self, waiting: &VecDeque<Job>, nth: usize) -> bool {
        let Some(job) = waiting.get(nth).filter(|job| job.first.get()) else { return false };
        let above = |path: &RelPath, first: &Cell<bool>| first.get() && is_below(&job.path, path);
        waiting.iter().any(|other| above(&other.path, &other.first))
            || self.active.borrow().iter().any(|(path, first)| above(path, first))
    }

    fn leave(&self, job: &Job) {
        self.active.borrow_mut().retain(|(path, _)| *path != job.path);
    }

    fn give_back(&self, job: Job) {
        self.leave(&job);
        let why = "for its next turn".to_owned();
        copies::touch(self.shared, &job.key, |copy| copy.status.state = CopyState::Waiting { why, until: None });
        self.waiting.borrow_mut().push_back(job);
    }

    /// What is below one that is not there cannot be sent either.
    fn fail(&self, job: Job, failure: Failure) {
        let mut ends = self.ends.borrow_mut();
        if job.first.get() {
            let mut waiting = self.waiting.borrow_mut();
            let below = |other: &Job| other.first.get() && is_below(&other.path, &job.path);
            let (orphans, others): (VecDeque<Job>, VecDeque<Job>) = waiting.drain(..).partition(below);
            *waiting = others;
            let why = format!("it waits for {}, which is above it and not there yet", job.dataset.name);
            ends.extend(orphans.into_iter().map(|orphan| (orphan.key, Err(Failure::Here(why.clone())))));
        }
        ends.push((job.key, Err(failure)));
    }

    /// How those ended that did, and why the sessions did, if that was before the end of all.
    pub fn ends(self) -> (Ends, Option<String>) {
        let lost = self.lost.into_inner();
        let left = !self.waiting.into_inner().is_empty();
        (self.ends.into_inner(), lost.or_else(|| left.then(|| "no session was left".to_owned())))
    }
}

impl Slot {
    fn of(slots: &Rc<Slots>) -> Self {
        slots.0.set(slots.0.get() + 1);
        Self(Rc::clone(slots))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}
