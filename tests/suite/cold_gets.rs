//! The blocks that a get reads from ten files with an empty cache, according to the region's own counters:
//! without a cache, and with a small one whose second tier has the evicted blocks.

use crate::support::rng::Rng;
use hregion::{
    BlockCache, Compaction, Durability, Family, Get, Put, Region, RegionMetrics, RowBuf, TimeRange,
};
use std::time::Duration;

const FILES: usize = 10;

/// Returns a row key for a number; the order of the keys differs from that of the numbers. Only rows of even
/// numbers are written.
fn row(number: u64) -> Vec<u8> {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().to_vec()
}

/// Creates ten files, each with a tenth of the rows across the whole key range, and with its own timestamps.
fn region(dir: &std::path::Path, rows: u64, cache: Option<&BlockCache>) -> Region {
    let options = Region::options().create_if_missing(true).family(Family::new("f"));
    let mut options = options.durability(Durability::SkipWal);
    if let Some(cache) = cache {
        options = options.cache(cache);
    }
    let region = options.open(dir).unwrap();
    for file in 0..FILES as u64 {
        for number in (file..rows).step_by(FILES) {
            let timestamp = i64::try_from(1000 * (file + 1)).unwrap();
            region.put(Put::new(row(2 * number)).cell_at("f", "q", timestamp, vec![7; 40])).unwrap();
        }
        region.flush().unwrap();
    }
    assert_eq!(region.store_file_count("f"), Some(FILES));
    region
}

fn count(region: &Region, read: impl FnOnce()) -> RegionMetrics {
    let before = region.metrics();
    read();
    region.metrics().since(&before)
}

fn gets_read_little(rows: u64, has_tier: bool) {
    let dir = tempfile::tempdir().unwrap();
    let cache = has_tier.then(|| small(&dir.path().join("tier")));
    let region = region(&dir.path().join("region"), rows, cache.as_ref());
    let mut rng = Rng::new(7);
    let mut buffer = RowBuf::new();

    // present rows: at most one block of each file that the Bloom filter does not exclude, so usually one
    // block and sometimes two
    let (mut blocks, mut found) = (0, 0);
    for _ in 0..1000 {
        let number = rng.next() % rows;
        let get = Get::new(row(2 * number)).column("f", "q");
        let counts = count(&region, || assert!(region.get_into(&get, &mut buffer).unwrap()));
        let let_through =
            counts.files_considered - counts.files_skipped_by_bloom - counts.files_skipped_by_key;
        // in a full cache, a scanner reads parts again if another file's block has no outline yet
        let most = if has_tier { 2 * let_through - 1 } else { let_through };
        assert!(counts.data_blocks_read <= most, "{counts:?}");
        found += counts.data_block_hits;
        assert!((1..=3).contains(&let_through), "{counts:?}");
        blocks += counts.data_blocks_read;
    }
    assert!(blocks <= 1100, "{blocks} blocks for 1000 gets");
    assert_eq!(found > 0, has_tier);

    // absent rows: the Bloom filters of all ten files exclude the row in nine of ten cases
    let mut untouched = 0;
    for _ in 0..1000 {
        let get = Get::new(row(2 * (rng.next() % rows) + 1));
        let counts = count(&region, || assert!(!region.get_into(&get, &mut buffer).unwrap()));
        untouched += usize::from(counts.data_blocks_read == 0);
    }
    println!(
        "{rows} rows: {blocks} blocks for 1000 rows that are there, {untouched} of 1000 that are not \
         read none"
    );
    assert!(untouched >= 900, "{untouched} of 1000");

    // a time range of one file skips the others
    let third = TimeRange::new(2500, 3500).unwrap();
    let counts = count(&region, || {
        let get = Get::new(row(2 * 2)).time_range(third);
        assert!(region.get_into(&get, &mut buffer).unwrap());
    });
    let blocks = counts.data_blocks_read + counts.data_block_hits;
    assert_eq!((counts.files_skipped_by_time, blocks), (FILES as u64 - 1, 1), "{counts:?}");

    // a single file has one block to read
    region.compact(Compaction::Major).unwrap();
    let counts = count(&region, || assert!(region.get_into(&Get::new(row(4)), &mut buffer).unwrap()));
    assert_eq!((counts.files_considered, counts.data_blocks_read), (1, 1), "{counts:?}");
}

#[test]
fn a_filter_larger_than_the_cache_excludes_rows_by_parts() {
    const ROWS: u64 = 300_000;
    let dir = tempfile::tempdir().unwrap();
    // the filter of all rows has three chunks of 128 KiB
    let cache = BlockCache::with_capacity(200 << 10);
    let region = region(&dir.path().join("region"), ROWS, Some(&cache));
    region.compact(Compaction::Major).unwrap();
    let mut rng = Rng::new(9);
    let mut buffer = RowBuf::new();
    let mut absent = |region: &Region| {
        let mut untouched = 0;
        for _ in 0..2000 {
            let get = Get::new(row(2 * (rng.next() % ROWS) + 1));
            let counts = count(region, || assert!(!region.get_into(&get, &mut buffer).unwrap()));
            untouched += usize::from(counts.data_blocks_read == 0);
        }
        untouched
    };
    let first = absent(&region);
    let then = absent(&region);
    println!("{first} of the first 2000 rows that are not there read no block, {then} of the next");
    assert!(then >= 1900, "{first}, then {then}");
    let mut rng = Rng::new(10);
    for _ in 0..2000 {
        assert!(region.get_into(&Get::new(row(2 * (rng.next() % ROWS))), &mut RowBuf::new()).unwrap());
    }
}

#[test]
fn filters_with_memory_of_their_own_are_not_read_again() {
    const ROWS: u64 = 300_000;
    let dir = tempfile::tempdir().unwrap();
    region(dir.path(), ROWS, None).compact(Compaction::Major).unwrap();
    let missed = |filter_capacity: u64| {
        let cache = BlockCache::options().capacity(200 << 10).filter_capacity(filter_capacity).build();
        let region = Region::options().cache(&cache).family(Family::new("f")).open(dir.path()).unwrap();
        let mut rng = Rng::new(11);
        let mut buffer = RowBuf::new();
        for _ in 0..5000 {
            let number = rng.next() % ROWS;
            assert!(region.get_into(&Get::new(row(2 * number)), &mut buffer).unwrap());
            region.get_into(&Get::new(row(2 * number + 1)), &mut buffer).unwrap();
        }
        let before = cache.stats().misses;
        for _ in 0..2000 {
            let absent = Get::new(row(2 * (rng.next() % ROWS) + 1));
            assert!(!region.get_into(&absent, &mut buffer).unwrap());
        }
        let stats = cache.stats();
        assert!(stats.bytes <= (200 << 10) + filter_capacity, "{stats:?}");
        stats.misses - before
    };
    let (with, without) = (missed(1 << 20), missed(0));
    println!("2000 rows that are not there: {with} misses, {without} with the filters among the blocks");
    // false positives read a part of a block
    assert!(with <= 100, "{with}");
    assert!(without >= 1000, "{without}");
}

/// A cache of a few blocks, with a second tier for all.
fn small(tier: &std::path::Path) -> BlockCache {
    BlockCache::options().capacity(300 << 10).second_tier(tier, 64 << 20).second_tier_min_reads(1).build()
}

#[test]
fn a_get_reads_one_block_of_a_file_that_may_have_the_row() {
    gets_read_little(100_000, false);
    gets_read_little(20_000, true);
}

/// Gets random rows of a region that is larger than the cache, and returns the cost of the last ones.
fn gets_of(cache: &BlockCache, dir: &std::path::Path) -> RegionMetrics {
    const ROWS: u64 = 20_000;
    let region = region(dir, ROWS, Some(cache));
    let mut rng = Rng::new(8);
    let mut buffer = RowBuf::new();
    let is_writing = || cache.stats().second_tier.is_some_and(|tier| tier.queued > 0);
    let mut gets = |gets: usize| {
        count(&region, || {
            for number in 0..gets {
                assert!(region.get_into(&Get::new(row(2 * (rng.next() % ROWS))), &mut buffer).unwrap());
                while number % 50 == 0 && is_writing() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    gets(20_000);
    gets(2000)
}

/// Evicted blocks are read from the second tier, not from their files.
#[test]
fn a_get_finds_in_the_second_tier_what_memory_has_lost() {
    let dir = tempfile::tempdir().unwrap();
    let cache = small(&dir.path().join("tier"));
    let with = gets_of(&cache, &dir.path().join("with"));
    let stats = cache.stats().second_tier.unwrap();
    let without = gets_of(&BlockCache::with_capacity(cache.capacity()), &dir.path().join("without"));
    println!(
        "2000 gets read {} blocks or parts from files, {} without the second tier",
        with.data_blocks_read, without.data_blocks_read
    );
    assert!(with.data_blocks_read < 200 && with.data_block_hits > 1800, "{with:?} {stats:?}");
    assert!(without.data_blocks_read > 10 * with.data_blocks_read, "{without:?} {with:?}");
    assert!(stats.hits + stats.partial_reads > 1000 && stats.failures == 0, "{stats:?}");
}

#[test]
#[ignore = "a million rows; takes half a minute"]
fn a_get_reads_one_block_of_a_file_that_may_have_the_row_of_a_million() {
    gets_read_little(1_000_000, false);
    gets_read_little(1_000_000, true);
}
