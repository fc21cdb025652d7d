//! `flush`, `compact`, `major_compact`.

use super::catalog::Catalog;
use super::command::Arguments;
use super::session::Stop;
use hregion::Compaction;

/// Executes `flush 't'`.
pub(super) fn flush(catalog: &mut Catalog, values: &mut Arguments<'_>) -> Result<(), Stop> {
    let table = values.table()?;
    values.end()?;
    Ok(catalog.writable(&table)?.regions().iter().try_for_each(|region| region.flush())?)
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
    for region in catalog.writable(&table)?.regions() {
        region.flush()?;
        match &family {
            Some(family) => region.compact_family(family, kind)?,
            None => region.compact(kind)?,
        }
    }
    Ok(())
}
