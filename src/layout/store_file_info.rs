//! The location of a store file (HBase: `StoreFileInfo`).

use super::reference::Reference;
use std::path::PathBuf;

/// A store file: its name in the family's directory, the HFile it refers to, and the part of the HFile that
/// belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreFileInfo {
    /// The name in the family's directory.
    pub(crate) name: String,
    /// The path of the HFile, after links and references have been followed.
    pub(crate) path: PathBuf,
    /// The half of the HFile that belongs to the file; `None` for all of it.
    pub(crate) reference: Option<Reference>,
    /// When the entry in the family's directory was last modified, in milliseconds since 1970.
    pub(crate) modified_millis: i64,
}

impl StoreFileInfo {
    /// Creates the location of a plain file.
    pub(crate) fn plain(path: impl Into<PathBuf>, modified_millis: i64) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, path, reference: None, modified_millis }
    }
}
