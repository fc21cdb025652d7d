//! A file of a store: an HFile, its metadata, and whether a query can match it (read-path.md §1.5, §6.2,
//! §6.3, §7.5; HBase: `HStoreFile`, `StoreFileReader`).

mod known;
mod rows;

pub(crate) use known::SeqIds;

use crate::block::BlockType;
use crate::block::bloom::HashedRow;
use crate::cell::{CellOrder, prefix};
use crate::error::{Corruption, Result};
use crate::hfile::{HFile, HFileOptions};
use crate::layout::{Reference, StoreFileInfo};
use crate::op::Query;
use crate::schema::BloomType;
use crate::store::read::file_scanner::StoreFileScanner;
use crate::store::read::reversed_file_scanner::ReversedStoreFileScanner;
use known::StoreFileMetadata;
use rows::Rows;
use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};

/// Whether a file can have cells that a query selects, or the check that excludes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Match {
    /// It can have them.
    Yes,
    /// No: all its cells are too old or too new.
    NotByTime,
    /// No: all its rows are before or after the query's, or it has none.
    NotByKey,
    /// No: its Bloom filter excludes the row or column.
    NotByBloom,
}

/// An open file of a store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StoreFile(Arc<StoreFileCore>);

/// A handle that tells whether a file is still open.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreFileUse(Weak<StoreFileCore>);

impl StoreFileUse {
    pub(crate) fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

struct StoreFileCore {
    hfile: HFile,
    info: StoreFileInfo,
    order: CellOrder,
    known: StoreFileMetadata,
    /// The first and last row; `None` without cells.
    rows: Option<Rows>,
}

impl StoreFile {
    /// Opens a file. For a half, also finds its first or last row, which reads a block.
    ///
    /// # Errors
    ///
    /// If the HFile cannot be opened, sorts its cells in an unknown order, or has invalid values in its file
    /// info.
    pub(crate) fn open(options: &HFileOptions, info: &StoreFileInfo) -> Result<Self> {
        let hfile = options.open(&info.path)?;
        let Some(order) = hfile.order() else {
            let name = format!("{:?}", hfile.trailer().comparator_class_name());
            let corruption = Corruption::unsupported("comparator of a store file,", name);
            return Err(corruption.at(hfile.path(), hfile.trailer().offset()));
        };
        let rows = Rows::of(&hfile, order, info.reference.as_ref())?;
        let known = StoreFileMetadata::read(&hfile, info).map_err(|corruption| {
            let offset = u64::try_from(hfile.trailer().file_info_offset()).unwrap_or_default();
            corruption.in_block(hfile.path(), offset, BlockType::FileInfo.name())
        })?;
        Ok(Self(Arc::new(StoreFileCore { hfile, info: info.clone(), order, known, rows })))
    }

    /// Returns a handle that tells whether the file is still open, without keeping it open.
    pub(crate) fn in_use(&self) -> StoreFileUse {
        StoreFileUse(Arc::downgrade(&self.0))
    }

    /// Returns the file's name in the family's directory.
    pub(crate) fn name(&self) -> &str {
        &self.0.info.name
    }

    /// Returns the path of the HFile.
    pub(crate) fn path(&self) -> &Path {
        &self.0.info.path
    }

    /// Returns the length of the HFile in bytes, even for a half.
    pub(crate) fn file_len(&self) -> u64 {
        self.0.hfile.file_len()
    }

    /// Returns the number of cells. For a half, this is an estimate: half of the file's.
    pub(crate) fn entry_count(&self) -> u64 {
        let count = self.0.hfile.entry_count();
        if self.is_reference() { count / 2 } else { count }
    }

    /// Returns the greatest sequence id of the log that is in the file, by which files are ordered. -1 if it
    /// is not recorded.
    ///
    /// A bulk-loaded file has it in its name. A top half adds one to that of its file, so that both halves of
    /// one file have different ids if they are merged into one region (read-path.md §7.5).
    pub(crate) fn max_seq_id(&self) -> i64 {
        self.0.known.max_seq_id
    }

    /// Returns the greatest sequence id stored with a cell; 0 if none are stored.
    pub(crate) fn max_memstore_ts(&self) -> i64 {
        self.0.known.max_memstore_ts
    }

    /// Whether the cells keep their sequence ids if the file is bulk-loaded. The file's sequence id is then
    /// one more than the one in its name.
    pub(crate) fn keeps_seq_ids(&self) -> bool {
        self.0.known.keeps_seq_ids
    }

    /// Returns when the file was written for a bulk load, in milliseconds.
    pub(crate) fn bulk_load_time(&self) -> Option<i64> {
        self.0.known.bulk_load_time
    }

    /// Whether the file was bulk-loaded, according to its name or its file info.
    pub(crate) fn is_bulk_loaded(&self) -> bool {
        self.0.known.is_bulk_loaded
    }

    /// Whether the HFile's blocks are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.hfile.trailer().is_encrypted()
    }

    /// Whether the file is a half of an HFile.
    pub(crate) fn is_reference(&self) -> bool {
        self.0.info.reference.is_some()
    }

    /// Returns the half of the HFile that the file is, if it is one.
    pub(crate) fn reference(&self) -> Option<&Reference> {
        self.0.info.reference.as_ref()
    }

    /// Returns the bounds of the timestamps, both inclusive. They include 0 if there are markers that hide
    /// all older cells. `None` if unknown.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        self.0.known.time_range
    }

    /// Returns the greatest timestamp; `i64::MAX` if it is unknown.
    #[inline]
    pub(in crate::store) fn newest_time(&self) -> i64 {
        self.0.known.time_range.map_or(i64::MAX, |(_, max)| max)
    }

    /// Returns the smallest timestamp of a Put: `i64::MAX` if the file has no Put, `None` if it is not
    /// recorded.
    pub(crate) fn earliest_put_ts(&self) -> Option<i64> {
        self.0.known.earliest_put_ts
    }

    /// Whether a major compaction made the file.
    pub(crate) fn is_major_compaction(&self) -> bool {
        self.0.known.is_major_compaction
    }

    /// Whether minor compactions exclude the file.
    pub(crate) fn excluded_from_minor(&self) -> bool {
        self.0.known.excluded_from_minor
    }

    /// Returns when the file was last changed, in milliseconds.
    pub(crate) fn modified_millis(&self) -> i64 {
        self.0.info.modified_millis
    }

    /// Returns the names of the files this one was compacted from, which must not be read together with it
    /// (hfile.md §15.7).
    pub(crate) fn compacted_inputs(&self) -> &[Vec<u8>] {
        &self.0.known.compacted_inputs
    }

    /// Returns the first row; `None` without cells.
    pub(crate) fn first_row(&self) -> Option<&[u8]> {
        self.0.rows.as_ref().map(|rows| rows.first.as_slice())
    }

    /// Returns the last row; `None` without cells.
    pub(crate) fn last_row(&self) -> Option<&[u8]> {
        self.0.rows.as_ref().map(|rows| rows.last.as_slice())
    }

    /// Returns the HFile, the whole of it even for a half.
    pub(crate) fn hfile(&self) -> &HFile {
        &self.0.hfile
    }

    /// Returns the order of the cells.
    #[inline]
    pub(crate) fn order(&self) -> CellOrder {
        self.0.order
    }

    /// Returns which sequence ids the cells have.
    pub(crate) fn seq_ids(&self) -> SeqIds {
        self.0.known.seq_ids
    }

    /// Whether the file can have cells that a query selects (read-path.md §6.3).
    ///
    /// `cutoff` is the oldest unexpired timestamp, or `i64::MIN`. With `new_version_behavior` a version after
    /// the time range affects the result, so the range's end excludes nothing (§23.20). The file's Bloom
    /// filter is checked only if `ask_filter`, which is false if the family has none.
    ///
    /// Unlike HBase, also excludes halves by their rows.
    #[inline]
    pub(crate) fn may_match(
        &self,
        query: &Query<'_>,
        cutoff: i64,
        new_version_behavior: bool,
        ask_filter: bool,
    ) -> Match {
        if !self.matches_time(query, cutoff, new_version_behavior) {
            Match::NotByTime
        } else if !self.matches_rows(query) {
            Match::NotByKey
        } else if ask_filter && !self.passes_filter(query, &mut HashedRow::new(query.start)) {
            Match::NotByBloom
        } else {
            Match::Yes
        }
    }

    /// Whether all cells of the file have timestamps less than `cutoff`, the oldest unexpired one.
    #[inline]
    pub(crate) fn is_older_than(&self, cutoff: i64) -> bool {
        self.0.known.time_range.is_some_and(|(_, max)| max < cutoff)
    }

    #[inline]
    fn matches_time(&self, query: &Query<'_>, cutoff: i64, new_version_behavior: bool) -> bool {
        let Some((min, max)) = self.0.known.time_range else { return true };
        let min = if new_version_behavior { i64::MIN } else { min };
        query.time_range.overlaps(min, max) && max >= cutoff
    }

    /// Ignores that the bounds may be exclusive: it makes no difference here.
    #[inline]
    fn matches_rows(&self, query: &Query<'_>) -> bool {
        let Some(rows) = &self.0.rows else { return false };
        if query.get_like {
            return rows.may_contain(query.start, prefix(query.start, 0));
        }
        let (least, greatest) = query.bounds();
        rows.overlap(least, greatest)
    }

    /// Whether the file's Bloom filter, if any, passes a query whose first row is `row`.
    #[inline]
    pub(in crate::store) fn passes_filter(&self, query: &Query<'_>, row: &mut HashedRow<'_>) -> bool {
        let hfile = &self.0.hfile;
        match hfile.general_bloom().map(|bloom| bloom.bloom_type()) {
            Some(BloomType::Row) => !query.get_like || hfile.may_contain_hashed(row),
            Some(BloomType::RowCol) => match query.columns {
                [column] if query.get_like => hfile.may_contain_column(query.start, column),
                _ => true,
            },
            Some(BloomType::RowPrefixFixedLength(len)) => {
                !(query.get_like || is_of_one_prefix(query, len)) || hfile.may_contain_hashed(row)
            }
            None => true,
        }
    }

    /// Whether the Bloom filter has the columns of the rows.
    pub(in crate::store) fn filters_columns(&self) -> bool {
        self.0.hfile.general_bloom().is_some_and(|bloom| bloom.bloom_type() == BloomType::RowCol)
    }

    /// Creates a scanner of all cells, visible or not, as for a compaction.
    pub(crate) fn full_scanner(&self) -> StoreFileScanner<'_> {
        self.scanner(None, false)
    }

    /// Creates a scanner of the cells visible at a read point, or of all cells without one.
    ///
    /// `non_null_column`: whether the query names columns and the empty one is not among them
    /// (read-path.md §7.1).
    pub(crate) fn scanner(&self, read_point: Option<i64>, non_null_column: bool) -> StoreFileScanner<'_> {
        StoreFileScanner::new(self, read_point, non_null_column)
    }

    /// Creates a scanner of the cells visible at a read point, from row to row backward.
    pub(crate) fn reversed_scanner(&self, read_point: i64) -> ReversedStoreFileScanner<'_> {
        ReversedStoreFileScanner::new(self, read_point)
    }
}

/// Whether all rows from a query's first to its last begin with the same `len` bytes.
fn is_of_one_prefix(query: &Query<'_>, len: u32) -> bool {
    let Ok(len) = usize::try_from(len) else { return false };
    let prefix = |row| <[u8]>::get(row, ..len).filter(|prefix| !prefix.is_empty());
    prefix(query.start).is_some_and(|start| prefix(query.stop) == Some(start))
}

/// Orders files as they are read, the oldest first: by sequence id, the longer before the shorter, by the
/// time of the bulk load, by name (read-path.md §6.2; HBase: `StoreFileComparators.SEQ_ID`).
pub(crate) fn compare_by_seq_id(a: &StoreFile, b: &StoreFile) -> Ordering {
    let load_time = |file: &StoreFile| file.bulk_load_time().unwrap_or(i64::MAX);
    a.max_seq_id()
        .cmp(&b.max_seq_id())
        .then_with(|| b.file_len().cmp(&a.file_len()))
        .then_with(|| load_time(a).cmp(&load_time(b)))
        .then_with(|| a.name().cmp(b.name()))
}

impl fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFile")
            .field("name", &self.name())
            .field("seq_id", &self.max_seq_id())
            .field("bytes", &self.file_len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
