//! Errors in answers.

use crate::text;
use hregion::Error;
use serde_json::{Value, json};

/// The reason that a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The request is invalid.
    Request(String),
    /// The file cannot be read, or not completely.
    File(Error),
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

impl NoAnswer {
    /// Returns an answer with the reason.
    pub(crate) fn answer(&self) -> Value {
        let error = match self {
            Self::Request(message) => json!({ "kind": "request", "message": message }),
            Self::File(error) => fault(error),
        };
        json!({ "error": error })
    }
}

/// Returns an error of the library, in the form of `hregion verify --json`.
pub(crate) fn fault(error: &Error) -> Value {
    json!({
        "path": error.path().map(text::json_path),
        "offset": error.offset(),
        "block": error.block(),
        "kind": error.kind().name(),
        "message": error.message(),
    })
}
