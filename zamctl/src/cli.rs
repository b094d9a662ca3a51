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
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/zam/zam.toml",
        help_heading = "Global options"
    )]
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
    use crate::golden;
    use clap::CommandFactory as _;
    use std::fmt::Write as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_reference_is_what_the_help_says() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut page = format!("# zamctl\n\n{REFERENCE}\n");
        let fence = |help: String| format!("```text\n{}\n```\n", help.trim_end());
        page += &fence(command.render_long_help().to_string());
        for verb in command.get_subcommands_mut().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
            let help = verb.clone().term_width(100).render_long_help().to_string();
            let help = help.split("\nGlobal options:").next().unwrap_or_default().to_owned();
            writeln!(page, "\n## zamctl {}\n\n{}", verb.get_name(), fence(help).trim_end()).unwrap();
        }
        golden::compare(&page, "../docs/cli.md");
    }

    const REFERENCE: &str = "\
Made from the program's own help by a test of `zamctl`; `ZAM_BLESS=1 cargo test -p zamctl` writes it anew. `zamctl
completions SHELL` and `zamctl man DIR` make what the package installs.

Text is for people and may change. `--json` is for programs: its field names stay, its times are RFC 3339 in UTC. Tables show
local time, or that of the entry's `timezone` where it differs; names of snapshots are in UTC.

`zamctl grant --print` gives zam-prune `-d destroy,mount`, which reaches snapshots and, below a recursive source, whatever else
lies there: ZFS has no grant for snapshots alone. What stands in the way of more is zamd-prune's ioctl filter and the holds; see
SECURITY.md. Where an entry has destinations, `-l destroy` beside it lets zam-prune destroy the bookmarks of the dataset, and, without `-l
mount`, not the dataset.
";
}
