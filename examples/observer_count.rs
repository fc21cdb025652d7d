//! An observer that counts the operations on a region.
//!
//!     cargo run --example observer_count
#![allow(clippy::print_stdout, reason = "the example prints its results")]

use hregion::region::{MiniBatch, ObserverContext};
use hregion::{Family, Get, Put, Region, RegionObserver, Result, RowBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts gets that found nothing, and mutations.
#[derive(Debug, Default)]
struct Count {
    misses: AtomicU64,
    mutations: AtomicU64,
}

impl RegionObserver for Count {
    fn post_get_op(&self, _: &mut ObserverContext<'_>, _: &Get, results: &mut RowBuf) -> Result<()> {
        self.misses.fetch_add(results.is_empty().into(), Ordering::Relaxed);
        Ok(())
    }

    fn post_batch_mutate(&self, _: &mut ObserverContext<'_>, batch: &MiniBatch<'_>) -> Result<()> {
        self.mutations.fetch_add(batch.mutations().len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn main() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("hregion-observer-count-{}", std::process::id()));
    let count = Arc::new(Count::default());
    let region = Region::options()
        .create_if_missing(true)
        .family(Family::new("f"))
        .observer(0, count.clone())
        .open(&dir)?;
    for i in 0..10 {
        region.put(Put::new(format!("row-{i}")).cell("f", "q", "v"))?;
    }
    for i in 5..15 {
        region.get(&Get::new(format!("row-{i}")))?;
    }
    let (misses, mutations) = (count.misses.load(Ordering::Relaxed), count.mutations.load(Ordering::Relaxed));
    println!("{mutations} mutations, {misses} gets of rows that are not there");
    assert_eq!((mutations, misses), (10, 5));
    drop(region);
    let _ = std::fs::remove_dir_all(dir);
    Ok(())
}
