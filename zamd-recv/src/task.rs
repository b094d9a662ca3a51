//! What is done in processes of their own, and what they say to the daemon: a line of JSON each, on standard output.

use crate::clear;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SpliceFFlags, fcntl, splice},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Command,
    time::{Duration, Instant},
};
use zam_names::{DatasetName, HOLD_TAG, HoldTag, QUARANTINE_TAG};
use zam_policy::{
    judge,
    tags::{self, Maker},
};
use zam_protocol::recv::Failing;
use zam_runtime::clock;
use zam_zfs::{Open, ReceiveError, ReceiveStep, Receiver, Refusal, Scope};

/// What a process is started for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Take the stream that comes on standard input.
    Receive {
        /// As it was announced.
        step: ReceiveStep,
        /// Below what: what lies between is made where it is missing, the root never.
        root: DatasetName,
        /// Whether what arrived is held.
        hold: bool,
        /// What the names of scheduled snapshots begin with here: they say when they were made.
        prefix: String,
    },
    /// Move the stream from standard input to standard output, and say on standard error how much has come.
    Move,
    /// Start a process for each dataset that is to be cleared.
    Clearer,
    /// Clear one.
    Clear(DatasetName),
}

/// What a receiving process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// So many bytes have come.
    Bytes(u64),
    /// All have.
    All(u64),
    /// The snapshot is there, and held.
    Done,
    /// It is there, and not held.
    Unheld(String),
    /// It is not there.
    Failed(Failing, String),
}

/// How often bytes are told.
const TELL: Duration = Duration::from_secs(1);
/// How much is moved at once, at most.
const PIECE: i32 = 1024 * 1024;

impl Task {
    pub fn to_json(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Does it.
pub fn run(zfs: &Open, order: &str) -> Result<(), String> {
    match serde_json::from_str(order).map_err(|error| format!("this is no task: {error}"))? {
        Task::Clearer => clear::serve(),
        Task::Clear(dataset) => clear::run(zfs, &dataset),
        Task::Move => move_on().map_err(|error| error.to_string()),
        Task::Receive { step, root, hold, prefix } => {
            let zfs = zfs.for_recv();
            let line = match receive(&zfs, &step, &root) {
                Ok(()) => match hold_it(&zfs, &step, hold, &prefix) {
                    Ok(()) => Line::Done,
                    Err(why) => Line::Unheld(format!("it is there and not held: {why}")),
                },
                Err((failing, why)) => Line::Failed(failing, why),
            };
            say(&line).map_err(|error| error.to_string())
        }
    }
}

fn receive(zfs: &impl Receiver, step: &ReceiveStep, root: &DatasetName) -> Result<(), (Failing, String)> {
    if step.from.is_none() {
        let cannot = |(dataset, why)| failed(&ReceiveError::Refused(why), &format!("{dataset} cannot be made: "));
        placeholders(zfs, &step.dataset, root).map_err(cannot)?;
    }
    let stream = counted().map_err(|error| (Failing::Other, format!("cannot take the stream: {error}")))?;
    zfs.receive(step, stream).map_err(|error| match error {
        ReceiveError::Refused(Refusal::Busy) if !step.resume && has_partial(zfs, &step.dataset) => {
            (Failing::Partial, "what another stream has left is in the way".to_owned())
        }
        error => failed(&error, ""),
    })
}

fn has_partial(zfs: &impl Receiver, dataset: &DatasetName) -> bool {
    let facts = zfs.copy_facts(Scope::Datasets(std::slice::from_ref(dataset)));
    facts.is_ok_and(|facts| facts.iter().any(|facts| facts.partial.is_some()))
}

/// Holds what arrived; what is dated in the future, once more, so that waiting does not make it look honest.
fn hold_it(zfs: &impl Receiver, step: &ReceiveStep, hold: bool, prefix: &str) -> Result<(), String> {
    let name = step.dataset.at(&step.tag).map_err(|error| error.to_string())?;
    let mut tags = Vec::from_iter(hold.then_some(HOLD_TAG));
    let now = clock::wall().map_err(|error| error.to_string())?;
    // A name that says when needs no look.
    let creation = match tags::maker(prefix, &step.tag) {
        Maker::Other => {
            let seen = zfs.details(std::slice::from_ref(&name)).map_err(|error| error.to_string())?;
            seen.first().map_or(now, |(_, snapshot)| snapshot.creation)
        }
        _ => now,
    };
    if judge::is_ahead(judge::claimed_date(prefix, &step.tag, creation), now) {
        tags.push(QUARANTINE_TAG);
    }
    for tag in tags {
        let tag: HoldTag = tag.parse().map_err(|error: zam_names::NameError| error.to_string())?;
        if let Some(failed) = zfs.hold(&tag, std::slice::from_ref(&name)).failed.first() {
            return Err(failed.why.to_string());
        }
    }
    Ok(())
}

/// Makes what lies between the root and the dataset where it is missing.
fn placeholders(zfs: &impl Receiver, dataset: &DatasetName, root: &DatasetName) -> Result<(), (DatasetName, Refusal)> {
    let above = std::iter::successors(dataset.parent(), DatasetName::parent);
    let between: Vec<DatasetName> = above.take_while(|above| above != root && above.below(root).is_some()).collect();
    if between.is_empty() {
        return Ok(());
    }
    // A look needs no right, and most are there.
    let there = zfs.datasets(&root.pool()).unwrap_or_default();
    for dataset in between.into_iter().rev().filter(|above| !there.iter().any(|there| there.name == *above)) {
        zfs.placeholder(&dataset).map_err(|why| (dataset.clone(), why))?;
    }
    Ok(())
}

/// Standard input, counted on its way through a pipe. A process of its own moves it: this one, in ZFS, may sleep where no
/// signal wakes it, and then it must not be itself who holds the pipe open.
fn counted() -> io::Result<OwnedFd> {
    let (out, into) = io::pipe()?;
    // It works with the small one too.
    let _ = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIECE));
    // This process has the daemon's words, then `task` and its order.
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let daemons = args.len().saturating_sub(2);
    // It ends with the stream, or as its pipe breaks; nobody asks how.
    Command::new("/proc/self/exe")
        .args(&args[..daemons])
        .args(["task", &Task::Move.to_json()?])
        .stdout(into)
        .stderr(io::stdout().as_fd().try_clone_to_owned()?)
        .spawn()?;
    Ok(out.into())
}

fn move_on() -> io::Result<()> {
    let (socket, pipe) = (io::stdin(), io::stdout());
    let (mut bytes, mut told) = (0, None::<Instant>);
    loop {
        match piece(socket.as_fd(), pipe.as_fd()) {
            Ok(0) => break,
            Ok(moved) => bytes += moved as u64,
            Err(Errno::EINTR | Errno::EAGAIN) => continue,
            // The receive has ended, and says why.
            Err(_) => return Ok(()),
        }
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            told = Some(Instant::now());
            tell(&Line::Bytes(bytes), io::stderr())?;
        }
    }
    tell(&Line::All(bytes), io::stderr())
}

/// Moves what is there. A splice that waits for a socket keeps the pipe locked meanwhile, and whoever reads it would wait
/// too: so the waiting is done before.
fn piece(socket: BorrowedFd<'_>, pipe: BorrowedFd<'_>) -> nix::Result<usize> {
    // Nothing is asked of the pipe here: it tells when nobody reads it any more.
    let mut both = [PollFd::new(socket, PollFlags::POLLIN), PollFd::new(pipe, PollFlags::empty())];
    poll(&mut both, PollTimeout::NONE)?;
    if both[1].any() == Some(true) {
        return Err(Errno::EPIPE);
    }
    poll(&mut [PollFd::new(pipe, PollFlags::POLLOUT)], PollTimeout::NONE)?;
    splice(socket, None, pipe, None, PIECE.unsigned_abs() as usize, SpliceFFlags::SPLICE_F_NONBLOCK)
}

fn say(line: &Line) -> io::Result<()> {
    tell(line, io::stdout().lock())
}

/// In one write, since two processes say something to the same pipe.
fn tell(line: &Line, mut to: impl Write) -> io::Result<()> {
    let text = serde_json::to_string(line)? + "\n";
    to.write_all(text.as_bytes())?;
    to.flush()
}

/// What it means for whoever sent it.
fn failed(error: &ReceiveError, what: &str) -> (Failing, String) {
    let failing = match error {
        ReceiveError::Cut | ReceiveError::Damaged => Failing::Cut,
        ReceiveError::NoBase | ReceiveError::Diverged => Failing::Diverged,
        ReceiveError::Unexpected(_) | ReceiveError::Trailing | ReceiveError::Missing => Failing::Stream,
        ReceiveError::Refused(Refusal::NoSpace) => Failing::NoSpace,
        ReceiveError::Refused(Refusal::Busy) => Failing::Busy,
        ReceiveError::Refused(Refusal::NotPermitted) => Failing::NotPermitted,
        ReceiveError::Refused(_) => Failing::Other,
    };
    (failing, format!("{what}{error}"))
}
