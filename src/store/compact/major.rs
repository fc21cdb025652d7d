//! Decides whether a major compaction is due (HBase:
//! `RatioBasedCompactionPolicy#shouldPerformMajorCompaction`).

use super::{CandidateFile, CompactionConfig};
use xxhash_rust::xxh3::Xxh3;

/// Whether the oldest file is older than the period of major compactions (read-path.md §17.6).
///
/// A single file made by a major compaction is rewritten only if some of its cells have expired. (HBase also
/// rewrites it if too little of it is on the server's own disks. Locality is not considered here.) A single
/// file made otherwise is rewritten once, which drops its markers. HBase does not rewrite it before its cells
/// have expired, and never without a time to live.
pub(super) fn is_due(
    files: &[&CandidateFile],
    config: &CompactionConfig,
    now: i64,
    ttl: Option<i64>,
) -> bool {
    if !is_old(files, config, now) {
        return false;
    }
    let [file] = files else { return true };
    let expires = |ttl| file.min_timestamp.is_some_and(|min| min < now.saturating_sub(ttl));
    !file.is_major_compaction || ttl.is_some_and(expires)
}

/// Whether the oldest file is older than the period.
pub(super) fn is_old(files: &[&CandidateFile], config: &CompactionConfig, now: i64) -> bool {
    let Some(period) = period(files, config) else { return false };
    let oldest = files.iter().map(|file| file.modified).min();
    oldest.is_some_and(|oldest| oldest > 0 && oldest < now.saturating_sub(period))
}

/// Returns the period of major compactions of these files in milliseconds, `None` for never: the configured
/// one, varied by up to the jitter.
///
/// The variation depends on the files' names alone, in any order. It stays the same when a region is
/// reopened, and regions of the same age do not all begin at once. HBase does the same, but with
/// `java.util.Random`; the hash here is xxh3 of the sorted names. A region is open in only one of them at a
/// time, so they need not agree.
fn period(files: &[&CandidateFile], config: &CompactionConfig) -> Option<i64> {
    let period = config.major_period;
    if period <= 0 {
        return None;
    }
    let jitter = scaled(period, config.major_jitter.clamp(0.0, 1.0));
    let mut names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    let mut hash = Xxh3::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update(&[0]);
    }
    Some((period - jitter).saturating_add(scaled(jitter, 2.0 * fraction(hash.digest()))))
}

/// Returns a number from 0 to below 1, from the hash's upper 53 bits.
#[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn fraction(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a cast to an integer saturates, and a period need not be exact"
)]
fn scaled(millis: i64, by: f64) -> i64 {
    (millis as f64 * by).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600_000;
    const NOW: i64 = 1_000 * DAY;

    fn file(name: &str, age: i64) -> CandidateFile {
        CandidateFile { name: name.into(), modified: NOW - age, ..CandidateFile::default() }
    }

    fn due(files: &[CandidateFile], config: &CompactionConfig, ttl: Option<i64>) -> bool {
        is_due(&files.iter().collect::<Vec<_>>(), config, NOW, ttl)
    }

    fn exact() -> CompactionConfig {
        CompactionConfig { major_jitter: 0.0, ..CompactionConfig::default() }
    }

    #[test]
    fn the_oldest_file_decides() {
        let young = file("a", DAY);
        assert!(!due(&[file("b", 7 * DAY), young.clone()], &exact(), None));
        assert!(due(&[file("b", 7 * DAY + 1), young.clone()], &exact(), None));
        assert!(due(&[young, file("b", 7 * DAY + 1)], &exact(), None));
        assert!(!due(&[], &exact(), None));
        let never = CompactionConfig { major_period: 0, ..exact() };
        assert!(!due(&[file("b", NOW - 1), file("a", NOW - 1)], &never, None));
        // A file without a time has no effect.
        assert!(!due(&[file("b", NOW), file("a", DAY)], &exact(), None));
    }

    #[test]
    fn a_single_major_file_is_left_alone_until_its_cells_expire() {
        let mut one = file("a", 8 * DAY);
        assert!(due(std::slice::from_ref(&one), &exact(), None));
        one.is_major_compaction = true;
        one.min_timestamp = Some(NOW - 9 * DAY);
        assert!(!due(std::slice::from_ref(&one), &exact(), None));
        assert!(!due(std::slice::from_ref(&one), &exact(), Some(9 * DAY)));
        assert!(due(std::slice::from_ref(&one), &exact(), Some(9 * DAY - 1)));
        one.min_timestamp = None;
        assert!(!due(&[one], &exact(), Some(1)));
    }

    #[test]
    fn the_jitter_is_of_the_names() {
        let config = CompactionConfig::default();
        let (a, b) = (file("a", 0), file("b", 0));
        assert_eq!(period(&[&a, &b], &config), period(&[&b, &a], &config));
        assert_ne!(period(&[&a], &config), period(&[&b], &config));
        let periods: Vec<i64> =
            (0..1000).map(|n| period(&[&file(&n.to_string(), 0)], &config).unwrap()).collect();
        let (least, most) = (7 * DAY / 2, 7 * DAY * 3 / 2);
        assert!(periods.iter().all(|period| (least..=most).contains(period)));
        // They spread over the whole span.
        for part in 0..10 {
            let from = least + part * (most - least) / 10;
            assert!(periods.iter().any(|p| (from..=from + (most - least) / 10).contains(p)), "{part}");
        }
        assert_eq!(period(&[&a], &exact()), Some(7 * DAY));
        let whole = CompactionConfig { major_jitter: 7.0, major_period: i64::MAX, ..config };
        assert!(period(&[&a], &whole).unwrap() >= 0);
    }
}
