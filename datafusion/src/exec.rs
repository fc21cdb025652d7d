//! The plan node that reads partitions.

use crate::partition::{Partition, sum};
use crate::scan::Reading;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt as _;
use std::fmt;
use std::sync::Arc;

/// A range of row keys: from one, inclusive, to another, exclusive; `None` for no end.
pub type RowRange = (Vec<u8>, Option<Vec<u8>>);

/// Reads the rows of a table, a snapshot or a region: partitions of row ranges, each in row order.
#[derive(Debug)]
pub struct HregionExec {
    pub(crate) reading: Reading,
    pub(crate) partitions: Vec<Partition>,
    /// The approximate number of cells in the files for a row of the output.
    pub(crate) cells_of_row: u64,
    /// The columns of the layout in the output, and the columns by which it is sorted.
    pub(crate) output: Vec<usize>,
    pub(crate) sorted: Vec<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HregionExec {
    /// Creates the node. `sorted` are the columns by which the output is sorted.
    pub(crate) fn new(
        reading: Reading,
        partitions: Vec<Partition>,
        cells_of_row: u64,
        output: Vec<usize>,
        sorted: Vec<usize>,
    ) -> Self {
        let schema = &reading.schema;
        let sort = |at: &usize| {
            let name = schema.field(*at).name();
            PhysicalSortExpr::new(Arc::new(Column::new(name, *at)), Default::default())
        };
        let by: Vec<PhysicalSortExpr> = sorted.iter().map(sort).collect();
        let orderings = (!by.is_empty()).then_some(by);
        let equivalence = EquivalenceProperties::new_with_orderings(Arc::clone(schema), orderings);
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { reading, partitions, cells_of_row, output, sorted, properties: Arc::new(properties), metrics }
    }

    /// Returns the ranges of row keys of each partition, in row order.
    #[must_use]
    pub fn row_ranges(&self) -> Vec<Vec<RowRange>> {
        let ranges = |partition: &Partition| {
            let ranges = partition.ranges.ranges().iter();
            ranges.map(|range| (range.start.clone(), range.end.clone())).collect()
        };
        self.partitions.iter().map(ranges).collect()
    }

    /// Returns the scan of each partition, without its range of rows and filter.
    #[must_use]
    pub fn scan(&self) -> &hregion::Scan {
        &self.reading.scan
    }

    /// Returns the filter that the reader applies.
    #[must_use]
    pub fn filter(&self) -> Option<&hregion::Filter> {
        self.reading.filter.as_ref()
    }
}

impl DisplayAs for HregionExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: usize = self.partitions.iter().map(|partition| partition.ranges.ranges().len()).sum();
        write!(f, "HregionExec: partitions={}, row_ranges={ranges}", self.partitions.len())?;
        let names: Vec<&str> =
            self.reading.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, ", columns=[{}]", names.join(", "))?;
        self.reading.fmt_filter(f)?;
        match self.reading.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for HregionExec {
    fn name(&self) -> &'static str {
        "HregionExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("HregionExec has no children"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("HregionExec has no children"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(read) = self.partitions.get(partition).cloned() else {
            return internal_err!("HregionExec has {} partitions, not {partition}", self.partitions.len());
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = self.reading.stream(read, context.session_config().batch_size());
        let batches = batches.map(move |batch| {
            if let Ok(batch) = &batch {
                baseline.record_output(batch.num_rows());
            }
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.reading.schema), batches)))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let reading = Reading { limit, ..self.reading.clone() };
        let (output, sorted) = (self.output.clone(), self.sorted.clone());
        Some(Arc::new(Self::new(reading, self.partitions.clone(), self.cells_of_row, output, sorted)))
    }

    fn fetch(&self) -> Option<usize> {
        self.reading.limit
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    /// Statistics from the trailers of the files: none is exact, as versions, deletes and filters hide cells.
    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        let (cells, bytes) = match args.partition() {
            None => {
                let parts = self.partitions.iter();
                (sum(parts.clone().map(|part| part.cells)), sum(parts.map(|part| part.bytes)))
            }
            Some(at) => match self.partitions.get(at) {
                Some(partition) => (partition.cells, partition.bytes),
                None => {
                    return internal_err!("HregionExec has {} partitions, not {at}", self.partitions.len());
                }
            },
        };
        if cells > 0 {
            let rows = usize::try_from(cells.div_ceil(self.cells_of_row.max(1))).unwrap_or(usize::MAX);
            let rows = self.reading.limit.map_or(rows, |limit| rows.min(limit));
            statistics.num_rows = Precision::Inexact(rows);
            statistics.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        Ok(Arc::new(statistics))
    }
}

/// Returns the schema of some columns.
pub(crate) fn projected(schema: &SchemaRef, columns: &[usize]) -> Result<SchemaRef> {
    Ok(Arc::new(schema.project(columns)?))
}
