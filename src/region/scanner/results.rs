//! The results of a call of a scanner.

use crate::cell::Row;

/// A result of a scan: a row, or a part of one (HBase: `Result`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanResult {
    /// The cells.
    pub row: Row,
    /// Whether more cells of the row may follow in the next result (HBase: `mayHaveMoreCellsInRow`).
    pub partial: bool,
}

/// The results of one call of a scanner (HBase: `ScanResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanResults {
    /// The results, in scan order.
    pub results: Vec<ScanResult>,
    /// Whether there may be more results: false once the end or the limit on rows is known to be reached.
    pub more: bool,
}
