//! The catalog on its server (locator.md §11.4).

use crate::bounded::{Answered, RESULTS, Undecoded};
use crate::connections::{CLIENT_SERVICE, Call, Connections};
use crate::fault::Fault;
use crate::proto;
use crate::results::{only_row, rows_of};
use hregion::locator::{Catalog, CatalogEntry, CatalogRange, CatalogRow, TableState};
use hregion::{Deadline, Error, ErrorKind, Get, RegionLocations, Result, Row, Scan, TableName};
use prost::Message;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Reads `hbase:meta` from its server. Used on threads that may wait.
pub(crate) struct RemoteCatalog {
    connections: Arc<Connections>,
    runtime: Handle,
    rpc_timeout: Duration,
}

impl RemoteCatalog {
    pub(crate) fn new(connections: Arc<Connections>, runtime: Handle, rpc_timeout: Duration) -> Self {
        Self { connections, runtime, rpc_timeout }
    }

    async fn call<M: Answered, T>(
        &self,
        meta: &RegionLocations,
        (method, asked): (&'static str, u32),
        param: &impl Message,
        deadline: Deadline,
        read: impl FnOnce(M, crate::cell_block::CellBlock) -> Result<T, hregion::Corruption>,
    ) -> Result<T, Fault> {
        let Some(server) = meta.server() else {
            return Err(Fault::no_server("no server has hbase:meta at present".to_owned()));
        };
        let call = Call {
            host: server.host(),
            port: server.port(),
            service: CLIENT_SERVICE,
            method,
            param,
            priority: crate::tries::priority(meta.region().table()),
            time: self.rpc_timeout,
            deadline,
        };
        let (connection, answer) = self.connections.call::<Undecoded>(&call).await?;
        let message = answer.message.read(asked as usize);
        message
            .and_then(|message| read(message, answer.cells))
            .map_err(|corruption| connection.give_up(&corruption))
    }

    /// Reads rows of a range in one call, whole rows. Returns whether there may be more.
    async fn page(
        &self,
        meta: &RegionLocations,
        scan: &Scan,
        limit: usize,
        deadline: Deadline,
    ) -> Result<(Vec<Row>, bool), Fault> {
        let asked = u32::try_from(limit).unwrap_or(RESULTS).min(RESULTS);
        let request = proto::ScanRequest {
            region: Some(proto::RegionSpecifier::of(meta.region())),
            scan: Some(scan.to_proto_bytes().map_err(Fault::fatal)?.into()),
            number_of_rows: Some(asked),
            close_scanner: Some(true),
            client_handles_partials: Some(false),
            client_handles_heartbeats: Some(false),
            ..proto::ScanRequest::default()
        };
        self.call(meta, ("Scan", asked), &request, deadline, |response: proto::ScanResponse, cells| {
            if response.scanner_id.is_none() {
                return Err(hregion::Corruption::Malformed("answer to another call than a search"));
            }
            let more = response.more_results_in_region.unwrap_or_default();
            let rows = rows_of(&response, cells)?;
            Ok((rows.into_iter().map(|(row, _)| row).collect(), more))
        })
        .await
    }

    async fn read_rows(
        &self,
        meta: &RegionLocations,
        range: &CatalogRange,
        deadline: Deadline,
    ) -> Result<Vec<CatalogEntry>, Fault> {
        let mut entries: Vec<CatalogEntry> = Vec::new();
        loop {
            let (first, include) = match entries.last() {
                Some(last) => (last.key.clone(), false),
                None => (range.first.clone(), true),
            };
            let scan =
                Scan::new().family("info").start_row(first, include).stop_row(range.last.clone(), true);
            let left = range.limit - entries.len();
            let (rows, more) = self.page(meta, &scan.reversed(range.reversed), left, deadline).await?;
            let is_last = !more || rows.is_empty() || rows.len() >= left;
            entries.extend(
                rows.iter().take(left).map(|row| CatalogEntry {
                    key: row.key().to_vec(),
                    row: CatalogRow::parse(row.as_row()),
                }),
            );
            if is_last {
                return Ok(entries);
            }
        }
    }

    async fn read_state(
        &self,
        meta: &RegionLocations,
        table: &TableName,
        deadline: Deadline,
    ) -> Result<Option<TableState>, Fault> {
        let name = table.to_string();
        let get = Get::new(&name).column("table", "state");
        let request = proto::GetRequest {
            region: Some(proto::RegionSpecifier::of(meta.region())),
            get: Some(get.to_proto_bytes().map_err(Fault::fatal)?.into()),
        };
        self.call(meta, ("Get", 1), &request, deadline, |response: proto::GetResponse, cells| {
            let row = only_row(response.result.as_ref(), cells, name.as_bytes())?;
            row.value("table", "state").map(TableState::parse).transpose()
        })
        .await
    }
}

/// Returns the error by which the locator decides whether to ask again.
fn to_error(fault: Fault) -> Error {
    match fault.error.kind() {
        ErrorKind::NoServerForRegion | ErrorKind::Io => fault.error,
        _ if fault.kind == hregion::locator::RegionException::Fatal => fault.error,
        // the server may have the catalog again, or another one
        _ => Error::locating(ErrorKind::Io, fault.error.message()),
    }
}

impl Catalog for RemoteCatalog {
    fn rows(
        &self,
        meta: &RegionLocations,
        range: &CatalogRange,
        deadline: Deadline,
    ) -> Result<Vec<CatalogEntry>> {
        self.runtime.block_on(self.read_rows(meta, range, deadline)).map_err(to_error)
    }

    fn table_state(
        &self,
        meta: &RegionLocations,
        table: &TableName,
        deadline: Deadline,
    ) -> Result<Option<TableState>> {
        self.runtime.block_on(self.read_state(meta, table, deadline)).map_err(|fault| {
            let error = to_error(fault);
            match error.kind() {
                // before 2.0, the catalog keeps no states
                ErrorKind::NoSuchFamily => Error::locating(ErrorKind::Unsupported, error.message()),
                _ => error,
            }
        })
    }
}

impl fmt::Debug for RemoteCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCatalog").finish_non_exhaustive()
    }
}
