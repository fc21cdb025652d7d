//! Tables, snapshots, regions and files.

use crate::arguments::{Bytes, Column, Selection, pairs_of, versions};
use crate::columns::{Columns, columns_of, names_of};
use crate::error::{Failure, Result};
use crate::held::Held;
use crate::location::{Location, Target};
use crate::options::durability_of;
use crate::row::Row;
use crate::scan::Scan;
use crate::signals::{Signals, Watched, call};
use hregion::{
    Append, CheckAndMutate, Compaction, Delete, Error, Get, Increment, Put, Region, RegionInfo,
    RegionOptions, Scan as HScan, Table as HTable, VerifyReport,
};
use hregion_arrow::{BatchLimits, Infer, Layout, Rows};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMapping};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The object that is read and written.
#[derive(Clone)]
pub(crate) enum Source {
    Table(HTable),
    /// A region, or files without one.
    Region(Region),
}

impl Source {
    /// Returns a warning if logs of servers may have writes that are not read, or if this cannot be
    /// determined.
    pub(crate) fn warning_of_logs(&self) -> Option<String> {
        let logs = match self {
            Self::Table(table) => table.unread_logs(),
            Self::Region(region) => region.unread_logs(),
        }?;
        match logs.may_have_edits() {
            Ok(false) => None,
            Ok(true) => Some(format!(
                "{}: logs of servers may have writes that are not read before `hregion.recover` has replayed \
                 them",
                logs.dir().display()
            )),
            Err(error) => Some(format!("{error}; writes that are only in logs of servers are not read")),
        }
    }
}

/// A table, a snapshot, a region or a file. Several threads can use it safely, and read in parallel.
#[pyclass(frozen, module = "hregion", name = "Table")]
pub(crate) struct Table(Held<Source>, Opened);

/// How a table was opened.
pub(crate) struct Opened {
    pub(crate) location: Location,
    pub(crate) options: RegionOptions,
}

/// Calls a method that tables and regions both have.
macro_rules! of {
    ($table:expr, $source:ident => $call:expr) => {
        match $table.0.get()? {
            Source::Table($source) => Ok::<_, Failure>($call?),
            Source::Region($source) => Ok($call?),
        }
    };
}

#[pymethods]
impl Table {
    /// Reads a row; returns `None` if it has no cells.
    ///
    /// `columns` are names such as `"cf"` or `"cf:name"` (default: all). `versions` is the maximum number of
    /// versions of a column (default: 1; 0 for all). `time_range` is a tuple of milliseconds: the first, and
    /// the one after the last. `filter` is an expression of HBase's filter language, as `bytes` if it is not
    /// valid UTF-8.
    #[pyo3(signature = (row, columns=None, *, versions=None, time_range=None, filter=None))]
    fn get(
        &self,
        py: Python<'_>,
        row: Bytes,
        columns: Option<Bound<'_, PyAny>>,
        versions: Option<u32>,
        time_range: Option<(i64, i64)>,
        filter: Option<Bytes>,
    ) -> Result<Option<Row>> {
        let columns = names_of(columns)?;
        let selection = selection(columns, versions, time_range, filter);
        let get = selection.of_get(Get::new(&row.0))?;
        let row = call(py, || of!(self, source => source.get(&get)))?;
        Ok((!row.is_empty()).then_some(Row(row)))
    }

    /// Reads rows, and returns them in the order of `rows`; `None` for a row without cells. Faster than
    /// single gets. The other arguments are as for `get`.
    #[pyo3(signature = (rows, columns=None, *, versions=None, time_range=None, filter=None))]
    fn get_many(
        &self,
        py: Python<'_>,
        rows: Vec<Bytes>,
        columns: Option<Bound<'_, PyAny>>,
        versions: Option<u32>,
        time_range: Option<(i64, i64)>,
        filter: Option<Bytes>,
    ) -> Result<Vec<Option<Row>>> {
        let first = selection(names_of(columns)?, versions, time_range, filter).of_get(Get::new(""))?;
        let get = |Bytes(row): &Bytes| {
            let mut get = first.clone();
            get.set_row(row);
            get
        };
        let gets: Vec<Get> = rows.iter().map(get).collect();
        let read = call(py, || of!(self, source => source.get_many(&gets)))?;
        Ok(read.into_iter().map(|row| (!row.is_empty()).then_some(Row(row))).collect())
    }

    /// Returns a scan of the rows from `start` to before `stop`, or of the rows that begin with `prefix`.
    /// Reads nothing yet. `versions`, `time_range` and `filter` are as for `get`; `limit` is a number of
    /// rows.
    ///
    /// With types for `columns` (a dict), or a `mapping` (a dict, or JSON text as returned by `infer`), a row
    /// of its record batches is a row of the table; otherwise it is a cell. `row_key` is the type of the row
    /// key. With `invalid="null"`, a value that does not have its type is null, not an error.
    ///
    /// With `reversed=True`, rows are read in descending order, and `start` is the greatest. With `raw=True`,
    /// delete markers and deleted cells are also read. A batch has at most `batch_rows` rows, and about
    /// `batch_bytes` bytes.
    #[pyo3(signature = (start=None, stop=None, *, prefix=None, columns=None, row_key=None, mapping=None,
                        invalid=None, versions=None, time_range=None, filter=None, limit=None, reversed=false,
                        raw=false, cache_blocks=None, batch_rows=8192, batch_bytes=16_777_216))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn scan(
        &self,
        start: Option<Bytes>,
        stop: Option<Bytes>,
        prefix: Option<Bytes>,
        columns: Option<Bound<'_, PyAny>>,
        row_key: Option<&str>,
        mapping: Option<Bound<'_, PyAny>>,
        invalid: Option<&str>,
        versions: Option<u32>,
        time_range: Option<(i64, i64)>,
        filter: Option<Bytes>,
        limit: Option<u64>,
        reversed: bool,
        raw: bool,
        cache_blocks: Option<bool>,
        batch_rows: usize,
        batch_bytes: usize,
    ) -> Result<Scan> {
        let Columns { selected, layout } = columns_of(columns, mapping, row_key, invalid)?;
        if versions.is_some() && matches!(layout, Layout::Columns(_)) {
            return Err(Failure::argument("columns with types have their versions in the type: \"long[]\""));
        }
        let mut scan = HScan::new().reversed(reversed).raw(raw);
        match prefix {
            Some(_) if start.is_some() || stop.is_some() || reversed => {
                return Err(Failure::argument("a prefix excludes start, stop and reversed"));
            }
            Some(Bytes(prefix)) => scan = scan.prefix(prefix),
            None => {
                let bytes = |bytes: Option<Bytes>| bytes.map_or_else(Vec::new, |Bytes(bytes)| bytes);
                scan = scan.start_row(bytes(start), true).stop_row(bytes(stop), false);
            }
        }
        match limit {
            Some(0) => return Err(Failure::argument("limit: expected at least 1 row")),
            Some(limit) => scan = scan.limit(limit),
            None => {}
        }
        let mut selection = selection(selected, versions, time_range, filter);
        selection.cache_blocks = cache_blocks;
        let has_filter = selection.filter.is_some();
        let scan = selection.of_scan(scan)?;
        let limits = BatchLimits::new(batch_rows, batch_bytes);
        Ok(Scan { source: self.0.clone(), scan, has_filter, layout, limits })
    }

    /// Proposes a mapping from the values of the first `rows` rows, and returns it as JSON text.
    #[pyo3(signature = (rows=1000))]
    fn infer(&self, py: Python<'_>, rows: u64) -> Result<String> {
        if rows == 0 {
            return Err(Failure::argument("rows: expected at least 1 row"));
        }
        let read = |rows: &mut dyn Rows| -> Result<String> {
            let mut infer = Infer::new();
            while let Some(row) = rows.next_row()? {
                infer.add(row);
            }
            Ok(infer.mapping()?.to_json())
        };
        let scan = HScan::new().limit(rows);
        let mut raised = None;
        let source = self.0.get()?;
        let inferred = call(py, || match source {
            Source::Table(table) => {
                let mut rows = Watched::new(table.scan(scan)?, false);
                raised = Some(rows.raised());
                read(&mut rows)
            }
            Source::Region(region) => {
                let mut rows = Watched::new(region.scan(scan)?, false);
                raised = Some(rows.raised());
                read(&mut rows)
            }
        });
        inferred.map_err(|error| raised.and_then(|raised| raised.take()).map_or(error, Failure::Python))
    }

    /// Writes values of a row, all or none: a dict of columns (`"cf:name"`) and values. They are on disk when
    /// the call returns, unless `durability` is less than `"FSYNC_WAL"` (default: the durability given to
    /// `open`). `timestamp` is in milliseconds (default: now); the values expire after `ttl`.
    #[pyo3(signature = (row, values, *, timestamp=None, ttl=None, durability=None))]
    fn put(
        &self,
        py: Python<'_>,
        row: Bytes,
        values: Bound<'_, PyMapping>,
        timestamp: Option<i64>,
        ttl: Option<Duration>,
        durability: Option<&str>,
    ) -> Result<()> {
        let put = put_of(row, &values, timestamp, ttl, durability)?;
        call(py, || of!(self, source => source.put(put)))
    }

    /// Deletes a row, or the given families and columns of it, up to a `timestamp` in milliseconds (default:
    /// now). `durability` is as for `put`.
    #[pyo3(signature = (row, columns=None, *, timestamp=None, durability=None))]
    fn delete(
        &self,
        py: Python<'_>,
        row: Bytes,
        columns: Option<Bound<'_, PyAny>>,
        timestamp: Option<i64>,
        durability: Option<&str>,
    ) -> Result<()> {
        let delete = delete_of(row, columns, timestamp, durability)?;
        call(py, || of!(self, source => source.delete(delete)))
    }

    /// Adds to a counter, a value of eight bytes, and returns its new value. A missing counter is 0.
    /// `durability` is as for `put`.
    #[pyo3(signature = (row, column, amount=1, *, durability=None))]
    fn increment(
        &self,
        py: Python<'_>,
        row: Bytes,
        column: Bytes,
        amount: i64,
        durability: Option<&str>,
    ) -> Result<i64> {
        let (family, qualifier) = Column::from(column).both()?;
        let mut increment = Increment::new(row.0).column(family.clone(), qualifier.clone(), amount);
        if let Some(name) = durability {
            increment = increment.durability(durability_of(name)?);
        }
        let row = call(py, || of!(self, source => source.increment(increment)))?;
        let value = row.value(&family, &qualifier).and_then(|value| <[u8; 8]>::try_from(value).ok());
        value.map(i64::from_be_bytes).ok_or_else(|| Failure::argument("the counter has no value"))
    }

    /// Appends bytes to the newest value of a column, and returns the new value. A missing value is empty.
    /// `durability` is as for `put`.
    #[pyo3(signature = (row, column, value, *, durability=None))]
    fn append<'py>(
        &self,
        py: Python<'py>,
        row: Bytes,
        column: Bytes,
        value: Bytes,
        durability: Option<&str>,
    ) -> Result<Bound<'py, PyBytes>> {
        let (family, qualifier) = Column::from(column).both()?;
        let mut append = Append::new(row.0).column(family.clone(), qualifier.clone(), value.0);
        if let Some(name) = durability {
            append = append.durability(durability_of(name)?);
        }
        let row = call(py, || of!(self, source => source.append(append)))?;
        let value = row.value(&family, &qualifier).map(|value| PyBytes::new(py, value));
        value.ok_or_else(|| Failure::argument("the column has no value"))
    }

    /// Writes values of a row, like `put`, if the newest value of a column is `expected` or, if that is
    /// `None`, the column is missing or empty. Returns whether they were written. Nothing is written in
    /// between.
    #[pyo3(signature = (row, column, expected, values, *, timestamp=None, ttl=None, durability=None))]
    #[expect(clippy::too_many_arguments, reason = "they are those of put, and of the condition")]
    fn check_and_put(
        &self,
        py: Python<'_>,
        row: Bytes,
        column: Bytes,
        expected: Option<Bytes>,
        values: Bound<'_, PyMapping>,
        timestamp: Option<i64>,
        ttl: Option<Duration>,
        durability: Option<&str>,
    ) -> Result<bool> {
        let check = check_of(&row, column, expected)?;
        self.check_and(py, check.then(put_of(row, &values, timestamp, ttl, durability)?))
    }

    /// Deletes a row, or the given families and columns of it, like `delete`, if the newest value of a column
    /// is `expected` or, if that is `None`, the column is missing or empty. Returns whether they were
    /// deleted. Nothing is written in between.
    #[pyo3(signature = (row, column, expected, columns=None, *, timestamp=None, durability=None))]
    #[expect(clippy::too_many_arguments, reason = "they are those of delete, and of the condition")]
    fn check_and_delete(
        &self,
        py: Python<'_>,
        row: Bytes,
        column: Bytes,
        expected: Option<Bytes>,
        columns: Option<Bound<'_, PyAny>>,
        timestamp: Option<i64>,
        durability: Option<&str>,
    ) -> Result<bool> {
        let check = check_of(&row, column, expected)?;
        self.check_and(py, check.then(delete_of(row, columns, timestamp, durability)?))
    }

    /// Writes the MemStores to files.
    fn flush(&self, py: Python<'_>) -> Result<()> {
        call(py, || of!(self, source => source.flush()))
    }

    /// Merges the files of each family to one, by a major compaction, and drops deleted cells. With
    /// `major=False`, merges files of a family only if its policy selects some: by default, if there are
    /// enough of similar size.
    #[pyo3(signature = (*, major=true))]
    fn compact(&self, py: Python<'_>, major: bool) -> Result<()> {
        let compaction = if major { Compaction::Major } else { Compaction::Minor };
        call(py, || of!(self, source => source.compact(compaction)))
    }

    /// The bounds of the regions that serve reads, in order, as tuples: the first row, and the one after the
    /// last. The first and the last bound are empty. They can be passed to `scan`, for example in several
    /// processes.
    fn regions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let bounds =
            |info: &RegionInfo| (PyBytes::new(py, info.start_key()), PyBytes::new(py, info.end_key()));
        let bounds: Vec<_> = match self.0.peek() {
            Source::Table(table) => table.regions().iter().map(bounds).collect(),
            Source::Region(region) => vec![bounds(region.info())],
        };
        PyList::new(py, bounds)
    }

    /// Reads and checks all files: checksums, order, indexes, Bloom filters, references, and the files of a
    /// family against each other. Returns the faults, as exceptions that are not raised. The MemStore is not
    /// checked.
    fn verify(&self, py: Python<'_>) -> Result<Vec<Py<PyBaseException>>> {
        let (mut signals, mut faults) = (Signals::new(), Vec::new());
        let raised = signals.raised();
        let verified = call(py, || self.find_faults(&mut signals, &mut faults));
        verified.map_err(|error| raised.take().map_or(error, Failure::Python))?;
        Ok(faults.into_iter().map(|fault| PyErr::from(Failure::from(fault)).into_value(py)).collect())
    }

    /// Takes a snapshot of a table that is open for writing, after flushing it; no files are copied.
    fn snapshot(&self, py: Python<'_>, name: &str) -> Result<()> {
        let table = self.table("a snapshot")?;
        call(py, || table.snapshot(name).map(drop))
    }

    /// Loads the HFiles in a directory with one subdirectory for each family, as prepared for HBase's bulk
    /// loads and by `hregion bulkload`. The files are moved, not copied, so the directory must be on the same
    /// file system, or in the same HDFS. In S3 they are copied, and then removed. Returns the number of
    /// loaded files, and the paths of skipped ones.
    fn bulk_load(&self, py: Python<'_>, directory: Target) -> Result<(usize, Vec<PathBuf>)> {
        let directory = self.1.location.beside(directory)?;
        let table = self.table("a bulk load")?;
        let done = call(py, || table.bulk_load(directory))?;
        Ok((done.loaded, done.skipped))
    }

    /// Flushes, and closes all files. Later calls raise `ClosedError`.
    fn close(&self, py: Python<'_>) -> Result<()> {
        call(py, || of!(self, source => source.close()))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> Result<bool> {
        self.close(py)?;
        Ok(false)
    }

    /// The name of the table: `name`, or `namespace:name`.
    #[getter]
    fn name(&self) -> String {
        match self.0.peek() {
            Source::Table(table) => table.name().to_string(),
            Source::Region(region) => region.info().table().to_string(),
        }
    }

    fn __repr__(&self) -> String {
        format!("<hregion.Table {}>", self.name())
    }
}

/// Reads the arguments of `put`.
fn put_of(
    row: Bytes,
    values: &Bound<'_, PyMapping>,
    timestamp: Option<i64>,
    ttl: Option<Duration>,
    durability: Option<&str>,
) -> Result<Put> {
    let mut put = Put::new(row.0);
    for (column, value) in pairs_of(values)?.unwrap_or_default() {
        let (family, qualifier) = Column::from(column.extract::<Bytes>()?).both()?;
        let Bytes(value) = value.extract()?;
        put = match timestamp {
            Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
            None => put.cell(family, qualifier, value),
        };
    }
    if let Some(ttl) = ttl {
        put = put.ttl(ttl);
    }
    if let Some(name) = durability {
        put = put.durability(durability_of(name)?);
    }
    Ok(put)
}

/// Reads the arguments of `delete`.
fn delete_of(
    row: Bytes,
    columns: Option<Bound<'_, PyAny>>,
    timestamp: Option<i64>,
    durability: Option<&str>,
) -> Result<Delete> {
    let mut delete = Delete::new(row.0);
    for column in names_of(columns)? {
        delete = match (column.qualifier, timestamp) {
            (Some(qualifier), Some(at)) => delete.column_at(column.family, qualifier, at),
            (Some(qualifier), None) => delete.column(column.family, qualifier),
            (None, Some(at)) => delete.family_at(column.family, at),
            (None, None) => delete.family(column.family),
        };
    }
    if let Some(timestamp) = timestamp {
        delete = delete.timestamp(timestamp);
    }
    if let Some(name) = durability {
        delete = delete.durability(durability_of(name)?);
    }
    Ok(delete)
}

/// Returns the condition that a column has a value; without one, that it is missing or empty.
fn check_of(row: &Bytes, column: Bytes, expected: Option<Bytes>) -> Result<CheckAndMutate> {
    let (family, qualifier) = Column::from(column).both()?;
    Ok(match expected {
        Some(Bytes(value)) => CheckAndMutate::if_equals(row.0.clone(), family, qualifier, value),
        None => CheckAndMutate::if_not_exists(row.0.clone(), family, qualifier),
    })
}

impl Table {
    pub(crate) fn new(source: Source, opened: Opened) -> Self {
        Self(Held::new(source, opened.location.process()), opened)
    }

    /// Adds the faults of all files. Signals are handled between regions.
    fn find_faults(&self, signals: &mut Signals, faults: &mut Vec<Error>) -> Result<()> {
        let mut found = Vec::new();
        let mut report = |_: &Path, report: Result<VerifyReport, Error>| match report {
            Ok(report) => found.extend(report.faults),
            Err(error) => found.push(error),
        };
        match self.0.get()? {
            Source::Table(table) => {
                for region in table.regions() {
                    signals.check()?;
                    faults.extend(table.verify_region(&region, &mut report)?);
                }
            }
            Source::Region(_) => {
                let Opened { location, options } = &self.1;
                let (path, options) = (location.path(), options.clone());
                faults.extend(match location.existing_is_dir()? {
                    true => options.verify(path, &mut report)?,
                    false => options.verify_file(path, &mut report)?,
                });
            }
        }
        faults.append(&mut found);
        Ok(())
    }

    /// Returns the table for calls that need all regions of one.
    fn table(&self, what: &str) -> Result<&HTable> {
        match self.0.get()? {
            Source::Table(table) => Ok(table),
            Source::Region(_) => {
                Err(Failure::argument(format!("{what} needs a table, not a region or a file")))
            }
        }
    }

    fn check_and(&self, py: Python<'_>, check: CheckAndMutate) -> Result<bool> {
        Ok(call(py, || of!(self, source => source.check_and_mutate(check)))?.success)
    }
}

fn selection(
    columns: Vec<Column>,
    count: Option<u32>,
    time_range: Option<(i64, i64)>,
    filter: Option<Bytes>,
) -> Selection {
    Selection { columns, versions: versions(count), time_range, filter, cache_blocks: None }
}
