//! Selects the files of a store to compact next. A pure function of the files' metadata.

use super::config::Policy;
use super::{CandidateFile, CompactionConfig, date_tiered, fifo, major};

/// Files to compact (HBase: `CompactionRequestImpl`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Their indices among the candidates, oldest first; at least one.
    pub(crate) files: Vec<usize>,
    /// Whether these are all files of the store. Delete markers are dropped then (read-path.md §17.1).
    pub(crate) all_files: bool,
    /// Whether a major compaction was requested, or due, and this is one.
    pub(crate) major: bool,
    /// The ascending timestamps at which outputs begin, the first one `i64::MIN`. At most one boundary means
    /// one output.
    pub(crate) boundaries: Vec<i64>,
}

/// Selects files to compact, or none (HBase: `SortedCompactionPolicy#selectCompaction`; read-path.md §17.6).
///
/// `files` are all files of the store in the order of read-path.md §6.2, oldest first. `compacting` has the
/// indices of those being compacted already. `ttl` is the time in milliseconds after which no version is
/// kept. `force_major` requests all files. `user`: whether a user made the request, which may then take more
/// than [`CompactionConfig::max_files`] files.
///
/// With FIFO, nothing is compacted, not even on request, unless the store has halves of a parent's files: see
/// [`unneeded`]. If a date-tiered store has more halves than one compaction takes, the files before the first
/// half are left out; HBase would rewrite the oldest files repeatedly, each within its window.
pub(crate) fn select(
    files: &[CandidateFile],
    compacting: &[usize],
    config: &CompactionConfig,
    now: i64,
    ttl: Option<i64>,
    force_major: bool,
    user: bool,
) -> Option<Selection> {
    if config.policy == Policy::Fifo && !files.iter().any(|file| file.is_reference) {
        return None;
    }
    // The files being compacted will be one file.
    let soon = files.len().saturating_sub(compacting.len()) + usize::from(!compacting.is_empty());
    let stuck = soon >= config.blocking_files;

    let mut eligible = newer_than_compacting(files.len(), compacting);
    if !(force_major && eligible.len() == files.len()) {
        skip_large(&mut eligible, files, config.max_size_at(now));
    }
    let forced = force_major && eligible.len() == files.len();
    let trying_major = forced && user
        || (forced || is_major_due(&of(files, &eligible), config, now, ttl))
            && eligible.len() < config.max_files;

    let most = match config.max_files {
        _ if trying_major && user => usize::MAX,
        // A single file would be rewritten repeatedly.
        1 => 2,
        most => most,
    };

    let mut boundaries = Vec::new();
    let tiered = config.policy == Policy::DateTiered;
    let first_reference = eligible.iter().position(|&at| files[at].is_reference);
    // Halves of a parent's files are rewritten soon, so that the parent can be removed.
    if trying_major || first_reference.is_some() {
        if tiered {
            // A compaction may have as many outputs as inputs, so it must take at least one half to make
            // progress.
            if eligible.len() > most {
                eligible.drain(..first_reference.unwrap_or(0));
            }
            eligible.truncate(most);
            boundaries = date_tiered::boundaries(&of(files, &eligible), config, now);
        }
    } else if tiered {
        let choice = date_tiered::choose(&of(files, &eligible), config, now, stuck)?;
        eligible = choice.files.into_iter().map(|at| eligible[at]).collect();
        boundaries = choice.boundaries;
    } else {
        eligible.retain(|&at| !files[at].excluded_from_minor);
        let run = (config.window_policy())(&of(files, &eligible), config, now, stuck);
        eligible = eligible[run].to_vec();
    }
    eligible.truncate(most);
    eligible.sort_unstable();
    let all_files = eligible.len() == files.len();
    (!eligible.is_empty()).then_some(Selection {
        files: eligible,
        all_files,
        major: trying_major && all_files,
        boundaries,
    })
}

/// Whether a major compaction is due.
fn is_major_due(files: &[&CandidateFile], config: &CompactionConfig, now: i64, ttl: Option<i64>) -> bool {
    match config.policy {
        Policy::DateTiered => {
            major::is_old(files, config, now) && date_tiered::needs_major(files, config, now, ttl)
        }
        Policy::Exploring | Policy::Ratio | Policy::Fifo => major::is_due(files, config, now, ttl),
    }
}

/// Returns the indices of files to drop without being read: expired ones, if configured, and with FIFO also
/// empty ones. The arguments are as for [`expired`].
pub(crate) fn unneeded(
    files: &[CandidateFile],
    compacting: &[usize],
    config: &CompactionConfig,
    now: i64,
    ttl: Option<i64>,
) -> Vec<usize> {
    match config.policy {
        Policy::Fifo => fifo::choose(files, compacting, now, ttl),
        _ if config.drops_expired => expired(files, compacting, now, ttl),
        _ => Vec::new(),
    }
}

/// Returns the indices of files to drop without a compaction: all their cells have expired
/// (read-path.md §17.5, "unneeded files"; HBase: `StoreFileManager#getUnneededFiles`).
///
/// `files`, `compacting` and `ttl` are as for [`select`]. The newest file stays, because it has the largest
/// sequence id. Files without times stay.
pub(super) fn expired(
    files: &[CandidateFile],
    compacting: &[usize],
    now: i64,
    ttl: Option<i64>,
) -> Vec<usize> {
    let (Some(ttl), Some((_, older))) = (ttl, files.split_last()) else { return Vec::new() };
    let oldest_unexpired = now.saturating_sub(ttl);
    let is_expired = |file: &CandidateFile| file.max_timestamp.is_some_and(|max| max < oldest_unexpired);
    (0..older.len()).filter(|at| is_expired(&older[*at]) && !compacting.contains(at)).collect()
}

/// Returns the indices of the files newer than all those being compacted. Only these may be selected, so that
/// compactions of one store keep the order of its files.
fn newer_than_compacting(len: usize, compacting: &[usize]) -> Vec<usize> {
    let first = compacting.iter().max().map_or(0, |newest| newest + 1);
    (first..len).collect()
}

/// Leaves out the oldest files as long as they are too large. A half of a file never is.
fn skip_large(eligible: &mut Vec<usize>, files: &[CandidateFile], max_size: u64) {
    let is_large = |at: &&usize| !files[**at].is_reference && files[**at].len > max_size;
    let large = eligible.iter().take_while(is_large).count();
    eligible.drain(..large);
}

fn of<'f>(files: &'f [CandidateFile], indices: &[usize]) -> Vec<&'f CandidateFile> {
    indices.iter().map(|&at| &files[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::window::WindowConfig;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DAY: i64 = 24 * 3_600_000;
    const NOW: i64 = 1_000 * DAY;

    fn file(len: u64) -> CandidateFile {
        CandidateFile { len, modified: NOW - DAY, ..CandidateFile::default() }
    }

    fn files(lens: &[u64]) -> Vec<CandidateFile> {
        lens.iter().map(|&len| file(len)).collect()
    }

    /// The ratio decides, not the size. No jitter.
    fn config() -> CompactionConfig {
        CompactionConfig { min_size: 0, major_jitter: 0.0, ..CompactionConfig::default() }
    }

    fn selection(files: impl IntoIterator<Item = usize>, all_files: bool, major: bool) -> Option<Selection> {
        Some(Selection { files: files.into_iter().collect(), all_files, major, boundaries: Vec::new() })
    }

    fn minor(files: &[CandidateFile], compacting: &[usize]) -> Option<Selection> {
        select(files, compacting, &config(), NOW, None, false, false)
    }

    fn forced(files: &[CandidateFile], compacting: &[usize], user: bool) -> Option<Selection> {
        select(files, compacting, &config(), NOW, None, true, user)
    }

    #[test]
    fn the_policy_picks_a_run() {
        assert_eq!(minor(&[], &[]), None);
        assert_eq!(minor(&files(&[10, 10]), &[]), None);
        assert_eq!(minor(&files(&[100, 10, 10, 10]), &[]), selection(1..4, false, false));
        // All files by chance: markers are dropped, but no major compaction was requested.
        assert_eq!(minor(&files(&[10, 10, 10]), &[]), selection(0..3, true, false));
        let small = files(&[25, 10, 10]);
        assert_eq!(
            select(&small, &[], &CompactionConfig::default(), NOW, None, false, false),
            selection(0..3, true, false)
        );
    }

    #[test]
    fn only_files_newer_than_compacting_ones_are_chosen() {
        assert_eq!(minor(&files(&[10; 6]), &[1, 2]), selection(3..6, false, false));
        assert_eq!(minor(&files(&[10; 5]), &[2, 1]), None);
        assert_eq!(minor(&files(&[10; 5]), &[4]), None);
        // Not all files are available, so no major compaction.
        assert_eq!(forced(&files(&[10; 4]), &[0], true), selection(1..4, false, false));
        assert_eq!(forced(&files(&[10; 3]), &[0], true), None);
    }

    #[test]
    fn leading_large_files_stay() {
        let config = CompactionConfig { max_size: 50, ..config() };
        let pick = |files: &[CandidateFile], force| select(files, &[], &config, NOW, None, force, false);
        assert_eq!(pick(&files(&[60, 60, 10, 10, 10]), false), selection(2..5, false, false));
        // Only leading ones.
        assert_eq!(pick(&files(&[10, 60, 10, 10]), false), None);
        // All are taken on request.
        assert_eq!(pick(&files(&[60, 10]), true), selection(0..2, true, true));
        let mut half = files(&[60, 10]);
        half[0].is_reference = true;
        assert_eq!(pick(&half, false), selection(0..2, true, false));
    }

    #[test]
    fn references_take_all_with_them() {
        let mut some = files(&[1000, 10]);
        some[1].is_reference = true;
        assert_eq!(minor(&some, &[]), selection(0..2, true, false));
        // Unless there are too many.
        let mut many = files(&[10; 12]);
        many[11].is_reference = true;
        assert_eq!(minor(&many, &[]), selection(0..10, false, false));
    }

    #[test]
    fn no_compaction_rewrites_one_file_again_and_again() {
        let mut some = files(&[10; 4]);
        let one = CompactionConfig { max_files: 1, min_size: 100, policy: Policy::Ratio, ..config() };
        assert_eq!(select(&some, &[], &one, NOW, None, false, false), selection(0..2, false, false));
        some[3].is_reference = true;
        assert_eq!(select(&some, &[], &one, NOW, None, false, false), selection(0..2, false, false));
        let none = CompactionConfig { max_files: 0, ..one };
        assert_eq!(select(&some, &[], &none, NOW, None, false, false), None);
    }

    #[test]
    fn files_excluded_from_minor_compactions_stay() {
        let mut some = files(&[10, 10, 10, 10]);
        some[1].excluded_from_minor = true;
        assert_eq!(minor(&some, &[]), selection([0, 2, 3], false, false));
        some[2].excluded_from_minor = true;
        assert_eq!(minor(&some, &[]), None);
        assert_eq!(forced(&some, &[], false), selection(0..4, true, true));
    }

    #[test]
    fn a_forced_major_compaction_of_too_many_files() {
        // By the engine: with `max_files` files or more a major compaction is not tried, but a minor one of
        // the oldest.
        assert_eq!(forced(&files(&[10; 9]), &[], false), selection(0..9, true, true));
        assert_eq!(forced(&files(&[10; 10]), &[], false), selection(0..10, true, false));
        assert_eq!(forced(&files(&[10; 12]), &[], false), selection(0..10, false, false));
        // By a user: regardless of their number.
        assert_eq!(forced(&files(&[10; 12]), &[], true), selection(0..12, true, true));
        assert_eq!(forced(&files(&[10]), &[], true), selection(0..1, true, true));
    }

    #[test]
    fn a_major_compaction_that_is_due() {
        let mut some = files(&[1000, 10]);
        assert_eq!(minor(&some, &[]), None);
        some[1].modified = NOW - 7 * DAY - 1;
        assert_eq!(minor(&some, &[]), selection(0..2, true, true));
        // A due compaction does not wait for files being compacted, but then it is not of all files.
        assert_eq!(minor(&some, &[0]), selection(1..2, false, false));
        let mut many = files(&[10; 10]);
        many[0].modified = NOW - 8 * DAY;
        assert_eq!(minor(&many, &[]), selection(0..10, true, false));
    }

    #[test]
    fn compacting_files_count_as_one_towards_stuck() {
        let config = CompactionConfig { blocking_files: 5, ..config() };
        let falling = files(&[100_000, 10_000, 1000, 100, 10]);
        assert_eq!(select(&falling, &[], &config, NOW, None, false, false), selection(2..5, false, false));
        // 5 - 2 + 1 = 4 files soon
        assert_eq!(select(&falling, &[0, 1], &config, NOW, None, false, false), None);
        // 5 - 1 + 1 = 5
        assert_eq!(select(&falling, &[0], &config, NOW, None, false, false), selection(2..5, false, false));
    }

    #[test]
    fn expired_files_go_unread() {
        let times = [Some(10), Some(99), Some(100), None, Some(5), Some(1)];
        let files = times.map(|max_timestamp| CandidateFile { max_timestamp, ..file(1) });
        assert_eq!(expired(&files, &[], 200, Some(100)), [0, 1, 4]);
        assert_eq!(expired(&files, &[1], 200, Some(100)), [0, 4]);
        assert_eq!(expired(&files, &[], 200, None), [0; 0]);
        assert_eq!(expired(&[], &[], 200, Some(100)), [0; 0]);
        assert_eq!(expired(&files, &[], i64::MIN, Some(100)), [0; 0]);
    }

    #[test]
    fn a_queue_is_not_compacted() {
        let config = CompactionConfig { policy: Policy::Fifo, ..config() };
        let mut some = files(&[10; 5]);
        let pick = |files: &[CandidateFile], force| select(files, &[], &config, NOW, Some(DAY), force, force);
        assert_eq!((pick(&some, false), pick(&some, true)), (None, None));
        some[3].max_timestamp = Some(NOW - 2 * DAY);
        some[4].max_timestamp = Some(NOW - 2 * DAY);
        some[0].entry_count = 1;
        let gone = |config: &CompactionConfig| unneeded(&some, &[], config, NOW, Some(DAY));
        assert_eq!(gone(&config), [1, 2, 3]);
        assert_eq!(gone(&CompactionConfig { policy: Policy::Ratio, ..config.clone() }), [3]);
        let kept = CompactionConfig { policy: Policy::Ratio, drops_expired: false, ..config.clone() };
        assert_eq!(gone(&kept), [0; 0]);
        // Halves of a parent's files are rewritten anyway.
        some[1].is_reference = true;
        assert_eq!(pick(&some, false), selection(0..5, true, false));
    }

    #[test]
    fn windows_of_time() {
        let config = CompactionConfig { policy: Policy::DateTiered, ..config() };
        let hour = 3_600_000;
        let at = |hours: &[i64]| -> Vec<CandidateFile> {
            (0..)
                .zip(hours)
                .map(|(seq_id, hours)| CandidateFile {
                    max_seq_id: seq_id,
                    min_timestamp: Some(NOW - hours * hour),
                    max_timestamp: Some(NOW - hours * hour),
                    ..file(10)
                })
                .collect()
        };
        let pick = |files: &[CandidateFile], force| select(files, &[], &config, NOW, None, force, force);
        // NOW begins a window of 6 hours, aligned to one of 24. The 24 hours before it are the next window.
        let minor = Some(Selection { boundaries: vec![i64::MIN], ..selection(1..4, false, false).unwrap() });
        assert_eq!(pick(&at(&[48, 20, 10, 2, 0]), false), minor);
        assert_eq!(pick(&at(&[48, 10, 2, 0]), false), None);
        let starts = vec![i64::MIN, NOW - 24 * hour, NOW];
        let major = Some(Selection { boundaries: starts, ..selection(0..4, true, true).unwrap() });
        assert_eq!(pick(&at(&[48, 10, 2, 0]), true), major);
        // It is due when a file is old, unless all files are cut already.
        let mut old = at(&[48, 10]);
        old.iter_mut().for_each(|file| (file.modified, file.is_major_compaction) = (NOW - 8 * DAY, true));
        assert_eq!(pick(&old, false), None);
        old[1].is_major_compaction = false;
        assert!(pick(&old, false).is_some_and(|chosen| chosen.major));
    }

    /// A parent with a file for each of many windows: a daughter has as many halves.
    #[test]
    fn halves_of_many_windows_are_all_rewritten() {
        let hour = 3_600_000;
        let windows = WindowConfig { base: hour, per_tier: 1_000_000, ..WindowConfig::default() };
        let config = CompactionConfig { policy: Policy::DateTiered, windows, ..config() };
        // The outputs of one compaction have one id.
        for has_one_id in [false, true] {
            let half = |n: i64| CandidateFile {
                name: format!("half {n:02}"),
                max_seq_id: if has_one_id { 12 } else { n },
                is_reference: true,
                min_timestamp: Some(NOW - (13 - n) * hour),
                max_timestamp: Some(NOW - (13 - n) * hour),
                ..file(10)
            };
            let mut some: Vec<CandidateFile> = (1..=12).map(half).collect();
            let mut passes = 0;
            while let Some(chosen) = select(&some, &[], &config, NOW, None, false, false) {
                passes += 1;
                assert!(passes <= 12, "{some:?}");
                assert!(chosen.files.is_sorted_by(|a, b| a + 1 == *b));
                let window = |at: &usize| {
                    some[*at].min_timestamp.map(|time| date_tiered::window_of(&chosen.boundaries, time))
                };
                let outputs: BTreeSet<Option<usize>> = chosen.files.iter().map(window).collect();
                assert_eq!(outputs.len(), chosen.files.len(), "one for each window");
                let newest = chosen.files.iter().map(|&at| some[at].max_seq_id).max().unwrap();
                for at in chosen.files {
                    (some[at].is_reference, some[at].max_seq_id) = (false, newest);
                    some[at].name = format!("output {passes} {at:02}");
                }
                // In the order of `compare_by_seq_id`.
                some.sort_by(|a, b| {
                    let by_len = b.len.cmp(&a.len);
                    a.max_seq_id.cmp(&b.max_seq_id).then(by_len).then_with(|| a.name.cmp(&b.name))
                });
            }
            assert!(some.len() == 12 && some.iter().all(|file| !file.is_reference), "{some:?}");
        }
    }

    fn any_file() -> impl Strategy<Value = CandidateFile> {
        let len = prop_oneof![0..20_u64, 1..1000_u64, Just(1 << 30)];
        (len, 0..20_u8, 0..5_u8, 0..10_i64).prop_map(|(len, reference, excluded, age)| CandidateFile {
            len,
            is_reference: reference == 0,
            excluded_from_minor: excluded == 0,
            modified: NOW - age * DAY,
            ..CandidateFile::default()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_choice_satisfies_the_invariants(
            files in proptest::collection::vec(any_file(), 0..30),
            compacting in proptest::collection::btree_set(0..30_usize, 0..3),
            blocking_files in 2..40_usize,
            max_size in prop_oneof![Just(u64::MAX), 0..500_u64],
            force_major: bool,
            user: bool,
        ) {
            let compacting: Vec<usize> = compacting.into_iter().filter(|at| *at < files.len()).collect();
            let config = CompactionConfig { blocking_files, max_size, ..config() };
            let Some(chosen) = select(&files, &compacting, &config, NOW, None, force_major, user) else {
                return Ok(());
            };
            let indices = &chosen.files;
            prop_assert!(!indices.is_empty() && indices.is_sorted_by(|a, b| a < b));
            prop_assert!(indices.iter().all(|at| compacting.iter().all(|busy| busy < at)));
            prop_assert_eq!(chosen.all_files, indices.len() == files.len());
            prop_assert!(chosen.all_files || !chosen.major);
            prop_assert!(indices.len() <= config.max_files || chosen.major && user);
            let first = indices[0];
            let all_newer = (first..files.len()).collect::<Vec<_>>();
            let references = indices.iter().any(|&at| files[at].is_reference)
                || all_newer.iter().any(|&at| files[at].is_reference);
            let due = files.iter().any(|file| file.modified < NOW - 7 * DAY);
            if !chosen.major && !references && !due {
                prop_assert!(indices.len() >= config.min_files);
                // Neighbours, except for files that a minor compaction excludes.
                let last = indices[indices.len() - 1];
                let between: Vec<usize> =
                    (first..=last).filter(|&at| !files[at].excluded_from_minor).collect();
                prop_assert_eq!(indices, &between);
            }
        }
    }
}
