//! The doors of a daemon: who comes in, how many at once, and what each may ask.
//!
//! ```no_run
//! # use zam_protocol::{Door, Peer, snap::Snap};
//! # async fn example<S: Snap + Clone + 'static>(listener: tokio::net::UnixListener, service: impl Fn(Peer) -> S + 'static) {
//! use std::sync::Arc;
//! use tokio_util::sync::CancellationToken;
//! use zam_runtime::doors::{Doorkeeper, People};
//!
//! let people = Arc::new(People::look_up()); // before the sandbox: it reads the user database
//! let stop = CancellationToken::new();
//! Doorkeeper::new(Door::Control, people, stop).serve(listener, move |peer| service(peer).serve()).await;
//! # }
//! ```
//!
//! The futures are not `Send`: await them on the main task of a current-thread runtime, beside each other (`join!`).
//! A handler is dropped when its client goes away: hand what acts to a job and answer with its id.

mod gate;
mod people;
mod quiet;
mod slots;

pub use people::{People, uid_of};
pub use quiet::Quiet;
pub use slots::Limits;

use crate::audit::{Act, Op, Outcome};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use gate::Gate;
use slots::{Slot, Slots};
use std::{cell::RefCell, error::Error, io, panic::AssertUnwindSafe, pin::pin, rc::Rc, sync::Arc, time::Duration};
use tarpc::{
    ChannelError,
    server::{BaseChannel, Channel, Serve},
};
use tokio::{
    net::{UnixListener, UnixStream},
    task::LocalSet,
    time::{sleep, timeout},
};
use tokio_util::{codec::Framed, sync::CancellationToken};
use zam_protocol::{
    Ask, Class, Door, Peer, Refused,
    codec::ServerCodec,
    preface::{self, Preface},
};

/// How long calls in flight get to finish once the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a connection may be without any request before it is closed; whoever comes back connects again.
const IDLE: Duration = Duration::from_secs(600);
/// How long nobody is let in after an error of accept(2), such as no free descriptor.
const BREATH: Duration = Duration::from_millis(100);

/// A request that was refused for who sent it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who sent it.
    pub peer: Peer,
    /// The answer it got.
    pub answer: Refused,
    /// How many refusals of the same user were not told since the last one that was, lest it flood the journal.
    pub untold: u64,
}

/// Stands at one door: counts, asks for credentials, lets in, and keeps each to what it may.
pub struct Doorkeeper {
    door: Door,
    people: Arc<People>,
    limits: Limits,
    tell: Rc<dyn Fn(&Refusal)>,
    stop: CancellationToken,
}

/// What every connection of one door shares.
struct Hall {
    door: Door,
    in_flight: usize,
    tell: Rc<dyn Fn(&Refusal)>,
    quiet: RefCell<Quiet>,
    stop: CancellationToken,
}

/// One connection, for those who judge and log its requests.
#[derive(Clone)]
struct Visit {
    hall: Rc<Hall>,
    peer: Peer,
    class: Class,
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum Parting {
    #[error("the greeting failed")]
    Preface(#[from] preface::PrefaceError),
    #[error("the connection broke")]
    Broken(#[source] ChannelError<io::Error>),
    #[error("no request came for {} s", IDLE.as_secs())]
    Idle,
}

impl Doorkeeper {
    /// A doorkeeper with the usual [`Limits`] of this door, who tells the audit trail of refusals. Cancelling `stop` ends
    /// its work.
    #[must_use]
    pub fn new(door: Door, people: Arc<People>, stop: CancellationToken) -> Self {
        Self { door, people, limits: Limits::of(door), tell: Rc::new(tell_the_audit_trail), stop }
    }

    /// Other limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Somebody else to be told of refusals.
    #[must_use]
    pub fn on_refusal(self, tell: impl Fn(&Refusal) + 'static) -> Self {
        Self { tell: Rc::new(tell), ..self }
    }

    /// Serves until told to stop; then lets the calls in flight finish, for at most five seconds. `service` makes what
    /// answers one connection, knowing its peer.
    pub async fn serve<S>(self, listener: UnixListener, service: impl Fn(Peer) -> S + 'static)
    where
        S: Serve + Clone + 'static,
        S::Req: Ask<Answer = S::Resp>,
    {
        let converse = async move |stream, visit: &Visit| converse(stream, visit, service(visit.peer)).await;
        self.admit(listener, converse, say_full::<S::Req>).await;
    }

    /// The same for a door through which no requests go but bytes: `take` is given each connection of those who may copy,
    /// and what it does ends with the daemon.
    pub async fn serve_streams(self, listener: UnixListener, take: impl AsyncFn(UnixStream, Peer) + 'static) {
        let take = async move |stream, visit: &Visit| {
            if visit.class == Class::Stranger {
                visit.log("no stream is taken from this user");
            } else {
                take(stream, visit.peer).await;
            }
            Ok(())
        };
        self.admit(listener, take, |_| {}).await;
    }

    async fn admit(
        self,
        listener: UnixListener,
        attend_to: impl AsyncFn(UnixStream, &Visit) -> Result<(), Parting> + 'static,
        say_full: impl Fn(&mut UnixStream),
    ) {
        let Self { door, people, limits, tell, stop } = self;
        let quiet = RefCell::new(Quiet::default());
        let hall = Rc::new(Hall { door, in_flight: limits.in_flight, tell, quiet, stop: stop.clone() });
        let slots = Slots::new(limits);
        let attend_to = Rc::new(attend_to);
        // Tasks of its own: a connection that panics ends alone, and what answers need not be `Send`.
        let connections = LocalSet::new();
        let accepting = connections.run_until(async {
            loop {
                let (mut stream, peer) = match next_guest(&listener).await {
                    Ok(guest) => guest,
                    Err(error) => {
                        tracing::warn!(%door, %error, "cannot let anybody in for a moment");
                        sleep(BREATH).await;
                        continue;
                    }
                };
                let visit = Visit { hall: hall.clone(), peer, class: people.class(door, peer) };
                match slots.take(peer, people.is_known(peer)) {
                    Some(slot) => {
                        let attend_to = attend_to.clone();
                        tokio::task::spawn_local(attend(visit, slot, async move |visit: &Visit| {
                            attend_to(stream, visit).await
                        }));
                    }
                    None => {
                        visit.log("no room: too many connections, of this user or of all");
                        say_full(&mut stream);
                    }
                }
            }
        });
        stop.run_until_cancelled(accepting).await;
        drop(listener);
        if timeout(DRAIN, connections).await.is_err() {
            tracing::warn!(%door, "calls in flight were cut off: they took longer than {} s", DRAIN.as_secs());
        }
    }
}

async fn next_guest(listener: &UnixListener) -> io::Result<(UnixStream, Peer)> {
    let (stream, _) = listener.accept().await?;
    let who = stream.peer_cred()?;
    Ok((stream, Peer { uid: who.uid(), gid: who.gid(), pid: who.pid() }))
}

/// A courtesy: what does not fit into the socket's empty buffer is not said.
fn say_full<Q: Ask>(stream: &mut UnixStream) {
    let _ = stream.try_write(&Preface::full(Q::ROLE).to_bytes());
}

/// Serves one connection to its end, and says in the log what was wrong with it.
async fn attend(visit: Visit, slot: Slot, conversation: impl AsyncFnOnce(&Visit) -> Result<(), Parting>) {
    match AssertUnwindSafe(conversation(&visit)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(parting)) => visit.log(&chain(&parting)),
        Err(_) => visit.log("a bug ended this connection; the panic stands above"),
    }
    drop(slot);
}

async fn converse<S>(mut stream: UnixStream, visit: &Visit, service: S) -> Result<(), Parting>
where
    S: Serve + Clone + 'static,
    S::Req: Ask<Answer = S::Resp>,
{
    preface::exchange(&mut stream, S::Req::ROLE, preface::PATIENCE).await?;
    let frames = Framed::new(stream, ServerCodec::<S::Req>::default());
    // Ends the reading half alone: what is in flight is still answered.
    let until_stopped = frames.take_until(visit.hall.stop.clone().cancelled_owned());
    let channel = BaseChannel::with_defaults(until_stopped).max_concurrent_requests(visit.hall.in_flight);
    let mut requests = pin!(channel.requests());
    let mut answers = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = answers.next() => {}
            request = timeout(IDLE, requests.next()) => match request {
                Ok(Some(Ok(request))) => answers.push(request.execute(Gate::new(visit.clone(), service.clone()))),
                Ok(Some(Err(broken))) => return parted(broken),
                Ok(None) => return Ok(()),
                Err(_) if answers.is_empty() => return Err(Parting::Idle),
                Err(_) => {}
            }
        }
    }
}

/// Whether a broken connection is worth a line: not if the client just went.
fn parted(broken: ChannelError<io::Error>) -> Result<(), Parting> {
    use ChannelError::{Close, Flush, Read, Ready, Write};
    let (Read(cause) | Ready(cause) | Write(cause) | Flush(cause) | Close(cause)) = &broken;
    match cause.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(Parting::Broken(broken)),
    }
}

impl Visit {
    /// Says it in the log, unless this user has filled enough of it.
    fn log(&self, what: &str) {
        let Some(untold) = self.hall.quiet.borrow_mut().may_tell(self.peer.uid) else { return };
        let Peer { uid, pid, .. } = self.peer;
        tracing::warn!(door = %self.hall.door, uid, pid, untold, "{}: {what}", self.peer);
    }
}

fn tell_the_audit_trail(refusal: &Refusal) {
    let Refused::NotPermitted { request, door, .. } = &refusal.answer else { return };
    let what = format!("{request} ({door} door)");
    let why = match refusal.untold {
        0 => String::new(),
        untold => format!("{untold} earlier refusals of this user were not told"),
    };
    let outcome = Outcome::Failed("not permitted");
    Act { uid: Some(refusal.peer.uid), ..Act::new(Op::Refuse, &what, &why, outcome) }.log();
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
