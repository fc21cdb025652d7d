//! Record batches through Arrow's C stream interface, which passes on only the message of an error.

use crate::error::{Failure, Result, shown};
use crate::exclusive::Exclusive;
use crate::held::Held;
use crate::signals::{Raised, call};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use std::sync::atomic::{AtomicBool, Ordering};

/// The reader of a scan's record batches.
pub(crate) type Reader = Box<dyn RecordBatchReader + Send>;

/// The record batches of one use of a scan. Each is read by a call, so that signals are handled between them,
/// and errors belong to this module.
#[pyclass(frozen, module = "hregion", name = "_Stream")]
pub(crate) struct Stream {
    schema: SchemaRef,
    reader: Held<Exclusive<Reader>>,
    /// Converts each batch to what the stream returns.
    convert: Py<PyAny>,
    raised: Raised,
    /// Whether a read has failed. The reader would only return later batches, or say that there are no more.
    has_failed: AtomicBool,
    /// Whether a batch was lost after it was read. Never reset: another thread may be reading meanwhile.
    is_lost: AtomicBool,
}

/// Record batches that were already read.
#[pyclass(frozen, module = "hregion", name = "_Batches")]
pub(crate) struct ReadBatches {
    schema: SchemaRef,
    batch: Option<RecordBatch>,
}

impl Stream {
    /// Creates a stream of the batches of `reader`. `raised` holds the exception that has ended it, if any.
    pub(crate) fn new(reader: Reader, convert: Py<PyAny>, raised: Raised, process: Option<u32>) -> Self {
        let (schema, reader) = (reader.schema(), Held::new(Exclusive::new(reader), process));
        let (has_failed, is_lost) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { schema, reader, convert, raised, has_failed, is_lost }
    }
}

/// A reader that only the process that created it may use.
pub(crate) struct Guarded {
    schema: SchemaRef,
    reader: Held<Exclusive<Reader>>,
    /// As of a [`Stream`].
    has_failed: bool,
}

impl Guarded {
    pub(crate) fn new(reader: Reader, process: Option<u32>) -> Self {
        let schema = reader.schema();
        Self { schema, reader: Held::new(Exclusive::new(reader), process), has_failed: false }
    }
}

impl Iterator for Guarded {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = |reader: &mut Reader| Ok::<_, Failure>(reader.next());
        let read = match self.has_failed {
            true => Err(failed_before()),
            false => self.reader.get().and_then(|reader| reader.with(next)),
        };
        match read {
            Ok(next) => {
                self.has_failed = matches!(next, Some(Err(_)));
                next.map(|batch| batch.map_err(printable))
            }
            Err(failure) => Some(Err(ArrowError::ExternalError(Box::new(PyErr::from(failure))))),
        }
    }
}

impl RecordBatchReader for Guarded {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

/// Returns the error with the message that an exception has. C's strings have no zeros.
fn printable(error: ArrowError) -> ArrowError {
    match error {
        ArrowError::ExternalError(error) => ArrowError::ExternalError(shown(&error.to_string()).into()),
        error => error,
    }
}

/// The error of a read after one that has failed.
fn failed_before() -> Failure {
    Failure::argument("an earlier read of these record batches has failed or was interrupted: scan again")
}

/// Passes a reader to Python.
pub(crate) fn capsule(py: Python<'_>, reader: Reader) -> Result<Bound<'_, PyCapsule>> {
    let stream = FFI_ArrowArrayStream::new(reader);
    Ok(PyCapsule::new_with_value(py, stream, c"arrow_array_stream")?)
}

#[pymethods]
impl Stream {
    /// Returns no batches, with the schema of all.
    fn empty(&self) -> ReadBatches {
        ReadBatches { schema: SchemaRef::clone(&self.schema), batch: None }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// Reads and converts the next batch. Fails after a call that has lost one.
    fn __next__<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        let reader = self.reader.get()?;
        let mut batch = None;
        let next = |reader: &mut Reader| {
            // also after a panic
            if self.is_lost.load(Ordering::Relaxed) || self.has_failed.swap(true, Ordering::Relaxed) {
                return Err(failed_before());
            }
            batch = reader.next().transpose().map_err(failure)?;
            self.has_failed.store(false, Ordering::Relaxed);
            Ok(())
        };
        let read = call(py, || reader.with(next));
        if let Err(error) = read {
            // A read that the handler has ended may have been replaced by another one, as of a whole block.
            if batch.is_some() {
                self.is_lost.store(true, Ordering::Relaxed);
            }
            return Err(self.raised.take().map_or(error, Failure::Python));
        }
        let Some(batch) = batch else { return Ok(None) };
        let batch = Bound::new(py, ReadBatches { schema: batch.schema(), batch: Some(batch) });
        // signals are handled also in the function that converts
        let converted = batch.and_then(|batch| self.convert.bind(py).call1((batch,)));
        if converted.is_err() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Ok(Some(converted?))
    }
}

/// Converts the error of a scan that Arrow has forwarded.
fn failure(error: ArrowError) -> Failure {
    let other = |error: ArrowError| Failure::Arrow(hregion_arrow::Error::Arrow(error));
    match error {
        ArrowError::ExternalError(error) => match error.downcast::<hregion_arrow::Error>() {
            Ok(error) => Failure::Arrow(*error),
            Err(error) => other(ArrowError::ExternalError(error)),
        },
        error => other(error),
    }
}

#[pymethods]
impl ReadBatches {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = self.batch.clone().map(Ok);
        capsule(py, Box::new(RecordBatchIterator::new(batches, SchemaRef::clone(&self.schema))))
    }
}
