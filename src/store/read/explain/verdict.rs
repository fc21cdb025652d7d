//! Derives the reason of a cell from the matcher's rule.

use super::column::Column;
use super::markers::Markers;
use super::reason::CellReason;
use super::returned::ReturnedCells;
use crate::cell::CellRef;
use crate::error::Corruption;
use crate::op::Query;
use crate::store::matcher::{Decision, MatchCode, Rule, ScanQueryMatcher};

/// A reason, and the cell that hides another.
type Verdict<'v> = (CellReason, Option<CellRef<'v>>);

/// Finds the reasons of the cells of one row after the other.
#[derive(Debug)]
pub(super) struct Verdicts {
    read_point: i64,
    /// Whether delete markers are returned or kept like other cells.
    shows_markers: bool,
    filtered: bool,
    max_versions: u32,
    max_results: u32,
    row_offset: u32,
    column: Column,
    markers: Markers,
    /// Number of cells of the row that are returned.
    returned: u32,
}

impl Verdicts {
    pub(super) fn of_query(query: &Query<'_>) -> Self {
        Self {
            read_point: query.read_point,
            shows_markers: query.raw,
            filtered: query.filtered,
            max_versions: query.max_versions,
            max_results: query.max_results.unwrap_or(u32::MAX),
            row_offset: query.row_offset,
            column: Column::default(),
            markers: Markers::default(),
            returned: 0,
        }
    }

    pub(super) fn of_compaction() -> Self {
        Self {
            read_point: i64::MAX,
            shows_markers: true,
            filtered: false,
            max_versions: u32::MAX,
            max_results: u32::MAX,
            row_offset: 0,
            column: Column::default(),
            markers: Markers::default(),
            returned: 0,
        }
    }

    pub(super) fn begin_row(&mut self) {
        self.column = Column::default();
        self.markers.begin_row();
        self.returned = 0;
    }

    /// Whether the read sees a cell.
    pub(super) fn shows(&self, cell: CellRef<'_>) -> bool {
        cell.seq_id() <= self.read_point
    }

    /// Returns the reason of the next cell of the row. `decision` is `None` if the matcher was not called,
    /// because it had skipped the cell.
    pub(super) fn of(
        &mut self,
        cell: CellRef<'_>,
        decision: Option<Decision>,
        matcher: &ScanQueryMatcher<'_>,
        returned: Option<&mut ReturnedCells<'_>>,
    ) -> Result<Verdict<'_>, Corruption> {
        if self.column.enter(cell) {
            self.markers.begin_column();
        }
        let rule = decision.map_or(Rule::Done, |decision| decision.rule);
        self.note(cell, decision);
        let is_returned = match returned {
            Some(returned) => returned.take(cell),
            None => rule == Rule::Kept,
        };
        match (rule, is_returned) {
            (Rule::Kept, false) => self.dropped_later(),
            (Rule::Kept, true) => Ok(self.returned(cell)),
            // A later write may hide a cell that a read of uncommitted writes has returned.
            (_, true) if self.read_point == i64::MAX => Ok(self.returned(cell)),
            (_, true) => Err(CONTRADICTION),
            (rule, false) => Ok(self.excluded(cell, rule, matcher)),
        }
    }

    /// Records how a cell affects later ones.
    fn note(&mut self, cell: CellRef<'_>, decision: Option<Decision>) {
        let Some(Decision { code, rule, hides }) = decision else { return };
        if hides {
            self.markers.add(cell);
        }
        if rule == Rule::Kept {
            self.column.include(cell);
        }
        if !matches!(code, MatchCode::Include | MatchCode::Skip) && rule != Rule::Done {
            self.column.left = Some(match rule {
                Rule::Kept => Rule::Versions,
                // Markers hide the rest of the column, which is skipped.
                Rule::Marker => Rule::Deleted,
                rule => rule,
            });
        }
    }

    fn returned(&mut self, cell: CellRef<'_>) -> Verdict<'_> {
        self.returned = self.returned.saturating_add(1);
        self.column.note_returned(cell);
        (CellReason::Returned, None)
    }

    /// Returns the reason that the read does not return a cell that the matcher includes.
    fn dropped_later(&self) -> Result<Verdict<'_>, Corruption> {
        let is_limited = self.max_results < u32::MAX || self.row_offset > 0;
        // A limit of 0 still allows one cell.
        let is_row_full = self.returned >= self.max_results.max(1);
        if self.filtered && self.column.returned >= self.max_versions {
            Ok((CellReason::NewerVersions, self.column.newest_returned()))
        } else if is_limited && (is_row_full || !self.filtered) {
            Ok((CellReason::Limit, None))
        } else if self.filtered {
            Ok((CellReason::Filter, None))
        } else if self.read_point == i64::MAX {
            Ok((CellReason::NotYetVisible, None))
        } else {
            Err(CONTRADICTION)
        }
    }

    /// Returns the reason that the matcher does not include a cell.
    fn excluded(&self, cell: CellRef<'_>, rule: Rule, matcher: &ScanQueryMatcher<'_>) -> Verdict<'_> {
        if cell.cell_type().is_delete() && !self.shows_markers {
            return (CellReason::RawOnly, None);
        }
        let column = &self.column;
        let rule = if rule == Rule::Done { column.left.unwrap_or(Rule::Column) } else { rule };
        let repeated_by = column.repeated_by(cell);
        match rule {
            Rule::Done | Rule::Column => (CellReason::Column, None),
            Rule::Ttl => (CellReason::Ttl, None),
            Rule::CellTtl => (CellReason::CellTtl, None),
            Rule::TimeRange => (CellReason::TimeRange, None),
            Rule::Marker => (CellReason::RawOnly, None),
            Rule::PurgedMarker => (CellReason::PurgedMarker, None),
            Rule::Deleted => {
                (CellReason::DeleteMarker, self.markers.hiding(cell, matcher.orders_by_seq_id()))
            }
            Rule::Duplicate => (CellReason::Duplicate, repeated_by),
            Rule::NewerVersions | Rule::Versions | Rule::Kept if repeated_by.is_some() => {
                (CellReason::Duplicate, repeated_by)
            }
            Rule::Versions | Rule::Kept
                if matcher.expires_within_versions(column.count, cell.timestamp()) =>
            {
                (CellReason::Ttl, None)
            }
            Rule::NewerVersions | Rule::Versions | Rule::Kept => (CellReason::NewerVersions, column.newest()),
        }
    }
}

/// The error if the set of files read changes the result.
const CONTRADICTION: Corruption = Corruption::Malformed(
    "a Bloom filter, time range or key range of a file is wrong: an answer depends on it",
);
