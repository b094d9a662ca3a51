//! A process of this program's that is started before the daemon's walls, because it gets others.

use super::{converse, frame};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{net::UnixStream, sync::Mutex, time::timeout};

/// The daemon's side of it: one question at a time. It cannot be started again, so one that fails stays away until the
/// daemon starts anew.
#[derive(Debug)]
pub struct Aside(Mutex<Option<StdStream>>);

impl Aside {
    /// Starts this program with its own arguments and these; it serves as [`super::serve`] does. Before the walls.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(words: &[&str]) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new("/proc/self/exe");
        command.args(std::env::args_os().skip(1)).args(words.iter().map(OsString::from));
        // It ends when its input does, and init sees to what is left.
        drop(command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).spawn()?);
        Ok(Self(Mutex::new(Some(ours))))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// If none comes in time, or none came before.
    pub async fn ask<Req: Serialize, Ans: DeserializeOwned>(&self, request: &Req, limit: Duration) -> io::Result<Ans> {
        let question = frame::encode(request)?;
        let mut talk = self.0.lock().await;
        let lost = || io::Error::new(io::ErrorKind::BrokenPipe, "the process for it is gone: restart the daemon");
        // An answer that comes too late would be taken for the next question's.
        let stream = talk.take().ok_or_else(lost)?;
        let mut stream = UnixStream::from_std(stream)?;
        let answer = timeout(limit, converse(&mut stream, &question)).await??;
        *talk = Some(stream.into_std()?);
        frame::decode(&answer)
    }
}
