//! `zamctl prune`: thins without waiting for the period.

use crate::{
    doors::Doors,
    failure::{Failure, Kind, Outcome},
    out,
    session::Session,
};
use zam_names::DatasetName;
use zam_protocol::{
    Door, PlanId, Refused,
    client::{self, CallError},
    prune::{Grace, PruneClient, PruneOrder},
    snap::SnapClient,
};

/// Release and destroy what has expired, without waiting for the next round
///
/// Only what has expired goes, and nothing that anything stands in the way of. What is in its grace stays, unless `--now`
/// says otherwise.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this dataset
    dataset: Option<DatasetName>,
    /// Skip the grace, for the pool at 97 %
    #[arg(long)]
    now: bool,
    /// Let this plan go on, which was stopped because more would go than any accepted config foretold
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["dataset", "now"])]
    approve: Option<PlanId>,
}

/// Asks both keys, the one that releases first.
///
/// # Errors
/// If one does not answer or refuses.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let doors = Doors::new(session)?;
    let (snap, prune) = (doors.snap(Door::Control)?, doors.prune(Door::Control)?);
    let mut lines = match args.approve {
        Some(plan) => approve(&doors, &snap, &prune, plan)?,
        None => {
            let grace = if args.now { Grace::Skip } else { Grace::Wait };
            thin(&doors, &snap, &prune, PruneOrder { dataset: args.dataset.clone(), grace })?
        }
    };
    if lines.is_empty() {
        lines.push("nothing was there to release or to destroy; `zamctl plan` says what comes next".to_owned());
    }
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Outcome::Fine)
}

/// Releases and destroys what has expired anywhere and is past its grace.
///
/// # Errors
/// If one of the keys does not answer or refuses.
pub fn all(doors: &Doors) -> Result<Vec<String>, Failure> {
    let (snap, prune) = (doors.snap(Door::Control)?, doors.prune(Door::Control)?);
    thin(doors, &snap, &prune, PruneOrder { dataset: None, grace: Grace::Wait })
}

fn thin(doors: &Doors, snap: &SnapClient, prune: &PruneClient, order: PruneOrder) -> Result<Vec<String>, Failure> {
    let job = doors.wait(client::act(snap.release(client::soon(), order.dataset.clone())))?;
    let mut lines = doors.follow_snap(snap, job)?;
    let second = doors
        .wait(client::act(prune.prune(client::soon(), order)))
        .map_err(Failure::from)
        .and_then(|job| doors.follow_prune(prune, job));
    match second {
        Ok(more) => {
            lines.extend(more);
            Ok(lines)
        }
        Err(mut failure) => {
            lines.append(&mut failure.done);
            failure.done = lines;
            Err(failure)
        }
    }
}

/// A plan may wait at one key or at both; it must be known to one of them.
fn approve(doors: &Doors, snap: &SnapClient, prune: &PruneClient, plan: PlanId) -> Result<Vec<String>, Failure> {
    let first = match doors.wait(client::act(snap.approve(client::soon(), plan))) {
        Ok(job) => Some(doors.follow_snap(snap, job)?),
        Err(error) => unknown(error)?,
    };
    let second = match doors.wait(client::act(prune.approve(client::soon(), plan))) {
        Ok(job) => Some(doors.follow_prune(prune, job)?),
        Err(error) => unknown(error)?,
    };
    if first.is_none() && second.is_none() {
        return Err(Failure::new(Kind::Failed, format!("no plan {plan} waits for an approval"))
            .hint("`zamctl status` and `zamctl plan` show those that do; a changed config makes a new one"));
    }
    Ok(first.into_iter().chain(second).flatten().collect())
}

/// That a key does not know the plan is no failure yet.
fn unknown(error: CallError) -> Result<Option<Vec<String>>, Failure> {
    match error {
        CallError::Refused(Refused::NotFound { .. }) => Ok(None),
        error => Err(error.into()),
    }
}
