//! The daemon's side of the process that makes streams.

use crate::task::{Ask, COPY, Said};
use nix::{errno::Errno, unistd::read};
use std::{io, os::fd::AsFd, pin::Pin};
use tokio::{net::unix::pipe, time::timeout};
use tokio_util::bytes::BytesMut;
use zam_names::{BookmarkName, Target};
use zam_runtime::worker::Helper;
use zam_zfs::{Batch, Refusal, SendStep};

/// How long anything but a stream may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);
/// Bytes of a stream that are moved at once.
pub const PIECE: usize = 256 << 10;

/// Starts the process when it is first needed, and again after it was given up.
#[derive(Default)]
pub struct Maker(Option<Process>);

struct Process {
    helper: Helper,
    output: pipe::Receiver,
}

/// A stream under way.
pub struct Making<'a> {
    /// Comes to an end when all is written.
    pub end: Pin<Box<dyn Future<Output = Result<(), Unmade>> + 'a>>,
    /// What is written.
    pub output: &'a mut pipe::Receiver,
}

/// Why a stream was not made to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// ZFS would not.
    #[error("{0}")]
    Refused(Refusal),
    /// The process did not say.
    #[error("{0}")]
    Process(String),
}

impl Maker {
    fn process(&mut self) -> io::Result<&mut Process> {
        if self.0.is_none() {
            let (helper, output) = Helper::start(&["task", COPY])?;
            self.0 = Some(Process { helper, output: pipe::Receiver::from_owned_fd(output.into_owned_fd()?)? });
        }
        self.0.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// About how many bytes each step has.
    pub async fn estimate(&mut self, steps: Vec<SendStep>) -> Result<Vec<Option<u64>>, String> {
        match self.ask(Ask::Estimate(steps)).await? {
            Said::Bytes(bytes) => Ok(bytes),
            _ => Err(ODD.to_owned()),
        }
    }

    /// Leaves bookmarks.
    pub async fn mark(&mut self, marks: Vec<(Target, BookmarkName)>) -> Result<Batch<BookmarkName>, String> {
        match self.ask(Ask::Mark(marks)).await? {
            Said::Marked(batch) => Ok(batch),
            _ => Err(ODD.to_owned()),
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Said, String> {
        let process = self.process().map_err(|error| cannot_start(&error))?;
        let said = match timeout(PATIENCE, process.helper.ask(&ask)).await {
            Ok(said) => said.map_err(|error| died(&error)),
            Err(_) => Err("the pool does not answer".to_owned()),
        };
        if said.is_err() {
            self.give_up();
        }
        said
    }

    /// Begins a stream. One that is not heard to its end must be given up.
    pub fn send(&mut self, step: SendStep) -> Result<Making<'_>, String> {
        let Process { helper, output } = self.process().map_err(|error| cannot_start(&error))?;
        let end = async move {
            match helper.ask(&Ask::Send(step)).await.map_err(|error| Unmade::Process(died(&error)))? {
                Said::Sent(sent) => sent.map_err(Unmade::Refused),
                _ => Err(Unmade::Process(ODD.to_owned())),
            }
        };
        Ok(Making { end: Box::pin(end), output })
    }

    /// Ends the process.
    pub fn give_up(&mut self) {
        self.0 = None;
    }
}

/// Adds what is there to be read, without waiting: how many bytes, none if nothing is there now.
pub fn read_now(output: &pipe::Receiver, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
    let before = buffer.len();
    buffer.resize(before + PIECE, 0);
    let moved = read(output.as_fd(), &mut buffer[before..]);
    buffer.truncate(before + moved.unwrap_or(0));
    match moved {
        Ok(0) | Err(Errno::EAGAIN) => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => Err(error.into()),
    }
}

fn cannot_start(error: &io::Error) -> String {
    format!("the process that makes streams cannot be started: {error}")
}

fn died(error: &io::Error) -> String {
    format!("the process that makes streams died: {error}")
}

const ODD: &str = "the process that makes streams answered something else";
