//! Checks the regions of a table: those in `hbase:meta` against those with directories.

use super::catalog::CatalogRows;
use super::finding::{FindingKind, Severity};
use super::mob::MobCheck;
use super::region::RegionCheck;
use super::{Checker, Subject, dir_names};
use crate::binary::{StringBinary, is_hex};
use crate::io::{DirEntry, is_new_file};
use crate::layout::region::is_number;
use crate::layout::{
    RECOVERED_EDITS, RegionChange, ReplacementKind, TableListing, find_region_info, is_mob_region,
    read_descriptor, was_opened,
};
use crate::locator::{CatalogRow, RegionInconsistency, RegionState, check_region_chain, serving};
use crate::schema::region_name::is_encoded_name;
use crate::schema::{RegionInfo, TableName, is_legal_name};
use crate::table::Table;
use crate::table::catalog::is_of_change;
use crate::table::uncommitted::find_uncommitted;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// A check of one table.
pub(super) struct TableCheck<'c, 'o> {
    name: &'c TableName,
    catalog: Option<&'c CatalogRows>,
    /// The table's rows in the catalog, by the encoded names of the regions; `None` if there is no catalog,
    /// or the table is the catalog.
    rows: Option<BTreeMap<String, &'c CatalogRow>>,
    /// The regions that were merged, by the catalog.
    merged: HashSet<&'c RegionInfo>,
    checker: &'c mut Checker<'o>,
}

/// The relevant content of a table's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoundDescriptor {
    /// Values of a family may be in MOB files.
    WithMob,
    /// No value may be in a MOB file, or there is no descriptor.
    Other,
    /// It cannot be read, so no region can be opened.
    Damaged,
}

impl<'c, 'o> TableCheck<'c, 'o> {
    pub(super) fn new(
        name: &'c TableName,
        catalog: Option<&'c CatalogRows>,
        checker: &'c mut Checker<'o>,
    ) -> Self {
        let catalog = catalog.filter(|_| !name.is_meta());
        let rows_of = |catalog: &'c CatalogRows| catalog.regions.get(name).into_iter().flatten();
        let rows =
            catalog.map(|catalog| rows_of(catalog).map(|row| (row.region().encoded_name(), row)).collect());
        let merged = catalog.into_iter().flat_map(rows_of).flat_map(CatalogRow::merge_parents).collect();
        checker.report.tables += 1;
        Self { name, catalog, rows, merged, checker }
    }

    fn add(&mut self, kind: FindingKind, severity: Severity, path: &Path, message: impl Into<String>) {
        self.checker.add(kind, severity, &Subject::table(self.name), path, message);
    }

    /// Checks a table of the catalog that has no directory.
    pub(super) fn check_missing(&mut self, dir: &Path) {
        let rows = self.rows.clone().unwrap_or_default();
        if rows.is_empty() {
            let message = "hbase:meta has the state of a table that has neither regions nor a directory";
            return self.add(FindingKind::UnknownState, Severity::Warning, dir, message);
        }
        self.check_catalog(dir, &BTreeSet::new());
    }

    /// Checks a table with a directory.
    pub(super) fn check(&mut self, dir: &Path) {
        let subject = Subject::table(self.name);
        let entries = self.checker.list(&subject, dir);
        let Some(hidden) = self.check_changes(dir, &entries) else {
            // The table was deleted, or its creation was interrupted.
            self.checker.report.tables -= 1;
            if self.rows.as_ref().is_some_and(|rows| !rows.is_empty()) {
                self.check_catalog(dir, &BTreeSet::new());
            }
            return;
        };
        let descriptor = self.check_descriptor(dir);
        let has_mob = descriptor == FoundDescriptor::WithMob;
        let mut mob = has_mob.then(|| MobCheck::new(self.name, dir, self.checker));
        self.check_new_files(dir, &entries);
        if descriptor != FoundDescriptor::Damaged {
            let descriptors = dir.join(".tabledesc");
            let left = self.checker.list(&subject, &descriptors);
            self.check_new_files(&descriptors, &left);
        }
        let (mut dirs, mut found) = (BTreeSet::new(), Vec::new());
        // Named as in `FSUtils.RegionDirFilter`.
        for name in dir_names(&entries).filter(|name| is_hex(name) && !hidden.contains(*name)) {
            dirs.insert(name.to_owned());
            self.checker.report.regions += 1;
            match self.region_info(dir, name) {
                // The MOB region has no row in the catalog, and no cells.
                Some(info) if is_mob_region(&info) => drop(dirs.remove(name)),
                Some(info) => found.push((name, info)),
                None => {
                    if let Some(mob) = &mut mob {
                        mob.set_partial();
                    }
                }
            }
        }
        self.leave_out_uncommitted(dir, &mut found);
        let serving: HashSet<RegionInfo> =
            serving(found.iter().map(|(_, info)| info.clone()).collect()).into_iter().collect();
        match self.rows {
            Some(_) => self.check_catalog(dir, &dirs),
            // The key ranges of the regions are unknown, so a hole would be reported wrongly.
            None if found.is_empty() && !dirs.is_empty() => {}
            None => {
                let infos: Vec<&RegionInfo> = found.iter().map(|(_, info)| info).collect();
                let chain = infos.iter().filter(|info| serving.contains(info));
                self.check_chain(chain.copied().cloned().collect(), dir, "directories");
                self.check_replaced(&infos, &serving, dir);
            }
        }
        for (name, info) in found {
            let path = dir.join(name);
            let is_parent = self.check_parent(name, &info, !serving.contains(&info), &path);
            if descriptor != FoundDescriptor::Damaged {
                let row = self.rows.as_ref().and_then(|rows| rows.get(name).copied());
                let region = RegionCheck { table: self.name, name, path: &path, is_parent, row };
                region.check(self.checker, mob.as_mut());
            }
        }
        if let Some(mob) = mob {
            mob.finish(self.name, dir, self.checker);
        }
    }

    /// Checks for changes of regions, and of the whole table, that are not finished. Returns the names of
    /// directories that are not regions: new regions that the catalog does not have, which will be undone,
    /// and regions removed by a truncation; `None` if there is no table.
    fn check_changes(&mut self, dir: &Path, entries: &[DirEntry]) -> Option<BTreeSet<String>> {
        let storage = self.checker.options.file_storage();
        let listing = match TableListing::read(&**storage, dir) {
            Ok(listing) => listing,
            Err(error) => {
                self.checker.add_error(&Subject::table(self.name), dir, &error);
                return Some(BTreeSet::new());
            }
        };
        let is_none = listing.has_creation()
            && listing.regions_after(&**storage, &[]).is_ok_and(|regions| regions.is_empty());
        for change in listing.made() {
            let kind = change.replacement().map_or("change", |replacement| replacement.kind.name());
            let is_unfinished = match change.is_a(ReplacementKind::Deletion) {
                true => listing.is_unfinished(&**storage, change),
                false => Ok(true),
            };
            let is_unfinished = is_unfinished.unwrap_or_else(|error| {
                self.checker.add_error(&Subject::table(self.name), dir, &error);
                false
            });
            if is_unfinished {
                let message = format!("{kind} of the table that has been made, and not completed");
                self.add(FindingKind::LeftoverTmp, Severity::Warning, &change.path(), message);
            }
        }
        let removed: Vec<String> = listing.made().iter().flat_map(RegionChange::removed).cloned().collect();
        // The remains of their new regions are removed.
        let undone_before: Vec<String> =
            listing.undone().iter().flat_map(RegionChange::children).cloned().collect();
        let changes = listing.into_changes();
        for change in &changes {
            let message = match (change.is_creation(), change.replacement()) {
                (true, _) => "a creation of the table that was interrupted, or still runs".to_owned(),
                (_, Some(replacement)) => {
                    format!("{} of the table that was interrupted, or still runs", replacement.kind.name())
                }
                _ => format!("an unfinished split or merge of {}", change.parents().join(", ")),
            };
            self.add(FindingKind::LeftoverTmp, Severity::Warning, &change.path(), message);
        }
        for name in dir_names(entries).filter(|name| *name == ".tmp") {
            let path = dir.join(name);
            let left = self.checker.list(&Subject::table(self.name), &path);
            let import = Table::import_dir(dir);
            let is_import = |entry: &DirEntry| import.file_name() == Some(&*entry.name);
            if left.iter().any(is_import) {
                let message = "files of an import that failed, or that still runs";
                self.add(FindingKind::UnfinishedImport, Severity::Warning, &import, message);
            }
            if !left.iter().all(is_import) {
                let message = "a descriptor that was being written";
                self.add(FindingKind::LeftoverTmp, Severity::Info, &path, message);
            }
        }
        let has_made = |change: &&RegionChange| {
            self.rows.iter().flat_map(BTreeMap::values).any(|row| is_of_change(row, change))
        };
        let undone = changes.iter().filter(|change| !has_made(change));
        let hidden = undone.flat_map(RegionChange::children).cloned().chain(undone_before).chain(removed);
        if is_none { None } else { Some(hidden.collect()) }
    }

    /// Finds incomplete files in a directory of the table.
    fn check_new_files(&mut self, dir: &Path, entries: &[DirEntry]) {
        let is_left = |entry: &&DirEntry| !entry.is_dir && entry.utf8_name().is_some_and(is_new_file);
        for entry in entries.iter().filter(is_left) {
            let message = "a file that was being written when the process ended, or that still is";
            self.add(FindingKind::LeftoverTmp, Severity::Info, &dir.join(&entry.name), message);
        }
    }

    /// Leaves out new regions of splits and merges that HBase has begun but that the catalog does not have.
    fn leave_out_uncommitted(&mut self, dir: &Path, found: &mut Vec<(&str, RegionInfo)>) {
        let Some(rows) = &self.rows else { return };
        if found.iter().all(|(name, _)| rows.contains_key(*name)) {
            return;
        }
        let regions: Vec<_> = found.iter().map(|(name, info)| (dir.join(name), info.clone())).collect();
        let (table, checker) = (self.name, &mut *self.checker);
        let uncommitted = match find_uncommitted(dir, &regions, checker.options) {
            Ok(uncommitted) => uncommitted,
            Err(error) => return checker.add_error(&Subject::table(table), dir, &error),
        };
        found.retain(|(name, _)| {
            let path = dir.join(name);
            let is_new = uncommitted.contains(&path);
            if is_new {
                let message = "a new region of a split or merge that HBase has begun, and hbase:meta does \
                               not have: HBase completes or undoes it";
                let subject = Subject::region(table, name);
                checker.add(FindingKind::LeftoverTmp, Severity::Warning, &subject, &path, message);
            }
            !is_new
        });
    }

    fn check_descriptor(&mut self, dir: &Path) -> FoundDescriptor {
        let storage = &**self.checker.options.file_storage();
        match read_descriptor(storage, dir, self.name) {
            Ok(Some(stored)) if stored.descriptor().mob_family().is_some() => FoundDescriptor::WithMob,
            Ok(Some(_)) => FoundDescriptor::Other,
            Ok(None) => {
                // HBase has the descriptor of its catalog in its code.
                if !self.name.is_meta() {
                    let message = "no descriptor, so the settings of the families are unknown";
                    self.add(FindingKind::NoDescriptor, Severity::Error, &dir.join(".tabledesc"), message);
                }
                FoundDescriptor::Other
            }
            Err(error) => {
                self.checker.add_error(&Subject::table(self.name), dir, &error);
                FoundDescriptor::Damaged
            }
        }
    }

    /// Returns the content of a directory's `.regioninfo`, if valid.
    fn region_info(&mut self, dir: &Path, name: &str) -> Option<RegionInfo> {
        let (path, subject) = (dir.join(name), Subject::region(self.name, name));
        let checker = &mut *self.checker;
        match find_region_info(&**checker.options.file_storage(), &path) {
            Ok(Some(info)) if info.table() != self.name => {
                let message = format!("the .regioninfo is that of a region of table {}", info.table());
                checker.add(FindingKind::RegionInfoDiffers, Severity::Error, &subject, &path, message);
                None
            }
            Ok(Some(info)) if is_encoded_name(name) && !info.is_encoded_as(name) => {
                let message = format!("the .regioninfo is that of region {}", info.encoded_name());
                checker.add(FindingKind::RegionInfoDiffers, Severity::Error, &subject, &path, message);
                None
            }
            Ok(Some(info)) => Some(info),
            Ok(None) if self.name.is_meta() => Some(RegionInfo::meta()),
            Ok(None) => {
                let entries = checker.list(&subject, &path);
                let (mut has_families, mut has_files, mut is_of_parent) = (false, false, false);
                for family in dir_names(&entries).filter(|name| is_legal_name(name.as_bytes())) {
                    has_families = true;
                    for file in checker.list(&subject, &path.join(family)) {
                        let name = file.utf8_name().unwrap_or_default();
                        has_files |= !name.starts_with('.');
                        let parent = name.rsplit_once('.').map(|(_, parent)| parent);
                        is_of_parent |= parent.is_some_and(|parent| {
                            self.rows.as_ref().is_some_and(|rows| rows.contains_key(parent))
                        });
                    }
                }
                let edits = checker.list(&subject, &path.join(RECOVERED_EDITS));
                let has_edits = edits.iter().filter_map(DirEntry::utf8_name).any(is_number);
                // HBase writes the .regioninfo last when it splits a region, after the references.
                let mut is_new =
                    is_of_parent && self.rows.as_ref().is_some_and(|rows| !rows.contains_key(name));
                if is_new {
                    match was_opened(&**checker.options.file_storage(), &path) {
                        Ok(was_opened) => is_new = !was_opened,
                        Err(error) => {
                            checker.add_error(&subject, &path, &error);
                            is_new = false;
                        }
                    }
                }
                if is_new {
                    let message = "no .regioninfo, and nothing but references and links: of a split that \
                                   HBase has begun, and completes or undoes";
                    let (kind, severity) = (FindingKind::LeftoverTmp, Severity::Warning);
                    checker.add(kind, severity, &subject, &path, message);
                    return None;
                }
                // Without families, the region was archived before HBase split a log over it (HBASE-24189).
                let is_error = has_files || has_edits && has_families;
                let severity = if is_error { Severity::Error } else { Severity::Warning };
                let content = match (has_files, has_edits) {
                    (true, true) => "files of families, and recovered edits",
                    (true, false) => "files of families",
                    (false, true) => "recovered edits, but no files of families",
                    (false, false) => "no files of families",
                };
                let message = format!("no .regioninfo; it has {content}");
                checker.add(FindingKind::NoRegionInfo, severity, &subject, &path, message);
                None
            }
            Err(error) => {
                checker.add_error(&subject, &path, &error);
                None
            }
        }
    }

    /// Checks the rows of the catalog against the directories of regions, and against each other.
    fn check_catalog(&mut self, dir: &Path, dirs: &BTreeSet<String>) {
        let (Some(catalog), Some(rows)) = (self.catalog, self.rows.clone()) else { return };
        for (name, row) in &rows {
            if dirs.contains(name) || row.region().replica_id() != 0 {
                continue;
            }
            let state = row.assignments().first().and_then(|one| one.state);
            let is_new = matches!(state, Some(RegionState::SplittingNew | RegionState::MergingNew));
            let severity = if row.is_split_parent() || is_new { Severity::Warning } else { Severity::Error };
            let state = state.map_or("no state", RegionState::name);
            let message = format!("hbase:meta has the region, {state}, but there is no such directory");
            let subject = Subject::region(self.name, name);
            self.checker.add(FindingKind::NoDirectory, severity, &subject, &dir.join(name), message);
        }
        let chain = rows.values().filter(|row| !row.is_split_parent());
        self.check_chain(chain.map(|row| row.region().clone()).collect(), &catalog.path, "hbase:meta");
        let is_known = |states: &BTreeMap<_, _>| states.contains_key(self.name);
        if !rows.is_empty() && catalog.states.as_ref().is_some_and(|states| !is_known(states)) {
            let message = "hbase:meta has regions of the table, but not its state";
            self.add(FindingKind::UnknownState, Severity::Warning, &catalog.path, message);
        }
    }

    /// Checks that regions have all rows, each of them once. `source` names the origin of the regions.
    fn check_chain(&mut self, mut regions: Vec<RegionInfo>, path: &Path, source: &str) {
        regions.sort_by(|a, b| (a.start_key(), a.region_id()).cmp(&(b.start_key(), b.region_id())));
        let mut starts = BTreeSet::new();
        for pair in regions.windows(2) {
            if let [a, b] = pair
                && a.start_key() == b.start_key()
            {
                starts.insert(a.start_key());
                self.add_duplicate(a, b, path, source);
            }
        }
        for fault in check_region_chain(&regions) {
            let (start, end) = fault.bounds();
            let (kind, says) = match fault {
                RegionInconsistency::Overlap { .. } if starts.contains(start) => continue,
                RegionInconsistency::Overlap { .. } => (FindingKind::Overlap, "several regions have"),
                RegionInconsistency::Hole { .. } => (FindingKind::Hole, "no region has"),
            };
            let (start, end) = (StringBinary(start), StringBinary(end));
            let message = format!("{says} the rows [{start}, {end}), by {source}");
            self.add(kind, Severity::Error, path, message);
        }
    }

    fn add_duplicate(&mut self, a: &RegionInfo, b: &RegionInfo, path: &Path, source: &str) {
        let (first, second) = (a.encoded_name(), b.encoded_name());
        let start = StringBinary(a.start_key());
        let message = format!("{first} and {second} both begin at [{start}], by {source}");
        let subject = Subject::region(self.name, &second);
        self.checker.add(FindingKind::DuplicateStart, Severity::Error, &subject, path, message);
    }

    /// Without a catalog, a region covered by a younger one is assumed to be its parent. However, one region
    /// does not replace another with the same rows: that would be neither a split nor a merge.
    fn check_replaced(&mut self, infos: &[&RegionInfo], serving: &HashSet<RegionInfo>, dir: &Path) {
        let mut by_rows: HashMap<(&[u8], &[u8]), Vec<&RegionInfo>> = HashMap::new();
        for info in infos {
            by_rows.entry((info.start_key(), info.end_key())).or_default().push(info);
        }
        for old in infos.iter().filter(|info| !serving.contains(info)) {
            let same = by_rows.get(&(old.start_key(), old.end_key())).into_iter().flatten();
            let younger = same.filter(|new| new.region_id() > old.region_id());
            let Some(new) = younger.min_by_key(|new| new.region_id()) else { continue };
            let ids = old.region_id() + 1..new.region_id();
            if !infos.iter().any(|one| ids.contains(&one.region_id())) {
                self.add_duplicate(old, new, dir, "directories");
            }
        }
    }

    /// Adds a finding if a region with a directory was split or merged, or is not in the catalog. Returns
    /// whether it was split or merged.
    fn check_parent(&mut self, name: &str, info: &RegionInfo, is_covered: bool, path: &Path) -> bool {
        let (mut kind, mut severity) = (FindingKind::LeftoverParent, Severity::Info);
        let message = match &self.rows {
            None if is_covered => "younger regions have all of its rows",
            None => return false,
            Some(rows) => match rows.get(name) {
                Some(row) if row.is_split_parent() => "it was split",
                Some(row) if row.region().end_key() != info.end_key() => {
                    (kind, severity) = (FindingKind::RegionInfoDiffers, Severity::Error);
                    "the .regioninfo and hbase:meta have different end keys"
                }
                Some(_) => return false,
                None if self.merged.contains(info) => "it was merged",
                None if is_covered => {
                    severity = Severity::Warning;
                    "hbase:meta does not have it, but younger regions with all of its rows"
                }
                None => {
                    (kind, severity) = (FindingKind::NoMetaRow, Severity::Error);
                    "hbase:meta does not have it"
                }
            },
        };
        self.checker.add(kind, severity, &Subject::region(self.name, name), path, message);
        kind == FindingKind::LeftoverParent
    }
}
