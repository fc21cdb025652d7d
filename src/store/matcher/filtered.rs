//! Decides what scans with a filter return (read-path.md §9.4, §9.5; HBase: `UserScanQueryMatcher`).

use super::{Disorder, MatchCode, Rules, ScanQueryMatcher, Version};
use crate::cell::{CellKey, CellRef, SeekKey, same_bytes};
use crate::error::Error;
use crate::filter::{FilterEvaluator, Verdict};

/// The action for a cell, decided by the matcher and a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilteredCode {
    Match(MatchCode),
    /// Skip the cell and seek forward to the key that has been set (HBase: `SEEK_NEXT_USING_HINT`).
    SeekToKey,
    /// End the scan.
    DoneScan,
}

impl From<MatchCode> for FilteredCode {
    fn from(code: MatchCode) -> Self {
        Self::Match(code)
    }
}

/// The reason that cells cannot be matched and returned.
#[derive(Debug)]
pub(crate) enum MatchError {
    /// The cells are invalid.
    Disorder(Disorder),
    /// The filter cannot decide on them, or passing them to the caller failed.
    Failed(Error),
}

impl From<Disorder> for MatchError {
    fn from(disorder: Disorder) -> Self {
        Self::Disorder(disorder)
    }
}

impl From<Error> for MatchError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Counts the versions of a column that a filter has accepted.
#[derive(Debug, Default)]
pub(super) struct AcceptedVersions {
    /// The number of versions to return (§9.2: `versionsAfterFilter`).
    pub(super) max: u32,
    count: u32,
    qualifier: Vec<u8>,
}

impl AcceptedVersions {
    /// Begins a row.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.count = 0;
    }

    /// Counts a version. Returns whether it is within the limit.
    fn count(&mut self, qualifier: &[u8]) -> bool {
        if self.count == 0 || !same_bytes(qualifier, &self.qualifier) {
            self.count = 0;
            self.qualifier.clear();
            self.qualifier.extend_from_slice(qualifier);
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.max
    }
}

/// A hint within the current row that the scan cannot seek to yet: the cells before it may be markers, or
/// versions that count. They are matched without the filter.
#[derive(Debug, Default)]
pub(super) struct PendingHint {
    is_set: bool,
    /// Kept when the hint is no longer set, to reuse its memory.
    key: Option<SeekKey>,
}

impl PendingHint {
    /// Begins a row.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.is_set = false;
    }

    fn set(&mut self, key: &CellKey) {
        self.is_set = true;
        self.key.get_or_insert_default().set_key(key);
    }
}

/// The direction of a hint from a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// To a later cell in the direction of the scan, at once.
    Ahead,
    /// To a later cell, but the cells before it must be matched.
    Pending,
    /// Not forward.
    Nowhere,
}

impl ScanQueryMatcher<'_> {
    /// Same as [`match_in_row`](Self::match_in_row), with a filter that decides on the cells that the scan
    /// would return. For [`FilteredCode::SeekToKey`], sets `key`.
    pub(crate) fn match_filtered_in_row(
        &mut self,
        cell: CellRef<'_>,
        filter: &mut FilterEvaluator,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, MatchError> {
        let version = Version::of(cell);
        let code = if self.is_plain(cell) {
            self.columns.match_put(version.qualifier, version.timestamp, &self.limits)?
        } else {
            if let Some(code) = self.pre_check(cell, version)? {
                return Ok(code.into());
            }
            if matches!(self.rules, Rules::User)
                && let Some(code) = self.check_hidden(version)?
            {
                return Ok(code.into());
            }
            self.match_column(version)?
        };
        if self.pending.is_set
            && let Some(code) = self.match_before_hint(cell, code, key)
        {
            return Ok(code);
        }
        // A cell that the scan does not return must not end it: a compaction may drop that cell.
        if filter.filter_all_remaining() {
            return Ok(if code.is_include() { FilteredCode::DoneScan } else { code.into() });
        }
        let (lead, code) = if code.is_include() {
            let verdict = filter.filter_cell(cell)?;
            if verdict != Verdict::SeekNextUsingHint {
                return Ok(self.merge(code, verdict, version.qualifier).into());
            }
            let lead = self.follow(filter, FilterEvaluator::next_cell_hint, cell, key);
            (lead, MatchCode::Skip)
        } else {
            (self.follow(filter, FilterEvaluator::skip_hint, cell, key), code)
        };
        match lead {
            Lead::Ahead => return Ok(FilteredCode::SeekToKey),
            Lead::Pending => self.pending.set(key),
            Lead::Nowhere => {}
        }
        Ok(code.into())
    }

    /// Same as [`match_filtered_in_row`](Self::match_filtered_in_row), for the only cell of a row, which need
    /// not be set. Returns `None` if it must be set; the filter has not been called then.
    #[inline(always)] // the loop of scans with a filter
    pub(crate) fn match_filtered_single_cell(
        &self,
        cell: CellRef<'_>,
        filter: &mut FilterEvaluator,
        key: &mut SeekKey,
    ) -> Option<Result<FilteredCode, MatchError>> {
        if !self.includes_single_cell(cell) || self.accepted.max == 0 {
            return None;
        }
        if filter.filter_all_remaining() {
            return Some(Ok(FilteredCode::DoneScan));
        }
        Some(match filter.filter_cell(cell) {
            Ok(Verdict::Include | Verdict::IncludeAndNextCol | Verdict::IncludeAndSeekNextRow) => {
                Ok(MatchCode::Include.into())
            }
            Ok(Verdict::Skip | Verdict::NextCol | Verdict::NextRow) => Ok(MatchCode::Skip.into()),
            Ok(Verdict::SeekNextUsingHint) => {
                let lead = self.follow(filter, FilterEvaluator::next_cell_hint, cell, key);
                Ok(if lead == Lead::Ahead { FilteredCode::SeekToKey } else { MatchCode::Skip.into() })
            }
            Err(error) => Err(error.into()),
        })
    }

    /// Returns the action for a cell by the [pending hint](PendingHint), or `None` if the cell is not before
    /// it. The filter is not asked about a cell before it.
    #[cold]
    fn match_before_hint(
        &mut self,
        cell: CellRef<'_>,
        code: MatchCode,
        key: &mut SeekKey,
    ) -> Option<FilteredCode> {
        let hint = self.pending.key.as_ref()?;
        match self.lead(hint, cell) {
            Lead::Ahead => {
                key.set_key(hint);
                Some(FilteredCode::SeekToKey)
            }
            Lead::Pending if code.is_include() => Some(MatchCode::Skip.into()),
            Lead::Pending => Some(code.into()),
            Lead::Nowhere => {
                self.pending.reset();
                None
            }
        }
    }

    /// Asks the filter for a hint and copies it to `key`, unless it does not lead forward: then counts it as
    /// ignored.
    fn follow(
        &self,
        filter: &mut FilterEvaluator,
        ask: impl for<'f> FnOnce(&'f mut FilterEvaluator, CellRef<'_>) -> Option<&'f CellKey>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Lead {
        let Some(hint) = ask(filter, cell) else { return Lead::Nowhere };
        let lead = self.lead(hint, cell);
        if lead == Lead::Nowhere {
            filter.count_ignored_hint();
        } else {
            key.set_key(hint);
        }
        lead
    }

    /// Returns the direction of a hint from a cell (§9.11). In a reversed scan the hint must be in a previous
    /// row: one before the cell in its row would lead back (§23.16). In a forward scan no seek may skip
    /// family markers after the cell, which may hide cells that the filter would find (HBase seeks, and
    /// returns deleted cells). Nor may it skip cells of the cell's column, whose versions count and may
    /// include markers (§23.26).
    fn lead(&self, hint: &CellKey, cell: CellRef<'_>) -> Lead {
        let same_row = same_bytes(hint.row(), cell.row());
        if self.reversed {
            let is_ahead = !same_row && self.order.compare_rows(hint.row(), cell.row()).is_lt();
            return if is_ahead { Lead::Ahead } else { Lead::Nowhere };
        }
        if !self.order.compare(hint, cell.key()).is_gt() {
            return Lead::Nowhere;
        }
        let same_column = || hint.qualifier() == cell.qualifier() && hint.is_of_family(cell.family());
        if same_row && (!self.may_skip_within_column(cell) || same_column()) {
            return Lead::Pending;
        }
        Lead::Ahead
    }

    /// Merges an including code and the filter's verdict, except for hints, by the table of §9.5.
    pub(super) fn merge(&mut self, code: MatchCode, verdict: Verdict, qualifier: &[u8]) -> MatchCode {
        use MatchCode::{
            Include, IncludeAndSeekNextCol, IncludeAndSeekNextRow, SeekNextCol, SeekNextRow, Skip,
        };
        let merged = match (verdict, code) {
            (Verdict::Include, code) => code,
            (Verdict::IncludeAndNextCol, IncludeAndSeekNextRow) => IncludeAndSeekNextRow,
            (Verdict::IncludeAndNextCol, _) => IncludeAndSeekNextCol,
            (Verdict::IncludeAndSeekNextRow, _) => IncludeAndSeekNextRow,
            (Verdict::NextRow, _) | (Verdict::Skip | Verdict::NextCol, IncludeAndSeekNextRow) => {
                return SeekNextRow;
            }
            (Verdict::Skip, IncludeAndSeekNextCol) => return SeekNextCol,
            (Verdict::NextCol, _) => return self.columns.next_row_or_column(qualifier),
            (Verdict::Skip | Verdict::SeekNextUsingHint, _) => return Skip,
        };
        let merged = match self.accepted.count(qualifier) {
            true => merged,
            false if merged == IncludeAndSeekNextRow => SeekNextRow,
            false => SeekNextCol,
        };
        debug_assert!(merged != Include || code == Include);
        if matches!(merged, IncludeAndSeekNextCol | SeekNextCol) {
            self.columns.done_with_column(qualifier);
        }
        merged
    }
}
