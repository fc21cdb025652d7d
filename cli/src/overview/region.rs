//! A region's directory and its store files.

use super::file::{FilePlace, StoreFile};
use super::total::Total;
use crate::failure::CommandError;
use crate::places;
use crate::probe;
use crate::regions::entries_of;
use crate::text;
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

    /// Lists the store files, references and links of all families, by their names.
    pub(crate) fn places(&self) -> Result<Vec<FilePlace>, CommandError> {
        let storage = places::storage();
        let mut places = Vec::new();
        for dir in entries_of(&self.path, |path| Ok(!name(path).starts_with('.') && probe::is_dir(path)?))? {
            for path in entries_of(&dir, |path| Ok(!name(path).starts_with('.') && !probe::is_dir(path)?))? {
                let kind = FileKind::of(&storage, &path)?;
                let is_stored = match kind {
                    FileKind::StoreFile => has_store_file_name(&path),
                    kind => matches!(kind, FileKind::Reference | FileKind::Link),
                };
                if is_stored {
                    places.push(FilePlace { family: name(&dir), path, kind });
                }
            }
        }
        Ok(places)
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

/// Whether a file of a family is named as HBase names store files: other entries are findings of the check.
fn has_store_file_name(path: &Path) -> bool {
    let name = name(path);
    let digits = name.split(['_', '.']).next().unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
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
