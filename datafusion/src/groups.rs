//! Partitions as groups of files, for schedulers that divide a plan among machines.

use crate::exec::HregionExec;
use crate::partition::Partition;
use crate::scan::Reading;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::object_store::ObjectStore;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::StreamExt as _;
use std::fmt;
use std::sync::Arc;

/// Reads each partition of a node as a file in a separate group. Schedulers can assign a task some groups of
/// files, but not some partitions of another kind of node.
#[derive(Clone)]
struct PartitionSource {
    exec: Arc<HregionExec>,
    schema: TableSchema,
    batch_rows: usize,
    metrics: ExecutionPlanMetricsSet,
}

/// Returns the node that reads the same partitions as groups of files.
pub(crate) fn grouped(exec: HregionExec) -> Result<Arc<dyn ExecutionPlan>> {
    let statistics = |partition| -> Result<Arc<Statistics>> {
        exec.statistics_from_inputs(&[], &StatisticsArgs::new().with_partition(partition))
    };
    let whole = Arc::unwrap_or_clone(statistics(None)?);
    let mut groups = Vec::with_capacity(exec.partitions.len());
    for (at, partition) in exec.partitions.iter().enumerate() {
        let file = PartitionedFile::new(format!("partition-{at}"), partition.bytes);
        let group = FileGroup::new(vec![file.with_extension(partition.clone())]);
        groups.push(group.with_statistics(statistics(Some(at))?));
    }
    let (limit, ordering) = (exec.fetch(), exec.properties().output_ordering().cloned());
    let source = PartitionSource {
        schema: TableSchema::from(exec.schema()),
        exec: Arc::new(exec),
        batch_rows: 0,
        metrics: ExecutionPlanMetricsSet::new(),
    };
    // nothing is read from this store, which every session has
    let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
        .with_file_groups(groups)
        .with_statistics(whole)
        .with_output_ordering(ordering.into_iter().collect())
        .with_limit(limit)
        .with_preserve_order(true)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Returns the node whose partitions are the remaining groups of files of [`grouped`]; `None` for another
/// node.
pub(crate) fn ungrouped(node: &dyn ExecutionPlan) -> Result<Option<HregionExec>> {
    let own = node.downcast_ref::<DataSourceExec>().and_then(DataSourceExec::downcast_to_file_source);
    let Some((config, source)): Option<(&FileScanConfig, &PartitionSource)> = own else { return Ok(None) };
    let partition = |group: &FileGroup| match group.files() {
        [file] => partition_of(file).cloned(),
        files => internal_err!("a group of {} partitions", files.len()),
    };
    let partitions = config.file_groups.iter().map(partition).collect::<Result<_>>()?;
    let exec = &source.exec;
    let (output, sorted) = (exec.output.clone(), exec.sorted.clone());
    Ok(Some(HregionExec::new(source.reading(config), partitions, exec.cells_of_row, output, sorted)))
}

fn partition_of(file: &PartitionedFile) -> Result<&Partition> {
    match file.extension() {
        Some(partition) => Ok(partition),
        None => internal_err!("{} is not a partition", file.path()),
    }
}

impl PartitionSource {
    fn reading(&self, config: &FileScanConfig) -> Reading {
        Reading { limit: config.limit, ..self.exec.reading.clone() }
    }
}

impl FileSource for PartitionSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Ok(Arc::new(Opener { reading: self.reading(config), batch_rows: self.batch_rows }))
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_rows: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_rows, ..self.clone() })
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &'static str {
        "hregion"
    }

    fn fmt_extra(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exec.reading.fmt_filter(f)
    }

    /// A partition has no bytes at which it can be divided.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

struct Opener {
    reading: Reading,
    batch_rows: usize,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let batches = self.reading.stream(partition_of(&file)?.clone(), self.batch_rows);
        Ok(Box::pin(async move { Ok(batches.boxed()) }))
    }
}
