//! The locations of values that are too large for a store: files below `mobdir` (hfile.md §15.1; HBase:
//! `MobUtils`, `HMobStore.getLocations`).
#![warn(clippy::indexing_slicing)]

use super::durable::list_if_exists;
use super::family::FamilyDir;
use super::file_name::{FileName, Target};
use super::root::{MOB_DIR, Root, TableDir};
use crate::error::{Corruption, Error, Result};
use crate::io::Storage;
use crate::schema::{RegionInfo, TableName, is_legal_name};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The start key of the artificial region that HBase uses for the MOB files of a table.
const MOB_START_KEY: &[u8] = b".mob";

/// Whether a region is the artificial one that HBase uses for the MOB files of a table, without rows (HBase:
/// `MobUtils.isMobRegionInfo`).
pub(crate) fn is_mob_region(region: &RegionInfo) -> bool {
    region.region_id() == 0 && region.start_key() == MOB_START_KEY
}

/// Returns the name of that region of a table.
fn mob_region_of(table: &TableName) -> Result<String> {
    Ok(RegionInfo::new(table.clone(), MOB_START_KEY, "", 0)?.encoded_name())
}

/// The directories of the MOB files of a family: one for each table that its cells come from. A clone has
/// links to files of the table that was cloned.
#[derive(Clone, Debug)]
pub(crate) struct MobDirs {
    root: Root,
    family: String,
}

impl MobDirs {
    pub(super) fn new(root: Root, family: &[u8]) -> Self {
        Self { root, family: String::from_utf8_lossy(family).into_owned() }
    }

    /// Returns the directories in which a MOB file of a table may be, in the order in which HBase searches
    /// them.
    ///
    /// # Errors
    ///
    /// If no region can have the table's name.
    pub(crate) fn of(&self, table: &TableName) -> Result<[PathBuf; 2]> {
        let region = mob_region_of(table)?;
        let below = |table: PathBuf| table.join(&region).join(&self.family);
        Ok([below(self.root.mob(table)), below(self.root.archive(table))])
    }
}

/// Returns the directories of the MOB files of the family in whose directory store files are, and its table;
/// `None` if it is not a family's directory below a root directory with MOB files.
///
/// # Errors
///
/// If a directory, or the `.regioninfo` of the region, cannot be read.
pub(crate) fn mob_dirs_of_family(
    storage: &Arc<dyn Storage>,
    dir: &Path,
) -> Result<Option<(MobDirs, TableName)>> {
    let Some(found) = FamilyDir::of_path(storage, dir)? else { return Ok(None) };
    let FamilyDir { table: TableDir { table, root, .. }, family, .. } = found;
    let root = root.filter(|root| root.has_namespaces);
    Ok(root.map(|root| (MobDirs { root, family }, table)))
}

/// Fails if a name is not a MOB file's: another one could lead out of the directory.
pub(crate) fn check_mob_name(name: &str) -> Result<(), Corruption> {
    match super::file_name::is_mob(name) {
        true => Ok(()),
        false => Err(Corruption::unknown_name("MOB file with a name like", name.as_bytes())),
    }
}

/// Returns the root of a MOB file, `<root>/mobdir/data/<namespace>/<table>/<mob region>/<family>/<file>`;
/// `None` for any other path.
pub(super) fn root_of_mob_file(file: &Path) -> Option<&Path> {
    let above = |levels: usize| file.ancestors().nth(levels);
    let mob =
        above(6).filter(|dir| dir.ends_with(MOB_DIR) && above(5).is_some_and(|dir| dir.ends_with("data")))?;
    let name = |levels: usize| above(levels)?.file_name()?.to_str();
    let table = TableName::new(name(4)?, name(3)?).ok()?;
    (mob_region_of(&table).ok()? == name(2)?).then(|| mob.parent()).flatten()
}

/// The name of a MOB file, and the table that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MobFileName {
    pub(crate) table: TableName,
    pub(crate) file: String,
}

/// A MOB file of a table, which has values of a family that are too large for its store files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MobFile {
    /// The family.
    pub family: String,
    /// The path of the HFile, after a link has been followed.
    pub path: PathBuf,
}

/// An entry of the directory of the MOB files of a table.
#[derive(Clone, Debug)]
pub(crate) struct MobEntry {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The name of the file that it is, or to which it links.
    pub(crate) name: MobFileName,
    /// The file.
    pub(crate) file: MobFile,
}

/// Returns the MOB files of a table, by its directory, with the links of a clone followed, and the faults of
/// entries for which no file is found. A table that is not under a root directory has none.
///
/// # Errors
///
/// If a directory cannot be listed.
pub(crate) fn find_mob_files(
    storage: &Arc<dyn Storage>,
    table: &Path,
) -> Result<(Vec<MobEntry>, Vec<Error>)> {
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    let Some((root, name)) = place_of(table) else { return Ok((files, faults)) };
    let region = mob_region_of(&name)?;
    let table =
        TableDir { storage: Arc::clone(storage), path: root.mob(&name), table: name, root: Some(root) };
    for family in list_if_exists(&**storage, &table.path.join(&region))?.unwrap_or_default() {
        let name = family.utf8_name().filter(|name| family.is_dir && is_legal_name(name.as_bytes()));
        let Some(name) = name else { continue };
        let family = FamilyDir { table: table.clone(), region: region.clone(), family: name.to_owned() };
        for entry in list_if_exists(&**storage, &family.path())?.unwrap_or_default() {
            // Such as `.links-<file>`, with the names of regions that have links to it.
            if entry.is_dir || entry.is_hidden() {
                continue;
            }
            let entry_name = entry.name.to_string_lossy();
            match family.resolve(&entry, &entry_name, None) {
                Ok(file) => files.push(MobEntry {
                    path: family.path().join(&*entry_name),
                    name: name_of(&entry_name, &family.table.table),
                    file: MobFile { family: name.to_owned(), path: file.path },
                }),
                Err(error) => faults.push(error),
            }
        }
    }
    Ok((files, faults))
}

/// Returns the name of the MOB file that an entry of a table's directory is, or to which it links.
fn name_of(entry: &str, table: &TableName) -> MobFileName {
    let parsed = FileName::parse(entry);
    let table = match parsed.as_ref().map(FileName::target) {
        Some(Target::Link { table, .. }) => table,
        _ => table,
    };
    let file = parsed.as_ref().map_or(entry, |parsed| parsed.target().file());
    MobFileName { table: table.clone(), file: file.to_owned() }
}

/// Returns the root above a table's directory, and the name of the table.
fn place_of(table: &Path) -> Option<(Root, TableName)> {
    let name = |levels: usize| table.ancestors().nth(levels)?.file_name()?.to_str();
    let root = table.ancestors().nth(2).filter(|data| data.ends_with("data"))?.parent()?;
    Some((Root::new(root), TableName::new(name(1)?, name(0)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

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
