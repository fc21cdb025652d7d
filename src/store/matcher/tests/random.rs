//! The matcher and the naive rules agree on random rows.

use super::*;
use proptest::prelude::*;

/// Labels of cells. Half of the rows have none.
fn labels() -> impl Strategy<Value = Vec<Option<u8>>> {
    let label = prop_oneof![2 => Just(None), 1 => Just(Some(b'x')), 1 => Just(Some(b'y'))];
    prop_oneof![Just(Vec::new()), proptest::collection::vec(label, 24)]
}

fn cells(unique_ids: bool) -> impl Strategy<Value = Vec<Cell>> {
    let qualifier = prop_oneof![Just(""), Just("a"), Just("b"), Just("bb")];
    let timestamp = prop_oneof![30 => 1i64..12, 1 => Just(i64::MAX)];
    let ttl = prop_oneof![
        18 => Just(None),
        2 => (985i64..1000).prop_map(Some),
        1 => prop_oneof![Just(i64::MIN), i64::MAX - 2..=i64::MAX].prop_map(Some)
    ];
    let cell = (qualifier, 0usize..8, timestamp, 0i64..30, ttl);
    (proptest::collection::vec(cell, 0..24), labels()).prop_map(move |(specs, labels)| {
        let mut cells = Vec::new();
        for (i, (qualifier, kind, timestamp, seq_id, ttl)) in specs.into_iter().enumerate() {
            let cell_type = SIGNS.get(kind).map_or(CellType::Put, |&(_, cell_type)| cell_type);
            let qualifier = if cell_type.is_family_delete() { "" } else { qualifier };
            let seq_id = if unique_ids { seq_id * 32 + i64::try_from(i).unwrap() } else { seq_id };
            let label = labels.get(i).copied().flatten();
            cells.push(cell_of(b"r", qualifier, cell_type, timestamp, seq_id, ttl, label));
        }
        sort(&mut cells);
        cells
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let versions = || prop_oneof![1u32..4, Just(u32::MAX)];
    let keep =
        prop_oneof![Just(KeepDeletedCells::False), Just(KeepDeletedCells::True), Just(KeepDeletedCells::Ttl)];
    // Oldest unexpired timestamps of 1 to 12.
    let ttl = prop_oneof![Just(None), (988u32..1000).prop_map(Some)];
    let columns =
        prop_oneof![Just(vec![]), proptest::sample::subsequence(vec!["", "a", "aa", "b", "bb", "c"], 1..4)];
    let times = prop_oneof![
        Just(TimeRange::ALL),
        (0i64..12, 0i64..12).prop_map(|(a, b)| TimeRange::new(a.min(b), a.max(b)).unwrap()),
        (0i64..12).prop_map(TimeRange::since)
    ];
    let scan = (columns, times, versions(), any::<bool>(), any::<bool>(), any::<bool>());
    let purge = prop_oneof![3 => Just(0i64), 1 => 988i64..1000];
    let family = (versions(), 0u32..3, ttl, keep);
    (family, scan, purge).prop_map(
        |((max, min, ttl, keep), (columns, times, versions, raw, get_like, tags), purge)| {
            let mut family = Family::new(FAMILY).max_versions(max).min_versions(min).keep_deleted_cells(keep);
            family.ttl = ttl;
            Ask {
                family,
                raw: raw && columns.is_empty(),
                filtered: false,
                columns: columns.into_iter().map(|column| Bytes::from_static(column.as_bytes())).collect(),
                time_range: times,
                max_versions: versions,
                get_like,
                time_to_purge: purge,
                tags,
            }
        },
    )
}

/// A query of a row. Its matcher expects tags if there are labels, and sometimes without any.
fn ask_of(ask: Ask, cells: &[Cell]) -> Ask {
    let tags = ask.tags || cells.iter().any(|cell| cell.as_ref().tags().any(|tag| tag.tag_type == 2));
    Ask { tags, ..ask }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn scans_agree_with_the_naive_matcher(ask in ask(), cells in cells(false)) {
        let ask = ask_of(ask, &cells);
        let (found, expected) = (ask.scan(&cells), naive::scan(&ask, &cells));
        prop_assert_eq!(&found, &expected, "of {}", text(&cells));
    }

    #[test]
    fn compactions_agree_with_the_naive_matcher(
        ask in ask(),
        cells in cells(false),
        kind in 0..3,
        earliest_put_ts in prop_oneof![Just(i64::MIN), 0i64..12],
        max_read_point in prop_oneof![Just(i64::MAX), 0i64..30],
    ) {
        let kind = match kind {
            0 => CompactionKind::Flush,
            1 => CompactionKind::Minor,
            _ => CompactionKind::Major { earliest_put_ts },
        };
        let ask = ask_of(ask, &cells);
        let (kept, expected) =
            (ask.compact(&cells, kind, max_read_point), naive::compact(&ask, &cells, kind, max_read_point));
        prop_assert_eq!(&kept, &expected, "of {} by {:?}", text(&cells), kind);
    }

    #[test]
    fn compactions_keep_single_cells_as_any_others(
        ask in ask(),
        cells in cells(false),
        new_version: bool,
        kind in 0..3,
        earliest_put_ts in prop_oneof![Just(i64::MIN), 0i64..12],
        max_read_point in prop_oneof![Just(i64::MAX), 0i64..30],
    ) {
        let kind = match kind {
            0 => CompactionKind::Flush,
            1 => CompactionKind::Minor,
            _ => CompactionKind::Major { earliest_put_ts },
        };
        let ask = ask.family(|family| family.new_version_behavior(new_version));
        for cell in cells.iter().map(Cell::as_ref) {
            let mut matcher = ScanQueryMatcher::for_compaction(kind, FAMILY, &ask.info(), max_read_point);
            let is_seen = matcher.includes_single_cell(cell);
            matcher.set_to_new_row(cell.row());
            let is_kept = matcher.match_in_row(cell).unwrap().is_include();
            let is_plain = cell.cell_type() == CellType::Put && cell.tags.is_empty() && !new_version;
            prop_assert_eq!(is_seen, is_kept && is_plain, "{} by {:?} {:?}", cell, kind, ask);
        }
    }

    /// Where versions are counted, HBase's eras only approximate which versions were present: a version
    /// written again, and a DeleteFamilyVersion before a DeleteFamily, are counted in eras to which they do
    /// not belong, and a version that is deleted with its label after it was deleted with another is counted
    /// only in the first. Such rows are read without a limit.
    #[test]
    fn new_versions_are_as_they_were_written(ask in ask(), cells in cells(true)) {
        let ask = Ask { raw: false, time_range: TimeRange::ALL, ..ask }.keep(KeepDeletedCells::False);
        let all = !is_counted_exactly(&cells);
        let ask = ask.family(|family| {
            let family = family.new_version_behavior(true);
            if all { family.max_versions(1000) } else { family }
        });
        let (found, expected) = (ask.scan(&cells), naive::scan_new_version(&ask, &cells));
        prop_assert_eq!(&found, &expected, "of {}", text(&cells));
    }
}

fn is_counted_exactly(cells: &[Cell]) -> bool {
    let has = |cell_type| cells.iter().any(|cell| cell.as_ref().cell_type() == cell_type);
    let written_again = cells.windows(2).any(|pair| {
        let (a, b) = (pair[0].as_ref(), pair[1].as_ref());
        a.cell_type() == CellType::Put && a.key() == b.key()
    });
    let labelled = cells.iter().any(|cell| cell.as_ref().tags().any(|tag| tag.tag_type == 2));
    !(written_again || labelled || has(CellType::DeleteFamily) && has(CellType::DeleteFamilyVersion))
}
