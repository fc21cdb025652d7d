//! HBase's RegionServer read path as an embeddable storage crate.
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "the numbers of tests are small"
    )
)]

mod binary;
pub mod block;
pub mod cache;
pub mod cell;
mod coding;
mod error;
mod hash;
pub mod io;
mod limits;

pub use block::{BlockHandle, BlockHeader, BlockType, ChecksumType, Codec, DataBlockEncoding, HashKind};
pub use cache::{BlockCache, CacheStats};
pub use cell::{Cell, CellKey, CellOrder, CellRef, CellType, SeekKey};
pub use error::{Corruption, Error, ErrorKind, Result};
pub use io::{FileReader, LocalFile, LocalStorage, MemoryFile, Storage};
pub use limits::Limits;
