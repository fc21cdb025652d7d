//! Compares segments with a sorted list of cells.

use super::{Segment, SegmentScanner};
use crate::cell::{Cell, CellKey, CellOrder, CellRef, CellType, LATEST_TIMESTAMP, OLDEST_TIMESTAMP, SeekKey};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Acquire, Ordering::Release};
use std::thread;

const TAGS: &[u8] = &[0, 3, 1, b't', b'a'];

fn cell(key: &CellKey, value: &[u8], tags: bool, seq_id: i64) -> Cell {
    let cell = CellRef::new(key, value).with_seq_id(seq_id);
    Cell::from(if tags { cell.with_tag_bytes(TAGS).unwrap() } else { cell })
}

fn put(row: &str, qualifier: &str, timestamp: i64, seq_id: i64) -> Cell {
    let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, CellType::Put);
    cell(&key, b"value", false, seq_id)
}

fn segment(cells: &[Cell]) -> Segment {
    let segment = Segment::new(CellOrder::User);
    cells.iter().for_each(|cell| segment.insert(cell.as_ref()));
    segment
}

/// A segment with these cells. With `parts`, a flat one, built from as many segments in sequence.
pub(super) fn segment_of(order: CellOrder, cells: &[Cell], parts: usize) -> Segment {
    let fill = |cells: &[Cell]| {
        let segment = Segment::new(order);
        cells.iter().for_each(|cell| segment.insert(cell.as_ref()));
        segment
    };
    if parts == 0 {
        return fill(cells);
    }
    let len = cells.len() / parts;
    let parts = (0..parts).map(|part| {
        let end = if part + 1 == parts { cells.len() } else { (part + 1) * len };
        Arc::new(fill(&cells[part * len..end]))
    });
    // like the pipeline: each is merged into those before it
    let flat = parts.reduce(|flat, part| Arc::new(Segment::flat(&[flat, part]).unwrap())).unwrap();
    Segment::flat(&[flat]).unwrap()
}

fn rest(scanner: &mut SegmentScanner<'_>) -> Vec<Cell> {
    let mut cells = Vec::new();
    while let Some(cell) = scanner.peek() {
        cells.push(cell.into());
        scanner.advance();
    }
    cells
}

/// A naive model of a segment and its scanner.
pub(super) struct Model {
    pub(super) order: CellOrder,
    /// In the order of insertion.
    pub(super) inserted: Vec<Cell>,
}

impl Model {
    fn sorted(&self) -> Vec<&Cell> {
        let mut cells: Vec<&Cell> = Vec::new();
        for new in &self.inserted {
            match cells.iter_mut().find(|old| self.compare(old, new).is_eq()) {
                Some(old) => *old = new,
                None => cells.push(new),
            }
        }
        cells.sort_by(|a, b| self.compare(a, b));
        cells
    }

    fn compare(&self, a: &Cell, b: &Cell) -> Ordering {
        let (a, b) = (a.as_ref(), b.as_ref());
        self.order.compare(a.key, b.key).then(b.seq_id.cmp(&a.seq_id))
    }

    pub(super) fn visible(&self, read_point: i64) -> Vec<&Cell> {
        self.sorted().into_iter().filter(|cell| cell.as_ref().seq_id <= read_point).collect()
    }
}

pub(super) fn row(order: CellOrder) -> BoxedStrategy<Vec<u8>> {
    match order {
        CellOrder::Meta => "[ab]{0,2},[a,]{0,2},[12]".prop_map(String::into_bytes).boxed(),
        CellOrder::User => prop_oneof![
            "[ab]{1,3}".prop_map(String::into_bytes),
            // rows that differ within the prefix, or only after it
            "sameprefix[ab\0]{0,2}".prop_map(String::into_bytes),
            "shorter\0{0,2}".prop_map(String::into_bytes),
            Just(vec![0xff; 9]),
        ]
        .boxed(),
    }
}

pub(super) fn key(order: CellOrder, types: &'static [CellType]) -> impl Strategy<Value = SeekKey> {
    let timestamp = prop_oneof![0i64..4, Just(LATEST_TIMESTAMP), Just(OLDEST_TIMESTAMP)];
    (row(order), 0usize..2, "[q]{0,2}", timestamp, proptest::sample::select(types)).prop_map(
        |(row, family, qualifier, timestamp, cell_type)| {
            let family: &[u8] = if family == 0 && !cell_type.is_stored() { b"" } else { b"f" };
            SeekKey::of(&row, family, qualifier.as_bytes(), timestamp, cell_type)
        },
    )
}

pub(super) const STORED: &[CellType] =
    &[CellType::Put, CellType::Put, CellType::Delete, CellType::DeleteColumn, CellType::DeleteFamily];

#[derive(Clone, Debug)]
enum Step {
    Seek(SeekKey),
    Reseek(SeekKey),
    Advance(usize),
    First,
    Insert(Cell),
}

fn step(order: CellOrder) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => key(order, &CellType::ALL).prop_map(Step::Seek),
        3 => key(order, &CellType::ALL).prop_map(Step::Reseek),
        2 => (1usize..4).prop_map(Step::Advance),
        // enough steps to start reading ahead
        1 => (8usize..70).prop_map(Step::Advance),
        1 => Just(Step::First),
        1 => some_cell(order).prop_map(Step::Insert),
    ]
}

pub(super) fn some_cell(order: CellOrder) -> impl Strategy<Value = Cell> {
    let value = prop_oneof![30 => "[a-z]{0,3}".prop_map(String::into_bytes), 1 => Just(vec![7; 5 << 10])];
    (key(order, STORED), value, any::<bool>(), 0i64..6)
        .prop_map(|(key, value, tags, seq_id)| cell(&key, &value, tags, seq_id))
}

#[derive(Clone, Debug)]
struct Case {
    order: CellOrder,
    cells: Vec<Cell>,
    read_point: i64,
    steps: Vec<Step>,
}

fn case() -> impl Strategy<Value = Case> {
    proptest::sample::select(&[CellOrder::User, CellOrder::Meta]).prop_flat_map(|order| {
        let vec = |cells, steps| {
            (
                proptest::collection::vec(some_cell(order), cells),
                proptest::collection::vec(step(order), steps),
            )
        };
        let cells_and_steps = prop_oneof![2 => vec(0..40, 0..40), 1 => vec(60..160, 0..12)];
        (cells_and_steps, prop_oneof![-1i64..7, Just(i64::MAX)])
            .prop_map(move |((cells, steps), read_point)| Case { order, cells, read_point, steps })
    })
}

/// The position of the model's scanner.
#[derive(Clone, Copy, Debug)]
enum Position {
    Nowhere,
    At(usize),
    End,
}

impl Position {
    fn or_end(found: Option<usize>) -> Self {
        found.map_or(Self::End, Self::At)
    }
}

proptest! {
    #[test]
    fn a_segment_does_as_a_sorted_list(case in case(), ahead: bool, parts in 0..4usize) {
        let Case { order, cells, read_point, steps } = case;
        let mut model = Model { order, inserted: cells };
        let segment = segment_of(order, &model.inserted, parts);
        check_totals(&segment, &model);
        let new_scanner = || match ahead {
            true => segment.scanner(read_point).reading_ahead(),
            false => segment.scanner(read_point),
        };
        let mut scanner = new_scanner();
        prop_assert_eq!(scanner.peek(), None);
        let mut position = Position::Nowhere;
        for step in steps {
            // new cells have sequence ids above the read point
            if let Step::Insert(new) = &step {
                if read_point < 5 && parts == 0 {
                    let new = Cell::from(new.as_ref().with_seq_id(read_point + 1 + new.as_ref().seq_id));
                    segment.insert(new.as_ref());
                    model.inserted.push(new);
                }
                continue;
            }
            let visible = model.visible(read_point);
            let at_or_after = |key: &SeekKey| {
                let is_found = |cell: &&Cell| order.compare(cell.as_ref().key, key).is_ge();
                Position::or_end(visible.iter().position(is_found))
            };
            position = match (&step, position) {
                (Step::Seek(key), _) => {
                    scanner.seek(key);
                    at_or_after(key)
                }
                (Step::Reseek(key), before) => {
                    scanner.reseek(key);
                    match (before, at_or_after(key)) {
                        (Position::Nowhere, new) => new,
                        (Position::At(old), Position::At(new)) => Position::At(old.max(new)),
                        _ => Position::End,
                    }
                }
                (&Step::Advance(count), before) => {
                    (0..count).for_each(|_| scanner.advance());
                    match before {
                        Position::At(i) if i + count < visible.len() => Position::At(i + count),
                        Position::At(_) => Position::End,
                        other => other,
                    }
                }
                (Step::First, _) => {
                    scanner.seek_to_first();
                    Position::or_end((!visible.is_empty()).then_some(0))
                }
                (Step::Insert(_), _) => unreachable!("done above"),
            };
            let expected = if let Position::At(i) = position { Some(visible[i].as_ref()) } else { None };
            prop_assert_eq!(scanner.peek(), expected, "{:?} of {:?}", step, visible);
        }
        check_totals(&segment, &model);
        let mut scanner = new_scanner();
        scanner.seek_to_first();
        let visible: Vec<Cell> = model.visible(read_point).into_iter().cloned().collect();
        prop_assert_eq!(rest(&mut scanner), visible);
    }
}

fn check_totals(segment: &Segment, model: &Model) {
    let all = &model.inserted;
    let sorted = model.sorted();
    assert_eq!((segment.cell_count(), segment.is_empty()), (sorted.len(), sorted.is_empty()));
    let row = |cell: Option<&&Cell>| cell.map(|cell| cell.as_ref().row().to_vec());
    assert_eq!(segment.first_row().map(Vec::from), row(sorted.first()));
    assert_eq!(segment.last_row().map(Vec::from), row(sorted.last()));
    assert!(all.iter().all(|cell| segment.may_contain_row(cell.as_ref().row())));
    let sizes = all.iter().map(Cell::as_ref).map(|cell| {
        let tags = if cell.tags.is_empty() { 0 } else { 2 + cell.tags.len() };
        let columns = cell.family().len() + cell.qualifier().len();
        (4 + 4 + 2 + cell.row().len() + 1 + columns + 8 + 1 + cell.value.len() + tags) as u64
    });
    let size = sizes.sum::<u64>();
    if segment.is_flat() {
        assert!(segment.data_size() <= size, "replaced cells are gone, if they were in one segment");
    } else {
        assert_eq!(segment.data_size(), size);
    }
    let times = all.iter().map(Cell::as_ref).flat_map(|cell| {
        let reaches_back = matches!(cell.cell_type(), CellType::DeleteColumn | CellType::DeleteFamily);
        [Some(cell.timestamp()), reaches_back.then_some(0)].into_iter().flatten()
    });
    let bounds = times.fold((i64::MAX, -1), |(min, max), time| (min.min(time), max.max(time)));
    assert_eq!(segment.time_range(), bounds);
    assert_eq!(segment.has_tags(), all.iter().any(|cell| !cell.as_ref().tags.is_empty()));
}

#[test]
fn versions_of_a_key_come_newest_first() {
    let segment = segment(&[put("r", "a", 5, 2), put("r", "a", 5, 9), put("r", "a", 5, 4)]);
    let seq_ids = |read_point| {
        let mut scanner = segment.scanner(read_point);
        scanner.seek(&SeekKey::of(b"r", b"f", b"a", 5, CellType::Put));
        rest(&mut scanner).iter().map(|cell| cell.as_ref().seq_id).collect::<Vec<_>>()
    };
    assert_eq!(seq_ids(9), [9, 4, 2]);
    assert_eq!(seq_ids(8), [4, 2]);
    assert_eq!(seq_ids(1), [0i64; 0]);
}

#[test]
fn cells_that_are_read_ahead_are_all_there() {
    let segment = Segment::new(CellOrder::User);
    let large = vec![1; 9 << 10];
    for i in 0..600i64 {
        let key = SeekKey::of(format!("{i:04}").as_bytes(), b"f", b"q", 5, CellType::Put);
        let value = if i % 50 == 7 { &large[..] } else { b"v" };
        segment.insert(CellRef::new(&key, value).with_seq_id(i % 3));
    }
    for read_point in 0..3 {
        let (mut plain, mut ahead) =
            (segment.scanner(read_point), segment.scanner(read_point).reading_ahead());
        plain.seek_to_first();
        ahead.seek_to_first();
        let cells = rest(&mut plain);
        assert_eq!(rest(&mut ahead), cells);
        assert_eq!(cells.len() as i64, 200 * (read_point + 1));
    }
}

#[test]
fn a_long_walk_may_be_left_and_taken_up_again() {
    const CELLS: u64 = 50_000;
    let mut cells = Vec::new();
    let key = |i: u64| {
        let row = format!("{:05}", i * 7_919 % CELLS);
        SeekKey::of(row.as_bytes(), b"f", b"q", 5, CellType::Put)
    };
    for i in 0..CELLS {
        let value = vec![b'v'; if i % 9_000 == 8_999 { 9 << 10 } else { 100 }];
        cells.push(Cell::from(CellRef::new(&key(i), &value).with_seq_id((i % 5) as i64)));
    }
    // enough listed cells to be read at several points
    let (segment, flat) = (segment_of(CellOrder::User, &cells, 0), segment_of(CellOrder::User, &cells, 3));
    for segment in [&segment, &flat] {
        walk_in_pieces(segment, CELLS, key);
    }
}

fn walk_in_pieces(segment: &Segment, count: u64, key: impl Fn(u64) -> SeekKey) {
    let (mut plain, mut ahead) = (segment.scanner(3), segment.scanner(3).reading_ahead());
    let mut walk = |begin: &dyn Fn(&mut SegmentScanner<'_>), steps: usize| {
        begin(&mut plain);
        begin(&mut ahead);
        for _ in 0..steps {
            assert_eq!(ahead.peek(), plain.peek());
            plain.advance();
            ahead.advance();
        }
        assert_eq!(ahead.peek(), plain.peek());
    };
    walk(&|scanner| scanner.seek_to_first(), count as usize);
    walk(&|scanner| scanner.seek_to_first(), 9_000);
    for i in 0..40 {
        let steps = (i * 2_741 % 11_003) as usize;
        // from the current cell, and from elsewhere
        walk(&|scanner| scanner.reseek(&key(i * 104_729 % count)), steps);
        walk(&|_| (), steps / 3);
        walk(&|scanner| scanner.seek(&key(i * 15_485_863 % count)), steps);
    }
}

#[test]
fn the_last_insert_wins() {
    let segment = Segment::new(CellOrder::User);
    let key = SeekKey::of(b"r", b"f", b"q", 5, CellType::Put);
    let large = vec![1; 300 << 10];
    let larger = vec![1; 400 << 10];
    let insert = |value: &[u8]| segment.insert(CellRef::new(&key, value).with_seq_id(3));
    let len = |value: usize| (8 + key.as_bytes().len() + value) as u64;
    insert(b"one");
    insert(&large);
    insert(&larger);
    assert_eq!(segment.data_size(), len(3) + len(larger.len()));
    for value in [b"three".as_slice(), &large, b"five"] {
        insert(value);
    }
    assert_eq!(segment.cell_count(), 1);
    let mut scanner = segment.scanner(3);
    scanner.seek_to_first();
    assert_eq!(scanner.peek().unwrap().value(), b"five");
    // replaced cells still count if they are in chunks
    assert_eq!(segment.data_size(), len(3) + len(5) + len(4));
}

#[test]
fn a_removed_cell_is_gone_and_its_neighbours_are_not() {
    let segment = Segment::new(CellOrder::User);
    let key = SeekKey::of(b"r", b"f", b"q", 5, CellType::Put);
    let cell = |value: &'static [u8], seq_id| CellRef::new(&key, value).with_seq_id(seq_id);
    let (old, new) = (cell(b"old", 3), cell(b"new", 4));
    [old, new].into_iter().for_each(|cell| segment.insert(cell));
    let mut held = segment.scanner(4);
    held.seek_to_first();
    let size = segment.data_size();
    segment.remove(new);
    segment.remove(new);
    segment.remove(cell(b"old", 5));
    assert_eq!((segment.cell_count(), segment.data_size()), (1, size));
    assert_eq!(held.peek().unwrap().value(), b"new", "what a scanner holds stays");
    held.advance();
    assert_eq!(held.peek().unwrap().value(), b"old");
    segment.insert(new);
    assert_eq!(segment.cell_count(), 2);
    let (size, large) = (segment.data_size(), vec![1; 300 << 10]);
    let large = CellRef::new(&key, &large).with_seq_id(5);
    segment.insert(large);
    segment.remove(large);
    assert_eq!((segment.cell_count(), segment.data_size()), (2, size), "its bytes are freed");
}

#[test]
fn readers_see_every_cell_below_their_read_point_while_writers_add() {
    const WRITERS: i64 = 2;
    const ROWS: i64 = 1_500;
    let segment = Segment::new(CellOrder::User);
    // each writer owns its rows and publishes its progress
    let written: Vec<AtomicI64> = (0..WRITERS).map(|_| AtomicI64::new(0)).collect();
    thread::scope(|scope| {
        for (writer, written) in (0..).zip(&written) {
            let segment = &segment;
            scope.spawn(move || {
                for seq_id in 1..=ROWS {
                    let row = format!("{:05}-{writer}", seq_id * 7_919 % 10_007);
                    for qualifier in ["a", "b", "c"] {
                        segment.insert(put(&row, qualifier, 5, seq_id).as_ref());
                    }
                    written.store(seq_id, Release);
                }
            });
        }
        loop {
            let read_point = written.iter().map(|written| written.load(Acquire)).min().unwrap();
            let mut scanner = segment.scanner(read_point).reading_ahead();
            scanner.seek_to_first();
            let cells = rest(&mut scanner);
            assert!(
                cells.is_sorted_by(|a, b| CellOrder::User.compare(a.as_ref().key, b.as_ref().key).is_lt())
            );
            assert_eq!(cells.len() as i64, 3 * WRITERS * read_point);
            let mut scanner = segment.reversed_scanner(read_point);
            let mut rows = 0;
            scanner.seek_to_last_row();
            while let Some(cell) = scanner.peek() {
                rows += 1;
                assert!(segment.may_contain_row(cell.row()));
                scanner.previous_row();
            }
            assert_eq!(rows, WRITERS * read_point);
            if read_point == ROWS {
                break;
            }
        }
    });
    assert_eq!(segment.cell_count() as i64, 3 * WRITERS * ROWS);
}
