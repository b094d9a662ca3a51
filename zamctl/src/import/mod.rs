//! What other snapshot tools were told, as a config of zam: a file for each tool, which fills a [`Land`]; `land` makes
//! entries of it, `write` their text.

mod auto_snapshot;
mod cron;
mod ini;
mod keep;
mod land;
mod sanoid;
mod takeover;
mod text;
mod write;
mod yaml;
mod znapzend;
mod zrepl;
mod zrepl_keep;

pub use land::Land;
pub use takeover::{Sides, Taken, aim, listed, look_at, report};
pub use text::File;
pub use write::windows;

use crate::failure::Failure;
use zam_names::DatasetName;

/// Whose config is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tool {
    /// sanoid.conf; sanoid.defaults.conf before it, if that was changed
    Sanoid,
    /// zrepl.yml, and the files that it includes
    Zrepl,
    /// What `znapzendzetup export DATASET` prints, or `zfs get -H -o name,property,value all`
    Znapzend,
    /// The crontabs, cron scripts or units that run it; and, if datasets say it, `zfs get -H -o name,property,value all`
    ZfsAutoSnapshot,
}

impl Tool {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sanoid => "sanoid",
            Self::Zrepl => "zrepl",
            Self::Znapzend => "znapzend",
            Self::ZfsAutoSnapshot => "zfs-auto-snapshot",
        }
    }

    /// What stops it.
    fn ends(self) -> &'static str {
        match self {
            Self::Sanoid => "systemctl disable --now sanoid.timer sanoid-prune.service",
            Self::Zrepl => "systemctl disable --now zrepl",
            Self::Znapzend => "systemctl disable --now znapzend",
            Self::ZfsAutoSnapshot => "apt remove zfs-auto-snapshot",
        }
    }

    /// Reads its files.
    ///
    /// # Errors
    /// With file and line, if one is not what the tool takes; and if what it says cannot be known from them.
    pub fn read(self, files: &[File], asked: &Asked<'_>) -> Result<Land, Failure> {
        match self {
            Self::Sanoid => sanoid::read(files, asked),
            Self::Zrepl => zrepl::read(files, asked),
            Self::Znapzend => znapzend::read(files, asked),
            Self::ZfsAutoSnapshot => auto_snapshot::read(files, asked),
        }
    }
}

/// What a reader needs beside the files.
pub struct Asked<'a> {
    /// Whether the tool's own snapshots are to be thinned.
    pub adopt: bool,
    /// What this machine is called.
    pub client: &'a dyn Fn() -> Result<String, Failure>,
    /// The pools of this machine, for files that mean all of them.
    pub pools: &'a dyn Fn() -> Result<Vec<DatasetName>, Failure>,
}

#[cfg(test)]
mod tests;
