//! What is said when something does not work, and with which exit code: kind, message, causes, hints.

use std::{error::Error, fmt::Write as _, io::Write as _, process::ExitCode};
use zam_protocol::{
    Refused,
    client::{CallError, ConnectError},
};

/// How a command that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Outcome {
    /// All is well.
    Fine,
    /// Something needs attention.
    Attention,
    /// A daemon that was asked does not answer; the rest was shown.
    Unreachable,
    /// What monitoring is to hear, by the exit codes of its plugins.
    Monitored(u8),
}

/// The kinds of failure that a script can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was tried and did not work.
    Failed,
    /// The command line or the config is wrong.
    Usage,
    /// The caller may not.
    NotPermitted,
    /// A daemon does not answer.
    Unreachable,
    /// Nobody reads any more.
    Hushed,
}

/// Why a command did not do its work.
#[derive(Debug)]
pub struct Failure {
    /// Which exit code.
    pub kind: Kind,
    /// Who and what.
    pub message: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What next.
    pub hints: Vec<String>,
    /// What was done all the same, a line each.
    pub done: Vec<String>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), done: Vec::new() }
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Of this kind, with what the error says and its causes.
    pub fn of(kind: Kind, error: &dyn Error) -> Self {
        Self::new(kind, error.to_string()).because(error.source())
    }

    /// Adds an error and its own causes.
    pub fn because(mut self, mut cause: Option<&dyn Error>) -> Self {
        while let Some(error) = cause {
            self.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The whole of it, as it stands on a terminal.
    pub fn render(&self) -> String {
        let mut text = format!("zamctl: {}\n", self.message);
        // Writing into a String does not fail.
        for line in &self.done {
            let _ = writeln!(text, "  done: {line}");
        }
        for cause in &self.causes {
            let _ = writeln!(text, "  because: {cause}");
        }
        for hint in &self.hints {
            let _ = writeln!(text, "  hint: {hint}");
        }
        text
    }
}

impl From<zam_zfs::Error> for Failure {
    fn from(error: zam_zfs::Error) -> Self {
        let failure = Self::of(Kind::Failed, &error);
        match error {
            zam_zfs::Error::Run { .. } => failure.hint(
                "is ZFS installed here? `zfs version` tells; without ZFS, `--simulate DIR` looks at simulated pools",
            ),
            _ => failure,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let kind = match error {
            ConnectError::NotPermitted { .. } => Kind::NotPermitted,
            _ => Kind::Unreachable,
        };
        Self::of(kind, &error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let kind = match error {
            CallError::Refused(Refused::NotPermitted { .. }) => Kind::NotPermitted,
            CallError::Lost(_) => Kind::Unreachable,
            _ => Kind::Failed,
        };
        Self::of(kind, &error)
    }
}

/// Says what there is to say, and gives the exit code.
pub fn conclude(result: Result<Outcome, Failure>) -> ExitCode {
    match result {
        Ok(outcome) => ExitCode::from(match outcome {
            Outcome::Fine => 0,
            Outcome::Attention => 3,
            Outcome::Unreachable => 5,
            Outcome::Monitored(code) => code,
        }),
        Err(failure) if failure.kind == Kind::Hushed => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nobody left to tell if this fails.
            let _ = std::io::stderr().lock().write_all(failure.render().as_bytes());
            ExitCode::from(match failure.kind {
                Kind::Failed | Kind::Hushed => 1,
                Kind::Usage => 2,
                Kind::NotPermitted => 4,
                Kind::Unreachable => 5,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_failure_says_what_why_and_what_next() {
        let inner = std::io::Error::other("no such file");
        let failure = Failure::usage("cannot read it").because(Some(&inner)).hint("write it");
        assert_eq!(failure.render(), "zamctl: cannot read it\n  because: no such file\n  hint: write it\n");
    }

    #[test]
    fn a_refusal_for_lack_of_rights_is_told_apart() {
        let refused = Refused::NotPermitted {
            request: "expire".into(),
            role: zam_protocol::Role::Snap,
            door: zam_protocol::Door::Control,
            uid: 1000,
            need: zam_protocol::Need::Operator,
        };
        assert_eq!(Failure::from(CallError::Refused(refused)).kind, Kind::NotPermitted);
        let busy = Refused::Busy { what: "tank".into(), why: "listing".into() };
        assert_eq!(Failure::from(CallError::Refused(busy)).kind, Kind::Failed);
    }
}
