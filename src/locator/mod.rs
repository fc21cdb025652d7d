//! Locates the region that contains a row, and its server (locator.md; HBase: `AsyncRegionLocator`).
//!
//! ```
//! use hregion::{Locator, TableName};
//!
//! # fn main() -> hregion::Result<()> {
//! # let root = "testdata/region/split-references/root";
//! let locator = Locator::open(root)?; // a directory that HBase left
//! let place = locator.locate(&TableName::parse("halves")?, "row-0007")?;
//! println!("{} on {:?}", place.region(), place.server());
//! # assert_eq!(place.region().end_key(), b"row-0060");
//! # Ok(())
//! # }
//! ```
//!
//! | | |
//! |---|---|
//! | [`Locator`] | finds regions and caches them |
//! | [`MetaCache`] | the cache |
//! | [`ConnectionRegistry`] | finds the catalog: [`RootDir`], [`StaticRegistry`], `ZooKeeperRegistry` |
//! | [`Catalog`] | lists all regions: [`MetaRegion`], [`DirectoryCatalog`], [`StaticRegistry`] |
//! | [`CatalogRow`] | a row of the catalog, as HBase writes it |
//!
//! `ZooKeeperRegistry` needs the feature `cluster`.

mod cache;
mod catalog;
mod catalog_row;
mod directory_catalog;
mod locate;
mod meta_region;
mod region_chain;
mod region_exception;
mod region_locations;
mod region_state;
mod registry;
mod retry;
mod root_catalog;
mod root_dir;
mod search;
mod server_name;
mod singleflight;
mod static_registry;
mod table_state;
mod turn;
#[cfg(feature = "cluster")]
pub(crate) mod zookeeper;

pub use crate::schema::serving;
pub use cache::{CachedLocations, KnownRegions, LocationOrigin, MetaCache};
pub use catalog::{Catalog, CatalogEntry};
pub use catalog_row::{Assignment, CatalogRow, max_replica_id};
pub(crate) use catalog_row::{INFO, is_merge_column};
pub use directory_catalog::DirectoryCatalog;
pub(crate) use directory_catalog::dir_exists;
pub use locate::Locator;
pub use meta_region::MetaRegion;
pub(crate) use meta_region::{STATE, TABLE};
pub use region_chain::{RegionInconsistency, check_region_chain};
pub use region_exception::RegionException;
pub use region_locations::{NO_SEQ_NUM, RegionLocations, Replica};
pub use region_state::RegionState;
pub use registry::ConnectionRegistry;
pub use retry::RetryPolicy;
pub use root_catalog::{compare_root_rows, nested_key};
pub use root_dir::RootDir;
pub use search::{CatalogRange, LocateType};
pub use server_name::ServerName;
pub use static_registry::StaticRegistry;
pub use table_state::TableState;
#[cfg(feature = "cluster")]
pub use zookeeper::{
    EncryptedSession, Encryption, SaslExchange, SaslMechanism, SaslStep, Socket, ZooKeeperRegistry,
};
