//! Answers for rows that are too large, that expire while they are read, or have the longest keys.

use super::strings;
use crate::model::Model;
use crate::{each_scan, plan, rows as run, session};
use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::ExecutionPlan as _;
use futures::StreamExt as _;
use hregion::cell::MAX_ROW_LEN;
use hregion::{Clock, Durability, Family, Limits, ManualClock, Put, Region, Scan, Table};
use hregion_arrow::{Column, Layout, Mapping, RowKey, ValueType};
use hregion_datafusion::HregionTable;
use std::sync::Arc;
use std::time::Duration;

/// A row may be too large to be read with all its cells, but not with only the mapped ones, or in parts.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_too_large_with_all_cells_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    let mut expected = 0;
    for row in 0..30 {
        let mut put = Put::new(format!("row{row:02}"));
        if row % 7 != 3 {
            put = put.cell_at("f", "q", 1, "v");
            expected += 1;
        }
        let others = if row % 10 == 8 { 100 } else { 1 };
        for other in 0..others {
            put = put.cell_at("f", format!("r{other:03}"), 1, vec![7; 100]);
        }
        table.put(put).unwrap();
    }
    table.close().unwrap();
    let options = Region::options().limits(Limits::new().with_row_bytes(5000));
    let table = Table::open_with(dir.path(), "t", options).unwrap();
    assert!(table.scan(Scan::new()).unwrap().any(|row| row.is_err()), "the rows are too large");
    let columns = vec![Column::parse("f:q=utf8").unwrap()];
    let layout = Layout::Columns(Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap());
    let of_rows = [
        ("SELECT count(*) FROM t", expected),
        ("SELECT count(*) FROM t WHERE row >= 'row05'", expected - 4),
        ("SELECT count(*) FROM (SELECT 1 FROM t LIMIT 20)", 20),
    ];
    // rows of cells are read in parts
    let others = 27 + 3 * 100;
    let of_cells = [
        ("SELECT count(*) FROM t", expected + others),
        ("SELECT count(DISTINCT row) FROM t", 30),
        ("SELECT count(*) FROM (SELECT DISTINCT row, qualifier FROM t)", expected + others),
        ("SELECT count(*) FROM t WHERE row >= X'726f773035'", expected + others - 4 - 5),
        ("SELECT count(*) FROM t WHERE row = X'726f773138'", 101),
        ("SELECT count(*) FROM t WHERE qualifier > X'72'", others),
        ("SELECT count(*) FROM t WHERE timestamp >= 1 AND family = X'66'", expected + others),
        ("SELECT count(*) FROM (SELECT value FROM t LIMIT 150)", 150),
    ];
    for batch in [1, 7, 8192] {
        for (layout, queries) in [(&layout, &of_rows[..]), (&Layout::Cells, &of_cells[..])] {
            let context = session(HregionTable::new(table.clone(), layout.clone()), 1, batch);
            for (sql, expected) in queries {
                let found = run(&context, sql).await.unwrap();
                assert_eq!(strings(&found, &Model::empty()), [[expected.to_string()]], "{batch}: {sql}");
            }
        }
    }
}

/// Rows that expire after they were counted must not hide others.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_expire_are_not_taken_for_others() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(500)));
    let families = [Family::new("f").ttl(Duration::from_secs(1))];
    let options = || Region::options().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let table = Table::create_with(dir.path(), "t", &families, &[] as &[&str], options()).unwrap();
    for row in 0..20 {
        let timestamp = if row < 5 { 1 } else { 5000 };
        let mut put = Put::new(format!("row{row:02}")).cell_at("f", "q", timestamp, "v");
        let others = if row == 15 { 100 } else { 1 };
        for other in 0..others {
            put = put.cell_at("f", format!("r{other:03}"), timestamp, vec![7; 100]);
        }
        table.put(put).unwrap();
    }
    table.close().unwrap();
    let limits = Limits::new().with_row_bytes(5000);
    let table = Table::open_with(dir.path(), "t", options().limits(limits)).unwrap();
    let columns = vec![Column::parse("f:q=utf8").unwrap()];
    let layout = Layout::Columns(Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap());
    for (layout, sql, expected) in [
        (layout, "SELECT count(*) FROM t", 20),
        (Layout::Cells, "SELECT count(*) FROM t", 19 * 2 + 101),
        (Layout::Cells, "SELECT value FROM t", 19 * 2 + 101),
    ] {
        clock.set(500);
        let context = session(HregionTable::new(table.clone(), layout), 1, 1);
        let plan = plan(&context, sql).await;
        let mut streams = Vec::new();
        each_scan(&plan, &mut |scan| streams.push(scan.execute(0, context.task_ctx()).unwrap()));
        let [stream] = &mut streams[..] else { panic!("{sql}") };
        let mut rows = stream.next().await.unwrap().unwrap().num_rows();
        // the reader is only a few batches ahead, each of a row or a part of it
        clock.set(5000);
        while let Some(batch) = stream.next().await {
            rows += batch.unwrap().num_rows();
        }
        assert_eq!(rows, expected, "{sql}");
    }
}

/// The first byte string after a row of the maximum length is longer than any row.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_maximum_length_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().durability(Durability::SkipWal);
    let families = [Family::new("f")];
    let table = Table::create_with(dir.path(), "t", &families, &[] as &[&str], options).unwrap();
    let (long, longer) = ("b".repeat(MAX_ROW_LEN), "b".repeat(MAX_ROW_LEN + 10));
    for row in ["a", long.as_str(), "c", "d"] {
        table.put(Put::new(row.to_owned()).cell_at("f", "q", 1, "v")).unwrap();
    }
    // after this many other cells, rows are read by the names of columns
    for other in 0..1001 {
        table.put(Put::new(long.clone()).cell_at("f", format!("r{other}"), 1, "v")).unwrap();
    }
    let columns = vec![Column::parse("f:q=utf8").unwrap()];
    let layout = Layout::Columns(Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap());
    for (condition, expected) in [
        ("true".to_owned(), 4),
        (format!("row > '{long}'"), 2),
        (format!("row >= '{long}'"), 3),
        (format!("row < '{long}'"), 1),
        (format!("row <= '{long}'"), 2),
        (format!("row = '{long}'"), 1),
        (format!("row <> '{long}'"), 3),
        (format!("row > '{longer}'"), 2),
        (format!("row >= '{longer}'"), 2),
        (format!("row < '{longer}'"), 2),
        (format!("row = '{longer}'"), 0),
        (format!("row <> '{longer}'"), 4),
    ] {
        for pushes_down in [true, false] {
            let of_table = HregionTable::new(table.clone(), layout.clone());
            let of_region = HregionTable::of_region(table.region("").unwrap(), layout.clone());
            for source in [of_table, of_region] {
                let context = session(source.pushdown(pushes_down), 1, 8192);
                let what = format!("pushdown {pushes_down}: {}, {expected}", &condition[..4]);
                let found = run(&context, &format!("SELECT row FROM t WHERE {condition}")).await.unwrap();
                assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), expected, "{what}");
                let count = format!("SELECT count(*) FROM t WHERE {condition}");
                let count = strings(&run(&context, &count).await.unwrap(), &Model::empty());
                assert_eq!(count, [[expected.to_string()]], "{what}");
            }
        }
    }
}
