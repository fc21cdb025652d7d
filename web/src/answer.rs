//! Errors in answers.

use crate::text;
use hregion::Error;
use serde_json::{Value, json};

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The request is wrong.
    Request(String),
    /// The file cannot be read, or not all of it.
    File(Error),
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

impl NoAnswer {
    /// Returns the answer that says so.
    pub(crate) fn answer(&self) -> Value {
        let error = match self {
            Self::Request(message) => json!({ "kind": "request", "message": message }),
            Self::File(error) => fault(error),
        };
        json!({ "error": error })
    }
}

/// Returns an error of the library, as `hregion verify --json` prints it.
pub(crate) fn fault(error: &Error) -> Value {
    json!({
        "path": error.path().map(text::json_path),
        "offset": error.offset(),
        "block": error.block(),
        "kind": error.kind().name(),
        "message": error.message(),
    })
}

/// The greatest integer of JavaScript up to which all are numbers.
const GREATEST_EXACT: u64 = (1 << 53) - 1;

/// Replaces each integer that JavaScript would round by its digits as a string.
pub(crate) fn make_exact(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            if size.is_some_and(|size| size > GREATEST_EXACT) {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_exact),
        Value::Object(members) => members.values_mut().for_each(make_exact),
        _ => {}
    }
}
