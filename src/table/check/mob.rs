//! Compares the MOB files to which a table's store files refer with those that exist (HBase:
//! `MobFileCleanupUtil`).

use super::finding::{FindingKind, Severity};
use super::{Checker, Subject};
use crate::error::ErrorKind;
use crate::layout::{MobDirs, MobEntry, MobFileName, RegionDir, find_mob_files, path_of_table};
use crate::schema::TableName;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A check of the MOB files of a table. Reads the file infos of store files, and no cells.
#[derive(Debug)]
pub(super) struct MobCheck {
    /// The files in the table's directory of MOB files, listed before the regions: a file written during the
    /// check is not among them.
    entries: Vec<MobEntry>,
    /// The files to which the store files of a family refer.
    used: BTreeSet<(String, MobFileName)>,
    /// The expected paths of files that are missing, and the paths of those without bytes, each with the
    /// severity and the region whose cells refer to it.
    lost: BTreeMap<PathBuf, (FindingKind, Severity, String)>,
    /// The listings of directories, with the lengths of the files.
    listings: BTreeMap<PathBuf, BTreeMap<String, u64>>,
    /// The number of store files that do not list the MOB files to which they refer.
    unlisted: u64,
    /// Whether some regions or store files were not read, so that unused MOB files cannot be determined.
    is_partial: bool,
    /// Whether the table is not under a root directory.
    has_no_root: bool,
}

impl MobCheck {
    /// Lists the MOB files of the table in a directory.
    pub(super) fn new(table: &TableName, dir: &Path, checker: &mut Checker<'_>) -> Self {
        let mut check = Self {
            entries: Vec::new(),
            used: BTreeSet::new(),
            lost: BTreeMap::new(),
            listings: BTreeMap::new(),
            unlisted: 0,
            is_partial: false,
            has_no_root: false,
        };
        let (storage, subject) = (checker.options.file_storage(), Subject::table(table));
        match path_of_table(&**storage, dir).and_then(|dir| find_mob_files(storage, &dir)) {
            Ok((entries, faults)) => {
                check.entries = entries;
                for fault in faults {
                    let path = fault.path().unwrap_or(dir).to_owned();
                    let mut add = |kind| {
                        checker.add(kind, Severity::Warning, &subject, &path, fault.message());
                    };
                    match fault.kind() {
                        _ if fault.is_not_found() => add(FindingKind::DanglingLink),
                        ErrorKind::Corrupt => add(FindingKind::UnknownFile),
                        _ => checker.add_error(&subject, &path, &fault),
                    }
                }
            }
            Err(error) => checker.add_error(&subject, dir, &error),
        }
        check
    }

    /// Records that a region, or some of its store files, could not be read.
    pub(super) fn set_partial(&mut self) {
        self.is_partial = true;
    }

    /// Finds the MOB files to which the store files of a region refer.
    pub(super) fn region(
        &mut self,
        dir: &RegionDir,
        is_parent: bool,
        subject: &Subject<'_>,
        checker: &mut Checker<'_>,
    ) {
        let severity = if is_parent { Severity::Warning } else { Severity::Error };
        for family in dir.families().iter().filter(|family| dir.may_have_mob(family.name())) {
            // Faults of the family's files are found by the check of all families.
            let Ok(listed) = dir.store_files(family.name()) else {
                self.is_partial = true;
                continue;
            };
            // Files without bytes, or without a list, may have referred to any MOB file.
            self.is_partial |= !listed.warnings.is_empty();
            let Some(mob_dirs) = dir.mob_dirs(family.name()) else {
                self.has_no_root |= !listed.files.is_empty();
                continue;
            };
            let name = String::from_utf8_lossy(family.name());
            for file in listed.files {
                match checker.options.listed_mob_files(&file.path) {
                    Ok(Some(names)) => {
                        for mob_file in names {
                            let place = (severity, subject);
                            self.find(&mob_dirs, &mob_file, place, checker);
                            self.used.insert((name.clone().into_owned(), mob_file));
                        }
                    }
                    Ok(None) => self.unlisted += 1,
                    // Another process has moved the file since it was listed.
                    Err(error) if error.is_stale() => self.is_partial = true,
                    Err(error) => {
                        self.is_partial = true;
                        checker.add_error_as(severity, subject, &file.path, &error);
                    }
                }
            }
        }
    }

    /// Looks up a MOB file in its possible locations. It may be moved from the first to the second, which is
    /// therefore listed last.
    fn find(
        &mut self,
        dirs: &MobDirs,
        file: &MobFileName,
        (severity, subject): (Severity, &Subject<'_>),
        checker: &mut Checker<'_>,
    ) {
        let places = match dirs.of(&file.table) {
            Ok(places) => places,
            Err(error) => return checker.add_error(subject, Path::new(&file.file), &error),
        };
        for place in &places {
            let files = self.listings.entry(place.clone()).or_insert_with(|| {
                let entries = checker.list(subject, place);
                entries.iter().filter_map(|entry| Some((entry.utf8_name()?.to_owned(), entry.len))).collect()
            });
            match files.get(&file.file).copied() {
                None => {}
                Some(0) => {
                    return self.add_lost(place.join(&file.file), FindingKind::EmptyFile, severity, subject);
                }
                Some(_) => return,
            }
        }
        let [live, _] = places;
        self.add_lost(live.join(&file.file), FindingKind::MissingMobFile, severity, subject);
    }

    fn add_lost(&mut self, path: PathBuf, kind: FindingKind, severity: Severity, subject: &Subject<'_>) {
        let region = subject.region.unwrap_or_default();
        let known = self.lost.entry(path).or_insert_with(|| (kind, severity, region.to_owned()));
        // The children of this region need the file as well.
        if known.1 < severity {
            *known = (kind, severity, region.to_owned());
        }
    }

    /// Adds the findings of all regions.
    pub(super) fn finish(self, table: &TableName, dir: &Path, checker: &mut Checker<'_>) {
        for (path, (kind, severity, region)) in self.lost {
            let message = match kind {
                FindingKind::EmptyFile => "cells have values in the MOB file, which has no bytes",
                _ => "cells have values in the MOB file, which is neither there nor in the archive",
            };
            checker.add(kind, severity, &Subject::region(table, &region), &path, message);
        }
        let subject = Subject::table(table);
        let mut add_unsupported = |message: String| {
            checker.add(FindingKind::Unsupported, Severity::Warning, &subject, dir, message);
        };
        if self.has_no_root {
            add_unsupported("values are in MOB files, and the table is not under the root with them".into());
        }
        if self.unlisted > 0 {
            let unlisted = self.unlisted;
            add_unsupported(format!(
                "{unlisted} store files do not list the MOB files that have their values"
            ));
        }
        // A file is unused only if all store files that may refer to it are known.
        if self.is_partial || self.unlisted > 0 {
            return;
        }
        for MobEntry { path, name, file } in self.entries {
            if !self.used.contains(&(file.family, name)) {
                let message = "no store file of the table refers to the MOB file";
                checker.add(FindingKind::UnusedMobFile, Severity::Info, &subject, &path, message);
            }
        }
    }
}
