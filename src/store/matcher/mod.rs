//! Decides which cells of a family a scan returns, and which a compaction keeps (read-path.md §9, §17; HBase:
//! package `querymatcher`). Independent of files: the caller passes cells in their order, and the matcher
//! returns the action for each and where to go next.

mod code;
mod columns;
mod compaction;
mod deletes;
mod explain;
mod filtered;
mod labelled;
mod new_version;
mod plain;
mod scan_info;
#[cfg(test)]
mod tests;
mod user;

pub(crate) use code::{Advance, Disorder, MatchCode};
pub(crate) use compaction::CompactionKind;
pub(crate) use explain::{Decision, Rule};
pub(crate) use filtered::{FilteredCode, MatchError};
pub(crate) use plain::is_whole_result;
pub(crate) use scan_info::ScanInfo;

use crate::cell::{CellOrder, CellRef, CellType, OLDEST_TIMESTAMP, SeekKey, check_row_len, same_bytes};
use crate::error::{Error, Result};
use crate::op::Query;
use columns::{ColumnTracker, VersionLimits};
use compaction::Compaction;
use deletes::{DeleteResult, DeleteTracker};
use filtered::{AcceptedVersions, PendingHint};
use new_version::NewVersionTracker;
use plain::{NEVER_PLAIN, plain_times};

/// A version of a column, as used by the rules: a value or a marker.
#[derive(Clone, Copy, Debug)]
struct Version<'c> {
    qualifier: &'c [u8],
    timestamp: i64,
    type_code: u8,
    seq_id: i64,
    tags: &'c [u8],
}

impl<'c> Version<'c> {
    #[inline(always)] // the loop of every scan
    fn of(cell: CellRef<'c>) -> Self {
        let key = cell.key;
        Self {
            qualifier: key.qualifier(),
            timestamp: key.timestamp(),
            type_code: key.type_code(),
            seq_id: cell.seq_id,
            tags: cell.tags,
        }
    }

    #[inline]
    fn is_delete(&self) -> bool {
        (CellType::Delete.code()..=CellType::DeleteFamily.code()).contains(&self.type_code)
    }
}

/// The rules that apply.
#[derive(Clone, Copy, Debug)]
enum Rules {
    User,
    Raw,
    Compaction(Compaction),
    /// For flushes and minor compactions with NEW_VERSION_BEHAVIOR (HBase:
    /// `IncludeAllCompactionQueryMatcher`).
    IncludeAll,
}

/// The buffers of a matcher.
#[derive(Debug, Default)]
pub(crate) struct MatcherBuffers {
    /// The qualifier of a column.
    column: Vec<u8>,
    /// The qualifier of a delete marker.
    marker: Vec<u8>,
    /// The timestamps of delete-family-version markers.
    family_versions: Vec<i64>,
}

/// Matches the cells of one family, row by row, against a query (HBase: `ScanQueryMatcher`).
///
/// The caller begins at [`start_key`](Self::start_key). For each row it calls
/// [`set_to_new_row`](Self::set_to_new_row), passes cells to [`match_in_row`](Self::match_in_row) and moves
/// as the codes require, then calls [`clear_row`](Self::clear_row). The result is the same whether the caller
/// seeks or steps, as long as it follows [`key_for_next_column`](Self::key_for_next_column)
/// (read-path.md §10).
#[derive(Debug)]
pub(crate) struct ScanQueryMatcher<'q> {
    rules: Rules,
    family: &'q [u8],
    order: CellOrder,
    start: &'q [u8],
    include_start: bool,
    stop: &'q [u8],
    reversed: bool,
    get_like: bool,
    in_row: bool,
    /// Whether the current row is the start row of the scan, and not in `row`.
    at_start: bool,
    /// The current row, if any.
    row: Vec<u8>,
    columns: ColumnTracker<'q>,
    deletes: DeleteTracker,
    /// Used in place of `deletes`, and of the versions in `columns`.
    new_version: Option<Box<NewVersionTracker>>,
    limits: VersionLimits,
    /// Counts the versions that a filter accepted.
    accepted: AcceptedVersions,
    pending: PendingHint,
    info: ScanInfo,
    /// The first and the last timestamp that the query selects.
    oldest: i64,
    newest: i64,
    /// In each column, cells from the first one with a timestamp less than this are not returned.
    done_before: i64,
    /// Whether the times to live of single cells apply.
    cell_ttl: bool,
    /// Between these timestamps, both inclusive, a value without tags that no marker hides is matched by its
    /// column alone. Empty unless the rules are a user's, without NEW_VERSION_BEHAVIOR.
    plain: (i64, i64),
    /// As `plain`, for the only cell of a row. Not empty for flushes and compactions.
    plain_alone: (i64, i64),
}

impl<'q> ScanQueryMatcher<'q> {
    /// Creates a matcher for a scan of a family.
    ///
    /// # Errors
    ///
    /// If a raw scan names columns.
    #[inline(always)] // a matcher is large: constructed in place
    pub(crate) fn for_user(
        query: &Query<'q>,
        family: &'q [u8],
        info: &ScanInfo,
        order: CellOrder,
    ) -> Result<Self> {
        check_row_len(query.start)?;
        if query.raw && !query.columns.is_empty() {
            return Err(Error::invalid_argument("a raw scan reads all columns, it cannot name some"));
        }
        let wanted = if query.raw { query.max_versions } else { query.max_versions.min(info.max_versions) };
        // A filter sees all versions that the family keeps, and the versions that it accepts are counted
        // afterwards. With NEW_VERSION_BEHAVIOR versions are counted before the filter, as in HBase.
        let max = match (query.filtered, query.raw) {
            (true, true) => u32::MAX,
            (true, false) if !info.new_version_behavior => info.max_versions,
            _ => wanted,
        };
        let mut info = *info;
        info.oldest_unexpired_ts = info.oldest_unexpired_ts(query.raw);
        let mut matcher = Self::new(family, info, max, !query.raw);
        matcher.accepted.max = wanted;
        matcher.rules = if query.raw { Rules::Raw } else { Rules::User };
        matcher.columns = ColumnTracker::new(query.columns);
        matcher.order = order;
        (matcher.start, matcher.include_start, matcher.stop) = (query.start, query.include_start, query.stop);
        matcher.reversed = query.reversed;
        matcher.get_like = query.get_like && !query.raw;
        (matcher.oldest, matcher.newest) = user::times(query);
        matcher.plain = plain_times(query, &info);
        matcher.plain_alone = matcher.plain;
        Ok(matcher)
    }

    /// Creates a matcher for a flush or compaction of a family. Cells with sequence ids above
    /// `max_read_point` may still be invisible to some scanner.
    pub(crate) fn for_compaction(
        kind: CompactionKind,
        family: &'q [u8],
        info: &ScanInfo,
        max_read_point: i64,
    ) -> Self {
        let mut matcher = Self::new(family, *info, info.max_versions, true);
        if info.new_version_behavior && !matches!(kind, CompactionKind::Major { .. }) {
            matcher.rules = Rules::IncludeAll;
            (matcher.done_before, matcher.cell_ttl) = (OLDEST_TIMESTAMP, false);
        } else {
            matcher.rules = Rules::Compaction(Compaction { kind, max_read_point });
            if !info.new_version_behavior {
                // A value is the first version of its column, counted or not, and no marker hides it.
                matcher.plain_alone = (matcher.done_before, i64::MAX);
            }
        }
        matcher
    }

    #[inline(always)] // a matcher is large: constructed in place
    fn new(family: &'q [u8], info: ScanInfo, max_versions: u32, applies_deletes: bool) -> Self {
        let new_version = info.new_version_behavior && applies_deletes;
        Self {
            rules: Rules::IncludeAll,
            family,
            order: CellOrder::User,
            start: &[],
            include_start: true,
            stop: &[],
            reversed: false,
            get_like: false,
            in_row: false,
            at_start: false,
            row: Vec::new(),
            columns: ColumnTracker::new(&[]),
            deletes: DeleteTracker::default(),
            new_version: new_version.then(|| Box::new(NewVersionTracker::new(info.max_versions))),
            limits: VersionLimits {
                max: max_versions,
                min: info.min_versions,
                oldest_unexpired_ts: info.oldest_unexpired_ts,
            },
            accepted: AcceptedVersions::default(),
            pending: PendingHint::default(),
            info,
            oldest: i64::MIN,
            newest: i64::MAX,
            done_before: user::done_before(&info, new_version),
            cell_ttl: applies_deletes,
            plain: NEVER_PLAIN,
            plain_alone: NEVER_PLAIN,
        }
    }

    /// Swaps the matcher's buffers with others, to reuse allocations.
    #[inline]
    pub(crate) fn swap_buffers(&mut self, buffers: &mut MatcherBuffers) {
        self.columns.swap_memory(&mut buffers.column);
        self.deletes.swap_memory(&mut buffers.marker, &mut buffers.family_versions);
    }

    /// Sets `key` to the start of the scan.
    pub(crate) fn start_key(&self, key: &mut SeekKey) {
        if self.include_start {
            key.set(self.start, self.family, b"", i64::MAX, CellType::DeleteFamily);
        } else {
            key.set_last_on_row(self.start);
        }
    }

    /// Whether there is a current row.
    #[inline]
    pub(crate) fn has_row(&self) -> bool {
        self.in_row
    }

    /// Sets the current row and clears the state of the previous one.
    #[inline]
    pub(crate) fn set_to_new_row(&mut self, row: &[u8]) {
        self.row.clear();
        self.row.extend_from_slice(row);
        self.at_start = false;
        self.begin_row();
    }

    /// Same as [`set_to_new_row`](Self::set_to_new_row), with the start row of the scan. Nothing is copied.
    #[inline]
    pub(crate) fn set_to_start_row(&mut self) {
        self.at_start = true;
        self.begin_row();
    }

    /// Same as [`set_to_new_row`](Self::set_to_new_row), for a row whose cells are passed to
    /// [`match_in_row`](Self::match_in_row) only. Nothing is copied.
    #[inline]
    pub(crate) fn begin_uncopied_row(&mut self) {
        self.begin_row();
    }

    /// Sets the current row without clearing state, so that [`match_in_row`](Self::match_in_row) can continue
    /// the row.
    pub(crate) fn continue_row(&mut self, row: &[u8]) {
        self.row.clear();
        self.row.extend_from_slice(row);
        self.at_start = false;
    }

    #[inline]
    fn begin_row(&mut self) {
        self.in_row = true;
        self.columns.reset();
        self.accepted.reset();
        self.pending.reset();
        self.deletes.reset();
        if let Some(tracker) = &mut self.new_version {
            tracker.reset();
        }
    }

    /// Leaves the current row.
    #[inline]
    pub(crate) fn clear_row(&mut self) {
        self.in_row = false;
    }

    /// Returns the action for a cell of the [current row](Self::is_of_current_row). Cells must come in their
    /// order, without those that a code skips.
    ///
    /// # Errors
    ///
    /// If the cells are out of order, or a time to live is not eight bytes.
    #[inline(always)] // the loop of every scan
    pub(crate) fn match_in_row(&mut self, cell: CellRef<'_>) -> Result<MatchCode, Disorder> {
        let version = Version::of(cell);
        if self.is_plain(cell) {
            return self.columns.match_put(version.qualifier, version.timestamp, &self.limits);
        }
        self.match_by_all_rules(cell, version)
    }

    #[inline]
    fn current_row(&self) -> &[u8] {
        if self.at_start { self.start } else { &self.row }
    }

    #[inline]
    pub(crate) fn is_of_current_row(&self, cell: CellRef<'_>) -> bool {
        self.in_row && same_bytes(cell.key.row(), self.current_row())
    }

    /// Returns the action for a cell of the current row by all rules.
    fn match_by_all_rules(&mut self, cell: CellRef<'_>, version: Version<'_>) -> Result<MatchCode, Disorder> {
        if let Some(code) = self.pre_check(cell, version)? {
            return Ok(code);
        }
        match self.rules {
            Rules::User => self.match_user(version),
            Rules::Raw => self.match_raw(version),
            Rules::Compaction(compaction) => self.match_compaction(version, compaction),
            Rules::IncludeAll => Ok(MatchCode::Include),
        }
    }

    /// Checks the conditions that exclude a cell of the current row regardless of the rules (§9.3). Returns
    /// where to go then.
    #[inline]
    fn pre_check(&mut self, cell: CellRef<'_>, version: Version<'_>) -> Result<Option<MatchCode>, Disorder> {
        if self.columns.done() {
            return Ok(Some(MatchCode::SeekNextRow));
        }
        if version.timestamp < self.done_before {
            return Ok(Some(self.columns.next_row_or_column(version.qualifier)));
        }
        if self.cell_ttl && !cell.tags.is_empty() && self.is_expired_by_tag(cell)? {
            return Ok(Some(MatchCode::Skip));
        }
        Ok(None)
    }

    /// Whether the first time to live among a cell's tags has passed.
    #[cold]
    fn is_expired_by_tag(&self, cell: CellRef<'_>) -> Result<bool, Disorder> {
        let Some(ttl) = cell.tags().ttl() else { return Ok(false) };
        let len = u16::try_from(ttl.len()).unwrap_or(u16::MAX);
        let ttl = ttl.try_into().map_err(|_| Disorder::TtlTag(len))?;
        // HBase's sum may overflow, which makes cells with the longest time to live expire.
        Ok(cell.timestamp().saturating_add(i64::from_be_bytes(ttl)) < self.info.now)
    }

    /// Adds a marker to the tracker. Returns whether skipping the rest of its column is possible and
    /// worthwhile.
    fn track(&mut self, marker: Version<'_>) -> Result<bool, Disorder> {
        match &mut self.new_version {
            None => Ok(self.deletes.add(marker) && !self.info.may_have_tags),
            Some(tracker) => tracker.add(marker).map(|()| false),
        }
    }

    /// If a value is hidden, returns where to go.
    #[inline]
    fn check_deleted(&mut self, put: Version<'_>) -> Result<Option<MatchCode>, Disorder> {
        if let Some(tracker) = &mut self.new_version {
            return Ok(tracker.is_deleted(put)?.then_some(MatchCode::Skip));
        }
        if self.deletes.is_empty() {
            return Ok(None);
        }
        Ok(match self.deletes.is_deleted(put)? {
            DeleteResult::Visible => None,
            DeleteResult::Version => Some(MatchCode::Skip),
            DeleteResult::Column => Some(self.leave_column(put)),
        })
    }

    /// Returns where to go from a cell if a marker hides all older versions of its column. If those may have
    /// labels, each is matched; a compaction drops the others as if it had left the column.
    fn leave_column(&mut self, version: Version<'_>) -> MatchCode {
        if !self.info.may_have_tags {
            return self.columns.next_row_or_column(version.qualifier);
        }
        let may_skip = !version.qualifier.is_empty() || version.type_code == CellType::DeleteFamily.code();
        if may_skip && matches!(self.rules, Rules::Compaction(_)) {
            self.deletes.leave_unlabelled(version.qualifier);
        }
        MatchCode::Skip
    }

    /// Checks whether one more version of a column is selected; `uncounted` versions always are.
    #[inline]
    fn check_versions(&mut self, version: Version<'_>, uncounted: bool) -> Result<MatchCode, Disorder> {
        let Some(tracker) = &mut self.new_version else {
            return self.columns.check_versions(version, &self.limits, uncounted);
        };
        if uncounted {
            return Ok(MatchCode::Include);
        }
        let code = tracker.check_versions(version.timestamp, &self.limits);
        if code == MatchCode::Include {
            return Ok(code);
        }
        let next = self.columns.next_row_or_column(version.qualifier);
        Ok(match (code, next) {
            (MatchCode::IncludeAndSeekNextCol, MatchCode::SeekNextRow) => MatchCode::IncludeAndSeekNextRow,
            (MatchCode::IncludeAndSeekNextCol, _) => code,
            _ => next,
        })
    }

    /// Sets `key` to the next column after a cell, or leaves it unchanged and returns [`Advance::Step`]
    /// (read-path.md §9.11).
    ///
    /// Stepping is required within the column of the empty qualifier, where markers of the family may come
    /// after the cell and must be seen (§23.1), and where a seek would not leave the cell (§23.17).
    pub(crate) fn key_for_next_column(&self, cell: CellRef<'_>, key: &mut SeekKey) -> Advance {
        if !self.may_skip_within_column(cell) {
            return Advance::Step;
        }
        let (row, family, qualifier) = cell.key.split();
        match self.columns.hint().filter(|&hint| hint > qualifier) {
            Some(hint) => key.set_first_on_column(row, family, hint),
            None if cell.key.timestamp() == OLDEST_TIMESTAMP && cell.key.type_code() == 0 => {
                return Advance::Step;
            }
            None => key.set_last_on_column(row, family, qualifier),
        };
        Advance::Seek
    }

    /// Whether the rest of a cell's column may be skipped once [`match_in_row`](Self::match_in_row) returned
    /// a code to go to the next column. Not for the empty qualifier, except after a DeleteFamily marker:
    /// other markers of the family may come after the cell, and they hide cells of all columns.
    #[inline]
    pub(crate) fn may_skip_within_column(&self, cell: CellRef<'_>) -> bool {
        !cell.qualifier().is_empty() || cell.key.type_code() == CellType::DeleteFamily.code()
    }

    /// Sets `key` to the end of a cell's row.
    #[inline]
    pub(crate) fn key_for_next_row(&self, cell: CellRef<'_>, key: &mut SeekKey) {
        key.set_last_on_row(cell.row());
    }

    /// Returns the next column that is selected, if the scan names columns and one is left.
    #[cfg(test)]
    #[inline]
    pub(crate) fn next_column_hint(&self) -> Option<&'q [u8]> {
        self.columns.hint()
    }

    /// Whether the scan may continue after a row. HBase continues after an inclusive last row, without
    /// effect.
    #[inline]
    pub(crate) fn more_rows_may_exist_after(&self, row: &[u8]) -> bool {
        if self.get_like || self.stop.is_empty() {
            return !self.get_like;
        }
        let compared = self.order.compare_rows(row, self.stop);
        if self.reversed { compared.is_gt() } else { compared.is_lt() }
    }
}
