//! `zamctl status`: how every dataset fares, the worst first.

mod gather;
mod own;
mod show;

use crate::{
    failure::{Failure, Outcome},
    out,
    session::Session,
};
use gather::Gathered;
use std::{io::IsTerminal as _, time::Duration};
use zam_names::DatasetName;

/// Show how every managed dataset and each of its copies fares, the worst first
///
/// Asks the status doors of the daemons, which answer to anybody. Ends with exit code 3 if something needs attention, and
/// with 5 if a daemon does not answer that has something to do here; what the others say is shown all the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this dataset and what is below it
    dataset: Option<DatasetName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show it anew every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

const BEAT: Duration = Duration::from_secs(2);

/// Shows.
///
/// # Errors
/// If it cannot be written.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    if !args.watch {
        let gathered = Gathered::gather(session, args.dataset.as_ref())?;
        if args.json {
            out::json(&gathered.json())?
        } else {
            out::print(&gathered.text(out::width()))?
        }
        return Ok(gathered.outcome());
    }
    // Home, and clear from there on: no flicker, and nothing left of a longer screen.
    let (begin, end) = if std::io::stdout().is_terminal() { ("\x1b[H\x1b[J", "") } else { ("", "\n") };
    loop {
        let session = Session::new(session.globals.clone());
        let gathered = Gathered::gather(&session, args.dataset.as_ref())?;
        out::print(&format!("{begin}{}{end}", gathered.text(out::width())))?;
        std::thread::sleep(BEAT);
    }
}
