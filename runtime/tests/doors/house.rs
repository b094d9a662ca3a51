//! A daemon's door with a dummy behind it, and what the tests knock with.

use std::{
    cell::{Cell, RefCell},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tarpc::context::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use zam_names::{DatasetName, SnapshotName, Target, UnixTime};
use zam_protocol::{
    ConfigState, Door, EndOrder, Hello, JobId, JobState, Page, Peer, PlanId, PoolStatus, Refused, Role, client,
    preface::Preface,
    snap::{KeepOrder, Snap, SnapStatus, SnapshotOrder, UnholdOrder},
};
use zam_runtime::doors::{Doorkeeper, People, Refusal};

/// What happened behind the door.
#[derive(Clone, Default)]
pub struct Seen {
    /// Requests that act and came through.
    pub acted: Rc<RefCell<Vec<(&'static str, u32)>>>,
    /// Requests that were refused.
    pub refused: Rc<RefCell<Vec<Refusal>>>,
    /// Long calls that began, and that came to their end.
    pub long_calls: Rc<Cell<(u32, u32)>>,
}

/// Serves zamd-snap's requests without doing anything.
#[derive(Clone)]
pub struct Dummy {
    peer: Peer,
    seen: Seen,
}

/// Jobs that have an odd answer.
pub mod odd_job {
    use zam_protocol::JobId;
    /// Takes a third of a second.
    pub const LONG: JobId = JobId(1);
    /// Is a bug.
    pub const PANIC: JobId = JobId(2);
    /// Has an answer longer than a frame may be.
    pub const FAT: JobId = JobId(3);
    /// Never ends.
    pub const ENDLESS: JobId = JobId(4);
    /// Has an answer nearly as long as a frame may be.
    pub const HEAVY: JobId = JobId(5);
}

impl Dummy {
    fn act(&self, what: &'static str) -> Result<JobId, Refused> {
        self.seen.acted.borrow_mut().push((what, self.peer.uid));
        Ok(JobId(0))
    }
}

impl Snap for Dummy {
    async fn hello(self, _: Context) -> Hello {
        let config = ConfigState { file: String::new(), loaded: UnixTime(0), problem: None };
        let (build, started) = ("dummy".into(), UnixTime(0));
        Hello { role: Role::Snap, build, minor: 0, pid: 0, started, config, problems: vec![] }
    }
    async fn status(self, _: Context, _: Option<DatasetName>) -> Page<SnapStatus> {
        Page { rows: vec![], next: None }
    }
    async fn pools(self, _: Context) -> Vec<PoolStatus> {
        vec![]
    }
    async fn job(self, _: Context, id: JobId) -> Result<JobState, Refused> {
        let (begun, ended) = self.seen.long_calls.get();
        match id {
            odd_job::LONG => {
                self.seen.long_calls.set((begun + 1, ended));
                sleep(Duration::from_millis(300)).await;
                self.seen.long_calls.set((begun + 1, ended + 1));
            }
            odd_job::PANIC => panic!("a bug, on purpose"),
            odd_job::FAT => return Ok(JobState::Done { lines: vec!["x".repeat(300_000)] }),
            odd_job::HEAVY => return Ok(JobState::Done { lines: vec!["x".repeat(250_000)] }),
            odd_job::ENDLESS => {
                self.seen.long_calls.set((begun + 1, ended));
                std::future::pending().await
            }
            _ => {}
        }
        Ok(JobState::Waiting)
    }
    async fn snapshot(self, _: Context, _: SnapshotOrder) -> Result<JobId, Refused> {
        self.act("snapshot")
    }
    async fn keep(self, _: Context, _: KeepOrder) -> Result<JobId, Refused> {
        self.act("keep")
    }
    async fn unkeep(self, _: Context, _: SnapshotName) -> Result<JobId, Refused> {
        self.act("unkeep")
    }
    async fn expire(self, _: Context, _: Target) -> Result<JobId, Refused> {
        self.act("expire")
    }
    async fn set_end(self, _: Context, _: EndOrder) -> Result<JobId, Refused> {
        self.act("set_end")
    }
    async fn unhold(self, _: Context, _: UnholdOrder) -> Result<JobId, Refused> {
        self.act("unhold")
    }
    async fn approve(self, _: Context, _: PlanId) -> Result<JobId, Refused> {
        self.act("approve")
    }
    async fn notes(self, _: Context, _: DatasetName) -> Option<String> {
        None
    }
    async fn release(self, _: Context, _: Option<DatasetName>) -> Result<JobId, Refused> {
        self.act("release")
    }
}

/// Opens a door while `visit` runs, and closes it in good order.
pub async fn open(door: Door, people: People, visit: impl AsyncFnOnce(&Path, &Seen, &CancellationToken)) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(door.file());
    let listener = UnixListener::bind(&socket).unwrap();
    // Other users of these tests must reach it.
    for path in [folder.path(), &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let (seen, stop) = (Seen::default(), CancellationToken::new());
    let serving = serve(listener, door, people, &seen, &stop);
    let visiting = async {
        visit(&socket, &seen, &stop).await;
        stop.cancel();
    };
    tokio::join!(serving, visiting);
}

/// As a daemon does it.
pub async fn serve(listener: UnixListener, door: Door, people: People, seen: &Seen, stop: &CancellationToken) {
    let (told, seen) = (seen.refused.clone(), seen.clone());
    Doorkeeper::new(door, Arc::new(people), stop.clone())
        .on_refusal(move |refusal| told.borrow_mut().push(refusal.clone()))
        .serve(listener, move |peer| Dummy { peer, seen: seen.clone() }.serve())
        .await;
}

/// That an honest client is served, and soon.
pub async fn serves_others(socket: &Path) {
    let hello = async {
        let snap = client::connect_snap(socket).await.unwrap();
        client::call(snap.hello(client::soon())).await.unwrap()
    };
    assert_eq!(timeout(Duration::from_secs(5), hello).await.unwrap().build, "dummy");
}

/// A client that writes what it likes.
pub struct Raw(pub UnixStream);

impl Raw {
    /// Only connects.
    pub async fn connect(socket: &Path) -> Self {
        Self(UnixStream::connect(socket).await.unwrap())
    }

    /// Only connects, if there is room.
    pub async fn try_connect(socket: &Path) -> Option<Self> {
        UnixStream::connect(socket).await.ok().map(Self)
    }

    /// Connects and greets, as soon as there is room.
    pub async fn greet(socket: &Path) -> Self {
        for _ in 0..500 {
            let mut raw = Self::connect(socket).await;
            raw.write(&Preface::of(Role::Snap).to_bytes()).await;
            let mut theirs = [0; 12];
            raw.0.read_exact(&mut theirs).await.unwrap();
            if Preface::from_bytes(theirs) == Some(Preface::of(Role::Snap)) {
                return raw;
            }
            assert_eq!(Preface::from_bytes(theirs), Some(Preface::full(Role::Snap)));
            sleep(Duration::from_millis(10)).await;
        }
        panic!("no room for five seconds")
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Whether the other side closes within three seconds, whatever it says before.
    pub async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(3), self.0.read_to_end(&mut rest)).await.is_ok()
    }

    /// The content of the next frame.
    pub async fn frame(&mut self) -> Vec<u8> {
        let length = self.0.read_u32().await.unwrap();
        let mut content = vec![0; length as usize];
        self.0.read_exact(&mut content).await.unwrap();
        content
    }
}

/// A frame with this content.
pub fn frame(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [&length.to_be_bytes()[..], content].concat()
}

/// `hello` with this id, and this deadline as it stands on the wire.
pub fn hello(id: u8, deadline: &[u8]) -> Vec<u8> {
    frame(&[&[0, id], deadline, &[0]].concat())
}

/// `job` with this id, that has a minute.
pub fn job(id: u8, job: JobId) -> Vec<u8> {
    frame(&[0, id, 251, 0x60, 0xea, 3, u8::try_from(job.0).unwrap()])
}

/// Anybody who is neither the daemon's user nor known.
pub fn strangers() -> People {
    People::of(u32::MAX, [], [])
}

/// The path of this test binary, to be run again as another process.
pub fn this_binary() -> PathBuf {
    std::env::current_exe().unwrap()
}
