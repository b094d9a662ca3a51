//! What becomes of the snapshots of one dataset at one instant: verdicts, vetoes, the brake, the grace. Both keys and
//! zamctl run this, each on its own listing and notes.

use crate::{
    Digest, Span,
    config::Entry,
    judge::{self, Origin, Reason, Verdict},
    notes::{DatasetNotes, Expiry, PlanId},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeSet};
use zam_names::{Dataset, Guid, HOLD_TAG, HoldTag, Snapshot, Target, UnixTime};

const DAY: i64 = 86_400;

/// What stands in the way of an expired snapshot's end. Vetoes come and go; expiry does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Veto {
    /// The newest snapshot of the dataset, whoever made it.
    Newest,
    /// The newest one that zam made.
    NewestOfZam,
    /// Among the newest, so many of which stay however old.
    AtLeast(u32),
    /// Somebody else's hold.
    Held(HoldTag),
    /// A clone needs it.
    Clones(u32),
    /// The dataset has had no good new snapshot for too long, so ageing out pauses.
    Silence,
    /// Somebody marked it to be destroyed with its last hold (`zfs destroy -d`), which zam never does.
    Marked,
    /// More would die than any accepted policy foretold; waits for approval of this plan.
    Braked(PlanId),
    /// Root paused the entry for this dataset.
    Paused,
}

/// The brake of a dataset, when it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// What `zamctl prune --approve` takes.
    pub plan: PlanId,
    /// Snapshots that would die unforetold.
    pub unforetold: u32,
    /// How many may, in a rolling day.
    pub allowed: u32,
    /// Of how many older snapshots that is a share.
    pub of: u32,
}

/// What happens next to a snapshot, as one key sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// Not zam's business.
    Ignored,
    /// It has not expired.
    Stays,
    /// It has expired, but something stands in the way.
    Vetoed(Vec<Veto>),
    /// It has expired; zamd-snap releases it.
    Release,
    /// It has expired and nothing holds it; zamd-prune destroys it at this instant, if all stays so. None: its grace has
    /// not begun in these notes.
    Grace(Option<UnixTime>),
    /// zamd-prune destroys it.
    Destroy,
}

/// One dataset, judged.
pub struct Assessment<'a> {
    dataset: &'a Dataset,
    entry: &'a Entry,
    notes: Cow<'a, DatasetNotes>,
    now: UnixTime,
    /// One for each snapshot of the dataset, at the same place.
    pub verdicts: Vec<Verdict>,
    /// The brake, if it is on.
    pub brake: Option<Brake>,
    /// Whether there has been no good new snapshot for too long.
    pub silent: bool,
    digest: Digest,
    unforetold: BTreeSet<usize>,
    newest_of_zam: Option<usize>,
    /// The first of the newest `at_least`.
    first_of_newest: usize,
}

impl<'a> Assessment<'a> {
    /// Judges `dataset` under its `entry` at `now`. The dataset's snapshots come in createtxg order.
    #[must_use]
    pub fn new(dataset: &'a Dataset, entry: &'a Entry, notes: &'a DatasetNotes, now: UnixTime) -> Self {
        let grace = entry.grace.approximate_seconds();
        let rule = &entry.rule;
        let mut notes = Cow::Borrowed(notes);
        if notes.accepted.is_none() {
            // The first look judges as all later ones will.
            notes.to_mut().adrift.extend(adrift(dataset, entry));
            notes.to_mut().quarantined.extend(out_of_order(dataset, entry));
        }
        let verdicts = judge::judge(rule, &dataset.snapshots, origin(entry), &notes, grace, now);
        let competitors: Vec<usize> = (0..verdicts.len()).filter(|&i| verdicts[i].competes()).collect();
        let keep = (rule.at_least as usize).min(competitors.len());
        let newest_good = competitors.iter().rev().map(|&i| verdicts[i].date).find(|&date| date <= now);
        let mut this = Self {
            // What is put aside must not stand in for an honest one.
            newest_of_zam: verdicts.iter().rposition(|v| v.is_managed() && v.reason != Reason::Quarantined),
            first_of_newest: if keep == 0 { usize::MAX } else { competitors[competitors.len() - keep] },
            silent: silent(entry, newest_good, now),
            digest: rule.digest(),
            unforetold: BTreeSet::new(),
            brake: None,
            verdicts,
            dataset,
            entry,
            notes,
            now,
        };
        this.set_brake(grace, competitors.len());
        this
    }

    /// The snapshots that were judged.
    #[must_use]
    pub fn snapshots(&self) -> &'a [Snapshot] {
        &self.dataset.snapshots
    }

    /// What stands in the way of the end of the snapshot at this place, whether it has expired or not.
    #[must_use]
    pub fn vetoes(&self, index: usize) -> Vec<Veto> {
        let (snapshot, verdict) = (&self.dataset.snapshots[index], &self.verdicts[index]);
        let asked = matches!(verdict.reason, Reason::LetGo | Reason::Manual);
        let mut vetoes = Vec::new();
        let mut veto = |stands, veto| {
            if stands {
                vetoes.push(veto);
            }
        };
        veto(index + 1 == self.dataset.snapshots.len(), Veto::Newest);
        veto(Some(index) == self.newest_of_zam && index + 1 != self.dataset.snapshots.len(), Veto::NewestOfZam);
        veto(!asked && index >= self.first_of_newest, Veto::AtLeast(self.entry.rule.at_least));
        for tag in snapshot.holds.iter().filter(|tag| tag.as_str() != HOLD_TAG) {
            veto(true, Veto::Held(tag.clone()));
        }
        veto(snapshot.clones > 0, Veto::Clones(snapshot.clones));
        veto(self.silent && self.ages_out(index), Veto::Silence);
        veto(snapshot.deferred, Veto::Marked);
        if let Some(brake) = self.brake {
            veto(self.unforetold.contains(&index), Veto::Braked(brake.plan));
        }
        veto(self.notes.paused.is_some(), Veto::Paused);
        vetoes
    }

    /// What happens next to the snapshot at this place.
    #[must_use]
    pub fn next(&self, index: usize) -> Next {
        let (snapshot, verdict) = (&self.dataset.snapshots[index], &self.verdicts[index]);
        if !verdict.is_managed() {
            return Next::Ignored;
        }
        if !verdict.expired(self.now) {
            return Next::Stays;
        }
        let vetoes = self.vetoes(index);
        if !vetoes.is_empty() {
            return Next::Vetoed(vetoes);
        }
        if snapshot.is_held_by(HOLD_TAG) {
            return Next::Release;
        }
        match self.grace_ends(snapshot.guid) {
            Some(end) if end <= self.now => Next::Destroy,
            end => Next::Grace(end),
        }
    }

    /// What zamd-snap must hold: what policy keeps and zam's hold is missing from.
    #[must_use]
    pub fn to_hold(&self) -> Vec<Target> {
        if !self.entry.hold || self.notes.paused.is_some() {
            return Vec::new();
        }
        self.pick(|i| {
            self.verdicts[i].is_managed()
                && !self.verdicts[i].expired(self.now)
                && !self.dataset.snapshots[i].is_held_by(HOLD_TAG)
        })
    }

    /// What zamd-snap releases: expired, held by zam, and nothing in the way.
    #[must_use]
    pub fn to_release(&self) -> Vec<Target> {
        self.pick(|i| self.next(i) == Next::Release)
    }

    /// What zamd-prune destroys: expired, not held, nothing in the way, and past its grace or, where `skip_grace`, within it.
    #[must_use]
    pub fn to_destroy(&self, skip_grace: bool) -> Vec<Target> {
        self.pick(|i| match self.next(i) {
            Next::Destroy => true,
            Next::Grace(_) => skip_grace,
            _ => false,
        })
    }

    /// The notes after this look. To be written down before anything is done; not to be called while the clock is not to
    /// be trusted, since expiry seen under a wrong clock would stay.
    #[must_use]
    pub fn observe(&self) -> DatasetNotes {
        let mut notes = DatasetNotes::clone(&self.notes);
        notes.seen = Some(self.now);
        self.forget_the_gone(&mut notes);
        let digest = self.digest;
        for (index, snapshot) in self.dataset.snapshots.iter().enumerate() {
            let expired = self.verdicts[index].expired(self.now) && !(self.silent && self.ages_out(index));
            let all = notes.expired.entry(snapshot.guid).or_default();
            let unheld = (expired && snapshot.holds.is_empty()).then_some(self.now);
            for expiry in all.iter_mut() {
                // A grace runs under one rule, while nothing holds: whatever interrupts it makes it begin anew.
                expiry.unheld = unheld.filter(|_| expiry.rule == digest).and(expiry.unheld.or(unheld));
            }
            if expired && all.iter().all(|expiry| expiry.rule != digest) {
                let aged_out = self.ages_out(index);
                all.push(Expiry { rule: digest, seen: self.now, unheld, aged_out });
            } else if !expired && !self.silent {
                all.retain(|expiry| expiry.rule != digest);
            }
        }
        notes.expired.retain(|_, all| !all.is_empty());
        let aside = self.verdicts.iter().zip(&self.dataset.snapshots).filter(|(v, _)| v.reason == Reason::Quarantined);
        notes.quarantined.extend(aside.map(|(_, snapshot)| snapshot.guid));
        notes.unforetold.retain(|(at, _)| self.now.since(*at) < DAY);
        if self.brake.is_none() && notes.accepted.as_ref() != Some(&self.entry.rule) {
            if let Ok(count @ 1..) = u32::try_from(self.unforetold.len()) {
                notes.unforetold.push((self.now, count));
            }
            notes.accepted = Some(self.entry.rule.clone());
            notes.approved = None;
        }
        notes
    }

    /// Whether the snapshot at this place ends by age alone.
    fn ages_out(&self, index: usize) -> bool {
        matches!(self.verdicts[index].reason, Reason::Winner | Reason::ExpiredBefore { aged_out: true })
    }

    fn grace_ends(&self, guid: Guid) -> Option<UnixTime> {
        let expiry = self.notes.expired.get(&guid)?.iter().find(|expiry| expiry.rule == self.digest)?;
        Some(self.entry.grace.after(expiry.unheld?, self.entry.rule.zone.calendar()))
    }

    fn pick(&self, wanted: impl Fn(usize) -> bool) -> Vec<Target> {
        let named = |i: usize| {
            let snapshot = &self.dataset.snapshots[i];
            Some(Target { name: self.dataset.name_of(snapshot).ok()?, guid: snapshot.guid })
        };
        (0..self.verdicts.len()).filter(|&i| wanted(i)).filter_map(named).collect()
    }

    /// Finds the deaths that the accepted rule did not foretell, and whether they are too many.
    fn set_brake(&mut self, grace: i64, competitors: usize) {
        let rule = &self.entry.rule;
        let accepted = self.notes.accepted.as_ref();
        if accepted == Some(rule) {
            return;
        }
        let foretold = accepted
            .map(|rule| judge::judge(rule, &self.dataset.snapshots, origin(self.entry), &self.notes, grace, self.now));
        // What the accepted rule would have kept as one of its newest was not foretold to go either.
        let newest = accepted.map_or(0, |rule| rule.at_least as usize);
        self.unforetold = (0..self.verdicts.len())
            .filter(|&i| {
                let verdict = &self.verdicts[i];
                !matches!(verdict.reason, Reason::LetGo | Reason::Manual)
                    && verdict.expired(self.now)
                    && !foretold
                        .as_ref()
                        .is_some_and(|verdicts| verdicts[i].expired(self.now) && i + newest < self.verdicts.len())
            })
            .collect();
        let older = competitors.saturating_sub(1);
        let allowed = (older * usize::from(self.entry.brake) / 100).max(1);
        let recent: u32 =
            self.notes.unforetold.iter().filter(|(at, _)| self.now.since(*at) < DAY).map(|(_, count)| count).sum();
        let plan = PlanId::of_change(accepted, rule);
        if self.entry.brake < 100
            && !self.unforetold.is_empty()
            && self.unforetold.len() + recent as usize > allowed
            && self.notes.approved != Some(plan)
        {
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            self.brake = Some(Brake {
                plan,
                unforetold: count(self.unforetold.len()),
                allowed: count(allowed),
                of: count(older),
            });
        }
    }

    /// Drops notes on snapshots that are gone. A listing without any is no proof of that: a rename in the middle of it looks
    /// the same.
    fn forget_the_gone(&self, notes: &mut DatasetNotes) {
        if self.dataset.snapshots.is_empty() {
            return;
        }
        let there: BTreeSet<Guid> = self.dataset.snapshots.iter().map(|snapshot| snapshot.guid).collect();
        notes.expired.retain(|guid, _| there.contains(guid));
        notes.adrift.retain(|guid| there.contains(guid));
        notes.quarantined.retain(|guid| there.contains(guid));
        notes.manual.retain(|guid, _| there.contains(guid));
        notes.let_go.retain(|guid, _| there.contains(guid));
        notes.kept.retain(|guid, _| there.contains(guid));
        notes.unprepared.retain(|guid, _| there.contains(guid));
    }
}

/// At a first look: what something else than policy may have kept alive beyond its end.
fn adrift(dataset: &Dataset, entry: &Entry) -> impl Iterator<Item = Guid> {
    let some_held = dataset.snapshots.iter().any(|s| s.is_held_by(HOLD_TAG));
    let pinned = move |snapshot: &&Snapshot| {
        snapshot.clones > 0
            || snapshot.holds.iter().any(|tag| tag.as_str() != HOLD_TAG)
            || (entry.hold && some_held && !snapshot.is_held_by(HOLD_TAG))
    };
    dataset.snapshots.iter().filter(pinned).map(|snapshot| snapshot.guid)
}

/// At a first look at a replica: what is dated after something that arrived later. Whether it had been put aside before is
/// not known any more; by such a date it would displace what is honest.
fn out_of_order(dataset: &Dataset, entry: &Entry) -> Vec<Guid> {
    let mut earliest_later = UnixTime(i64::MAX);
    let mut found = Vec::new();
    for snapshot in dataset.snapshots.iter().rev().filter(|_| entry.is_replica()) {
        let date = judge::claimed_date(&entry.rule.prefix, &snapshot.tag, snapshot.creation);
        if judge::is_ahead(date, earliest_later) {
            found.push(snapshot.guid);
        }
        earliest_later = earliest_later.min(date);
    }
    found
}

fn origin(entry: &Entry) -> Origin {
    if entry.is_replica() { Origin::Elsewhere } else { Origin::Here }
}

/// Whether a dataset that should get snapshots has had none for the entry's number of periods. How often copies arrive is
/// the source's business: a day is given to them at least. A client that is retired is not waited for; what is to wait
/// (`run-when`) is not late before its limit.
fn silent(entry: &Entry, newest: Option<UnixTime>, now: UnixTime) -> bool {
    let period = match entry.rule.windows.first() {
        Some(first) if entry.is_replica() && !entry.is_retired(now) => {
            Some(first.period.approximate_seconds().max(DAY))
        }
        _ => entry.snapshot_period.map(Span::approximate_seconds),
    };
    let Some(period) = period.filter(|_| entry.silence > 0) else { return false };
    let waits = entry.run_when.snapshots.as_ref().map_or(0, |when| when.at_latest.times(2).approximate_seconds());
    let patience = period.saturating_mul(i64::from(entry.silence)).max(waits);
    newest.is_none_or(|date| now.since(date) > patience)
}
