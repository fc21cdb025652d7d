//! What scans return of what a filter accepts (read-path.md §9.4, §9.5; HBase: `UserScanQueryMatcher`).

use super::{Disorder, MatchCode, Rules, ScanQueryMatcher, Version};
use crate::cell::{CellKey, CellRef, SeekKey, same_bytes};
use crate::error::Error;
use crate::filter::{FilterState, Verdict};

/// What to do with a cell, once a filter has been asked as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilteredCode {
    Match(MatchCode),
    /// Leave it out and go to the key that has been set, which is ahead (HBase: `SEEK_NEXT_USING_HINT`).
    SeekToKey,
    /// Nothing more is wanted at all.
    DoneScan,
}

/// What to do with the only cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoneCode {
    HandOut,
    Pass,
    /// Pass it over and go to the key that has been set, which is ahead.
    SeekToKey,
    /// Nothing more is wanted at all.
    Done,
}

impl From<MatchCode> for FilteredCode {
    fn from(code: MatchCode) -> Self {
        Self::Match(code)
    }
}

/// Why cells cannot be matched and handed out.
#[derive(Debug)]
pub(crate) enum Unmatched {
    /// They are not what cells can be.
    Disorder(Disorder),
    /// The filter cannot judge them, or whoever takes them failed.
    Failed(Error),
}

impl From<Disorder> for Unmatched {
    fn from(disorder: Disorder) -> Self {
        Self::Disorder(disorder)
    }
}

impl From<Error> for Unmatched {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// How many versions of a column a filter has accepted.
#[derive(Debug, Default)]
pub(super) struct AcceptedVersions {
    /// How many are returned (§9.2: `versionsAfterFilter`).
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

    /// Counts a version; whether it is still one of those to return.
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
    /// As [`match_cell`](Self::match_cell), with a filter that is asked about what the scan would return.
    ///
    /// If the answer is to go to a key, `key` is that.
    pub(crate) fn match_filtered(
        &mut self,
        cell: CellRef<'_>,
        filter: &mut FilterState,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, Unmatched> {
        if !self.is_of_current_row(cell) {
            return Ok(MatchCode::Done.into());
        }
        self.match_filtered_in_row(cell, filter, key)
    }

    /// The same, of a cell that is known to be of the current row.
    pub(crate) fn match_filtered_in_row(
        &mut self,
        cell: CellRef<'_>,
        filter: &mut FilterState,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, Unmatched> {
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
        // not by a cell that is not there for the scan: a compaction may drop it
        if filter.filter_all_remaining() {
            return Ok(if code.is_include() { FilteredCode::DoneScan } else { code.into() });
        }
        if !code.is_include() {
            let is_ahead = self.follow(filter, FilterState::skip_hint, cell, key);
            return Ok(if is_ahead { FilteredCode::SeekToKey } else { code.into() });
        }
        let verdict = filter.filter_cell(cell)?;
        if verdict == Verdict::SeekNextUsingHint {
            let is_ahead = self.follow(filter, FilterState::next_cell_hint, cell, key);
            return Ok(if is_ahead { FilteredCode::SeekToKey } else { MatchCode::Skip.into() });
        }
        Ok(self.merge(code, verdict, version.qualifier).into())
    }

    /// As [`match_filtered_in_row`](Self::match_filtered_in_row), of the only cell of a row, which needs not be set; none if it must be,
    /// and the filter has not been asked then.
    #[inline]
    pub(crate) fn match_filtered_lone(
        &self,
        cell: CellRef<'_>,
        filter: &mut FilterState,
        key: &mut SeekKey,
    ) -> Option<Result<LoneCode, Unmatched>> {
        if !self.includes_lone(cell) || self.accepted.max == 0 {
            return None;
        }
        if filter.filter_all_remaining() {
            return Some(Ok(LoneCode::Done));
        }
        Some(match filter.filter_cell(cell) {
            Ok(Verdict::Include | Verdict::IncludeAndNextCol | Verdict::IncludeAndSeekNextRow) => {
                Ok(LoneCode::HandOut)
            }
            Ok(Verdict::Skip | Verdict::NextCol | Verdict::NextRow) => Ok(LoneCode::Pass),
            Ok(Verdict::SeekNextUsingHint) => {
                let is_ahead = self.follow(filter, FilterState::next_cell_hint, cell, key);
                Ok(if is_ahead { LoneCode::SeekToKey } else { LoneCode::Pass })
            }
            Err(error) => Err(error.into()),
        })
    }

    /// Asks the filter for a hint and makes that the key to go to, if it [leads ahead](Self::leads_ahead). One that does not is
    /// counted.
    fn follow(
        &self,
        filter: &mut FilterState,
        ask: impl for<'f> FnOnce(&'f mut FilterState, CellRef<'_>) -> Option<&'f CellKey>,
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

    /// Whether the read may follow a hint (§9.11). In a reversed scan that is to another row: one before
    /// the cell in its row would lead back (§23.16). Nor does it lead over markers of the family that may be behind the cell: they
    /// hide what the filter would find (HBase goes, and what was deleted comes back). The same is true of a hint within
    /// the cell's column: versions that it leaves out count, and there may be markers among them.
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

    /// What comes of an including code and the filter's verdict, but for hints: the table of §9.5.
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
