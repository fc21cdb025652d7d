//! Standard output, and whether there is one.
//!
//! A program that is started without standard output (`>&-`) finds `/dev/null` in its place once the standard library has
//! begun: output would be lost without an error. So it is looked at before.

use std::io::{self, StdoutLock, Write};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

/// Standard output. Writing fails if it was closed when the program began.
#[derive(Debug)]
pub(crate) struct Stdout(StdoutLock<'static>);

impl Stdout {
    pub(crate) fn lock() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Fails if standard output was closed when the program began.
#[cfg(unix)]
pub(crate) fn check() -> io::Result<()> {
    match WAS_CLOSED.load(Ordering::Relaxed) {
        true => Err(rustix::io::Errno::BADF.into()),
        false => Ok(()),
    }
}

#[cfg(not(unix))]
pub(crate) fn check() -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// Sound before `main`: a system call and a store, nothing of the standard library's runtime.
#[cfg(unix)]
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn look_at_standard_output() {
        let flags = rustix::io::fcntl_getfd(rustix::stdio::stdout());
        WAS_CLOSED.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
    }
}
