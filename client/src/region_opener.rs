//! Opening the scanner of a region on its server: when its rows are wanted, or before (locator.md §9).

use crate::client::ClientCore;
use crate::fault::Fault;
use crate::proto;
use crate::scanner::{Page, read};
use crate::timeline::Wanted;
use crate::tries::{Place, Tries};
use bytes::Bytes;
use hregion::locator::LocateType;
use hregion::{ReadFrom, Result, TableName};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What is needed to open the scanner of a region.
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

/// A region whose scanner is open, with its first page, or why there is none; and the number of attempts that
/// failed.
pub(crate) type Opened = (Result<(Place, Page)>, u64);

impl RegionOpener {
    /// Opens the scanner, and reads its first page.
    pub(crate) async fn open(&self, tries: Tries<'_>) -> Opened {
        let wanted = Wanted { table: &self.table, row: &self.row, position: self.position };
        let failed = &AtomicU64::new(0);
        let wait = self.core.settings.primary_scan;
        let opened = self.core.read(self.read_from, wanted, wait, tries, |mut tries| async move {
            loop {
                let place = tries.place(wanted.table, wanted.row, wanted.position).await?;
                let request = proto::ScanRequest { region: Some(place.specifier()), ..self.request.clone() };
                match read(&place, &request, tries.call_time()).await {
                    Ok(page) => return Ok((place, page)),
                    Err(fault) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        tries.failed(&place.locations, place.replica_id, fault).await?;
                    }
                }
            }
        });
        (opened.await, failed.load(Ordering::Relaxed))
    }

    /// Reads the pages after the first one of a region, until there are as many as wanted, it ends, or a call
    /// fails.
    async fn read_on(&self, place: &Place, first: &Page, most: u64, is_wanted: &AtomicBool) -> Pages {
        let mut pages = Pages::new();
        let (first, _) = first;
        let Some(id) = first.scanner_id.filter(|_| has_more(first)) else { return pages };
        while (pages.len() as u64) < most && !is_wanted.load(Ordering::Relaxed) {
            let request = proto::ScanRequest {
                scan: None,
                scanner_id: Some(id),
                next_call_seq: Some(pages.len() as u64),
                ..self.request.clone()
            };
            let page = read(place, &request, self.core.settings.scanner_timeout).await;
            let goes_on = page.as_ref().is_ok_and(|(response, _)| has_more(response));
            pages.push_back(page);
            if !goes_on {
                break;
            }
        }
        pages
    }
}

/// Whether a page says that its region has more, as servers since 1.2 do.
pub(crate) fn has_more(response: &proto::ScanResponse) -> bool {
    response.more_results_in_region == Some(true) && response.more_results.unwrap_or(true)
}

/// The region after the current one, which is read while the current one is.
pub(crate) struct NextRegion {
    core: Arc<ClientCore>,
    row: Bytes,
    position: LocateType,
    since: Instant,
    is_wanted: Arc<AtomicBool>,
    /// `None` after the region was given up.
    reading: Option<JoinHandle<(Opened, Pages)>>,
}

/// The pages that follow the first of a region.
pub(crate) type Pages = VecDeque<Result<Page, Fault>>;

/// The longest time for which a region is read before its rows are wanted. It is less than the lease of a
/// scanner, and no row is older.
const KEPT: Duration = Duration::from_secs(10);

/// The most pages that are read of it after the first, and the most bytes, if pages are as large as they may
/// be.
const MOST_PAGES: u64 = 4;
const MOST_BYTES: u64 = 8 << 20;

impl NextRegion {
    /// Begins to read a region whose pages have up to a number of bytes.
    pub(crate) fn read(opener: RegionOpener, page_size: u64) -> Self {
        let core = Arc::clone(&opener.core);
        let (row, position) = (opener.row.clone(), opener.position);
        let is_wanted = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&is_wanted);
        let most = MOST_PAGES.min(MOST_BYTES / page_size.max(1));
        let reading = core.runtime.spawn(async move {
            let opened = opener.open(Tries::new(&opener.core)).await;
            let pages = match &opened.0 {
                Ok((place, first)) => opener.read_on(place, first, most, &wanted).await,
                Err(_) => Pages::new(),
            };
            (opened, pages)
        });
        Self { core, row, position, since: Instant::now(), is_wanted, reading: Some(reading) }
    }

    fn is_too_old(&self) -> bool {
        self.since.elapsed() >= KEPT.min(self.core.settings.scanner_timeout / 4)
    }

    /// Gives the region up if its rows have not been wanted for too long.
    pub(crate) fn close_if_too_old(&mut self) {
        if self.is_too_old() {
            self.close();
        }
    }

    /// Returns the region and what was read of it, or why it could not be opened; `None` if it is another one
    /// than is wanted now, or was read too long ago.
    pub(crate) async fn take(mut self, row: &[u8], position: LocateType) -> Option<(Opened, Pages)> {
        if self.row != row || self.position != position || self.is_too_old() {
            self.close();
        }
        self.is_wanted.store(true, Ordering::Relaxed);
        self.reading.take()?.await.ok()
    }

    /// Closes the scanner, once it is open.
    pub(crate) fn close(&mut self) {
        self.is_wanted.store(true, Ordering::Relaxed);
        let Some(mut reading) = self.reading.take() else { return };
        let time = self.core.settings.rpc_timeout;
        self.core.runtime.spawn(async move {
            match timeout(time, &mut reading).await {
                Ok(Ok(((Ok((place, (response, _))), _), _))) => {
                    if let Some(id) = response.scanner_id {
                        close_scanner(&place, id, time).await;
                    }
                }
                Ok(_) => {}
                Err(_) => reading.abort(),
            }
        });
    }
}

impl Drop for NextRegion {
    fn drop(&mut self) {
        self.close();
    }
}

/// Tells a server that its scanner is no longer needed. Without an answer, the scanner ends with its lease.
pub(crate) async fn close_scanner(place: &Place, id: u64, time: Duration) {
    let request = proto::ScanRequest {
        scanner_id: Some(id),
        number_of_rows: Some(0),
        close_scanner: Some(true),
        ..proto::ScanRequest::default()
    };
    let _ = place.call::<proto::ScanResponse>("Scan", &request, time).await;
}
