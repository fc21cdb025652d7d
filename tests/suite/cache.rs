//! Many threads share one cache that is too small for the files they read.

use crate::support::open::{all_cells, options};
use crate::support::{golden, rng::Rng};
use hregion::filter::Filter;
use hregion::{BlockCache, Cell, Compaction, Durability, Family, Get, HFile, Put, Region, Scan, SeekResult};

const THREADS: u64 = 4;
const SEEKS: u64 = 3_000;

#[test]
fn threads_read_correctly_through_a_small_cache() {
    let files: Vec<_> = golden::all()
        .into_iter()
        .filter(|golden| golden.name.contains("levels") || golden.name.contains("fast_diff"))
        .filter_map(|golden| Some((options(&golden).open(golden.hfile()).ok()?, golden)))
        .filter(|(file, _)| file.entry_count() > 100)
        .collect();
    assert!(files.len() >= 3, "files with an index of several levels");
    // capacities from almost no block to almost all blocks
    for capacity in [4 << 10, 32 << 10, 256 << 10] {
        let cache = BlockCache::with_capacity(capacity);
        let open: Vec<(HFile, Vec<Cell>)> = files
            .iter()
            .map(|(file, golden)| {
                let cells = all_cells(file).expect("a golden file");
                (options(golden).cache(&cache).open(golden.hfile()).expect("a golden file"), cells)
            })
            .collect();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let open = &open;
                scope.spawn(move || read_at_random(open, thread));
            }
        });
        let stats = cache.stats();
        assert!(stats.bytes <= capacity, "{stats:?}");
        assert!(stats.misses > 0 && stats.hits + stats.misses >= THREADS * SEEKS / 2, "{stats:?}");
        drop(open);
        assert_eq!(cache.stats().blocks, 0, "closed files leave no blocks");
    }
}

fn read_at_random(open: &[(HFile, Vec<Cell>)], seed: u64) {
    let mut rng = Rng::new(seed);
    let mut scanners: Vec<_> = open.iter().map(|(file, _)| file.scanner()).collect();
    for _ in 0..SEEKS {
        let i = rng.below(open.len());
        let (scanner, cells) = (&mut scanners[i], &open[i].1);
        let at = rng.below(cells.len());
        assert_eq!(scanner.seek(cells[at].as_ref().key()).expect("a sound file"), SeekResult::Exact);
        // of equal keys, the seek finds the first
        let first = cells.iter().position(|cell| cell.as_ref().key() == cells[at].as_ref().key());
        for expected in cells.iter().skip(first.expect("it is one of them")).take(rng.below(20)) {
            assert_eq!(scanner.peek().map(Cell::from).as_ref(), Some(expected));
            scanner.advance().expect("a sound file");
        }
    }
}

const ROWS: usize = 4_000;

fn row(i: usize) -> String {
    format!("row-{i:06}")
}

/// Creates a region of three files, each with many blocks.
fn region_of_files(dir: &std::path::Path, cache: &BlockCache) -> Region {
    let family = Family::new("f").block_size(1 << 10);
    let options = Region::options().create_if_missing(true).durability(Durability::SkipWal);
    let options = options.family(family).cache(cache);
    let region = options.open(dir.join("region")).expect("a new region");
    for file in 0..3 {
        for i in (file..ROWS).step_by(3) {
            region.put(Put::new(row(i)).cell("f", "q", format!("value-{i:020}"))).expect("a put");
        }
        region.flush().expect("a flush");
    }
    region
}

fn count(region: &Region, scan: &Scan) -> usize {
    let view = region.view();
    let rows = view.scan(scan).expect("a scan");
    rows.map(|row| row.expect("a sound file").len()).sum()
}

#[test]
fn reads_that_do_not_cache_put_no_data_block_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = BlockCache::with_capacity(64 << 20);
    let region = region_of_files(dir.path(), &cache);
    let whole = Scan::new().cache_blocks(false);
    let filtered = whole.clone().filter(Filter::page(u64::MAX));
    // The first pass caches index blocks and Bloom filters.
    let get = |i: usize| Get::new(row(i)).cache_blocks(false);
    let read_all = || {
        for scan in [&whole, &filtered, &whole.clone().reversed(true)] {
            assert_eq!(count(&region, scan), ROWS);
        }
        for i in (0..ROWS).step_by(7) {
            assert_eq!(region.get(&get(i)).expect("a sound file").len(), 1);
            let filtered = get(i).filter(Filter::page(1));
            assert_eq!(region.get(&filtered).expect("a sound file").len(), 1);
        }
    };
    read_all();
    let before = cache.stats();
    read_all();
    let after = cache.stats();
    assert_eq!(after.insertions, before.insertions);
    assert!(after.misses > before.misses, "{after:?}");

    // Reads use cached data blocks.
    assert_eq!(count(&region, &Scan::new()), ROWS);
    let full = cache.stats();
    assert!(full.insertions > after.insertions + 100, "{full:?}");
    read_all();
    let again = cache.stats();
    assert_eq!((again.insertions, again.misses), (full.insertions, full.misses));
    assert!(again.hits > full.hits);
}

/// HBase: `BLOCKCACHE`.
#[test]
fn a_family_may_keep_its_data_blocks_out_of_the_cache() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = BlockCache::with_capacity(64 << 20);
    drop(region_of_files(dir.path(), &cache));
    let open = |cached: &str| {
        let family = Family::new("f").block_size(1 << 10).configuration("BLOCKCACHE", cached);
        let options = Region::options().writable(true).alter(true).family(family).cache(&cache);
        options.open(dir.path().join("region")).expect("a region")
    };
    let insertions = |region: &Region| {
        let before = cache.stats().insertions;
        for scan in [Scan::new(), Scan::new().reversed(true)] {
            assert_eq!(count(region, &scan), ROWS);
        }
        for i in (0..ROWS).step_by(7) {
            let get = Get::new(row(i));
            assert_eq!(region.get(&get).expect("a sound file").len(), 1);
            assert_eq!(region.get(&get.filter(Filter::page(1))).expect("a sound file").len(), 1);
        }
        cache.stats().insertions - before
    };
    let region = open("false");
    // The first pass caches index blocks and Bloom filters.
    insertions(&region);
    assert_eq!(insertions(&region), 0);
    drop(region);
    assert!(insertions(&open("true")) > 100);
}

#[test]
fn a_compaction_puts_nothing_in_and_moves_nothing_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = BlockCache::with_capacity(32 << 10);
    let region = region_of_files(dir.path(), &cache);
    // Another region that shares the cache fills it with its blocks.
    let other = region_of_files(&dir.path().join("other"), &cache);
    let hot = Scan::new().stop_row(row(300), false);
    for _ in 0..3 {
        assert_eq!(count(&other, &hot), 300);
    }
    let before = cache.stats();
    assert!(before.blocks > 10, "{before:?}");
    for compaction in [Compaction::Minor, Compaction::Major] {
        region.compact(compaction).expect("a compaction");
        let after = cache.stats();
        assert_eq!((after.insertions, after.evictions), (before.insertions, before.evictions));
        assert_eq!(after.blocks, before.blocks);
    }
    assert_eq!(count(&region, &Scan::new().cache_blocks(false)), ROWS);
}

#[test]
fn a_scanner_of_a_file_that_does_not_cache_puts_no_data_block_in() {
    let cache = BlockCache::with_capacity(64 << 20);
    let levels = golden::all().into_iter().find(|golden| golden.name.contains("levels")).expect("one");
    let file = options(&levels).cache(&cache).open(levels.hfile()).expect("a golden file");
    let walk = |cache_blocks| {
        let mut cells = file.scanner().cache_blocks(cache_blocks);
        let mut more = cells.seek_to_first().expect("a sound file");
        while more {
            more = cells.advance().expect("a sound file");
        }
    };
    walk(false);
    let before = cache.stats();
    walk(false);
    assert_eq!(cache.stats().insertions, before.insertions);
    walk(true);
    assert!(cache.stats().insertions > before.insertions);
}
