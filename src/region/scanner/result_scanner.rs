//! A scanner that owns the data it reads (HBase: `ResultScanner`).

use super::{RegionScanner, ScanResults};
use crate::cell::{Row, RowRef};
use crate::error::Result;
use crate::op::{Cursor, Scan};
use crate::region::ReadView;
use self_cell::self_cell;
use std::fmt;

/// The data that a scanner borrows.
struct ScanSource {
    view: ReadView,
    scan: Scan,
}

self_cell!(
    struct Scanner {
        owner: ScanSource,
        #[not_covariant]
        dependent: RegionScanner,
    }
);

/// The rows of a scan, in order, together with the view they are read from (HBase: `ResultScanner`). The
/// scanner may outlive all handles of the region, and may be sent to another thread.
///
/// Like a [`ReadView`], it keeps the region open and holds memory and files. Once the region is
/// [closed](crate::Region::close), reads fail with the kind [`Closed`](crate::ErrorKind::Closed).
pub struct ResultScanner(Scanner);

impl ResultScanner {
    pub(in crate::region) fn new(view: ReadView, scan: Scan) -> Result<Self> {
        Scanner::try_new(ScanSource { view, scan }, |source| source.view.scan(&source.scan)).map(Self)
    }

    /// Returns the next row. See [`RegionScanner::next_row`].
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, a filter cannot compare a value, a row has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes), or the region [was closed](crate::ErrorKind::Closed).
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        self.0.with_dependent_mut(|_, rows| rows.next_row())
    }

    /// Returns results as one call to a RegionServer does. See [`RegionScanner::next_results`].
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, a filter cannot compare a value, a row has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes), or the region [was closed](crate::ErrorKind::Closed).
    pub fn next_results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        self.0.with_dependent_mut(|_, rows| rows.next_results(max))
    }

    /// Whether the last result is a part of a row. See [`RegionScanner::is_partial`].
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.is_partial())
    }

    /// Whether there may be another result. See [`RegionScanner::may_have_more`].
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.may_have_more())
    }

    /// Whether the filter accepts no more rows of the region. See [`RegionScanner::is_filter_done`].
    #[must_use]
    pub fn is_filter_done(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.is_filter_done())
    }

    /// Returns the position of the scan. See [`RegionScanner::cursor`].
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.0.with_dependent(|_, rows| rows.cursor())
    }

    /// Returns the view that the scanner reads from.
    #[must_use]
    pub fn view(&self) -> &ReadView {
        &self.0.borrow_owner().view
    }
}

impl Iterator for ResultScanner {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.with_dependent_mut(|_, rows| rows.next())
    }
}

impl fmt::Debug for ResultScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultScanner").field("scan", &self.0.borrow_owner().scan).finish_non_exhaustive()
    }
}
