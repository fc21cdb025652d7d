//! A scanner that stays open while the script goes on.

use hregion::{Region, Result, Scan, ScanResults};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// An open scanner. It lends from its view, so both live on a thread of their own, which works only while somebody
/// waits for its rows.
#[derive(Debug)]
pub(super) struct OpenScanner {
    /// How many rows are wanted; none once it is to end.
    wanted: Option<Sender<Option<usize>>>,
    found: Receiver<Result<Option<ScanResults>>>,
    thread: Option<JoinHandle<()>>,
}

impl OpenScanner {
    /// Opens a scanner on the region as it is now. The inner error is the system's, which starts no thread.
    pub(super) fn open(region: &Region, scan: Scan) -> Result<io::Result<Self>> {
        let (wanted, calls) = channel();
        let (results, found) = channel();
        let region = region.clone();
        let thread = thread::Builder::new().name("hregion-scanner".into());
        let thread = match thread.spawn(move || serve(&region, &scan, &calls, &results)) {
            Ok(thread) => thread,
            Err(error) => return Ok(Err(error)),
        };
        let mut scanner = Self { wanted: Some(wanted), found, thread: Some(thread) };
        // the first answer says that it is open
        scanner.found().map(|_| Ok(scanner))
    }

    /// The results of one call, so many or all; none after an error.
    pub(super) fn next(&mut self, rows: Option<usize>) -> Result<Option<ScanResults>> {
        if let Some(wanted) = &self.wanted {
            // if nobody listens any more, the reason follows
            let _ = wanted.send(rows);
        }
        self.found()
    }

    fn found(&mut self) -> Result<Option<ScanResults>> {
        self.found.recv().unwrap_or_else(|_| {
            self.end();
            // after an error
            Ok(None)
        })
    }

    /// Waits for the thread; passes on its panic.
    fn end(&mut self) {
        self.wanted = None;
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for OpenScanner {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(
    region: &Region,
    scan: &Scan,
    calls: &Receiver<Option<usize>>,
    results: &Sender<Result<Option<ScanResults>>>,
) {
    let view = region.view();
    let mut scanner = match view.scan(scan) {
        Ok(scanner) => scanner,
        Err(error) => {
            let _ = results.send(Err(error));
            return;
        }
    };
    let mut found = Ok(None);
    // whoever has lost interest has dropped both ends
    while results.send(found).is_ok()
        && let Ok(wanted) = calls.recv()
    {
        found = scanner.next_results(wanted).map(Some);
    }
}
