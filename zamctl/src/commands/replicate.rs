//! `zamctl replicate`: sends to the replicas without waiting for the period.

use super::prune;
use crate::{
    abroad::Abroad,
    bars::{self, Bars},
    doors::Doors,
    failure::{Failure, Kind, Outcome},
    out,
    session::Session,
    shell::{comment, quoted},
};
use zam_names::{DatasetName, NameError, UnixTime};
use zam_protocol::{
    Door, Reach, client,
    send::{ReplicateOrder, Rotation, SendClient, SendStatus},
};

/// Send to the replicas now, without waiting for the period
///
/// Only what the replica would keep is sent, step by step from the newest snapshot that both sides have; what was cut goes on
/// where it was cut. Nothing on a replica is ever overwritten.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this dataset
    dataset: Option<DatasetName>,
    /// Also what is below it
    #[arg(short, long, requires = "dataset")]
    recursive: bool,
    /// Only to this destination: its host, its pool, or its id
    #[arg(long, value_name = "DEST")]
    to: Option<String>,
    /// Send everything anew where the two sides have nothing in common
    #[arg(long)]
    full: bool,
    /// Return when it is done, with a bar for each stream on a terminal
    #[arg(long)]
    wait: bool,
    /// When it is done, also thin as `zamctl prune` does, so that the pool of a replica on this machine can be exported
    #[arg(long, requires = "wait")]
    prune: bool,
    /// Leave the replica's branch aside, by another name, and go on from what both sides have, so that nothing is sent again
    ///
    /// For a replica that has diverged; `zamctl status` says which. No role of zam may rename, clone or promote: it prints what
    /// the replica's admin has to type.
    #[arg(long, requires_all = ["dataset", "to"], conflicts_with_all = ["recursive", "full", "prune"])]
    rotate: bool,
}

/// Asks zamd-send.
///
/// # Errors
/// If it does not answer or refuses, or something cannot be sent.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    // Whoever may act may not read the config everywhere; then the daemon alone says what it knows.
    if let (Some(to), Ok(loaded)) = (&args.to, session.config())
        && !Abroad::is_known(&loaded.config, to)
    {
        return Err(Failure::usage(format!("no destination of the config is called {to:?}")));
    }
    let doors = Doors::new(session)?;
    let send = doors.send(Door::Control)?;
    if let (true, Some(dataset), Some(to)) = (args.rotate, &args.dataset, &args.to) {
        let there = doors.wait(client::act(send.rotate(client::soon(), dataset.clone(), to.clone())))?;
        out::print(&rotation(dataset, &there, Session::clock()).map_err(|error| Failure::of(Kind::Failed, &error))?)?;
        return Ok(Outcome::Fine);
    }
    let reach = if args.recursive { Reach::Below } else { Reach::Only };
    let order = ReplicateOrder { dataset: args.dataset.clone(), reach, to: args.to.clone(), full: args.full };
    let job = doors.wait(client::act(send.replicate(client::soon(), order)))?;
    if !args.wait {
        out::print("zamd-send was told; `zamctl status` shows how far it is\n")?;
        return Ok(Outcome::Fine);
    }
    let mut bars = Bars::new();
    let done = doors.follow_send(&send, job, async || {
        if bars.are_seen() {
            bars.draw(&bars::lines(&rows(&send).await, Session::clock(), bars.width()));
        }
    });
    bars.clear();
    let mut lines = done?;
    if lines.is_empty() {
        lines.push("nothing was there to send; `zamctl plan` says what comes next".to_owned());
    }
    if args.prune {
        lines.extend(prune::all(&doors)?);
    }
    out::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Outcome::Fine)
}

/// What the replica's admin types so that the branch there stays, under another name, and what comes goes on from what both sides
/// have. Of what zamd-send says there are names in the commands, and nothing else.
fn rotation(dataset: &DatasetName, there: &Rotation, now: UnixTime) -> Result<String, NameError> {
    let Rotation { id, host, dataset: old, common, below } = there;
    let aside: DatasetName = format!("{old}-diverged-{}", now.0).parse()?;
    let host = host.as_deref().unwrap_or("this host");
    let zfs = |verb: &str, a: &str, b: &str| format!("zfs {verb} {} {}", quoted(a), quoted(b));
    let mut lines = vec![
        comment(&format!("At {host}, as root. The branch that is there stays, as {aside}; nothing is sent again.")),
        zfs("rename", old.as_str(), aside.as_str()),
        zfs("clone", &aside.at(common)?.to_string(), old.as_str()),
        format!("zfs promote {}", quoted(old.as_str())),
    ];
    // What lies below it went along, and comes back.
    for path in below {
        lines.push(zfs("rename", path.below(&aside)?.as_str(), path.below(old)?.as_str()));
    }
    lines.push(comment(&format!("Then here: zamctl replicate {} --to {}", quoted(dataset.as_str()), quoted(id))));
    Ok(lines.join("\n") + "\n")
}

/// All rows; those that do not come are not drawn.
async fn rows(send: &SendClient) -> Vec<SendStatus> {
    let (mut rows, mut after) = (Vec::new(), None);
    while let Ok(page) = client::call(send.status(client::soon(), after)).await {
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    /// R-CTL-4
    #[test]
    fn what_zamd_send_says_is_names_and_no_commands() {
        let there = Rotation {
            id: "7bcb02ac;reboot".into(),
            host: Some("olympus\nreboot\u{b}\u{1b}[2Kreboot".into()),
            dataset: "nas/zam/me/tank/my data".parse().unwrap(),
            common: "s1".parse().unwrap(),
            below: vec!["one".parse().unwrap(), "two words".parse().unwrap()],
        };
        let text = rotation(&"tank/my data".parse().unwrap(), &there, UnixTime(1_790_000_000)).unwrap();
        golden::is_shell(&text);
        golden::compare(&text, "tests/golden/rotate.sh");
    }
}
