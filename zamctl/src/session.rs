//! What a command stands on: the options that hold for every verb, the clock, the zone, the pools, the doors.

use crate::{
    cli::Globals,
    config::{self, Loaded},
    failure::Failure,
    openzfs::OpenZfs,
    shell::quoted,
};
use jiff::{Timestamp, tz::TimeZone};
use std::path::Path;
use zam_names::UnixTime;
use zam_policy::Zone;
use zam_zfs::{Lister, Open};

/// One run of zamctl.
pub struct Session {
    /// The options that hold for every verb.
    pub globals: Globals,
    /// When it began; every answer is for this instant.
    pub now: UnixTime,
    /// The zone of this machine's wall clock.
    pub zone: Zone,
}

impl Session {
    /// Looks at the clock, and at nothing else yet.
    #[must_use]
    pub fn new(globals: Globals) -> Self {
        Self { globals, now: Self::clock(), zone: local_zone() }
    }

    /// The clock, for what goes on for longer than one answer.
    #[must_use]
    pub fn clock() -> UnixTime {
        UnixTime(Timestamp::now().as_second())
    }

    /// How zamctl is called for this config, in commands that are printed.
    #[must_use]
    pub fn zamctl(&self) -> String {
        let config = &self.globals.config;
        match config == Path::new("/etc/zam/zam.toml") {
            true => "zamctl".to_owned(),
            false => format!("zamctl --config {}", quoted(&config.display().to_string())),
        }
    }

    /// The config.
    ///
    /// # Errors
    /// If it cannot be read or is faulty.
    pub fn config(&self) -> Result<Loaded, Failure> {
        config::load(&self.globals.config, &self.zone)
    }

    /// A door to the pools that only looks.
    #[must_use]
    pub fn lister(&self) -> Box<dyn Lister + Send> {
        match &self.globals.simulate {
            None => Open::Real,
            // Looking needs no right, so it does not matter as whom.
            Some(folder) => Open::Sim { folder: folder.clone(), user: "nobody".to_owned() },
        }
        .lister()
    }

    /// The OpenZFS that judges the grants; of a simulated pool, one that knows all.
    #[must_use]
    pub fn openzfs(&self) -> OpenZfs {
        if self.globals.simulate.is_some() { None } else { OpenZfs::here() }.unwrap_or(OpenZfs::ANY)
    }
}

/// The machine's own zone; Greenwich where it has no name, which then is said wherever zones are shown.
fn local_zone() -> Zone {
    let system = TimeZone::system();
    system.iana_name().and_then(|name| Zone::named(name).ok()).unwrap_or_else(Zone::utc)
}
