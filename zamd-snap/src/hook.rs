//! Hooks: programs of the admin's that are run before and after snapshots. This daemon can start none: it asks zam-hook, which
//! systemd starts, at a socket. No round waits for that. What was begun ends with the connection, however that ends.

use crate::{Snap, orders::Wish};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};
use zam_names::{DatasetName, PoolName, SnapTag};
use zam_policy::config::{Hook, OnFailure};
use zam_protocol::{JobId, snap::SnapshotOrder};
use zam_runtime::keeper::{Order, Shared};

/// What the daemon knows of hooks while it runs.
#[derive(Default)]
pub struct Hooks {
    /// Those that the schedule has asked for and that have not ended.
    busy: RefCell<BTreeSet<(PoolName, String)>>,
    /// Whose turn it is, for each hook.
    turns: RefCell<BTreeMap<String, Arc<Mutex<()>>>>,
    /// What last went wrong with each, until it goes well.
    pub failed: RefCell<BTreeMap<String, String>>,
}

/// A hook that has been run before a snapshot of these. What it does after runs when this is gone at the latest.
pub struct Ready {
    pub hook: Hook,
    pub datasets: Vec<DatasetName>,
    /// How it went.
    pub before: Result<(), String>,
    stream: Option<BufReader<UnixStream>>,
    /// Of the schedule.
    busy: Option<Busy>,
    /// Nobody else's before that one's after: zam-hook serves one at a time.
    _turn: OwnedMutexGuard<()>,
}

/// What is to be taken now that hooks have been run.
pub struct Hooked {
    pub tag: SnapTag,
    pub ready: Vec<Ready>,
    /// What needs none, and whether each is held.
    pub others: Vec<(DatasetName, bool)>,
    /// Who asked; none: the schedule.
    pub asked: Option<SnapshotOrder>,
}

struct Busy(Rc<Shared<Snap>>, (PoolName, String));

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.common.busy.borrow_mut().remove(&self.1);
    }
}

/// The longest answer, in bytes.
const LONGEST_LINE: u64 = 300;
/// How long zam-hook may take beside: to be started, and to say that the time was over.
const GRACE: Duration = Duration::from_secs(30);

/// Adds a dataset to those of its hook.
pub fn add(hooks: &mut Vec<(Hook, Vec<DatasetName>)>, hook: &Hook, dataset: DatasetName) {
    match hooks.iter_mut().find(|(known, _)| known == hook) {
        Some((_, datasets)) => datasets.push(dataset),
        None => hooks.push((hook.clone(), vec![dataset])),
    }
}

/// For the schedule: runs a hook, and then has the pool take snapshots. One that has not ended yet is not run again.
pub fn begin(shared: &Rc<Shared<Snap>>, pool: PoolName, hook: Hook, datasets: Vec<DatasetName>, tag: SnapTag) {
    let key = (pool.clone(), hook.name.clone());
    if !shared.common.busy.borrow_mut().insert(key.clone()) {
        return;
    }
    let (shared, busy) = (Rc::clone(shared), Busy(Rc::clone(shared), key));
    tokio::task::spawn_local(async move {
        let mut ready = before(&shared, hook, datasets, &tag).await;
        ready.busy = Some(busy);
        let title = format!("snapshot after the hook {}", ready.hook.name);
        let (hook, late) = (ready.hook.clone(), format!("@{tag} was not taken after the hook {}", ready.hook.name));
        let hooked = Hooked { tag, ready: vec![ready], others: Vec::new(), asked: None };
        if let Err(why) = shared.order(&pool, 0, title, Wish::Hooked(hooked)) {
            remember(&shared, &hook, &Err(format!("{late}: {why}")));
        }
    });
}

/// For somebody who asked: runs the hooks side by side, and then goes on with the order.
pub fn begin_asked(
    shared: &Rc<Shared<Snap>>,
    job: JobId,
    uid: u32,
    asked: SnapshotOrder,
    tag: SnapTag,
    hooks: Vec<(Hook, Vec<DatasetName>)>,
    others: Vec<(DatasetName, bool)>,
) {
    let shared = Rc::clone(shared);
    tokio::task::spawn_local(async move {
        let all = hooks.into_iter().map(|(hook, datasets)| before(&shared, hook, datasets, &tag));
        let ready = futures::future::join_all(all).await;
        let pool = asked.dataset.pool();
        shared.go_on(&pool, Order { job, uid, what: Wish::Hooked(Hooked { tag, ready, others, asked: Some(asked) }) });
    });
}

async fn before(shared: &Shared<Snap>, hook: Hook, datasets: Vec<DatasetName>, tag: &SnapTag) -> Ready {
    let socket = shared.runtime_dir.join("hook").join(format!("{}.sock", hook.name));
    let turn = Arc::clone(shared.common.turns.borrow_mut().entry(hook.name.clone()).or_default());
    let turn = turn.lock_owned().await;
    let asked = ask(&socket, &hook, &datasets, tag).await;
    let (stream, before) = match asked {
        Ok((stream, said)) => (Some(stream), said),
        Err(why) => (None, Err(why)),
    };
    let then = match hook.on_failure {
        OnFailure::Take => "taken all the same",
        OnFailure::Skip => "not taken",
    };
    let word = |why: &String| format!("the hook {} failed before @{tag}, which is {then}: {why}", hook.name);
    let before = before.map_err(|why| word(&why));
    if before.is_err() {
        remember(shared, &hook, &before);
    }
    Ready { hook, datasets, before, stream, busy: None, _turn: turn }
}

async fn ask(
    socket: &Path,
    hook: &Hook,
    datasets: &[DatasetName],
    tag: &SnapTag,
) -> Result<(BufReader<UnixStream>, Result<(), String>), String> {
    let unreachable = |error: io::Error| {
        let unit = format!("zam-hook@{}.socket", hook.name);
        format!(
            "{} does not answer ({error}): put the program into /etc/zam/hooks/{}, then `systemctl enable --now {unit}` as root",
            socket.display(),
            hook.name
        )
    };
    let mut request = format!("before\n{}\n{tag}\n", hook.timeout.approximate_seconds());
    datasets.iter().for_each(|dataset| request += &format!("{dataset}\n"));
    let talk = async {
        let mut stream = BufReader::new(UnixStream::connect(socket).await.map_err(unreachable)?);
        stream.write_all(format!("{request}\n").as_bytes()).await.map_err(unreachable)?;
        let said = answer(&mut stream, hook).await;
        Ok((stream, said))
    };
    timeout(limit(hook), talk).await.unwrap_or_else(|_| Err(too_late(hook)))
}

impl Ready {
    /// What was prepared and is so no more: zam-hook says nothing and stays until it is told to go on.
    pub fn look_again(&mut self, shared: &Shared<Snap>, tag: &SnapTag) {
        let Some(stream) = &self.stream else { return };
        let quiet =
            matches!(stream.get_ref().try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if self.before.is_ok() && !(quiet && stream.buffer().is_empty()) {
            self.before = Err(format!("the hook {} ended before @{tag} was taken", self.hook.name));
            remember(shared, &self.hook, &self.before);
        }
    }

    /// Ends what was begun, in the background.
    pub fn after(self, shared: &Rc<Shared<Snap>>) {
        let Self { hook, before, stream: Some(mut stream), busy, _turn: turn, .. } = self else { return };
        let shared = Rc::clone(shared);
        tokio::task::spawn_local(async move {
            let talk = async {
                stream.write_all(b"after\n").await.map_err(|error| error.to_string())?;
                answer(&mut stream, &hook).await
            };
            let said = timeout(limit(&hook), talk).await.unwrap_or_else(|_| Err(too_late(&hook)));
            let said = said.map_err(|why| format!("the hook {} failed after a snapshot: {why}", hook.name));
            remember(&shared, &hook, &before.and(said));
            drop((busy, turn));
        });
    }
}

async fn answer(stream: &mut BufReader<UnixStream>, hook: &Hook) -> Result<(), String> {
    let mut line = String::new();
    // Whoever runs the hook is not trusted with this daemon's memory, nor with people's terminals.
    (&mut *stream).take(LONGEST_LINE).read_line(&mut line).await.map_err(|error| error.to_string())?;
    let log = format!("(`journalctl -u zam-hook@{}`)", hook.name);
    match line.trim_end().split_once(' ') {
        None if line == "ok\n" => Ok(()),
        Some(("failed", why)) => Err(format!("{} {log}", why.replace(char::is_control, " "))),
        _ => Err(format!("it ended without an answer {log}")),
    }
}

fn limit(hook: &Hook) -> Duration {
    Duration::from_secs(hook.timeout.approximate_seconds().unsigned_abs()) + GRACE
}

fn too_late(hook: &Hook) -> String {
    format!("nothing was heard for {} (`journalctl -u zam-hook@{}`)", hook.timeout, hook.name)
}

/// Told once, and shown until it goes well.
fn remember(shared: &Shared<Snap>, hook: &Hook, said: &Result<(), String>) {
    let mut failed = shared.common.failed.borrow_mut();
    match said {
        Ok(()) => drop(failed.remove(&hook.name)),
        Err(why) => {
            if failed.insert(hook.name.clone(), why.clone()).as_ref() != Some(why) {
                tracing::warn!("{why}");
            }
        }
    }
}
