//! A stream that comes: whose it is, the process that takes it, and what became of it.

use crate::{
    Recv,
    book::Entry,
    clients,
    task::{Line, Task},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{io, os::fd::OwnedFd, process::Stdio, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    net::UnixStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use zam_names::{HOLD_TAG, UnixTime};
use zam_protocol::{
    Peer, Refused,
    recv::{Failing, Outcome, Ticket},
};
use zam_runtime::{
    audit::{self, Op},
    clock,
    keeper::Shared,
};
use zam_zfs::ReceiveStep;

/// How long the ticket may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(600);
/// How long ZFS may be at it after the last byte.
const FINISH: Duration = Duration::from_secs(3600);
/// A process that was killed and does not hang is gone within this.
const DEATH: Duration = Duration::from_secs(5);
/// How long after something arrived the pool is looked at, if nobody asks before.
const LOOK: Duration = Duration::from_secs(5);

/// Takes a connection from its ticket to the end of its stream.
pub async fn attend(shared: &Rc<Shared<Recv>>, mut guest: UnixStream, peer: Peer) {
    let mut bytes = [0; Ticket::LENGTH];
    let Ok(Ok(_)) = timeout(GREETING, guest.read_exact(&mut bytes)).await else { return };
    let ticket = Ticket::from_bytes(bytes);
    let Some(entry) = shared.common.book.begin(ticket, peer, now()) else {
        if let Some(untold) = shared.common.quiet.borrow_mut().may_tell(peer.uid) {
            let why = format!("{untold} earlier ones were not told");
            let outcome = audit::Outcome::Failed("no stream was announced under this ticket");
            audit::Act { uid: Some(peer.uid), ..audit::Act::new(Op::Refuse, &"a stream", &why, outcome) }.log();
        }
        return;
    };
    let prefix = shared.config().prefix.clone();
    let outcome = match start(&entry, prefix, guest) {
        Ok(child) => receive(shared, ticket, child).await,
        Err(error) => {
            Err((Outcome::Failed(Failing::Other, format!("no process can be started for it: {error}")), None))
        }
    };
    let (outcome, held, hung) = match outcome {
        Ok(held) => (Outcome::Done, held, None),
        Err((outcome, hung)) => (outcome, Held::Unasked, hung),
    };
    tell(&entry, &outcome, &held);
    let outcome = match held {
        // The source counts on what is held, and comes again.
        Held::No(why) => Outcome::Failed(Failing::Other, why),
        _ => outcome,
    };
    if hung.is_some() {
        shared.common.book.hangs(&entry.dataset);
    }
    shared.common.book.end(ticket, outcome, now());
    look_soon(shared, &entry);
    if let Some(mut child) = hung {
        // Nothing may be received there as long as it hangs in ZFS.
        tracing::error!(dataset = %entry.dataset, "the process that receives hangs in ZFS and cannot be killed");
        drop(child.wait().await);
        shared.common.book.hangs_no_more(&entry.dataset);
    }
}

/// Whether what arrived is held.
enum Held {
    Yes,
    No(String),
    Unasked,
}

fn start(entry: &Entry, prefix: String, guest: UnixStream) -> io::Result<Child> {
    let offer = entry.offer.clone();
    let step = ReceiveStep {
        dataset: entry.dataset.clone(),
        tag: offer.tag,
        guid: offer.guid,
        from: offer.from,
        raw: offer.raw,
        kind: offer.kind,
        resume: offer.resume,
    };
    let order = Task::Receive { step, root: entry.client.root.clone(), hold: entry.hold, prefix }.to_json()?;
    let guest = guest.into_std()?;
    guest.set_nonblocking(false)?;
    Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .args(["task", &order])
        .stdin(Stdio::from(OwnedFd::from(guest)))
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Hears the process out, and ends it when its stream is silent for too long.
async fn receive(shared: &Shared<Recv>, ticket: Ticket, mut child: Child) -> Result<Held, (Outcome, Option<Child>)> {
    let Some(out) = child.stdout.take() else {
        return Err((Outcome::Failed(Failing::Other, "it has no output".to_owned()), None));
    };
    let mut lines = BufReader::new(out).lines();
    let mut patience = shared.common.silence.get().unwrap_or(SILENCE);
    let said = loop {
        match timeout(patience, next(&mut lines)).await {
            Ok(Some(Line::Bytes(bytes))) => shared.common.book.progress(ticket, bytes),
            Ok(Some(Line::All(bytes))) => {
                shared.common.book.progress(ticket, bytes);
                patience = FINISH;
            }
            Ok(Some(Line::Done)) => break Ok(Held::Yes),
            Ok(Some(Line::Unheld(why))) => break Ok(Held::No(why)),
            Ok(Some(Line::Failed(failing, why))) => break Err(Outcome::Failed(failing, why)),
            Ok(None) => break Err(Outcome::Failed(Failing::Other, "the process that receives it died".to_owned())),
            Err(_) => {
                kill(&child);
                let why = format!("it was silent for {} s", patience.as_secs_f32());
                break Err(Outcome::Failed(Failing::Cut, why));
            }
        }
    };
    // It has nothing more to do, nor has the process that moves the stream: with that one gone it ends, or hangs.
    kill(&child);
    if timeout(DEATH, child.wait()).await.is_err() {
        kill(&child);
        if timeout(DEATH, child.wait()).await.is_err() {
            let why = || Outcome::Failed(Failing::Other, "ZFS does not come to an end with it".to_owned());
            return Err((said.err().unwrap_or_else(why), Some(child)));
        }
    }
    said.map_err(|outcome| (outcome, None))
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Line> {
    let line = lines.next_line().await.ok()??;
    serde_json::from_str(&line).ok()
}

fn kill(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // Gone already is as good.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn tell(entry: &Entry, outcome: &Outcome, held: &Held) {
    let name = format!("{}@{}", entry.dataset, entry.offer.tag);
    let why = format!("from {}", entry.client);
    let line = |op, tag, outcome| {
        let act = audit::Act::new(op, &name, &why, outcome);
        audit::Act { guid: Some(entry.offer.guid), uid: Some(entry.peer.uid), tag, ..act }.log();
    };
    match outcome {
        Outcome::Done => line(Op::Receive, None, audit::Outcome::Done),
        Outcome::Failed(_, why) => line(Op::Receive, None, audit::Outcome::Failed(why)),
    }
    match held {
        Held::Yes => line(Op::Hold, Some(HOLD_TAG), audit::Outcome::Done),
        Held::No(why) => line(Op::Hold, Some(HOLD_TAG), audit::Outcome::Failed(why)),
        Held::Unasked => {}
    }
}

/// Lets the pool's status follow, once for many that arrive one after the other.
fn look_soon(shared: &Rc<Shared<Recv>>, entry: &Entry) {
    if shared.common.wakes.replace(true) {
        return;
    }
    let (shared, pool) = (shared.clone(), entry.dataset.pool());
    tokio::task::spawn_local(async move {
        tokio::time::sleep(LOOK).await;
        shared.common.wakes.set(false);
        shared.wake(&pool);
    });
}

/// What a client may not send now.
///
/// # Errors
/// If it is retired.
pub fn not_retired(
    shared: &Shared<Recv>,
    peer: Peer,
    client: &zam_protocol::recv::Client,
    entry: Option<&zam_policy::config::Entry>,
) -> Result<(), Refused> {
    if !entry.is_some_and(|entry| entry.is_retired(now())) {
        return Ok(());
    }
    let why = "it is retired (`retired` in its entry of `replicas`): nothing may arrive any more".to_owned();
    Err(clients::refuse(shared, peer, "receive", client, Refused::Invalid { what: format!("client {client}"), why }))
}

pub fn now() -> UnixTime {
    clock::wall().unwrap_or(UnixTime(0))
}
