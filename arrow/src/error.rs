//! Errors of mappings and values.

use arrow_schema::ArrowError;
use hregion::cell::StringBinary;
use std::fmt;

/// The result type of the crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason that rows could not be converted to a record batch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The rows could not be read.
    Read(hregion::Error),
    /// A mapping that is not understood, or does not fit the request.
    Mapping(String),
    /// A value or a row key that does not have the type of its mapping; the message names row, column and
    /// bytes.
    Value(String),
    /// Arrow or a file could not be written or read.
    Arrow(ArrowError),
}

impl Error {
    pub(crate) fn mapping(message: impl Into<String>) -> Self {
        Self::Mapping(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Mapping(message) | Self::Value(message) => f.write_str(message),
            Self::Arrow(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Arrow(error) => Some(error),
            Self::Mapping(_) | Self::Value(_) => None,
        }
    }
}

impl From<hregion::Error> for Error {
    fn from(error: hregion::Error) -> Self {
        Self::Read(error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

impl From<Error> for ArrowError {
    fn from(error: Error) -> Self {
        match error {
            Error::Arrow(error) => error,
            other => Self::ExternalError(Box::new(other)),
        }
    }
}

/// Shows bytes in HBase's printable form, the first ones if there are many.
pub(crate) fn shown(bytes: &[u8]) -> String {
    format!("{:.64}", StringBinary(bytes))
}
