//! When to try again, and after which pause.

use std::{
    hash::{BuildHasher, RandomState},
    thread,
    time::Duration,
};

use super::Tuning;

/// Retries of a failed request when nothing else is asked for.
const DEFAULT_RETRIES: u32 = 5;

/// Failures of one task so far.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    failures: u32,
    retries: u32,
    tuning: Tuning,
}

impl Attempts {
    pub(super) fn new(retries: Option<u32>, tuning: Tuning) -> Self {
        Self {
            failures: 0,
            retries: retries.unwrap_or(DEFAULT_RETRIES),
            tuning,
        }
    }

    /// Counts a failure and sleeps; false when there is no retry left.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures > self.retries {
            return false;
        }
        thread::sleep(self.delay(asked, random_quarter()));
        true
    }

    /// Forgets earlier failures: the task has got on.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
    }

    /// `jitter` of 0 to 255 lengthens the pause by up to a quarter, so that many clients cut off
    /// together do not come back together.
    fn delay(&self, asked: Option<Duration>, jitter: u8) -> Duration {
        if let Some(asked) = asked {
            return asked.min(self.tuning.longest_retry_after);
        }
        let doublings = self.failures.saturating_sub(1).min(16);
        let delay = self
            .tuning
            .first_delay
            .saturating_mul(1 << doublings)
            .min(self.tuning.longest_delay);
        delay.saturating_add(delay.saturating_mul(u32::from(jitter)) / 1024)
    }
}

fn random_quarter() -> u8 {
    let [byte, ..] = RandomState::new().hash_one(0).to_le_bytes();
    byte
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); the form with a date is left to the usual pause.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut attempts = Attempts::new(None, Tuning::default());
        let mut delays = Vec::new();
        for failures in [1, 2, 3, 10, 4_000_000] {
            attempts.failures = failures;
            delays.push(attempts.delay(None, 0).as_millis());
        }
        assert_eq!(delays, [250, 500, 1000, 10_000, 10_000]);
        assert!(attempts.delay(None, 255) < Duration::from_millis(12_500));
    }

    #[test]
    fn a_registry_may_not_make_us_wait_for_ever() {
        let attempts = Attempts::new(None, Tuning::default());
        assert_eq!(attempts.delay(retry_after("7"), 0), Duration::from_secs(7));
        assert_eq!(
            attempts.delay(retry_after("99999999"), 0),
            Duration::from_secs(60)
        );
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }

    #[test]
    fn retries_are_bounded() {
        let tuning = Tuning {
            first_delay: Duration::ZERO,
            ..Tuning::default()
        };
        let mut attempts = Attempts::new(Some(2), tuning);
        assert!(attempts.pause(None) && attempts.pause(None) && !attempts.pause(None));
        attempts.forgive();
        assert!(attempts.pause(None));
    }
}
