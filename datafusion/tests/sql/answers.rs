//! Answers of generated queries, with and without pushdown, equal the model's.

mod large_rows;

use crate::golden_tables::golden_tables;
use crate::model::{Kind, Model, Value};
use crate::query::{Predicate, quoted};
use crate::rng::Rng;
use crate::{each_scan, plan, rows as run, session, shown};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::arrow::util::pretty::pretty_format_batches;
use hregion::{
    CellRef, CellType, Delete, Family, HFileWriter, Put, Region, Scan, SeekKey, StoreFileOrigin,
    StoreFileWriter, Table,
};
use hregion_arrow::{Column, Infer, Invalid, KeyPart, Layout, Mapping, RowKey, ValueType};
use hregion_datafusion::HregionTable;
use std::fs;
use std::path::Path;

/// The total numbers of predicates pushed down.
#[derive(Debug, Default)]
struct Pushed {
    queries: usize,
    rows: usize,
    ranges: usize,
    filters: usize,
    exact: usize,
}

fn strings(batches: &[RecordBatch], model: &Model) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        for at in 0..batch.num_rows() {
            let mut row = Vec::new();
            for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
                let kind = model.columns.iter().find(|(name, _)| name == field.name()).map(|(_, kind)| *kind);
                row.push(match kind {
                    _ if column.is_null(at) => "NULL".to_owned(),
                    Some(Kind::Text) => format!("'{}'", array_value_to_string(column, at).unwrap()),
                    Some(Kind::Opaque) => "?".to_owned(),
                    _ => array_value_to_string(column, at).unwrap(),
                });
            }
            rows.push(row);
        }
    }
    rows
}

/// Returns a list of columns to select, with times as numbers.
fn selected(model: &Model, columns: &[usize]) -> String {
    let text = |at: &usize| {
        let (name, kind) = &model.columns[*at];
        let name = quoted(name);
        if *kind == Kind::Time { format!("arrow_cast({name}, 'Int64') AS {name}") } else { name }
    };
    columns.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Compares the answers of many queries.
async fn compare(table: &Table, layout: &Layout, seed: u64, queries: usize, pushed: &mut Pushed) {
    let model = Model::of(table, layout);
    if model.rows.is_empty() {
        return;
    }
    let mut rng = Rng::new(seed);
    for number in 0..queries {
        let depth = rng.below(4);
        let predicate = Predicate::random(&model, &mut rng, depth);
        let holds = |row: &&Vec<Value>| predicate.holds(row) == Some(true);
        let matching: Vec<&Vec<Value>> = model.rows.iter().filter(holds).collect();
        let mut columns: Vec<usize> = (0..model.columns.len()).filter(|_| rng.below(3) == 0).collect();
        columns.push(rng.below(model.columns.len()));
        columns.sort_unstable();
        columns.dedup();
        let condition = predicate.sql(&model);
        let (form, limit) = (rng.below(5), 1 + rng.below(5));
        let list = selected(&model, &columns);
        let sql = match form {
            0 => format!("SELECT count(*) FROM t WHERE {condition}"),
            1 => format!("SELECT {list} FROM t WHERE {condition} LIMIT {limit}"),
            2 => {
                let key = quoted(&model.columns[0].0);
                format!("SELECT {list} FROM t WHERE {condition} ORDER BY {key}")
            }
            _ => format!("SELECT {list} FROM t WHERE {condition}"),
        };
        let (partitions, batch) = (1 + rng.below(5), [1, 7, 8192][rng.below(3)]);
        for pushes_down in [true, false] {
            let source = HregionTable::new(table.clone(), layout.clone());
            let source = source.pushdown(pushes_down).min_partition_bytes(1);
            let context = session(source, partitions, batch);
            let found = run(&context, &sql).await;
            let found = found.unwrap_or_else(|error| panic!("seed {seed}, query {number}: {sql}: {error}"));
            let what = format!("seed {seed}, query {number}, pushdown {pushes_down}: {sql}");
            let of_row = |row: &&Vec<Value>| -> Vec<String> {
                let of = |at: &usize| match model.columns[*at].1 {
                    Kind::Opaque if row[*at] != Value::Null => "?".to_owned(),
                    _ => row[*at].shown(),
                };
                columns.iter().map(of).collect()
            };
            let mut expected: Vec<Vec<String>> = matching.iter().map(of_row).collect();
            let mut answer = strings(&found, &model);
            // the catalog has its own order, but results sorted here are sorted by bytes
            if form == 2 && columns[0] == 0 && !answer.is_empty() {
                // the row key is in order
                let keys: Vec<&String> = answer.iter().map(|row| &row[0]).collect();
                let mut sorted: Vec<(Value, String)> =
                    matching.iter().map(|row| (row[0].clone(), row[0].shown())).collect();
                sorted.sort_by(|(a, _), (b, _)| a.compare(b).unwrap());
                assert!(keys.iter().zip(&sorted).all(|(a, (_, b))| *a == b), "{what}: {keys:?}");
            }
            expected.sort();
            answer.sort();
            match form {
                0 => assert_eq!(answer, [[matching.len().to_string()]], "{what}"),
                1 => {
                    assert_eq!(answer.len(), matching.len().min(limit), "{what}");
                    for row in answer {
                        let at = expected.iter().position(|expected| *expected == row);
                        expected.remove(at.unwrap_or_else(|| panic!("{what}: {row:?}")));
                    }
                }
                _ => assert_eq!(answer, expected, "{what}"),
            }
            if pushes_down {
                let plan = plan(&context, &sql).await;
                let mut scans = 0;
                each_scan(&plan, &mut |scan| {
                    scans += 1;
                    let ranges = scan.row_ranges().concat();
                    let is_all =
                        |(start, end): &(Vec<u8>, Option<Vec<u8>>)| start.is_empty() && end.is_none();
                    pushed.filters += usize::from(scan.filter().is_some());
                    let joined = ranges.iter().flat_map(|(_, end)| end).count() >= ranges.len();
                    pushed.ranges += usize::from(!ranges.iter().any(is_all) && joined);
                });
                pushed.exact += usize::from(!shown(&plan).contains("FilterExec") && scans > 0);
            }
        }
        pushed.queries += 1;
        pushed.rows += matching.len();
    }
}

fn seed() -> u64 {
    std::env::var("HREGION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261)
}

pub(crate) fn typed_columns() -> Vec<Column> {
    let columns = [
        "f:n=long@",
        "f:t=utf8@",
        "f:i=int",
        "f:all=long[]",
        "g:b=boolean",
        "g:x=binary",
        "g:s=short@",
        "h:big=utf8",
        "h:d=double",
        "h:when=timestamp",
        "h:o=ordered-int32",
        "h:j=json",
    ];
    columns.iter().map(|column| Column::parse(column).unwrap()).collect()
}

/// Writes a table with all types: versions, deletes, rows without columns, and unmapped columns.
pub(crate) fn write(root: &Path, keys: &[Vec<u8>], splits: &[&str], invalid: bool, rng: &mut Rng) -> Table {
    let families = ["f", "g", "h"].map(|name| Family::new(name).max_versions(3).block_size(512));
    let table = Table::create(root, "t", &families, splits).unwrap();
    for round in 0..3 {
        for key in keys {
            let time = 10 + round * 20 + rng.below(30) as i64;
            let number = [-3_i64, -1, 0, 1, 2, 300, i64::MIN, i64::MAX][rng.below(8)];
            let text = ["", "a", "ab", "abc", "b!", "é", "z'%"][rng.below(7)];
            let value: (&str, &str, Vec<u8>) = match rng.below(14) {
                0 => ("f", "n", number.to_be_bytes().to_vec()),
                1 => ("f", "t", text.into()),
                2 => ("f", "i", (number as i32).to_be_bytes().to_vec()),
                3 => ("f", "all", number.to_be_bytes().to_vec()),
                4 => ("g", "b", vec![[0, 1, 0xff][rng.below(3)]]),
                5 => ("g", "x", text.as_bytes().iter().rev().copied().collect()),
                6 => ("g", "s", (number as i16).to_be_bytes().to_vec()),
                7 => ("h", "big", text.repeat(20).into_bytes()),
                8 => ("h", "d", 1.5_f64.to_be_bytes().to_vec()),
                9 => ("h", "when", (1_700_000_000_000 + number % 1000).to_be_bytes().to_vec()),
                10 => ("h", "o", [&[0x2b][..], &(7_u32 ^ 1 << 31).to_be_bytes()].concat()),
                11 => ("h", "unmapped", text.into()),
                12 => {
                    let sound = ["1", "\"a\"", "[]"][rng.below(3)];
                    // text that is not JSON
                    let rest = if invalid { ["", "b", "!"][rng.below(3)] } else { "" };
                    ("h", "j", format!("{sound}{rest}").into_bytes())
                }
                _ => {
                    let delete = Delete::new(key.clone());
                    let delete = match rng.below(3) {
                        0 => delete.family("f"),
                        1 => delete.column("f", "n"),
                        _ => delete.column("g", "x"),
                    };
                    table.delete(delete).unwrap();
                    continue;
                }
            };
            let value = if invalid && rng.below(4) == 0 {
                (value.0, value.1, b"\xff\xfe\xfd".to_vec())
            } else {
                value
            };
            table.put(Put::new(key.clone()).cell_at(value.0, value.1, time, value.2)).unwrap();
            if rng.below(2) == 0 {
                let n = number.to_be_bytes().to_vec();
                table.put(Put::new(key.clone()).cell_at("f", "n", time + 1, n)).unwrap();
            }
        }
        if round < 2 {
            for info in table.regions() {
                table.region(info.start_key()).unwrap().flush().unwrap();
            }
        }
    }
    table
}

fn words(rng: &mut Rng, alphabet: &[u8], most: usize) -> Vec<u8> {
    let len = rng.below(most + 1);
    (0..len).map(|_| alphabet[rng.below(alphabet.len())]).collect()
}

/// Returns row keys, and their mapping.
pub(crate) fn keyed(kind: usize, rng: &mut Rng) -> (RowKey, Vec<Vec<u8>>) {
    let part = |name: &str, ty: ValueType| KeyPart::new(name, ty);
    let row = match kind {
        0 => RowKey::whole(ValueType::Utf8),
        1 => RowKey::whole(ValueType::Binary),
        2 => RowKey::Separated {
            separator: b"|".to_vec(),
            parts: vec![part("a", ValueType::Utf8), part("b", ValueType::Utf8), part("c", ValueType::Binary)],
        },
        3 => RowKey::Separated {
            separator: b"!!".to_vec(),
            parts: vec![part("a", ValueType::Utf8), part("id", ValueType::Short), part("b", ValueType::Utf8)],
        },
        4 => RowKey::Widths {
            parts: vec![(part("a", ValueType::Utf8), 2), (part("id", ValueType::Int), 4)],
            rest: Some(part("b", ValueType::Utf8)),
        },
        5 => RowKey::Widths { parts: vec![(part("id", ValueType::Long), 8)], rest: None },
        _ => RowKey::whole(ValueType::Long),
    };
    let long =
        |rng: &mut Rng| ([-300_i64, -2, -1, 0, 1, 2, 300][rng.below(7)] + rng.below(9) as i64).to_be_bytes();
    let key = |_| match kind {
        0 | 1 => {
            let mut key = words(rng, b"ab!~", 4);
            key.push(b'a');
            key
        }
        2 => [words(rng, b"ab!~", 2), words(rng, b"ab", 2), words(rng, b"a|b", 2)].join(&b'|'),
        3 => {
            // a number may have the bytes of the separator
            let id = [*b"!!", [b'!', 0], [0, b'!'], [0xff, 0xff], [0, 1]][rng.below(5)];
            [words(rng, b"ab~", 2), id.to_vec(), words(rng, b"a!b", 2)].join(&b"!!"[..])
        }
        4 => {
            let id = ([-300_i32, -1, 0, 1, 300][rng.below(5)]).to_be_bytes();
            [&[b"aa", b"ab", b"b!", b"zz"][rng.below(4)][..], &id, &words(rng, b"ab", 2)].concat()
        }
        _ => long(rng).to_vec(),
    };
    let keys = (0..90).map(key).collect();
    (row, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_rows_are_those_of_the_cells() {
    let seed = seed();
    println!("HREGION_SEED={seed}");
    let mut pushed = Pushed::default();
    for kind in 0..7 {
        for invalid in [false, true] {
            let mut rng = Rng::new(seed + kind as u64 * 2 + u64::from(invalid));
            let dir = tempfile::tempdir().unwrap();
            let (row, keys) = keyed(kind, &mut rng);
            let splits: &[&str] = if kind < 5 { &["a", "b"] } else { &["\0\0\0\0\0\0\u{1}"] };
            let table = write(dir.path(), &keys, splits, invalid, &mut rng);
            let mut columns = typed_columns();
            if invalid {
                // a list may have nulls, and a double too
                columns.retain(|column| column.qualifier() != b"all");
            }
            let mapping = Mapping::new(row, columns).unwrap();
            let mapping = if invalid { mapping.on_invalid(Invalid::Null) } else { mapping };
            let seed = rng.next() % 1_000_000;
            compare(&table, &Layout::Columns(mapping), seed, 30, &mut pushed).await;
        }
    }
    println!("{pushed:?}");
    assert!(pushed.queries >= 400 && pushed.rows > 1000, "{pushed:?}");
    assert!(pushed.filters > 60 && pushed.ranges > 60 && pushed.exact > 60, "{pushed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_predicate_is_applied_beside_another() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["a3"]).unwrap();
    let long = "l".repeat(70);
    let firsts: Vec<String> = (0..700).map(|at| format!("a{at:03}")).chain([long.clone()]).collect();
    for first in &firsts {
        for second in ["b0001", "x", "y"] {
            table.put(Put::new(format!("{first}|{second}")).cell_at("f", "q", 1, "v")).unwrap();
        }
    }
    let parts = ["a", "b"].map(|name| KeyPart::new(name, ValueType::Utf8)).to_vec();
    let row = RowKey::Separated { separator: b"|".to_vec(), parts };
    let mapping = Mapping::new(row, vec![Column::parse("f:q=utf8").unwrap()]).unwrap();
    let list =
        |values: &[String]| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
    let seconds: Vec<String> = (0..1001).map(|at| format!("b{at:04}")).collect();
    for (condition, expected) in [
        (format!("a IN ({}) AND b <> 'x'", list(&firsts[..600])), 1200),
        (format!("a = '{long}' AND b IN ({})", list(&seconds)), 1),
        (format!("a < 'a001' AND a <> '{long}'"), 3),
    ] {
        for pushes_down in [true, false] {
            let source = HregionTable::new(table.clone(), Layout::Columns(mapping.clone()));
            let context = session(source.pushdown(pushes_down), 2, 8192);
            let found = run(&context, &format!("SELECT a, b FROM t WHERE {condition}")).await.unwrap();
            let count: usize = found.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(count, expected, "pushdown {pushes_down}: {}", &condition[..20]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_are_those_of_a_scan() {
    let seed = seed();
    println!("HREGION_SEED={seed}");
    let mut pushed = Pushed::default();
    for kind in [0, 2] {
        let mut rng = Rng::new(seed + kind as u64);
        let dir = tempfile::tempdir().unwrap();
        let (_, keys) = keyed(kind, &mut rng);
        let table = write(dir.path(), &keys, &["b"], true, &mut rng);
        // no statistics for the memstore
        for info in table.regions() {
            table.region(info.start_key()).unwrap().flush().unwrap();
        }
        compare(&table, &Layout::Cells, seed, 60, &mut pushed).await;
    }
    println!("{pushed:?}");
    assert!(pushed.rows > 200 && pushed.ranges > 20, "{pushed:?}");
}

/// Compares counts: of all rows, of some of the columns, of ranges, and with limits.
pub(crate) async fn counts_are_those_of_the_model(table: &Table, layout: &Layout) {
    let mut layouts = vec![layout.clone()];
    if let Layout::Columns(mapping) = layout {
        // rows without any of the columns are not counted
        for columns in [mapping.columns().iter().take(1), mapping.columns().iter().take(3)] {
            let columns = columns.cloned().collect();
            layouts.push(Layout::Columns(Mapping::new(mapping.row().clone(), columns).unwrap()));
        }
    }
    for layout in layouts {
        let model = Model::of(table, &layout);
        let all = model.rows.len();
        for (partitions, batch) in [(1, 8192), (3, 7)] {
            let source = HregionTable::new(table.clone(), layout.clone()).min_partition_bytes(1);
            let context = session(source, partitions, batch);
            let count = |sql: String| {
                let context = &context;
                async move { strings(&run(context, &sql).await.unwrap(), &Model::empty())[0][0].clone() }
            };
            assert_eq!(count("SELECT count(*) FROM t".into()).await, all.to_string(), "{layout:?}");
            let limited = count("SELECT count(*) FROM (SELECT 1 FROM t LIMIT 5)".into()).await;
            assert_eq!(limited, all.min(5).to_string());
            let Some(Value::Bytes(middle)) = model.rows.get(all / 2).map(|row| row[0].clone()) else {
                continue;
            };
            let below = model
                .rows
                .iter()
                .filter(|row| row[0].compare(&Value::Bytes(middle.clone())).unwrap().is_lt());
            let below = below.count().to_string();
            let literal = Value::Bytes(middle.clone()).shown();
            let key = quoted(&model.columns[0].0);
            let found = count(format!("SELECT count(*) FROM t WHERE {key} < X'{literal}'")).await;
            assert_eq!(found, below, "{layout:?}");
        }
    }
}

/// Qualifier, timestamp, value.
type PutCell<'c> = (&'c str, i64, &'c str);

/// Opens a file of rows with cells of `f`.
fn file_of(dir: &Path, rows: &[(&str, &[PutCell<'_>])]) -> Region {
    let path = dir.join("cells");
    let mut writer = StoreFileWriter::create(HFileWriter::options(), &path).unwrap();
    for (row, cells) in rows {
        for (qualifier, timestamp, value) in *cells {
            let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), *timestamp, CellType::Put);
            writer.append(CellRef::new(&key, value.as_bytes())).unwrap();
        }
    }
    writer.finish(&StoreFileOrigin::flush(1)).unwrap();
    Region::options().open_files([path]).unwrap()
}

/// A read of columns by name skips the greatest timestamp, a read of all columns does not.
#[tokio::test(flavor = "multi_thread")]
async fn the_greatest_timestamp_is_read_with_and_without_names() {
    let dir = tempfile::tempdir().unwrap();
    let region = file_of(
        dir.path(),
        &[
            ("a", &[("p", i64::MAX, "only"), ("q", 3, "3")]),
            ("b", &[("p", 2, "2"), ("q", i64::MAX, "new"), ("q", 5, "old"), ("r", 1, "1")]),
            ("c", &[("q", i64::MAX, "alone")]),
            ("d", &[("r", 7, "7")]),
            ("e", &[("q", i64::MAX, "new"), ("q", 6, "old")]),
        ],
    );
    let rows_of = async |layout: &Layout, pushes_down: bool, sql: &str| {
        let source = HregionTable::of_region(region.clone(), layout.clone()).pushdown(pushes_down);
        let found = run(&session(source, 1, 8192), sql).await.unwrap();
        let text = pretty_format_batches(&found).unwrap().to_string();
        let lines = text.lines().skip(3).filter(|line| line.starts_with('|'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let list = "SELECT \"row\", qualifier, \"timestamp\", value FROM t";
    for (condition, count) in [
        ("qualifier = X'71'", 4),
        ("qualifier = X'71' AND family = X'66'", 4),
        ("qualifier IN (X'70', X'71')", 6),
        ("qualifier = X'71' AND \"timestamp\" >= 5", 3),
        ("qualifier >= X'71' AND qualifier < X'72'", 4),
        ("qualifier = X'78'", 0),
    ] {
        let sql = format!("{list} WHERE {condition}");
        let plain = rows_of(&Layout::Cells, false, &sql).await;
        assert_eq!(rows_of(&Layout::Cells, true, &sql).await, plain, "{condition}");
        assert_eq!(plain.len(), count, "{condition}: {plain:?}");
    }
    for (names, count) in [(&["f:q"][..], 3), (&["f:p"], 1), (&["f:p", "f:q"], 3), (&["f:r"], 2)] {
        let columns = names.iter().map(|name| Column::parse(&format!("{name}=utf8")).unwrap()).collect();
        let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
        let layout = Layout::Columns(mapping);
        for pushes_down in [true, false] {
            let rows = rows_of(&layout, pushes_down, "SELECT \"row\" FROM t").await;
            assert_eq!(rows.len(), count, "{names:?}: {rows:?}");
            let found = rows_of(&layout, pushes_down, "SELECT count(*) FROM t").await;
            assert_eq!(found, [format!("| {count}        |")], "{names:?}");
            let some = rows_of(&layout, pushes_down, "SELECT count(*) FROM (SELECT 1 FROM t LIMIT 1)").await;
            assert_eq!(some, ["| 1        |"], "{names:?}");
        }
        let value = format!("SELECT * FROM t WHERE \"{}\" = 'old'", names[0]);
        let [pushed, plain] = [rows_of(&layout, true, &value).await, rows_of(&layout, false, &value).await];
        assert_eq!(pushed, plain, "{names:?}");
        assert_eq!(pushed.len(), if names == ["f:q"] { 2 } else { 0 }, "{pushed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_descriptor_each_region_has_its_own_families() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f"), Family::new("g")];
    let table = Table::create(dir.path(), "t", &families, &["m"]).unwrap();
    let mut others = Vec::new();
    for (row, family, other) in [("a", "f", "g"), ("z", "g", "f")] {
        table.put(Put::new(row).cell_at(family, "q", 1, "v")).unwrap();
        others.push(table.region(row).unwrap().path().join(other));
    }
    table.close().unwrap();
    let path = dir.path().join("data/default/t");
    fs::remove_dir_all(path.join(".tabledesc")).unwrap();
    for other in others.iter().filter(|other| other.exists()) {
        fs::remove_dir_all(other).unwrap();
    }
    let table = Table::open_dir(&path, Region::options()).unwrap();
    let names = |row: &str| {
        let region = table.region(row).unwrap();
        region.families().map(|family| family.name().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!((names("a"), names("z")), (vec![b"f".to_vec()], vec![b"g".to_vec()]));
    for (condition, expected) in [
        ("family = X'66'", 1),
        ("family = X'67'", 1),
        ("family <> X'66'", 1),
        ("family IN (X'66', X'67')", 2),
        ("family = X'67' AND qualifier = X'71'", 1),
        ("family = X'67' AND qualifier > X'71'", 0),
        ("qualifier = X'71'", 2),
        ("family = X'68'", 0),
    ] {
        for pushes_down in [true, false] {
            let source = HregionTable::new(table.clone(), Layout::Cells).pushdown(pushes_down);
            let sql = format!("SELECT \"row\" FROM t WHERE {condition}");
            let found = run(&session(source, 2, 8192), &sql).await.unwrap();
            let count: usize = found.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(count, expected, "pushdown {pushes_down}: {condition}");
        }
    }
}

/// A row key without all its parts also fails counts, which read no values.
#[tokio::test(flavor = "multi_thread")]
async fn row_keys_without_their_parts_are_not_counted() {
    let part = |name: &str| KeyPart::new(name, ValueType::Utf8);
    let parts = ["a", "b", "c"].map(part).to_vec();
    let separated = RowKey::Separated { separator: b"|".to_vec(), parts };
    let widths = RowKey::Widths { parts: vec![(part("a"), 1), (part("b"), 4)], rest: None };
    for row in [separated, widths] {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
        for key in ["q|r|s", "x|y"] {
            table.put(Put::new(key).cell_at("f", "q", 1, "v")).unwrap();
        }
        let mapping = Mapping::new(row, vec![Column::parse("f:q=utf8").unwrap()]).unwrap();
        for (condition, is_sound) in [
            ("a = 'q'", true),
            ("a = 'x'", false),
            ("a > 'r'", false),
            ("\"f:q\" = 'v'", false),
            ("true", false),
        ] {
            let source = HregionTable::new(table.clone(), Layout::Columns(mapping.clone()));
            let context = session(source, 1, 8192);
            let rows = run(&context, &format!("SELECT * FROM t WHERE {condition}")).await;
            let count = run(&context, &format!("SELECT count(*) FROM t WHERE {condition}")).await;
            if is_sound {
                let rows: usize = rows.unwrap().iter().map(RecordBatch::num_rows).sum();
                assert_eq!(strings(&count.unwrap(), &Model::empty()), [[rows.to_string()]], "{condition}");
                assert_eq!(rows, 1, "{condition}");
                continue;
            }
            for answer in [rows, count] {
                let error = answer.unwrap_err().to_string();
                assert!(error.contains("expected the parts of the mapping"), "{condition}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_json_is_null_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    table.put(Put::new("a").cell_at("f", "j", 1, "no json")).unwrap();
    table.put(Put::new("b").cell_at("f", "j", 1, "[1]")).unwrap();
    let mapping =
        Mapping::new(RowKey::whole(ValueType::Utf8), vec![Column::parse("f:j=json").unwrap()]).unwrap();
    for pushes_down in [true, false] {
        for condition in ["= 'no json'", "IN ('no json', 'neither')", "LIKE 'no json'"] {
            let count = async |mapping: Mapping| {
                let source = HregionTable::new(table.clone(), Layout::Columns(mapping)).pushdown(pushes_down);
                let sql = format!("SELECT count(*) FROM t WHERE \"f:j\" {condition}");
                run(&session(source, 1, 8192), &sql).await
            };
            let null = count(mapping.clone().on_invalid(Invalid::Null)).await.unwrap();
            assert_eq!(strings(&null, &Model::empty()), [["0"]], "pushdown {pushes_down}: {condition}");
            assert!(count(mapping.clone()).await.is_err(), "pushdown {pushes_down}: {condition}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_tables_are_queried() {
    let seed = seed();
    println!("HREGION_SEED={seed}");
    let (mut pushed, mut tables) = (Pushed::default(), 0);
    for dir in golden_tables() {
        let Ok(table) = Table::open_dir(&dir, Region::options()) else { continue };
        let mut infer = Infer::new();
        let Ok(mut rows) = table.scan(Scan::new()) else { continue };
        let (mut count, mut is_sound) = (0, true);
        loop {
            match rows.next_row() {
                Ok(Some(row)) => infer.add(row),
                Ok(None) => break,
                Err(_) => {
                    is_sound = false;
                    break;
                }
            }
            count += 1;
        }
        if !is_sound || count == 0 || count > 3000 {
            continue;
        }
        tables += 1;
        let mapping = infer.mapping().unwrap();
        for layout in [Layout::Cells, Layout::Columns(mapping.clone())] {
            counts_are_those_of_the_model(&table, &layout).await;
        }
        compare(&table, &Layout::Cells, seed + tables, 4, &mut pushed).await;
        compare(&table, &Layout::Columns(mapping), seed + tables, 4, &mut pushed).await;
    }
    println!("{tables} tables, {pushed:?}");
    assert!(tables > 2 && pushed.rows > 500, "{tables} tables, {pushed:?}");
}
