use super::*;
use crate::error::ErrorKind;
use proptest::prelude::*;

/// The body of a trailer written by HBase 0.94: version 2.0, plain.
const PLAIN: &[u8] =
    b"TRABLK\"$\0\0\0\0\0\0\xc5\0\0\0\0\0\0\0\xbd\xa4\0\0\0.\0\0\0\0\0\0\x07,\0\0\0\0\0\0\0\0\
    \0\0\xc1\x1f\0\0\0\0\0\0\x03N\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xb8\xa0\
    org.apache.hadoop.hbase.KeyValue$KeyComparator";
/// HBase 0.96, version 2.3.
const V2_3: &[u8] =
    b"TRABLK\"$P\x08\x8d\x8a\x03\x10\xbb\xfb\x02\x18\x88\x0e \xba\x81\x03(.0\08\xd1\x06@\x01H\0P\xbf\xf5\x02\
    Z.org.apache.hadoop.hbase.KeyValue$KeyComparator`\x02";
/// HBase 2.6, version 3.3: a file without cells.
const EMPTY: &[u8] = b"TRABLK\"$X\x08J\x10\0\x18\0 \xe5\"(\x000\08\0@\x01\
    H\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01P\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\
    Z-org.apache.hadoop.hbase.KeyValue$KVComparator`\x02";
/// HBase 2.6, version 3.3: GZ and AES.
const ENCRYPTED: &[u8] =
    b"TRABLK\"$\x94\x01\x08\x84\xca\x01\x10\x8c\xc6\x01\x18\xd1\x06 \xfc\x87\x03(\x160\08\xad\r@\x01H\0\
    P\xfc\xba\x01Z-org.apache.hadoop.hbase.KeyValue$KVComparator`\x01jCB\n\x03AES\x10\x10\x1a\x10\
    \x05(L\xdcz~\xbd\\,s\xc9\xaffk^v\"\x10\x97(J\x91\xc3|5`=\xe6\xc66\xbd\xc2=\x87*\x10\
    \x1b\xf4.$\x18\x16\xba)\xff_0{\xb1\xbc\x1d\x162\x03MD5";
const FILE_LEN: u64 = 55_555;

fn padded(start: &[u8], version: [u8; 4]) -> Vec<u8> {
    let mut out = start.to_vec();
    out.resize(if version[3] == 2 { V2_LEN } else { V3_LEN } - VERSION_LEN, 0);
    out.extend_from_slice(&version);
    out
}

fn all() -> [Vec<u8>; 4] {
    [
        padded(PLAIN, [0, 0, 0, 2]),
        padded(V2_3, [3, 0, 0, 2]),
        padded(EMPTY, [3, 0, 0, 3]),
        padded(ENCRYPTED, [3, 0, 0, 3]),
    ]
}

fn message(bytes: &[u8]) -> String {
    Trailer::parse(bytes, FILE_LEN).unwrap_err().to_string()
}

#[test]
fn a_plain_trailer() {
    let trailer = Trailer::parse(&all()[0], FILE_LEN).unwrap();
    assert_eq!((trailer.major_version(), trailer.minor_version()), (2, 0));
    assert!(!trailer.has_checksums());
    assert_eq!((trailer.file_info_offset(), trailer.load_on_open_data_offset()), (50432, 48548));
    assert_eq!((trailer.uncompressed_data_index_size(), trailer.total_uncompressed_bytes()), (1836, 49439));
    assert_eq!((trailer.data_index_count(), trailer.meta_index_count()), (46, 0));
    assert_eq!((trailer.entry_count(), trailer.num_data_index_levels()), (846, 1));
    assert_eq!((trailer.first_data_block_offset(), trailer.last_data_block_offset()), (0, 47264));
    assert_eq!(trailer.comparator_class_name(), "org.apache.hadoop.hbase.KeyValue$KeyComparator");
    assert_eq!((trailer.cell_order(), trailer.compression_codec()), (Some(CellOrder::User), Codec::None));
}

#[test]
fn protobuf_trailers() {
    let [_, v2_3, empty, encrypted] = all().map(|bytes| Trailer::parse(&bytes, FILE_LEN).unwrap());
    assert_eq!((v2_3.major_version(), v2_3.minor_version(), v2_3.size()), (2, 3, 212));
    assert!(v2_3.has_checksums());
    assert_eq!((v2_3.file_info_offset(), v2_3.entry_count(), v2_3.data_index_count()), (50445, 849, 46));
    assert_eq!(empty.first_data_block_offset(), -1);
    assert_eq!((empty.entry_count(), empty.num_data_index_levels(), empty.size()), (0, 1, 4096));
    assert!(encrypted.is_encrypted() && !v2_3.is_encrypted());
    let key = encrypted.encryption_key().unwrap();
    // a delimited message whose first field is the algorithm
    assert_eq!(key.get(1..6), Some(&b"\x0a\x03AES"[..]));
    assert_eq!(encrypted.compression_codec(), Codec::Gz);
}

#[test]
fn trailers_are_written_as_by_hbase() {
    for bytes in all() {
        let mut out = b"blocks".to_vec();
        Trailer::parse(&bytes, FILE_LEN).unwrap().write(&mut out).unwrap();
        assert_eq!(out[6..], bytes);
    }
    let mut trailer = Trailer::parse(&all()[0], FILE_LEN).unwrap();
    trailer.comparator_class_name = "x".repeat(129);
    assert_eq!(trailer.write(&mut Vec::new()).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn versions_that_are_not_read() {
    for (version, kind, start) in [
        ([0, 0, 0, 1], ErrorKind::Unsupported, "HFile version 1.0 is not supported"),
        ([4, 0, 0, 2], ErrorKind::Unsupported, "HFile version 2.4 is not supported"),
        ([0, 0, 0, 4], ErrorKind::Unsupported, "HFile version 4.0 is not supported: multi-tenant"),
        ([3, 0, 0, 9], ErrorKind::Corrupt, "HFile major version is 9, expected 2 to 3"),
        ([3, 1, 0, 3], ErrorKind::Corrupt, "HFile major version is 65539"),
    ] {
        let error = Trailer::parse(&padded(V2_3, version), FILE_LEN).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().starts_with(start), "{error}");
    }
    let newer = Trailer::parse(&padded(V2_3, [77, 0, 0, 3]), FILE_LEN).unwrap();
    assert!(newer.is_newer_than_known());
}

#[test]
fn the_minor_version_decides_what_a_file_of_version_2_has() {
    for (start, minor, has_checksums) in
        [(PLAIN, 0, false), (PLAIN, 1, true), (V2_3, 2, true), (V2_3, 3, true)]
    {
        let trailer = Trailer::parse(&padded(start, [minor, 0, 0, 2]), FILE_LEN).unwrap();
        let found = (trailer.has_checksums(), trailer.is_plain(), trailer.size());
        assert_eq!(found, (has_checksums, start == PLAIN, 212), "2.{minor}");
        // the other form of body
        let other = if start == PLAIN { V2_3 } else { PLAIN };
        assert!(Trailer::parse(&padded(other, [minor, 0, 0, 2]), FILE_LEN).is_err(), "2.{minor}");
    }
    for minor in 0..4 {
        let trailer = Trailer::parse(&padded(EMPTY, [minor, 0, 0, 3]), FILE_LEN).unwrap();
        let found = (trailer.has_checksums(), trailer.is_plain(), trailer.size());
        assert_eq!(found, (true, false, 4096), "3.{minor}");
    }
}

#[test]
fn only_a_file_without_cells_may_have_no_levels() {
    let without_levels = |mut bytes: Vec<u8>| {
        let at = bytes.windows(2).position(|field| field == b"@\x01").unwrap();
        bytes[at + 1] = 0;
        bytes
    };
    let [_, v2_3, empty, _] = all();
    let trailer = Trailer::parse(&without_levels(empty), FILE_LEN).unwrap();
    assert_eq!((trailer.num_data_index_levels(), trailer.entry_count()), (1, 0));
    assert_eq!(message(&without_levels(v2_3)), "num_data_index_levels is 0, expected 1 to 16");
}

#[test]
fn short_files_are_truncated() {
    for bytes in all() {
        for len in [0, 3, 100, bytes.len() - 1] {
            let tail = &bytes[bytes.len() - len..];
            let error = Trailer::parse(tail, len as u64).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
        }
        assert!(Trailer::parse(&bytes, bytes.len() as u64).is_err(), "a file of nothing but a trailer");
    }
}

#[test]
fn no_flipped_bit_makes_a_file_empty_or_shallow() {
    for bytes in all() {
        let sound = Trailer::parse(&bytes, FILE_LEN).unwrap();
        let (used, len) = (250.min(bytes.len()), bytes.len());
        for bit in (0..used * 8).chain((len - VERSION_LEN) * 8..len * 8) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(trailer) = Trailer::parse(&flipped, FILE_LEN) {
                assert_eq!(trailer.entry_count == 0, sound.entry_count == 0, "bit {bit}");
                assert!((1..=16).contains(&trailer.num_data_index_levels), "bit {bit}");
            }
        }
    }
}

#[test]
fn bodies_that_cannot_be() {
    let edited = |at: usize, bytes: &[u8]| {
        let mut trailer = padded(V2_3, [3, 0, 0, 2]);
        trailer[at..at + bytes.len()].copy_from_slice(bytes);
        message(&trailer)
    };
    assert!(edited(7, b"%").starts_with("trailer magic: expected TRABLK\"$, found TRABLK\"%"));
    assert_eq!(edited(8, &[0xff, 1]), "message of the trailer needs 255 bytes, 198 left");
    assert_eq!(edited(88, &[42]), "compression codec 42 does not exist");
    assert_eq!(edited(13, &[0x08]), "field of the trailer given twice");
    assert_eq!(edited(87, b"b"), "protobuf bytes needs 2 bytes, 0 left");
    assert_eq!(edited(17, b"\x19"), "field of the trailer with a wire type not its own");
    assert_eq!(edited(24, b"8"), "field of the trailer given twice");
    assert!(edited(28, b"\x88\x01").starts_with("trailer without one of its fields"));
}

proptest! {
    #[test]
    fn the_walk_agrees_with_prost(
        numbers in proptest::collection::vec(0u32..1 << 20, 8), name in "[a-z.$]{0,40}", codec in 0u32..9,
    ) {
        let n = |i: usize| u64::from(numbers[i]);
        let proto = FileTrailerProto {
            file_info_offset: Some(n(0)),
            load_on_open_data_offset: Some(n(1) + 3),
            uncompressed_data_index_size: Some(n(2)),
            total_uncompressed_bytes: Some(n(3)),
            data_index_count: Some(numbers[4] + 1),
            meta_index_count: Some(numbers[5]),
            entry_count: Some(n(6) + 1),
            num_data_index_levels: Some(numbers[7] % 16 + 1),
            first_data_block_offset: Some(0),
            last_data_block_offset: Some(n(1)),
            comparator_class_name: Some(name),
            compression_codec: Some(codec),
            encryption_key: None,
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(proto.encode_length_delimited_to_vec());
        let trailer = Trailer::parse(&padded(&bytes, [3, 0, 0, 3]), 1 << 21);
        prop_assert_eq!(trailer.unwrap().to_proto(), proto);
    }

    #[test]
    fn no_trailer_makes_it_panic(which in 0usize..4, edits: Vec<(prop::sample::Index, u8)>, file_len: u64) {
        let mut bytes = all()[which].clone();
        let used = 220.min(bytes.len());
        for (at, byte) in edits {
            bytes[at.index(used)] = byte;
        }
        let _ = Trailer::parse(&bytes, file_len);
    }
}
