//! The bodies of the fuzz targets. They are compiled with every build, so that they stay valid.
//!
//! Each takes any bytes and panics if, and only if, a guarantee of the library is violated: bytes result in
//! an error or in the right answer, within the limits, and the fast path agrees with the slow one. `fuzz/`
//! has a one-line harness for each; `tests/suite/fuzz_bodies.rs` runs them over the files of `testdata` and
//! mutations of these.

mod block;
mod block_index;
mod bloom;
mod catalog_row;
mod codec;
mod data_block;
mod file_info;
mod filter_language;
mod filter_proto;
mod hfile;
mod input;
mod region_dir;
mod region_files;
mod store_files;
mod trailer;
mod wal;
mod write_read;
#[cfg(feature = "cluster")]
mod znode;

pub use block::block;
pub use block_index::block_index;
pub use bloom::bloom;
pub use catalog_row::{CATALOG_COLUMNS, catalog_row};
pub use codec::codec;
pub use data_block::data_block;
pub use file_info::file_info;
pub use filter_language::filter_language;
pub use filter_proto::filter_proto;
pub use hfile::{hfile, hfile_resealed};
pub use region_dir::region_dir;
pub use region_files::region_files;
pub use store_files::store_files;
pub use trailer::trailer;
pub use wal::wal;
pub use write_read::write_read;
#[cfg(feature = "cluster")]
pub use znode::znode;

/// A target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("trailer", trailer),
    ("file_info", file_info),
    ("block", block),
    ("data_block", data_block),
    ("block_index", block_index),
    ("bloom", bloom),
    ("codec", codec),
    ("hfile", hfile),
    ("hfile_resealed", hfile_resealed),
    ("write_read", write_read),
    ("region_files", region_files),
    ("region_dir", region_dir),
    ("store_files", store_files),
    ("filter_language", filter_language),
    ("filter_proto", filter_proto),
    ("catalog_row", catalog_row),
    ("wal", wal),
    #[cfg(feature = "cluster")]
    ("znode", znode),
];
