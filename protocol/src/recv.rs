//! The service of zamd-recv: every request it knows, and who may send it. What a client on another machine says comes
//! through zam-receive ([`crate::words`]); its name and root are that program's arguments, never words of the client's.

use crate::{Ask, Hello, JobId, JobState, Need, Page, PoolStatus, Refused, Role, Row, codec};
use serde::{Deserialize, Serialize};
use std::fmt;
use zam_names::{DatasetName, Guid, Kind, RelPath, SnapTag, UnixTime};
use zam_policy::{Pattern, Rule, Span, Tier, Zone};

/// What zamd-recv is asked. Methods are only ever appended: their order is their tag on the wire.
#[tarpc::service]
pub trait Recv {
    /// Who serves.
    async fn hello() -> Hello;
    /// The datasets below the clients' roots, behind `after`, in the order of their names.
    async fn status(after: Option<DatasetName>) -> Page<RecvStatus>;
    /// The pools and their workers.
    async fn pools() -> Vec<PoolStatus>;
    /// How far a job is.
    async fn job(id: JobId) -> Result<JobState, Refused>;
    /// A client is there.
    async fn greet(client: Client) -> Result<Greeting, Refused>;
    /// What the client has here, behind `after`, in the order of the paths. Without `after` it is looked up anew.
    async fn list(client: Client, after: Option<RelPath>) -> Result<ReplicaPage, Refused>;
    /// How much room there is.
    async fn space(client: Client) -> Result<Space, Refused>;
    /// A stream is to come: the ticket goes in front of it, through the stream door.
    async fn receive(client: Client, offer: Offer) -> Result<Ticket, Refused>;
    /// What became of a stream; none while it is under way, after five seconds at the latest.
    async fn outcome(ticket: Ticket) -> Result<Option<Outcome>, Refused>;
    /// Throw away what a stream that was cut has left, so that another one can come.
    async fn clear(client: Client, path: RelPath) -> Result<(), Refused>;
    /// How long the snapshots of a dataset would be kept that is not here yet.
    async fn keeping(client: Client, path: RelPath, kind: Kind) -> Result<Keeping, Refused>;
}

impl Ask for RecvRequest {
    type Answer = RecvResponse;
    const ROLE: Role = Role::Recv;
    const METHODS: &'static [&'static str] =
        &["hello", "status", "pools", "job", "greet", "list", "space", "receive", "outcome", "clear", "keeping"];

    fn need(&self) -> Need {
        match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Job { .. } => Need::Anybody,
            Self::Greet { .. } | Self::List { .. } | Self::Space { .. } | Self::Keeping { .. } => Need::Peer,
            Self::Receive { .. } | Self::Outcome { .. } | Self::Clear { .. } => Need::Peer,
        }
    }

    fn refused(&self, why: Refused) -> Option<RecvResponse> {
        Some(match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} => return None,
            Self::Job { .. } => RecvResponse::Job(Err(why)),
            Self::Greet { .. } => RecvResponse::Greet(Err(why)),
            Self::List { .. } => RecvResponse::List(Err(why)),
            Self::Space { .. } => RecvResponse::Space(Err(why)),
            Self::Receive { .. } => RecvResponse::Receive(Err(why)),
            Self::Outcome { .. } => RecvResponse::Outcome(Err(why)),
            Self::Clear { .. } => RecvResponse::Clear(Err(why)),
            Self::Keeping { .. } => RecvResponse::Keeping(Err(why)),
        })
    }
}

/// For whom zam-receive speaks, by its own arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Client {
    /// The name in `[[replicas]]`; none: this host itself, which copies from pool to pool.
    pub name: Option<String>,
    /// Below what its datasets are.
    pub root: DatasetName,
}

/// What zamd-recv has to say to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version it was built as.
    pub build: String,
    /// Whether the client is retired: nothing may arrive any more.
    pub retired: bool,
}

/// Some of what a client has here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaPage {
    /// The rows.
    pub rows: Vec<ReplicaRow>,
    /// If there are more: what to ask for next (`after`).
    pub next: Option<RelPath>,
}

/// A dataset of a client's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRow {
    /// Where it is below the root.
    pub path: RelPath,
    /// The identity of the dataset here, which is not that at the source.
    pub guid: Guid,
    /// Filesystem or volume.
    pub kind: Kind,
    /// The newest of its snapshots, at most [`ReplicaRow::NEWEST`], the newest last.
    pub newest: Vec<Arrived>,
    /// How many there are.
    pub count: u32,
    /// What a stream that was cut has left.
    pub partial: Option<Partial>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Bytes that were written to it since its newest snapshot: what is more than nothing stands in the way of a stream.
    pub written: u64,
    /// How long its snapshots are kept here.
    pub keeping: Keeping,
    /// Whether the client is retired: nothing may arrive any more.
    pub retired: bool,
}

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Its identity, the same on both sides.
    pub guid: Guid,
    /// Its name.
    pub tag: SnapTag,
    /// When it was taken, as it says itself.
    pub creation: UnixTime,
}

/// How far a stream came that was cut: what the token of ZFS says, without the names in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// The snapshot that was being received.
    pub to: Guid,
    /// What it builds on.
    pub from: Option<Guid>,
    /// Where it goes on.
    pub object: u64,
    /// Where in there.
    pub offset: u64,
    /// Bytes that are there.
    pub bytes: u64,
    /// Whether it was sent raw.
    pub raw: bool,
}

/// How long snapshots are kept: a [`Rule`] as it goes over the wire. The zone and the patterns are the other machine's
/// words, which this one may not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// The tiers: up to which age, one snapshot in which period. Empty: nothing ever expires.
    pub windows: Vec<(Option<Span>, Span)>,
    /// So many of the newest stay however old.
    pub at_least: u32,
    /// The zone whose calendar cuts the buckets.
    pub zone: String,
    /// What the names of scheduled snapshots begin with.
    pub prefix: String,
    /// Patterns of others that compete like them.
    pub adopt: Vec<String>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes that the client's root can still take, its quota counted in.
    pub available: u64,
}

/// Announces a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Where it goes, below the root.
    pub path: RelPath,
    /// The snapshot's name.
    pub tag: SnapTag,
    /// Its identity.
    pub guid: Guid,
    /// What it builds on; none: it is complete.
    pub from: Option<Guid>,
    /// Whether it is raw.
    pub raw: bool,
    /// Filesystem or volume.
    pub kind: Kind,
    /// Whether it goes on where one was cut.
    pub resume: bool,
    /// About how many bytes it has.
    pub bytes: u64,
}

/// Stands for one announced stream: a secret between zamd-recv and whoever announced it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u128);

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The snapshot is there with the announced identity, and held.
    Done,
    /// It is not.
    Failed(Failing, String),
}

/// Why a stream was not received, as far as that decides what to do about it. Only ever appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failing {
    /// It ended early or was silent for too long; what came is kept, and it can go on from there.
    Cut,
    /// The pool is full, or a quota or limit is reached.
    NoSpace,
    /// What is there is not what it builds on, or was changed.
    Diverged,
    /// What another stream has left is in the way: `clear` it, or send that one to its end.
    Partial,
    /// It is not what was announced, or no stream at all.
    Stream,
    /// The dataset is busy.
    Busy,
    /// The grant is missing.
    NotPermitted,
    /// Anything else.
    Other,
}

/// A dataset below a client's root, as zamd-recv sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecvStatus {
    /// Its name.
    pub dataset: DatasetName,
    /// Whose it is; none: this host's own copy.
    pub client: Option<String>,
    /// When something last arrived, since the daemon started.
    pub last: Option<UnixTime>,
    /// The newest snapshot that is there.
    pub newest: Option<Arrived>,
    /// How many there are.
    pub snapshots: u32,
    /// How many of them zam holds.
    pub held: u32,
    /// What is arriving now.
    pub receiving: Option<Receiving>,
    /// Whether a stream that was cut has left something.
    pub partial: bool,
    /// Whether the client is retired.
    pub retired: bool,
    /// What is wrong, worst first.
    pub problems: Vec<String>,
}

/// A stream under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiving {
    /// The snapshot.
    pub snapshot: SnapTag,
    /// Bytes that came.
    pub bytes: u64,
    /// About how many it will be.
    pub estimated: u64,
    /// Since when.
    pub since: UnixTime,
}

impl Row for RecvStatus {
    fn dataset(&self) -> &DatasetName {
        &self.dataset
    }
}

impl ReplicaRow {
    /// How many snapshots it names at most.
    pub const NEWEST: usize = 64;
}

impl ReplicaPage {
    /// About how many bytes of rows a page takes: below the bound of a word.
    const FULL: usize = 40 * 1024;

    /// The rows behind `after` of a table sorted by path, as many as fit.
    pub fn of(table: impl IntoIterator<Item = ReplicaRow>, after: Option<&RelPath>) -> Self {
        let mut bytes = 0;
        let mut rows: Vec<ReplicaRow> = Vec::new();
        for row in table {
            if after.is_some_and(|after| row.path <= *after) {
                continue;
            }
            bytes += codec::size(&row);
            if bytes > Self::FULL && !rows.is_empty() {
                let next = rows.last().map(|row| row.path.clone());
                return Self { rows, next };
            }
            rows.push(row);
        }
        Self { rows, next: None }
    }
}

impl Keeping {
    /// More patterns than this are not taken from another machine: each is compiled.
    const PATTERNS: usize = 32;
    /// Nor longer ones, in bytes,
    const PATTERN: usize = 256;
    /// nor more tiers: each is played through for every snapshot.
    const TIERS: usize = 32;

    /// The rule, if this machine understands it.
    ///
    /// # Errors
    /// If it does not know the zone or a pattern, or there are too many of them.
    pub fn rule(&self) -> Result<Rule, String> {
        if self.adopt.len() > Self::PATTERNS || self.adopt.iter().any(|pattern| pattern.len() > Self::PATTERN) {
            return Err(format!("it has more than {} patterns, or longer ones", Self::PATTERNS));
        }
        if self.windows.len() > Self::TIERS {
            return Err(format!("it has more than {} tiers", Self::TIERS));
        }
        let adopt = self.adopt.iter().cloned().map(Pattern::try_from).collect::<Result<_, _>>()?;
        Ok(Rule {
            windows: self.windows.iter().map(|(max_age, period)| Tier { max_age: *max_age, period: *period }).collect(),
            at_least: self.at_least,
            zone: Zone::named(&self.zone)?,
            prefix: self.prefix.clone(),
            adopt,
        })
    }
}

impl From<&Rule> for Keeping {
    fn from(rule: &Rule) -> Self {
        Self {
            windows: rule.windows.iter().map(|tier| (tier.max_age, tier.period)).collect(),
            at_least: rule.at_least,
            zone: rule.zone.to_string(),
            prefix: rule.prefix.clone(),
            adopt: rule.adopt.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        }
    }
}

impl Ticket {
    /// How many bytes it takes in front of a stream.
    pub const LENGTH: usize = 16;

    /// As it goes in front of a stream.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0.to_be_bytes()
    }

    /// What came in front of a stream.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name.as_deref().unwrap_or("this host"), self.root)
    }
}
