//! `put`, `delete`, `deleteall`, `incr`, `append`.

use super::catalog::Catalog;
use super::columns::{column, written_column};
use super::command::Arguments;
use super::options::Options;
use super::read::print_counter;
use super::session::Stop;
use super::value::Value;
use crate::output::Output;
use hregion::cell::{LATEST_TIMESTAMP, StringBinary};
use hregion::{Append, Delete, Filter, Increment, Put, Scan};
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;

/// Executes `put 't', 'row', 'f:q', 'value', 1700000000000, {TTL => 60000}`.
pub(super) fn put(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    let (family, qualifier) = written_column(values.required("a column")?)?;
    let value = values.required("a value")?.bytes("a value")?;
    let timestamp = values.next_plain().map(|value| value.number("a timestamp")).transpose()?;
    let mut options = Options::of(values.next())?;
    values.end()?;
    let ttl = ttl(&mut options)?;
    options.end()?;
    let put = Put::new(row);
    let put = match timestamp {
        Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
        None => put.cell(family, qualifier, value),
    };
    let put = match ttl {
        Some(ttl) => put.ttl(ttl),
        None => put,
    };
    Ok(catalog.put(&table, put)?)
}

fn ttl(options: &mut Options<'_>) -> Result<Option<Duration>, Stop> {
    options
        .take("TTL")
        .map(|millis| millis.count("a number of milliseconds").map(Duration::from_millis))
        .transpose()
}

/// Executes `delete 't', 'row', 'f:q', 1700000000000`: deletes one version, by default the newest.
pub(super) fn delete(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    let (family, qualifier) = column(values.required("a column")?)?;
    let timestamp = values.next().map(|value| value.number("a timestamp")).transpose()?;
    values.end()?;
    let delete = Delete::new(row);
    let delete = match (qualifier, timestamp) {
        (Some(qualifier), Some(timestamp)) => delete.version_at(family, qualifier, timestamp),
        (Some(qualifier), None) => delete.version(family, qualifier),
        (None, timestamp) => delete.family_version(family, timestamp.unwrap_or(LATEST_TIMESTAMP)),
    };
    Ok(catalog.delete(&table, delete)?)
}

/// Executes `deleteall 't', 'row', 'f:q', 1700000000000`: deletes a row, also by a column that is empty or
/// nil, a family, or a column, up to a timestamp.
pub(super) fn delete_all(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    let rows = values.required("a row")?;
    let column = values.next().filter(|value| !value.is_nothing()).map(column).transpose()?;
    let timestamp = values.next().map(|value| value.number("a timestamp")).transpose()?;
    values.end()?;
    let delete_of = |row: Vec<u8>| {
        let delete = Delete::new(row);
        let delete = match timestamp {
            Some(timestamp) => delete.timestamp(timestamp),
            None => delete,
        };
        match column.clone() {
            None => delete,
            Some((family, Some(qualifier))) => delete.column(family, qualifier),
            Some((family, None)) => delete.family(family),
        }
    };
    if rows.is_hash() {
        return Ok(catalog.delete_rows(&table, prefix_scan(rows)?, &delete_of)?);
    }
    let row = rows.bytes("a row, or {ROWPREFIXFILTER => 'prefix'}")?;
    Ok(catalog.delete(&table, delete_of(row))?)
}

/// Builds a scan of the rows of `{ROWPREFIXFILTER => 'prefix'}` that returns only their keys.
fn prefix_scan(hash: &Value) -> Result<Scan, Stop> {
    let mut options = Options::of(Some(hash))?;
    let Some(prefix) = options.take("ROWPREFIXFILTER") else {
        return Err(Stop::At(hash.at, "expected ROWPREFIXFILTER => 'prefix'".into()));
    };
    let prefix = prefix.bytes("the beginning of rows")?;
    options.take("CACHE");
    options.end()?;
    Ok(Scan::new().prefix(prefix).filter(Filter::parse("FirstKeyOnlyFilter() AND KeyOnlyFilter()")?))
}

/// Executes `incr 't', 'row', 'f:q', 1`.
pub(super) fn increment(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let table = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    let column = values.required("a column")?;
    let (family, qualifier) = written_column(column)?;
    let amount = values.next_plain().map(|value| value.number("an amount")).transpose()?;
    let mut options = Options::of(values.next())?;
    values.end()?;
    let increment = Increment::new(row).column(family.clone(), qualifier.clone(), amount.unwrap_or(1));
    let increment = match ttl(&mut options)? {
        Some(ttl) => increment.ttl(ttl),
        None => increment,
    };
    options.end()?;
    let row = catalog.increment(&table, increment)?;
    print_counter(row.value(&family, &qualifier).unwrap_or_default(), column, out)
}

/// Executes `append 't', 'row', 'f:q', 'more'`.
pub(super) fn append(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let table = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    let (family, qualifier) = written_column(values.required("a column")?)?;
    let value = values.required("a value")?.bytes("a value")?;
    let mut options = Options::of(values.next())?;
    values.end()?;
    let append = Append::new(row).column(family.clone(), qualifier.clone(), value);
    let append = match ttl(&mut options)? {
        Some(ttl) => append.ttl(ttl),
        None => append,
    };
    options.end()?;
    let row = catalog.append(&table, append)?;
    let value = StringBinary(row.value(&family, &qualifier).unwrap_or_default()).to_string();
    if out.is_json() {
        out.json_line(&json!({ "value": value }))?;
    } else {
        writeln!(out, "CURRENT VALUE = {value}")?;
    }
    Ok(())
}
