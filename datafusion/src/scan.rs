//! Reads a partition: converts rows to batches, on threads that may wait for files.

use crate::columns::mapping_of;
use crate::error::{of_batches, of_reader};
use crate::partition::Partition;
use crate::presence::Presence;
use crate::ranges::{Range, next};
use crate::source::{OriginView, Rows, scan_of};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use hregion::cell::StringBinary;
use hregion::filter::{CellFilter, CustomFilter, Filter};
use hregion::{ErrorKind, RowRef, Scan, TimeRange};
use hregion_arrow::{BatchBuilder, BatchLimits, Layout, RowKey};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::vec;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// How the rows of each partition are read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) view: Arc<OriginView>,
    /// The scan, without row range and filter.
    pub(crate) scan: Scan,
    /// The selection from which the scan was built.
    #[cfg_attr(not(feature = "codec"), allow(dead_code, reason = "plans are not sent"))]
    pub(crate) selected: Selected,
    pub(crate) filter: Option<Filter>,
    /// The columns at least one of which a row must have, if only the number of rows is requested, without a
    /// filter.
    pub(crate) presence: Option<Presence>,
    pub(crate) layout: Layout,
    /// The columns to be decoded: those of the output, then those whose values are only checked.
    pub(crate) decoded: Vec<usize>,
    /// The schema of the output.
    pub(crate) schema: SchemaRef,
    /// The maximum number of rows.
    pub(crate) limit: Option<usize>,
}

/// The parts of each row that a scan reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Families, each with the qualifiers of its columns, or all if empty. No families means all.
    pub(crate) families: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    /// The least timestamp for a family, or for all.
    pub(crate) since: Vec<(Option<Vec<u8>>, i64)>,
    pub(crate) max_versions: Option<u32>,
    /// Whether other families are read only for the rows that pass the filter.
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
/// The number of batches of a partition that wait for the consumer. One more is being read.
const CHANNEL: usize = 1;

/// Ends a scan when its consumer is gone. Filters may drop any number of rows in one call of a scanner.
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
    /// Reads a partition ahead of the consumer, and ends when the stream is dropped.
    ///
    /// Batches are read on threads that may wait for files, of which the runtime has a limited number. None
    /// is occupied while batches wait for the consumer: a query may have any number of open partitions.
    pub(crate) fn stream(&self, partition: Partition, batch_rows: usize) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), CHANNEL);
        let (reading, to) = (self.clone(), stream.tx());
        stream.spawn(async move {
            let mut reader = Box::new(Reader::new(reading, partition, batch_rows, to.clone())?);
            loop {
                let task = SpawnedTask::spawn_blocking(move || reader.run());
                let run = task.join_unwind().await;
                let run = run.map_err(|error| DataFusionError::External(Box::new(error)))?;
                let Some((waiting, batch)) = run? else { return Ok(()) };
                if to.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
                reader = waiting;
            }
        });
        stream.build()
    }

    pub(crate) fn fmt_filter(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.filter.as_ref().map(|filter| (filter.to_expression(), filter)) {
            Some((Some(text), _)) => write!(f, ", filter={}", StringBinary(&text)),
            Some((None, filter)) => write!(f, ", filter={filter:?}"),
            None => Ok(()),
        }
    }
}

/// Reads a partition, one batch after the other.
#[derive(Debug)]
struct Reader {
    reading: Reading,
    /// The scan with the filter, without row range.
    scan: Scan,
    /// The remaining ranges.
    ranges: vec::IntoIter<Range>,
    current: Option<Current>,
    /// How rows are counted, until a row has very many cells or bytes, or a cell that reads by name skip.
    presence: Option<Presence>,
    /// Whether rows of cells are read in parts, because one was too large.
    is_in_parts: bool,
    batches: Batches,
    to: Sender<Result<RecordBatch>>,
    is_done: bool,
}

/// The range that is being read.
#[derive(Debug)]
struct Current {
    rows: Rows,
    range: Range,
    /// The index of the column found last, if rows with all cells of their families are counted.
    found: Option<usize>,
    /// The last row that was added. The rows after a row that is too large are read in another way.
    last: Option<Vec<u8>>,
}

impl Reader {
    fn new(
        reading: Reading,
        partition: Partition,
        batch_rows: usize,
        to: Sender<Result<RecordBatch>>,
    ) -> Result<Self> {
        let mut scan = reading.scan.clone();
        if let Some(filter) = &reading.filter {
            let while_taken = Filter::custom(WhileTaken(to.clone()));
            scan = scan.filter(Filter::all([while_taken, filter.clone()]).map_err(of_reader)?);
        }
        let batches = Batches::new(&reading, batch_rows)?;
        let presence = reading.presence.clone();
        let ranges = partition.ranges.ranges().to_vec().into_iter();
        let (current, is_in_parts, is_done) = (None, false, false);
        Ok(Self { reading, scan, ranges, current, presence, is_in_parts, batches, to, is_done })
    }

    /// Reads and sends batches while the channel has capacity. Returns the first batch that does not fit;
    /// `None` after the last one, or if the consumer is gone.
    fn run(mut self: Box<Self>) -> Result<Option<(Box<Self>, RecordBatch)>> {
        let to = self.to.clone();
        while let Some(batch) = self.next_batch()? {
            match to.try_reserve() {
                Ok(room) => room.send(Ok(batch)),
                Err(TrySendError::Full(())) => return Ok(Some((self, batch))),
                Err(TrySendError::Closed(())) => return Ok(None),
            }
        }
        Ok(None)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batches.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.is_done {
                return Ok(None);
            }
            self.is_done = self.read()?.is_continue();
        }
    }

    /// Reads until a batch may be complete. Returns `Continue` at the end, or if the consumer is gone.
    fn read(&mut self) -> Result<ControlFlow<()>> {
        while self.batches.left > 0 && !self.to.is_closed() && self.begin_range()? {
            if self.read_range()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.batches.flush()?;
        Ok(ControlFlow::Continue(()))
    }

    /// Begins the next range, if none is being read. Returns whether there is one.
    fn begin_range(&mut self) -> Result<bool> {
        if self.current.is_none()
            && let Some(range) = self.ranges.next()
        {
            self.current = Some(self.begin(&range)?);
        }
        Ok(self.current.is_some())
    }

    fn begin(&self, range: &Range) -> Result<Current> {
        let view = self.reading.view.get().map_err(of_reader)?;
        let (scan, found) = match &self.presence {
            Some(presence) => (scan_of(&presence.scan_of_families(), range), Some(0)),
            None if self.is_in_parts => (scan_of(&self.scan, range).batch(1), None),
            None => (scan_of(&self.scan, range), None),
        };
        let rows = Rows::new(view, scan).map_err(of_reader)?;
        Ok(Current { rows, range: range.clone(), found, last: None })
    }

    /// Reads the current range. Returns `Break` if a batch may be complete, or the consumer is gone.
    fn read_range(&mut self) -> Result<ControlFlow<()>> {
        let Some(Current { rows, range, found, last }) = &mut self.current else {
            return Ok(ControlFlow::Continue(()));
        };
        let (batches, to) = (&mut self.batches, &self.to);
        let (Some(presence), Some(found)) = (&self.presence, found) else {
            // any part of a row of cells gives rows of the output
            let has_parts = batches.are_cells && !self.is_in_parts;
            let read = rows.for_each(|row| {
                if to.is_closed() {
                    return Ok(ControlFlow::Break(()));
                }
                let read = batches.add(row).map_err(Failure)?;
                if has_parts {
                    keep(last, row);
                }
                Ok::<_, Failure>(read)
            });
            return match read {
                Ok(read) => {
                    if read.is_continue() {
                        self.current = None;
                    }
                    Ok(read)
                }
                Err(Failure(error)) if has_parts && is_over_limit(&error) => {
                    let left = rest_of(range, last.as_deref());
                    self.is_in_parts = true;
                    self.read_on(&left)
                }
                Err(failure) => Err(failure.into()),
            };
        };
        let mut by_name = None;
        let read = rows.for_each(|row| {
            if to.is_closed() {
                return Ok(ControlFlow::Break(()));
            }
            let Some(is_in) = presence.is_in(row, found) else {
                by_name = Some(row.key().to_vec());
                return Ok(ControlFlow::Break(()));
            };
            let mut read = ControlFlow::Continue(());
            if is_in {
                read = batches.add(row).map_err(Failure)?;
                keep(last, row);
            }
            if presence.is_wide(row) {
                by_name = Some(next(row.key()));
                read = ControlFlow::Break(());
            }
            Ok::<_, Failure>(read)
        });
        let left = match (read, by_name) {
            // the rows from this one on are read by the names of columns
            (Ok(_), Some(start)) => Range { start, end: range.end.take() },
            (Ok(read), None) => {
                if read.is_continue() {
                    self.current = None;
                }
                return Ok(read);
            }
            // a row is too large with all its cells
            (Err(Failure(error)), _) if is_over_limit(&error) => rest_of(range, last.as_deref()),
            (Err(failure), _) => return Err(failure.into()),
        };
        self.presence = None;
        self.read_on(&left)
    }

    /// Continues with the rest of a range, which is read in another way.
    fn read_on(&mut self, left: &Range) -> Result<ControlFlow<()>> {
        self.current = None;
        if !left.is_empty() {
            self.current = Some(self.begin(left)?);
        }
        Ok(ControlFlow::Break(()))
    }
}

/// Stores the key of a row.
fn keep(last: &mut Option<Vec<u8>>, row: RowRef<'_>) {
    if row.is_empty() {
        return;
    }
    let key = last.get_or_insert_default();
    key.clear();
    key.extend_from_slice(row.key());
}

/// Returns the rest of a range after the last row that was added. Cells may have expired since, so a number
/// of rows would not determine that position.
fn rest_of(range: &Range, last: Option<&[u8]>) -> Range {
    let start = last.map_or_else(|| range.start.clone(), next);
    Range { start, end: range.end.clone() }
}

/// Whether an error means that the reader's limits were exceeded.
fn is_over_limit(error: &DataFusionError) -> bool {
    let DataFusionError::External(error) = error else { return false };
    error.downcast_ref::<hregion::Error>().is_some_and(|error| error.kind() == ErrorKind::Limit)
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

/// Collects rows in batches.
#[derive(Debug)]
struct Batches {
    /// The schema of the output.
    schema: SchemaRef,
    /// Whether a cell is a row of the output.
    are_cells: bool,
    /// `None` if only the number of rows is requested.
    builder: Option<BatchBuilder>,
    /// Checks row keys, if there is no builder to detect missing parts.
    key: Option<RowKey>,
    /// The complete batches.
    ready: VecDeque<RecordBatch>,
    /// The number of rows since the last batch.
    rows: usize,
    /// The number of rows at which the next batch is complete, at most `most`.
    next: usize,
    most: usize,
    /// The number of rows that may still be added.
    left: usize,
    /// The number of rows that may still be in batches.
    unsent: usize,
}

impl Batches {
    fn new(reading: &Reading, batch_rows: usize) -> Result<Self> {
        let limits = BatchLimits::new(batch_rows, BATCH_BYTES);
        let builder = || BatchBuilder::new(reading.layout.clone(), Some(&reading.decoded), limits);
        let builder = (!reading.decoded.is_empty()).then(builder).transpose().map_err(of_batches)?;
        let key = mapping_of(&reading.layout).filter(|_| builder.is_none());
        let key = key.map(|mapping| mapping.row().clone());
        let most = batch_rows.max(1);
        let left = reading.limit.unwrap_or(usize::MAX);
        Ok(Self {
            schema: Arc::clone(&reading.schema),
            are_cells: matches!(reading.layout, Layout::Cells),
            builder,
            key,
            ready: VecDeque::new(),
            rows: 0,
            next: FIRST_ROWS.min(most),
            most,
            left,
            unsent: left,
        })
    }

    /// Adds a row. Returns `Break` if a batch is complete.
    fn add(&mut self, row: RowRef<'_>) -> Result<ControlFlow<()>> {
        if row.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let rows = if self.are_cells { row.len() } else { 1 };
        if let Some(builder) = &mut self.builder {
            builder.push(row).map_err(of_batches)?;
        }
        if let Some(key) = &self.key {
            key.check(row.key()).map_err(of_batches)?;
        }
        // a row of the table may have more cells than requested: the rest is omitted
        self.left = self.left.saturating_sub(rows);
        self.rows += rows;
        if self.left == 0 || self.rows >= self.next {
            self.next = self.next.saturating_mul(2).min(self.most);
            self.flush()?;
        } else {
            // batches of few but large rows
            self.take_complete()?;
        }
        Ok(match self.ready.is_empty() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    }

    /// Completes a batch of the added rows.
    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        match &mut self.builder {
            Some(builder) => {
                builder.flush().map_err(of_batches)?;
                self.take_complete()
            }
            None if rows == 0 => Ok(()),
            None => self.put(Vec::new(), rows),
        }
    }

    /// Takes the complete batches of the builder.
    fn take_complete(&mut self) -> Result<()> {
        while let Some(batch) = self.builder.as_mut().and_then(BatchBuilder::next_batch) {
            let (_, mut columns, rows) = batch.into_parts();
            columns.truncate(self.schema.fields().len());
            self.put(columns, rows)?;
        }
        Ok(())
    }

    fn put(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<()> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        if rows > self.unsent {
            batch = batch.slice(0, self.unsent);
        }
        self.unsent -= batch.num_rows();
        if batch.num_rows() > 0 {
            self.ready.push_back(batch);
        }
        Ok(())
    }
}
