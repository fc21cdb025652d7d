//! What knows the regions of all tables (locator.md §5).

use super::{CatalogRange, CatalogRow, RegionLocations, TableState};
use crate::clock::Deadline;
use crate::error::{Corruption, Result};
use crate::schema::TableName;
use std::fmt;

/// Reads the catalog: a region of its own on some server, or whatever stands for it.
///
/// This is the door for a client of remote servers: it sends what is asked to the server that `meta` names. A catalog that is
/// at hand looks at `meta` no further.
pub trait Catalog: fmt::Debug + Send + Sync {
    /// The rows of a range: of family `info`, the newest versions, in the order asked for.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read by the deadline. A row that is not what it must be is no error, but an entry that says so.
    fn rows(
        &self,
        meta: &RegionLocations,
        range: &CatalogRange,
        deadline: Deadline,
    ) -> Result<Vec<CatalogEntry>>;

    /// Whether a table is served; none if there is no such table.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read by the deadline, or the state cannot be what it says.
    fn table_state(
        &self,
        meta: &RegionLocations,
        table: &TableName,
        deadline: Deadline,
    ) -> Result<Option<TableState>>;
}

/// A row of the catalog, whatever is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The key.
    pub key: Vec<u8>,
    /// What it says, or why it says nothing.
    pub row: Result<CatalogRow, Corruption>,
}
