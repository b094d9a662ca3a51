//! `zamctl expire`: lets a snapshot go before its time.

use crate::{
    doors::Doors,
    failure::{Failure, Outcome},
    look, out,
    session::Session,
};
use zam_names::SnapshotName;
use zam_protocol::{Door, client};

/// Count a snapshot as expired from now on, whatever the windows say
///
/// Both keys are asked, and each sees for itself who asks: zamd-snap releases it, zamd-prune destroys it after its grace.
/// What else stands in the way, such as somebody's hold or a clone, goes on standing there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one
    snapshot: SnapshotName,
}

/// Asks both.
///
/// # Errors
/// If a daemon does not answer or refuses, or there is no such snapshot.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let target = look::target(&*session.lister(), &args.snapshot)?;
    let doors = Doors::new(session)?;
    let (snap, prune) = (doors.snap(Door::Control)?, doors.prune(Door::Control)?);
    let job = doors.wait(client::act(snap.expire(client::soon(), target.clone())))?;
    let mut lines = doors.follow_snap(&snap, job)?;
    let second = doors
        .wait(client::act(prune.expire(client::soon(), target)))
        .map_err(Failure::from)
        .and_then(|job| doors.follow_prune(&prune, job));
    match second {
        Ok(more) => lines.extend(more),
        Err(mut failure) => {
            failure.done = lines;
            failure.message = format!("zamd-snap counts it as expired, but zamd-prune does not: {}", failure.message);
            return Err(failure.hint("it stays until both agree: say it again when zamd-prune answers"));
        }
    }
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Outcome::Fine)
}
