//! Standard output, and a check whether it is open, as in the program `hregion`.
//!
//! If a program is started with standard output closed (`>&-`), the Rust runtime opens `/dev/null` in its
//! place: output would be lost without an error. The check therefore runs before `main`.

use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

/// Standard output. Writing fails if it was closed when the program started.
#[derive(Debug)]
pub struct Stdout(io::Stdout);

impl Stdout {
    /// Returns standard output.
    #[must_use]
    pub fn new() -> Self {
        Self(io::stdout())
    }
}

impl Default for Stdout {
    fn default() -> Self {
        Self::new()
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

/// Parses the command line of a program.
///
/// # Errors
///
/// If the command line is wrong, or asks for help. The message or the help has been printed, and the error is
/// the exit code of the program: 5 if the help could not be written to standard output.
pub fn parse_args<A: Parser>() -> Result<A, ExitCode> {
    A::try_parse().map_err(|error| {
        if error.use_stderr() {
            // a failure to write to standard error cannot be reported
            let _ = error.print();
            return ExitCode::from(2);
        }
        match check().and_then(|()| error.print()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("error: cannot write to standard output: {error}");
                ExitCode::from(5)
            }
            _ => ExitCode::SUCCESS,
        }
    })
}

/// Fails if standard output was closed when the program started.
#[cfg(unix)]
fn check() -> io::Result<()> {
    match WAS_CLOSED.load(Ordering::Relaxed) {
        true => Err(rustix::io::Errno::BADF.into()),
        false => Ok(()),
    }
}

#[cfg(not(unix))]
fn check() -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// Sound before `main`: one system call and one atomic store, without the standard library's runtime.
#[cfg(unix)]
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn look_at_standard_output() {
        let flags = rustix::io::fcntl_getfd(rustix::stdio::stdout());
        WAS_CLOSED.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
    }
}
