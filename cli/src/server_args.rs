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
    /// Use the running cluster of this ZooKeeper quorum, `host:port,…`
    ///
    /// A table is then given by its name instead of its directory.
    #[arg(long, value_name = "HOST:PORT", group = "running_cluster")]
    zookeeper: Option<String>,

    /// Base znode of the cluster [default: /hbase]
    #[arg(long, value_name = "PATH", requires = "zookeeper")]
    znode: Option<String>,

    /// Use the running cluster of these masters or region servers, `host:port,…`
    ///
    /// A table is then given by its name instead of its directory.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "zookeeper", group = "running_cluster")]
    bootstrap: Option<String>,

    /// Use the running cluster with this hbase-site.xml, which gives its address and authentication
    ///
    /// A table is then given by its name instead of its directory.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["zookeeper", "bootstrap"])]
    #[arg(group = "running_cluster")]
    site: Option<PathBuf>,

    /// Timeout of an operation in seconds; 0 for none [default: 60; shell: 1200]
    ///
    /// An operation is a get, a write, a request for rows of a scan, or a change of a table. A site file may
    /// set another default.
    #[arg(long, value_name = "SECONDS", requires = "running_cluster")]
    timeout: Option<u64>,
}

impl ServerArgs {
    /// Whether a running cluster is named.
    pub(crate) fn is_given(&self) -> bool {
        self.zookeeper.is_some() || self.bootstrap.is_some() || self.site.is_some()
    }

    /// Fails if other arguments have a meaning for files only.
    fn check(target: &TargetArgs, cells: &CellArgs, reading: Option<&FileArgs>) -> Result<(), CommandError> {
        let mistaken = [
            ("--as", target.kind.is_some()),
            ("--now", cells.has_now()),
            ("options for reading files", reading.is_some_and(FileArgs::is_given)),
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
pub(crate) use with_client::ServerTable;

#[cfg(feature = "cluster")]
mod with_client {
    use super::{CellArgs, CommandError, Cursor, Failure, FileArgs, RowArgs, RowRef, ServerArgs, TargetArgs};
    use crate::cluster_args::table_name;
    use crate::scan_rows::within;
    use hregion::locator::{RetryPolicy, ZooKeeperRegistry, check_region_chain};
    use hregion::{Family, RegionInfo, TableName};
    use hregion_client::blocking::{Client, Table};
    use std::sync::Arc;
    use std::time::Duration;

    /// The time of an operation that reads, unless the site file has another.
    const TIMEOUT: Duration = Duration::from_secs(60);

    impl ServerArgs {
        /// Returns the client of the cluster to read from, if one is named.
        pub(crate) fn client(&self) -> Result<Option<Client>, Failure> {
            self.client_with(RetryPolicy::default().operation_timeout(TIMEOUT))
        }

        /// Returns the client of the cluster for a shell, if one is named. Changes of tables may take longer
        /// than reading: servers open or close all regions.
        pub(crate) fn client_of_shell(&self) -> Result<Option<Client>, Failure> {
            self.client_with(RetryPolicy::default())
        }

        /// `retries` is for an operation without `--timeout`, unless the site file has another time.
        fn client_with(&self, retries: RetryPolicy) -> Result<Option<Client>, Failure> {
            let build = |builder: hregion_client::ClientBuilder| {
                let builder = match self.timeout {
                    Some(seconds) => builder.operation_timeout(Duration::from_secs(seconds)),
                    None => builder.retries(retries),
                };
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

        /// Returns the table of the cluster, if one is named. `reading` are options for its files, which it
        /// does not have.
        pub(crate) fn table(
            &self,
            target: &TargetArgs,
            cells: &CellArgs,
            reading: Option<&FileArgs>,
        ) -> Result<Option<ServerTable>, Failure> {
            let Some(client) = self.client()? else { return Ok(None) };
            Self::check(target, cells, reading)?;
            let name = target.target.to_string_lossy();
            let name =
                table_name(&name).map_err(|reason| CommandError::usage(format!("{name}: {reason}")))?;
            let table = client.table(&name);
            Ok(Some(ServerTable { client, name, table }))
        }
    }

    /// A table of a running cluster.
    pub(crate) struct ServerTable {
        client: Client,
        name: TableName,
        table: Table,
    }

    impl ServerTable {
        /// Passes the rows of the table, or pieces of them, to `take`. Returns where to continue if the limit
        /// was reached.
        pub(crate) fn scan(
            &self,
            rows: &RowArgs,
            cells: &CellArgs,
            mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
        ) -> Result<Option<Cursor>, Failure> {
            let selected = rows.scan(cells);
            let limit = selected.limit.unwrap_or_default();
            let (mut count, mut last) = (0, Vec::new());
            for result in self.table.scan(selected.scan.limit(limit))? {
                let row = result?.row;
                if count == 0 || row.key() != last {
                    count += 1;
                    last = row.key().to_vec();
                }
                take(row.as_row())?;
            }
            Ok((limit > 0 && count >= limit).then(|| Cursor::new(last, false)))
        }

        /// Passes a row to `take`.
        pub(crate) fn get(
            &self,
            row: &[u8],
            cells: &CellArgs,
            mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
        ) -> Result<(), Failure> {
            if !cells.is_raw() {
                return take(self.table.get(&cells.get(row))?.as_row());
            }
            for result in self.table.scan(cells.raw_scan(row))? {
                take(result?.row.as_row())?;
            }
            Ok(())
        }

        /// Returns the families.
        pub(crate) fn families(&self) -> Result<Vec<Family>, Failure> {
            Ok(self.client.families(&self.name)?)
        }

        /// Returns the regions that may contain rows of a range, in row order.
        pub(crate) fn regions(&self, rows: &RowArgs) -> Result<Vec<RegionInfo>, Failure> {
            self.client.check_enabled(&self.name)?;
            let found = self.client.regions(&self.name)?;
            let regions: Vec<RegionInfo> = found.iter().map(|found| found.region().clone()).collect();
            // rows of a hole would be left out
            if let Some(fault) = check_region_chain(&regions).first() {
                return Err(fault.to_error().into());
            }
            let wanted = |region: &RegionInfo| rows.overlaps(region.start_key(), region.end_key());
            Ok(regions.into_iter().filter(wanted).collect())
        }

        /// Passes the rows of a region to `take`. If the region has been split or moved, its rows are read
        /// where they are.
        pub(crate) fn scan_region(
            &self,
            region: &RegionInfo,
            rows: &RowArgs,
            cells: &CellArgs,
            mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
        ) -> Result<(), Failure> {
            let scan = within(rows.scan(cells).scan, region.start_key(), region.end_key());
            for result in self.table.scan(scan)? {
                take(result?.row.as_row())?;
            }
            Ok(())
        }
    }
}

#[cfg(not(feature = "cluster"))]
pub(crate) use without_client::ServerTable;

#[cfg(not(feature = "cluster"))]
mod without_client {
    use super::{CellArgs, CommandError, Cursor, Failure, FileArgs, RowArgs, RowRef, ServerArgs, TargetArgs};
    use hregion::{Family, RegionInfo};
    use std::convert::Infallible;

    impl ServerArgs {
        /// Fails if a cluster is named.
        pub(crate) fn client(&self) -> Result<Option<Infallible>, Failure> {
            if !self.is_given() {
                return Ok(None);
            }
            Err(CommandError::lacking("reading from a running cluster is not built in")
                .with_hint(Some("build with the feature `cluster`"))
                .into())
        }

        /// Fails if a cluster is named.
        pub(crate) fn client_of_shell(&self) -> Result<Option<Infallible>, Failure> {
            self.client()
        }

        /// Fails if a cluster is named.
        pub(crate) fn table(
            &self,
            target: &TargetArgs,
            cells: &CellArgs,
            reading: Option<&FileArgs>,
        ) -> Result<Option<ServerTable>, Failure> {
            match self.client()? {
                None => Ok(None),
                Some(never) => {
                    Self::check(target, cells, reading)?;
                    Ok(Some(ServerTable(never)))
                }
            }
        }
    }

    /// A table of a running cluster: there is none.
    pub(crate) struct ServerTable(Infallible);

    impl ServerTable {
        pub(crate) fn scan(
            &self,
            _: &RowArgs,
            _: &CellArgs,
            _: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
        ) -> Result<Option<Cursor>, Failure> {
            match self.0 {}
        }

        pub(crate) fn get(
            &self,
            _: &[u8],
            _: &CellArgs,
            _: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
        ) -> Result<(), Failure> {
            match self.0 {}
        }

        pub(crate) fn families(&self) -> Result<Vec<Family>, Failure> {
            match self.0 {}
        }

        pub(crate) fn regions(&self, _: &RowArgs) -> Result<Vec<RegionInfo>, Failure> {
            match self.0 {}
        }

        pub(crate) fn scan_region(
            &self,
            _: &RegionInfo,
            _: &RowArgs,
            _: &CellArgs,
            _: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
        ) -> Result<(), Failure> {
            match self.0 {}
        }
    }
}
