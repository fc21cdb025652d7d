//! Record batches through Arrow's C stream interface, which passes on only the message of an error.

use crate::error::{Failure, Result};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use std::sync::{Arc, Mutex, PoisonError};

/// The reader of a scan's record batches.
pub(crate) type Reader = Box<dyn RecordBatchReader + Send>;

/// The error that ended a stream.
type Ended = Arc<Mutex<Option<hregion_arrow::Error>>>;

/// The record batches of one use of a scan, and the error that ended them.
#[pyclass(frozen, module = "hregion", name = "_Stream")]
pub(crate) struct Stream {
    reader: Mutex<Option<Reader>>,
    ended: Ended,
}

/// A reader that keeps the error that ends it.
struct Noting {
    reader: Reader,
    ended: Ended,
}

impl Stream {
    pub(crate) fn new(reader: Reader) -> Self {
        let ended = Ended::default();
        let reader: Reader = Box::new(Noting { reader, ended: Arc::clone(&ended) });
        Self { reader: Mutex::new(Some(reader)), ended }
    }
}

/// Passes a reader to Python.
pub(crate) fn capsule(py: Python<'_>, reader: Reader) -> Result<Bound<'_, PyCapsule>> {
    let stream = FFI_ArrowArrayStream::new(reader);
    Ok(PyCapsule::new_with_value(py, stream, c"arrow_array_stream")?)
}

#[pymethods]
impl Stream {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        capsule(py, reader.ok_or_else(|| Failure::argument("the stream is read already"))?)
    }

    /// The error that ended the stream, once.
    fn failure(&self, py: Python<'_>) -> Option<Py<PyBaseException>> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.map(|error| PyErr::from(Failure::Arrow(error)).into_value(py))
    }
}

impl Noting {
    fn note(&self, error: ArrowError) -> ArrowError {
        let ArrowError::ExternalError(error) = error else { return error };
        match error.downcast::<hregion_arrow::Error>() {
            Ok(error) => {
                let message = error.to_string();
                *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(*error);
                ArrowError::ExternalError(message.into())
            }
            Err(other) => ArrowError::ExternalError(other),
        }
    }
}

impl Iterator for Noting {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.reader.next()?;
        Some(next.map_err(|error| self.note(error)))
    }
}

impl RecordBatchReader for Noting {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}
