//! Loading cells into a table by files that are moved into its regions.

use crate::args::FileArgs;
use crate::cell_file::CellFile;
use crate::directories::{hint_of, kind_of};
use crate::failure::{CommandError, Failure};
use crate::lines::is_stdin;
use crate::new_file::directory;
use crate::output::Output;
use crate::region_files::RegionFiles;
use crate::settings::SOURCE_TASK;
use crate::staging::Staging;
use crate::target::Kind;
use crate::vfs::{self, check_writable};
use hregion::{BulkLoad, Clock as _, Region, StoreFileOrigin, SystemClock, Table};
use std::io;
use std::path::{Path, PathBuf};

/// A table that is open for writing, and the directory of its new files.
///
/// Its regions are locked while they are open: no other process splits them, or writes to the directory.
#[derive(Debug)]
pub(crate) struct TableLoad {
    /// Dropped first, so that the directory is removed with the locks held.
    staging: Staging,
    regions: Vec<Region>,
    table: Table,
}

/// Opens a table by its directory, for writing, which locks its regions. `check_inputs` fails if there is
/// nothing to load: the table is not touched then.
pub(crate) fn open_table(
    dir: &Path,
    reading: &FileArgs,
    check_inputs: impl FnOnce() -> Result<(), Failure>,
    out: &Output,
) -> Result<Table, Failure> {
    check_writable(dir)?;
    check_is_table(dir)?;
    check_inputs()?;
    Ok(Table::open_dir(dir, reading.options_to_change(out)?)?)
}

/// Fails if a directory is not that of a table.
pub(crate) fn check_is_table(dir: &Path) -> Result<(), CommandError> {
    match kind_of(dir, None)? {
        Kind::Table => Ok(()),
        kind => {
            let error = CommandError::invalid_file(dir, "expected the directory of a table");
            Err(error.with_hint(hint_of(kind)))
        }
    }
}

/// Fails if an input is among the files of the last import, which the next one removes, or if these cannot be
/// listed: the table would be locked for nothing.
fn check_not_staged<'p>(inputs: impl Iterator<Item = &'p PathBuf>, table: &Path) -> Result<(), CommandError> {
    let import = Table::import_dir(table);
    let import = match vfs::full(&import) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        full => full.map_err(|error| CommandError::io("examine", &import, &error))?,
    };
    let is_below = |path: &Path| vfs::full(path).is_ok_and(|at| at.starts_with(&import));
    for input in inputs.filter(|input| !is_stdin(input)) {
        // a link in it would also be removed
        if is_below(input) || is_below(directory(input)) {
            let message =
                "the input is in .tmp/import of the table, which is removed before anything is read";
            return Err(CommandError::invalid_file(input, message).with_hint(Some("move it elsewhere")));
        }
    }
    match vfs::list(&import) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CommandError::io("list", &import, &error))
        }
        _ => Ok(()),
    }
}

impl TableLoad {
    /// Opens the table, which does not have the inputs among its staged files, and creates the directory.
    /// `check_inputs` is as for [`open_table`].
    pub(crate) fn begin<'p>(
        dir: &Path,
        inputs: impl Iterator<Item = &'p PathBuf>,
        reading: &'p FileArgs,
        check_inputs: impl FnOnce() -> Result<(), Failure>,
        out: &Output,
    ) -> Result<Self, Failure> {
        let check = || -> Result<(), Failure> {
            check_inputs()?;
            Ok(check_not_staged(inputs.chain(reading.files()), dir)?)
        };
        let table = open_table(dir, reading, check, out)?;
        let regions = table
            .regions()
            .iter()
            .map(|region| table.region(region.start_key()))
            .collect::<hregion::Result<Vec<_>>>()?;
        Ok(Self { staging: Staging::create(dir)?, regions, table })
    }

    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Returns the directory of the new files.
    pub(crate) fn dir(&self) -> &Path {
        self.staging.path()
    }

    /// Begins files for the regions, with the settings of the families.
    pub(crate) fn files(&self) -> RegionFiles<'_> {
        let starts = self.regions.iter().map(|region| region.info().start_key().to_vec());
        let origin = StoreFileOrigin::BulkLoad {
            timestamp: SystemClock.now(),
            source_task: SOURCE_TASK.to_vec(),
            exclude_from_minor_compaction: false,
            skip_reset_seq_id: false,
        };
        let create = move |family: &[u8], path: &Path| {
            let region = self.regions.first();
            let region =
                region.ok_or_else(|| hregion::Error::invalid_argument("the table has no regions"))?;
            let writer = region.bulk_load_writer(family, path)?;
            Ok::<_, hregion::Error>(CellFile::Store(Box::new(writer), origin.clone()))
        };
        RegionFiles::new(self.dir(), starts.skip(1).collect(), false, Box::new(create))
    }

    /// Copies the files of a directory. Returns the entries that were skipped.
    pub(crate) fn copy_from(&self, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
        Ok(self.table.copy_for_bulk_load(dir, self.dir())?)
    }

    /// Makes the cells of the files part of the table: of each region, all at once.
    pub(crate) fn finish(self) -> Result<BulkLoad, Failure> {
        let (done, staging) = self.staging.load(&self.table)?;
        let removed = staging.remove();
        self.table.close()?;
        removed?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use hregion::{Family, Put};

    #[derive(Parser)]
    struct Reading {
        #[command(flatten)]
        args: FileArgs,
    }

    /// Reading the input may take longer than the time after which an open region is compacted.
    #[test]
    fn a_table_is_not_compacted_while_the_input_is_read() {
        let root = tempfile::tempdir().unwrap();
        let options = Region::options().writable(true).compaction_enabled(false);
        let table =
            Table::create_with(root.path(), "t", &[Family::new("f")], &[] as &[&str], options).unwrap();
        for _ in 0..3 {
            table.put(Put::new("r").cell("f", "q", "v")).unwrap();
            table.flush().unwrap();
        }
        table.close().unwrap();
        let (dir, Reading { args }) = (root.path().join("data/default/t"), Reading::parse_from(["hregion"]));
        let no_inputs = std::iter::empty::<&PathBuf>();
        let load = TableLoad::begin(&dir, no_inputs, &args, || Ok(()), &Output::new(true, true)).unwrap();
        let [region] = load.regions() else { panic!("{load:?}") };
        assert_eq!((region.store_file_count("f"), region.health().compactions_pending), (Some(3), 0));
    }
}
