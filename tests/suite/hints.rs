//! Filters with hints do not read the blocks between their matches (read-path.md §9.11, §13.4), according to
//! the region's own counters.

use hregion::filter::Filter;
use hregion::{Durability, Family, Put, Region, RegionMetrics, Scan};
use std::ops::Bound;
use tempfile::TempDir;

const USERS: usize = 50;
const EVENTS: usize = 200;

/// Creates rows `uuu-eee` in one file of small blocks. Each user's rows fill many blocks.
fn region() -> (TempDir, Region) {
    let dir = tempfile::tempdir().unwrap();
    let family = Family::new("f").block_size(1 << 10);
    let options = Region::options().create_if_missing(true).durability(Durability::SkipWal);
    let region = options.family(family).open(dir.path()).unwrap();
    for user in 0..USERS {
        for event in 0..EVENTS {
            region.put(Put::new(format!("{user:03}-{event:03}")).cell("f", "q", vec![7; 60])).unwrap();
        }
    }
    region.flush().unwrap();
    (dir, region)
}

/// Returns the rows of a scan, and its metrics. There is no cache: each block visited is read.
fn read(region: &Region, scan: &Scan) -> (Vec<String>, RegionMetrics) {
    let before = region.metrics();
    let rows = region
        .view()
        .scan(scan)
        .unwrap()
        .map(|row| String::from_utf8(row.unwrap().as_row().key().to_vec()).unwrap())
        .collect();
    (rows, region.metrics().since(&before))
}

#[test]
fn a_fuzzy_scan_does_not_read_the_blocks_between_its_hits() {
    let (_dir, region) = region();
    let (all, full) = read(&region, &Scan::new());
    assert_eq!(all.len(), USERS * EVENTS);
    assert!(full.data_blocks_read > 10 * USERS as u64, "{full:?}");

    for reversed in [false, true] {
        // one event of every user
        let filter = Filter::fuzzy_row([(b"???-077", [1, 1, 1, 0, 0, 0, 0])]).unwrap();
        let (rows, counts) = read(&region, &Scan::new().filter(filter).reversed(reversed));
        let mut expected: Vec<String> = (0..USERS).map(|user| format!("{user:03}-077")).collect();
        if reversed {
            expected.reverse();
        }
        assert_eq!(rows, expected);
        // the block of the match, the one after or before it, and one more where a row starts a block
        assert!(counts.data_blocks_read <= 3 * USERS as u64 + 3, "{reversed} {counts:?}");
    }
}

#[test]
fn ranges_of_rows_are_read_and_nothing_between_them() {
    let (_dir, region) = region();
    let range =
        |user: usize| (Bound::Included(format!("{user:03}-050")), Bound::Excluded(format!("{user:03}-055")));
    let filter = Filter::row_ranges([3, 20, 41].map(range)).unwrap();
    for reversed in [false, true] {
        let (rows, counts) = read(&region, &Scan::new().filter(filter.clone()).reversed(reversed));
        let of_user = |user: usize| (50..55).map(move |event| format!("{user:03}-{event:03}"));
        let mut expected: Vec<String> = [3, 20, 41].into_iter().flat_map(of_user).collect();
        if reversed {
            expected.reverse();
        }
        assert_eq!(rows, expected);
        assert!(counts.data_blocks_read <= 12, "{reversed} {counts:?}");
    }
}
