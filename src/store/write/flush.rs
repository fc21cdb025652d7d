//! Writes cells from memory to a file (read-path.md §4; HBase: `DefaultStoreFlusher`).

use super::compaction_filter::{Retention, apply};
use super::writer::{BlockCompression, CellFlags, NewStoreFile};
use crate::cell::CellRef;
use crate::error::Result;
use crate::hfile::StoreFileOrigin;
use crate::layout::StagedFile;
use crate::memstore::Segment;
use crate::store::Store;
use crate::store::matcher::CompactionKind;
use crate::store::read::key_value_scanner::KeyValueScanner;
use crate::store::read::scanner::StoreScanner;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

impl Store {
    /// Writes the cells of segments with sequence ids in a range to a file that has no name yet. Returns
    /// `None` if the segments are empty, or if another range follows and no cell of this one is kept.
    /// `seq_id` is the sequence id of the flush. `encrypted`: whether the store has encrypted files, whose
    /// values memory may have.
    ///
    /// If the range is one of several, keeps all cells that have not expired: the cells that hide them may be
    /// in the file of another range, which a crash may prevent.
    pub(crate) fn flush(
        &self,
        segments: &[Arc<Segment>],
        seq_ids: RangeInclusive<i64>,
        seq_id: i64,
        encrypted: bool,
        compression: BlockCompression,
        keep: Retention,
    ) -> Result<Option<StagedFile>> {
        let Retention { info, max_read_point, mut filters } = keep;
        let (now, (first, last)) = (info.now, seq_ids.into_inner());
        let is_whole = (first, last) == (i64::MIN, i64::MAX);
        let max_read_point = if is_whole { max_read_point } else { i64::MIN };
        let scanners =
            segments.iter().map(|segment| KeyValueScanner::Segment(segment.scanner(last).reading_ahead()));
        let (kind, family) = (CompactionKind::Flush, self.family.name());
        let mut scanner = StoreScanner::for_compaction(
            scanners.collect(),
            self.order,
            kind,
            family,
            &info,
            max_read_point,
        )?;
        // A filter may add tags.
        let tags = !filters.is_empty() || info.may_have_tags;
        let carries = CellFlags { tags, seq_ids: true, encrypted };
        let mut file = None;
        let mut keep = |cell: CellRef<'_>| {
            if cell.seq_id() < first {
                return Ok(ControlFlow::Continue(()));
            }
            apply(&mut filters, cell, |cell| {
                if file.is_none() {
                    file = Some(NewStoreFile::create(self, carries, compression, now)?);
                }
                file.as_mut().map_or(Ok(()), |file| file.append(cell))
            })?;
            Ok(ControlFlow::Continue(()))
        };
        while scanner.next_row_unless(|_| false, &mut keep)? {}
        // A file without cells still records the sequence id of the flush, as in HBase.
        if file.is_none() && last == i64::MAX && segments.iter().any(|segment| !segment.is_empty()) {
            file = Some(NewStoreFile::create(self, carries, compression, now)?);
        }
        file.map(|file| file.finish(self, &StoreFileOrigin::flush(seq_id.min(last)))).transpose()
    }
}
