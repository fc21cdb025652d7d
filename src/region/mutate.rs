//! Mutations of one row: validation before the row is locked, then resolution to cells.

use super::batch::{Atomicity, joined};
use super::write::{NewCell, TtlTag, at, ttl_tag};
use super::{Region, RegionCore};
use crate::cell::{CellRef, CellType, LATEST_TIMESTAMP, Row, RowBuf, SeekKey, has_labels};
use crate::error::{Error, Result};
use crate::op::{Delete, Get, Mutation, Put, check_timestamp};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// A mutation that has been validated as far as possible before its row is locked.
#[derive(Debug)]
pub(super) struct Checked<'m> {
    mutation: &'m Mutation,
    /// The store of each cell.
    stores: Vec<usize>,
    tag: Option<TtlTag>,
}

/// The cells of mutations that are written together.
#[derive(Debug, Default)]
pub(super) struct Edit<'m> {
    pub(super) cells: Vec<NewCell<'m>>,
    /// The cells to return.
    pub(super) result: Vec<ResultCell>,
    pub(super) mutations: u64,
}

/// A cell to return.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResultCell {
    pub(super) cell: usize,
    /// Whether to return the cell's tags. HBase returns the cell of a new column before its time to live is
    /// added, without any tag.
    pub(super) with_tags: bool,
}

/// The timestamps of mutations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The clock's time.
    pub(super) now: i64,
    /// The timestamp of values without one of their own.
    pub(super) put: i64,
}

impl Region {
    /// Writes values to a row, atomically: a read sees all or none (HBase: `HRegion.put`).
    ///
    /// # Errors
    ///
    /// In these cases nothing is written:
    ///
    /// - The region is read-only, or the put has no values.
    /// - The row is empty, longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN), or outside of the region;
    ///   or a family is unknown.
    /// - A timestamp is negative, or too far in the future for the table's
    ///   `hbase.hregion.keyvalue.timestamp.slop.millisecs`.
    /// - A cell has more than 10 MiB, or than the table's `hbase.server.keyvalue.maxsize` allows; or all
    ///   cells together have more than [`Limits::block_bytes`](crate::Limits::block_bytes), the limit of an
    ///   entry of the log.
    /// - The put is to be logged, and the family is `METAFAMILY`, which logs use for markers of events.
    ///
    /// If the log cannot be written: see [`Region`].
    pub fn put(&self, put: Put) -> Result<()> {
        self.0.put(put)
    }

    /// Hides cells of a row by delete markers, atomically (HBase: `HRegion.delete`).
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put).
    pub fn delete(&self, delete: Delete) -> Result<()> {
        self.0.mutate_one(Mutation::Delete(delete)).map(drop)
    }

    /// Applies mutations to one row, atomically and under one sequence id (HBase: `HRegion.mutateRow`).
    ///
    /// Each mutation sees the row as it was before all of them. Of cells with the same key, the last one is
    /// kept. A [`Delete`] also hides values of the same call, in any order, unless their timestamps are
    /// later: to replace a row, give it an earlier timestamp.
    ///
    /// Returns the new cells of the increments and appends that return results, in the order of the
    /// mutations.
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put) and [`increment`](Self::increment), or if there is no mutation, or one is
    /// of another row.
    pub fn mutate_row(&self, row: impl AsRef<[u8]>, mutations: Vec<Mutation>) -> Result<Row> {
        self.0.mutate_row(row.as_ref(), mutations)
    }

    /// Applies puts and deletes to rows of the region, atomically and under one sequence id: a read sees all
    /// or none, and a crash leaves all or none (HBase: `HRegion.mutateRowsWithLocks`).
    ///
    /// Each mutation sees the rows as they were before all of them. Deletes hide values of the same call, as
    /// in [`mutate_row`](Self::mutate_row).
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put), or if there is no mutation, or one is an increment or an append. Nothing
    /// is written then.
    pub fn mutate_rows(&self, mut mutations: Vec<Mutation>) -> Result<()> {
        if mutations.is_empty() {
            return Err(Error::invalid_argument("there are no mutations"));
        }
        if mutations.iter().any(Mutation::returns_cells) {
            return Err(Error::invalid_argument("mutations of several rows can only be puts and deletes"));
        }
        self.0.write(&mut mutations, Atomicity::All).map(drop)
    }
}

impl RegionCore {
    /// Puts do not read the row and are the most common writes, so without observers they skip what
    /// [`write`](Self::write) prepares for other mutations.
    fn put(&self, put: Put) -> Result<()> {
        if !self.observers.is_empty() {
            return self.mutate_one(Mutation::Put(put)).map(drop);
        }
        self.check_write(&put.row)?;
        let stores = self.check_put(&put)?;
        let tag = ttl_tag(put.ttl);
        let durability = put.durability.or(self.durability);
        let _row = self.rows.shared(&put.row);
        let cells = put_cells(&put, &stores, self.clock.now(), tag_bytes(tag.as_ref()));
        self.apply(cells.clone(), cells, durability, 1)?;
        Ok(())
    }

    /// Applies one mutation.
    pub(super) fn mutate_one(&self, mutation: Mutation) -> Result<Row> {
        joined(self.write(&mut [mutation], Atomicity::All)?)
    }

    fn mutate_row(&self, row: &[u8], mut mutations: Vec<Mutation>) -> Result<Row> {
        check_rows(row, &mutations)?;
        joined(self.write(&mut mutations, Atomicity::All)?)
    }

    /// Returns the result cells of an edit whose indexes are in `which`.
    pub(super) fn result_row(&self, edit: &Edit<'_>, which: Range<usize>, seq_id: i64) -> Row {
        let (mut row, mut key) = (RowBuf::new(), SeekKey::new());
        for &ResultCell { cell, with_tags } in &edit.result[which] {
            let cell = self.cell_ref(&edit.cells[cell], &mut key, seq_id);
            row.push(if with_tags { cell } else { CellRef { tags: &[], ..cell } });
        }
        row.freeze()
    }

    pub(super) fn check_mutations<'m>(&self, mutations: &'m [Mutation]) -> Result<Vec<Checked<'m>>> {
        mutations.iter().map(|mutation| self.check_mutation(mutation)).collect()
    }

    /// Validates a mutation: checks its families and its cells' timestamps and lengths.
    pub(super) fn check_mutation<'m>(&self, mutation: &'m Mutation) -> Result<Checked<'m>> {
        let (stores, ttl) = match mutation {
            Mutation::Put(put) => (self.check_put(put)?, put.ttl),
            Mutation::Delete(delete) => (self.check_delete(delete)?, None),
            Mutation::Increment(increment) => (self.check_delta(&increment.0)?, increment.0.ttl),
            Mutation::Append(append) => (self.check_delta(&append.0)?, append.0.ttl),
        };
        Ok(Checked { mutation, stores, tag: ttl_tag(ttl) })
    }

    fn check_put(&self, put: &Put) -> Result<Vec<usize>> {
        if put.cells.is_empty() {
            return Err(Error::invalid_argument("a put without cells"));
        }
        let newest = self.newest_timestamp();
        let mut stores = Vec::with_capacity(put.cells.len());
        for cell in &put.cells {
            stores.push(self.store_index(&cell.family)?);
            check_timestamp(cell.timestamp)?;
            // The latest timestamp means the time of writing.
            if let Some(timestamp) = cell.timestamp
                && timestamp > newest
                && timestamp != LATEST_TIMESTAMP
            {
                return Err(too_new(timestamp, newest));
            }
            // a time to live is added to the tags later
            self.check_len(&put.row, (&cell.family, &cell.qualifier), cell.value.len(), 0)?;
        }
        Ok(stores)
    }

    /// Returns the greatest timestamp that a value may have now (HBase: `HRegion.checkTimestamps`).
    fn newest_timestamp(&self) -> i64 {
        match self.timestamp_slop {
            i64::MAX => i64::MAX,
            slop => self.clock.now().saturating_add(slop),
        }
    }

    fn check_delete(&self, delete: &Delete) -> Result<Vec<usize>> {
        check_timestamp(delete.timestamp)?;
        let mut stores = Vec::with_capacity(delete.cells.len());
        for cell in &delete.cells {
            stores.push(self.store_index(&cell.family)?);
            check_timestamp(cell.timestamp)?;
            self.check_key_len(delete.row.len() + cell.qualifier.len())?;
        }
        Ok(stores)
    }

    /// Resolves a mutation to cells and adds them to `edit`, with the row locked. On failure some of the
    /// cells may have been added.
    pub(super) fn resolve<'m>(
        &self,
        checked: &'m Checked<'_>,
        times: Times,
        edit: &mut Edit<'m>,
    ) -> Result<()> {
        let (stores, tag) = (&checked.stores[..], tag_bytes(checked.tag.as_ref()));
        match checked.mutation {
            Mutation::Put(put) => edit.cells.extend(put_cells(put, stores, times.put, tag)),
            Mutation::Delete(delete) => self.resolve_delete(delete, stores, times.now, &mut edit.cells)?,
            Mutation::Increment(increment) => {
                self.resolve_delta(&increment.0, stores, tag, times.now, edit)?;
            }
            Mutation::Append(append) => self.resolve_delta(&append.0, stores, tag, times.now, edit)?,
        }
        edit.mutations += 1;
        Ok(())
    }

    fn resolve_delete<'m>(
        &self,
        delete: &'m Delete,
        stores: &[usize],
        now: i64,
        cells: &mut Vec<NewCell<'m>>,
    ) -> Result<()> {
        let marker = |store, qualifier, timestamp, cell_type| {
            let (value, tags) = (Cow::default(), Cow::default());
            NewCell { store, row: &delete.row, qualifier, timestamp, cell_type, value, tags }
        };
        if delete.cells.is_empty() {
            let timestamp = at(delete.timestamp, now);
            let all = 0..self.stores.len();
            cells.extend(all.map(|store| marker(store, &[], timestamp, CellType::DeleteFamily)));
        }
        // The numbers of markers so far that each delete one version of a column, without a timestamp.
        let mut versions: BTreeMap<(&Bytes, &Bytes), usize> = BTreeMap::new();
        for (cell, &store) in delete.cells.iter().zip(stores) {
            let timestamp = cell.timestamp.or(delete.timestamp).filter(|&ts| ts != LATEST_TIMESTAMP);
            let timestamp = match timestamp {
                Some(timestamp) => timestamp,
                None if cell.kind == CellType::Delete => {
                    // The k-th such marker of a column deletes the k-th newest version.
                    let count = versions.entry((&cell.family, &cell.qualifier)).or_default();
                    *count += 1;
                    self.version(&delete.row, &cell.family, &cell.qualifier, *count - 1)?.unwrap_or(now)
                }
                None => now,
            };
            cells.push(marker(store, &cell.qualifier, timestamp, cell.kind));
        }
        Ok(())
    }

    /// Returns the timestamp of the `nth` version of a column, counted from the newest; `None` if there are
    /// fewer versions. Versions with visibility labels do not count: a marker without labels does not hide
    /// them (HBase: `VisibilityController.prePrepareTimeStampForDeleteVersion`).
    fn version(&self, row: &Bytes, family: &Bytes, qualifier: &Bytes, nth: usize) -> Result<Option<i64>> {
        let column = Get::new(row).column(family.clone(), qualifier.clone());
        let versions = u32::try_from(nth + 1).unwrap_or(u32::MAX);
        let mut found = RowBuf::new();
        self.get_now(&column.clone().max_versions(versions), &mut found)?;
        if found.as_row().cells().any(|cell| has_labels(cell.tag_bytes())) {
            self.get_now(&column.max_versions(u32::MAX), &mut found)?;
        }
        let mut unlabelled = found.as_row().cells().filter(|cell| !has_labels(cell.tag_bytes()));
        Ok(unlabelled.nth(nth).map(|cell| cell.timestamp()))
    }
}

impl<'m> Checked<'m> {
    pub(super) fn mutation(&self) -> &'m Mutation {
        self.mutation
    }

    pub(super) fn row(&self) -> &'m [u8] {
        self.mutation.row()
    }

    /// Whether the mutation may read its row before it is written.
    pub(super) fn reads(&self) -> bool {
        !matches!(self.mutation, Mutation::Put(_))
    }
}

#[cold]
fn too_new(timestamp: i64, newest: i64) -> Error {
    let message = "a timestamp is too far in the future for the table";
    Error::invalid_argument(format!("{message}: {timestamp}, and {newest} is the greatest now"))
}

/// Checks that there are mutations, and that all are of `row`.
pub(super) fn check_rows(row: &[u8], mutations: &[Mutation]) -> Result<()> {
    if mutations.is_empty() {
        return Err(Error::invalid_argument("there are no mutations"));
    }
    if mutations.iter().any(|mutation| mutation.row() != row) {
        return Err(Error::invalid_argument("a mutation is of another row than the one given"));
    }
    Ok(())
}

fn put_cells<'m>(
    put: &'m Put,
    stores: &'m [usize],
    now: i64,
    tag: &'m [u8],
) -> impl Iterator<Item = NewCell<'m>> + Clone {
    put.cells.iter().zip(stores).map(move |(cell, &store)| NewCell {
        store,
        row: &put.row,
        qualifier: &cell.qualifier,
        timestamp: at(cell.timestamp, now),
        cell_type: CellType::Put,
        value: Cow::Borrowed(&cell.value),
        tags: Cow::Borrowed(tag),
    })
}

fn tag_bytes(tag: Option<&TtlTag>) -> &[u8] {
    tag.map_or(&[], |tag| tag.as_slice())
}
