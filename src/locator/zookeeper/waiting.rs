//! Runs work that may wait without a deadline of its own.

use crate::clock::Deadline;
use std::io;
use std::sync::mpsc;
use std::thread;

/// Runs work on a thread of its own, which continues after the deadline.
pub(super) fn by_deadline<T: Send + 'static>(
    thread: &str,
    deadline: Deadline,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (send, receive) = mpsc::sync_channel(1);
    thread::Builder::new().name(thread.to_owned()).spawn(move || {
        // the receiver may have been dropped
        let _ = send.send(work());
    })?;
    receive.recv_timeout(deadline.remaining()).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
