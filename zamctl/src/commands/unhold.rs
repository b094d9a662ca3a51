//! `zamctl unhold`: zam steps aside for root.

use crate::{
    doors::Doors,
    failure::{Failure, Outcome},
    out,
    session::Session,
};
use zam_names::DatasetName;
use zam_protocol::{
    Door, Reach, client,
    snap::{Unhold, UnholdOrder},
};

/// Release zam's holds so that root can destroy or roll back by hand, and pause
///
/// For root alone: `zfs destroy -r` and `zfs rollback -r` stop half way at held snapshots. While paused, zam takes
/// and holds nothing there, and destroys only what has expired; `--undo` goes on, and holds again what the policy keeps.
/// What arrives at a replica is held all the same: let its source wait meanwhile.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which dataset
    dataset: DatasetName,
    /// Also everything below it
    #[arg(short, long)]
    recursive: bool,
    /// Go on again
    #[arg(long)]
    undo: bool,
}

/// Asks zamd-snap.
///
/// # Errors
/// If it does not answer or refuses.
pub fn run(args: Args, session: &Session) -> Result<Outcome, Failure> {
    let doors = Doors::new(session)?;
    let snap = doors.snap(Door::Control)?;
    let order = UnholdOrder {
        dataset: args.dataset,
        reach: if args.recursive { Reach::Below } else { Reach::Only },
        way: if args.undo { Unhold::Resume } else { Unhold::Pause },
    };
    let job = doors.wait(client::act(snap.unhold(client::soon(), order)))?;
    let lines = doors.follow_snap(&snap, job)?;
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Outcome::Fine)
}
