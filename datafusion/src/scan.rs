//! The reading side of a partition: rows become batches, on a thread that may wait for files.

use crate::error::{of_batches, of_reader};
use crate::partition::Partition;
use crate::presence::Presence;
use crate::ranges::{Range, next};
use crate::source::{OriginView, View, scan_of};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use hregion::cell::StringBinary;
use hregion::filter::{CellFilter, CustomFilter, Filter};
use hregion::{RowRef, Scan, TimeRange};
use hregion_arrow::{BatchBuilder, BatchLimits, Layout};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// How the rows of each partition are read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) view: Arc<OriginView>,
    /// Without rows and filter.
    pub(crate) scan: Scan,
    /// What the scan was made of.
    #[cfg_attr(not(feature = "codec"), allow(dead_code, reason = "plans are not sent"))]
    pub(crate) selected: Selected,
    pub(crate) filter: Option<Filter>,
    /// What a row has at least one of, if only the number of rows is asked for, without a filter.
    pub(crate) presence: Option<Presence>,
    pub(crate) layout: Layout,
    /// The columns that are decoded: those of the output, and after them those whose values are checked.
    pub(crate) decoded: Vec<usize>,
    /// The schema of the output.
    pub(crate) schema: SchemaRef,
    /// The maximum number of rows.
    pub(crate) limit: Option<usize>,
}

/// What a scan reads of each row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Families, each with the qualifiers of its columns, or all if there are none. No families for all.
    pub(crate) families: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    /// The least timestamp of a family, or of all.
    pub(crate) since: Vec<(Option<Vec<u8>>, i64)>,
    pub(crate) max_versions: Option<u32>,
    /// Whether other families are read for the rows that pass the filter only.
    pub(crate) on_demand: bool,
}

impl Selected {
    pub(crate) fn scan(&self) -> Scan {
        let mut scan = Scan::new();
        for (family, qualifiers) in &self.families {
            if qualifiers.is_empty() {
                scan = scan.family(family.clone());
            }
            for qualifier in qualifiers {
                scan = scan.column(family.clone(), qualifier.clone());
            }
        }
        for (family, since) in &self.since {
            let range = TimeRange::since(*since);
            scan = match family {
                Some(family) => scan.family_time_range(family.clone(), range),
                None => scan.time_range(range),
            };
        }
        if let Some(versions) = self.max_versions {
            scan = scan.max_versions(versions);
        }
        if self.on_demand { scan.load_families_on_demand(true) } else { scan }
    }
}

/// The number of rows of the first batch. The next ones are larger: a query may need few rows.
const FIRST_ROWS: usize = 256;
/// The bytes at which a batch is complete.
const BATCH_BYTES: usize = 16 << 20;
/// How many batches of a partition wait to be taken. One more is being read.
const CHANNEL: usize = 1;

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
    /// Reads a partition on a thread of its own, which ends when the stream is dropped.
    pub(crate) fn stream(&self, partition: Partition, batch_rows: usize) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), CHANNEL);
        let (reading, to) = (self.clone(), stream.tx());
        // waits for files, and for the batches to be taken
        stream.spawn_blocking(move || reading.run(&partition, batch_rows, &to));
        stream.build()
    }

    pub(crate) fn fmt_filter(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.filter.as_ref().map(|filter| (filter.to_expression(), filter)) {
            Some((Some(text), _)) => write!(f, ", filter={}", StringBinary(&text)),
            Some((None, filter)) => write!(f, ", filter={filter:?}"),
            None => Ok(()),
        }
    }

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
        let view = self.view.get().map_err(of_reader)?;
        let mut presence = self.presence.as_ref();
        for range in partition.ranges.ranges() {
            let mut left = Some(range.clone());
            if let Some(rows) = presence {
                left = match Self::count(&view, rows, range, &mut batches)? {
                    ControlFlow::Continue(left) => left,
                    ControlFlow::Break(()) => return Ok(()),
                };
                presence = presence.filter(|_| left.is_none());
            }
            let Some(range) = left else { continue };
            let scan = scan_of(&scan, &range);
            let taken = view.for_each_row(&scan, |row| batches.add(row).map_err(Failure))?;
            if taken.is_break() {
                return Ok(());
            }
        }
        batches.flush().map(drop)
    }

    /// Counts rows in scans of whole families, until one has very many cells. Returns the range after it.
    fn count(
        view: &View,
        rows: &Presence,
        range: &Range,
        batches: &mut Batches<'_>,
    ) -> Result<ControlFlow<(), Option<Range>>> {
        let (mut last, mut left) = (0, None);
        let scan = scan_of(&rows.scan_of_families(), range);
        let taken = view.for_each_row(&scan, |row| {
            if rows.is_in(row, &mut last) && batches.add(row).map_err(Failure)?.is_break() {
                return Ok::<_, Failure>(ControlFlow::Break(()));
            }
            if rows.is_wide(row) {
                left = Some(Range { start: next(row.key()), end: range.end.clone() });
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(match (taken, left) {
            (ControlFlow::Break(()), None) => ControlFlow::Break(()),
            (_, left) => ControlFlow::Continue(left.filter(|left| !left.is_empty())),
        })
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
