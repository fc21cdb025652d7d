//! `flush`, `compact`, `major_compact`, `split`, `merge_region`, `catalogjanitor_run`.

use super::catalog::Catalog;
use super::command::Arguments;
use super::session::Stop;
use hregion::{Compaction, RegionName};

/// Executes `flush 't'`.
pub(super) fn flush(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    values.end()?;
    Ok(catalog.flush(&table)?)
}

/// Executes `compact 't', 'f'`, or `major_compact 't', 'f'`.
pub(super) fn compact(
    kind: Compaction,
    catalog: &mut dyn Catalog,
    values: &mut Arguments<'_>,
) -> Result<(), Stop> {
    let table = values.table()?;
    let family = values.next().map(|family| family.bytes("a family")).transpose()?;
    values.end()?;
    Ok(catalog.compact(&table, family.as_deref(), kind)?)
}

/// Executes `split 't', 'row'`.
pub(super) fn split(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    let row = values.required("a row")?.bytes("a row")?;
    values.end()?;
    Ok(catalog.split(&table, &row)?)
}

/// Takes the name of a region, the whole one or the encoded one, and returns the latter (HBase:
/// `HBaseAdmin.toEncodedRegionName`).
fn encoded_name(values: &mut Arguments<'_>) -> Result<String, Stop> {
    let what = "the name of a region";
    let name = values.required(what)?.text(what)?;
    // what is not a whole name is an encoded one
    Ok(RegionName::parse(name.as_bytes()).map_or(name, |whole| whole.encoded_name()))
}

/// Executes `merge_region 'a', 'b'`, with the names of two regions of a table.
pub(super) fn merge_region(catalog: &mut dyn Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let (first, second) = (encoded_name(values)?, encoded_name(values)?);
    values.end()?;
    Ok(catalog.merge(&first, &second)?)
}

/// Executes `catalogjanitor_run`.
pub(super) fn catalogjanitor_run(catalog: &mut dyn Catalog, values: &Arguments<'_>) -> Result<(), Stop> {
    values.end()?;
    Ok(catalog.archive_parents()?)
}
