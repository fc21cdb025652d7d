//! The directory of files that are about to be moved into a table.

use crate::failure::CommandError;
use crate::new_file::{make_below, random_name, release, remove_empty_above};
use crate::vfs;
use hregion::{BulkLoad, Table};
use std::fs;
use std::path::{Path, PathBuf};

/// The number of directories between that of a table and the staging directory.
const ABOVE: usize = 2;

/// A directory in a table's directory, on the same file system as its regions. It is removed on drop, and by
/// a signal if it is local, unless it is kept; what is left is removed by the next one.
#[derive(Debug)]
pub(crate) struct Staging {
    table: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl Staging {
    /// Creates the directory. The caller has all regions of the table open for writing, so that no other
    /// process uses it.
    pub(crate) fn create(table: &Path) -> Result<Self, CommandError> {
        let (table, all) = (table.to_owned(), Table::import_dir(table));
        // fails at a symbolic link, which would lead out of the table
        Table::remove_import_dir(&table, &all, &*vfs::storage())?;
        // Another process that has lost its locks may still write to its own directory. Also, files that an
        // interrupted load has moved from such a path must not be moved back among other files.
        let path = all.join(random_name());
        if vfs::is_url(&table) {
            let mut new = Self { table, path, is_kept: true };
            let created = vfs::storage().create_dir_all(&new.path);
            created.map_err(|error| CommandError::io("create", &new.path, &error))?;
            new.is_kept = false;
            return Ok(new);
        }
        let created = make_below(&path, ABOVE, || fs::create_dir_all(&path));
        created.map_err(|error| {
            remove_empty_above(&path, ABOVE);
            CommandError::io("create", &path, &error)
        })?;
        Ok(Self { table, path, is_kept: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Loads the files, and returns what is left of the directory. If that fails, or a signal ends the
    /// process, files that no region has taken over are left: an interrupted load must not lose any.
    pub(crate) fn load(mut self, table: &Table) -> hregion::Result<(BulkLoad, Self)> {
        self.is_kept = true;
        release(&self.path);
        let done = table.bulk_load(&self.path)?;
        self.is_kept = false;
        if !vfs::is_url(&self.path) {
            // The rest is removed, also by a signal.
            make_below(&self.path, ABOVE, || Ok(()))
                .map_err(|error| hregion::Error::io("watch", &self.path, error))?;
        }
        Ok((done, self))
    }

    /// Removes the directory.
    pub(crate) fn remove(mut self) -> Result<(), CommandError> {
        self.remove_all()?;
        release(&self.path);
        self.is_kept = true;
        Ok(())
    }

    /// Removes the directory, and empty ones above it.
    fn remove_all(&self) -> Result<(), CommandError> {
        if vfs::is_url(&self.path) {
            Table::remove_import_dir(&self.table, &self.path, &*vfs::storage())?;
            return Ok(());
        }
        fs::remove_dir_all(&self.path).map_err(|error| CommandError::io("remove", &self.path, &error))?;
        remove_empty_above(&self.path, ABOVE);
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // a failure cannot be reported here
        let _ = self.remove_all();
        if !vfs::is_url(&self.path) {
            release(&self.path);
        }
    }
}
