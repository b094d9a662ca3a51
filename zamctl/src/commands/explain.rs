//! `zamctl explain`: which entry speaks for a dataset, and why each of its snapshots is there.

use crate::{
    at::At,
    doors::Notes,
    failure::{Failure, Kind, Outcome},
    forecast::{Remembered, or_none},
    look::{self, Land},
    out,
    session::Session,
    table::{Side, Table},
    words,
};
use serde::Serialize;
use std::fmt::Write as _;
use zam_names::{Dataset, DatasetName, HOLD_TAG, Kind as Sort, SnapTag, SnapshotName, UnixTime};
use zam_policy::{
    Zone,
    assess::{Assessment, Next, Veto},
    config::{Config, Entry, Match},
    explain,
    judge::Reason,
    notes::DatasetNotes,
    tags::{self, Maker},
};

/// Say which entry speaks for a dataset, and why each of its snapshots is there and for how long
///
/// Runs as anybody, on its own listing, with the same rules as the daemons; the daemons are asked for their notes if they
/// answer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset, or one of its snapshots for the long form
    #[arg(value_name = "DATASET[@SNAP]")]
    subject: Subject,
    /// Judge as of this later instant: `+3h`, `+2d`, `2026-12-24 18:00`, `2026-12-24T18:00:00Z`
    #[arg(long, value_name = "T", default_value = "now", hide_default_value = true)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is to be explained.
#[derive(Clone, Debug)]
enum Subject {
    Dataset(DatasetName),
    Snapshot(SnapshotName),
}

impl std::str::FromStr for Subject {
    type Err = zam_names::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') { text.parse().map(Self::Snapshot) } else { text.parse().map(Self::Dataset) }
    }
}

/// Explains.
///
/// # Errors
/// If the config is faulty, the pools cannot be listed, or there is no such thing.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let config = session.config()?.config;
    let at = args.at.resolve(session.now, &session.zone);
    if at < session.now {
        return Err(Failure::usage("`explain` looks ahead, and that instant has passed"));
    }
    let (name, tag) = match &args.subject {
        Subject::Dataset(name) => (name, None),
        Subject::Snapshot(name) => (name.dataset(), Some(name.tag())),
    };
    let lister = session.lister();
    let land = Land::survey(&*lister)?;
    let Some(found) = land.dataset(name) else { return absent(name, tag, &config, &land) };
    let mut dataset = found.clone();
    look::snapshots_of(&*lister, &mut dataset)?;
    let matched = config.entry_for(&dataset.name, dataset.kind);
    let notes = Notes::open(session)?;
    let remembered = notes.of(name);
    let view = View { dataset: &dataset, matched, remembered, lack: notes.lack(), at, session };
    view.show(tag, args.json)?;
    Ok(Outcome::Fine)
}

/// A dataset that is not there: what the config would say of it.
fn absent(name: &DatasetName, tag: Option<&SnapTag>, config: &Config, land: &Land) -> Result<Outcome, Failure> {
    let why = if land.has_pool(&name.pool()) {
        format!("there is no dataset {name}")
    } else {
        format!("the pool {} is not imported", name.pool())
    };
    let failure = Failure::new(Kind::Failed, why);
    Err(match config.entry_for(name, Sort::Filesystem) {
        _ if tag.is_some() => failure,
        Match::Uncovered => failure.hint("no entry of the config covers that name either"),
        found => failure.hint(format!("if it were there: {}", explain::matched(found))),
    })
}

/// What there is to say.
struct View<'a> {
    dataset: &'a Dataset,
    matched: Match<'a>,
    remembered: Remembered,
    lack: Option<&'static str>,
    at: UnixTime,
    session: &'a Session,
}

impl View<'_> {
    fn show(&self, tag: Option<&SnapTag>, json: bool) -> Result<(), Failure> {
        let index = match tag {
            None => None,
            Some(tag) => Some(self.dataset.snapshots.iter().position(|snapshot| snapshot.tag == *tag).ok_or_else(|| {
                Failure::new(Kind::Failed, format!("{} has no snapshot @{tag}", self.dataset.name))
                    .hint(format!("`zamctl explain {}` lists those it has", self.dataset.name))
            })?),
        };
        let Some(entry) = self.matched.entry() else { return self.unmanaged(json) };
        let (snap, prune) =
            (or_none(self.remembered.snap.as_ref(), entry), or_none(self.remembered.prune.as_ref(), entry));
        let seen = Seen {
            entry,
            at: self.at,
            snap: Assessment::new(self.dataset, entry, &snap, self.at),
            prune: Assessment::new(self.dataset, entry, &prune, self.at),
            notes: &snap,
        };
        match (index, json) {
            (None, true) => out::json(&self.json(Some(&seen))),
            (None, false) => out::print(&self.table(&seen)),
            (Some(index), true) => out::json(&seen.json(index)),
            (Some(index), false) => out::print(&self.long(&seen, index)),
        }
    }

    fn unmanaged(&self, json: bool) -> Result<(), Failure> {
        if json {
            return out::json(&self.json(None));
        }
        let mut text = self.heading();
        let _ = writeln!(text, "  entry   {}", explain::matched(self.matched));
        if self.matched == Match::Uncovered {
            let top = self.dataset.name.parent().unwrap_or_else(|| self.dataset.name.clone());
            let _ = writeln!(
                text,
                "  hint    cover it with an entry of its own (`source = \"{}\"`), or by a recursive one further up, such as \
                 {top}",
                self.dataset.name
            );
        }
        out::print(&text)
    }

    fn heading(&self) -> String {
        let sort = match self.dataset.kind {
            Sort::Filesystem => "filesystem",
            Sort::Volume => "volume",
        };
        let (count, bytes) = (self.dataset.snapshots.len(), words::bytes(self.dataset.used_by_snapshots));
        format!("{}  {sort}, {} taking {bytes}\n", self.dataset.name, words::count(count, "snapshot"))
    }

    fn table(&self, seen: &Seen<'_>) -> String {
        let mut text = self.heading() + &seen.terms();
        if let Some(paused) = seen.notes.paused {
            let _ = writeln!(text, "  paused  by root since {} (`zamctl unhold`)", self.moment(paused, seen));
        }
        let mut table = Table::new(&[
            ("SNAPSHOT", Side::Left),
            ("TAKEN", Side::Left),
            ("EXPIRES", Side::Left),
            ("HELD", Side::Left),
            ("USED", Side::Right),
            ("WHY", Side::Left),
        ]);
        for (index, snapshot) in self.dataset.snapshots.iter().enumerate() {
            let verdict = seen.of(index).verdicts[index];
            let held: Vec<&str> = snapshot.holds.iter().map(|tag| tag.as_str()).collect();
            let expires = match verdict.expires {
                Some(end) => self.moment(end, seen),
                None => "never".to_owned(),
            };
            let used = snapshot.used.map(words::bytes).unwrap_or_default();
            let taken = self.moment(verdict.date, seen);
            table.row([snapshot.tag.to_string(), taken, expires, held.join(","), used, seen.why(index)]);
        }
        if !self.dataset.snapshots.is_empty() {
            text += "\n";
        }
        text += &table.render(out::width());
        self.footnotes(&mut text, seen);
        text
    }

    fn footnotes(&self, text: &mut String, seen: &Seen<'_>) {
        let mut lines = Vec::new();
        if self.at > self.session.now {
            lines.push(format!("As of {}, of the snapshots that are there now.", self.moment(self.at, seen)));
        }
        if seen.entry.rule.zone != self.session.zone {
            lines.push(format!("Times are in {}, the zone of the entry.", seen.entry.rule.zone));
        }
        lines.extend(self.lack.map(|lack| format!("This is {lack}.")));
        if !lines.is_empty() {
            let _ = write!(text, "\n{}\n", lines.join("\n"));
        }
    }

    fn moment(&self, instant: UnixTime, seen: &Seen<'_>) -> String {
        words::moment(instant, &seen.entry.rule.zone)
    }

    /// Everything about one snapshot.
    fn long(&self, seen: &Seen<'_>, index: usize) -> String {
        let snapshot = &self.dataset.snapshots[index];
        let verdict = seen.of(index).verdicts[index];
        let zone = &seen.entry.rule.zone;
        let mut table = Table::new(&[("", Side::Left), ("", Side::Left)]).indented(2);
        let mut say = |what: &str, text: String| table.row([what.to_owned(), text]);
        let by = match tags::maker(&seen.entry.rule.prefix, &snapshot.tag) {
            Maker::Schedule(_) => "by zam, on schedule",
            Maker::Request(_) => "by zam, on request",
            Maker::Other => "not by zam",
        };
        let age = words::relative(verdict.date, self.session.now);
        say("taken", format!("{}, {age}, {by}", words::moment(verdict.date, zone)));
        let used = snapshot.used.map_or_else(|| "unknown".to_owned(), words::bytes);
        say("frees", format!("{used}, if it goes alone"));
        say("entry", explain::matched(self.matched));
        let life = explain::life(seen.entry, seen.of(index), index);
        for (nth, stage) in life.iter().enumerate() {
            let until = stage.until.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", words::moment(end, zone)));
            say(if nth == 0 { "kept" } else { "then" }, format!("{until}: {}", stage.why));
        }
        let reason = explain::reason(seen.entry, seen.of(index), index, verdict.expires.unwrap_or(self.at));
        match verdict.expires {
            None if life.is_empty() => say("stays", reason),
            None => {}
            Some(end) if end <= self.at => {
                say("expired", format!("{}, {}: {reason}", words::moment(end, zone), words::relative(end, self.session.now)));
            }
            Some(end) => {
                say("expires", format!("{}, {}: {reason}", words::moment(end, zone), words::relative(end, self.session.now)));
            }
        }
        for line in seen.pins(index, zone) {
            say("held", line);
        }
        let vetoes = seen.of(index).vetoes(index);
        let standing: Vec<&Veto> = vetoes.iter().filter(|veto| !matches!(veto, Veto::Held(_))).collect();
        for veto in standing {
            say("veto", veto.to_string());
        }
        for line in seen.keys(index) {
            say("next", line);
        }
        let mut text = format!("{}@{}\n", self.dataset.name, snapshot.tag) + &table.render(out::width());
        self.footnotes(&mut text, seen);
        text
    }

    fn json(&self, seen: Option<&Seen<'_>>) -> Json {
        let rows = |seen: &Seen<'_>| (0..self.dataset.snapshots.len()).map(|index| seen.json(index)).collect();
        Json {
            dataset: self.dataset.name.clone(),
            managed: seen.is_some(),
            entry: seen.map(|seen| seen.entry.source.clone()),
            place: seen.map(|seen| seen.entry.place.to_string()),
            matched: explain::matched(self.matched),
            lack: self.lack,
            snapshots: seen.map(rows).unwrap_or_default(),
        }
    }
}

/// A managed dataset, as both keys see it.
struct Seen<'a> {
    entry: &'a Entry,
    at: UnixTime,
    snap: Assessment<'a>,
    prune: Assessment<'a>,
    /// zamd-snap's.
    notes: &'a DatasetNotes,
}

impl Seen<'_> {
    /// The key whose turn it is with this snapshot.
    fn of(&self, index: usize) -> &Assessment<'_> {
        if self.snap.snapshots()[index].is_held_by(HOLD_TAG) { &self.snap } else { &self.prune }
    }

    /// What the entry says, a line each.
    fn terms(&self) -> String {
        let entry = self.entry;
        let every = |period: Option<zam_policy::Span>| period.map_or_else(|| "never".to_owned(), |p| format!("every {p}"));
        let held = if entry.hold { "held from birth" } else { "not held (`hold = false`)" };
        let mut table = Table::new(&[("", Side::Left), ("", Side::Left)]).indented(2);
        let mut say = |what: &str, text: String| table.row([what.to_owned(), text]);
        say("entry", explain::matched(Match::Entry(entry)));
        say("taken", format!("{}, {held}", every(entry.snapshot_period)));
        say("kept", explain::windows(&entry.rule));
        say("pruned", format!("{}, {} after release", every(entry.prune_period), entry.grace));
        if let Some(brake) = self.prune.brake.or(self.snap.brake) {
            say(
                "braked",
                format!(
                    "{} would go that no accepted config foretold, and {} may: `zamctl prune --approve {}`",
                    brake.unforetold, brake.allowed, brake.plan
                ),
            );
        }
        if self.prune.silent {
            say("silent", "no good new snapshot for too long, so ageing out pauses".to_owned());
        }
        table.render(out::width())
    }

    /// Why it is there, and what comes next if that is not just that it stays.
    fn why(&self, index: usize) -> String {
        let why = explain::reason(self.entry, self.of(index), index, self.at);
        match self.of(index).next(index) {
            Next::Ignored | Next::Stays => why,
            Next::Vetoed(vetoes) => format!("stays: {}; expired: {why}", explain::all(&vetoes)),
            next => format!("{}; {why}", explain::next(&next, &self.entry.rule.zone)),
        }
    }

    /// The holds that are on it.
    fn pins(&self, index: usize, zone: &Zone) -> Vec<String> {
        let snapshot = &self.snap.snapshots()[index];
        let pin = self.notes.kept.get(&snapshot.guid);
        let line = |tag: &str| match (tag, pin) {
            (HOLD_TAG, _) => "by zam, so that zamd-prune cannot destroy it".to_owned(),
            (zam_names::KEEP_TAG, Some(pin)) => {
                let until = pin.until.map_or_else(|| "`zamctl unkeep`".to_owned(), |end| words::moment(end, zone));
                let why = if pin.why.is_empty() { String::new() } else { format!(": {}", pin.why) };
                format!("pinned by uid {} until {until}{why}", pin.by)
            }
            (zam_names::KEEP_TAG, None) => "pinned with `zamctl keep`".to_owned(),
            (tag, _) => format!("by somebody else, with the tag {tag:?}; `zfs release` of it is theirs"),
        };
        let mut lines: Vec<String> = snapshot.holds.iter().map(|tag| line(tag.as_str())).collect();
        if lines.is_empty() {
            lines.push("by nobody".to_owned());
        }
        lines
    }

    /// What each key will do.
    fn keys(&self, index: usize) -> Vec<String> {
        let zone = &self.entry.rule.zone;
        let verdict = self.of(index).verdicts[index];
        let next = self.of(index).next(index);
        let look = |instant| format!("at its first look after {}", words::moment(instant, zone));
        match (next, verdict.expires) {
            (Next::Ignored, _) => vec!["nothing: it is none of zam's business".to_owned()],
            (Next::Stays, None) => vec!["nothing: it never expires".to_owned()],
            (Next::Stays, Some(end)) if self.entry.prune_period.is_none() => {
                vec![format!("nothing, even after {}: `prune-period` is \"never\"", words::moment(end, zone))]
            }
            (Next::Stays, Some(end)) => {
                let death = self.entry.grace.after(end, zone.calendar());
                vec![
                    format!("zamd-snap releases its hold {}", look(end)),
                    format!(
                        "zamd-prune destroys it {} after it first sees it expired and released: not before {}",
                        self.entry.grace,
                        words::moment(death, zone)
                    ),
                ]
            }
            (Next::Vetoed(_), _) => vec!["nothing, as long as this stands in the way".to_owned()],
            (next, _) => vec![explain::next(&next, zone)],
        }
    }

    fn json(&self, index: usize) -> JsonSnapshot {
        let seen = self.of(index);
        let (snapshot, verdict) = (&seen.snapshots()[index], &seen.verdicts[index]);
        let next = seen.next(index);
        JsonSnapshot {
            snapshot: snapshot.tag.clone(),
            guid: snapshot.guid.to_string(),
            taken: words::stamp(verdict.date),
            expires: verdict.expires.map(words::stamp),
            expired: verdict.expired(self.at),
            managed: verdict.reason != Reason::Foreign,
            holds: snapshot.holds.iter().map(ToString::to_string).collect(),
            used: snapshot.used,
            next: match next {
                Next::Ignored => "ignored",
                Next::Stays => "stays",
                Next::Vetoed(_) => "vetoed",
                Next::Release => "release",
                Next::Grace(_) => "grace",
                Next::Destroy => "destroy",
            },
            vetoes: seen.vetoes(index).iter().map(ToString::to_string).collect(),
            why: self.why(index),
        }
    }
}

#[derive(Serialize)]
struct Json {
    dataset: DatasetName,
    managed: bool,
    entry: Option<DatasetName>,
    place: Option<String>,
    matched: String,
    lack: Option<&'static str>,
    snapshots: Vec<JsonSnapshot>,
}

#[derive(Serialize)]
struct JsonSnapshot {
    snapshot: SnapTag,
    guid: String,
    taken: String,
    expires: Option<String>,
    expired: bool,
    managed: bool,
    holds: Vec<String>,
    used: Option<u64>,
    next: &'static str,
    vetoes: Vec<String>,
    why: String,
}
