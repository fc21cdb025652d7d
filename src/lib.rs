//! HBase's RegionServer read path as an embeddable storage crate.
//!
//! So far: its files. [`HFile`] opens what HBase wrote, from 0.92 to 3.0, and checks it; [`HFileScanner`] walks and searches
//! it; [`BlockCache`] keeps decoded blocks for as many files as one likes; [`HFileWriter`] and [`StoreFileWriter`] write
//! files that HBase takes for its own, byte for byte.
//!
//! ```
//! use hregion::{BlockCache, HFile, SeekKey};
//!
//! # fn main() -> hregion::Result<()> {
//! let cache = BlockCache::with_capacity(64 << 20); // bytes
//! let file = HFile::options().cache(&cache).open("testdata/golden/region-a-flush1.hfile")?;
//! let mut cells = file.scanner();
//! cells.seek(&SeekKey::first_on_row(b"row-00555"))?;
//! let cell = cells.peek().expect("a row at or behind the one wanted");
//! println!("{cell}"); // row-00555/cf:col2/1600437568893/Put/vlen=3/seqid=7
//! assert!(cell.row() >= b"row-00555".as_slice());
//! # Ok(())
//! # }
//! ```
//!
//! | layer | modules | what it knows |
//! |---|---|---|
//! | file | [`hfile`] | how blocks refer to each other |
//! | cache | [`cache`] | decoded blocks, bounded by bytes |
//! | block | [`block`] | one block: header, checksums, codecs, encodings, index entries, Bloom bits |
//! | bytes | [`io`] | a file is bytes at an offset, and can fail |
//! | cell | [`cell`] | what a cell is, and how cells sort |
//!
//! Any bytes in any file give an [`Error`] or right cells: no panic, no hang, no allocation beyond [`Limits`].
//! Errors say where ([`Error::path`], [`Error::offset`], [`Error::block`]) and what ([`Error::corruption`]).
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "the numbers of tests are small"
    )
)]

#[doc(hidden)]
pub mod bench;
mod binary;
pub mod block;
pub mod cache;
pub mod cell;
mod coding;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod hfile;
pub mod io;
mod limits;
mod proto;

pub use block::{BlockHandle, BlockHeader, BlockType, ChecksumType, Codec, DataBlockEncoding, HashKind};
pub use cache::{BlockCache, CacheStats};
pub use cell::{Cell, CellKey, CellOrder, CellRef, CellType, SeekKey};
pub use error::{Corruption, Error, ErrorKind, Result};
pub use hfile::{
    BloomFilter, BloomType, FileInfo, HFile, HFileOptions, HFileScanner, HFileWriter, HFileWriterOptions,
    LostBlock, SalvageReport, Seek, StoreFileOrigin, StoreFileWriter, Trailer, VerifyReport,
};
pub use io::{FileReader, LocalFile, LocalStorage, MemoryFile, Storage};
pub use limits::Limits;

/// The README's example, which compiles and runs as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
