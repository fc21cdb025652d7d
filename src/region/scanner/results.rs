//! What a call of a scanner gives.

use crate::cell::Row;

/// A result of a scan: a row, or a piece of one (HBase: `Result`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanResult {
    /// The cells.
    pub row: Row,
    /// Whether more cells of the row may follow in the next result (HBase: `mayHaveMoreCellsInRow`).
    pub partial: bool,
}

/// What one call of a scanner gives (HBase: `ScanResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanResults {
    /// The results, in their order.
    pub results: Vec<ScanResult>,
    /// Whether there may be more: false once the end or the limit of rows is known to be reached.
    pub more: bool,
}
