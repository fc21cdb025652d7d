//! Where values are that are too large for a store: in files below `mobdir` (hfile.md §15.1; HBase:
//! `MobUtils`, `HMobStore.getLocations`).
#![warn(clippy::indexing_slicing)]

use super::root::Root;
use crate::error::{Corruption, Result};
use crate::schema::{RegionInfo, TableName};
use std::path::PathBuf;

/// The start key of the region that HBase makes up for the MOB files of a table.
const MOB_START_KEY: &[u8] = b".mob";

/// Whether a region is the one that HBase makes up for the MOB files of a table, and has no rows (HBase:
/// `MobUtils.isMobRegionInfo`).
pub(crate) fn is_mob_region(region: &RegionInfo) -> bool {
    region.region_id() == 0 && region.start_key() == MOB_START_KEY
}

/// The directories of the MOB files of a family, which has one for each table whose cells it has: those of a
/// clone lead to files of the table that was cloned.
#[derive(Clone, Debug)]
pub(crate) struct MobDirs {
    root: Root,
    family: String,
}

impl MobDirs {
    pub(super) fn new(root: Root, family: &[u8]) -> Self {
        Self { root, family: String::from_utf8_lossy(family).into_owned() }
    }

    /// Returns the directories in which a MOB file of a table may be, in the order in which HBase looks for
    /// it.
    ///
    /// # Errors
    ///
    /// If no region can have the table's name.
    pub(crate) fn of(&self, table: &TableName) -> Result<[PathBuf; 2]> {
        let region = RegionInfo::new(table.clone(), MOB_START_KEY, "", 0)?.encoded_name();
        let below = |table: PathBuf| table.join(&region).join(&self.family);
        Ok([below(self.root.mob(table)), below(self.root.archive(table))])
    }
}

/// Fails if a name is not that of a MOB file: another one could lead out of the directory.
pub(crate) fn check_mob_name(name: &str) -> Result<(), Corruption> {
    match super::file_name::is_mob(name) {
        true => Ok(()),
        false => Err(Corruption::unknown_name("MOB file with a name like", name.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn mob_files_are_below_mobdir_or_in_the_archive() {
        let dirs = MobDirs::new(Root::new("h"), b"f");
        let region = "d03fd4b3e06fa777620047d45772c63d"; // as HBase named it
        let [live, archived] = dirs.of(&TableName::parse("mob").unwrap()).unwrap();
        assert_eq!(live, Path::new("h/mobdir/data/default/mob").join(region).join("f"));
        assert_eq!(archived, Path::new("h/archive/data/default/mob").join(region).join("f"));
        let info = RegionInfo::new(TableName::parse("mob").unwrap(), ".mob", "", 0).unwrap();
        assert!(is_mob_region(&info) && info.encoded_name() == region);
        let other = RegionInfo::new(TableName::parse("mob").unwrap(), ".mob", "", 5).unwrap();
        assert!(!is_mob_region(&other));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let region = "d03fd4b3e06fa777620047d45772c63d";
        let name = format!("{region}20240131{region}");
        for name in [name.clone(), format!("{name}_{region}")] {
            assert_eq!(check_mob_name(&name), Ok(()));
        }
        for name in ["", "..", region, "a/b", &format!("{name}_x"), &format!("../{name}")] {
            assert!(check_mob_name(name).is_err(), "{name}");
        }
    }
}
