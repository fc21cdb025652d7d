//! Scans over the regions of a table, on their servers (locator.md §9, §13; HBase: `AsyncClientScanner`).

mod page;

pub(crate) use page::{Page, read};

use crate::assembler::Assembler;
use crate::bounded::RESULTS;
use crate::call_target::CallTarget;
use crate::client::runtime_ended;
use crate::fault::Fault;
use crate::proto;
use crate::region_opener::{NextRegion, Pages, RegionOpener, Taken, close_scanner, has_more, is_last};
use crate::scan_metrics::ScanMetrics;
use crate::setback::{Setback, Wait};
use crate::table::Table;
use crate::tries::Tries;
use bytes::Bytes;
use hregion::locator::{LocateType, RegionException};
use hregion::{CellOrder, Error, Result, Row, Scan, ScanResult};
use page::AfterPage;
use prost::Message as _;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The rows of a scan of a table of a cluster, in order, each once, while regions are split, merged or moved
/// and servers end.
///
/// A region is read at one moment. There is no moment for all regions, and a region that has to be opened
/// again is read at a later one, from the row after the last. With a batch or partial results, that may be
/// within a row, whose cells are of both moments then.
///
/// From its second page on, a scan reads a page ahead. If it has no limit, it also reads up to five pages of
/// the next region, of 8 MiB after the first, at most ten seconds before they are needed.
pub struct Scanner {
    table: Table,
    scan: Scan,
    /// The limit on rows; `u64::MAX` for none.
    limit: u64,
    /// Where to continue.
    start: Bytes,
    include_start: bool,
    /// The furthest that an answer came: a row, and the number of its cells received.
    reached: Option<(Bytes, usize)>,
    /// The scanner of the current region.
    open: Option<RegionScanner>,
    /// The next page, which is read while the rows of the last one are taken, whether or not the caller still
    /// waits for it.
    ahead: Option<JoinHandle<Read>>,
    /// The call that renews the lease, likewise.
    renewal: Option<JoinHandle<Result<(), Fault>>>,
    /// Pages of the current region that were read while the region before was.
    ready: Pages,
    /// The region after the current one, which is read at the same time, or one that is being opened.
    next_region: Option<NextRegion>,
    /// The number of pages read.
    pages: usize,
    results: VecDeque<ScanResult>,
    assembler: Assembler,
    /// Counted if requested.
    metrics: Option<ScanMetrics>,
    done: bool,
}

/// A scanner on a server.
struct RegionScanner {
    target: CallTarget,
    id: u64,
    /// The number of the next call.
    sequence: u64,
    /// Whether its answers tell if the region has more rows: those of servers before 1.2 do not.
    says_more: bool,
}

/// A page, or the error, and the target that was called.
type Read = (CallTarget, Result<Page, Fault>);

impl Scanner {
    pub(crate) fn new(table: Table, mut scan: Scan) -> Result<Self> {
        let limits = scan.limits();
        let settings = &table.core.settings;
        if limits.max_result_size == 0 {
            scan = scan.max_result_size(settings.scanner_max_result_size);
        }
        if limits.caching == 0 {
            scan = scan.caching(settings.scanner_caching);
        }
        // fails now rather than at the first row
        scan.to_proto_bytes()?;
        let range = scan.row_range();
        let (start, include_start) = (Bytes::copy_from_slice(range.start), range.include_start);
        let reversed = range.reversed;
        let order = if table.name.is_meta() { CellOrder::Meta } else { CellOrder::User };
        let max_row_size = table.core.connections.max_response();
        Ok(Self {
            table,
            limit: if limits.rows == 0 { u64::MAX } else { limits.rows },
            start,
            include_start,
            reached: None,
            open: None,
            ahead: None,
            renewal: None,
            ready: Pages::default(),
            next_region: None,
            pages: 0,
            results: VecDeque::new(),
            assembler: Assembler::new(limits, order, reversed, max_row_size),
            metrics: None,
            done: false,
            scan,
        })
    }

    /// Counts the further work of the scan, and of servers for it (HBase: `Scan.setScanMetricsEnabled`).
    #[must_use]
    pub fn track_metrics(mut self) -> Self {
        self.metrics = Some(ScanMetrics::default());
        self
    }

    /// Returns the counts so far, if they are [tracked](Self::track_metrics).
    #[must_use]
    pub fn metrics(&self) -> Option<ScanMetrics> {
        self.metrics
    }

    /// Returns the next row that has any of the cells requested; `None` at the end. The result may be a part
    /// of a row if the scan has a batch, or allows partial results.
    ///
    /// Waits as long as servers make progress: each answer that shows progress restarts the time limit of an
    /// operation. An answer without rows does so if it names a later row than those before, as servers since
    /// 1.4 do while a filter drops rows.
    ///
    /// The future can be dropped before it is ready, for example by `tokio::time::timeout` or
    /// `tokio::select!`. Calls that have begun continue, and the next `next` waits for their answers; no row
    /// is left out or returned twice. If the scanner is dropped, it closes the scanners of servers once the
    /// answers arrive.
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or has no such family; if no attempt succeeds; of the kind
    /// [`Limit`](hregion::ErrorKind::Limit) if the parts of a row are larger than a
    /// [response](crate::ClientBuilder::max_response_size) may be, unless the scan has a batch or allows
    /// partial results. Rows returned before are correct. Another call tries to continue after them.
    pub async fn next(&mut self) -> Result<Option<ScanResult>> {
        if let Some(result) = self.results.pop_front() {
            return Ok(Some(result));
        }
        let core = Arc::clone(&self.table.core);
        let mut tries = Tries::of_reads(&core, &self.table.name);
        while !self.done {
            if tries.is_over() {
                return Err(tries.timed_out(self.late()));
            }
            let read = self.read_page(&mut tries).await;
            read.map_err(|error| match tries.is_over() {
                true => Error::new(error.kind(), format!("{}: {}", self.late(), error.message())),
                false => error,
            })?;
            if let Some(result) = self.results.pop_front() {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    fn late(&self) -> String {
        format!("no row of {}, and no progress, in the time of an operation", self.table.name())
    }

    /// Returns the next row, as [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// Same as [`next`](Self::next).
    pub async fn next_row(&mut self) -> Result<Option<Row>> {
        Ok(self.next().await?.map(|result| result.row))
    }

    /// Renews the lease of the server's scanner, for a scan whose next row is read only after more than that
    /// time (`hbase.client.scanner.timeout.period`, 60 s). Without it, the region is opened again. The future
    /// can be dropped, as that of [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// If the server does not answer, or has closed the scanner. The scan can continue nevertheless.
    pub async fn renew_lease(&mut self) -> Result<()> {
        if let Some(open) = &self.open
            && self.ahead.as_ref().is_some_and(JoinHandle::is_finished)
        {
            // its call has renewed the lease, when it was answered
            let (_, page) = self.end_page(open.target.clone()).await;
            self.take_ahead(page).map_err(|fault| {
                self.give_up(&fault);
                fault.error
            })?;
        }
        // a page that was requested renews it; and after the last one there is none
        let is_under_way = self.ahead.is_some() || self.ready.is_under_way();
        let ends = |last: &Result<Page, Fault>| !last.as_ref().is_ok_and(|(response, _)| has_more(response));
        let is_read = is_under_way || self.ready.last().is_some_and(ends);
        if let Some(open) = self.open.as_mut().filter(|_| !is_read && self.renewal.is_none()) {
            let request = proto::ScanRequest {
                renew: Some(true),
                number_of_rows: Some(0),
                next_call_seq: Some(open.sequence + self.ready.len()),
                ..open.next_request()
            };
            open.sequence += 1;
            let time = self.table.core.settings.read_timeout_of(&self.table.name);
            let mut target = open.target.clone();
            // Nothing of the answer is needed.
            let call = async move { target.call::<proto::Empty>("Scan", &request, time).await.map(drop) };
            self.renewal = Some(self.table.core.runtime.spawn(call));
        }
        self.end_renewal().await.map_err(|fault| fault.error)
    }

    /// Waits for the call that renews the lease, if any.
    async fn end_renewal(&mut self) -> Result<(), Fault> {
        let Some(renewal) = &mut self.renewal else { return Ok(()) };
        let renewed = renewal.await.unwrap_or_else(|_| Err(Fault::fatal(runtime_ended())));
        self.renewal = None;
        renewed.inspect_err(|fault| self.give_up(fault))
    }

    /// Takes a page that was read ahead, while rows of the one before are left. The next one is not read
    /// before they are taken.
    fn take_ahead(&mut self, page: Result<Page, Fault>) -> Result<(), Fault> {
        let Some(target) = self.open.as_ref().map(|open| open.target.clone()) else { return Ok(()) };
        self.count(&page);
        let (response, rows) = page?;
        match self.take_page(&target, &response, rows)? {
            AfterPage::ReadOn => {}
            AfterPage::NextRegion => self.leave_region(&target),
            AfterPage::End => self.end(),
        }
        Ok(())
    }

    /// Counts a call and its answer, if they are counted.
    fn count(&mut self, page: &Result<Page, Fault>) {
        let Some(metrics) = &mut self.metrics else { return };
        metrics.rpc_calls += 1;
        match page {
            Ok((response, rows)) => {
                metrics.regions_scanned += u64::from(self.open.is_none());
                metrics.add(response, rows);
            }
            Err(_) => metrics.rpc_retries += 1,
        }
    }

    /// Reads a page: opens the next region if none is open.
    async fn read_page(&mut self, tries: &mut Tries<'_>) -> Result<()> {
        // an error means that the region is opened again
        let _ = self.end_renewal().await;
        let (target, page) = match &self.open {
            Some(open) => {
                let target = open.target.clone();
                match self.ready.next().await {
                    Some(page) => (target, page),
                    None => {
                        if self.ahead.is_none() {
                            self.ahead = Some(self.begin_page(open, tries.deadline()));
                        }
                        self.end_page(target).await
                    }
                }
            }
            None => {
                let (target, page) = self.open_region(tries).await?;
                (target, Ok(page))
            }
        };
        self.count(&page);
        let taken = page.and_then(|(response, rows)| {
            let position = self.position_of(&response, &rows);
            Ok((self.take_page(&target, &response, rows)?, position))
        });
        match taken {
            Ok((then, position)) => {
                if self.is_progress(&then, position) {
                    tries.progressed();
                } else {
                    tries.answered();
                }
                match then {
                    AfterPage::ReadOn => self.read_ahead(),
                    AfterPage::NextRegion => self.leave_region(&target),
                    AfterPage::End => self.end(),
                }
                Ok(())
            }
            Err(fault) => self.reset(&target, fault, tries).await,
        }
    }

    /// Returns the page that was requested, and its target. If the future is dropped, the request continues.
    async fn end_page(&mut self, target: CallTarget) -> Read {
        let read = match &mut self.ahead {
            Some(ahead) => ahead.await.ok(),
            None => None,
        };
        self.ahead = None;
        let (target, page) = read.unwrap_or_else(|| (target, Err(Fault::fatal(runtime_ended()))));
        if let Some(open) = &mut self.open {
            open.target = target.clone();
        }
        (target, page)
    }

    /// Begins to read the next page of a region.
    fn begin_page(&self, open: &RegionScanner, deadline: hregion::Deadline) -> JoinHandle<Read> {
        let (mut target, (request, time)) = (open.target.clone(), self.request_page(open, deadline));
        self.table.core.runtime.spawn(async move {
            let page = read(&mut target, &request, time).await;
            (target, page)
        })
    }

    /// Opens the scanner of the next region, and reads its first page. If the future is dropped, the next one
    /// continues this.
    async fn open_region(&mut self, tries: &Tries<'_>) -> Result<(CallTarget, Page)> {
        let position = self.position(&self.start, self.include_start);
        // a region opened ahead may have failed because it had less time
        let mut is_earlier = self.next_region.is_some();
        loop {
            let next = match &mut self.next_region {
                Some(next) => next,
                None => {
                    let opener = self.opener(self.start.clone(), self.include_start)?;
                    self.next_region.insert(NextRegion::open(opener, tries.detached()))
                }
            };
            let taken = next.take(&self.start, position).await;
            self.next_region = None;
            match taken {
                Taken::Region((opened, failed), pages) => {
                    self.count_failed(failed);
                    if opened.is_ok() || !is_earlier {
                        let (target, page, unclaimed) = opened?;
                        unclaimed.claim();
                        self.ready = pages;
                        return Ok((target, page));
                    }
                }
                Taken::Stale if tries.is_over() => {
                    let message = "the next region was opened too late to be read".to_owned();
                    return Err(tries.timed_out(message));
                }
                Taken::Stale => {}
                Taken::Ended if is_earlier => {}
                Taken::Ended => return Err(runtime_ended()),
            }
            is_earlier = false;
        }
    }

    /// Counts calls that failed to open a region, if calls are counted.
    fn count_failed(&mut self, failed: u64) {
        if let Some(metrics) = &mut self.metrics {
            metrics.rpc_calls += failed;
            metrics.rpc_retries += failed;
        }
    }

    /// Returns the opener of the scanner of the region with the rows from one on.
    fn opener(&self, start: Bytes, include_start: bool) -> Result<RegionOpener> {
        let scan = self.scan.clone().start_row(start.clone(), include_start);
        let mut scan = scan.to_proto_bytes()?;
        scan.extend(proto::NeedsCursor { need_cursor_result: Some(true) }.encode_to_vec());
        let scan = Some(scan.into());
        Ok(RegionOpener {
            core: Arc::clone(&self.table.core),
            table: self.table.name().clone(),
            position: self.position(&start, include_start),
            row: start,
            read_from: self.scan.read_from(),
            request: self.limited(proto::ScanRequest { scan, ..proto::ScanRequest::default() }),
        })
    }

    /// Returns the position, relative to a row, of the region with the next rows.
    fn position(&self, start: &[u8], include_start: bool) -> LocateType {
        match (self.scan.row_range().reversed, include_start) {
            (true, _) if start.is_empty() => LocateType::Before,
            (_, true) => LocateType::At,
            (true, false) => LocateType::Before,
            (false, false) => LocateType::After,
        }
    }

    /// Begins to read the next page, and the region after the current one, within the time of an operation.
    /// Not after the first page: the caller may need no more.
    fn read_ahead(&mut self) {
        if self.pages < 2 || self.results.is_empty() {
            return;
        }
        let Some(open) = &self.open else { return };
        let target = open.target.clone();
        if self.ready.is_empty() {
            let tries = Tries::of_reads(&self.table.core, &self.table.name);
            self.ahead = Some(self.begin_page(open, tries.deadline()));
        }
        if let Some(next) = &mut self.next_region {
            next.close_if_too_old();
        } else if self.limit == u64::MAX
            && let Some((start, include_start)) = self.row_after(&target)
        {
            // without a limit, which may end the scan before that region
            let page_size = self.scan.limits().max_result_size;
            let opener = self.opener(start, include_start);
            self.next_region = opener.ok().map(|opener| NextRegion::read(opener, page_size));
        }
    }

    /// Builds the call that continues in a region, and its time limit.
    fn request_page(
        &self,
        open: &RegionScanner,
        deadline: hregion::Deadline,
    ) -> (proto::ScanRequest, Duration) {
        let time = self.table.core.settings.scanner_timeout_of(&self.table.name).min(deadline.remaining());
        (self.limited(open.next_request()), time)
    }

    /// Adds the limits of the page to a call that opens the scanner of a region, or continues. The response
    /// to either has cells.
    fn limited(&self, request: proto::ScanRequest) -> proto::ScanRequest {
        let caching = u32::try_from(self.scan.limits().caching).unwrap_or(RESULTS);
        let limit = u32::try_from(self.limit.saturating_sub(self.assembler.completed())).ok();
        proto::ScanRequest {
            number_of_rows: Some(if caching == 0 { RESULTS } else { caching.min(RESULTS) }),
            close_scanner: Some(false),
            client_handles_partials: Some(true),
            client_handles_heartbeats: Some(true),
            track_scan_metrics: self.metrics.is_some().then_some(true),
            limit_of_rows: limit.filter(|limit| *limit <= u32::MAX >> 1),
            ..request
        }
    }

    /// Continues with the next region, if the scan reaches it.
    fn leave_region(&mut self, target: &CallTarget) {
        let Some(next) = self.row_after(target) else {
            self.end();
            return;
        };
        (self.start, self.include_start) = next;
        self.assembler.enter_region();
    }

    fn end(&mut self) {
        self.done = true;
        self.close();
        self.next_region = None;
    }

    /// Continues after the last row when a server has lost its scanner, or is lost itself.
    async fn reset(&mut self, target: &CallTarget, fault: Fault, tries: &mut Tries<'_>) -> Result<()> {
        let is_open = self.open.is_some();
        if is_open && matches!(fault.kind, RegionException::Busy { .. } | RegionException::RegionOpening) {
            // the call was not executed, and can be repeated
            return tries.failed(&target.locations, target.replica_id, fault).await;
        }
        self.give_up(&fault);
        if is_open && fault.kind == RegionException::ScannerReset {
            // the region may be where it was
            return tries.pause(Setback { error: fault.error, wait: Wait::Usual }).await;
        }
        tries.failed(&target.locations, target.replica_id, fault).await
    }

    /// Gives up the scanner of the region after a fault: the next one begins after the last row that was
    /// returned, or within it.
    fn give_up(&mut self, fault: &Fault) {
        let is_lost = matches!(
            fault.kind,
            RegionException::ScannerReset
                | RegionException::ServerGone
                | RegionException::NotServingRegion
                | RegionException::RegionMoved { .. }
        );
        if fault.out_of_order || !is_lost {
            self.close();
        }
        self.open = None;
        self.ready = Pages::default();
        if let Some((row, is_complete)) = self.assembler.forget_pieces() {
            (self.start, self.include_start) = (row, !is_complete);
        }
    }

    /// Tells the server that its scanner is no longer needed, after the calls that use it: it would refuse.
    /// Does not wait for an answer: the scanner ends with its lease.
    fn close(&mut self) {
        let (ahead, renewal) = (self.ahead.take(), self.renewal.take());
        let mut ready = std::mem::take(&mut self.ready);
        let Some(RegionScanner { target, id, .. }) = self.open.take() else { return };
        let time = self.table.core.settings.rpc_timeout;
        self.table.core.runtime.spawn(async move {
            let aborts = ahead.as_ref().map(JoinHandle::abort_handle);
            let calls = async {
                if let Some(renewal) = renewal {
                    drop(renewal.await);
                }
                ready.end().await;
                match ahead {
                    Some(ahead) => ahead.await.ok().map(|(_, page)| page),
                    None => ready.take_last(),
                }
            };
            let last = timeout(time, calls).await;
            if let (Err(_), Some(ahead)) = (&last, aborts) {
                ahead.abort();
            }
            // with its last page, a server has closed it
            let is_closed = matches!(&last, Ok(Some(Ok((response, _)))) if is_last(response));
            if !is_closed {
                close_scanner(target, id, time).await;
            }
        });
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.close();
    }
}

impl RegionScanner {
    /// The fields of all calls that follow the first.
    fn next_request(&self) -> proto::ScanRequest {
        proto::ScanRequest {
            scanner_id: Some(self.id),
            next_call_seq: Some(self.sequence),
            client_handles_partials: Some(true),
            client_handles_heartbeats: Some(true),
            ..proto::ScanRequest::default()
        }
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("table", &self.table)
            .field("scan", &self.scan)
            .finish_non_exhaustive()
    }
}
