//! `zamctl doctor`: what an installation lacks, each with the command that mends it.

mod host;
mod machine;
mod pools;
mod reach;

use crate::{
    commands::check,
    config::{self, Loaded},
    failure::{Failure, Outcome},
    out,
    session::Session,
    shell::{comment, quoted},
    words::count,
};
use host::{Here, Host};
pub use machine::needed;
use serde::Serialize;
use std::{fmt, io};
use zam_policy::config::Place;

/// Look for what the installation lacks, and print the commands that mend it
///
/// Looks at the config, the users, folders, units, doors and hooks, the grants, ssh on both of its ends, the clock, the release of
/// OpenZFS, the pools' room, and at the snapshots and their holds. Runs nothing; what it prints is for you to read and for a root
/// shell. What cannot be looked at is named, and is nothing wrong; as root all of it can. Ends with exit code 3 if there is
/// something to mend. With simulated pools it looks at these, and not at this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    /// Something that the config asks for does not work.
    Broken,
    /// It works, and not as well as it should.
    Warning,
    /// Good to know.
    Note,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// Which check found it: a word that stays.
    check: &'static str,
    /// What it is about: a path, a user, a unit, a dataset.
    about: String,
    text: String,
    /// For a root shell, in this order, a line each.
    commands: Vec<String>,
}

/// All that was found.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
    /// What was looked at.
    checked: Vec<String>,
    /// What could not be, each with the reason.
    not_checked: Vec<String>,
}

impl Report {
    /// Adds a finding.
    fn add(
        &mut self,
        level: Level,
        check: &'static str,
        about: impl fmt::Display,
        text: impl Into<String>,
        commands: impl IntoIterator<Item = impl Into<String>>,
    ) {
        let commands = commands.into_iter().map(Into::into).collect();
        self.findings.push(Finding { level, check, about: about.to_string(), text: text.into(), commands });
    }

    /// What was read, or none if it is not there or could not be looked at; what could not be is said.
    fn seen<T>(&mut self, what: &str, read: io::Result<T>) -> Option<Seen<T>> {
        match read {
            Ok(value) => Some(Seen::There(value)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Some(Seen::Missing)
            }
            Err(error) => {
                self.not_checked.push(match error.kind() {
                    io::ErrorKind::PermissionDenied => format!("{what}: only root can look at it"),
                    _ => format!("{what}: {error}"),
                });
                None
            }
        }
    }

    fn text(&self) -> String {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| finding.level);
        let notes = findings.iter().filter(|finding| finding.level == Level::Note).count();
        let mut text = match findings.len() - notes {
            0 => format!("# All is well: looked at {}.\n", self.checked.join(", ")),
            some => format!("# {} to mend. Read, then run what you agree with as root.\n", count(some, "thing")),
        };
        for finding in findings {
            let word = match finding.level {
                Level::Broken => "BROKEN",
                Level::Warning => "warning",
                Level::Note => "note",
            };
            text += &format!("\n{}\n", comment(&format!("{word}: {}: {}", finding.about, finding.text)));
            text.extend(finding.commands.iter().map(|command| format!("{command}\n")));
        }
        let lines: String =
            self.not_checked.iter().map(|line| comment(&format!("not looked at: {line}")) + "\n").collect();
        if lines.is_empty() { text } else { format!("{text}\n{lines}") }
    }

    fn outcome(&self) -> Outcome {
        let well = self.findings.iter().all(|finding| finding.level == Level::Note);
        if well { Outcome::Fine } else { Outcome::Attention }
    }
}

/// What was looked for.
enum Seen<T> {
    There(T),
    Missing,
}

/// Looks at everything, and says what it found.
///
/// # Errors
/// If it cannot be written.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let mut report = Report::default();
    let loaded = read_config(session, &mut report);
    let config = loaded.as_ref().map(|loaded| &loaded.config);
    let simulated = session.globals.simulate.is_some();
    let here: Option<&dyn Host> = if simulated { None } else { Some(&Here) };
    if let Some(host) = here {
        machine::look(host, config, session, &mut report);
        reach::look(host, config, &mut report);
    } else {
        report.not_checked.push("this machine, since the pools are simulated".to_owned());
    }
    let newest = config.and_then(|config| pools::look(config, session, &mut report));
    if let (Some(host), Some(config)) = (here, config) {
        // While all was listed, more snapshots were taken.
        machine::clock(host, config, newest, session.now.max(Session::clock()), &mut report);
    }
    for command in report.findings.iter_mut().flat_map(|finding| &mut finding.commands) {
        if let Some(rest) = command.strip_prefix("zamctl ") {
            *command = format!("{} {rest}", session.zamctl());
        }
    }
    if args.json {
        out::json(&report)?
    } else {
        out::print(&report.text())?
    }
    Ok(report.outcome())
}

/// The config, and what is wrong with its files.
fn read_config(session: &Session, report: &mut Report) -> Option<Loaded> {
    let main = &session.globals.config;
    let shown = main.display();
    for place in config::unsafe_places(main) {
        report.add(Level::Broken, "config-mode", place.path.display(), place.why, [place.command]);
    }
    report.checked.push("the config".to_owned());
    match session.config() {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                report.add(
                    Level::Note,
                    "config-odd",
                    &warning.0.place,
                    warning.0.what.clone(),
                    [edit(&warning.0.place)],
                );
            }
            for (role, refused) in check::not_loaded_yet(session) {
                let refused = refused.map_or_else(String::new, |why| format!("; what it found last it refused: {why}"));
                let text = format!("it still runs by an older config than the one that is there{refused}");
                report.add(Level::Warning, "reload", role, text, [format!("systemctl reload {role}")]);
            }
            Some(loaded)
        }
        Err(_) if !main.exists() => {
            let text = "there is no config, so nothing can run";
            report.add(Level::Broken, "config", shown, text, ["zamctl setup --write"]);
            None
        }
        Err(failure) => {
            let first = failure.message.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
            let more = failure.causes.iter().chain(&failure.hints).map(|more| format!(": {more}"));
            let text = first + &more.collect::<String>();
            report.add(Level::Broken, "config", shown, text, ["zamctl check"]);
            None
        }
    }
}

/// The command that opens the config at a place.
fn edit(place: &Place) -> String {
    format!("${{EDITOR:-vi}} +{} {}", place.line, quoted(&place.file))
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
