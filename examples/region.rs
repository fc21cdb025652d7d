//! A region as an embedded store, and a region that HBase wrote.
//!
//! ```sh
//! cargo run --example region                # in a temporary directory, which is removed
//! cargo run --example region -- my-region   # in a directory that is kept
//! ```
#![allow(clippy::print_stdout, reason = "the example prints its results")]

use hregion::{BlockCache, Compaction, Delete, Family, Get, Put, Region, Result, Scan};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One half of a region that HBase has split: references to the files of its parent.
const LEFT_BY_HBASE: &str =
    "testdata/region/split-references/root/data/default/halves/b080bd824b133f7fd142d58caf423392";

fn main() -> ExitCode {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let scratch = std::env::temp_dir().join(format!("hregion-example-{}", std::process::id()));
    let done = embedded(given.as_deref().unwrap_or(&scratch)).and_then(|()| left_by_hbase());
    // a directory given by the user is kept
    if given.is_none() {
        let _ = std::fs::remove_dir_all(&scratch);
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes, flushes, compacts and reads.
fn embedded(dir: &Path) -> Result<()> {
    let cache = BlockCache::with_capacity(64 << 20); // bytes; any number of regions may share it
    let region = Region::options()
        .cache(&cache)
        .create_if_missing(true)
        .family(Family::new("info").max_versions(3))
        .family(Family::new("stats").ttl(7 * 24 * 3600)) // seconds
        .open(dir)?;

    region.put(Put::new("ada").cell("info", "name", "Ada").cell("stats", "visits", "1"))?;
    region.put(Put::new("ada").cell("info", "name", "Ada Lovelace"))?;
    region.put(Put::new("grace").cell("info", "name", "Grace Hopper"))?;
    region.flush()?;
    let before = region.view(); // not affected by later writes

    region.delete(Delete::new("grace").column("info", "name"))?;
    region.flush()?;
    region.compact(Compaction::Major)?;

    let ada = region.get(&Get::new("ada").column("info", "name").max_versions(3))?;
    println!("ada has had {} names, the newest {:?}", ada.len(), text(ada.value("info", "name")));
    println!("grace is gone: {}", region.get(&Get::new("grace"))?.is_empty());
    println!("but not in the earlier view: {}", before.get(&Get::new("grace"))?.len() == 1);
    print_rows(&region, &Scan::new().rows("a".."h"), 10)
}

/// Reads what a RegionServer would have read; nothing is written to the directory.
fn left_by_hbase() -> Result<()> {
    let region = Region::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(LEFT_BY_HBASE))?;
    println!("{}", region.info());
    let row = region.get(&Get::new("row-0007"))?;
    println!("row-0007 has {} cells", row.len());
    print_rows(&region, &Scan::new().rows("row-0001".."row-0004"), 8)?;
    let metrics = region.metrics();
    println!(
        "{} of {} files were passed over",
        metrics.files_skipped_by_key + metrics.files_skipped_by_bloom,
        metrics.files_considered
    );
    Ok(())
}

fn print_rows(region: &Region, scan: &Scan, limit: usize) -> Result<()> {
    let view = region.view();
    let mut rows = view.scan(scan)?;
    let mut printed = 0;
    while let Some(row) = rows.next_row()? {
        for cell in row.cells() {
            println!("  {cell} {:?}", text(Some(cell.value())));
            printed += 1;
            if printed == limit {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}
