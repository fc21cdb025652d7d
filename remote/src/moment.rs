//! Moments by two clocks.

use std::time::{Duration, Instant, SystemTime};

/// A moment by two clocks: one may stop while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns a moment that was some time ago, by one of the clocks.
    #[cfg(test)]
    pub(crate) fn ago(age: Duration) -> Self {
        Self { wall: SystemTime::now() - age, ..Self::now() }
    }

    /// Whether it was no longer ago than `age`, by both clocks.
    pub(crate) fn is_within(&self, age: Duration) -> bool {
        self.steady.elapsed() <= age && self.wall.elapsed().is_ok_and(|elapsed| elapsed <= age)
    }
}

/// Follows the wall clock, which may be set back.
#[cfg(feature = "hdfs")]
#[derive(Debug)]
pub(crate) struct WallClock {
    /// The latest time that it has shown. It stays while the clock is behind.
    latest: SystemTime,
    is_behind: bool,
}

#[cfg(feature = "hdfs")]
impl WallClock {
    pub(crate) fn at(now: SystemTime) -> Self {
        Self { latest: now, is_behind: false }
    }

    /// Whether it was set back, and has not yet passed the time that it had shown before by `more`.
    pub(crate) fn is_behind(&mut self, now: SystemTime, more: Duration) -> bool {
        let until = if self.is_behind { self.latest + more } else { self.latest };
        self.is_behind = now < until;
        if !self.is_behind {
            self.latest = now;
        }
        self.is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "hdfs")]
    #[test]
    fn a_clock_that_is_set_back_is_behind_until_it_has_passed_the_former_time() {
        let begin = SystemTime::now();
        let mut clock = WallClock::at(begin);
        let more = Duration::from_secs(45);
        let is_behind = |secs| clock.is_behind(begin + Duration::from_secs(secs), more);
        let times = [5, 1000, 1005, 10, 15, 8, 1004, 1049, 1050, 1052, 1060, 1059, 1104, 1105];
        let expect = [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0];
        assert_eq!(times.map(is_behind).map(u8::from), expect);
    }

    #[test]
    fn a_moment_is_old_by_either_clock() {
        const AGE: Duration = Duration::from_secs(20);
        let now = Moment::now();
        assert!(now.is_within(AGE));
        assert!(!Moment::ago(2 * AGE).is_within(AGE));
        let later = SystemTime::now() + 2 * AGE;
        assert!(!Moment { wall: later, ..now }.is_within(AGE));
    }
}
