//! Writes cells from memory to a file (read-path.md §4; HBase: `DefaultStoreFlusher`).

use super::compaction_filter::{EqualCells, Retention, apply};
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
use std::ops::ControlFlow;
use std::sync::Arc;

impl Store {
    /// Writes the cells of segments to a file that has no name yet. Returns `None` if the segments are empty.
    /// `seq_id` is the sequence id of the flush. `encrypted`: whether the store has encrypted files, whose
    /// values memory may have.
    pub(crate) fn flush(
        &self,
        segments: &[Arc<Segment>],
        seq_id: i64,
        encrypted: bool,
        compression: BlockCompression,
        keep: Retention,
    ) -> Result<Option<StagedFile>> {
        let Retention { info, max_read_point, mut filters, read_points } = keep;
        let (now, mut equal) = (info.now, EqualCells::new(read_points, self.family.new_version_behavior));
        let scanners = segments
            .iter()
            .map(|segment| KeyValueScanner::Segment(segment.scanner(i64::MAX).reading_ahead()));
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
            if equal.leave_out(cell) {
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
        if file.is_none() && segments.iter().any(|segment| !segment.is_empty()) {
            file = Some(NewStoreFile::create(self, carries, compression, now)?);
        }
        file.map(|file| file.finish(self, &StoreFileOrigin::flush(seq_id))).transpose()
    }
}
