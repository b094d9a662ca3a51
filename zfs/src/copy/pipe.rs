//! Streams on their way to and from the kernel, which writes and reads pipes alone: a socket fails at its second read, a file at
//! some writes.

use super::ReceiveError;
use super::begin::{LENGTH, Record};
use crate::batch::Refusal;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

/// Bytes in a pipe: what Linux gives everybody at most.
const CAPACITY: i32 = 1 << 20;

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

/// Waits for the end of a stream, of which the kernel has read all that belongs to it.
pub(crate) fn at_end(stream: &mut File) -> Result<(), ReceiveError> {
    match stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(ReceiveError::Trailing),
        Err(error) => Err(ReceiveError::Refused(Refusal::Other(error.to_string()))),
    }
}
