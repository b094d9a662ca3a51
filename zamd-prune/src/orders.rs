//! What operators ask of a pool.

use crate::Prune;
use zam_names::{DatasetName, Guid, Target, UnixTime};
use zam_policy::assess::Assessment;
use zam_protocol::{EndOrder, prune::PruneOrder};
use zam_runtime::keeper::{Keeper, Order};

/// An order to a pool.
pub enum Wish {
    Prune(PruneOrder),
    Expire(Target),
    SetEnd(EndOrder),
}

/// Writes down what is only to be remembered. What is left is what a prune is asked for.
pub fn note(keeper: &mut Keeper<Prune>, orders: Vec<Order<Prune>>, now: UnixTime) -> Vec<Order<Prune>> {
    let mut left = Vec::new();
    for order in orders {
        let done = match &order.what {
            Wish::Prune(_) => {
                left.push(order);
                continue;
            }
            Wish::Expire(target) => expire(keeper, target, now),
            Wish::SetEnd(wish) => set_end(keeper, wish),
        };
        keeper.shared.end(order.job, done.map(|line| vec![line]));
    }
    left
}

fn expire(keeper: &Keeper<Prune>, target: &Target, now: UnixTime) -> Result<String, String> {
    let config = keeper.shared.config().clone();
    let notes = keeper.notes();
    let found = keeper.managed(&config).find(|(dataset, _)| dataset.name == *target.name.dataset());
    let Some((dataset, entry)) = found else {
        return Err(format!("{} is not there, or no entry covers it", target.name.dataset()));
    };
    let place = |s: &zam_names::Snapshot| s.guid == target.guid && s.tag == *target.name.tag();
    let Some(index) = dataset.snapshots.iter().position(place) else { return Err(gone(target)) };
    let empty = zam_policy::notes::DatasetNotes::default();
    let seen = Assessment::new(dataset, entry, notes.get(&dataset.guid).unwrap_or(&empty), now);
    if !seen.verdicts[index].is_managed() {
        return Err(format!("zam did not make {}, and destroys its own alone: `zfs destroy` is root's", target.name));
    }
    keeper.shared.note(dataset.guid, |notes| _ = notes.let_go.insert(target.guid, now))?;
    Ok(format!("zamd-prune destroys {} after its grace of {}", target.name, entry.grace))
}

fn set_end(keeper: &Keeper<Prune>, wish: &EndOrder) -> Result<String, String> {
    let name = &wish.snapshot.name;
    let dataset = keeper.datasets.iter().find(|dataset| dataset.name == *name.dataset());
    let there = dataset.filter(|d| d.snapshots.iter().any(|s| s.tag == *name.tag() && s.guid == wish.snapshot.guid));
    let dataset: Guid = there.ok_or_else(|| gone(&wish.snapshot))?.guid;
    let prefix = keeper.shared.config().prefix.clone();
    keeper.shared.note(dataset, |notes| notes.set_end(wish.snapshot.guid, name.tag(), &prefix, wish.end))?;
    Ok(format!("zamd-prune knows when {name} ends"))
}

/// Whether a dataset is meant by one of the orders.
pub fn is_meant(orders: &[Order<Prune>], dataset: &DatasetName, which: impl Fn(&PruneOrder) -> bool) -> bool {
    orders.iter().any(|order| match &order.what {
        Wish::Prune(wish) => which(wish) && wish.dataset.as_ref().is_none_or(|scope| dataset == scope),
        _ => false,
    })
}

fn gone(target: &Target) -> String {
    format!("{} is not there, or is another one now: see `zamctl explain {}`", target.name, target.name.dataset())
}
