//! Keeps strangers from filling the journal. It drops what a unit says too fast, and with it would go the audit trail.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Lines for one user in a [`WINDOW`].
const PER_UID: u64 = 10;
/// Lines for all users in a window.
const ALL: u64 = 100;
/// More users than this are forgotten at the end of a window, with what was not told of them.
const CROWD: usize = 1000;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts what was told of each user.
#[derive(Debug)]
pub struct Quiet {
    since: Instant,
    all: u64,
    by_uid: HashMap<u32, Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    told: u64,
    untold: u64,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { since: Instant::now(), all: 0, by_uid: HashMap::new() }
    }
}

impl Quiet {
    /// Whether one more thing may be told of this user; if so, how many were not since the last that was.
    pub fn may_tell(&mut self, uid: u32) -> Option<u64> {
        self.may_tell_at(uid, Instant::now())
    }

    fn may_tell_at(&mut self, uid: u32, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= WINDOW {
            self.since = now;
            self.all = 0;
            let crowd = self.by_uid.len() > CROWD;
            self.by_uid.retain(|_, counts| {
                counts.told = 0;
                counts.untold > 0 && !crowd
            });
        }
        let counts = self.by_uid.entry(uid).or_default();
        if counts.told >= PER_UID || self.all >= ALL {
            counts.untold += 1;
            return None;
        }
        self.all += 1;
        counts.told += 1;
        Some(std::mem::take(&mut counts.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_noisy_user_is_told_of_now_and_then_and_others_all_the_same() {
        let mut quiet = Quiet::default();
        let start = quiet.since;
        let told = (0..1000).filter(|_| quiet.may_tell_at(1, start).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(quiet.may_tell_at(2, start), Some(0));
        assert_eq!(quiet.may_tell_at(1, start + WINDOW), Some(990));
        assert_eq!(quiet.may_tell_at(1, start + WINDOW), Some(0));
    }

    #[test]
    fn many_users_together_do_not_fill_the_journal() {
        let mut quiet = Quiet::default();
        let start = quiet.since;
        let told = (0..10_000).filter(|uid| quiet.may_tell_at(*uid, start).is_some()).count();
        assert_eq!(told, 100);
    }
}
