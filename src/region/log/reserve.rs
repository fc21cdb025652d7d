//! Reserves space after the last entry of a log (wal.md §16, §17).

use crate::wal::{END_MARK, TRAILER};
use std::io;

/// Appends the end mark to the last entries of a file, which begin at `base`, if the file is longer, or if
/// they end with the bytes of a trailer, which HBase would take for one. If they must be synced and exceed
/// the file's length, extends it with zeros, so that the system need not update the length with each sync.
/// Returns whether the file grows by more than the entries.
pub(super) fn mark_end(bytes: &mut Vec<u8>, base: u64, reserved: &mut u64, syncs: bool) -> bool {
    let end = base + bytes.len() as u64;
    let marked = end + END_MARK.len() as u64;
    if bytes.is_empty() || !syncs && end >= *reserved && !bytes.ends_with(&TRAILER) {
        return false;
    }
    bytes.extend_from_slice(&END_MARK);
    if marked <= *reserved {
        return false;
    }
    let room = if syncs { (end / 4).clamp(MIN_RESERVE, MAX_RESERVE) } else { 0 };
    bytes.resize(bytes.len() + usize::try_from(room).unwrap_or_default(), 0);
    *reserved = marked + room;
    true
}

/// The minimum number of bytes by which a file is extended beyond its entries.
const MIN_RESERVE: u64 = 32 << 10;
const MAX_RESERVE: u64 = 512 << 10;

pub(super) fn is_full(written: &io::Result<()>) -> bool {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    written.as_ref().is_err_and(|error| kinds.contains(&error.kind()))
}
