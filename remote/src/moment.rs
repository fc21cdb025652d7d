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

    /// Whether it was no longer ago than `age`, by both clocks.
    pub(crate) fn is_within(&self, age: Duration) -> bool {
        self.steady.elapsed() <= age && self.wall.elapsed().is_ok_and(|elapsed| elapsed <= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_old_by_either_clock() {
        const AGE: Duration = Duration::from_secs(20);
        let now = Moment::now();
        assert!(now.is_within(AGE));
        let before = SystemTime::now() - 2 * AGE;
        assert!(!Moment { wall: before, ..now }.is_within(AGE));
        let later = SystemTime::now() + 2 * AGE;
        assert!(!Moment { wall: later, ..now }.is_within(AGE));
    }
}
