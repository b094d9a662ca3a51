//! `zamctl man`: for the package.

use crate::{
    cli::Cli,
    failure::{Failure, Kind, Outcome},
};
use clap::CommandFactory as _;
use std::path::PathBuf;

/// Write the man pages into a folder
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder
    dir: PathBuf,
}

/// Writes them: one for zamctl, one for each verb.
///
/// # Errors
/// If a file cannot be written.
pub fn run(args: &Args) -> Result<Outcome, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Failed, format!("cannot write man pages into {}", args.dir.display())).because(Some(&error))
    };
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(failed)?;
    Ok(Outcome::Fine)
}
