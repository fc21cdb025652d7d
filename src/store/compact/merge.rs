//! From several files to one (read-path.md §17; HBase: `Compactor`, `DefaultCompactor`).

use crate::cell::OLDEST_TIMESTAMP;
use crate::error::Result;
use crate::hfile::StoreFileOrigin;
use crate::store::heap::KeyValueScanner;
use crate::store::matcher::{CompactionKind, ScanInfo};
use crate::store::scanner::StoreScanner;
use crate::store::writer::{Carries, NewStoreFile};
use crate::store::{SeqIds, Store, StoreFile};
use std::ops::ControlFlow;

/// Sequence ids younger than this are kept (hbase.hstore.compaction.keep.seqId.period), in milliseconds.
const KEEP_SEQ_ID_PERIOD: i64 = 5 * 24 * 60 * 60 * 1000;

impl Store {
    /// Merges files into a new one, which is written even if no cell is kept.
    ///
    /// `all_files` says that the store has no others; then markers go, too. `max_read_point` is the least point that
    /// anybody may still read at.
    pub(crate) fn compact(
        &self,
        inputs: &[StoreFile],
        all_files: bool,
        max_read_point: i64,
        now: i64,
    ) -> Result<StoreFile> {
        let info = ScanInfo::new(&self.family, now);
        let kind = if all_files {
            let earliest = inputs.iter().map(|file| file.earliest_put_ts().unwrap_or(OLDEST_TIMESTAMP)).min();
            CompactionKind::Major { earliest_put_ts: earliest.unwrap_or(OLDEST_TIMESTAMP) }
        } else {
            CompactionKind::Minor
        };
        let scanners = inputs.iter().map(|file| KeyValueScanner::File(file.scanner(None, false))).collect();
        let mut scanner = StoreScanner::for_compaction(
            scanners,
            self.order,
            kind,
            self.family.name(),
            &info,
            max_read_point,
        )?;
        let carries = Carries {
            tags: inputs.iter().any(|file| file.hfile().has_tags()),
            seq_ids: inputs.iter().any(|file| file.seq_ids() != SeqIds::All(0)),
        };
        let zero = if all_files && !self.family.new_version_behavior {
            seq_id_to_zero(inputs, now).min(max_read_point)
        } else {
            0
        };
        let mut file = NewStoreFile::create(self, carries, now)?;
        while scanner.peek_row().is_some() {
            scanner.next_row(|cell| {
                let seq_id = if cell.seq_id() <= zero { 0 } else { cell.seq_id() };
                file.append(cell.with_seq_id(seq_id))?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let origin = StoreFileOrigin::Store {
            max_seq_id: inputs.iter().map(StoreFile::max_seq_id).max().unwrap_or(0),
            major_compaction: all_files,
            compacted: inputs.iter().map(|file| file.name().as_bytes().to_vec()).collect(),
        };
        file.finish(self, &origin)
    }
}

/// Up to which sequence id nobody needs to tell writes apart: the greatest in files that are old enough (§17.5).
fn seq_id_to_zero(inputs: &[StoreFile], now: i64) -> i64 {
    let old = |file: &&StoreFile| file.modified_millis() < now.saturating_sub(KEEP_SEQ_ID_PERIOD);
    inputs.iter().filter(old).map(StoreFile::max_memstore_ts).max().unwrap_or(0)
}
