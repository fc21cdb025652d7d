//! Files of an export, as its manifest describes them.

use crate::failure::CommandError;
use hregion::RegionInfo;
use hregion::cell::StringBinary;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The name of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The name of the file of rows that are in no region.
const NO_REGION: &str = "rows";
/// How much of a file is read at once.
const BUFFER: usize = 64 << 10;

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

impl Exported {
    /// Describes a complete file in `dir`, with more members at the end.
    pub(crate) fn describe(
        dir: &Path,
        name: &str,
        info: Option<&RegionInfo>,
        [rows, cells]: [u64; 2],
        more: Map<String, Value>,
    ) -> Result<Self, CommandError> {
        let path = dir.join(name);
        let (bytes, sum) = sum(&path).map_err(|error| CommandError::io("read", &path, &error))?;
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
            "sha256": sum,
        });
        if let Some(members) = json.as_object_mut() {
            members.extend(more);
        }
        Ok(Self { rows, cells, bytes, json })
    }
}

/// Returns hexadecimal digits.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the length of a file, and its SHA-256 in hexadecimal digits.
fn sum(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; BUFFER]);
    let (mut bytes, mut sum) = (0, Sha256::new());
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sum.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    Ok((bytes, hex(sum.finalize())))
}
