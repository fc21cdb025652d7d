//! Checks the directory of one region: its files, and the references to them.

use super::finding::{FindingKind, Severity};
use super::mob::MobCheck;
use super::{Checker, Subject, kind_of};
use crate::error::{Error, Result};
use crate::layout::{FileFaultKind, RegionDir};
use crate::locator::CatalogRow;
use crate::schema::TableName;
use std::path::Path;

/// A region to check.
#[derive(Debug)]
pub(super) struct RegionCheck<'c> {
    pub(super) table: &'c TableName,
    /// The name of its directory.
    pub(super) name: &'c str,
    pub(super) path: &'c Path,
    /// Whether it was split or merged: only reads of its children need it.
    pub(super) is_parent: bool,
    pub(super) row: Option<&'c CatalogRow>,
}

impl RegionCheck<'_> {
    /// Checks the directory, and the MOB files to which its cells may refer.
    pub(super) fn check(&self, checker: &mut Checker<'_>, mut mob: Option<&mut MobCheck>) {
        let dir = match RegionDir::open(checker.options.file_storage(), self.path) {
            Ok(dir) => dir,
            Err(error) => {
                if let Some(mob) = &mut mob {
                    mob.set_partial();
                }
                return self.add_error(checker, &error);
            }
        };
        self.files(&dir, checker);
        if let Some(mob) = mob {
            mob.region(&dir, self.is_parent, &self.subject(), checker);
        }
        self.unfinished(&dir, checker);
        if let Err(error) = self.sequence_id(&dir, checker) {
            self.add_error(checker, &error);
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject::region(self.table, self.name)
    }

    fn add_error(&self, checker: &mut Checker<'_>, error: &Error) {
        checker.add_error(&self.subject(), self.path, error);
    }

    /// Checks the files of all families.
    fn files(&self, dir: &RegionDir, checker: &mut Checker<'_>) {
        for family in dir.families() {
            let survey = match dir.survey_files(family.name()) {
                Ok(survey) => survey,
                Err(error) => {
                    self.add_error(checker, &error);
                    continue;
                }
            };
            checker.report.files += survey.files as u64;
            for fault in survey.faults {
                let (kind, severity, says) = match fault.kind {
                    FileFaultKind::DanglingReference => {
                        (FindingKind::DanglingReference, Severity::Error, "the file it refers to is missing")
                    }
                    FileFaultKind::DanglingLink => {
                        (FindingKind::DanglingLink, Severity::Error, "the file it links to is missing")
                    }
                    FileFaultKind::Untracked => (
                        FindingKind::UntrackedFile,
                        Severity::Warning,
                        "not on the family's list of files: it is not read",
                    ),
                    FileFaultKind::Missing => (
                        FindingKind::MissingFile,
                        Severity::Error,
                        "on the family's list of files, but missing",
                    ),
                    FileFaultKind::Empty => {
                        (FindingKind::EmptyFile, Severity::Error, "no bytes: it is not read")
                    }
                    FileFaultKind::UnknownName => {
                        (FindingKind::UnknownFile, Severity::Warning, "no store file has such a name")
                    }
                    FileFaultKind::Unreadable => {
                        let kind = fault.error.as_ref().map_or(FindingKind::Unreadable, kind_of);
                        (kind, Severity::Error, "not found")
                    }
                };
                let severity = if self.is_parent { severity.min(Severity::Warning) } else { severity };
                let message = fault.error.map_or_else(|| says.to_owned(), |error| error.message());
                checker.add(kind, severity, &self.subject(), &fault.path, message);
            }
        }
        // HBase keeps families in parents that were deleted from the table after the split.
        let severity = if self.is_parent { Severity::Info } else { Severity::Warning };
        match dir.unknown_families() {
            Ok(found) => found.iter().for_each(|path| {
                let message = "files of a family that the table does not have: they are not read";
                checker.add(FindingKind::UnknownFamily, severity, &self.subject(), path, message);
            }),
            Err(error) => self.add_error(checker, &error),
        }
    }

    /// Checks for writes that were not replayed, and for remains of unfinished work.
    fn unfinished(&self, dir: &RegionDir, checker: &mut Checker<'_>) {
        let severity = if self.is_parent { Severity::Info } else { Severity::Warning };
        for path in dir.unreplayed() {
            let message = "writes that are in no store file, unless a process has the region open";
            checker.add(FindingKind::RecoveredEdits, severity, &self.subject(), path, message);
        }
        match dir.leftovers() {
            Ok(found) => found.iter().for_each(|path| {
                let message = "files that were being written";
                checker.add(FindingKind::LeftoverTmp, Severity::Info, &self.subject(), path, message);
            }),
            Err(error) => self.add_error(checker, &error),
        }
    }

    /// Checks that the directory has a sequence id at least as great as the one with which the region was
    /// opened, according to the catalog.
    fn sequence_id(&self, dir: &RegionDir, checker: &mut Checker<'_>) -> Result<()> {
        let opened_with =
            self.row.and_then(|row| row.locations().replicas().first()).map_or(-1, |one| one.seq_num);
        let is_too_low = |used: i64| used < opened_with.saturating_sub(1);
        if self.is_parent || !is_too_low(dir.max_seq_id().unwrap_or(0)) || dir.unreplayed().next().is_some() {
            return Ok(());
        }
        // Only if needed, because this reads the trailers of all files.
        let region = checker.options.clone().open(self.path)?;
        let in_files = region.flushed_seq_ids().into_values().max().unwrap_or(0);
        let used = in_files.max(dir.max_seq_id().unwrap_or(0));
        if is_too_low(used) {
            let message =
                format!("hbase:meta opened the region at {opened_with}, but its greatest id is {used}");
            let path = dir.recovered_edits_dir();
            checker.add(FindingKind::SequenceIdBehind, Severity::Warning, &self.subject(), &path, message);
        }
        Ok(())
    }
}
