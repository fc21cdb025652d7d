//! A region's directory and its store files.

use super::file::{FileEntry, StoreFile};
use super::total::Total;
use crate::failure::CommandError;
use crate::probe;
use crate::store_files::has_store_file_name;
use crate::text;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::region::FileKind;
use hregion::{RegionInfo, RegionOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A region: its directory, and what its `.regioninfo` says.
#[derive(Debug)]
pub(crate) struct RegionOverview {
    pub(crate) path: PathBuf,
    /// `None` if the file is missing or damaged.
    pub(crate) info: Option<RegionInfo>,
    /// Whether reads go to the region. Parents of splits and merges are kept for a while.
    pub(crate) serves: bool,
    pub(crate) files: Vec<StoreFile>,
}

impl RegionOverview {
    /// Reads the `.regioninfo` of a directory. The fault is why it cannot be read.
    pub(crate) fn open(path: PathBuf, options: &RegionOptions) -> (Self, Option<CommandError>) {
        let (info, fault) = match options.region_info_of(&path) {
            Ok(None) if name(&path) == RegionInfo::meta().encoded_name() => (Some(RegionInfo::meta()), None),
            Ok(info) => (info, None),
            Err(error) => (None, Some(error.into())),
        };
        (Self { path, info, serves: false, files: Vec::new() }, fault)
    }

    /// Returns the name of the directory, which is the encoded name of the region.
    pub(crate) fn encoded(&self) -> String {
        name(&self.path)
    }

    /// Lists the store files, references and links of all families, by their names. Why one of them, or a
    /// directory, cannot be examined is added to `faults`.
    pub(crate) fn file_entries(&self, faults: &mut Vec<CommandError>) -> Vec<FileEntry> {
        let storage = vfs::storage();
        let mut found = Vec::new();
        for dir in entries(&self.path, true, faults) {
            for path in entries(&dir, false, faults) {
                let kind = match FileKind::of(&storage, &path) {
                    Ok(kind) => kind,
                    Err(error) => {
                        // Outside of a root directory that is the `.regioninfo`, for each of the files.
                        let fault = CommandError::from(error);
                        if faults.iter().all(|known| known.line() != fault.line()) {
                            faults.push(fault);
                        }
                        continue;
                    }
                };
                // other entries are findings of the check
                let is_stored = match kind {
                    FileKind::StoreFile => has_store_file_name(&path),
                    kind => matches!(kind, FileKind::Reference | FileKind::Link),
                };
                if is_stored {
                    found.push(FileEntry { family: name(&dir), path, kind });
                }
            }
        }
        found
    }

    pub(crate) fn total(&self) -> Total {
        Total::of(self.files.iter().map(|file| file.total))
    }

    /// Adds the files of each family to `families`.
    pub(crate) fn add_families(&self, families: &mut BTreeMap<String, Total>) {
        for file in &self.files {
            families.entry(file.family().to_owned()).or_default().add(file.total);
        }
    }

    pub(crate) fn json(&self) -> Value {
        let bound =
            |of: fn(&RegionInfo) -> &[u8]| self.info.as_ref().map(|info| StringBinary(of(info)).to_string());
        let mut families = BTreeMap::new();
        self.add_families(&mut families);
        json!({
            "encoded": self.encoded(), "path": text::json_path(&self.path),
            "start": bound(RegionInfo::start_key), "end": bound(RegionInfo::end_key),
            "id": self.info.as_ref().map(RegionInfo::region_id), "serves": self.serves,
            "total": self.total().json(), "families": families_json(&families),
            "files": self.files.iter().map(StoreFile::json).collect::<Vec<_>>(),
        })
    }
}

/// Lists the directories in a directory, or else the files, without hidden ones. Why one of them, or the
/// directory, cannot be examined is added to `faults`.
pub(crate) fn entries(dir: &Path, are_dirs: bool, faults: &mut Vec<CommandError>) -> Vec<PathBuf> {
    let listed = match vfs::list(dir) {
        Ok(listed) => listed,
        Err(error) => {
            faults.push(CommandError::io("list", dir, &error));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for path in listed.into_iter().map(|(path, _)| path).filter(|path| !name(path).starts_with('.')) {
        match probe::is_dir(&path) {
            Ok(is_dir) if is_dir == are_dirs => found.push(path),
            Ok(_) => {}
            Err(fault) => faults.push(fault),
        }
    }
    found
}

/// Returns `{"family", …}` with the members of a total for each family.
pub(crate) fn families_json(families: &BTreeMap<String, Total>) -> Value {
    let family = |(name, total): (&String, &Total)| json!({ "family": name, "total": total.json() });
    families.iter().map(family).collect()
}

/// Returns the last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| text::json_path(Path::new(name)))
}
