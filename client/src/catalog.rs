//! Reads the catalog on its server (locator.md §11.4).

use crate::bounded::{Answered, RESULTS, Undecoded};
use crate::call_target::priority;
use crate::cell_block::CellBlock;
use crate::connections::{CLIENT_SERVICE, Call, Connections};
use crate::fault::Fault;
use crate::proto;
use crate::results::{only_row, rows_of};
use bytes::Bytes;
use hregion::locator::{Catalog, CatalogEntry, CatalogRange, RegionException, TableState};
use hregion::{
    CellOrder, Corruption, Deadline, Error, ErrorKind, Get, RegionLocations, Result, Row, Scan, TableName,
};
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

/// The maximum number of further calls with which a scanner continues without finding rows.
const CALLS: u64 = 100;

/// Rows of the catalog that a call has found.
struct Page {
    rows: Vec<Row>,
    /// Whether there may be more in the range.
    has_more: bool,
    /// The row that the call has reached, if it has found none and the server reports it.
    cursor: Option<Bytes>,
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
        read: impl FnOnce(M, CellBlock) -> Result<T, Corruption>,
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
            priority: priority(meta.region().table()),
            time: self.rpc_timeout,
            deadline,
        };
        let (connection, answer) = self.connections.call::<Undecoded>(&call).await?;
        let message = answer.message.read(asked as usize);
        message
            .and_then(|message| read(message, answer.cells))
            .map_err(|corruption| connection.give_up(&corruption))
    }

    /// Reads rows in one call, whole rows.
    async fn page(
        &self,
        meta: &RegionLocations,
        search: proto::ScanRequest,
        deadline: Deadline,
    ) -> Result<Page, Fault> {
        let request = proto::ScanRequest { close_scanner: Some(true), ..search };
        self.page_of(meta, &request, deadline).await.map(|(_, page)| page)
    }

    /// Like [`page`](Self::page), by a scanner that continues until it has found rows: if a call may read
    /// only one row, which is deleted, each new scan from there would only reach its end again.
    async fn page_beyond(
        &self,
        meta: &RegionLocations,
        first: proto::ScanRequest,
        deadline: Deadline,
    ) -> Result<Page, Fault> {
        let (id, mut page) = self.page_of(meta, &first, deadline).await?;
        let next = proto::ScanRequest { region: None, scan: None, scanner_id: Some(id), ..first };
        let mut calls = 0;
        while page.rows.is_empty() && page.has_more && calls < CALLS {
            let request = proto::ScanRequest { next_call_seq: Some(calls), ..next.clone() };
            (_, page) = self.page_of(meta, &request, deadline).await?;
            calls += 1;
        }
        // At the end, the server has closed it.
        if page.has_more {
            let close = proto::ScanRequest {
                scanner_id: Some(id),
                number_of_rows: Some(0),
                close_scanner: Some(true),
                ..proto::ScanRequest::default()
            };
            // Otherwise its lease ends.
            let _ = self.call(meta, ("Scan", 0), &close, deadline, |_: proto::ScanResponse, _| Ok(())).await;
        }
        Ok(page)
    }

    /// Calls a scanner. Returns its id, and the rows that it has found.
    async fn page_of(
        &self,
        meta: &RegionLocations,
        request: &proto::ScanRequest,
        deadline: Deadline,
    ) -> Result<(u64, Page), Fault> {
        let method = ("Scan", request.number_of_rows.unwrap_or_default());
        self.call(meta, method, request, deadline, |response: proto::ScanResponse, cells| {
            let is_answer = match request.scanner_id {
                None => response.scanner_id.is_some(),
                Some(id) => {
                    response.scanner_id.is_none_or(|of| of == id) && response.more_results_in_region.is_some()
                }
            };
            let Some(id) = response.scanner_id.or(request.scanner_id).filter(|_| is_answer) else {
                return Err(Corruption::Malformed("answer to another call than a search"));
            };
            let rows = rows_of(&response, cells)?.into_iter().map(|(row, _)| row).collect();
            let has_more = response.more_results_in_region.unwrap_or_default();
            Ok((id, Page { rows, has_more, cursor: response.cursor.and_then(|cursor| cursor.row) }))
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
        let (mut first, mut include) = (range.first.clone(), true);
        loop {
            let scan = Scan::new().family("info").start_row(first.clone(), include);
            let scan = scan.stop_row(range.last.clone(), true).reversed(range.reversed);
            let left = range.limit - entries.len();
            let search = search(meta, &scan, left)?;
            let mut page = self.page(meta, search.clone(), deadline).await?;
            if page.made_no_progress(range, &first) {
                page = self.page_beyond(meta, search, deadline).await?;
            }
            entries.extend(page.rows.iter().take(left).map(|row| CatalogEntry::parse(row.as_row())));
            if !page.has_more || entries.len() >= range.limit {
                return Ok(entries);
            }
            (first, include) = match (page.rows.last(), page.cursor) {
                (Some(last), _) => (last.key().to_vec(), false),
                // the rows that the call has read are deleted
                (None, Some(row)) if is_after(range, &row, &first) => (row.to_vec(), true),
                (None, _) => {
                    let server = meta.server().map(ToString::to_string).unwrap_or_default();
                    let nothing = Corruption::Malformed("answer to a search that finds no row");
                    return Err(Fault::corrupt(&server, &nothing));
                }
            };
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

impl Page {
    /// Whether a call that began at `first` has found no row, and has not reached a later one.
    fn made_no_progress(&self, range: &CatalogRange, first: &[u8]) -> bool {
        let is_further = self.cursor.as_ref().is_some_and(|row| is_after(range, row, first));
        self.has_more && self.rows.is_empty() && !is_further
    }
}

/// Returns the request of a scanner of `hbase:meta` that stays open.
fn search(meta: &RegionLocations, scan: &Scan, limit: usize) -> Result<proto::ScanRequest, Fault> {
    let mut message = scan.to_proto_bytes().map_err(Fault::fatal)?;
    message.extend(proto::NeedsCursor { need_cursor_result: Some(true) }.encode_to_vec());
    Ok(proto::ScanRequest {
        region: Some(proto::RegionSpecifier::of(meta.region())),
        scan: Some(message.into()),
        number_of_rows: Some(u32::try_from(limit).unwrap_or(RESULTS).min(RESULTS)),
        close_scanner: Some(false),
        client_handles_partials: Some(false),
        client_handles_heartbeats: Some(false),
        ..proto::ScanRequest::default()
    })
}

/// Whether a row comes after another one in the direction of a range.
fn is_after(range: &CatalogRange, row: &[u8], other: &[u8]) -> bool {
    let order = CellOrder::Meta.compare_rows(row, other);
    if range.reversed { order.is_lt() } else { order.is_gt() }
}

/// Returns the error by which the locator decides whether to retry.
fn to_error(fault: Fault) -> Error {
    match (fault.error.kind(), fault.kind) {
        (ErrorKind::NoServerForRegion | ErrorKind::Io, _) | (_, RegionException::Fatal) => fault.error,
        (_, RegionException::Busy { pause }) => Error::busy(fault.error.message(), pause),
        _ if fault.overloaded => Error::busy(fault.error.message(), None),
        // the server may have the catalog again, or another one
        _ => Error::new(ErrorKind::Io, fault.error.message()),
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
                ErrorKind::NoSuchFamily => Error::new(ErrorKind::Unsupported, error.message()),
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
