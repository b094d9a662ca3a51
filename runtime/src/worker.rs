//! One worker process per pool. ZFS has calls that never come back (a suspended pool leaves a process in a sleep that not
//! even SIGKILL ends), so they are made by a process that its daemon can abandon.
//!
//! The daemon starts itself again with `worker POOL`; the worker's standard input is a socket on which requests and answers go,
//! each a frame of bincode behind its length. The worker has the daemon's sandbox, and ends with it.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Serialize, de::DeserializeOwned};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, marker::PhantomData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zam_names::PoolName;

mod along;
mod aside;
mod child;
mod frame;
mod helper;

pub use aside::Aside;
pub use child::{end_with_parent, serve, serve_with};
pub use helper::Helper;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The worker cannot be started.
    #[error("cannot start a worker for pool {pool}")]
    Start {
        /// The pool.
        pool: PoolName,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The answer took too long; the worker was killed, or abandoned where that did not help.
    #[error("pool {pool} did not answer within {limit:?}")]
    TimedOut {
        /// The pool.
        pool: PoolName,
        /// The time it had.
        limit: Duration,
    },
    /// The worker ended before it answered. What was asked may have been done or not.
    #[error("the worker for pool {pool} died ({})", status.map_or("it hangs".to_owned(), |status| status.to_string()))]
    Died {
        /// The pool.
        pool: PoolName,
        /// How it ended, if it did.
        status: Option<ExitStatus>,
    },
    /// Abandoned workers hang in ZFS still: no further one is started.
    #[error("pool {pool} has not answered for {for_long:?}: {hanging} workers hang in it")]
    Silent {
        /// The pool.
        pool: PoolName,
        /// How long ago it last answered, or was first asked.
        for_long: Duration,
        /// The abandoned workers that still hang.
        hanging: usize,
    },
    /// A request or answer is too long, or no request or answer at all.
    #[error("cannot talk to the worker for pool {pool}")]
    Garbled {
        /// The pool.
        pool: PoolName,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
}

/// The daemon's side of a pool's worker. It starts the process when first asked, and again after it died.
#[derive(Debug)]
pub struct Worker<Req, Ans> {
    pool: PoolName,
    program: OsString,
    args: Vec<OsString>,
    running: Option<Running>,
    abandoned: Vec<Running>,
    last_heard: Option<Instant>,
    talk: PhantomData<fn(Req) -> Ans>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// The worker and all that it started.
    group: Pid,
    stream: UnixStream,
    /// A question is under way: whoever finds this set knows that its asker went away, and the answer would be taken for another's.
    asked: bool,
}

impl<Req: Serialize, Ans: DeserializeOwned> Worker<Req, Ans> {
    /// A worker that is this program, started with the same arguments and `worker POOL`.
    #[must_use]
    pub fn new(pool: PoolName) -> Self {
        let mut args: Vec<_> = std::env::args_os().skip(1).collect();
        args.extend(["worker".into(), pool.as_str().into()]);
        Self::with_command(pool, "/proc/self/exe".into(), args)
    }

    /// A worker that is another program, for tests.
    #[must_use]
    pub fn with_command(pool: PoolName, program: OsString, args: Vec<OsString>) -> Self {
        Self { pool, program, args, running: None, abandoned: Vec::new(), last_heard: None, talk: PhantomData }
    }

    /// Asks and waits for the answer, at most for `limit`; then the worker is killed and, if it does not die, abandoned.
    /// May be dropped half way: the worker is then replaced at the next question.
    ///
    /// # Errors
    /// If there is no answer; the next question may find a new worker.
    pub async fn ask(&mut self, request: &Req, limit: Duration) -> Result<Ans, WorkerError> {
        let question = frame::encode(request).map_err(|source| self.garbled(source))?;
        self.clear().await;
        let mut worker = match self.running.take() {
            Some(worker) => worker,
            None => self.start()?,
        };
        worker.asked = true;
        let worker = self.running.insert(worker);
        match timeout(limit, converse(&mut worker.stream, &question)).await {
            Ok(Ok(answer)) => {
                let answer = frame::decode(&answer).map_err(|source| self.garbled(source));
                match (&answer, &mut self.running) {
                    (Ok(_), Some(worker)) => worker.asked = false,
                    _ => self.retire().await,
                }
                self.last_heard = Some(Instant::now());
                answer
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.retire().await;
                Err(self.garbled(error))
            }
            Ok(Err(_)) => {
                let status = timeout(PATIENCE, worker.child.wait()).await.ok().and_then(Result::ok);
                self.retire().await;
                Err(WorkerError::Died { pool: self.pool.clone(), status })
            }
            Err(_) => {
                self.retire().await;
                Err(WorkerError::TimedOut { pool: self.pool.clone(), limit })
            }
        }
    }

    /// How many abandoned workers, or programs they started, still hang.
    pub fn hanging(&mut self) -> usize {
        self.abandoned.retain_mut(Running::lives);
        self.abandoned.len()
    }

    /// Lets the worker end: it finishes what it is at, for at most `limit`, and is killed then.
    pub async fn close(mut self, limit: Duration) {
        if let Some(mut worker) = self.running.take() {
            drop(worker.stream.shutdown().await);
            if timeout(limit, worker.child.wait()).await.is_err() {
                worker.kill();
            }
        }
    }

    /// Sees to a worker that died between questions, or whose asker went away.
    async fn clear(&mut self) {
        let Some(worker) = &mut self.running else { return };
        match worker.child.try_wait() {
            Ok(None) if !worker.asked => return,
            Ok(None) => {}
            Ok(Some(status)) => tracing::warn!(pool = %self.pool, %status, "the pool's worker died; starting another"),
            Err(error) => tracing::warn!(pool = %self.pool, %error, "cannot watch the pool's worker; starting another"),
        }
        self.retire().await;
    }

    fn start(&mut self) -> Result<Running, WorkerError> {
        let pool = self.pool.clone();
        let since = *self.last_heard.get_or_insert_with(Instant::now);
        let hanging = self.hanging();
        if hanging > MOST_HANGING {
            return Err(WorkerError::Silent { pool, for_long: since.elapsed(), hanging });
        }
        Running::start(&self.program, &self.args, Stdio::null()).map_err(|source| WorkerError::Start { pool, source })
    }

    /// Kills the worker and what it started; what does not die is abandoned, and counted.
    async fn retire(&mut self) {
        let Some(mut worker) = self.running.take() else { return };
        worker.kill();
        let pid = worker.group.as_raw();
        self.abandoned.push(worker);
        let before = self.abandoned.len();
        // Looking takes a while on a machine with many processes, so it is not done often.
        let mut pause = Duration::from_millis(10);
        let killed = Instant::now();
        while killed.elapsed() < PATIENCE {
            tokio::time::sleep(pause).await;
            if self.hanging() < before {
                return;
            }
            pause *= 3;
        }
        tracing::error!(pool = %self.pool, pid, "a worker hangs in ZFS and cannot be killed: abandoned");
    }

    fn garbled(&self, source: io::Error) -> WorkerError {
        WorkerError::Garbled { pool: self.pool.clone(), source }
    }
}

impl Running {
    fn start(program: &OsString, args: &[OsString], output: Stdio) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| id.try_into().ok()).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { child, group: Pid::from_raw(pid), stream, asked: false })
    }

    fn kill(&mut self) {
        // Gone already is as good.
        let _ = killpg(self.group, Signal::SIGKILL);
    }

    /// Whether any process of the group still runs. Its number is not given to others as long as one is there.
    fn lives(&mut self) -> bool {
        drop(self.child.try_wait());
        killpg(self.group, None).is_ok() && any_runs(self.group)
    }
}

/// Whether a process of the group is more than a corpse that its parent, or an init that does not care, leaves lying.
fn any_runs(group: Pid) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    processes.flatten().filter_map(|process| fs::read_to_string(process.path().join("stat")).ok()).any(|stat| {
        // pid (name) state ppid pgrp …, where the name may have anything in it
        let mut rest = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, _parent, pgrp) = (rest.next(), rest.next(), rest.next());
        pgrp.and_then(|pgrp| pgrp.parse().ok()) == Some(group.as_raw()) && !matches!(state, Some("Z" | "X"))
    })
}

async fn converse(stream: &mut UnixStream, question: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&frame::head(question)?).await?;
    stream.write_all(question).await?;
    let mut head = [0; frame::HEAD];
    stream.read_exact(&mut head).await?;
    let mut answer = vec![0; frame::length(head)?];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A killed process that is not stuck is gone within this.
const PATIENCE: Duration = Duration::from_secs(2);

/// More abandoned workers than this, and no new one is started: each may hold locks and memory in the kernel.
const MOST_HANGING: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Worker<String, String> {
        Worker::with_command("tank".parse().unwrap(), "sleep".into(), vec!["600".into()])
    }

    #[tokio::test(flavor = "current_thread")]
    async fn no_worker_is_started_while_three_hang() {
        let mut worker = sleeper();
        for _ in 0..=MOST_HANGING {
            worker.abandoned.push(Running::start(&worker.program, &worker.args, Stdio::null()).unwrap());
        }
        let error = worker.ask(&String::new(), Duration::from_millis(10)).await.unwrap_err();
        assert!(matches!(error, WorkerError::Silent { hanging: 3, .. }), "{error}");
        // One wakes up and dies at last.
        worker.abandoned[0].kill();
        worker.abandoned[0].child.wait().await.unwrap();
        let error = worker.ask(&String::new(), Duration::from_millis(10)).await.unwrap_err();
        assert!(matches!(error, WorkerError::TimedOut { .. }), "{error}");
        assert_eq!(worker.hanging(), 2);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_be_started_says_so() {
        let mut worker: Worker<String, String> =
            Worker::with_command("tank".parse().unwrap(), "/nonexistent".into(), vec![]);
        let error = worker.ask(&String::new(), Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot start a worker for pool tank");
    }
}
