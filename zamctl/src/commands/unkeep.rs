//! `zamctl unkeep`: takes a pin away.

use crate::{
    doors::Doors,
    failure::{Failure, Outcome},
    out,
    session::Session,
};
use zam_names::SnapshotName;
use zam_protocol::{Door, client};

/// Take a pin away
///
/// From then on the windows count for the snapshot again; what has expired meanwhile goes, after its grace.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one
    snapshot: SnapshotName,
}

/// Asks zamd-snap.
///
/// # Errors
/// If it does not answer or refuses.
pub fn run(args: Args, session: &Session) -> Result<Outcome, Failure> {
    let doors = Doors::new(session)?;
    let snap = doors.snap(Door::Control)?;
    let job = doors.wait(client::act(snap.unkeep(client::soon(), args.snapshot)))?;
    let lines = doors.follow_snap(&snap, job)?;
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Outcome::Fine)
}
