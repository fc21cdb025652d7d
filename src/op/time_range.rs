//! Ranges of timestamps (read-path.md §1.5; HBase: `TimeRange`, `TimeRangeTracker`).

use crate::error::{Error, Result};
use std::cmp::Ordering;

/// Timestamps from a first one on, to one before a last one, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    min: i64,
    max: i64,
}

impl TimeRange {
    /// All of time, which also has the timestamp `i64::MAX`.
    pub const ALL: Self = Self { min: 0, max: i64::MAX };

    /// From `min` on, to before `max`.
    ///
    /// # Errors
    ///
    /// If a bound is negative, or the range ends before it begins.
    pub fn new(min: i64, max: i64) -> Result<Self> {
        if min < 0 || max < min {
            return Err(Error::invalid_argument(format!(
                "a time range begins at 0 or later and does not end before it begins: {min} to {max}"
            )));
        }
        Ok(Self { min, max })
    }

    /// One timestamp.
    ///
    /// # Errors
    ///
    /// If it is negative or `i64::MAX`.
    pub fn at(timestamp: i64) -> Result<Self> {
        match timestamp.checked_add(1) {
            Some(end) => Self::new(timestamp, end),
            None => Err(Error::invalid_argument("no time range holds the latest timestamp alone")),
        }
    }

    /// From a timestamp on; all of time for one that is negative.
    #[must_use]
    pub fn since(min: i64) -> Self {
        Self { min: min.max(0), max: i64::MAX }
    }

    /// The first timestamp.
    #[must_use]
    pub fn min(self) -> i64 {
        self.min
    }

    /// The first timestamp behind.
    #[must_use]
    pub fn max(self) -> i64 {
        self.max
    }

    /// Whether this is all of time.
    #[inline]
    #[must_use]
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// Whether a timestamp is before, in or behind the range.
    #[inline]
    #[must_use]
    pub fn compare(self, timestamp: i64) -> Ordering {
        if self.is_all() {
            Ordering::Equal
        } else if timestamp < self.min {
            Ordering::Less
        } else if timestamp >= self.max {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }

    /// Whether a timestamp is in the range.
    #[inline]
    #[must_use]
    pub fn contains(self, timestamp: i64) -> bool {
        self.compare(timestamp).is_eq()
    }

    /// Whether a timestamp is in the range or behind it.
    #[inline]
    #[must_use]
    pub fn contains_or_before(self, timestamp: i64) -> bool {
        self.is_all() || timestamp >= self.min
    }

    /// Whether any of the timestamps from `min` to `max`, both included, may be in the range.
    #[inline]
    #[must_use]
    pub fn overlaps(self, min: i64, max: i64) -> bool {
        self.is_all() || min < self.max && max >= self.min
    }
}

impl Default for TimeRange {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert!(TimeRange::new(-1, 5).is_err() && TimeRange::new(5, 4).is_err());
        assert!(TimeRange::at(i64::MAX).is_err() && TimeRange::at(-1).is_err());
        let range = TimeRange::new(5, 10).unwrap();
        assert_eq!([4, 5, 9, 10].map(|ts| range.compare(ts) as i8), [-1, 0, 0, 1]);
        assert!(
            range.overlaps(0, 5) && !range.overlaps(0, 4) && range.overlaps(9, 9) && !range.overlaps(10, 20)
        );
        assert!(TimeRange::ALL.contains(i64::MAX) && TimeRange::ALL.contains(-5));
        assert!(!TimeRange::since(1).contains(i64::MAX) && TimeRange::since(0).is_all());
        assert!(range.contains_or_before(10) && !range.contains_or_before(4));
    }
}
