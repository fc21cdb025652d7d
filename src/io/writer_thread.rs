//! A thread that writes what it is handed.

use super::write_behind::WriteBehind;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

/// A thread that writes to a file what it is handed, in that order.
#[derive(Debug)]
pub(super) struct WriterThread {
    /// None once there is nothing more to come.
    full: Option<SyncSender<Vec<u8>>>,
    /// What has been written, to be filled again.
    empty: Receiver<Vec<u8>>,
    /// None once it has been waited for.
    thread: Option<JoinHandle<io::Result<WriteBehind>>>,
}

impl WriterThread {
    /// How much may wait to be written.
    const WAITING: usize = 4;

    /// Hands a file to a thread; or gives it back, if none can be had.
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

    /// Hands over what is to be written next. Gives back memory for more.
    ///
    /// # Errors
    ///
    /// If something that was handed over before could not be written.
    pub(super) fn write(self, bytes: Vec<u8>) -> io::Result<(Self, Vec<u8>)> {
        let taken = self.full.as_ref().is_some_and(|full| full.send(bytes).is_ok());
        if !taken {
            self.end()?;
            return Err(stopped());
        }
        let memory = self.empty.try_recv().unwrap_or_default();
        Ok((self, memory))
    }

    /// Waits until everything is written, and takes the file back.
    ///
    /// # Errors
    ///
    /// If something could not be written.
    pub(super) fn end(mut self) -> io::Result<WriteBehind> {
        self.wait()
    }

    fn wait(&mut self) -> io::Result<WriteBehind> {
        self.full = None;
        self.thread.take().map_or_else(|| Err(stopped()), |thread| thread.join().map_err(|_| stopped())?)
    }
}

impl Drop for WriterThread {
    /// A file that nobody wants any more may be removed now: nothing is written to it behind that.
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.wait();
        }
    }
}

/// Writes what comes until nothing more does.
fn run(
    mut file: WriteBehind,
    full: Receiver<Vec<u8>>,
    empty: mpsc::Sender<Vec<u8>>,
) -> io::Result<WriteBehind> {
    for mut bytes in full {
        file.write_all(&bytes)?;
        bytes.clear();
        // who has handed over the last does not wait for it
        let _ = empty.send(bytes);
    }
    Ok(file)
}

#[cold]
fn stopped() -> io::Error {
    io::Error::other("the thread that writes has stopped")
}
