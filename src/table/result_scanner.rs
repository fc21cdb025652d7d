//! A table scanner that owns the data it reads (HBase: `ResultScanner`).

use super::{TableScanner, TableView};
use crate::cell::{Row, RowRef};
use crate::error::Result;
use crate::op::Scan;
use crate::region::ScanResults;
use self_cell::self_cell;
use std::fmt;

/// The data that a scanner borrows.
struct ScanSource {
    view: TableView,
    scan: Scan,
}

self_cell!(
    struct Scanner {
        owner: ScanSource,
        #[not_covariant]
        dependent: TableScanner,
    }
);

/// The rows of a table scan, in order, together with the view they are read from (HBase: `ResultScanner`).
/// The scanner may outlive all handles of the table, and may be sent to another thread.
///
/// The scanner keeps open the regions it has read. Once the table is [closed](crate::Table::close), reads
/// fail with the kind [`Closed`](crate::ErrorKind::Closed).
pub struct TableResultScanner(Scanner);

impl TableResultScanner {
    pub(super) fn new(view: TableView, scan: Scan) -> Result<Self> {
        Scanner::try_new(ScanSource { view, scan }, |source| source.view.scan(&source.scan)).map(Self)
    }

    /// Returns the next row. See [`TableScanner::next_row`].
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, or the scan reaches rows that no region, or more than one, has.
    /// Rows returned before are correct.
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        self.0.with_dependent_mut(|_, rows| rows.next_row())
    }

    /// Whether the last result is a part of a row. See [`TableScanner::is_partial`].
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.is_partial())
    }

    /// Returns results as one call to a server does. See [`TableScanner::next_results`].
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, or the scan reaches rows that no region, or more than one, has.
    /// Rows returned before are correct.
    pub fn next_results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        self.0.with_dependent_mut(|_, rows| rows.next_results(max))
    }
}

impl Iterator for TableResultScanner {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.with_dependent_mut(|_, rows| rows.next())
    }
}

impl fmt::Debug for TableResultScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableResultScanner")
            .field("scan", &self.0.borrow_owner().scan)
            .finish_non_exhaustive()
    }
}
