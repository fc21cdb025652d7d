//! Tests that could hang.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs a test on another thread. Fails if it takes longer than a minute.
pub(crate) fn within_a_minute(what: &str, test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let running = thread::spawn(move || {
        test();
        ended.send(()).unwrap();
    });
    match end.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: still running"),
        _ => running.join().unwrap(),
    }
}
