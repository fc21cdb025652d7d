//! `disable`, `enable`, `drop`, `truncate` and others: tables as a whole.

use super::catalog::Catalog;
use super::command::Arguments;
use super::print::region_json;
use super::session::Stop;
use crate::output::Output;
use hregion::cell::StringBinary;
use serde_json::json;
use std::io::Write as _;

/// Executes `disable 't'`: closes the table, so that it can be dropped.
pub(super) fn disable(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    Ok(catalog.disable(&name)?)
}

/// Executes `enable 't'`.
pub(super) fn enable(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    Ok(catalog.enable(&name)?)
}

/// Executes `is_enabled 't'`, or `is_disabled 't'` if `wanted` is false.
pub(super) fn is_enabled(
    wanted: bool,
    catalog: &Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let is = catalog.is_enabled(&name)? == wanted;
    if out.is_json() {
        let member = if wanted { "enabled" } else { "disabled" };
        return Ok(out.json_line(&json!({ member: is }))?);
    }
    writeln!(out, "{is}\n=> {is}")?;
    Ok(())
}

/// Executes `drop 't'`.
pub(super) fn drop(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    Ok(catalog.drop(&name)?)
}

/// Executes `truncate 't'`, or `truncate_preserve 't'`.
pub(super) fn truncate(
    preserve_splits: bool,
    catalog: &mut Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    catalog.truncate(&name, preserve_splits)?;
    if !out.is_json() {
        let steps = "Disabling table...\nTruncating table...";
        writeln!(out, "Truncating '{name}' table (it may take a while):\n{steps}")?;
    }
    Ok(())
}

/// Executes `locate_region 't', 'row'`.
pub(super) fn locate_region(
    catalog: &mut Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    values.end()?;
    let info = catalog.described(&name)?.region_of(&row)?.info().clone();
    if out.is_json() {
        return Ok(out.json_line(&region_json(&info))?);
    }
    let encoded = info.encoded_name();
    let (start, end) = (StringBinary(info.start_key()), StringBinary(info.end_key()));
    writeln!(out, "HOST                      REGION")?;
    writeln!(
        out,
        " (local files)            {{ENCODED => {encoded}, NAME => '{info}', STARTKEY => '{start}', \
         ENDKEY => '{end}'}}\n1 row(s)"
    )?;
    Ok(())
}

/// Executes `status`: how many tables there are, and how many of them this shell has open.
pub(super) fn status(catalog: &Catalog, values: &Arguments<'_>, out: &mut Output) -> Result<(), Stop> {
    values.end()?;
    let tables = catalog.names()?.len();
    let (open, written) = catalog.open_regions();
    if out.is_json() {
        let counts = json!({ "servers": 0, "tables": tables, "open": open, "writable": written });
        return Ok(out.json_line(&counts)?);
    }
    writeln!(
        out,
        "0 servers (local files), {tables} tables, {open} regions open, {written} of them for writing"
    )?;
    Ok(())
}
