//! Logs the cells in memory again, after the log has failed.

use super::region_log::NamedLog;
use super::shared::{log_id, log_name};
use super::{ENTRY_OVERHEAD, RegionLog, logged_len};
use crate::cell::CellRef;
use crate::error::Result;
use crate::layout::durable;
use crate::memstore::SegmentEntry;
use crate::region::{RegionCore, RegionVersion};
use crate::wal::{MARKER_FAMILY, WalWriterOptions};
use std::path::Path;

impl RegionCore {
    /// Writes the frozen cells of all stores to another log of the region, which is durable when this
    /// returns. The failed log may lack some of their writes, which would be torn if only some families were
    /// flushed before a loss of power. `seq_id` is the sequence id of the flush.
    ///
    /// Does nothing if an earlier call has logged all of them: no write is accepted once the failure is
    /// known, so later flushes have the same cells, or fewer. If this is interrupted, the new log has the
    /// first writes, each as a whole.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails.
    pub(in crate::region) fn log_again(&self, state: &RegionVersion, seq_id: i64) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let segments = state.stores.iter().flat_map(|store| &store.frozen);
        // Cells that look like markers are never in a log: only a flush keeps them.
        let is_logged = |entry: &SegmentEntry<'_>| entry.cell().family() != MARKER_FAMILY;
        let cells = segments.flat_map(|segment| segment.entries()).filter(is_logged);
        let mut cells: Vec<SegmentEntry<'_>> = cells.collect();
        cells.sort_by_key(|entry| entry.cell().seq_id);
        let Some(last) = cells.last().map(|entry| entry.cell().seq_id) else { return Ok(()) };
        if last <= log.part().logged_again_to {
            return Ok(());
        }
        let storage = log.storage.as_ref();
        durable::create_dir_durably(storage, &log.region, &log.dir)?;
        log.reserve_name(&mut log.part(), seq_id)?;
        let path = log.dir.join(log_name(seq_id));
        let written = self.write_again(log, &path, seq_id, &cells);
        // Otherwise each failed flush would leave a file.
        if written.is_err() && durable::unless_not_found(durable::remove(storage, &path)).is_ok() {
            return written;
        }
        let mut part = log.part();
        if written.is_ok() {
            part.logged_again_to = last;
        }
        part.logs.push_back(NamedLog { path, number: 0, last });
        written
    }

    fn write_again(
        &self,
        log: &RegionLog,
        path: &Path,
        seq_id: i64,
        cells: &[SegmentEntry<'_>],
    ) -> Result<()> {
        let storage = log.storage.as_ref();
        let mut writer = WalWriterOptions::new().checksums(Some(log_id(seq_id))).create_in(storage, path)?;
        writer.sync()?; // without its header, the file would be damaged
        let mut key = log.part().key.clone();
        (key.write_time, key.orig_sequence_id) = (self.clock.now(), 0);
        for write in cells.chunk_by(|a, b| a.cell().seq_id == b.cell().seq_id) {
            let mut rest = write;
            while let Some(first) = rest.first() {
                key.sequence_id = first.cell().seq_id;
                let (entry, later) = rest.split_at(fitting(rest, log.max_entry));
                writer.append(&key, entry.iter().map(SegmentEntry::cell))?;
                rest = later;
            }
        }
        writer.close()?; // syncs it
        durable::sync_dir(storage, &log.dir)
    }
}

/// Returns the number of cells that an entry of `limit` bytes can have, at least 1. All cells of a write that
/// was logged fit, because they are counted in the same way.
fn fitting(cells: &[SegmentEntry<'_>], limit: usize) -> usize {
    let len = |cell: CellRef<'_>| {
        logged_len(cell.row(), cell.family(), cell.qualifier(), cell.value(), cell.tag_bytes())
    };
    let mut bytes = ENTRY_OVERHEAD;
    let fits = |entry: &&SegmentEntry<'_>| {
        bytes = bytes.saturating_add(len(entry.cell()));
        bytes <= limit
    };
    cells.iter().take_while(fits).count().max(1)
}
