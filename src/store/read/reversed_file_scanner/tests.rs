//! Compares the scanner with a sorted list of cells.

use super::*;
use crate::cell::{Cell, CellOrder, CellType, SeekKey};
use crate::memstore::naive::{NaiveRows, RowStep};
use crate::store::read::file_scanner::tests::{
    Origin, Shape, keys, rows, shapes, sorted, store_file, stored, visible,
};
use proptest::prelude::*;

fn steps() -> impl Strategy<Value = Vec<RowStep<SeekKey>>> {
    let bound = (rows(), any::<bool>()).prop_map(|(row, last)| match last {
        true => SeekKey::last_on_row(&row),
        false => SeekKey::first_on_row(&row),
    });
    let step = prop_oneof![
        1 => Just(RowStep::LastRow),
        2 => bound.prop_map(RowStep::Before),
        6 => Just(RowStep::PreviousRow),
        5 => Just(RowStep::Advance),
        3 => keys().prop_map(RowStep::Reseek),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn rows_backward_are_those_of_a_sorted_list(
        cells in proptest::collection::vec(stored(), 0..60),
        shape in shapes(),
        steps in steps(),
    ) {
        let cells = sorted(cells);
        let file = store_file(&cells, &shape);
        let mut naive = NaiveRows::new(CellOrder::User, visible(&cells, &shape));
        let mut scanner = file.reversed_scanner(shape.read_point.unwrap_or(i64::MAX));
        for step in &steps {
            match step {
                RowStep::LastRow => scanner.seek_to_last_row().unwrap(),
                RowStep::Before(key) => scanner.seek_before(key).unwrap(),
                RowStep::PreviousRow => scanner.previous_row().unwrap(),
                RowStep::Advance => scanner.advance().unwrap(),
                RowStep::Reseek(key) => scanner.reseek(key).unwrap(),
            }
            naive.take(step);
            prop_assert_eq!(scanner.peek(), naive.peek(), "after {:?}", step);
        }
    }

    #[test]
    fn a_walk_agrees_with_steps(
        cells in proptest::collection::vec(stored(), 0..60),
        shape in shapes(),
        pause in 1..6usize,
    ) {
        let cells = sorted(cells);
        let file = store_file(&cells, &shape);
        let read_point = shape.read_point.unwrap_or(i64::MAX);
        let (mut steps, mut walks) = (file.reversed_scanner(read_point), file.reversed_scanner(read_point));
        steps.seek_to_last_row().unwrap();
        walks.seek_to_last_row().unwrap();
        while steps.peek().is_some() {
            let mut expected = Vec::new();
            while let Some(cell) = steps.peek() {
                expected.push(Cell::from(cell));
                steps.advance().unwrap();
            }
            let mut shown = Vec::new();
            let reason = walks.walk(|cell| {
                // The next walk passes it again.
                if shown.len() == pause {
                    return ControlFlow::Break(());
                }
                shown.push(Cell::from(cell));
                ControlFlow::Continue(())
            }).unwrap();
            prop_assert_eq!(reason.is_some(), expected.len() > pause);
            let rest = walks.walk(|cell| {
                shown.push(Cell::from(cell));
                ControlFlow::<()>::Continue(())
            }).unwrap();
            prop_assert_eq!((rest, walks.peek()), (None, None));
            prop_assert_eq!(shown, expected);
            steps.previous_row().unwrap();
            walks.previous_row().unwrap();
        }
        prop_assert_eq!(walks.peek(), None);
    }
}

#[test]
fn a_row_whose_cells_are_all_too_new_is_passed_over() {
    let cell = |row: &[u8], seq_id| {
        let key = SeekKey::of(row, b"f", b"q", 1, CellType::Put);
        Cell::from(CellRef::new(&key, b"").with_seq_id(seq_id))
    };
    let cells = [cell(b"a", 1), cell(b"b", 8), cell(b"c", 8)];
    let shape =
        Shape { bloom: None, block_size: 60, origin: Origin::Flush, reference: None, read_point: Some(5) };
    let file = store_file(&cells, &shape);
    let mut scanner = file.reversed_scanner(5);
    scanner.seek_to_last_row().unwrap();
    assert_eq!(scanner.peek().unwrap().row(), b"a");
    scanner.previous_row().unwrap();
    assert_eq!(scanner.peek(), None);
}
