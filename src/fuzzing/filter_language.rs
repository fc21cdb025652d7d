//! Expressions of the filter language.

use crate::cell::{CellRef, CellType, RowBuf, SeekKey};
use crate::filter::{Filter, FilterEvaluator, Verdict};

/// Checks an expression: it is refused, or it is written and parses to the same filter again, which accepts
/// any cells.
pub fn filter_language(input: &[u8]) {
    let Ok(filter) = Filter::parse(input) else { return };
    let expression = filter.to_expression().expect("a filter that parsed can be written");
    assert_eq!(Filter::parse(&expression).ok().as_ref(), Some(&filter));
    for reversed in [false, true] {
        read(&filter, input, reversed);
    }
}

/// Passes a filter rows and cells that are generated from its own input.
pub(super) fn read(filter: &Filter, input: &[u8], reversed: bool) {
    let mut state = FilterEvaluator::new(filter);
    state.set_reversed(reversed);
    let _ = state.is_family_essential(b"f");
    let mut row = RowBuf::new();
    for (i, part) in input.split(|byte| *byte == b'\'').take(16).enumerate() {
        let part = part.get(..100).unwrap_or(part);
        if state.filter_row_key(part).unwrap_or(true) {
            let _ = state.hint_for_rejected_row(part);
        }
        row.clear();
        for family in [b"f", b"g"] {
            let timestamp = i64::try_from(i).expect("a small number");
            let key = SeekKey::of(part, family, part, timestamp, CellType::Put);
            let cell = CellRef::new(&key, part);
            match state.filter_cell(cell) {
                Ok(Verdict::SeekNextUsingHint) => drop(state.next_cell_hint(cell).map(ToString::to_string)),
                Ok(verdict) if verdict.is_include() => row.push(state.transform_cell(cell)),
                _ => drop(state.skip_hint(cell).map(ToString::to_string)),
            }
        }
        let count = row.len();
        state.filter_row_cells(&mut row);
        assert!(row.len() <= count && row.as_row().cells().len() == row.as_row().cells().count());
        let _ = (state.filter_row(), state.has_filter_row());
        state.reset();
        if state.filter_all_remaining() {
            break;
        }
    }
}
