//! Writes a file of a store, with the metadata that a store needs without reading the cells (hfile.md §11.3,
//! §14.3; HBase: `StoreFileWriter`).

use super::file_info::{FileInfoBuilder, names};
use super::{HFileWriter, HFileWriterOptions};
use crate::cell::{CellRef, CellType};
use crate::error::Result;
use crate::io::FileWriter;
use crate::proto;
use crate::proto::hfile::CompactionEventTracker;
use prost::Message;
use std::path::Path;

/// Writes an [`HFile`](super::HFile) with the metadata of a store's file: bounds of the timestamps, counts of
/// deletes, a filter of the rows with deleted families, and the origin of the cells (HBase:
/// `StoreFileWriter`).
#[derive(Debug)]
pub struct StoreFileWriter {
    writer: HFileWriter,
    tracked: Tracked,
    historical: bool,
}

/// The origin of a store file's cells, as its file info records it (HBase: the keys of `HStoreFile`, such as
/// `MAX_SEQ_ID_KEY` and `BULKLOAD_TIME_KEY`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFileOrigin {
    /// From the memory of a store, or from other files of the store.
    Store {
        /// The greatest log sequence id in the file.
        max_seq_id: i64,
        /// Whether a major compaction of the store wrote the file.
        major_compaction: bool,
        /// The names of the files that were compacted into this one, and of the files compacted into those;
        /// empty for a flush.
        compacted: Vec<Vec<u8>>,
    },
    /// From a job that wrote the file for a bulk load.
    BulkLoad {
        /// The time of the job, in milliseconds.
        timestamp: i64,
        /// The task that wrote the file.
        source_task: Vec<u8>,
        /// Whether minor compactions skip the file.
        exclude_from_minor_compaction: bool,
        /// Whether cells keep their sequence ids.
        skip_reset_seq_id: bool,
    },
}

/// The statistics tracked over the cells.
#[derive(Debug)]
pub(super) struct Tracked {
    min_timestamp: i64,
    max_timestamp: i64,
    earliest_put: i64,
    family_deletes: u64,
}

impl StoreFileWriter {
    /// Creates a file. See [`HFileWriterOptions::create`].
    ///
    /// # Errors
    ///
    /// If the file cannot be created, or the options are invalid.
    pub fn create(options: HFileWriterOptions, path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(with_delete_family_bloom(options).create(path)?))
    }

    /// Creates a file in any [`FileWriter`]. See [`HFileWriterOptions::create_in`].
    ///
    /// # Errors
    ///
    /// If the options are invalid.
    pub fn create_in(options: HFileWriterOptions, file: Box<dyn FileWriter>) -> Result<Self> {
        Ok(Self::new(with_delete_family_bloom(options).create_in(file)?))
    }

    fn new(writer: HFileWriter) -> Self {
        Self { writer, tracked: Tracked::new(), historical: false }
    }

    /// Sets whether the file holds only cells that newer ones have replaced (default: no). Reads of current
    /// data skip such a file.
    #[must_use]
    pub fn historical(mut self, historical: bool) -> Self {
        self.historical = historical;
        self
    }

    /// Appends a cell. See [`HFileWriter::append`].
    ///
    /// # Errors
    ///
    /// Same as [`HFileWriter::append`].
    #[inline]
    pub fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        self.writer.append_ref(&cell)?;
        self.tracked.count(&cell);
        Ok(())
    }

    /// Adds an entry to the file info. See [`HFileWriter::add_file_info`].
    ///
    /// An entry added here overrides the origin's entry of the same key.
    ///
    /// # Errors
    ///
    /// Same as [`HFileWriter::add_file_info`].
    pub fn add_file_info(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.writer.add_file_info(key, value)
    }

    /// Returns the number of cells appended.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.writer.entry_count()
    }

    /// Finishes the file. See [`HFileWriter::finish`].
    ///
    /// # Errors
    ///
    /// Same as [`HFileWriter::finish`]; also if a file info entry was added that is derived from the cells.
    pub fn finish(mut self, origin: &StoreFileOrigin) -> Result<u64> {
        let info = self.writer.info_mut();
        origin.put(info);
        self.tracked.put(info)?;
        info.put_missing_flag(names::HISTORICAL, self.historical);
        self.writer.finish()
    }
}

fn with_delete_family_bloom(mut options: HFileWriterOptions) -> HFileWriterOptions {
    options.delete_family_bloom = !options.no_delete_family_bloom;
    options
}

impl StoreFileOrigin {
    /// Describes a flush of everything logged up to a sequence id.
    #[must_use]
    pub fn flush(max_seq_id: i64) -> Self {
        Self::Store { max_seq_id, major_compaction: false, compacted: Vec::new() }
    }

    /// Adds the origin's entries, except those that were added explicitly.
    fn put(&self, info: &mut FileInfoBuilder) {
        match self {
            Self::Store { max_seq_id, major_compaction, compacted } => {
                info.put_missing(names::MAX_SEQ_ID, max_seq_id.to_be_bytes());
                info.put_missing_flag(names::MAJOR_COMPACTION, *major_compaction);
                let event = CompactionEventTracker { compacted_store_file: compacted.clone() };
                let event = [proto::MAGIC.as_slice(), &event.encode_to_vec()].concat();
                info.put_missing(names::COMPACTION_EVENT, event);
            }
            Self::BulkLoad { timestamp, source_task, exclude_from_minor_compaction, skip_reset_seq_id } => {
                info.put_missing(names::BULKLOAD_TIMESTAMP, timestamp.to_be_bytes());
                info.put_missing(names::BULKLOAD_SOURCE_TASK, source_task);
                // as in HBase's jobs: the file has no older cells that a compaction could drop
                info.put_missing_flag(names::MAJOR_COMPACTION, true);
                info.put_missing_flag(names::EXCLUDE_FROM_MINOR_COMPACTION, *exclude_from_minor_compaction);
                if *skip_reset_seq_id {
                    info.put_missing_flag(names::SKIP_RESET_SEQ_ID, true);
                }
            }
        }
    }
}

impl Tracked {
    pub(super) fn new() -> Self {
        Self { min_timestamp: i64::MAX, max_timestamp: -1, earliest_put: i64::MAX, family_deletes: 0 }
    }

    #[inline]
    pub(super) fn count(&mut self, cell: &CellRef<'_>) {
        let (timestamp, cell_type) = (cell.timestamp(), cell.cell_type());
        self.min_timestamp = self.min_timestamp.min(timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        if cell_type == CellType::Put {
            self.earliest_put = self.earliest_put.min(timestamp);
        }
        if matches!(cell_type, CellType::DeleteFamily | CellType::DeleteColumn) {
            // these hide everything older
            self.min_timestamp = self.min_timestamp.min(0);
            self.max_timestamp = self.max_timestamp.max(0);
        }
        self.family_deletes += u64::from(cell_type.is_family_delete());
    }

    pub(super) fn put(&self, info: &mut FileInfoBuilder) -> Result<()> {
        let range = [self.min_timestamp.to_be_bytes(), self.max_timestamp.to_be_bytes()];
        info.put(names::TIME_RANGE, range.as_flattened())?;
        info.put(names::EARLIEST_PUT_TS, self.earliest_put.to_be_bytes())?;
        info.put(names::DELETE_FAMILY_COUNT, self.family_deletes.to_be_bytes())
    }
}
