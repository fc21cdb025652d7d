//! The blocks that a get reads from ten files with an empty cache, according to the region's own counters.

use crate::support::rng::Rng;
use hregion::{Compaction, Family, Get, Put, Region, RegionMetrics, RowBuf, TimeRange};

const FILES: usize = 10;

/// Returns a row key for a number, in an order other than that of the numbers. Only rows of even numbers are
/// written.
fn row(number: u64) -> Vec<u8> {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().to_vec()
}

/// Creates ten files, each with a tenth of the rows across the whole key range, and with its own timestamps.
fn region(dir: &std::path::Path, rows: u64) -> Region {
    let options = Region::options().create_if_missing(true).family(Family::new("f"));
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

fn gets_read_little(rows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let region = region(dir.path(), rows);
    let mut rng = Rng::new(7);
    let mut buffer = RowBuf::new();

    // present rows: at most one block of each file that the Bloom filter does not exclude, so usually one
    // block and sometimes two
    let mut blocks = 0;
    for _ in 0..1000 {
        let number = rng.next() % rows;
        let get = Get::new(row(2 * number)).column("f", "q");
        let counts = count(&region, || assert!(region.get_into(&get, &mut buffer).unwrap()));
        let let_through =
            counts.files_considered - counts.files_skipped_by_bloom - counts.files_skipped_by_key;
        assert!(counts.data_blocks_read <= let_through, "{counts:?}");
        assert!((1..=3).contains(&let_through), "{counts:?}");
        blocks += counts.data_blocks_read;
    }
    assert!(blocks <= 1100, "{blocks} blocks for 1000 gets");

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
    assert_eq!((counts.files_skipped_by_time, counts.data_blocks_read), (FILES as u64 - 1, 1), "{counts:?}");

    // a single file has one block to read
    region.compact(Compaction::Major).unwrap();
    let counts = count(&region, || assert!(region.get_into(&Get::new(row(4)), &mut buffer).unwrap()));
    assert_eq!((counts.files_considered, counts.data_blocks_read), (1, 1), "{counts:?}");
}

#[test]
fn a_get_reads_one_block_of_a_file_that_may_have_the_row() {
    gets_read_little(100_000);
}

#[test]
#[ignore = "a million rows; takes half a minute"]
fn a_get_reads_one_block_of_a_file_that_may_have_the_row_of_a_million() {
    gets_read_little(1_000_000);
}
