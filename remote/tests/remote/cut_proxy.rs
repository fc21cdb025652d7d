//! A TCP proxy that closes a connection once, delays a request, or stops responding.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Where the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The request is not forwarded.
    Request,
    /// The request is forwarded, but its answer is not.
    Answer,
    /// Nowhere: the request is forwarded when the proxy [releases](CutProxy::release) it.
    Late,
    /// Nowhere: from this part on, nothing sent by clients is forwarded, on any connection.
    Silent,
}

/// A proxy that closes a connection at the nth part that clients send. It ends when it is dropped.
pub(crate) struct CutProxy {
    address: String,
    left: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    is_released: Arc<AtomicBool>,
}

impl CutProxy {
    pub(crate) fn start(to: &str, cut: Cut, at: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (left, is_over) = (Arc::new(AtomicU64::new(at)), Arc::new(AtomicBool::new(false)));
        let (to, of_proxy, ends) = (to.to_owned(), Arc::clone(&left), Arc::clone(&is_over));
        let is_released: Arc<AtomicBool> = Arc::default();
        let release = Arc::clone(&is_released);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
                let is_cut = Arc::new(AtomicBool::new(false));
                let (from, into) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let of_answers = Arc::clone(&is_cut);
                std::thread::spawn(move || pass(from, into, || !of_answers.load(Ordering::SeqCst)));
                let (left, release, ends) = (Arc::clone(&of_proxy), Arc::clone(&release), Arc::clone(&ends));
                std::thread::spawn(move || {
                    let closed = client.try_clone().unwrap();
                    let mut is_last = false;
                    pass(client, server, || {
                        if is_last {
                            return false;
                        }
                        let before = left.fetch_sub(1, Ordering::SeqCst);
                        if before != 1 && (cut != Cut::Silent || !is_spent(before)) {
                            return true;
                        }
                        if matches!(cut, Cut::Late | Cut::Silent) {
                            while !release.load(Ordering::SeqCst) && !ends.load(Ordering::Relaxed) {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            return true;
                        }
                        is_last = true;
                        is_cut.store(true, Ordering::SeqCst);
                        // The client gets the end of the connection while it waits for the answer.
                        let _ = closed.shutdown(Shutdown::Both);
                        cut == Cut::Answer
                    });
                });
            }
        });
        Self { address, left, is_over, is_released }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Counts again: the connection is closed at the nth part from now on.
    pub(crate) fn cut_at(&self, at: u64) {
        self.left.store(at, Ordering::SeqCst);
    }

    /// Forwards the delayed request.
    pub(crate) fn release(&self) {
        self.is_released.store(true, Ordering::SeqCst);
    }

    /// Whether the connection was closed, or a request delayed.
    pub(crate) fn has_cut(&self) -> bool {
        is_spent(self.left.load(Ordering::SeqCst))
    }
}

/// Whether no parts remain; the number may have decreased below 0.
fn is_spent(left: u64) -> bool {
    left == 0 || left > u64::MAX / 2
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(&self.address);
    }
}

/// Forwards bytes as long as `passes` returns true.
fn pass(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut() -> bool) {
    let mut part = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut part) {
        if !passes() || to.write_all(&part[..len]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Write);
}
