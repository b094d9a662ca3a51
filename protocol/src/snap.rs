//! The service of zamd-snap: every request it knows, and who may send it.

use crate::{Ask, EndOrder, Hello, JobId, JobState, Need, Page, PlanId, PoolStatus, Reach, Reason, Refused, Role, Row};
use serde::{Deserialize, Serialize};
use zam_names::{DatasetName, Kind, SnapTag, SnapshotName, Target, UnixTime};
use zam_policy::Span;

/// What zamd-snap is asked. Methods are only ever appended: their order is their tag on the wire.
#[tarpc::service]
pub trait Snap {
    /// Who serves.
    async fn hello() -> Hello;
    /// The managed datasets behind `after`, in the order of their names.
    async fn status(after: Option<DatasetName>) -> Page<SnapStatus>;
    /// The pools and their workers.
    async fn pools() -> Vec<PoolStatus>;
    /// How far a job is.
    async fn job(id: JobId) -> Result<JobState, Refused>;
    /// Take a snapshot now and hold it.
    async fn snapshot(order: SnapshotOrder) -> Result<JobId, Refused>;
    /// Pin a snapshot, whatever the policy says.
    async fn keep(order: KeepOrder) -> Result<JobId, Refused>;
    /// Take a pin away.
    async fn unkeep(snapshot: SnapshotName) -> Result<JobId, Refused>;
    /// Count a snapshot as expired from now on. Zamd-prune must be asked too.
    async fn expire(snapshot: Target) -> Result<JobId, Refused>;
    /// Set or take away a snapshot's own end. Zamd-prune must be asked too.
    async fn set_end(order: EndOrder) -> Result<JobId, Refused>;
    /// Release zam's holds so that root can destroy or roll back by hand, and pause; or resume.
    async fn unhold(order: UnholdOrder) -> Result<JobId, Refused>;
    /// Let a stopped plan of releases go on.
    async fn approve(plan: PlanId) -> Result<JobId, Refused>;
    /// What it remembers of a dataset, as the JSON of `zam_policy::notes::DatasetNotes`; none if nothing.
    async fn notes(dataset: DatasetName) -> Option<String>;
    /// Release now what has expired, of one dataset or of all, without waiting for the period: the first half of
    /// `zamctl prune --now`.
    async fn release(dataset: Option<DatasetName>) -> Result<JobId, Refused>;
}

impl Ask for SnapRequest {
    type Answer = SnapResponse;
    const ROLE: Role = Role::Snap;
    const METHODS: &'static [&'static str] = &[
        "hello", "status", "pools", "job", "snapshot", "keep", "unkeep", "expire", "set_end", "unhold", "approve",
        "notes", "release",
    ];

    fn need(&self) -> Need {
        match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Job { .. } | Self::Notes { .. } => {
                Need::Anybody
            }
            Self::Snapshot { .. } | Self::Keep { .. } | Self::Unkeep { .. } => Need::Operator,
            Self::Expire { .. } | Self::SetEnd { .. } | Self::Approve { .. } | Self::Release { .. } => Need::Operator,
            Self::Unhold { .. } => Need::Root,
        }
    }

    fn refused(&self, why: Refused) -> Option<SnapResponse> {
        Some(match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Notes { .. } => return None,
            Self::Job { .. } => SnapResponse::Job(Err(why)),
            Self::Snapshot { .. } => SnapResponse::Snapshot(Err(why)),
            Self::Keep { .. } => SnapResponse::Keep(Err(why)),
            Self::Unkeep { .. } => SnapResponse::Unkeep(Err(why)),
            Self::Expire { .. } => SnapResponse::Expire(Err(why)),
            Self::SetEnd { .. } => SnapResponse::SetEnd(Err(why)),
            Self::Unhold { .. } => SnapResponse::Unhold(Err(why)),
            Self::Approve { .. } => SnapResponse::Approve(Err(why)),
            Self::Release { .. } => SnapResponse::Release(Err(why)),
        })
    }
}

/// A managed dataset, as zamd-snap sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapStatus {
    /// Its name.
    pub dataset: DatasetName,
    /// Filesystem or volume; none while it is configured and not there.
    pub kind: Option<Kind>,
    /// The `source` of the entry that covers it.
    pub entry: String,
    /// When its last good snapshot was taken.
    pub last: Option<UnixTime>,
    /// When the next is due; none if nothing is scheduled.
    pub next: Option<UnixTime>,
    /// What that waits for, in words, if it is due already (`run-when`).
    pub waits: Option<String>,
    /// How many snapshots it has.
    pub snapshots: u32,
    /// How many of them zam holds.
    pub protected: u32,
    /// How many have expired and wait to be released.
    pub releasing: u32,
    /// Bytes it takes with all that is below it.
    pub used: u64,
    /// Bytes that only its snapshots take.
    pub used_by_snapshots: u64,
    /// Whether `unhold` paused it.
    pub paused: bool,
    /// Whether it has had no good snapshot for so long that ageing out has stopped.
    pub silent: bool,
    /// The plan of releases that waits for an approval.
    pub braked: Option<PlanId>,
    /// What is wrong, worst first.
    pub problems: Vec<String>,
}

impl Row for SnapStatus {
    fn dataset(&self) -> &DatasetName {
        &self.dataset
    }
}

/// Asks for a snapshot now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOrder {
    /// Of which dataset.
    pub dataset: DatasetName,
    /// Whether also of what is below it.
    pub reach: Reach,
    /// What it is called; by default after the instant, `zam-manual-…`.
    pub name: Option<SnapTag>,
    /// How long it is kept; by default until somebody says `expire`.
    pub keep_for: Option<Span>,
}

/// Asks for a pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepOrder {
    /// On which snapshot.
    pub snapshot: SnapshotName,
    /// For how long; by default until `unkeep`.
    pub keep_for: Option<Span>,
    /// Why, for whoever finds it.
    pub why: Option<Reason>,
}

/// Asks to let go of a dataset's snapshots, or to take care of them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnholdOrder {
    /// Which dataset.
    pub dataset: DatasetName,
    /// Whether also what is below it.
    pub reach: Reach,
    /// Which way.
    pub way: Unhold,
}

/// The two ways of [`UnholdOrder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unhold {
    /// Release zam's holds and take no more snapshots.
    Pause,
    /// Hold again what policy keeps, and go on.
    Resume,
}
