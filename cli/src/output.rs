//! Output: data to standard output, everything else to standard error; and the exit code.

use crate::failure::{CommandError, Exit, Failure};
use crate::progress::Progress;
use crate::streams::Stdout;
use crate::text;
use crate::vfs;
use hregion::locator::DirectoryCatalog;
use hregion::{HFile, Region, Table, TableName, UnreadLogs};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Standard output, and messages on standard error.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    quiet: bool,
    progress: Progress,
    /// The exit code if standard output is closed before the end.
    so_far: Exit,
    /// Whether the warning about checksums was printed.
    has_warned: AtomicBool,
    /// Whether the warning about values in MOB files was printed.
    has_warned_of_mob: AtomicBool,
    looked_for_logs: Arc<LookedForLogs>,
}

const BUFFER: usize = 128 << 10;

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let out = BufWriter::with_capacity(BUFFER, Stdout::lock());
        let (has_warned, has_warned_of_mob) = (AtomicBool::new(false), AtomicBool::new(false));
        let (progress, so_far, looked_for_logs) = (Progress::none(), Exit::Done, Arc::default());
        Self { out, json, quiet, progress, so_far, has_warned, has_warned_of_mob, looked_for_logs }
    }

    /// Whether to write JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Sets what the command has found so far: its exit code if the reader of standard output does not wait
    /// for the end.
    pub(crate) fn found(&mut self, so_far: Exit) {
        self.so_far = so_far;
    }

    /// Writes a JSON value as one line.
    pub(crate) fn json_line(&mut self, value: &Value) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", text::json(value))?)
    }

    /// Shows the progress of a long job over `bytes` bytes. A job that prints results shows none if standard
    /// output is a terminal.
    pub(crate) fn start_progress(&mut self, bytes: u64, prints: bool) {
        let hidden = self.quiet || (prints && io::stdout().is_terminal());
        self.progress = if hidden { Progress::none() } else { Progress::start(bytes) };
    }

    /// Shows the progress of a job of unknown length.
    pub(crate) fn start_unknown_progress(&mut self, prints: bool) {
        let hidden = self.quiet || (prints && io::stdout().is_terminal());
        self.progress = if hidden { Progress::none() } else { Progress::start_unknown() };
    }

    /// Returns the current progress bar.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Prints a warning, unless quiet.
    pub(crate) fn warn(&self, message: &str) {
        if !self.quiet {
            self.say("warning", "33", message);
        }
    }

    /// Prints a warning, even if quiet.
    pub(crate) fn warn_always(&self, message: &str) {
        self.say("warning", "33", message);
    }

    /// Warns, even if quiet, that checksums are not verified, once for all files.
    pub(crate) fn warn_of_checksums(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            self.warn_always("checksums are not verified, damaged bytes may be returned as data");
        }
    }

    /// Warns, once for all files, if cells of a file that is read as it is stored have values in MOB files.
    pub(crate) fn warn_of_mob(&self, file: &HFile) {
        // A single zero byte is the empty list.
        let has_values = file.file_info().mob_file_refs().is_some_and(|list| list.len() > 1);
        if has_values && !self.has_warned_of_mob.swap(true, Ordering::Relaxed) {
            self.warn("values are in MOB files: stored cells have the names of the files instead");
        }
    }

    /// Returns a printer for warnings of regions that can be used while output is borrowed.
    pub(crate) fn warner(&self) -> Warner {
        Warner { quiet: self.quiet, progress: self.progress.clone(), logs: None }
    }

    /// Like [`warner`](Self::warner), for regions whose rows or cells are read: it also warns of logs of
    /// servers.
    pub(crate) fn warner_of_reads(&self) -> Warner {
        Warner { logs: Some(Arc::clone(&self.looked_for_logs)), ..self.warner() }
    }

    /// Prints a summary for people.
    pub(crate) fn summary(&self, message: &str) {
        if !self.quiet {
            self.progress.suspend(|| {
                let _ = writeln!(io::stderr(), "{message}");
            });
        }
    }

    fn say(&self, what: &str, colour: &str, message: &str) {
        self.progress.suspend(|| say(what, colour, message));
    }

    /// Prints an error.
    pub(crate) fn print_error(&self, fault: &CommandError) {
        self.say("error", "1;31", &fault.line());
    }

    /// Flushes the output while the progress bar is hidden.
    pub(crate) fn flush_aside(&mut self) -> Result<(), Failure> {
        let Self { out, progress, .. } = self;
        Ok(progress.suspend(|| out.flush())?)
    }

    /// Ends the program: flushes the output, prints the error, if any, and returns the exit code.
    pub(crate) fn finish(mut self, result: Result<Exit, Failure>) -> ExitCode {
        self.progress = Progress::none();
        let result = result.and_then(|exit| match self.out.flush() {
            // the outcome of the command is the same even if it is not read
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
            flushed => Ok(flushed.map(|()| exit)?),
        });
        let exit = match result {
            Ok(exit) => exit,
            Err(Failure::ClosedPipe) => self.so_far,
            Err(Failure::Fault(fault)) => self.fail(&fault),
        };
        // data that could not be written is not retried on drop
        let _ = self.out.into_parts();
        ExitCode::from(exit as u8)
    }

    /// Reports an error, on standard error even if standard output is not read.
    fn fail(&mut self, fault: &CommandError) -> Exit {
        if self.json {
            let line = text::json(&json!({ "error": fault.error_json() }));
            let _ = writeln!(self.out, "{line}");
        }
        let _ = self.out.flush();
        self.print_error(fault);
        fault.exit()
    }
}

/// Prints the warnings of regions that are opened, and of snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Warner {
    quiet: bool,
    progress: Progress,
    /// `None` if there are no warnings of logs.
    logs: Option<Arc<LookedForLogs>>,
}

/// What the command knows of the logs of servers.
#[derive(Debug, Default)]
struct LookedForLogs {
    /// The root directories in which logs were looked for, and whether for reads of `hbase:meta`.
    roots: Mutex<BTreeSet<(PathBuf, bool)>>,
    /// The warnings that were printed.
    warnings: Mutex<BTreeSet<String>>,
}

impl Warner {
    /// Returns a printer that prints nothing.
    pub(crate) fn silent(&self) -> Self {
        Self { quiet: true, progress: self.progress.clone(), logs: None }
    }

    /// Prints a warning, unless quiet.
    pub(crate) fn warn(&self, warning: &hregion::Error) {
        if !self.quiet {
            let line = CommandError::from(warning).with_hint(None).line();
            self.progress.suspend(|| say("warning", "33", &line));
        }
    }

    /// Warns, unless quiet, of the tables directly under a root, where HBase had them before 0.96.
    pub(crate) fn warn_of_old_tables(&self, root: &Path) {
        if self.quiet {
            return;
        }
        for dir in DirectoryCatalog::old_tables(&*vfs::storage(), root) {
            let dir = text::path(&dir);
            let line = format!(
                "{dir}: a table beside data, as before HBase 0.96, is not read with its root (name its \
                 directory)"
            );
            self.progress.suspend(|| say("warning", "33", &line));
        }
    }

    /// Prints the warnings of a region, unless quiet.
    pub(crate) fn warn_of(&self, region: &Region) {
        region.warnings().iter().for_each(|warning| self.warn(warning));
        self.warn_of_logs(region.unread_logs(), region.info().table());
    }

    /// Warns, unless quiet, of rows that no region of a table has, or several: so has a snapshot of it, or it
    /// has this from a snapshot.
    pub(crate) fn warn_of_snapshot(&self, table: &Table) {
        for fault in table.inconsistencies().iter().filter(|_| !self.quiet) {
            let line = format!("{}; so it is in the snapshot", fault.to_error());
            self.progress.suspend(|| say("warning", "33", &line));
        }
    }

    /// Warns, once for each root directory, unless quiet, if logs of servers may have edits of a table, or
    /// that cannot be determined.
    pub(crate) fn warn_of_logs(&self, logs: Option<UnreadLogs>, table: &TableName) {
        let Some((looked_for, logs)) = self.logs.as_ref().zip(logs).filter(|_| !self.quiet) else { return };
        if !is_new(&looked_for.roots, (logs.root().to_owned(), table.is_meta())) {
            return;
        }
        let warning = match logs.may_have_edits() {
            Ok(false) => return,
            Ok(true) => {
                let (dir, root) = (text::path(&logs.dir()), text::path(logs.root()));
                format!(
                    "{dir}: logs of servers may have writes that are not read (`hregion recover --dry-run \
                     {root}` lists them)"
                )
            }
            Err(error) => {
                let line = CommandError::from(error).with_hint(None).line();
                format!("{line}; writes that are only in logs of servers are not read")
            }
        };
        if is_new(&looked_for.warnings, warning.clone()) {
            self.progress.suspend(|| say("warning", "33", &warning));
        }
    }
}

/// Adds a value to a set. Returns whether it is new.
fn is_new<T: Ord>(known: &Mutex<BTreeSet<T>>, value: T) -> bool {
    known.lock().unwrap_or_else(PoisonError::into_inner).insert(value)
}

impl Write for Output {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Prints a line on standard error. A failure to do so is ignored: it cannot be reported.
fn say(what: &str, colour: &str, message: &str) {
    let mut stderr = io::stderr().lock();
    let plain = !stderr.is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let _ = if plain {
        writeln!(stderr, "{what}: {message}")
    } else {
        writeln!(stderr, "\x1b[{colour}m{what}:\x1b[0m {message}")
    };
}
