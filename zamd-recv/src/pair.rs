//! The two processes that take streams in: one waits in ZFS, the other moves the bytes into the pipe that it reads. What sleeps
//! in ZFS, where no signal wakes it, must not be itself who holds the other end of that pipe.

use crate::{
    Recv,
    task::{Order, Said, Task},
};
use std::{
    io,
    os::fd::OwnedFd,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::UnixStream,
    process::ChildStdout,
    time::{sleep, timeout},
};
use zam_protocol::recv::{Failing, Outcome, Ticket};
use zam_runtime::{keeper::Shared, worker::Helper};

/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(600);
/// How long ZFS may be at it after the last byte.
const FINISH: Duration = Duration::from_secs(3600);
/// A process that was killed and does not hang is gone within this; and so long does the last word of one take at most.
const DEATH: Duration = Duration::from_secs(5);
/// How long a pair waits for another stream.
const IDLE: Duration = Duration::from_secs(30);

pub struct Pair {
    receiver: Helper,
    mover: Helper,
    told: Lines<BufReader<ChildStdout>>,
    idle: Instant,
}

/// How a stream ended, and whether what arrived is held.
pub type Ended = (Outcome, Held);

/// Whether what arrived is held.
pub enum Held {
    Yes,
    No(String),
    Unasked,
}

impl Pair {
    /// One that waits, or a new one.
    fn get(shared: &Shared<Recv>) -> io::Result<Self> {
        while let Some(mut pair) = shared.common.pairs.borrow_mut().pop() {
            if pair.receiver.lives() && pair.mover.lives() {
                return Ok(pair);
            }
        }
        let (receiver, _) = Helper::start(&["task", &Task::Receiver.to_json()?])?;
        let (mover, told) = Helper::start(&["task", &Task::Mover.to_json()?])?;
        Ok(Self { receiver, mover, told: BufReader::new(told).lines(), idle: Instant::now() })
    }

    /// Keeps it for the next stream, which may come soon.
    fn keep(mut self, shared: &Rc<Shared<Recv>>) {
        self.idle = Instant::now();
        shared.common.pairs.borrow_mut().push(self);
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            sleep(IDLE).await;
            shared.common.pairs.borrow_mut().retain(|pair| pair.idle.elapsed() < IDLE);
        });
    }

    /// Hears both out; ends when the stream is silent for too long. Gives whether both can be asked again.
    async fn take(&mut self, shared: &Shared<Recv>, ticket: Ticket, order: &Order, guest: OwnedFd) -> (Ended, bool) {
        let other = |why: String| (Outcome::Failed(Failing::Other, why), Held::Unasked);
        let (out, into) = match io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => return (other(format!("there is no pipe for it: {error}")), true),
        };
        // What was told last of the stream before.
        while let Ok(Ok(Some(_))) = timeout(Duration::ZERO, self.told.next_line()).await {}
        let mut receiving = pin!(self.receiver.ask_with::<_, Said>(order, vec![out.into()]));
        let mut moving = pin!(self.mover.ask_with::<_, Option<u64>>(&(), vec![guest, into.into()]));
        let mut patience = shared.common.silence.get().unwrap_or(SILENCE);
        let mut moved = None;
        let ended = loop {
            tokio::select! {
                said = &mut receiving => break match said {
                    Ok(Said::Done) => (Outcome::Done, Held::Yes),
                    Ok(Said::Unheld(why)) => (Outcome::Done, Held::No(why)),
                    Ok(Said::Failed(failing, why)) => (Outcome::Failed(failing, why), Held::Unasked),
                    Err(error) => return (other(format!("the process that receives it died: {error}")), false),
                },
                all = &mut moving, if moved.is_none() => {
                    if let Ok(Some(bytes)) = all {
                        shared.common.book.progress(ticket, bytes);
                        patience = FINISH;
                    }
                    // Without it the pipe is at its end, or broken, and the other one says how that is.
                    moved = Some(all.is_ok());
                }
                Ok(Some(line)) = self.told.next_line() => {
                    if let Ok(bytes) = line.parse() {
                        shared.common.book.progress(ticket, bytes);
                    }
                }
                () = sleep(patience) => {
                    let why = format!("it was silent for {} s", patience.as_secs_f32());
                    return ((Outcome::Failed(Failing::Cut, why), Held::Unasked), false);
                }
            }
        };
        let sound = match moved {
            Some(sound) => sound,
            None => timeout(DEATH, moving).await.is_ok_and(|all| all.is_ok()),
        };
        (ended, sound)
    }

    /// Kills both. Gives the one that hangs in ZFS, if it does.
    async fn end(mut self) -> Option<Helper> {
        self.mover.kill();
        for _ in 0..2 {
            self.receiver.kill();
            if timeout(DEATH, self.receiver.gone()).await.is_ok() {
                return None;
            }
        }
        Some(self.receiver)
    }
}

/// Takes a stream. Gives what hangs in ZFS after it, if anything does.
pub async fn take(
    shared: &Rc<Shared<Recv>>,
    ticket: Ticket,
    order: &Order,
    guest: UnixStream,
) -> (Ended, Option<Helper>) {
    let cannot = |error: io::Error| {
        let why = format!("no process can be started for it: {error}");
        ((Outcome::Failed(Failing::Other, why), Held::Unasked), None)
    };
    let guest = guest.into_std().and_then(|guest| guest.set_nonblocking(false).map(|()| OwnedFd::from(guest)));
    let (mut pair, guest) = match guest.and_then(|guest| Ok((Pair::get(shared)?, guest))) {
        Ok(both) => both,
        Err(error) => return cannot(error),
    };
    let (ended, sound) = pair.take(shared, ticket, order, guest).await;
    if sound {
        pair.keep(shared);
        return (ended, None);
    }
    let hung = pair.end().await;
    if hung.is_some() {
        tracing::error!(dataset = %order.step.dataset, "the process that receives hangs in ZFS and cannot be killed");
    }
    (ended, hung)
}
