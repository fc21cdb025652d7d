//! Signals that arrive during long calls, such as the one of Ctrl-C.

use crate::error::Failure;
use hregion::{Error, ErrorKind, Result, ResultScanner, Row, RowRef, ScanResult, ScanResults};
use hregion::{Scan, TableResultScanner};
use hregion_arrow::Rows;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
#[cfg(feature = "remote")]
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// The exception of a signal handler, which is raised by the call that it ended.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Returns the exception, once.
    pub(crate) fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: PyErr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// The time between checks for signals.
const PERIOD: Duration = Duration::from_millis(50);

/// Checks for signals, and lets Python handle them. For calls that have released the interpreter's lock with
/// [`Python::detach`]: readers of Arrow's streams release it themselves, unnoticed by PyO3.
pub(crate) struct Signals {
    /// Only this thread handles signals: a thread with the interpreter's lock may be waiting for another one.
    thread: ThreadId,
    looked: Instant,
    raised: Raised,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { thread: thread::current().id(), looked: Instant::now(), raised: Raised::default() }
    }

    /// Returns the holder of a handler's exception.
    pub(crate) fn raised(&self) -> Raised {
        self.raised.clone()
    }

    /// Handles the signals that have arrived, unless the last check was very recent.
    ///
    /// # Errors
    ///
    /// If a handler raises an exception, which is kept.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.looked.elapsed() < PERIOD || thread::current().id() != self.thread {
            return Ok(());
        }
        self.looked = Instant::now();
        match Python::try_attach(|py| py.check_signals()) {
            Some(Err(error)) => {
                let message = format!("ended by the handler of a signal: {error}");
                self.raised.set(error);
                Err(Error::new(ErrorKind::Closed, message))
            }
            // while the interpreter ends, nothing is handled
            Some(Ok(())) | None => Ok(()),
        }
    }
}

/// A scanner whose calls can be bounded.
pub(crate) trait Bounded: Rows {
    /// As [`ResultScanner::next_results`].
    fn next_results(&mut self, max: usize) -> Result<ScanResults>;
}

impl Bounded for ResultScanner {
    fn next_results(&mut self, max: usize) -> Result<ScanResults> {
        Self::next_results(self, Some(max))
    }
}

impl Bounded for TableResultScanner {
    fn next_results(&mut self, max: usize) -> Result<ScanResults> {
        Self::next_results(self, Some(max))
    }
}

/// Limits the time of a call of a scanner whose filter may drop many rows, so that signals can be handled.
/// Other scans use a faster way without this limit.
pub(crate) fn limited(scan: Scan, has_filter: bool) -> Scan {
    if has_filter { scan.time_limit(PERIOD) } else { scan }
}

thread_local! {
    /// Whether the thread is within [`call`].
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
    /// The exception that a handler has raised within [`call`].
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// Whether handlers are called while the thread waits for a remote file.
    static IS_HANDLING: Cell<bool> = const { Cell::new(false) };
}

/// Fails in a handler that is called while the thread waits for a remote file. Objects opened by URL may be
/// locked by the waiting call: the handler would wait for it forever.
pub(crate) fn check_waiting() -> crate::error::Result<()> {
    match IS_HANDLING.get() {
        true => Err(Failure::argument("a signal has interrupted a call that waits for a remote file")),
        false => Ok(()),
    }
}

/// Calls `function` without the interpreter's lock. Raises the exception that a signal handler has raised
/// while the function waited for a remote file.
pub(crate) fn call<T: Send, E: Send>(
    py: Python<'_>,
    function: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    // a handler may also make calls
    let was_calling = IS_CALLING.replace(true);
    let done = py.detach(function);
    IS_CALLING.set(was_calling);
    match RAISED.take() {
        Some(raised) => Err(Failure::Python(raised)),
        None => Ok(done?),
    }
}

/// Handles the signals that have arrived while the thread waits for a remote file.
///
/// # Errors
///
/// If a handler raises an exception, which [`call`] raises.
#[cfg(feature = "remote")]
pub(crate) fn while_reading() -> io::Result<()> {
    if !IS_CALLING.get() {
        return Ok(());
    }
    let ended = || Err(io::Error::other("ended by the handler of a signal"));
    if RAISED.with_borrow(Option::is_some) {
        return ended();
    }
    let was_handling = IS_HANDLING.replace(true);
    let handled = Python::try_attach(|py| py.check_signals());
    IS_HANDLING.set(was_handling);
    match handled {
        Some(Err(error)) => {
            RAISED.set(Some(error));
            ended()
        }
        // while the interpreter ends, nothing is handled
        Some(Ok(())) | None => Ok(()),
    }
}

/// The number of rows between checks for signals.
const ROWS: u32 = 64;
/// The maximum number of rows of one call with a time limit.
const RESULTS: usize = 64;

/// A scanner that handles signals between rows, and while a filter drops rows.
pub(crate) struct Watched<S> {
    rows: S,
    signals: Signals,
    /// The number of rows since the last check for signals.
    count: u32,
    /// Whether calls have a time limit.
    has_filter: bool,
    /// The remaining results of the last call.
    left: std::vec::IntoIter<ScanResult>,
    current: Option<Row>,
    is_over: bool,
}

impl<S: Bounded> Watched<S> {
    /// Creates a scanner for a scan that was [limited].
    pub(crate) fn new(rows: S, has_filter: bool) -> Self {
        let (left, current) = (Vec::new().into_iter(), None);
        Self { rows, signals: Signals::new(), count: 0, has_filter, left, current, is_over: false }
    }

    /// Returns the holder of a signal handler's exception.
    pub(crate) fn raised(&self) -> Raised {
        self.signals.raised()
    }
}

impl<S: Bounded> Rows for Watched<S> {
    fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        if !self.has_filter {
            self.count += 1;
            if self.count == ROWS {
                self.count = 0;
                self.signals.check()?;
            }
            return self.rows.next_row();
        }
        loop {
            if let Some(result) = self.left.next() {
                return Ok(Some(self.current.insert(result.row).as_row()));
            }
            if self.is_over {
                return Ok(None);
            }
            self.signals.check()?;
            let call = self.rows.next_results(RESULTS)?;
            self.is_over = !call.more;
            self.left = call.results.into_iter();
        }
    }
}
