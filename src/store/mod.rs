//! One column family of one region: its contents, and how it is read, flushed and compacted (HBase:
//! `HStore`).

pub(crate) mod compact;
mod compaction_filter;
pub(crate) mod context;
mod file;
mod file_scanner;
mod flush;
mod get;
mod heap;
pub(crate) mod matcher;
mod merging_iterator;
mod open_files;
mod reversed_file_scanner;
mod reversed_heap;
mod row_cells;
mod row_match;
mod scanner;
mod state;
mod writer;

pub use compaction_filter::CompactionFilter;
pub(crate) use compaction_filter::Retention;
pub(crate) use file::{SeqIds, StoreFile};
pub(crate) use open_files::{OpenedFiles, open_files};
pub(crate) use scanner::StoreScanner;
pub(crate) use state::StoreVersion;

use crate::cell::CellOrder;
use crate::hfile::HFileOptions;
use crate::io::Storage;
use crate::schema::Family;
use compact::CompactionConfig;
use matcher::ScanInfo;
use std::path::PathBuf;
use std::sync::Arc;

/// The immutable properties of a store: its family, and where and how its files are kept.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) family: Family,
    pub(crate) order: CellOrder,
    /// How its files are compacted.
    pub(crate) compaction: CompactionConfig,
    /// The directory of its files.
    pub(crate) dir: PathBuf,
    /// The directory where its files are written before they are moved to `dir`.
    pub(crate) tmp: PathBuf,
    pub(crate) options: HFileOptions,
    pub(crate) storage: Arc<dyn Storage>,
}

impl Store {
    /// Returns the rules by which a flush or compaction at `now` keeps cells.
    pub(crate) fn scan_info(&self, now: i64) -> ScanInfo {
        let time_to_purge_deletes = self.compaction.time_to_purge_deletes;
        ScanInfo { time_to_purge_deletes, ..ScanInfo::new(&self.family, now) }
    }
}
