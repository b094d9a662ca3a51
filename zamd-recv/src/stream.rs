//! A stream that comes: whose it is, and what became of it.

use crate::{
    Recv,
    book::Entry,
    clients,
    pair::{self, Held},
    task::Order,
};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt, net::UnixStream, time::timeout};
use zam_names::{HOLD_TAG, UnixTime};
use zam_protocol::{
    Peer, Refused,
    recv::{Failing, Offer, Outcome, Ticket},
};
use zam_runtime::{
    audit::{self, Op},
    clock,
    keeper::Shared,
};
use zam_zfs::ReceiveStep;

/// How long the ticket may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long after the last of what arrives the pool is looked at, if nobody asks before.
const LOOK: Duration = Duration::from_secs(5);
/// And after the first of them at the latest.
const LATEST: Duration = Duration::from_secs(60);

/// Takes a connection from its ticket to the end of its stream.
pub async fn attend(shared: &Rc<Shared<Recv>>, mut guest: UnixStream, peer: Peer) {
    let mut bytes = [0; Ticket::LENGTH];
    let Ok(Ok(_)) = timeout(GREETING, guest.read_exact(&mut bytes)).await else { return };
    let ticket = Ticket::from_bytes(bytes);
    let Some(entry) = shared.common.book.begin(ticket, peer, now()) else {
        if let Some(untold) = shared.common.quiet.borrow_mut().may_tell(peer.uid) {
            let why = format!("{untold} earlier ones were not told");
            let outcome = audit::Outcome::Failed("no stream was announced under this ticket");
            audit::Act { uid: Some(peer.uid), ..audit::Act::new(Op::Refuse, &"a stream", &why, outcome) }.log();
        }
        return;
    };
    let Offer { tag, guid, from, raw, kind, resume, .. } = entry.offer.clone();
    let step = ReceiveStep { dataset: entry.dataset.clone(), tag, guid, from, raw, kind, resume };
    let prefix = shared.config().prefix.clone();
    let order = Order { step, root: entry.client.root.clone(), hold: entry.hold, prefix };
    let ((outcome, held), hung) = pair::take(shared, ticket, &order, guest).await;
    tell(&entry, &outcome, &held);
    let outcome = match held {
        // The source counts on what is held, and comes again.
        Held::No(why) => Outcome::Failed(Failing::Other, why),
        _ => outcome,
    };
    if hung.is_some() {
        shared.common.book.hangs(&entry.dataset);
    }
    shared.common.book.end(ticket, outcome, now());
    look_soon(shared, &entry);
    if let Some(mut hung) = hung {
        // Nothing may be received there as long as it hangs.
        hung.gone().await;
        shared.common.book.hangs_no_more(&entry.dataset);
    }
}

fn tell(entry: &Entry, outcome: &Outcome, held: &Held) {
    let name = format!("{}@{}", entry.dataset, entry.offer.tag);
    let why = format!("from {}", entry.client);
    let line = |op, tag, outcome| {
        let act = audit::Act::new(op, &name, &why, outcome);
        audit::Act { guid: Some(entry.offer.guid), uid: Some(entry.peer.uid), tag, ..act }.log();
    };
    match outcome {
        Outcome::Done => line(Op::Receive, None, audit::Outcome::Done),
        Outcome::Failed(_, why) => line(Op::Receive, None, audit::Outcome::Failed(why)),
    }
    match held {
        Held::Yes => line(Op::Hold, Some(HOLD_TAG), audit::Outcome::Done),
        Held::No(why) => line(Op::Hold, Some(HOLD_TAG), audit::Outcome::Failed(why)),
        Held::Unasked => {}
    }
}

/// Lets the pool's status follow, once for many that arrive one after the other.
fn look_soon(shared: &Rc<Shared<Recv>>, entry: &Entry) {
    let (shared, pool) = (shared.clone(), entry.dataset.pool());
    let first = Instant::now();
    if shared.common.wakes.borrow_mut().insert(pool.clone(), first).is_some() {
        return;
    }
    tokio::task::spawn_local(async move {
        let arrives = || shared.common.wakes.borrow().get(&pool).is_some_and(|last| last.elapsed() < LOOK);
        while arrives() && first.elapsed() < LATEST {
            tokio::time::sleep(LOOK).await;
        }
        shared.common.wakes.borrow_mut().remove(&pool);
        shared.wake(&pool);
    });
}

/// What a client may not send now.
///
/// # Errors
/// If it is retired.
pub fn not_retired(
    shared: &Shared<Recv>,
    peer: Peer,
    client: &zam_protocol::recv::Client,
    entry: Option<&zam_policy::config::Entry>,
) -> Result<(), Refused> {
    if !entry.is_some_and(|entry| entry.is_retired(now())) {
        return Ok(());
    }
    let why = "it is retired (`retired` in its entry of `replicas`): nothing may arrive any more".to_owned();
    Err(clients::refuse(shared, peer, "receive", client, Refused::Invalid { what: format!("client {client}"), why }))
}

pub fn now() -> UnixTime {
    clock::wall().unwrap_or(UnixTime(0))
}
