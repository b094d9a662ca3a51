//! Whether the clock can be trusted with deaths. A clock that stands wrong makes everything look old; while there is any
//! doubt, nothing dies.
//!
//! The facts are gathered by [`Clock`], the verdict over them is [`verdict`], which is pure.

use nix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::time::Duration;
use zam_names::UnixTime;
use zam_policy::config::ClockTrust as Trust;

/// What is known about the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it says.
    pub wall: UnixTime,
    /// How long ago the machine was booted, sleep included.
    pub since_boot: Duration,
    /// Whether it was set by a time server since then.
    pub sync: Sync,
    /// By how many seconds it was set, forwards or backwards, since it was last trusted; none if not beyond a tolerance.
    pub jumped: Option<i64>,
}

/// Whether a time server has set the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Since boot, it has.
    Yes,
    /// Something is there to do it, and has not yet.
    NotYet,
    /// Nothing says so, nor otherwise.
    Unknown,
    /// The admin says that there is none and that the machine's own clock is good (`clock = "trust"`).
    Trusted,
}

/// Why nothing may die now, if that is so. `newest` is the date of the newest snapshot that was taken on this machine.
#[must_use]
pub fn verdict(facts: &Facts, newest: Option<UnixTime>) -> Option<&'static str> {
    if newest.is_some_and(|newest| facts.wall < newest) {
        return Some("the clock is behind the newest snapshot");
    }
    if facts.jumped.is_some() {
        return Some("the clock was set to another time: waiting until it has been synchronised for an hour");
    }
    match facts.sync {
        Sync::Yes | Sync::Trusted => None,
        Sync::NotYet => Some("the clock has not been synchronised since boot"),
        Sync::Unknown if facts.since_boot < FIRST_HOUR => {
            Some("nothing says that the clock is synchronised: waiting for an hour after boot")
        }
        Sync::Unknown => None,
    }
}

/// Watches the machine's clock from the start of the daemon on.
#[derive(Debug)]
pub struct Clock {
    trust: Trust,
    marker: PathBuf,
    /// Wall clock less time since boot, in seconds, when the clock was last trusted: it stays the same until somebody sets it.
    offset: i64,
    synced: bool,
    /// Since when (after boot) a jumped clock has been at one offset and synchronised.
    settling: Option<(Duration, i64)>,
}

impl Clock {
    /// Starts watching.
    ///
    /// # Errors
    /// If the system has no such clocks.
    pub fn start(trust: Trust) -> std::io::Result<Self> {
        let (wall, since_boot) = now()?;
        Ok(Self::at(trust, PathBuf::from(TIMESYNC), wall, since_boot))
    }

    /// The facts as of now.
    ///
    /// # Errors
    /// If the system has no such clocks.
    pub fn facts(&mut self) -> std::io::Result<Facts> {
        let (wall, since_boot) = now()?;
        Ok(self.judge(wall, since_boot))
    }

    /// Takes over what a reloaded config says of the clock. Trusting it as it is also ends a jump.
    pub fn set_trust(&mut self, trust: Trust) {
        if trust == Trust::Always && self.trust != trust {
            self.settling = None;
            if let Ok((wall, since_boot)) = now() {
                self.offset = offset(wall, since_boot);
            }
        }
        self.trust = trust;
    }

    fn at(trust: Trust, marker: PathBuf, wall: UnixTime, since_boot: Duration) -> Self {
        Self { trust, marker, offset: offset(wall, since_boot), synced: false, settling: None }
    }

    fn judge(&mut self, wall: UnixTime, since_boot: Duration) -> Facts {
        let sync = self.sync();
        let here = offset(wall, since_boot);
        let near = |a: i64, b: i64| a.abs_diff(b) <= TOLERANCE;
        if near(here, self.offset) {
            // Time servers slew by milliseconds; that must not add up to a jump over the months.
            self.offset = here;
            self.settling = None;
        } else if sync == Sync::Yes {
            match self.settling {
                Some((since, at)) if near(here, at) => {
                    if since_boot.saturating_sub(since) >= FIRST_HOUR {
                        tracing::warn!(
                            seconds = here - self.offset,
                            "the clock's jump is an hour old and it is synchronised: trusting it again"
                        );
                        self.offset = here;
                        self.settling = None;
                    }
                }
                _ => self.settling = Some((since_boot, here)),
            }
        } else {
            self.settling = None;
        }
        let jumped = (here != self.offset).then(|| here - self.offset);
        Facts { wall, since_boot, sync, jumped }
    }

    /// In this order: the admin's word; systemd-timesyncd's own mark, which it makes when it has set the clock (once seen, it
    /// counts until the next boot: a time server that is away for a day makes no clock wrong); timesyncd at work without
    /// that mark; else nothing is known (chrony and others leave no mark that anybody can read: order the unit after
    /// `time-sync.target`).
    fn sync(&mut self) -> Sync {
        self.synced |= self.marker.join("synchronized").exists();
        match (self.trust, self.synced) {
            (Trust::Always, _) => Sync::Trusted,
            (Trust::WhenSynchronised, true) => Sync::Yes,
            (Trust::WhenSynchronised, false) if self.marker.is_dir() => Sync::NotYet,
            (Trust::WhenSynchronised, false) => Sync::Unknown,
        }
    }
}

/// How far into its second the wall clock is.
#[must_use]
pub fn into_second() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME)
        .map_or(Duration::ZERO, |now| Duration::from_nanos(now.tv_nsec().unsigned_abs()))
}

/// Now, by the wall clock.
///
/// # Errors
/// If the system has no such clock.
pub fn wall() -> std::io::Result<UnixTime> {
    Ok(now()?.0)
}

fn now() -> std::io::Result<(UnixTime, Duration)> {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME)?;
    // CLOCK_MONOTONIC stands still while the machine sleeps, this one does not: sleep is no jump.
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok((UnixTime(wall.tv_sec()), since_boot.into()))
}

fn offset(wall: UnixTime, since_boot: Duration) -> i64 {
    wall.0.saturating_sub_unsigned(since_boot.as_secs())
}

/// The run folder of systemd-timesyncd.
const TIMESYNC: &str = "/run/systemd/timesync";

const FIRST_HOUR: Duration = Duration::from_secs(3600);

/// Seconds: above what leap seconds, slewing and the rounding of two clocks can make.
const TOLERANCE: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HOUR: u64 = 3600;

    /// A clock in a world without systemd-timesyncd, whose folder the caller may make.
    fn clock(trust: Trust, marker: &Path) -> Clock {
        Clock::at(trust, marker.to_owned(), UnixTime(1_000_000), Duration::from_secs(100))
    }

    fn facts(clock: &mut Clock, wall: i64, boot: u64) -> Facts {
        clock.judge(UnixTime(1_000_000 + wall), Duration::from_secs(100 + boot))
    }

    #[test]
    fn a_clock_behind_the_newest_snapshot_kills_nothing_even_if_trusted() {
        let facts = Facts { wall: UnixTime(99), since_boot: FIRST_HOUR * 9, sync: Sync::Trusted, jumped: None };
        assert!(verdict(&facts, Some(UnixTime(100))).is_some());
        assert_eq!(verdict(&facts, Some(UnixTime(99))), None);
        assert_eq!(verdict(&facts, None), None);
    }

    #[test]
    fn after_boot_nothing_dies_before_the_clock_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("timesync");
        let mut clock = clock(Trust::WhenSynchronised, &marker);
        // Nothing there: an hour.
        assert!(verdict(&facts(&mut clock, 0, 0), None).is_some());
        assert_eq!(verdict(&facts(&mut clock, 3600, HOUR), None), None);
        // timesyncd at work: until it is done, and for good then.
        std::fs::create_dir(&marker).unwrap();
        assert!(verdict(&facts(&mut clock, 7200, 2 * HOUR), None).is_some());
        std::fs::write(marker.join("synchronized"), "").unwrap();
        assert_eq!(verdict(&facts(&mut clock, 7200, 2 * HOUR), None), None);
        std::fs::remove_dir_all(&marker).unwrap();
        assert_eq!(verdict(&facts(&mut clock, 7201, 2 * HOUR + 1), None), None);
    }

    #[test]
    fn a_trusted_clock_needs_no_time_server() {
        let mut clock = clock(Trust::Always, Path::new("/nonexistent"));
        assert_eq!(verdict(&facts(&mut clock, 0, 0), None), None);
        assert_eq!(facts(&mut clock, 5000, 10).jumped, Some(4990));
        assert!(verdict(&facts(&mut clock, 5000, 10), None).is_some());
    }

    #[test]
    fn a_jump_either_way_stops_and_slewing_does_not() {
        for jump in [-31, 31, 86_400 * 3650] {
            let mut clock = clock(Trust::Always, Path::new("/nonexistent"));
            assert_eq!(facts(&mut clock, 60 + jump, 60).jumped, Some(jump));
            // Back again: it is over.
            assert_eq!(facts(&mut clock, 120, 120).jumped, None);
        }
        let mut clock = clock(Trust::Always, Path::new("/nonexistent"));
        for step in 1..100 {
            assert_eq!(facts(&mut clock, 60 * step + 20 * step, 60 * step.unsigned_abs()).jumped, None);
        }
    }

    #[test]
    fn a_jump_is_over_after_an_hour_of_being_synchronised() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().to_owned();
        let mut clock = clock(Trust::WhenSynchronised, &marker);
        assert!(facts(&mut clock, 9000, 0).jumped.is_some());
        std::fs::write(marker.join("synchronized"), "").unwrap();
        assert!(facts(&mut clock, 9001, 1).jumped.is_some());
        // It moves once more: the hour starts anew.
        assert!(facts(&mut clock, 19_000, HOUR - 100).jumped.is_some());
        assert!(facts(&mut clock, 19_100, HOUR).jumped.is_some());
        assert!(facts(&mut clock, 19_000 + 3599, 2 * HOUR - 101).jumped.is_some());
        assert_eq!(facts(&mut clock, 19_000 + 3600, 2 * HOUR - 100).jumped, None);
    }

    #[test]
    fn the_machine_has_both_clocks() {
        let mut clock = Clock::start(Trust::Always).unwrap();
        let facts = clock.facts().unwrap();
        assert!(facts.wall > UnixTime(1_700_000_000) && facts.since_boot > Duration::ZERO);
        assert_eq!(facts.jumped, None);
    }
}
