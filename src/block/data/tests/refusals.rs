//! Malformed blocks (hfile.md §17).

use super::*;
use crate::error::{Corruption, ErrorKind};

fn refused(encoding: DataBlockEncoding, digits: &str) -> Corruption {
    refused_as(&format(encoding, false, false), digits)
}

fn refused_as(format: &DataFormat, digits: &str) -> Corruption {
    decode(format, &bytes(digits), LIMIT, &mut Vec::new()).expect_err(digits)
}

/// A PREFIX cell without its tail, as the first of a block: `r/f:q/1/Put`, value `x`.
const PREFIX_CELL: &str = "0002 00000000  0f 01 00 0001 72 01 66 71 0000000000000001 04 78";
const DIFF_CELL: &str = "0003 00000000 01 66  00 0f 01 00 0001 72 71 01 04 78";
const FAST_DIFF_CELL: &str = "0004 00000000  00 0f 01 00 0001 72 01 66 71 0000000000000001 04 78";

#[test]
fn encodings_of_other_files() {
    let of = |digits| refused(DataBlockEncoding::Diff, digits);
    assert_eq!(of("0006 00000000").to_string(), "data block encoding PREFIX_TREE is not supported");
    assert_eq!(of("0001 00000000").to_string(), "data block encoding 1 does not exist");
    assert_eq!(of("ffff 00000000").to_string(), "data block encoding 65535 does not exist");
    assert_eq!(of("0004 00000000").to_string(), "encoding id: expected 3, found 4");
    assert_eq!(of("0000 00000000").to_string(), "encoding id: expected 3, found 0");
    assert_eq!(of("00").kind(), ErrorKind::Truncated);
}

#[test]
fn blocks_without_a_cell() {
    let prefixes = ["", "0002 00000000", "0003 00000000 01 66", "0004 00000000", "0007 00000000 00000000"];
    for (encoding, digits) in DataBlockEncoding::ALL.into_iter().zip(prefixes) {
        refused(encoding, digits);
    }
}

#[test]
fn the_size_field_is_ignored() {
    for size in ["00000000", "7fffffff", "ffffffff"] {
        let payload = bytes(&PREFIX_CELL.replace("00000000 ", size));
        assert_eq!(
            decode(&format(DataBlockEncoding::Prefix, false, false), &payload, 100, &mut Vec::new()),
            Ok(1)
        );
    }
}

#[test]
fn keys_that_share_too_much() {
    for (encoding, cell, common) in [
        // a key of 15 bytes cannot share 16
        (DataBlockEncoding::Prefix, PREFIX_CELL, "00 00 10"),
        // 3 is the family, 7 is the timestamp
        (DataBlockEncoding::Diff, DIFF_CELL, "07 03 0166 01"),
        (DataBlockEncoding::Diff, DIFF_CELL, "06 10 07 01"),
        (DataBlockEncoding::FastDiff, FAST_DIFF_CELL, "7f 03 016671 01"),
        (DataBlockEncoding::FastDiff, FAST_DIFF_CELL, "77 10 07 01"),
    ] {
        let found = refused(encoding, &format!("{cell} {common}"));
        assert!(matches!(found, Corruption::OutOfRange { what: "common prefix", .. }), "{found}");
    }
}

#[test]
fn keys_shorter_than_their_parts_are_rejected() {
    // 11 bytes, all shared
    assert_eq!(
        refused(DataBlockEncoding::Prefix, &format!("{PREFIX_CELL} 00 00 0b")).kind(),
        ErrorKind::Corrupt
    );
    for (encoding, cell, key) in [
        (DataBlockEncoding::Diff, DIFF_CELL, "02 08 00"),
        (DataBlockEncoding::Diff, DIFF_CELL, "02 0d 00 0001 72 71 01 04 78"),
        (DataBlockEncoding::Diff, DIFF_CELL, "02 0f 00 8001 72 71 01 04 78"),
        (DataBlockEncoding::FastDiff, FAST_DIFF_CELL, "57 08 00"),
        (DataBlockEncoding::FastDiff, FAST_DIFF_CELL, "57 0d 00 0001 72 01 04"),
    ] {
        refused(encoding, &format!("{cell} {key}"));
    }
}

#[test]
fn types_that_do_not_exist_or_are_not_stored() {
    for code in ["00", "05", "ff"] {
        for (encoding, cell) in [
            (DataBlockEncoding::None, "0000000f 00000001 0001 72 01 66 71 0000000000000001 04 78"),
            (DataBlockEncoding::Prefix, PREFIX_CELL),
            (DataBlockEncoding::Diff, DIFF_CELL),
            (DataBlockEncoding::FastDiff, FAST_DIFF_CELL),
        ] {
            let good = decode(&format(encoding, false, false), &bytes(cell), LIMIT, &mut Vec::new());
            assert_eq!(good, Ok(1), "{encoding:?}");
            let found = refused(encoding, &cell.replace("04 78", &format!("{code} 78")));
            assert!(matches!(found, Corruption::Unknown { what: "cell type", .. }), "{found}");
        }
    }
}

#[test]
fn first_cells_that_refer_to_one_before() {
    for flag in ["01", "02", "04", "08"] {
        refused(DataBlockEncoding::Diff, &DIFF_CELL.replace("66  00", &format!("66  {flag}")));
    }
    for flag in ["01", "08", "10", "20", "40", "80"] {
        refused(DataBlockEncoding::FastDiff, &FAST_DIFF_CELL.replace("  00", &format!("  {flag}")));
    }
    refused(DataBlockEncoding::Prefix, &PREFIX_CELL.replace("0f 01 00", "0e 01 01"));
    refused(DataBlockEncoding::Diff, &DIFF_CELL.replace("0f 01 00", "0f 01 01"));
    refused(DataBlockEncoding::FastDiff, &FAST_DIFF_CELL.replace("0f 01 00", "0f 01 01"));
}

#[test]
fn tails() {
    let tags = format(DataBlockEncoding::Prefix, true, false);
    let compressed = DataFormat { tags_compressed: true, ..tags };
    let mvcc = format(DataBlockEncoding::Prefix, false, true);
    for (format, tail) in [
        (&tags, ""),
        (&tags, "03 0001"),
        (&tags, "03 0000 01"),
        (&tags, "03 0002 01"),
        (&tags, "808004 "),
        (&compressed, "03 0000"),
        (&compressed, "03 ff00"),
        (&compressed, "03 ff02 0101"),
        (&compressed, "04 ff01 01"),
        (&compressed, "06 ff01 01 0001"),
        (&compressed, "06 ff01 01 007f"),
        (&compressed, "06 ff01 01 0100"),
        (&mvcc, ""),
        (&mvcc, "8e 01"),
    ] {
        refused_as(format, &format!("{PREFIX_CELL} {tail}"));
    }
    let good = bytes(&format!("{PREFIX_CELL} 06 ff01 01 0000"));
    assert_eq!(decode(&compressed, &good, LIMIT, &mut Vec::new()), Ok(1));
}

#[test]
fn a_small_block_does_not_become_a_large_one() {
    // 1,000 bytes of value once, then repeated at five bytes per cell
    let cells = vec![put("r", "q", 1, &"v".repeat(1000)); 1000];
    let format = format(DataBlockEncoding::FastDiff, false, false);
    let payload = encode(&format, &cells);
    assert!(payload.len() < 6000);
    let mut out = Vec::new();
    let found = decode(&format, &payload, 100_000, &mut out).unwrap_err();
    assert_eq!(found.kind(), ErrorKind::Limit);
    assert!(out.is_empty() && out.capacity() < 300_000);
}

#[test]
fn row_offsets_must_be_those_of_the_rows() {
    let format = format(DataBlockEncoding::RowIndexV1, false, false);
    let cells = [put("a", "q", 1, ""), put("a", "r", 1, ""), put("b", "q", 1, "")];
    let payload = encode(&format, &cells);
    let (cells, after) = payload.split_at(2 + 3 * 23);
    assert_eq!(hex(after), "00000002000000000000002e00000045");
    for wrong in [
        "00000002 00000000 00000017 00000045", // a cell, but not of another row
        "00000002 00000000 0000002f 00000045", // no cell
        "00000002 00000001 0000002e 00000045",
        "00000002 0000002e 00000000 00000045",
        "00000001 00000000 00000045",
        "00000001 00000000 0000002e 00000045",
        "00000003 00000000 0000002e 0000002e 00000045",
        "00000000 00000045",
        "ffffffff 00000000 0000002e 00000045",
        "7fffffff 00000000 0000002e 00000045",
        "00000002 00000000 0000002e 00000044",
        "00000002 00000000 0000002e ffffffff",
        "00000002 00000000 0000002e 00 00000045",
    ] {
        refused_as(&format, &(hex(cells) + wrong));
    }
}
