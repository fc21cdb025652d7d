//! Merges several files into one, or into one for each span of time (read-path.md §17; HBase: `Compactor`,
//! `DefaultCompactor`, `DateTieredCompactor`).

use super::outputs::Outputs;
use crate::cache::CacheFill;
use crate::cell::OLDEST_TIMESTAMP;
use crate::error::Result;
use crate::layout::StagedFile;
use crate::store::matcher::CompactionKind;
use crate::store::read::key_value_scanner::KeyValueScanner;
use crate::store::read::scanner::StoreScanner;
use crate::store::write::compaction_filter::{EqualCells, Retention, apply};
use crate::store::write::writer::CellFlags;
use crate::store::{SeqIds, Store, StoreFile};
use std::ops::ControlFlow;

/// The parameters of a merge of files of a store.
#[derive(Clone, Copy)]
pub(crate) struct CompactionJob<'m> {
    /// In the order of read-path.md §6.2, oldest first.
    pub(crate) inputs: &'m [StoreFile],
    /// All files of the store, in the same order.
    pub(crate) files: &'m [StoreFile],
    /// Whether the store has no other files, so that markers are dropped.
    pub(crate) all_files: bool,
    /// Whether a major compaction was requested, or due. Its files may have a codec of their own.
    pub(crate) major: bool,
    /// The boundaries of the outputs: see [`Selection::boundaries`](super::Selection::boundaries).
    pub(crate) boundaries: &'m [i64],
    /// Whether only the files record the store's greatest sequence id, so that there must be an output even
    /// if no cell is kept.
    pub(crate) newest: bool,
    /// Called about every [`STRIDE`] bytes with the bytes since the last call: those of the cells kept, and
    /// [`ROW`] for each row. It may block. Its error ends the compaction.
    pub(crate) progress: &'m dyn Fn(u64) -> Result<()>,
}

/// The number of bytes between two calls of `progress`.
const STRIDE: u64 = 64 << 10;
/// The number of bytes counted for a row besides its cells, so that rows without cells count as well.
const ROW: u64 = 64;

impl Store {
    /// Merges files into new ones that have no names yet: into one, which is written even if no cell is kept;
    /// or, with boundaries, into one for each span of time that keeps a cell, at least one if `newest`.
    /// Leaves out [equal cells](EqualCells) if the `read_points` in use are given.
    pub(crate) fn compact(
        &self,
        merge: CompactionJob<'_>,
        keep: Retention,
        read_points: Option<Vec<i64>>,
    ) -> Result<Vec<StagedFile>> {
        let CompactionJob { inputs, files, all_files, major, boundaries, newest, progress } = merge;
        let Retention { info, max_read_point, mut filters } = keep;
        let (now, mut equal) = (info.now, EqualCells::new(read_points));
        let kind = kind_of(inputs, all_files);
        // Expired files are not read. Only with NEW_VERSION_BEHAVIOR would a minor compaction keep their
        // cells.
        let cutoff = info.cutoff(false);
        let scanners = inputs.iter().filter(|file| !file.is_older_than(cutoff)).map(|file| {
            let mut scanner = file.full_scanner();
            scanner.set_cache_fill(CacheFill::Nothing);
            KeyValueScanner::File(scanner)
        });
        let mut scanner = StoreScanner::for_compaction(
            scanners.collect(),
            self.order,
            kind,
            self.family.name(),
            &info,
            max_read_point,
        )?;
        let carries = CellFlags {
            // A filter may add tags.
            tags: !filters.is_empty() || inputs.iter().any(|file| file.hfile().stores_tags()),
            seq_ids: inputs.iter().any(|file| file.seq_ids() != SeqIds::All(0)),
            encrypted: inputs.iter().any(StoreFile::is_encrypted),
        };
        let zero = if all_files && !self.family.new_version_behavior {
            self.seq_id_to_zero(inputs, now).min(max_read_point)
        } else {
            0
        };
        let codec = if major { self.compaction.major_codec } else { self.compaction.minor_codec };
        let newest_first = files.iter().rev().map(StoreFile::hfile);
        let compression = self.compression(codec.unwrap_or(self.family.codec), newest_first)?;
        let mut outputs = Outputs::new(self, carries, compression, now, boundaries);
        let mut bytes = 0;
        loop {
            let more = scanner.next_row_unless(
                |_| false,
                |cell| {
                    bytes += (cell.key.as_bytes().len() + cell.value.len() + cell.tags.len()) as u64;
                    if bytes >= STRIDE {
                        progress(std::mem::take(&mut bytes))?;
                    }
                    if equal.leave_out(cell) {
                        return Ok(ControlFlow::Continue(()));
                    }
                    let seq_id = if cell.seq_id() <= zero { 0 } else { cell.seq_id() };
                    let cell = cell.with_seq_id(seq_id);
                    apply(&mut filters, cell, |cell| outputs.append(cell))?;
                    Ok(ControlFlow::Continue(()))
                },
            )?;
            if !more {
                break;
            }
            bytes += ROW;
            if bytes >= STRIDE {
                progress(std::mem::take(&mut bytes))?;
            }
        }
        // The last check before the files are replaced.
        progress(bytes)?;
        let max_seq_id = inputs.iter().map(StoreFile::max_seq_id).max().unwrap_or(0);
        outputs.finish(max_seq_id, all_files, inputs, boundaries.is_empty() || newest)
    }

    /// Returns the sequence id up to which writes need not be distinguished: the greatest in files that are
    /// old enough (§17.5).
    fn seq_id_to_zero(&self, inputs: &[StoreFile], now: i64) -> i64 {
        let since = now.saturating_sub(self.compaction.keep_seq_id_period);
        let old = |file: &&StoreFile| file.modified_millis() < since;
        inputs.iter().filter(old).map(StoreFile::max_memstore_ts).max().unwrap_or(0)
    }
}

/// Returns the kind of a compaction of files.
pub(super) fn kind_of(inputs: &[StoreFile], all_files: bool) -> CompactionKind {
    if !all_files {
        return CompactionKind::Minor;
    }
    let earliest = inputs.iter().map(|file| file.earliest_put_ts().unwrap_or(OLDEST_TIMESTAMP)).min();
    CompactionKind::Major { earliest_put_ts: earliest.unwrap_or(OLDEST_TIMESTAMP) }
}
