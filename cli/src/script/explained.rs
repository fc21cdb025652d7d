//! Compares the explanation of a read with its answer.

use super::replayer::Stop;
use hregion::region::{CellReason, ExplainedCell, Explanation};
use hregion::{CellRef, Get, Region, Row, Scan};
use std::ops::ControlFlow;

/// Receives explained cells.
type Take<'t> = dyn FnMut(ExplainedCell<'_>) -> ControlFlow<()> + 't;

/// Fails if the cells that the explanation of a get keeps differ from its answer.
pub(super) fn check_get(region: &Region, get: &Get) -> Result<(), Stop> {
    let answer = region.get(get);
    check(answer.as_ref().map(Row::cells), |take| region.explain_get(get, take))
}

/// Fails if the cells that the explanation of a scan keeps differ from its answer.
pub(super) fn check_scan(region: &Region, scan: &Scan) -> Result<(), Stop> {
    let answer: hregion::Result<Vec<Row>> = region.scan(scan.clone()).and_then(Iterator::collect);
    let cells = answer.as_ref().map(|rows| rows.iter().flat_map(Row::cells));
    check(cells, |take| region.explain(scan, take))
}

fn check<'a>(
    answer: Result<impl Iterator<Item = CellRef<'a>>, &hregion::Error>,
    explain: impl FnOnce(&mut Take<'_>) -> hregion::Result<Explanation>,
) -> Result<(), Stop> {
    let (mut answer, refusal) = match answer {
        Ok(cells) => (Some(cells), None),
        Err(error) => (None, Some(error.kind())),
    };
    let mut difference = None;
    let explained = explain(&mut |explained| {
        // Cells may also come before an error.
        if let Some(answer) = &mut answer {
            difference = differs(explained, || answer.next());
        }
        if difference.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let explained = explained.map(drop).map_err(|error| (error.kind(), error.message()));
    match (difference, explained, refusal) {
        (Some(difference), ..) => Err(Stop::Script(format!("explained: {difference}"))),
        (None, Err((kind, _)), Some(refusal)) if kind == refusal => Ok(()),
        (None, Err((_, message)), _) => Err(Stop::Script(format!("not explained: {message}"))),
        (None, Ok(()), Some(refusal)) => {
            Err(Stop::Script(format!("explained, but the read fails: {}", refusal.name())))
        }
        (None, Ok(()), None) => match answer.as_mut().and_then(Iterator::next) {
            None => Ok(()),
            Some(missing) => Err(Stop::Script(format!("explained: {missing} is missing"))),
        },
    }
}

/// Returns the fault of an explained cell. `next` returns the next cell of the answer.
fn differs<'a>(explained: ExplainedCell<'_>, next: impl FnOnce() -> Option<CellRef<'a>>) -> Option<String> {
    let ExplainedCell { cell, reason, by, .. } = explained;
    let is_of_column = |by: &CellRef<'_>| {
        by.row() == cell.row()
            && by.family() == cell.family()
            && (by.qualifier() == cell.qualifier() || by.cell_type().is_family_delete())
    };
    let is_marker = by.is_some_and(|by| by.cell_type().is_delete());
    if by.is_some_and(|by| !is_of_column(&by)) {
        return Some(format!("{cell}: {reason} by {by:?}, which is of another column"));
    }
    match reason {
        CellReason::Returned => {
            let expected = next();
            // `KeyOnlyFilter` drops sequence ids.
            let is_same = expected.is_some_and(|expected| {
                expected.key() == cell.key() && [0, cell.seq_id()].contains(&expected.seq_id())
            });
            (!is_same).then(|| format!("{cell} is returned, expected {expected:?}"))
        }
        CellReason::DeleteMarker if !is_marker => Some(format!("{cell}: deleted by {by:?}")),
        CellReason::PurgedMarker => Some(format!("{cell}: {reason} in a read")),
        _ => None,
    }
}
