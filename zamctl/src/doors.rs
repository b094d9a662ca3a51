//! The daemons' doors, as calls that wait.

use crate::{
    failure::{Failure, Kind},
    forecast::Remembered,
    session::Session,
};
use std::{collections::BTreeMap, future::Future, path::PathBuf, time::Duration};
use tokio::runtime::Runtime;
use zam_names::{DatasetName, UnixTime};
use zam_policy::{alarm::Alarm, notes::DatasetNotes};
use zam_protocol::{
    Door, Hello, JobId, JobState, PoolStatus, Role,
    client::{self, CallError, ConnectError},
    prune::{PruneClient, PruneStatus},
    recv::{RecvClient, RecvStatus},
    send::{PlannedCopy, SendClient, SendStatus},
    snap::{SnapClient, SnapStatus},
    watch::{WatchClient, WatchStatus},
};

/// The way to the daemons.
pub struct Doors {
    runtime: Runtime,
    folder: PathBuf,
}

/// What a daemon says of itself and of its datasets.
pub struct Report<Row> {
    /// Who serves.
    pub hello: Hello,
    /// Its datasets, by name.
    pub rows: BTreeMap<DatasetName, Row>,
    /// Its pools.
    pub pools: Vec<PoolStatus>,
}

/// How often a job is asked how it goes.
const BEAT: Duration = Duration::from_millis(150);

/// Asks a daemon for everything that `status` shows. The services have these methods, and no trait in common.
macro_rules! report {
    ($client:ident) => {{
        let hello = client::call($client.hello(client::soon())).await?;
        let pools = client::call($client.pools(client::soon())).await?;
        let (mut rows, mut after) = (BTreeMap::new(), None);
        loop {
            let page = client::call($client.status(client::soon(), after)).await?;
            rows.extend(page.rows.into_iter().map(|row| (row.dataset.clone(), row)));
            after = page.next;
            if after.is_none() {
                break Ok(Report { hello, rows, pools });
            }
        }
    }};
}

impl Doors {
    /// Knocks at nothing yet.
    ///
    /// # Errors
    /// If the system gives no event queue.
    pub fn new(session: &Session) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::new(Kind::Failed, "cannot wait for sockets").because(Some(&error)))?;
        Ok(Self { runtime, folder: session.globals.runtime_dir.clone() })
    }

    /// Waits for an answer.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// Connects to zamd-snap.
    ///
    /// # Errors
    /// If nobody answers there, or not to this user.
    pub fn snap(&self, door: Door) -> Result<SnapClient, ConnectError> {
        self.wait(client::connect_snap(&Role::Snap.socket(&self.folder, door)))
    }

    /// Connects to zamd-prune.
    ///
    /// # Errors
    /// If nobody answers there, or not to this user.
    pub fn prune(&self, door: Door) -> Result<PruneClient, ConnectError> {
        self.wait(client::connect_prune(&Role::Prune.socket(&self.folder, door)))
    }

    /// Connects to zamd-send.
    ///
    /// # Errors
    /// If nobody answers there, or not to this user.
    pub fn send(&self, door: Door) -> Result<SendClient, ConnectError> {
        self.wait(client::connect_send(&Role::Send.socket(&self.folder, door)))
    }

    /// Connects to zamd-recv.
    ///
    /// # Errors
    /// If nobody answers there, or not to this user.
    pub fn recv(&self, door: Door) -> Result<RecvClient, ConnectError> {
        self.wait(client::connect_recv(&Role::Recv.socket(&self.folder, door)))
    }

    /// What zamd-snap says.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn snap_report(&self) -> Result<Report<SnapStatus>, Failure> {
        let client = self.snap(Door::Status)?;
        self.wait(async { report!(client) })
    }

    /// What zamd-prune says.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn prune_report(&self) -> Result<Report<PruneStatus>, Failure> {
        let client = self.prune(Door::Status)?;
        self.wait(async { report!(client) })
    }

    /// What zamd-send says.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn send_report(&self) -> Result<Report<SendStatus>, Failure> {
        let client = self.send(Door::Status)?;
        self.wait(async { report!(client) })
    }

    /// What zamd-recv says.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn recv_report(&self) -> Result<Report<RecvStatus>, Failure> {
        let client = self.recv(Door::Status)?;
        self.wait(async { report!(client) })
    }

    /// Connects to zamd-watch.
    ///
    /// # Errors
    /// If nobody answers there, or not to this user.
    pub fn watch(&self, door: Door) -> Result<WatchClient, ConnectError> {
        self.wait(client::connect_watch(&Role::Watch.socket(&self.folder, door)))
    }

    /// What zamd-watch says.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn watch_report(&self) -> Result<Report<WatchStatus>, Failure> {
        let client = self.watch(Door::Status)?;
        self.wait(async { report!(client) })
    }

    /// All alarms.
    ///
    /// # Errors
    /// If zamd-watch does not answer.
    pub fn alarms(&self) -> Result<Vec<Alarm>, Failure> {
        let client = self.watch(Door::Status)?;
        self.wait(async {
            let mut alarms: Vec<Alarm> = Vec::new();
            loop {
                let skip = u32::try_from(alarms.len()).unwrap_or(u32::MAX);
                let page = client::call(client.alarms(client::soon(), skip)).await?;
                alarms.extend(page.alarms);
                if !page.more {
                    break Ok(alarms);
                }
            }
        })
    }

    /// Says for everybody that the alarms are known. Gives of how many that is news.
    ///
    /// # Errors
    /// If zamd-watch does not answer, or this user may not.
    pub fn acknowledge(&self) -> Result<u32, Failure> {
        let client = self.watch(Door::Control)?;
        Ok(self.wait(client::act(client.acknowledge(client::soon())))?)
    }

    /// What those say of themselves who answer.
    #[must_use]
    pub fn hellos(&self) -> Vec<Hello> {
        macro_rules! hello {
            ($client:expr) => {
                $client.ok().and_then(|client| self.wait(client::call(client.hello(client::soon()))).ok())
            };
        }
        let both = [hello!(self.snap(Door::Status)), hello!(self.prune(Door::Status))];
        let copying = [hello!(self.send(Door::Status)), hello!(self.recv(Door::Status))];
        let all = both.into_iter().chain(copying).chain([hello!(self.watch(Door::Status))]);
        all.flatten().collect()
    }

    /// Asks how a job of zamd-snap goes until it is over, and gives its lines.
    ///
    /// # Errors
    /// If it fails, or the daemon goes away.
    pub fn follow_snap(&self, client: &SnapClient, id: JobId) -> Result<Vec<String>, Failure> {
        self.follow(Role::Snap, || client::act(client.job(client::soon(), id)))
    }

    /// The same with a job of zamd-prune.
    ///
    /// # Errors
    /// If it fails, or the daemon goes away.
    pub fn follow_prune(&self, client: &PruneClient, id: JobId) -> Result<Vec<String>, Failure> {
        self.follow(Role::Prune, || client::act(client.job(client::soon(), id)))
    }

    /// Asks how a job of zamd-send goes until it is over, and gives its lines; `watch` is called at each beat.
    ///
    /// # Errors
    /// If it fails, or the daemon goes away.
    pub fn follow_send(
        &self,
        client: &SendClient,
        id: JobId,
        watch: impl AsyncFnMut(),
    ) -> Result<Vec<String>, Failure> {
        self.follow_and(Role::Send, || client::act(client.job(client::soon(), id)), watch)
    }

    fn follow<F>(&self, role: Role, ask: impl Fn() -> F) -> Result<Vec<String>, Failure>
    where
        F: Future<Output = Result<JobState, CallError>>,
    {
        self.follow_and(role, ask, async || ())
    }

    fn follow_and<F>(
        &self,
        role: Role,
        ask: impl Fn() -> F,
        mut watch: impl AsyncFnMut(),
    ) -> Result<Vec<String>, Failure>
    where
        F: Future<Output = Result<JobState, CallError>>,
    {
        self.wait(async {
            loop {
                match ask().await? {
                    JobState::Waiting | JobState::Running => {
                        watch().await;
                        tokio::time::sleep(BEAT).await;
                    }
                    JobState::Done { lines } => return Ok(lines),
                    JobState::Failed { why, lines } => {
                        let mut failure = Failure::new(Kind::Failed, format!("{role}: {why}"));
                        failure.done = lines;
                        return Err(failure);
                    }
                }
            }
        })
    }
}

/// What zamd-send knows of the copies of single datasets, if it answers.
pub struct Copies {
    doors: Doors,
    send: Option<SendClient>,
}

impl Copies {
    /// Knocks at its status door.
    ///
    /// # Errors
    /// If the system gives no event queue.
    pub fn open(session: &Session) -> Result<Self, Failure> {
        let doors = Doors::new(session)?;
        let send = doors.send(Door::Status).ok();
        Ok(Self { doors, send })
    }

    /// What an answer lacks where it does not answer.
    #[must_use]
    pub fn lack(&self) -> Option<&'static str> {
        match self.send {
            Some(_) => None,
            None => Some("Without what is to be sent, since zamd-send does not answer"),
        }
    }

    /// What it would send of a dataset now; none if it does not say.
    #[must_use]
    pub fn plan(&self, dataset: &DatasetName) -> Option<Vec<PlannedCopy>> {
        let client = self.send.as_ref()?;
        self.doors.wait(client::act(client.plan(client::soon(), dataset.clone()))).ok()
    }

    /// How the copies of a dataset stand; none if it does not say.
    #[must_use]
    pub fn status(&self, dataset: &DatasetName) -> Option<SendStatus> {
        let client = self.send.as_ref()?;
        let mut after = None;
        loop {
            let page = self.doors.wait(client::call(client.status(client::soon(), after))).ok()?;
            if let Some(row) = page.rows.into_iter().find(|row| row.dataset == *dataset) {
                return Some(row);
            }
            after = Some(page.next?);
        }
    }
}

/// The notes of both keys, as far as they answer.
pub struct Notes {
    doors: Doors,
    snap: Option<SnapClient>,
    prune: Option<PruneClient>,
    /// When this program began to look.
    now: UnixTime,
}

impl Notes {
    /// Knocks at both status doors.
    ///
    /// # Errors
    /// If the system gives no event queue.
    pub fn open(session: &Session) -> Result<Self, Failure> {
        let doors = Doors::new(session)?;
        let (snap, prune) = (doors.snap(Door::Status).ok(), doors.prune(Door::Status).ok());
        Ok(Self { doors, snap, prune, now: session.now })
    }

    /// What they remember of a dataset.
    #[must_use]
    pub fn of(&self, dataset: &DatasetName) -> Remembered {
        let read = |text: Option<String>| -> Option<DatasetNotes> {
            let notes: DatasetNotes = serde_json::from_str(&text?).ok()?;
            Some(notes.as_of(self.now))
        };
        let snap = self.snap.as_ref().and_then(|client| {
            self.doors.wait(client::call(client.notes(client::soon(), dataset.clone()))).ok().and_then(read)
        });
        let prune = self.prune.as_ref().and_then(|client| {
            self.doors.wait(client::call(client.notes(client::soon(), dataset.clone()))).ok().and_then(read)
        });
        Remembered { snap, prune }
    }

    /// What an answer lacks where a daemon does not answer.
    #[must_use]
    pub fn lack(&self) -> Option<&'static str> {
        match (&self.snap, &self.prune) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => {
                Some("Without zamd-snap's notes, since it does not answer: what was asked for by hand may be missing")
            }
            (Some(_), None) => Some(
                "Without zamd-prune's notes, since it does not answer: graces count from now, brakes may be missing",
            ),
            (None, None) => Some(
                "Without the daemons' notes, since neither answers: graces count from now, brakes and what was asked for by \
                 hand may be missing",
            ),
        }
    }
}
