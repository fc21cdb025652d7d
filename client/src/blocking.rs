//! The client for callers without an asynchronous runtime: each call waits for its response.
//!
//! ```no_run
//! use hregion::{Get, Scan, TableName};
//!
//! # fn main() -> hregion::Result<()> {
//! let client = hregion_client::blocking::Client::new(|builder| builder.zookeeper("localhost:2181"))?;
//! let table = client.table(&TableName::parse("users")?);
//! println!("{:?}", table.get(&Get::new("row-0007"))?);
//! for result in table.scan(Scan::new().limit(10))? {
//!     println!("{:?}", result?.row);
//! }
//! # Ok(())
//! # }
//! ```

use crate::{ClientBuilder, ScanMetrics, Scanner as AsyncScanner};
use hregion::locator::{CatalogRow, TableState};
use hregion::{
    Append, CheckAndMutate, CheckResult, Compaction, Delete, Error, Family, Get, Increment, Mutation, Put,
    RegionLocations, Result, Row, Scan, ScanResult, ServerName, SnapshotDescription, TableChanges,
    TableDescription, TableName,
};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Defines methods that wait for those of the same name.
macro_rules! waiting {
    ($field:ident: $of:ty: $($name:ident($($arg:ident: $kind:ty),*) -> $result:ty),+ $(,)?) => {$(
        #[doc = concat!("As [`", stringify!($of), "::", stringify!($name), "`].")]
        ///
        /// # Errors
        ///
        /// The errors of that method.
        pub fn $name(&self, $($arg: $kind),*) -> $result {
            self.runtime.block_on(self.$field.$name($($arg),*))
        }
    )+};
}

/// A client of a cluster with a runtime of its own: one thread for all connections, and threads that look
/// regions up (HBase: `Connection`). Must not be used, or dropped last, on a thread of another runtime.
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Creates a client, as one of the last methods of a [`ClientBuilder`] does.
    ///
    /// # Errors
    ///
    /// The errors of `build`; or if no thread can be started.
    pub fn new(build: impl FnOnce(ClientBuilder) -> Result<crate::Client>) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("start a thread", Path::new("the client"), error))?;
        let client = {
            let _entered = runtime.enter();
            build(ClientBuilder::default())?
        };
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// Like [`crate::Client::table`].
    #[must_use]
    pub fn table(&self, name: &TableName) -> Table {
        Table { table: self.client.table(name), runtime: Arc::clone(&self.runtime) }
    }

    /// Like [`crate::Client::locate`].
    ///
    /// # Errors
    ///
    /// The errors of that method.
    pub fn locate(&self, table: &TableName, row: impl AsRef<[u8]>) -> Result<RegionLocations> {
        self.runtime.block_on(self.client.locate(table, row))
    }

    /// Like [`crate::Client::regions`].
    ///
    /// # Errors
    ///
    /// The errors of that method.
    pub fn regions(&self, table: &TableName) -> Result<Vec<CatalogRow>> {
        self.runtime.block_on(self.client.regions(table))
    }

    /// Like [`crate::Client::check_enabled`].
    ///
    /// # Errors
    ///
    /// The errors of that method.
    pub fn check_enabled(&self, table: &TableName) -> Result<()> {
        self.runtime.block_on(self.client.check_enabled(table))
    }

    waiting!(client: crate::Client:
        table_state(table: &TableName) -> Result<TableState>,
        families(table: &TableName) -> Result<Vec<Family>>,
        describe_table(table: &TableName) -> Result<TableDescription>,
        tables() -> Result<Vec<TableName>>,
        table_exists(table: &TableName) -> Result<bool>,
        create_table(table: &TableName, families: &[Family], splits: &[Vec<u8>]) -> Result<()>,
        create_table_configured(
            table: &TableName, changes: &TableChanges, splits: &[Vec<u8>]
        ) -> Result<()>,
        alter_table(table: &TableName, changes: &TableChanges) -> Result<()>,
        enable_table(table: &TableName) -> Result<()>,
        disable_table(table: &TableName) -> Result<()>,
        delete_table(table: &TableName) -> Result<()>,
        truncate_table(table: &TableName, preserve_splits: bool) -> Result<()>,
        flush_table(table: &TableName) -> Result<()>,
        compact_table(table: &TableName, family: Option<&[u8]>, kind: Compaction) -> Result<()>,
        split_region(table: &TableName, row: &[u8]) -> Result<()>,
        merge_regions(first: &str, second: &str) -> Result<()>,
        snapshots() -> Result<Vec<SnapshotDescription>>,
        snapshot(table: &TableName, name: &str) -> Result<()>,
        clone_snapshot(name: &str, table: &TableName) -> Result<()>,
        restore_snapshot(name: &str) -> Result<()>,
        delete_snapshot(name: &str) -> Result<()>,
        run_catalog_janitor() -> Result<()>,
        live_servers() -> Result<Vec<ServerName>>,
        cluster_id() -> Result<Option<String>>,
        active_master() -> Result<Option<ServerName>>,
    );
}

/// A table of a cluster (HBase: `Table`).
#[derive(Clone, Debug)]
pub struct Table {
    table: crate::Table,
    runtime: Arc<Runtime>,
}

impl Table {
    waiting!(table: crate::Table:
        get(get: &Get) -> Result<Row>,
        exists(get: &Get) -> Result<bool>,
        get_many(gets: &[Get]) -> Result<Vec<Row>>,
        put(put: Put) -> Result<()>,
        delete(delete: Delete) -> Result<()>,
        increment(increment: Increment) -> Result<Row>,
        append(append: Append) -> Result<Row>,
        check_and_mutate(check: CheckAndMutate) -> Result<CheckResult>,
    );

    /// As [`crate::Table::batch`].
    #[must_use = "each of the mutations may have failed"]
    pub fn batch(&self, mutations: &[Mutation]) -> Vec<Result<Row>> {
        self.runtime.block_on(self.table.batch(mutations))
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        self.table.name()
    }

    /// Like [`crate::Table::mutate_row`].
    ///
    /// # Errors
    ///
    /// The errors of that method.
    pub fn mutate_row(&self, row: impl AsRef<[u8]>, mutations: Vec<Mutation>) -> Result<Row> {
        self.runtime.block_on(self.table.mutate_row(row, mutations))
    }

    /// Starts a scan, which is an iterator.
    ///
    /// # Errors
    ///
    /// Same as [`crate::Table::scan`].
    pub fn scan(&self, scan: Scan) -> Result<Scanner> {
        Ok(Scanner { scanner: self.table.scan(scan)?, runtime: Arc::clone(&self.runtime) })
    }
}

/// The rows of a scan, or parts of rows if the scan asks for them (HBase: `ResultScanner`).
#[derive(Debug)]
pub struct Scanner {
    scanner: AsyncScanner,
    runtime: Arc<Runtime>,
}

impl Scanner {
    /// Like [`AsyncScanner::track_metrics`].
    #[must_use]
    pub fn track_metrics(mut self) -> Self {
        self.scanner = self.scanner.track_metrics();
        self
    }

    /// Like [`AsyncScanner::renew_lease`].
    ///
    /// # Errors
    ///
    /// The errors of that method.
    pub fn renew_lease(&mut self) -> Result<()> {
        self.runtime.block_on(self.scanner.renew_lease())
    }

    /// Like [`AsyncScanner::metrics`].
    #[must_use]
    pub fn metrics(&self) -> Option<ScanMetrics> {
        self.scanner.metrics()
    }
}

impl Iterator for Scanner {
    type Item = Result<ScanResult>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.scanner.next()).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile_tests::fake::{Cluster, row_key};

    #[test]
    fn calls_wait_for_their_answers() {
        let of_servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cluster = of_servers.block_on(Cluster::start());
        let client = Client::new(|builder| builder.bootstrap(&cluster.addresses())).unwrap();
        assert!(client.active_master().unwrap().is_some());
        let name = TableName::parse("t").unwrap();
        let table = client.table(&name);
        assert_eq!(table.name(), &name);
        assert_eq!(table.get(&Get::new(row_key(7))).unwrap().key(), row_key(7).as_bytes());
    }
}
