//! Where a store file is (HBase: `StoreFileInfo`).

use super::reference::Reference;
use std::path::PathBuf;

/// A store file: its name in the family's directory, the HFile the name leads to, and which of its cells count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreFileInfo {
    /// The name in the family's directory.
    pub(crate) name: String,
    /// The HFile, after links and references were followed.
    pub(crate) path: PathBuf,
    /// Which half of the HFile counts; none for all of it.
    pub(crate) reference: Option<Reference>,
    /// When the entry of the family's directory changed last, in milliseconds since 1970.
    pub(crate) modified_millis: i64,
}

impl StoreFileInfo {
    /// A plain file.
    pub(crate) fn plain(path: impl Into<PathBuf>, modified_millis: i64) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, path, reference: None, modified_millis }
    }
}
