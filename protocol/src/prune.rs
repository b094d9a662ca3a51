//! The service of zamd-prune: every request it knows, and who may send it.

use crate::{Ask, EndOrder, Hello, JobId, JobState, Need, Page, PlanId, PoolStatus, Refused, Role, Row};
use serde::{Deserialize, Serialize};
use zam_names::{DatasetName, Target, UnixTime};

/// What zamd-prune is asked. Methods are only ever appended: their order is their tag on the wire.
#[tarpc::service]
pub trait Prune {
    /// Who serves.
    async fn hello() -> Hello;
    /// The managed datasets behind `after`, in the order of their names.
    async fn status(after: Option<DatasetName>) -> Page<PruneStatus>;
    /// The pools and their workers.
    async fn pools() -> Vec<PoolStatus>;
    /// How far a job is.
    async fn job(id: JobId) -> Result<JobState, Refused>;
    /// Prune now, without waiting for the period.
    async fn prune(order: PruneOrder) -> Result<JobId, Refused>;
    /// Let a stopped plan of destroys go on.
    async fn approve(plan: PlanId) -> Result<JobId, Refused>;
    /// Count a snapshot as expired from now on. Zamd-snap must be asked too.
    async fn expire(snapshot: Target) -> Result<JobId, Refused>;
    /// Set or take away a snapshot's own end. Zamd-snap must be asked too.
    async fn set_end(order: EndOrder) -> Result<JobId, Refused>;
    /// What it remembers of a dataset, as the JSON of `zam_policy::notes::DatasetNotes`; none if nothing.
    async fn notes(dataset: DatasetName) -> Option<String>;
}

impl Ask for PruneRequest {
    type Answer = PruneResponse;
    const ROLE: Role = Role::Prune;
    const METHODS: &'static [&'static str] =
        &["hello", "status", "pools", "job", "prune", "approve", "expire", "set_end", "notes"];

    fn need(&self) -> Need {
        match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Job { .. } | Self::Notes { .. } => {
                Need::Anybody
            }
            Self::Prune { .. } | Self::Approve { .. } | Self::Expire { .. } | Self::SetEnd { .. } => Need::Operator,
        }
    }

    fn refused(&self, why: Refused) -> Option<PruneResponse> {
        Some(match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Notes { .. } => return None,
            Self::Job { .. } => PruneResponse::Job(Err(why)),
            Self::Prune { .. } => PruneResponse::Prune(Err(why)),
            Self::Approve { .. } => PruneResponse::Approve(Err(why)),
            Self::Expire { .. } => PruneResponse::Expire(Err(why)),
            Self::SetEnd { .. } => PruneResponse::SetEnd(Err(why)),
        })
    }
}

/// A managed dataset, as zamd-prune sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneStatus {
    /// Its name.
    pub dataset: DatasetName,
    /// How many snapshots have expired and are still held.
    pub held: u32,
    /// How many have expired, are released, and wait out their grace.
    pub in_grace: u32,
    /// When the first of those may go.
    pub next: Option<UnixTime>,
    /// How many have expired and are kept by a veto.
    pub vetoed: u32,
    /// The deaths that wait for an approval.
    pub braked: Option<Brake>,
    /// How many this daemon has destroyed since it started.
    pub destroyed: u64,
    /// When it last did.
    pub last: Option<UnixTime>,
    /// What is wrong, worst first.
    pub problems: Vec<String>,
}

impl Row for PruneStatus {
    fn dataset(&self) -> &DatasetName {
        &self.dataset
    }
}

/// A plan that wants more deaths than anybody foretold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// What to approve.
    pub plan: PlanId,
    /// How many snapshots it would destroy.
    pub deaths: u32,
    /// Of how many that are old enough to count.
    pub of: u32,
}

/// Asks to prune now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneOrder {
    /// Which dataset; none: all.
    pub dataset: Option<DatasetName>,
    /// What of the grace.
    pub grace: Grace,
}

/// Whether a prune respects the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grace {
    /// What is in its grace stays.
    Wait,
    /// What has expired goes at once: for the pool at 97 %.
    Skip,
}
