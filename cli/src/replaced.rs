//! The common part of `split` and `merge`: opens a table for writing, and prints the new regions.

use crate::args::FileArgs;
use crate::cluster_args::table_name;
use crate::failure::{CommandError, Exit, Failure};
use crate::located;
use crate::output::Output;
use crate::regions::is_region;
use crate::vfs::check_writable;
use hregion::{Compaction, RegionInfo, RegionLocations, Table, TableName};
use std::path::PathBuf;

/// The table whose regions are replaced.
#[derive(clap::Args, Debug)]
pub(crate) struct TableArgs {
    /// HBase's root directory
    root: PathBuf,

    /// The table, `name` or `namespace:name`
    #[arg(value_parser = table_name)]
    table: TableName,
}

/// What is done afterwards.
#[derive(clap::Args, Debug)]
pub(crate) struct CompactArgs {
    /// Compact the new regions, and move regions that are no longer needed to the archive
    #[arg(long)]
    compact: bool,
}

/// Archives regions that were split or merged and are not needed any more.
pub(crate) fn archive_parents(table: &Table, out: &Output) -> hregion::Result<()> {
    match table.archive_parents()?.len() {
        0 => {}
        1 => out.summary("1 region moved to the archive"),
        count => out.summary(&format!("{count} regions moved to the archive")),
    }
    Ok(())
}

/// Replaces regions by those that `replace` returns, and prints these. They are printed before they are
/// compacted: if that fails, they have replaced the others nevertheless.
pub(crate) fn run(
    table: &TableArgs,
    compact: &CompactArgs,
    reading: &FileArgs,
    out: &mut Output,
    replace: impl FnOnce(&Table) -> Result<Vec<RegionInfo>, Failure>,
) -> Result<Exit, Failure> {
    check_writable(&table.root)?;
    let options = reading.region_options(out)?.writable(true);
    let table = Table::open_with(&table.root, &table.table.to_string(), options)?;
    let before = table.regions();
    let regions = replace(&table)?;
    for region in &regions {
        located::print(&RegionLocations::new(region.clone(), []), out)?;
    }
    let compacted = if compact.compact { compact_new(&table, &before, &regions, out) } else { Ok(()) };
    // Also after a failure: the regions are replaced.
    let closed = table.close().map_err(Failure::from);
    compacted.and(closed)?;
    Ok(Exit::Done)
}

/// Compacts new regions, and archives those of `before` that they have replaced. Warns of any that is left.
fn compact_new(
    table: &Table,
    before: &[RegionInfo],
    regions: &[RegionInfo],
    out: &Output,
) -> Result<(), Failure> {
    for region in regions {
        table.region(region.start_key())?.compact(Compaction::Major)?;
    }
    archive_parents(table, out)?;
    let Some(first) = regions.first() else { return Ok(()) };
    let first = table.region(first.start_key())?;
    let serving = table.regions();
    for replaced in before.iter().filter(|region| !serving.contains(region)) {
        let dir = first.path().with_file_name(replaced.encoded_name());
        if is_region(&dir)? {
            let message = "the region was replaced, and is not moved to the archive yet: other regions still \
                           need its files, or hbase:meta has it as one that serves";
            let left = CommandError::invalid_file(&dir, message);
            out.warn(&left.with_hint(Some("`hregion compact` of the table moves it later")).line());
        }
    }
    Ok(())
}
