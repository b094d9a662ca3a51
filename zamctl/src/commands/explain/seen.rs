//! A managed dataset as both keys see it, and what follows for each snapshot.

use super::{copied::JsonCopy, view::View};
use crate::{
    out,
    table::{Side, Table},
    words,
};
use serde::Serialize;
use zam_names::{DatasetName, HOLD_TAG, KEEP_TAG, SnapTag, UnixTime};
use zam_policy::{
    Span,
    assess::{Assessment, Next},
    config::{Entry, Match},
    explain,
    judge::Reason,
    notes::DatasetNotes,
};

/// The dataset, judged by both keys.
pub(super) struct Seen<'a> {
    pub entry: &'a Entry,
    pub at: UnixTime,
    pub now: UnixTime,
    /// When the next snapshot is due.
    pub next: Option<UnixTime>,
    /// What that waits for, as zamd-snap says.
    pub waits: Option<&'a String>,
    pub snap: Assessment<'a>,
    pub prune: Assessment<'a>,
    /// zamd-snap's.
    pub notes: &'a DatasetNotes,
}

impl Seen<'_> {
    /// The key whose turn it is with this snapshot.
    pub fn of(&self, index: usize) -> &Assessment<'_> {
        if self.snap.snapshots()[index].is_held_by(HOLD_TAG) { &self.snap } else { &self.prune }
    }

    /// What the entry says, a line each.
    pub fn terms(&self) -> String {
        let entry = self.entry;
        let every =
            |period: Option<Span>| period.map_or_else(|| "never".to_owned(), |period| format!("every {period}"));
        let held = if entry.hold { "held from birth" } else { "not held (`hold = false`)" };
        let mut table = Table::new(&[("", Side::Left), ("", Side::Left)]).indented(2);
        let mut say = |what: &str, text: String| table.row([what.to_owned(), text]);
        say("entry", explain::matched(Match::Entry(entry)));
        let next = match self.next {
            None => String::new(),
            Some(next) if next <= self.now => ", the next is due now".to_owned(),
            Some(next) => format!(", the next {} ({})", self.moment(next), words::relative(next, self.now)),
        };
        say("taken", format!("{}, {held}{next}", every(entry.snapshot_period)));
        for (task, when) in [("taken", &entry.run_when.snapshots), ("sent", &entry.run_when.replication)] {
            let waits = self.waits.filter(|_| task == "taken");
            let waits = waits.map_or_else(String::new, |waits| format!(" (now waits: {waits})"));
            when.iter().for_each(|when| say(task, format!("only {when}{waits}")));
        }
        if let Some(hook) = &entry.hook {
            say("hook", format!("{} before and after, at most {} each", hook.name, hook.timeout));
        }
        say("kept", explain::windows(&entry.rule));
        say("pruned", format!("{}, {} after both keys agree", every(entry.prune_period), entry.grace));
        if let Some(paused) = self.notes.paused {
            say("paused", format!("by root since {} (`zamctl unhold`)", self.moment(paused)));
        }
        if let Some(brake) = self.prune.brake.or(self.snap.brake) {
            let (many, allowed, plan) = (brake.unforetold, brake.allowed, brake.plan);
            let why = format!("{many} would go that no accepted config foretold, and {allowed} may");
            say("braked", format!("{why}: `zamctl prune --approve {plan}`"));
        }
        if self.prune.silent {
            say("silent", "no good new snapshot for too long, so ageing out pauses".to_owned());
        }
        table.render(out::width())
    }

    /// What happens to it next, in a word or two; nothing if it just stays.
    pub fn next_word(&self, index: usize) -> String {
        match self.of(index).next(index) {
            Next::Ignored | Next::Stays => String::new(),
            Next::Vetoed(_) => "stays".to_owned(),
            Next::Release => "release".to_owned(),
            Next::Grace(Some(end)) => format!("grace to {}", words::from(end, self.at, &self.entry.rule.zone)),
            Next::Grace(None) => "grace".to_owned(),
            Next::Destroy => "destroy".to_owned(),
        }
    }

    /// Why it is there, or goes, or does not go though it has expired.
    pub fn why(&self, index: usize) -> String {
        let why = explain::reason(self.entry, self.of(index), index, self.at);
        match self.of(index).next(index) {
            Next::Vetoed(vetoes) => format!("{}; expired: {why}", explain::all(&vetoes)),
            _ => why,
        }
    }

    /// The holds that are on it.
    pub fn pins(&self, index: usize) -> Vec<String> {
        let snapshot = &self.snap.snapshots()[index];
        let pin = self.notes.kept.get(&snapshot.guid);
        let line = |tag: &str| match (tag, pin) {
            (HOLD_TAG, _) => "by zam: as long as this is there, zamd-prune cannot destroy it".to_owned(),
            (KEEP_TAG, Some(pin)) => {
                let until = pin.until.map_or_else(|| "`zamctl unkeep`".to_owned(), |end| self.moment(end));
                let why = if pin.why.is_empty() { String::new() } else { format!(": {}", pin.why) };
                format!("pinned by uid {} until {until}{why}", pin.by)
            }
            (KEEP_TAG, None) => "pinned with `zamctl keep`, until `zamctl unkeep`".to_owned(),
            (tag, _) => format!("by somebody else, with the tag {tag:?}, which zam leaves alone"),
        };
        let lines: Vec<String> = snapshot.holds.iter().map(|tag| line(tag.as_str())).collect();
        if lines.is_empty() { vec!["by nobody".to_owned()] } else { lines }
    }

    /// What each key will do.
    pub fn keys(&self, index: usize) -> Vec<String> {
        let zone = &self.entry.rule.zone;
        let held = self.snap.snapshots()[index].is_held_by(HOLD_TAG);
        match (self.of(index).next(index), self.of(index).verdicts[index].expires) {
            (Next::Ignored, _) => vec!["nothing: it is none of zam's business".to_owned()],
            (Next::Stays, None) => vec!["nothing: it never expires".to_owned()],
            (Next::Stays, Some(end)) if self.entry.prune_period.is_none() => {
                vec![format!("nothing, even after {}: `prune-period` is \"never\"", self.moment(end))]
            }
            (Next::Stays, Some(end)) => {
                let grace = self.entry.grace;
                let death = self.moment(grace.after(end, zone.calendar()));
                let release = format!("zamd-snap releases it at its first look after {}", self.moment(end));
                let destroy = format!("zamd-prune destroys it {grace} after it has seen that, from {death} on");
                if held { vec![release, destroy] } else { vec![destroy] }
            }
            (Next::Vetoed(_), _) => vec!["nothing, as long as this stands in the way".to_owned()],
            (next, _) => vec![explain::next(&next, zone)],
        }
    }

    pub fn json(&self, index: usize) -> JsonSnapshot {
        let seen = self.of(index);
        let (snapshot, verdict) = (&seen.snapshots()[index], &seen.verdicts[index]);
        let (next, from) = match seen.next(index) {
            Next::Ignored => ("ignored", None),
            Next::Stays => ("stays", None),
            Next::Vetoed(_) => ("vetoed", None),
            Next::Release => ("release", None),
            Next::Grace(end) => ("grace", end),
            Next::Destroy => ("destroy", None),
        };
        JsonSnapshot {
            snapshot: snapshot.tag.clone(),
            guid: snapshot.guid.to_string(),
            taken: words::stamp(verdict.date),
            expires: verdict.expires.map(words::stamp),
            expired: verdict.expired(self.at),
            managed: verdict.reason != Reason::Foreign,
            holds: snapshot.holds.iter().map(ToString::to_string).collect(),
            used: snapshot.used,
            next,
            destroyed_after: from.map(words::stamp),
            vetoes: seen.vetoes(index).iter().map(ToString::to_string).collect(),
            unprepared: self.notes.unprepared.get(&snapshot.guid).cloned(),
            why: self.why(index),
        }
    }

    fn moment(&self, instant: UnixTime) -> String {
        words::moment(instant, &self.entry.rule.zone)
    }
}

/// `explain DATASET --json`: field names stay.
#[derive(Serialize)]
pub(super) struct Json {
    dataset: DatasetName,
    at: String,
    managed: bool,
    entry: Option<DatasetName>,
    place: Option<String>,
    matched: String,
    lack: Option<&'static str>,
    copies: Vec<JsonCopy>,
    snapshots: Vec<JsonSnapshot>,
}

impl Json {
    pub fn of(view: &View<'_>, seen: Option<&Seen<'_>>) -> Self {
        let rows = |seen: &Seen<'_>| (0..view.dataset.snapshots.len()).map(|index| seen.json(index)).collect();
        Self {
            dataset: view.dataset.name.clone(),
            at: words::stamp(view.at),
            managed: seen.is_some(),
            entry: seen.map(|seen| seen.entry.source.clone()),
            place: seen.map(|seen| seen.entry.place.to_string()),
            matched: explain::matched(view.matched),
            lack: view.lack,
            copies: view.copied.as_ref().map(|copied| copied.json(view.dataset)).unwrap_or_default(),
            snapshots: seen.map(rows).unwrap_or_default(),
        }
    }
}

/// `explain DATASET@SNAP --json`, and a row of the other.
#[derive(Serialize)]
pub(super) struct JsonSnapshot {
    snapshot: SnapTag,
    guid: String,
    taken: String,
    expires: Option<String>,
    expired: bool,
    managed: bool,
    holds: Vec<String>,
    used: Option<u64>,
    next: &'static str,
    destroyed_after: Option<String>,
    vetoes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unprepared: Option<String>,
    why: String,
}
