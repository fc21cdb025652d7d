//! `flush`, `compact`, `major_compact`, `split`, `merge_region`, `catalogjanitor_run`.

use super::catalog::Catalog;
use super::command::Arguments;
use super::session::Stop;
use crate::cmd::merge::merge;
use crate::failure::CommandError;
use hregion::Compaction;

/// Executes `flush 't'`.
pub(super) fn flush(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    values.end()?;
    let interrupt = catalog.interrupt();
    for region in catalog.writable(&table)?.regions() {
        interrupt.check()?;
        region.flush()?;
    }
    Ok(())
}

/// Executes `compact 't', 'f'`.
pub(super) fn compact(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    compact_as(Compaction::Minor, catalog, values)
}

/// Executes `major_compact 't', 'f'`.
pub(super) fn major_compact(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    compact_as(Compaction::Major, catalog, values)
}

/// Flushes the memory first, as a server would have done eventually.
fn compact_as(kind: Compaction, catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    let family = values.next().map(|family| family.bytes("a family")).transpose()?;
    values.end()?;
    let interrupt = catalog.interrupt();
    for region in catalog.writable(&table)?.regions() {
        interrupt.check()?;
        region.flush()?;
        match &family {
            Some(family) => region.compact_family(family, kind)?,
            None => region.compact(kind)?,
        }
    }
    Ok(())
}

/// Executes `split 't', 'row'`.
pub(super) fn split(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    values.end()?;
    Ok(catalog.replace_regions(&table, |table| Ok(table.split(&row).map(drop)?))?)
}

/// Executes `merge_region 'a', 'b'`, with the encoded names of two regions of a table.
pub(super) fn merge_region(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let what = "the encoded name of a region";
    let (first, second) = (values.required(what)?.text(what)?, values.required(what)?.text(what)?);
    values.end()?;
    match catalog.table_of_region(&first)? {
        Some(name) => {
            Ok(catalog.replace_regions(&name.to_string(), |table| merge(table, &first, &second).map(drop))?)
        }
        None => Err(CommandError::invalid(format!("no table has a region {first}")).into()),
    }
}

/// Executes `catalogjanitor_run`.
pub(super) fn catalogjanitor_run(catalog: &mut Catalog, values: &Arguments<'_>) -> Result<(), Stop> {
    values.end()?;
    for name in catalog.names()? {
        catalog.interrupt().check()?;
        catalog.replace_regions(&name.to_string(), |table| Ok(table.archive_parents().map(drop)?))?;
    }
    Ok(())
}
