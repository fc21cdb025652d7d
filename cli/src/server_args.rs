//! Arguments that name a running cluster, whose table is read in place of files.

use crate::args::FileArgs;
use crate::failure::{CommandError, Failure};
use crate::query_args::{CellArgs, RowArgs};
use crate::target_args::TargetArgs;
use hregion::{Cursor, RowRef};
use std::path::PathBuf;

/// The running cluster to read from. Without it, TARGET is in the file system.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Running cluster")]
pub(crate) struct ServerArgs {
    /// The ZooKeeper quorum of a running cluster, `host:port,…`: TARGET is a table of it
    #[arg(long, value_name = "HOST:PORT")]
    zookeeper: Option<String>,

    /// The cluster's znode
    #[arg(long, value_name = "PATH", requires = "zookeeper")]
    znode: Option<String>,

    /// Masters or region servers of a running cluster, `host:port,…`: TARGET is a table of it
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "zookeeper")]
    bootstrap: Option<String>,

    /// A file hbase-site.xml that describes a running cluster: TARGET is a table of it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["zookeeper", "bootstrap"])]
    site: Option<PathBuf>,

    /// Time for one row, or for the next ones of a scan, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

impl ServerArgs {
    fn is_given(&self) -> bool {
        self.zookeeper.is_some() || self.bootstrap.is_some() || self.site.is_some()
    }

    /// Fails if other arguments have a meaning for files only.
    fn check(target: &TargetArgs, cells: &CellArgs, reading: &FileArgs) -> Result<(), CommandError> {
        let mistaken = [
            ("--as", target.kind.is_some()),
            ("--now", cells.has_now()),
            ("options for reading files", reading.is_given()),
        ];
        match mistaken.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => {
                Err(CommandError::usage(format!("{name}: not allowed with a running cluster")))
            }
        }
    }
}

#[cfg(feature = "cluster")]
pub(crate) use with_client::*;

#[cfg(feature = "cluster")]
mod with_client {
    use super::{CellArgs, CommandError, Cursor, Failure, FileArgs, RowArgs, RowRef, ServerArgs, TargetArgs};
    use crate::cluster_args::table_name;
    use hregion::locator::{RetryPolicy, ZooKeeperRegistry};
    use hregion_client::blocking::{Client, Table};
    use std::sync::Arc;
    use std::time::Duration;

    const TIMEOUT: u64 = 60;

    impl ServerArgs {
        /// Returns the client of the cluster, if one is named.
        pub(crate) fn client(&self) -> Result<Option<Client>, Failure> {
            let timeout = Duration::from_secs(self.timeout.unwrap_or(TIMEOUT));
            let build = |builder: hregion_client::ClientBuilder| {
                let builder = builder.retries(RetryPolicy::default().operation_timeout(timeout));
                if let Some(site) = &self.site {
                    return builder.site(site);
                }
                if let Some(servers) = &self.bootstrap {
                    return builder.bootstrap(servers);
                }
                let mut registry = ZooKeeperRegistry::new(self.zookeeper.as_deref().unwrap_or_default())?;
                if let Some(znode) = &self.znode {
                    registry = registry.with_base_znode(znode)?;
                }
                builder.registry(Arc::new(registry))
            };
            Ok(self.is_given().then(|| Client::new(build)).transpose()?)
        }

        /// Returns the table of the cluster, if one is named.
        pub(crate) fn table(
            &self,
            target: &TargetArgs,
            cells: &CellArgs,
            reading: &FileArgs,
        ) -> Result<Option<Table>, Failure> {
            let Some(client) = self.client()? else { return Ok(None) };
            Self::check(target, cells, reading)?;
            let name = target.target.to_string_lossy();
            let name =
                table_name(&name).map_err(|reason| CommandError::usage(format!("{name}: {reason}")))?;
            Ok(Some(client.table(&name)))
        }
    }

    /// Passes the rows of a table of a cluster, or pieces of them, to `take`. Returns where to continue if the
    /// limit was reached.
    pub(crate) fn scan(
        table: &Table,
        rows: &RowArgs,
        cells: &CellArgs,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        let selected = rows.scan(cells);
        let limit = selected.limit.unwrap_or_default();
        let (mut count, mut last) = (0, Vec::new());
        for result in table.scan(selected.scan.limit(limit))? {
            let row = result?.row;
            if count == 0 || row.key() != last {
                count += 1;
                last = row.key().to_vec();
            }
            take(row.as_row())?;
        }
        Ok((limit > 0 && count >= limit).then(|| Cursor::new(last, false)))
    }

    /// Passes a row of a table of a cluster to `take`.
    pub(crate) fn get(
        table: &Table,
        row: &[u8],
        cells: &CellArgs,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !cells.is_raw() {
            return take(table.get(&cells.get(row))?.as_row());
        }
        let scan = cells.scan().start_row(row.to_vec(), true).stop_row(row.to_vec(), true);
        for result in table.scan(scan)? {
            take(result?.row.as_row())?;
        }
        Ok(())
    }
}

#[cfg(not(feature = "cluster"))]
pub(crate) use without_client::*;

#[cfg(not(feature = "cluster"))]
mod without_client {
    use super::{CellArgs, CommandError, Cursor, Failure, FileArgs, RowArgs, RowRef, ServerArgs, TargetArgs};
    use std::convert::Infallible;

    impl ServerArgs {
        /// Fails if a cluster is named.
        pub(crate) fn client(&self) -> Result<Option<Infallible>, Failure> {
            if !self.is_given() {
                return Ok(None);
            }
            Err(CommandError::lacking("reading from a running cluster is not built in")
                .with_hint(Some("the feature `cluster` has it"))
                .into())
        }

        /// Fails if a cluster is named.
        pub(crate) fn table(
            &self,
            target: &TargetArgs,
            cells: &CellArgs,
            reading: &FileArgs,
        ) -> Result<Option<Infallible>, Failure> {
            let client = self.client()?;
            if client.is_some() {
                Self::check(target, cells, reading)?;
            }
            Ok(client)
        }
    }

    pub(crate) fn scan(
        table: &Infallible,
        _: &RowArgs,
        _: &CellArgs,
        _: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        match *table {}
    }

    pub(crate) fn get(
        table: &Infallible,
        _: &[u8],
        _: &CellArgs,
        _: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match *table {}
    }
}
