//! The pages of a scan: reads and checks them, and tracks the position of the scan.

use super::{RegionScanner, Scanner};
use crate::bounded::Undecoded;
use crate::call_target::CallTarget;
use crate::fault::Fault;
use crate::proto;
use crate::region_opener::Pages;
use crate::results::rows_of;
use bytes::Bytes;
use hregion::{Corruption, Row};
use std::cmp::Ordering;
use std::time::Duration;

/// An answer, and its results, each with whether it is a part of a row.
pub(crate) type Page = (proto::ScanResponse, Vec<(Row, bool)>);

/// The next step after a page.
pub(super) enum AfterPage {
    /// More of the region.
    ReadOn,
    /// The next region.
    NextRegion,
    /// Nothing.
    End,
}

impl Scanner {
    /// Takes the rows of a page.
    pub(super) fn take_page(
        &mut self,
        target: &CallTarget,
        response: &proto::ScanResponse,
        rows: Vec<(Row, bool)>,
    ) -> Result<AfterPage, Fault> {
        self.pages += 1;
        let says_more = response.more_results_in_region.is_some();
        let is_answer = match &mut self.open {
            Some(open) => {
                open.sequence += 1;
                // servers before 1.4 repeat no id
                says_more == open.says_more && response.scanner_id.is_none_or(|id| id == open.id)
            }
            None => response.scanner_id.is_some_and(|id| {
                self.open = Some(RegionScanner { target: target.clone(), id, sequence: 0, says_more });
                target.connection.is_new_scanner(id)
            }),
        };
        if !is_answer {
            // it would end the region, or have rows of elsewhere
            let other = Corruption::Malformed("answer to a call other than that of the scanner");
            return Err(target.connection.give_up(&other));
        }
        let is_empty = rows.is_empty();
        let is_heartbeat = response.heartbeat_message.unwrap_or_default();
        for (row, partial) in rows {
            let begun = self
                .check_row(target, &row)
                .and_then(|()| self.assembler.begin_row(row.key(), &mut self.results));
            begun.map_err(|corruption| target.connection.give_up(&corruption))?;
            if self.assembler.completed() >= self.limit {
                break; // more than was asked for
            }
            let taken = self.assembler.take(row, partial, &mut self.results);
            taken.map_err(|corruption| match corruption {
                // other rows may be smaller
                Corruption::Limit { .. } => Fault::corrupt(target.connection.server(), &corruption),
                _ => target.connection.give_up(&corruption),
            })?;
        }
        let more = response.more_results.unwrap_or(true);
        let region_ends = match response.more_results_in_region {
            Some(more) => !more,
            // servers before 1.2 do not tell
            None => is_empty && !is_heartbeat,
        };
        if (is_empty && !is_heartbeat) || region_ends || !more {
            self.assembler.end_row(&mut self.results);
        }
        if !more || region_ends {
            // the server has closed the scanner
            self.open = None;
            self.ready = Pages::default();
        }
        let goes_on = more && self.assembler.completed() < self.limit;
        Ok(match (goes_on, region_ends) {
            (false, _) => AfterPage::End,
            (true, true) => AfterPage::NextRegion,
            (true, false) => AfterPage::ReadOn,
        })
    }

    /// Returns the row at which a page ends, if it is reported.
    pub(super) fn position_of(&self, response: &proto::ScanResponse, rows: &[(Row, bool)]) -> Option<Bytes> {
        let cursor = response.cursor.as_ref().and_then(|cursor| cursor.row.clone());
        cursor.or_else(|| rows.last().map(|(row, _)| Bytes::copy_from_slice(row.key())))
    }

    /// Whether the scan has come further by a page: into another region, or to a later row, or cell of it,
    /// than by any page before. A server could otherwise answer without an end.
    pub(super) fn is_progress(&mut self, then: &AfterPage, position: Option<Bytes>) -> bool {
        if !matches!(then, AfterPage::ReadOn) {
            return true;
        }
        let Some(row) = position else { return false };
        let pieces = self.assembler.pieces();
        let is_further = self.reached.as_ref().is_none_or(|(last, cells)| {
            let order = self.assembler.order().compare_rows(&row, last);
            match if self.scan.row_range().reversed { order.reverse() } else { order } {
                Ordering::Greater => true,
                Ordering::Equal => pieces > *cells,
                Ordering::Less => false,
            }
        });
        if is_further {
            self.reached = Some((row, pieces));
        }
        is_further
    }

    /// Checks that a row is of the region and of what is left of the scan, so that a confused server cannot
    /// repeat or skip rows: a region may have been merged with one whose rows were returned.
    fn check_row(&self, target: &CallTarget, row: &Row) -> Result<(), Corruption> {
        let region = target.locations.region();
        if !region.table().is_meta() && !region.contains(row.key()) {
            return Err(Corruption::Malformed("row outside of the region that was asked for"));
        }
        let range = self.scan.row_range();
        let compare = |bound: &[u8]| {
            let order = self.assembler.order().compare_rows(row.key(), bound);
            if range.reversed { order.reverse() } else { order }
        };
        let has_start = !range.reversed || !self.start.is_empty();
        let is_early = |order: Ordering| if self.include_start { order.is_lt() } else { order.is_le() };
        let is_late = !range.stop.is_empty() && compare(range.stop).is_gt();
        if is_late || (has_start && is_early(compare(&self.start[..]))) {
            return Err(Corruption::Malformed("row outside of the range that was asked for"));
        }
        Ok(())
    }

    /// Returns the row at which the scan continues after a region, and whether with that row or the previous
    /// one; `None` if the scan ends in the region.
    pub(super) fn row_after(&self, target: &CallTarget) -> Option<(Bytes, bool)> {
        let region = target.locations.region();
        let range = self.scan.row_range();
        let ends = if range.reversed {
            let start = region.start_key();
            start.is_empty() || (!range.stop.is_empty() && start <= range.stop)
        } else {
            let end = region.end_key();
            let past = |stop: &[u8]| end > stop || (end == stop && !range.include_stop);
            end.is_empty() || (!range.stop.is_empty() && past(range.stop))
        };
        let next = if range.reversed { region.start_key() } else { region.end_key() };
        (!ends).then(|| (Bytes::copy_from_slice(next), !range.reversed))
    }
}

/// Reads a page.
pub(crate) async fn read(
    target: &mut CallTarget,
    request: &proto::ScanRequest,
    time: Duration,
) -> Result<Page, Fault> {
    let answer = target.call::<Undecoded>("Scan", request, time).await?;
    let asked = request.number_of_rows.unwrap_or_default() as usize;
    let page = answer.message.read::<proto::ScanResponse>(asked).and_then(|response| {
        let rows = rows_of(&response, answer.cells)?;
        Ok((response, rows))
    });
    page.map_err(|corruption| target.connection.give_up(&corruption))
}
