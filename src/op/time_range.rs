//! Ranges of timestamps (read-path.md §1.5; HBase: `TimeRange`, `TimeRangeTracker`).

use crate::error::{Error, Result};
use std::cmp::Ordering;

/// A range of timestamps in milliseconds: from an inclusive minimum to an exclusive maximum (HBase:
/// `TimeRange`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    min: i64,
    max: i64,
}

impl TimeRange {
    /// All timestamps, including `i64::MAX`.
    pub const ALL: Self = Self { min: 0, max: i64::MAX };

    /// Creates the range from `min`, inclusive, to `max`, exclusive, in milliseconds.
    ///
    /// # Errors
    ///
    /// If a bound is negative, or `max` is less than `min`.
    pub fn new(min: i64, max: i64) -> Result<Self> {
        if min < 0 || max < min {
            return Err(Error::invalid_argument(format!(
                "a time range begins at 0 or later and does not end before it begins: {min} to {max}"
            )));
        }
        Ok(Self { min, max })
    }

    /// Creates the range of one timestamp.
    ///
    /// # Errors
    ///
    /// If the timestamp is negative or `i64::MAX`.
    pub fn at(timestamp: i64) -> Result<Self> {
        match timestamp.checked_add(1) {
            Some(end) => Self::new(timestamp, end),
            None => Err(Error::invalid_argument("a time range cannot contain only the latest timestamp")),
        }
    }

    /// Creates the range from `min`, inclusive, without an end. A negative `min` gives all timestamps.
    #[must_use]
    pub fn since(min: i64) -> Self {
        Self { min: min.max(0), max: i64::MAX }
    }

    /// Returns the first timestamp of the range.
    #[must_use]
    pub fn min(self) -> i64 {
        self.min
    }

    /// Returns the first timestamp after the range.
    #[must_use]
    pub fn max(self) -> i64 {
        self.max
    }

    /// Whether the range is [`ALL`](Self::ALL).
    #[inline]
    #[must_use]
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// Returns whether a timestamp is before, in or after the range.
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

    /// Whether a timestamp is in the range (HBase: `withinTimeRange`).
    #[inline]
    #[must_use]
    pub fn contains(self, timestamp: i64) -> bool {
        self.compare(timestamp).is_eq()
    }

    /// Whether the range contains a timestamp or ends before it (HBase: `withinOrAfterTimeRange`).
    #[inline]
    #[must_use]
    pub fn contains_or_before(self, timestamp: i64) -> bool {
        self.is_all() || timestamp >= self.min
    }

    /// Whether the range may contain any timestamp from `min` to `max`, both inclusive (HBase:
    /// `includesTimeRange`).
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
