//! Changes valid files in one place and corrects the checksums: each change is found, at its offset.

use super::*;
use crate::block::{BlockHeader, checksum};
use crate::cache::BlockCache;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::hfile::{BloomType, HFile, HFileWriter, HFileWriterOptions, trailer::Version};
use crate::io::MemoryFile;
use crate::io::faulty::FaultyStorage;
use crate::limits::Limits;
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::path::Path;

fn sound(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corrupt").join(name)).unwrap()
}

fn verify_bytes(bytes: Vec<u8>) -> VerifyReport {
    HFile::options().verify_reader(Arc::new(MemoryFile::new("file", bytes))).unwrap()
}

fn faults(bytes: Vec<u8>) -> Vec<Error> {
    verify_bytes(bytes).faults
}

fn trailer_of(bytes: &[u8]) -> Trailer {
    Trailer::parse(&bytes[bytes.len().saturating_sub(4096)..], bytes.len() as u64).unwrap()
}

/// Returns the offsets and headers of all blocks of a valid file.
fn blocks(bytes: &[u8]) -> Vec<(usize, BlockHeader)> {
    let end = usize::try_from(trailer_of(bytes).offset()).unwrap();
    let mut at = 0;
    std::iter::from_fn(|| {
        let header = (at < end).then(|| BlockHeader::parse(&bytes[at..], true).unwrap())?;
        at += header.total_size();
        Some((at - header.total_size(), header))
    })
    .collect()
}

fn blocks_of(bytes: &[u8], block_type: BlockType) -> Vec<usize> {
    blocks(bytes).iter().filter(|(_, h)| h.block_type() == block_type).map(|(at, _)| *at).collect()
}

/// Recomputes the checksums of the block at an offset.
fn reseal(bytes: &mut [u8], at: usize) {
    let header = BlockHeader::parse(&bytes[at..], true).unwrap();
    let (data, total) = (header.on_disk_data_size_with_header(), header.total_size());
    let mut block = bytes[at..at + data].to_vec();
    let per_sum = NonZeroU32::new(header.bytes_per_checksum().unwrap()).unwrap();
    checksum::append(&mut block, 0, header.checksum_type().unwrap(), per_sum);
    bytes[at..at + total].copy_from_slice(&block);
}

/// Returns the file with `new` bytes at an offset in a block.
fn with(mut bytes: Vec<u8>, block: usize, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[block + at..block + at + new.len()].copy_from_slice(new);
    reseal(&mut bytes, block);
    bytes
}

/// Returns the file with a changed trailer.
fn with_trailer(mut bytes: Vec<u8>, change: impl FnOnce(&mut Trailer)) -> Vec<u8> {
    let mut trailer = trailer_of(&bytes);
    bytes.truncate(usize::try_from(trailer.offset()).unwrap());
    change(&mut trailer);
    trailer.write(&mut bytes).unwrap();
    bytes
}

/// Asserts that faults are found, all at that offset.
fn assert_found_at(bytes: Vec<u8>, at: usize, what: &str) {
    let faults = faults(bytes);
    assert!(!faults.is_empty(), "{what}");
    assert!(faults.iter().all(|f| f.offset() == Some(at as u64)), "{what}, at {at}: {faults:#?}");
}

const PLAIN: &str = "sound-plain.hfile";
const DEEP: &str = "sound-deep.hfile";

#[test]
fn a_damaged_block_is_one_fault_and_the_walk_goes_on() {
    for name in [PLAIN, DEEP, "sound-diff.hfile", "sound-rowindex.hfile"] {
        let sound = sound(name);
        let (all, cells) = (blocks(&sound), verify_bytes(sound.clone()).cells);
        for (at, header) in &all {
            // magic, sizes, link, checksum fields, payload, checksums
            for byte in [0, 8, 10, 11, 14, 23, 24, 27, 31, 32, 40, header.total_size() - 1] {
                let mut bytes = sound.clone();
                bytes[at + byte.min(header.total_size() - 1)] ^= 0x10;
                let report = verify_bytes(bytes);
                let [fault] = report.faults.as_slice() else {
                    panic!(
                        "{name}, {} at {at}, byte {byte}: {:#?}",
                        header.block_type().name(),
                        report.faults
                    )
                };
                assert_eq!(fault.offset(), Some(*at as u64));
                assert_eq!(report.blocks, all.len() as u64 - 1);
                let needs_info = header.block_type() == BlockType::FileInfo;
                assert_eq!(report.cells == cells, !header.block_type().is_data() && !needs_info);
            }
        }
    }
}

#[test]
fn three_faults_in_one_run() {
    let mut bytes = sound(PLAIN);
    let all = blocks(&bytes);
    let chosen = [1, all.len() / 2, all.len() - 2].map(|i| all[i].0);
    chosen.iter().for_each(|at| bytes[at + 50] ^= 1);
    let mut found: Vec<_> = faults(bytes).iter().filter_map(Error::offset).collect();
    found.sort_unstable();
    assert_eq!(found, chosen.map(|at| at as u64));
}

#[test]
fn blocks_after_a_hole_are_found_without_index() {
    let mut bytes = sound(PLAIN);
    let all = blocks(&bytes);
    // no index, no filters: the roots are destroyed, and the header of a block in the middle
    for (at, header) in &all {
        if matches!(header.block_type(), BlockType::RootIndex | BlockType::GeneralBloomMeta) {
            bytes[at + 33..at + header.total_size()].fill(0xaa);
        }
    }
    let at = all[4].0;
    bytes[at..at + 100].fill(0xff);
    let report = verify_bytes(bytes);
    assert!(report.faults.iter().any(|f| f.offset() == Some(at as u64)));
    let roots = all.iter().filter(|(_, h)| h.block_type() == BlockType::RootIndex).count();
    let filters = all.iter().filter(|(_, h)| h.block_type() == BlockType::GeneralBloomMeta).count();
    assert_eq!(report.blocks, (all.len() - roots - filters - 1) as u64, "{:#?}", report.faults);
}

#[test]
fn every_field_of_the_trailer_is_checked() {
    type Change = fn(&mut Trailer);
    let changes: [(&str, Change); 15] = [
        ("file_info_offset", |t| t.file_info_offset += 1),
        ("load_on_open_data_offset", |t| t.load_on_open_data_offset += 1),
        ("load_on_open_data_offset at a data block", |t| t.load_on_open_data_offset = 765),
        ("uncompressed_data_index_size", |t| t.uncompressed_data_index_size -= 1),
        ("total_uncompressed_bytes", |t| t.total_uncompressed_bytes += 1),
        ("data_index_count, one more", |t| t.data_index_count += 1),
        ("data_index_count, one less", |t| t.data_index_count -= 1),
        ("meta_index_count", |t| t.meta_index_count += 1),
        ("entry_count", |t| t.entry_count += 1),
        ("num_data_index_levels, one more", |t| t.num_data_index_levels += 1),
        ("num_data_index_levels, one less", |t| t.num_data_index_levels -= 1),
        ("first_data_block_offset", |t| t.first_data_block_offset += 1),
        ("last_data_block_offset", |t| t.last_data_block_offset -= 1),
        ("comparator_class_name", |t| t.comparator_class_name.push('x')),
        ("compression_codec", |t| t.compression_codec = crate::block::Codec::Gz),
    ];
    for (what, change) in changes {
        let bytes = with_trailer(sound(PLAIN), change);
        let result = HFile::options().verify_reader(Arc::new(MemoryFile::new("file", bytes)));
        assert!(result.is_err() || result.is_ok_and(|report| !report.faults.is_empty()), "{what}");
    }
    assert!(faults(with_trailer(sound(PLAIN), |_| {})).is_empty());
    assert!(faults(with_trailer(sound(PLAIN), |t| t.version = Version { major: 3, minor: 77 })).is_empty());

    let mut padding = sound(PLAIN);
    let at = padding.len() - 100;
    padding[at] = 1;
    let trailer_at = usize::try_from(trailer_of(&padding).offset()).unwrap();
    assert_found_at(padding, trailer_at, "padding");
}

#[test]
fn a_link_to_another_block_is_found() {
    for name in [PLAIN, DEEP] {
        let sound = sound(name);
        for (at, header) in blocks(&sound) {
            let other = header.prev_block_offset() + 1;
            let bytes = with(sound.clone(), at, 16, &other.to_be_bytes());
            assert_found_at(bytes, at, "prevBlockOffset");
        }
    }
}

#[test]
fn a_block_of_another_type_is_found() {
    let sound = sound(PLAIN);
    for (at, header) in blocks(&sound) {
        for other in [
            BlockType::Data,
            BlockType::EncodedData,
            BlockType::LeafIndex,
            BlockType::BloomChunk,
            BlockType::Meta,
            BlockType::IntermediateIndex,
            BlockType::RootIndex,
            BlockType::FileInfo,
            BlockType::GeneralBloomMeta,
            BlockType::DeleteFamilyBloomMeta,
        ] {
            let found = faults(with(sound.clone(), at, 0, &other.magic()));
            assert_eq!(found.is_empty(), header.block_type() == other, "{other:?} at {at}");
        }
    }
}

/// Returns the offset of a key's value in a file info, after the key, a tag and a length.
fn value_offset(bytes: &[u8], block: usize, key: &str) -> usize {
    let start = bytes[block..].windows(key.len()).position(|w| w == key.as_bytes()).unwrap() + key.len();
    start + 2
}

#[test]
fn values_of_the_file_info_are_checked() {
    let sound = sound(PLAIN);
    let [at] = blocks_of(&sound, BlockType::FileInfo)[..] else { panic!("one file info") };
    let info = HFile::options().open_reader(Arc::new(MemoryFile::new("file", sound.clone()))).unwrap();
    let of_the_cells = [
        "hfile.LASTKEY",
        "hfile.AVG_KEY_LEN",
        "hfile.AVG_VALUE_LEN",
        "MAX_MEMSTORE_TS_KEY",
        "hfile.KEY_OF_BIGGEST_CELL",
        "TIMERANGE",
        "EARLIEST_PUT_TS",
        "DELETE_FAMILY_COUNT",
        "LAST_BLOOM_KEY",
        "KEY_VALUE_VERSION",
        "BLOOM_FILTER_TYPE",
    ];
    let mut checked = 0;
    for (key, value) in info.file_info().iter() {
        let name = std::str::from_utf8(key).unwrap();
        let offset = value_offset(&sound, at, name);
        assert_eq!(&sound[at + offset..at + offset + value.len()], value, "{name}");
        let last = at + offset + value.len() - 1;
        let mut bytes = sound.clone();
        bytes[last] ^= 2;
        reseal(&mut bytes, at);
        if of_the_cells.contains(&name) {
            assert!(!faults(bytes).is_empty(), "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, of_the_cells.len());
    // without tags the length may be greater than the cell's length here, but not less
    let offset = value_offset(&sound, at, "hfile.LEN_OF_BIGGEST_CELL");
    assert_found_at(with(sound.clone(), at, offset, &[0; 8]), at, "LEN_OF_BIGGEST_CELL");

    let tags = self::sound("sound-tags.hfile");
    let [at] = blocks_of(&tags, BlockType::FileInfo)[..] else { panic!("one file info") };
    for key in ["hfile.MAX_TAGS_LEN", "hfile.LEN_OF_BIGGEST_CELL"] {
        let offset = value_offset(&tags, at, key) + if key.contains("MAX") { 3 } else { 7 };
        let changed = [tags[at + offset] + 1];
        assert_found_at(with(tags.clone(), at, offset, &changed), at, key);
    }
    let diff = self::sound("sound-diff.hfile");
    let at = blocks_of(&diff, BlockType::EncodedData)[2];
    let changed = [diff[at + 33 + 5] ^ 1];
    assert_found_at(with(diff, at, 33 + 5, &changed), at, "unencoded size");
}

#[test]
fn cells_out_of_order_are_found() {
    // two whole blocks are swapped, except for their links: they are otherwise correct
    let mut bytes = sound(PLAIN);
    let data = blocks_of(&bytes, BlockType::Data);
    let (a, b) = (data[1], data[2]);
    let len = b - a;
    let (first, second) = (bytes[a..b].to_vec(), bytes[b..b + len].to_vec());
    bytes[a + 33..b].copy_from_slice(&second[33..]);
    bytes[b + 33..b + len].copy_from_slice(&first[33..]);
    reseal(&mut bytes, a);
    reseal(&mut bytes, b);
    let messages: Vec<_> = faults(bytes).iter().map(|f| (f.offset(), f.message())).collect();
    let has =
        |at: usize, message: &str| messages.iter().any(|(o, m)| *o == Some(at as u64) && m.contains(message));
    assert!(has(b, "first cell of the block is before the last cell"), "{messages:#?}");
    assert!(has(b, "first cell of the block is before its index key"), "{messages:#?}");
}

#[test]
fn index_entries_are_compared_with_the_blocks() {
    let sound = sound(DEEP);
    for leaf in blocks_of(&sound, BlockType::LeafIndex) {
        let count = usize::from(sound[leaf + 33 + 3]);
        let first = 33 + 4 + 4 * (count + 1);
        // size of the first entry's block
        let size = [sound[leaf + first + 11] + 1];
        assert_found_at(with(sound.clone(), leaf, first + 11, &size), leaf, "size");
        // offset
        let offset = [sound[leaf + first + 7] + 1];
        assert!(!faults(with(sound.clone(), leaf, first + 7, &offset)).is_empty());
        // the first key gets a greater timestamp, so that it differs from the parent's
        let end = usize::from(sound[leaf + 33 + 4 + 4 + 3]);
        let timestamp = first + end - 2;
        let changed = [sound[leaf + timestamp] ^ 1];
        let found = faults(with(sound.clone(), leaf, timestamp, &changed));
        assert!(found.iter().any(|f| f.offset() == Some(leaf as u64)), "{found:?}");
    }
    let root = usize::try_from(trailer_of(&sound).load_on_open_data_offset()).unwrap();
    let header = BlockHeader::parse(&sound[root..], true).unwrap();
    let entry = header.payload().end - 1;
    let changed = [sound[root + entry] ^ 1];
    assert_found_at(with(sound.clone(), root, entry, &changed), root, "mid key");
}

#[test]
fn index_keys_lie_between_the_blocks() {
    let sound = sound(PLAIN);
    let leaf = blocks_of(&sound, BlockType::LeafIndex)[0];
    let data = blocks_of(&sound, BlockType::Data);
    let count = usize::from(sound[leaf + 33 + 3]);
    let start = 33 + 4 + 4 * (count + 1);
    let mark = |i: usize| usize::from(sound[leaf + 33 + 4 + 4 * i + 3]);
    // the last byte of the second entry's row: greater than in its cells, or not greater than in earlier ones
    let key = start + mark(1) + 12;
    let row_end = key + 2 + usize::from(sound[leaf + key + 1]) - 1;
    let too_great = with(sound.clone(), leaf, row_end, b"~");
    assert_found_at(too_great, data[1], "index key after the first cell");
    let too_small = with(sound.clone(), leaf, row_end, b"\0");
    assert_found_at(too_small, data[1], "index key not after the previous cell");
}

#[test]
fn filters_are_compared_with_the_cells() {
    let sound = sound(PLAIN);
    let [meta] = blocks_of(&sound, BlockType::GeneralBloomMeta)[..] else { panic!("one filter") };
    // total bytes, key count, greatest number of keys
    for (at, what) in [(4 + 7, "bytes"), (20 + 7, "keys")] {
        let changed = [sound[meta + 33 + at] ^ 1];
        assert_found_at(with(sound.clone(), meta, 33 + at, &changed), meta, what);
    }
    assert_found_at(with(sound.clone(), meta, 33 + 28, &[0; 8]), meta, "greatest number of keys");
    let hash = with(sound.clone(), meta, 33 + 16 + 3, &[2]);
    assert!(faults(hash).iter().any(|f| f.message().contains("is not in its Bloom chunk")));
    // the last byte of the block is in the first key of the last chunk
    let end = BlockHeader::parse(&sound[meta..], true).unwrap().payload().end;
    let changed = [sound[meta + end - 1] - 1];
    assert!(!faults(with(sound.clone(), meta, end - 1, &changed)).is_empty());
    for chunk in blocks_of(&sound, BlockType::BloomChunk) {
        let len = BlockHeader::parse(&sound[chunk..], true).unwrap().payload().len();
        assert_found_at(with(sound.clone(), chunk, 33, &vec![0; len]), chunk, "empty chunk");
    }
}

#[test]
fn a_file_of_nothing_but_headers_ends_soon() {
    // a megabyte of headers, each of a block that extends to the end
    let sound = sound(PLAIN);
    let mut bytes = Vec::new();
    let (len, trailer_at) = (1 << 20, usize::try_from(trailer_of(&sound).offset()).unwrap());
    while bytes.len() < len {
        let left = i32::try_from(len - bytes.len()).unwrap();
        let plain = left.saturating_sub(33 + 4 * (1 + left / 16384)).max(0);
        bytes.extend_from_slice(b"DATABLK*");
        bytes.extend_from_slice(&(plain + 4 * ((plain + 33 + 16383) / 16384)).to_be_bytes());
        bytes.extend_from_slice(&plain.to_be_bytes());
        bytes.extend_from_slice(&(-1i64).to_be_bytes());
        bytes.extend_from_slice(b"\x02\0\0\x40\0");
        bytes.extend_from_slice(&(plain + 33).to_be_bytes());
    }
    let start = bytes.len() as u64;
    bytes.extend_from_slice(&sound[trailer_at..]);
    for load_on_open in [1, start / 2, start - 1] {
        let bytes = with_trailer(bytes.clone(), |t| {
            t.load_on_open_data_offset = load_on_open;
            t.last_data_block_offset = 0;
        });
        let report = verify_bytes(bytes);
        assert!(!report.faults.is_empty() && report.cells == 0);
    }
}

#[test]
fn an_index_that_leads_back_to_itself_ends() {
    let sound = sound(DEEP);
    let blocks = blocks_of(&sound, BlockType::IntermediateIndex);
    for &at in &blocks {
        let count = usize::from(sound[at + 33 + 3]);
        let entry = 33 + 4 + 4 * (count + 1);
        let bytes = with(sound.clone(), at, entry, &(at as u64).to_be_bytes());
        assert!(!faults(bytes).is_empty());
    }
    assert!(!blocks.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic(
        name in prop::sample::select(vec![
            PLAIN,
            DEEP,
            "sound-diff.hfile",
            "sound-prefix.hfile",
            "sound-rowindex.hfile",
            "sound-tags.hfile",
        ]),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..40), 1..6),
        sealed: bool,
    ) {
        let mut bytes = sound(name);
        let all = blocks(&bytes);
        for (offset, byte, run) in edits {
            let at = offset.index(bytes.len());
            let end = (at + run).min(bytes.len());
            bytes[at..end].fill(byte);
        }
        if sealed {
            for (at, header) in all {
                let same = BlockHeader::parse(&bytes[at..], true)
                    .is_ok_and(|h| h.total_size() == header.total_size());
                if same {
                    reseal(&mut bytes, at);
                }
            }
        }
        let reader = Arc::new(MemoryFile::new("file", bytes));
        if let Ok(report) = HFile::options().verify_reader(Arc::clone(&reader) as Arc<_>)
            && report.faults.is_empty()
        {
            // a file without faults can be read
            let file = HFile::options().open_reader(reader).unwrap();
            let mut scanner = file.scanner();
            let mut more = scanner.seek_to_first().unwrap();
            while more {
                more = scanner.advance().unwrap();
            }
        }
    }
}

/// A file of two cells, each in its own block.
fn two_blocks() -> Vec<u8> {
    file_of_rows(2, HFileWriter::options())
}

/// A file of rows of one cell, each in its own block.
fn file_of_rows(rows: usize, options: HFileWriterOptions) -> Vec<u8> {
    let storage = FaultyStorage::new();
    let options = options.storage(Arc::new(storage.clone())).block_size(1);
    let mut writer = options.create("file").unwrap();
    for row in 0..rows {
        let key = SeekKey::of(format!("row{row}").as_bytes(), b"f", b"q", 1, CellType::Put);
        writer.append(CellRef::new(&key, b"v")).unwrap();
    }
    writer.finish().unwrap();
    storage.bytes(Path::new("file")).unwrap()
}

/// Under an unknown comparator, nothing is known of the order of keys, so only the offsets of blocks show
/// that the scan does not advance.
#[test]
fn a_scan_does_not_enter_a_block_again() {
    let sound = file_of_rows(9, HFileWriter::options().index_chunk_size(1).index_min_entries(2));
    let leaves = blocks_of(&sound, BlockType::LeafIndex);
    let [first, second] = leaves[..2] else { panic!("leaves at {leaves:?}") };
    let len = blocks(&sound).into_iter().find(|(at, _)| *at == first).unwrap().1.total_size();
    let of_leaf = usize::from(sound[first + 33 + 3]);
    let data = blocks_of(&sound, BlockType::Data);
    assert!(of_leaf < data.len() && leaves.len() > 2, "{of_leaf} of {}", data.len());
    // the second leaf names the blocks of the first one, so the blocks form a cycle
    let link = data[of_leaf - 1] as u64;
    let mut bytes = with(sound, data[0], 16, &link.to_be_bytes());
    let previous = bytes[second + 16..second + 24].to_vec();
    bytes.copy_within(first..first + len, second);
    let bytes = with(bytes, second, 16, &previous);
    let unknown = with_trailer(bytes.clone(), |trailer| trailer.comparator_class_name = "x".into());
    for (bytes, cells) in [(bytes, of_leaf), (unknown, of_leaf)] {
        let file = HFile::options().open_reader(Arc::new(MemoryFile::new("file", bytes))).unwrap();
        let (mut scanner, mut found) = (file.scanner(), 0);
        let mut more = scanner.seek_to_first();
        while let Ok(true) = more {
            found += 1;
            more = scanner.advance();
        }
        assert_eq!((more.unwrap_err().kind(), found), (ErrorKind::Corrupt, cells));
    }
}

#[test]
fn several_families_are_a_fault() {
    // the writer does not support files of several families
    let two = two_blocks();
    let data = blocks_of(&two, BlockType::Data);
    for (block, what) in [
        (data[0], "first cell of the file is of another family than its index key"),
        (data[1], "cell of another family than the first cell of the file"),
    ] {
        let family = two[block..].windows(2).position(|bytes| bytes == b"\x01f").unwrap() + 1;
        let found = faults(with(two.clone(), block, family, b"g"));
        assert!(
            found.iter().any(|fault| fault.message() == what && fault.offset() == Some(block as u64)),
            "{what}: {found:#?}"
        );
    }
}

fn open(options: &HFileOptions, bytes: &[u8]) -> Result<HFile> {
    options.open_reader(Arc::new(MemoryFile::new("file", bytes.to_vec())))
}

/// Passes all cells from the first to the last. Returns their number.
fn pass(file: &HFile) -> Result<u64> {
    let (mut scanner, mut cells) = (file.scanner(), 0);
    let mut more = scanner.seek_to_first()?;
    while more {
        cells += 1;
        more = scanner.advance()?;
    }
    Ok(cells)
}

/// Like [`pass`], from a seek before the first cell, as stores do.
fn pass_after_seek(file: &HFile) -> Result<u64> {
    let (mut scanner, mut cells) = (file.scanner(), 0);
    scanner.seek(&SeekKey::first_on_row(b""))?;
    while scanner.peek().is_some() {
        cells += 1;
        scanner.advance()?;
    }
    Ok(cells)
}

/// Like [`pass`], row by row from the last to the first.
fn pass_back(file: &HFile) -> Result<u64> {
    let (mut scanner, mut cells) = (file.reversed_scanner(), 0);
    let mut more = scanner.seek_to_last_row()?;
    while more {
        while scanner.peek().is_some() {
            cells += 1;
            scanner.advance()?;
        }
        more = scanner.previous_row()?;
    }
    Ok(cells)
}

/// Asserts that scans in both directions fail with this message, at an offset.
fn assert_not_passed(bytes: &[u8], at: usize, message: &str) {
    let file = open(&HFile::options(), bytes).unwrap();
    for error in [pass(&file).unwrap_err(), pass_back(&file).unwrap_err()] {
        assert_eq!(error.offset(), Some(at as u64), "{message}: {error}");
        assert!(error.message().contains(message), "{message}: {error}");
    }
}

/// Returns the file with other bytes in an index block, in the key that is the first of a row: from the last
/// byte of the row on.
fn with_index_key(bytes: &[u8], block: usize, row: &str, new: &[u8]) -> Vec<u8> {
    let old = [row.as_bytes(), b"\0\x7f\xff"].concat();
    let at = bytes[block..].windows(old.len()).position(|found| found == old).unwrap();
    with(bytes.to_vec(), block, at + row.len() - 1, new)
}

/// The end of a key without a column, from the last byte of its row on. Its timestamp is the latest if `time`
/// is 0xff.
fn end_of_key(last: u8, time: u8, code: u8) -> [u8; 11] {
    [last, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, time, code]
}

/// Faults that verification finds are also found by a scan that passes them.
#[test]
fn a_scan_refuses_what_does_not_fit_together() {
    let sound = file_of_rows(9, HFileWriter::options());
    let file = open(&HFile::options(), &sound).unwrap();
    assert_eq!((pass(&file).unwrap(), pass_back(&file).unwrap()), (9, 9));
    let trailer = trailer_of(&sound);
    let [trailer_at, root] =
        [trailer.offset(), trailer.load_on_open_data_offset()].map(|at| usize::try_from(at).unwrap());
    let data = blocks_of(&sound, BlockType::Data);

    for count in [8, 10] {
        let bytes = with_trailer(sound.clone(), |trailer| trailer.entry_count = count);
        assert_not_passed(&bytes, trailer_at, "number of cells");
        let file = open(&HFile::options(), &bytes).unwrap();
        assert_eq!(pass_after_seek(&file).unwrap_err().offset(), Some(trailer_at as u64));
    }
    assert_eq!(pass_after_seek(&file).unwrap(), 9);
    let [info] = blocks_of(&sound, BlockType::FileInfo)[..] else { panic!("one file info") };
    // the timestamp of the last cell, before its type
    let time = value_offset(&sound, info, "hfile.LASTKEY") + 16;
    assert_not_passed(&with(sound.clone(), info, time, &[9]), trailer_at, "hfile.LASTKEY");

    let bytes = with(sound.clone(), data[4], 16, &7_i64.to_be_bytes());
    assert_not_passed(&bytes, data[4], "offset of the data block before");
    // after the cells of its row
    let bytes = with_index_key(&sound, root, "row4", &end_of_key(b'4', 0xff, 0));
    assert_not_passed(&bytes, data[4], "first cell of the block is before its index key");
    // before the cell of the previous row, but after its index key
    let bytes = with_index_key(&sound, root, "row4", &end_of_key(b'3', 0xfe, 0xff));
    assert_not_passed(&bytes, data[3], "last cell of the block is not before the next index key");
}

#[test]
fn a_scan_refuses_index_blocks_that_do_not_fit_together() {
    // leaves of two entries
    let sound = file_of_rows(9, HFileWriter::options().index_chunk_size(72));
    let leaves = blocks_of(&sound, BlockType::LeafIndex);
    assert_eq!((leaves.len(), trailer_of(&sound).num_data_index_levels()), (5, 2));
    let file = open(&HFile::options(), &sound).unwrap();
    assert_eq!((pass(&file).unwrap(), pass_back(&file).unwrap()), (9, 9));
    let bytes = with_index_key(&sound, leaves[1], "row2", &end_of_key(b'2', 0xfe, 0xff));
    assert_not_passed(&bytes, leaves[1], "first key of the index block is not its entry's key");
    let bytes = with_index_key(&sound, leaves[1], "row3", &end_of_key(b'4', 0xff, 0xff));
    assert_not_passed(&bytes, leaves[1], "last key of the index block is not before the next entry's key");

    // more levels than the limits allow
    for (index_levels, is_allowed) in [(1, false), (2, true)] {
        let options = HFile::options().limits(Limits { index_levels, ..Limits::new() });
        match open(&options, &sound) {
            Ok(file) => assert!(is_allowed && pass(&file).unwrap() == 9),
            Err(error) => assert!(!is_allowed && error.kind() == ErrorKind::Limit, "{error}"),
        }
        let report = options.verify_reader(Arc::new(MemoryFile::new("file", sound.clone()))).unwrap();
        assert_eq!(report.faults.is_empty(), is_allowed, "{:?}", report.faults);
    }
}

/// Invalid keys, a chunk that is a data block, even if that is cached, and a chunk without bits.
#[test]
fn a_filter_of_other_bytes_is_not_used() {
    let sound = file_of_rows(9, HFileWriter::options().bloom(BloomType::RowCol));
    let [meta] = blocks_of(&sound, BlockType::GeneralBloomMeta)[..] else { panic!("one filter") };
    let [info] = blocks_of(&sound, BlockType::FileInfo)[..] else { panic!("one file info") };
    // the key of the only chunk is the end of the metadata
    let end = BlockHeader::parse(&sound[meta..], true).unwrap().payload().end;
    let key_len = b"\0\x04row0\0q".len() + 9;
    let last_key = value_offset(&sound, info, "LAST_BLOOM_KEY");
    for (block, at) in [(meta, end - key_len), (info, last_key)] {
        let file = open(&HFile::options(), &with(sound.clone(), block, at, &[0x7f, 0xff])).unwrap();
        assert!(file.general_bloom().is_none() && file.warnings().len() == 1, "{:?}", file.warnings());
        assert!(file.may_contain_row(b"none") && file.may_contain_column(b"none", b"q"));
        // nor has it such a filter, and it does not name the number of markers
        assert!(file.may_contain_delete_family(b"row5"));
        assert_eq!(pass(&file).unwrap(), 9);
    }

    let (first, header) = blocks(&sound)[0];
    assert_eq!(header.block_type(), BlockType::Data);
    let size = u32::try_from(header.total_size()).unwrap();
    let place = [(first as u64).to_be_bytes().as_slice(), &size.to_be_bytes()].concat();
    // offset and size precede the key and its length
    let data_block = with(sound.clone(), meta, end - key_len - 1 - 12, &place);

    let [chunk] = blocks_of(&sound, BlockType::BloomChunk)[..] else { panic!("one chunk") };
    // one checksum after the header, whose other fields remain
    let sizes = [&[0, 0, 0, 4, 0, 0, 0, 0][..], &sound[chunk + 16..chunk + 29], &[0, 0, 0, 33]].concat();
    let empty = with(sound.clone(), chunk, 8, &sizes);
    let empty = with(empty, meta, end - key_len - 1 - 4, &(33 + 4u32).to_be_bytes());
    assert!(faults(empty.clone()).iter().any(|fault| fault.message().contains("without bits")));

    for bytes in [data_block, empty] {
        let cache = BlockCache::with_capacity(1 << 20);
        for options in [HFile::options(), HFile::options().cache(&cache)] {
            let file = open(&options, &bytes).unwrap();
            assert_eq!((pass(&file).unwrap(), file.warnings().len()), (9, 0));
            for row in [&b"row5"[..], b"none"] {
                assert!(file.may_contain_column(row, b"q"));
            }
            assert_eq!((pass(&file).unwrap(), file.warnings().len()), (9, 1), "{:?}", file.warnings());
        }
    }
}

#[test]
fn a_file_is_read_without_its_checksums_if_they_are_not_verified() {
    let mut bytes = file_of_rows(9, HFileWriter::options());
    // the value, after the header of the block, two lengths and the key
    let at = blocks_of(&bytes, BlockType::Data)[4] + 33 + 8 + 18;
    assert_eq!(std::mem::replace(&mut bytes[at], b'w'), b'v');
    for (verifies, is_refused) in [(true, true), (false, false)] {
        let options = HFile::options().verify_checksums(verifies);
        let file = open(&options, &bytes).unwrap();
        assert_eq!((pass(&file).is_err(), pass_back(&file).is_err()), (is_refused, is_refused));
        let report = options.verify_reader(Arc::new(MemoryFile::new("file", bytes.clone()))).unwrap();
        assert_eq!(!report.faults.is_empty(), is_refused, "{:?}", report.faults);
    }
}
