//! The logs of servers, and the recovered edits that they are split into (wal.md §2, §10, §11; HBase:
//! `WALSplitUtil`).
//!
//! ```text
//! <root>/WALs/<server>/<log>
//! <root>/WALs/<server>-splitting/<log>                       of a server that has died
//! <root>/oldWALs/<log>                                       whose edits are all in store files
//! <root>/data/…/<region>/recovered.edits/<first>-<log>.temp  being written
//! <root>/data/…/<region>/recovered.edits/<last>              to be replayed
//! ```

use super::durable::{create_dir_durably, exists, remove, rename, sync_dir, unless_not_found};
use super::region::RECOVERED_EDITS;
use super::root_tree::RootTree;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::schema::TableName;
use crate::schema::region_name::is_encoded_name;
use std::path::{Path, PathBuf};

const LOGS: &str = "WALs";
const OLD_LOGS: &str = "oldWALs";

/// The logs under a root directory.
#[derive(Debug)]
pub(crate) struct LogTree {
    tree: RootTree,
}

/// A file of recovered edits that is being written.
#[derive(Debug)]
pub(crate) struct NewEdits {
    dir: PathBuf,
    /// The path while it is written.
    pub(crate) temp: PathBuf,
}

impl LogTree {
    pub(crate) fn new(root: &Path) -> Self {
        Self { tree: RootTree::new(root) }
    }

    /// Returns the logs of all servers, by server and name.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed, or is a symbolic link.
    pub(crate) fn logs(&self, storage: &dyn Storage) -> Result<Vec<PathBuf>> {
        let dir = self.tree.root().path.join(LOGS);
        let mut logs = Vec::new();
        for server in self.tree.list(storage, &dir)?.unwrap_or_default() {
            if !server.is_dir {
                continue;
            }
            let server = dir.join(&server.name);
            let files = self.tree.list(storage, &server)?.unwrap_or_default();
            let files = files.into_iter().filter(|file| !file.is_dir && !file.is_symlink);
            logs.extend(files.map(|file| server.join(file.name)));
        }
        logs.sort();
        Ok(logs)
    }

    /// Returns the directory of a region, if it exists.
    ///
    /// # Errors
    ///
    /// If a directory on the way is a symbolic link, or cannot be listed.
    pub(crate) fn region_dir(
        &self,
        storage: &dyn Storage,
        table: &TableName,
        encoded_name: &str,
    ) -> Result<Option<PathBuf>> {
        if !is_encoded_name(encoded_name) {
            return Ok(None);
        }
        let dir = self.tree.root().table(table).join(encoded_name);
        Ok(self.tree.list(storage, &dir)?.map(|_| dir))
    }

    /// Makes the directory of a region's recovered edits, and returns the path of a new file in it. A file
    /// that an interrupted split has left there is removed.
    pub(crate) fn new_edits(
        &self,
        storage: &dyn Storage,
        region: &Path,
        first: i64,
        log: &Path,
    ) -> Result<NewEdits> {
        let dir = region.join(RECOVERED_EDITS);
        create_dir_durably(storage, region, &dir)?;
        let log = log.file_name().unwrap_or_default().to_string_lossy();
        let temp = dir.join(format!("{first:019}-{log}.temp"));
        unless_not_found(remove(storage, &temp))?;
        Ok(NewEdits { dir, temp })
    }

    /// Gives recovered edits, which have been synced, their name, so that they are replayed. `last` is the
    /// greatest sequence id in the file. If the name is taken, as after a split that was interrupted, the
    /// next one is used: it is a bound, and replaying edits twice does no harm.
    pub(crate) fn commit_edits(&self, storage: &dyn Storage, edits: &NewEdits, last: i64) -> Result<()> {
        let mut bound = last;
        let path = loop {
            let path = edits.dir.join(format!("{bound:019}"));
            if !exists(storage, &path)? {
                break path;
            }
            bound = bound.saturating_add(1);
        };
        rename(storage, &edits.temp, &path)?;
        sync_dir(storage, &edits.dir)
    }

    /// Moves a log to those whose edits are all in store files.
    pub(crate) fn archive(&self, storage: &dyn Storage, log: &Path) -> Result<()> {
        let root = &self.tree.root().path;
        let old = root.join(OLD_LOGS);
        create_dir_durably(storage, root, &old)?;
        let Some((server, name)) = log.parent().zip(log.file_name()) else { return Ok(()) };
        rename(storage, log, &old.join(name))?;
        sync_dir(storage, &old)?;
        sync_dir(storage, server)
    }

    /// Removes the directories of servers without logs.
    pub(crate) fn remove_empty_servers(&self, storage: &dyn Storage) -> Result<()> {
        let dir = self.tree.root().path.join(LOGS);
        for server in self.tree.list(storage, &dir)?.unwrap_or_default() {
            let server_dir = dir.join(&server.name);
            if server.is_dir && self.tree.list(storage, &server_dir)?.is_some_and(|files| files.is_empty()) {
                let removed = storage.remove_dir(&server_dir);
                unless_not_found(removed.map_err(|error| Error::io("remove", &server_dir, error)))?;
            }
        }
        Ok(())
    }
}
