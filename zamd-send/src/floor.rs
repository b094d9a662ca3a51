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

pub struct Floor<'a> {
    shared: &'a Shared<Send>,
    waiting: RefCell<VecDeque<Job>>,
    /// Where lanes are at it, and whether that is there yet.
    active: RefCell<Vec<(RelPath, Rc<Cell<bool>>)>>,
    ends: RefCell<Ends>,
    lost: RefCell<Option<String>>,
}

impl<'a> Floor<'a> {
    pub fn new(shared: &'a Shared<Send>, jobs: Vec<Job>) -> Self {
        let waiting = RefCell::new(jobs.into());
        Self { shared, waiting, active: RefCell::default(), ends: RefCell::default(), lost: RefCell::default() }
    }

    /// Works through what waits, in a session of its own, until nothing does. Gives the session back, for others may need it.
    pub async fn lane(&self, session: Option<Session>, ways: &Ways, place: &Place) -> Option<Lane> {
        let session = match session {
            Some(session) => session,
            None => match Session::open(ways, place).await {
                Ok((session, _)) => session,
                // Fewer lanes do it too; the first one has its session.
                Err(error) => {
                    tracing::info!(%place, %error, "one session less sends there");
                    return None;
                }
            },
        };
        let mut lane = Lane::new(session);
        while let Some(mut job) = self.take().await {
            let until = Instant::now() + SLICE;
            let others = || Instant::now() >= until && !self.waiting.borrow().is_empty();
            let done = lane.work(self.shared, &mut job, others).await;
            self.active.borrow_mut().retain(|(path, _)| *path != job.path);
            match done {
                Ok(true) => self.ends.borrow_mut().push((job.key, Ok(()))),
                Ok(false) => {
                    let why = "for its next turn".to_owned();
                    copies::touch(self.shared, &job.key, |copy| {
                        copy.status.state = CopyState::Waiting { why, until: None };
                    });
                    self.waiting.borrow_mut().push_back(job);
                }
                Err(failure) => {
                    let lost = if let Failure::Lost(why) = &failure { Some(why.clone()) } else { None };
                    self.fail(job, failure);
                    if let Some(why) = lost {
                        *self.lost.borrow_mut() = Some(why);
                        break;
                    }
                }
            }
        }
        Some(lane)
    }

    /// The first that may be sent now; none once nothing waits any more.
    async fn take(&self) -> Option<Job> {
        loop {
            {
                let mut waiting = self.waiting.borrow_mut();
                if waiting.is_empty() {
                    return None;
                }
                let ready = (0..waiting.len()).find(|&nth| !self.must_wait(&waiting, nth));
                if let Some(job) = ready.and_then(|nth| waiting.remove(nth)) {
                    self.active.borrow_mut().push((job.path.clone(), Rc::clone(&job.first)));
                    return Some(job);
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

    /// What is below one that is not there cannot be sent either.
    fn fail(&self, job: Job, failure: Failure) {
        let mut ends = self.ends.borrow_mut();
        if job.first.get() {
            let mut waiting = self.waiting.borrow_mut();
            let below = |other: &Job| other.first.get() && is_below(&other.path, &job.path);
            let (orphans, others): (VecDeque<Job>, VecDeque<Job>) = waiting.drain(..).partition(below);
            *waiting = others;
            let why = format!("waits for {}, which is above it and not there yet", job.dataset.name);
            ends.extend(orphans.into_iter().map(|orphan| (orphan.key, Err(Failure::Here(why.clone())))));
        }
        ends.push((job.key, Err(failure)));
    }

    /// How all ended, and why the sessions did, if they did before that.
    pub fn ends(self, lost: &mut Option<String>) -> Ends {
        *lost = self.lost.into_inner();
        let mut ends = self.ends.into_inner();
        let why = lost.clone().unwrap_or_else(|| "no session was left".to_owned());
        ends.extend(self.waiting.into_inner().into_iter().map(|job| (job.key, Err(Failure::Lost(why.clone())))));
        ends
    }
}
