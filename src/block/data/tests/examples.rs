//! The example blocks of the specification (hfile.md §7.8), and some others.

use super::*;

fn four_cells() -> Vec<Cell> {
    let key = |row: &str, qualifier: &str, timestamp, cell_type| {
        SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, cell_type)
    };
    vec![
        cell(&key("row1", "a", 1000, CellType::Put), b"v1", b"", 5),
        cell(&key("row1", "b", 1000, CellType::Put), b"v1", b"", 5),
        cell(&key("row1", "b", 900, CellType::Delete), b"", b"", 300),
        cell(&key("row22", "a", 1000, CellType::Put), b"v2", b"", 0),
    ]
}

const NONE: &str = "
    00000012 00000002 0004 726f7731 01 66 61 00000000000003e8 04 7631 05
    | 00000012 00000002 0004 726f7731 01 66 62 00000000000003e8 04 7631 05
    | 00000012 00000000 0004 726f7731 01 66 62 0000000000000384 08 8e012c
    | 00000013 00000002 0005 726f773232 01 66 61 00000000000003e8 04 7632 00";
const PREFIX: &str = "0002 00000075
    12 02 00 0004726f773101666100000000000003e804 7631 05
    | 0a 02 08 6200000000000003e804 7631 05
    | 02 00 10 8408 8e012c
    | 12 02 01 05726f77323201666100000000000003e804 7632 00";
const DIFF: &str = "0003 00000075 01 66
    10 12 02 00 0004726f7731 61 e803 04 7631 05
    | 0f 08 62 00 7631 05
    | 09 00 09 64 08 8e012c
    | 88 13 02 01 05726f773232 61 64 04 7632 00";
const FAST_DIFF: &str = "0004 00000075
    00 12 02 00 0004726f773101666100000000000003e804 7631 05
    | 7f 08 62 e8 05
    | 0f 00 09 84 08 8e012c
    | 07 13 02 01 05726f773232 61 e8 04 7632 00";
const ROW_INDEX_AFTER: &str = "00000002 00000000 00000057 00000075";

#[test]
fn one_block_in_every_encoding() {
    let row_index = format!("0007 {NONE} {ROW_INDEX_AFTER}");
    let all = DataBlockEncoding::ALL.into_iter().zip([NONE, PREFIX, DIFF, FAST_DIFF, &row_index]);
    for (encoding, expected) in all {
        let format = format(encoding, false, true);
        let payload = encode(&format, &four_cells());
        assert_eq!(hex(&payload), hex(&bytes(expected)), "{encoding:?}");

        let mut out = b"before".to_vec();
        assert_eq!(decode(&format, &payload, 117, &mut out), Ok(4), "{encoding:?}");
        assert_eq!(hex(&out[6..]), hex(&bytes(NONE)), "{encoding:?}");
    }
}

#[test]
fn sizes_count_cells_and_row_offsets_only() {
    use DataBlockEncoding::*;
    for (encoding, encoded) in
        [(None, 117), (Prefix, 78 - 6), (Diff, 56 - 6), (FastDiff, 60 - 6), (RowIndexV1, 125)]
    {
        let mut encoder = Encoder::new(&format(encoding, false, true));
        assert!(encoder.is_empty());
        for cell in four_cells() {
            encoder.append(&cell.as_ref()).unwrap();
        }
        assert_eq!((encoder.encoded_size(), encoder.unencoded_size()), (encoded, 117), "{encoding:?}");
        assert!(!encoder.is_empty());
        encoder.finish(&mut Vec::new());
        assert_eq!((encoder.encoded_size(), encoder.unencoded_size(), encoder.is_empty()), (0, 0, true));
    }
}

#[test]
fn tags_by_dictionary() {
    let key = |row: &[u8]| SeekKey::of(row, b"f", b"q", 1, CellType::Put);
    let (acl, ttl) =
        ([&[0, 5, 1][..], b"user"].concat(), [&[0, 9, 8][..], &60_000i64.to_be_bytes()].concat());
    let cells = [
        cell(&key(b"r1"), b"x", &[&acl[..], &ttl].concat(), 0),
        cell(&key(b"r2"), b"x", &acl, 0),
        cell(&key(b"r3"), b"x", b"", 0),
    ];
    let format = DataFormat { tags_compressed: true, ..format(DataBlockEncoding::Prefix, true, false) };
    let payload = encode(&format, &cells);
    let expected = "0002 0000006a
        10 01 00 000272310166710000000000000001 04 78  12 ff0501 75736572 ff0908000000000000ea60
        | 0d 01 03 320166710000000000000001 04 78        07 0000
        | 0d 01 03 330166710000000000000001 04 78        00";
    assert_eq!(hex(&payload), hex(&bytes(expected)));
    let mut out = Vec::new();
    assert_eq!(decode(&format, &payload, LIMIT, &mut out), Ok(3));
    assert_eq!(parse(&format, &out), cells);
}

/// Slots 0 to 126 fill up; the 128th tag takes slot 1, because slot 0 was used again.
#[test]
fn a_full_dictionary_evicts_the_least_recently_used() {
    let tag = |n: u8| [0, 2, 64, n];
    let key = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
    let mut order: Vec<u8> = (0..127).collect();
    order.extend([0, 127, 0, 127, 1, 2]);
    let cells: Vec<_> = order.iter().map(|&n| cell(&key, b"", &tag(n), 0)).collect();
    for encoding in [DataBlockEncoding::Prefix, DataBlockEncoding::Diff, DataBlockEncoding::FastDiff] {
        let format = DataFormat { tags_compressed: true, ..format(encoding, true, false) };
        let payload = encode(&format, &cells);
        let tails: Vec<_> = payload.windows(2).filter(|w| w[0] == 0xff && w[1] == 2).collect();
        assert_eq!(tails.len(), 127 + 1 + 2, "{encoding:?}: 1 and 2 had gone");
        assert!(payload.ends_with(&[0xff, 2, 64, 2]), "{encoding:?}");
        let mut out = Vec::new();
        assert_eq!(decode(&format, &payload, LIMIT, &mut out), Ok(cells.len()));
        assert_eq!(parse(&format, &out), cells);
    }
}

#[test]
fn timestamps_at_the_ends() {
    let times = [i64::MAX, 1, 0, -1, i64::MIN + 1, i64::MIN, 0, i64::MIN, i64::MAX, 1 << 40, (1 << 40) - 1];
    let cells = times.map(|time| put("r", "q", time, "v"));
    for encoding in DataBlockEncoding::ALL {
        let format = format(encoding, false, false);
        let mut out = Vec::new();
        assert_eq!(decode(&format, &encode(&format, &cells), LIMIT, &mut out), Ok(times.len()));
        assert_eq!(parse(&format, &out), cells, "{encoding:?}");
    }
}

#[test]
fn delta_encodings_take_one_family_only() {
    let key = SeekKey::of(b"r", b"g", b"q", 1, CellType::Put);
    for encoding in DataBlockEncoding::ALL {
        let mut encoder = Encoder::new(&format(encoding, false, false));
        encoder.append(&put("r", "q", 1, "v").as_ref()).unwrap();
        let size = encoder.encoded_size();
        let plain = matches!(encoding, DataBlockEncoding::None | DataBlockEncoding::RowIndexV1);
        assert_eq!(encoder.append(&CellRef::new(&key, b"v")).is_ok(), plain, "{encoding:?}");
        assert_eq!(encoder.encoded_size() == size, !plain, "{encoding:?}");
    }
}
