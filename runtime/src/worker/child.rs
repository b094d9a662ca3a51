//! The worker's side.

use super::{along, frame};
use nix::sys::{prctl, signal::Signal};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Answers the daemon's requests on standard input, one after the other, until the daemon closes it or dies.
///
/// # Errors
/// If standard input is no socket, or what comes on it is no request.
pub fn serve<Req, Ans>(mut answer: impl FnMut(Req) -> Ans) -> io::Result<()>
where
    Req: DeserializeOwned,
    Ans: Serialize,
{
    serve_each(|_| Ok(Some(Vec::new())), |request, _| answer(request))
}

/// The same where descriptors come along with each request ([`super::Helper::ask_with`]).
///
/// # Errors
/// Likewise.
pub fn serve_with<Req, Ans>(answer: impl FnMut(Req, Vec<OwnedFd>) -> Ans) -> io::Result<()>
where
    Req: DeserializeOwned,
    Ans: Serialize,
{
    serve_each(|stream| along::take(stream), answer)
}

fn serve_each<Req, Ans>(
    along: impl Fn(&UnixStream) -> io::Result<Option<Vec<OwnedFd>>>,
    mut answer: impl FnMut(Req, Vec<OwnedFd>) -> Ans,
) -> io::Result<()>
where
    Req: DeserializeOwned,
    Ans: Serialize,
{
    // A daemon that died is seen as the end of input too, but only between requests.
    end_with_parent()?;
    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    while let Some(taken) = along(&stream)? {
        let Some(request) = read(&mut stream)? else { break };
        let reply = frame::encode(&answer(frame::decode(&request)?, taken))?;
        // Nobody waits for the answer any more: there is nothing left to do.
        if let Err(error) = stream.write_all(&frame::head(&reply)?).and_then(|()| stream.write_all(&reply)) {
            return if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// Lets this process be killed when the one that started it dies.
///
/// # Errors
/// If the kernel refuses.
pub fn end_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

fn read(stream: &mut UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; frame::HEAD];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        read => read?,
    }
    let mut request = vec![0; frame::length(head)?];
    stream.read_exact(&mut request)?;
    Ok(Some(request))
}
