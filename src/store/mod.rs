//! One column family of one region: its contents, and how it is read, flushed and compacted (HBase:
//! `HStore`).

pub(crate) mod compact;
pub(crate) mod matcher;
mod mob;
mod read;
mod settings;
mod version;
mod write;

pub(crate) use mob::{FoundValues, MobFiles, is_mob_reference, listed_mob_files, lists_mob_files};
pub use read::explain::{CellReason, ExplainedCell, ExplainedFile, FileReason};
pub(crate) use read::explain::{ReturnedCells, StoreExplainer};
pub use read::{HFileHalf, HFileHalfScanner};
pub(crate) use read::{StoreScanner, context};
pub(crate) use settings::{WriteLimits, loads_families_on_demand, max_row_bytes, memstore_flush_size};
pub(crate) use version::{OpenedFiles, SeqIds, StoreFile, StoreFileUse, StoreVersion, have_tags, open_files};
pub use write::CompactionFilter;
pub(crate) use write::{FileSettings, Retention};

use crate::cell::CellOrder;
use crate::error::{Error, Result};
use crate::hfile::{HFileOptions, HFileWriterOptions};
use crate::io::Storage;
use crate::schema::Family;
use compact::CompactionConfig;
use matcher::ScanInfo;
use settings::Setting;
use std::path::PathBuf;
use std::sync::Arc;

/// The immutable properties of a store: its family, and the location and settings of its files.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) family: Family,
    pub(crate) order: CellOrder,
    /// The settings of its compactions.
    pub(crate) compaction: CompactionConfig,
    /// The error if these are invalid, in a region open for reading only.
    pub(crate) invalid_settings: Option<Error>,
    /// The settings of its new files.
    pub(crate) file_settings: FileSettings,
    /// The maximum size in bytes of the cells of a row that a read collects: `hbase.table.max.rowsize`, at
    /// most [`Limits::row_bytes`](crate::Limits::row_bytes).
    pub(crate) max_row_bytes: usize,
    /// Whether data blocks are cached by reads that request it (BLOCKCACHE).
    pub(crate) cache_data: bool,
    /// Whether new files with ZSTD have Hadoop's framing if the store has no file that shows the form.
    pub(crate) zstd_framed: bool,
    /// The path of the dictionary that the family names for ZSTD.
    pub(crate) zstd_dictionary: Option<String>,
    /// The directory of its files.
    pub(crate) dir: PathBuf,
    /// The directory where its files are written before they are moved to `dir`.
    pub(crate) tmp: PathBuf,
    pub(crate) options: HFileOptions,
    /// The files with the values to which its cells may refer (IS_MOB).
    pub(crate) mob: Option<MobFiles>,
    pub(crate) storage: Arc<dyn Storage>,
}

/// Reads the settings that opening a store for writing requires: of its compactions and new files, and the
/// path of a ZSTD dictionary. Also checks the limit of a row, and settings that would fail only at the first
/// flush, after writes were acknowledged.
///
/// # Errors
///
/// If a setting is invalid or unsupported.
pub(crate) fn read_settings(
    family: &Family,
    setting: Setting<'_, '_>,
) -> Result<(CompactionConfig, FileSettings, Option<String>)> {
    let compaction = CompactionConfig::from_settings(family, setting)?;
    let files = FileSettings::from_settings(family.name(), setting)?;
    max_row_bytes(family.name(), setting)?;
    let codecs = [Some(family.codec), compaction.major_codec, compaction.minor_codec];
    codecs.into_iter().flatten().try_for_each(|codec| {
        HFileWriterOptions::check_family(&family.clone().codec(codec), |options| files.add_to(options))
    })?;
    Ok((compaction, files, settings::zstd_dictionary(setting)))
}

impl Store {
    /// Returns the rules by which a flush or compaction at `now` keeps cells, which may have tags or not.
    pub(crate) fn scan_info(&self, now: i64, may_have_tags: bool) -> ScanInfo {
        let time_to_purge_deletes = self.compaction.time_to_purge_deletes;
        ScanInfo { time_to_purge_deletes, ..ScanInfo::new(&self.family, now, may_have_tags) }
    }
}
