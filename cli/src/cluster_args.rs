//! Arguments that locate `hbase:meta`.

use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::server_args::ServerArgs;
use crate::vfs::{self, check_readable};
use hregion::locator::{Catalog, CatalogRow, RetryPolicy, RootDir};
use hregion::{Deadline, Locator, RegionLocations, Result, TableName};
#[cfg(feature = "cluster")]
use hregion_client::blocking::Client;
#[cfg(not(feature = "cluster"))]
use std::convert::Infallible as Client;
use std::path::PathBuf;
use std::sync::Arc;

/// The location of the catalog.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ClusterArgs {
    /// Use the hbase:meta of this root directory, or its region directories if it has none
    #[arg(long, value_name = "ROOT", required_unless_present_any = ["zookeeper", "bootstrap", "site"])]
    #[arg(conflicts_with_all = ["zookeeper", "bootstrap", "site"])]
    meta: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArgs,
}

/// A finder of regions.
pub(crate) enum RegionFinder {
    /// The catalog of a root directory.
    Root(Box<Locator>),
    /// A running cluster.
    Cluster(Client),
}

impl ClusterArgs {
    /// Returns the finder of tables' regions. Warns of what is not read of a catalog on a disk.
    pub(crate) fn finder(&self, out: &Output) -> Result<RegionFinder, Failure> {
        if let Some(root) = &self.meta {
            check_readable(root)?;
            let root = RootDir::with_storage(vfs::storage(), root);
            let catalog: Arc<dyn Catalog> = match root.meta_region()? {
                Some(meta) => {
                    out.warner_of_reads().warn_of(meta.region());
                    Arc::new(meta)
                }
                None => root.catalog()?,
            };
            let locator = Locator::new(Arc::new(root), catalog).retries(RetryPolicy::no_retries());
            return Ok(RegionFinder::Root(Box::new(locator.needs_server(false))));
        }
        if let Some(client) = self.server.client()? {
            return Ok(RegionFinder::Cluster(client));
        }
        Err(CommandError::usage("expected --meta, --zookeeper, --bootstrap or --site").into())
    }
}

impl RegionFinder {
    /// Returns the region of a row, if the table is not disabled.
    pub(crate) fn locate(&self, table: &TableName, row: &[u8]) -> Result<RegionLocations> {
        match self {
            Self::Root(locator) => {
                let found = locator.locate(table, row)?;
                // the catalog keeps the last servers of the regions of a disabled table
                locator.check_enabled(table, Deadline::NEVER)?;
                Ok(found)
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(client) => {
                let found = client.locate(table, row)?;
                client.check_enabled(table)?;
                Ok(found)
            }
            #[cfg(not(feature = "cluster"))]
            Self::Cluster(client) => match *client {},
        }
    }

    /// Returns the regions of a table, in row order.
    pub(crate) fn regions(&self, table: &TableName) -> Result<Vec<CatalogRow>> {
        match self {
            Self::Root(locator) => locator.regions(table),
            #[cfg(feature = "cluster")]
            Self::Cluster(client) => client.regions(table),
            #[cfg(not(feature = "cluster"))]
            Self::Cluster(client) => match *client {},
        }
    }
}

/// Parses a table name in its printed form.
pub(crate) fn table_name(text: &str) -> Result<TableName, String> {
    TableName::parse(text).map_err(|error| error.message())
}
