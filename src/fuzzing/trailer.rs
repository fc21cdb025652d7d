//! The end of a file.

use crate::error::ErrorKind;
use crate::hfile::Trailer;

/// Checks a trailer at the end of a file: one that parses can be written, and parses to the same again.
///
/// The input is the end of a file. It is used once as the whole file, and once as the end of a huge file, in
/// which every offset is valid.
pub fn trailer(input: &[u8]) {
    check(input, input.len() as u64);
    check(input, 1 << 40);
}

fn check(tail: &[u8], file_len: u64) {
    assert!(Trailer::likely_offset(tail, file_len) <= file_len);
    let Ok(trailer) = Trailer::parse(tail, file_len) else { return };
    let _ = (trailer.cell_order(), trailer.is_newer_than_known(), trailer.encryption_key());
    assert_eq!(trailer.offset() + trailer.size() as u64, file_len);
    assert!(trailer.load_on_open_data_offset() < trailer.offset());
    let mut written = Vec::new();
    match trailer.write(&mut written) {
        Ok(()) => {
            assert_eq!(written.len(), trailer.size());
            assert_eq!(Trailer::parse(&written, file_len), Ok(trailer));
        }
        // all fields are written, including those that were missing
        Err(corruption) => {
            assert_eq!(corruption.kind(), ErrorKind::Limit);
            assert!(written.is_empty());
        }
    }
}
