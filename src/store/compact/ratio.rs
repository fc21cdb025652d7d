//! The older policy of minor compactions (HBase: `RatioBasedCompactionPolicy`).

use super::{CandidateFile, CompactionConfig};
use std::ops::Range;

/// Chooses all files but the oldest ones that are too large: larger than `min_size` and than `ratio` times
/// the total of the files after them. Only as many of these count as can be compacted with the file
/// (read-path.md §17.6).
///
/// If too few files are left, a store that may be stuck takes its newest files; HBase intends this too, but
/// never does, because its loop always leaves some files. Empty if there is nothing to compact.
pub(super) fn choose(
    files: &[&CandidateFile],
    config: &CompactionConfig,
    now: i64,
    stuck: bool,
) -> Range<usize> {
    let (ratio, least) = (config.ratio_at(now), config.least_files());
    let is_too_large = |start: usize| {
        let after = files.iter().skip(start + 1).take(config.max_files.saturating_sub(1));
        let after = after.fold(0_u64, |sum, file| sum.saturating_add(file.len));
        files[start].len > config.min_size.max(scaled(after, ratio))
    };
    let mut start = 0;
    while files.len() - start >= least && is_too_large(start) {
        start += 1;
    }
    if files.len() - start < least {
        start = if stuck && files.len() >= least { files.len() - least } else { files.len() };
    }
    start..files.len()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "HBase compares the same way; a cast to an integer saturates"
)]
fn scaled(len: u64, by: f64) -> u64 {
    (len as f64 * by) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(lens: &[u64], config: &CompactionConfig, stuck: bool) -> Range<usize> {
        let files: Vec<_> =
            lens.iter().map(|&len| CandidateFile { len, ..CandidateFile::default() }).collect();
        choose(&files.iter().collect::<Vec<_>>(), config, 0, stuck)
    }

    fn config() -> CompactionConfig {
        CompactionConfig { min_size: 0, max_files: 4, ..CompactionConfig::default() }
    }

    #[test]
    fn choices_worked_out_by_hand() {
        let cases: [(&str, &[u64], bool, Range<usize>); 8] = [
            ("too few", &[10, 10], false, 2..2),
            ("all alike", &[10, 10, 10], false, 0..3),
            ("one giant", &[100, 10, 10, 10], false, 1..4),
            ("exactly in ratio", &[24, 10, 10], false, 0..3),
            ("just out of ratio", &[25, 10, 10], false, 3..3),
            // The three files after it that can be compacted with it: 36 = 1.2 * 30.
            ("as many as can be compacted count", &[37, 10, 10, 10, 10, 10], false, 1..6),
            ("falling", &[1000, 100, 10, 1], false, 4..4),
            ("falling and stuck", &[1000, 100, 10, 1], true, 1..4),
        ];
        for (name, lens, stuck, expected) in cases {
            assert_eq!(chosen(lens, &config(), stuck), expected, "{name}");
        }
        let small = CompactionConfig { min_size: 100, ..config() };
        assert_eq!(chosen(&[1000, 100, 10, 1], &small, false), 1..4);
        assert_eq!(chosen(&[u64::MAX; 3], &config(), false), 0..3);
    }

    proptest! {
        #[test]
        fn every_choice_satisfies_the_invariants(
            lens in proptest::collection::vec(0..1000_u64, 0..20),
            stuck: bool,
        ) {
            let chosen = chosen(&lens, &config(), stuck);
            prop_assert_eq!(chosen.end, lens.len());
            prop_assert!(chosen.is_empty() || chosen.len() >= 3);
            prop_assert!(!(stuck && lens.len() >= 3 && chosen.is_empty()));
            for start in 0..chosen.start.min(lens.len().saturating_sub(2)) {
                let after: u64 = lens[start + 1..].iter().take(3).sum();
                prop_assert!(lens[start] as f64 > (after as f64 * 1.2).floor());
            }
        }
    }
}
