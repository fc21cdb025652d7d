//! Root directories and table directories (hfile.md §15.1; HBase: `CommonFSUtils`, `HFileArchiveUtil`).

use super::durable::exists;
use super::region::REGION_INFO;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::schema::{RegionInfo, TableName};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A root directory of HBase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    /// Whether tables are under `data/<namespace>/`, as since 0.96.
    pub(crate) has_namespaces: bool,
}

impl Root {
    /// Creates a root directory with HBase's layout since 0.96.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), has_namespaces: true }
    }

    /// Returns the directory of a table.
    pub(crate) fn table(&self, table: &TableName) -> PathBuf {
        self.path.join(self.below("data", table))
    }

    /// Returns the archive directory of a table, for replaced files.
    pub(crate) fn archive(&self, table: &TableName) -> PathBuf {
        let archive = if self.has_namespaces { "archive" } else { ".archive" };
        self.path.join(archive).join(self.below("data", table))
    }

    /// Returns the directory of a table that is being created.
    pub(crate) fn tmp(&self, table: &TableName) -> PathBuf {
        self.path.join(".tmp").join(self.below("data", table))
    }

    fn below(&self, data: &str, table: &TableName) -> PathBuf {
        if self.has_namespaces {
            Path::new(data).join(table.namespace()).join(table.qualifier())
        } else {
            table.qualifier().into()
        }
    }
}

/// Returns where a store file may be if it is no longer at its path: HBase moves replaced files to the
/// archive, and keeps their names.
pub(crate) fn archived_path(file: &Path) -> Option<PathBuf> {
    // The path is `data/<namespace>/<table>/<region>/<family>/<file>`, or without the first two before 0.96.
    let archived = |levels: usize, archive: &str| {
        let root = file.ancestors().nth(levels)?;
        let path = root.join(archive).join(file.strip_prefix(root).ok()?);
        (!root.ends_with(archive)).then_some(path)
    };
    let is_below_data = file.ancestors().nth(5).is_some_and(|dir| dir.ends_with("data"));
    if is_below_data { archived(6, "archive") } else { archived(4, ".archive") }
}

/// Fails if the files in a directory with a folder for each family are those of a region, or of one in the
/// archive. They must not be moved elsewhere, as the region, snapshots or other tables need them.
pub(crate) fn refuse_region(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let above =
        |levels: usize, names: &str| dir.ancestors().nth(levels).is_some_and(|dir| dir.ends_with(names));
    // `archive/data/<namespace>/<table>/<region>`, or without the namespace before 0.96.
    let is_archived = above(3, "archive/data") || above(2, ".archive");
    if !is_archived && !exists(storage, &dir.join(REGION_INFO))? {
        return Ok(());
    }
    let message = format!("{} has the files of a region: only copies of them can be loaded", dir.display());
    Err(Error::invalid_argument(message))
}

/// The directory of a table, and the root above it if there is one.
#[derive(Clone, Debug)]
pub(crate) struct TableDir {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) table: TableName,
    pub(crate) path: PathBuf,
    pub(crate) root: Option<Root>,
}

impl TableDir {
    /// Returns the table's directory of a region at `path`: `<root>/data/<namespace>/<table>/<region>`, or
    /// `<root>/<table>/<region>` before 0.96. A region anywhere else has no root, and its links cannot be
    /// followed.
    pub(crate) fn of_region(storage: &Arc<dyn Storage>, path: &Path, info: &RegionInfo) -> Self {
        Self::of_table(storage, path, info.table())
    }

    /// As [`of_region`](Self::of_region), by the name of the region's table.
    pub(super) fn of_table(storage: &Arc<dyn Storage>, path: &Path, table: &TableName) -> Self {
        let dir = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let is = |dir: Option<&Path>, name: &str| dir.and_then(Path::file_name).is_some_and(|n| n == name);
        let (namespace, data) = (dir.parent(), dir.parent().and_then(Path::parent));
        let root = if !is(Some(&dir), table.qualifier()) {
            None
        } else if is(namespace, table.namespace()) && is(data, "data") {
            let root = data.and_then(Path::parent);
            // A region in the archive can be read too; its links are relative to the root above the archive.
            let root = if is(root, "archive") { root.and_then(Path::parent) } else { root };
            root.map(Root::new)
        } else {
            namespace.map(|root| Root { path: root.to_owned(), has_namespaces: false })
        };
        Self { storage: Arc::clone(storage), table: table.clone(), path: dir, root }
    }

    /// Returns the directories in which the table's own files may be.
    pub(super) fn own_dirs(&self) -> Vec<PathBuf> {
        let archive = self.root.as_ref().map(|root| root.archive(&self.table));
        [self.path.clone()].into_iter().chain(archive).collect()
    }

    /// Returns the directories in which the files of the table that `link` refers to may be.
    pub(super) fn dirs_of(&self, table: &TableName, link: &Path) -> Result<Vec<PathBuf>> {
        match &self.root {
            Some(root) => Ok(vec![root.table(table), root.archive(table), root.tmp(table)]),
            None => Err(Error::io(
                "follow",
                link,
                io::Error::new(io::ErrorKind::NotFound, "the region is not under a root directory"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_known_by_their_info_or_their_place() {
        let storage = crate::io::faulty::FaultyStorage::new();
        storage.create(Path::new("h/data/ns/t/region/.regioninfo")).unwrap().write_all(b"x").unwrap();
        for (dir, is_region) in [
            ("h/data/ns/t/region", true),
            ("h/data/ns/t/other", false),
            ("h/archive/data/ns/t/region", true),
            ("archive/data/ns/t/region", true),
            ("h/.archive/t/region", true),
            ("h/archive/input", false),
            ("input", false),
            ("", false),
        ] {
            assert_eq!(refuse_region(&storage, Path::new(dir)).is_err(), is_region, "{dir}");
        }
    }

    #[test]
    fn replaced_files_are_looked_for_in_the_archive() {
        for (path, archived) in [
            ("/h/data/ns/t/region/f/file", Some("/h/archive/data/ns/t/region/f/file")),
            ("data/ns/t/region/f/file", Some("archive/data/ns/t/region/f/file")),
            ("h/t/region/f/file", Some("h/.archive/t/region/f/file")),
            ("t/region/f/file", Some(".archive/t/region/f/file")),
            ("h/archive/data/ns/t/region/f/file", None),
            ("h/.archive/t/region/f/file", None),
            ("f/file", None),
            ("file", None),
            ("", None),
        ] {
            assert_eq!(archived_path(Path::new(path)), archived.map(PathBuf::from), "{path}");
        }
    }
}
