//! Chooses the run of files for a minor compaction (HBase: `ExploringCompactionPolicy`).

use super::{CandidateFile, CompactionConfig};
use std::ops::Range;

/// Chooses among all runs of neighbouring files, oldest first, of the right number and size
/// (read-path.md §17.6).
///
/// A run qualifies if it is small as a whole, or none of its files is too large compared with the others. Of
/// the qualifying runs the one with more files is better, then the smaller one, then the older one. A store
/// that may be stuck takes a later run only if it has clearly more files per byte. If no run qualifies, such
/// a store takes the smallest one.
///
/// Empty if there is nothing to compact. Examines up to `max_files` runs from each start.
pub(super) fn choose(
    files: &[&CandidateFile],
    config: &CompactionConfig,
    now: i64,
    stuck: bool,
) -> Range<usize> {
    let (ratio, max_size) = (config.ratio_at(now), config.max_size_at(now));
    let mut best: Option<Run> = None;
    let mut smallest: Option<Run> = None;
    for start in 0..files.len() {
        let (mut size, mut largest) = (0_u64, 0);
        for (end, file) in (start + 1..).zip(&files[start..]).take(config.max_files) {
            size = size.saturating_add(file.len);
            largest = largest.max(file.len);
            let run = Run { start, end, size };
            if run.len() < config.least_files() {
                continue;
            }
            if smallest.as_ref().is_none_or(|smallest| size < smallest.size) {
                smallest = Some(run.clone());
            }
            // If the largest file is not too large, none is.
            let fits = size < config.min_size || !is_too_large(largest, size, ratio);
            if size <= max_size && fits && best.as_ref().is_none_or(|best| run.is_better(best, stuck)) {
                best = Some(run);
            }
        }
    }
    best.or_else(|| smallest.filter(|_| stuck)).map_or(0..0, |run| run.start..run.end)
}

/// Whether a file is larger than `ratio` times the others of a run of `size` bytes.
#[allow(clippy::cast_precision_loss, reason = "HBase compares in floating point, too")]
fn is_too_large(len: u64, size: u64, ratio: f64) -> bool {
    len as f64 > (size - len) as f64 * ratio
}

/// The files from `start` to before `end`.
#[derive(Clone)]
struct Run {
    start: usize,
    end: usize,
    size: u64,
}

impl Run {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn is_better(&self, best: &Self, stuck: bool) -> bool {
        if stuck && self.size > 0 && best.size > 0 {
            // 1.05 times as many files per byte, cross-multiplied.
            let quality = |run: &Self, other: &Self| run.len() as u128 * u128::from(other.size);
            return quality(best, self) * 105 < quality(self, best) * 100;
        }
        self.len() > best.len() || self.len() == best.len() && self.size < best.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn files(lens: &[u64]) -> Vec<CandidateFile> {
        lens.iter().map(|&len| CandidateFile { len, ..CandidateFile::default() }).collect()
    }

    fn chosen(lens: &[u64], config: &CompactionConfig, stuck: bool) -> Range<usize> {
        let files = files(lens);
        choose(&files.iter().collect::<Vec<_>>(), config, 0, stuck)
    }

    fn config(min_size: u64) -> CompactionConfig {
        CompactionConfig { min_size, ..CompactionConfig::default() }
    }

    #[test]
    fn runs_worked_out_by_hand() {
        let cases: [(&str, &[u64], u64, Range<usize>); 11] = [
            ("too few", &[10, 10], 0, 0..0),
            ("all alike", &[10, 10, 10], 0, 0..3),
            // 100 > 1.2 × 30: the first is left out.
            ("one giant", &[100, 10, 10, 10], 0, 1..4),
            // 24 = 1.2 × 20 is not larger.
            ("exactly in ratio", &[24, 10, 10], 0, 0..3),
            ("just out of ratio", &[25, 10, 10], 0, 0..0),
            // Small as a whole: the ratio does not apply.
            ("below the least size", &[25, 10, 10], 46, 0..3),
            ("at the least size", &[25, 10, 10], 45, 0..0),
            // Four of 100, 30, 20, 20: 100 > 84. Three: 30 <= 48.
            ("falling", &[100, 30, 20, 20], 0, 1..4),
            // Both triples qualify. The second is smaller.
            ("the smaller of equally many", &[30, 30, 30, 1_000_000, 20, 20, 20], 0, 4..7),
            ("the older of equal ones", &[20, 20, 20, 1_000_000, 20, 20, 20], 0, 0..3),
            // The largest is in the middle, and counts there, too.
            ("a giant in the middle", &[10, 10, 100, 10, 10], 0, 0..0),
        ];
        for (name, lens, min_size, expected) in cases {
            assert_eq!(chosen(lens, &config(min_size), false), expected, "{name}");
        }
    }

    #[test]
    fn no_more_than_the_most_files() {
        let config = CompactionConfig { max_files: 4, ..config(0) };
        // Two runs of four: the second is smaller.
        assert_eq!(chosen(&[11, 10, 10, 10, 10], &config, false), 1..5);
        assert_eq!(chosen(&[10; 20], &config, false), 0..4);
    }

    #[test]
    fn no_more_than_the_most_bytes() {
        let config = CompactionConfig { max_size: 30, ..config(0) };
        assert_eq!(chosen(&[10, 10, 10, 10], &config, false), 0..3);
        assert_eq!(chosen(&[11, 10, 10, 10], &config, false), 1..4);
        assert_eq!(chosen(&[11, 10, 10], &config, false), 0..0);
        // If stuck, the smallest is taken however large.
        assert_eq!(chosen(&[12, 11, 11, 10], &config, true), 1..4);
    }

    #[test]
    fn stuck_stores_want_files_for_bytes() {
        // Nothing is in ratio: the smallest run.
        assert_eq!(chosen(&[1000, 100, 10, 1], &config(0), true), 1..4);
        assert_eq!(chosen(&[1000, 100, 10, 1], &config(0), false), 0..0);
        // Three of 30 bytes are found first. Four of 40 are no better per byte, nor are three of 29.
        assert_eq!(chosen(&[10, 10, 10, 10], &config(0), true), 0..3);
        assert_eq!(chosen(&[10, 10, 10, 9], &config(0), true), 0..3);
        // Four of 38: 4/38 > 1.05 × 3/30, and 3/28 is not that much better again.
        assert_eq!(chosen(&[10, 10, 10, 8], &config(0), true), 0..4);
        // Three of 24: 3/24 > 1.05 × 4/34.
        assert_eq!(chosen(&[10, 10, 10, 4], &config(0), true), 1..4);
        // Files without bytes: more of them is better.
        assert_eq!(chosen(&[0, 0, 0, 0], &config(0), true), 0..4);
    }

    #[test]
    fn sizes_near_the_end_do_not_wrap() {
        assert_eq!(chosen(&[u64::MAX, u64::MAX, u64::MAX, 1, 1, 1], &config(0), false), 3..6);
        assert_eq!(chosen(&[u64::MAX; 3], &CompactionConfig::default(), false), 0..0);
    }

    /// The literal rules: all runs, those that qualify, the best by comparing one after another.
    fn naive(lens: &[u64], config: &CompactionConfig, stuck: bool) -> Range<usize> {
        let mut runs = Vec::new();
        for start in 0..=lens.len() {
            for end in start..=lens.len() {
                if (config.least_files()..=config.max_files).contains(&(end - start)) {
                    runs.push(start..end);
                }
            }
        }
        let size = |run: &Range<usize>| lens[run.clone()].iter().sum::<u64>();
        let qualifies = |run: &Range<usize>| {
            let total = size(run);
            let in_ratio =
                lens[run.clone()].iter().all(|len| *len as f64 <= (total - len) as f64 * config.ratio);
            total <= config.max_size && (total < config.min_size || in_ratio)
        };
        let mut best = 0..0;
        for run in runs.iter().filter(|run| qualifies(run)) {
            let better = if best.is_empty() {
                true
            } else if stuck && size(&best) > 0 && size(run) > 0 {
                let per_byte = |run: &Range<usize>| run.len() as f64 / size(run) as f64;
                per_byte(run) > per_byte(&best) * 1.05
            } else {
                (run.len(), u64::MAX - size(run)) > (best.len(), u64::MAX - size(&best))
            };
            if better {
                best = run.clone();
            }
        }
        if best.is_empty() && stuck {
            let smallest = runs.iter().map(size).min();
            best = runs.into_iter().find(|run| Some(size(run)) == smallest).unwrap_or(0..0);
        }
        best
    }

    fn lens() -> impl Strategy<Value = Vec<u64>> {
        let len = prop_oneof![0..8_u64, 1..200_u64, (0..10_u32).prop_map(|power| 1 << power), Just(64 * MIB)];
        proptest::collection::vec(len, 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_its_naive_twin(
            lens in lens(),
            min_files in 0..5_usize,
            max_files in 2..12_usize,
            min_size in prop_oneof![Just(0), 0..300_u64],
            max_size in prop_oneof![Just(u64::MAX), 0..400_u64],
            ratio in prop_oneof![Just(1.2), 0.0..6.0],
            stuck: bool,
        ) {
            let config = CompactionConfig {
                min_files,
                max_files,
                min_size,
                max_size,
                ratio,
                ..CompactionConfig::default()
            };
            let run = chosen(&lens, &config, stuck);
            prop_assert_eq!(&run, &naive(&lens, &config, stuck));
            prop_assert!(run.is_empty() || (config.least_files()..=max_files).contains(&run.len()));
            // A stuck store takes something whenever there are enough files.
            prop_assert!(!stuck || !run.is_empty() || lens.len().min(max_files) < config.least_files());
        }
    }
}
