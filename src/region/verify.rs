//! Verification of all files of a region, each by itself and against the others.

mod log_check;

use super::RegionOptions;
use super::open::LISTINGS;
use crate::cell::CellKey;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::hfile::VerifyReport;
use crate::io::Storage;
use crate::layout::file_name::FileName;
use crate::layout::{
    FileKind, MobFile, MobFileName, RegionDir, Snapshot, SnapshotRegion, StoreFileInfo, StoreFiles,
    archived_path, check_file_list, empty_file, find_mob_files, find_region_info, full_path,
    has_descriptor_dir, locate_store_file, path_of_region, path_of_table, read_descriptor_file,
    read_region_info,
};
use crate::schema::{Family, RegionInfo};
use crate::store::{FoundValues, MobFiles, StoreFile, listed_mob_files, open_files};
use crate::wal::is_log;
use log_check::LogCheck;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

/// The fault of a file of another family.
const OTHER_FAMILY: &str = "cells of another family than that of the directory";

/// The files of a family that were found, and the faults of those that are missing or empty.
type FoundFiles = (StoreFiles, Vec<Error>);

impl RegionOptions {
    /// Verifies a region's directory: reads all of every store file, as [`HFileOptions::verify`] does, and
    /// checks the files of each family against each other. The first and the last cell of a file must be of
    /// its family, and of rows of the region. Follows references and links. Also reads recovered edits, whose
    /// rows must be in the region, and recovered HFiles. Values to which cells refer must be in their MOB
    /// files (IS_MOB), of which only the indexes and needed blocks are read.
    ///
    /// Passes the path of each HFile to `report`, with its faults or with the error that prevented the
    /// verification, and continues. Returns the faults of family directories, of store files that are not
    /// read, as they have no bytes, and of files in relation to others, such as a reference whose file is
    /// missing. Files that another process archives during the call are verified in the archive.
    ///
    /// [`HFileOptions::verify`]: crate::HFileOptions::verify
    ///
    /// # Errors
    ///
    /// If the directory is not a region, or anything outside of its families cannot be read.
    pub fn verify(
        self,
        path: impl AsRef<Path>,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        self.verify_families(path.as_ref(), None, false, &mut report)
    }

    /// Like [`verify`](Self::verify), for one family.
    ///
    /// # Errors
    ///
    /// If the directory is not a region, or has no such family; if anything outside of its families cannot be
    /// read.
    pub fn verify_family(
        self,
        path: impl AsRef<Path>,
        family: impl AsRef<[u8]>,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        self.verify_families(path.as_ref(), Some(family.as_ref()), false, &mut report)
    }

    /// Like [`verify`](Self::verify), or [`verify_family`](Self::verify_family) for one family, and verifies
    /// the MOB files (IS_MOB) to which cells refer, each by itself, as
    /// [`verify_mob_files`](Self::verify_mob_files) does for a table.
    ///
    /// # Errors
    ///
    /// If the directory is not a region, or has no such family; if anything outside of its families cannot be
    /// read.
    pub fn verify_with_mob_files(
        self,
        path: impl AsRef<Path>,
        family: Option<&[u8]>,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        self.verify_families(path.as_ref(), family, true, &mut report)
    }

    /// Verifies the MOB files (IS_MOB) of a table, by the directory of the table, each by itself: reads all
    /// of it, as [`HFileOptions::verify`] does. Its first and last cell must be of its family. Follows the
    /// links of a clone. A table without such files, or not under a root directory, has no faults.
    ///
    /// Passes the path of each file to `report`, with its faults or with the error that prevented the
    /// verification, and continues. Returns the faults of other entries, such as a link whose file is
    /// missing.
    ///
    /// [`HFileOptions::verify`]: crate::HFileOptions::verify
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed.
    pub fn verify_mob_files(
        self,
        table: impl AsRef<Path>,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        let options = self.bounded();
        let storage = options.file_storage();
        let (files, mut faults) = find_mob_files(storage, &path_of_table(&**storage, table.as_ref())?)?;
        for MobFile { family, path } in files.into_iter().map(|entry| entry.file) {
            faults.extend(options.verify_mob_file(path, family.as_bytes(), &mut report));
        }
        Ok(faults)
    }

    /// Returns the MOB files of a table, by its directory. Missing files are left out.
    pub(crate) fn mob_files_of(&self, table: &Path) -> Result<Vec<MobFile>> {
        let storage = self.file_storage();
        let (files, faults) = find_mob_files(storage, &path_of_table(&**storage, table)?)?;
        match faults.into_iter().find(|fault| fault.kind() == ErrorKind::Io && !fault.is_not_found()) {
            Some(error) => Err(error),
            None => Ok(files.into_iter().map(|entry| entry.file).collect()),
        }
    }

    /// Returns the MOB files of a snapshot. Missing files are left out.
    pub(crate) fn mob_files_of_snapshot(&self, snapshot: &Snapshot) -> Result<Vec<MobFile>> {
        let mut found = Vec::new();
        for (family, listed) in self.mob_families(snapshot) {
            let files = listed?.0.files.into_iter();
            found.extend(files.map(|file| MobFile { family: family.clone(), path: file.path }));
        }
        Ok(found)
    }

    /// Lists the MOB files of a snapshot by family, each with the faults of those that are missing.
    fn mob_families(&self, snapshot: &Snapshot) -> Vec<(String, Result<FoundFiles>)> {
        let mut families = Vec::new();
        for region in snapshot.mob_regions() {
            let dir = snapshot.region_dir(self.file_storage(), region);
            for family in dir.families() {
                let name = String::from_utf8_lossy(family.name()).into_owned();
                families.push((name, snapshot.found_files(&dir, region, family.name())));
            }
        }
        families
    }

    /// Returns the MOB files to which cells of the HFile at a path refer, by its own list; `None` if it has
    /// none, but may have such cells.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or the list is malformed.
    pub(crate) fn listed_mob_files(&self, path: &Path) -> Result<Option<Vec<MobFileName>>> {
        let file = self.files.clone().storage(Arc::clone(self.file_storage())).open(path)?;
        listed_mob_files(file.file_info()).map_err(|corruption| corruption.at(path, 0))
    }

    /// Verifies a file of any [kind](FileKind) that HBase keeps in a root directory. Follows references and
    /// links. Reads logs to their end: tables and regions must have valid names, and rows must be in their
    /// region, if it is under the same root and its `.regioninfo` can be read. A file of an unknown kind must
    /// be a log or an HFile.
    ///
    /// Passes the path of an HFile to `report`, with its faults. Returns the faults of other files.
    ///
    /// # Errors
    ///
    /// If the kind of the file cannot be determined.
    pub fn verify_file(
        self,
        path: impl AsRef<Path>,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        let (path, options) = (path.as_ref(), self.bounded());
        let storage = options.file_storage();
        let checked = match FileKind::of(storage, path)? {
            FileKind::RegionInfo => {
                read_region_info(&**storage, path.parent().unwrap_or_else(|| Path::new(""))).map(drop)
            }
            FileKind::Descriptor => read_descriptor_file(&**storage, path).map(drop),
            FileKind::FileList => check_file_list(&**storage, path),
            FileKind::Log => return Ok(options.verify_log(path)),
            FileKind::SequenceId | FileKind::BackReference | FileKind::Other => Ok(()),
            FileKind::Unknown if is_log(&**storage, path)? => return Ok(options.verify_log(path)),
            FileKind::StoreFile | FileKind::Reference | FileKind::Link | FileKind::Unknown => {
                match locate_store_file(storage, path) {
                    Ok(Some(found)) => {
                        report(&found.path, options.files.verify(&found.path));
                        Ok(())
                    }
                    Ok(None) if is_named_like_store_file(path) => Err(empty_file(path)),
                    Ok(None) => Ok(()),
                    // The target of a replaced reference may no longer exist: nothing needs it.
                    Err(error) if error.is_not_found() => match is_archived(&**storage, path)? {
                        true => Ok(()),
                        false => Err(error),
                    },
                    Err(error) => Err(error),
                }
            }
        };
        Ok(checked.err().into_iter().collect())
    }

    /// Returns the path of the HFile that a store file is, refers to or links to; `None` for an entry of a
    /// family's directory that is not a store file.
    ///
    /// # Errors
    ///
    /// If a reference cannot be read, or the target of a reference or link does not exist.
    pub fn hfile_of(&self, path: impl AsRef<Path>) -> Result<Option<PathBuf>> {
        Ok(locate_store_file(self.file_storage(), path.as_ref())?.map(|found| found.path))
    }

    /// Returns the region in a directory according to its `.regioninfo`, without opening it; `None` if there
    /// is no such file. Reads nothing else.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is damaged.
    pub fn region_info_of(&self, dir: impl AsRef<Path>) -> Result<Option<RegionInfo>> {
        find_region_info(&**self.file_storage(), dir.as_ref())
    }

    /// Verifies a log by itself, and its rows against the regions under its root. Returns the first fault of
    /// the log, after that of the region's `.regioninfo`, if any, without which rows are not checked.
    fn verify_log(&self, path: &Path) -> Vec<Error> {
        let (storage, reading) = (&**self.file_storage(), self.wal_options());
        let (mut check, fault) = match LogCheck::of_log(storage, &reading, path) {
            Ok(check) => (check, None),
            Err(error) => (LogCheck::elsewhere(storage, &reading), Some(error)),
        };
        fault.into_iter().chain(check.check(path).err()).collect()
    }

    /// Verifies the recovered edits of a region, including those that opening it skips because files have
    /// them, and its recovered HFiles.
    fn verify_edits(
        &self,
        dir: &RegionDir,
        faults: &mut Vec<Error>,
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) {
        faults.extend(dir.recovered_edits().err());
        let (storage, reading) = (&**self.file_storage(), self.wal_options());
        let mut check = LogCheck::of_region(storage, &reading, dir.info().clone());
        // Another process may have removed a log: the files have its cells.
        let found = dir.found_edits().filter_map(|log| check.check(log).err());
        faults.extend(found.filter(|error| !error.is_stale()));
        for path in dir.recovered_hfiles() {
            match self.files.verify(path) {
                // HBase has opened the region, and moved the file.
                Err(error) if error.is_stale() => {}
                found => report(path, found),
            }
        }
    }

    /// Verifies an HFile, as [`HFileOptions::verify`] does.
    ///
    /// [`HFileOptions::verify`]: crate::HFileOptions::verify
    ///
    /// # Errors
    ///
    /// The first fault; or if the file cannot be read.
    pub(crate) fn verify_hfile(&self, path: &Path) -> Result<()> {
        let report = self.clone().bounded().files.verify(path)?;
        report.faults.into_iter().next().map_or(Ok(()), Err)
    }

    fn verify_families(
        self,
        path: &Path,
        only: Option<&[u8]>,
        with_mob_files: bool,
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        let options = self.bounded();
        let path = path_of_region(&**options.file_storage(), path)?;
        let dir = RegionDir::open(options.file_storage(), &path)?;
        let families = match only {
            None => dir.families(),
            Some(only) => {
                let family = dir.families().iter().find(|family| family.name() == only);
                let missing = || Error::no_such_family(only, dir.families().iter().map(Family::name));
                slice::from_ref(family.ok_or_else(missing)?)
            }
        };
        let mut faults = Vec::new();
        if only.is_none() {
            options.verify_edits(&dir, &mut faults, report);
        }
        for family in families {
            match find_store_files(&dir, family.name()) {
                Ok((listed, of_files)) => {
                    faults.extend(of_files);
                    let place = (&dir, family.name());
                    let mut mob = options.verify_files(&listed.files, place, &mut faults, report);
                    faults.append(&mut mob.faults(!with_mob_files));
                    for path in mob.files.into_iter().filter(|_| with_mob_files) {
                        faults.extend(options.verify_mob_file(path, family.name(), report));
                    }
                }
                Err(error) => faults.push(error),
            }
        }
        Ok(faults)
    }

    /// Verifies a region of a snapshot, as [`verify`](Self::verify) does for a table's region. Its directory
    /// need not exist.
    pub(crate) fn verify_of_snapshot(
        self,
        snapshot: &Snapshot,
        region: &SnapshotRegion,
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) -> Vec<Error> {
        let options = self.bounded();
        let dir = snapshot.region_dir(options.file_storage(), region);
        let mut faults = Vec::new();
        for family in dir.families() {
            match snapshot.found_files(&dir, region, family.name()) {
                Ok((listed, missing)) => {
                    faults.extend(missing);
                    let place = (&dir, family.name());
                    let mut mob = options.verify_files(&listed.files, place, &mut faults, report);
                    faults.append(&mut mob.faults(true));
                }
                Err(error) => faults.push(error),
            }
        }
        faults
    }

    /// Like [`verify_mob_files`](Self::verify_mob_files), of a snapshot.
    pub(crate) fn verify_mob_of_snapshot(
        self,
        snapshot: &Snapshot,
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) -> Vec<Error> {
        let options = self.bounded();
        let mut faults = Vec::new();
        for (family, listed) in options.mob_families(snapshot) {
            match listed {
                Ok((listed, missing)) => {
                    faults.extend(missing);
                    let verify =
                        |file: StoreFileInfo| options.verify_mob_file(file.path, family.as_bytes(), report);
                    faults.extend(listed.files.into_iter().filter_map(verify));
                }
                Err(error) => faults.push(error),
            }
        }
        faults
    }

    /// Verifies a MOB file, in the archive if another process has moved it there. Returns the fault if it has
    /// cells of another family.
    fn verify_mob_file(
        &self,
        mut path: PathBuf,
        family: &[u8],
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) -> Option<Error> {
        let found = self.verify_where_it_is(&mut path);
        let is_sound = found.as_ref().is_ok_and(|found| found.faults.is_empty());
        report(&path, found);
        if !is_sound {
            return None;
        }
        let file = match self.files.open(&path) {
            Ok(file) => file,
            Err(error) => return Some(error),
        };
        let keys = [file.first_key(), file.last_key()];
        let is_misplaced = keys.into_iter().flatten().any(|key| !is_of_family(key, family));
        is_misplaced.then(|| Corruption::Malformed(OTHER_FAMILY).at(&path, 0))
    }

    /// Verifies the files of a family of a region, each by itself, against the others, and against its
    /// location. Returns the faults of the values to which cells of valid files refer.
    fn verify_files(
        &self,
        files: &[StoreFileInfo],
        (dir, family): (&RegionDir, &[u8]),
        faults: &mut Vec<Error>,
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) -> FoundValues {
        let (mut files, mut unsound) = (files.to_vec(), BTreeSet::new());
        for file in &mut files {
            let found = self.verify_where_it_is(&mut file.path);
            if !found.as_ref().is_ok_and(|found| found.faults.is_empty()) {
                unsound.insert(file.path.clone());
            }
            report(&file.path, found);
        }
        let mut opened = open_files(&self.files, &files);
        while opened.as_ref().is_err_and(Error::is_stale) {
            let mut has_any = false;
            for file in &mut files {
                has_any |= self.follow_archived(&mut file.path);
            }
            if !has_any {
                break;
            }
            opened = open_files(&self.files, &files);
        }
        let are_whole = opened.is_ok();
        if !are_whole {
            // Only files that can be opened are compared. Faults of the others have been reported.
            files.retain(|file| match open_files(&self.files, slice::from_ref(file)) {
                Ok(_) => true,
                Err(error) => {
                    faults.extend((!unsound.contains(&file.path)).then_some(error));
                    false
                }
            });
            opened = open_files(&self.files, &files);
        }
        match opened {
            Ok(opened) => {
                if are_whole {
                    faults.extend(opened.warnings);
                }
                faults.extend(opened.files.iter().filter_map(|file| misplaced(file, dir.info(), family)));
                let sound = opened.files.iter().filter(|file| !unsound.contains(file.path()));
                self.verify_references(sound, (dir, family), faults)
            }
            Err(error) => {
                faults.push(error);
                FoundValues::default()
            }
        }
    }

    /// Checks that the MOB files have the values to which cells of store files refer.
    fn verify_references<'f>(
        &self,
        files: impl Iterator<Item = &'f StoreFile>,
        (dir, family): (&RegionDir, &[u8]),
        faults: &mut Vec<Error>,
    ) -> FoundValues {
        let mut found = FoundValues::default();
        if !dir.may_have_mob(family) {
            return found;
        }
        let mob = MobFiles::new(dir.mob_dirs(family), dir.info().table(), &self.files);
        for file in files {
            faults.extend(mob.find_values(file, &mut found).err());
        }
        found
    }

    /// Verifies a file, in the archive if another process has moved it there. Sets `path` to its location.
    fn verify_where_it_is(&self, path: &mut PathBuf) -> Result<VerifyReport> {
        let found = self.files.verify(&*path);
        match found {
            Err(error) if error.is_stale() && self.follow_archived(path) => self.files.verify(&*path),
            found => found,
        }
    }

    /// Sets `path` to the location in the archive of a file that another process has archived. Returns
    /// whether the file is there.
    fn follow_archived(&self, path: &mut PathBuf) -> bool {
        let storage = &**self.file_storage();
        let is_missing = storage.open(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let archived = archived_path(path).filter(|archived| is_missing && storage.open(archived).is_ok());
        archived.map(|archived| *path = archived).is_some()
    }
}

/// Lists the files of a family, with the faults of single files. A file is missing if it is so twice in
/// succession: another process may move it.
fn find_store_files(dir: &RegionDir, family: &[u8]) -> Result<FoundFiles> {
    let mut found = dir.found_files(family);
    let mut missing = missing_files(&found);
    for _ in 1..LISTINGS {
        if missing.is_empty() {
            break;
        }
        found = dir.found_files(family);
        let again = missing_files(&found);
        if again == missing {
            break;
        }
        missing = again;
    }
    found
}

fn missing_files(found: &Result<FoundFiles>) -> Vec<PathBuf> {
    let faults = match found {
        Ok((_, faults)) => faults.as_slice(),
        Err(error) => slice::from_ref(error),
    };
    let missing = faults.iter().filter(|fault| fault.is_stale());
    missing.filter_map(|fault| fault.path().map(Path::to_owned)).collect()
}

/// Whether a path is named like a store file, a reference or a link.
fn is_named_like_store_file(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).and_then(FileName::parse).is_some()
}

/// Returns the fault of a file that belongs to another place: its first or last cell is of another family, or
/// of a row outside of the region, for example after a copy to the wrong directory. References are excepted,
/// because half of their file's rows are in the other region.
fn misplaced(file: &StoreFile, region: &RegionInfo, family: &[u8]) -> Option<Error> {
    let keys = || [file.hfile().first_key(), file.hfile().last_key()].into_iter().flatten();
    let fault = if keys().any(|key| !is_of_family(key, family)) {
        OTHER_FAMILY
    } else if !file.is_reference() && keys().any(|key| !region.contains(key.row())) {
        "rows outside of the region"
    } else {
        return None;
    };
    Some(Corruption::Malformed(fault).at(file.path(), 0))
}

/// Whether a key is of the family of a directory, in whose name HBase replaces what is not UTF-8.
fn is_of_family(key: &CellKey, family: &[u8]) -> bool {
    String::from_utf8_lossy(key.family()).as_bytes() == family
}

/// Whether a store file is in the archive: in `archive/data/<namespace>/<table>/<region>/<family>`, or before
/// 0.96 in `.archive/<table>/<region>/<family>`. With a descriptor of the table, `archive` is the name of a
/// root.
fn is_archived(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let path = full_path(storage, path)?;
    let is = |levels: usize, name: &str| path.ancestors().nth(levels).is_some_and(|dir| dir.ends_with(name));
    match path.ancestors().nth(3) {
        Some(table) if is(5, "archive/data") => Ok(!has_descriptor_dir(storage, table)?),
        _ => Ok(is(4, ".archive")),
    }
}
