//! Root directories and table directories (hfile.md §15.1; HBase: `CommonFSUtils`, `HFileArchiveUtil`).

use super::descriptor::TABLE_DESC_DIR;
use super::durable::{exists, list_if_exists};
use super::mob::root_of_mob_file;
use super::region::REGION_INFO;
use crate::error::{Error, Result};
use crate::io::Storage;
use crate::schema::{RegionInfo, TableName};
use std::borrow::Cow;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The directory of the MOB files of all tables, in the root.
pub(super) const MOB_DIR: &str = "mobdir";
/// The directory of tables that are being created or removed, in the root.
const TMP: &str = ".tmp";

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
        self.path.join(TMP).join(self.below("data", table))
    }

    /// Returns the directory of the MOB files of a table.
    pub(crate) fn mob(&self, table: &TableName) -> PathBuf {
        self.path.join(MOB_DIR).join(self.below("data", table))
    }

    fn below(&self, data: &str, table: &TableName) -> PathBuf {
        if self.has_namespaces {
            Path::new(data).join(table.namespace()).join(table.qualifier())
        } else {
            table.qualifier().into()
        }
    }
}

/// Returns the path in the archive of a file that is no longer at its path: HBase moves replaced store files,
/// and MOB files below `mobdir`, to the archive under the same names.
pub(crate) fn archived_path(file: &Path) -> Option<PathBuf> {
    if let Some(root) = root_of_mob_file(file) {
        return Some(root.join("archive").join(file.strip_prefix(root.join(MOB_DIR)).ok()?));
    }
    match root_above_data(file) {
        Some(root) => Some(root.join("archive").join(file.strip_prefix(root).ok()?)),
        // `<root>/<table>/<region>/<family>/<file>` before 0.96
        None => {
            let root = file.ancestors().nth(4)?;
            Some(root.join(".archive").join(file.strip_prefix(root).ok()?))
        }
    }
}

/// Returns the paths, in the order of lookup, of a store file that is no longer at its path. A file that was
/// replaced is in the archive; those of a table that is deleted or replaced are first moved to `.tmp`, and
/// from there to the archive.
pub(crate) fn moved_paths(file: &Path) -> Vec<PathBuf> {
    let Some(archived) = archived_path(file) else { return Vec::new() };
    let root = root_above_data(file).filter(|_| root_of_mob_file(file).is_none());
    let Some((root, below)) = root.and_then(|root| Some((root, file.strip_prefix(root).ok()?))) else {
        return vec![archived];
    };
    if root.ends_with(TMP) {
        // It was found there. Otherwise, `.tmp` is the name of the root.
        return vec![root.with_file_name("archive").join(below), archived];
    }
    vec![archived.clone(), root.join(TMP).join(below), archived]
}

/// Returns the root above `data/<namespace>/<table>/<region>/<family>/<file>`; `None` for other paths.
fn root_above_data(file: &Path) -> Option<&Path> {
    let mut above = file.ancestors().skip(5);
    above.next().filter(|dir| dir.ends_with("data")).and_then(|_| above.next())
}

/// Returns a path by which the root above a region's directory can be found, if it is under one: the given
/// path, if that is enough; otherwise the full path, or the one without symbolic links.
///
/// # Errors
///
/// If the full path cannot be determined.
pub(crate) fn path_of_region(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    path_below_root(storage, path, 1)
}

/// Like [`path_of_region`], for a table's directory.
pub(crate) fn path_of_table(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    path_below_root(storage, path, 0)
}

/// Like [`path_of_region`], for a family's directory.
pub(super) fn path_of_family(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    path_below_root(storage, path, 2)
}

/// Returns the full path of a root directory.
///
/// # Errors
///
/// If it cannot be determined.
pub(crate) fn path_of_root(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    full_path(storage, path)
}

/// Returns the full path of a file or directory, as the storage has it, even if it contains links.
pub(crate) fn full_path(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    storage.full_path(path, false).map_err(|error| Error::io("find the full path of", path, error))
}

/// Returns a path of a file that has the names of the two directories above it, as far as these exist: a
/// relative path, or one with `..`, may lack them.
///
/// # Errors
///
/// If the full path cannot be determined.
pub(crate) fn with_names_above<'p>(storage: &dyn Storage, file: &'p Path) -> Result<Cow<'p, Path>> {
    let has_names = |path: &Path| path.ancestors().skip(1).take(2).all(|dir| dir.file_name().is_some());
    if has_names(file) {
        return Ok(Cow::Borrowed(file));
    }
    let full = full_path(storage, file)?;
    if !full.components().any(|part| part == Component::ParentDir) {
        return Ok(Cow::Owned(full));
    }
    // What is before `..` may be a link. Without permission to follow it, the path is taken as it is.
    let above = file.parent().and_then(|dir| resolved_path(storage, dir).ok());
    Ok(Cow::Owned(above.zip(file.file_name()).map_or(full, |(dir, name)| dir.join(name))))
}

/// Returns the full path of a file or directory, without links.
pub(crate) fn resolved_path(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    storage.full_path(path, true).map_err(|error| Error::io("find the full path of", path, error))
}

/// The path is `levels` below a table's directory.
fn path_below_root(storage: &dyn Storage, path: &Path, levels: usize) -> Result<PathBuf> {
    // `<root>/data/<namespace>/<table>`
    let is_below_data = |path: &Path| {
        ends_with_names(path, levels + 3)
            && path.ancestors().nth(levels + 2).is_some_and(|dir| dir.ends_with("data"))
    };
    if is_below_data(path) {
        return Ok(path.to_owned());
    }
    for find in [full_path, resolved_path] {
        let full = find(storage, path)?;
        if is_below_data(&full) {
            return Ok(full);
        }
    }
    // `<root>/<table>` before 0.96, or a region without a root
    if ends_with_names(path, levels + 1) { Ok(path.to_owned()) } else { resolved_path(storage, path) }
}

/// Whether the last parts of a path, and a directory above them, are names.
fn ends_with_names(path: &Path, count: usize) -> bool {
    let mut last = path.components().rev().take(count);
    !path.components().any(|part| part == Component::ParentDir)
        && last.by_ref().filter(|part| matches!(part, Component::Normal(_))).count() == count
        && path.ancestors().nth(count).is_some_and(|above| !above.as_os_str().is_empty())
}

/// Whether a table's directory has a directory of descriptors. In the archive, none has.
pub(crate) fn has_descriptor_dir(storage: &dyn Storage, table: &Path) -> Result<bool> {
    Ok(list_if_exists(storage, &table.join(TABLE_DESC_DIR))?.is_some())
}

/// Fails if the files in a directory with one for each family belong to a region, possibly in the archive, or
/// are MOB files. They must not be moved elsewhere, because the region, snapshots or other tables need them.
pub(crate) fn refuse_region(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let is_archive_or_mob = |dir: &Path| {
        let above =
            |levels: usize, names: &str| dir.ancestors().nth(levels).is_some_and(|dir| dir.ends_with(names));
        // `archive/data/<namespace>/<table>/<region>`, or without the namespace before 0.96.
        above(3, "archive/data") || above(2, ".archive") || above(3, "mobdir/data")
    };
    let is_found = is_archive_or_mob(dir)
        || is_archive_or_mob(&full_path(storage, dir)?)
        || is_archive_or_mob(&resolved_path(storage, dir)?);
    if !is_found && !exists(storage, &dir.join(REGION_INFO))? {
        return Ok(());
    }
    let message = format!("{} has the files of a region: only copies of them can be loaded", dir.display());
    Err(Error::invalid_argument(message))
}

/// The directory of a table, and the root above it, if any.
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
    ///
    /// # Errors
    ///
    /// If the root may be the archive of another, and a directory cannot be listed.
    pub(crate) fn of_region(storage: &Arc<dyn Storage>, path: &Path, info: &RegionInfo) -> Result<Self> {
        Self::of_table(storage, path, info.table())
    }

    /// Like [`of_region`](Self::of_region), by the name of the region's table.
    pub(super) fn of_table(storage: &Arc<dyn Storage>, path: &Path, table: &TableName) -> Result<Self> {
        let dir = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let is = |dir: Option<&Path>, name: &str| dir.and_then(Path::file_name).is_some_and(|n| n == name);
        let (namespace, data) = (dir.parent(), dir.parent().and_then(Path::parent));
        let root = if !is(Some(&dir), table.qualifier()) {
            None
        } else if is(namespace, table.namespace()) && is(data, "data") {
            let root = data.and_then(Path::parent);
            // A region in the archive can be read too; its links are relative to the root above the archive,
            // and those of MOB files to the root above them. Tables there have no descriptors: with one, the
            // directory is a root of that name.
            let is_aside = is(root, "archive") || is(root, MOB_DIR);
            let is_aside = is_aside && !has_descriptor_dir(&**storage, &dir)?;
            let root = if is_aside { root.and_then(Path::parent) } else { root };
            root.map(Root::new)
        } else {
            namespace.map(|root| Root { path: root.to_owned(), has_namespaces: false })
        };
        Ok(Self { storage: Arc::clone(storage), table: table.clone(), path: dir, root })
    }

    /// Returns the directories in which the table's own files may be. A region in the archive may have
    /// references to one that is not in the archive.
    pub(super) fn own_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = vec![self.path.clone()];
        let of_root = self.root.iter().flat_map(|root| [root.table(&self.table), root.archive(&self.table)]);
        for dir in of_root {
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        dirs
    }

    /// Whether this is the directory of the MOB files of the table.
    pub(super) fn is_of_mob(&self) -> bool {
        self.root.as_ref().is_some_and(|root| self.path == root.mob(&self.table))
    }

    /// Returns the directories in which the files of the table that `link` refers to may be.
    pub(super) fn dirs_of(&self, table: &TableName, link: &Path) -> Result<Vec<PathBuf>> {
        match &self.root {
            Some(root) if self.is_of_mob() => Ok(vec![root.mob(table), root.archive(table)]),
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
            ("h/mobdir/data/ns/t/region", true),
            ("h/archive/input", false),
            ("input", false),
            ("", false),
        ] {
            assert_eq!(refuse_region(&storage, Path::new(dir)).is_err(), is_region, "{dir}");
        }
    }

    #[test]
    fn paths_below_a_root_tell_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let region = at("h/data/ns/t/region");
        std::fs::create_dir_all(&region).unwrap();
        let local = crate::io::LocalStorage;
        let found = |path: &Path| path_of_region(&local, path).unwrap();
        assert_eq!(found(&region), region);
        assert_eq!(found(&at("h/data/ns/t/region/../region")), region.canonicalize().unwrap());
        assert_eq!(
            path_of_table(&local, &region.join("..")).unwrap(),
            at("h/data/ns/t").canonicalize().unwrap()
        );
        // Other paths, and those that do not exist, are unchanged.
        assert_eq!(found(&at("t/region")), at("t/region"));
        assert_eq!(found(Path::new("h/t/region")), Path::new("h/t/region"));
        assert_eq!(found(Path::new("h/data/ns/t/none")), Path::new("h/data/ns/t/none"));
        let here = std::env::current_dir().unwrap();
        for path in ["none", "t/none", "./none", ""] {
            assert!(found(Path::new(path)).starts_with(&here), "{path}");
        }
        assert_eq!(path_of_root(&local, Path::new("")).unwrap(), here);
        #[cfg(unix)]
        {
            for (to, link) in
                [("h/data/ns/t", "u"), ("h/data/ns/t/region", "r"), ("elsewhere", "h/data/ns/moved")]
            {
                std::os::unix::fs::symlink(at(to), at(link)).unwrap();
            }
            std::fs::create_dir_all(at("elsewhere/region")).unwrap();
            for path in ["u/region", "r", "u/new"] {
                assert!(found(&at(path)).starts_with(at("h/data/ns/t").canonicalize().unwrap()), "{path}");
            }
            // A table that was moved out of its root is still of that root.
            assert_eq!(found(&at("h/data/ns/moved/region")), at("h/data/ns/moved/region"));
        }
    }

    #[test]
    fn files_of_a_removed_table_are_looked_for_where_they_are_moved() {
        let check = |path: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(moved_paths(Path::new(path)), expected, "{path}");
        };
        let archived = "/h/archive/data/ns/t/r/f/file";
        check("/h/data/ns/t/r/f/file", &[archived, "/h/.tmp/data/ns/t/r/f/file", archived]);
        check("/h/.tmp/data/ns/t/r/f/file", &[archived, "/h/.tmp/archive/data/ns/t/r/f/file"]);
        check(".tmp/data/ns/t/r/f/file", &["archive/data/ns/t/r/f/file", ".tmp/archive/data/ns/t/r/f/file"]);
        check("h/t/region/f/file", &["h/.archive/t/region/f/file"]);
        let mob = "data/default/mob/d03fd4b3e06fa777620047d45772c63d/f/file";
        let archived_mob = format!("h/archive/{mob}");
        check(&format!("h/mobdir/{mob}"), &[archived_mob.as_str()]);
        check("file", &[]);
    }

    #[test]
    fn replaced_files_are_looked_for_in_the_archive() {
        for (path, archived) in [
            ("/h/data/ns/t/region/f/file", Some("/h/archive/data/ns/t/region/f/file")),
            ("data/ns/t/region/f/file", Some("archive/data/ns/t/region/f/file")),
            ("h/t/region/f/file", Some("h/.archive/t/region/f/file")),
            // The region is that of the MOB files of the table, or any other below a root that is named so.
            (
                "h/mobdir/data/default/mob/d03fd4b3e06fa777620047d45772c63d/f/file",
                Some("h/archive/data/default/mob/d03fd4b3e06fa777620047d45772c63d/f/file"),
            ),
            (
                "mobdir/data/default/mob/d03fd4b3e06fa777620047d45772c63d/f/file",
                Some("archive/data/default/mob/d03fd4b3e06fa777620047d45772c63d/f/file"),
            ),
            ("h/mobdir/data/ns/t/region/f/file", Some("h/mobdir/archive/data/ns/t/region/f/file")),
            ("t/region/f/file", Some(".archive/t/region/f/file")),
            // It may be a root that is named so.
            ("h/archive/data/ns/t/region/f/file", Some("h/archive/archive/data/ns/t/region/f/file")),
            ("f/file", None),
            ("file", None),
            ("", None),
        ] {
            assert_eq!(archived_path(Path::new(path)), archived.map(PathBuf::from), "{path}");
        }
    }
}
