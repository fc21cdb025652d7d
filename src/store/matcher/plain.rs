//! Special cases of matching: cells whose code follows from the query and the cell alone. Each returns the
//! same as [`ScanQueryMatcher::match_in_row`]; tests compare reads with and without them.

use super::columns::ColumnTracker;
use super::user::{done_before, times};
use super::{ScanInfo, ScanQueryMatcher};
use crate::cell::{CellRef, CellType, LATEST_TIMESTAMP, same_bytes};
use crate::op::Query;

/// No cell is plain between these timestamps.
pub(super) const NEVER_PLAIN: (i64, i64) = (i64::MAX, i64::MIN);

/// Returns the timestamps, both inclusive, between which a user's scan matches a value without tags, if no
/// marker hides it, by its column alone. Empty with NEW_VERSION_BEHAVIOR and for a raw scan.
#[inline]
pub(super) fn plain_times(query: &Query<'_>, info: &ScanInfo) -> (i64, i64) {
    if query.raw || info.new_version_behavior {
        return NEVER_PLAIN;
    }
    let (oldest, newest) = times(query);
    (oldest.max(done_before(info, false)), newest)
}

/// Whether a cell is a value without tags between two timestamps, those of [`plain_times`].
#[inline(always)] // the loop of every scan
fn is_plain_value(cell: CellRef<'_>, (from, to): (i64, i64)) -> bool {
    let timestamp = cell.key.timestamp();
    from <= timestamp
        && timestamp <= to
        && cell.key.type_code() == CellType::Put.code()
        && cell.tags.is_empty()
}

/// Whether the first cell of a row is the complete result of a get of a family. `is_last` returns whether it
/// is the row's only cell.
#[inline(always)] // the path of most gets
pub(crate) fn is_whole_result(
    cell: CellRef<'_>,
    is_last: impl FnOnce() -> bool,
    query: &Query<'_>,
    family: &[u8],
    info: &ScanInfo,
) -> bool {
    let (from, to) = plain_times(query, info);
    // Reads of named columns skip versions of the latest timestamp, as in HBase.
    let is_plain = is_plain_value(cell, (from, to.min(LATEST_TIMESTAMP - 1)))
        && query.row_offset == 0
        && cell.key.is_of_family(family);
    let versions = query.max_versions.min(info.max_versions);
    is_plain
        && match query.columns {
            [] => versions > 0 && is_last(),
            [column] => same_bytes(cell.key.qualifier(), column) && (versions <= 1 || is_last()),
            _ => false,
        }
}

impl ScanQueryMatcher<'_> {
    /// Whether a cell of the current row is matched by its column alone.
    #[inline(always)] // the loop of every scan
    pub(super) fn is_plain(&self, cell: CellRef<'_>) -> bool {
        is_plain_value(cell, self.plain) && self.deletes.is_empty()
    }

    /// Whether it is cheap to see that the only cell of a row is selected. The row need not be set.
    #[inline(always)] // as `is_plain`
    pub(crate) fn includes_single_cell(&self, cell: CellRef<'_>) -> bool {
        is_plain_value(cell, self.plain_alone)
            && self.limits.max > 0
            && matches!(self.columns, ColumnTracker::All(_))
    }

    /// Makes the matcher apply all rules to every later cell.
    #[cfg(test)]
    pub(crate) fn forget_special_cases(&mut self) {
        (self.plain, self.plain_alone) = (NEVER_PLAIN, NEVER_PLAIN);
    }
}
