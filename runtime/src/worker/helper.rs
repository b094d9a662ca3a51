//! A process of this program's that answers questions as a worker does, and whose standard output the daemon reads.

use super::{Running, along, converse, frame};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Stdio,
};
use tokio::{io::Interest, process::ChildStdout};

/// The daemon's side of it. Dropped, it and all that it started are killed.
#[derive(Debug)]
pub struct Helper(Running);

impl Helper {
    /// Starts this program with its own arguments and these, behind the walls of this process; it serves as [`super::serve`]
    /// does. Gives what it writes to its standard output too.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(words: &[&str]) -> io::Result<(Self, ChildStdout)> {
        let args: Vec<_> = std::env::args_os().skip(1).chain(words.iter().map(OsString::from)).collect();
        let mut running = Running::start(&"/proc/self/exe".into(), &args, Stdio::piped())?;
        let output = running.child.stdout.take().ok_or(io::ErrorKind::NotFound)?;
        Ok((Self(running), output))
    }

    /// Asks and waits for the answer. Who stops waiting must drop the helper: the answer would be taken for another's.
    ///
    /// # Errors
    /// If it died, or says what is no answer.
    pub async fn ask<Req: Serialize, Ans: DeserializeOwned>(&mut self, request: &Req) -> io::Result<Ans> {
        frame::decode(&converse(&mut self.0.stream, &frame::encode(request)?).await?)
    }

    /// The same of one that serves as [`super::serve_with`] does: it has these, and this process has them no longer.
    ///
    /// # Errors
    /// Likewise.
    pub async fn ask_with<Req: Serialize, Ans: DeserializeOwned>(
        &mut self,
        request: &Req,
        these: Vec<OwnedFd>,
    ) -> io::Result<Ans> {
        let stream = &self.0.stream;
        let given: Vec<BorrowedFd<'_>> = these.iter().map(AsFd::as_fd).collect();
        stream.async_io(Interest::WRITABLE, || along::give(stream, &given)).await?;
        drop(these);
        self.ask(request).await
    }

    /// Whether it is there still.
    pub fn lives(&mut self) -> bool {
        matches!(self.0.child.try_wait(), Ok(None))
    }

    /// Kills it and all that it started.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Waits until it is gone.
    pub async fn gone(&mut self) {
        // What cannot be waited for is nobody's child any more.
        let _ = self.0.child.wait().await;
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.kill();
    }
}
