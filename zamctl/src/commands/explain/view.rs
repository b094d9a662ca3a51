//! What there is to say, for people.

use super::{
    copied::Copied,
    seen::{Json, Seen},
};
use crate::{
    failure::{Failure, Kind},
    forecast::{Remembered, at_that_time, next_snapshot},
    out,
    session::Session,
    table::{Side, Table},
    words,
};
use std::fmt::Write as _;
use zam_names::{Dataset, Kind as Sort, SnapTag, UnixTime};
use zam_policy::{
    assess::{Assessment, Veto},
    config::Match,
    explain,
    judge::Reason,
    tags::{self, Maker},
};

/// A dataset, and from where it is looked at.
pub(super) struct View<'a> {
    pub dataset: &'a Dataset,
    pub matched: Match<'a>,
    pub remembered: Remembered,
    pub lack: Option<&'static str>,
    /// What its next snapshot waits for, as zamd-snap says.
    pub waits: Option<String>,
    /// Where it has destinations.
    pub copied: Option<Copied>,
    pub at: UnixTime,
    pub session: &'a Session,
}

impl View<'_> {
    pub fn show(&self, tag: Option<&SnapTag>, json: bool) -> Result<(), Failure> {
        let index = tag.map(|tag| self.find(tag)).transpose()?;
        let Some(entry) = self.matched.entry() else {
            return if json { out::json(&Json::of(self, None)) } else { out::print(&self.unmanaged()) };
        };
        let (snap, prune) = self.remembered.both(entry);
        let dataset = at_that_time(self.dataset, entry, &self.remembered, self.session.now, self.at);
        let seen = Seen {
            entry,
            at: self.at,
            next: next_snapshot(self.dataset, entry, &self.remembered, self.session.now),
            waits: self.waits.as_ref(),
            now: self.session.now,
            snap: Assessment::new(&dataset, entry, &snap, self.at),
            prune: Assessment::new(&dataset, entry, &prune, self.at),
            notes: &snap,
        };
        match (index, json) {
            (None, true) => out::json(&Json::of(self, Some(&seen))),
            (None, false) => out::print(&self.table(&seen)),
            (Some(index), true) => out::json(&seen.json(index)),
            (Some(index), false) => out::print(&self.long(&seen, index)),
        }
    }

    fn find(&self, tag: &SnapTag) -> Result<usize, Failure> {
        self.dataset.snapshots.iter().position(|snapshot| snapshot.tag == *tag).ok_or_else(|| {
            Failure::new(Kind::Failed, format!("{} has no snapshot @{tag}", self.dataset.name))
                .hint(format!("`zamctl explain {}` lists those it has", self.dataset.name))
        })
    }

    fn unmanaged(&self) -> String {
        let mut text = self.heading();
        // Writing into a String does not fail.
        let _ = writeln!(text, "  entry   {}", explain::matched(self.matched));
        if self.matched == Match::Uncovered {
            let name = &self.dataset.name;
            let _ = writeln!(
                text,
                "  hint    give it an entry with `source = \"{name}\"`, or a `recursive` one further up"
            );
        }
        text
    }

    fn heading(&self) -> String {
        let sort = match self.dataset.kind {
            Sort::Filesystem => "filesystem",
            Sort::Volume => "volume",
        };
        let count = words::count(self.dataset.snapshots.len(), "snapshot");
        format!("{}  {sort}, {count} taking {}\n", self.dataset.name, words::bytes(self.dataset.used_by_snapshots))
    }

    fn table(&self, seen: &Seen<'_>) -> String {
        let mut text = self.heading() + &seen.terms() + &self.copies(seen);
        let mut table = Table::new(&[
            ("SNAPSHOT", Side::Left),
            ("TAKEN", Side::Left),
            ("EXPIRES", Side::Left),
            ("HELD BY", Side::Left),
            ("USED", Side::Right),
            ("NEXT", Side::Left),
            ("WHY", Side::Left),
        ]);
        for (index, snapshot) in self.dataset.snapshots.iter().enumerate() {
            let verdict = seen.of(index).verdicts[index];
            let held: Vec<&str> = snapshot.holds.iter().map(|tag| tag.as_str()).collect();
            table.row([
                snapshot.tag.to_string(),
                self.moment(verdict.date, seen),
                verdict.expires.map_or_else(|| "never".to_owned(), |end| self.moment(end, seen)),
                held.join(","),
                snapshot.used.map(words::bytes).unwrap_or_default(),
                seen.next_word(index),
                seen.why(index),
            ]);
        }
        if !self.dataset.snapshots.is_empty() {
            text += "\n";
        }
        text += &table.render(out::width());
        self.footnotes(&mut text, seen);
        text
    }

    /// A line for each replica.
    fn copies(&self, seen: &Seen<'_>) -> String {
        let mut table = Table::new(&[("", Side::Left), ("", Side::Left), ("", Side::Left)]).indented(2);
        let lines = |copied: &Copied| {
            copied.lines(self.dataset, self.session.now, |instant| words::moment(instant, &seen.entry.rule.zone))
        };
        for (to, what) in self.copied.as_ref().map(lines).unwrap_or_default() {
            table.row(["copied".to_owned(), to, what]);
        }
        table.render(out::width())
    }

    fn footnotes(&self, text: &mut String, seen: &Seen<'_>) {
        let mut lines = Vec::new();
        if self.at > self.session.now {
            lines.push(format!(
                "As of {}, for the snapshots that are there now.",
                words::from(self.at, self.session.now, &seen.entry.rule.zone)
            ));
        }
        if self.moment(self.at, seen) != words::moment(self.at, &self.session.zone) {
            lines.push(format!("Times are in {}, the zone of the entry.", seen.entry.rule.zone));
        }
        let lack_of_copies = self.copied.as_ref().and_then(|copied| copied.lack);
        lines.extend(self.lack.into_iter().chain(lack_of_copies).map(|lack| format!("{lack}.")));
        if !lines.is_empty() {
            let _ = write!(text, "\n{}\n", lines.join("\n"));
        }
    }

    /// In the zone of the entry, since its calendar cuts the buckets.
    fn moment(&self, instant: UnixTime, seen: &Seen<'_>) -> String {
        words::moment(instant, &seen.entry.rule.zone)
    }

    /// Everything about one snapshot.
    fn long(&self, seen: &Seen<'_>, index: usize) -> String {
        let snapshot = &self.dataset.snapshots[index];
        let verdict = seen.of(index).verdicts[index];
        let mut table = Table::new(&[("", Side::Left), ("", Side::Left)]).indented(2);
        let mut say = |what: &str, text: String| table.row([what.to_owned(), text]);
        let by = match tags::maker(&seen.entry.rule.prefix, &snapshot.tag) {
            Maker::Schedule(_) => "by zam on schedule",
            Maker::Request(_) => "by zam on request",
            Maker::Other if matches!(verdict.reason, Reason::Manual | Reason::LetGo) => "by zam on request",
            Maker::Other if verdict.is_managed() => "not by zam, and adopted",
            Maker::Other => "not by zam",
        };
        let dated =
            |instant| format!("{} ({})", self.moment(instant, seen), words::relative(instant, self.session.now));
        say("taken", format!("{}, {by}", dated(verdict.date)));
        say(
            "used",
            snapshot.used.map_or_else(|| "unknown".to_owned(), |bytes| words::bytes(bytes) + " that only it takes"),
        );
        say("entry", explain::matched(self.matched));
        let life = explain::life(seen.entry, seen.of(index), index);
        for (nth, stage) in life.iter().enumerate() {
            let until =
                stage.until.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", self.moment(end, seen)));
            say(if nth == 0 { "kept" } else { "then" }, format!("{until}, {}", stage.why));
        }
        let why = explain::reason(seen.entry, seen.of(index), index, verdict.expires.unwrap_or(self.at));
        match verdict.expires {
            Some(end) => {
                say(if end <= self.at { "expired" } else { "expires" }, format!("{}: {why}", dated(end)));
            }
            None if life.is_empty() => say("stays", why),
            None => {}
        }
        for line in seen.pins(index) {
            say("held", line);
        }
        if let Some(why) = seen.notes.unprepared.get(&snapshot.guid) {
            say("hook", format!("not prepared: {why}"));
        }
        let vetoes = seen.of(index).vetoes(index);
        for veto in vetoes.iter().filter(|veto| !matches!(veto, Veto::Held(_))) {
            say("veto", veto.to_string());
        }
        for line in seen.keys(index) {
            say("next", line);
        }
        for line in self.copied.iter().flat_map(|copied| copied.of(&snapshot.tag)) {
            say("copied", line);
        }
        let mut text = format!("{}@{}\n{}", self.dataset.name, snapshot.tag, table.render(out::width()));
        self.footnotes(&mut text, seen);
        text
    }
}
