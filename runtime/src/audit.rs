//! What is said, and where: to the journal, or to standard error where there is none. And the audit trail: one event
//! for every act and every refusal, in fields that `journalctl OP=destroy` finds.

use crate::Role;
use std::{fmt, io};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    fmt::layer,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};
use zam_names::Guid;

/// Starts logging for a program that others start from afar: to the journal if there is one, whatever the environment
/// says, since that may come from a stranger; to standard error if not, or if `stderr` says so.
pub fn start_afar(program: &str, stderr: bool) {
    let journal = if stderr { None } else { tracing_journald::layer().ok() };
    begin(program, journal, usual());
}

/// Starts logging: to the journal with fields if standard error leads there (`JOURNAL_STREAM`), else as text to standard error.
/// `ZAM_LOG` says what is let through, such as `debug` or `info,zam_policy=trace`.
pub fn start(role: Role) {
    let wish = std::env::var("ZAM_LOG").unwrap_or_default();
    let (targets, bad) = match format!("tarpc=off,{wish}").parse::<Targets>() {
        _ if wish.is_empty() => (usual(), None),
        Ok(targets) => (targets, None),
        Err(error) => (usual(), Some(error)),
    };
    let journal = if stderr_is_the_journal() { tracing_journald::layer().ok() } else { None };
    begin(role.daemon(), journal, targets);
    if let Some(error) = bad {
        tracing::warn!("ZAM_LOG={wish:?} is not a filter ({error}): taking `info`");
    }
}

fn begin(program: &str, journal: Option<tracing_journald::Layer>, targets: Targets) {
    let journal = journal.map(|journal| journal.with_field_prefix(None).with_syslog_identifier(program.to_owned()));
    let text = journal.is_none().then(|| layer().with_writer(io::stderr).with_ansi(is_terminal()));
    let started =
        tracing_subscriber::registry().with(journal.with_filter(targets.clone())).with(text.with_filter(targets));
    if started.try_init().is_err() {
        tracing::debug!("logging was started before");
    }
}

/// What was done, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Took a snapshot.
    Snapshot,
    /// Put a hold on one.
    Hold,
    /// Took a hold off.
    Release,
    /// Destroyed a snapshot.
    Destroy,
    /// Sent one to a replica, which has it and holds it.
    Send,
    /// Refused what somebody asked for, or what was planned.
    Refuse,
    /// Received a snapshot.
    Receive,
    /// Left a bookmark of a snapshot.
    Bookmark,
    /// Cleared what a receive that was cut had left.
    Clear,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It is done.
    Done,
    /// It was so already.
    Already,
    /// It is not done, and this is why.
    Failed(&'a str),
}

/// One line of the audit trail.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// What was done.
    pub op: Op,
    /// To which snapshot, dataset or, for a refusal, request.
    pub what: &'a dyn fmt::Display,
    /// The snapshot's identity.
    pub guid: Option<Guid>,
    /// The tag of the hold.
    pub tag: Option<&'a str>,
    /// Why, in the words of the plan.
    pub why: &'a str,
    /// Who asked for it; nobody for what the schedule brings.
    pub uid: Option<u32>,
    /// The plan that it belongs to.
    pub plan: Option<&'a str>,
    /// What became of it.
    pub outcome: Outcome<'a>,
}

impl<'a> Act<'a> {
    /// A line that says what is always said; the rest by struct update: `Act { guid, ..Act::new(…) }`.
    #[must_use]
    pub fn new(op: Op, what: &'a dyn fmt::Display, why: &'a str, outcome: Outcome<'a>) -> Self {
        Self { op, what, guid: None, tag: None, why, uid: None, plan: None, outcome }
    }

    /// Writes the line.
    pub fn log(&self) {
        let (outcome, error) = match self.outcome {
            Outcome::Done => ("done", None),
            Outcome::Already => ("already", None),
            Outcome::Failed(error) => ("failed", Some(error)),
        };
        let op = self.op.name();
        let guid = self.guid.map(|guid| guid.0);
        let Self { what, tag, why, uid, plan, .. } = *self;
        if error.is_some() || self.op == Op::Refuse {
            tracing::warn!(target: "audit", op, %what, guid, tag, uid, plan, outcome, error, why, "{op} {what}: {outcome}");
        } else {
            tracing::info!(target: "audit", op, %what, guid, tag, uid, plan, outcome, why, "{op} {what}: {outcome}");
        }
    }
}

impl Op {
    /// As it stands in the field `OP`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Destroy => "destroy",
            Self::Send => "send",
            Self::Refuse => "refuse",
            Self::Receive => "receive",
            Self::Bookmark => "bookmark",
            Self::Clear => "clear",
        }
    }
}

/// Nothing of tarpc: it writes an error for every deadline that passes, and any local user may set one of a millisecond.
fn usual() -> Targets {
    Targets::new().with_default(tracing::Level::INFO).with_target("tarpc", LevelFilter::OFF)
}

/// systemd names in `JOURNAL_STREAM` the device and inode it connected; they are compared since the name is inherited.
fn stderr_is_the_journal() -> bool {
    let Ok(stat) = nix::sys::stat::fstat(io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|named| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_act_is_one_line_with_its_fields() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer().with_ansi(false).without_time().with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.with_filter(usual())), || {
            let act = Act::new(Op::Destroy, &"tank/a@x", "its window ended", Outcome::Done);
            Act { guid: Some(Guid(7)), plan: Some("p1"), ..act }.log();
            Act::new(Op::Refuse, &"prune tank/a", "not an operator", Outcome::Failed("uid 1000")).log();
            tracing::error!(target: "tarpc::server", "chatter");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                " INFO audit: destroy tank/a@x: done op=\"destroy\" what=tank/a@x guid=7 plan=\"p1\" outcome=\"done\" why=\"its window ended\"",
                " WARN audit: refuse prune tank/a: failed op=\"refuse\" what=prune tank/a outcome=\"failed\" error=\"uid 1000\" why=\"not an operator\"",
            ]
        );
    }
}
