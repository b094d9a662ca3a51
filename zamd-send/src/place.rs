//! Places where copies go: another host, or a root on this one; and the way there.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;
use zam_names::DatasetName;
use zam_policy::config::{Config, Destination};

/// Where copies go. What goes to one place goes in one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Another host, and as whom ssh logs in there.
    Host {
        /// As ssh knows it.
        host: String,
        /// As whom.
        user: String,
    },
    /// Below this dataset of this host.
    Here(DatasetName),
}

/// How places are reached.
pub struct Ways {
    ssh: PathBuf,
    receive: PathBuf,
    /// What ssh reads, and nothing else.
    config: PathBuf,
    /// Where the sockets are through which sessions share a connection.
    shared: PathBuf,
    runtime_dir: PathBuf,
}

impl Place {
    /// Of a destination; none where the config does not say where it is.
    pub fn of(destination: &Destination) -> Option<Self> {
        match &destination.remote_host {
            Some(_) => Some(Self::Host { host: destination.host()?.to_owned(), user: destination.user.clone() }),
            None => destination.local_root().map(Self::Here),
        }
    }

    /// All that the config sends to.
    pub fn all(config: &Config) -> Vec<Self> {
        let entries = config.entries.iter().filter(|entry| entry.enabled && !entry.is_replica());
        let mut places: Vec<Self> = entries.flat_map(|entry| &entry.destinations).filter_map(Self::of).collect();
        places.sort();
        places.dedup();
        places
    }

    /// The host; none: this one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host { host, .. } => Some(host),
            Self::Here(_) => None,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { host, .. } => f.pad(host),
            Self::Here(root) => f.pad(root.as_str()),
        }
    }
}

impl Ways {
    /// Those of the package; `ssh` is another one only in tests.
    pub fn new(config_file: &Path, state: &Path, runtime_dir: &Path, ssh: Option<PathBuf>) -> Self {
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("zam-receive")));
        Self {
            ssh: ssh.unwrap_or_else(|| SSH.into()),
            receive: beside.unwrap_or_else(|| "/usr/bin/zam-receive".into()),
            config: config_file.with_file_name("ssh_config"),
            shared: state.to_owned(),
            runtime_dir: runtime_dir.to_owned(),
        }
    }

    /// What is missing for the way there, and what makes it.
    pub fn lack(&self, place: &Place) -> Option<String> {
        let config = self.config.display();
        let lacks = place.host().is_some() && self.ssh == Path::new(SSH) && !self.config.exists();
        lacks.then(|| format!("there is no {config} yet: `zamctl ssh --print {place}` prints what makes it"))
    }

    /// Removes the sockets that a daemon before this one has left.
    pub fn tidy(&self) {
        for entry in std::fs::read_dir(&self.shared).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(SOCKET) {
                // What cannot be removed is in nobody's way: the names go on.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The command whose standard input and output lead to zam-receive there. Nothing of this process's environment goes
    /// with it. The sessions of one run share a connection, and no others: another place may be the same machine under
    /// another name, with another key.
    pub fn command(&self, place: &Place, run: u64) -> Command {
        let mut command = match place {
            Place::Host { host, user } => {
                let mut command = Command::new(&self.ssh);
                command.arg("-F").arg(&self.config).args(["-T", "-e", "none", "-l", user]);
                // A network that is gone is noticed in two minutes.
                for option in [
                    "BatchMode=yes",
                    "ConnectTimeout=30",
                    "ServerAliveInterval=30",
                    "ServerAliveCountMax=4",
                    "ControlMaster=auto",
                    "ControlPersist=no",
                ] {
                    command.args(["-o", option]);
                }
                let socket = self.shared.join(format!("{SOCKET}{}-{run}", std::process::id()));
                command.arg("-o").arg(format!("ControlPath={}", socket.display())).args(["--", host]);
                command
            }
            Place::Here(root) => {
                let mut command = Command::new(&self.receive);
                command.arg("--local").arg("--root").arg(root.as_str());
                command.arg("--runtime-dir").arg(&self.runtime_dir);
                command
            }
        };
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that all of it can be ended.
        command.process_group(0).kill_on_drop(true);
        command
    }
}

const SOCKET: &str = "ssh-";
const SSH: &str = "/usr/bin/ssh";
