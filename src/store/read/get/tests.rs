//! Compares gets in place with scanners, and both with scanners of one segment that has all cells.

use super::*;
use crate::cache::BlockCache;
use crate::cell::{Cell, CellOrder, CellType, Row, SeekKey};
use crate::hfile::{HFile, HFileWriter, StoreFileOrigin, StoreFileWriter};
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use crate::layout::{Half, Reference, StoreFileInfo};
use crate::op::TimeRange;
use crate::schema::{BloomType, Family, KeepDeletedCells};
use crate::store::version::file::StoreFile;
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

const TYPES: [CellType; 8] = [
    CellType::Put,
    CellType::Put,
    CellType::Put,
    CellType::Put,
    CellType::Delete,
    CellType::DeleteColumn,
    CellType::DeleteFamily,
    CellType::DeleteFamilyVersion,
];
/// At this time, a time to live of five seconds has passed for timestamps below 4, one of four for nearly
/// all, and one of six for none.
pub(in crate::store) const NOW: i64 = 5_004;

/// A cell to write: its row, qualifier, timestamp, type, and whether it may expire.
pub(in crate::store) type Write = (String, String, i64, usize, bool);

pub(in crate::store) fn writes() -> impl Strategy<Value = Vec<Write>> {
    // Some rows share a prefix longer than eight bytes, and some have a single cell.
    let row = prop_oneof![2 => "(x|longer-than-8-)[a-d]", 1 => "x[e-z][a-z]"];
    let timestamp = prop_oneof![20 => 1..8i64, 1 => Just(0), 1 => i64::MAX - 1..=i64::MAX];
    let write = (row, "[pqr]?", timestamp, 0..TYPES.len(), prop::bool::weighted(0.1));
    proptest::collection::vec(write, 0..60)
}

/// Returns the cells of writes. Their sequence ids are their numbers, from 1.
pub(in crate::store) fn cells(writes: &[Write]) -> Vec<Cell> {
    let cell = |((row, qualifier, timestamp, kind, expires), seq_id): (&Write, i64)| {
        let kind = TYPES[*kind];
        let qualifier = if kind.is_family_delete() { "" } else { qualifier.as_str() };
        let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), *timestamp, kind);
        let value = format!("{seq_id}");
        let cell = CellRef::new(&key, value.as_bytes()).with_seq_id(seq_id);
        // A time to live that has passed for timestamps below 6.
        let ttl = [&[0, 9, crate::cell::TTL_TAG_TYPE][..], &(NOW - 6).to_be_bytes()].concat();
        Cell::from(if *expires { cell.with_tag_bytes(&ttl).unwrap() } else { cell })
    };
    writes.iter().zip(1..).map(cell).collect()
}

/// Returns the cells with visibility labels: in turn none, one label, and another.
pub(in crate::store) fn labelled(cells: Vec<Cell>) -> Vec<Cell> {
    // A format, and the ordinal of a label.
    const LABELS: [[u8; 8]; 2] = [[0, 2, 4, 1, 0, 2, 2, 1], [0, 2, 4, 1, 0, 2, 2, 2]];
    let label = |(number, cell): (usize, Cell)| match number % 3 {
        0 => cell,
        one => Cell::from(cell.as_ref().with_tag_bytes(&LABELS[one - 1]).unwrap()),
    };
    cells.into_iter().enumerate().map(label).collect()
}

fn file(cells: &[Cell], number: usize, bloom: Option<BloomType>, cache: &BlockCache) -> StoreFile {
    file_or_half(cells, number, bloom, cache, None)
}

fn file_or_half(
    cells: &[Cell],
    number: usize,
    bloom: Option<BloomType>,
    cache: &BlockCache,
    reference: Option<Reference>,
) -> StoreFile {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    // One cell in a block, or many.
    let block_size = if number.is_multiple_of(2) { 60 } else { 1_000 };
    let options = HFileWriter::options().block_size(block_size).bloom(bloom).mvcc(true).tags(true);
    let options = options.storage(Arc::clone(&storage)).index_chunk_size(200).index_min_entries(2);
    let name = format!("{number:02}");
    let mut sorted: Vec<&Cell> = cells.iter().collect();
    sorted.sort_by(|a, b| {
        let (a, b) = (a.as_ref(), b.as_ref());
        CellOrder::User.compare(a.key(), b.key()).then(b.seq_id().cmp(&a.seq_id()))
    });
    let mut writer = StoreFileWriter::create(options, &name).unwrap();
    sorted.iter().for_each(|cell| writer.append(cell.as_ref()).unwrap());
    let last = cells.iter().map(|cell| cell.as_ref().seq_id()).max().unwrap_or(0);
    writer.finish(&StoreFileOrigin::flush(last)).unwrap();
    let place = StoreFileInfo { reference, ..StoreFileInfo::plain(name, 0) };
    StoreFile::open(&HFile::options().storage(storage).cache(cache), &place).unwrap()
}

/// Cuts the cells into files and segments at the given numbers: the last part is in the active segment, the
/// one before in a frozen one, and all others are in files.
pub(in crate::store) fn store(
    cells: &[Cell],
    cuts: &[usize],
    family: &Family,
    cache: &BlockCache,
) -> StoreVersion {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (cells.len() + 1)).collect();
    cuts.extend([0, cells.len()]);
    cuts.sort_unstable();
    let mut lots: Vec<&[Cell]> = cuts.windows(2).map(|pair| &cells[pair[0]..pair[1]]).collect();
    let memory = lots.split_off(lots.len().saturating_sub(2));
    let files = lots.iter().filter(|lot| !lot.is_empty()).enumerate();
    let files = files.map(|(number, lot)| file(lot, number, family.bloom, cache)).collect();
    let mut state = StoreVersion::new(family, CellOrder::User, files);
    for lot in memory {
        state = state.freeze();
        lot.iter().for_each(|cell| state.active.insert(cell.as_ref()));
    }
    state
}

pub(in crate::store) fn families() -> impl Strategy<Value = Family> {
    let bloom = prop_oneof![
        Just(None),
        Just(Some(BloomType::Row)),
        Just(Some(BloomType::RowCol)),
        // Longer than some rows.
        Just(Some(BloomType::RowPrefixFixedLength(9))),
    ];
    let keep = prop_oneof![
        3 => Just(KeepDeletedCells::False),
        1 => Just(KeepDeletedCells::True),
        1 => Just(KeepDeletedCells::Ttl),
    ];
    (bloom, keep, 1..4u32, 0..3u32, proptest::option::of(4..7u32), prop::bool::weighted(0.1)).prop_map(
        |(bloom, keep, max, min, ttl, new_version_behavior)| {
            let mut family = Family::new("f");
            (family.bloom, family.keep_deleted_cells, family.max_versions) = (bloom, keep, max);
            // With NEW_VERSION_BEHAVIOR and labels, an expired marker may change which versions count, but
            // not if it is in a file or segment that is skipped.
            (family.min_versions, family.ttl) = (min, ttl.filter(|_| !new_version_behavior));
            family.new_version_behavior = new_version_behavior;
            family
        },
    )
}

#[derive(Clone, Debug)]
pub(in crate::store) struct Ask {
    row: String,
    columns: Vec<Bytes>,
    time_range: TimeRange,
    max_versions: u32,
    store_limit: Option<u32>,
    store_offset: u32,
    read_point: i64,
}

pub(in crate::store) fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let columns = proptest::collection::btree_set("[o-s]?", 0..3)
        .prop_map(|names| names.into_iter().map(Bytes::from).collect::<Vec<_>>());
    let range = prop_oneof![
        3 => Just(TimeRange::ALL),
        1 => (0..6i64, 0..6i64).prop_map(|(min, len)| TimeRange::new(min, min + len).unwrap()),
    ];
    let read_point = prop_oneof![Just(i64::MAX), 0..60i64];
    let ask = (
        "(x|longer-than-8-)[a-e]",
        columns,
        range,
        1..5u32,
        proptest::option::of(0..3u32),
        prop_oneof![3 => Just(0), 1 => 0..3u32],
        read_point,
    );
    let ask =
        ask.prop_map(|(row, columns, time_range, max_versions, store_limit, store_offset, read_point)| Ask {
            row,
            columns,
            time_range,
            max_versions,
            store_limit,
            store_offset,
            read_point,
        });
    proptest::collection::vec(ask, 1..8)
}

impl Ask {
    /// Returns a get of the newest version of columns of a row.
    fn of(row: &str, columns: Vec<Bytes>) -> Self {
        Self {
            row: row.into(),
            columns,
            time_range: TimeRange::ALL,
            max_versions: 1,
            store_limit: None,
            store_offset: 0,
            read_point: i64::MAX,
        }
    }

    pub(in crate::store) fn query(&self) -> Query<'_> {
        Query {
            start: self.row.as_bytes(),
            include_start: true,
            stop: self.row.as_bytes(),
            reversed: false,
            get_like: true,
            columns: &self.columns,
            time_range: self.time_range,
            max_versions: self.max_versions,
            raw: false,
            filtered: false,
            max_results: self.store_limit,
            row_offset: self.store_offset,
            read_point: self.read_point,
            cache_blocks: true,
        }
    }
}

/// Returns the cells that a scanner of all sources finds.
pub(in crate::store) fn scanned(state: &StoreVersion, query: &Query<'_>, info: &ScanInfo) -> RowBuf {
    let mut row = RowBuf::new();
    let mut scanner = StoreScanner::new(state, query, info).unwrap();
    if scanner.peek_row() == Some(query.start) {
        let take = |cell: CellRef<'_>| {
            row.push(cell);
            Ok(ControlFlow::Continue(()))
        };
        scanner.next_row(take).unwrap();
    }
    row
}

/// Returns all rows from the start row on that a scanner of all sources finds.
fn scanned_from(state: &StoreVersion, query: &Query<'_>, info: &ScanInfo) -> RowBuf {
    let query = Query { stop: &[], get_like: false, ..*query };
    let mut row = RowBuf::new();
    let mut scanner = StoreScanner::new(state, &query, info).unwrap();
    while scanner.peek_row().is_some() {
        let take = |cell: CellRef<'_>| {
            row.push(cell);
            Ok(ControlFlow::Continue(()))
        };
        scanner.next_row(take).unwrap();
    }
    row
}

/// Compares gets of a store with these cuts with scans of it, and of a store with all cells in memory.
fn check_gets(writes: &[Write], cuts: &[usize], family: &Family, asks: &[Ask]) -> Result<(), TestCaseError> {
    check_gets_of(&cells(writes), cuts, family, asks, false)
}

fn check_gets_of(
    cells: &[Cell],
    cuts: &[usize],
    family: &Family,
    asks: &[Ask],
    labels: bool,
) -> Result<(), TestCaseError> {
    let cache = BlockCache::with_capacity(1 << 20);
    let state = store(cells, cuts, family, &cache);
    let in_memory = store(cells, &[0, 0], family, &cache);
    let info = ScanInfo::new(family, NOW, labels);
    let steps = ScanInfo::new(family, NOW, true);
    let mut row = RowBuf::new();
    // The cache is empty at first, then filled.
    for ask in asks.iter().chain(asks) {
        let query = ask.query();
        let mut get = |with, without| {
            row.clear();
            row.note_files(with, without);
            state.get(&query, &info, &mut row, &mut ReadCounts::default()).unwrap();
            row.freeze()
        };
        let found = get(0, 100);
        prop_assert_eq!(&found, &get(100, 0), "{:?} without filters", ask);
        let expected = scanned(&state, &query, &info).freeze();
        prop_assert_eq!(&found, &expected, "{:?}", ask);
        prop_assert_eq!(&found, &scanned(&in_memory, &query, &info).freeze(), "{:?} in memory", ask);
        let (all, expected) = (scanned_from(&state, &query, &info), scanned_from(&in_memory, &query, &info));
        prop_assert_eq!(&all.freeze(), &expected.freeze(), "{:?} and the rows after it", ask);
        // Cells that may be hidden by their labels are stepped over, not skipped by a seek.
        prop_assert_eq!(&found, &scanned(&state, &query, &steps).freeze(), "{:?} with steps", ask);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_get_agrees_with_a_scan(
        writes in writes(),
        cuts in prop_oneof![
            4 => proptest::collection::vec(0usize..100, 0..5),
            1 => proptest::collection::vec(0usize..100, 10..16),
        ],
        family in families(),
        asks in asks(),
    ) {
        check_gets(&writes, &cuts, &family, &asks)?;
    }

    #[test]
    fn gets_of_cells_written_in_the_order_of_time_agree_with_scans(
        writes in writes(),
        jumps in proptest::collection::vec(0usize..60, 0..4),
        cuts in proptest::collection::vec(0usize..100, 0..5),
        family in families(),
        asks in asks(),
    ) {
        let mut writes = writes;
        let len = writes.len().max(1);
        for (at, write) in writes.iter_mut().enumerate() {
            if !jumps.contains(&at) {
                write.2 = 1 + (at * 30 / len) as i64;
            }
        }
        check_gets(&writes, &cuts, &family, &asks)?;
    }

    #[test]
    fn gets_of_one_file_agree_with_scans(
        writes in writes(),
        family in families(),
        asks in asks(),
    ) {
        check_gets(&writes, &[writes.len(), writes.len()], &family, &asks)?;
    }

    #[test]
    fn gets_of_cells_with_labels_agree_with_scans(
        writes in writes(),
        cuts in proptest::collection::vec(0usize..100, 0..5),
        family in families(),
        asks in asks(),
    ) {
        check_gets_of(&labelled(cells(&writes)), &cuts, &family, &asks, true)?;
    }
}

/// Gets a row of one cell with a timestamp from a file with another row after it. Returns the row and the
/// counts.
fn get_of_one_cell(timestamp: i64, columns: &[&'static str], max_versions: u32) -> (Row, ReadCounts) {
    let cell = |row: &str, timestamp| {
        let key = SeekKey::of(row.as_bytes(), b"f", b"q", timestamp, CellType::Put);
        Cell::from(CellRef::new(&key, b"v").with_seq_id(1))
    };
    let cells = [cell("a", timestamp), cell("b", 5)];
    let cache = BlockCache::with_capacity(1 << 20);
    let family = Family::new("f").max_versions(3);
    let state = store(&cells, &[cells.len(), cells.len()], &family, &cache);
    let columns: Vec<Bytes> = columns.iter().map(|&column| Bytes::from(column)).collect();
    let mut ask = Ask::of("a", columns);
    ask.max_versions = max_versions;
    let (query, info) = (ask.query(), ScanInfo::new(&family, NOW, false));
    let mut row = RowBuf::new();
    state.get(&query, &info, &mut row, &mut ReadCounts::default()).unwrap();
    row.clear();
    let mut counts = ReadCounts::default();
    state.get(&query, &info, &mut row, &mut counts).unwrap();
    assert_eq!(row.freeze(), scanned(&state, &query, &info).freeze(), "{query:?}");
    (row.freeze(), counts)
}

#[test]
fn a_cell_that_answers_alone_is_counted_as_any_other() {
    let expected =
        ReadCounts { files_considered: 1, seeks: 1, data_block_hits: 1, cells: 1, ..ReadCounts::default() };
    for (columns, max_versions) in [(&[][..], 1), (&["q"][..], 1), (&["q"], 2), (&["p", "q"], 1)] {
        let (row, counts) = get_of_one_cell(5, columns, max_versions);
        assert_eq!((row.len(), counts), (1, expected), "{columns:?} {max_versions}");
    }
}

#[test]
fn readers_of_columns_pass_over_the_latest_time() {
    for max_versions in [1, 2] {
        assert_eq!(get_of_one_cell(i64::MAX, &["q"], max_versions).0.len(), 0);
        assert_eq!(get_of_one_cell(i64::MAX - 1, &["q"], max_versions).0.len(), 1);
    }
}

#[test]
fn gets_after_misses_ask_the_bloom_filter_first() {
    let cell = |i: usize| {
        let key = SeekKey::of(format!("{:03}", 2 * i).as_bytes(), b"f", b"q", 5, CellType::Put);
        Cell::from(CellRef::new(&key, b"v").with_seq_id(1))
    };
    let cells: Vec<Cell> = (0..100).map(cell).collect();
    let cache = BlockCache::with_capacity(1 << 20);
    let family = Family::new("f");
    let state = store(&cells, &[cells.len(), cells.len()], &family, &cache);
    let info = ScanInfo::new(&family, NOW, false);
    let mut row = RowBuf::new();
    let mut get = |number: usize| {
        let (ask, mut counts) = (Ask::of(&format!("{number:03}"), Vec::new()), ReadCounts::default());
        row.clear();
        state.get(&ask.query(), &info, &mut row, &mut counts).unwrap();
        assert_eq!(counts.files_considered, 1);
        (row.len(), counts.files_skipped_by_bloom)
    };
    // First, load all blocks into the cache.
    (0..100).for_each(|i| assert_eq!(get(2 * i).0, 1));
    let skipped = |gets: &[(usize, u64)]| gets.iter().map(|(_, skipped)| skipped).sum::<u64>();
    let absent: Vec<_> = (0..99).map(|i| get(2 * i + 1)).collect();
    assert!(absent.iter().all(|&(found, _)| found == 0));
    assert!(skipped(&absent[..3]) == 0 && skipped(&absent) > 80, "{absent:?}");
    let present: Vec<_> = (0..100).map(|i| get(2 * i)).collect();
    assert!(present.iter().all(|&(found, _)| found == 1) && skipped(&present) == 0);
    assert_eq!(get(1), (0, 0));
}

/// Returns four files of a family with two blocks each. Each has the rows up to 049, every fourth row from
/// 100 on, and 999; if `has_half`, the last file is a half without 999.
fn four_files(family: &Family, has_half: bool) -> StoreVersion {
    let cache = BlockCache::with_capacity(1 << 20);
    let cells = |number: usize| -> Vec<Cell> {
        let cell = |row: usize| {
            let key = SeekKey::of(format!("{row:03}").as_bytes(), b"f", b"q", 5, CellType::Put);
            Cell::from(CellRef::new(&key, b"v").with_seq_id(1 + number as i64))
        };
        let some = (100..140_usize).filter(|row| row % 4 == number);
        (0..50).chain(some).chain([999]).map(cell).collect()
    };
    let half = Reference { split_key: SeekKey::first_on_row(b"500"), half: Half::Bottom };
    let open = |number: usize| {
        let reference = (has_half && number == 3).then(|| half.clone());
        file_or_half(&cells(number), 2 * number + 1, family.bloom, &cache, reference)
    };
    StoreVersion::new(family, CellOrder::User, (0..4).map(open).collect())
}

/// Loads all blocks of the four files into the cache.
fn load(state: &StoreVersion, family: &Family) {
    let (ask, info) = (Ask::of("000", Vec::new()), ScanInfo::new(family, NOW, false));
    assert_eq!(scanned_from(state, &ask.query(), &info).len(), 91);
}

/// Gets a row into a buffer that other gets have used. Returns the number of its cells, and the counts.
fn get_after(row: &mut RowBuf, state: &StoreVersion, family: &Family, number: usize) -> (usize, ReadCounts) {
    let (ask, mut counts) = (Ask::of(&format!("{number:03}"), Vec::new()), ReadCounts::default());
    let (query, info) = (ask.query(), ScanInfo::new(family, NOW, false));
    row.clear();
    state.get(&query, &info, row, &mut counts).unwrap();
    assert_eq!(row.freeze(), scanned(state, &query, &info).freeze(), "{number}");
    assert_eq!(counts.files_considered, 4);
    (row.len(), counts)
}

#[test]
fn gets_of_rows_in_most_files_ask_no_bloom_filters_of_cached_blocks() {
    let family = Family::new("f");
    let (state, mut row) = (four_files(&family, false), RowBuf::new());
    load(&state, &family);
    for number in 0..10 {
        get_after(&mut row, &state, &family, number);
    }
    assert!(row.expects_most_files());
    for number in 0..140 {
        row.note_files(100, 0);
        let (found, counts) = get_after(&mut row, &state, &family, number);
        assert_eq!(found, usize::from(!(50..100).contains(&number)), "{number}");
        assert_eq!((counts.files_skipped_by_bloom, counts.data_block_hits), (0, 4), "{number}");
    }
    // Rows that are in one file each.
    for number in 100..140 {
        get_after(&mut row, &state, &family, number);
    }
    assert!(!row.expects_most_files());
    let skipped = (100..140).map(|number| {
        let (found, counts) = get_after(&mut row, &state, &family, number);
        assert_eq!(found, 1, "{number}");
        counts.files_skipped_by_bloom
    });
    let skipped: u64 = skipped.sum();
    assert!(skipped > 100, "{skipped}");
}

#[test]
fn gets_of_rows_in_most_files_ask_the_bloom_filters_of_other_blocks() {
    let family = Family::new("f");
    let (state, mut row, mut skipped) = (four_files(&family, false), RowBuf::new(), 0);
    for number in 100..104 {
        row.note_files(100, 0);
        assert_eq!(get_after(&mut row, &state, &family, number).0, 1, "{number}");
        // The cache now has the block of the file that contains the row.
        row.note_files(100, 0);
        let (found, counts) = get_after(&mut row, &state, &family, number);
        assert_eq!(found, 1, "{number}");
        assert_eq!(counts.files_skipped_by_bloom + counts.data_block_hits, 4, "{number}");
        skipped += counts.files_skipped_by_bloom;
    }
    assert!(skipped > 3, "{skipped}");
    // No block is read for rows that are in no file, except for errors of the filters.
    let (state, mut in_place) = (four_files(&family, false), 0);
    skipped = 0;
    for number in 50..100 {
        row.note_files(100, 0);
        let (found, counts) = get_after(&mut row, &state, &family, number);
        assert_eq!(found, 0, "{number}");
        in_place += usize::from(counts.files_skipped_by_bloom + counts.data_block_hits == 4);
        skipped += counts.files_skipped_by_bloom;
    }
    assert!(in_place > 40 && skipped > 40, "{in_place} {skipped}");
}

/// A half is not read in place.
#[test]
fn gets_of_rows_in_most_files_ask_the_bloom_filters_of_halves() {
    let family = Family::new("f");
    let (state, mut row) = (four_files(&family, true), RowBuf::new());
    load(&state, &family);
    let mut in_place = 0;
    for number in (100..136).step_by(4) {
        row.note_files(100, 0);
        let (found, counts) = get_after(&mut row, &state, &family, number);
        assert_eq!(found, 1, "{number}");
        in_place += usize::from((counts.files_skipped_by_bloom, counts.data_block_hits) == (1, 3));
    }
    assert!(in_place > 6, "{in_place}");
    // Rows that only the half contains.
    row.note_files(100, 0);
    for number in (103..140).step_by(4) {
        assert_eq!(get_after(&mut row, &state, &family, number).0, 1, "{number}");
    }
    assert!(!row.expects_most_files());
}

#[test]
fn files_that_are_older_than_what_was_found_are_not_read() {
    let put = |row: &str, qualifier: &str, timestamp, kind| {
        let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, kind);
        Cell::from(CellRef::new(&key, b"v").with_seq_id(timestamp))
    };
    // Three files, then the two segments, each with later timestamps than the one before.
    let cells = [
        put("a", "p", 1, CellType::Put),
        put("a", "q", 1, CellType::Put),
        put("b", "p", 1, CellType::Put),
        put("a", "p", 2, CellType::Put),
        put("b", "p", 2, CellType::Put),
        put("a", "q", 3, CellType::Put),
        put("b", "p", 3, CellType::DeleteColumn),
        put("b", "r", 4, CellType::Put),
        put("a", "r", 5, CellType::Put),
        put("b", "q", 5, CellType::Put),
    ];
    let cache = BlockCache::with_capacity(1 << 20);
    let family = Family::new("f");
    let state = store(&cells, &[3, 5, 7, 8], &family, &cache);
    assert_eq!((state.files.len(), state.frozen.len()), (3, 1));
    let info = ScanInfo::new(&family, NOW, false);
    let get = |row: &str, columns: &[&'static str]| {
        let columns: Vec<Bytes> = columns.iter().map(|&column| Bytes::from(column)).collect();
        let (ask, mut counts, mut buffer) = (Ask::of(row, columns), ReadCounts::default(), RowBuf::new());
        state.get(&ask.query(), &info, &mut buffer, &mut counts).unwrap();
        let found = buffer.freeze();
        assert_eq!(found, scanned(&state, &ask.query(), &info).freeze(), "{ask:?}");
        (found.len(), counts.files_skipped_by_time, counts.data_block_hits)
    };
    // First, load all blocks into the cache.
    for row in ["a", "b"] {
        get(row, &[]);
    }
    assert_eq!(get("a", &["r"]), (1, 3, 0));
    assert_eq!(get("a", &["q"]), (1, 2, 1));
    assert_eq!(get("a", &["p"]), (1, 1, 2));
    assert_eq!(get("a", &["q", "r"]), (2, 2, 1));
    assert_eq!(get("a", &["p", "q", "r"]), (3, 1, 2));
    assert_eq!(get("a", &[]), (3, 0, 3));
    assert_eq!(get("a", &["o"]), (0, 0, 3));
    // A hidden value, and one next to it that is not.
    assert_eq!(get("b", &["p"]).0, 0);
    assert_eq!(get("b", &["q"]), (1, 3, 0));
    assert_eq!(get("b", &["r"]), (1, 3, 0));
}

/// Gets the newest version of `q` of row `a`, in a family with a time to live of some seconds or none.
/// Returns the number of cells, and how many files were skipped by their times.
fn get_newest_of(cells: &[Cell], cuts: &[usize], range: TimeRange, ttl: Option<u32>) -> (usize, u64) {
    let cache = BlockCache::with_capacity(1 << 20);
    let mut family = Family::new("f");
    family.ttl = ttl;
    let (state, info) = (store(cells, cuts, &family, &cache), ScanInfo::new(&family, NOW, false));
    let ask = Ask { time_range: range, ..Ask::of("a", vec![Bytes::from("q")]) };
    let (mut row, mut counts) = (RowBuf::new(), ReadCounts::default());
    state.get(&ask.query(), &info, &mut row, &mut counts).unwrap();
    (row.len(), counts.files_skipped_by_time)
}

fn version(timestamp: i64, kind: CellType, seq_id: i64) -> Cell {
    let key = SeekKey::of(b"a", b"f", b"q", timestamp, kind);
    Cell::from(CellRef::new(&key, b"v").with_seq_id(seq_id))
}

/// The newest value shows that the file need not be read, and is hidden in its own segment.
#[test]
fn a_value_of_the_time_of_an_older_marker_is_looked_for_in_all_sources() {
    for (marker, expected) in [(4, (1, 1)), (5, (0, 0)), (6, (0, 0))] {
        let cells = [
            version(marker, CellType::DeleteColumn, 1),
            version(5, CellType::Put, 2),
            version(10, CellType::Put, 3),
            version(10, CellType::Delete, 4),
        ];
        assert_eq!(get_newest_of(&cells, &[1, 1], TimeRange::ALL, None), expected, "{marker}");
    }
}

#[test]
fn sources_with_one_timestamp_are_read_at_the_edges_of_times() {
    let range = TimeRange::new(4, 6).unwrap();
    let cases = [(3, TimeRange::ALL, Some(5)), (4, TimeRange::ALL, Some(5))].into_iter();
    for (timestamp, range, ttl) in cases.chain((3..7).map(|timestamp| (timestamp, range, None))) {
        let cells = [version(timestamp, CellType::Put, 1)];
        let is_within = (4..6).contains(&timestamp);
        // In the active segment, in a frozen one, in a file.
        for cuts in [[0, 0], [0, 1], [1, 1]] {
            let (found, _) = get_newest_of(&cells, &cuts, range, ttl);
            assert_eq!(found, usize::from(is_within), "{timestamp} {range:?} {ttl:?} {cuts:?}");
        }
    }
}
