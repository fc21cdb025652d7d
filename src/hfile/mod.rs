//! One file: how its blocks refer to each other.
//!
//! ```text
//!        +------------------------------------------------------------+
//!      0 | DATA or ENCODED_DATA   cells, sorted                       |  scanned section
//!        | …                                                          |
//!        | LEAF_INDEX             among the data blocks, once enough  |
//!        | BLOOM_CHUNK            of either has come together         |
//!        | …                                                          |
//!        +------------------------------------------------------------+
//!        | META                   somebody's own, by name             |  non-scanned section
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
//! Every block has a header with its size, its type and the offset of the block before of its type, and from v2.1 on
//! checksums behind its payload ([`BlockHeader`](crate::BlockHeader)). The trailer has none, so what it says is
//! compared with what the rest says.
//!
//! **Opening** reads the end of the file: the trailer says where the load-on-open section begins. One read if that lies
//! within 64 KiB of the end, else two. No data is read.
//!
//! **A seek** takes, in the root and in each index block below, the last entry whose key is not after the one wanted, at
//! most 16 times, and then searches the data block for the first cell that is not before it. An index key may be shorter
//! than any real one, so that cell may be the first of the next block, or the key may lie before all cells of its block.
//!
//! **A walk** goes from index entry to index entry, never by the sizes in block headers, and compares at each border:
//! the block's link to the one before, and that the cells lie between the index keys around them. Together with the
//! number of cells and the last key, which are compared at the end, no single flipped bit goes unseen (hfile.md §17.1).
//!
//! **Data blocks** are plain cells in memory whatever they are on disk: delta encodings are undone when a block is loaded.
//! That costs memory (a block in the cache takes what its cells take) and buys one cursor, one seek index and one
//! speed for all encodings.
//!
//! | HBase | here |
//! |---|---|
//! | `FixedFileTrailer` | [`Trailer`] |
//! | `HFileInfo` | [`FileInfo`] |
//! | `HFileBlockIndex` | the index, inside |
//! | `CompoundBloomFilter` | [`BloomFilter`] |
//! | `HFile.Reader`, `HFileReaderImpl` | [`HFile`] |
//! | `HFileScanner` | [`HFileScanner`] |
//! | `HFile.Writer`, `HFileWriterImpl` | [`HFileWriter`] |
//! | `StoreFileWriter` | [`StoreFileWriter`] |
//! | `Encryption.Context` | [`Encryption`] |

pub(crate) mod bloom;
pub(crate) mod comparator;
mod encryption;
pub(crate) mod file_info;
mod index;
mod inner;
mod open;
mod options;
mod point;
mod reader;
mod salvage;
mod scanner;
mod source;
mod store_file_writer;
pub(crate) mod trailer;
mod verify;
mod writer;

pub use bloom::{BloomFilter, BloomMeta, BloomType};
pub use encryption::Encryption;
pub use file_info::{FileInfo, FileTimeRange};
pub use options::HFileOptions;
pub(crate) use point::{Located, NotCached, RowCursor};
pub use reader::HFile;
pub use salvage::{LostBlock, SalvageReport};
pub(crate) use scanner::ReversedHFileScanner;
pub use scanner::{HFileScanner, Seek};
pub(crate) use scanner::{RowVisitor, RowWalk};
pub use store_file_writer::{StoreFileOrigin, StoreFileWriter};
pub use trailer::Trailer;
pub use verify::VerifyReport;
pub use writer::{HFileWriter, HFileWriterOptions};
