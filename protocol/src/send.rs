//! The service of zamd-send: every request it knows, and who may send it.

use crate::{Ask, Hello, JobId, JobState, Need, Page, PoolStatus, Reach, Refused, Role, Row};
use serde::{Deserialize, Serialize};
use zam_names::{DatasetName, RelPath, SnapTag, UnixTime};

/// What zamd-send is asked. Methods are only ever appended: their order is their tag on the wire.
#[tarpc::service]
pub trait Send {
    /// Who serves.
    async fn hello() -> Hello;
    /// The datasets that have destinations, behind `after`, in the order of their names.
    async fn status(after: Option<DatasetName>) -> Page<SendStatus>;
    /// The pools and their workers.
    async fn pools() -> Vec<PoolStatus>;
    /// How far a job is.
    async fn job(id: JobId) -> Result<JobState, Refused>;
    /// Send now, without waiting for the period.
    async fn replicate(order: ReplicateOrder) -> Result<JobId, Refused>;
    /// What the replica's admin must know to leave its branch aside, so that it goes on from what both sides have.
    async fn rotate(dataset: DatasetName, to: String) -> Result<Rotation, Refused>;
    /// What would be sent of a dataset now.
    async fn plan(dataset: DatasetName) -> Result<Vec<PlannedCopy>, Refused>;
}

impl Ask for SendRequest {
    type Answer = SendResponse;
    const ROLE: Role = Role::Send;
    const METHODS: &'static [&'static str] = &["hello", "status", "pools", "job", "replicate", "rotate", "plan"];

    fn need(&self) -> Need {
        match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Job { .. } | Self::Plan { .. } => {
                Need::Anybody
            }
            Self::Replicate { .. } | Self::Rotate { .. } => Need::Operator,
        }
    }

    fn refused(&self, why: Refused) -> Option<SendResponse> {
        Some(match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} => return None,
            Self::Job { .. } => SendResponse::Job(Err(why)),
            Self::Replicate { .. } => SendResponse::Replicate(Err(why)),
            Self::Rotate { .. } => SendResponse::Rotate(Err(why)),
            Self::Plan { .. } => SendResponse::Plan(Err(why)),
        })
    }
}

/// What stands on a replica that has diverged. Names alone: the commands are made by whoever shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The destination's id.
    pub id: String,
    /// The host as ssh knows it; none: this one.
    pub host: Option<String>,
    /// The dataset there.
    pub dataset: DatasetName,
    /// The newest snapshot that both have.
    pub common: SnapTag,
    /// What lies right below the dataset there, and goes along where it goes.
    pub below: Vec<RelPath>,
}

/// Asks to send now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicateOrder {
    /// Which dataset; none: all.
    pub dataset: Option<DatasetName>,
    /// Whether also what is below it.
    pub reach: Reach,
    /// To which destination alone: its host, its pool or its id; none: to all.
    pub to: Option<String>,
    /// Whether everything may be sent anew where the two sides have nothing in common.
    pub full: bool,
}

/// A dataset and its destinations, as zamd-send sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendStatus {
    /// Its name.
    pub dataset: DatasetName,
    /// A row each.
    pub destinations: Vec<CopyStatus>,
    /// What is wrong with the dataset itself, worst first.
    pub problems: Vec<String>,
}

impl Row for SendStatus {
    fn dataset(&self) -> &DatasetName {
        &self.dataset
    }
}

/// How a copy of a dataset stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyStatus {
    /// The destination's id, as it stands in the names of bookmarks.
    pub id: String,
    /// The host as ssh knows it; none: this one.
    pub host: Option<String>,
    /// The dataset's path there.
    pub path: String,
    /// When a run last ended well.
    pub last: Option<UnixTime>,
    /// The newest snapshot that is there.
    pub newest: Option<SnapTag>,
    /// How many snapshots that should be there are not.
    pub lag_snapshots: u32,
    /// About how many bytes they have; none while nobody has asked.
    pub lag_bytes: Option<u64>,
    /// What happens.
    pub state: CopyState,
    /// What is wrong, worst first.
    pub problems: Vec<String>,
}

/// What happens to a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// All is there that should be.
    Idle,
    /// It does not go on yet.
    Waiting {
        /// Why.
        why: String,
        /// Until when, if that is known.
        until: Option<UnixTime>,
    },
    /// A stream is on its way.
    Running(Progress),
    /// The replica has what the source has not: nothing is sent until somebody chooses a side.
    Diverged {
        /// The newest snapshot that both have.
        common: Option<SnapTag>,
        /// What the replica has beyond it.
        beyond: Vec<SnapTag>,
    },
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which step, from 1.
    pub step: u32,
    /// Of how many.
    pub of: u32,
    /// The snapshot that is being sent.
    pub snapshot: SnapTag,
    /// Bytes of it that went out.
    pub bytes: u64,
    /// About how many it will be.
    pub estimated: u64,
    /// Bytes in a second, lately.
    pub rate: u64,
    /// When the run began.
    pub started: UnixTime,
}

/// What would be sent of a dataset to one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCopy {
    /// The destination's id.
    pub id: String,
    /// The host as ssh knows it; none: this one.
    pub host: Option<String>,
    /// The dataset's path there.
    pub path: String,
    /// The steps, in their order.
    pub steps: Vec<PlannedStep>,
    /// Why there are none, if that is not well.
    pub problem: Option<String>,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The snapshot that is sent.
    pub snapshot: SnapTag,
    /// What it builds on, `@snapshot` or `#bookmark`; none: everything is sent.
    pub from: Option<String>,
    /// About how many bytes it has; none while nobody has asked.
    pub bytes: Option<u64>,
    /// Whether a stream that was cut goes on.
    pub resume: bool,
}
