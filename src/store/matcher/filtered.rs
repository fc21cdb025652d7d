//! Decides what scans with a filter return (read-path.md §9.4, §9.5; HBase: `UserScanQueryMatcher`).

use super::{Disorder, MatchCode, Rules, ScanQueryMatcher, Version};
use crate::cell::{CellKey, CellRef, SeekKey, same_bytes};
use crate::error::Error;
use crate::filter::{FilterEvaluator, Verdict};

/// The action for a cell, by the matcher and a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilteredCode {
    Match(MatchCode),
    /// Skip the cell and go to the key that has been set, which is ahead (HBase: `SEEK_NEXT_USING_HINT`).
    SeekToKey,
    /// End the scan.
    DoneScan,
}

impl From<MatchCode> for FilteredCode {
    fn from(code: MatchCode) -> Self {
        Self::Match(code)
    }
}

/// Why cells cannot be matched and handed out.
#[derive(Debug)]
pub(crate) enum MatchError {
    /// The cells are invalid.
    Disorder(Disorder),
    /// The filter cannot judge them, or handing them out failed.
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

impl ScanQueryMatcher<'_> {
    /// Same as [`match_in_row`](Self::match_in_row), with a filter that judges the cells that the scan would
    /// return. For [`FilteredCode::SeekToKey`], sets `key`.
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
            self.match_wanted(version)?
        };
        // A cell that the scan does not return must not end it: a compaction may drop that cell.
        if filter.filter_all_remaining() {
            return Ok(if code.is_include() { FilteredCode::DoneScan } else { code.into() });
        }
        if !code.is_include() {
            let is_ahead = self.follow(filter, FilterEvaluator::skip_hint, cell, key);
            return Ok(if is_ahead { FilteredCode::SeekToKey } else { code.into() });
        }
        let verdict = filter.filter_cell(cell)?;
        if verdict == Verdict::SeekNextUsingHint {
            let is_ahead = self.follow(filter, FilterEvaluator::next_cell_hint, cell, key);
            return Ok(if is_ahead { FilteredCode::SeekToKey } else { MatchCode::Skip.into() });
        }
        Ok(self.merge(code, verdict, version.qualifier).into())
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
                let is_ahead = self.follow(filter, FilterEvaluator::next_cell_hint, cell, key);
                Ok(if is_ahead { FilteredCode::SeekToKey } else { MatchCode::Skip.into() })
            }
            Err(error) => Err(error.into()),
        })
    }

    /// Asks the filter for a hint and copies it to `key` if it [leads ahead](Self::leads_ahead). Counts a
    /// hint that does not as ignored.
    fn follow(
        &self,
        filter: &mut FilterEvaluator,
        ask: impl for<'f> FnOnce(&'f mut FilterEvaluator, CellRef<'_>) -> Option<&'f CellKey>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> bool {
        let Some(hint) = ask(filter, cell) else { return false };
        if self.leads_ahead(hint, cell) {
            key.set_key(hint);
            return true;
        }
        filter.count_ignored_hint();
        false
    }

    /// Whether the read may follow a hint (§9.11). In a reversed scan the hint must be in a previous row: one
    /// before the cell in its row would lead back (§23.16). In a forward scan the hint must not skip markers
    /// of the family that may come after the cell: they hide what the filter would find (HBase follows such
    /// hints, and deleted cells come back). The hint must not be within the cell's column either: the
    /// versions that it skips count, and there may be markers among them.
    fn leads_ahead(&self, hint: &CellKey, cell: CellRef<'_>) -> bool {
        let same_row = same_bytes(hint.row(), cell.row());
        if self.reversed {
            return !same_row && self.order.compare_rows(hint.row(), cell.row()).is_lt();
        }
        let same_column = || hint.qualifier() == cell.qualifier() && hint.is_of_family(cell.family());
        if same_row && (!self.may_skip_within_column(cell) || same_column()) {
            return false;
        }
        self.order.compare(hint, cell.key()).is_gt()
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
