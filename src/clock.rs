//! What time it is, and waiting: the system's, or as a test has it. Nothing else here reads a clock.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since 1970 (HBase: `EnvironmentEdge`).
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now. It may go back.
    fn now(&self) -> i64;
}

/// The clock of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: i64) {
        self.0.store(now, Ordering::Release);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The moment by which something is to be done, or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// None: it may take as long as it takes.
    pub const NEVER: Self = Self(None);

    /// At a moment.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(Some(moment))
    }

    /// So long from now on.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// The time that is left; zero once it is over, and [`Duration::MAX`] if there is no end.
    #[must_use]
    pub fn left(self) -> Duration {
        self.left_at(Instant::now())
    }

    /// The time that is left at a moment.
    #[must_use]
    pub fn left_at(self, now: Instant) -> Duration {
        self.0.map_or(Duration::MAX, |end| end.saturating_duration_since(now))
    }

    /// The earlier of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}

/// Waits: in truth, or as a test has it. Its time only goes forward.
pub trait Timer: Send + Sync + fmt::Debug {
    /// The moment now.
    fn now(&self) -> Instant;

    /// Waits for a time.
    fn sleep(&self, time: Duration);
}

/// The timer of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimer;

impl Timer for SystemTimer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }
}
