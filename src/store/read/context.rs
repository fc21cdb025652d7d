//! The limits of one call of a scanner (read-path.md §12.1; HBase: `ScannerContext`).

use crate::cell::CellRef;
use crate::cell::key_value::estimated_size;
use crate::clock::Clock;

/// The places where a limit may cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LimitScope {
    /// After whole rows only.
    BetweenRows,
    /// After any cell.
    BetweenCells,
}

/// The way in which a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextState {
    MoreValues,
    NoMoreValues,
    /// At the end of a row.
    SizeLimitReached,
    SizeLimitReachedMidRow,
    /// With more cells in the row.
    BatchLimitReached,
}

/// The cells and bytes returned so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Cells of the current result.
    pub(super) cells: u64,
    /// Bytes of all results of the call, as [`estimated_size`] counts them.
    bytes: u64,
}

/// The limits of one call of a scanner, the progress towards them, and how the last step of the call ended.
///
/// HBase also limits heap and blocks read.
#[derive(Debug)]
pub(crate) struct ScannerContext {
    /// Limit on the cells of a result. [`NO_LIMIT`] for none, here and below.
    batch: u64,
    /// Limit on the bytes of all results.
    max_bytes: u64,
    scope: LimitScope,
    /// When the call ends, in milliseconds since 1970; `i64::MAX` for no limit.
    deadline: i64,
    progress: Progress,
    /// Whether cells are skipped: they do not count, and no limit is reached.
    skips_row: bool,
    pub(crate) state: NextState,
}

const NO_LIMIT: u64 = u64::MAX;

impl ScannerContext {
    /// Creates a context without limits.
    pub(crate) fn unlimited() -> Self {
        Self::new(0, 0, LimitScope::BetweenRows)
    }

    /// Limits each result to `batch` cells and the call to `max_bytes` bytes, where `scope` allows a cut. 0
    /// means no limit.
    pub(crate) fn new(batch: u32, max_bytes: u64, scope: LimitScope) -> Self {
        Self {
            batch: if batch == 0 { NO_LIMIT } else { batch.into() },
            max_bytes: if max_bytes == 0 { NO_LIMIT } else { max_bytes },
            scope,
            deadline: i64::MAX,
            progress: Progress::default(),
            skips_row: false,
            state: NextState::MoreValues,
        }
    }

    /// Ends the call after the row that is read at this time, in milliseconds since 1970.
    pub(crate) fn end_at(&mut self, deadline: i64) {
        self.deadline = deadline;
    }

    /// Whether the call must end. Reads the clock only if there is a limit on time.
    #[inline]
    pub(crate) fn is_time_reached(&self, clock: &dyn Clock) -> bool {
        self.deadline != i64::MAX && clock.now() >= self.deadline
    }

    /// Begins a result: resets the count of cells, but not that of bytes.
    pub(crate) fn begin_result(&mut self) {
        self.progress.cells = 0;
        self.state = NextState::MoreValues;
    }

    /// Makes the limit on bytes keep rows whole.
    pub(crate) fn keep_rows_whole(&mut self) {
        self.scope = LimitScope::BetweenRows;
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    pub(crate) fn set_progress(&mut self, progress: Progress) {
        self.progress = progress;
    }

    /// Counts a cell that is returned.
    pub(crate) fn count(&mut self, cell: CellRef<'_>) {
        if !self.skips_row {
            self.progress.cells += 1;
            self.progress.bytes = self.progress.bytes.saturating_add(estimated_size(cell));
        }
    }

    /// Whether the current row is skipped.
    pub(crate) fn skips_row(&self) -> bool {
        self.skips_row
    }

    pub(crate) fn set_skips_row(&mut self, skips: bool) {
        self.skips_row = skips;
    }

    /// Whether there is a limit that may cut a row.
    pub(crate) fn may_cut_rows(&self) -> bool {
        self.batch != NO_LIMIT || self.max_bytes != NO_LIMIT && self.scope == LimitScope::BetweenCells
    }

    pub(crate) fn is_batch_reached(&self) -> bool {
        !self.skips_row && self.progress.cells >= self.batch
    }

    /// Whether the limit on bytes is reached, checked at `at`.
    pub(crate) fn is_size_reached(&self, at: LimitScope) -> bool {
        !self.skips_row && at <= self.scope && self.progress.bytes >= self.max_bytes
    }

    /// Whether any limit is reached, checked at `at`. The limit on cells applies everywhere.
    pub(crate) fn is_any_reached(&self, at: LimitScope) -> bool {
        self.is_batch_reached() || self.is_size_reached(at)
    }

    /// Whether the last step stopped within a row, as far as is known.
    pub(crate) fn may_have_more_cells_in_row(&self) -> bool {
        matches!(self.state, NextState::SizeLimitReachedMidRow | NextState::BatchLimitReached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellType, SeekKey};

    fn cell(key: &SeekKey) -> CellRef<'_> {
        CellRef::new(key, b"v")
    }

    fn key() -> SeekKey {
        SeekKey::of(b"a", b"f", b"q", 1, CellType::Put)
    }

    #[test]
    fn sizes_are_those_of_hbase() {
        let key = key();
        assert_eq!(estimated_size(cell(&key)), 28);
        let ttl = [0, 9, 8, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(estimated_size(cell(&key).with_tag_bytes(&ttl).unwrap()), 41);
    }

    /// Each case: batch, bytes and scope, then the number of 28-byte cells after which a limit is reached,
    /// checked between cells and between rows.
    #[test]
    fn limits_are_reached_according_to_their_scope() {
        use LimitScope::{BetweenCells, BetweenRows};
        let key = key();
        let reached = |context: &mut ScannerContext, at| {
            (1..5).find(|_| {
                context.count(cell(&key));
                context.is_any_reached(at)
            })
        };
        for (batch, bytes, scope, cells, rows) in [
            (0, 0, BetweenCells, None, None),
            (2, 0, BetweenRows, Some(2), Some(2)),
            (0, 28, BetweenCells, Some(1), Some(1)),
            (0, 29, BetweenCells, Some(2), Some(2)),
            (0, 56, BetweenRows, None, Some(2)),
            (3, 57, BetweenCells, Some(3), Some(3)),
            (2, 1000, BetweenCells, Some(2), Some(2)),
        ] {
            let new = || ScannerContext::new(batch, bytes, scope);
            assert_eq!(reached(&mut new(), BetweenCells), cells, "{batch} {bytes} {scope:?}");
            assert_eq!(reached(&mut new(), BetweenRows), rows, "{batch} {bytes} {scope:?}");
            let cuts = batch > 0 || bytes > 0 && scope == BetweenCells;
            assert_eq!(new().may_cut_rows(), cuts);
            let mut skips = new();
            skips.set_skips_row(true);
            assert_eq!(reached(&mut skips, BetweenRows), None);
            assert_eq!(skips.progress(), Progress::default());
            let mut whole = new();
            whole.keep_rows_whole();
            assert_eq!(reached(&mut whole, BetweenCells).is_some(), batch > 0);
        }
    }

    #[test]
    fn a_result_counts_its_own_cells_and_the_bytes_of_all() {
        let key = key();
        let mut context = ScannerContext::new(2, 100, LimitScope::BetweenRows);
        let mut results = Vec::new();
        for _ in 0..2 {
            context.begin_result();
            let before = context.progress();
            context.count(cell(&key));
            context.set_progress(before);
            (0..2).for_each(|_| context.count(cell(&key)));
            results.push((context.is_batch_reached(), context.is_size_reached(LimitScope::BetweenRows)));
        }
        assert_eq!(results, [(true, false), (true, true)]);
    }
}
