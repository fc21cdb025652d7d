//! The metadata of a file, based on the source code of `hregion inspect --json`.

#[path = "../../cli/src/report/fields.rs"]
mod fields;
#[path = "../../cli/src/report/json.rs"]
mod json;

use crate::answer::fault;
use hregion::{BlockHeader, CellKey, Error, ErrorKind, HFile, Result};
use serde_json::Value;
use std::mem;

/// The bytes of keys and values at which an answer ends, as the page has to draw it: the next answer
/// continues.
pub(crate) const ANSWER_BYTES: usize = 4 << 20;
/// The maximum length of a displayed key.
const KEY_BYTES: usize = 128 << 10;
/// The maximum number of displayed entries of the file info.
const INFO_ENTRIES: usize = 1000;
/// The maximum number of displayed characters of a text of the metadata.
const TEXT: usize = 64 << 10;

/// Returns the metadata, with `warnings` about unreadable parts. Long texts are shortened, as they are only
/// drawn.
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
    report["last_key"] = file.last_key().filter(|_| file.entry_count() > 0).map_or(Value::Null, json::key);
    report["warnings"] = file.warnings().iter().chain(&damaged).map(fault).collect();
    let mut left_out = 0;
    if let Some(info) = report["file_info"].as_object_mut() {
        left_out = info.len().saturating_sub(INFO_ENTRIES);
        *info = mem::take(info).into_iter().take(INFO_ENTRIES).collect();
    }
    report["file_info_left_out"] = left_out.into();
    shorten(&mut report);
    Ok(report)
}

/// Shortens all texts.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => shorten_text(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => {
            if members.keys().any(|name| name.len() > TEXT) {
                let long = mem::take(members).into_iter();
                members.extend(long.map(|(mut name, value)| {
                    shorten_text(&mut name);
                    (name, value)
                }));
            }
            members.values_mut().for_each(shorten);
        }
        _ => {}
    }
}

fn shorten_text(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

/// Returns a block's header.
pub(crate) fn block(offset: u64, header: &BlockHeader) -> Value {
    json::block(offset, header)
}

/// Returns a key; null if it is too long to be displayed.
pub(crate) fn key(key: &CellKey) -> Value {
    if check_key(key).is_ok() { json::key(key) } else { Value::Null }
}

/// Fails for a key that is too long to be displayed.
pub(crate) fn check_key(key: &CellKey) -> Result<()> {
    let len = key.as_bytes().len();
    if len > KEY_BYTES {
        let message = format!("a key of {len} bytes is too long to be shown");
        return Err(Error::new(ErrorKind::Limit, message));
    }
    Ok(())
}
