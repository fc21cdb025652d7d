//! Converts errors to Python's exceptions.

use hregion::ErrorKind;
use hregion::cell::Printable;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use std::ffi::CString;
use std::io;

// Their module is the package, by whose name `pickle` finds them in another process.
create_exception!(
    hregion,
    Error,
    PyException,
    "A call of hregion failed. `kind` is the name of the error's kind."
);
create_exception!(
    hregion,
    CorruptError,
    Error,
    "A file is damaged. The message has its path and the offset."
);
create_exception!(
    hregion,
    UnsupportedError,
    Error,
    "Something that hregion does not support, which is named."
);
create_exception!(hregion, NotFoundError, Error, "There is no such table, snapshot or file.");
create_exception!(hregion, ClosedError, Error, "The table is closed.");
create_exception!(
    hregion,
    ValueMismatchError,
    Error,
    "A value or row key does not have the type it is mapped to."
);

/// The result of functions that Python calls.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error of a function that Python calls.
pub(crate) enum Failure {
    Hregion(hregion::Error),
    Arrow(hregion_arrow::Error),
    Python(PyErr),
}

impl Failure {
    /// An unsupported operation.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        let exception = UnsupportedError::new_err(shown(&message.into()));
        Self::Python(with_kind(exception, ErrorKind::Unsupported.name()))
    }

    /// A failed call of the operating system.
    pub(crate) fn io(message: String) -> Self {
        Self::Python(with_kind(Error::new_err(shown(&message)), ErrorKind::Io.name()))
    }

    /// An invalid argument.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::Python(PyValueError::new_err(shown(&message.into())))
    }
}

impl From<hregion::Error> for Failure {
    fn from(error: hregion::Error) -> Self {
        Self::Hregion(error)
    }
}

impl From<hregion_arrow::Error> for Failure {
    fn from(error: hregion_arrow::Error) -> Self {
        Self::Arrow(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Python(error) => error,
            Failure::Hregion(error) | Failure::Arrow(hregion_arrow::Error::Read(error)) => exception(&error),
            Failure::Arrow(error @ hregion_arrow::Error::Mapping(_)) => {
                PyValueError::new_err(shown(&error.to_string()))
            }
            Failure::Arrow(error @ hregion_arrow::Error::Value(_)) => {
                with_kind(ValueMismatchError::new_err(shown(&error.to_string())), "ValueMismatch")
            }
            Failure::Arrow(error) => with_kind(Error::new_err(shown(&error.to_string())), "Arrow"),
        }
    }
}

/// Returns a message without control characters: it may contain text of servers, or names of files.
pub(crate) fn shown(message: &str) -> String {
    Printable(message).to_string()
}

/// Issues a `UserWarning`. Raises it as an exception if Python's filters of warnings say so.
pub(crate) fn warn(py: Python<'_>, message: &str) -> Result<()> {
    // Control characters, so also zeros, are escaped.
    if let Ok(message) = CString::new(shown(message)) {
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)?;
    }
    Ok(())
}

fn exception(error: &hregion::Error) -> PyErr {
    let kind = error.kind();
    let message = shown(&error.to_string());
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let source = source.map(io::Error::kind);
    let exception = match kind {
        ErrorKind::Corrupt | ErrorKind::Truncated => CorruptError::new_err(message),
        ErrorKind::Unsupported => UnsupportedError::new_err(message),
        ErrorKind::Closed => ClosedError::new_err(message),
        ErrorKind::TableNotFound => NotFoundError::new_err(message),
        ErrorKind::Io if source == Some(io::ErrorKind::NotFound) => NotFoundError::new_err(message),
        // from a storage that does not support it, such as a web server
        ErrorKind::Io if source == Some(io::ErrorKind::Unsupported) => {
            return with_kind(UnsupportedError::new_err(message), ErrorKind::Unsupported.name());
        }
        ErrorKind::Io if source == Some(io::ErrorKind::TimedOut) => {
            return with_kind(Error::new_err(message), "Timeout");
        }
        ErrorKind::InvalidArgument => return PyValueError::new_err(message),
        _ => Error::new_err(message),
    };
    with_kind(exception, kind.name())
}

/// Sets the attribute `kind`, which all errors have.
fn with_kind(exception: PyErr, kind: &str) -> PyErr {
    Python::attach(|py| match exception.value(py).setattr("kind", kind) {
        Ok(()) => exception,
        Err(failed) => failed,
    })
}
