//! Keeps a family that is added to a table from getting cells of a deleted family of the same name.

use super::RegionOptions;
use crate::cell::CellRef;
use crate::error::{Error, Result};
use crate::layout::{LogTree, RegionDir, TableListing, find_region_info};
use crate::schema::{Family, TableName};
use crate::wal::WalReader;
use std::io;
use std::path::PathBuf;

impl RegionOptions {
    /// Fails if logs have cells of families that are about to be added to a table: the cells are from deleted
    /// families, and a replay would bring them back. Logs that no longer exist are skipped.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if there are such cells; if a log
    /// cannot be read.
    pub(crate) fn refuse_cells_of(
        &self,
        families: &[&[u8]],
        table: &TableName,
        logs: impl IntoIterator<Item = PathBuf>,
    ) -> Result<()> {
        for log in logs {
            let file = match self.storage.open(&log) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(|error| Error::io("open", &log, error))?,
            };
            let end = self.wal_options().open_reader(file)?.for_each_entry(|entry| {
                let is_added = |cell: CellRef<'_>| families.contains(&cell.family());
                let of = std::str::from_utf8(&entry.key().table_name).ok();
                let is_of_table =
                    of.and_then(|name| TableName::parse(name).ok()).is_some_and(|of| of == *table);
                if !is_of_table || !entry.cells().any(is_added) {
                    return Ok(());
                }
                let message =
                    "a log has cells of a family of this name, which was deleted: recover the root first";
                Err(Error::invalid_argument(format!("{message} ({})", log.display())))
            })?;
            end.check(&log, self.accept_torn_logs)?;
        }
        Ok(())
    }

    /// Fails if logs that may be replayed have cells of given families that the descriptor does not have:
    /// those of the servers, the recovered edits of all regions of the table, and the given logs. `others`
    /// is the listing of the table.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if there are such cells; if a log
    /// cannot be read.
    pub(super) fn refuse_deleted_cells(&self, dir: &RegionDir, others: Option<&TableListing>) -> Result<()> {
        let is_known = |name: &&[u8]| dir.families().iter().any(|family| family.name() == *name);
        let mut added: Vec<&[u8]> = self.families.iter().map(Family::name).collect();
        added.retain(|name| !is_known(name));
        // Without a descriptor, no family can have been deleted from it.
        if added.is_empty() || !dir.has_descriptor() {
            return Ok(());
        }
        let table = dir.info().table();
        // Logs are checked before edits: a recovery moves edits from logs to regions.
        if let Some(root) = dir.root_of_table() {
            let logs = LogTree::new(root).logs(&*self.storage)?;
            let paths = logs.iter().map(|log| &*log.path);
            WalReader::refuse_unclosed(&*self.storage, paths, &self.wal_options())?;
            self.refuse_cells_of(&added, table, logs.into_iter().map(|log| log.path))?;
        }
        let mut edits = dir.recovered_edits()?.to_vec();
        if let Some(others) = others {
            for path in others.serving_dirs(&*self.storage)? {
                let other = match RegionDir::open(&self.storage, &path) {
                    // Another process has archived it.
                    Err(error) if error.is_stale() && find_region_info(&*self.storage, &path)?.is_none() => {
                        continue;
                    }
                    opened => opened?,
                };
                edits.extend(
                    other.recovered_edits()?.iter().filter(|path| !path.starts_with(dir.path())).cloned(),
                );
            }
        }
        self.refuse_cells_of(&added, table, edits.into_iter().chain(self.replay_logs.iter().cloned()))
    }
}
