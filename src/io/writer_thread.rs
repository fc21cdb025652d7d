//! A thread that writes buffers to a file.

use super::write_behind::WriteBehind;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

/// A thread that writes buffers to a file, in the order in which they were passed.
#[derive(Debug)]
pub(super) struct WriterThread {
    /// `None` after the last buffer.
    full: Option<SyncSender<Vec<u8>>>,
    /// Written buffers, for reuse.
    empty: Receiver<Vec<u8>>,
    /// `None` after joining.
    thread: Option<JoinHandle<io::Result<WriteBehind>>>,
}

impl WriterThread {
    /// The maximum number of buffers that wait to be written.
    const WAITING: usize = 4;

    /// Passes a file to a new thread. Returns the file if no thread can be started.
    pub(super) fn begin(file: WriteBehind) -> Result<Self, WriteBehind> {
        let (full, from) = mpsc::sync_channel(Self::WAITING);
        let (to, empty) = mpsc::channel();
        let writer = file.clone();
        let thread = thread::Builder::new().name("hregion-write".into()).spawn(|| run(writer, from, to));
        match thread {
            Ok(thread) => Ok(Self { full: Some(full), empty, thread: Some(thread) }),
            Err(_) => Err(file),
        }
    }

    /// Passes the next bytes to the thread. Returns a buffer for more.
    ///
    /// # Errors
    ///
    /// If bytes passed earlier could not be written.
    pub(super) fn write(self, bytes: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        let taken = self.full.as_ref().is_some_and(|full| full.send(bytes).is_ok());
        if !taken {
            self.end()?;
            return Err(stopped());
        }
        let memory = self.empty.try_recv().unwrap_or_default();
        Ok((self, memory))
    }

    /// Waits until everything has been written, and returns the file.
    ///
    /// # Errors
    ///
    /// If bytes could not be written.
    pub(super) fn end(mut self) -> io::Result<WriteBehind> {
        self.wait()
    }

    fn wait(&mut self) -> io::Result<WriteBehind> {
        self.full = None;
        self.thread.take().map_or_else(|| Err(stopped()), |thread| thread.join().map_err(|_| stopped())?)
    }
}

impl Drop for WriterThread {
    /// Waits for the thread: after this no more bytes are written, so the caller may remove the file.
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.wait();
        }
    }
}

/// Writes buffers until the channel is closed.
fn run(
    mut file: WriteBehind,
    full: Receiver<Vec<u8>>,
    empty: mpsc::Sender<Vec<u8>>,
) -> io::Result<WriteBehind> {
    for mut bytes in full {
        file.write_all(&bytes)?;
        bytes.clear();
        // after the last buffer, the receiver may have been dropped
        let _ = empty.send(bytes);
    }
    Ok(file)
}

#[cold]
fn stopped() -> io::Error {
    io::Error::other("the writer thread has stopped")
}
