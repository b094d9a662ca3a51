//! What both keys will do to a dataset, now or until a later instant. Pure: the listing, the entry, the notes of both
//! keys and two instants go in.

use zam_names::{CreateTxg, Dataset, Guid, HOLD_TAG, HoldTag, SnapTag, Snapshot, UnixTime};
use zam_policy::{
    assess::{Assessment, Brake, Next},
    config::Entry,
    explain,
    notes::DatasetNotes,
    schedule::{Facts, Obstacle, Task, next_possible},
    tags,
};

/// What each key remembers of a dataset; none where it was not to be had.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// What zamd-snap does.
    pub snap: Option<DatasetNotes>,
    /// What zamd-prune does.
    pub prune: Option<DatasetNotes>,
}

/// What happens to a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It is taken and held.
    Take,
    /// It is held.
    Hold,
    /// Its hold goes.
    Release,
    /// It is destroyed.
    Destroy,
    /// It waits to be destroyed, after the instant that was asked about.
    Wait,
    /// It has expired and stays all the same.
    Stay,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub what: What,
    /// To which snapshot, or to how many.
    pub snapshot: String,
    /// When, at the earliest.
    pub when: UnixTime,
    /// When it may be destroyed, where that is after the instant that was asked about.
    pub destroyed_after: Option<UnixTime>,
    /// The bytes that only it takes.
    pub bytes: Option<u64>,
    /// Why, in words.
    pub why: String,
}

/// What happens to a dataset.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// In the order of time.
    pub steps: Vec<Step>,
    /// When the next snapshot is due, if ever.
    pub next_snapshot: Option<UnixTime>,
    /// How many snapshots simply stay.
    pub untouched: usize,
    /// zamd-snap's or zamd-prune's brake.
    pub brake: Option<Brake>,
    /// Whether ageing out pauses for lack of a good new snapshot.
    pub silent: bool,
    /// Whether root paused it.
    pub paused: bool,
}

/// Looks ahead from `now` to `at`.
#[must_use]
pub fn forecast(dataset: &Dataset, entry: &Entry, remembered: &Remembered, now: UnixTime, at: UnixTime) -> Forecast {
    let (snap_notes, prune_notes) = remembered.both(entry);
    let paused = snap_notes.paused.is_some();
    let taking = Taking::of(dataset, entry, paused, now, at);
    let future = taking.added_to(dataset, entry, at);
    let releasing = Assessment::new(&future, entry, &snap_notes, at);
    let destroying = Assessment::new(&future, entry, &prune_notes, at);

    let mut steps: Vec<Step> = taking.step(entry, now).into_iter().collect();
    for target in Assessment::new(dataset, entry, &snap_notes, now).to_hold() {
        let why = "kept by the policy, and not held yet".to_owned();
        let snapshot = target.name.tag().to_string();
        steps.push(Step { what: What::Hold, snapshot, when: now, destroyed_after: None, bytes: None, why });
    }
    let mut untouched = 0;
    for (index, snapshot) in dataset.snapshots.iter().enumerate() {
        let judge = Judge { entry, snapshot, index, notes: &prune_notes, now, at };
        let fate = judge.fate(&releasing, &destroying);
        untouched += usize::from(fate.is_empty());
        steps.extend(fate);
    }
    steps.sort_by_key(|step| (step.what, step.when));
    Forecast {
        steps,
        next_snapshot: taking.first,
        untouched,
        brake: destroying.brake.or(releasing.brake),
        silent: destroying.silent,
        paused,
    }
}

impl Remembered {
    /// zamd-snap's notes and zamd-prune's. What one does not say is taken from the other, who judges alike; without both, the
    /// config counts as accepted.
    #[must_use]
    pub fn both(&self, entry: &Entry) -> (DatasetNotes, DatasetNotes) {
        let fresh = || DatasetNotes { accepted: Some(entry.rule.clone()), ..DatasetNotes::default() };
        let either = |one: &Option<DatasetNotes>, other: &Option<DatasetNotes>| {
            one.as_ref().or(other.as_ref()).cloned().unwrap_or_else(fresh)
        };
        (either(&self.snap, &self.prune), either(&self.prune, &self.snap))
    }
}

/// The dataset as it will be at `at`, as far as that matters for the snapshots that are there now: those to come displace
/// nobody, but they are the newest, and their coming ends a silence. They stand behind the present ones.
#[must_use]
pub fn at_that_time(dataset: &Dataset, entry: &Entry, remembered: &Remembered, now: UnixTime, at: UnixTime) -> Dataset {
    let paused = remembered.both(entry).0.paused.is_some();
    if at > now { Taking::of(dataset, entry, paused, now, at).added_to(dataset, entry, at) } else { dataset.clone() }
}

/// When the next snapshot is due, if ever; may be now.
#[must_use]
pub fn next_snapshot(dataset: &Dataset, entry: &Entry, remembered: &Remembered, now: UnixTime) -> Option<UnixTime> {
    Taking::of(dataset, entry, remembered.both(entry).0.paused.is_some(), now, now).first
}

/// The snapshots that will be taken.
struct Taking {
    first: Option<UnixTime>,
    count: i64,
    name: Option<SnapTag>,
}

impl Taking {
    fn of(dataset: &Dataset, entry: &Entry, paused: bool, now: UnixTime, at: UnixTime) -> Self {
        let none = Self { first: None, count: 0, name: None };
        let Some(period) = entry.snapshot_period else { return none };
        let last = tags::last_scheduled(&entry.rule.prefix, &dataset.snapshots, now);
        // What the machine will be like nobody knows; the hours are foretold.
        let when = entry.run_when.snapshots.as_ref().map(|when| (when, last.unwrap_or(now)));
        let facts = Facts { obstacle: paused.then_some(Obstacle::Paused), ..Facts::QUIET };
        let task = Task { when, ..Task::every(period, last) };
        match next_possible(&task, now, entry.rule.zone.calendar(), &facts).at() {
            None => none,
            Some(first) if first > at => Self { first: Some(first), ..none },
            Some(first) => Self {
                first: Some(first),
                count: 1 + at.since(first) / period.approximate_seconds(),
                name: tags::scheduled(&entry.rule.prefix, first),
            },
        }
    }

    fn added_to(&self, dataset: &Dataset, entry: &Entry, at: UnixTime) -> Dataset {
        let mut future = dataset.clone();
        let Some(period) = entry.snapshot_period else { return future };
        let wanted = self.count.min(i64::from(entry.rule.at_least).clamp(1, 1000));
        let newest = dataset.snapshots.iter().map(|snapshot| snapshot.createtxg.0).max().unwrap_or_default();
        for back in (0..wanted).rev() {
            let date = at.plus(-back * period.approximate_seconds());
            let Some(tag) = tags::scheduled(&entry.rule.prefix, date) else { continue };
            let place = u64::try_from(wanted - back).unwrap_or_default();
            future.snapshots.push(Snapshot {
                tag,
                guid: Guid(u64::MAX - place),
                createtxg: CreateTxg(newest.saturating_add(place)),
                creation: date,
                holds: HOLD_TAG.parse::<HoldTag>().into_iter().collect(),
                clones: 0,
                deferred: false,
                used: None,
            });
        }
        future
    }

    fn step(&self, entry: &Entry, now: UnixTime) -> Option<Step> {
        let (first, period) = (self.first?, entry.snapshot_period?);
        let held = if entry.hold { ", held from birth" } else { "" };
        let (snapshot, why) = match self.count {
            0 => return None,
            1 => (self.name.as_ref()?.to_string(), format!("due, one every {period}{held}")),
            many => (format!("about {many} snapshots"), format!("one every {period}{held}")),
        };
        Some(Step { what: What::Take, snapshot, when: first.max(now), destroyed_after: None, bytes: None, why })
    }
}

/// One snapshot before both keys.
struct Judge<'a> {
    entry: &'a Entry,
    snapshot: &'a Snapshot,
    index: usize,
    /// zamd-prune's.
    notes: &'a DatasetNotes,
    now: UnixTime,
    at: UnixTime,
}

impl Judge<'_> {
    fn fate(&self, releasing: &Assessment<'_>, destroying: &Assessment<'_>) -> Vec<Step> {
        // Each key acts by its own notes: whether it is held decides whose turn it is.
        let held = self.snapshot.is_held_by(HOLD_TAG);
        let seen = if held { releasing } else { destroying };
        let why = explain::reason(self.entry, seen, self.index, self.at);
        let expired = seen.verdicts[self.index].expires.unwrap_or(self.now).max(self.now);
        let next = seen.next(self.index);
        if self.entry.prune_period.is_none() && !matches!(next, Next::Ignored | Next::Stays) {
            return vec![self.step(What::Stay, expired, format!("expired ({why}), but `prune-period` is \"never\""))];
        }
        match next {
            Next::Ignored | Next::Stays => Vec::new(),
            Next::Vetoed(vetoes) => {
                vec![self.step(What::Stay, expired, format!("{}; expired: {why}", explain::all(&vetoes)))]
            }
            Next::Release => {
                let end = self.grace_after(expired);
                let release = self.step(What::Release, expired, why.clone());
                if end > self.at {
                    return vec![Step { destroyed_after: Some(end), ..release }];
                }
                vec![release, self.end(end, why)]
            }
            Next::Grace(None) => vec![self.end(self.grace_after(expired), why)],
            Next::Grace(Some(end)) => vec![self.end(end, why)],
            Next::Destroy => vec![self.end(self.noted_end().unwrap_or(self.now), why)],
        }
    }

    fn end(&self, when: UnixTime, why: String) -> Step {
        if when <= self.at {
            return self.step(What::Destroy, when.max(self.now), why);
        }
        Step { destroyed_after: Some(when), ..self.step(What::Wait, self.now, why) }
    }

    fn grace_after(&self, start: UnixTime) -> UnixTime {
        self.entry.grace.after(start, self.entry.rule.zone.calendar())
    }

    /// The end of its grace in zamd-prune's notes.
    fn noted_end(&self) -> Option<UnixTime> {
        let digest = self.entry.rule.digest();
        let expiry = self.notes.expired.get(&self.snapshot.guid)?.iter().find(|expiry| expiry.rule == digest)?;
        Some(self.grace_after(expiry.unheld?))
    }

    fn step(&self, what: What, when: UnixTime, why: String) -> Step {
        let snapshot = self.snapshot.tag.to_string();
        Step { what, snapshot, when, destroyed_after: None, bytes: self.snapshot.used, why }
    }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
