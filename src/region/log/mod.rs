//! The write-ahead log of the regions of a table (wal.md §13, §17; HBase: `FSHLog`).
//!
//! The regions append to one file, which has a name in each region's directory of recovered edits: a hard
//! link. If the process dies, the next opening of a region replays the file, as HBase does. A region removes
//! its name once its cells are in store files. A region that is opened alone has a file of its own.

mod again;
mod region_log;
mod reserve;
mod shared;

pub(super) use region_log::RegionLog;
pub(super) use shared::{LogSettings, SharedLog, Ticket, is_log_name};

use super::RegionCore;
use super::observer::is_held;
use super::write::NewCell;
use crate::cell::SeekKey;
use crate::error::{Error, Result};
use crate::mvcc::WriteEntry;
use crate::op::Durability;
use crate::wal::MARKER_FAMILY;
use shared::State;
use std::borrow::Borrow;

impl RegionCore {
    /// Begins a write, and appends its cells to the log if it is to be durable at all. The order of the
    /// entries in the log is that of their sequence ids. Returns the entry to [wait for](Self::wait_for_log),
    /// if any.
    ///
    /// # Errors
    ///
    /// If the cells cannot be logged. No read will see the write.
    pub(super) fn begin_logged<'a, C: Borrow<NewCell<'a>>>(
        &self,
        cells: impl Iterator<Item = C> + Clone,
        durability: Durability,
        cell_key: &mut SeekKey,
    ) -> Result<(WriteEntry<'_>, Option<Ticket>)> {
        let Some(log) = &self.log else { return Ok((self.mvcc.begin(), None)) };
        log.check()?;
        if durability == Durability::SkipWal {
            return Ok((self.mvcc.begin(), None));
        }
        // In a forked process, the thread that the log waits for may not exist.
        self.check_owner()?;
        let Some(count) = self.check_entry(cells.clone(), log.max_entry)? else {
            return Ok((self.mvcc.begin(), None));
        };
        loop {
            let shared = log.shared();
            let mut state = shared.for_append();
            log.check()?;
            let mut part = log.part();
            if !log.appends_to(shared) {
                continue;
            }
            let write = self.mvcc.begin();
            let seq_id = write.seq_id();
            if !shared.name_file(log, &mut state, &mut part, seq_id)? {
                drop(write);
                log.leave(shared, state, part);
                continue;
            }
            let State { encoder: Some(encoder), pending, .. } = &mut *state else {
                return Err(Error::invalid_argument("a log without a file"));
            };
            let key = &mut part.key;
            (key.sequence_id, key.write_time) = (seq_id, self.clock.now());
            // HBase would give cells the greatest sequence id so far, which may be another region's.
            key.orig_sequence_id = if shared.is_shared() { seq_id } else { 0 };
            let (start, offset) = (pending.len(), encoder.offset());
            let encoded = encoder.begin(key, count, pending).and_then(|entry| {
                cells.clone().try_for_each(|cell| {
                    encoder.cell(&self.cell_ref(cell.borrow(), cell_key, seq_id), pending)
                })?;
                encoder.finish(&entry, &mut pending[start..]);
                Ok(())
            });
            if let Err(corruption) = encoded {
                pending.truncate(start);
                encoder.go_back(offset);
                return Err(corruption.at(&log.dir, offset));
            }
            let number = state.append(&mut part, seq_id);
            return Ok((write, Some(Ticket { number, is_shared: shared.is_shared() })));
        }
    }

    /// Waits until an entry is as durable as requested. If `write` is its write, and the cells are in memory,
    /// another thread may complete it: `write` is then `None`.
    ///
    /// # Errors
    ///
    /// If this is impossible. The write is not complete, and no read may see it.
    pub(super) fn wait_for_log<'r>(
        &'r self,
        ticket: Option<Ticket>,
        durability: Durability,
        write: &mut Option<WriteEntry<'r>>,
    ) -> Result<()> {
        let (Some(log), Some(ticket)) = (&self.log, ticket) else { return Ok(()) };
        log.of(&ticket).wait(ticket, durability, &self.mvcc, write).inspect_err(|error| {
            if log.failure().is_some() {
                self.report_poisoned(error);
            }
        })
    }

    /// Requests flushes of regions with entries in files that are too old. No lock may be held.
    pub(super) fn flush_lagging(&self) {
        let Some(log) = &self.log else { return };
        let shared = log.shared();
        // In a hook with a lock held, flushing another region on this thread could deadlock with a thread
        // that does the same in the other direction. A later write requests these flushes.
        if !shared.may_lag() || self.is_inline() && is_held() {
            return;
        }
        for region in shared.take_lagging() {
            // The health of that region reports a failure, and the next file requests the flush again.
            let _ = region.request_flush();
        }
    }

    /// Checks that an entry with the cells can be read again. Returns the number of cells; `None` for none.
    fn check_entry<'a, C: Borrow<NewCell<'a>>>(
        &self,
        cells: impl Iterator<Item = C>,
        limit: usize,
    ) -> Result<Option<u32>> {
        let (mut count, mut bytes) = (0u32, ENTRY_OVERHEAD);
        for cell in cells {
            let NewCell { store, row, qualifier, value, tags, .. } = cell.borrow();
            let family = self.stores[*store].family.name();
            if family == MARKER_FAMILY {
                let message = "cells of the family METAFAMILY cannot be logged: they would be taken for \
                               markers of events, and not replayed";
                return Err(Error::not_supported(message));
            }
            bytes = bytes.saturating_add(logged_len(row, family, qualifier, value, tags));
            count = count.saturating_add(1);
        }
        if bytes > limit {
            return Err(Error::over_limit(format!(
                "a write of {bytes} bytes is too large: an entry of the log has at most {limit}"
            )));
        }
        Ok((count > 0).then_some(count))
    }
}

/// An upper bound on the size of an entry without its cells.
const ENTRY_OVERHEAD: usize = 4 << 10;

/// Returns an upper bound on the size of a cell in an entry.
fn logged_len(row: &[u8], family: &[u8], qualifier: &[u8], value: &[u8], tags: &[u8]) -> usize {
    row.len() + family.len() + qualifier.len() + value.len() + tags.len() + 32
}
