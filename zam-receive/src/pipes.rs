//! Standard input and output as sshd, or zamd-send, made them: pipes or sockets.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::net::UnixStream as StdStream,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixStream, unix::pipe},
};

/// Something to read from.
pub type Input = Box<dyn AsyncRead + Unpin>;
/// Something to write to.
pub type Output = Box<dyn AsyncWrite + Unpin>;

/// Both of this process.
///
/// # Errors
/// If one is neither a pipe nor a socket.
pub fn standard() -> io::Result<(Input, Output)> {
    let input = duplicate(io::stdin().as_fd())?;
    let output = duplicate(io::stdout().as_fd())?;
    let input: Input = match pipe::Receiver::from_owned_fd(input.try_clone()?) {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(socket(input)?),
    };
    let output: Output = match pipe::Sender::from_owned_fd(output.try_clone()?) {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(socket(output)?),
    };
    Ok((input, output))
}

fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
    let stream = StdStream::from(fd);
    // An error for what is no socket at all.
    stream.local_addr()?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fd.try_clone_to_owned()
}
