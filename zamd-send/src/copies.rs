//! How each copy stands: what the status shows, what must be remembered, when it is due.

use crate::{Send, now, place::Place};
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};
use zam_names::{Bookmark, Dataset, DatasetName, Guid, PoolName, RelPath, UnixTime};
use zam_policy::{
    Rule, Span,
    config::{Config, Destination, DestinationId, Entry, Match},
    schedule::{Possible, Task, next_possible, share_of_splay},
    tags,
};
use zam_protocol::{
    recv::{Keeping, ReplicaRow},
    send::{CopyState, CopyStatus},
};
use zam_runtime::keeper::{Shared, chain};
use zam_zfs::{CopyFacts, Shape};

/// Names a copy.
pub type Key = (DatasetName, DestinationId);

/// What a pool of sources was last seen to have.
#[derive(Default)]
pub struct Table {
    /// Its datasets.
    pub datasets: Vec<Dataset>,
    /// Their bookmarks.
    pub bookmarks: BTreeMap<DatasetName, Vec<Bookmark>>,
    /// What else copying must know of them.
    pub facts: BTreeMap<DatasetName, CopyFacts>,
    /// When that was.
    pub seen: Option<Instant>,
}

impl Table {
    /// Whether it is as good as a new look, for who plans many datasets one after the other.
    pub fn is_fresh(&self) -> bool {
        self.seen.is_some_and(|seen| seen.elapsed() < Duration::from_secs(2))
    }
}

/// What a place last said that it has.
pub struct Remote {
    /// Below what all paths lie.
    pub root: DatasetName,
    /// What is there.
    pub rows: BTreeMap<RelPath, ReplicaRow>,
    /// How long it would keep what is not there yet, or why it takes none.
    pub keeping: BTreeMap<RelPath, Result<Keeping, String>>,
    /// Whether nothing may arrive any more.
    pub retired: bool,
    /// The rules that it has announced, each understood once.
    pub rules: RefCell<Vec<(Keeping, Option<Rule>)>>,
}

impl Remote {
    /// The rule, if this side understands it.
    pub fn rule(&self, keeping: &Keeping) -> Option<Rule> {
        let known = self.rules.borrow().iter().find(|(known, _)| known == keeping).map(|(_, rule)| rule.clone());
        known.unwrap_or_else(|| {
            let rule = keeping.rule().ok();
            let mut rules = self.rules.borrow_mut();
            if rules.len() < RULES {
                rules.push((keeping.clone(), rule.clone()));
            }
            rule
        })
    }
}

/// A copy, as long as the daemon runs.
pub struct Copy {
    /// As the status shows it.
    pub status: CopyStatus,
    /// When it was last looked at.
    pub tried: Option<UnixTime>,
    /// When the newest was taken, of those on schedule, that the source had then.
    pub saw: Option<UnixTime>,
    /// After a failure: not before.
    pub retry: Option<UnixTime>,
    /// How often it failed in a row.
    pub failures: u32,
    /// What it left there cannot be continued from here: it is thrown away first.
    pub clear: bool,
}

/// What is remembered of every copy, by the dataset's GUID, so that a rename loses nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    /// By dataset and destination.
    #[serde(default)]
    pub copies: BTreeMap<Guid, BTreeMap<DestinationId, Noted>>,
}

/// What is remembered of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Where it lies.
    pub path: RelPath,
    /// Whether its streams are raw, which must never change.
    pub raw: bool,
    /// How blocks travel, which must not change either.
    pub shape: Shape,
    /// Whether something of it has arrived: what is not there any more must not be sent anew unasked.
    pub arrived: bool,
    /// When a run for it last ended well.
    pub last: Option<UnixTime>,
}

/// A dataset and one of the destinations that its entry names.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub dataset: &'a Dataset,
    pub entry: &'a Entry,
    pub destination: &'a Destination,
}

impl Item<'_> {
    pub fn key(&self) -> Key {
        (self.dataset.name.clone(), self.destination.id())
    }

    /// When its newest snapshot was taken, of those that zam takes on schedule.
    pub fn last_scheduled(&self, now: UnixTime) -> Option<UnixTime> {
        tags::last_scheduled(&self.entry.rule.prefix, &self.dataset.snapshots, now)
    }

    /// Whether the snapshot of the period in which `then` lies is still to come after the `newest`, where zam takes any.
    fn lacks_that_of(&self, then: UnixTime, newest: Option<UnixTime>, host: &str) -> bool {
        let (splay, zone) = (share_of_splay(self.entry.splay, host), self.entry.rule.zone.calendar());
        let bucket = |period: Span, at: UnixTime| period.bucket(at.plus(-splay), zone);
        let lacks = |period| newest.is_none_or(|newest| bucket(period, newest) != bucket(period, then));
        self.entry.snapshot_period.is_some_and(lacks)
    }

    /// Where it lies at its destination, if that is known without asking there.
    pub fn path(&self) -> Option<RelPath> {
        self.destination.relative(self.entry, &self.dataset.name)
    }
}

/// Each dataset of a pool with each of its destinations.
pub fn items<'a>(config: &'a Config, table: &'a Table) -> impl Iterator<Item = Item<'a>> {
    table.datasets.iter().flat_map(move |dataset| items_of(config, dataset))
}

/// One dataset with each of its destinations.
fn items_of<'a>(config: &'a Config, dataset: &'a Dataset) -> impl Iterator<Item = Item<'a>> {
    let entry = match config.sender_for(&dataset.name, dataset.kind) {
        Match::Entry(entry) => Some(entry),
        _ => None,
    };
    let destinations = entry.into_iter().flat_map(|entry| entry.destinations.iter().map(move |to| (entry, to)));
    destinations.map(move |(entry, destination)| Item { dataset, entry, destination })
}

/// When a copy is due.
pub fn due(shared: &Shared<Send>, item: Item<'_>, now: UnixTime) -> Option<Possible> {
    let period = item.entry.replication_period?;
    let copies = shared.common.copies.borrow();
    let copy = copies.get(&item.key());
    // A moment behind the tick of the same period, whose snapshot is to go along.
    let behind = (period.approximate_seconds() / 10).clamp(0, BEHIND);
    let splay = share_of_splay(item.entry.splay, &shared.host) + behind;
    let last = copy.filter(|copy| !came_too_soon(shared, item, copy, now)).and_then(|copy| copy.tried);
    let when = item.entry.run_when.replication.as_ref().map(|when| (when, well(shared, item)));
    let task = Task { splay, when, retry: copy.and_then(|copy| copy.retry), ..Task::every(period, last) };
    Some(next_possible(&task, now, item.entry.rule.zone.calendar(), &shared.machine.borrow().facts()))
}

/// Whether the last run found nothing yet of the period in which it ran, as it is where both daemons have just started, and now
/// there is something: with the next run it would come a whole period late.
fn came_too_soon(shared: &Shared<Send>, item: Item<'_>, copy: &Copy, now: UnixTime) -> bool {
    let newest = item.last_scheduled(now);
    copy.tried.is_some_and(|tried| newest > copy.saw && item.lacks_that_of(tried, copy.saw, &shared.host))
}

/// Whether the snapshot of the present period should come at any moment, for a run that was just now and came too soon for it.
pub fn is_awaited(shared: &Shared<Send>, item: Item<'_>, now: UnixTime) -> bool {
    let tried = shared.common.copies.borrow().get(&item.key()).and_then(|copy| copy.tried);
    now.since(tried.unwrap_or(shared.started)) < AWAITED
        && item.lacks_that_of(now, item.last_scheduled(now), &shared.host)
}

/// When a copy last had all that it should have, or was first waited for: what its limit counts from.
pub fn well(shared: &Shared<Send>, item: Item<'_>) -> UnixTime {
    noted(shared, item.dataset.guid, item.destination.id()).and_then(|noted| noted.last).unwrap_or(shared.started)
}

/// The status of a dataset's copies, as they stand now.
pub fn rows(shared: &Shared<Send>, pool: &PoolName, dataset: &DatasetName) -> Vec<CopyStatus> {
    let config = shared.config();
    let tables = shared.common.tables.borrow();
    // They are listed by name.
    let of_name = |table: &Rc<Table>| table.datasets.binary_search_by(|there| there.name.cmp(dataset)).ok();
    let Some((table, at)) = tables.get(pool).and_then(|table| Some((table, of_name(table)?))) else {
        return Vec::new();
    };
    let copies = shared.common.copies.borrow();
    let of = |item: Item<'_>| {
        let mut status = match copies.get(&item.key()) {
            Some(copy) => copy.status.clone(),
            None => begun(shared, item),
        };
        let waits = due(shared, item, now()).and_then(|possible| possible.waits(&item.entry.rule.zone));
        if let (CopyState::Idle | CopyState::Waiting { .. }, Some(why)) = (&status.state, waits) {
            status.state = CopyState::Waiting { why, until: None };
        }
        status
    };
    items_of(&config, &table.datasets[at]).map(of).collect()
}

/// Changes how a copy stands.
pub fn change(shared: &Shared<Send>, item: Item<'_>, change: impl FnOnce(&mut Copy)) {
    let mut copies = shared.common.copies.borrow_mut();
    let copy = copies.entry(item.key()).or_insert_with(|| Copy {
        status: begun(shared, item),
        tried: None,
        saw: None,
        retry: None,
        failures: 0,
        clear: false,
    });
    change(copy);
}

/// The same by its name, where it stands already.
pub fn touch(shared: &Shared<Send>, key: &Key, change: impl FnOnce(&mut Copy)) {
    if let Some(copy) = shared.common.copies.borrow_mut().get_mut(key) {
        change(copy);
    }
}

/// A copy that nobody has looked at since the daemon started.
fn begun(shared: &Shared<Send>, item: Item<'_>) -> CopyStatus {
    let noted = noted(shared, item.dataset.guid, item.destination.id());
    let path = item.path().map(|path| path.to_string()).or_else(|| noted.as_ref().map(|noted| noted.path.to_string()));
    let by_hand = item.entry.replication_period.is_none();
    let why = if by_hand { "for `zamctl replicate`: it has no replication-period" } else { "for its first look there" };
    CopyStatus {
        id: item.destination.id().to_string(),
        host: item.destination.host().map(str::to_owned),
        path: shown(item.destination, path.as_deref().unwrap_or(item.dataset.name.as_str())),
        last: noted.and_then(|noted| noted.last),
        newest: None,
        lag_snapshots: 0,
        lag_bytes: None,
        state: CopyState::Waiting { why: why.to_owned(), until: None },
        problems: Vec::new(),
    }
}

/// The path as people find it: on this host with its root.
pub fn shown(destination: &Destination, path: &str) -> String {
    destination.local_root().map_or_else(|| path.to_owned(), |root| format!("{root}/{path}"))
}

/// What is remembered of a copy.
pub fn noted(shared: &Shared<Send>, dataset: Guid, to: DestinationId) -> Option<Noted> {
    shared.common.notes.get()?.borrow().get().copies.get(&dataset)?.get(&to).cloned()
}

/// Remembers it; [`save`] writes it down.
pub fn note(shared: &Shared<Send>, dataset: Guid, to: DestinationId, noted: Noted) {
    if let Some(store) = shared.common.notes.get() {
        store.borrow_mut().get_mut().copies.entry(dataset).or_default().insert(to, noted);
    }
}

/// Writes down what is remembered.
///
/// # Errors
/// If it cannot be written: then nothing may be sent that rests on it.
pub fn save(shared: &Shared<Send>) -> Result<(), String> {
    let store = shared.common.notes.get().ok_or("there are none")?;
    store.borrow_mut().save().map_err(|error| chain(&error))
}

/// A copy's destination, for people.
pub fn name_of(place: &Place, path: &str) -> String {
    place.host().map_or_else(|| path.to_owned(), |host| format!("{host}:{path}"))
}

/// So many different rules of one place are kept in mind.
const RULES: usize = 64;
/// Seconds behind the start of a period, so that the snapshot that zamd-snap takes then is there.
const BEHIND: i64 = 5;
/// So many seconds after a run that came too soon its snapshot is looked for.
const AWAITED: i64 = 300;
