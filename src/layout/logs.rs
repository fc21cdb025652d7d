//! The logs of servers, and the recovered edits that they are split into (wal.md §2, §10, §11; HBase:
//! `WALSplitUtil`).
//!
//! ```text
//! <root>/WALs/<server>/<log>
//! <root>/WALs/<server>-splitting/<log>                                of a server that has died
//! <root>/oldWALs/<log>                                                whose edits are all in store files
//! <root>/data/…/<region>/recovered.edits/<first>-<log>.<random>.temp  being written
//! <root>/data/…/<region>/recovered.edits/<last>                       to be replayed
//! ```

use super::durable::{
    create_dir_durably, exists, is_same_file, list_if_exists, move_file, remove, sync_dir, sync_file,
    unless_not_found,
};
use super::file_name::new_file_name;
use super::region::{RECOVERED_EDITS, REGION_INFO, is_number};
use super::root::Root;
use super::root_tree::RootTree;
use crate::binary::is_hex;
use crate::error::{Error, Result};
use crate::io::{DirEntry, FileLock, Storage, url_scheme};
use crate::schema::TableName;
use crate::schema::region_name::is_encoded_name;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DATA: &str = "data";
pub(super) const LOGS: &str = "WALs";
pub(super) const OLD_LOGS: &str = "oldWALs";
/// The end of the name of a server's directory whose logs HBase has begun to split.
const SPLITTING: &str = "-splitting";
/// The end of the name of a log with edits of `hbase:meta` only.
const META_LOG: &str = ".meta";
/// The end of the name of recovered edits that are being written.
const TEMP: &str = ".temp";

/// The logs under a root directory, and the recovered edits of its regions.
#[derive(Debug)]
pub(crate) struct LogTree {
    tree: RootTree,
}

/// A log of a server.
#[derive(Debug)]
pub(crate) struct ServerLog {
    pub(crate) path: PathBuf,
    /// Whether the server has begun a newer log in its place, and so has closed this one.
    pub(crate) is_rolled: bool,
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

    /// Returns the tree that contains a server's log, by its path; `None` for any other path.
    pub(crate) fn of_log(log: &Path) -> Option<Self> {
        let dir = log.parent()?;
        let is_server = dir.parent().is_some_and(|dir| dir.ends_with(LOGS));
        let logs = if is_server { dir.parent()? } else { dir };
        (is_server || dir.ends_with(OLD_LOGS)).then(|| logs.parent().map(Self::new)).flatten()
    }

    fn root(&self) -> &Path {
        &self.tree.root().path
    }

    /// Locks the root directory against other recoveries, which would write the same files.
    pub(crate) fn lock(&self, storage: &dyn Storage) -> Result<FileLock> {
        self.tree.lock(storage)
    }

    /// Fails if the [lock](Self::lock) is no longer held.
    pub(crate) fn check_lock(&self, lock: &FileLock) -> Result<()> {
        self.tree.check_lock(lock)
    }

    /// Returns the logs of all servers, by server and age. Entries of `WALs/` that are not directories are
    /// not logs, nor are checksum files of Hadoop (`.<name>.crc`).
    ///
    /// # Errors
    ///
    /// If the root does not exist; if a directory cannot be listed, or is a symbolic link, or a log is one.
    pub(crate) fn logs(&self, storage: &dyn Storage) -> Result<Vec<ServerLog>> {
        if self.tree.list(storage, self.root())?.is_none() {
            return Err(Error::io("list", self.root(), io::ErrorKind::NotFound.into()));
        }
        let dir = self.root().join(LOGS);
        let mut logs = Vec::new();
        for server in self.tree.list(storage, &dir)?.unwrap_or_default() {
            if !server.is_dir {
                continue;
            }
            let name = server.name.to_string_lossy();
            let of = name.strip_suffix(SPLITTING).unwrap_or(&name).to_owned();
            let server = dir.join(&server.name);
            for file in self.tree.files(storage, &server)? {
                let name = file.name.to_string_lossy();
                if !is_checksums(&name) {
                    let (series, number) = split_name(&name);
                    logs.push(((of.clone(), series), number, server.join(&file.name)));
                }
            }
        }
        logs.sort();
        let mut next = logs.iter().skip(1).map(|(series, ..)| series);
        let rolled: Vec<bool> = logs.iter().map(|(series, ..)| next.next() == Some(series)).collect();
        let logs = logs.into_iter().zip(rolled);
        Ok(logs.map(|((_, _, path), is_rolled)| ServerLog { path, is_rolled }).collect())
    }

    /// Returns the directory of a region, if it exists. A directory that has nothing but recovered edits does
    /// not count: the region was archived while HBase split a log over it (HBASE-24189).
    ///
    /// # Errors
    ///
    /// If a directory on the path is a symbolic link, or cannot be listed.
    pub(crate) fn region_dir(
        &self,
        storage: &dyn Storage,
        table: &TableName,
        encoded_name: &str,
    ) -> Result<Option<PathBuf>> {
        let dir = self.tree.root().table(table).join(encoded_name);
        let is_rest = |entries: &Vec<DirEntry>| {
            let mut others = entries.iter().filter(|entry| entry.name != RECOVERED_EDITS);
            !table.is_meta() && others.all(|entry| entry.is_hidden() && entry.name != REGION_INFO)
        };
        Ok(self.tree.list(storage, &dir)?.filter(|entries| !is_rest(entries)).map(|_| dir))
    }

    /// Returns the names of all tables that have a directory.
    ///
    /// # Errors
    ///
    /// If a directory of namespaces or tables cannot be listed, or is a symbolic link.
    pub(crate) fn tables(&self, storage: &dyn Storage) -> Result<Vec<TableName>> {
        let mut found = Vec::new();
        let data = self.root().join(DATA);
        for namespace in self.tree.dirs(storage, &data)? {
            let tables = self.tree.dirs(storage, &data.join(&namespace))?.into_iter();
            found.extend(tables.filter_map(|table| TableName::new(namespace.clone(), table).ok()));
        }
        Ok(found)
    }

    /// Returns the names of the regions of a table that have recovered edits.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed, or is a symbolic link.
    pub(crate) fn regions_with_edits(&self, storage: &dyn Storage, table: &TableName) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let dir = self.tree.root().table(table);
        for region in self.tree.dirs(storage, &dir)?.into_iter().filter(|name| is_encoded_name(name)) {
            let files = self.tree.files(storage, &dir.join(&region).join(RECOVERED_EDITS))?;
            if files.iter().any(|file| file.utf8_name().is_some_and(is_number)) {
                found.push(region);
            }
        }
        Ok(found)
    }

    /// Makes the directory of a region's recovered edits, and returns the path of a new file in it. Files
    /// that interrupted splits of the log have left there are removed: a process that has lost the lock of
    /// the root could still rename one of them. `first` is the first sequence id in the file.
    ///
    /// # Errors
    ///
    /// If the directory is a symbolic link, or an I/O operation fails.
    pub(crate) fn new_edits(
        &self,
        storage: &dyn Storage,
        region: &Path,
        first: i64,
        log: &Path,
    ) -> Result<NewEdits> {
        let dir = region.join(RECOVERED_EDITS);
        let entries = self.tree.list(storage, &dir)?.unwrap_or_default();
        create_dir_durably(storage, region, &dir)?;
        let log = log.file_name().unwrap_or_default().to_string_lossy();
        let begin = format!("{first:019}-{log}");
        for left in entries.iter().filter_map(DirEntry::utf8_name).filter(|name| is_temp(&begin, name)) {
            unless_not_found(remove(storage, &dir.join(left)))?;
        }
        let temp = dir.join(format!("{begin}.{}{TEMP}", new_file_name(0)));
        Ok(NewEdits { dir, temp })
    }

    /// Gives recovered edits, which have been synced, the name with which they are replayed. `last` is the
    /// greatest sequence id in the file.
    ///
    /// If the name exists with the same edits, as after an interrupted recovery, the new file is removed; if
    /// with others, the next name is used, because the number is only a bound.
    ///
    /// In a storage without renames they are copied. An interrupted recovery may have done so, and its
    /// request to remove the copy may be executed late; this is harmless, because all edits were then in
    /// store files.
    pub(crate) fn commit_edits(&self, storage: &Arc<dyn Storage>, edits: &NewEdits, last: i64) -> Result<()> {
        let NewEdits { dir, temp } = edits;
        for bound in last..=i64::MAX {
            let path = dir.join(format!("{bound:019}"));
            if !exists(&**storage, &path)? {
                move_file(storage, temp, &path)?;
                return sync_dir(&**storage, dir);
            }
            if is_same_file(&**storage, temp, &path)? {
                sync_file(&**storage, &path)?;
                remove(&**storage, temp)?;
                return sync_dir(&**storage, dir);
            }
        }
        Err(Error::io("rename to", dir, io::ErrorKind::AlreadyExists.into()))
    }

    /// Moves logs to `oldWALs/`, durably, and removes the directories of servers that have no more logs. All
    /// edits must be in store files. A log of the same name there is the same log, and is replaced.
    ///
    /// # Errors
    ///
    /// If `oldWALs/` is a symbolic link, or an I/O operation fails. Logs that were not moved are unchanged.
    pub(crate) fn archive(&self, shared: &Arc<dyn Storage>, logs: &[PathBuf]) -> Result<()> {
        let (storage, old) = (&**shared, self.root().join(OLD_LOGS));
        if !logs.is_empty() {
            self.tree.list(storage, &old)?;
            create_dir_durably(storage, self.root(), &old)?;
        }
        for log in logs {
            move_file(shared, log, &old.join(log.file_name().unwrap_or_default()))?;
        }
        // Also if an interrupted call has moved them all: their old names are removed below.
        unless_not_found(sync_dir(storage, &old))?;
        let dir = self.root().join(LOGS);
        for server in self.tree.dirs(storage, &dir)? {
            let server = dir.join(server);
            match self.tree.list(storage, &server)? {
                Some(files) if files.is_empty() => {
                    let removed = storage.remove_dir(&server);
                    unless_not_found(removed.map_err(|error| Error::io("remove", &server, error)))?;
                }
                _ => sync_dir(storage, &server)?,
            }
        }
        if self.tree.list(storage, &dir)?.is_some() { sync_dir(storage, &dir) } else { Ok(()) }
    }
}

/// The logs of servers under a root directory (`WALs/`), whose edits reads of an open table or region do not
/// return. See [`Table::unread_logs`](crate::Table::unread_logs).
#[derive(Clone, Debug)]
pub struct UnreadLogs {
    root: PathBuf,
    /// Whether edits of `hbase:meta` count.
    with_meta: bool,
    storage: Arc<dyn Storage>,
}

impl UnreadLogs {
    /// Returns the logs that may have edits of a table, by its directory; `None` if that is under no root, or
    /// on a web server: most of these list no directories.
    pub(crate) fn of_table(storage: &Arc<dyn Storage>, dir: &Path, table: &TableName) -> Option<Self> {
        // `<root>/data/<namespace>/<table>`
        let root = dir.ancestors().nth(3)?;
        let is_in_place = Root::new(root).table(table) == dir;
        let is_on_web = matches!(url_scheme(root), Some("http" | "https"));
        let found =
            || Self { root: root.to_owned(), with_meta: table.is_meta(), storage: Arc::clone(storage) };
        (is_in_place && !is_on_web).then(found)
    }

    /// Returns the root directory, which [`Table::recover`](crate::Table::recover) takes.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory of the logs, `WALs/` of the root.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.root.join(LOGS)
    }

    /// Whether a server has left a log that may have edits of the table. No log is opened, so all edits may
    /// already be in store files: [`Table::plan_recovery`](crate::Table::plan_recovery) determines that.
    /// Empty logs do not count, nor do those with edits of `hbase:meta` only, unless it is the table.
    ///
    /// Lists `WALs/`, and then the directories of servers until one has a log. In a storage without renames,
    /// which has no empty directories and where listings cost money, lists only `WALs/`: any server there
    /// counts as having logs. Symbolic links are followed.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed. One that does not exist has no logs.
    pub fn may_have_edits(&self) -> Result<bool> {
        let (storage, dir) = (&*self.storage, self.dir());
        let servers = list_if_exists(storage, &dir)?.unwrap_or_default();
        for server in servers.iter().filter(|entry| entry.is_dir) {
            let server = dir.join(&server.name);
            if !storage.can_rename(&server) {
                return Ok(true);
            }
            let may_have = |file: &DirEntry| {
                let name = file.name.to_string_lossy();
                let is_asked_for = self.with_meta || !name.ends_with(META_LOG);
                let has_bytes = file.len > 0 || storage.can_hide_writes(&server.join(&file.name));
                !file.is_dir && !is_checksums(&name) && is_asked_for && has_bytes
            };
            if list_if_exists(storage, &server)?.unwrap_or_default().iter().any(may_have) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a name is that of a checksum file of Hadoop's local file system.
fn is_checksums(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".crc")
}

/// Whether a name is that of recovered edits that were being written: a beginning, with or without a random
/// number after it.
fn is_temp(begin: &str, name: &str) -> bool {
    let random = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(TEMP));
    random.is_some_and(|random| {
        random.is_empty()
            || random.strip_prefix('.').is_some_and(|random| random.len() == 32 && is_hex(random))
    })
}

/// Returns the part of a log's name that it has in common with the other logs of its writer, and the time at
/// which the log was begun: names are `<prefix>.<time>`, with `.meta` or the like after it (HBase:
/// `AbstractFSWALProvider`).
fn split_name(name: &str) -> ((String, String), u64) {
    let parts = |name: &str| {
        let (prefix, number) = name.rsplit_once('.')?;
        Some((prefix.to_owned(), number.parse::<u64>().ok()?))
    };
    if let Some((prefix, number)) = parts(name) {
        return ((prefix, String::new()), number);
    }
    let with_suffix =
        name.rsplit_once('.').and_then(|(rest, suffix)| Some((parts(rest)?, suffix.to_owned())));
    match with_suffix {
        Some(((prefix, number), suffix)) => ((prefix, suffix), number),
        None => ((name.to_owned(), String::new()), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::faulty::FaultyStorage;

    #[test]
    fn tables_under_a_root_have_unread_logs() {
        let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
        for (dir, name, expected) in [
            ("/r/data/default/t", "t", Some(("/r", false))),
            ("/r/data/hbase/meta", "hbase:meta", Some(("/r", true))),
            ("/r/data/hbase/namespace", "hbase:namespace", Some(("/r", false))),
            ("s3://bucket/r/data/default/t", "t", Some(("s3://bucket/r", false))),
            ("/data/data/data/data", "data:data", Some(("/data", false))),
            ("https://host/r/data/default/t", "t", None),
            ("/r/data/default/t", "u", None),
            ("/r/default/t", "t", None),
            ("/r/t", "t", None),
            ("t", "t", None),
        ] {
            let found = UnreadLogs::of_table(&storage, Path::new(dir), &TableName::parse(name).unwrap());
            let found = found.map(|found| (found.root, found.with_meta));
            let expected = expected.map(|(root, with_meta)| (PathBuf::from(root), with_meta));
            assert_eq!(found, expected, "{dir} {name}");
        }
    }

    #[test]
    fn logs_of_the_catalog_matter_only_to_it() {
        let shared = Arc::new(FaultyStorage::new());
        let log = "/r/WALs/h,1,2/h%2C1%2C2.meta.1000.meta";
        shared.create_dir_all(Path::new("/r/WALs/h,1,2")).unwrap();
        shared.create(Path::new(log)).unwrap().write_all(b"log").unwrap();
        let storage: Arc<dyn Storage> = shared;
        for (dir, name, expected) in
            [("/r/data/default/t", "t", false), ("/r/data/hbase/meta", "hbase:meta", true)]
        {
            let name = TableName::parse(name).unwrap();
            let logs = UnreadLogs::of_table(&storage, Path::new(dir), &name).unwrap();
            assert_eq!(logs.may_have_edits().unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn edits_that_are_being_written_are_those_of_a_log() {
        let is_one = |name: &str| is_temp("0000000000000000001-a.1000", name);
        let random = new_file_name(0);
        for end in [".temp", &format!(".{random}.temp")] {
            assert!(is_one(&format!("0000000000000000001-a.1000{end}")));
        }
        for end in ["", "-worker.temp", ".1.temp", &format!(".{random}"), &format!(".{random}0.temp")] {
            assert!(!is_one(&format!("0000000000000000001-a.1000{end}")), "{end}");
        }
        assert!(!is_one("0000000000000000002-a.1000.temp"));
    }

    #[test]
    fn names_of_logs_have_a_prefix_and_a_time() {
        for (name, prefix, suffix, number) in [
            ("h%2C1%2C2.1795161497111", "h%2C1%2C2", "", 1_795_161_497_111),
            ("h%2C1%2C2.regiongroup-0.17", "h%2C1%2C2.regiongroup-0", "", 17),
            ("h%2C1%2C2.meta.17.meta", "h%2C1%2C2.meta", "meta", 17),
            ("log", "log", "", 0),
            ("a.b.c", "a.b.c", "", 0),
        ] {
            assert_eq!(split_name(name), ((prefix.to_owned(), suffix.to_owned()), number), "{name}");
        }
    }
}
