//! What people asked for and daemons are doing about it: a handler answers with the number of a job at once, the client
//! asks how it goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for its turn, or under way.
    Running,
    /// All that was asked for is done.
    Done,
    /// Something was not; the lines say what.
    Failed,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// Who asked: the peer's uid, as the kernel says it.
    pub owner: u32,
    /// What was asked, for people.
    pub what: String,
    /// How it stands.
    pub state: State,
    /// What there is to say so far.
    pub lines: Vec<String>,
}

/// All places are taken by jobs that still run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} jobs are under way: wait for one of them")]
pub struct Full;

/// The table of jobs: the last 256 of them. A handle; its clones share the table.
#[derive(Clone, Debug)]
pub struct Jobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug)]
struct Table {
    next: u64,
    jobs: VecDeque<Job>,
}

impl Default for Jobs {
    fn default() -> Self {
        // Numbers go on after a restart, so that nobody takes another's job for his own.
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let table = Mutex::new(Table { next: seconds.saturating_mul(1000), jobs: VecDeque::new() });
        Self(Arc::new(Shared { table, changed: Notify::new() }))
    }
}

impl Jobs {
    /// Enters a job.
    ///
    /// # Errors
    /// If as many as the table has places are under way.
    pub fn start(&self, owner: u32, what: impl Into<String>) -> Result<u64, Full> {
        let mut table = self.table();
        if table.jobs.len() >= MOST {
            let ended = table.jobs.iter().position(|job| job.state != State::Running).ok_or(Full)?;
            table.jobs.remove(ended);
        }
        let id = table.next;
        table.next += 1;
        table.jobs.push_back(Job { id, owner, what: what.into(), state: State::Running, lines: Vec::new() });
        Ok(id)
    }

    /// Adds a line to what the job has to say; beyond 1000 they are dropped, and the last one says so.
    pub fn say(&self, id: u64, line: impl Into<String>) {
        self.change(id, |job| match job.lines.len() {
            0..MOST_LINES => job.lines.push(line.into()),
            MOST_LINES => job.lines.push("… and more, in the journal".to_owned()),
            _ => {}
        });
    }

    /// Says how the job ended.
    pub fn finish(&self, id: u64, state: State) {
        self.change(id, |job| job.state = state);
    }

    /// The job, if the table still has it.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Job> {
        self.table().jobs.iter().find(|job| job.id == id).cloned()
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Job> {
        self.table().jobs.iter().cloned().collect()
    }

    /// The job as soon as it has more than `seen` lines or has ended, or after `limit` as it then is.
    pub async fn wait(&self, id: u64, seen: usize, limit: Duration) -> Option<Job> {
        let news = async {
            loop {
                let changed = self.0.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                match self.get(id) {
                    Some(job) if job.state == State::Running && job.lines.len() <= seen => changed.await,
                    found => return found,
                }
            }
        };
        tokio::time::timeout(limit, news).await.unwrap_or_else(|_| self.get(id))
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.table().jobs.iter_mut().find(|job| job.id == id) {
            change(job);
        }
        self.0.changed.notify_waiters();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST: usize = 256;
const MOST_LINES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ended_job_makes_room_and_a_running_one_never_does() {
        let jobs = Jobs::default();
        let first = jobs.start(7, "first").unwrap();
        let second = jobs.start(7, "second").unwrap();
        jobs.finish(second, State::Done);
        for _ in 2..MOST {
            jobs.start(7, "more").unwrap();
        }
        jobs.start(7, "one too many").unwrap();
        assert!(jobs.get(first).is_some() && jobs.get(second).is_none());
        assert_eq!(jobs.start(7, "no room"), Err(Full));
        assert_eq!(jobs.list().len(), MOST);
    }

    #[test]
    fn a_talkative_job_is_cut() {
        let jobs = Jobs::default();
        let id = jobs.start(7, "talk").unwrap();
        (0..5000).for_each(|n| jobs.say(id, n.to_string()));
        let lines = jobs.get(id).unwrap().lines;
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (1001, "… and more, in the journal"));
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn waiting_ends_with_news_or_with_the_limit() {
        let jobs = Jobs::default();
        let id = jobs.start(7, "slow").unwrap();
        assert_eq!(jobs.wait(id, 0, Duration::from_secs(5)).await.unwrap().lines.len(), 0);
        let (news, ()) = tokio::join!(jobs.wait(id, 0, Duration::from_secs(5)), async { jobs.say(id, "half way") });
        assert_eq!(news.unwrap().lines, ["half way"]);
        let (end, ()) = tokio::join!(jobs.wait(id, 1, Duration::from_secs(5)), async { jobs.finish(id, State::Done) });
        assert_eq!(end.unwrap().state, State::Done);
        assert_eq!(jobs.wait(99, 0, Duration::from_secs(5)).await, None);
    }
}
