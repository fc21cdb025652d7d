//! What is set of compactions.

/// How files are chosen, with HBase's defaults (HBase: `CompactionConfiguration`; read-path.md §21).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CompactionConfig {
    /// Fewer files are not worth a minor compaction (`hbase.hstore.compaction.min`, 3; at least 2 are taken).
    pub(crate) min_files: usize,
    /// How many files are taken at once (`hbase.hstore.compaction.max`, 10).
    pub(crate) max_files: usize,
    /// So many bytes together are compacted whatever their ratio (`hbase.hstore.compaction.min.size`, 128 MiB).
    pub(crate) min_size: u64,
    /// More bytes than this are no minor compaction (`hbase.hstore.compaction.max.size`, no bound).
    pub(crate) max_size: u64,
    /// The same in off-peak hours (`hbase.hstore.compaction.max.size.offpeak`, no bound).
    pub(crate) max_size_off_peak: u64,
    /// No file is larger than so many times the others together (`hbase.hstore.compaction.ratio`, 1.2).
    pub(crate) ratio: f64,
    /// The same in off-peak hours (`hbase.hstore.compaction.ratio.offpeak`, 5.0).
    pub(crate) ratio_off_peak: f64,
    /// When there is little else to do (`hbase.offpeak.start.hour` and `end.hour`, never).
    pub(crate) off_peak: Option<OffPeakHours>,
    /// With so many files writes wait, so that any compaction is better than none
    /// (`hbase.hstore.blockingStoreFiles`, 16).
    pub(crate) blocking_files: usize,
    /// After how many milliseconds all files are compacted; 0 for never (`hbase.hregion.majorcompaction`, 7 days).
    pub(crate) major_period: i64,
    /// By which part of itself that period is longer or shorter (`hbase.hregion.majorcompaction.jitter`, 0.5).
    pub(crate) major_jitter: f64,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            min_files: 3,
            max_files: 10,
            min_size: 128 << 20,
            max_size: i64::MAX.cast_unsigned(),
            max_size_off_peak: i64::MAX.cast_unsigned(),
            ratio: 1.2,
            ratio_off_peak: 5.0,
            off_peak: None,
            blocking_files: 16,
            major_period: 7 * 24 * 3_600_000,
            major_jitter: 0.5,
        }
    }
}

impl CompactionConfig {
    /// The fewest files of a minor compaction.
    pub(crate) fn least_files(&self) -> usize {
        self.min_files.max(2)
    }

    /// The ratio in force at a time.
    pub(crate) fn ratio_at(&self, now: i64) -> f64 {
        if self.is_off_peak(now) { self.ratio_off_peak } else { self.ratio }
    }

    /// The largest compaction at a time.
    pub(crate) fn max_size_at(&self, now: i64) -> u64 {
        if self.is_off_peak(now) { self.max_size_off_peak } else { self.max_size }
    }

    fn is_off_peak(&self, now: i64) -> bool {
        self.off_peak.is_some_and(|hours| hours.contains(now))
    }
}

/// The hours of a day from `start` to before `end`, which may be of the next day (HBase: `OffPeakHours`). Equal
/// hours are none.
///
/// HBase goes by the server's local time; here it is UTC, as the crate knows no time zone. And HBase runs one
/// off-peak compaction on a server at a time, which is for the caller to see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffPeakHours {
    pub(crate) start: u8,
    pub(crate) end: u8,
}

impl OffPeakHours {
    fn contains(self, now: i64) -> bool {
        let hour = now.div_euclid(3_600_000).rem_euclid(24);
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        if start <= end { (start..end).contains(&hour) } else { hour >= start || hour < end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_peak_hours_may_pass_midnight() {
        let at = |start, end, hour: i64| OffPeakHours { start, end }.contains(hour * 3_600_000 + 1);
        assert!(at(1, 5, 1) && at(1, 5, 4) && !at(1, 5, 5) && !at(1, 5, 0));
        assert!(at(22, 2, 23) && at(22, 2, 0) && !at(22, 2, 2) && !at(22, 2, 21));
        assert!(!at(3, 3, 3) && at(1, 5, 24 * 365 + 2) && at(22, 2, -1));
    }

    #[test]
    fn off_peak_the_bounds_are_others() {
        let hours = OffPeakHours { start: 1, end: 2 };
        let config =
            CompactionConfig { off_peak: Some(hours), max_size_off_peak: 7, ..CompactionConfig::default() };
        assert_eq!((config.ratio_at(0), config.max_size_at(0)), (1.2, i64::MAX.cast_unsigned()));
        assert_eq!((config.ratio_at(3_600_000), config.max_size_at(3_600_000)), (5.0, 7));
    }
}
