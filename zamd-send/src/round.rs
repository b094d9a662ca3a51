//! One round over a pool of sources: what there is to be sent. Nothing is done to the pool.

use crate::{
    Send,
    copies::{self, Item, Key, Table, items, rows},
    keep::{self, Errand},
    place::Place,
    ticket::Ticket,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use tokio::sync::oneshot;
use zam_names::{Bookmark, Dataset, DatasetName, PoolName};
use zam_policy::config::Entry;
use zam_protocol::{
    Reach,
    send::{ReplicateOrder, SendStatus},
};
use zam_runtime::keeper::{Acted, Hands, Held, Keeper, Order, Round};
use zam_zfs::{Lister, Scope, SendDoor, SendStep, Sender};

/// How often an idle pool is looked at, in seconds.
const AGAIN: i64 = 300;
/// The same while a snapshot is awaited.
const SOON: i64 = 20;

/// What is asked of a pool.
pub enum Wish {
    /// Look, and say what is there.
    Look(oneshot::Sender<Rc<Table>>),
    /// Send now.
    Replicate(ReplicateOrder),
    /// Say how many bytes these will take.
    Estimate(Vec<SendStep>, oneshot::Sender<Vec<Option<u64>>>),
}

/// What a worker does beside listing: look further.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Act {
    /// What copying needs to know of a pool.
    Facts(PoolName),
    /// How many bytes each step will take.
    Estimate(Vec<SendStep>),
}

/// A worker's hands.
pub struct SendHands(pub SendDoor);

impl Hands for SendHands {
    type Act = Act;

    fn lister(&self) -> &dyn Lister {
        &self.0
    }

    fn act(&mut self, act: Act) -> (Acted, Option<Held>) {
        let acted = match act {
            Act::Facts(pool) => match (self.0.bookmarks(&pool), self.0.copy_facts(Scope::Pool(&pool))) {
                (Ok(bookmarks), Ok(facts)) => Acted::Copies { bookmarks, facts },
                (Err(error), _) | (_, Err(error)) => Acted::Failed(zam_runtime::keeper::chain(&error)),
            },
            Act::Estimate(steps) => Acted::Bytes(steps.iter().map(|step| self.0.estimate(step).ok()).collect()),
        };
        (acted, None)
    }
}

pub async fn round(keeper: &mut Keeper<Send>, orders: Vec<Order<Send>>) -> Result<Round<SendStatus>, String> {
    let (bookmarks, facts) = match keeper.act("look at bookmarks", Act::Facts(keeper.name.clone())).await? {
        Acted::Copies { bookmarks, facts } => (bookmarks, facts),
        Acted::Failed(why) => return Err(why),
        _ => return Err("the worker answered something else than what there is to copy".to_owned()),
    };
    let mut by_dataset: BTreeMap<DatasetName, Vec<Bookmark>> = BTreeMap::new();
    for bookmark in bookmarks {
        by_dataset.entry(bookmark.name.dataset().clone()).or_default().push(bookmark);
    }
    let facts = facts.into_iter().map(|facts| (facts.dataset.clone(), facts)).collect();
    let seen = Some(std::time::Instant::now());
    let table = Rc::new(Table { datasets: keeper.datasets.clone(), bookmarks: by_dataset, facts, seen });
    let shared = Rc::clone(&keeper.shared);
    shared.common.tables.borrow_mut().insert(keeper.name.clone(), Rc::clone(&table));
    keep::follow(&shared);
    // What people only want to see comes last.
    let (last, first): (Vec<_>, Vec<_>) =
        orders.into_iter().partition(|order| matches!(order.what, Wish::Estimate(..)));
    for Order { job, what, .. } in first.into_iter().chain(last) {
        match what {
            Wish::Estimate(_, asked) if asked.is_closed() => shared.end(job, Ok(Vec::new())),
            Wish::Look(asked) => {
                // Whoever asked may have gone.
                let _ = asked.send(Rc::clone(&table));
                shared.end(job, Ok(Vec::new()));
            }
            Wish::Estimate(steps, asked) => {
                // Without an answer whoever asked sees the steps, and not their bytes.
                let bytes = match keeper.act("estimate streams", Act::Estimate(steps)).await {
                    Ok(Acted::Bytes(bytes)) => bytes,
                    _ => Vec::new(),
                };
                let _ = asked.send(bytes);
                shared.end(job, Ok(Vec::new()));
            }
            Wish::Replicate(order) => replicate(&shared, &table, job, &order),
        }
    }
    // There may be datasets that were not there, or entries.
    keep::wake(&shared);
    let config = shared.config().clone();
    let datasets: BTreeSet<&DatasetName> = items(&config, &table).map(|item| &item.dataset.name).collect();
    let mut status: Vec<SendStatus> = datasets
        .into_iter()
        .map(|name| SendStatus {
            dataset: name.clone(),
            destinations: rows(&shared, &keeper.name, name),
            problems: Vec::new(),
        })
        .collect();
    status.extend(keeper.missing_rows(&config, |entry| keeper.why_missing(entry)));
    status.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    status.dedup_by(|a, b| a.dataset == b.dataset);
    let now = crate::now();
    let awaits = items(&config, &table).any(|item| copies::is_awaited(&shared, item, now));
    Ok(Round { rows: status, again: now.plus(if awaits { SOON } else { AGAIN }), tick: None })
}

/// Hands an order to the places that it is for.
fn replicate(
    shared: &Rc<zam_runtime::keeper::Shared<Send>>,
    table: &Table,
    job: zam_protocol::JobId,
    order: &ReplicateOrder,
) {
    let config = shared.config().clone();
    let ticket = Ticket::new(Rc::clone(shared), job);
    let meant = |dataset: &Dataset| match (&order.dataset, order.reach) {
        (None, _) => true,
        (Some(name), Reach::Only) => dataset.name == *name,
        (Some(name), Reach::Below) => dataset.name.below(name).is_some(),
    };
    let called = |item: &Item<'_>| order.to.as_ref().is_none_or(|to| item.destination.is_called(to));
    let mut places: BTreeMap<Place, Vec<Key>> = BTreeMap::new();
    for item in items(&config, table).filter(|item| meant(item.dataset) && called(item)) {
        if let Some(place) = Place::of(item.destination) {
            places.entry(place).or_default().push(item.key());
        }
    }
    if let (true, Some(dataset)) = (places.is_empty(), &order.dataset) {
        let there = table.datasets.iter().any(|there| there.name == *dataset);
        let to = order.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
        ticket.fail(match there {
            true => format!("no entry of the config sends {dataset}{to}"),
            false => format!("there is no dataset {dataset}"),
        });
    }
    for (place, keys) in places {
        keep::hand(shared, &place, Errand::Order { keys, full: order.full, ticket: Rc::clone(&ticket) });
    }
}

/// The row of an entry whose source is not there.
pub fn empty_row(dataset: DatasetName, entry: &Entry, why: String) -> SendStatus {
    let problems = if entry.absent_expected { Vec::new() } else { vec![why] };
    SendStatus { dataset, destinations: Vec::new(), problems }
}
