//! The store files of a directory, family by family.

use super::store_file::{Rows, StoreFile};
use crate::concurrent_changes::ATTEMPTS;
use crate::directories::files_below;
use crate::failure::{CommandError, Failure};
use crate::probe;
use crate::store_files::{begins_as_store_file_name, has_store_file_name};
use crate::target;
use crate::vfs;
use hregion::HFileOptions;
use hregion::io::Storage;
use hregion::region::FileKind;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store files of a target, one family after another, in the order of their paths.
pub(super) struct Families<'t> {
    target: &'t Path,
    storage: &'t Arc<dyn Storage>,
    options: &'t HFileOptions,
    /// Whether the headers of the blocks are also read.
    blocks: bool,
    /// The files that are not opened yet.
    listed: VecDeque<(PathBuf, FileKind)>,
    /// The directories of all files listed so far.
    dirs: HashSet<PathBuf>,
    /// The ones that were found as replacements of others.
    found_later: HashSet<PathBuf>,
    /// The directories returned, and their rows, by the table's directory and the family.
    counted: HashMap<(PathBuf, OsString), Vec<(PathBuf, Rows)>>,
    /// The last file returned; empty before the first one.
    last: PathBuf,
    /// The directory of the last family whose files were opened.
    dir: PathBuf,
}

impl<'t> Families<'t> {
    /// Lists the files. None of them is opened.
    pub(super) fn list(
        target: &'t Path,
        storage: &'t Arc<dyn Storage>,
        options: &'t HFileOptions,
        blocks: bool,
    ) -> Result<Self, Failure> {
        let listed = list(target, storage)?;
        let dirs = listed.iter().map(|(path, _)| dir_of(path).to_owned()).collect();
        let (found_later, counted) = (HashSet::new(), HashMap::new());
        let (listed, last, dir) = (listed.into(), PathBuf::new(), PathBuf::new());
        Ok(Self { target, storage, options, blocks, listed, dirs, found_later, counted, last, dir })
    }

    /// Returns the directory of the family that [`next`](Self::next) has returned, or that it has left out
    /// because of an error.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the files of the next family, each once; `None` after the last one. Lists files again while
    /// another process renames, archives or removes some of them, because others may have replaced them.
    /// After an error, the next call continues with the next family.
    pub(super) fn next(&mut self) -> Result<Option<Vec<StoreFile>>, Failure> {
        let mut known: HashMap<PathBuf, StoreFile> = HashMap::new();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Some(dir) = self.listed.front().map(|(path, _)| dir_of(path).to_owned()) else {
                return Ok(None);
            };
            self.dir.clone_from(&dir);
            let count = self.listed.iter().take_while(|(path, _)| dir_of(path) == dir).count();
            let (mut files, mut is_gone) = (Vec::new(), false);
            for (path, kind) in self.listed.drain(..count) {
                let opened = match known.remove(&path) {
                    Some(file) => Some(file),
                    None => unless_gone(&path, StoreFile::open(&path, kind, self.options, self.blocks))?,
                };
                match opened {
                    Some(file) => files.push(file),
                    None => is_gone = true,
                }
            }
            if is_gone && attempts < ATTEMPTS {
                known = files.into_iter().map(|file| (file.path.clone(), file)).collect();
                self.list_again(&dir)?;
            } else if let Some(file) = files.last() {
                self.last.clone_from(&file.path);
                if !self.has_counted(&dir, &files) {
                    return Ok(Some(files));
                }
                attempts = 0;
            }
        }
    }

    /// Whether the rows of a directory that was found later are those of one that was returned: its region
    /// was split since. Otherwise records them as returned.
    fn has_counted(&mut self, dir: &Path, files: &[StoreFile]) -> bool {
        let rows = || files.iter().filter_map(|file| file.rows.as_ref());
        let (first, last) = (rows().map(|rows| &rows.0).min(), rows().map(|rows| &rows.1).max());
        let place = dir.ancestors().nth(2).zip(dir.file_name());
        let Some(((table, family), (first, last))) = place.zip(first.zip(last)) else { return false };
        let counted = self.counted.entry((table.to_owned(), family.to_owned())).or_default();
        let has_all = |(other, (from, to)): &(PathBuf, Rows)| other != dir && from <= first && last <= to;
        if self.found_later.contains(dir) && counted.iter().any(has_all) {
            return true;
        }
        counted.push((dir.to_owned(), (first.clone(), last.clone())));
        false
    }

    /// Lists a family again after a file has disappeared. If it has none any more, lists its table: its
    /// region may have been split or merged.
    fn list_again(&mut self, dir: &Path) -> Result<(), Failure> {
        let mut files = match dir.starts_with(self.target) {
            true => unless_gone(dir, list(dir, self.storage))?.unwrap_or_default(),
            false => list(self.target, self.storage)?,
        };
        // Of a family with other directories, some files may have been returned.
        let is_left = |path: &PathBuf| !self.last.starts_with(dir) || *path > self.last;
        files.retain(|(path, _)| dir_of(path) == dir && is_left(path));
        if files.is_empty() {
            let table = dir.ancestors().nth(2).filter(|table| table.starts_with(self.target));
            files = match table.filter(|table| *table != self.target) {
                Some(table) => unless_gone(table, list(table, self.storage))?.unwrap_or_default(),
                None => list(self.target, self.storage)?,
            };
            files.retain(|(path, _)| !self.dirs.contains(dir_of(path)));
            let found = files.iter().map(|(path, _)| dir_of(path).to_owned());
            self.found_later.extend(found.clone());
            self.dirs.extend(found);
        }
        self.listed.retain(|(path, _)| dir_of(path) != dir);
        self.listed.extend(files);
        self.listed.make_contiguous().sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(())
    }
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// Lists the store files of a target, in the order of their paths, and again while any of them disappears.
fn list(target: &Path, storage: &Arc<dyn Storage>) -> Result<Vec<(PathBuf, FileKind)>, Failure> {
    let (mut files, mut is_gone) = store_files(target, storage)?;
    for _ in 1..ATTEMPTS {
        if !is_gone {
            break;
        }
        (files, is_gone) = store_files(target, storage)?;
    }
    Ok(files)
}

/// Lists the store files of a target, in the order of their paths. Also returns whether any has disappeared
/// since it was listed.
fn store_files(
    target: &Path,
    storage: &Arc<dyn Storage>,
) -> Result<(Vec<(PathBuf, FileKind)>, bool), Failure> {
    vfs::check_readable(target)?;
    let (mut paths, mut is_gone) = (Vec::new(), false);
    match probe::is_dir(target)? {
        true => is_gone = files_below(target, &mut paths)?,
        false => {
            target::check_regular(target)?;
            paths.push(target.to_owned());
        }
    }
    let mut files = Vec::new();
    for path in paths {
        let Some(kind) = unless_gone(&path, FileKind::of(storage, &path).map_err(Failure::from))? else {
            is_gone = true;
            continue;
        };
        let is_stored = match kind {
            FileKind::Reference | FileKind::Link => true,
            FileKind::StoreFile => path == *target || has_store_file_name(&path),
            FileKind::Unknown => path == *target || begins_as_store_file_name(&path),
            _ => false,
        };
        if is_stored {
            files.push((path, kind));
        } else if path == *target {
            let message = "a file of another kind, expected a store file";
            return Err(CommandError::unsupported(&path, message).into());
        }
    }
    Ok((files, is_gone))
}

/// Returns the data of a file; `None` if the file no longer exists, because another process has renamed,
/// archived or removed it since it was listed.
fn unless_gone<T>(path: &Path, found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Err(_) if !probe::exists(path)? => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{Compaction, Family, HFile, Put, Table};

    /// Opens all remaining families.
    fn left(families: &mut Families<'_>) -> Vec<Vec<PathBuf>> {
        let mut found = Vec::new();
        while let Some(family) = families.next().unwrap() {
            found.push(family.into_iter().map(|file| file.path).collect());
        }
        found
    }

    /// The files of a family are replaced before they are opened: by a compaction, then by those of a split.
    #[test]
    fn files_that_are_replaced_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
        for value in ["1", "2"] {
            for row in ["a", "b", "x", "y"] {
                table.put(Put::new(row).cell("f", "q", value)).unwrap();
            }
            table.flush().unwrap();
        }
        let target = dir.path().join("data/default/t");
        let (storage, options) = (vfs::storage(), HFile::options());
        let list = || Families::list(&target, &storage, &options, false).unwrap();

        let mut families = list();
        assert_eq!(families.next().unwrap().unwrap().len(), 2);
        let before: Vec<PathBuf> = families.listed.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(before.len(), 2);
        table.compact(Compaction::Major).unwrap();
        let found = left(&mut families);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
        assert_eq!(dir_of(&found[0][0]), dir_of(&before[0]));
        assert!(!before.contains(&found[0][0]));

        let mut families = list();
        let first = families.next().unwrap().unwrap().remove(0).path;
        let region = dir_of(dir_of(&found[0][0]));
        let info = table.regions().into_iter().find(|info| region.ends_with(info.encoded_name())).unwrap();
        table.split(if info.start_key().is_empty() { "b" } else { "y" }).unwrap();
        table.compact(Compaction::Major).unwrap();
        let found = left(&mut families);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        let dirs: HashSet<&Path> = found.iter().map(|family| dir_of(&family[0])).collect();
        assert!(dirs.len() == 2 && !dirs.contains(dir_of(&first)) && !dirs.contains(&*region.join("f")));
        table.close().unwrap();
    }

    /// One of the families of a region is returned, and then the region is split.
    #[test]
    fn the_rows_of_a_family_are_returned_once() {
        let dir = tempfile::tempdir().unwrap();
        let families = [Family::new("f"), Family::new("g")];
        let table = Table::create(dir.path(), "t", &families, &[""; 0]).unwrap();
        for row in ["a", "b", "x", "y"] {
            table.put(Put::new(row).cell("f", "q", "v").cell("g", "q", "v")).unwrap();
        }
        table.flush().unwrap();
        let target = dir.path().join("data/default/t");
        let (storage, options) = (vfs::storage(), HFile::options());
        let mut families = Families::list(&target, &storage, &options, false).unwrap();
        assert!(dir_of(&families.next().unwrap().unwrap()[0].path).ends_with("f"));
        table.split("m").unwrap();
        table.compact(Compaction::Major).unwrap();
        let found = left(&mut families);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|files| dir_of(&files[0]).ends_with("g")), "{found:?}");
        table.close().unwrap();
    }

    #[test]
    fn a_file_that_is_gone_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let (there, gone) = (dir.path().join("there"), dir.path().join("gone"));
        std::fs::write(&there, "").unwrap();
        let fault = || Err::<(), Failure>(CommandError::corrupt(&there, "damaged").into());
        assert!(unless_gone(&there, fault()).is_err());
        assert!(unless_gone(&gone, fault()).unwrap().is_none());
        assert!(unless_gone(&gone, Ok(())).unwrap().is_some());
    }
}
