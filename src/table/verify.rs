//! Verifies the regions of a table or a snapshot.

use super::Table;
use super::regions::RegionSource;
use crate::error::{Error, ErrorKind, Result};
use crate::hfile::VerifyReport;
use crate::layout::MobFile;
use crate::schema::RegionInfo;
use std::path::Path;

impl Table {
    /// Verifies a region, as [`RegionOptions::verify`] does: reads all of every store file, and checks the
    /// files of each family against each other. The region is one of [`regions`](Self::regions). In a
    /// [snapshot](Self::open_snapshot), verifies its files of the region, wherever they are now.
    ///
    /// Passes the path of each HFile to `report`, with its faults or with the error that prevented the
    /// verification, and continues. Returns the faults of files in relation to others, such as a file that is
    /// missing.
    ///
    /// [`RegionOptions::verify`]: crate::RegionOptions::verify
    ///
    /// # Errors
    ///
    /// If the table does not have the region; if its directory is not a region, or anything outside of its
    /// families cannot be read.
    pub fn verify_region(
        &self,
        region: &RegionInfo,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        let regions = self.0.regions.load();
        let no_region = || Error::new(ErrorKind::RegionNotFound, "the table does not have the region");
        let slot = regions.slots.iter().find(|slot| slot.info == *region).ok_or_else(no_region)?;
        let options = self.0.options.clone();
        match &slot.source {
            RegionSource::Dir(path) => options.verify(path, report),
            RegionSource::Snapshot(snapshot, index) => {
                let region = snapshot.region(*index).ok_or_else(no_region)?;
                Ok(options.verify_of_snapshot(snapshot, region, &mut report))
            }
        }
    }

    /// Verifies the MOB files (IS_MOB), as [`RegionOptions::verify_mob_files`] does. In a
    /// [snapshot](Self::open_snapshot), verifies its MOB files, wherever they are now.
    ///
    /// [`RegionOptions::verify_mob_files`]: crate::RegionOptions::verify_mob_files
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed.
    pub fn verify_mob_files(
        &self,
        mut report: impl FnMut(&Path, Result<VerifyReport>),
    ) -> Result<Vec<Error>> {
        let (regions, options) = (self.0.regions.load(), self.0.options.clone());
        match regions.slots.first().map(|slot| &slot.source) {
            None => Ok(Vec::new()),
            Some(RegionSource::Dir(region)) => {
                options.verify_mob_files(region.parent().unwrap_or_else(|| Path::new("")), report)
            }
            Some(RegionSource::Snapshot(snapshot, _)) => {
                Ok(options.verify_mob_of_snapshot(snapshot, &mut report))
            }
        }
    }

    /// Returns the MOB files (IS_MOB): those of the table's directory below `mobdir`, with the links of a
    /// clone followed; in a [snapshot](Self::open_snapshot), its MOB files, wherever they are now. Missing
    /// files are left out: [`verify_mob_files`](Self::verify_mob_files) names them.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed, or a file of a snapshot cannot be examined.
    pub fn mob_files(&self) -> Result<Vec<MobFile>> {
        let (regions, options) = (self.0.regions.load(), &self.0.options);
        match regions.slots.first().map(|slot| &slot.source) {
            None => Ok(Vec::new()),
            Some(RegionSource::Dir(region)) => {
                options.mob_files_of(region.parent().unwrap_or_else(|| Path::new("")))
            }
            Some(RegionSource::Snapshot(snapshot, _)) => options.mob_files_of_snapshot(snapshot),
        }
    }
}
