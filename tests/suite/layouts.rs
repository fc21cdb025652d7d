//! Answers do not depend on the distribution of cells over memory and files: random writes in several layouts
//! are read with the same random filters. Reads take a bounded number of steps.

use crate::support::no_sync::NoSync;
use crate::support::written::{job_origin, write_store_file};
use hregion::filter::{
    BitOperator, CellFilter, Comparator, Compare, CustomFilter, Filter, FilterEvaluator, SingleColumnValue,
    Verdict,
};
use hregion::{
    CellRef, CellType, Compaction, Delete, Family, Get, HFileWriter, ManualClock, Put, Region, Row, RowBuf,
    Scan, SeekKey, TimeRange,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const ROWS: [&[u8]; 5] = [b"a", b"b", b"b\x7f", b"b\xff", b"\xff\x00"];
const QUALIFIERS: [&[u8]; 5] = [b"", b"a", b"b", b"ba", b"c"];
const FAMILIES: [&str; 2] = ["f", "g"];
const VALUES: [&[u8]; 3] = [b"", b"x", b"\0\0\0\0\0\0\0\x01"];

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> + Clone {
    proptest::sample::select(all)
}

/// A value or a marker: row, family, qualifier, timestamp, kind, value.
type Write = (&'static [u8], &'static str, &'static [u8], i64, CellType, &'static [u8]);

/// Deletes of single versions reveal older ones, which may already be gone, so they are generated only if all
/// versions are kept.
fn write(all_kept: bool) -> impl Strategy<Value = Write> {
    const KINDS: [CellType; 4] =
        [CellType::DeleteColumn, CellType::DeleteFamily, CellType::Delete, CellType::DeleteFamilyVersion];
    let kind = prop_oneof![4 => Just(CellType::Put), 1 => one_of(&KINDS[..if all_kept { 4 } else { 2 }])];
    (one_of(&ROWS), one_of(&FAMILIES), one_of(&QUALIFIERS), 1i64..8, kind, one_of(&VALUES)).prop_map(
        |(row, family, qualifier, timestamp, kind, value)| match kind {
            CellType::Put => (row, family, qualifier, timestamp, kind, value),
            CellType::DeleteFamily | CellType::DeleteFamilyVersion => {
                (row, family, &b""[..], timestamp, kind, &b""[..])
            }
            _ => (row, family, qualifier, timestamp, kind, &b""[..]),
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    use Compare::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    one_of(&[Less, LessOrEqual, Equal, NotEqual, GreaterOrEqual, Greater])
}

fn comparator(of: &'static [&'static [u8]]) -> impl Strategy<Value = Comparator> {
    (one_of(of), 0..8).prop_map(|(value, kind)| match kind {
        0..4 => Comparator::binary(value),
        4 => Comparator::binary_prefix(value),
        5 => Comparator::substring("B"),
        6 => Comparator::bit(value, BitOperator::Xor),
        _ => Comparator::regex("a|x").unwrap(),
    })
}

fn by_value() -> impl Strategy<Value = Comparator> {
    // this comparator expects eight bytes: any other value is an error, in every layout
    prop_oneof![9 => comparator(&VALUES), 1 => Just(Comparator::long(1))]
}

fn side() -> impl Strategy<Value = Bound<&'static [u8]>> {
    (one_of(&ROWS), 0..3).prop_map(|(row, kind)| match kind {
        0 => Bound::Included(row),
        1 => Bound::Excluded(row),
        _ => Bound::Unbounded,
    })
}

fn leaf() -> impl Strategy<Value = Filter> {
    let column = || (one_of(&FAMILIES), one_of(&QUALIFIERS));
    let by_column = prop_oneof![
        one_of(&QUALIFIERS).prop_map(Filter::column_prefix),
        vec(one_of(&QUALIFIERS), 1..4)
            .prop_filter_map("a prefix twice", |all| Filter::column_prefixes(all).ok()),
        (one_of(&QUALIFIERS), any::<bool>(), one_of(&QUALIFIERS), any::<bool>()).prop_map(
            |(from, first, to, last)| Filter::column_range(Some(from.into()), first, Some(to.into()), last)
        ),
        (compare(), comparator(&QUALIFIERS)).prop_map(|(compare, with)| Filter::qualifier(compare, with)),
        (compare(), one_of(&FAMILIES)).prop_map(|(c, family)| Filter::family(c, Comparator::binary(family))),
        (1u32..4, 0u32..3).prop_map(|(limit, offset)| Filter::column_pagination(limit, offset)),
        (1u32..4, one_of(&QUALIFIERS)).prop_map(|(limit, from)| Filter::column_page(limit, from)),
        (0u32..4).prop_map(Filter::column_count),
        Just(Filter::first_key_only()),
        vec(one_of(&QUALIFIERS), 0..3).prop_map(Filter::first_key_matching),
    ];
    let by_row = prop_oneof![
        (compare(), comparator(&ROWS)).prop_map(|(compare, with)| Filter::row(compare, with)),
        one_of(&ROWS).prop_map(Filter::prefix),
        one_of(&ROWS).prop_map(Filter::inclusive_stop),
        (0u64..4).prop_map(Filter::page),
        vec((side(), side()), 1..3).prop_filter_map("an empty range", |all| Filter::row_ranges(all).ok()),
        vec((one_of(&ROWS), vec(0u8..2, 2)), 1..4).prop_map(|keys| {
            Filter::fuzzy_row(keys.into_iter().map(|(key, mask)| (key, mask[..key.len()].to_vec()))).unwrap()
        }),
    ];
    let by_cell = prop_oneof![
        (compare(), by_value()).prop_map(|(compare, with)| Filter::value(compare, with)),
        (vec(1i64..8, 0..4), any::<bool>()).prop_map(|(all, hint)| Filter::timestamps(all, hint).unwrap()),
        any::<bool>().prop_map(Filter::key_only),
        (column(), any::<bool>(), proptest::option::of((compare(), by_value()))).prop_map(
            |((family, qualifier), drop, condition)| {
                Filter::dependent_column(family, qualifier, drop, condition)
            }
        ),
        (column(), compare(), by_value()).prop_map(|((family, qualifier), compare, with)| {
            Filter::column_value(family, qualifier, compare, with)
        }),
        (column(), compare(), by_value(), any::<[bool; 3]>()).prop_map(
            |((family, qualifier), compare, with, [missing, latest, exclude])| {
                let condition = SingleColumnValue::new(family, qualifier, compare, with);
                let condition = condition.filter_if_missing(missing).latest_version_only(latest);
                Filter::single_column_value(condition.exclude(exclude))
            }
        ),
    ];
    prop_oneof![by_column, by_row, by_cell]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 0..4).prop_map(|all| Filter::all(all).unwrap()),
            3 => vec(inner.clone(), 0..4).prop_map(|any| Filter::any(any).unwrap()),
            1 => inner.clone().prop_map(|filter| Filter::skip(filter).unwrap()),
            1 => inner.prop_map(|filter| Filter::while_match(filter).unwrap()),
        ]
    })
}

/// A filter that delegates to another, and limits the number of calls.
#[derive(Debug)]
struct Bounded(Filter);

#[derive(Debug)]
struct BoundedState(FilterEvaluator, usize);

/// The maximum number of calls that a read of a region with so few cells needs.
const MAX_QUESTIONS: usize = 4000;

impl CustomFilter for Bounded {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(BoundedState(FilterEvaluator::new(&self.0), 0))
    }
}

impl BoundedState {
    fn asked(&mut self) -> &mut FilterEvaluator {
        self.1 += 1;
        assert!(self.1 <= MAX_QUESTIONS, "the read goes round: {:?}", self.0);
        &mut self.0
    }
}

impl CellFilter for BoundedState {
    fn reset(&mut self) {
        self.asked().reset();
    }

    fn filter_all_remaining(&self) -> bool {
        self.0.filter_all_remaining()
    }

    fn filter_row_key(&mut self, row: &[u8]) -> hregion::Result<bool> {
        self.asked().filter_row_key(row)
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> hregion::Result<Verdict> {
        self.asked().filter_cell(cell)
    }

    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        self.0.transform_cell(cell)
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.asked().next_cell_hint(cell).is_some_and(|found| {
            hint.set_key(found);
            true
        })
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.asked().skip_hint(cell).is_some_and(|found| {
            hint.set_key(found);
            true
        })
    }

    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        self.asked().filter_row_cells(row);
    }

    fn filter_row(&mut self) -> bool {
        self.asked().filter_row()
    }

    fn has_filter_row(&self) -> bool {
        self.0.has_filter_row()
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        self.0.is_family_essential(family)
    }

    fn ends_at_row(&self) -> bool {
        self.0.ends_at_row()
    }

    fn take_back_row(&mut self) {
        self.0.take_back_row();
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.0.set_reversed(reversed);
    }
}

/// A read.
#[derive(Clone, Debug)]
struct Question {
    columns: Vec<(&'static str, Option<&'static [u8]>)>,
    times: Option<(i64, i64)>,
    max_versions: u32,
    reversed: bool,
    batch: Option<u32>,
    /// The row of a get; `None` for a scan.
    row: Option<&'static [u8]>,
    rows: (Bound<&'static [u8]>, Bound<&'static [u8]>),
    on_demand: bool,
    filter: Filter,
}

/// In a time range with an end, versions may already be gone because of newer ones after that end, so ends
/// are generated only if all versions are kept.
fn question(all_kept: bool) -> impl Strategy<Value = Question> {
    let columns = vec((one_of(&FAMILIES), proptest::option::weighted(0.8, one_of(&QUALIFIERS))), 0..4);
    let to = if all_kept { (2i64..9).boxed() } else { Just(i64::MAX).boxed() };
    let times = proptest::option::weighted(0.3, (0i64..7, to));
    let shape = (any::<bool>(), proptest::option::weighted(0.3, 1u32..4), any::<bool>());
    let rows = prop_oneof![2 => Just((Bound::Unbounded, Bound::Unbounded)), 1 => (side(), side())];
    let row = proptest::option::weighted(0.2, one_of(&ROWS));
    (columns, times, 1u32..4, shape, row, rows, filter()).prop_map(
        |(columns, times, max_versions, (reversed, batch, on_demand), row, rows, filter)| Question {
            columns,
            times: times.filter(|(from, to)| from < to),
            max_versions,
            reversed,
            batch,
            row,
            rows,
            on_demand: on_demand && !reversed,
            filter,
        },
    )
}

impl Question {
    /// Reads from a region. Returns the cells as text, or the kind of the error.
    fn ask(&self, region: &Region) -> String {
        let before = region.metrics();
        let answer = match self.row {
            Some(row) => self.get(region, row),
            None => self.scan(region),
        };
        let cost = region.metrics().since(&before);
        assert!(cost.cells + cost.reseeks <= 500, "{cost:?}");
        answer.unwrap_or_else(|error| format!("{:?}", error.kind()))
    }

    fn get(&self, region: &Region, row: &[u8]) -> hregion::Result<String> {
        let mut get = Get::new(row)
            .max_versions(self.max_versions)
            .filter(Filter::custom(Bounded(self.filter.clone())));
        for (family, qualifier) in &self.columns {
            get = match qualifier {
                Some(qualifier) => get.column(*family, *qualifier),
                None => get.family(*family),
            };
        }
        if let Some((from, to)) = self.times {
            get = get.time_range(TimeRange::new(from, to)?);
        }
        Ok(text(&[region.get(&get)?]))
    }

    fn scan(&self, region: &Region) -> hregion::Result<String> {
        let mut scan = Scan::new()
            .max_versions(self.max_versions)
            .reversed(self.reversed)
            .load_families_on_demand(self.on_demand)
            .rows::<&[u8]>(self.rows)
            .filter(Filter::custom(Bounded(self.filter.clone())));
        for (family, qualifier) in &self.columns {
            scan = match qualifier {
                Some(qualifier) => scan.column(*family, *qualifier),
                None => scan.family(*family),
            };
        }
        if let Some((from, to)) = self.times {
            scan = scan.time_range(TimeRange::new(from, to)?);
        }
        if let Some(batch) = self.batch {
            scan = scan.batch(batch);
        }
        let rows = region.view().scan(&scan)?.collect::<hregion::Result<Vec<Row>>>()?;
        Ok(text(&rows))
    }
}

/// Formats cells as text, regardless of where rows are divided.
fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for cell in rows.iter().flat_map(Row::cells) {
        writeln!(text, "{} {:?}", cell.key(), cell.value()).unwrap();
    }
    text
}

/// The same cells in several layouts, each with its name.
struct Layouts {
    regions: Vec<(&'static str, Region)>,
    /// Dropped last: a region that is dropped flushes.
    _dir: TempDir,
}

impl Layouts {
    /// `expires`: whether cells with timestamps below 4 have expired.
    fn new(writes: &[Write], max_versions: u32, expires: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(1_004));
        let open = |name: &str| {
            let options = Region::options().create_if_missing(true).clock(clock.clone());
            let mut options = options.storage(Arc::new(NoSync::default()));
            for family in FAMILIES {
                let family = Family::new(family).max_versions(max_versions).block_size(64);
                options = options.family(if expires { family.ttl(Duration::from_secs(1)) } else { family });
            }
            options.open(dir.path().join(name)).unwrap()
        };
        // flushes after each `every` writes
        let play = |name: &'static str, every: usize| {
            let region = open(name);
            for (i, write) in writes.iter().enumerate() {
                apply(&region, write);
                if (i + 1).is_multiple_of(every) {
                    region.flush().unwrap();
                }
            }
            (name, region)
        };
        let third = writes.len() / 3 + 1;
        let memory = play("memory", usize::MAX);
        let flushed = play("flushed", usize::MAX);
        flushed.1.flush().unwrap();
        let several = play("several", third);
        let minor = play("minor", third);
        minor.1.flush().unwrap();
        for family in FAMILIES {
            minor.1.compact_files(family, 0, 2).unwrap();
        }
        let major = play("major", third);
        major.1.flush().unwrap();
        major.1.compact(Compaction::Major).unwrap();
        let loaded = ("loaded", open("loaded"));
        load(&loaded.1, writes, &dir);
        Self { _dir: dir, regions: vec![memory, flushed, several, minor, major, loaded] }
    }
}

fn apply(region: &Region, &(row, family, qualifier, timestamp, kind, value): &Write) {
    let delete = Delete::new(row);
    let result = match kind {
        CellType::Put => region.put(Put::new(row).cell_at(family, qualifier, timestamp, value)),
        CellType::Delete => region.delete(delete.version_at(family, qualifier, timestamp)),
        CellType::DeleteColumn => region.delete(delete.column_at(family, qualifier, timestamp)),
        CellType::DeleteFamily => region.delete(delete.family_at(family, timestamp)),
        _ => region.delete(delete.family_version(family, timestamp)),
    };
    result.unwrap();
}

/// Writes a file for each family with the last cell of each key, and bulk-loads the files.
fn load(region: &Region, writes: &[Write], dir: &TempDir) {
    let mut paths: Vec<(&str, PathBuf)> = Vec::new();
    for family in FAMILIES {
        let of_family = writes.iter().filter(|write| write.1 == family);
        let cells: BTreeMap<_, _> = of_family
            .map(|(row, _, qualifier, timestamp, kind, value)| {
                ((*row, *qualifier, -timestamp, -i16::from(kind.code())), (*kind, *value))
            })
            .collect();
        if cells.is_empty() {
            continue;
        }
        let path = dir.path().join(format!("{family}.hfile"));
        let cells = cells.into_iter().map(|((row, qualifier, timestamp, _), (kind, value))| {
            (SeekKey::of(row, family.as_bytes(), qualifier, -timestamp, kind), value)
        });
        write_store_file(HFileWriter::options().block_size(64), &path, cells, &job_origin(5000));
        paths.push((family, path));
    }
    region.bulk_load(&paths).unwrap();
}

fn case() -> impl Strategy<Value = (u32, bool, Vec<Write>, Vec<Question>)> {
    let family = (prop_oneof![Just(1u32), Just(2), Just(100)], prop::bool::weighted(0.3));
    family.prop_flat_map(|(max_versions, expires)| {
        let all_kept = max_versions == 100;
        (Just(max_versions), Just(expires), vec(write(all_kept), 1..40), vec(question(all_kept), 40))
    })
}

/// Returns `PROPTEST_CASES`, or a number for a short run.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(60, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases())
    })]

    #[test]
    fn answers_depend_on_no_layout((max_versions, expires, writes, questions) in case()) {
        let layouts = Layouts::new(&writes, max_versions, expires);
        for question in &questions {
            let answers: Vec<_> =
                layouts.regions.iter().map(|(name, region)| (*name, question.ask(region))).collect();
            for (name, answer) in &answers {
                prop_assert_eq!(answer, &answers[0].1, "{} is not as memory: {:?}", name, question);
            }
        }
    }
}

/// Creates a region with one row of these cells.
fn region(row: &'static [u8], cells: &[(&'static str, i64, &'static str)]) -> (TempDir, Region) {
    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().create_if_missing(true).family(Family::new("f"));
    let region = options.open(dir.path().join("region")).unwrap();
    for (qualifier, timestamp, value) in cells {
        region.put(Put::new(row).cell_at("f", *qualifier, *timestamp, *value)).unwrap();
    }
    (dir, region)
}

#[test]
fn a_reversed_scan_of_two_fuzzy_keys_ends() {
    let (_dir, region) = region(b"\xff\x00", &[("b", 1, "x")]);
    let keys = [(b"\x7f\x7f", [1, 0]), (b"\x7e\x7f", [1, 0])];
    let scan = Scan::new().reversed(true).filter(Filter::fuzzy_row(keys).unwrap());
    assert_eq!(region.view().scan(&scan).unwrap().count(), 0);
    assert!(region.metrics().hints_ignored <= 1, "{:?}", region.metrics());
}

/// The cell `a`, which is not requested, must not cause a seek past `b`, on which the row's result depends.
#[test]
fn a_condition_sees_its_column_before_a_later_one_is_read() {
    let (_dir, region) = region(b"r", &[("a", 2, "x"), ("b", 2, "secret"), ("c", 2, "c")]);
    let expression = "SingleColumnValueFilter('f', 'b', =, 'binary:public') AND ColumnPrefixFilter('c')";
    for expression in [
        expression.to_owned(),
        format!("{expression} AND KeyOnlyFilter()"),
        format!("({expression}) OR ({expression})"),
    ] {
        let scan = Scan::new().column("f", "b").column("f", "c").filter(Filter::parse(&expression).unwrap());
        assert_eq!(region.view().scan(&scan).unwrap().count(), 0, "{expression}");
    }
}

/// A hint from one version of a column to another must not skip the versions between them, which count, or a
/// marker, which hides cells.
#[test]
fn hints_pass_over_neither_versions_nor_markers_of_a_column() {
    let dir = tempfile::tempdir().unwrap();
    let family = |name: &str, versions| Family::new(name.to_owned()).max_versions(versions);
    let options = Region::options().create_if_missing(true).family(family("f", 5)).family(family("g", 2));
    let region = options.open(dir.path().join("region")).unwrap();
    for timestamp in [9, 8, 7, 3] {
        let put =
            Put::new("r").cell_at("f", "a", timestamp, "deleted").cell_at("g", "a", timestamp, "too many");
        region.put(put).unwrap();
    }
    region.delete(Delete::new("r").column_at("f", "a", 8)).unwrap();
    let scan = Scan::new().max_versions(5).filter(Filter::timestamps([3], true).unwrap());
    for _ in ["in memory", "compacted"] {
        assert_eq!(region.view().scan(&scan).unwrap().count(), 0);
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
    }
    assert_eq!(region.metrics().hints_ignored, 0, "they lead forward");
}

/// A row with only deleted cells does not end a scan.
#[test]
fn a_row_that_is_deleted_ends_no_scan() {
    let rows = |region: &Region, expression: &str, reversed| {
        let scan = Scan::new().reversed(reversed).filter(Filter::parse(expression).unwrap());
        let view = region.view();
        let rows = view.scan(&scan).unwrap();
        rows.map(|row| row.unwrap().as_row().key().to_vec()).collect::<Vec<_>>()
    };
    let (_dir, region) = region(b"a", &[("a", 1, "x")]);
    for row in ["b", "c", "d"] {
        region.put(Put::new(row).cell_at("f", "a", 1, "x")).unwrap();
    }
    region.delete(Delete::new("b").family_at("f", 1)).unwrap();
    let questions = [
        ("WHILE RowFilter(!=, 'binary:b')", false, vec!["a", "c", "d"]),
        ("WHILE RowFilter(!=, 'binary:b')", true, vec!["d", "c", "a"]),
        ("WHILE RowFilter(!=, 'binary:c')", false, vec!["a"]),
        ("(WHILE RowFilter(!=, 'binary:b')) OR PrefixFilter('a')", false, vec!["a", "c", "d"]),
        (
            "PageFilter(9) AND WHILE (RowFilter(!=, 'binary:b') AND KeyOnlyFilter())",
            false,
            vec!["a", "c", "d"],
        ),
    ];
    for _ in ["in memory", "compacted"] {
        for (expression, reversed, expected) in &questions {
            let expected: Vec<_> = expected.iter().map(|row| row.as_bytes().to_vec()).collect();
            assert_eq!(rows(&region, expression, *reversed), expected, "{expression} {reversed}");
        }
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
    }
}

/// A filter that ends a scan within a row ends it only for families with cells in the row, not for families
/// whose cells there are all deleted.
#[test]
fn deleted_cells_do_not_end_a_scan() {
    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().create_if_missing(true).family(Family::new("f")).family(Family::new("g"));
    let region = options.open(dir.path().join("region")).unwrap();
    region.put(Put::new("a").cell_at("f", "a", 1, "").cell_at("f", "b", 1, "")).unwrap();
    region.delete(Delete::new("a").column_at("g", "a", 1)).unwrap();
    region.put(Put::new("b").cell_at("g", "a", 1, "")).unwrap();
    let rows = || {
        let view = region.view();
        let scan = Scan::new().filter(Filter::column_count(1));
        let rows = view.scan(&scan).unwrap();
        rows.map(|row| row.unwrap().as_row().key().to_vec()).collect::<Vec<_>>()
    };
    let before = rows();
    region.flush().unwrap();
    region.compact(Compaction::Major).unwrap();
    assert_eq!((rows(), before), (vec![b"a".to_vec(), b"b".to_vec()], vec![b"a".to_vec(), b"b".to_vec()]));
}
