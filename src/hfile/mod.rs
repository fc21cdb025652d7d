//! HFiles: reads, writes, checks and salvages one file (hfile.md).
//!
//! ```text
//!        +------------------------------------------------------------+
//!      0 | DATA or ENCODED_DATA   cells, sorted                       |  scanned section
//!        | …                                                          |
//!        | LEAF_INDEX             among the data blocks, each written |
//!        | BLOOM_CHUNK            once enough entries have collected  |
//!        | …                                                          |
//!        +------------------------------------------------------------+
//!        | META                   other data, by name                 |  non-scanned section
//!        | INTERMEDIATE_INDEX     lowest level first                  |
//!        +------------------------------------------------------------+
//!   load | ROOT_INDEX             of the data, and the mid key        |  load-on-open section:
//!     on | ROOT_INDEX             of the META blocks                  |  kept while the file is open
//!   open | FILE_INFO              keys and values                     |
//!        | GENERAL_BLOOM_META     where the chunks are                |
//!        | DELETE_FAMILY_BLOOM_META                                   |
//!        +------------------------------------------------------------+
//!        | trailer                212 bytes (v2) or 4,096 (v3)        |
//!        +------------------------------------------------------------+
//! ```
//!
//! Every block has a header with its size, its type and the offset of the previous block of that type, and
//! from v2.1 on checksums after its payload ([`BlockHeader`](crate::BlockHeader)). The trailer has no
//! checksum, so its fields are compared with the rest of the file.
//!
//! **Opening** reads the end of the file; the trailer gives the offset of the load-on-open section. This
//! takes one read if that section lies within 64 KiB of the end, otherwise two. No data is read.
//!
//! **A seek** selects, in the root and in each index block below, the last entry whose key is not after the
//! target, at most 16 times, and then searches the data block for the first cell that is not before the
//! target. An index key may be shorter than any real key, so that cell may be the first of the next block, or
//! the target may be before all cells of its block.
//!
//! **A walk** goes from index entry to index entry, never by the sizes in block headers, and checks at each
//! boundary the block's link to the previous one, and that the cells lie between the index keys around them.
//! With the number of cells and the last key, which are checked at the end, every flip of a single bit is
//! detected (hfile.md §17.1).
//!
//! **Data blocks** are plain cells in memory whatever their encoding on disk: delta encodings are undone when
//! a block is loaded. The cost is memory (a cached block takes as much as its decoded cells); the gain is one
//! cursor, one seek index and one speed for all encodings.
//!
//! | HBase | here |
//! |---|---|
//! | `FixedFileTrailer` | [`Trailer`] |
//! | `HFileInfo` | [`FileInfo`] |
//! | `HFileBlockIndex` | the data index (internal) |
//! | `CompoundBloomFilter` | [`BloomFilter`] |
//! | `HFile.Reader`, `HFileReaderImpl` | [`HFile`] |
//! | `HFileScanner` | [`HFileScanner`] |
//! | `HFile.Writer`, `HFileWriterImpl` | [`HFileWriter`] |
//! | `StoreFileWriter` | [`StoreFileWriter`] |
//! | `Encryption.Context` | [`Encryption`] |

mod block_decoder;
pub(crate) mod bloom;
pub(crate) mod comparator;
mod copy;
mod encryption;
pub(crate) mod file_info;
mod index;
mod job_queue;
mod open;
mod options;
mod part_reads;
mod partial_block;
mod read_ahead;
mod reader;
mod reader_core;
mod row_lookup;
mod salvage;
mod scanner;
mod source;
mod store_file_writer;
pub(crate) mod trailer;
mod verify;
mod writer;

pub use bloom::{BloomFilter, BloomMeta, BloomType};
pub(crate) use copy::Digest;
pub use encryption::Encryption;
pub use file_info::{FileInfo, FileTimeRange};
pub(crate) use job_queue::{Claim, HeldQueue, Job, JobQueue, Task};
pub use options::HFileOptions;
pub(crate) use part_reads::BatchRead;
pub use reader::HFile;
pub(crate) use row_lookup::{LookupStart, NotCached, RowCursor, RowLookup};
pub use salvage::{LostBlock, SalvageReport};
pub(crate) use scanner::ReversedHFileScanner;
pub use scanner::{HFileScanner, SeekResult};
pub(crate) use scanner::{RowVisitor, RowWalk};
pub use store_file_writer::{StoreFileOrigin, StoreFileWriter};
pub use trailer::Trailer;
pub use verify::VerifyReport;
pub(crate) use writer::MIN_BYTES_PER_CHECKSUM;
pub use writer::{HFileWriter, HFileWriterOptions};

use std::time::Instant;

/// Holds the queues of the threads that decode and compress blocks.
pub(crate) fn hold_queues(end: Instant) -> [Box<dyn HeldQueue>; 2] {
    [read_ahead::hold_queue(end), writer::hold_queue(end)]
}
