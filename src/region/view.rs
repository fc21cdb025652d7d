//! A region at one point in time.

use super::many_gets::{RowSource, SharedRead, read_rows};
use super::{Region, RegionCore, RegionScanner, RegionVersion, ResultScanner};
use crate::cell::{Row, RowBuf};
use crate::error::Result;
use crate::mvcc::ReadPoint;
use crate::op::{Get, Isolation, Scan};
use std::fmt;
use std::sync::Arc;

/// A consistent snapshot of a region: shows the writes that were complete when it was taken, and no others
/// (HBase: the read point of a `RegionScanner`).
///
/// Flushes and compactions keep everything visible to a view, so it holds memory and files that would
/// otherwise be released.
pub struct ReadView {
    pub(super) state: Arc<RegionVersion>,
    point: ReadPoint,
    pub(super) region: Arc<RegionCore>,
    // Dropped last: dropping the last handle closes the region, which archives files that no read needs.
    handle: Region,
}

impl ReadView {
    pub(super) fn new(handle: Region) -> Self {
        let region = Arc::clone(&handle.0);
        let (point, state) = region.register();
        Self { handle, region, state, point }
    }

    /// Returns the sequence id up to which writes are visible.
    #[must_use]
    pub fn read_point(&self) -> i64 {
        self.point.get()
    }

    pub(super) fn point_for(&self, isolation: Isolation) -> i64 {
        point_for(isolation, self.read_point())
    }

    /// Returns the region.
    #[must_use]
    pub fn region(&self) -> Region {
        self.handle.clone()
    }

    /// Reads a row. See [`Region::get`].
    ///
    /// # Errors
    ///
    /// If the row is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN), has more
    /// bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is damaged
    /// or unreadable.
    pub fn get(&self, get: &Get) -> Result<Row> {
        let mut row = RowBuf::new();
        self.get_into(get, &mut row)?;
        Ok(row.freeze())
    }

    /// Reads a row into a buffer. See [`Region::get_into`].
    ///
    /// # Errors
    ///
    /// If the row is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN), has more
    /// bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is damaged
    /// or unreadable.
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        self.region.get_of_view(&self.state, self.read_point(), get, row)
    }

    /// Reads rows, all at the view's point in time, and returns them in the order of `gets`. They are read in
    /// row order: bytes of an uncached block that several rows need are read once. If it takes long, [several
    /// threads](super::RegionOptions::get_threads) read them.
    ///
    /// # Errors
    ///
    /// If any of the rows is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN),
    /// has more bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is
    /// damaged or unreadable.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        read_rows(gets, self.region.order, &self.region.get_threads, self)
    }

    /// Like [`scan`](Self::scan), with a scanner that owns the view and the scan.
    ///
    /// # Errors
    ///
    /// - If a family is unknown, or the start row is longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN).
    /// - If a raw scan names columns, a filter that applies to whole rows is combined with a
    ///   [batch](Scan::batch), or a reversed scan would load families [on
    ///   demand](Scan::load_families_on_demand).
    /// - If a file is damaged or unreadable.
    pub fn into_scanner(self, scan: Scan) -> Result<ResultScanner> {
        ResultScanner::new(self, scan)
    }

    /// Reads the rows of a range, in order.
    ///
    /// # Errors
    ///
    /// - If a family is unknown, or the start row is longer than
    ///   [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN).
    /// - If a raw scan names columns, a filter that applies to whole rows is combined with a
    ///   [batch](Scan::batch), or a reversed scan would load families [on
    ///   demand](Scan::load_families_on_demand).
    /// - If a file is damaged or unreadable.
    pub fn scan<'v>(&'v self, scan: &'v Scan) -> Result<RegionScanner<'v>> {
        self.region.check_open()?;
        if self.region.observers.is_empty() {
            return RegionScanner::new(self, scan);
        }
        self.scan_owned(scan.clone())
    }

    /// Like [`scan`](Self::scan), with a scanner that owns the scan.
    ///
    /// # Errors
    ///
    /// Same as [`scan`](Self::scan).
    pub(crate) fn scan_owned(&self, mut scan: Scan) -> Result<RegionScanner<'_>> {
        self.region.check_open()?;
        self.region.observe(|observer, context| observer.pre_scanner_open(context, &mut scan))?;
        let scan = Arc::new(scan);
        let scanner = RegionScanner::owning(self, Arc::clone(&scan))?;
        self.region.observe(|observer, context| observer.post_scanner_open(context, &scan))?;
        Ok(scanner)
    }
}

/// Returns the read point of a read with an isolation level in a view.
fn point_for(isolation: Isolation, of_view: i64) -> i64 {
    match isolation {
        Isolation::ReadCommitted => of_view,
        Isolation::ReadUncommitted => i64::MAX,
    }
}

impl RegionCore {
    /// Reads a row of a view, and calls the observers. Returns whether it has any cells.
    fn get_of_view(&self, state: &RegionVersion, point: i64, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        let point = point_for(get.select.isolation, point);
        self.get_observed(get, row, |row| self.get_at(state, get, point, row))?;
        Ok(!row.is_empty())
    }
}

impl RowSource for ReadView {
    #[inline]
    fn read(&self, get: &Get, row: &mut RowBuf) -> Result<()> {
        self.get_into(get, row).map(drop)
    }

    // The view's registration of the read point is valid for all scanners that share it.
    fn share(&self) -> SharedRead {
        let (state, region, point) = (Arc::clone(&self.state), Arc::clone(&self.region), self.read_point());
        Box::new(move |get, row| region.get_of_view(&state, point, get, row).map(drop))
    }
}

impl fmt::Debug for ReadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadView")
            .field("region", &self.region.dir.path())
            .field("read_point", &self.read_point())
            .finish_non_exhaustive()
    }
}
