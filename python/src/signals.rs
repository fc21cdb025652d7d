//! Signals that arrive during long calls, such as that of Ctrl-C.

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

/// The exception of a signal handler, which the call that it ended raises.
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

/// How often signals are looked for.
const PERIOD: Duration = Duration::from_millis(50);

/// Looks for signals, and has Python handle them. For calls that have given up the interpreter's lock by
/// [`Python::detach`]: readers of Arrow's streams give it up by themselves, which PyO3 does not notice.
pub(crate) struct Signals {
    /// Other threads may be waited for by one that holds the interpreter's lock, and handle no signals.
    thread: ThreadId,
    looked: Instant,
    raised: Raised,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { thread: thread::current().id(), looked: Instant::now(), raised: Raised::default() }
    }

    /// What a handler has raised.
    pub(crate) fn raised(&self) -> Raised {
        self.raised.clone()
    }

    /// Handles the signals that have arrived, if they were not looked for a moment ago.
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
                Err(Error::locating(ErrorKind::Closed, message))
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
/// Other scans have a faster way, without that.
pub(crate) fn limited(scan: Scan, has_filter: bool) -> Scan {
    if has_filter { scan.time_limit(PERIOD) } else { scan }
}

thread_local! {
    /// Whether the thread is within [`call`].
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
    /// What a handler has raised within [`call`].
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// Whether handlers are called while the thread waits for a remote file.
    static IS_HANDLING: Cell<bool> = const { Cell::new(false) };
}

/// Fails in a handler that is called while the thread waits for a remote file. What was opened by URL may be
/// locked by the call that waits: the handler would wait for it forever.
pub(crate) fn check_waiting() -> crate::error::Result<()> {
    match IS_HANDLING.get() {
        true => Err(Failure::argument("a signal has interrupted a call that waits for a remote file")),
        false => Ok(()),
    }
}

/// Calls `function` without the interpreter's lock. Raises what the handler of a signal has raised while the
/// function waited for a remote file.
pub(crate) fn call<T: Send, E: Send>(
    py: Python<'_>,
    function: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    // a handler may call, too
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

/// The rows between which signals are looked for.
const ROWS: u32 = 64;
/// The maximum number of rows of one call with a time limit.
const RESULTS: usize = 64;

/// A scanner that handles signals between rows, and while a filter drops rows.
pub(crate) struct Watched<S> {
    rows: S,
    signals: Signals,
    /// The number of rows since signals were looked for.
    count: u32,
    /// Whether calls have a time limit.
    has_filter: bool,
    /// The results of the last call that are left.
    left: std::vec::IntoIter<ScanResult>,
    current: Option<Row>,
    is_over: bool,
}

impl<S: Bounded> Watched<S> {
    /// Watches a scan that was [limited].
    pub(crate) fn new(rows: S, has_filter: bool) -> Self {
        let (left, current) = (Vec::new().into_iter(), None);
        Self { rows, signals: Signals::new(), count: 0, has_filter, left, current, is_over: false }
    }

    /// What the handler of a signal has raised.
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
