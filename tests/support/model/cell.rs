//! Cells and their order (read-path.md §1.1, §1.3).

use hregion::CellType;
use std::cmp::Ordering;
use std::fmt;

/// A cell of one family.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) row: Vec<u8>,
    pub(crate) qualifier: Vec<u8>,
    pub(crate) timestamp: i64,
    pub(crate) kind: CellType,
    pub(crate) value: Vec<u8>,
    /// The cell's own time to live in milliseconds, stored as a tag.
    pub(crate) ttl: Option<i64>,
    pub(crate) seq_id: i64,
}

impl Cell {
    pub(crate) fn is_put(&self) -> bool {
        self.kind == CellType::Put
    }

    /// The order of §1.3 within one family, with sequence ids last.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.row
            .cmp(&other.row)
            .then_with(|| self.qualifier.cmp(&other.qualifier))
            .then_with(|| other.timestamp.cmp(&self.timestamp))
            .then_with(|| other.kind.code().cmp(&self.kind.code()))
            .then_with(|| other.seq_id.cmp(&self.seq_id))
    }

    /// §9.3: a cell with its own time to live expires regardless of the family's settings.
    pub(crate) fn is_expired_by_tag(&self, now: i64) -> bool {
        self.ttl.is_some_and(|ttl| self.timestamp.saturating_add(ttl) < now)
    }

    /// The table of §9.8: whether this marker hides a Put of the same row.
    pub(crate) fn hides(&self, put: &Self) -> bool {
        let same_column = self.qualifier == put.qualifier;
        match self.kind {
            CellType::Delete => same_column && put.timestamp == self.timestamp,
            CellType::DeleteColumn => same_column && put.timestamp <= self.timestamp,
            CellType::DeleteFamilyVersion => put.timestamp == self.timestamp,
            CellType::DeleteFamily => put.timestamp <= self.timestamp,
            _ => false,
        }
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| hregion::cell::StringBinary(bytes).to_string();
        let (row, qualifier, value) = (text(&self.row), text(&self.qualifier), text(&self.value));
        let (timestamp, kind, seq_id) = (self.timestamp, self.kind.name(), self.seq_id);
        write!(f, "{row}/{qualifier}/{timestamp}/{kind}={value}#{seq_id}")?;
        self.ttl.map_or(Ok(()), |ttl| write!(f, " ttl {ttl}"))
    }
}
