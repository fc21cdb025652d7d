//! The metadata of a file for the selection of files to compact.

use crate::store::StoreFile;

/// The properties of a store file that the selection uses (HBase: `HStoreFile`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CandidateFile {
    /// The name in its directory.
    pub(crate) name: String,
    /// The length in bytes.
    pub(crate) len: u64,
    /// The largest sequence id (read-path.md §7.5).
    pub(crate) max_seq_id: i64,
    /// Whether it is a half of a file of a region that was split.
    pub(crate) is_reference: bool,
    /// Whether it was bulk-loaded.
    pub(crate) is_bulk_loaded: bool,
    /// Whether minor compactions exclude it (file info `EXCLUDE_FROM_MINOR_COMPACTION`).
    pub(crate) excluded_from_minor: bool,
    /// Whether it was made from all files of its store (file info `MAJOR_COMPACTION_KEY`).
    pub(crate) is_major_compaction: bool,
    /// When the file was last modified, in milliseconds.
    pub(crate) modified: i64,
    /// The smallest timestamp of its cells (file info `TIMERANGE`), if it has cells and records it.
    pub(crate) min_timestamp: Option<i64>,
    /// The largest timestamp of its cells, likewise.
    pub(crate) max_timestamp: Option<i64>,
    /// The number of its cells.
    pub(crate) entry_count: u64,
}

impl StoreFile {
    /// Returns the file's metadata for the selection of files to compact.
    pub(crate) fn candidate(&self) -> CandidateFile {
        let times = self.time_range();
        CandidateFile {
            name: self.name().to_owned(),
            len: self.file_len(),
            max_seq_id: self.max_seq_id(),
            is_reference: self.is_reference(),
            is_bulk_loaded: self.is_bulk_loaded(),
            excluded_from_minor: self.excluded_from_minor(),
            is_major_compaction: self.is_major_compaction(),
            modified: self.modified_millis(),
            min_timestamp: times.map(|(min, _)| min),
            max_timestamp: times.map(|(_, max)| max),
            entry_count: self.entry_count(),
        }
    }
}
