//! The desk behind the doors: looks things up, checks for whom a peer speaks, hands out tickets.

use crate::{Recv, clear, clients, round::Wish, seats::Seat, stream};
use futures::{FutureExt, future};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tarpc::context::Context;
use tokio::sync::oneshot;
use zam_names::{DatasetName, Kind, PoolName, RelPath};
use zam_protocol::{
    Hello, JobId, JobState, Page, Peer, PoolStatus, Refused, Role,
    recv::{self, Client, Greeting, Keeping, Offer, Outcome, RecvStatus, ReplicaPage, Space, Ticket},
};
use zam_runtime::{
    audit::{self, Op},
    keeper::Shared,
};

/// How long `outcome` waits.
const WAIT: Duration = Duration::from_secs(5);

/// What answers one connection.
#[derive(Clone)]
pub struct Desk {
    pub shared: Rc<Shared<Recv>>,
    pub peer: Peer,
    /// The place that it has among its client's sessions, from its greeting on.
    pub seat: Rc<RefCell<Option<Seat>>>,
    /// What it waits to be looked at.
    pub looking: Looking,
}

/// A look that outlives the call which asked for it: of a pool that takes longer than one call may, the next call of the session
/// hears.
#[derive(Clone, Default)]
pub struct Looking(Rc<RefCell<Option<Look>>>);

type Look = (PoolName, future::Shared<oneshot::Receiver<()>>);

impl Looking {
    /// Waits for the look at a pool that is under way, or has it ordered. False if the pool could not be looked at.
    async fn at(
        &self,
        pool: &PoolName,
        order: impl FnOnce(oneshot::Sender<()>) -> Result<(), Refused>,
    ) -> Result<bool, Refused> {
        let known = self.0.borrow().clone().filter(|(name, _)| name == pool);
        let seen = if let Some((_, seen)) = known {
            seen
        } else {
            let (sender, seen) = oneshot::channel();
            order(sender)?;
            let seen = seen.shared();
            self.0.replace(Some((pool.clone(), seen.clone())));
            seen
        };
        let seen = seen.await;
        self.0.take();
        Ok(seen.is_ok())
    }
}

impl Desk {
    /// Lets the pool be listed anew.
    async fn look(&self, pool: &PoolName) -> Result<(), Refused> {
        let order = |sender| {
            let title = format!("look at {pool}");
            self.shared.order(pool, self.peer.uid, title, Wish::Look(sender)).map(drop)
        };
        if self.looking.at(pool, order).await? {
            return Ok(());
        }
        // A pool that is not imported, or cannot be listed, drops the order.
        let status = self.shared.pools().into_iter().find(|status| status.name == *pool);
        let why = status.and_then(|status| status.last_error).unwrap_or_else(|| "it is not imported".to_owned());
        Err(Refused::Failed { what: format!("looking at pool {pool}"), why })
    }
}

impl recv::Recv for Desk {
    async fn hello(self, _: Context) -> Hello {
        self.shared.hello(Role::Recv)
    }

    async fn status(self, _: Context, after: Option<DatasetName>) -> Page<RecvStatus> {
        let mut page = self.shared.page(after.as_ref());
        for row in &mut page.rows {
            row.receiving = self.shared.common.book.receiving(&row.dataset);
            row.last = self.shared.common.book.arrived(&row.dataset);
        }
        page
    }

    async fn pools(self, _: Context) -> Vec<PoolStatus> {
        self.shared.pools()
    }

    async fn job(self, _: Context, id: JobId) -> Result<JobState, Refused> {
        self.shared.job(id)
    }

    async fn greet(self, _: Context, client: Client) -> Result<Greeting, Refused> {
        let entry = clients::known(&self.shared, self.peer, "greet", &client)?;
        let seat = self.shared.common.seats.take(&client);
        let seat = seat.map_err(|refused| clients::refuse(&self.shared, self.peer, "greet", &client, refused))?;
        self.seat.replace(Some(seat));
        let retired = entry.is_some_and(|entry| entry.is_retired(stream::now()));
        Ok(Greeting { build: env!("CARGO_PKG_VERSION").to_owned(), retired })
    }

    async fn list(self, _: Context, client: Client, after: Option<RelPath>) -> Result<ReplicaPage, Refused> {
        clients::known(&self.shared, self.peer, "list", &client)?;
        if after.is_none() {
            self.look(&client.root.pool()).await?;
        }
        let config = self.shared.config();
        let tables = self.shared.common.tables.borrow();
        let rows = tables.get(&client.root.pool()).map(|table| table.rows(&config, &client, stream::now()));
        Ok(ReplicaPage::of(rows.into_iter().flatten(), after.as_ref()))
    }

    async fn space(self, _: Context, client: Client) -> Result<Space, Refused> {
        clients::known(&self.shared, self.peer, "space", &client)?;
        let pool = client.root.pool();
        let seen = self.shared.common.tables.borrow().contains_key(&pool);
        if !seen {
            self.look(&pool).await?;
        }
        let tables = self.shared.common.tables.borrow();
        let available = tables.get(&pool).and_then(|table| table.available(&client.root));
        let missing = || Refused::NotFound { name: client.root.to_string(), why: "the client's root".to_owned() };
        available.map(|available| Space { available }).ok_or_else(missing)
    }

    async fn receive(self, _: Context, client: Client, offer: Offer) -> Result<Ticket, Refused> {
        let Self { shared, peer, .. } = self;
        let (dataset, entry) = clients::place(&shared, peer, "receive", &client, &offer.path, Some(offer.kind))?;
        stream::not_retired(&shared, peer, &client, entry.as_ref())?;
        if let Err(error) = dataset.at(&offer.tag) {
            let refused = Refused::Invalid { what: "receive".to_owned(), why: error.to_string() };
            return Err(clients::refuse(&shared, peer, "receive", &client, refused));
        }
        let hold = entry.is_none_or(|entry| entry.hold);
        shared.common.book.announce(peer, client, dataset, offer, hold)
    }

    async fn outcome(self, _: Context, ticket: Ticket) -> Result<Option<Outcome>, Refused> {
        self.shared.common.book.outcome(ticket, self.peer, WAIT).await
    }

    async fn clear(self, _: Context, client: Client, path: RelPath) -> Result<(), Refused> {
        let Self { shared, peer, .. } = self;
        let (dataset, entry) = clients::place(&shared, peer, "clear", &client, &path, None)?;
        stream::not_retired(&shared, peer, &client, entry.as_ref())?;
        if shared.common.book.is_busy(&dataset) {
            let why = "a stream is being received".to_owned();
            return Err(Refused::Busy { what: dataset.to_string(), why });
        }
        let gone = || Refused::Failed { what: "clear".to_owned(), why: "its process is gone".to_owned() };
        // To its end, whoever asked may be gone: the answer to a question that was dropped would be the next one's.
        let cleared = tokio::task::spawn_local(async move {
            let cleared = clear::clear(shared.common.clearer.get().ok_or_else(gone)?, &dataset).await;
            let why = format!("asked by {client}");
            let said = cleared.as_ref().err().map(ToString::to_string);
            let outcome = said.as_deref().map_or(audit::Outcome::Done, audit::Outcome::Failed);
            audit::Act { uid: Some(peer.uid), ..audit::Act::new(Op::Clear, &dataset, &why, outcome) }.log();
            cleared
        });
        cleared.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn keeping(self, _: Context, client: Client, path: RelPath, kind: Kind) -> Result<Keeping, Refused> {
        let (_, entry) = clients::place(&self.shared, self.peer, "keeping", &client, &path, Some(kind))?;
        Ok(entry.map_or_else(Keeping::default, |entry| Keeping::from(&entry.rule)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_that_takes_longer_than_a_call_is_heard_of_by_the_next() {
        let (looking, pool): (_, PoolName) = (Looking::default(), "nas".parse().unwrap());
        let mut ordered = None;
        let first = looking.at(&pool, |sender| {
            ordered = Some(sender);
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_secs(20), first).await.is_err());
        let again = |_| panic!("it was ordered already");
        assert!(tokio::time::timeout(Duration::from_secs(20), looking.at(&pool, again)).await.is_err());
        ordered.unwrap().send(()).unwrap();
        assert_eq!(looking.at(&pool, again).await, Ok(true));
        let mut anew = false;
        let dropped = looking.at(&pool, |_| {
            anew = true;
            Ok(())
        });
        assert_eq!(dropped.await, Ok(false));
        assert!(anew, "what was heard of is over");
    }
}
