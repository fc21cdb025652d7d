//! The reading side of a partition: rows become batches, on a thread that may wait for files.

use crate::error::{of_batches, of_reader};
use crate::partition::Partition;
use crate::source::{View, scans_of};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use hregion::filter::{CellFilter, CustomFilter, Filter};
use hregion::{RowRef, Scan};
use hregion_arrow::{BatchBuilder, BatchLimits, Layout};
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// How the rows of each partition are read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) view: Arc<View>,
    /// Without rows.
    pub(crate) scan: Scan,
    pub(crate) filter: Option<Filter>,
    pub(crate) layout: Layout,
    /// The columns that are decoded: those of the output, and after them those whose values are checked.
    pub(crate) decoded: Vec<usize>,
    /// The schema of the output.
    pub(crate) schema: SchemaRef,
    /// The maximum number of rows.
    pub(crate) limit: Option<usize>,
}

/// The number of rows of the first batch. The next ones are larger: a query may need few rows.
const FIRST_ROWS: usize = 256;
/// The bytes at which a batch is complete.
const BATCH_BYTES: usize = 16 << 20;

/// Ends a scan once nothing takes its batches. Filters may drop any number of rows in one call of a scanner.
#[derive(Debug)]
struct WhileTaken(Sender<Result<RecordBatch>>);

impl CustomFilter for WhileTaken {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(Self(self.0.clone()))
    }
}

impl CellFilter for WhileTaken {
    fn filter_all_remaining(&self) -> bool {
        self.0.is_closed()
    }

    fn filter_row_key(&mut self, _: &[u8]) -> hregion::Result<bool> {
        Ok(self.0.is_closed())
    }

    fn is_family_essential(&self, _: &[u8]) -> bool {
        false
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

impl Reading {
    /// Reads a partition, and sends its batches. Ends early if nothing takes them.
    pub(crate) fn run(
        &self,
        partition: &Partition,
        batch_rows: usize,
        to: &Sender<Result<RecordBatch>>,
    ) -> Result<()> {
        let mut scan = self.scan.clone();
        if let Some(filter) = &self.filter {
            let while_taken = Filter::custom(WhileTaken(to.clone()));
            scan = scan.filter(Filter::all([while_taken, filter.clone()]).map_err(of_reader)?);
        }
        let mut batches = Batches::new(self, batch_rows, to)?;
        for scan in scans_of(&scan, &partition.ranges) {
            let taken = self.view.for_each_row(&scan, |row| batches.add(row).map_err(Failure))?;
            if taken.is_break() {
                return Ok(());
            }
        }
        batches.flush().map(drop)
    }
}

/// An error of either kind.
struct Failure(DataFusionError);

impl From<hregion::Error> for Failure {
    fn from(error: hregion::Error) -> Self {
        Self(of_reader(error))
    }
}

impl From<Failure> for DataFusionError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// Collects rows, and sends them.
struct Batches<'r> {
    reading: &'r Reading,
    to: &'r Sender<Result<RecordBatch>>,
    /// `None` if only the number of rows is asked for.
    builder: Option<BatchBuilder>,
    /// The number of rows since the last batch.
    rows: usize,
    /// The number of rows at which the next batch is complete, at most `most`.
    next: usize,
    most: usize,
    /// The number of rows that may still be added.
    left: usize,
    /// The number of rows that may still be sent.
    unsent: usize,
}

impl<'r> Batches<'r> {
    fn new(reading: &'r Reading, batch_rows: usize, to: &'r Sender<Result<RecordBatch>>) -> Result<Self> {
        let limits = BatchLimits::new(batch_rows, BATCH_BYTES);
        let builder = || BatchBuilder::new(reading.layout.clone(), Some(&reading.decoded), limits);
        let builder = (!reading.decoded.is_empty()).then(builder).transpose().map_err(of_batches)?;
        let most = batch_rows.max(1);
        let left = reading.limit.unwrap_or(usize::MAX);
        Ok(Self { reading, to, builder, rows: 0, next: FIRST_ROWS.min(most), most, left, unsent: left })
    }

    fn add(&mut self, row: RowRef<'_>) -> Result<ControlFlow<()>> {
        if row.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let rows = if matches!(self.reading.layout, Layout::Cells) { row.len() } else { 1 };
        if self.left == 0 {
            return self.finish();
        }
        if let Some(builder) = &mut self.builder {
            builder.push(row).map_err(of_batches)?;
        }
        // a row of the table may have more cells than are asked for: they are not sent
        self.left = self.left.saturating_sub(rows);
        self.rows += rows;
        if self.left == 0 {
            return self.finish();
        }
        if self.rows < self.next {
            return Ok(ControlFlow::Continue(()));
        }
        self.next = self.next.saturating_mul(2).min(self.most);
        self.flush()
    }

    fn finish(&mut self) -> Result<ControlFlow<()>> {
        self.flush().map(|_| ControlFlow::Break(()))
    }

    /// Sends the rows that were added. Returns `Break` if nothing takes them.
    fn flush(&mut self) -> Result<ControlFlow<()>> {
        let rows = std::mem::take(&mut self.rows);
        let Some(builder) = &mut self.builder else {
            if rows == 0 {
                return Ok(ControlFlow::Continue(()));
            }
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let schema = Arc::clone(&self.reading.schema);
            return Ok(self.send(RecordBatch::try_new_with_options(schema, Vec::new(), &options)?));
        };
        builder.flush().map_err(of_batches)?;
        while let Some(batch) = self.builder.as_mut().and_then(BatchBuilder::next_batch) {
            let (_, mut columns, rows) = batch.into_parts();
            columns.truncate(self.reading.schema.fields().len());
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let schema = Arc::clone(&self.reading.schema);
            let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
            if self.send(batch).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn send(&mut self, mut batch: RecordBatch) -> ControlFlow<()> {
        if batch.num_rows() > self.unsent {
            batch = batch.slice(0, self.unsent);
        }
        self.unsent -= batch.num_rows();
        match self.to.blocking_send(Ok(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
