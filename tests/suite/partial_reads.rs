//! Gets of a region whose cache is much smaller than its data: rows read from parts of blocks equal rows read
//! from whole blocks; changed bytes are detected.

use crate::support::mixed_rows::{
    ROWS, cached, family, get, options, row, store_file, tuned, write, write_compacted, write_tagged,
};
use crate::support::rng::Rng;
use hregion::{
    CacheStats, ChecksumType, Codec, Compaction, DataBlockEncoding, Family, Get, HFile, Put, Region,
};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Compares gets with a small cache and gets with a large one. Returns the counts of the small one.
fn compare_gets(dir: &Path, shape: &str, seed: u64) -> CacheStats {
    let (plain, _) = cached(dir, 256 << 20);
    let (small, cache) = cached(dir, 512 << 10);
    let mut rng = Rng::new(seed);
    for i in 0..20_000 {
        // Some rows do not exist, and some are read more often than others.
        let number = if i % 3 == 0 { rng.next() % 50 } else { rng.next() % (ROWS + 1000) };
        let get = get(&mut rng, number);
        assert_eq!(small.get(&get).unwrap(), plain.get(&get).unwrap(), "{shape} {get:?}");
    }
    let stats = cache.stats();
    assert!(stats.bytes <= cache.capacity(), "{stats:?}");
    drop(small);
    assert_eq!((cache.stats().blocks, cache.stats().bytes), (0, 0), "{shape}");
    stats
}

#[test]
fn parts_of_blocks_have_the_rows_of_whole_blocks() {
    let shapes = [
        (family(DataBlockEncoding::None, 64 << 10), 1, true),
        (family(DataBlockEncoding::None, 64 << 10), 4, true),
        (family(DataBlockEncoding::None, 20 << 10), 2, true),
        (family(DataBlockEncoding::None, 300 << 10), 1, true),
        (tuned(), 1, true),
        (family(DataBlockEncoding::RowIndexV1, 64 << 10), 2, true),
        (family(DataBlockEncoding::FastDiff, 64 << 10), 1, true),
        (family(DataBlockEncoding::Diff, 64 << 10), 2, true),
        (family(DataBlockEncoding::Prefix, 64 << 10), 1, true),
        (family(DataBlockEncoding::FastDiff, 64 << 10).codec(Codec::Snappy), 1, false),
        (tuned().configuration("hbase.hstore.checksum.algorithm", "NULL"), 1, true),
    ];
    for (seed, (family, files, expects_parts)) in (1..).zip(shapes) {
        let dir = tempfile::tempdir().unwrap();
        let shape = format!("{family:?}, {files} files");
        write(dir.path(), family, files, seed);
        let stats = compare_gets(dir.path(), &shape, seed);
        assert_eq!(stats.partial_reads > 4000, expects_parts, "{shape}: {stats:?}");
    }
}

/// Tags may refer to tags in other parts of the block.
#[test]
fn parts_of_blocks_have_the_tags_of_whole_blocks() {
    let encodings = [DataBlockEncoding::FastDiff, DataBlockEncoding::Diff, DataBlockEncoding::Prefix];
    for (seed, encoding) in (1..).zip(encodings) {
        let dir = tempfile::tempdir().unwrap();
        write_tagged(dir.path(), family(encoding, 64 << 10), seed);
        let file = HFile::open(store_file(dir.path())).unwrap();
        assert_eq!(file.file_info().tags_compressed(), Ok(Some(true)));
        let stats = compare_gets(dir.path(), &format!("{encoding:?}"), seed);
        assert!(stats.partial_reads > 4000, "{encoding:?}: {stats:?}");
    }
}

#[test]
fn a_block_that_is_read_often_is_cached() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), family(DataBlockEncoding::None, 64 << 10), 1, 3);
    let (region, cache) = cached(dir.path(), 512 << 10);
    (0..ROWS).for_each(|number| drop(region.get(&Get::new(row(number))).unwrap()));
    for _ in 0..200 {
        region.get(&Get::new(row(1))).unwrap();
    }
    let before = (cache.stats(), region.metrics());
    for _ in 0..200 {
        region.get(&Get::new(row(1))).unwrap();
    }
    let (after, counts) = (cache.stats(), region.metrics().since(&before.1));
    assert_eq!((after.misses, after.partial_reads), (before.0.misses, before.0.partial_reads));
    assert_eq!((counts.data_blocks_read, counts.data_block_hits), (0, 200));
}

/// The cache is a hundredth of the data: it holds index blocks and outlines, and neither data blocks nor
/// chunks of the Bloom filter evict them.
#[test]
fn a_small_cache_has_what_leads_to_the_rows() {
    const ROWS: u64 = 100_000;
    let row = |number: u64| format!("{:08}", number * 2).into_bytes();
    for encoding in [DataBlockEncoding::None, DataBlockEncoding::FastDiff] {
        let dir = tempfile::tempdir().unwrap();
        let family = Family::new("f").data_block_encoding(encoding);
        let region = options(family.configuration("io.storefile.bloom.block.size", "16384")).open(dir.path());
        let region = region.unwrap();
        for number in 0..ROWS {
            region.put(Put::new(row(number)).cell("f", "q", number.to_be_bytes().repeat(12))).unwrap();
        }
        region.close().unwrap();
        let bytes = std::fs::metadata(store_file(dir.path())).unwrap().len();
        let (region, cache) = cached(dir.path(), bytes / 80);
        let mut rng = Rng::new(5);
        let mut read = |count: u64| {
            let before = (cache.stats(), region.metrics());
            for _ in 0..count {
                let number = rng.next() % ROWS;
                let found = region.get(&Get::new(row(number))).unwrap();
                assert_eq!(found.value("f", "q"), Some(&*number.to_be_bytes().repeat(12)));
                let absent = format!("{:08}", number * 2 + 1);
                assert!(region.get(&Get::new(absent)).unwrap().is_empty());
            }
            let stats = cache.stats();
            assert!(stats.bytes <= cache.capacity(), "{stats:?}");
            let inserted = stats.insertions - before.0.insertions;
            (inserted, stats.partial_reads - before.0.partial_reads, region.metrics().since(&before.1))
        };
        read(20_000);
        let (inserted, parts, counts) = read(20_000);
        println!("{encoding:?}: {inserted} blocks inserted, {parts} parts read; {counts:?}");
        assert!(inserted < 20_000 / 16, "{encoding:?}: {inserted} blocks inserted");
        assert!(counts.data_blocks_read - parts < 20_000 / 50, "{encoding:?}: {parts} parts, {counts:?}");
    }
}

#[test]
fn a_part_of_a_block_counts_as_a_block_read() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), family(DataBlockEncoding::None, 64 << 10), 1, 4);
    let (region, cache) = cached(dir.path(), 256 << 10);
    let mut numbers = (0..ROWS).cycle();
    numbers.by_ref().take(6000).for_each(|number| drop(region.get(&Get::new(row(number))).unwrap()));
    let mut parts = 0;
    for number in numbers.take(2000) {
        let before = (cache.stats().partial_reads, region.metrics());
        region.get(&Get::new(row(number)).column("f", "q000")).unwrap();
        if cache.stats().partial_reads == before.0 + 1 {
            let counts = region.metrics().since(&before.1);
            assert_eq!((counts.data_blocks_read, counts.data_block_hits), (1, 0), "{counts:?}");
            parts += 1;
        }
    }
    assert!(parts > 1000, "{parts}");
}

#[test]
fn the_checksums_of_new_files_are_those_of_the_family() {
    for (family, expected) in [
        (tuned(), (Some(ChecksumType::Crc32c), Some(4096))),
        (
            tuned().configuration("hbase.hstore.checksum.algorithm", "CRC32"),
            (Some(ChecksumType::Crc32), Some(4096)),
        ),
        (family(DataBlockEncoding::None, 64 << 10), (Some(ChecksumType::Crc32c), Some(16384))),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let region = options(family).open(dir.path()).unwrap();
        for compaction in [None, Some(Compaction::Major)] {
            region.put(Put::new("row").cell("f", "q", "value")).unwrap();
            region.flush().unwrap();
            if let Some(compaction) = compaction {
                region.compact(compaction).unwrap();
            }
            let (header, _) = HFile::open(store_file(dir.path())).unwrap().block(0).unwrap();
            assert_eq!((header.checksum_type(), header.bytes_per_checksum()), expected);
        }
    }
    let bad =
        family(DataBlockEncoding::None, 64 << 10).configuration("hbase.hstore.bytes.per.checksum", "32");
    let dir = tempfile::tempdir().unwrap();
    let error = options(bad).open(dir.path()).unwrap_err();
    assert_eq!(error.to_string(), "family f: hbase.hstore.bytes.per.checksum cannot be 32");
}

/// Flips bits of a file after the outlines of its blocks are known: a get has the same answer as before, or
/// fails.
#[test]
fn no_flipped_bit_changes_a_row() {
    let dir = tempfile::tempdir().unwrap();
    write_compacted(dir.path(), family(DataBlockEncoding::None, 64 << 10), 5);
    let plain = Region::open(dir.path()).unwrap();
    let expected: Vec<_> = (0..ROWS).map(|number| plain.get(&Get::new(row(number))).unwrap()).collect();
    drop(plain);
    let path = store_file(dir.path());
    let file = OpenOptions::new().write(true).read(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    let (region, cache) = cached(dir.path(), 256 << 10);
    (0..ROWS).for_each(|number| drop(region.get(&Get::new(row(number))).unwrap()));
    let (mut rng, mut failed, mut right) = (Rng::new(5), 0, 0);
    for _ in 0..300 {
        // A bit in each stretch of 4 KiB.
        let flip = |rng: &mut Rng| {
            (0..len / 4096).map(|at| (4096 * at + rng.next() % 4096, 1 << rng.below(8))).collect::<Vec<_>>()
        };
        let flips: Vec<(u64, u8)> = flip(&mut rng);
        let change = || {
            for (at, bit) in &flips {
                let mut byte = [0];
                file.read_exact_at(&mut byte, *at).unwrap();
                file.write_all_at(&[byte[0] ^ bit], *at).unwrap();
            }
        };
        change();
        for _ in 0..50 {
            let number = rng.next() % ROWS;
            match region.get(&Get::new(row(number))) {
                Ok(found) => {
                    assert_eq!(found, expected[number as usize]);
                    right += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), hregion::ErrorKind::Corrupt, "{error}");
                    failed += 1;
                }
            }
        }
        change();
    }
    assert!(failed > 1000 && right > 10, "{failed} {right}");
    // The file is unchanged again.
    for (number, expected) in (0..ROWS).zip(&expected) {
        assert_eq!(region.get(&Get::new(row(number))).unwrap(), *expected);
    }
    assert!(cache.stats().partial_reads > 1000, "{:?}", cache.stats());
}
