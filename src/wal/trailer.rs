//! The end of a log that was closed (wal.md §2, §9; HBase: `WALTrailer`).
//!
//! ```text
//! message, u32 length of the message, "LAWP"
//! ```
#![warn(clippy::indexing_slicing)]

use crate::coding::Cursor;
use crate::error::{Error, Result};
use crate::io::FileReader;
use crate::proto::wal::WALTrailer;
use prost::Message;

const MAGIC: [u8; 4] = *b"LAWP";

/// A trailer as HBase writes it: its message has no fields.
pub(crate) const BYTES: [u8; 8] = [0, 0, 0, 0, b'L', b'A', b'W', b'P'];

/// The maximum length of a trailer's message, for trailers of later versions.
const MAX_MESSAGE: u64 = 1 << 20;

/// Returns the offset of the trailer of a log whose entries begin at `from`, if it has one.
///
/// A trailer that is `exact` has no message: only this form is expected in a log with checksums, where a
/// damaged length must not hide the last entry.
pub(super) fn find(file: &dyn FileReader, from: u64, exact: bool) -> Result<Option<u64>> {
    let fixed = BYTES.len() as u64;
    let Some(at) = file.len().checked_sub(fixed).filter(|at| *at >= from) else { return Ok(None) };
    let read = |buf: &mut [u8], at| {
        file.read_exact_at(buf, at).map_err(|error| Error::io("read", file.path(), error))
    };
    let mut bytes = BYTES;
    read(&mut bytes, at)?;
    if bytes == BYTES {
        return Ok(Some(at));
    }
    let mut cursor = Cursor::new(&bytes);
    let (Ok(len), Ok(magic)) = (cursor.len("length of the trailer"), cursor.array::<4>("magic")) else {
        return Ok(None);
    };
    let start = at.checked_sub(len as u64).filter(|start| *start >= from);
    let (Some(start), false) = (start, exact || magic != MAGIC || len as u64 > MAX_MESSAGE) else {
        return Ok(None);
    };
    let mut message = vec![0; len];
    read(&mut message, start)?;
    Ok(WALTrailer::decode(message.as_slice()).is_ok().then_some(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFile;

    fn found(bytes: &[u8], from: u64, exact: bool) -> Option<u64> {
        find(&MemoryFile::new("log", bytes.to_vec()), from, exact).unwrap()
    }

    #[test]
    fn a_trailer_is_eight_bytes() {
        assert_eq!(WALTrailer {}.encode_to_vec(), b"");
        let log = [b"entry".as_slice(), &BYTES].concat();
        assert_eq!(found(&log, 5, true), Some(5));
        assert_eq!(found(&log, 0, false), Some(5));
        assert_eq!(found(&log, 6, false), None, "not in the header");
        assert_eq!(found(b"entry", 0, false), None);
        assert_eq!(found(b"", 0, false), None);
    }

    #[test]
    fn a_longer_trailer_is_a_message() {
        let log = b"entry\x08\x01\0\0\0\x02LAWP";
        assert_eq!(found(log, 0, false), Some(5));
        assert_eq!(found(log, 0, true), None);
        assert_eq!(found(log, 6, false), None);
        for other in [
            &b"entry\x0f\x01\0\0\0\x02LAWP"[..],
            b"entry\x08\x01\x80\0\0\x02LAWP",
            b"entry\x08\x01\0\0\0\x02LAWQ",
            b"entry\x08\x01\0\0\x01\x02LAWP",
        ] {
            assert_eq!(found(other, 0, false), None, "{other:x?}");
        }
    }
}
