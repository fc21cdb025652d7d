//! Compares the scanner with a sorted list of cells.

use super::*;
use crate::cell::Cell;
use crate::hfile::{HFile, HFileWriter, StoreFileOrigin, StoreFileWriter};
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use crate::layout::StoreFileInfo;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::sync::Arc;

/// The expected behaviour: the visible cells in order, and the index of the current one.
struct Naive {
    cells: Vec<Cell>,
    at: Option<usize>,
}

impl Naive {
    fn seek(&mut self, key: &CellKey) {
        let at = self.cells.partition_point(|c| CellOrder::User.compare(c.as_ref().key(), key).is_lt());
        self.at = (at < self.cells.len()).then_some(at);
    }

    fn reseek(&mut self, key: &CellKey) {
        let before = self.at;
        self.seek(key);
        if let Some(before) = before {
            self.at = self.at.map(|at| at.max(before));
        }
    }

    fn advance(&mut self) {
        self.at = self.at.map(|at| at + 1).filter(|&at| at < self.cells.len());
    }

    fn peek(&self) -> Option<&Cell> {
        self.at.map(|at| &self.cells[at])
    }
}

/// A call of the scanner.
#[derive(Clone, Debug)]
enum Step {
    Seek(SeekKey),
    Reseek(SeekKey),
    Request(SeekKey, bool, bool),
    Enforce,
    Advance,
}

const TYPES: [CellType; 5] = [
    CellType::Put,
    CellType::Delete,
    CellType::DeleteColumn,
    CellType::DeleteFamily,
    CellType::DeleteFamilyVersion,
];

pub(in crate::store) fn rows() -> impl Strategy<Value = Vec<u8>> + Clone {
    "[a-c]{1,2}".prop_map(String::into_bytes)
}

pub(in crate::store) fn stored() -> impl Strategy<Value = Cell> {
    (rows(), "[pq]?", 1..6i64, 0..TYPES.len(), 0..9i64).prop_map(|(row, qualifier, ts, kind, seq_id)| {
        let kind = TYPES[kind];
        let qualifier = if kind.is_family_delete() { "" } else { qualifier.as_str() };
        let key = SeekKey::of(&row, b"f", qualifier.as_bytes(), ts, kind);
        Cell::from(CellRef::new(&key, b"value").with_seq_id(seq_id))
    })
}

pub(in crate::store) fn keys() -> impl Strategy<Value = SeekKey> {
    let kinds = prop_oneof![Just(CellType::Maximum), Just(CellType::Minimum), Just(CellType::Put)];
    prop_oneof![
        rows().prop_map(|row| SeekKey::first_on_row(&row)),
        rows().prop_map(|row| SeekKey::last_on_row(&row)),
        rows().prop_map(|row| SeekKey::of(&row, b"f", b"", i64::MAX, CellType::DeleteFamily)),
        (rows(), "[pq]?").prop_map(|(row, q)| SeekKey::first_on_column(&row, b"f", q.as_bytes())),
        (rows(), "[pq]?", -1..8i64, kinds).prop_map(|(row, q, ts, kind)| SeekKey::of(
            &row,
            b"f",
            q.as_bytes(),
            ts,
            kind
        )),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => keys().prop_map(Step::Seek),
        3 => keys().prop_map(Step::Reseek),
        3 => (keys(), any::<bool>(), any::<bool>())
            .prop_map(|(k, forward, bloom)| Step::Request(k, forward, bloom)),
        1 => Just(Step::Enforce),
        4 => Just(Step::Advance),
    ];
    proptest::collection::vec(step, 1..30)
}

#[derive(Clone, Debug)]
pub(in crate::store) struct Shape {
    pub(in crate::store) bloom: Option<BloomType>,
    pub(in crate::store) block_size: usize,
    pub(in crate::store) origin: Origin,
    pub(in crate::store) reference: Option<Reference>,
    pub(in crate::store) read_point: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Origin {
    Flush,
    WithoutSeqIds,
    Loaded { keeps_seq_ids: bool },
}

pub(in crate::store) fn shapes() -> impl Strategy<Value = Shape> {
    let bloom = prop_oneof![Just(None), Just(Some(BloomType::Row)), Just(Some(BloomType::RowCol))];
    let origin = prop_oneof![
        Just(Origin::Flush),
        Just(Origin::WithoutSeqIds),
        any::<bool>().prop_map(|keeps_seq_ids| Origin::Loaded { keeps_seq_ids }),
    ];
    let half = prop_oneof![Just(Half::Top), Just(Half::Bottom)];
    // HBase would not split at a key within a row.
    let split_key = prop_oneof![3 => rows().prop_map(|row| SeekKey::first_on_row(&row)), 1 => keys()];
    let reference = (split_key, half).prop_map(|(split_key, half)| Reference { split_key, half });
    let block_size = prop_oneof![2 => Just(60), 1 => Just(10), 1 => Just(200)];
    (bloom, block_size, origin, proptest::option::of(reference), proptest::option::of(0..9i64)).prop_map(
        |(bloom, block_size, origin, reference, read_point)| Shape {
            bloom,
            block_size,
            origin,
            reference,
            read_point,
        },
    )
}

/// Writes the cells, and opens them as a file of the shape.
pub(in crate::store) fn store_file(cells: &[Cell], shape: &Shape) -> StoreFile {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    // Several cells per block, or one.
    let options =
        HFileWriter::options().block_size(shape.block_size).bloom(shape.bloom).storage(Arc::clone(&storage));
    let options = options.mvcc(shape.origin != Origin::WithoutSeqIds);
    let (name, origin) = match shape.origin {
        Origin::Loaded { keeps_seq_ids } => {
            let origin = StoreFileOrigin::BulkLoad {
                timestamp: 1,
                source_task: Vec::new(),
                exclude_from_minor_compaction: false,
                skip_reset_seq_id: keeps_seq_ids,
            };
            ("0a_SeqId_5_", origin)
        }
        _ => ("0a", StoreFileOrigin::flush(9)),
    };
    let mut writer = StoreFileWriter::create(options, name).unwrap();
    cells.iter().for_each(|cell| writer.append(cell.as_ref()).unwrap());
    writer.finish(&origin).unwrap();
    let place = StoreFileInfo { reference: shape.reference.clone(), ..StoreFileInfo::plain(name, 0) };
    StoreFile::open(&HFile::options().storage(storage), &place).unwrap()
}

/// Returns the cells that a scanner of the shape must return.
pub(in crate::store) fn visible(cells: &[Cell], shape: &Shape) -> Vec<Cell> {
    let top = i64::from(shape.reference.as_ref().is_some_and(|r| r.half == Half::Top));
    let seen = |cell: &Cell| {
        let cell = cell.as_ref();
        let seq_id = match shape.origin {
            Origin::Flush | Origin::Loaded { keeps_seq_ids: true } => cell.seq_id(),
            Origin::WithoutSeqIds => 0,
            Origin::Loaded { keeps_seq_ids: false } => 5 + top,
        };
        let is_in_half = shape.reference.as_ref().is_none_or(|r| {
            CellOrder::User.compare(cell.key(), &r.split_key).is_lt() == (r.half == Half::Bottom)
        });
        let is_seen = is_in_half && shape.read_point.is_none_or(|point| seq_id <= point);
        is_seen.then(|| Cell::from(cell.with_seq_id(seq_id)))
    };
    cells.iter().filter_map(seen).collect()
}

pub(in crate::store) fn sorted(mut cells: Vec<Cell>) -> Vec<Cell> {
    cells.sort_by(|a, b| {
        let order = CellOrder::User.compare(a.as_ref().key(), b.as_ref().key());
        order.then_with(|| Reverse(a.as_ref().seq_id()).cmp(&Reverse(b.as_ref().seq_id())))
    });
    cells.dedup();
    cells
}

/// Takes a step in both. Checks a fake cell before enforcing its seek: it must not be after the real one.
fn take(step: &Step, scanner: &mut StoreFileScanner<'_>, naive: &mut Naive, cells: &[Cell]) {
    match step {
        Step::Seek(key) => {
            scanner.seek(key).unwrap();
            naive.seek(key);
        }
        Step::Reseek(key) => {
            scanner.reseek(key).unwrap();
            naive.reseek(key);
        }
        Step::Request(key, forward, use_bloom) => {
            let had = scanner.request_seek(key, *forward, *use_bloom).unwrap();
            assert_eq!(had, scanner.peek().is_some());
            if *forward {
                naive.reseek(key);
            } else {
                naive.seek(key);
            }
            let order = CellOrder::User;
            let fake = scanner.peek().map(|cell| SeekKey::from(cell.key()));
            if let (Some(fake), true) =
                (&fake, scanner.state == CursorState::Fake && scanner.real_seek_done())
            {
                // Ruled out by a Bloom filter: the file has no cells of that column.
                let (row, family, qualifier) = fake.split();
                assert_eq!(fake, &SeekKey::last_on_column(row, family, qualifier));
                let of_column =
                    |c: &&Cell| (c.as_ref().row(), c.as_ref().qualifier()) == (row, key.qualifier());
                if !key.cell_type().is_family_delete() {
                    assert_eq!(cells.iter().find(of_column), None);
                }
                // Cells of the empty column are not selected in this case.
                let found = scanner.advance().unwrap();
                if *forward {
                    naive.reseek(fake);
                } else {
                    naive.seek(fake);
                }
                assert_eq!(found, naive.at.is_some());
                return;
            }
            if let (Some(fake), Some(found)) = (&fake, naive.peek().filter(|_| !scanner.real_seek_done())) {
                assert!(order.compare(fake, found.as_ref().key()).is_le() || *forward, "{fake} {found:?}");
            }
            scanner.enforce_seek().unwrap();
            assert!(scanner.real_seek_done());
        }
        Step::Enforce => {
            assert_eq!(scanner.enforce_seek().unwrap(), naive.at.is_some());
        }
        Step::Advance => {
            scanner.advance().unwrap();
            naive.advance();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn the_scanner_agrees_with_a_list(
        cells in proptest::collection::vec(stored(), 0..40),
        shape in shapes(),
        steps in steps(),
    ) {
        let cells = sorted(cells);
        let file = store_file(&cells, &shape);
        let mut naive = Naive { cells: visible(&cells, &shape), at: None };
        let mut scanner = file.scanner(shape.read_point, true);
        for step in &steps {
            take(step, &mut scanner, &mut naive, &cells);
            let expected = naive.peek().map(Cell::as_ref);
            prop_assert_eq!(scanner.peek(), expected, "after {:?}", step);
            if let (NextIndexedKey::Key(next), Some(cell)) = (scanner.next_indexed_key(), expected) {
                prop_assert!(CellOrder::User.compare(cell.key(), next).is_lt());
            }
        }
    }
}
