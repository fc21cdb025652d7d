//! Windows of time, which are longer the older they are (HBase: `ExponentialCompactionWindowFactory`,
//! `CompactionWindow`).

use crate::error::Result;
use crate::store::settings::Reader;
use std::cmp::Ordering;

/// How time is divided into windows (read-path.md §17.6, §21), in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowConfig {
    /// The length of the newest windows (`base.window.millis`, 6 hours).
    pub(crate) base: i64,
    /// The number of windows of one length; the next ones are this many times as long (`windows.per.tier`,
    /// 4).
    pub(crate) per_tier: i64,
    /// Windows older than this do not become longer (`max.tier.age.millis`, `max_file_age`).
    pub(crate) max_tier_age: i64,
    /// Files older than this are left alone (`max.storefile.age.millis`, no limit).
    pub(crate) max_file_age: i64,
    /// The number of files for a minor compaction of the newest window (`incoming.window.min`, 6).
    pub(crate) incoming_min: usize,
    /// Whether minor compactions make one file, even if it extends into older windows
    /// (`single.output.for.minor.compaction`, yes).
    pub(crate) single_output: bool,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            base: 6 * 3_600_000,
            per_tier: 4,
            max_tier_age: i64::MAX,
            max_file_age: i64::MAX,
            incoming_min: 6,
            single_output: true,
        }
    }
}

impl WindowConfig {
    pub(super) fn from_settings(read: &Reader<'_, '_>) -> Result<Self> {
        let default = Self::default();
        let max_file_age =
            read.or("hbase.hstore.compaction.date.tiered.max.storefile.age.millis", default.max_file_age)?;
        let config = Self {
            base: read.or("hbase.hstore.compaction.date.tiered.base.window.millis", default.base)?,
            per_tier: read.or("hbase.hstore.compaction.date.tiered.windows.per.tier", default.per_tier)?,
            max_tier_age: read.or("hbase.hstore.compaction.date.tiered.max.tier.age.millis", max_file_age)?,
            max_file_age,
            incoming_min: read
                .or("hbase.hstore.compaction.date.tiered.incoming.window.min", default.incoming_min)?,
            single_output: read.flag(
                "hbase.hstore.compaction.date.tiered.single.output.for.minor.compaction",
                default.single_output,
            ),
        };
        match read.class("hbase.hstore.compaction.date.tiered.window.factory.class") {
            None | Some("ExponentialCompactionWindowFactory") => {}
            Some(other) => return Err(read.unsupported("factory of windows", other)),
        }
        if config.base < 1 || config.per_tier < 1 {
            return Err(read.refused("a window of time is 1 ms long at least, and a tier has 1 at least"));
        }
        Ok(config)
    }

    /// Returns the window that contains `now`, from which all others are computed.
    pub(crate) fn incoming(&self, now: i64) -> Window {
        let cutoff = now.saturating_sub(self.max_tier_age);
        Window { millis: self.base, position: now.div_euclid(self.base), per_tier: self.per_tier, cutoff }
    }

    /// Returns the time before which files are left alone; `i64::MIN` without a limit.
    pub(crate) fn oldest(&self, now: i64) -> i64 {
        now.checked_sub(self.max_file_age).unwrap_or(i64::MIN)
    }

    /// Returns the starts of the windows from `now` back to `back_to`, the oldest first. The first one is
    /// `i64::MIN`: it covers all time before the second.
    ///
    /// There are at most [`MAX_WINDOWS`]. HBase has no limit: it may write to as many files at once, or not
    /// terminate.
    pub(crate) fn boundaries(&self, now: i64, back_to: i64) -> Vec<i64> {
        let windows = std::iter::successors(Some(self.incoming(now)), |window| Some(window.earlier()));
        let newer = windows.take_while(|window| window.compare(back_to).is_gt()).take(MAX_WINDOWS - 1);
        let mut starts: Vec<i64> =
            newer.map(|window| window.start()).filter(|start| *start > i64::MIN).collect();
        starts.push(i64::MIN);
        starts.reverse();
        starts.dedup();
        starts
    }
}

/// The maximum number of output files of a compaction.
pub(super) const MAX_WINDOWS: usize = 128;

/// A span of time: the `position`-th one of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    millis: i64,
    position: i64,
    per_tier: i64,
    /// Windows that begin before this do not become longer.
    cutoff: i64,
}

impl Window {
    /// Compares the window with a time: `Less` if it ends before the time.
    pub(crate) fn compare(&self, time: i64) -> Ordering {
        self.position.cmp(&time.div_euclid(self.millis))
    }

    /// Returns the previous window: the last one of the next tier, if this window's start is aligned to that
    /// tier.
    ///
    /// HBase counts times before 1970 differently, but there are none.
    pub(crate) fn earlier(&self) -> Self {
        let longer = self.millis.checked_mul(self.per_tier);
        let stays = self.position.rem_euclid(self.per_tier) > 0
            || longer.is_none_or(|longer| self.start().saturating_sub(longer) < self.cutoff);
        match longer {
            Some(millis) if !stays => {
                Self { millis, position: self.position.div_euclid(self.per_tier) - 1, ..*self }
            }
            _ => Self { position: self.position.saturating_sub(1), ..*self },
        }
    }

    /// Returns the first window, from this one back, that is not newer than a time. Takes a few steps for
    /// each tier, however many windows there are.
    pub(crate) fn back_to(self, time: i64) -> Self {
        let mut window = self;
        while window.compare(time).is_gt() {
            let position = time.div_euclid(window.millis);
            window = match window.last_of_tier() {
                Some(last) if last.position > position => last.earlier(),
                _ => Self { position, ..window },
            };
        }
        window
    }

    /// Returns the oldest window of this length; `None` if those before it are not longer.
    fn last_of_tier(&self) -> Option<Self> {
        let position = self.position.saturating_sub(self.position.rem_euclid(self.per_tier));
        let last = Self { position, ..*self };
        (last.earlier().millis > self.millis).then_some(last)
    }

    /// Returns the first time in the window.
    pub(crate) fn start(&self) -> i64 {
        self.millis.checked_mul(self.position).unwrap_or(if self.position < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(base: i64, per_tier: i64) -> WindowConfig {
        WindowConfig { base, per_tier, ..WindowConfig::default() }
    }

    #[test]
    fn windows_worked_out_by_hand() {
        let aged = |max_tier_age| WindowConfig { max_tier_age, ..config(10, 4) };
        let cases: [(i64, i64, WindowConfig, &[i64]); 8] = [
            // 160 is aligned to 40: the windows before it have length 40. The times before 40 are the rest.
            (165, 0, config(10, 4), &[i64::MIN, 40, 80, 120, 160]),
            (135, 0, config(10, 4), &[i64::MIN, 40, 80, 120, 130]),
            (135, 50, config(10, 4), &[i64::MIN, 80, 120, 130]),
            (135, 80, config(10, 4), &[i64::MIN, 120, 130]),
            // All in the window of now.
            (135, 130, config(10, 4), &[i64::MIN]),
            (135, 999, config(10, 4), &[i64::MIN]),
            // A window of 40 would begin at 80: not too old for an age of 60, too old for 50.
            (135, 75, aged(60), &[i64::MIN, 80, 120, 130]),
            (135, 75, aged(50), &[i64::MIN, 80, 90, 100, 110, 120, 130]),
        ];
        for (now, back_to, config, expected) in cases {
            assert_eq!(config.boundaries(now, back_to), expected, "{now} back to {back_to}");
        }
    }

    #[test]
    fn there_are_no_more_than_the_most() {
        assert_eq!(config(1, 1).boundaries(1_700_000_000_000, 0).len(), MAX_WINDOWS);
        assert!(config(1, 2).boundaries(i64::MAX, i64::MIN).len() <= MAX_WINDOWS);
        assert!(config(i64::MAX, i64::MAX).boundaries(5, i64::MIN).len() <= MAX_WINDOWS);
    }

    proptest! {
        #[test]
        fn windows_leave_no_gap(
            now in 0..4_000_000_000_000_i64,
            base in 1..100_000_000_i64,
            per_tier in 1..10_i64,
            max_tier_age in prop_oneof![Just(i64::MAX), 0..10_000_000_000_i64],
        ) {
            let config = WindowConfig { max_tier_age, ..config(base, per_tier) };
            let mut window = config.incoming(now);
            prop_assert!(window.compare(now).is_eq() && window.start() <= now);
            for _ in 0..50 {
                let earlier = window.earlier();
                // It ends where the other begins.
                prop_assert_eq!(earlier.start() + earlier.millis, window.start());
                prop_assert!(earlier.compare(earlier.start()).is_eq());
                prop_assert!(earlier.compare(window.start() - 1).is_eq());
                prop_assert!(earlier.compare(window.start()).is_lt());
                prop_assert!(earlier.compare(earlier.start() - 1).is_gt());
                prop_assert!(earlier.millis == window.millis || earlier.millis == window.millis * per_tier);
                if earlier.millis > window.millis {
                    prop_assert!(earlier.start() >= now.saturating_sub(max_tier_age));
                }
                prop_assert_eq!(config.incoming(now).back_to(earlier.start()), earlier);
                window = earlier;
                // Windows end near the least number.
                if window.start() < -(1 << 58) {
                    break;
                }
            }
            let starts = config.boundaries(now, 0);
            prop_assert!(starts.is_sorted_by(|a, b| a < b) && starts[0] == i64::MIN);
            prop_assert!(starts.len() <= MAX_WINDOWS);
        }
    }
}
