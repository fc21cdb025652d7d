//! What a write-ahead log says of itself, and which regions have entries in it.

use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::text;
use crate::vfs;
use hregion::Limits;
use hregion::cell::StringBinary;
use hregion::wal::{WalEnd, WalEntry, WalReader};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

/// The entries of a region.
#[derive(Clone, Debug)]
struct OfRegion {
    table: String,
    entries: u64,
    markers: u64,
    cells: u64,
    first: i64,
    last: i64,
}

/// Prints the header of a log and, if asked for, counts its entries by region.
pub(crate) fn run(path: &Path, counts: bool, limits: &Limits, out: &mut Output) -> Result<Exit, Failure> {
    let file = vfs::open(path).map_err(|error| CommandError::io("open", path, &error))?;
    let length = file.len();
    out.start_progress(if counts { length } else { 0 }, false);
    let mut log = WalReader::new(out.progress().watch(file), limits)?;
    let mut report = json!({ "path": text::json_path(path), "kind": "wal", "length": length });
    let header = log.header();
    report["header"] = header.map_or(Value::Null, |header| {
        json!({
            "writer": header.writer_class(),
            "compression": header.has_compression(),
            "tag_compression": header.has_tag_compression(),
            "value_compression": header.value_compression().map(|codec| codec.name()),
            "log_id": header.log_id(),
        })
    });
    if counts {
        let regions = count(&mut log)?;
        let sum = |of: fn(&OfRegion) -> u64| regions.values().map(of).sum::<u64>();
        report["entries"] = log.entries().into();
        report["cells"] = sum(|region| region.cells).into();
        report["end"] = match log.end() {
            Some(WalEnd::Trailer) => "trailer".into(),
            Some(WalEnd::Torn { .. }) => "torn".into(),
            _ => "no trailer".into(),
        };
        report["end_offset"] = log.offset().into();
        report["regions"] = regions.iter().map(region_json).collect();
        if let Some(error) = log.end().and_then(|end| end.to_error(path)) {
            out.warn_always(&CommandError::from(error).with_hint(None).line());
        }
    }
    if out.is_json() {
        out.json_line(&report)?;
    } else {
        print(&report, path, out)?;
    }
    Ok(Exit::Done)
}

/// Reads all entries.
fn count(log: &mut WalReader) -> Result<BTreeMap<Vec<u8>, OfRegion>, Failure> {
    let mut regions = BTreeMap::new();
    while let Some(entry) = log.next_entry()? {
        let name = entry.key().encoded_region_name.to_vec();
        let region = regions.entry(name).or_insert_with(|| OfRegion::before(&entry));
        region.entries += 1;
        if entry.is_marker() {
            region.markers += 1;
        } else {
            region.cells += u64::from(entry.cell_count());
        }
        region.first = region.first.min(entry.key().sequence_id);
        region.last = region.last.max(entry.key().sequence_id);
    }
    Ok(regions)
}

impl OfRegion {
    /// No entries, before the first one.
    fn before(entry: &WalEntry) -> Self {
        let key = entry.key();
        let (table, first) = (StringBinary(&key.table_name).to_string(), key.sequence_id);
        Self { table, entries: 0, markers: 0, cells: 0, first, last: first }
    }
}

fn region_json((name, region): (&Vec<u8>, &OfRegion)) -> Value {
    let OfRegion { table, entries, markers, cells, first, last } = region;
    json!({
        "region": StringBinary(name).to_string(),
        "table": table,
        "entries": entries,
        "markers": markers,
        "cells": cells,
        "first_sequence_id": first,
        "last_sequence_id": last,
    })
}

fn print(report: &Value, path: &Path, out: &mut Output) -> Result<(), Failure> {
    writeln!(out, "Log: {}", text::path(path))?;
    writeln!(out, "    length = {}", report["length"])?;
    match report["header"].as_object() {
        None => writeln!(out, "    it ends within its header")?,
        Some(header) => {
            for (name, value) in header {
                match value.as_str() {
                    Some(value) => writeln!(out, "    {name} = {}", text::printable(value))?,
                    None => writeln!(out, "    {name} = {value}")?,
                }
            }
        }
    }
    let Some(regions) = report["regions"].as_array() else { return Ok(()) };
    let plain = |value: &Value| text::printable(value.as_str().unwrap_or_default()).to_string();
    let end = (plain(&report["end"]), &report["end_offset"]);
    writeln!(out, "    entries = {}", report["entries"])?;
    writeln!(out, "    cells = {}", report["cells"])?;
    writeln!(out, "    end = {} at {}", end.0, end.1)?;
    for region in regions {
        let (name, table) = (plain(&region["region"]), plain(&region["table"]));
        let [entries, markers, cells, first, last] =
            ["entries", "markers", "cells", "first_sequence_id", "last_sequence_id"]
                .map(|name| &region[name]);
        write!(out, "{table} {name}: entries {entries}, of these markers {markers}, cells {cells}, ")?;
        writeln!(out, "sequence ids {first} to {last}")?;
    }
    Ok(())
}
