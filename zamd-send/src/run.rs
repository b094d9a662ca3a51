//! A run to one place: what both sides have, what is to be sent, and the lanes that send it.

use crate::{
    Send,
    copies::{self, Copy, Item, Key, Noted, Remote, Table, items, name_of},
    floor::{Floor, Slots},
    lane::Job,
    now,
    pace::{Pace, back_off},
    place::Place,
    plan::{Asked, Manner, Step, Verdict, behind, plan},
    round::Wish,
    session::{Greeted, Session, Trouble},
    ticket::Ticket,
};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use tokio::sync::oneshot;
use zam_names::{DatasetName, Kind, PoolName, RelPath, UnixTime};
use zam_policy::{
    config::{Compress, Config, DestinationId},
    when::When,
};
use zam_protocol::send::CopyState;
use zam_runtime::keeper::Shared;

/// What a run is for.
#[derive(Default)]
pub struct Wanted {
    /// Which copies.
    pub keys: BTreeSet<Key>,
    /// Those of them that may be sent anew where there is nothing in common.
    pub full: BTreeSet<Key>,
    /// Who asked for which.
    pub tickets: BTreeMap<Key, Vec<Rc<Ticket>>>,
}

impl Wanted {
    /// Takes out what is not under way; the rest comes after it.
    pub fn without(&mut self, busy: &BTreeSet<Key>) -> Self {
        let (keys, now_keys) = std::mem::take(&mut self.keys).into_iter().partition(|key| busy.contains(key));
        let (full, now_full) = std::mem::take(&mut self.full).into_iter().partition(|key| busy.contains(key));
        let tickets = std::mem::take(&mut self.tickets);
        let (tickets, now_tickets) = tickets.into_iter().partition(|(key, _)| busy.contains(key));
        *self = Self { keys, full, tickets };
        Self { keys: now_keys, full: now_full, tickets: now_tickets }
    }
}

/// A run under way.
struct Run<'a> {
    shared: &'a Shared<Send>,
    place: &'a Place,
    wanted: &'a Wanted,
    started: UnixTime,
    /// What became of a copy is told already.
    ended: RefCell<BTreeSet<Key>>,
    /// Where nothing will come, for there is nothing to send: what is below need not wait for it.
    empty: RefCell<BTreeSet<RelPath>>,
}

/// Runs. What becomes of each copy stands in its status and in the tickets. `nth` tells the daemon's runs apart. Gives back
/// what the run was for, and why it came to nothing as a whole, if it did.
pub async fn run(
    shared: Rc<Shared<Send>>,
    place: Place,
    slots: Rc<Slots>,
    wanted: Wanted,
    nth: u64,
) -> (Wanted, Option<String>) {
    let (ended, empty) = (RefCell::default(), RefCell::default());
    let run = Run { shared: &shared, place: &place, wanted: &wanted, started: now(), ended, empty };
    let done = run.all(slots, nth).await;
    // All at once: what was remembered of many copies that are well.
    let saved = copies::save(&shared).map_err(|error| Trouble::Lost(format!("the notes cannot be written: {error}")));
    let why = match done.and(saved) {
        Ok(()) => None,
        Err(trouble) => {
            run.rest(&trouble);
            Some(trouble.to_string())
        }
    };
    (wanted, why)
}

impl Run<'_> {
    async fn all(&self, slots: Rc<Slots>, nth: u64) -> Result<(), Trouble> {
        let config = self.shared.config().clone();
        let tables = self.look(&config).await;
        let all: Vec<(Item<'_>, &Table)> = tables
            .iter()
            .flat_map(|table| items(&config, table).map(move |item| (item, &**table)))
            .filter(|(item, _)| {
                Place::of(item.destination).as_ref() == Some(self.place) && self.wanted.keys.contains(&item.key())
            })
            .collect();
        for (item, _) in &all {
            copies::change(self.shared, *item, |copy| copy.saw = item.last_scheduled(now()));
        }
        for (key, tickets) in &self.wanted.tickets {
            if !all.iter().any(|(item, _)| item.key() == *key) && !self.ended.borrow().contains(key) {
                tickets.iter().for_each(|ticket| ticket.fail(format!("{} is not there any more", key.0)));
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        let ways = self.shared.common.ways.get().ok_or_else(|| Trouble::Lost("it knows no ways".to_owned()))?;
        let (mut session, greeted) = Session::open(ways, self.place, nth).await?;
        let ours = self.ours(&config, &greeted.root);
        let mut remote = self.remote(&all, &ours, &greeted, &mut session).await?;
        let jobs = self.jobs(&all, &mut remote, &greeted, &mut session).await?;
        let remote = Rc::new(remote);
        self.shared.common.remotes.borrow_mut().insert(self.place.clone(), Rc::clone(&remote));
        // How each is sent, before the first byte.
        copies::save(self.shared).map_err(|why| Trouble::Lost(format!("the notes cannot be written: {why}")))?;
        let item_of = |key: &Key| all.iter().find(|(item, _)| item.key() == *key).map(|(item, _)| *item);
        let (mut jobs, orphans) = self.with_what_is_above(jobs, &remote, &ours);
        for item in orphans.iter().filter_map(|orphan| item_of(&orphan.key)) {
            self.fail(item, "it waits for what is above it, which is not there yet: see its own row", false);
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let lanes = all.iter().map(|(item, _)| item.destination.concurrency).max().unwrap_or(1) as usize;
        let (most, lanes) = (lanes.max(1), lanes.clamp(1, jobs.len()));
        // Parents before children.
        jobs.sort_by(|a, b| a.path.cmp(&b.path));
        let floor = Floor::new(self.shared, slots, most, jobs);
        let mut sessions = vec![Some(session)];
        sessions.resize_with(lanes, || None);
        let work = sessions.into_iter().map(|session| floor.lane(session, ways, self.place, nth));
        // The first session carries the others: they end together.
        let lanes = futures::future::join_all(work).await;
        let (ends, lost) = floor.ends();
        drop(lanes);
        for (item, end) in ends.into_iter().filter_map(|(key, end)| Some((item_of(&key)?, end))) {
            match end {
                Ok(()) => self.well(item, true),
                Err(failure) => self.fail(item, &failure.to_string(), failure.clears()),
            }
        }
        lost.map_or(Ok(()), |why| Err(Trouble::Lost(why)))
    }

    /// What is below need not wait for it, unless its entry takes snapshots, the first of which is only late: below a place that
    /// is made for its children it could not arrive any more.
    fn nothing_comes(&self, item: Item<'_>, path: &RelPath) {
        if item.entry.snapshot_period.is_none() {
            self.empty.borrow_mut().insert(path.clone());
        }
    }

    /// Where all lies that goes there, wanted now or not: what is above a dataset must be there before it, and plans ask for
    /// all of it.
    fn ours(&self, config: &Config, root: &DatasetName) -> BTreeSet<RelPath> {
        let mut ours = BTreeSet::new();
        let known: Vec<Rc<Table>> = self.shared.common.tables.borrow().values().cloned().collect();
        let here = |item: &Item<'_>| Place::of(item.destination).as_ref() == Some(self.place);
        for item in known.iter().flat_map(|table| items(config, table)).filter(here) {
            let Ok(path) = self.path(item, root) else { continue };
            if item.dataset.snapshots.is_empty() {
                self.nothing_comes(item, &path);
            }
            ours.insert(path);
        }
        ours
    }

    /// What is there, and how long what is not there yet would be kept, all asked at once.
    async fn remote(
        &self,
        all: &[(Item<'_>, &Table)],
        ours: &BTreeSet<RelPath>,
        greeted: &Greeted,
        session: &mut Session,
    ) -> Result<Remote, Trouble> {
        let rows = session.list(ours).await?;
        let missing: Vec<(RelPath, Kind)> = all
            .iter()
            .filter_map(|(item, _)| Some((self.path(*item, &greeted.root).ok()?, item.dataset.kind)))
            .filter(|(path, _)| !rows.contains_key(path))
            .collect();
        let keeping = session.keeping(&missing).await?;
        Ok(Remote { root: greeted.root.clone(), rows, keeping, retired: greeted.retired, rules: RefCell::default() })
    }

    /// What is to be sent.
    async fn jobs(
        &self,
        all: &[(Item<'_>, &Table)],
        remote: &mut Remote,
        greeted: &Greeted,
        session: &mut Session,
    ) -> Result<Vec<Job>, Trouble> {
        let mut jobs: Vec<Job> = Vec::new();
        let mut paces: BTreeMap<DestinationId, Rc<Pace>> = BTreeMap::new();
        for (item, table) in all {
            // Others have their turn in between: what another machine announces is played through here.
            tokio::task::yield_now().await;
            let Some((path, steps, manner)) = self.prepare(*item, table, remote, session).await? else {
                continue;
            };
            let to = item.destination.id();
            let pace = paces.entry(to).or_insert_with(|| Rc::new(Pace::new(item.destination.bandwidth)));
            jobs.push(Job {
                key: item.key(),
                dataset: item.dataset.clone(),
                to,
                name: self.name(*item, &path),
                manner,
                first: Cell::new(remote.rows.get(&path).is_none_or(|row| row.count == 0)).into(),
                of: steps.len(),
                steps: steps.into(),
                bytes: None,
                bookmarks: table.bookmarks.get(&item.dataset.name).cloned().unwrap_or_default(),
                pace: Rc::clone(pace),
                packs: greeted.unpacks && item.destination.compress == Compress::Zstd,
                tickets: self.tickets(&item.key()),
                started: self.started,
                path,
            });
        }
        Ok(jobs)
    }

    /// Those that have what is above them there or coming, and those that have not.
    fn with_what_is_above(&self, jobs: Vec<Job>, remote: &Remote, ours: &BTreeSet<RelPath>) -> (Vec<Job>, Vec<Job>) {
        // What is only begun may be under way in another run.
        let there = |path: &RelPath| remote.rows.get(path).is_some_and(|row| row.count > 0);
        let coming: BTreeSet<RelPath> = jobs.iter().map(|job| job.path.clone()).collect();
        let empty = self.empty.borrow();
        let comes =
            |path: &RelPath| there(path) || coming.contains(path) || empty.contains(path) || !ours.contains(path);
        jobs.into_iter().partition(|job| {
            !job.first.get() || std::iter::successors(job.path.parent(), RelPath::parent).all(|above| comes(&above))
        })
    }

    /// The pools of the sources as they are now. What cannot be looked at is left out, and its copies wait.
    async fn look(&self, config: &Config) -> Vec<Rc<Table>> {
        let names: BTreeSet<PoolName> = self.wanted.keys.iter().map(|(dataset, _)| dataset.pool()).collect();
        let looks = names.into_iter().map(async |pool| {
            // An order was looked for when it came.
            let known = self.shared.common.tables.borrow().get(&pool).filter(|table| table.is_fresh()).cloned();
            if let (Some(known), false) = (known, self.wanted.tickets.is_empty()) {
                return Ok(known);
            }
            let (sender, seen) = oneshot::channel();
            let asked = self.shared.order(&pool, 0, format!("look at {pool}"), Wish::Look(sender));
            let table = if asked.is_ok() { seen.await.ok() } else { None };
            table.ok_or(pool)
        });
        let mut tables = Vec::new();
        for seen in futures::future::join_all(looks).await {
            match seen {
                Ok(table) => tables.push(table),
                Err(pool) => {
                    // What was there is not there now, or not known any more.
                    let known = self.shared.common.tables.borrow_mut().remove(&pool);
                    let why = format!("pool {pool} cannot be looked at: `zamctl status` says why");
                    for item in known.iter().flat_map(|table| items(config, table)) {
                        if self.wanted.keys.contains(&item.key()) {
                            self.fail(item, &why, false);
                        }
                    }
                }
            }
        }
        tables
    }

    fn path(&self, item: Item<'_>, root: &DatasetName) -> Result<RelPath, String> {
        let path = item.destination.relative_to(item.entry, &item.dataset.name, root);
        path.map_err(|why| format!("it has no place there: {why}"))
    }

    fn name(&self, item: Item<'_>, path: &RelPath) -> String {
        name_of(self.place, &copies::shown(item.destination, path.as_str()))
    }

    fn tickets(&self, key: &Key) -> Vec<Rc<Ticket>> {
        self.wanted.tickets.get(key).cloned().unwrap_or_default()
    }

    /// What is to be sent of one copy, if anything is; else its status says what is.
    async fn prepare(
        &self,
        item: Item<'_>,
        table: &Table,
        remote: &mut Remote,
        session: &mut Session,
    ) -> Result<Option<(RelPath, Vec<Step>, Manner)>, Trouble> {
        let (shared, key, to) = (self.shared, item.key(), item.destination.id());
        let path = match self.path(item, &remote.root) {
            Ok(path) => path,
            Err(why) => {
                self.fail(item, &why, false);
                return Ok(None);
            }
        };
        let noted = copies::noted(shared, item.dataset.guid, to);
        let mut clear = false;
        copies::change(shared, item, |copy| {
            copy.status.path = copies::shown(item.destination, path.as_str());
            copy.status.newest =
                remote.rows.get(&path).and_then(|row| row.newest.last()).map(|newest| newest.tag.clone());
            clear = std::mem::take(&mut copy.clear);
        });
        let full = self.wanted.full.contains(&key);
        let asked = |clear| Asked { place: self.place, full, clear, now: self.started };
        let mut verdict = plan(item, table, remote, &path, noted.as_ref(), &asked(clear));
        if let Verdict::Clear = verdict {
            match session.clear(&path).await {
                Ok(()) => {}
                Err(Trouble::Refused(refused)) => {
                    self.fail(item, &format!("what a cut stream left cannot be thrown away: {refused}"), true);
                    return Ok(None);
                }
                Err(trouble) => return Err(trouble),
            }
            // A first receive that was given up leaves nothing.
            if remote.rows.get(&path).is_some_and(|row| row.count == 0) {
                remote.rows.remove(&path);
            } else if let Some(row) = remote.rows.get_mut(&path) {
                row.partial = None;
            }
            verdict = plan(item, table, remote, &path, noted.as_ref(), &asked(false));
        }
        match verdict {
            Verdict::UpToDate => {
                self.well(item, remote.rows.get(&path).is_some_and(|row| row.count > 0));
                self.nothing_comes(item, &path);
            }
            Verdict::Clear => self.fail(item, "what a cut stream left is still there", true),
            Verdict::Stopped(why) => self.stop(item, CopyState::Waiting { why: why.clone(), until: None }, why),
            Verdict::Diverged { common, beyond } => {
                let why = format!("diverged: {} there that are not here", words_for(beyond.len()));
                self.stop(item, CopyState::Diverged { common, beyond }, why);
            }
            Verdict::Steps(steps, manner) => {
                // Who asked for everything anew has said that nothing is there.
                let row = remote.rows.get(&path).is_some_and(|row| row.count > 0);
                let arrived = row || !full && noted.as_ref().is_some_and(|noted| noted.arrived);
                let last = noted.and_then(|noted| noted.last);
                let new = Noted { path: path.clone(), raw: manner.raw, shape: manner.shape, arrived, last };
                copies::note(shared, item.dataset.guid, to, new);
                copies::change(shared, item, |copy| {
                    let why = format!("for its turn: {} to send", words_for(steps.len()));
                    copy.status.state = CopyState::Waiting { why, until: None };
                    copy.status.lag_snapshots = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                    copy.status.lag_bytes = None;
                });
                return Ok(Some((path, steps, manner)));
            }
        }
        Ok(None)
    }

    /// All is there; `something` is, unless there was nothing to send yet.
    fn well(&self, item: Item<'_>, something: bool) {
        let (guid, to, now) = (item.dataset.guid, item.destination.id(), now());
        self.ended.borrow_mut().insert(item.key());
        if let Some(noted) = copies::noted(self.shared, guid, to) {
            // Saved at the end of the run.
            let arrived = noted.arrived || something;
            copies::note(self.shared, guid, to, Noted { last: Some(now), arrived, ..noted });
        }
        copies::change(self.shared, item, |copy| {
            copy.status.last = Some(now);
            (copy.status.lag_snapshots, copy.status.lag_bytes) = (0, Some(0));
            copy.status.state = CopyState::Idle;
            copy.status.problems.clear();
            (copy.failures, copy.retry) = (0, None);
        });
    }

    /// Nothing is sent until somebody does something.
    fn stop(&self, item: Item<'_>, state: CopyState, why: String) {
        self.ended.borrow_mut().insert(item.key());
        for ticket in self.tickets(&item.key()) {
            ticket.fail(format!("{}: {why}", item.dataset.name));
        }
        copies::change(self.shared, item, |copy| {
            copy.status.state = state;
            copy.status.problems = vec![why];
            (copy.failures, copy.retry) = (0, None);
        });
    }

    /// It did not go well, and is tried again.
    fn fail(&self, item: Item<'_>, why: &str, clear: bool) {
        self.ended.borrow_mut().insert(item.key());
        for ticket in self.tickets(&item.key()) {
            ticket.fail(format!("{}: {why}", item.dataset.name));
        }
        copies::change(self.shared, item, |copy| {
            copy.clear |= clear;
            failed(copy, item, why, &self.shared.host, item.destination.absent_expected);
            let absent = item.entry.absent_expected && !self.is_there(item);
            copy.status.problems = Vec::from_iter((!absent).then(|| why.to_owned()));
        });
    }

    /// Whether its absence is no failure yet (`reachable`).
    fn is_awaited(&self, item: Item<'_>) -> bool {
        let when = item.entry.run_when.replication.as_ref().filter(|when| when.reachable);
        let limit = |when: &When| when.limit(copies::well(self.shared, item), item.entry.rule.zone.calendar());
        when.is_some_and(|when| now() < limit(when))
    }

    fn is_there(&self, item: Item<'_>) -> bool {
        self.shared.common.tables.borrow().contains_key(&item.dataset.name.pool())
    }

    /// The run as a whole came to nothing: what that means for the copies that have no end yet. One that may be away is no
    /// problem.
    fn rest(&self, trouble: &Trouble) {
        let why = trouble.to_string();
        let ended = self.ended.borrow().clone();
        for (key, tickets) in self.wanted.tickets.iter().filter(|(key, _)| !ended.contains(key)) {
            tickets.iter().for_each(|ticket| ticket.fail(format!("{} to {}: {why}", key.0, self.place)));
        }
        let config = self.shared.config().clone();
        let tables: Vec<Rc<Table>> = self.shared.common.tables.borrow().values().cloned().collect();
        let remote = self.shared.common.remotes.borrow().get(self.place).cloned();
        for (item, table) in tables.iter().flat_map(|table| items(&config, table).map(move |item| (item, table))) {
            let here = Place::of(item.destination).as_ref() == Some(self.place);
            let key = item.key();
            if !here || !self.wanted.keys.contains(&key) || ended.contains(&key) {
                continue;
            }
            copies::change(self.shared, item, |copy| {
                let away = matches!(trouble, Trouble::Away(_));
                let patient = item.destination.absent_expected || away && self.is_awaited(item);
                failed(copy, item, &why, &self.shared.host, patient);
                copy.status.lag_snapshots = behind(item, table, remote.as_deref(), copy.status.newest.as_ref(), now());
                copy.status.lag_bytes = None;
                let absent = patient && away;
                copy.status.problems = Vec::from_iter((!absent).then(|| why.clone()));
                if !absent && is_given_up(copy, item, now()) {
                    let span = item.destination.give_up;
                    let given_up = format!("given up: no run has ended well for {span}; it is tried once a day");
                    copy.status.problems.insert(0, given_up);
                }
            });
        }
    }
}

/// It is tried again; of what one is `patient` about, as often as ever.
fn failed(copy: &mut Copy, item: Item<'_>, why: &str, host: &str, patient: bool) {
    let now = now();
    copy.failures = copy.failures.saturating_add(1);
    let period = item.entry.replication_period.map_or(FIRST, |period| period.approximate_seconds());
    let first = Duration::from_secs(period.clamp(1, FIRST).unsigned_abs());
    let wait = if is_given_up(copy, item, now) {
        Duration::from_secs(86_400)
    } else if patient {
        // It is looked for as long as it is away: plugging it in starts the job.
        first
    } else {
        back_off(first, copy.failures, host)
    };
    let until = now.plus(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).max(1));
    // Without a period it is for `zamctl replicate` to try again.
    copy.retry = item.entry.replication_period.map(|_| until);
    copy.status.state = CopyState::Waiting { why: why.to_owned(), until: copy.retry };
}

fn is_given_up(copy: &Copy, item: Item<'_>, now: UnixTime) -> bool {
    let zone = item.entry.rule.zone.calendar();
    copy.status.last.is_some_and(|last| item.destination.give_up.after(last, zone) <= now)
}

fn words_for(snapshots: usize) -> String {
    if snapshots == 1 { "1 snapshot".to_owned() } else { format!("{snapshots} snapshots") }
}

/// Seconds after a first failure.
const FIRST: i64 = 30;
