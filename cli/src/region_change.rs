//! The common part of `split` and `merge`: opens a table for writing, and prints the new regions.

use crate::args::FileArgs;
use crate::cluster_args::table_name;
use crate::directories::is_region;
use crate::failure::{CommandError, Exit, Failure};
use crate::maintenance::check_kind;
use crate::output::Output;
use crate::region_output;
use crate::regions::check_serves;
use crate::target::Kind;
use crate::vfs::{self, check_writable};
use hregion::{Compaction, RegionInfo, RegionLocations, RegionOptions, Table, TableName};
use std::path::{Path, PathBuf};

/// The table whose regions are replaced.
#[derive(Debug)]
pub(crate) enum TableLocation<'p> {
    /// By its root directory and its name.
    InRoot(&'p Path, TableName),
    /// By its own directory.
    At(PathBuf),
}

impl<'p> TableLocation<'p> {
    /// Returns the table of a root directory with a name.
    pub(crate) fn in_root(root: &'p Path, name: &str) -> Result<Self, CommandError> {
        let table = table_name(name).map_err(|message| CommandError::usage(format!("{name}: {message}")))?;
        Ok(Self::InRoot(root, table))
    }

    /// Returns the table at a directory; or, for the directory of a region, its table and its encoded name.
    pub(crate) fn at(dir: &Path) -> Result<(Self, Option<String>), CommandError> {
        check_writable(dir)?;
        if check_kind(dir)? == Kind::Table {
            return Ok((Self::At(dir.to_owned()), None));
        }
        check_serves(dir)?;
        let full = vfs::full(dir).map_err(|error| CommandError::io("open", dir, &error))?;
        match full.parent().zip(full.file_name().and_then(|name| name.to_str())) {
            Some((table, region)) => Ok((Self::At(table.to_owned()), Some(region.to_owned()))),
            None => Err(CommandError::invalid_file(dir, "the region is not in the directory of a table")),
        }
    }

    fn open(&self, options: RegionOptions) -> Result<Table, Failure> {
        Ok(match self {
            Self::InRoot(root, name) => {
                check_writable(root)?;
                Table::open_with(root, &name.to_string(), options)?
            }
            Self::At(dir) => Table::open_dir(dir, options)?,
        })
    }
}

/// The work done afterwards.
#[derive(clap::Args, Debug)]
pub(crate) struct CompactArgs {
    /// Compact the new regions, and archive regions that are no longer needed
    #[arg(long)]
    compact: bool,
}

/// Archives regions that were split or merged and are no longer needed.
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
    table: &TableLocation<'_>,
    compact: &CompactArgs,
    reading: &FileArgs,
    out: &mut Output,
    replace: impl FnOnce(&Table) -> Result<Vec<RegionInfo>, Failure>,
) -> Result<Exit, Failure> {
    let table = table.open(reading.options_to_change(out)?)?;
    let before = table.regions();
    let regions = replace(&table)?;
    let print = |region: &RegionInfo| region_output::print(&RegionLocations::new(region.clone(), []), out);
    let printed = regions.iter().try_for_each(print);
    let compacted = if compact.compact { compact_new(&table, &before, &regions, out) } else { Ok(()) };
    // Also after a failure: the regions are replaced.
    let closed = table.close().map_err(Failure::from);
    let done = compacted.and(closed);
    match printed {
        // all is done, though nothing reads the output
        Err(Failure::ClosedPipe) => done?,
        printed => printed.and(done)?,
    }
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
                           need its files, or hbase:meta lists it as serving";
            let left = CommandError::invalid_file(&dir, message);
            out.warn(&left.with_hint(Some("`hregion compact` of the table moves it later")).line());
        }
    }
    Ok(())
}
