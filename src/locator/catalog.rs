//! The interface to the catalog (locator.md §5).

use super::{CatalogRange, CatalogRow, RegionLocations, TableState};
use crate::cell::RowRef;
use crate::clock::Deadline;
use crate::error::{Corruption, Result};
use crate::schema::TableName;
use std::fmt;

/// Reads the catalog: the region of `hbase:meta` on a server, or a substitute (HBase:
/// `ClientMetaTableAccessor`).
///
/// A client of remote servers implements this trait and sends requests to the server in `meta`. A local
/// catalog ignores `meta`.
pub trait Catalog: fmt::Debug + Send + Sync {
    /// Returns the rows of a range: family `info`, the newest versions, in the order of the range.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read by the deadline. An invalid row is not an error; its entry has the
    /// reason.
    fn rows(
        &self,
        meta: &RegionLocations,
        range: &CatalogRange,
        deadline: Deadline,
    ) -> Result<Vec<CatalogEntry>>;

    /// Returns the state of a table; `None` if there is no such table.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read by the deadline, or the state is invalid.
    fn table_state(
        &self,
        meta: &RegionLocations,
        table: &TableName,
        deadline: Deadline,
    ) -> Result<Option<TableState>>;
}

/// A row of the catalog, valid or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The key.
    pub key: Vec<u8>,
    /// The parsed row, or the reason that it is invalid.
    pub row: Result<CatalogRow, Corruption>,
}

impl CatalogEntry {
    /// Parses a row of the catalog. If a column is invalid, only the region and the servers of its replicas,
    /// as HBase's clients do: a region is also found in a state that a later version has.
    #[must_use]
    pub fn parse(row: RowRef<'_>) -> Self {
        let parsed = CatalogRow::parse(row).or_else(|_| CatalogRow::parse_locations(row));
        Self { key: row.key().to_vec(), row: parsed }
    }
}
