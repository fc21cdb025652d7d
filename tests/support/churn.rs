//! A region that is written to beside its readers.

use hregion::{Compaction, Region};
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes by `write`, with numbers from 1 on, until `done`. Meanwhile flushes the families `f` and `g`, one
/// at a time and together, and compacts.
pub(crate) fn churn(region: &Region, done: &AtomicBool, mut write: impl FnMut(u64)) {
    for n in 1..=u64::MAX {
        write(n);
        match n % 40 {
            5 => region.flush_families(&["f"]).unwrap(),
            15 => region.flush_families(&["g"]).unwrap(),
            25 => region.flush().unwrap(),
            35 => region.compact(Compaction::Major).unwrap(),
            _ => {}
        }
        if done.load(Ordering::SeqCst) {
            break;
        }
    }
}
