//! Compares the trailer, which has no checksum, with the rest of the file.

use super::faults::{Faults, display_number, mismatch};
use super::layout::Layout;
use crate::coding::Cursor;
use crate::error::Corruption;
use crate::hfile::Trailer;
use crate::hfile::trailer::{MAGIC_LEN, VERSION_LEN};
use crate::proto::wire::delimited;

/// Checks the trailer by itself: only zeros may follow the message. `tail` is the end of the file.
pub(super) fn check_alone(trailer: &Trailer, tail: &[u8], faults: &mut Faults) {
    if trailer.is_plain() {
        // its fields fill the whole trailer
        return;
    }
    let start = tail.len().saturating_sub(trailer.size());
    let mut cursor = Cursor::new(tail.get(start..).unwrap_or_default());
    let body = cursor
        .take(MAGIC_LEN, "trailer magic")
        .and_then(|_| cursor.take(trailer.size() - MAGIC_LEN - VERSION_LEN, "trailer body"));
    let mut body = Cursor::new(body.unwrap_or_default());
    // the message was parsed successfully before
    let _ = delimited(&mut body, "message of the trailer");
    if body.rest().iter().any(|&byte| byte != 0) {
        let message = "bytes after the message of the trailer that are not zero";
        faults.add(Corruption::Malformed(message), trailer.offset(), None);
    }
}

/// Compares the trailer with the blocks and cells read.
///
/// `index_ends` are the offsets of the first and last data block in the index; `cells` is the number of
/// cells, if all were read.
pub(super) fn check_against(
    trailer: &Trailer,
    layout: &Layout,
    index_ends: Option<(u64, u64)>,
    cells: Option<u64>,
    faults: &mut Faults,
) {
    let mut compare = |what, expected: Option<u64>, found: i64| {
        if let Some(corruption) =
            expected.and_then(|expected| mismatch(what, display_number(expected), found))
        {
            faults.add(corruption, trailer.offset(), None);
        }
    };
    compare("entry_count", cells, display_number(trailer.entry_count()));
    compare("file_info_offset", layout.file_info, trailer.file_info_offset());
    // the first or last block may be damaged, but then the index has its offset
    let met = layout.first_data.zip(layout.last_data).filter(|_| !layout.is_damaged);
    if let Some((first, last)) = met.or(index_ends) {
        compare("first_data_block_offset", Some(first), trailer.first_data_block_offset());
        compare("last_data_block_offset", Some(last), trailer.last_data_block_offset());
    }
    if layout.is_damaged {
        return;
    }
    let index_bytes = layout.index_bytes;
    compare("uncompressed_data_index_size", Some(index_bytes), trailer.uncompressed_data_index_size());
    let total = layout.counted_bytes + trailer.size() as u64;
    compare("total_uncompressed_bytes", Some(total), trailer.total_uncompressed_bytes());
}
