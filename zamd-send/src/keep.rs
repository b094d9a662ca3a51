//! A task for each place: a run when something is due there, or when somebody asks.

use crate::{
    Send,
    copies::{self, Item, Key, due, items},
    floor::Slots,
    now,
    place::Place,
    run::{self, Wanted},
    ticket::Ticket,
};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};
use tokio::{sync::mpsc, task::spawn_local};
use zam_names::UnixTime;
use zam_policy::{config::Config, schedule::Possible};
use zam_runtime::keeper::Shared;

/// What is told to a place's task.
pub enum Errand {
    /// Something may be due.
    Wake,
    /// Somebody asked.
    Order {
        /// For these copies.
        keys: Vec<Key>,
        /// Whether they may be sent anew.
        full: bool,
        /// Who waits for it.
        ticket: Rc<Ticket>,
    },
}

/// Where to tell it.
pub type Places = BTreeMap<Place, mpsc::UnboundedSender<Errand>>;

/// How long a task sleeps at most before it looks at the clock again: a clock that is set is noticed.
const NAP: i64 = 30;
/// So many runs to one place at a time: while a long stream is under way, others go on. All of them share its lanes.
const RUNS: usize = 4;

/// Starts a task for each place of the config that has none, and lets those end that the config speaks of no more.
pub fn follow(shared: &Rc<Shared<Send>>) {
    let wanted = Place::all(&shared.config());
    let mut places = shared.common.places.borrow_mut();
    places.retain(|place, task| wanted.contains(place) && !task.is_closed());
    for place in wanted {
        places.entry(place).or_insert_with_key(|place| {
            let (sender, errands) = mpsc::unbounded_channel();
            spawn_local(keep(Rc::clone(shared), place.clone(), errands));
            sender
        });
    }
}

/// Lets all look whether something is due.
pub fn wake(shared: &Shared<Send>) {
    for task in shared.common.places.borrow().values() {
        // One that ends needs no waking.
        let _ = task.send(Errand::Wake);
    }
}

/// Hands an errand to a place.
pub fn hand(shared: &Shared<Send>, place: &Place, errand: Errand) {
    let refused = match shared.common.places.borrow().get(place) {
        Some(task) => task.send(errand).err().map(|refused| refused.0),
        None => Some(errand),
    };
    if let Some(Errand::Order { ticket, .. }) = refused {
        ticket.fail(format!("nothing is sent to {place} any more"));
    }
}

async fn keep(shared: Rc<Shared<Send>>, place: Place, mut errands: mpsc::UnboundedReceiver<Errand>) {
    let Some(stop) = shared.common.stop.get().cloned() else { return };
    let slots = Rc::new(Slots::default());
    let mut runs = FuturesUnordered::new();
    // What is under way, what is to come after it, and what was told last.
    let (mut busy, mut later, mut told) = (BTreeSet::new(), Wanted::default(), String::new());
    loop {
        let next = if runs.len() < RUNS { next(&shared, &place, &busy) } else { None };
        tokio::select! {
            () = stop.cancelled() => break,
            errand = errands.recv() => match errand {
                Some(errand) => take(&mut later, errand),
                None => break,
            },
            Some((wanted, why)) = runs.next(), if !runs.is_empty() => {
                let (wanted, why): (Wanted, Option<String>) = (wanted, why);
                busy.retain(|key| !wanted.keys.contains(key));
                // Once, not at every try.
                if let Some(why) = why.as_ref().filter(|why| **why != told) {
                    tracing::warn!(%place, "{why}");
                }
                told = why.unwrap_or_default();
            }
            () = sleep_until(next) => {}
        }
        while let Ok(errand) = errands.try_recv() {
            take(&mut later, errand);
        }
        if runs.len() >= RUNS {
            continue;
        }
        let mut wanted = later.without(&busy);
        add_due(&shared, &place, &mut wanted, &busy);
        if !wanted.keys.is_empty() {
            busy.extend(wanted.keys.iter().cloned());
            let nth = shared.common.runs.replace(shared.common.runs.get() + 1);
            runs.push(run::run(Rc::clone(&shared), place.clone(), Rc::clone(&slots), wanted, nth));
        }
    }
    // What is under way is cut, and goes on after the next start. What was seen to be well stays known.
    drop(runs);
    if let Err(error) = copies::save(&shared) {
        tracing::warn!(%place, error, "the notes cannot be written");
    }
}

fn take(wanted: &mut Wanted, errand: Errand) {
    let Errand::Order { keys, full, ticket } = errand else { return };
    for key in keys {
        if full {
            wanted.full.insert(key.clone());
        }
        wanted.tickets.entry(key.clone()).or_default().push(Rc::clone(&ticket));
        wanted.keys.insert(key);
    }
}

/// Adds what is due, and says of all that it was tried.
fn add_due(shared: &Shared<Send>, place: &Place, wanted: &mut Wanted, busy: &BTreeSet<Key>) {
    let (config, now) = (shared.config().clone(), now());
    for_each(shared, &config, place, |item| {
        if !busy.contains(&item.key()) && due(shared, item, now).is_some_and(|possible| possible.is_now(now)) {
            wanted.keys.insert(item.key());
        }
        if wanted.keys.contains(&item.key()) {
            copies::change(shared, item, |copy| (copy.tried, copy.retry) = (Some(now), None));
        }
    });
}

fn next(shared: &Shared<Send>, place: &Place, busy: &BTreeSet<Key>) -> Option<UnixTime> {
    let (config, now) = (shared.config().clone(), now());
    let mut next: Option<UnixTime> = None;
    for_each(shared, &config, place, |item| {
        let at = due(shared, item, now).and_then(Possible::at).filter(|_| !busy.contains(&item.key()));
        next = next.map_or(at, |next| at.map_or(Some(next), |at| Some(next.min(at))));
    });
    next
}

fn for_each(shared: &Shared<Send>, config: &Config, place: &Place, mut each: impl FnMut(Item<'_>)) {
    let tables: Vec<_> = shared.common.tables.borrow().values().cloned().collect();
    for table in &tables {
        for item in items(config, table).filter(|item| Place::of(item.destination).as_ref() == Some(place)) {
            each(item);
        }
    }
}

async fn sleep_until(at: Option<UnixTime>) {
    loop {
        let left = at.map_or(NAP, |at| at.since(now()));
        if at.is_some() && left <= 0 {
            return;
        }
        let nap = left.clamp(1, NAP).unsigned_abs();
        tokio::time::sleep(Duration::from_secs(nap).saturating_sub(zam_runtime::clock::into_second())).await;
    }
}
