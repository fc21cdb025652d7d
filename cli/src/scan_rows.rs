//! Scanning several regions in sequence.

use crate::failure::{CommandError, Failure};
use crate::regions::OpenRegion;
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
        region: &OpenRegion,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let Some(scan) = region.narrow(&self.scan) else { return Ok(false) };
        let view = region.region.view();
        let (mut rows, mut is_empty) = (view.scan(&scan)?, true);
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
        regions: impl Iterator<Item = hregion::Result<OpenRegion>>,
        mut take: impl FnMut(&Region, RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        let limit = self.limit.filter(|&limit| limit > 0).unwrap_or(u64::MAX);
        let (mut taken, mut last) = (0, Vec::new());
        for region in regions {
            if taken >= limit {
                return Ok(Some(Cursor::new(last, false)));
            }
            let region = region?;
            let Some(scan) = region.narrow(&self.scan) else { continue };
            let view = region.region.view();
            let mut rows = view.scan(&scan)?;
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
                take(&region.region, row)?;
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

/// Narrows a scan, which must have some of them, to the rows from `start` on and before `end`; empty for no
/// bound.
pub(crate) fn within(scan: Scan, start: &[u8], end: &[u8]) -> Scan {
    let range = scan.row_range();
    let (low, high) = range.low_and_high();
    let starts_later = low < start;
    let ends_earlier = !end.is_empty() && (high.is_empty() || high >= end);
    match range.reversed {
        false => {
            let scan = if starts_later { scan.start_row(start.to_vec(), true) } else { scan };
            if ends_earlier { scan.stop_row(end.to_vec(), false) } else { scan }
        }
        true => {
            let scan = if ends_earlier { scan.start_row(end.to_vec(), false) } else { scan };
            if starts_later { scan.stop_row(start.to_vec(), true) } else { scan }
        }
    }
}

/// Whether a scan may have rows from `start` on and before `end`; empty for no bound.
pub(crate) fn may_have(scan: &Scan, start: &[u8], end: &[u8]) -> bool {
    let range = scan.row_range();
    let (low, high) = range.low_and_high();
    let has_high = if range.reversed { range.include_start } else { range.include_stop };
    let begins_after = !end.is_empty() && low >= end;
    let ends_before = !high.is_empty() && (high < start || high == start && !has_high);
    !begins_after && !ends_before
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
            let hint = Some("`hregion cells` prints the cells of a file");
            Err(CommandError::unsupported(region.path(), message).with_hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_are_narrowed_to_regions() {
        let narrowed = |scan: Scan, start: &str, end: &str| {
            let scan = within(scan, start.as_bytes(), end.as_bytes());
            let range = scan.row_range();
            let text = |row: &[u8]| String::from_utf8(row.to_vec()).unwrap();
            (text(range.start), range.include_start, text(range.stop), range.include_stop)
        };
        let expect = |start: &str, first, stop: &str, last| (start.to_owned(), first, stop.to_owned(), last);
        assert_eq!(narrowed(Scan::new(), "b", "d"), expect("b", true, "d", false));
        assert_eq!(narrowed(Scan::new(), "", ""), expect("", true, "", false));
        let scan = || Scan::new().start_row("c", false).stop_row("x", true);
        assert_eq!(narrowed(scan(), "b", "d"), expect("c", false, "d", false));
        assert_eq!(narrowed(scan(), "d", ""), expect("d", true, "x", true));
        let back = || Scan::new().reversed(true).start_row("x", true).stop_row("c", false);
        assert_eq!(narrowed(back(), "b", "d"), expect("d", false, "c", false));
        assert_eq!(narrowed(back(), "d", ""), expect("x", true, "d", true));
        assert_eq!(narrowed(Scan::new().reversed(true), "b", "d"), expect("d", false, "b", true));
    }

    #[test]
    fn a_scan_has_no_rows_outside_of_its_bounds() {
        let has = |scan: &Scan, start: &str, end: &str| may_have(scan, start.as_bytes(), end.as_bytes());
        let forward = Scan::new().start_row("c", true).stop_row("f", false);
        let reversed = Scan::new().reversed(true).start_row("f", true).stop_row("c", true);
        for (scan, has_last) in [(&forward, false), (&reversed, true)] {
            assert!(has(scan, "", "") && has(scan, "d", "e") && has(scan, "a", "d") && has(scan, "e", ""));
            assert!(!has(scan, "a", "c") && !has(scan, "g", ""));
            assert_eq!(has(scan, "f", "g"), has_last);
        }
        assert!(has(&Scan::new(), "a", "b") && has(&Scan::new().reversed(true), "", "b"));
    }
}
