//! Reads and writes HBase's write-ahead logs (`docs/spec/wal.md`).
//!
//! A log is a header, entries, and a trailer if it was closed. An entry has a [`WalKey`] and the cells that
//! were written together; a [`Marker`] is an entry that records an event of a region. Files of recovered
//! edits have the same format. [`WalReaderOptions`] opens encrypted logs, too. Logs are split, replayed and
//! removed by other modules.
//!
//! ```
//! use hregion::wal::{WalEnd, WalKey, WalReader, WalWriterOptions};
//! use hregion::{CellRef, CellType, SeekKey};
//!
//! # fn main() -> hregion::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("log");
//! let mut writer = WalWriterOptions::new().checksums(Some(1)).create(&path)?;
//! let key = WalKey::new("1745fe77bf33478747262bea55877f36", "users", 36, 1_700_000_000_000);
//! let cell = SeekKey::of(b"row", b"cf", b"q", 1_700_000_000_000, CellType::Put);
//! writer.append(&key, [CellRef::new(&cell, b"value")])?;
//! writer.sync()?; // now the entry survives a crash
//! writer.close()?;
//!
//! let mut reader = WalReader::open(&path)?;
//! while let Some(entry) = reader.next_entry()? {
//!     for cell in entry.cells() {
//!         println!("{} {cell}", entry.key().sequence_id);
//!     }
//! }
//! assert_eq!(reader.end(), Some(&WalEnd::Trailer));
//! # Ok(())
//! # }
//! ```

mod cell_codec;
mod checksum;
mod dictionary;
mod encoder;
mod end_mark;
mod entry;
mod header;
mod key;
mod marker;
mod reader;
mod source;
#[cfg(test)]
mod testing;
mod trailer;
mod writer;

pub(crate) use encoder::WalEncoder;
pub(crate) use end_mark::END_MARK;
pub use entry::{WalCells, WalEntry};
pub use header::WalHeader;
pub use key::{ReplicationScope, WalKey};
pub use marker::{
    BulkLoadMarker, CompactionMarker, FAMILY as MARKER_FAMILY, FlushAction, FlushMarker, Marker,
    MarkerServer, RegionEvent, RegionEventMarker, StoreFiles,
};
pub use reader::{WalEnd, WalReader, WalReaderOptions};
pub(crate) use trailer::BYTES as TRAILER;
pub use writer::{WalWriter, WalWriterOptions};

use crate::error::{Error, Result};
use crate::io::Storage;
use std::path::Path;

/// Whether a file begins like a log.
pub(crate) fn is_log(storage: &dyn Storage, path: &Path) -> Result<bool> {
    let file = storage.open(path).map_err(|error| Error::io("open", path, error))?;
    let mut magic = [0; header::MAGIC.len()];
    if file.len() < magic.len() as u64 {
        return Ok(false);
    }
    file.read_exact_at(&mut magic, 0).map_err(|error| Error::io("read", path, error))?;
    Ok(magic == header::MAGIC)
}

/// Whether a file is one of recovered edits, whose dictionaries of regions and tables have one entry. Reader
/// and writer decide by the path, as in HBase (wal.md §5).
fn is_recovered_edits(path: &Path) -> bool {
    path.to_string_lossy().contains("recovered.edits")
}
