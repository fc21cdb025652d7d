//! `snapshot`, `list_snapshots`, `clone_snapshot`, `restore_snapshot`, `delete_snapshot`.

use super::catalog::Catalog;
use super::command::Arguments;
use super::print::put_array;
use super::session::Stop;
use crate::output::Output;
use crate::text;
use serde_json::json;
use std::io::Write as _;

/// The minimum width of the first column.
const FIRST: usize = 24;

/// Takes the name of a snapshot.
fn name(values: &mut Arguments<'_>) -> Result<String, Stop> {
    values.required("the name of a snapshot")?.text("the name of a snapshot")
}

/// Executes `snapshot 't', 'name'`.
pub(super) fn snapshot(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let (table, name) = (values.table()?, name(values)?);
    values.end()?;
    Ok(catalog.snapshot(&table, &name)?)
}

/// Executes `list_snapshots`.
pub(super) fn list(catalog: &dyn Catalog, values: &Arguments<'_>, out: &mut Output) -> Result<(), Stop> {
    values.end()?;
    let found = catalog.snapshots()?;
    if !out.is_json() {
        writeln!(out, "{:<FIRST$}  TABLE + CREATION TIME", "SNAPSHOT")?;
    }
    for one in &found {
        let (name, table, created) = (one.name(), one.table().to_string(), one.creation_time());
        if out.is_json() {
            out.json_line(&json!({ "name": name, "table": table, "created": created }))?;
        } else {
            writeln!(out, " {:<FIRST$} {table} ({created})", text::printable(name))?;
        }
    }
    if !out.is_json() {
        writeln!(out, "{} row(s)", found.len())?;
        put_array(found.iter().map(|one| one.name()), out)?;
    }
    Ok(())
}

/// Executes `clone_snapshot 'name', 't'`.
pub(super) fn clone(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let (name, table) = (name(values)?, values.table()?);
    values.end()?;
    Ok(catalog.clone_snapshot(&name, &table)?)
}

/// Executes `restore_snapshot 'name'`.
pub(super) fn restore(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = name(values)?;
    values.end()?;
    Ok(catalog.restore(&name)?)
}

/// Executes `delete_snapshot 'name'`.
pub(super) fn delete(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let name = name(values)?;
    values.end()?;
    Ok(catalog.delete_snapshot(&name)?)
}
