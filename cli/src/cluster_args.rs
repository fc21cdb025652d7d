//! Arguments that locate `hbase:meta`.

use crate::failure::{CommandError, Failure};
#[cfg(feature = "cluster")]
use hregion::locator::RetryPolicy;
use hregion::{Locator, TableName};
use std::path::PathBuf;
#[cfg(feature = "cluster")]
use std::{sync::Arc, time::Duration};

/// The location of the catalog.
#[derive(clap::Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct ClusterArgs {
    /// HBase's root directory: uses its catalog, data/hbase/meta, or else the region directories
    #[arg(long, value_name = "ROOT")]
    meta: Option<PathBuf>,

    /// The ZooKeeper quorum of a running cluster, `host:port,…`: it has the location of hbase:meta
    #[arg(long, value_name = "HOST:PORT")]
    zookeeper: Option<String>,

    /// The servers of a running cluster
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Option<String>,
}

/// Timeout for requests to a running cluster.
#[cfg(feature = "cluster")]
const TIMEOUT: Duration = Duration::from_secs(30);

const REMOTE: &str = "reading hbase:meta from a region server is not built yet";
const HINT: Option<&str> = Some("--meta reads it from the root directory");

impl ClusterArgs {
    /// Returns a locator that can find the regions of the table.
    pub(crate) fn locator(&self, table: &TableName) -> Result<Locator, Failure> {
        if let Some(root) = &self.meta {
            return Ok(Locator::open(root)?);
        }
        let Some(quorum) = &self.zookeeper else {
            return Err(CommandError::lacking(REMOTE).with_hint(HINT).into());
        };
        if !table.is_meta() {
            return Err(CommandError::lacking(REMOTE).with_hint(HINT).into());
        }
        remote(quorum)
    }
}

/// Returns a locator for the catalog only.
#[cfg(feature = "cluster")]
fn remote(quorum: &str) -> Result<Locator, Failure> {
    let registry = hregion::locator::ZooKeeperRegistry::new(quorum)?;
    let retries = RetryPolicy::default().operation_timeout(TIMEOUT);
    let nothing = hregion::locator::StaticRegistry::new();
    Ok(Locator::new(Arc::new(registry), Arc::new(nothing)).retries(retries))
}

#[cfg(not(feature = "cluster"))]
fn remote(_: &str) -> Result<Locator, Failure> {
    Err(CommandError::lacking("ZooKeeper is not built in")
        .with_hint(Some("the feature `cluster` has it"))
        .into())
}

/// Parses a table name in its printed form.
pub(crate) fn table_name(text: &str) -> Result<TableName, String> {
    TableName::parse(text).map_err(|error| error.message())
}
