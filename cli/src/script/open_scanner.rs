//! A scanner that stays open while the script goes on.

use hregion::{Region, RegionScanner};
use hregion::{Result, Row, Scan};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// An open scanner. It lends from its view, so both live on a thread of their own, which works only while somebody
/// waits for its rows.
#[derive(Debug)]
pub(super) struct OpenScanner {
    /// How many rows are wanted; none once it is to end.
    wanted: Option<Sender<usize>>,
    found: Receiver<Result<Rows>>,
    thread: Option<JoinHandle<()>>,
}

/// The rows of one call.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Whether there may be more.
    pub(super) more: bool,
}

impl OpenScanner {
    /// Opens a scanner on the region as it is now.
    pub(super) fn open(region: &Region, scan: Scan) -> Result<Self> {
        let (wanted, calls) = channel();
        let (results, found) = channel();
        let region = region.clone();
        let thread = thread::spawn(move || serve(&region, &scan, &calls, &results));
        let mut scanner = Self { wanted: Some(wanted), found, thread: Some(thread) };
        // the first answer says that it is open
        scanner.found().map(|_| scanner)
    }

    /// At most so many rows.
    pub(super) fn next(&mut self, rows: usize) -> Result<Rows> {
        if let Some(wanted) = &self.wanted {
            // if nobody listens any more, the reason follows
            let _ = wanted.send(rows);
        }
        self.found()
    }

    fn found(&mut self) -> Result<Rows> {
        self.found.recv().unwrap_or_else(|_| {
            self.end();
            // after an error
            Ok(Rows { rows: Vec::new(), more: false })
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

fn serve(region: &Region, scan: &Scan, calls: &Receiver<usize>, results: &Sender<Result<Rows>>) {
    let view = region.view();
    let mut scanner = match view.scan(scan) {
        Ok(scanner) => scanner,
        Err(error) => {
            let _ = results.send(Err(error));
            return;
        }
    };
    let mut found = Ok(Rows { rows: Vec::new(), more: true });
    // whoever has lost interest has dropped both ends
    while results.send(found).is_ok()
        && let Ok(wanted) = calls.recv()
    {
        found = call(&mut scanner, wanted);
    }
}

/// One call: rows until there are enough, or no more.
pub(super) fn call(scanner: &mut RegionScanner<'_>, wanted: usize) -> Result<Rows> {
    let mut rows = Vec::new();
    let mut more = true;
    while more && rows.len() < wanted {
        match scanner.next_row()? {
            Some(row) => {
                rows.push(row.to_row());
                more = scanner.may_have_more();
            }
            None => more = false,
        }
    }
    Ok(Rows { rows, more })
}
