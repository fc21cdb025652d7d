//! Reads the newest version of some columns of a row, newest source first, and leaves out sources whose cells
//! are all older than those found. HBase does the same by lazy seeks (read-path.md §7.4).

use super::InPlace;
use crate::block::bloom::HashedRow;
use crate::cell::{CellRef, CellType, LATEST_TIMESTAMP, RowBuf};
use crate::error::Result;
use crate::metrics::ReadCounts;
use crate::op::{Query, TimeRange};
use crate::store::matcher::ScanInfo;
use crate::store::read::row_cells::{MAX_SOURCES, RowCells, RowMerge};
use crate::store::version::{Sources, StoreVersion};
use bytes::Bytes;

/// The maximum number of columns; more are read from all sources.
const MAX_COLUMNS: usize = 8;

/// The number of cells of a row searched for a column before the row is merged.
const AHEAD: usize = 16;

/// For each source, from the oldest to the newest, the greatest timestamp of all older ones.
pub(super) struct OlderTimes([i64; MAX_SOURCES]);

impl OlderTimes {
    /// Returns the times if a source that is read early may make older ones unnecessary.
    #[inline]
    pub(super) fn of(sources: &Sources<'_>, query: &Query<'_>, info: &ScanInfo) -> Option<Self> {
        if query.columns.is_empty()
            || query.columns.len() > MAX_COLUMNS
            || query.max_versions.min(info.max_versions) != 1
            || query.raw
            || query.filtered
            || query.max_results.is_some()
            || query.row_offset > 0
            || info.new_version_behavior
        {
            return None;
        }
        let files = sources.files.iter().map(|file| file.newest_time());
        let segments = sources.segments.iter().map(|segment| segment.time_range().1);
        let (mut times, mut greatest, mut helps) = ([i64::MIN; MAX_SOURCES], i64::MIN, false);
        for (at, newest) in files.chain(segments).enumerate() {
            *times.get_mut(at)? = greatest;
            helps |= at > 0 && newest > greatest;
            greatest = greatest.max(newest);
        }
        helps.then_some(Self(times))
    }
}

/// The greatest timestamps at which a value of each column was found.
struct NewestValues<'q> {
    columns: &'q [Bytes],
    range: TimeRange,
    times: [i64; MAX_COLUMNS],
}

impl<'q> NewestValues<'q> {
    fn new(query: &Query<'q>) -> Self {
        Self { columns: query.columns, range: query.time_range, times: [i64::MIN; MAX_COLUMNS] }
    }

    fn note(&mut self, cell: CellRef<'_>) {
        let (key, timestamp) = (cell.key(), cell.timestamp());
        if key.type_code() != CellType::Put.code()
            || timestamp == LATEST_TIMESTAMP
            || !self.range.contains(timestamp)
        {
            return;
        }
        for (column, time) in self.columns.iter().zip(&mut self.times) {
            if column == key.qualifier() {
                *time = timestamp.max(*time);
                return;
            }
        }
    }

    /// Whether a value of each column is newer than a timestamp.
    fn are_after(&self, timestamp: i64) -> bool {
        self.times.iter().take(self.columns.len()).all(|&time| time > timestamp)
    }
}

impl StoreVersion {
    /// Reads the row in place, if possible, and leaves out sources that cannot change the result. Returns
    /// `None` if the values found turn out to be hidden: then all sources must be read. Unless it returns
    /// [`InPlace::Done`], leaves `row` unchanged.
    #[inline(never)] // its locals are large
    pub(super) fn get_newest<'s>(
        &'s self,
        sources: &Sources<'s>,
        older: &OlderTimes,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<Option<InPlace>> {
        let mut found = RowMerge::from_newest();
        let mut newest = NewestValues::new(query);
        let (mut skipped, mut read, mut partial_reads) = (0_u64, 0_u64, 0);
        let mut hashed = HashedRow::new(query.start);
        let mut left = sources.len();
        while left > 0 {
            left -= 1;
            let cells = match left.checked_sub(sources.files.len()) {
                Some(at) => sources.segments.get(at).map_or(Ok(RowCells::End), |it| {
                    Ok(RowCells::of_segment(it, query.start, query.read_point))
                }),
                None => match sources.files.get(left) {
                    Some(file) if !self.has_bloom || file.passes_filter(query, &mut hashed) => {
                        read += 1;
                        RowCells::of_file(file, query.start, query.read_point, &mut partial_reads)
                    }
                    _ => {
                        skipped += 1;
                        continue;
                    }
                },
            };
            let Ok(mut cells) = cells else { return Ok(Some(InPlace::ForScanner)) };
            if self.skip_to_column(&mut cells, query).is_err() {
                return Ok(Some(InPlace::ForScanner));
            }
            if matches!(cells, RowCells::End) {
                continue;
            }
            cells.look_ahead(AHEAD, |cell| newest.note(cell));
            if !found.push_older(cells) {
                return Ok(Some(InPlace::ForScanner));
            }
            if newest.are_after(older.0[left]) {
                break;
            }
        }
        let (before, cells_before) = (row.mark(), counts.cells);
        if self.read_pushed(&mut found, query, info, row, counts)? == InPlace::ForScanner {
            return Ok(Some(InPlace::ForScanner));
        }
        if left > 0 {
            let (_, len) = before;
            let mut cells = row.as_row().cells().skip(len);
            let complete =
                row.len() - len == query.columns.len() && cells.all(|cell| cell.timestamp() > older.0[left]);
            if !complete {
                row.truncate(before);
                counts.cells = cells_before;
                return Ok(None);
            }
        }
        counts.seeks += 1;
        counts.files_skipped_by_bloom += skipped;
        counts.files_skipped_by_time += left.min(sources.files.len()) as u64;
        counts.data_block_hits += read.saturating_sub(partial_reads);
        Ok(Some(InPlace::Done))
    }
}
