//! What is done in processes of their own.

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
    time::{Duration, Instant},
};
use zam_names::{DatasetName, HOLD_TAG, HoldTag, QUARANTINE_TAG, UnixTime};
use zam_policy::judge;
use zam_protocol::recv::Failing;
use zam_runtime::{clock, worker};
use zam_zfs::{Open, ReceiveError, ReceiveStep, Receiver, Refusal, Scope};

/// What a process is started for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Take streams, one after the other ([`Order`], [`Said`]), each from the pipe that comes along.
    Receiver,
    /// Move a stream from the socket to the pipe that come along, and say on standard output how much has come, a number a
    /// line; the answer is how much there was, if that is all.
    Mover,
    /// Start a process for each dataset that is to be cleared.
    Clearer,
    /// Clear one.
    Clear(DatasetName),
}

/// A stream to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// As it was announced.
    pub step: ReceiveStep,
    /// Below what: what lies between is made where it is missing, the root never.
    pub root: DatasetName,
    /// Whether what arrived is held.
    pub hold: bool,
    /// What the names of scheduled snapshots begin with here: they say when they were made.
    pub prefix: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
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
        Task::Clearer => clear::serve(zfs),
        Task::Clear(dataset) => clear::run(zfs, &dataset),
        Task::Mover => worker::serve_with(|(), ends: Vec<OwnedFd>| match ends.as_slice() {
            [socket, pipe] => move_on(socket.as_fd(), pipe.as_fd()),
            _ => None,
        })
        .map_err(|error| error.to_string()),
        Task::Receiver => {
            let zfs = zfs.for_recv();
            worker::serve_with(|order: Order, ends: Vec<OwnedFd>| take(&zfs, &order, ends))
                .map_err(|error| error.to_string())
        }
    }
}

fn take(zfs: &impl Receiver, order: &Order, ends: Vec<OwnedFd>) -> Said {
    let Some(stream) = ends.into_iter().next() else {
        return Said::Failed(Failing::Other, "no stream came with it".to_owned());
    };
    match receive(zfs, &order.step, &order.root, stream) {
        Ok(creation) => match hold_it(zfs, order, creation) {
            Ok(()) => Said::Done,
            Err(why) => Said::Unheld(format!("it is there and not held: {why}")),
        },
        Err((failing, why)) => Said::Failed(failing, why),
    }
}

fn receive(
    zfs: &impl Receiver,
    step: &ReceiveStep,
    root: &DatasetName,
    stream: OwnedFd,
) -> Result<UnixTime, (Failing, String)> {
    if step.from.is_none() {
        let cannot = |(dataset, why)| failed(&ReceiveError::Refused(why), &format!("{dataset} cannot be made: "));
        placeholders(zfs, &step.dataset, root).map_err(cannot)?;
    }
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

/// Holds what arrived; what is dated in the future, once more, so that waiting does not make it look honest. That comes first: what
/// is held at all is then held in full.
fn hold_it(zfs: &impl Receiver, Order { step, hold, prefix, .. }: &Order, creation: UnixTime) -> Result<(), String> {
    let name = step.dataset.at(&step.tag).map_err(|error| error.to_string())?;
    let now = clock::wall().map_err(|error| error.to_string())?;
    let ahead = judge::is_ahead(judge::claimed_date(prefix, &step.tag, creation), now);
    for tag in [ahead.then_some(QUARANTINE_TAG), hold.then_some(HOLD_TAG)].into_iter().flatten() {
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
    let there = zfs.copy_facts(Scope::Datasets(&between)).unwrap_or_default();
    for dataset in between.into_iter().rev().filter(|above| !there.iter().any(|there| there.dataset == *above)) {
        zfs.placeholder(&dataset).map_err(|why| (dataset.clone(), why))?;
    }
    Ok(())
}

/// Until the stream ends, or its pipe breaks: then the receive has ended, and says why. Gives how much there was, if that was
/// all of it.
fn move_on(socket: BorrowedFd<'_>, pipe: BorrowedFd<'_>) -> Option<u64> {
    // It works with a small one too.
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIECE));
    let (mut bytes, mut told) = (0, None::<Instant>);
    loop {
        match piece(socket, pipe) {
            Ok(0) => return Some(bytes),
            Ok(moved) => bytes += moved as u64,
            Err(Errno::EINTR | Errno::EAGAIN) => continue,
            Err(_) => return None,
        }
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            told = Some(Instant::now());
            // Nobody listens: then nobody waits for the answer either.
            writeln!(io::stdout(), "{bytes}").ok()?;
        }
    }
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

/// What it means for whoever sent it.
fn failed(error: &ReceiveError, what: &str) -> (Failing, String) {
    let failing = match error {
        ReceiveError::Cut | ReceiveError::Damaged => Failing::Cut,
        ReceiveError::NoBase | ReceiveError::Diverged => Failing::Diverged,
        ReceiveError::Unexpected(_) | ReceiveError::Trailing => Failing::Stream,
        ReceiveError::Refused(Refusal::NoSpace) => Failing::NoSpace,
        ReceiveError::Refused(Refusal::Busy) => Failing::Busy,
        ReceiveError::Refused(Refusal::NotPermitted) => Failing::NotPermitted,
        ReceiveError::Refused(_) => Failing::Other,
    };
    (failing, format!("{what}{error}"))
}
