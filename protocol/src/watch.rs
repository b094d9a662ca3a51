//! The service of zamd-watch: every request it knows, and who may send it.

use crate::{Ask, Hello, Need, Page, PoolStatus, Refused, Role, Row, codec};
use serde::{Deserialize, Serialize};
use zam_names::{DatasetName, UnixTime};
use zam_policy::alarm::Alarm;

/// What zamd-watch is asked. Methods are only ever appended: their order is their tag on the wire.
#[tarpc::service]
pub trait Watch {
    /// Who serves.
    async fn hello() -> Hello;
    /// The watched datasets behind `after`, in the order of their names, by its own listings.
    async fn status(after: Option<DatasetName>) -> Page<WatchStatus>;
    /// The pools and their workers.
    async fn pools() -> Vec<PoolStatus>;
    /// The alarms, without so many of the first.
    async fn alarms(skip: u32) -> AlarmPage;
    /// All that is wrong now is known to those who act here: it is told no more. Gives of how many alarms that is news.
    async fn acknowledge() -> Result<u32, Refused>;
}

impl Ask for WatchRequest {
    type Answer = WatchResponse;
    const ROLE: Role = Role::Watch;
    const METHODS: &'static [&'static str] = &["hello", "status", "pools", "alarms", "acknowledge"];

    fn need(&self) -> Need {
        match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Alarms { .. } => Need::Anybody,
            Self::Acknowledge {} => Need::Operator,
        }
    }

    fn refused(&self, why: Refused) -> Option<WatchResponse> {
        Some(match self {
            Self::Hello {} | Self::Status { .. } | Self::Pools {} | Self::Alarms { .. } => return None,
            Self::Acknowledge {} => WatchResponse::Acknowledge(Err(why)),
        })
    }
}

/// A dataset and its copies, as zamd-watch sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// Its name.
    pub dataset: DatasetName,
    /// When its newest good snapshot was made; on a replica, when the newest came.
    pub newest: Option<UnixTime>,
    /// How many snapshots it has.
    pub snapshots: u32,
    /// After how many seconds without a newer one there is an alarm; none: never.
    pub stale_after: Option<u64>,
    /// Its copies.
    pub copies: Vec<WatchedCopy>,
}

/// A copy, as the bookmarks on the source tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedCopy {
    /// The destination's id.
    pub id: String,
    /// What people call the destination.
    pub to: String,
    /// When the newest that is there was made; none: nothing is there.
    pub newest: Option<UnixTime>,
    /// Since when something waits to be sent; none: it is complete.
    pub behind: Option<UnixTime>,
    /// After how many seconds of that there is an alarm; none: never.
    pub stale_after: Option<u64>,
}

impl Row for WatchStatus {
    fn dataset(&self) -> &DatasetName {
        &self.dataset
    }
}

/// Some of the alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmPage {
    /// In the order of kind, place and what they are about.
    pub alarms: Vec<Alarm>,
    /// Whether there are more.
    pub more: bool,
}

impl AlarmPage {
    /// As many of these as fit, about 48 KiB, and at least one if there is one.
    pub fn of(alarms: impl Iterator<Item = Alarm>) -> Self {
        let (mut page, mut bytes) = (Self::default(), 0);
        for alarm in alarms {
            bytes += codec::size(&alarm);
            if bytes > 48 * 1024 && !page.alarms.is_empty() {
                page.more = true;
                break;
            }
            page.alarms.push(alarm);
        }
        page
    }
}
