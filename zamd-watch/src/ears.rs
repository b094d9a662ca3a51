//! What the other daemons say of themselves, through the doors that answer everybody.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    time::Duration,
};
use tokio::time::timeout;
use zam_names::UnixTime;
use zam_policy::config::Config;
use zam_protocol::{
    Door, Hello, PoolStatus, Role,
    client::{self, CallError, ConnectError},
    prune::PruneStatus,
    recv::RecvStatus,
    send::SendStatus,
    snap::SnapStatus,
};
use zam_runtime::keeper::chain;

/// What a daemon says.
#[derive(Clone, Debug)]
pub struct Said {
    /// Of itself.
    pub hello: Hello,
    /// Of its pools.
    pub pools: Vec<PoolStatus>,
    /// Of its datasets.
    pub rows: Rows,
}

/// What it says of datasets, by role.
#[derive(Clone, Debug)]
pub enum Rows {
    /// zamd-snap.
    Snap(Vec<SnapStatus>),
    /// zamd-prune.
    Prune(Vec<PruneStatus>),
    /// zamd-send.
    Send(Vec<SendStatus>),
    /// zamd-recv.
    Recv(Vec<RecvStatus>),
}

impl Rows {
    /// With how many datasets and copies something is wrong.
    pub fn problems(&self) -> usize {
        match self {
            Self::Snap(rows) => rows.iter().filter(|row| !row.problems.is_empty()).count(),
            Self::Prune(rows) => rows.iter().filter(|row| !row.problems.is_empty()).count(),
            Self::Recv(rows) => rows.iter().filter(|row| !row.problems.is_empty()).count(),
            Self::Send(rows) => {
                let copies = rows.iter().flat_map(|row| &row.destinations);
                let copies = copies.filter(|copy| !copy.problems.is_empty()).count();
                copies + rows.iter().filter(|row| !row.problems.is_empty()).count()
            }
        }
    }
}

/// What they last said, and when each was seen to start.
#[derive(Debug, Default)]
pub struct Ears {
    /// Each daemon that has something to do here or answers anyway, and what it said at this beat, or why it said nothing.
    pub said: BTreeMap<Role, Result<Said, String>>,
    /// When each has started, lately.
    starts: BTreeMap<Role, VecDeque<UnixTime>>,
}

#[derive(Debug)]
enum Unheard {
    Door(ConnectError),
    Call(CallError),
    Endless,
}

impl From<ConnectError> for Unheard {
    fn from(error: ConnectError) -> Self {
        Self::Door(error)
    }
}

impl From<CallError> for Unheard {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Asks a daemon for everything that it shows. The services have these methods, and no trait in common.
macro_rules! ask {
    ($connect:path, $runtime:expr, $role:expr, $rows:path) => {
        async {
            let said = async {
                let client = $connect(&$role.socket($runtime, Door::Status)).await?;
                let hello = client::call(client.hello(client::soon())).await?;
                let pools = client::call(client.pools(client::soon())).await?;
                let (mut rows, mut after) = (Vec::new(), None);
                loop {
                    let page = client::call(client.status(client::soon(), after.clone())).await?;
                    rows.extend(page.rows);
                    match page.next {
                        None => break Ok(Said { hello, pools, rows: $rows(rows) }),
                        // It is the other one's word, and may never end.
                        next if next <= after || rows.len() > ROWS => break Err(Unheard::Endless),
                        next => after = next,
                    }
                }
            };
            ($role, timeout(WHOLE, said).await.unwrap_or(Err(Unheard::Endless)))
        }
    };
}

/// More rows than this no daemon has,
const ROWS: usize = 200_000;
/// nor does it take longer to tell them.
const WHOLE: Duration = Duration::from_secs(60);
/// How many starts are remembered of each.
const STARTS: usize = 8;

impl Ears {
    /// Takes in what they say now.
    pub fn take(&mut self, heard: Vec<(Role, Result<Said, String>)>) {
        for (role, said) in &heard {
            let starts = self.starts.entry(*role).or_default();
            if let Ok(said) = said
                && starts.back() != Some(&said.hello.started)
            {
                starts.push_back(said.hello.started);
            }
            while starts.len() > STARTS {
                starts.pop_front();
            }
        }
        self.said = heard.into_iter().collect();
    }

    /// How often it was seen to start in the last hour.
    pub fn starts(&self, role: Role, now: UnixTime) -> usize {
        let recent = |at: &&UnixTime| now.since(**at) < 3600;
        self.starts.get(&role).map_or(0, |starts| starts.iter().filter(recent).count())
    }
}

/// Asks all of them at once. One that has nothing to do here, and does not answer, is left out.
pub async fn listen(config: &Config, runtime_dir: &Path) -> Vec<(Role, Result<Said, String>)> {
    let (snap, prune, send, recv) = tokio::join!(
        ask!(client::connect_snap, runtime_dir, Role::Snap, Rows::Snap),
        ask!(client::connect_prune, runtime_dir, Role::Prune, Rows::Prune),
        ask!(client::connect_send, runtime_dir, Role::Send, Rows::Send),
        ask!(client::connect_recv, runtime_dir, Role::Recv, Rows::Recv),
    );
    let heard = [snap, prune, send, recv].into_iter();
    let heard = heard.map(|(role, said)| {
        let why = |unheard| match unheard {
            // What to do about it stands with the alarm.
            Unheard::Door(ConnectError::NotRunning { source, .. }) => format!("it does not answer: {source}"),
            Unheard::Door(error) => chain(&error),
            Unheard::Call(error) => chain(&error),
            Unheard::Endless => format!("its status has no end within {} s and {ROWS} rows", WHOLE.as_secs()),
        };
        (role, said.map_err(why))
    });
    heard.filter(|(role, said)| said.is_ok() || is_needed(config, *role)).collect()
}

/// Whether the config gives it something to do.
fn is_needed(config: &Config, role: Role) -> bool {
    let mut entries = config.entries.iter().filter(|entry| entry.enabled);
    match role {
        Role::Snap | Role::Prune => entries.next().is_some(),
        Role::Send => entries.any(|entry| !entry.destinations.is_empty()),
        Role::Recv => entries.any(|entry| {
            entry.is_replica() || entry.destinations.iter().any(|destination| destination.local_root().is_some())
        }),
        Role::Watch => false,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use zam_protocol::ConfigState;

    /// What a daemon says of itself that is well.
    pub fn hello(role: Role) -> Hello {
        let config = ConfigState { file: "zam.toml".into(), loaded: UnixTime(0), problem: None };
        Hello { role, build: String::new(), minor: 0, pid: 1, started: UnixTime(0), config, problems: vec![] }
    }

    #[test]
    fn starts_are_counted_and_not_answers() {
        let mut ears = Ears::default();
        for at in [0, 0, 10, 20, 20, 20] {
            let hello = Hello { started: UnixTime(at), ..hello(Role::Snap) };
            ears.take(vec![(Role::Snap, Ok(Said { hello, pools: vec![], rows: Rows::Snap(vec![]) }))]);
        }
        assert_eq!(ears.starts(Role::Snap, UnixTime(30)), 3);
        assert_eq!(ears.starts(Role::Snap, UnixTime(3605)), 2);
        assert_eq!(ears.starts(Role::Prune, UnixTime(30)), 0);
    }
}
