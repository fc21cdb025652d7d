//! Tables that HBase wrote, converted to Parquet and Arrow's files, are compared cell by cell.
#![cfg(feature = "files")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

#[path = "../../tests/support/golden_tables.rs"]
mod golden_tables;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, RecordBatch, RecordBatchReader as _};
use golden_tables::golden_tables;
use hregion::{Family, Put, Region, Scan, Table};
use hregion_arrow::files::{BatchFile, BatchFileWriter, FileFormat};
use hregion_arrow::{
    BatchLimits, Batches, Column, Error, Infer, Invalid, Layout, Mapping, RowKey, ValueType,
};
use std::fs::File;
use std::path::Path;

/// Row, family, qualifier, timestamp, type, value.
type CellOf = (Vec<u8>, Vec<u8>, Vec<u8>, i64, String, Vec<u8>);

fn raw() -> Scan {
    Scan::new().raw(true).max_versions(u32::MAX)
}

fn cells_of(batch: &RecordBatch) -> Vec<CellOf> {
    let bytes = |name: &str| batch.column_by_name(name).unwrap().as_binary::<i32>().clone();
    let [rows, families, qualifiers, values] = ["row", "family", "qualifier", "value"].map(bytes);
    let times = batch.column_by_name("timestamp").unwrap().as_primitive::<Int64Type>();
    let types = batch.column_by_name("type").unwrap().as_string::<i32>();
    (0..batch.num_rows())
        .map(|at| {
            let of = |array: &arrow_array::BinaryArray| array.value(at).to_vec();
            let kind = types.value(at).to_owned();
            (of(&rows), of(&families), of(&qualifiers), times.value(at), kind, of(&values))
        })
        .collect()
}

fn scanned(table: &Table, scan: Scan) -> hregion::Result<Vec<CellOf>> {
    let (mut rows, mut cells) = (table.scan(scan)?, Vec::new());
    while let Some(row) = rows.next_row()? {
        cells.extend(row.cells().map(|cell| {
            let kind = cell.cell_type().name().to_owned();
            let (row, family, qualifier) = (cell.row(), cell.family(), cell.qualifier());
            let key = (row.to_vec(), family.to_vec(), qualifier.to_vec());
            (key.0, key.1, key.2, cell.timestamp(), kind, cell.value().to_vec())
        }));
    }
    Ok(cells)
}

/// Writes the batches of a scan, and returns the batches that are read back.
fn through_file(table: &Table, scan: Scan, layout: Layout, format: FileFormat) -> Vec<RecordBatch> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let batches = Batches::of_table(table, scan, layout, BatchLimits::new(100, 20_000)).unwrap();
    let schema = batches.schema();
    let mut file = BatchFileWriter::new(File::create(&path).unwrap(), format, &schema, 50_000).unwrap();
    for batch in batches {
        let batch = batch.unwrap();
        assert!(batch.num_rows() <= 100);
        file.write(&batch).unwrap();
    }
    file.finish("note", "any").unwrap();
    let file = BatchFile::open(File::open(&path).unwrap(), format, 77).unwrap();
    assert_eq!(file.metadata("note").as_deref(), Some("any"));
    assert_eq!(file.schema().fields(), schema.fields());
    file.map(Result::unwrap).collect()
}

#[test]
fn golden_tables_come_back_cell_for_cell() {
    let (mut count, mut read) = (0, 0);
    for dir in golden_tables() {
        let Ok(table) = Table::open_dir(&dir, Region::options()) else { continue };
        for scan in [raw(), Scan::new()] {
            let Ok(expected) = scanned(&table, scan.clone()) else { continue };
            for format in [FileFormat::Parquet, FileFormat::Arrow] {
                let batches = through_file(&table, scan.clone(), Layout::Cells, format);
                let found: Vec<_> = batches.iter().flat_map(cells_of).collect();
                assert!(found == expected, "{}: {format:?}", dir.display());
            }
            count += expected.len();
        }
        read += 1;
    }
    println!("{count} cells of {read} tables");
    assert!(count > 100 && read > 2);
}

#[test]
fn inferred_mappings_read_golden_tables() {
    let mut rows = 0;
    for dir in golden_tables() {
        let Ok(table) = Table::open_dir(&dir, Region::options()) else { continue };
        let mut infer = Infer::new();
        let Ok(mut scanner) = table.scan(Scan::new()) else { continue };
        let mut count = 0;
        while let Ok(Some(row)) = scanner.next_row() {
            infer.add(row);
            count += 1;
        }
        if count == 0 {
            continue;
        }
        let mapping = infer.mapping().unwrap();
        let all = Layout::Columns(mapping);
        for format in [FileFormat::Parquet, FileFormat::Arrow] {
            let batches = through_file(&table, Scan::new(), all.clone(), format);
            assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), count, "{}", dir.display());
        }
        rows += count;
    }
    assert!(rows > 100, "{rows}");
}

/// A table with a column of each kind.
fn typed(root: &Path) -> Table {
    let families = [Family::new("f").max_versions(3)];
    let table = Table::create(root, "t", &families, &["b"]).unwrap();
    for (row, number) in [("a|1", 1_i64), ("b|2", -2), ("c|3", 3)] {
        let put = Put::new(row).cell_at("f", "n", 5, number.to_be_bytes().to_vec());
        table.put(put.cell_at("f", "t", 6, format!("text {number}"))).unwrap();
    }
    table.put(Put::new("c|3").cell_at("f", "n", 7, 30_i64.to_be_bytes().to_vec())).unwrap();
    table.put(Put::new("c|4").cell_at("f", "t", 7, "only text")).unwrap();
    table
}

#[test]
fn rows_are_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let table = typed(dir.path());
    let mapping = |columns: &[&str]| {
        let part = |name: &str| hregion_arrow::KeyPart::new(name, ValueType::Utf8);
        let row = RowKey::Separated { separator: b"|".to_vec(), parts: vec![part("a"), part("b")] };
        Mapping::new(row, columns.iter().map(|column| Column::parse(column).unwrap()).collect()).unwrap()
    };
    let layout = Layout::Columns(mapping(&["f:n=long[]@", "f:t=utf8@"]));
    for format in [FileFormat::Parquet, FileFormat::Arrow] {
        let batches = through_file(&table, Scan::new(), layout.clone(), format);
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
        let batch = &batches[0];
        let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["a", "b", "f:n", "f:n_timestamp", "f:t", "f:t_timestamp"]);
        let parts: Vec<_> = batch.column(1).as_string::<i32>().iter().flatten().collect();
        assert_eq!(parts, ["1", "2", "3", "4"]);
        let numbers = batch.column(2).as_list::<i32>();
        let list = |at: usize| numbers.value(at).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!([list(0), list(1), list(2)], [vec![1], vec![-2], vec![30, 3]]);
        assert!(numbers.is_null(3));
        let texts: Vec<_> = batch.column(4).as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("text 1"), Some("text -2"), Some("text 3"), Some("only text")]);
    }
    // a value that does not fit causes an error that names it, or is null and counted
    let wrong = mapping(&["f:t=long"]);
    let mut batches =
        Batches::of_table(&table, Scan::new(), Layout::Columns(wrong.clone()), BatchLimits::default())
            .unwrap();
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(batches.next().is_none());
    for part in ["a|1", "f:t", "text 1", "long"] {
        assert!(error.contains(part), "{error}");
    }
    let nulls = Layout::Columns(wrong.on_invalid(Invalid::Null));
    let mut batches = Batches::of_table(&table, Scan::new(), nulls, BatchLimits::default()).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!((batch.num_rows(), batch.column(2).null_count(), batches.invalid()), (4, 4, 4));
    // mapped columns cannot hold delete markers
    table.delete(hregion::Delete::new("a|1").family("f")).unwrap();
    let layout = Layout::Columns(mapping(&["f:n=binary"]));
    let region = table.region("a").unwrap();
    let scan = || Scan::new().raw(true).max_versions(u32::MAX);
    let rows = region.scan(scan()).unwrap();
    let builder = hregion_arrow::BatchBuilder::new(layout, None, BatchLimits::default()).unwrap();
    let refused = Batches::of(rows, builder).next().unwrap();
    assert!(refused.unwrap_err().to_string().contains("DeleteFamily"));
}

#[test]
fn after_an_error_there_are_no_batches() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for (row, value) in [("a", "1"), ("b", "no json"), ("c", "2")] {
        table.put(Put::new(row).cell_at("f", "j", 5, value)).unwrap();
    }
    let column = Column::parse("f:j=json").unwrap();
    let layout = Layout::Columns(Mapping::new(RowKey::whole(ValueType::Utf8), vec![column]).unwrap());
    // the second row does not fit beside the first, whose batch is complete before the error
    let limits = BatchLimits::new(100, 15);
    let mut batches = Batches::of_table(&table, Scan::new(), layout, limits).unwrap();
    assert!(batches.next().unwrap().unwrap_err().to_string().contains("no json"));
    assert!(batches.next().is_none() && batches.next().is_none());
}

#[test]
fn mapped_rows_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let table = typed(dir.path());
    let columns = ["f:n=long[]", "f:t=utf8"].map(|column| Column::parse(column).unwrap());
    let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns.to_vec()).unwrap();
    let read = |scan: Scan| {
        let layout = Layout::Columns(mapping.clone());
        let mut batches = Batches::of_table(&table, scan, layout, BatchLimits::default()).unwrap();
        batches.next().unwrap().unwrap()
    };
    let whole = read(Scan::new());
    assert_eq!(whole.num_rows(), 4);
    assert_eq!(read(Scan::new().batch(1)), whole);
    assert_eq!(read(Scan::new().max_result_size(1).allow_partial(true)), whole);
}

/// A row has at least one of the mapped columns, even if the scan has named others.
#[test]
fn a_scan_is_narrowed_to_the_mapped_columns() {
    let dir = tempfile::tempdir().unwrap();
    let table = typed(dir.path());
    let columns = vec![Column::parse("f:n=long").unwrap()];
    let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
    for scan in [Scan::new(), Scan::new().family("f"), Scan::new().column("f", "t")] {
        let layout = Layout::Columns(mapping.clone());
        let mut batches = Batches::of_table(&table, scan, layout, BatchLimits::default()).unwrap();
        let batch = batches.next().unwrap().unwrap();
        assert_eq!((batch.num_rows(), batch.column(1).null_count()), (3, 0));
        assert!(batches.next().is_none());
    }
}

#[test]
fn batches_are_bounded_and_projected() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for row in 0..100 {
        table.put(Put::new(format!("{row:03}")).cell_at("f", "q", 1, vec![7; 100])).unwrap();
    }
    for (rows, bytes) in [(7, 1 << 20), (1000, 500), (1, 1), (0, 0)] {
        let limits = BatchLimits::new(rows, bytes);
        let batches = Batches::of_table(&table, Scan::new(), Layout::Cells, limits).unwrap();
        let sizes: Vec<_> = batches.map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 100);
        assert!(
            sizes.iter().all(|size| *size <= rows.max(1) && (size * 100 <= bytes || *size == 1)),
            "{sizes:?}"
        );
    }
    // an empty projection counts rows
    let builder = |projection: &[usize]| {
        hregion_arrow::BatchBuilder::new(Layout::Cells, Some(projection), BatchLimits::default())
    };
    let rows = || table.scan(Scan::new()).unwrap();
    let counted = Batches::of(rows(), builder(&[]).unwrap()).next().unwrap().unwrap();
    assert_eq!((counted.num_rows(), counted.num_columns()), (100, 0));
    let values = Batches::of(rows(), builder(&[5, 0]).unwrap()).next().unwrap().unwrap();
    assert_eq!(values.schema().field(0).name(), "value");
    assert!(matches!(builder(&[6]), Err(Error::Mapping(_))));
}

/// Nulls also take memory: each row has few of many columns.
#[test]
fn batches_of_many_absent_columns_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for row in 0..100 {
        table.put(Put::new(format!("{row:03}")).cell_at("f", format!("{row}"), 1, vec![7; 8])).unwrap();
    }
    let columns = (0..1000).map(|name| Column::new("f", format!("{name}"), ValueType::Long)).collect();
    let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
    let limits = BatchLimits::new(100, 50_000);
    let batches = Batches::of_table(&table, Scan::new(), Layout::Columns(mapping), limits).unwrap();
    let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
    let largest = batches.iter().map(RecordBatch::num_rows).max();
    assert!(largest.is_some_and(|rows| (2..=7).contains(&rows)), "{largest:?}");
}

#[test]
fn files_are_read_without_a_region() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden/small-none-row.hfile");
    let region = Region::options().open_files([root]).unwrap();
    let batches = Batches::of_region(&region, raw(), Layout::Cells, BatchLimits::default()).unwrap();
    assert!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>() > 10);
}
