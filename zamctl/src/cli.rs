//! The command line. The verbs' own arguments stand in the files of `commands`.

use crate::commands::Command;
use clap::Parser;
use std::path::PathBuf;

/// Show and steer zam, the ZFS snapshot manager
///
/// Whatever shows runs as anybody and needs no daemon; whatever acts is asked of the daemons, by root or by a member of
/// group zam-operators.
#[derive(Debug, Parser)]
#[command(name = "zamctl", version, after_long_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What holds for every verb
    #[command(flatten)]
    pub globals: Globals,
    /// The verb
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every verb.
#[derive(Clone, Debug, clap::Args)]
pub struct Globals {
    /// Read this config, and the folder zam.d beside it
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/zam/zam.toml", help_heading = "Global options")]
    pub config: PathBuf,
    /// Look for the daemons' sockets below this folder
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/zam", help_heading = "Global options")]
    pub runtime_dir: PathBuf,
    /// Look at the simulated pools in this folder instead of ZFS
    ///
    /// For trying things out and for tests; the daemons have the same option.
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true, help_heading = "Global options")]
    pub simulate: Option<PathBuf>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  ok
  1  failed
  2  bad usage or bad config
  3  something needs attention: a dataset, a grant that is missing or surplus
  4  not permitted
  5  a daemon is not reachable";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
