//! Cells and their sort order (hfile.md §2, §3; HBase: `Cell`, `CellComparator`). Independent of files.

mod cell_type;
pub(crate) mod key;
pub(crate) mod key_value;
mod labels;
mod order;
mod row;
pub(crate) mod tags;

pub use crate::binary::{Printable, StringBinary, from_string_binary};
pub use cell_type::CellType;
pub(crate) use key::check_row_len;
pub use key::{CellKey, LATEST_TIMESTAMP, MAX_FAMILY_LEN, MAX_ROW_LEN, OLDEST_TIMESTAMP, SeekKey};
pub(crate) use key_value::CellFormat;
pub(crate) use labels::{MarkerLabels, has_labels};
pub use order::CellOrder;
pub(crate) use order::{compare_bytes, prefix, same_bytes};
pub use row::{Cells, Row, RowBuf, RowRef};
pub use tags::{TTL_TAG_TYPE, Tag, Tags};

use crate::error::Corruption;
use std::fmt;

/// A borrowed cell: a key, a value, tags and a sequence id.
///
/// HBase: `Cell`, `ExtendedCell`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CellRef<'a> {
    pub(crate) key: &'a CellKey,
    pub(crate) value: &'a [u8],
    pub(crate) tags: &'a [u8],
    pub(crate) seq_id: i64,
}

impl<'a> CellRef<'a> {
    /// Creates a cell with this key and value, without tags, with sequence id 0.
    #[must_use]
    pub fn new(key: &'a CellKey, value: &'a [u8]) -> Self {
        Self { key, value, tags: &[], seq_id: 0 }
    }

    /// Returns the same cell with another sequence id.
    #[must_use]
    pub fn with_seq_id(self, seq_id: i64) -> Self {
        Self { seq_id, ..self }
    }

    /// Returns the same cell with another value.
    #[must_use]
    pub fn with_value(self, value: &'a [u8]) -> Self {
        Self { value, ..self }
    }

    /// Returns the same cell with other tags, in the format of [`tag_bytes`](Self::tag_bytes).
    ///
    /// # Errors
    ///
    /// If they are not well-formed, or more than 65,535 bytes.
    pub fn with_tag_bytes(self, tags: &'a [u8]) -> Result<Self, Corruption> {
        if u16::try_from(tags.len()).is_err() {
            let len = i64::try_from(tags.len()).unwrap_or(i64::MAX);
            return Err(Corruption::out_of_range("tags length", len, 0, u16::MAX.into()));
        }
        tags::check(tags)?;
        Ok(Self { tags, ..self })
    }

    /// Returns the key: row, family, qualifier, timestamp and type.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &'a CellKey {
        self.key
    }

    /// Returns the row.
    #[inline]
    #[must_use]
    pub fn row(&self) -> &'a [u8] {
        self.key.row()
    }

    /// Returns the family.
    #[inline]
    #[must_use]
    pub fn family(&self) -> &'a [u8] {
        self.key.family()
    }

    /// Returns the qualifier.
    #[inline]
    #[must_use]
    pub fn qualifier(&self) -> &'a [u8] {
        self.key.qualifier()
    }

    /// Returns the timestamp in milliseconds.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.key.timestamp()
    }

    /// Returns the type.
    #[inline]
    #[must_use]
    pub fn cell_type(&self) -> CellType {
        self.key.cell_type()
    }

    /// Returns the value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Returns the tags, in their order.
    #[must_use]
    pub fn tags(&self) -> Tags<'a> {
        Tags::new(self.tags)
    }

    /// Returns the tags as stored: for each a `u16` length, a type and a value.
    #[inline]
    #[must_use]
    pub fn tag_bytes(&self) -> &'a [u8] {
        self.tags
    }

    /// Returns the sequence id, also called mvcc in HBase; 0 if the file does not store it.
    #[inline]
    #[must_use]
    pub fn seq_id(&self) -> i64 {
        self.seq_id
    }
}

impl fmt::Display for CellRef<'_> {
    /// Writes the cell as HBase does: `row/family:qualifier/timestamp/type/vlen=3/seqid=7`. A precision
    /// limits the bytes of each part of the key that are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.key, f)?;
        write!(f, "/vlen={}/seqid={}", self.value.len(), self.seq_id)
    }
}

impl fmt::Debug for CellRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An owned cell (HBase: `KeyValue`).
#[derive(Clone, PartialEq, Eq)]
pub struct Cell {
    key: SeekKey,
    value: Vec<u8>,
    tags: Vec<u8>,
    seq_id: i64,
}

impl Cell {
    /// Returns the cell, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> CellRef<'_> {
        CellRef { key: &self.key, value: &self.value, tags: &self.tags, seq_id: self.seq_id }
    }
}

impl From<CellRef<'_>> for Cell {
    fn from(cell: CellRef<'_>) -> Self {
        Self {
            key: SeekKey::from(cell.key),
            value: cell.value.to_vec(),
            tags: cell.tags.to_vec(),
            seq_id: cell.seq_id,
        }
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}
