//! The desk behind the doors: looks things up, hands orders on, and never sends itself.

use crate::{
    Send,
    copies::{self, Item, items},
    place::Place,
    plan::{Asked, Step, Verdict, plan},
    round::Wish,
};
use std::rc::Rc;
use tarpc::context::Context;
use tokio::sync::oneshot;
use zam_names::{DatasetName, PoolName, RelPath};
use zam_protocol::{
    Hello, JobId, JobState, Page, Peer, PoolStatus, Reach, Refused, Role,
    send::{self, CopyState, PlannedCopy, PlannedStep, ReplicateOrder, Rotation, SendStatus},
};
use zam_runtime::keeper::Shared;

/// What answers one connection.
#[derive(Clone)]
pub struct Desk {
    pub shared: Rc<Shared<Send>>,
    pub peer: Peer,
}

impl send::Send for Desk {
    async fn hello(self, _: Context) -> Hello {
        self.shared.hello(Role::Send)
    }

    async fn status(self, _: Context, after: Option<DatasetName>) -> Page<SendStatus> {
        // As they stand now, and as long as they are now.
        let present = |row: SendStatus| SendStatus {
            destinations: copies::rows(&self.shared, &row.dataset.pool(), &row.dataset),
            ..row
        };
        let rows = self.shared.rows().into_iter().filter(|row| after.as_ref().is_none_or(|after| row.dataset > *after));
        Page::of(rows.map(present), after.as_ref())
    }

    async fn pools(self, _: Context) -> Vec<PoolStatus> {
        self.shared.pools()
    }

    async fn job(self, _: Context, id: JobId) -> Result<JobState, Refused> {
        self.shared.job(id)
    }

    async fn replicate(self, _: Context, order: ReplicateOrder) -> Result<JobId, Refused> {
        let Some(dataset) = order.dataset.clone() else {
            return self.shared.order_all(self.peer.uid, "replicate", || Wish::Replicate(order.clone()));
        };
        let below = if order.reach == Reach::Below { " and what is below it" } else { "" };
        let title = format!("replicate {dataset}{below}");
        self.shared.order(&dataset.pool(), self.peer.uid, title, Wish::Replicate(order))
    }

    async fn rotate(self, _: Context, dataset: DatasetName, to: String) -> Result<Rotation, Refused> {
        self.with(&dataset, |item| item.destination.is_called(&to), |item, place| self.rotation(item, place))
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(Refused::NotManaged { dataset: dataset.clone() }))
    }

    async fn plan(self, _: Context, dataset: DatasetName) -> Result<Vec<PlannedCopy>, Refused> {
        self.look(&dataset.pool()).await?;
        let mut planned = Vec::new();
        for (mut copy, orders) in self.with(&dataset, |_| true, |item, place| self.planned(item, place)) {
            if !orders.is_empty() {
                let (sender, bytes) = oneshot::channel();
                let title = format!("estimate what goes out of {dataset}");
                self.shared.order(&dataset.pool(), self.peer.uid, title, Wish::Estimate(orders, sender))?;
                for (step, bytes) in copy.steps.iter_mut().zip(bytes.await.unwrap_or_default()) {
                    step.bytes = bytes;
                }
            }
            planned.push(copy);
        }
        Ok(planned)
    }
}

impl Desk {
    /// Has the pool looked at, unless that was done just now. One that cannot be is planned by what was last seen.
    async fn look(&self, pool: &PoolName) -> Result<(), Refused> {
        if self.shared.common.tables.borrow().get(pool).is_some_and(|table| table.is_fresh()) {
            return Ok(());
        }
        let (sender, seen) = oneshot::channel();
        self.shared.order(pool, self.peer.uid, format!("look at {pool}"), Wish::Look(sender))?;
        // Without it the plan says what it lacks.
        drop(seen.await);
        Ok(())
    }

    /// What `each` makes of each copy of a dataset that is meant.
    fn with<T>(
        &self,
        dataset: &DatasetName,
        meant: impl Fn(&Item<'_>) -> bool,
        each: impl Fn(Item<'_>, &Place) -> T,
    ) -> Vec<T> {
        let config = self.shared.config();
        let table = self.shared.common.tables.borrow().get(&dataset.pool()).cloned();
        let copies = table.iter().flat_map(|table| items(&config, table));
        let copies = copies.filter(|item| item.dataset.name == *dataset && meant(item));
        copies.filter_map(|item| Some(each(item, &Place::of(item.destination)?))).collect()
    }

    /// What would be sent now, by what the other side last said; with what ZFS is to be asked about the bytes.
    fn planned(&self, item: Item<'_>, place: &Place) -> (PlannedCopy, Vec<zam_zfs::SendStep>) {
        let shared = &self.shared;
        let mut status = None;
        copies::change(shared, item, |copy| status = Some((copy.status.clone(), copy.clear)));
        let (status, clear) = status.unzip();
        let mut copy = PlannedCopy {
            id: item.destination.id().to_string(),
            host: item.destination.host().map(str::to_owned),
            path: status.as_ref().map_or_else(String::new, |status| status.path.clone()),
            steps: Vec::new(),
            problem: None,
        };
        let remote = shared.common.remotes.borrow().get(place).cloned();
        let table = shared.common.tables.borrow().get(&item.dataset.name.pool()).cloned();
        let (Some(remote), Some(table)) = (remote, table) else {
            copy.problem = Some(match status.map(|status| status.state) {
                Some(CopyState::Waiting { why, .. }) => why,
                _ => "it was not reached since zamd-send started".to_owned(),
            });
            return (copy, Vec::new());
        };
        let path = match item.destination.relative_to(item.entry, &item.dataset.name, &remote.root) {
            Ok(path) => path,
            Err(why) => {
                copy.problem = Some(why.to_string());
                return (copy, Vec::new());
            }
        };
        let noted = copies::noted(shared, item.dataset.guid, item.destination.id());
        let asked = Asked { place, full: false, clear: clear.unwrap_or_default(), now: crate::now() };
        match plan(item, &table, &remote, &path, noted.as_ref(), &asked) {
            Verdict::UpToDate => {}
            Verdict::Clear => copy.problem = Some("what a cut stream left there is thrown away first".to_owned()),
            Verdict::Stopped(why) => copy.problem = Some(why),
            Verdict::Diverged { .. } => copy.problem = Some("diverged; `zamctl status` says what to do".to_owned()),
            Verdict::Steps(steps, manner) => {
                let step = |step: &Step| PlannedStep {
                    snapshot: step.to.tag.clone(),
                    from: step.base_name(),
                    bytes: None,
                    resume: step.resume.is_some(),
                };
                copy.steps = steps.iter().map(step).collect();
                let orders = steps.iter().filter_map(|step| step.order(&item.dataset.name, manner).ok());
                return (copy, orders.collect());
            }
        }
        (copy, Vec::new())
    }

    /// What the replica's admin needs to know so that its branch stays, under another name, and the copy goes on from what both
    /// sides have. No role of zam's may rename, clone or promote.
    fn rotation(&self, item: Item<'_>, place: &Place) -> Result<Rotation, Refused> {
        let invalid = |why: String| Refused::Invalid { what: format!("rotate {}", item.dataset.name), why };
        let mut state = None;
        copies::change(&self.shared, item, |copy| state = Some(copy.status.state.clone()));
        let remote = self.shared.common.remotes.borrow().get(place).cloned();
        let (Some(CopyState::Diverged { common: Some(common), .. }), Some(remote)) = (state, remote) else {
            return Err(invalid(
                "it has not diverged from something that both sides have, as far as was seen".to_owned(),
            ));
        };
        let path = item.destination.relative_to(item.entry, &item.dataset.name, &remote.root);
        let path = path.map_err(|error| invalid(error.to_string()))?;
        let dataset = path.below(&remote.root).map_err(|error| invalid(error.to_string()))?;
        let below = remote.rows.keys().filter(|row| row.parent().as_ref() == Some(&path));
        let below = below.filter_map(|row| RelPath::of(&row.below(&remote.root).ok()?, &dataset)).collect();
        Ok(Rotation {
            id: item.destination.id().to_string(),
            host: place.host().map(str::to_owned),
            dataset,
            common,
            below,
        })
    }
}
