//! Filters on versions, and filters that select the returned parts of a cell.

use super::{CellFilter, Verdict};
use crate::cell::{CellRef, CellType, SeekKey};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::sync::Arc;

/// Passes the first cell of each row (HBase: `FirstKeyOnlyFilter`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FirstKeyOnlyFilter {
    found: bool,
}

impl CellFilter for FirstKeyOnlyFilter {
    fn reset(&mut self) {
        self.found = false;
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        Ok(if std::mem::replace(&mut self.found, true) { Verdict::NextRow } else { Verdict::Include })
    }
}

/// Passes the cells of each row up to and including the first one of any of the given columns (HBase:
/// `FirstKeyValueMatchingQualifiersFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FirstKeyMatchingFilter {
    /// Sorted and distinct.
    pub(super) qualifiers: Arc<[Bytes]>,
    found: bool,
}

impl FirstKeyMatchingFilter {
    pub(super) fn new(mut qualifiers: Vec<Bytes>) -> Self {
        qualifiers.sort();
        qualifiers.dedup();
        Self { qualifiers: qualifiers.into(), found: false }
    }
}

impl CellFilter for FirstKeyMatchingFilter {
    fn reset(&mut self) {
        self.found = false;
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        if self.found {
            return Ok(Verdict::NextRow);
        }
        self.found = self.qualifiers.binary_search_by(|known| (**known).cmp(cell.qualifier())).is_ok();
        Ok(Verdict::Include)
    }
}

/// Replaces values with nothing or with their lengths (HBase: `KeyOnlyFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyOnlyFilter {
    pub(super) len_as_value: bool,
    len: [u8; 4],
}

impl KeyOnlyFilter {
    pub(super) fn new(len_as_value: bool) -> Self {
        Self { len_as_value, len: [0; 4] }
    }
}

impl CellFilter for KeyOnlyFilter {
    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        if !self.len_as_value {
            return CellRef::new(cell.key(), &[]);
        }
        self.len = i32::try_from(cell.value().len()).unwrap_or(i32::MAX).to_be_bytes();
        CellRef::new(cell.key(), &self.len)
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

/// Passes cells with one of the given timestamps (HBase: `TimestampsFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimestampsFilter {
    /// Ascending and distinct.
    pub(super) timestamps: Arc<[i64]>,
    pub(super) can_hint: bool,
}

impl TimestampsFilter {
    pub(super) fn new(mut timestamps: Vec<i64>, can_hint: bool) -> Result<Self> {
        timestamps.sort_unstable();
        timestamps.dedup();
        match timestamps.first() {
            Some(first) if *first < 0 => {
                Err(Error::invalid_argument(format!("timestamp {first} of a filter, expected 0 or more")))
            }
            _ => Ok(Self { timestamps: timestamps.into(), can_hint }),
        }
    }
}

impl CellFilter for TimestampsFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        Ok(match self.timestamps.binary_search(&cell.timestamp()) {
            Ok(_) => Verdict::Include,
            Err(0) => Verdict::NextCol,
            Err(_) if self.can_hint => Verdict::SeekNextUsingHint,
            Err(_) => Verdict::Skip,
        })
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let (row, family, qualifier) = cell.key().split();
        let older = self.timestamps.partition_point(|timestamp| *timestamp < cell.timestamp());
        match older.checked_sub(1).and_then(|at| self.timestamps.get(at)) {
            Some(next) => hint.set(row, family, qualifier, *next, CellType::Maximum),
            None => hint.set_last_on_column(row, family, qualifier),
        };
        true
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn is_stateless(&self) -> bool {
        true
    }
}
