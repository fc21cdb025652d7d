//! The metadata of write-ahead logs, and the regions with entries in them.

use crate::failure::{CommandError, Exit, Failure};
use crate::logs::LogList;
use crate::output::Output;
use crate::text;
use hregion::cell::StringBinary;
use hregion::io::FileReader;
use hregion::wal::{WalEnd, WalEntry, WalReader, WalReaderOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

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

/// The entries of logs by region.
type Regions = BTreeMap<Vec<u8>, OfRegion>;

/// Prints the header of a log and, if requested, counts its entries by region. For a directory, does this for
/// each log below it, and then for all.
pub(crate) fn run(
    (path, is_dir): (&Path, bool),
    list: &LogList<'_>,
    counts: bool,
    options: &WalReaderOptions,
    out: &mut Output,
) -> Result<Exit, Failure> {
    out.start_progress(if counts { list.bytes() } else { 0 }, false);
    let (mut logs, mut regions) = (Vec::new(), Regions::new());
    let (mut count, mut length, mut entries) = (0_u64, 0_u64, 0_u64);
    for log in list.logs() {
        let Some(file) = list.open(log, out)? else { continue };
        let (report, of_log) = read(log, file, counts, options, out)?;
        count += 1;
        length = length.saturating_add(report["length"].as_u64().unwrap_or(0));
        entries += report["entries"].as_u64().unwrap_or(0);
        for (name, region) in of_log {
            regions.entry(name).and_modify(|sum| sum.add(&region)).or_insert(region);
        }
        if !out.is_json() {
            print(&report, log, out)?;
        } else if is_dir {
            logs.push(report);
        } else {
            out.json_line(&report)?;
        }
    }
    if !is_dir {
        return Ok(Exit::Done);
    }
    if !out.is_json() {
        writeln!(out, "Logs: {}", text::path(path))?;
        writeln!(out, "    logs = {count}")?;
        writeln!(out, "    length = {length}")?;
        if counts {
            writeln!(out, "    entries = {entries}")?;
            writeln!(out, "    cells = {}", cells_of(&regions))?;
        }
        print_regions(&regions.iter().map(region_json).collect::<Vec<_>>(), out)?;
        return Ok(Exit::Done);
    }
    let mut report = json!({ "path": text::json_path(path), "kind": "wal", "length": length, "logs": logs });
    if counts {
        report["entries"] = entries.into();
        report["cells"] = cells_of(&regions).into();
        report["regions"] = regions.iter().map(region_json).collect();
    }
    out.json_line(&report)?;
    Ok(Exit::Done)
}

/// Returns the metadata of a log, and the counts of its entries if requested.
fn read(
    path: &Path,
    file: Arc<dyn FileReader>,
    counts: bool,
    options: &WalReaderOptions,
    out: &Output,
) -> Result<(Value, Regions), Failure> {
    let length = file.len();
    let mut log = options.open_reader(out.progress().watch(file))?;
    let mut report = json!({ "path": text::json_path(path), "kind": "wal", "length": length });
    let header = log.header();
    report["header"] = header.map_or(Value::Null, |header| {
        json!({
            "writer": header.writer_class(),
            "compression": header.has_compression(),
            "tag_compression": header.has_tag_compression(),
            "value_compression": header.value_compression().map(|codec| codec.name()),
            "encrypted": header.is_encrypted(),
            "log_id": header.log_id(),
        })
    });
    let mut regions = Regions::new();
    if counts {
        regions = count(&mut log)?;
        report["entries"] = log.entries().into();
        report["cells"] = cells_of(&regions).into();
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
    Ok((report, regions))
}

/// Reads all entries.
fn count(log: &mut WalReader) -> Result<Regions, Failure> {
    let mut regions = Regions::new();
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

    /// Adds the entries of another log.
    fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.markers += other.markers;
        self.cells += other.cells;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

fn cells_of(regions: &Regions) -> u64 {
    regions.values().map(|region| region.cells).sum()
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
    let end = (plain(&report["end"]), &report["end_offset"]);
    writeln!(out, "    entries = {}", report["entries"])?;
    writeln!(out, "    cells = {}", report["cells"])?;
    writeln!(out, "    end = {} at {}", end.0, end.1)?;
    print_regions(regions, out)
}

fn plain(value: &Value) -> String {
    text::printable(value.as_str().unwrap_or_default()).to_string()
}

fn print_regions(regions: &[Value], out: &mut Output) -> Result<(), Failure> {
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
