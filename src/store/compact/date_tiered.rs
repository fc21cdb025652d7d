//! Selects files by windows of time: cells written at one time stay together, and old files are not rewritten
//! (HBase: `DateTieredCompactionPolicy`).

use super::{CandidateFile, CompactionConfig};

/// The files of a minor compaction, and the boundaries of its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Their indices, oldest first.
    pub(super) files: Vec<usize>,
    /// See [`boundaries`].
    pub(super) boundaries: Vec<i64>,
}

/// Chooses the first window, from the newest, that has enough files, and those of them to compact
/// (read-path.md §17.6).
///
/// A file is in the window of its greatest timestamp, or in that of an older file if that window is newer. So
/// the files of a window are neighbours. Files with times in the future are in the newest window.
pub(super) fn choose(
    files: &[&CandidateFile],
    config: &CompactionConfig,
    now: i64,
    stuck: bool,
) -> Option<Choice> {
    let order = by_age(files);
    let mut newest = i64::MIN;
    let mut times: Vec<i64> = Vec::with_capacity(order.len());
    for &at in &order {
        newest = newest.max(files[at].max_timestamp.unwrap_or(i64::MIN));
        times.push(newest);
    }
    let oldest = config.windows.oldest(now);
    let mut window = config.windows.incoming(now);
    // A single file would be rewritten repeatedly.
    let mut least = config.windows.incoming_min.max(2);
    let mut end = order.len();
    while let Some(&time) = times[..end].last() {
        // A file without a time is older than any window.
        if window.compare(oldest).is_lt() || time == i64::MIN {
            break;
        }
        if window.compare(time).is_gt() {
            window = window.back_to(time);
            least = config.least_files();
            continue;
        }
        let start =
            times[..end].iter().rposition(|time| window.compare(*time).is_gt()).map_or(0, |at| at + 1);
        let within = &order[start..end];
        if within.len() >= least {
            let inside = CompactionConfig { min_files: least, ..config.clone() };
            let candidates: Vec<&CandidateFile> = within.iter().map(|&at| files[at]).collect();
            // A stuck store takes all of them.
            let run = if stuck {
                0..within.len()
            } else {
                (config.window_policy())(&candidates, &inside, now, false)
            };
            if !run.is_empty() {
                let single = config.windows.single_output || run.len() < within.len();
                let cut = (!single).then(|| window.start()).filter(|start| *start > i64::MIN);
                return Some(Choice {
                    files: within[run].to_vec(),
                    boundaries: std::iter::once(i64::MIN).chain(cut).collect(),
                });
            }
        }
        end = start;
    }
    None
}

/// Returns the boundaries of the outputs of a major compaction: the start of each window from `now` back to
/// the files' least timestamp. The first is `i64::MIN`.
pub(super) fn boundaries(files: &[&CandidateFile], config: &CompactionConfig, now: i64) -> Vec<i64> {
    let least = files.iter().filter_map(|file| file.min_timestamp).min().unwrap_or(i64::MAX);
    config.windows.boundaries(now, least)
}

/// Whether files that are old enough for a major compaction need one. They do not if each is the only one of
/// its window, has no cells of another window and none that have expired, and was made by a major compaction,
/// not a bulk load.
pub(super) fn needs_major(
    files: &[&CandidateFile],
    config: &CompactionConfig,
    now: i64,
    ttl: Option<i64>,
) -> bool {
    let boundaries = boundaries(files, config, now);
    let mut seen = vec![false; boundaries.len()];
    files.iter().any(|file| {
        let expires = |ttl: i64| file.min_timestamp.is_some_and(|min| min <= now.saturating_sub(ttl));
        let window = |time: Option<i64>| window_of(&boundaries, time.unwrap_or(i64::MAX));
        let (first, last) = (window(file.min_timestamp), window(file.max_timestamp));
        ttl.is_some_and(expires)
            || !file.is_major_compaction
            || file.is_bulk_loaded
            || first != last
            || seen.get_mut(last).is_some_and(|seen| std::mem::replace(seen, true))
    })
}

/// Returns the index of the output for a timestamp. `boundaries` begin with `i64::MIN`, or are empty.
pub(super) fn window_of(boundaries: &[i64], time: i64) -> usize {
    boundaries.partition_point(|start| *start <= time).saturating_sub(1)
}

/// Orders files by sequence id and then by time, as the outputs of one compaction have the same id (HBase:
/// `StoreFileComparators.SEQ_ID_MAX_TIMESTAMP`).
fn by_age(files: &[&CandidateFile]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&at| (files[at].max_seq_id, files[at].max_timestamp.unwrap_or(i64::MAX)));
    order
}

#[cfg(test)]
mod tests {
    use super::super::window::WindowConfig;
    use super::*;
    use proptest::prelude::*;

    /// Windows of 10 and 40. Two files are enough, three in the newest window.
    fn config() -> CompactionConfig {
        let windows = WindowConfig { base: 10, per_tier: 4, incoming_min: 3, ..WindowConfig::default() };
        CompactionConfig {
            windows,
            policy: super::super::config::Policy::DateTiered,
            min_files: 2,
            ..CompactionConfig::default()
        }
    }

    fn files(times: &[(i64, i64)]) -> Vec<CandidateFile> {
        let file = |(seq_id, (min, max)): (i64, &(i64, i64))| CandidateFile {
            len: 10,
            entry_count: 1,
            max_seq_id: seq_id,
            min_timestamp: Some(*min),
            max_timestamp: Some(*max),
            is_major_compaction: true,
            ..CandidateFile::default()
        };
        (0..).zip(times).map(file).collect()
    }

    fn chosen(times: &[i64], config: &CompactionConfig, stuck: bool) -> Option<Choice> {
        let files = files(&times.iter().map(|time| (*time, *time)).collect::<Vec<_>>());
        choose(&files.iter().collect::<Vec<_>>(), config, 135, stuck)
    }

    /// A name, the times of files, and the indices of the chosen ones.
    type Case<'c> = (&'c str, &'c [i64], Option<&'c [usize]>);

    #[test]
    fn choices_worked_out_by_hand() {
        // Now is 135: windows begin at 130, 120, then with length 40 at 80, 40, 0.
        let cases: [Case<'_>; 11] = [
            ("none", &[], None),
            ("two in the newest", &[131, 132], None),
            ("three in the newest", &[131, 132, 133], Some(&[0, 1, 2])),
            ("the future is in the newest", &[131, 132, 9999], Some(&[0, 1, 2])),
            ("two in the next", &[121, 122, 131, 132], Some(&[0, 1])),
            ("the newer window first", &[121, 122, 131, 132, 133], Some(&[2, 3, 4])),
            ("one each", &[1, 41, 81, 121, 131], None),
            ("two of 40", &[1, 81, 119, 121, 131], Some(&[1, 2])),
            ("the oldest", &[1, 39, 81, 121], Some(&[0, 1])),
            // Out of order: the file of 85 was written after the file of 125.
            ("late data goes with what is newer", &[125, 85, 131], Some(&[0, 1])),
            ("late data is not seen after others", &[85, 125, 131], None),
        ];
        for (name, times, expected) in cases {
            let expected = expected.map(|files| Choice { files: files.to_vec(), boundaries: vec![i64::MIN] });
            assert_eq!(chosen(times, &config(), false), expected, "{name}");
        }
    }

    #[test]
    fn old_files_are_left_alone() {
        let with = |max_file_age| {
            let mut config = config();
            config.windows.max_file_age = max_file_age;
            chosen(&[1, 2, 81, 121], &config, false).map(|choice| choice.files)
        };
        assert_eq!(with(i64::MAX), Some(vec![0, 1]));
        assert_eq!(with(135), Some(vec![0, 1]));
        // The window of 40 is the last that is not older than 135 - 60.
        assert_eq!(with(60), None);
        assert_eq!(with(95), None);
        assert_eq!(with(96), Some(vec![0, 1]));
    }

    #[test]
    fn a_window_is_chosen_from_by_size_unless_the_store_is_stuck() {
        let mut some = files(&[(121, 121), (122, 122), (123, 123)]);
        some[0].len = 1 << 40;
        let refs: Vec<_> = some.iter().collect();
        let choice = |stuck| choose(&refs, &config(), 135, stuck).map(|choice| choice.files);
        assert_eq!((choice(false), choice(true)), (Some(vec![1, 2]), Some(vec![0, 1, 2])));
    }

    #[test]
    fn a_window_with_one_file_is_left_alone() {
        let mut config = config();
        (config.windows.incoming_min, config.min_files) = (1, 0);
        assert_eq!(chosen(&[1, 41, 81, 121, 131], &config, true), None);
        assert_eq!(chosen(&[1, 41, 81, 131, 132], &config, true).unwrap().files, [3, 4]);
    }

    /// There are 10^12 windows between now and the files.
    #[test]
    fn old_files_are_found_at_once_in_short_windows() {
        let some = files(&[(1, 1), (1, 1)]);
        let refs: Vec<_> = some.iter().collect();
        let both = Some(Choice { files: vec![0, 1], boundaries: vec![i64::MIN] });
        for (per_tier, max_tier_age) in [(1, i64::MAX), (1 << 50, i64::MAX), (i64::MAX, i64::MAX), (2, 0)] {
            let mut config = config();
            (config.windows.base, config.windows.per_tier) = (1, per_tier);
            config.windows.max_tier_age = max_tier_age;
            assert_eq!(choose(&refs, &config, 1_700_000_000_000, false), both, "{per_tier}");
            config.windows.max_file_age = 1_600_000_000_000;
            assert_eq!(choose(&refs, &config, 1_700_000_000_000, false), None, "{per_tier}");
        }
    }

    #[test]
    fn minor_outputs_are_cut_if_configured() {
        let mut config = config();
        config.windows.single_output = false;
        let choice = chosen(&[121, 122, 131], &config, false).unwrap();
        assert_eq!(choice.boundaries, [i64::MIN, 120]);
        let mut some = files(&[(121, 121), (122, 122), (123, 123)]);
        some[0].len = 1 << 40;
        let refs: Vec<_> = some.iter().collect();
        // Not the whole window: one file.
        assert_eq!(choose(&refs, &config, 135, false).unwrap().boundaries, [i64::MIN]);
    }

    #[test]
    fn major_outputs_are_cut_at_all_windows() {
        let cut = |times: &[(i64, i64)]| boundaries(&files(times).iter().collect::<Vec<_>>(), &config(), 135);
        assert_eq!(cut(&[(45, 131), (85, 131)]), [i64::MIN, 80, 120, 130]);
        assert_eq!(cut(&[(131, 131)]), [i64::MIN]);
        assert_eq!(cut(&[]), [i64::MIN]);
        let boundaries = [i64::MIN, 80, 120, 130];
        for (time, expected) in [(i64::MIN, 0), (79, 0), (80, 1), (119, 1), (120, 2), (130, 3), (i64::MAX, 3)]
        {
            assert_eq!(window_of(&boundaries, time), expected, "{time}");
        }
        assert_eq!(window_of(&[], 5), 0);
    }

    #[test]
    fn files_within_windows_need_no_major_compaction() {
        let needs = |files: &[CandidateFile], ttl| {
            needs_major(&files.iter().collect::<Vec<_>>(), &config(), 135, ttl)
        };
        let cut = files(&[(45, 60), (80, 119), (120, 129), (130, 134)]);
        assert!(!needs(&cut, None));
        assert!(!needs(&cut, Some(91)));
        assert!(needs(&cut, Some(90)), "the oldest has expired");
        assert!(needs(&files(&[(45, 80)]), None), "in two windows");
        assert!(needs(&files(&[(80, 90), (91, 100)]), None), "two of one window");
        let mut fresh = cut.clone();
        fresh[2].is_major_compaction = false;
        assert!(needs(&fresh, None));
        fresh[2] = CandidateFile { is_bulk_loaded: true, ..cut[2].clone() };
        assert!(needs(&fresh, None));
    }

    proptest! {
        #[test]
        fn every_choice_satisfies_the_invariants(
            times in proptest::collection::vec(0..200_i64, 0..25),
            max_file_age in prop_oneof![Just(i64::MAX), 0..300_i64],
            stuck: bool,
        ) {
            let mut config = config();
            config.windows.max_file_age = max_file_age;
            let Some(choice) = chosen(&times, &config, stuck) else { return Ok(()) };
            // Neighbours, enough of them, and each at most as old as its window.
            prop_assert!(choice.files.len() >= 2);
            prop_assert!(choice.files.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            let running = times.iter().scan(i64::MIN, |most, time| {
                *most = (*most).max(*time);
                Some(*most)
            });
            let running: Vec<i64> = running.collect();
            let starts = config.windows.boundaries(135, 0);
            let window = |at: &usize| window_of(&starts, running[*at]);
            prop_assert!(choice.files.iter().all(|at| window(at) == window(&choice.files[0])));
            if window(&choice.files[0]) == starts.len() - 1 {
                prop_assert!(choice.files.len() >= 3);
            }
        }
    }
}
