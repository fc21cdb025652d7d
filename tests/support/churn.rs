//! Changes a region while it is read.

use hregion::{Compaction, Region};
use std::sync::atomic::{AtomicBool, Ordering};

/// Calls `write` with numbers from 1 on, until `done`, flushes the families `f` and `g`, separately and
/// together, and compacts.
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
