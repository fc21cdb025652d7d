//! Values to write.

use bytes::Bytes;

/// Values for columns of one row, written together (HBase: `Put`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub(crate) row: Bytes,
    pub(crate) cells: Vec<PutCell>,
    pub(crate) ttl: Option<i64>,
}

/// One value; without a timestamp, that of the clock when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PutCell {
    pub(crate) family: Bytes,
    pub(crate) qualifier: Bytes,
    pub(crate) timestamp: Option<i64>,
    pub(crate) value: Bytes,
}

impl Put {
    /// Nothing yet, for a row.
    #[must_use]
    pub fn new(row: impl Into<Bytes>) -> Self {
        Self { row: row.into(), cells: Vec::new(), ttl: None }
    }

    /// Adds a value at the time of writing.
    #[must_use]
    pub fn cell(
        self,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        self.add(family.into(), qualifier.into(), None, value.into())
    }

    /// Adds a value at a timestamp in milliseconds; `i64::MAX` is the time of writing.
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
        self.cells.push(PutCell { family, qualifier, timestamp, value });
        self
    }

    /// After how many milliseconds the cells expire: a tag on each of them. [`i64::MAX`] means never, and makes no tag.
    #[must_use]
    pub fn ttl(mut self, millis: i64) -> Self {
        self.ttl = Some(millis);
        self
    }

    /// The values: of each its family, its qualifier, its timestamp if it has one of its own, and the bytes.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8], Option<i64>, &[u8])> {
        self.cells.iter().map(|cell| (&*cell.family, &*cell.qualifier, cell.timestamp, &*cell.value))
    }

    /// The row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }
}
