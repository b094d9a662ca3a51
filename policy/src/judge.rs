//! When each snapshot of a dataset expires, and why. Says nothing about who holds what: expiry moves neither with vetoes
//! nor with later snapshots.

use crate::{
    Rule,
    notes::{DatasetNotes, Expiry},
    span::Bucket,
    tags::{self, Maker},
};
use std::collections::HashMap;
use zam_names::{Guid, QUARANTINE_TAG, SnapTag, Snapshot, UnixTime};

/// Where snapshots come from, and so whose word their dates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They were taken here, by this clock.
    Here,
    /// They arrived in streams, whose dates are a stranger's: none counts as earlier than the one before it, and what is
    /// dated in the future is put aside.
    Elsewhere,
}

/// What policy says of one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When it was made: by its name if zam named it, else by ZFS.
    pub date: UnixTime,
    /// Why it is judged so.
    pub reason: Reason,
    /// When it expires; none: never.
    pub expires: Option<UnixTime>,
}

/// Why a snapshot is judged as it is. Indices point into the list that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// zam did not name it, and nothing adopts it.
    Foreign,
    /// The entry has no windows.
    NoWindows,
    /// Somebody asked for it, perhaps with an end.
    Manual,
    /// On a replica: it was dated in the future when it was first seen, so it neither expires nor competes.
    Quarantined,
    /// An operator let it go.
    LetGo,
    /// It was seen to have expired under this rule before, and so competes no more.
    ExpiredBefore {
        /// Whether it had kept its bucket to the end of the windows.
        aged_out: bool,
    },
    /// It is the earliest of its bucket in every tier.
    Winner,
    /// Another snapshot is the earliest in its bucket of this tier.
    Outdone {
        /// The tier, counted from 0.
        tier: usize,
        /// The one that keeps the bucket.
        by: usize,
    },
}

impl Verdict {
    /// Whether it has expired at `now`.
    #[must_use]
    pub fn expired(&self, now: UnixTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Whether it goes by the windows: nobody decided about it alone.
    #[must_use]
    pub fn competes(&self) -> bool {
        !matches!(self.reason, Reason::Foreign | Reason::Manual | Reason::LetGo | Reason::Quarantined)
    }

    /// Whether zam made it or minds it, so that holding and destroying it is zam's business.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.reason != Reason::Foreign
    }
}

/// Judges the snapshots of one dataset, which come in the order of their createtxg. The answer has one verdict for each, at
/// the same place.
#[must_use]
pub fn judge(
    rule: &Rule,
    snapshots: &[Snapshot],
    origin: Origin,
    notes: &DatasetNotes,
    grace: i64,
    now: UnixTime,
) -> Vec<Verdict> {
    debug_assert!(snapshots.is_sorted_by_key(|snapshot| snapshot.createtxg));
    let mut contest = Contest { rule, tiers: vec![HashMap::new(); rule.windows.len()] };
    let past = Past { notes, digest: rule.digest(), grace, now };
    let mut before = UnixTime(i64::MIN);
    let judged = snapshots.iter().enumerate().map(|(index, snapshot)| {
        let mut date = claimed_date(&rule.prefix, &snapshot.tag, snapshot.creation);
        let aside = origin == Origin::Elsewhere && past.puts_aside(snapshot, date);
        if origin == Origin::Elsewhere && !aside {
            date = date.max(before);
        }
        let verdict = verdict(&mut contest, &past, index, snapshot, date, aside);
        // What does not compete comes and goes by other rules, and the dates of the rest must not move with it.
        if verdict.competes() {
            before = date;
        }
        verdict
    });
    judged.collect()
}

/// When a snapshot was made: by its name if zam named it, else as ZFS says.
#[must_use]
pub fn claimed_date(prefix: &str, tag: &SnapTag, creation: UnixTime) -> UnixTime {
    match tags::maker(prefix, tag) {
        Maker::Schedule(date) | Maker::Request(date) => date,
        Maker::Other => creation,
    }
}

/// Whether a date that a stranger claims lies so far ahead that two good clocks cannot explain it.
#[must_use]
pub fn is_ahead(date: UnixTime, now: UnixTime) -> bool {
    date.since(now) > AHEAD
}

/// How many seconds two good clocks may differ.
const AHEAD: i64 = 600;

fn verdict(
    contest: &mut Contest<'_>,
    past: &Past<'_>,
    index: usize,
    snapshot: &Snapshot,
    date: UnixTime,
    aside: bool,
) -> Verdict {
    let rule = contest.rule;
    let maker = tags::maker(&rule.prefix, &snapshot.tag);
    let settled = |reason, expires| Verdict { date, reason, expires };
    if let Some(&at) = past.notes.let_go.get(&snapshot.guid) {
        return settled(Reason::LetGo, Some(at));
    }
    if let Some(&end) = past.notes.manual.get(&snapshot.guid) {
        return settled(Reason::Manual, end);
    }
    match maker {
        Maker::Other if !rule.adopts(&snapshot.tag) => return settled(Reason::Foreign, None),
        _ if aside => return settled(Reason::Quarantined, None),
        Maker::Request(_) => return settled(Reason::Manual, None),
        _ if rule.windows.is_empty() => return settled(Reason::NoWindows, None),
        _ => {}
    }
    match past.standing(snapshot.guid) {
        Standing::Expired(before) => settled(Reason::ExpiredBefore { aged_out: before.aged_out }, Some(before.seen)),
        Standing::Competes => contest.enter(index, date, true),
        Standing::Yields => contest.enter(index, date, false),
    }
}

/// The tiers while they fill, in createtxg order.
struct Contest<'a> {
    rule: &'a Rule,
    tiers: Vec<HashMap<Bucket, usize>>,
}

impl Contest<'_> {
    fn enter(&mut self, index: usize, date: UnixTime, displaces: bool) -> Verdict {
        let zone = self.rule.zone.calendar();
        let mut reached = Some(date);
        for (tier, (window, winners)) in self.rule.windows.iter().zip(&mut self.tiers).enumerate() {
            let bucket = window.period.bucket(date, zone);
            if let Some(&by) = winners.get(&bucket) {
                return Verdict { date, reason: Reason::Outdone { tier, by }, expires: reached };
            }
            if displaces {
                winners.insert(bucket, index);
            }
            reached = window.max_age.map(|age| age.after(date, zone));
        }
        Verdict { date, reason: Reason::Winner, expires: reached }
    }
}

/// What the notes say of the past.
struct Past<'a> {
    notes: &'a DatasetNotes,
    digest: crate::rule::Digest,
    grace: i64,
    now: UnixTime,
}

enum Standing {
    Competes,
    /// Judged, but displaces nobody.
    Yields,
    Expired(Expiry),
}

impl Past<'_> {
    /// Whether what claims this date was, or is now, dated in the future. Its hold says so too, where the notes are lost.
    fn puts_aside(&self, snapshot: &Snapshot, date: UnixTime) -> bool {
        self.notes.quarantined.contains(&snapshot.guid)
            || snapshot.is_held_by(QUARANTINE_TAG)
            || is_ahead(date, self.now)
    }

    fn standing(&self, guid: Guid) -> Standing {
        let mut standing = if self.notes.adrift.contains(&guid) { Standing::Yields } else { Standing::Competes };
        for expiry in self.notes.expired.get(&guid).into_iter().flatten() {
            if expiry.rule == self.digest {
                return Standing::Expired(*expiry);
            }
            // Expired under a rule that was taken back within the grace: as if it had never been. Later than that, what it
            // had displaced may be gone, so it must not displace again.
            if self.now.since(expiry.seen) >= self.grace {
                standing = Standing::Yields;
            }
        }
        standing
    }
}
