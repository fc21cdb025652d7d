//! Snapshots taken by HBase, compared with scans of them.

use crate::answers::counts_are_those_of_the_model;
use crate::golden_tables::golden_snapshots;
use crate::model::Model;
use crate::{rows, session};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Schema;
use hregion::{Scan, Table};
use hregion_arrow::{BatchLimits, Batches, Infer, Layout};
use hregion_datafusion::{Target, TargetOptions};
use std::sync::Arc;

/// Joins batches under one schema.
fn joined(batches: &[RecordBatch], schema: &Arc<Schema>) -> RecordBatch {
    concat_batches(schema, batches).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_what_scans_of_them_are() {
    let (mut snapshots, mut all) = (0, 0);
    for dir in golden_snapshots() {
        let root = dir.parent().unwrap().parent().unwrap();
        let table = Table::open_snapshot(root, dir.file_name().unwrap().to_str().unwrap()).unwrap();
        let mut infer = Infer::new();
        let mut scanner = table.scan(Scan::new()).unwrap();
        while let Some(row) = scanner.next_row().unwrap() {
            infer.add(row);
        }
        let target = Target::open(dir.to_str().unwrap(), TargetOptions::default()).unwrap();
        for layout in [Layout::Cells, Layout::Columns(infer.mapping().unwrap())] {
            let limits = BatchLimits::default();
            let scanned = Batches::of_table(&table, Scan::new(), layout.clone(), limits).unwrap();
            let scanned: Vec<RecordBatch> = scanned.map(|batch| batch.unwrap()).collect();
            let expected = joined(&scanned, &layout.schema());
            for partitions in [1, 4] {
                let provider = target.table(layout.clone()).unwrap().min_partition_bytes(1);
                let context = session(provider, partitions, 100);
                let key = layout.schema().field(0).name().clone();
                let sql = match layout {
                    // the order of the cells of a row equals the file's
                    Layout::Cells => "SELECT * FROM t ORDER BY row, family, qualifier".to_owned(),
                    _ => format!("SELECT * FROM t ORDER BY \"{key}\""),
                };
                let found = rows(&context, &sql).await.unwrap();
                assert_eq!(joined(&found, &layout.schema()), expected, "{}: {sql}", dir.display());
                all += expected.num_rows();
            }
            counts_are_those_of_the_model(&table, &layout).await;
            assert_eq!(Model::of(&table, &layout).rows.len(), expected.num_rows());
        }
        snapshots += 1;
    }
    assert!(snapshots > 0 && all > 400, "{snapshots} snapshots, {all} rows");
}
