//! `zamctl explain`: which entry speaks for a dataset, and why each of its snapshots is there.

mod copied;
mod seen;
mod view;

use crate::{
    at::At,
    doors::{Copies, Doors, Notes},
    failure::{Failure, Kind, Outcome},
    look::{self, Land},
    session::Session,
};
use copied::Copied;
use view::View;
use zam_names::{DatasetName, Kind as Sort, SnapTag, SnapshotName};
use zam_policy::{
    config::{Config, Match},
    explain,
};

/// Say why each snapshot of a dataset is there and for how long, and which entry says so
///
/// Runs as anybody, on its own listing, with the same rules as the daemons; the daemons are asked for their notes if they
/// answer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset, or one of its snapshots for the long form
    #[arg(value_name = "DATASET[@SNAP]")]
    subject: Subject,
    /// Judge as of this later instant: `+3h`, `+2d`, `2026-12-24 18:00`, `2026-12-24T18:00:00Z`
    #[arg(long, value_name = "T", default_value = "now", hide_default_value = true)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is to be explained.
#[derive(Clone, Debug)]
enum Subject {
    Dataset(DatasetName),
    Snapshot(SnapshotName),
}

impl std::str::FromStr for Subject {
    type Err = zam_names::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') { text.parse().map(Self::Snapshot) } else { text.parse().map(Self::Dataset) }
    }
}

/// Explains.
///
/// # Errors
/// If the config is faulty, the pools cannot be listed, or there is no such thing.
pub fn run(args: &Args, session: &Session) -> Result<Outcome, Failure> {
    let config = session.config()?.config;
    let at = args.at.resolve(session.now, &session.zone);
    if at < session.now {
        return Err(Failure::usage("`explain` looks ahead, and that instant has passed"));
    }
    let (name, tag) = match &args.subject {
        Subject::Dataset(name) => (name, None),
        Subject::Snapshot(name) => (name.dataset(), Some(name.tag())),
    };
    let lister = session.lister();
    let land = Land::survey(&*lister)?;
    let Some(found) = land.dataset(name) else { return absent(name, tag, &config, &land) };
    let mut dataset = found.clone();
    look::snapshots_of(&*lister, &mut dataset)?;
    let matched = config.entry_for(&dataset.name, dataset.kind);
    let notes = Notes::open(session)?;
    let remembered = notes.of(name);
    let sender = config.sender_for(&dataset.name, dataset.kind).entry();
    let copied = match sender.filter(|entry| !entry.destinations.is_empty()) {
        Some(_) => Some(Copied::ask(&Copies::open(session)?, name)),
        None => None,
    };
    let waits = match matched.entry().filter(|entry| entry.run_when.snapshots.is_some()) {
        Some(_) => Doors::new(session)?.snap_report().ok().and_then(|mut said| said.rows.remove(name)?.waits),
        None => None,
    };
    let view = View { dataset: &dataset, matched, remembered, lack: notes.lack(), waits, copied, at, session };
    view.show(tag, args.json)?;
    Ok(Outcome::Fine)
}

/// A dataset that is not there: what the config would say of it.
fn absent(name: &DatasetName, tag: Option<&SnapTag>, config: &Config, land: &Land) -> Result<Outcome, Failure> {
    let why = if land.has_pool(&name.pool()) {
        format!("there is no dataset {name}")
    } else {
        format!("the pool {} is not imported", name.pool())
    };
    let failure = Failure::new(Kind::Failed, why);
    Err(match config.entry_for(name, Sort::Filesystem) {
        _ if tag.is_some() => failure,
        Match::Uncovered => failure.hint("no entry of the config covers that name either"),
        found => failure.hint(format!("if it were there: {}", explain::matched(found))),
    })
}
