//! `zamctl health`: the same for Nagios, Icinga and what speaks like them.

use crate::{
    doors::Doors,
    failure::{Failure, Outcome},
    out,
    session::Session,
    words::count,
};
use zam_names::UnixTime;
use zam_policy::alarm::{Alarm, Level};
use zam_protocol::watch::WatchStatus;

/// Answer Nagios or Icinga: one line, perfdata, and their exit codes
///
/// Asks zamd-watch. Exit codes are those of monitoring plugins, not of the other verbs: 0 ok, 1 warning, 2 critical, 3
/// unknown, which is also when zamd-watch does not answer.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// So many alarms are told below the first line.
const TOLD: usize = 20;

/// Answers, also where nothing is known.
///
/// # Errors
/// If the answer cannot be written.
pub fn run(_: &Args, session: &Session) -> Result<Outcome, Failure> {
    let (text, code) = match ask(session) {
        Ok((alarms, rows)) => answer(&alarms, &rows, session.now),
        Err(failure) => (format!("ZAM UNKNOWN - {}\n", failure.message), 3),
    };
    out::print(&text)?;
    Ok(Outcome::Monitored(code))
}

fn ask(session: &Session) -> Result<(Vec<Alarm>, Vec<WatchStatus>), Failure> {
    let doors = Doors::new(session)?;
    Ok((doors.alarms()?, doors.watch_report()?.rows.into_values().collect()))
}

fn answer(alarms: &[Alarm], rows: &[WatchStatus], now: UnixTime) -> (String, u8) {
    let open: Vec<&Alarm> = alarms.iter().filter(|alarm| alarm.known.is_none()).collect();
    let worst = open.iter().map(|alarm| alarm.key.kind.level()).max();
    let (word, code) = match worst {
        None => ("OK", 0),
        Some(Level::Warning) => ("WARNING", 1),
        Some(Level::Critical) => ("CRITICAL", 2),
    };
    let first = open.iter().find(|alarm| Some(alarm.key.kind.level()) == worst);
    let what = match (first, open.len()) {
        (None, _) => format!("{} watched", count(rows.len(), "dataset")),
        (Some(first), 1) => line(first),
        (Some(first), all) => format!("{} (and {} more)", line(first), all - 1),
    };
    let age = |since: Option<UnixTime>| since.map(|since| now.since(since).max(0));
    let oldest = rows.iter().filter(|row| row.stale_after.is_some()).filter_map(|row| age(row.newest)).max();
    let lag = rows.iter().flat_map(|row| &row.copies).map(|copy| age(copy.behind).unwrap_or(0)).max();
    let critical = open.iter().filter(|alarm| alarm.key.kind.level() == Level::Critical).count();
    let mut perfdata = format!("alarms={};;;0 critical={critical};;;0 datasets={};;;0", open.len(), rows.len());
    perfdata += &oldest.map(|age| format!(" oldest_newest={age}s;;;0")).unwrap_or_default();
    perfdata += &lag.map(|lag| format!(" worst_lag={lag}s;;;0")).unwrap_or_default();
    let mut text = format!("ZAM {word} - {what} | {perfdata}\n");
    for alarm in open.iter().take(TOLD) {
        text += &(line(alarm) + "\n");
    }
    (text, code)
}

/// A bar would begin the perfdata.
fn line(alarm: &Alarm) -> String {
    format!("{}: {}", alarm.key.about, alarm.text).replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use zam_policy::alarm::{Key, Kind, Source};
    use zam_protocol::watch::WatchedCopy;

    fn alarm(kind: Kind, text: &str) -> Alarm {
        let since = UnixTime(0);
        let key = Key::new(kind, "tank", "tank/a");
        let raised = Some(since);
        Alarm { key, source: Source::Watch, text: text.into(), since, raised, told: None, known: None }
    }

    #[test]
    fn the_codes_are_those_of_monitoring_plugins() {
        let (brake, stale) = (alarm(Kind::Brake, "4 | 5 would go"), alarm(Kind::Stale, "none for 3 h"));
        let known = Alarm { known: Some(UnixTime(1)), ..stale.clone() };
        let answer = |alarms: &[Alarm]| answer(alarms, &[], UnixTime(0));
        let none = "alarms=0;;;0 critical=0;;;0 datasets=0;;;0";
        assert_eq!(answer(&[]), (format!("ZAM OK - 0 datasets watched | {none}\n"), 0));
        assert_eq!(answer(&[known]).1, 0);
        let (text, code) = answer(std::slice::from_ref(&brake));
        assert_eq!(code, 1);
        assert!(text.starts_with("ZAM WARNING - tank/a: 4 / 5 would go | alarms=1"), "{text}");
        let (text, code) = answer(&[brake, stale]);
        assert_eq!(code, 2);
        assert!(
            text.starts_with("ZAM CRITICAL - tank/a: none for 3 h (and 1 more) | alarms=2;;;0 critical=1"),
            "{text}"
        );
    }

    #[test]
    fn the_perfdata_has_the_worst_age_and_lag() {
        let copy =
            |behind| WatchedCopy { id: String::new(), to: String::new(), newest: None, behind, stale_after: None };
        let row = |newest, copies| WatchStatus {
            dataset: "tank/a".parse().unwrap(),
            newest: Some(UnixTime(newest)),
            snapshots: 1,
            stale_after: Some(60),
            copies,
        };
        let rows = [row(900, vec![copy(None)]), row(700, vec![copy(Some(UnixTime(400)))])];
        let (text, code) = answer(&[], &rows, UnixTime(1000));
        assert!(text.contains("datasets=2;;;0 oldest_newest=300s;;;0 worst_lag=600s;;;0\n"), "{text}");
        assert_eq!(code, 0);
    }
}
