//! Settings of tables and families: the retention of cells, and the format of files.

mod bloom_type;
mod cipher;
mod codec;
mod data_block_encoding;
mod description;
pub(crate) mod descriptor;
mod family;
mod region_info;
pub(crate) mod region_name;
mod serving;
mod snapshot_description;
mod table_name;

pub use bloom_type::BloomType;
pub use cipher::Cipher;
pub use codec::Codec;
pub use data_block_encoding::DataBlockEncoding;
pub use description::{FamilyDescription, TableDescription};
pub(crate) use descriptor::TableDescriptor;
pub(crate) use family::is_legal_name;
pub use family::{Family, KeepDeletedCells};
pub use region_info::RegionInfo;
pub use region_name::RegionName;
pub use serving::serving;
pub use snapshot_description::{SnapshotDescription, SnapshotType};
pub use table_name::TableName;
