//! The streams: announced, under way, over.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use zam_names::{DatasetName, UnixTime};
use zam_protocol::{
    Peer, Refused,
    recv::{Client, Offer, Outcome, Receiving, Ticket},
};

/// An announced stream that has not come within this will not come.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many streams of one client at once.
const OF_ONE: usize = 8;
/// So many of all.
const OF_ALL: usize = 32;
/// For so many it is still known what became of them.
const REMEMBERED: usize = 256;

/// A stream.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who announced it.
    pub peer: Peer,
    /// For whom.
    pub client: Client,
    /// Where it goes.
    pub dataset: DatasetName,
    /// What it is.
    pub offer: Offer,
    /// Whether what arrives is held.
    pub hold: bool,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Announced(Instant),
    Running { bytes: u64, since: UnixTime },
    Over(Outcome, Instant),
}

/// All of them.
#[derive(Default)]
pub struct Book {
    entries: RefCell<BTreeMap<Ticket, Entry>>,
    arrived: RefCell<BTreeMap<DatasetName, UnixTime>>,
    /// Where a process that receives hangs in ZFS.
    hanging: RefCell<BTreeSet<DatasetName>>,
    changed: Notify,
}

impl Book {
    /// Enters a stream that is to come.
    ///
    /// # Errors
    /// If one is on its way to the same dataset, or there are too many.
    pub fn announce(
        &self,
        peer: Peer,
        client: Client,
        dataset: DatasetName,
        offer: Offer,
        hold: bool,
    ) -> Result<Ticket, Refused> {
        self.tidy();
        let mut entries = self.entries.borrow_mut();
        let open = || entries.values().filter(|entry| !matches!(entry.state, State::Over(..)));
        let busy = |what: String, why: &str| Err(Refused::Busy { what, why: why.to_owned() });
        if open().any(|entry| entry.dataset == dataset) {
            return busy(dataset.to_string(), "a stream is being received already");
        }
        if self.hanging.borrow().contains(&dataset) {
            return busy(dataset.to_string(), "a stream that was given up hangs in ZFS");
        }
        if open().count() >= OF_ALL {
            return busy("zamd-recv".to_owned(), "it receives as many streams as it may");
        }
        if open().filter(|entry| entry.client == client).count() >= OF_ONE {
            return busy(client.to_string(), "as many of its streams as may are being received");
        }
        let failed = |error: io::Error| Refused::Failed { what: "making a ticket".to_owned(), why: error.to_string() };
        let ticket = random().map_err(failed)?;
        let state = State::Announced(Instant::now());
        entries.insert(ticket, Entry { peer, client, dataset, offer, hold, state });
        Ok(ticket)
    }

    /// The stream of this ticket begins, if it was announced by the same user and has not begun.
    pub fn begin(&self, ticket: Ticket, peer: Peer, now: UnixTime) -> Option<Entry> {
        self.tidy();
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&ticket)?;
        if entry.peer.uid != peer.uid || !matches!(entry.state, State::Announced(_)) {
            return None;
        }
        entry.state = State::Running { bytes: 0, since: now };
        Some(entry.clone())
    }

    /// So much of it has come.
    pub fn progress(&self, ticket: Ticket, so_far: u64) {
        if let Some(State::Running { bytes, .. }) = self.entries.borrow_mut().get_mut(&ticket).map(|e| &mut e.state) {
            *bytes = so_far;
        }
    }

    /// It is over.
    pub fn end(&self, ticket: Ticket, outcome: Outcome, now: UnixTime) {
        if let Some(entry) = self.entries.borrow_mut().get_mut(&ticket) {
            if outcome == Outcome::Done {
                self.arrived.borrow_mut().insert(entry.dataset.clone(), now);
            }
            entry.state = State::Over(outcome, Instant::now());
        }
        self.changed.notify_waiters();
    }

    /// What became of a stream that this user announced; none while it is under way, after `limit` at the latest.
    ///
    /// # Errors
    /// If there is no such stream, or none any more.
    pub async fn outcome(&self, ticket: Ticket, peer: Peer, limit: Duration) -> Result<Option<Outcome>, Refused> {
        let over = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                match self.look(ticket, peer)? {
                    Some(outcome) => return Ok(Some(outcome)),
                    None => changed.await,
                }
            }
        };
        tokio::time::timeout(limit, over).await.unwrap_or_else(|_| self.look(ticket, peer))
    }

    fn look(&self, ticket: Ticket, peer: Peer) -> Result<Option<Outcome>, Refused> {
        self.tidy();
        let entries = self.entries.borrow();
        let entry = entries.get(&ticket).filter(|entry| entry.peer.uid == peer.uid);
        let gone =
            || Refused::NotFound { name: "such stream".to_owned(), why: "it never came, or long ago".to_owned() };
        Ok(match &entry.ok_or_else(gone)?.state {
            State::Over(outcome, _) => Some(outcome.clone()),
            _ => None,
        })
    }

    /// What is arriving at a dataset.
    pub fn receiving(&self, dataset: &DatasetName) -> Option<Receiving> {
        let entries = self.entries.borrow();
        entries.values().filter(|entry| entry.dataset == *dataset).find_map(|entry| match entry.state {
            State::Running { bytes, since } => {
                let Offer { tag, bytes: estimated, .. } = entry.offer.clone();
                Some(Receiving { snapshot: tag, bytes, estimated, since })
            }
            _ => None,
        })
    }

    /// Whether something is announced for a dataset or arriving there.
    pub fn is_busy(&self, dataset: &DatasetName) -> bool {
        self.tidy();
        let entries = self.entries.borrow();
        self.hanging.borrow().contains(dataset)
            || entries.values().any(|entry| entry.dataset == *dataset && !matches!(entry.state, State::Over(..)))
    }

    /// Nothing can be received at a dataset for now.
    pub fn hangs(&self, dataset: &DatasetName) {
        self.hanging.borrow_mut().insert(dataset.clone());
    }

    /// It can again.
    pub fn hangs_no_more(&self, dataset: &DatasetName) {
        self.hanging.borrow_mut().remove(dataset);
    }

    /// When something last arrived at a dataset.
    pub fn arrived(&self, dataset: &DatasetName) -> Option<UnixTime> {
        self.arrived.borrow().get(dataset).copied()
    }

    /// Forgets what never came, and all but the last of what is over.
    fn tidy(&self) {
        let mut entries = self.entries.borrow_mut();
        entries.retain(|_, entry| !matches!(entry.state, State::Announced(since) if since.elapsed() > PATIENCE));
        let over = |entry: &Entry| match entry.state {
            State::Over(_, at) => Some(at),
            _ => None,
        };
        let mut ends: Vec<(Instant, Ticket)> =
            entries.iter().filter_map(|(ticket, entry)| Some((over(entry)?, *ticket))).collect();
        ends.sort();
        let many = ends.len().saturating_sub(REMEMBERED);
        for (_, ticket) in &ends[..many] {
            entries.remove(ticket);
        }
    }
}

/// A number that nobody guesses.
fn random() -> io::Result<Ticket> {
    let mut bytes = [0; Ticket::LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Ticket::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_names::{Guid, Kind};
    use zam_protocol::recv::Failing;

    const NOW: UnixTime = UnixTime(1);

    fn peer(uid: u32) -> Peer {
        Peer { uid, gid: uid, pid: None }
    }

    fn announce(book: &Book, client: &str, path: &str) -> Result<Ticket, Refused> {
        let root: DatasetName = format!("nas/{client}").parse().unwrap();
        let path: zam_names::RelPath = path.parse().unwrap();
        let dataset = path.below(&root).unwrap();
        let (tag, guid, kind) = ("a".parse().unwrap(), Guid(7), Kind::Filesystem);
        let offer = Offer { path, tag, guid, from: None, raw: false, kind, resume: false, bytes: 100 };
        book.announce(peer(1), Client { name: Some(client.into()), root }, dataset, offer, true)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_goes_from_ticket_to_outcome_and_nobody_elses_ticket_works() {
        let book = Book::default();
        let ticket = announce(&book, "a", "x").unwrap();
        assert!(matches!(announce(&book, "a", "x"), Err(Refused::Busy { .. })), "one at a time");
        assert!(book.begin(ticket, peer(2), NOW).is_none(), "another user");
        assert!(book.begin(Ticket(1), peer(1), NOW).is_none(), "a guess");
        let entry = book.begin(ticket, peer(1), NOW).unwrap();
        assert!(book.begin(ticket, peer(1), NOW).is_none(), "once");
        book.progress(ticket, 50);
        assert_eq!(book.receiving(&entry.dataset).unwrap().bytes, 50);
        let limit = Duration::from_secs(5);
        assert_eq!(book.outcome(ticket, peer(1), limit).await, Ok(None));
        assert!(book.outcome(ticket, peer(2), limit).await.is_err());
        let (outcome, ()) =
            tokio::join!(book.outcome(ticket, peer(1), limit), async { book.end(ticket, Outcome::Done, NOW) });
        assert_eq!(outcome, Ok(Some(Outcome::Done)));
        assert_eq!((book.is_busy(&entry.dataset), book.arrived(&entry.dataset)), (false, Some(NOW)));
        book.hangs(&entry.dataset);
        assert!(book.is_busy(&entry.dataset) && announce(&book, "a", "x").is_err());
        book.hangs_no_more(&entry.dataset);
        announce(&book, "a", "x").unwrap();
    }

    #[test]
    fn one_client_does_not_take_the_room_of_all_and_what_is_over_is_forgotten_in_time() {
        let book = Book::default();
        for n in 0..OF_ONE {
            announce(&book, "a", &format!("x{n}")).unwrap();
        }
        assert!(matches!(announce(&book, "a", "y"), Err(Refused::Busy { .. })));
        let ticket = announce(&book, "b", "y").unwrap();
        book.end(ticket, Outcome::Failed(Failing::Cut, String::new()), NOW);
        for _ in 0..REMEMBERED {
            let ticket = announce(&book, "b", "y").unwrap();
            book.end(ticket, Outcome::Done, NOW);
        }
        book.tidy();
        assert!(book.look(ticket, peer(1)).is_err());
        assert_eq!(book.entries.borrow().len(), OF_ONE + REMEMBERED);
    }
}
