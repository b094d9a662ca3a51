//! The desk behind the doors: looks things up, hands orders to their pool, and never acts itself.

use crate::{Prune, orders::Wish};
use std::rc::Rc;
use tarpc::context::Context;
use zam_names::{DatasetName, Target};
use zam_protocol::{
    EndOrder, Hello, JobId, JobState, Page, Peer, PlanId, PoolStatus, Refused, Role,
    prune::{self, Grace, PruneOrder, PruneStatus},
};
use zam_runtime::keeper::Shared;

/// What answers one connection.
#[derive(Clone)]
pub struct Desk {
    pub shared: Rc<Shared<Prune>>,
    pub peer: Peer,
}

impl prune::Prune for Desk {
    async fn hello(self, _: Context) -> Hello {
        self.shared.hello(Role::Prune)
    }

    async fn status(self, _: Context, after: Option<DatasetName>) -> Page<PruneStatus> {
        self.shared.page(after.as_ref())
    }

    async fn pools(self, _: Context) -> Vec<PoolStatus> {
        self.shared.pools()
    }

    async fn job(self, _: Context, id: JobId) -> Result<JobState, Refused> {
        self.shared.job(id)
    }

    async fn prune(self, _: Context, order: PruneOrder) -> Result<JobId, Refused> {
        match order.dataset.clone() {
            Some(dataset) => {
                self.shared.covered(&dataset)?;
                let title = format!("prune {dataset}");
                self.shared.order(&dataset.pool(), self.peer.uid, title, Wish::Prune(order))
            }
            None => self.shared.order_all(self.peer.uid, "prune", || Wish::Prune(order.clone())),
        }
    }

    async fn approve(self, _: Context, plan: PlanId) -> Result<JobId, Refused> {
        let waiting = self.shared.braked(plan);
        self.shared.approve(&waiting, plan)?;
        let order = PruneOrder { dataset: None, grace: Grace::Wait };
        self.shared.order_all(self.peer.uid, "approve", || Wish::Prune(order.clone()))
    }

    async fn expire(self, _: Context, snapshot: Target) -> Result<JobId, Refused> {
        let dataset = snapshot.name.dataset().clone();
        self.shared.covered(&dataset)?;
        let title = format!("expire {}", snapshot.name);
        self.shared.order(&dataset.pool(), self.peer.uid, title, Wish::Expire(snapshot))
    }

    async fn set_end(self, _: Context, order: EndOrder) -> Result<JobId, Refused> {
        let dataset = order.snapshot.name.dataset().clone();
        self.shared.covered(&dataset)?;
        let title = format!("set the end of {}", order.snapshot.name);
        self.shared.order(&dataset.pool(), self.peer.uid, title, Wish::SetEnd(order))
    }

    async fn notes(self, _: Context, dataset: DatasetName) -> Option<String> {
        self.shared.notes_on(&dataset)
    }
}
