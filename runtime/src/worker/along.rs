//! Descriptors that go along with a question.

use rustix::{
    io::{Errno, IoSlice, IoSliceMut},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};
use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// So many at most.
const MOST: usize = 2;
/// A descriptor goes with a byte.
const BYTE: [u8; 1] = [0];

/// Gives copies of them to whoever reads the socket.
pub fn give(socket: impl AsFd, these: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(these)) {
        return Err(io::Error::other("too many descriptors for one question"));
    }
    Ok(sendmsg(socket, &[IoSlice::new(&BYTE)], &mut ancillary, SendFlags::NOSIGNAL).map(drop)?)
}

/// Takes them, unless the other side has closed.
pub fn take(socket: impl AsFd) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = BYTE;
    let received = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            received => break received?,
        }
    };
    let taken = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(these) => Some(these),
        _ => None,
    });
    let taken: Vec<OwnedFd> = taken.flatten().collect();
    Ok((received.bytes > 0).then_some(taken))
}
