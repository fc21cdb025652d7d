//! Compares the scanner with a sorted list of cells.

use super::naive::{NaiveRows, RowStep};
use super::*;
use crate::cell::{Cell, CellOrder, CellType, SeekKey};
use crate::memstore::tests::{Model, key, row, segment_of, some_cell};
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
        let cells = prop_oneof![0..40usize, 100..250usize]
            .prop_flat_map(move |count| proptest::collection::vec(some_cell(order), count));
        let late = proptest::collection::vec(some_cell(order), 0..10);
        let steps = proptest::collection::vec(step(order), 0..40);
        (cells, late, prop_oneof![-1i64..7, Just(i64::MAX)], steps)
            .prop_map(move |(cells, late, read_point, steps)| Case { order, cells, late, read_point, steps })
    })
}

proptest! {
    #[test]
    fn rows_backward_are_those_of_a_sorted_list(case in case(), parts in 0..4usize) {
        let Case { order, cells, mut late, read_point, steps } = case;
        let segment = segment_of(order, &cells, parts);
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
            // new cells have sequence ids above the read point
            if let Some(new) = late.pop().filter(|_| read_point < 5 && parts == 0) {
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

/// Row numbers that are dense in some ranges and sparse in others; rows of one or several cells.
#[test]
fn all_rows_are_met_however_they_lie() {
    for (shape, row) in [
        ("even", (|i| format!("row{:08}", 3 * i)) as fn(u64) -> String),
        ("random", |i| format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        ("clustered", |i| format!("{:04}-{:012}", i / 200 * 7, i % 200)),
        ("one prefix", |i| format!("the same for all of them {i}")),
        ("short", |i| format!("{i}")),
    ] {
        let mut model = Model { order: CellOrder::User, inserted: Vec::new() };
        for i in 0..2_000u64 {
            for qualifier in ["p", "q", "r"].iter().take(if i % 5 == 0 { 3 } else { 1 }) {
                let key = SeekKey::of(row(i).as_bytes(), b"f", qualifier.as_bytes(), 1, CellType::Put);
                let seq_id = (i % 3).cast_signed();
                let cell = Cell::from(CellRef::new(&key, b"v").with_seq_id(seq_id));
                model.inserted.push(cell);
            }
        }
        let of_parts = |parts| segment_of(CellOrder::User, &model.inserted, parts);
        let (listed, flat) = (of_parts(0), of_parts(3));
        for (segment, read_point) in [(&listed, 0), (&listed, 2), (&flat, 0), (&flat, 2)] {
            let cells = model.visible(read_point).into_iter().cloned().collect();
            let mut naive = NaiveRows::new(CellOrder::User, cells);
            let mut scanner = segment.reversed_scanner(read_point);
            scanner.seek_to_last_row();
            naive.take(&RowStep::<SeekKey>::LastRow);
            let mut rows = 0;
            while naive.peek().is_some() {
                while naive.peek().is_some() {
                    assert_eq!(scanner.peek(), naive.peek(), "{shape}");
                    scanner.advance();
                    naive.take(&RowStep::<SeekKey>::Advance);
                }
                assert_eq!(scanner.peek(), None, "{shape}");
                scanner.previous_row();
                naive.take(&RowStep::<SeekKey>::PreviousRow);
                rows += 1;
            }
            assert_eq!((scanner.peek(), rows), (None, [667, 0, 2_000][read_point as usize]), "{shape}");
        }
    }
}

/// The scanner holds entries that have since been removed, such as those of a failed write. None of them is
/// visible, and the cells after them are of a row that was read before.
#[test]
fn removed_cells_do_not_lead_back_to_later_rows() {
    let segment = Segment::new(CellOrder::User);
    let key = |row: &str, qualifier: &str| {
        SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), 1, CellType::Put)
    };
    let cell = |key: &SeekKey, seq_id| Cell::from(CellRef::new(key, b"v").with_seq_id(seq_id));
    let mut refused = Vec::new();
    for i in 0..500 {
        segment.insert(cell(&key(&format!("{i:03}"), "p"), 1).as_ref());
        refused.extend(["p", "q", "r"].map(|qualifier| cell(&key(&format!("{i:03}x"), qualifier), 9)));
    }
    refused.iter().for_each(|cell| segment.insert(cell.as_ref()));
    let mut scanner = segment.reversed_scanner(1);
    scanner.seek_to_last_row();
    for i in (0..500).rev() {
        assert_eq!(scanner.peek().unwrap().row(), format!("{i:03}").as_bytes());
        if i == 440 {
            refused.iter().for_each(|cell| segment.remove(cell.as_ref()));
        }
        scanner.advance();
        assert_eq!(scanner.peek(), None);
        scanner.previous_row();
    }
    assert_eq!(scanner.peek(), None);
}
