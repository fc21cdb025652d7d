//! A scanner that owns what it reads (HBase: `ResultScanner`).

use super::{RegionScanner, ScanResults};
use crate::cell::{Row, RowRef};
use crate::error::Result;
use crate::op::{Cursor, Scan};
use crate::region::ReadView;
use self_cell::self_cell;
use std::fmt;

/// What a scanner borrows.
struct Source {
    view: ReadView,
    scan: Scan,
}

self_cell!(
    struct Scanner {
        owner: Source,
        #[not_covariant]
        dependent: RegionScanner,
    }
);

/// The rows that a scan asks for, in their order, with what they are read from: it may outlive all handles of the region, and go
/// to another thread.
///
/// While it lives the region stays open, and it holds memory and files as a [`ReadView`] does. Once the region is
/// [closed](crate::Region::close), it fails with the kind [`Closed`](crate::ErrorKind::Closed).
pub struct ResultScanner(Scanner);

impl ResultScanner {
    pub(in crate::region) fn new(view: ReadView, scan: Scan) -> Result<Self> {
        Scanner::try_new(Source { view, scan }, |source| source.view.scan(&source.scan)).map(Self)
    }

    /// The next row. See [`RegionScanner::next_row`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        self.0.with_dependent_mut(|_, rows| rows.next_row())
    }

    /// Results as a RegionServer gives them in one call. See [`RegionScanner::next_results`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn next_results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        self.0.with_dependent_mut(|_, rows| rows.next_results(max))
    }

    /// Whether the last result is a piece of a row. See [`RegionScanner::is_partial`].
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.is_partial())
    }

    /// Whether there may be another result. See [`RegionScanner::may_have_more`].
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.may_have_more())
    }

    /// Where the scan has come to. See [`RegionScanner::cursor`].
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.0.with_dependent(|_, rows| rows.cursor())
    }

    /// What it reads.
    #[must_use]
    pub fn view(&self) -> &ReadView {
        &self.0.borrow_owner().view
    }
}

impl Iterator for ResultScanner {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().map(|row| row.map(RowRef::to_row)).transpose()
    }
}

impl fmt::Debug for ResultScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultScanner").field("scan", &self.0.borrow_owner().scan).finish_non_exhaustive()
    }
}
