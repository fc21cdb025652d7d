//! The metadata of a file, by the source of `hregion inspect --json`.

#[path = "../../cli/src/report/fields.rs"]
mod fields;
#[path = "../../cli/src/report/json.rs"]
mod json;

use crate::answer::fault;
use hregion::{BlockHeader, CellKey, Error, HFile, Result};
use serde_json::Value;

/// Returns the metadata, with `warnings` about what of it cannot be read.
pub(crate) fn summary(file: &HFile) -> Result<Value> {
    let mut damaged: Vec<Error> = Vec::new();
    let mut report = json::report(file, |error| {
        damaged.push(error);
        Ok(Value::Null)
    })?;
    report["levels"] = file.index_levels().into();
    report["codec"] = file.codec().name().into();
    report["searchable"] = file.order().is_some().into();
    report["bloom_type"] =
        file.general_bloom().map_or(Value::Null, |bloom| bloom.bloom_type().to_string().into());
    report["last_key"] = file.last_key().filter(|_| file.entry_count() > 0).map_or(Value::Null, key);
    report["warnings"] = file.warnings().iter().chain(&damaged).map(fault).collect();
    Ok(report)
}

/// Returns a block's header.
pub(crate) fn block(offset: u64, header: &BlockHeader) -> Value {
    json::block(offset, header)
}

/// Returns a key.
pub(crate) fn key(key: &CellKey) -> Value {
    json::key(key)
}
