//! `zamctl alerts`: what is wrong, since when, and what to do about it.

use crate::{
    doors::Doors,
    failure::{Failure, Kind, Outcome},
    out,
    session::Session,
    table::{Side, Table},
    words::{self, count},
};
use serde::Serialize;
use std::{fs, io, path::PathBuf};
use zam_names::UnixTime;
use zam_policy::alarm::{Alarm, Level};

/// Show what is wrong, since when, and what to do about it
///
/// Asks zamd-watch, whose alarms have a begin and an end: nothing needs to be cleared here. Ends with exit code 3 if there is
/// an alarm that nobody said is known.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// I know: leave these out when I log in, until something new comes
    #[arg(long)]
    ack: bool,
    /// With --ack: for everybody, and in mails and webhooks too; for operators
    #[arg(long, requires = "ack")]
    all: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "ack")]
    json: bool,
}

/// Shows, or takes note.
///
/// # Errors
/// If zamd-watch does not answer, or what is known cannot be written down.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let doors = Doors::new(session)?;
    if args.all {
        let known = doors.acknowledge()?;
        out::print(&format!("{}: told no more, but for their ends\n", count(known as usize, "new alarm")))?;
        return Ok(Outcome::Fine);
    }
    let alarms = doors.alarms()?;
    if args.ack {
        return ignore_before(session.now, &alarms);
    }
    let quiet_before = quiet_before();
    let is_news = |alarm: &Alarm| alarm.known.is_none() && alarm.raised >= quiet_before;
    if args.json {
        out::json(&alarms.iter().map(|alarm| Json::of(alarm, is_news(alarm))).collect::<Vec<_>>())?;
    } else {
        out::print(&text(&alarms, session.now, &is_news, out::width()))?;
    }
    Ok(if alarms.iter().any(is_news) { Outcome::Attention } else { Outcome::Fine })
}

fn text(alarms: &[Alarm], now: UnixTime, is_news: &dyn Fn(&Alarm) -> bool, width: Option<usize>) -> String {
    if alarms.is_empty() {
        return "All is well.\n".to_owned();
    }
    let mut sorted: Vec<&Alarm> = alarms.iter().collect();
    sorted.sort_by_key(|alarm| (std::cmp::Reverse((is_news(alarm), alarm.key.kind.level())), alarm.since));
    let mut table =
        Table::new(&[("LEVEL", Side::Left), ("FOR", Side::Right), ("ABOUT", Side::Left), ("WHAT", Side::Left)]);
    for alarm in &sorted {
        let known = if is_news(alarm) { "" } else { " (known)" };
        let level = format!("{}{known}", level(alarm));
        table.row([level, words::span(alarm.age(now)), alarm.key.about.clone(), alarm.text.clone()]);
    }
    let mut text = table.render(width) + "\nWhat to do:\n";
    let mut said = Vec::new();
    for todo in sorted.iter().map(|alarm| alarm.key.todo()) {
        if !said.contains(&todo) {
            text += &format!("  {todo}\n");
            said.push(todo);
        }
    }
    text
}

fn level(alarm: &Alarm) -> &'static str {
    match alarm.key.kind.level() {
        Level::Critical => "critical",
        Level::Warning => "warning",
    }
}

/// An alarm, for programs.
#[derive(Serialize)]
struct Json<'a> {
    kind: &'static str,
    level: &'static str,
    place: &'a str,
    about: &'a str,
    text: &'a str,
    todo: String,
    since: String,
    age_seconds: i64,
    known: bool,
}

impl<'a> Json<'a> {
    fn of(alarm: &'a Alarm, is_news: bool) -> Self {
        Self {
            kind: alarm.key.kind.name(),
            level: level(alarm),
            place: &alarm.key.place,
            about: &alarm.key.about,
            text: &alarm.text,
            todo: alarm.key.todo(),
            since: words::stamp(alarm.since),
            age_seconds: alarm.age(UnixTime(jiff::Timestamp::now().as_second())),
            known: !is_news,
        }
    }
}

/// Where this user's own date is, which `/etc/profile.d/zam.sh` reads too.
fn date_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(data.join("zam/alerts-before"))
}

/// This user knows of what became an alarm before it.
fn quiet_before() -> Option<UnixTime> {
    let text = fs::read_to_string(date_file()?).ok()?;
    text.trim().parse().ok().map(UnixTime)
}

fn ignore_before(now: UnixTime, alarms: &[Alarm]) -> Result<Outcome, Failure> {
    let file = date_file().ok_or_else(|| Failure::new(Kind::Failed, "neither HOME nor XDG_DATA_HOME is set"))?;
    // What became one in this very second was shown too.
    let date = now.plus(1).0;
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(&file, format!("{date}\n"))).map_err(|error: io::Error| {
        Failure::new(Kind::Failed, format!("cannot write {}", file.display())).because(Some(&error))
    })?;
    let shown = count(alarms.len(), "alarm");
    out::print(&format!("{shown}: not told any more when you log in; `--ack --all` quiets them for everybody\n"))?;
    Ok(Outcome::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use zam_policy::alarm::{Key, Kind, Source};

    fn alarm(kind: Kind, place: &str, about: &str, text: &str, since: i64) -> Alarm {
        let since = UnixTime(since);
        Alarm {
            key: Key::new(kind, place, about),
            source: Source::Watch,
            text: text.to_owned(),
            since,
            raised: Some(since),
            told: None,
            known: None,
        }
    }

    fn alarms() -> Vec<Alarm> {
        let copy = "the copy was not updated for 9 days";
        let known = alarm(Kind::Stale, "tank", "tank/old", "no good snapshot for 3 days", 0);
        vec![
            alarm(Kind::Failed, "zamd-send", "zamd-send.service", "it failed: killed", 90_000),
            alarm(Kind::Behind, "olympus", "tank/home", copy, 40_000),
            Alarm { known: Some(UnixTime(1)), ..known },
        ]
    }

    #[test]
    fn the_table_has_the_worst_first_and_what_to_do() {
        let is_news = |alarm: &Alarm| alarm.known.is_none();
        golden::compare(&text(&alarms(), UnixTime(100_000), &is_news, None), "tests/golden/alerts.txt");
        assert_eq!(text(&[], UnixTime(0), &is_news, None), "All is well.\n");
    }

    #[test]
    fn the_json_keeps_its_names() {
        let mut rows: Vec<_> = alarms()
            .iter()
            .map(|alarm| serde_json::to_value(Json::of(alarm, alarm.known.is_none())).unwrap())
            .collect();
        rows.iter_mut().for_each(|row| row["age_seconds"] = 10_000.into());
        golden::compare(&(serde_json::to_string_pretty(&rows).unwrap() + "\n"), "tests/golden/alerts.json");
    }
}
