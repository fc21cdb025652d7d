//! Settings of compactions.

use super::window::WindowConfig;
use crate::error::{Error, Result};
use crate::schema::{Codec, Family};
use crate::store::settings::{Reader, Setting};

/// The policy that chooses the files of a minor compaction (read-path.md §17.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The best of all runs of neighbouring files (HBase: `ExploringCompactionPolicy`).
    Exploring,
    /// All files but the oldest ones that are too large (HBase: `RatioBasedCompactionPolicy`).
    Ratio,
    /// Files of one window of time (HBase: `DateTieredCompactionPolicy`), chosen by one of the two others.
    DateTiered,
    /// None: files are dropped when all their cells have expired (HBase: `FIFOCompactionPolicy`).
    Fifo,
}

/// Chooses files within a window.
pub(crate) type WindowPolicy =
    fn(&[&super::CandidateFile], &CompactionConfig, i64, bool) -> std::ops::Range<usize>;

/// The parameters of the selection of files, with HBase's defaults (HBase: `CompactionConfiguration`;
/// read-path.md §21).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CompactionConfig {
    /// The policy (`hbase.hstore.engine.class`, `hbase.hstore.defaultengine.compactionpolicy.class`).
    pub(crate) policy: Policy,
    /// Whether [`Policy::Ratio`] chooses within a window of time
    /// (`hbase.hstore.compaction.date.tiered.window.policy.class`, exploring).
    pub(crate) ratio_in_window: bool,
    /// The windows of time (`hbase.hstore.compaction.date.tiered.*`).
    pub(crate) windows: WindowConfig,
    /// The fewest files of a minor compaction (`hbase.hstore.compaction.min`, 3; values below 2 act as 2).
    pub(crate) min_files: usize,
    /// The most files of a compaction (`hbase.hstore.compaction.max`, 10).
    pub(crate) max_files: usize,
    /// Files below this many bytes are compacted regardless of their ratio
    /// (`hbase.hstore.compaction.min.size`, 128 MiB).
    pub(crate) min_size: u64,
    /// The most bytes of a minor compaction (`hbase.hstore.compaction.max.size`, no limit).
    pub(crate) max_size: u64,
    /// The same in off-peak hours (`hbase.hstore.compaction.max.size.offpeak`, no limit).
    pub(crate) max_size_off_peak: u64,
    /// No file is larger than this many times the total of the others (`hbase.hstore.compaction.ratio`, 1.2).
    pub(crate) ratio: f64,
    /// The same in off-peak hours (`hbase.hstore.compaction.ratio.offpeak`, 5.0).
    pub(crate) ratio_off_peak: f64,
    /// The off-peak hours (`hbase.offpeak.start.hour` and `end.hour`, never).
    pub(crate) off_peak: Option<OffPeakHours>,
    /// The number of seconds by which the local time of these hours is ahead of UTC.
    pub(crate) utc_offset: i32,
    /// With this many files, writes are blocked, so that any compaction is better than none
    /// (`hbase.hstore.blockingStoreFiles`, 16).
    pub(crate) blocking_files: usize,
    /// The period of major compactions in milliseconds; 0 for never (`hbase.hregion.majorcompaction`, 7
    /// days).
    pub(crate) major_period: i64,
    /// The fraction of that period by which it may vary (`hbase.hregion.majorcompaction.jitter`, 0.5).
    pub(crate) major_jitter: f64,
    /// The number of milliseconds for which major compactions keep every marker
    /// (`hbase.hstore.time.to.purge.deletes`, 0).
    pub(crate) time_to_purge_deletes: i64,
    /// The number of milliseconds for which files keep their sequence ids
    /// (`hbase.hstore.compaction.keep.seqId.period`, at least 5 days).
    pub(crate) keep_seq_id_period: i64,
    /// Whether expired files are dropped without being read (`hbase.store.delete.expired.storefile`, yes).
    pub(crate) drops_expired: bool,
    /// The codec of the files of major compactions (`COMPRESSION_COMPACT_MAJOR`, that of the family).
    pub(crate) major_codec: Option<Codec>,
    /// The codec of the files of other compactions, even those that happen to take all files
    /// (`COMPRESSION_COMPACT_MINOR`, that of the family).
    pub(crate) minor_codec: Option<Codec>,
}

const DAY: i64 = 24 * 3_600_000;

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Exploring,
            ratio_in_window: false,
            windows: WindowConfig::default(),
            min_files: 3,
            max_files: 10,
            min_size: 128 << 20,
            max_size: i64::MAX.cast_unsigned(),
            max_size_off_peak: i64::MAX.cast_unsigned(),
            ratio: f64::from(1.2_f32),
            ratio_off_peak: 5.0,
            off_peak: None,
            utc_offset: 0,
            blocking_files: 16,
            major_period: 7 * DAY,
            major_jitter: 0.5,
            time_to_purge_deletes: 0,
            keep_seq_id_period: 5 * DAY,
            drops_expired: true,
            major_codec: None,
            minor_codec: None,
        }
    }
}

impl CompactionConfig {
    /// Returns the settings of a family, with HBase's defaults for the rest (HBase:
    /// `CompactionConfiguration`, `StoreEngine.create`, `DefaultStoreEngine.createCompactionPolicy`).
    ///
    /// A store with a stripe engine is compacted like others: HBase treats the outputs as files of level 0,
    /// and cuts them into stripes again.
    ///
    /// # Errors
    ///
    /// If a number is invalid, a class is not known, or the family does not support the policy.
    pub(crate) fn from_settings<'s>(family: &Family, setting: Setting<'_, 's>) -> Result<Self> {
        let read = Reader { family: family.name(), setting };
        let default = Self::default();
        let flush_size = read.flush_size()?.unwrap_or(default.min_size);
        let old_min = read.or("hbase.hstore.compactionThreshold", default.min_files)?;
        let max_size = read.or("hbase.hstore.compaction.max.size", default.max_size)?;
        let keep_days: i64 = read.or("hbase.hstore.compaction.keep.seqId.period", 5)?;
        let codec_of_both = codec(&read, "COMPRESSION_COMPACT")?;
        let config = Self {
            policy: policy(&read)?,
            ratio_in_window: match read.class("hbase.hstore.compaction.date.tiered.window.policy.class") {
                None | Some("ExploringCompactionPolicy") => false,
                Some("RatioBasedCompactionPolicy") => true,
                Some(other) => return Err(read.unsupported("compaction policy of a window", other)),
            },
            windows: WindowConfig::from_settings(&read)?,
            min_files: read.or("hbase.hstore.compaction.min", old_min)?,
            max_files: read.or("hbase.hstore.compaction.max", default.max_files)?,
            min_size: read.or("hbase.hstore.compaction.min.size", flush_size)?,
            max_size,
            max_size_off_peak: read.or("hbase.hstore.compaction.max.size.offpeak", max_size)?,
            ratio: read.float_or("hbase.hstore.compaction.ratio", default.ratio)?,
            ratio_off_peak: read.float_or("hbase.hstore.compaction.ratio.offpeak", default.ratio_off_peak)?,
            off_peak: off_peak(&read)?,
            utc_offset: 0,
            blocking_files: read.or("hbase.hstore.blockingStoreFiles", default.blocking_files)?,
            major_period: read.or("hbase.hregion.majorcompaction", default.major_period)?,
            major_jitter: read.float_or("hbase.hregion.majorcompaction.jitter", default.major_jitter)?,
            time_to_purge_deletes: read.or("hbase.hstore.time.to.purge.deletes", 0)?.max(0),
            keep_seq_id_period: keep_days.max(5).saturating_mul(DAY),
            drops_expired: read.flag("hbase.store.delete.expired.storefile", true),
            major_codec: codec(&read, "COMPRESSION_COMPACT_MAJOR")?.or(codec_of_both),
            minor_codec: codec(&read, "COMPRESSION_COMPACT_MINOR")?.or(codec_of_both),
        };
        if config.policy == Policy::Fifo && (family.ttl.is_none() || family.min_versions > 0) {
            return Err(read.refused("compactions by FIFO need a TTL, and MIN_VERSIONS of 0"));
        }
        Ok(config)
    }

    /// Returns the function that chooses among the files of one window, or of a store without windows.
    pub(super) fn window_policy(&self) -> WindowPolicy {
        let ratio = self.policy == Policy::Ratio || self.policy == Policy::DateTiered && self.ratio_in_window;
        if ratio { super::ratio::choose } else { super::exploring::choose }
    }

    /// Returns the fewest files of a minor compaction.
    pub(crate) fn least_files(&self) -> usize {
        self.min_files.max(2)
    }

    /// Returns the ratio that applies at a time.
    pub(crate) fn ratio_at(&self, now: i64) -> f64 {
        if self.is_off_peak(now) { self.ratio_off_peak } else { self.ratio }
    }

    /// Returns the largest size of a compaction at a time, in bytes.
    pub(crate) fn max_size_at(&self, now: i64) -> u64 {
        if self.is_off_peak(now) { self.max_size_off_peak } else { self.max_size }
    }

    fn is_off_peak(&self, now: i64) -> bool {
        let local = now.saturating_add(i64::from(self.utc_offset) * 1000);
        self.off_peak.is_some_and(|hours| hours.contains(local))
    }
}

/// The hours of a day from `start` to before `end`, which may be on the next day (HBase: `OffPeakHours`).
/// Empty if both are equal.
///
/// HBase runs only one off-peak compaction per server at a time; here this is up to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffPeakHours {
    pub(crate) start: u8,
    pub(crate) end: u8,
}

impl OffPeakHours {
    fn contains(self, local: i64) -> bool {
        let hour = local.div_euclid(3_600_000).rem_euclid(24);
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        if start <= end { (start..end).contains(&hour) } else { hour >= start || hour < end }
    }
}

/// Returns the policy: that of the engine's class or, for HBase's default engine, that of the policy's class.
/// Fails if a class would write other files than HBase's classes (HBase: `DefaultStoreEngine`).
fn policy(read: &Reader<'_, '_>) -> Result<Policy> {
    match read.class("hbase.hstore.engine.class") {
        None | Some("DefaultStoreEngine") => {}
        Some("DateTieredStoreEngine") => return Ok(Policy::DateTiered),
        Some("StripeStoreEngine") => return Ok(Policy::Exploring),
        Some(other) => return Err(read.unsupported("store engine", other)),
    }
    for (key, what, class) in [
        ("hbase.hstore.defaultengine.compactor.class", "compactor", "DefaultCompactor"),
        ("hbase.hstore.defaultengine.storeflusher.class", "store flusher", "DefaultStoreFlusher"),
    ] {
        if let Some(other) = read.class(key).filter(|name| *name != class) {
            return Err(read.unsupported(what, other));
        }
    }
    match read.class("hbase.hstore.defaultengine.compactionpolicy.class") {
        None | Some("ExploringCompactionPolicy") => Ok(Policy::Exploring),
        Some("RatioBasedCompactionPolicy") => Ok(Policy::Ratio),
        Some("FIFOCompactionPolicy") => Ok(Policy::Fifo),
        Some(other) => Err(read.unsupported("compaction policy", other)),
    }
}

/// Returns the codec named by a setting.
fn codec(read: &Reader<'_, '_>, key: &'static str) -> Result<Option<Codec>> {
    let Some(name) = (read.setting)(key) else { return Ok(None) };
    Codec::from_name(name).map(Some).ok_or_else(|| read.unsupported(key, name))
}

/// Returns the off-peak hours. Invalid hours, such as HBase's default of -1, give none.
fn off_peak(read: &Reader<'_, '_>) -> Result<Option<OffPeakHours>> {
    let hour = |key| Ok::<_, Error>(u8::try_from(read.or(key, -1_i64)?).ok().filter(|hour| *hour < 24));
    let hours = hour("hbase.offpeak.start.hour")?.zip(hour("hbase.offpeak.end.hour")?);
    Ok(hours.filter(|(start, end)| start != end).map(|(start, end)| OffPeakHours { start, end }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::settings::tests::find;
    use std::time::Duration;

    fn of(family: &Family, settings: &[(&str, &'static str)]) -> Result<CompactionConfig> {
        CompactionConfig::from_settings(family, &|key| find(settings, key))
    }

    #[test]
    fn settings_override_the_defaults() {
        let family = Family::new("f");
        assert_eq!(of(&family, &[]).unwrap(), CompactionConfig::default());
        let default = CompactionConfig::default();
        let hours = |start, end| Some(OffPeakHours { start, end });
        let codecs = |major, minor| CompactionConfig {
            major_codec: Some(major),
            minor_codec: Some(minor),
            ..default.clone()
        };
        let windows = |max_file_age, max_tier_age| CompactionConfig {
            windows: WindowConfig { max_file_age, max_tier_age, ..WindowConfig::default() },
            ..default.clone()
        };
        let cases: [(&[(&str, &'static str)], CompactionConfig); 19] = [
            (&[("COMPRESSION_COMPACT", "gz")], codecs(Codec::Gz, Codec::Gz)),
            (
                &[("COMPRESSION_COMPACT_MAJOR", "ZSTD"), ("COMPRESSION_COMPACT", "GZ")],
                codecs(Codec::Zstd, Codec::Gz),
            ),
            (
                &[("hbase.hstore.compactionThreshold", "4")],
                CompactionConfig { min_files: 4, ..default.clone() },
            ),
            (
                &[("hbase.hstore.compactionThreshold", "4"), ("hbase.hstore.compaction.min", "5")],
                CompactionConfig { min_files: 5, ..default.clone() },
            ),
            (&[("hbase.hstore.compaction.max", " 7 ")], CompactionConfig { max_files: 7, ..default.clone() }),
            (&[("MEMSTORE_FLUSHSIZE", "1000")], CompactionConfig { min_size: 1000, ..default.clone() }),
            (
                &[("MEMSTORE_FLUSHSIZE", "1000"), ("hbase.hstore.compaction.min.size", "9")],
                CompactionConfig { min_size: 9, ..default.clone() },
            ),
            (
                &[("hbase.hstore.compaction.max.size", "8")],
                CompactionConfig { max_size: 8, max_size_off_peak: 8, ..default.clone() },
            ),
            (&[("hbase.hstore.compaction.ratio", "1.5")], CompactionConfig { ratio: 1.5, ..default.clone() }),
            // As in hbase-default.xml.
            (
                &[
                    ("hbase.hstore.compaction.ratio", "1.2F"),
                    ("hbase.hstore.compaction.ratio.offpeak", "5.0F"),
                ],
                default.clone(),
            ),
            (
                &[("hbase.offpeak.start.hour", "22"), ("hbase.offpeak.end.hour", "4")],
                CompactionConfig { off_peak: hours(22, 4), ..default.clone() },
            ),
            (&[("hbase.offpeak.start.hour", "22")], default.clone()),
            (&[("hbase.offpeak.start.hour", "4"), ("hbase.offpeak.end.hour", "4")], default.clone()),
            (
                &[("hbase.hstore.time.to.purge.deletes", "60000")],
                CompactionConfig { time_to_purge_deletes: 60_000, ..default.clone() },
            ),
            (
                &[("hbase.hstore.compaction.keep.seqId.period", "6")],
                CompactionConfig { keep_seq_id_period: 6 * DAY, ..default.clone() },
            ),
            // Windows that are too old for a compaction do not become longer.
            (&[("hbase.hstore.compaction.date.tiered.max.storefile.age.millis", "7")], windows(7, 7)),
            (
                &[
                    ("hbase.hstore.compaction.date.tiered.max.storefile.age.millis", "7"),
                    ("hbase.hstore.compaction.date.tiered.max.tier.age.millis", "8"),
                ],
                windows(7, 8),
            ),
            // Less than HBase allows.
            (&[("hbase.hstore.compaction.keep.seqId.period", "1")], default.clone()),
            (
                &[("hbase.store.delete.expired.storefile", "False")],
                CompactionConfig { drops_expired: false, ..default.clone() },
            ),
        ];
        for (settings, expected) in cases {
            assert_eq!(of(&family, settings).unwrap(), expected, "{settings:?}");
        }
    }

    #[test]
    fn classes_name_policies() {
        const ENGINE: &str = "hbase.hstore.engine.class";
        const POLICY: &str = "hbase.hstore.defaultengine.compactionpolicy.class";
        const COMPACTOR: &str = "hbase.hstore.defaultengine.compactor.class";
        const FLUSHER: &str = "hbase.hstore.defaultengine.storeflusher.class";
        const PACKAGE: &str = "org.apache.hadoop.hbase.regionserver.compactions.RatioBasedCompactionPolicy";
        let fifo = Family::new("f").ttl(Duration::from_secs(10));
        let policy = |settings: &[(&str, &'static str)]| of(&fifo, settings).map(|config| config.policy);
        for (settings, expected) in [
            (
                &[(ENGINE, "org.apache.hadoop.hbase.regionserver.DateTieredStoreEngine")][..],
                Policy::DateTiered,
            ),
            (&[(ENGINE, "org.apache.hadoop.hbase.regionserver.StripeStoreEngine")], Policy::Exploring),
            (&[(ENGINE, "org.apache.hadoop.hbase.regionserver.DefaultStoreEngine")], Policy::Exploring),
            (&[(POLICY, PACKAGE)], Policy::Ratio),
            (&[(POLICY, "FIFOCompactionPolicy")], Policy::Fifo),
            // These classes apply to HBase's default engine only.
            (&[(POLICY, PACKAGE), (ENGINE, "DateTieredStoreEngine")], Policy::DateTiered),
            (&[(COMPACTOR, "x.Y"), (FLUSHER, "x.Y"), (ENGINE, "DateTieredStoreEngine")], Policy::DateTiered),
            (
                &[
                    (COMPACTOR, "org.apache.hadoop.hbase.regionserver.compactions.DefaultCompactor"),
                    (FLUSHER, "org.apache.hadoop.hbase.regionserver.DefaultStoreFlusher"),
                ],
                Policy::Exploring,
            ),
        ] {
            assert_eq!(policy(settings).unwrap(), expected, "{settings:?}");
        }
        for (settings, part) in [
            (&[(ENGINE, "com.example.Engine")][..], "com.example.Engine"),
            (&[(POLICY, "com.example.Policy")], "com.example.Policy"),
            (&[(COMPACTOR, "com.example.Compactor")], "compactor \"com.example.Compactor\""),
            (&[(FLUSHER, "com.example.Flusher")], "store flusher \"com.example.Flusher\""),
            (&[("hbase.hstore.compaction.date.tiered.window.policy.class", "x.Y")], "x.Y"),
            (&[("hbase.hstore.compaction.max", "many")], "hbase.hstore.compaction.max"),
            (&[("hbase.hstore.compaction.ratio", "NaN")], "hbase.hstore.compaction.ratio"),
            (&[("COMPRESSION_COMPACT", "ARC")], "COMPRESSION_COMPACT \"ARC\""),
        ] {
            let error = policy(settings).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        for wrong in
            [Family::new("f"), Family::new("f").ttl(Duration::from_secs(10)).max_versions(3).min_versions(1)]
        {
            let error = of(&wrong, &[(POLICY, "FIFOCompactionPolicy")]).unwrap_err().to_string();
            assert!(error.contains("FIFO"), "{error}");
        }
    }

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
        let usual = f64::from(1.2_f32);
        assert_eq!((config.ratio_at(0), config.max_size_at(0)), (usual, i64::MAX.cast_unsigned()));
        assert_eq!((config.ratio_at(3_600_000), config.max_size_at(3_600_000)), (5.0, 7));
        // two hours ahead of UTC, and five and a half behind
        for (utc_offset, begins) in [(7200, 23 * 3_600_000), (-19_800, 23_400_000)] {
            let config = CompactionConfig { utc_offset, ..config.clone() };
            let ratios = [begins - 1, begins, begins + 3_599_999, begins + 3_600_000];
            assert_eq!(ratios.map(|now| config.ratio_at(now)), [usual, 5.0, 5.0, usual], "{utc_offset}");
        }
        let config = CompactionConfig { utc_offset: i32::MAX, ..config };
        assert!(config.ratio_at(i64::MAX) > 0.0);
    }
}
