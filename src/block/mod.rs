//! Single blocks and their formats (hfile.md §6 to §10). Independent of files and of other blocks.

mod block_type;
pub(crate) mod bloom;
pub(crate) mod checksum;
pub(crate) mod codec;
pub(crate) mod crypto;
pub(crate) mod data;
pub(crate) mod decode;
pub(crate) mod header;
pub(crate) mod index;
pub(crate) mod search;
pub(crate) mod slot;
pub(crate) mod writer;

pub use block_type::BlockType;
pub use bloom::BloomHashType;
pub use checksum::ChecksumType;
pub use codec::Codec;
pub use data::DataBlockEncoding;
pub use header::BlockHeader;
pub use index::BlockHandle;
