//! The command line that all daemons share.

use crate::{Role, sandbox::Footing};
use clap::{Args as _, Command, FromArgMatches, Subcommand};
use std::{ffi::OsString, path::PathBuf};
use zam_names::PoolName;

/// What was asked for on the command line.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Read this config, and the folder zam.d beside it
    #[arg(long, value_name = "FILE", default_value = "/etc/zam/zam.toml")]
    pub config: PathBuf,
    /// Keep the sockets below this folder
    #[arg(long, value_name = "DIR", default_value = "/run/zam")]
    pub runtime_dir: PathBuf,
    /// Keep what must be remembered below this folder
    #[arg(long, value_name = "DIR", default_value = "/var/lib/zam")]
    pub state_dir: PathBuf,
    /// Work on the simulated pools in this folder instead of ZFS, for trying out and for tests
    #[arg(long, value_name = "DIR")]
    pub simulate: Option<PathBuf>,
    /// Check the config, say whether it is good, and stop
    #[arg(long)]
    pub check: bool,
    /// What to be instead of the daemon
    #[command(subcommand)]
    pub inner: Option<Inner>,
}

/// Other things than the daemon that its program can be.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Inner {
    /// Serve one pool to the daemon that started this process (never by hand)
    #[command(hide = true)]
    Worker {
        /// The pool
        pool: PoolName,
    },
    /// Do one thing for the daemon that started this process (never by hand)
    #[command(hide = true)]
    Task {
        /// What, in JSON
        order: String,
    },
    /// Run a command behind this role's wall of verbs, to see what it holds off
    #[command(hide = true)]
    Sandboxed {
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

impl Args {
    /// Reads the command line; ends the process with help, version or a usage error (code 2) where clap says so.
    #[must_use]
    pub fn parse(role: Role, about: &'static str) -> Self {
        Self::from_line(role, about, std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The same from a given line, whose first word is the program.
    ///
    /// # Errors
    /// What clap has to say, help and version included.
    pub fn from_line<I>(role: Role, about: &'static str, line: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item: Into<OsString> + Clone>,
    {
        let mut command = Self::command(role, about);
        let mut matches = command.try_get_matches_from_mut(line)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }

    /// The clap command, for man pages and completions.
    #[must_use]
    pub fn command(role: Role, about: &'static str) -> Command {
        Self::augment_args(Command::new(role.daemon()).about(about).version(env!("CARGO_PKG_VERSION")))
    }

    /// On what ground this daemon stands.
    #[must_use]
    pub fn footing(&self) -> Footing {
        if self.simulate.is_some() { Footing::Simulated } else { Footing::Real }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::from_line(Role::Snap, "Take snapshots", line)
    }

    #[test]
    fn the_defaults_are_the_paths_of_the_package() {
        let args = parse(&["zamd-snap"]).unwrap();
        assert_eq!(args.config, PathBuf::from("/etc/zam/zam.toml"));
        assert_eq!(args.runtime_dir, PathBuf::from("/run/zam"));
        assert_eq!(args.state_dir, PathBuf::from("/var/lib/zam"));
        assert_eq!((args.footing(), args.check, args.inner), (Footing::Real, false, None));
    }

    #[test]
    fn a_worker_gets_the_line_of_its_daemon() {
        let args = parse(&["zamd-snap", "--simulate", "/s", "worker", "tank"]).unwrap();
        assert_eq!(args.inner, Some(Inner::Worker { pool: "tank".parse().unwrap() }));
        assert_eq!(args.footing(), Footing::Simulated);
        assert!(parse(&["zamd-snap", "worker", "tank/data"]).is_err());
    }

    #[test]
    fn a_sandboxed_command_keeps_its_own_flags() {
        let args = parse(&["zamd-snap", "sandboxed", "--", "zfs", "--help"]).unwrap();
        assert_eq!(args.inner, Some(Inner::Sandboxed { command: vec!["zfs".into(), "--help".into()] }));
        assert!(parse(&["zamd-snap", "sandboxed"]).is_err());
    }

    #[test]
    fn help_does_not_speak_of_the_hidden_ones() {
        let help = parse(&["zamd-snap", "--help"]).unwrap_err().to_string();
        assert!(help.contains("--state-dir") && !help.contains("sandboxed") && !help.contains("worker"), "{help}");
    }
}
