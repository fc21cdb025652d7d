//! Queries, compared with results computed from scanned cells; the data that they read, and how they end.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

mod answers;
#[cfg(feature = "codec")]
mod codec;
mod cost;
#[cfg(feature = "remote")]
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../tests/support/fake_s3.rs"]
mod fake_s3;
mod faults;
#[path = "../../../tests/support/golden_tables.rs"]
mod golden_tables;
mod model;
mod partitions;
mod plans;
mod program;
mod query;
#[cfg(feature = "remote")]
mod remote;
#[path = "../../../tests/support/rng.rs"]
mod rng;
mod snapshots;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use hregion::Table;
use hregion_arrow::{Column, Layout, Mapping, RowKey, ValueType};
use hregion_datafusion::{HregionExec, HregionTable};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns a table of typed columns whose rows are texts, in partitions of any size.
fn mapped(table: &Table, columns: &[&str]) -> HregionTable {
    let columns = columns.iter().map(|column| Column::parse(column).unwrap()).collect();
    let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
    HregionTable::new(table.clone(), Layout::Columns(mapping)).min_partition_bytes(1)
}

/// Creates a session with a table `t`.
fn session(table: HregionTable, partitions: usize, batch: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(batch);
    let context = SessionContext::new_with_config(config);
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    context.sql(sql).await?.collect().await
}

async fn plan(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

fn shown(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(&**plan).indent(false).to_string()
}

/// Passes the reading nodes to `take`.
fn each_scan(plan: &Arc<dyn ExecutionPlan>, take: &mut dyn FnMut(&HregionExec)) {
    if let Some(scan) = plan.downcast_ref::<HregionExec>() {
        take(scan);
    }
    for child in plan.children() {
        each_scan(child, take);
    }
}

/// Returns the number of data blocks read, in all regions.
fn blocks_read(table: &Table) -> u64 {
    let regions = table.regions().into_iter();
    regions.map(|info| table.region(info.start_key()).unwrap().metrics().data_blocks_read).sum()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
