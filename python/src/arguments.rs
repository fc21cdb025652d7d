//! Converts arguments of Python's calls to requests.

use crate::error::{Failure, Result};
use hregion::io::url_scheme;
use hregion::{Filter, Get, Scan, TimeRange};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMapping, PyMemoryView, PyString};
use std::path::PathBuf;

/// Bytes: `bytes`, `bytearray`, `memoryview`, or `str` as UTF-8. Sequences of numbers are refused: a list of
/// values or an array of numbers would be a mistake.
#[derive(Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(bytes.as_bytes().to_vec()));
        }
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self(text.to_str()?.as_bytes().to_vec()));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return Ok(Self(bytes.to_vec()));
        }
        if object.cast::<PyMemoryView>().is_ok() {
            return Ok(Self(object.call_method0("tobytes")?.extract()?));
        }
        Err(PyTypeError::new_err(format!("expected bytes or str, not {}", object.get_type().name()?)))
    }
}

/// Whether an object is bytes, and not a sequence of them.
pub(crate) fn is_bytes(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyString>()
        || object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyMemoryView>()
}

/// A key and its value.
pub(crate) type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The pairs of a `dict` or another mapping; `None` if it is neither.
pub(crate) fn pairs_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Pair<'py>>>> {
    match object.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.extract().map(Some),
        Err(_) => Ok(None),
    }
}

/// A family, or a column: `family` or `family:qualifier`.
pub(crate) struct Column {
    pub(crate) family: Vec<u8>,
    pub(crate) qualifier: Option<Vec<u8>>,
}

impl From<Bytes> for Column {
    fn from(Bytes(name): Bytes) -> Self {
        match name.iter().position(|byte| *byte == b':') {
            Some(at) => {
                let (family, qualifier) = name.split_at(at);
                Self { family: family.to_vec(), qualifier: Some(qualifier.iter().skip(1).copied().collect()) }
            }
            None => Self { family: name, qualifier: None },
        }
    }
}

impl Column {
    /// The family and the qualifier.
    pub(crate) fn both(self) -> Result<(Vec<u8>, Vec<u8>)> {
        match self.qualifier {
            Some(qualifier) => Ok((self.family, qualifier)),
            None => {
                let family = String::from_utf8_lossy(&self.family).into_owned();
                Err(Failure::argument(format!("{family:?}: expected family:qualifier")))
            }
        }
    }
}

/// The selection of a get or a scan.
#[derive(Default)]
pub(crate) struct Selection {
    pub(crate) columns: Vec<Column>,
    /// As returned by [`versions`].
    pub(crate) versions: u32,
    pub(crate) time_range: Option<(i64, i64)>,
    pub(crate) filter: Option<Bytes>,
    pub(crate) cache_blocks: Option<bool>,
}

/// Both requests have the same methods for selections.
macro_rules! apply {
    ($selection:expr, $request:expr) => {{
        let selection = $selection;
        let mut request = $request.max_versions(selection.versions);
        for column in selection.columns {
            request = match column.qualifier {
                Some(qualifier) => request.column(column.family, qualifier),
                None => request.family(column.family),
            };
        }
        if let Some((min, max)) = selection.time_range {
            request = request.time_range(TimeRange::new(min, max)?);
        }
        if let Some(filter) = selection.filter {
            request = request.filter(Filter::parse(filter.0)?);
        }
        if let Some(cache) = selection.cache_blocks {
            request = request.cache_blocks(cache);
        }
        Ok(request)
    }};
}

impl Selection {
    pub(crate) fn of_get(self, get: Get) -> Result<Get> {
        apply!(self, get)
    }

    pub(crate) fn of_scan(self, scan: Scan) -> Result<Scan> {
        apply!(self, scan)
    }
}

/// The number of versions to read: 1 by default, all by 0.
pub(crate) fn versions(versions: Option<u32>) -> u32 {
    match versions {
        None => 1,
        Some(0) => u32::MAX,
        Some(versions) => versions,
    }
}

/// A path of the local file system.
///
/// # Errors
///
/// If it is a URL.
pub(crate) fn local(path: PathBuf) -> Result<PathBuf> {
    if let Some(scheme) = url_scheme(&path) {
        return Err(Failure::unsupported(format!("{scheme}: expected a path of the local file system")));
    }
    Ok(path)
}
