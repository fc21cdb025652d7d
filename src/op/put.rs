//! Puts: values to write.

use super::Durability;
use crate::clock::whole_millis;
use bytes::Bytes;
use std::time::Duration;

/// Values for columns of one row, written atomically (HBase: `Put`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub(crate) row: Bytes,
    pub(crate) cells: Vec<PutCell>,
    pub(crate) ttl: Option<i64>,
    pub(crate) durability: Durability,
}

/// One value. Without a timestamp it gets the time of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PutCell {
    pub(crate) family: Bytes,
    pub(crate) qualifier: Bytes,
    pub(crate) timestamp: Option<i64>,
    pub(crate) value: Bytes,
}

impl Put {
    /// Creates a put for a row, without values.
    #[must_use]
    pub fn new(row: impl Into<Bytes>) -> Self {
        Self { row: row.into(), cells: Vec::new(), ttl: None, durability: Durability::UseDefault }
    }

    /// Adds a value with the time of writing as its timestamp (HBase: `Put.addColumn`).
    #[must_use]
    pub fn cell(
        self,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        self.add(family.into(), qualifier.into(), None, value.into())
    }

    /// Adds a value at a timestamp in milliseconds. `i64::MAX` means the time of writing. A put with a
    /// negative one is refused when it is written.
    #[must_use]
    pub fn cell_at(
        self,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        timestamp: i64,
        value: impl Into<Bytes>,
    ) -> Self {
        self.add(family.into(), qualifier.into(), Some(timestamp), value.into())
    }

    fn add(mut self, family: Bytes, qualifier: Bytes, timestamp: Option<i64>, value: Bytes) -> Self {
        if self.cells.is_empty() {
            // most puts have one value
            self.cells.reserve_exact(1);
        }
        self.cells.push(PutCell { family, qualifier, timestamp, value });
        self
    }

    /// Sets the time to live of the cells in whole milliseconds, stored as a tag on each cell.
    /// [`Duration::MAX`] means that they never expire, and adds no tag.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(whole_millis(ttl));
        self
    }

    /// Sets the failures that the write survives once it is acknowledged (default: as for [the
    /// region](crate::RegionOptions::durability)).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the values, each as family, qualifier, the timestamp if it has one of its own, and the bytes.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8], Option<i64>, &[u8])> {
        self.cells.iter().map(|cell| (&*cell.family, &*cell.qualifier, cell.timestamp, &*cell.value))
    }

    /// Returns the row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }
}
