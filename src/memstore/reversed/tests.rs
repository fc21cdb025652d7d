//! The scanner against a sorted list of cells.

use super::naive::{NaiveRows, RowStep};
use super::*;
use crate::cell::{Cell, CellOrder, CellType, SeekKey};
use crate::memstore::tests::{Model, key, row, some_cell};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    order: CellOrder,
    cells: Vec<Cell>,
    late: Vec<Cell>,
    read_point: i64,
    steps: Vec<RowStep<SeekKey>>,
}

fn step(order: CellOrder) -> impl Strategy<Value = RowStep<SeekKey>> {
    let bound = (row(order), any::<bool>()).prop_map(|(row, last)| match last {
        true => SeekKey::last_on_row(&row),
        false => SeekKey::first_on_row(&row),
    });
    prop_oneof![
        1 => Just(RowStep::LastRow),
        2 => bound.prop_map(RowStep::Before),
        5 => Just(RowStep::PreviousRow),
        4 => Just(RowStep::Advance),
        3 => key(order, &CellType::ALL).prop_map(RowStep::Reseek),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    proptest::sample::select(&[CellOrder::User, CellOrder::Meta]).prop_flat_map(|order| {
        let cells = proptest::collection::vec(some_cell(order), 0..40);
        let late = proptest::collection::vec(some_cell(order), 0..10);
        let steps = proptest::collection::vec(step(order), 0..40);
        (cells, late, prop_oneof![-1i64..7, Just(i64::MAX)], steps)
            .prop_map(move |(cells, late, read_point, steps)| Case { order, cells, late, read_point, steps })
    })
}

proptest! {
    #[test]
    fn rows_backward_are_those_of_a_sorted_list(case in case()) {
        let Case { order, cells, mut late, read_point, steps } = case;
        let segment = Segment::new(order);
        cells.iter().for_each(|cell| segment.insert(cell.as_ref()));
        let model = Model { order, inserted: cells };
        let mut naive = NaiveRows::new(order, model.visible(read_point).into_iter().cloned().collect());
        let mut scanner = segment.reversed_scanner(read_point);
        prop_assert_eq!(scanner.peek(), None);
        for step in steps {
            match &step {
                RowStep::LastRow => scanner.seek_to_last_row(),
                RowStep::Before(key) => scanner.seek_before(key),
                RowStep::PreviousRow => scanner.previous_row(),
                RowStep::Advance => scanner.advance(),
                RowStep::Reseek(key) => scanner.reseek(key),
            }
            naive.take(&step);
            prop_assert_eq!(scanner.peek(), naive.peek(), "{:?} of {:?}", step, &naive.cells);
            // new cells come above the read point
            if let Some(new) = late.pop().filter(|_| read_point < 5) {
                segment.insert(new.as_ref().with_seq_id(read_point + 1 + new.as_ref().seq_id));
            }
        }
    }
}

#[test]
fn a_last_cell_that_is_replaced_meanwhile_ends_the_row_all_the_same() {
    let segment = Segment::new(CellOrder::User);
    let keys: Vec<SeekKey> = [(b"a", b"p"), (b"a", b"q"), (b"b", b"p")]
        .map(|(row, qualifier)| SeekKey::of(row, b"f", qualifier, 1, CellType::Put))
        .into();
    keys.iter().for_each(|key| segment.insert(CellRef::new(key, b"old")));
    let mut scanner = segment.reversed_scanner(i64::MAX);
    scanner.seek_to_last_row();
    scanner.previous_row();
    keys.iter().for_each(|key| segment.insert(CellRef::new(key, b"new")));
    scanner.advance();
    assert_eq!(scanner.peek().map(|cell| cell.key), Some(keys[1].as_key()));
    scanner.advance();
    assert_eq!(scanner.peek(), None);
}
