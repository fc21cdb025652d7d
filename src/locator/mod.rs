//! Locating the region that contains a row, and its server (locator.md).
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
//! | [`Registry`] | locates the catalog: [`RootDir`], [`FixedRegistry`], or (`cluster`) `ZooKeeperRegistry` |
//! | [`Catalog`] | lists the regions of all tables: [`MetaRegion`], [`RegionDirs`], [`FixedRegistry`] |
//! | [`CatalogRow`] | a row of the catalog, as HBase writes it |

mod cache;
mod catalog;
mod catalog_row;
mod fault;
mod fixed_registry;
mod flights;
mod locate;
mod meta_region;
mod old_catalog;
mod region_dirs;
mod region_locations;
mod region_state;
mod registry;
mod retry;
mod root_dir;
mod search;
mod server_name;
mod table_state;
mod tiling;
#[cfg(feature = "cluster")]
pub(crate) mod zookeeper;

pub use cache::{MetaCache, Source};
pub use catalog::{Catalog, CatalogEntry};
pub use catalog_row::{Assignment, CatalogRow};
pub use fault::Fault;
pub use fixed_registry::FixedRegistry;
pub use locate::Locator;
pub use meta_region::MetaRegion;
pub use old_catalog::{compare_root_rows, nested_key};
pub use region_dirs::RegionDirs;
pub use region_locations::{NO_SEQ_NUM, RegionLocations, Replica};
pub use region_state::RegionState;
pub use registry::Registry;
pub use retry::RetryPolicy;
pub use root_dir::RootDir;
pub use search::{CatalogRange, Position};
pub use server_name::ServerName;
pub use table_state::TableState;
pub use tiling::{TilingFault, serving, tiling_faults};
#[cfg(feature = "cluster")]
pub use zookeeper::ZooKeeperRegistry;
