//! Retries (locator.md §11.6; HBase: `ConnectionUtils.getPauseTime`, `RETRY_BACKOFF`).

use crate::clock::{Deadline, Timer};
use crate::error::{Error, Result};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The number of attempts and the pauses between them. The defaults are those of HBase 2.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    pause: Duration,
    /// The first pause if the server is overloaded, unless the usual one is longer.
    overloaded: Duration,
    attempts: u32,
    operation_timeout: Duration,
}

/// The multiples of the pause, by attempt; the last one repeats.
const BACKOFF: [u32; 13] = [1, 2, 3, 5, 10, 20, 40, 100, 100, 100, 100, 200, 200];
/// Up to one part in this many is added to a pause, so that clients that failed together do not retry
/// together.
const JITTER: u32 = 100;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(100),
            overloaded: Duration::ZERO,
            attempts: 16,
            operation_timeout: Duration::from_secs(1200),
        }
    }
}

impl RetryPolicy {
    /// Creates a policy of one attempt, for results that cannot change.
    #[must_use]
    pub fn no_retries() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// Sets the first pause; the others are multiples of it (`hbase.client.pause`, 100 ms).
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Sets the first pause after a server was overloaded (`hbase.client.pause.server.overloaded`; default
    /// and minimum: [`pause`](Self::pause)).
    #[must_use]
    pub fn overloaded_pause(mut self, pause: Duration) -> Self {
        self.overloaded = pause;
        self
    }

    /// Returns the policy with the pauses after a server was overloaded.
    #[must_use]
    pub fn of_overloaded(self) -> Self {
        Self { pause: self.pause.max(self.overloaded), ..self }
    }

    /// Sets the number of attempts (`hbase.client.retries.number` + 1, 16); at least one.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the time limit for the whole operation (`hbase.client.operation.timeout`, 20 minutes). As in
    /// HBase, 0 means no limit.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = if timeout.is_zero() { Duration::MAX } else { timeout };
        self
    }

    /// Returns the pause after an attempt, counted from 1, without jitter.
    #[must_use]
    pub fn pause_after(&self, attempt: u32) -> Duration {
        let at = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let last = BACKOFF.len() - 1;
        self.pause.saturating_mul(BACKOFF.get(at.min(last)).copied().unwrap_or(1))
    }

    /// Returns the maximum number of attempts.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the deadline of an operation that begins at `now`.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Deadline {
        now.checked_add(self.operation_timeout).map_or(Deadline::NEVER, Deadline::at)
    }

    /// Retries until success, a permanent error, or the end of attempts or time; the error then has the
    /// number of attempts. Time is also over if a busy server needs more than is left.
    pub(crate) fn retry<T>(
        &self,
        timer: &dyn Timer,
        deadline: Deadline,
        is_for_good: impl Fn(&Error) -> bool,
        mut attempt: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match attempt() {
                Err(error) if !is_for_good(&error) => error,
                done => return done,
            };
            // pauses are shortened to leave time for one more attempt
            let left = deadline.remaining_at(timer.now()).saturating_sub(Duration::from_millis(1));
            let is_in_vain = error.pause().is_some_and(|pause| pause > left);
            if attempts >= self.attempts || left.is_zero() || is_in_vain {
                return Err(if attempts > 1 { error.after_attempts(attempts) } else { error });
            }
            let policy = if error.is_busy() { self.of_overloaded() } else { *self };
            timer.sleep(error.pause().unwrap_or_else(|| policy.with_jitter(attempts)).min(left));
        }
    }

    /// Returns the pause after an attempt, with up to a hundredth added at random.
    #[must_use]
    pub fn with_jitter(&self, attempt: u32) -> Duration {
        let pause = self.pause_after(attempt);
        // a randomly keyed hash is sufficiently random, without a generator
        let chance = u32::try_from(RandomState::new().hash_one(attempt) % 1000).unwrap_or(0);
        pause.saturating_add((pause / (JITTER * 1000)).saturating_mul(chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::sync::Mutex;

    /// Records the pauses; its clock advances only by them.
    #[derive(Debug)]
    struct FakeTimer(Instant, Mutex<Vec<Duration>>);

    impl Timer for FakeTimer {
        fn now(&self) -> Instant {
            self.0 + self.1.lock().unwrap().iter().sum::<Duration>()
        }

        fn sleep(&self, time: Duration) {
            self.1.lock().unwrap().push(time);
        }
    }

    /// Returns the pauses of an operation that fails `failures` times, and its result.
    fn pauses(policy: &RetryPolicy, failures: u32) -> (Vec<Duration>, Result<u32>) {
        let timer = FakeTimer(Instant::now(), Mutex::default());
        let mut tries = 0;
        let result = policy.retry(
            &timer,
            policy.deadline(timer.now()),
            |error| error.kind() == ErrorKind::TableNotFound,
            || {
                tries += 1;
                let error = || Error::new(ErrorKind::NoServerForRegion, "none");
                if tries <= failures { Err(error()) } else { Ok(tries) }
            },
        );
        (timer.1.into_inner().unwrap(), result)
    }

    #[test]
    fn pauses_grow_as_those_of_hbase_do() {
        let policy = RetryPolicy::default();
        let (pauses, result) = pauses(&policy, u32::MAX);
        assert!(result.unwrap_err().message().contains("16 attempts"));
        let expected: Vec<Duration> = (1..16).map(|attempt| policy.pause_after(attempt)).collect();
        assert_eq!(expected.iter().sum::<Duration>(), Duration::from_millis(128_100));
        for (pause, expected) in pauses.iter().zip(&expected) {
            assert!(pause >= expected && *pause <= *expected + *expected / 100, "{pause:?} {expected:?}");
        }
        assert_eq!(pauses.len(), 15);
    }

    #[test]
    fn the_longest_pause_is_not_prolonged() {
        let policy = RetryPolicy::default().pause(Duration::MAX);
        assert!((1..100).all(|attempt| policy.with_jitter(attempt) == Duration::MAX));
    }

    #[test]
    fn pauses_of_an_overloaded_server_are_not_shorter() {
        let policy = RetryPolicy::default().pause(Duration::from_millis(50));
        assert_eq!(policy.of_overloaded(), policy);
        for (overloaded, pause) in [(20, 100), (70, 140)] {
            let policy = policy.overloaded_pause(Duration::from_millis(overloaded));
            assert_eq!(policy.of_overloaded().pause_after(2), Duration::from_millis(pause));
            assert_eq!(policy.pause_after(2), Duration::from_millis(100));
        }
    }

    #[test]
    fn success_ends_the_retries() {
        let (pauses, result) = pauses(&RetryPolicy::default(), 2);
        assert_eq!((pauses.len(), result.unwrap()), (2, 3));
    }

    #[test]
    fn the_deadline_wins() {
        let policy = RetryPolicy::default().operation_timeout(Duration::from_millis(1000));
        let (pauses, result) = pauses(&policy, u32::MAX);
        assert!(result.is_err());
        // 100, 200, 300, then the remaining time
        assert_eq!(pauses.len(), 4);
        assert!(pauses.iter().sum::<Duration>() < Duration::from_millis(1000));
    }

    #[test]
    fn permanent_errors_are_not_retried() {
        let timer = FakeTimer(Instant::now(), Mutex::default());
        let fail = || Err::<(), _>(Error::new(ErrorKind::TableNotFound, "t"));
        let result = RetryPolicy::default().retry(&timer, Deadline::NEVER, |_| true, fail);
        assert_eq!(result.unwrap_err().message(), "t");
        assert!(timer.1.into_inner().unwrap().is_empty());
    }
}
