//! Files of an export, as its manifest describes them.

use crate::args::read_within;
use crate::failure::CommandError;
use crate::file_sum::FileSum;
use hregion::RegionInfo;
use hregion::cell::StringBinary;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;

/// The name of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The name of the file of rows that are in no region.
pub(crate) const NO_REGION: &str = "rows";

/// A file that was written.
#[derive(Debug)]
pub(crate) struct Exported {
    pub(crate) rows: u64,
    pub(crate) cells: u64,
    pub(crate) bytes: u64,
    /// Its members in the manifest.
    pub(crate) json: Value,
}

/// Returns the name of the file of a region.
pub(crate) fn file_name(info: Option<&RegionInfo>, ending: &str) -> String {
    let encoded = info.map(RegionInfo::encoded_name);
    format!("{}.{ending}", encoded.as_deref().unwrap_or(NO_REGION))
}

/// Returns the name of the description of a complete file, until the export is complete.
pub(crate) fn description_of(name: &str) -> String {
    format!("{name}.json")
}

/// Reads a manifest, which has some hundred bytes for each region.
pub(crate) fn read_manifest(path: &Path) -> Result<Vec<u8>, CommandError> {
    read_within(path, 1024)
}

/// Returns the names of the files that a manifest lists; `None` if it is not one of an export.
pub(crate) fn names_listed(manifest: &[u8]) -> Option<HashSet<String>> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let files = manifest["files"].as_array()?.iter();
    Some(files.filter_map(|file| file["file"].as_str().map(str::to_owned)).collect())
}

impl Exported {
    /// Describes a complete file, with more members at the end.
    pub(crate) fn describe(
        name: &str,
        info: Option<&RegionInfo>,
        [rows, cells]: [u64; 2],
        sum: &FileSum,
        more: Map<String, Value>,
    ) -> Self {
        let bytes = sum.bytes;
        let member = |value: Option<String>| value.map_or(Value::Null, Value::String);
        let shown = |bytes: &[u8]| StringBinary(bytes).to_string();
        let mut json = json!({
            "file": name,
            "table": member(info.map(|info| info.table().to_string())),
            "region": member(info.map(|info| shown(&info.name()))),
            "encoded": member(info.map(RegionInfo::encoded_name)),
            "start": member(info.map(|info| shown(info.start_key()))),
            "end": member(info.map(|info| shown(info.end_key()))),
            "rows": rows,
            "cells": cells,
            "bytes": bytes,
            "sha256": sum.sha256,
        });
        if let Some(members) = json.as_object_mut() {
            members.extend(more);
        }
        Self { rows, cells, bytes, json }
    }
}
