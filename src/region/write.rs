//! Writes cells to memory: under one sequence id, and visible all at once (read-path.md §19.1; HBase:
//! `HRegion.doMiniBatchMutate`).

use super::RegionCore;
use super::log::Ticket;
use crate::cell::{CellRef, CellType, LATEST_TIMESTAMP, SeekKey, TTL_TAG_TYPE};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::metrics::ReadCounts;
use crate::mvcc::WriteEntry;
use crate::op::{Durability, check_new_row};
use std::borrow::{Borrow, Cow};
use std::sync::RwLockReadGuard;
use std::sync::atomic::Ordering;

/// The maximum length of a cell in bytes, whatever the limits: the length of a `KeyValue` has 31 bits.
const MAX_CELL_LEN: usize = (1 << 31) - 1;

/// The maximum length of the row and qualifier of a cell in bytes.
const MAX_KEY_LEN: usize = 10 << 20;

/// The size of a cell without its row, family, qualifier, value and tags: lengths, timestamp and type, as
/// servers count them (HBase: `PrivateCellUtil.estimatedSerializedSizeOf`).
const CELL_OVERHEAD: usize = 24;

/// The size of the tags length, in cells with tags.
const TAGS_LEN_BYTES: usize = 2;

/// Enough for most keys.
const USUAL_KEY_LEN: usize = 100;

/// A cell to write to a store.
#[derive(Clone, Debug)]
pub(super) struct NewCell<'a> {
    pub(super) store: usize,
    pub(super) row: &'a [u8],
    pub(super) qualifier: &'a [u8],
    pub(super) timestamp: i64,
    pub(super) cell_type: CellType,
    pub(super) value: Cow<'a, [u8]>,
    pub(super) tags: Cow<'a, [u8]>,
}

/// A write whose cells are appended to the log, and not in memory yet. If it is dropped without being ended,
/// it has no cells.
#[derive(Debug)]
#[must_use = "the write is pending"]
pub(super) struct BegunWrite<'r> {
    entry: WriteEntry<'r>,
    /// The log entry to wait for, if any.
    pub(super) ticket: Option<Ticket>,
    /// A buffer for keys.
    key: SeekKey,
    /// Held after the entry is complete: a flush waits for both.
    _updates: RwLockReadGuard<'r, ()>,
}

/// Calls a function when it is dropped.
pub(super) struct OnDrop<F: FnOnce()>(pub(super) Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// An encoded time-to-live tag.
pub(super) type TtlTag = [u8; 11];

impl RegionCore {
    /// Checks that the region accepts writes and that `row` is in its key range. Waits while far too much
    /// memory is used.
    pub(super) fn check_write(&self, row: &[u8]) -> Result<()> {
        self.check_takes_data()?;
        self.admit()?;
        self.check_new_row(row)
    }

    pub(super) fn check_new_row(&self, row: &[u8]) -> Result<()> {
        check_new_row(row)?;
        self.check_row(row)
    }

    /// Fails if a cell is too large. `column` is its family and qualifier; `value` and `tags` are lengths.
    pub(super) fn check_len(
        &self,
        row: &[u8],
        column: (&[u8], &[u8]),
        value: usize,
        tags: usize,
    ) -> Result<()> {
        let (family, qualifier) = column;
        let tags = if tags == 0 { 0 } else { TAGS_LEN_BYTES + tags };
        let len = CELL_OVERHEAD + row.len() + family.len() + qualifier.len() + value + tags;
        let most = self.max_cell_len;
        if len > most {
            return Err(Error::invalid_argument(format!("a cell has at most {most} bytes, not {len}")));
        }
        self.check_key_len(row.len() + qualifier.len())
    }

    /// Fails if the row and qualifier of a cell are too long. This is the only limit on the length of a
    /// marker, so that every written cell can be deleted.
    pub(super) fn check_key_len(&self, key: usize) -> Result<()> {
        let most = self.max_key_len;
        if key > most {
            let message = format!("the row and qualifier of a cell have at most {most} bytes, not {key}");
            return Err(Error::invalid_argument(message));
        }
        Ok(())
    }

    /// Logs cells and inserts them into memory, under one sequence id, and returns the id. No read sees any
    /// of them before all are inserted and logged. Of cells with the same key, the last one is kept. `writes`
    /// is the number of mutations the cells belong to; `logged` are those of mutations that are logged, and
    /// `durability` is the greatest of the mutations.
    ///
    /// # Errors
    ///
    /// If the region is being closed, or the cells cannot be logged. No read sees any of them then.
    pub(super) fn apply<'a, C: Borrow<NewCell<'a>>>(
        &self,
        cells: impl Iterator<Item = C> + Clone,
        logged: impl Iterator<Item = C> + Clone,
        durability: Durability,
        writes: u64,
    ) -> Result<i64> {
        let BegunWrite { entry, ticket, mut key, _updates } = self.begin_apply(logged, durability)?;
        let seq_id = self.insert(&entry, cells.clone(), &mut key);
        // The thread that makes the entry durable may complete the write, so its cells are inserted first.
        let mut entry = Some(entry);
        // Dropped before the entry, whose drop completes the write, even if the log panics.
        let mut undo = OnDrop(Some(|| self.take_back(seq_id, cells, &mut key)));
        self.wait_for_log(ticket, durability, &mut entry)?;
        undo.0 = None;
        drop(entry);
        self.mvcc.wait_for(seq_id);
        self.wrote(writes);
        Ok(seq_id)
    }

    /// Begins a write: appends cells to the log. Until the write is ended, its entry is pending and no flush
    /// begins.
    ///
    /// # Errors
    ///
    /// If the region is being closed, or the cells cannot be logged. No read sees any of them then.
    pub(super) fn begin_apply<'a, C: Borrow<NewCell<'a>>>(
        &self,
        logged: impl Iterator<Item = C> + Clone,
        durability: Durability,
    ) -> Result<BegunWrite<'_>> {
        let updates = self.updates.shared();
        if self.is_closing.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        let mut key = SeekKey::with_room(USUAL_KEY_LEN);
        let (entry, ticket) = self.begin_logged(logged, durability, &mut key)?;
        Ok(BegunWrite { entry, ticket, key, _updates: updates })
    }

    /// Ends a write whose entry is as durable as requested: inserts its cells, and completes it. Returns its
    /// sequence id. The write may not be visible yet, because earlier writes may not have ended.
    pub(super) fn end_apply<'a, C: Borrow<NewCell<'a>>>(
        &self,
        begun: BegunWrite<'_>,
        cells: impl Iterator<Item = C>,
        writes: u64,
    ) -> i64 {
        let BegunWrite { entry, mut key, _updates, .. } = begun;
        let seq_id = self.insert(&entry, cells, &mut key);
        self.mvcc.complete(entry);
        self.wrote(writes);
        seq_id
    }

    /// Inserts the cells of a pending write into memory. Returns their sequence id.
    fn insert<'a, C: Borrow<NewCell<'a>>>(
        &self,
        entry: &WriteEntry<'_>,
        cells: impl Iterator<Item = C>,
        key: &mut SeekKey,
    ) -> i64 {
        let state = self.states.load();
        let seq_id = entry.seq_id();
        for cell in cells {
            let cell = cell.borrow();
            state.stores[cell.store].active.insert(self.cell_ref(cell, key, seq_id));
        }
        seq_id
    }

    /// Removes the cells of a pending write from memory. Only reads of uncommitted writes can have seen them.
    fn take_back<'a, C: Borrow<NewCell<'a>>>(
        &self,
        seq_id: i64,
        cells: impl Iterator<Item = C>,
        key: &mut SeekKey,
    ) {
        let state = self.states.load();
        for cell in cells {
            let cell = cell.borrow();
            state.stores[cell.store].active.remove(self.cell_ref(cell, key, seq_id));
        }
        self.report_memory();
    }

    /// Counts writes, and reports the memory that the cells take.
    fn wrote(&self, writes: u64) {
        self.report_memory();
        self.counters.add(&ReadCounts { writes, ..ReadCounts::default() });
    }

    /// Returns a cell as it is stored. Its key is built in `key`.
    pub(super) fn cell_ref<'c>(
        &self,
        cell: &'c NewCell<'_>,
        key: &'c mut SeekKey,
        seq_id: i64,
    ) -> CellRef<'c> {
        let family = self.stores[cell.store].family.name();
        key.set(cell.row, family, cell.qualifier, cell.timestamp, cell.cell_type);
        CellRef { key, value: &cell.value, tags: &cell.tags, seq_id }
    }
}

/// Returns `timestamp`, or `now` if it is not set.
pub(super) fn at(timestamp: Option<i64>, now: i64) -> i64 {
    timestamp.filter(|&timestamp| timestamp != LATEST_TIMESTAMP).unwrap_or(now)
}

/// Returns the maximum length of a cell in a table with the limit `of_table`, so that a block of this cell
/// alone can be read with these limits.
pub(super) fn max_cell_len(limits: &Limits, of_table: usize) -> usize {
    // the rest is for the cell's other parts, and for the block's contents besides cells
    let most = (limits.block_bytes - limits.block_bytes / 8).saturating_sub(512);
    of_table.min(most).min(MAX_CELL_LEN)
}

/// Returns the maximum length of the row and qualifier of a cell, so that a file with them can be read with
/// these limits.
pub(super) fn max_key_len(limits: &Limits) -> usize {
    // A root index has up to 15 of them, the file info three, and a filter's metadata one for each chunk.
    (limits.block_bytes.min(limits.load_on_open_bytes) / 20).min(MAX_KEY_LEN)
}

/// Encodes the tag of a time to live in milliseconds. `i64::MAX` means no time to live, and has no tag
/// (HBase: `TagUtil`).
pub(super) fn ttl_tag(millis: Option<i64>) -> Option<TtlTag> {
    let millis = millis.filter(|&millis| millis != i64::MAX)?;
    let mut tag = [0; 11];
    tag[..3].copy_from_slice(&[0, 9, TTL_TAG_TYPE]);
    tag[3..].copy_from_slice(&millis.to_be_bytes());
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;
    use crate::schema::Family;
    use std::sync::atomic::AtomicUsize;

    /// A flush that froze the segments during the write would lack the cells.
    #[test]
    fn segments_are_not_frozen_while_cells_are_inserted() {
        let dir = tempfile::tempdir().unwrap();
        let options = Region::options().create_if_missing(true).family(Family::new("f"));
        let region = options.open(dir.path()).unwrap();
        let cells = [NewCell {
            store: 0,
            row: b"r",
            qualifier: b"q",
            timestamp: 1,
            cell_type: CellType::Put,
            value: Cow::Borrowed(b"v"),
            tags: Cow::default(),
        }];
        let (updates, inserted) = (&region.0.updates, AtomicUsize::new(0));
        let seen = cells.iter().inspect(|_| {
            assert!(updates.try_exclusive().is_none());
            inserted.fetch_add(1, Ordering::Relaxed);
        });
        region.0.apply(seen, cells.iter(), Durability::FsyncWal, 1).unwrap();
        assert_eq!(inserted.into_inner(), 1);
        assert!(updates.try_exclusive().is_some());
    }

    #[test]
    fn a_cell_is_shorter_than_2_gib() {
        let limits = Limits::new().with_block_bytes(usize::MAX);
        assert_eq!(max_cell_len(&limits, usize::MAX), 2_147_483_647);
        assert_eq!(max_cell_len(&limits, 100), 100);
    }
}
