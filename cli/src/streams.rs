//! Standard input and output, and whether they are open.
//!
//! If a program is started with one of them closed (`<&-`, `>&-`), the Rust runtime opens `/dev/null` in its
//! place: input would be empty, and output would be lost, without an error. The check therefore runs before
//! `main`.

use std::io::{self, StdoutLock, Write};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

/// Standard output. Writing fails if it was closed when the program started.
#[derive(Debug)]
pub(crate) struct Stdout(StdoutLock<'static>);

impl Stdout {
    pub(crate) fn lock() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check_output()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Fails if standard input was closed when the program started.
#[cfg(unix)]
pub(crate) fn check_input() -> io::Result<()> {
    check(&INPUT_WAS_CLOSED)
}

/// Fails if standard output was closed when the program started.
#[cfg(unix)]
pub(crate) fn check_output() -> io::Result<()> {
    check(&OUTPUT_WAS_CLOSED)
}

#[cfg(unix)]
fn check(was_closed: &AtomicBool) -> io::Result<()> {
    match was_closed.load(Ordering::Relaxed) {
        true => Err(rustix::io::Errno::BADF.into()),
        false => Ok(()),
    }
}

#[cfg(not(unix))]
pub(crate) fn check_input() -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn check_output() -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
static INPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);
#[cfg(unix)]
static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// Sound before `main`: two system calls and two atomic stores, without the standard library's runtime.
#[cfg(unix)]
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn look_at_standard_streams() {
        let flags = rustix::io::fcntl_getfd(rustix::stdio::stdin());
        INPUT_WAS_CLOSED.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
        let flags = rustix::io::fcntl_getfd(rustix::stdio::stdout());
        OUTPUT_WAS_CLOSED.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
    }
}
