//! Bulk loads into a table: files that span regions are split by rows (hfile.md §16; HBase:
//! `BulkLoadHFilesTool`).

use super::Table;
use super::regions::RegionList;
use crate::cell::SeekKey;
use crate::error::{Error, Result};
use crate::hfile::StoreFileWriter;
use crate::io::{DirEntry, Storage};
use crate::layout::durable::{
    copy_file, create_dir, list_if_exists, parent, refuse_link, remove, remove_tree, rename, sync_dir,
    unless_not_found,
};
use crate::layout::file_name::FileName;
use crate::layout::{full_path, new_file_name, refuse_region, resolved_path};
use crate::region::{CopyInput, Region, origin_of_part, remove_loaded};
use crate::schema::{Family, is_legal_name};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The directory of the parts of files, below a family's input directory. HBase uses the same name.
const PARTS: &str = ".tmp";

/// The result of a bulk load. See [`Table::bulk_load`] (HBase: `BulkLoadHFilesTool`).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BulkLoad {
    /// The number of files that were moved into regions, including parts of split files.
    pub loaded: usize,
    /// The files that were split, because their rows are in several regions.
    pub split: Vec<PathBuf>,
    /// The entries that were skipped: files without cells, references, links, names that begin with `_` or
    /// `.`, and directories that cannot be a family's.
    pub skipped: Vec<PathBuf>,
}

/// A file to load.
struct Input<'f> {
    family: &'f Family,
    path: PathBuf,
    /// The region that has all rows; `None` if several have.
    region: Option<usize>,
}

impl Table {
    /// Returns the directory in which `hregion import` writes files to load into the table at `dir`: on the
    /// same file system as its regions. [`check_dir`](Self::check_dir) finds files left there.
    #[must_use]
    pub fn import_dir(dir: impl AsRef<Path>) -> PathBuf {
        dir.as_ref().join(".tmp").join("import")
    }

    /// Removes a directory of files that were written to load into the table at `dir`, with its contents: the
    /// [`import_dir`](Self::import_dir), or one below it. Then removes its parents that have become empty,
    /// within the table's directory.
    ///
    /// # Errors
    ///
    /// If it is not such a directory ([`InvalidArgument`](crate::ErrorKind::InvalidArgument)); if it, or a
    /// directory above it, is a symbolic link; if an I/O operation fails.
    pub fn remove_import_dir(
        dir: impl AsRef<Path>,
        import: impl AsRef<Path>,
        storage: &dyn Storage,
    ) -> Result<()> {
        let (dir, import) = (dir.as_ref(), import.as_ref());
        let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
        let below = import.strip_prefix(Self::import_dir(dir));
        if !below.is_ok_and(|below| below.components().all(is_name)) {
            return Err(Error::invalid_argument(format!("{}: no directory of imports", import.display())));
        }
        let within: Vec<&Path> = import.ancestors().take_while(|above| *above != dir).collect();
        within.iter().rev().try_for_each(|dir| refuse_link(storage, dir))?;
        remove_tree(storage, import)?;
        for above in within.into_iter().skip(1) {
            if storage.remove_dir(above).is_err() {
                // It has other files.
                break;
            }
        }
        Ok(())
    }

    /// Loads the HFiles in a directory with one subdirectory for each family, as `HFileOutputFormat2` writes
    /// it (HBase: `BulkLoadHFilesTool`). Files are moved, not copied. A file whose rows are in several
    /// regions is first replaced, in its directory, by one for each region.
    ///
    /// The files of a region become visible at once, but not those of different regions. After a failure or a
    /// crash the call can be repeated: it loads the remaining files, and the table is then as if nothing had
    /// failed. Files that were moved into a family with the store file tracker FILE are moved back first, so
    /// do not put other files into the directory before.
    ///
    /// In a storage without renames, such as an object store, files are copied into the regions, and verified
    /// at the same time. They may be anywhere that the storage can read. If the rows of a file are in several
    /// regions, each region gets its rows. The files are removed when all regions have their copies; use
    /// [`bulk_load_copies`](Self::bulk_load_copies) for files that cannot be removed, such as a web server's.
    ///
    /// A repeated call loads no file twice into a region there, unless the file has changed. It succeeds once
    /// even if all files, and therefore the directory, were removed. Until the load has succeeded, regions
    /// with loaded files are not split or merged, their families not deleted, and the table not
    /// [truncated](Self::truncate).
    ///
    /// # Errors
    ///
    /// Same as [`Region::bulk_load`](crate::Region::bulk_load); if a family is unknown, a file is unreadable,
    /// or no region, or more than one, has a row: nothing is loaded in these cases. If the directory is a
    /// region's, possibly in the archive, or has MOB files
    /// ([`InvalidArgument`](crate::ErrorKind::InvalidArgument)). A file that could not be synced must be
    /// written again before the call is repeated.
    pub fn bulk_load(&self, dir: impl AsRef<Path>) -> Result<BulkLoad> {
        self.load(dir.as_ref(), false)
    }

    /// Like [`bulk_load`](Self::bulk_load), in a storage without renames, but leaves the files in place. If a
    /// call fails or is interrupted, repeating it loads the remaining files; after a call that succeeded, the
    /// next one loads all files again. When everything is loaded, the regions forget the load one after the
    /// other. If the call is interrupted at that point, the next one loads all files again into the regions
    /// that have forgotten them, and none into the others.
    ///
    /// # Errors
    ///
    /// Same as [`bulk_load`](Self::bulk_load); of kind [`Unsupported`](crate::ErrorKind::Unsupported) if
    /// files of the table can be renamed: then [copy](Self::copy_for_bulk_load) the files first.
    pub fn bulk_load_copies(&self, dir: impl AsRef<Path>) -> Result<BulkLoad> {
        self.load(dir.as_ref(), true)
    }

    fn load(&self, dir: &Path, keeps: bool) -> Result<BulkLoad> {
        self.check_input(dir)?;
        let mut done = BulkLoad::default();
        // No region may be split or merged during the load.
        let _changing = self.0.change("load files into its table")?;
        let opened = self.open_for_load(dir)?;
        let regions = self.0.regions.load_full();
        let families = families_of(&opened);
        let has_renames = opened.first().is_none_or(Region::can_rename_files);
        if keeps && has_renames {
            return Err(Error::not_supported(
                "files are loaded as copies only in a storage without renames: copy them first",
            ));
        }
        let inputs = match self.find_inputs(dir, &regions, &families, &mut done) {
            // Without renames, a directory whose files are all removed no longer exists.
            Err(error)
                if error.is_not_found()
                    && error.path() == Some(dir)
                    && !keeps
                    && !has_renames
                    && self.has_loaded_from(&opened, dir)? =>
            {
                Vec::new()
            }
            inputs => inputs?,
        };
        if !has_renames {
            self.load_by_copies(dir, &opened, &regions, &inputs, keeps, &mut done)?;
            return Ok(done);
        }
        // Nothing is loaded before all files are split: the cells of a file that is loaded twice would be
        // newer than the other files' cells.
        let mut by_region: BTreeMap<usize, Vec<(&[u8], PathBuf)>> = BTreeMap::new();
        for Input { family, path, region } in inputs {
            let parts = match region {
                Some(at) => vec![(at, path)],
                None => {
                    let parts = self.split_file(&opened, &regions, family, &path)?;
                    done.split.push(path);
                    parts
                }
            };
            for (at, path) in parts {
                by_region.entry(at).or_default().push((family.name(), path));
            }
        }
        for (at, files) in by_region {
            opened.get(at).ok_or_else(Error::closed)?.bulk_load(&files)?;
            done.loaded += files.len();
        }
        Ok(done)
    }

    /// Copies files of a directory into the regions that have their rows, and then removes them unless
    /// `keeps` is set.
    fn load_by_copies(
        &self,
        dir: &Path,
        opened: &[Region],
        regions: &RegionList,
        inputs: &[Input<'_>],
        keeps: bool,
        done: &mut BulkLoad,
    ) -> Result<()> {
        let mut by_region: BTreeMap<usize, Vec<CopyInput<'_>>> = BTreeMap::new();
        for Input { family, path, region } in inputs {
            if let Some(at) = region {
                by_region.entry(*at).or_default().push(CopyInput::whole(family.name(), path));
                continue;
            }
            let digest = self.0.options.hfile_options().digest(path)?;
            for at in self.regions_of(regions, path)? {
                by_region.entry(at).or_default().push(CopyInput::part(family.name(), path, digest));
            }
            done.split.push(path.clone());
        }
        for (at, files) in &by_region {
            done.loaded += opened.get(*at).ok_or_else(Error::closed)?.load_copies(files)?;
        }
        let paths: Vec<PathBuf> = inputs.iter().map(|input| input.path.clone()).collect();
        let storage = &**self.0.options.file_storage();
        if !keeps {
            remove_loaded(storage, &paths)?;
        }
        // Only now, so that a repeated call finds the loaded files.
        let dir = resolved_path(storage, dir)?;
        opened.iter().try_for_each(|region| region.forget_loaded(&paths, Some(&dir)))
    }

    /// Whether a region has a record of a file of a directory: a call was interrupted and must be repeated.
    fn has_loaded_from(&self, opened: &[Region], dir: &Path) -> Result<bool> {
        let dir = resolved_path(&**self.0.options.file_storage(), dir)?;
        for region in opened {
            if region.has_loaded_from(&dir)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the regions that have rows of a file.
    fn regions_of(&self, regions: &RegionList, path: &Path) -> Result<Vec<usize>> {
        let file = self.0.options.hfile_options().open(path)?;
        let mut scanner = file.scanner();
        scanner.seek_to_first()?;
        let mut found = Vec::new();
        while let Some(row) = scanner.peek().map(|cell| cell.row().to_vec()) {
            let at = regions.find(&row)?;
            found.push(at);
            let end = regions.slots.get(at).map(|slot| slot.info.end_key()).unwrap_or_default();
            if end.is_empty() {
                break;
            }
            scanner.seek(&SeekKey::first_on_row(end))?;
        }
        Ok(found)
    }

    /// Copies the files that [`bulk_load`](Self::bulk_load) would load from a directory to another one, `to`,
    /// which is empty or does not exist. This is for files that must not be moved, or cannot be moved from
    /// another part of the storage. All checksums of each copy are verified. Returns the entries that were
    /// skipped.
    ///
    /// Each copy gets its name when it is complete. After a failure `to` may have some of the copies, which
    /// can be removed.
    ///
    /// # Errors
    ///
    /// Same as [`bulk_load`](Self::bulk_load), in which case nothing is copied; if `to` has files, with
    /// [`std::io::ErrorKind::AlreadyExists`]; if a file is damaged; if an I/O operation fails.
    pub fn copy_for_bulk_load(&self, dir: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let (storage, to) = (self.0.options.file_storage(), to.as_ref());
        self.check_input(dir.as_ref())?;
        let mut done = BulkLoad::default();
        let _changing = self.0.change("copy files for its table")?;
        let opened = self.open_for_load(dir.as_ref())?;
        let families = families_of(&opened);
        let inputs = self.find_inputs(dir.as_ref(), &self.0.regions.load_full(), &families, &mut done)?;
        if list_if_exists(&**storage, to)?.is_some_and(|entries| !entries.is_empty()) {
            let error = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "the directory has files");
            return Err(Error::io("copy to", to, error));
        }
        for Input { family, path, .. } in inputs {
            let copy = path.strip_prefix(dir.as_ref()).map(|below| to.join(below)).ok();
            // A name with several components would be copied elsewhere.
            let Some(copy) = copy.filter(|copy| copy.components().count() == to.components().count() + 2)
            else {
                let family = family.name().escape_ascii();
                let message = format!("{}: not the name of a file of the family {family}", path.display());
                return Err(Error::invalid_argument(message));
            };
            create_dir(&**storage, parent(&copy))?;
            copy_file(storage, &path, &copy)?;
            self.0.options.verify_hfile(&copy)?;
        }
        Ok(done.skipped)
    }

    /// Fails if the table, or a directory of files for it, is not suitable for bulk loads.
    fn check_input(&self, dir: &Path) -> Result<()> {
        if !self.0.options.is_writable() {
            return Err(Error::invalid_argument("the table is open for reading only: open it as writable"));
        }
        refuse_region(&**self.0.options.file_storage(), dir)
    }

    /// Returns all regions, ready to load files. Moves the files of an interrupted load back to the
    /// directory.
    fn open_for_load(&self, dir: &Path) -> Result<Vec<Region>> {
        let opened = self.0.open_all()?;
        opened.iter().try_for_each(Region::check_loadable)?;
        let dir = full_path(&**self.0.options.file_storage(), dir)?;
        opened.iter().try_for_each(|region| region.resolve_load(&|path| path.starts_with(&dir)))?;
        Ok(opened)
    }

    /// Finds the files in the directories of the families.
    fn find_inputs<'f>(
        &self,
        dir: &Path,
        regions: &RegionList,
        families: &'f [Family],
        done: &mut BulkLoad,
    ) -> Result<Vec<Input<'f>>> {
        let storage = &**self.0.options.file_storage();
        let list = |dir: &Path| storage.list_dir(dir).map_err(|error| Error::io("list", dir, error));
        let is_hidden = |entry: &DirEntry| matches!(entry.name.as_encoded_bytes().first(), Some(b'_' | b'.'));
        let mut inputs = Vec::new();
        for entry in list(dir)? {
            let (name, path) = (entry.name.as_encoded_bytes(), dir.join(&entry.name));
            if !entry.is_dir || entry.is_symlink || is_hidden(&entry) || !is_legal_name(name) {
                done.skipped.push(path);
                continue;
            }
            let family = families.iter().find(|family| family.name() == name);
            let family =
                family.ok_or_else(|| Error::no_such_family(name, families.iter().map(Family::name)))?;
            for file in list(&path)? {
                let parsed = file.utf8_name().and_then(FileName::parse);
                let refers = parsed.is_some_and(|name| name.is_elsewhere());
                let path = path.join(&file.name);
                let is_passed_over = file.is_dir || file.is_symlink || is_hidden(&file) || refers;
                match if is_passed_over { None } else { self.place(regions, &path)? } {
                    Some(region) => inputs.push(Input { family, path, region }),
                    None if entry_is_parts(&file) => {}
                    None => done.skipped.push(path),
                }
            }
        }
        Ok(inputs)
    }

    /// Returns the region of a file, `Some(None)` if its rows are in several, and `None` without rows.
    #[expect(clippy::option_option, reason = "a file without rows is not one of several regions")]
    fn place(&self, regions: &RegionList, path: &Path) -> Result<Option<Option<usize>>> {
        let file = self.0.options.hfile_options().open(path)?;
        let mut scanner = file.scanner();
        scanner.seek_to_first()?;
        let (Some(first), Some(last)) = (scanner.peek(), file.last_key()) else { return Ok(None) };
        let at = regions.find(first.row())?;
        Ok(Some(Some(at).filter(|at| regions.has_row(*at, last.row()))))
    }

    /// Replaces a file by one for each region, durably. Returns the new files with their regions. `opened`
    /// are the regions of the list.
    fn split_file(
        &self,
        opened: &[Region],
        regions: &RegionList,
        family: &Family,
        path: &Path,
    ) -> Result<Vec<(usize, PathBuf)>> {
        let storage = &**self.0.options.file_storage();
        let dir = path.parent().unwrap_or_else(|| Path::new(""));
        let parts_dir = dir.join(PARTS);
        refuse_link(storage, &parts_dir)?;
        remove_tree(storage, &parts_dir)?;
        create_dir(storage, &parts_dir)?;
        let parts = self.write_parts(opened, regions, family, path, &parts_dir)?;
        let mut named = Vec::new();
        for (at, part) in parts {
            let to = dir.join(part.file_name().unwrap_or_default());
            rename(storage, &part, &to)?;
            named.push((at, to));
        }
        sync_dir(storage, dir)?;
        unless_not_found(remove(storage, path))?;
        remove_tree(storage, &parts_dir)?;
        sync_dir(storage, dir)?;
        Ok(named)
    }

    /// Writes the rows of each region to a file of its own, with the family's settings.
    fn write_parts(
        &self,
        opened: &[Region],
        regions: &RegionList,
        family: &Family,
        path: &Path,
        dir: &Path,
    ) -> Result<Vec<(usize, PathBuf)>> {
        let file = self.0.options.hfile_options().open(path)?;
        let origin = origin_of_part(&file, self.0.options.now());
        let origin = origin.map_err(|corruption| corruption.at(path, 0))?;
        let mut scanner = file.scanner();
        scanner.seek_to_first()?;
        let mut parts: Vec<(usize, PathBuf)> = Vec::new();
        let mut open: Option<(usize, StoreFileWriter)> = None;
        while let Some(cell) = scanner.peek() {
            if !open.as_ref().is_some_and(|(at, _)| regions.has_row(*at, cell.row())) {
                if let Some((_, writer)) = open.take() {
                    writer.finish(&origin)?;
                }
                let (at, part) = (regions.find(cell.row())?, dir.join(new_file_name(self.0.options.now())));
                let region = opened.get(at).ok_or_else(Error::closed)?;
                open = Some((at, region.bulk_load_part(family.name(), &file, &part)?));
                parts.push((at, part));
            }
            if let Some((_, writer)) = &mut open {
                writer.append(cell)?;
            }
            scanner.advance()?;
        }
        if let Some((_, writer)) = open {
            writer.finish(&origin)?;
        }
        Ok(parts)
    }
}

fn families_of(regions: &[Region]) -> Vec<Family> {
    regions.first().into_iter().flat_map(Region::families).cloned().collect()
}

/// Whether an entry is the directory of parts that an interrupted load has left.
fn entry_is_parts(entry: &DirEntry) -> bool {
    entry.is_dir && entry.name == PARTS
}
