//! How fast it goes: measured for the status, and limited where the config says so.

use std::{cell::Cell, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How fast bytes may go. Shared by all that goes to one destination.
pub struct Pace {
    limit: Option<u64>,
    /// When the last byte that was let through may be on its way.
    until: Cell<Option<Instant>>,
}

impl Pace {
    /// At most so many bytes a second.
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit, until: Cell::new(None) }
    }

    /// Waits until so many more may have gone.
    pub async fn wait(&self, bytes: u64) {
        let Some(limit) = self.limit else { return };
        let now = Instant::now();
        // What was not used while nothing was sent is not made up for.
        let from = self.until.get().filter(|until| *until > now).unwrap_or(now);
        let until = from + Duration::from_secs_f64(bytes as f64 / limit as f64);
        self.until.set(Some(until));
        sleep_until(until).await;
    }
}

/// Counts bytes, and how many go in a second lately.
#[derive(Default)]
pub struct Meter {
    bytes: u64,
    rate: u64,
    since: Option<(Instant, u64)>,
}

impl Meter {
    /// So many more have gone.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        let now = Instant::now();
        let (since, before) = *self.since.get_or_insert((now, 0));
        let elapsed = now.duration_since(since);
        if elapsed >= Duration::from_secs(1) {
            self.rate = ((self.bytes - before) as f64 / elapsed.as_secs_f64()) as u64;
            self.since = Some((now, self.bytes));
        }
    }

    /// How many have gone.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many go in a second; 0 in the first one.
    pub fn rate(&self) -> u64 {
        self.rate
    }
}

/// How long to wait after so many failures in a row: longer each time, and not all machines at once.
pub fn back_off(first: Duration, failures: u32, machine: &str) -> Duration {
    let wait = first.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(LONGEST);
    // A quarter more or less, by machine and by try.
    let hash =
        machine.bytes().fold(5381_u64 + u64::from(failures), |hash, byte| (hash * 33 + u64::from(byte)) & 0xffff);
    wait.mul_f64(0.75 + 0.5 * (hash as f64 / 65536.0))
}

const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_up_to_an_hour_and_differs_between_machines() {
        let first = Duration::from_secs(30);
        let near = |wait: Duration, seconds: f64| (0.75..=1.25).contains(&(wait.as_secs_f64() / seconds));
        for (failures, seconds) in [(1, 30.0), (2, 60.0), (3, 120.0), (7, 1920.0), (8, 3600.0), (1000, 3600.0)] {
            assert!(near(back_off(first, failures, "host"), seconds), "{failures}");
        }
        assert_ne!(back_off(first, 3, "host"), back_off(first, 3, "other"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_move_any_more_has_no_rate() {
        let mut meter = Meter::default();
        meter.add(1000);
        tokio::time::advance(Duration::from_secs(1)).await;
        meter.add(1000);
        assert_eq!((meter.bytes(), meter.rate()), (2000, 2000));
        tokio::time::advance(Duration::from_secs(10)).await;
        meter.add(0);
        assert_eq!((meter.bytes(), meter.rate()), (2000, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_and_rest_is_no_credit() {
        let pace = Pace::new(Some(1000));
        let begun = Instant::now();
        for _ in 0..5 {
            pace.wait(500).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(2400), "{:?}", begun.elapsed());
        let free = Pace::new(None);
        let begun = Instant::now();
        free.wait(u64::MAX).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
