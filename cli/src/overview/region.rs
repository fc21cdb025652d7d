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

/// A region: its directory, and the content of its `.regioninfo`.
#[derive(Debug)]
pub(crate) struct RegionOverview {
    pub(crate) path: PathBuf,
    /// Its encoded name; `None` for files that are in no region.
    encoded: Option<String>,
    /// `None` if the file is missing or damaged.
    pub(crate) info: Option<RegionInfo>,
    /// Whether reads go to the region. Parents of splits and merges are kept for a while.
    pub(crate) serves: bool,
    /// The files that are shown, if not those in the directories of all families.
    pub(crate) listed: Option<Vec<FileEntry>>,
    pub(crate) files: Vec<StoreFile>,
}

impl RegionOverview {
    /// Reads the `.regioninfo` of a directory. The fault is the reason that it cannot be read.
    pub(crate) fn open(path: PathBuf, options: &RegionOptions) -> (Self, Option<CommandError>) {
        let (info, fault) = match options.region_info_of(&path) {
            Ok(None) if name(&path) == RegionInfo::meta().encoded_name() => (Some(RegionInfo::meta()), None),
            Ok(info) => (info, None),
            Err(error) => (None, Some(error.into())),
        };
        // The path may be `.`, or end with it.
        let named = Some(name(&path)).filter(|name| !name.is_empty());
        let encoded = named.or_else(|| info.as_ref().map(RegionInfo::encoded_name));
        (Self { path, encoded, info, serves: false, listed: None, files: Vec::new() }, fault)
    }

    /// A region of a snapshot, which may no longer have a directory.
    pub(crate) fn of_snapshot(table: &Path, info: RegionInfo, serves: bool, listed: Vec<FileEntry>) -> Self {
        let encoded = info.encoded_name();
        let (path, encoded) = (table.join(&encoded), Some(encoded));
        Self { path, encoded, info: Some(info), serves, listed: Some(listed), files: Vec::new() }
    }

    /// Files that are in no region.
    pub(crate) fn of_files(path: PathBuf, listed: Vec<FileEntry>) -> Self {
        let (encoded, info) = (None, None);
        Self { path, encoded, info, serves: true, listed: Some(listed), files: Vec::new() }
    }

    /// Returns the encoded name, which is that of the directory; `None` for files that are in no region.
    pub(crate) fn encoded(&self) -> Option<&str> {
        self.encoded.as_deref()
    }

    /// Lists the store files that are shown. Adds the reason that one of them, or a directory, cannot be
    /// examined to `faults`.
    pub(crate) fn file_entries(&self, faults: &mut Vec<CommandError>) -> Vec<FileEntry> {
        if let Some(listed) = &self.listed {
            return listed.clone();
        }
        let dirs = subdirectories(&self.path, faults);
        dirs.iter().flat_map(|dir| family_entries(dir, &name(dir), faults)).collect()
    }

    pub(crate) fn total(&self) -> Total {
        Total::of(self.files.iter().map(|file| file.total))
    }

    /// Adds the files of each family to `families`.
    pub(crate) fn add_families(&self, families: &mut BTreeMap<Option<String>, Total>) {
        for file in &self.files {
            families.entry(file.family().map(str::to_owned)).or_default().add(file.total);
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

/// Lists the store files, references and links of a family, by their names. Adds the reason that one of them,
/// or the directory, cannot be examined to `faults`.
pub(crate) fn family_entries(dir: &Path, family: &str, faults: &mut Vec<CommandError>) -> Vec<FileEntry> {
    let storage = vfs::storage();
    let mut found = Vec::new();
    for path in files_of(dir, faults) {
        let kind = match FileKind::of(&storage, &path) {
            Ok(kind) => kind,
            Err(error) => {
                // Outside of a root directory, that error is about the `.regioninfo`, for each of the files.
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
            found.push(FileEntry { family: Some(family.to_owned()), path, kind });
        }
    }
    found
}

/// Lists the directories in a directory, without hidden ones. Adds the reason that one of them, or the
/// directory, cannot be examined to `faults`.
pub(crate) fn subdirectories(dir: &Path, faults: &mut Vec<CommandError>) -> Vec<PathBuf> {
    entries(dir, true, faults)
}

/// Like [`subdirectories`], for files.
fn files_of(dir: &Path, faults: &mut Vec<CommandError>) -> Vec<PathBuf> {
    entries(dir, false, faults)
}

fn entries(dir: &Path, are_dirs: bool, faults: &mut Vec<CommandError>) -> Vec<PathBuf> {
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
pub(crate) fn families_json(families: &BTreeMap<Option<String>, Total>) -> Value {
    let family = |(name, total): (&Option<String>, &Total)| json!({ "family": name, "total": total.json() });
    families.iter().map(family).collect()
}

/// Returns the last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| text::json_path(Path::new(name)))
}
