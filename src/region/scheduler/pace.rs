//! The throughput limit of compactions (HBase: `CompactionThroughputController`).

use crate::clock::{SystemTimer, Timer};
use crate::error::Result;
use crate::sync::unpoisoned;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a waiting compaction checks whether it is cancelled.
const CHECK: Duration = Duration::from_millis(50);

/// A number of bytes per second, shared by all compactions.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// The time at which all bytes reserved so far are paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid: Mutex::new(None) }
    }

    /// Reserves the time for `bytes`, and waits for the bytes reserved before, unless `check` fails first.
    pub(super) fn spend(&self, bytes: u64, check: impl Fn() -> Result<()>) -> Result<()> {
        let mut left = self.reserve(bytes, SystemTimer.now());
        while !left.is_zero() {
            check()?;
            let step = left.min(CHECK);
            SystemTimer.sleep(step);
            left -= step;
        }
        Ok(())
    }

    /// Reserves the time for `bytes`. Returns how long to wait from `now` until the bytes reserved before are
    /// paid for.
    fn reserve(&self, bytes: u64, now: Instant) -> Duration {
        let mut paid = unpoisoned(self.paid.lock());
        let start = paid.map_or(now, |paid| paid.max(now));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        *paid = Some(start.checked_add(time).unwrap_or(start));
        start.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn reservations_keep_to_the_rate() {
        let (pace, now) = (Pace::new(1000), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(pace.reserve(500, now), Duration::ZERO);
        assert_eq!(pace.reserve(2000, now), second / 2);
        assert_eq!(pace.reserve(1, now + second), second * 3 / 2);
        // Unused time is not saved up.
        assert_eq!(pace.reserve(1000, now + second * 60), Duration::ZERO);
        assert_eq!(pace.reserve(1000, now + second * 60), second);
    }

    #[test]
    fn a_wait_ends_when_the_compaction_is_cancelled() {
        let pace = Pace::new(1);
        pace.spend(1 << 40, || Ok(())).unwrap();
        assert!(pace.spend(1, || Err(Error::closed())).is_err());
    }
}
