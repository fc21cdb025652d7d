//! Scanning several regions in sequence.

use crate::failure::{CommandError, Failure};
use hregion::cell::StringBinary;
use hregion::op::next_prefix;
use hregion::{CellRef, Cursor, Region, RowRef, Scan};

/// A scan with a limit on the number of rows; 0 is none, as in HBase.
#[derive(Clone, Debug)]
pub(crate) struct RowScan {
    pub(crate) scan: Scan,
    /// The maximum number of rows.
    pub(crate) limit: Option<u64>,
}

impl RowScan {
    /// Passes the rows of a region, without a limit, to `take`. Returns whether the scan ends with it: no
    /// others are read then, as in [`run`](Self::run).
    pub(crate) fn run_region(
        &self,
        region: &Region,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let view = region.view();
        let (mut rows, mut is_empty) = (view.scan(&self.scan)?, true);
        while let Some(row) = rows.next_row()? {
            take(row)?;
            is_empty = false;
        }
        Ok(is_empty && rows.is_filter_done())
    }

    /// Passes the rows, or pieces of them, to `take`. Returns where to continue if the limit was reached and
    /// there may be more.
    pub(crate) fn run(
        &self,
        regions: impl Iterator<Item = hregion::Result<Region>>,
        mut take: impl FnMut(&Region, RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        let limit = self.limit.filter(|&limit| limit > 0).unwrap_or(u64::MAX);
        let (mut taken, mut last) = (0, Vec::new());
        for region in regions {
            if taken >= limit {
                return Ok(Some(Cursor::new(last, false)));
            }
            let region = region?;
            let view = region.view();
            let mut rows = view.scan(&self.scan)?;
            let mut is_empty = true;
            while let Some(row) = rows.next_row()? {
                if taken == 0 || row.key() != last {
                    if taken >= limit {
                        return Ok(Some(Cursor::new(last, false)));
                    }
                    taken += 1;
                    last.clear();
                    last.extend_from_slice(row.key());
                }
                take(&region, row)?;
                is_empty = false;
                // a piece may be followed by more pieces of the same row
                if taken >= limit && !rows.is_partial() {
                    break;
                }
            }
            if taken >= limit && rows.may_have_more() {
                return Ok(Some(Cursor::new(last, false)));
            }
            // after some rows of a region, the filter starts again in the next one
            if is_empty && rows.is_filter_done() {
                break;
            }
        }
        Ok(None)
    }
}

/// Narrows a scan to the rows that start with `prefix`, in the scan's direction.
pub(crate) fn with_prefix(scan: Scan, prefix: Vec<u8>, reversed: bool) -> Scan {
    if !reversed {
        return scan.prefix(prefix);
    }
    let after = next_prefix(&prefix);
    let has_end = after.is_some();
    scan.start_row(after.unwrap_or_default(), !has_end).stop_row(prefix, true)
}

/// Fails if there are cells of a family other than the region's only one, whose settings do not apply to
/// them.
pub(crate) fn check_only_family<'c>(
    region: &Region,
    cells: impl IntoIterator<Item = CellRef<'c>>,
) -> Result<(), CommandError> {
    let family = region.families().next().map(|family| family.name()).unwrap_or_default();
    match cells.into_iter().find(|cell| cell.family() != family) {
        None => Ok(()),
        Some(cell) => {
            let (family, other) = (StringBinary(family), StringBinary(cell.family()));
            let message = format!("cells of several families, {family} and {other}, are not read as rows");
            let hint = Some("`hregion cells` prints what a file holds");
            Err(CommandError::unsupported(region.path(), message).with_hint(hint))
        }
    }
}
