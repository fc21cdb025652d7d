//! Advances a scan from one region to the next (locator.md §13.1).

use super::regions::RegionList;
use crate::cell::RowRef;
use crate::error::Result;
use crate::locator::{LocateType, RegionInconsistency};
use crate::op::{Cursor, Scan};
use crate::schema::RegionInfo;

/// The regions of a scan, in scan order.
#[derive(Debug)]
pub(super) struct Steps<'s> {
    scan: &'s Scan,
    /// The position of the next region; `None` after the last.
    next: Option<(Vec<u8>, LocateType)>,
    /// The position of the last region returned.
    last: Option<(Vec<u8>, LocateType)>,
    /// The number of regions returned.
    count: u64,
}

/// The number of rows that remain of a scan's limit, over all regions.
#[derive(Debug)]
pub(super) struct RowsLeft {
    left: u64,
    /// The row of the last result if that was a partial one. The row is complete when another row follows.
    piece_of: Vec<u8>,
    /// Whether the current region has returned anything.
    found: bool,
}

impl RowsLeft {
    pub(super) fn new(scan: &Scan) -> Self {
        let left = scan.limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        Self { left, piece_of: Vec::new(), found: false }
    }

    pub(super) fn is_none(&self) -> bool {
        self.left == 0
    }

    /// Counts a result. Returns false if its row exceeds the limit.
    pub(super) fn take(&mut self, row: RowRef<'_>, is_partial: bool) -> bool {
        if self.piece_of != row.key() {
            self.complete_row();
        }
        if self.is_none() {
            return false;
        }
        self.found = true;
        self.piece_of.clear();
        if is_partial {
            self.piece_of.extend_from_slice(row.key());
        } else {
            self.left -= 1;
        }
        true
    }

    /// Ends a region. Returns whether the scan ends with it: if its filter accepts no more rows, and the
    /// region has returned none. Otherwise the scan continues in the next region, where the filter starts
    /// again (read-path.md §12.2).
    pub(super) fn end_region(&mut self, is_filter_done: bool) -> bool {
        self.complete_row();
        let found = std::mem::take(&mut self.found);
        is_filter_done && !found
    }

    /// Counts the row of the last result as complete.
    fn complete_row(&mut self) {
        if !self.piece_of.is_empty() {
            self.piece_of.clear();
            self.left -= 1;
        }
    }
}

impl<'s> Steps<'s> {
    pub(super) fn new(scan: &'s Scan) -> Self {
        let position = match (scan.is_reversed(), scan.include_start) {
            // An empty start row of a reversed scan is the end of the table.
            (true, _) if scan.start.is_empty() => LocateType::Before,
            (true, false) => LocateType::Before,
            (_, true) => LocateType::At,
            (false, false) if scan.start.is_empty() => LocateType::At,
            (false, false) => LocateType::After,
        };
        Self { scan, next: Some((scan.start.to_vec(), position)), last: None, count: 0 }
    }

    /// Returns to the last region, so that it is looked up again, in another list.
    pub(super) fn go_back(&mut self) {
        self.next = self.last.take();
        self.count -= 1;
    }

    /// Returns the scan of the last region, if it is not the whole scan: the region may be from a later list,
    /// and have rows of previous regions, as after a merge. The scan then continues after these rows.
    pub(super) fn rest_in(&self, region: &RegionInfo) -> Option<Scan> {
        let (row, position) = self.last.as_ref().filter(|_| self.count > 1)?;
        let edge = if self.scan.is_reversed() { region.end_key() } else { region.start_key() };
        let rest = || self.scan.clone().start_row(row.clone(), matches!(position, LocateType::At));
        (row != edge).then(rest)
    }

    /// Returns the index of the next region.
    pub(super) fn next(&mut self, regions: &RegionList) -> Result<Option<usize>> {
        let Some((row, position)) = self.next.take() else { return Ok(None) };
        if let Some(fault) = regions.inconsistencies.iter().find(|fault| is_at(fault, &row, position)) {
            return Err(fault.to_error());
        }
        let at = regions.locate(&row, position)?;
        let region = &regions.slots[at].info;
        let (start, end) = (region.start_key(), region.end_key());
        let (low, high) = self.bounds();
        let (from, to) =
            (low.max(start), if end.is_empty() || !high.is_empty() && high < end { high } else { end });
        let is_overlap = |fault: &&RegionInconsistency| matches!(fault, RegionInconsistency::Overlap { .. });
        if let Some(fault) =
            regions.inconsistencies.iter().filter(is_overlap).find(|fault| fault.touches(from, to))
        {
            return Err(fault.to_error());
        }
        self.next = if self.scan.is_reversed() {
            let is_last = start.is_empty() || !low.is_empty() && start <= low;
            (!is_last).then(|| (start.to_vec(), LocateType::Before))
        } else {
            let is_last =
                end.is_empty() || !high.is_empty() && (end > high || end == high && !self.scan.include_stop);
            (!is_last).then(|| (end.to_vec(), LocateType::At))
        };
        self.last = Some((row, position));
        self.count += 1;
        Ok(Some(at))
    }

    /// Returns the position at which the next region begins; `None` after the last.
    pub(super) fn position(&self) -> Option<Cursor> {
        let next = self.next.as_ref();
        next.map(|(row, position)| Cursor::new(row.clone(), matches!(position, LocateType::At)))
    }

    /// Returns the least and the greatest row of the scan; empty for no bound.
    fn bounds(&self) -> (&[u8], &[u8]) {
        let Scan { start, stop, .. } = self.scan;
        if self.scan.is_reversed() { (stop, start) } else { (start, stop) }
    }
}

/// Whether a fault affects the region to be located.
fn is_at(fault: &RegionInconsistency, row: &[u8], position: LocateType) -> bool {
    let (start, end) = fault.bounds();
    match position {
        LocateType::At => fault.touches(row, &[row, &[0]].concat()),
        LocateType::After => fault.touches(&[row, &[0]].concat(), &[row, &[0, 0]].concat()),
        LocateType::Before if row.is_empty() => end.is_empty(),
        LocateType::Before => start < row && (end.is_empty() || row <= end),
    }
}
