//! Random cells in every encoding, and corrupted payloads.

use super::*;
use crate::block::data::{BlockOutline, DataBlock, Marks, PartSize, StoredCells, Trust, decode_delta};
use crate::cell::CellOrder;
use crate::error::ErrorKind;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::BTreeSet;

fn row() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "row-0000[0-3]{1,2}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
        // row lengths that differ in the first byte, or only in the last
        1 => (250usize..260).prop_map(|len| vec![b'r'; len]),
        1 => (0u8..3, 70usize..72).prop_map(|(n, len)| [vec![b'r'; len], vec![n]].concat()),
    ]
}

fn timestamp() -> impl Strategy<Value = i64> {
    let now = 1_700_000_000_000i64;
    prop_oneof![
        4 => Just(now),
        3 => now - 300..now,
        1 => -3i64..3,
        1 => any::<i64>(),
        1 => select(&[i64::MIN, i64::MIN + 1, i64::MAX, 255, 256][..]),
    ]
}

fn tags() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![
        3 => (0u8..3).prop_map(|n| vec![0, 6, 2, b'l', b'a', b'b', b'e', b'0' + n]),
        2 => any::<u8>().prop_map(|n| vec![0, 2, 64, n]),
        1 => Just(vec![0, 1, 8]),
    ];
    proptest::collection::vec(tag, 0..3).prop_map(|tags| tags.concat())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => Just(b"the same".to_vec()),
        1 => Just(b"the-same".to_vec()),
        1 => Just(Vec::new()),
        1 => proptest::collection::vec(any::<u8>(), 0..100),
    ]
}

fn stored_type() -> impl Strategy<Value = CellType> {
    use CellType::*;
    prop_oneof![3 => Just(Put), 1 => select(&[Delete, DeleteFamilyVersion, DeleteColumn, DeleteFamily][..])]
}

/// Sorted cells of one family.
fn cells(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Cell>> {
    let qualifier = prop_oneof![3 => "q[ab]{0,2}", 1 => "[a-z]{0,30}"];
    let parts = (row(), qualifier, timestamp(), stored_type(), value(), tags(), mvcc());
    let family = select(vec![&b"f"[..], b"", b"a-longer-family"]);
    (family, proptest::collection::vec(parts, count)).prop_map(|(family, parts)| {
        let made = parts.into_iter().map(|(row, qualifier, timestamp, cell_type, value, tags, seq_id)| {
            let key = SeekKey::of(&row, family, qualifier.as_bytes(), timestamp, cell_type);
            cell(&key, &value, &tags, seq_id)
        });
        let mut cells: Vec<_> = made.collect();
        cells.sort_by(|a, b| CellOrder::User.compare(a.as_ref().key, b.as_ref().key));
        cells
    })
}

fn mvcc() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0), 1 => 0i64..300, 1 => any::<i64>()]
}

fn formats() -> impl Strategy<Value = DataFormat> {
    (select(&DataBlockEncoding::ALL[..]), any::<[bool; 3]>()).prop_map(
        |(encoding, [tags, mvcc, compressed])| DataFormat {
            tags_compressed: compressed,
            ..format(encoding, tags, mvcc)
        },
    )
}

fn delta_formats() -> impl Strategy<Value = DataFormat> {
    let plain = |e: &DataBlockEncoding| matches!(e, DataBlockEncoding::None | DataBlockEncoding::RowIndexV1);
    formats().prop_filter("a delta encoding", move |format| !plain(&format.encoding))
}

/// Changes to a payload.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Insert(Index, u8),
    Remove(Index),
}

impl Change {
    fn apply(&self, payload: &mut Vec<u8>) {
        if payload.is_empty() {
            return;
        }
        let len = payload.len();
        match self {
            Self::Flip(at, bit) => payload[at.index(len)] ^= 1 << bit,
            Self::Set(at, byte) => payload[at.index(len)] = *byte,
            Self::Cut(at) => payload.truncate(at.index(len)),
            Self::Insert(at, byte) => payload.insert(at.index(len), *byte),
            Self::Remove(at) => drop(payload.remove(at.index(len))),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (any::<Index>(), 0..24u8).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<(Index, u8)>().prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => any::<(Index, u8)>().prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => any::<Index>().prop_map(Change::Remove),
    ];
    proptest::collection::vec(change, 0..4)
}

/// The cells that `decode` returns, or `None` if it fails. Also checks the properties of both results.
fn decoded(format: &DataFormat, payload: &[u8], limit: usize) -> Option<Vec<Cell>> {
    let mut out = b"before".to_vec();
    let count = decode(format, payload, limit, &mut out);
    assert!(out.starts_with(b"before"));
    let made = &out[6..];
    match count {
        Ok(count) => {
            assert!(made.len() <= limit);
            assert_eq!(plain::check(made, format.cells), Ok(count));
            Some(parse(format, made))
        }
        Err(_) => {
            assert!(made.is_empty());
            None
        }
    }
}

/// A block in a delta encoding, and its outline, if it can have one.
struct Outlined {
    payload: Vec<u8>,
    plain: Vec<u8>,
    outline: Option<BlockOutline>,
}

impl Outlined {
    /// The offset of the payload in the block.
    const AT: usize = 33;

    fn new(format: DataFormat, cells: &[Cell], size: PartSize) -> Self {
        let payload = encode(&format, cells);
        let (mut out, mut marks) = (Vec::new(), Marks::default());
        let decoded = decode_delta(&format, &payload, LIMIT, &mut out, Some(&mut marks)).unwrap();
        let plain = out.clone();
        let (all, trust) = (0..out.len(), Trust::Decoded(Some(decoded)));
        let block = DataBlock::new(out, all, format.cells, trust, Some(CellOrder::User)).unwrap();
        let stored = StoredCells { format, bytes: &payload, at: Self::AT, marks: &marks };
        let outline = BlockOutline::of_delta(&block, &stored, size);
        Self { payload, plain, outline }
    }

    /// The stored parts.
    fn parts(&self) -> impl Iterator<Item = (&BlockOutline, usize, &[u8])> {
        let all = self.outline.iter().flat_map(|outline| (0..outline.parts()).map(move |i| (outline, i)));
        all.map(move |(outline, part)| {
            let range = outline.range_of(part..part + 1).unwrap();
            (outline, part, &self.payload[range.start - Self::AT..range.end - Self::AT])
        })
    }

    /// Checks that the parts contain the cells of the block, at the same offsets, when they are read one
    /// after the other and separately.
    fn check(&self) {
        let mut made = Vec::new();
        for (outline, part, stored) in self.parts() {
            let at = made.len();
            assert_eq!(outline.offset_of(part), Some(at));
            assert!(outline.verify(part, stored));
            assert!(outline.decode(part, stored, &mut made).is_some());
            let mut alone = Vec::new();
            assert!(outline.decode(part, stored, &mut alone).is_some());
            assert!(alone == made[at..]);
        }
        assert!(self.outline.is_none() || made == self.plain);
    }
}

/// The number of different tags; 0 if the format has no dictionary for them.
fn dictionary_len(format: &DataFormat, cells: &[Cell]) -> usize {
    if !format.cells.tags || !format.tags_compressed {
        return 0;
    }
    let tags = cells.iter().flat_map(|cell| cell.as_ref().tags().map(|tag| (tag.tag_type, tag.value)));
    tags.collect::<BTreeSet<_>>().len()
}

/// The number of slots of a dictionary.
const SLOTS: usize = 127;

proptest! {
    #[test]
    fn encoded_cells_decode_to_the_input(format in formats(), cells in cells(1..60)) {
        let payload = encode(&format, &cells);
        let expected = plain(&format, &cells);
        let mut out = Vec::new();
        prop_assert_eq!(decode(&format, &payload, expected.len(), &mut out), Ok(cells.len()));
        prop_assert!(out == expected);
        out.clear();
        let too_much = decode(&format, &payload, expected.len() - 1, &mut out).unwrap_err();
        prop_assert_eq!(too_much.kind(), ErrorKind::Limit);
    }

    #[test]
    fn parts_of_an_outline_are_the_whole_block(
        format in delta_formats(),
        cells in cells(150..400),
        size in select(vec![PartSize::Fine, PartSize::Coarse]),
    ) {
        let block = Outlined::new(format, &cells, size);
        let (len, tags) = (block.plain.len(), dictionary_len(&format, &cells));
        // in a smaller block, the tags and the first cells may take too many bytes
        let least = if tags > 0 { 16 << 10 } else { 8 << 10 };
        if block.outline.is_some() {
            prop_assert!(len >= 8 << 10 && tags <= SLOTS);
        } else {
            prop_assert!(len < least || tags > SLOTS);
        }
        block.check();
    }

    /// The parts refer to tags of the parts before them, unless there are more than fit into the dictionary.
    #[test]
    fn parts_refer_to_tags_of_others(
        tags in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3), 400..600),
        (first_with, different) in (0..600usize, 1..150u8),
        same_value: bool,
        format in delta_formats(),
        size in select(vec![PartSize::Fine, PartSize::Coarse]),
        changes in changes(),
    ) {
        let format = DataFormat {
            tags_compressed: true,
            cells: CellFormat { tags: true, ..format.cells },
            ..format
        };
        let cells: Vec<_> = tags.iter().enumerate().map(|(number, tags)| {
            let key = SeekKey::of(format!("row-{number:04}").as_bytes(), b"f", b"q", 1, CellType::Put);
            let tags: &[u8] = if number < first_with { &[] } else { tags };
            let area: Vec<u8> = tags.iter().flat_map(|tag| [0, 4, 64, 0, 0, tag % different]).collect();
            let value = if same_value { 7 } else { u8::try_from(number % 256).unwrap() };
            cell(&key, &[value; 40], &area, 0)
        }).collect();
        let block = Outlined::new(format, &cells, size);
        prop_assert_eq!(block.outline.is_some(), dictionary_len(&format, &cells) <= SLOTS);
        block.check();
        for (outline, part, stored) in block.parts() {
            let mut changed = stored.to_vec();
            changes.iter().for_each(|change| change.apply(&mut changed));
            prop_assert_eq!(outline.verify(part, &changed), changed == stored);
            // Whatever the bytes, this does not panic.
            let _ = outline.decode(part, &changed, &mut Vec::new());
        }
    }

    #[test]
    fn blocks_of_one_encoder_are_independent(
        format in formats(),
        cells in cells(2..40),
        at: Index,
    ) {
        let (first, second) = cells.split_at(1 + at.index(cells.len() - 1));
        let mut encoder = Encoder::new(&format);
        for block in [first, second] {
            let mut payload = Vec::new();
            for cell in block {
                encoder.append(&cell.as_ref()).unwrap();
            }
            encoder.finish(&mut payload);
            prop_assert_eq!(payload, encode(&format, block));
        }
    }

    /// Uses more tags than the dictionary has slots.
    #[test]
    fn dictionaries_overflow_alike(
        tags in proptest::collection::vec(0u8..150, 300),
        format in delta_formats(),
    ) {
        let cells = CellFormat { tags: true, ..format.cells };
        let format = DataFormat { tags_compressed: true, cells, ..format };
        let key = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
        let cells: Vec<_> = tags.chunks(3).map(|tags| {
            let area: Vec<u8> = tags.iter().flat_map(|&tag| [0, 2, 64, tag]).collect();
            cell(&key, b"", &area, 0)
        }).collect();
        let payload = encode(&format, &cells);
        let expected = Some(parse(&format, &plain(&format, &cells)));
        prop_assert!(decoded(&format, &payload, LIMIT) == expected);
        prop_assert!(naive::decode(&format, &payload) == expected);
    }

    #[test]
    fn the_naive_decoder_agrees(format in delta_formats(), cells in cells(1..20), changes in changes()) {
        let mut payload = encode(&format, &cells);
        changes.iter().for_each(|change| change.apply(&mut payload));
        prop_assert_eq!(decoded(&format, &payload, LIMIT), naive::decode(&format, &payload));
    }

    #[test]
    fn tampered_payloads_never_panic(
        format in formats(),
        cells in cells(1..10),
        changes in changes(),
        limit in 0..2000usize,
    ) {
        let mut payload = encode(&format, &cells);
        changes.iter().for_each(|change| change.apply(&mut payload));
        decoded(&format, &payload, limit);
    }

    #[test]
    fn no_bytes_make_it_panic(
        format in formats(),
        bytes in proptest::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..200),
        limit in 0..2000usize,
    ) {
        decoded(&format, &bytes, limit);
        decoded(&format, &[&format.encoding.id().to_be_bytes()[..], &bytes].concat(), limit);
    }

    /// Small numbers followed by long runs: most pass the first checks.
    #[test]
    fn likely_bytes_agree_with_the_naive_decoder(
        format in delta_formats(),
        first in cells(1..2),
        rest in proptest::collection::vec(prop_oneof![4 => 0u8..25, 1 => any::<u8>()], 0..80),
    ) {
        let payload = [encode(&format, &first), rest].concat();
        prop_assert_eq!(decoded(&format, &payload, LIMIT), naive::decode(&format, &payload));
    }
}
