//! `zamctl snapshot`: takes one now.

use crate::{
    doors::Doors,
    failure::{Failure, Kind, Outcome},
    look, out,
    session::Session,
    words,
};
use zam_names::{DatasetName, SnapTag, Target, UnixTime};
use zam_policy::{Span, tags};
use zam_protocol::{Door, EndOrder, Reach, client, prune::PruneClient, snap::SnapshotOrder};

/// Take a snapshot now, and hold it
///
/// It stays until `zamctl expire`, or, with `--for`, until its time is up; the windows do not count for it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of which dataset
    dataset: DatasetName,
    /// Also of everything below it that the config manages, all in one transaction
    #[arg(short, long)]
    recursive: bool,
    /// Call it DATASET@N instead of DATASET@zam-manual-…
    #[arg(long, value_name = "N")]
    name: Option<SnapTag>,
    /// Keep it for so long, such as 30d
    #[arg(long = "for", value_name = "SPAN")]
    keep_for: Option<Span>,
}

/// Takes it.
///
/// # Errors
/// If a daemon does not answer or refuses, or the snapshot cannot be taken.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let doors = Doors::new(session)?;
    let snap = doors.snap(Door::Control)?;
    // What its name does not say is for both keys to know, so both must be there before anything happens.
    let is_for_both = args.keep_for.is_some() || args.name.is_some();
    let prune = if is_for_both { Some(doors.prune(Door::Control)?) } else { None };
    let name = match &args.name {
        Some(name) => name.clone(),
        None => automatic_name(session)?,
    };
    let order = SnapshotOrder {
        dataset: args.dataset.clone(),
        reach: if args.recursive { Reach::Below } else { Reach::Only },
        name: Some(name.clone()),
        keep_for: args.keep_for,
    };
    let job = doors.wait(client::act(snap.snapshot(client::soon(), order)))?;
    let mut lines = doors.follow_snap(&snap, job)?;
    let mut untold = None;
    if let Some(prune) = prune {
        let end = args.keep_for.map(|span| span.after(session.now, session.zone.calendar()));
        match tell(args, session, &doors, &prune, &name, end) {
            Ok(()) => lines.push(match end {
                Some(end) => format!("kept until {}, as both keys know", words::moment(end, &session.zone)),
                None => "kept until `zamctl expire`, as both keys know".to_owned(),
            }),
            Err(failure) => untold = Some(failure),
        }
    }
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    match untold {
        None => Ok(Outcome::Fine),
        Some(failure) => {
            let said = failure.message;
            Err(Failure::new(failure.kind, format!("taken, but zamd-prune was not told of it: {said}")).hint(format!(
                "it only stays longer: `zamctl expire {}@{name}`, when zamd-prune answers again, lets it go",
                args.dataset
            )))
        }
    }
}

/// A name of zam's own, by the prefix of the config.
fn automatic_name(session: &Session) -> Result<SnapTag, Failure> {
    let prefix = session.config()?.config.prefix;
    tags::manual(&prefix, session.now).ok_or_else(|| Failure::new(Kind::Failed, "the clock is beyond the calendar"))
}

/// Tells zamd-prune when those that were taken end.
fn tell(
    args: &Args,
    session: &Session,
    doors: &Doors,
    prune: &PruneClient,
    name: &SnapTag,
    end: Option<UnixTime>,
) -> Result<(), Failure> {
    for target in taken(args, session, name)? {
        let order = EndOrder { snapshot: target, end };
        let job = doors.wait(client::act(prune.set_end(client::soon(), order)))?;
        doors.follow_prune(prune, job)?;
    }
    Ok(())
}

/// The snapshots of this name at the dataset, or at and below it.
fn taken(args: &Args, session: &Session, name: &SnapTag) -> Result<Vec<Target>, Failure> {
    let lister = session.lister();
    let mut datasets = vec![args.dataset.clone()];
    if args.recursive {
        let below = lister.datasets(&args.dataset.pool())?.into_iter().map(|dataset| dataset.name);
        datasets = below.filter(|dataset| dataset.below(&args.dataset).is_some()).collect();
    }
    let full: Vec<_> = datasets.iter().filter_map(|dataset| dataset.at(name).ok()).collect();
    look::targets(&*lister, &full)
}
