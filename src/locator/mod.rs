//! Which region has a row of a table, and which server has the region (locator.md).

mod region_locations;
mod registry;
mod server_name;
#[cfg(feature = "cluster")]
pub(crate) mod zookeeper;

pub use region_locations::{NO_SEQ_NUM, RegionLocations, Replica};
pub use registry::Registry;
pub use server_name::ServerName;
#[cfg(feature = "cluster")]
pub use zookeeper::ZooKeeperRegistry;
