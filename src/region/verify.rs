//! Verification of all files of a region, each by itself and against the others.

use super::RegionOptions;
use super::replay::RecoveredEdits;
use crate::error::{Error, Result};
use crate::hfile::VerifyReport;
use crate::layout::RegionDir;
use crate::store::open_files;
use std::path::Path;
use std::slice;

impl RegionOptions {
    /// Verifies a region's directory: reads all of every store file, as [`HFileOptions::verify`] does, and
    /// checks the files of each family against each other. Follows references and links. Reads recovered
    /// edits, too.
    ///
    /// Passes the path of each HFile to `report`, with its faults or with the error that prevented the
    /// verification, and continues. Returns the faults of family directories and of files in relation to
    /// others, such as a reference whose file is missing.
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
        self.verify_families(path.as_ref(), None, &mut report)
    }

    /// As [`verify`](Self::verify), for one family.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify); if the region has no such family.
    pub fn verify_family(
        self,
        path: impl AsRef<Path>,
        family: impl AsRef<[u8]>,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        self.verify_families(path.as_ref(), Some(family.as_ref()), &mut report)
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
        report: &mut dyn FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        let options = self.bounded();
        let dir = RegionDir::open(options.file_storage(), path)?;
        let families = match only {
            None => dir.families(),
            Some(only) => {
                let family = dir.families().iter().find(|family| family.name() == only);
                slice::from_ref(family.ok_or_else(|| Error::no_such_family(only))?)
            }
        };
        let mut faults = Vec::new();
        if only.is_none() {
            let edits =
                RecoveredEdits::new(&dir, &[], &**options.file_storage(), options.files.limit_values(), true);
            faults.extend(edits.and_then(|edits| edits.replaced_files()).err());
        }
        for family in families {
            let listed = match dir.store_files(family.name()) {
                Ok(listed) => listed.files,
                Err(error) => {
                    faults.push(error);
                    continue;
                }
            };
            let mut all_sound = true;
            for file in &listed {
                let found = options.files.verify(&file.path);
                all_sound &= found.as_ref().is_ok_and(|found| found.faults.is_empty());
                report(&file.path, found);
            }
            match open_files(&options.files, &listed) {
                Ok(opened) => faults.extend(opened.warnings),
                // The fault has been reported for one of the files.
                Err(_) if !all_sound => {}
                Err(error) => faults.push(error),
            }
        }
        Ok(faults)
    }
}
