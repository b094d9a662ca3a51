//! `zamctl keep`: pins a snapshot.

use crate::{
    doors::Doors,
    failure::{Failure, Outcome},
    out,
    session::Session,
};
use zam_names::SnapshotName;
use zam_policy::Span;
use zam_protocol::{Door, Reason, client, snap::KeepOrder};

/// Pin a snapshot, whatever the windows say
///
/// It gets a hold of its own, tag zam-keep, which stays until its time is up or until `zamctl unkeep`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one
    snapshot: SnapshotName,
    /// Only for so long, such as 6mo
    #[arg(long = "for", value_name = "SPAN")]
    keep_for: Option<Span>,
    /// Why, for whoever finds it later
    #[arg(long, value_name = "TEXT")]
    why: Option<Reason>,
}

/// Asks zamd-snap.
///
/// # Errors
/// If it does not answer or refuses.
pub fn run(args: Args, session: &Session) -> Result<Outcome, Failure> {
    let doors = Doors::new(session)?;
    let snap = doors.snap(Door::Control)?;
    let order = KeepOrder { snapshot: args.snapshot, keep_for: args.keep_for, why: args.why };
    let job = doors.wait(client::act(snap.keep(client::soon(), order)))?;
    let lines = doors.follow_snap(&snap, job)?;
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Outcome::Fine)
}
