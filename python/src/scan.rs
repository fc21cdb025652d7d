//! Scans: rows one by one, or record batches through Arrow's C stream interface.

use crate::error::{Failure, Result};
use crate::exclusive::Exclusive;
use crate::held::Held;
use crate::row::Row;
use crate::signals::{Bounded, Raised, Watched, call, limited};
use crate::stream::{Guarded, Reader, Stream, capsule};
use crate::table::Source;
use hregion::RowRef;
use hregion_arrow::{BatchBuilder, BatchLimits, Batches, Layout, Rows};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use std::sync::{Mutex, PoisonError};

/// A scan that has not begun. Each use reads the table from the beginning.
#[pyclass(frozen, module = "hregion", name = "Scan")]
pub(crate) struct Scan {
    pub(crate) source: Held<Source>,
    pub(crate) scan: hregion::Scan,
    /// Whether a filter may drop rows.
    pub(crate) has_filter: bool,
    pub(crate) layout: Layout,
    pub(crate) limits: BatchLimits,
}

/// The rows of a scan.
#[pyclass(frozen, module = "hregion", name = "RowIterator")]
pub(crate) struct RowIterator {
    rows: Held<Exclusive<Box<dyn Rows + Send>>>,
    /// The row that was read by a call which has raised the exception of a signal handler.
    kept: Mutex<Option<hregion::Row>>,
    raised: Raised,
}

impl Scan {
    fn reader(&self) -> Result<Reader> {
        let (scan, layout) = (self.scan.clone(), self.layout.clone());
        Ok(match self.source.get()? {
            Source::Table(table) => Box::new(Batches::of_table(table, scan, layout, self.limits)?),
            Source::Region(region) => Box::new(Batches::of_region(region, scan, layout, self.limits)?),
        })
    }

    /// Begins to read rows. Returns them, and the holder of a signal handler's exception.
    fn rows(&self) -> Result<(Box<dyn Rows + Send>, Raised)> {
        let scan = limited(self.layout.select(self.scan.clone()), self.has_filter);
        Ok(match self.source.get()? {
            Source::Table(table) => watched(Watched::new(table.scan(scan)?, self.has_filter)),
            Source::Region(region) => watched(Watched::new(region.scan(scan)?, self.has_filter)),
        })
    }
}

/// Rows of a region or of a table.
struct Boxed(Box<dyn Rows + Send>);

impl Rows for Boxed {
    fn next_row(&mut self) -> hregion::Result<Option<RowRef<'_>>> {
        self.0.next_row()
    }
}

fn watched(rows: Watched<impl Bounded + Send + 'static>) -> (Box<dyn Rows + Send>, Raised) {
    let raised = rows.raised();
    (Box::new(rows), raised)
}

#[pymethods]
impl Scan {
    fn __iter__(&self, py: Python<'_>) -> Result<RowIterator> {
        let (rows, raised) = call(py, || self.rows())?;
        let rows = Held::new(Exclusive::new(rows), self.source.process());
        Ok(RowIterator { rows, kept: Mutex::default(), raised })
    }

    /// The record batches, as a stream of Arrow's C data interface.
    ///
    /// The schema is the scan's, whatever is requested.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let reader = call(py, || self.reader())?;
        capsule(py, Box::new(Guarded::new(reader, self.source.process())))
    }

    /// The record batches, converted by a function, for a single use by the methods below.
    fn _stream(&self, py: Python<'_>, convert: Bound<'_, PyAny>) -> Result<Stream> {
        let convert = convert.unbind();
        call(py, || {
            let (rows, raised) = self.rows()?;
            let builder = BatchBuilder::new(self.layout.clone(), None, self.limits)?;
            let reader = Box::new(Batches::of(Boxed(rows), builder));
            Ok::<_, Failure>(Stream::new(reader, convert, raised, self.source.process()))
        })
    }

    /// Reads all batches into a `pyarrow.Table`.
    #[pyo3(signature = (*, progress=false))]
    fn to_arrow<'py>(slf: Bound<'py, Self>, progress: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("hregion._convert")?.call_method1("to_arrow", (slf, progress))
    }

    /// Returns a `pyarrow.RecordBatchReader`, which reads as it is iterated.
    fn to_batches<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("hregion._convert")?.call_method1("to_batches", (slf,))
    }

    /// Reads all batches into a `pandas.DataFrame`; `options` are passed to `pyarrow.Table.to_pandas`.
    #[pyo3(signature = (*, progress=false, **options))]
    fn to_pandas<'py>(
        slf: Bound<'py, Self>,
        progress: bool,
        options: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let table = Self::to_arrow(slf, progress)?;
        table.call_method("to_pandas", (), options.as_ref())
    }

    /// Reads all batches into a `polars.DataFrame`.
    #[pyo3(signature = (*, progress=false))]
    fn to_polars<'py>(slf: Bound<'py, Self>, progress: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("hregion._convert")?.call_method1("to_polars", (slf, progress))
    }
}

#[pymethods]
impl RowIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Row>> {
        let rows = self.rows.get()?;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = kept().take() {
            return Ok(Some(Row(row)));
        }
        let mut read = None;
        let next = |rows: &mut Box<dyn Rows + Send>| {
            read = rows.next_row()?.map(|row| row.to_row());
            Ok::<_, hregion::Error>(())
        };
        if let Err(error) = call(py, || rows.with(next)) {
            // A read that the handler has ended may have been replaced by another one, as of a whole block.
            if read.is_some() {
                *kept() = read;
            }
            return Err(self.raised.take().map_or(error, Failure::Python));
        }
        Ok(read.map(Row))
    }
}
