//! `zamctl completions`: for the package.

use crate::{
    cli::Cli,
    failure::{Failure, Outcome},
    out,
};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    shell: Shell,
}

/// Prints.
///
/// # Errors
/// If it cannot be written.
pub fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "zamctl", &mut script);
    out::print(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Fine)
}
