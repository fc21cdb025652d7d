//! Increments and appends: read, change and write values of a row under its lock (read-path.md §19.2; HBase:
//! `HRegion.MutationBatchOperation.reckonDeltas`).

use super::mutate::{Edit, ResultCell};
use super::write::NewCell;
use super::{Region, RegionCore};
use crate::cell::{CellType, LATEST_TIMESTAMP, Row, RowBuf, StringBinary, TTL_TAG_TYPE, Tags};
use crate::error::{Error, Result};
use crate::op::{Append, Delta, DeltaCell, Get, Increment, Mutation};
use bytes::Bytes;
use std::borrow::Cow;

impl Region {
    /// Adds to counters of a row. Returns the new cells, by family and qualifier.
    ///
    /// A new timestamp is after that of the value it replaces, even if the clock does not advance. With more
    /// than one increment per millisecond, timestamps therefore run ahead of the clock, as in HBase. A put
    /// without a timestamp may then be before the counter, and not be read, and a delete may not cover it:
    /// give them one. Concurrent increments of one row are serialized.
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put), or if a value does not have the eight bytes of a counter, or cannot be
    /// read, or has the timestamp `i64::MAX - 1`, as no read returns a later one. Nothing is written then.
    pub fn increment(&self, increment: Increment) -> Result<Row> {
        self.0.mutate_one(Mutation::Increment(increment))
    }

    /// Appends bytes to values of a row. Returns the new cells, by family and qualifier. Timestamps and
    /// serialization are as for [`increment`](Self::increment).
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put), or if a value becomes too large, or the old one cannot be read, or has the
    /// timestamp `i64::MAX - 1`, as no read returns a later one. Nothing is written then.
    pub fn append(&self, append: Append) -> Result<Row> {
        self.0.mutate_one(Mutation::Append(append))
    }
}

/// Computes a new value from an old one.
pub(super) trait Change {
    /// Returns the new value of a column with the value `old`, or without a value.
    fn of(&self, old: Option<&[u8]>) -> Result<Cow<'_, [u8]>>;

    /// Returns the length of the new value if there is no old one.
    fn len(&self) -> usize;
}

impl Change for i64 {
    fn of(&self, old: Option<&[u8]>) -> Result<Cow<'_, [u8]>> {
        let old = match old {
            None => 0,
            Some(old) => Self::from_be_bytes(old.try_into().map_err(|_| Error::not_a_counter(old.len()))?),
        };
        Ok(Cow::Owned(old.wrapping_add(*self).to_be_bytes().to_vec()))
    }

    fn len(&self) -> usize {
        size_of::<Self>()
    }
}

impl Change for Bytes {
    fn of(&self, old: Option<&[u8]>) -> Result<Cow<'_, [u8]>> {
        Ok(match old {
            None => Cow::Borrowed(self),
            Some(old) => Cow::Owned([old, self].concat()),
        })
    }

    fn len(&self) -> usize {
        Bytes::len(self)
    }
}

impl RegionCore {
    pub(super) fn check_delta<T: Change>(&self, delta: &Delta<T>) -> Result<Vec<usize>> {
        if delta.cells.is_empty() {
            return Err(Error::invalid_argument("an increment or append without columns"));
        }
        let mut stores = Vec::with_capacity(delta.cells.len());
        for cell in &delta.cells {
            stores.push(self.store_index(&cell.family)?);
            self.check_len(&delta.row, column(cell), cell.change.len(), 0)?;
        }
        Ok(stores)
    }

    /// Resolves changes of a row to cells and adds them to `edit`. The row must be locked, so that the values
    /// read remain the newest.
    pub(super) fn resolve_delta<'m, T: Change>(
        &self,
        delta: &'m Delta<T>,
        stores: &[usize],
        tag: &'m [u8],
        now: i64,
        edit: &mut Edit<'m>,
    ) -> Result<()> {
        // In the order of the cells found. The sort is stable, so changes of the same column keep their
        // order.
        let mut changes: Vec<(&DeltaCell<T>, usize)> =
            delta.cells.iter().zip(stores.iter().copied()).collect();
        changes.sort_by_key(|(cell, _)| column(cell));
        let mut get = Get::new(&delta.row).time_range(delta.time_range);
        for (cell, _) in &changes {
            get = get.column(cell.family.clone(), cell.qualifier.clone());
        }
        let mut found = RowBuf::new();
        self.get_now(&get, &mut found)?;
        let mut old = found.as_row().cells().peekable();

        for (cell, store) in changes {
            while old.next_if(|old| (old.family(), old.qualifier()) < column(cell)).is_some() {}
            let old = old.peek().filter(|old| (old.family(), old.qualifier()) == column(cell));
            let value = cell.change.of(old.map(|old| old.value()))?;
            // Later than the old cell, so that the new one is not hidden even if the clock was set back.
            let timestamp = match old.map(|old| old.timestamp().saturating_add(1)) {
                // No read would return it.
                Some(LATEST_TIMESTAMP) => return Err(no_later_value(cell)),
                Some(later) => now.max(later),
                None => now,
            };
            let tags = carry_tags(old.map_or(&[], |old| old.tag_bytes()), tag)?;
            self.check_len(&delta.row, column(cell), value.len(), tags.len())?;
            if delta.return_results {
                edit.result.push(ResultCell { cell: edit.cells.len(), with_tags: old.is_some() });
            }
            let (row, qualifier, cell_type) = (&delta.row[..], &cell.qualifier[..], CellType::Put);
            edit.cells.push(NewCell { store, row, qualifier, timestamp, cell_type, value, tags });
        }
        Ok(())
    }
}

fn no_later_value<T>(cell: &DeltaCell<T>) -> Error {
    let (family, qualifier) = (StringBinary(&cell.family), StringBinary(&cell.qualifier));
    let message = "has a value with the greatest timestamp that is read, so no other can replace it";
    Error::invalid_argument(format!("column {family}:{qualifier:.64} {message}"))
}

fn column<T>(cell: &DeltaCell<T>) -> (&[u8], &[u8]) {
    (&cell.family, &cell.qualifier)
}

/// Returns the tags of a cell that replaces another: the tags of the old cell, without its time to live if
/// there is a new one.
fn carry_tags<'t>(old: &[u8], ttl: &'t [u8]) -> Result<Cow<'t, [u8]>> {
    if old.is_empty() {
        return Ok(Cow::Borrowed(ttl));
    }
    if ttl.is_empty() {
        return Ok(Cow::Owned(old.to_vec()));
    }
    let mut tags = Vec::with_capacity(old.len() + ttl.len());
    for tag in Tags::new(old).filter(|tag| tag.tag_type != TTL_TAG_TYPE) {
        let len = u16::try_from(tag.value.len() + 1).expect("a tag has a length of 16 bits");
        tags.extend_from_slice(&len.to_be_bytes());
        tags.push(tag.tag_type);
        tags.extend_from_slice(tag.value);
    }
    tags.extend_from_slice(ttl);
    // Longer tags could be stored, but some code of HBase reads the length as signed.
    if i16::try_from(tags.len()).is_err() {
        let message = format!("the tags of a cell have at most {} bytes, not {}", i16::MAX, tags.len());
        return Err(Error::invalid_argument(message));
    }
    Ok(Cow::Owned(tags))
}

#[cfg(test)]
mod tests {
    use super::super::write::ttl_tag;
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn counters_are_eight_bytes_and_wrap() {
        let sum = |amount: i64, old: Option<&[u8]>| amount.of(old).map(Cow::into_owned);
        assert_eq!(sum(5, None).unwrap(), 5i64.to_be_bytes());
        assert_eq!(sum(-7, Some(&5i64.to_be_bytes())).unwrap(), (-2i64).to_be_bytes());
        assert_eq!(sum(1, Some(&i64::MAX.to_be_bytes())).unwrap(), i64::MIN.to_be_bytes());
        for wrong in [&b""[..], b"1234567", b"123456789"] {
            assert_eq!(sum(1, Some(wrong)).unwrap_err().kind(), ErrorKind::NotACounter);
        }
    }

    #[test]
    fn values_grow_at_their_end() {
        let bytes = Bytes::from_static(b"new");
        assert_eq!(*bytes.of(None).unwrap(), *b"new");
        assert_eq!(*bytes.of(Some(b"old")).unwrap(), *b"oldnew");
    }

    #[test]
    fn tags_are_carried_and_a_time_to_live_renewed() {
        let (old_ttl, new_ttl) = (ttl_tag(Some(5)).unwrap(), ttl_tag(Some(6)).unwrap());
        let other = [0, 3, 65, 1, 2];
        let old = [&old_ttl[..], &other, &old_ttl].concat();
        assert!(carry_tags(&[], &[]).unwrap().is_empty());
        assert_eq!(*carry_tags(&[], &new_ttl).unwrap(), new_ttl);
        assert_eq!(*carry_tags(&old, &[]).unwrap(), *old);
        assert_eq!(*carry_tags(&old, &new_ttl).unwrap(), *[&other[..], &new_ttl].concat());

        let mut large = vec![255, 253, 65];
        large.resize(u16::MAX.into(), 0);
        assert!(carry_tags(&large, &[]).is_ok());
        assert_eq!(carry_tags(&large, &new_ttl).unwrap_err().kind(), ErrorKind::InvalidArgument);
        let mut less = vec![127, 245, 65];
        less.resize(32_759, 0);
        assert_eq!(Tags::new(&less).count(), 1);
        let error = carry_tags(&less, &new_ttl).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidArgument,
            "less can be stored of new cells than of old ones"
        );
    }
}
