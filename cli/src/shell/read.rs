//! `get`, `scan`, `count`.

use super::catalog::Catalog;
use super::columns::{read_column, written_column};
use super::command::Arguments;
use super::converter::Formats;
use super::options::Options;
use super::print::CellPrinter;
use super::session::Stop;
use super::value::Value;
use crate::output::Output;
use crate::scan_rows::{RowScan, with_prefix};
use crate::selection::Selection;
use hregion::cell::StringBinary;
use hregion::{Consistency, Filter, Get, Isolation, TimeRange};
use serde_json::json;
use std::io::Write as _;

/// Takes the number of versions. A get of none is an error, and a scan of none is one of the newest, as in
/// HBase's shell.
fn versions(options: &mut Options<'_>, of_get: bool) -> Result<u32, Stop> {
    let Some(value) = options.take("VERSIONS") else { return Ok(1) };
    match value.count::<u32>("a number of versions")? {
        0 if of_get => Err(Stop::At(value.at, "VERSIONS must be positive".into())),
        versions => Ok(versions.max(1)),
    }
}

/// Takes a row to read (HBase: `Mutation.checkRow`).
fn row(values: &mut Arguments<'_>) -> Result<Vec<u8>, Stop> {
    let value = values.required("a row")?;
    let row = value.bytes("a row")?;
    if row.is_empty() {
        return Err(Stop::At(value.at, "expected a row that is not empty".into()));
    }
    Ok(row)
}

/// Parses the selection of cells, except for their versions. Adds the converters of columns to `formats`.
fn selection(options: &mut Options<'_>, formats: &mut Formats) -> Result<Selection, Stop> {
    let mut selection = Selection::default();
    for name in ["COLUMN", "COLUMNS"] {
        for column in options.take(name).into_iter().flat_map(Value::list) {
            selection.columns.push(formats.add(read_column(column)?));
        }
    }
    if let Some(timestamp) = options.take("TIMESTAMP") {
        selection.time_range = TimeRange::at(timestamp.number("a timestamp")?)?;
    }
    if let Some(range) = options.take("TIMERANGE") {
        let [from, to] = range.list() else { return Err(range.expected("a list of two timestamps")) };
        selection.time_range = TimeRange::new(from.number("a timestamp")?, to.number("a timestamp")?)?;
    }
    if let Some(filter) = options.take("FILTER") {
        let language = filter.bytes("a filter in HBase's filter language, as a string")?;
        let parsed = Filter::parse(&language);
        selection.filter =
            Some(parsed.map_err(|error| Stop::At(filter.at, format!("FILTER: {}", error.message())))?);
    }
    if let Some(level) = options.take("ISOLATION_LEVEL") {
        selection.isolation = match level.text("an isolation level")?.as_str() {
            "READ_COMMITTED" => Isolation::ReadCommitted,
            "READ_UNCOMMITTED" => Isolation::ReadUncommitted,
            _ => return Err(level.expected("'READ_COMMITTED' or 'READ_UNCOMMITTED'")),
        };
    }
    if let Some(limit) = options.take("MAX_RESULTS_PER_COLUMN_FAMILY") {
        selection.max_results_per_family = Some(limit.count("a number of cells")?);
    }
    if let Some(offset) = options.take("OFFSET") {
        selection.row_offset_per_family = offset.count("a number of cells")?;
    }
    // without effect on files, which are read as they are
    if let Some(consistency) = options.take("CONSISTENCY") {
        selection.consistency = match consistency.text("a consistency")?.as_str() {
            "STRONG" => Consistency::Strong,
            "TIMELINE" => Consistency::Timeline,
            _ => return Err(consistency.expected("'STRONG' or 'TIMELINE'")),
        };
    }
    if let Some(id) = options.take("REGION_REPLICA_ID") {
        selection.replica_id = Some(id.count("the id of a replica of the region")?);
    }
    if let Some(caches) = options.take("CACHE_BLOCKS") {
        selection.cache_blocks = caches.flag("true or false")?;
    }
    // of gets, which have one result
    options.take("CACHE");
    Ok(selection)
}

fn max_length(options: &mut Options<'_>) -> Result<Option<usize>, Stop> {
    let length =
        options.take("MAXLENGTH").map(|length| length.count::<i64>("a number of characters")).transpose()?;
    // -1 is HBase's default, for no limit
    Ok(length.and_then(|length| usize::try_from(length).ok()))
}

/// Executes `get 't', 'row', 'f:q', {VERSIONS => 3}`.
pub(super) fn get(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let table = values.table()?;
    let row = row(values)?;
    let (mut columns, mut formats) = (Vec::new(), Formats::default());
    while let Some(value) = values.next_plain() {
        for column in value.list() {
            columns.push(formats.add(read_column(column)?));
        }
    }
    let mut options = Options::of(values.next())?;
    values.end()?;
    let mut selection = selection(&mut options, &mut formats)?;
    selection.versions = versions(&mut options, true)?;
    selection.columns.extend(columns);
    formats.take(&mut options)?;
    let max_length = max_length(&mut options)?;
    options.end()?;
    let found = catalog.get(&table, &selection.get(row))?;
    let mut printer = CellPrinter::of_row(max_length, formats);
    for cell in found.cells() {
        printer.print(&cell, out)?;
    }
    Ok(printer.end(u64::from(!found.is_empty()), found.is_stale(), out)?)
}

/// Executes `get_counter 't', 'row', 'f:q'`.
pub(super) fn get_counter(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let table = values.table()?;
    let row = row(values)?;
    let column = values.required("a column")?;
    let (family, qualifier) = written_column(column)?;
    values.end()?;
    let get = Get::new(&row).column(family.clone(), qualifier.clone());
    let found = catalog.get(&table, &get)?;
    match found.value(&family, &qualifier) {
        None if out.is_json() => out.json_line(&json!({ "value": null }))?,
        None => writeln!(out, "No counter found at specified coordinates")?,
        Some(value) => print_counter(value, column, out)?,
    }
    Ok(())
}

/// Prints a counter; fails if the value is not one.
pub(super) fn print_counter(value: &[u8], column: &Value, out: &mut Output) -> Result<(), Stop> {
    let Ok(bytes) = <[u8; 8]>::try_from(value) else {
        let message = format!("not a counter: expected 8 bytes, found {}", value.len());
        return Err(Stop::At(column.at, message));
    };
    let count = i64::from_be_bytes(bytes);
    if out.is_json() {
        out.json_line(&json!({ "value": count }))?;
    } else {
        writeln!(out, "COUNTER VALUE = {count}")?;
    }
    Ok(())
}

/// Builds a scan from its options, or one that `counts` rows. An interrupt ends it. Returns whether it is
/// reversed, too.
fn row_scan(
    options: &mut Options<'_>,
    formats: &mut Formats,
    catalog: &dyn Catalog,
    counts: bool,
) -> Result<(RowScan, bool), Stop> {
    let reversed = options.take("REVERSED").map(|reversed| reversed.flag("true or false")).transpose()?;
    let reversed = reversed.unwrap_or(false);
    let caching = options.take("CACHE").map(|rows| rows.count("a number of rows")).transpose()?;
    let caches = options.has("CACHE_BLOCKS");
    let mut selection = selection(options, formats)?;
    selection.versions = versions(options, false)?;
    if counts {
        // as in HBase's shell
        selection.cache_blocks &= caches;
        let selects = selection.max_results_per_family.is_some() || selection.row_offset_per_family > 0;
        if selection.filter.is_none() && !selects {
            selection.filter = catalog.filter_to_count();
        }
    }
    selection.filter = catalog.watched(selection.filter)?;
    let mut scan = selection.scan().reversed(reversed);
    if let Some(rows) = caching {
        scan = scan.caching(rows);
    }
    if let Some(raw) = options.take("RAW") {
        scan = scan.raw(raw.flag("true or false")?);
    }
    let (mut start, mut stop) = (Vec::new(), Vec::new());
    if let Some(row) = options.take("STARTROW") {
        start = row.bytes("a row")?;
    }
    for name in ["STOPROW", "ENDROW"] {
        if let Some(row) = options.take(name) {
            stop = row.bytes("a row")?;
        }
    }
    // the same row twice is a get of it, as for the `Scan(byte[], byte[])` of HBase
    let is_get = !start.is_empty() && start == stop;
    scan = scan.start_row(start, true).stop_row(stop, is_get);
    // as in HBase, in place of both rows
    if let Some(prefix) = options.take("ROWPREFIXFILTER") {
        scan = with_prefix(scan, prefix.bytes("the beginning of rows")?, reversed);
    }
    if let Some(batch) = options.take("BATCH") {
        scan = scan.batch(batch.count("a number of cells")?);
    }
    if let Some(bytes) = options.take("MAX_RESULT_SIZE") {
        scan = scan.max_result_size(bytes.count("a number of bytes")?);
    }
    if let Some(partial) = options.take("ALLOW_PARTIAL_RESULTS") {
        scan = scan.allow_partial(partial.flag("true or false")?);
    }
    let limit = options.take("LIMIT").map(|limit| limit.count::<i64>("a number of rows")).transpose()?;
    // -1 is HBase's default, for no limit
    let scan = RowScan { scan, limit: limit.and_then(|limit| u64::try_from(limit).ok()) };
    Ok((scan, reversed))
}

/// Counts rows, where consecutive results may be pieces of one row.
#[derive(Debug, Default)]
struct RowCount {
    rows: u64,
    last: Vec<u8>,
}

impl RowCount {
    /// Counts a result; returns whether it begins another row.
    fn add(&mut self, row: &[u8]) -> bool {
        let is_new = self.rows == 0 || row != self.last;
        if is_new {
            self.rows += 1;
            self.last.clear();
            self.last.extend_from_slice(row);
        }
        is_new
    }
}

/// Executes `scan 't', {COLUMNS => ['f:q'], LIMIT => 3}`.
pub(super) fn scan(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let table = values.table()?;
    let mut options = Options::of(values.next())?;
    values.end()?;
    let (interrupt, mut formats) = (catalog.interrupt(), Formats::default());
    let (scan, reversed) = row_scan(&mut options, &mut formats, catalog, false)?;
    formats.take(&mut options)?;
    let max_length = max_length(&mut options)?;
    options.end()?;
    let mut printer = CellPrinter::of_scan(max_length, formats);
    // as in HBase's shell, pieces of rows count as rows
    let mut results = 0;
    let is_stale = catalog.scan(&table, scan, reversed, &mut |row| {
        interrupt.check()?;
        results += 1;
        row.cells().try_for_each(|cell| printer.print(&cell, out))
    })?;
    interrupt.check()?;
    Ok(printer.end(results, is_stale, out)?)
}

/// The number of rows after which `count` prints its progress.
const INTERVAL: u64 = 1000;

/// Executes `count 't', INTERVAL => 100000`.
pub(super) fn count(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let table = values.table()?;
    let mut options = Options::default();
    let mut interval = INTERVAL;
    if let Some(value) = values.next_plain() {
        interval = value.count("an interval of rows")?;
    }
    if let Some(value) = values.next() {
        options.extend(value)?;
    }
    values.end()?;
    if let Some(value) = options.take("INTERVAL") {
        interval = value.count("an interval of rows")?;
    }
    let interrupt = catalog.interrupt();
    let (scan, reversed) = row_scan(&mut options, &mut Formats::default(), catalog, true)?;
    options.end()?;
    let mut count = RowCount::default();
    catalog.scan(&table, scan, reversed, &mut |row| {
        interrupt.check()?;
        if count.add(row.key()) && interval > 0 && count.rows.is_multiple_of(interval) && !out.is_json() {
            writeln!(out, "Current count: {}, row: {}", count.rows, StringBinary(row.key()))?;
        }
        Ok(())
    })?;
    interrupt.check()?;
    if out.is_json() {
        out.json_line(&json!({ "rows": count.rows }))?;
    } else {
        writeln!(out, "{} row(s)\n=> {}", count.rows, count.rows)?;
    }
    Ok(())
}
