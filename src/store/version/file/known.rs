//! Metadata of a file from its file info and its name (read-path.md §1.5, §7.5).

use crate::error::{Corruption, Result};
use crate::hfile::HFile;
use crate::layout::{Half, StoreFileInfo};

/// The sequence ids that the cells of a file have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeqIds {
    /// Those stored with them, at most this.
    Stored(i64),
    /// This one, regardless of what is stored.
    All(i64),
}

/// The values of the file info entries and of the name.
pub(super) struct StoreFileMetadata {
    pub(super) max_seq_id: i64,
    pub(super) seq_ids: SeqIds,
    pub(super) max_memstore_ts: i64,
    pub(super) keeps_seq_ids: bool,
    pub(super) bulk_load_time: Option<i64>,
    pub(super) is_bulk_loaded: bool,
    pub(super) time_range: Option<(i64, i64)>,
    pub(super) earliest_put_ts: Option<i64>,
    pub(super) is_major_compaction: bool,
    pub(super) excluded_from_minor: bool,
    pub(super) compacted_inputs: Vec<Vec<u8>>,
}

impl StoreFileMetadata {
    pub(super) fn read(hfile: &HFile, store_file: &StoreFileInfo) -> Result<Self, Corruption> {
        let info = hfile.file_info();
        let bulk_load_time = info.bulkload_timestamp()?;
        // A link or reference has in its name the name given by the bulk load.
        let file_name = store_file.path.file_name().unwrap_or_default().to_string_lossy();
        let loaded_as = bulk_load_seq_id(&file_name)?;
        let is_bulk_loaded = loaded_as.is_some() || bulk_load_time.is_some();
        let keeps_seq_ids = info.skip_reset_seq_id()? == Some(true);
        let is_top = store_file.reference.as_ref().is_some_and(|reference| reference.half == Half::Top);
        let max_seq_id = loaded_as
            .or(info.max_seq_id()?)
            .map_or(Some(-1), |id| id.checked_add(is_top.into()))
            .and_then(|id| id.checked_add((is_bulk_loaded && keeps_seq_ids).into()))
            .ok_or(Corruption::Malformed("sequence id of the file is the greatest there is"))?;
        let max_memstore_ts = max_memstore_ts(hfile)?;
        let seq_ids = if is_bulk_loaded && !keeps_seq_ids {
            SeqIds::All(max_seq_id)
        } else if max_memstore_ts > 0 {
            SeqIds::Stored(max_memstore_ts)
        } else {
            SeqIds::All(0)
        };
        let compacted = info.compaction_event()?.unwrap_or_default();
        Ok(Self {
            max_seq_id,
            seq_ids,
            max_memstore_ts,
            keeps_seq_ids,
            bulk_load_time,
            is_bulk_loaded,
            // Without cells the range is inverted. It gives no bounds then.
            time_range: info.time_range()?.map(|r| (r.min, r.max)).filter(|(min, max)| min <= max),
            earliest_put_ts: info.earliest_put_ts()?,
            is_major_compaction: info.major_compaction()? == Some(true),
            excluded_from_minor: info.exclude_from_minor_compaction()? == Some(true),
            compacted_inputs: compacted.into_iter().map(<[u8]>::to_vec).collect(),
        })
    }
}

/// Returns the greatest sequence id stored with a cell of the file.
fn max_memstore_ts(hfile: &HFile) -> Result<i64, Corruption> {
    match hfile.file_info().max_memstore_ts()? {
        Some(max) if hfile.has_seq_ids() => Ok(max),
        None if hfile.has_seq_ids() => {
            Err(Corruption::Malformed("MAX_MEMSTORE_TS_KEY is missing, though cells have sequence ids"))
        }
        _ => Ok(0),
    }
}

/// Returns the sequence id in the name that a bulk load gives a file: `…_SeqId_<n>_`.
fn bulk_load_seq_id(name: &str) -> Result<Option<i64>, Corruption> {
    let Some((digits, _)) = name.rsplit_once("_SeqId_").and_then(|(_, after)| after.split_once('_')) else {
        return Ok(None);
    };
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let id =
        digits.parse().map_err(|_| Corruption::Malformed("sequence id in the file's name is too great"))?;
    Ok(Some(id))
}
