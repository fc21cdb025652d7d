//! Many threads, one cache too small for the files they read.

mod support;

use hregion::{BlockCache, Cell, HFile, Seek};
use support::open::{all_cells, options};
use support::{golden, rng::Rng};

const THREADS: u64 = 4;
const SEEKS: u64 = 3_000;

#[test]
fn threads_that_share_a_small_cache_find_what_is_there() {
    let files: Vec<_> = golden::all()
        .into_iter()
        .filter(|golden| golden.name.contains("levels") || golden.name.contains("fast_diff"))
        .filter_map(|golden| Some((options(&golden).open(golden.hfile()).ok()?, golden)))
        .filter(|(file, _)| file.entry_count() > 100)
        .collect();
    assert!(files.len() >= 3, "files with an index of several levels");
    // from next to nothing to nearly all
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
        assert_eq!(cache.stats().blocks, 0, "closed files leave nothing behind");
    }
}

fn read_at_random(open: &[(HFile, Vec<Cell>)], seed: u64) {
    let mut rng = Rng::new(seed);
    let mut scanners: Vec<_> = open.iter().map(|(file, _)| file.scanner()).collect();
    for _ in 0..SEEKS {
        let i = rng.below(open.len());
        let (scanner, cells) = (&mut scanners[i], &open[i].1);
        let at = rng.below(cells.len());
        assert_eq!(scanner.seek(cells[at].as_ref().key()).expect("a sound file"), Seek::Exact);
        // equal keys: the seek finds the first of them
        let first = cells.iter().position(|cell| cell.as_ref().key() == cells[at].as_ref().key());
        for expected in cells.iter().skip(first.expect("it is one of them")).take(rng.below(20)) {
            assert_eq!(scanner.peek().map(Cell::from).as_ref(), Some(expected));
            scanner.advance().expect("a sound file");
        }
    }
}
