//! `disable`, `enable`, `drop`, `truncate` and others: tables as a whole.

use super::catalog::{Catalog, Status};
use super::command::Arguments;
use super::print::region_json;
use super::session::Stop;
use crate::output::Output;
use hregion::cell::StringBinary;
use serde_json::json;
use std::io::Write as _;

/// Executes `disable 't'`: closes the table, so that it can be dropped.
pub(super) fn disable(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    Ok(catalog.disable(&name)?)
}

/// Executes `enable 't'`.
pub(super) fn enable(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    Ok(catalog.enable(&name)?)
}

/// Executes `is_enabled 't'`, or `is_disabled 't'` if `wanted` is false.
pub(super) fn is_enabled(
    wanted: bool,
    catalog: &dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let is = if wanted { catalog.is_enabled(&name)? } else { catalog.is_disabled(&name)? };
    if out.is_json() {
        let member = if wanted { "enabled" } else { "disabled" };
        return Ok(out.json_line(&json!({ member: is }))?);
    }
    writeln!(out, "{is}\n=> {is}")?;
    Ok(())
}

/// Executes `drop 't'`.
pub(super) fn drop(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    Ok(catalog.drop_table(&name)?)
}

/// Executes `truncate 't'`, or `truncate_preserve 't'`.
pub(super) fn truncate(
    preserve_splits: bool,
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    values.end()?;
    let was_enabled = catalog.truncate(&name, preserve_splits)?;
    if !out.is_json() {
        let first = if was_enabled { "Disabling table...\n" } else { "" };
        writeln!(out, "Truncating '{name}' table (it may take a while):\n{first}Truncating table...")?;
    }
    Ok(())
}

/// Executes `locate_region 't', 'row'`.
pub(super) fn locate_region(
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = values.table()?;
    let row = values.required("a row")?.escaped_bytes("a row")?;
    values.end()?;
    let (info, host) = catalog.locate(&name, &row)?;
    if out.is_json() {
        return Ok(out.json_line(&region_json(&info))?);
    }
    let encoded = info.encoded_name();
    let (start, end) = (StringBinary(info.start_key()), StringBinary(info.end_key()));
    writeln!(out, "HOST                      REGION")?;
    writeln!(
        out,
        " {host:<24} {{ENCODED => {encoded}, NAME => '{info}', STARTKEY => '{start}', \
         ENDKEY => '{end}'}}\n1 row(s)"
    )?;
    Ok(())
}

/// Executes `status`: how many tables there are, and how many of them this shell has open, or how many
/// servers a cluster has.
pub(super) fn status(catalog: &dyn Catalog, values: &Arguments<'_>, out: &mut Output) -> Result<(), Stop> {
    values.end()?;
    match catalog.status()? {
        Status::Files { tables, open, writable, .. } if out.is_json() => {
            let counts = json!({ "servers": 0, "tables": tables, "open": open, "writable": writable });
            Ok(out.json_line(&counts)?)
        }
        Status::Cluster { tables, servers } if out.is_json() => {
            Ok(out.json_line(&json!({ "servers": servers, "tables": tables }))?)
        }
        Status::Files { place, tables, open, writable } => Ok(writeln!(
            out,
            "0 servers ({place}), {tables} tables, {open} regions open, {writable} of them for writing"
        )?),
        Status::Cluster { tables, servers } => Ok(writeln!(out, "{servers} servers, {tables} tables")?),
    }
}
