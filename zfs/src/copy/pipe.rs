//! Streams on their way into the kernel. It reads pipes alone: a socket fails at its second read. A thread moves the bytes
//! from wherever they come into such a pipe, by `splice` where Linux can.

use super::ReceiveError;
use super::begin::{LENGTH, Record};
use crate::batch::Refusal;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{Shutdown, shutdown};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

/// Bytes in a pipe: what Linux gives everybody at most.
const CAPACITY: i32 = 1 << 20;

/// A pipe: where to read, where to write.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = io::pipe()?;
    widen(&writer);
    Ok((File::from(OwnedFd::from(reader)), File::from(OwnedFd::from(writer))))
}

/// Fewer turns for both ends. What is no pipe has none, and the small one works too.
pub(crate) fn widen(end: impl AsFd) {
    let _ = fcntl(end, FcntlArg::F_SETPIPE_SZ(CAPACITY));
}

/// The first record, whole.
pub(crate) fn first_record(stream: &mut File) -> io::Result<Record> {
    let mut record = [0; LENGTH];
    stream.read_exact(&mut record)?;
    Ok(record)
}

/// A stream on its way into the kernel.
pub(crate) struct Inflow {
    /// Where the kernel reads.
    pub(crate) pipe: File,
    source: Option<OwnedFd>,
}

impl Inflow {
    /// Starts to move what comes; what is a pipe already needs no moving.
    pub(crate) fn from(mut stream: File) -> io::Result<Self> {
        if stream.metadata()?.file_type().is_fifo() {
            return Ok(Self { pipe: stream, source: None });
        }
        let (pipe, mut writer) = pipe()?;
        widen(&stream);
        let source = stream.try_clone()?.into();
        // It ends with the stream, or, as its pipe breaks, with this value.
        std::thread::Builder::new().name("inflow".to_owned()).spawn(move || {
            // What it could not read, the kernel misses.
            if let Err(error) = io::copy(&mut stream, &mut writer) {
                tracing::debug!(%error, "the stream ended early");
            }
        })?;
        Ok(Self { pipe, source: Some(source) })
    }

    /// Waits for the end of the stream, of which the kernel has read all that belongs to it.
    pub(crate) fn finish(mut self) -> Result<(), ReceiveError> {
        match self.pipe.read(&mut [0]) {
            Ok(0) => {
                self.source = None;
                Ok(())
            }
            Ok(_) => Err(ReceiveError::Trailing),
            Err(error) => Err(ReceiveError::Refused(Refusal::Other(error.to_string()))),
        }
    }
}

impl Drop for Inflow {
    /// A stream that is not wanted to its end: whoever writes into its socket must learn of it, and the thread end.
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            // Not a socket: then the broken pipe is all there is.
            let _ = shutdown(source.as_fd().as_raw_fd(), Shutdown::Both);
        }
    }
}
