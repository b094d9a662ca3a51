//! The desk behind the doors: looks things up, hands orders to their pool, and never acts itself.

use crate::{Snap, orders::Wish};
use std::rc::Rc;
use tarpc::context::Context;
use zam_names::{DatasetName, Guid, SnapshotName, Target};
use zam_protocol::{
    EndOrder, Hello, JobId, JobState, Page, Peer, PlanId, PoolStatus, Refused, Role,
    snap::{self, KeepOrder, SnapStatus, SnapshotOrder, UnholdOrder},
};
use zam_runtime::keeper::Shared;

/// What answers one connection.
#[derive(Clone)]
pub struct Desk {
    pub shared: Rc<Shared<Snap>>,
    pub peer: Peer,
}

impl Desk {
    fn order(&self, dataset: &DatasetName, title: String, wish: Wish) -> Result<JobId, Refused> {
        self.shared.covered(dataset)?;
        self.shared.order(&dataset.pool(), self.peer.uid, title, wish)
    }
}

impl snap::Snap for Desk {
    async fn hello(self, _: Context) -> Hello {
        self.shared.hello(Role::Snap)
    }

    async fn status(self, _: Context, after: Option<DatasetName>) -> Page<SnapStatus> {
        self.shared.page(after.as_ref())
    }

    async fn pools(self, _: Context) -> Vec<PoolStatus> {
        self.shared.pools()
    }

    async fn job(self, _: Context, id: JobId) -> Result<JobState, Refused> {
        self.shared.job(id)
    }

    async fn snapshot(self, _: Context, order: SnapshotOrder) -> Result<JobId, Refused> {
        self.shared.covered_or_below(&order.dataset, order.reach)?;
        let title = format!("snapshot {}", order.dataset);
        self.shared.order(&order.dataset.pool(), self.peer.uid, title, Wish::Snapshot(order))
    }

    async fn keep(self, _: Context, order: KeepOrder) -> Result<JobId, Refused> {
        let dataset = order.snapshot.dataset().clone();
        self.order(&dataset, format!("keep {}", order.snapshot), Wish::Keep(order))
    }

    async fn unkeep(self, _: Context, snapshot: SnapshotName) -> Result<JobId, Refused> {
        let dataset = snapshot.dataset().clone();
        self.order(&dataset, format!("unkeep {snapshot}"), Wish::Unkeep(snapshot))
    }

    async fn expire(self, _: Context, snapshot: Target) -> Result<JobId, Refused> {
        let dataset = snapshot.name.dataset().clone();
        self.order(&dataset, format!("expire {}", snapshot.name), Wish::Expire(snapshot))
    }

    async fn set_end(self, _: Context, order: EndOrder) -> Result<JobId, Refused> {
        let dataset = order.snapshot.name.dataset().clone();
        self.order(&dataset, format!("set the end of {}", order.snapshot.name), Wish::SetEnd(order))
    }

    async fn unhold(self, _: Context, order: UnholdOrder) -> Result<JobId, Refused> {
        self.shared.covered_or_below(&order.dataset, order.reach)?;
        let title = format!("unhold {}", order.dataset);
        self.shared.order(&order.dataset.pool(), self.peer.uid, title, Wish::Unhold(order))
    }

    async fn approve(self, _: Context, plan: PlanId) -> Result<JobId, Refused> {
        let waiting: Vec<Guid> = self.shared.braked(plan);
        self.shared.approve(&waiting, plan)?;
        self.shared.order_all(self.peer.uid, "approve", || Wish::Release(None))
    }

    async fn notes(self, _: Context, dataset: DatasetName) -> Option<String> {
        self.shared.notes_on(&dataset)
    }

    async fn release(self, _: Context, dataset: Option<DatasetName>) -> Result<JobId, Refused> {
        let uid = self.peer.uid;
        match dataset {
            Some(dataset) => {
                self.shared.covered(&dataset)?;
                let title = format!("release {dataset}");
                self.shared.order(&dataset.pool(), uid, title, Wish::Release(Some(dataset)))
            }
            None => self.shared.order_all(uid, "release", || Wish::Release(None)),
        }
    }
}
