//! Opens the scanner of a region on its server, when its rows are needed or before (locator.md §9).

use crate::call_target::{CallTarget, HIGH};
use crate::client::{ClientCore, runtime_ended};
use crate::fault::Fault;
use crate::proto;
use crate::scanner::{Page, read};
use crate::timeline::Wanted;
use crate::tries::Tries;
use bytes::Bytes;
use hregion::locator::LocateType;
use hregion::{ReadFrom, Result, TableName};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Opens the scanner of a region.
pub(crate) struct RegionOpener {
    pub(crate) core: Arc<ClientCore>,
    pub(crate) table: TableName,
    /// The row by which the region is found.
    pub(crate) row: Bytes,
    pub(crate) position: LocateType,
    pub(crate) read_from: ReadFrom,
    /// The first call, which lacks the region.
    pub(crate) request: proto::ScanRequest,
}

/// A region whose scanner is open, and its first page.
pub(crate) type OpenRegion = (CallTarget, Page, Unclaimed);

/// A region that was opened, or the error; and the number of failed attempts.
pub(crate) type Opened = (Result<OpenRegion>, u64);

/// Closes a scanner when dropped, unless a scan has taken it over: the caller that opened it no longer waits.
pub(crate) struct Unclaimed {
    core: Arc<ClientCore>,
    /// `None` if the server has closed it.
    scanner: Option<(CallTarget, u64)>,
}

impl Unclaimed {
    fn of(core: Arc<ClientCore>, target: &CallTarget, first: &proto::ScanResponse) -> Self {
        let id = first.scanner_id.filter(|_| !is_last(first));
        Self { core, scanner: id.map(|id| (target.clone(), id)) }
    }

    /// Leaves the scanner open.
    pub(crate) fn claim(mut self) {
        self.scanner = None;
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let Some((target, id)) = self.scanner.take() else { return };
        self.core.runtime.spawn(close_scanner(target, id, self.core.settings.rpc_timeout));
    }
}

impl RegionOpener {
    /// Opens the scanner, and reads its first page.
    pub(crate) async fn open(&self, tries: Tries<'_>) -> Opened {
        let wanted = Wanted { table: &self.table, row: &self.row, position: self.position };
        let failed = &AtomicU64::new(0);
        let wait = self.core.settings.primary_scan_of(&self.table);
        let opened = self.core.read(self.read_from, wanted, wait, tries, |mut tries| async move {
            loop {
                let target = tries.find_target(wanted.table, wanted.row, wanted.position).await?;
                let request = proto::ScanRequest { region: Some(target.specifier()), ..self.request.clone() };
                match self.open_at(&target, request, tries.call_time()).await {
                    Ok(opened) => return Ok(opened),
                    Err(fault) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        tries.failed(&target.locations, target.replica_id, fault).await?;
                    }
                }
            }
        });
        (opened.await, failed.load(Ordering::Relaxed))
    }

    /// Opens the scanner on a server. The call is a task, so that a scanner whose caller no longer waits is
    /// closed as soon as its id is known.
    async fn open_at(
        &self,
        target: &CallTarget,
        request: proto::ScanRequest,
        time: Duration,
    ) -> Result<OpenRegion, Fault> {
        let (core, mut target) = (Arc::clone(&self.core), target.clone());
        let call = async move {
            let page = read(&mut target, &request, time).await?;
            let unclaimed = Unclaimed::of(core, &target, &page.0);
            Ok((target, page, unclaimed))
        };
        let opened = self.core.runtime.spawn(call).await;
        opened.unwrap_or_else(|_| Err(Fault::fatal(runtime_ended())))
    }

    /// Reads the pages after the first one of a region, each within the time of an operation, until enough
    /// are read, the region ends, or a call fails.
    async fn read_on(
        &self,
        mut target: CallTarget,
        id: u64,
        most: u64,
        is_wanted: &AtomicBool,
        pages: mpsc::UnboundedSender<ReadAhead>,
    ) {
        for call in 0..most {
            let request = proto::ScanRequest {
                scan: None,
                scanner_id: Some(id),
                next_call_seq: Some(call),
                ..self.request.clone()
            };
            let left = Tries::of_reads(&self.core, &self.table).deadline().remaining();
            let time = self.core.settings.scanner_timeout_of(&self.table).min(left);
            let page = read(&mut target, &request, time).await;
            let has_more = page.as_ref().is_ok_and(|(response, _)| has_more(response));
            let is_last = !has_more || call + 1 == most || is_wanted.load(Ordering::Relaxed);
            if pages.send(ReadAhead { page, is_last }).is_err() || is_last {
                return;
            }
        }
    }
}

/// Whether a page states that its region has more rows: only servers since 1.2 state this.
pub(crate) fn has_more(response: &proto::ScanResponse) -> bool {
    response.more_results_in_region == Some(true) && response.more_results.unwrap_or(true)
}

/// Whether a page is the last one of its scanner, which the server has closed. Servers before 1.2 do not
/// report the end of a region.
pub(crate) fn is_last(response: &proto::ScanResponse) -> bool {
    response.more_results == Some(false) || response.more_results_in_region == Some(false)
}

/// A region that is being opened: the one after the current one, while that is read, or one whose rows are
/// needed, whether or not the caller still waits for them.
pub(crate) struct NextRegion {
    core: Arc<ClientCore>,
    row: Bytes,
    position: LocateType,
    since: Instant,
    /// The longest time for which its rows are kept.
    kept: Duration,
    is_wanted: Arc<AtomicBool>,
    /// `None` after the region was given up.
    reading: Option<Reading>,
}

/// The state of a region that is being opened.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation for each region")]
pub(crate) enum Taken {
    /// The open region, or the error; and its pages.
    Region(Opened, Pages),
    /// It is not the one that is read next, or was opened too long ago.
    Stale,
    /// The runtime has ended.
    Ended,
}

/// A task that opens a region, and reads it.
struct Reading {
    task: JoinHandle<()>,
    /// What was opened, and when.
    opened: oneshot::Receiver<(Opened, Instant)>,
    pages: mpsc::UnboundedReceiver<ReadAhead>,
}

/// A page that was read ahead, or the error, and whether it is the last one.
struct ReadAhead {
    page: Result<Page, Fault>,
    is_last: bool,
}

/// The pages that follow the first of a region, and were read ahead. One of them may be in transit.
#[derive(Default)]
pub(crate) struct Pages {
    received: VecDeque<Result<Page, Fault>>,
    /// The channel of further pages; `None` after the last one.
    coming: Option<mpsc::UnboundedReceiver<ReadAhead>>,
}

impl Pages {
    /// Returns the next page when it has arrived; `None` if there will be none.
    pub(crate) async fn next(&mut self) -> Option<Result<Page, Fault>> {
        if self.received.is_empty()
            && let Some(coming) = &mut self.coming
        {
            match coming.recv().await {
                Some(read) => self.add(read),
                None => self.coming = None,
            }
        }
        self.received.pop_front()
    }

    fn add(&mut self, ReadAhead { page, is_last }: ReadAhead) {
        self.received.push_back(page);
        if is_last {
            self.coming = None;
        }
    }

    /// Whether a page may be in transit. If not, all have arrived.
    pub(crate) fn is_under_way(&mut self) -> bool {
        while let Some(coming) = &mut self.coming {
            match coming.try_recv() {
                Ok(read) => self.add(read),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => self.coming = None,
            }
        }
        false
    }

    /// Whether there is no page and will be none.
    pub(crate) fn is_empty(&mut self) -> bool {
        !self.is_under_way() && self.received.is_empty()
    }

    /// The number of pages that have arrived.
    pub(crate) fn len(&self) -> u64 {
        self.received.len() as u64
    }

    /// Waits until no page is in transit.
    pub(crate) async fn end(&mut self) {
        while let Some(coming) = &mut self.coming {
            match coming.recv().await {
                Some(read) => self.add(read),
                None => self.coming = None,
            }
        }
    }

    /// Takes the last page that has arrived.
    pub(crate) fn take_last(&mut self) -> Option<Result<Page, Fault>> {
        self.received.pop_back()
    }

    /// Returns the last page that has arrived.
    pub(crate) fn last(&self) -> Option<&Result<Page, Fault>> {
        self.received.back()
    }
}

/// The longest time for which a region is read before its rows are needed. It is less than the lease of a
/// scanner, and no row is older.
const KEPT: Duration = Duration::from_secs(10);

/// The maximum number of its pages that are read after the first, and of their bytes, if pages have the
/// maximum size.
const MAX_PAGES: u64 = 4;
const MAX_BYTES: u64 = 8 << 20;

impl NextRegion {
    /// Begins to read a region whose pages have up to a number of bytes.
    pub(crate) fn read(opener: RegionOpener, page_size: u64) -> Self {
        let most = MAX_PAGES.min(MAX_BYTES / page_size.max(1));
        let table = opener.table.clone();
        Self::begin(opener, most, false, move |core| Tries::of_reads(core, &table))
    }

    /// Begins to open a region whose rows are needed now, as attempts of the caller.
    pub(crate) fn open(
        opener: RegionOpener,
        tries: impl FnOnce(&ClientCore) -> Tries<'_> + Send + 'static,
    ) -> Self {
        Self::begin(opener, 0, true, tries)
    }

    fn begin(
        opener: RegionOpener,
        most: u64,
        is_wanted: bool,
        tries: impl FnOnce(&ClientCore) -> Tries<'_> + Send + 'static,
    ) -> Self {
        let core = Arc::clone(&opener.core);
        let kept = KEPT.min(core.settings.scanner_timeout_of(&opener.table) / 4);
        let (row, position) = (opener.row.clone(), opener.position);
        let is_wanted = Arc::new(AtomicBool::new(is_wanted));
        let wanted = Arc::clone(&is_wanted);
        let (opened_sender, opened) = oneshot::channel();
        let (page_sender, pages) = mpsc::unbounded_channel();
        let task = core.runtime.spawn(async move {
            let region = opener.open(tries(&opener.core)).await;
            let read_on = match &region.0 {
                Ok((target, (first, _), _))
                    if most > 0 && has_more(first) && !wanted.load(Ordering::Relaxed) =>
                {
                    first.scanner_id.map(|id| (target.clone(), id, page_sender))
                }
                _ => {
                    // before the region is opened, so that no page is waited for
                    drop(page_sender);
                    None
                }
            };
            if opened_sender.send((region, Instant::now())).is_ok()
                && let Some((target, id, pages)) = read_on
            {
                opener.read_on(target, id, most, &wanted, pages).await;
            }
        });
        let reading = Some(Reading { task, opened, pages });
        Self { core, row, position, since: Instant::now(), kept, is_wanted, reading }
    }

    /// Whether rows that were read at a moment are too old.
    fn is_too_old(&self, since: Instant) -> bool {
        since.elapsed() >= self.kept
    }

    /// Gives the region up if its rows have not been needed for too long.
    pub(crate) fn close_if_too_old(&mut self) {
        if self.is_too_old(self.since) {
            self.close();
        }
    }

    /// Returns the region and its pages, or the error. Waits for the first page only. If the future is
    /// dropped before, the region can be taken later.
    pub(crate) async fn take(&mut self, row: &[u8], position: LocateType) -> Taken {
        let was_wanted = self.is_wanted.swap(true, Ordering::Relaxed);
        let is_other = self.row != row || self.position != position;
        if is_other || (!was_wanted && self.is_too_old(self.since)) {
            self.close();
        }
        let Some(reading) = &mut self.reading else { return Taken::Stale };
        let opened = (&mut reading.opened).await;
        let Some(Reading { pages, .. }) = self.reading.take() else { return Taken::Stale };
        match opened {
            Err(_) => Taken::Ended,
            // its caller has not waited for it, or was not run
            Ok(((Ok(_), _), since)) if self.is_too_old(since) => Taken::Stale,
            Ok((opened, _)) => {
                Taken::Region(opened, Pages { received: VecDeque::new(), coming: Some(pages) })
            }
        }
    }

    /// Closes the scanner, once it is open.
    pub(crate) fn close(&mut self) {
        self.is_wanted.store(true, Ordering::Relaxed);
        let Some(Reading { task, opened, mut pages }) = self.reading.take() else { return };
        let time = self.core.settings.rpc_timeout;
        self.core.runtime.spawn(async move {
            let ended = async {
                let opened = opened.await;
                // a page in transit uses the scanner, which is closed when it is dropped
                while pages.recv().await.is_some() {}
                drop(opened);
            };
            if timeout(time, ended).await.is_err() {
                task.abort();
            }
        });
    }
}

impl Drop for NextRegion {
    fn drop(&mut self) {
        self.close();
    }
}

/// Tells a server that its scanner is no longer needed, even if the queue of requests is full. Without a
/// response, the scanner ends with its lease.
pub(crate) async fn close_scanner(mut target: CallTarget, id: u64, time: Duration) {
    let request = proto::ScanRequest {
        scanner_id: Some(id),
        number_of_rows: Some(0),
        close_scanner: Some(true),
        ..proto::ScanRequest::default()
    };
    let _ = target.call_with::<proto::Empty>(Some(HIGH), "Scan", &request, time).await;
}
