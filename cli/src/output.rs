//! Where output goes: data to standard output, all else to standard error; and how the program ends.

use crate::failure::{Exit, Failure, Fault};
use crate::progress::Progress;
use crate::stdout::Stdout;
use crate::text;
use hregion::Region;
use serde_json::{Value, json};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;

/// Standard output, and what is said beside it.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    quiet: bool,
    progress: Progress,
}

const BUFFER: usize = 128 << 10;

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let out = BufWriter::with_capacity(BUFFER, Stdout::lock());
        Self { out, json, quiet, progress: Progress::none() }
    }

    /// Whether to write JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes one JSON value in a line.
    pub(crate) fn json_line(&mut self, value: &Value) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", text::json(value))?)
    }

    /// Draws the progress of a long job over so many bytes. A job that prints as it goes has none on a terminal.
    pub(crate) fn start_progress(&mut self, bytes: u64, prints: bool) {
        let hidden = self.quiet || (prints && io::stdout().is_terminal());
        self.progress = if hidden { Progress::none() } else { Progress::start(bytes) };
    }

    /// Draws the progress of a job whose length nobody knows.
    pub(crate) fn start_unknown_progress(&mut self, prints: bool) {
        let hidden = self.quiet || (prints && io::stdout().is_terminal());
        self.progress = if hidden { Progress::none() } else { Progress::start_unknown() };
    }

    /// What is drawn at the moment.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Says something that is not an error, unless it is to be quiet.
    pub(crate) fn warn(&self, message: &str) {
        if !self.quiet {
            self.say("warning", "33", message);
        }
    }

    /// Says something even if it is to be quiet.
    pub(crate) fn warn_always(&self, message: &str) {
        self.say("warning", "33", message);
    }

    /// What says the warnings of regions, apart from what is printed.
    pub(crate) fn warner(&self) -> Warner {
        Warner { quiet: self.quiet, progress: self.progress.clone() }
    }

    /// Says how it went, to people.
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

    /// Says what was wrong.
    pub(crate) fn say_error(&self, fault: &Fault) {
        self.say("error", "1;31", &fault.line());
    }

    /// Writes out what is buffered, beside the progress that is drawn.
    pub(crate) fn flush_aside(&mut self) -> Result<(), Failure> {
        let Self { out, progress, .. } = self;
        Ok(progress.suspend(|| out.flush())?)
    }

    /// Ends the program: the last of the output, then the error, if there is one.
    pub(crate) fn finish(mut self, result: Result<Exit, Failure>) -> ExitCode {
        self.progress = Progress::none();
        let result = result.and_then(|exit| Ok(self.out.flush().map(|()| exit)?));
        let exit = match result {
            Ok(exit) => exit,
            Err(Failure::ClosedPipe) => Exit::Done,
            Err(Failure::Fault(fault)) => self.fail(&fault),
        };
        // what could not be written is not tried again
        let _ = self.out.into_parts();
        ExitCode::from(exit as u8)
    }

    fn fail(&mut self, fault: &Fault) -> Exit {
        if self.json {
            let line = text::json(&json!({ "error": fault.error_json() }));
            let _ = writeln!(self.out, "{line}");
        }
        match self.out.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            _ => {
                self.say_error(fault);
                fault.exit()
            }
        }
    }
}

/// Says what was found when regions were opened and is no error.
#[derive(Clone, Debug)]
pub(crate) struct Warner {
    quiet: bool,
    progress: Progress,
}

impl Warner {
    /// Says the warnings of a region, unless it is to be quiet.
    pub(crate) fn warn_of(&self, region: &Region) {
        for warning in region.warnings().iter().filter(|_| !self.quiet) {
            let line = Fault::from(warning).with_hint(None).line();
            self.progress.suspend(|| say("warning", "33", &line));
        }
    }
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

/// One line on standard error. If nobody reads it there is nobody to tell.
fn say(what: &str, colour: &str, message: &str) {
    let mut stderr = io::stderr().lock();
    let plain = !stderr.is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let _ = if plain {
        writeln!(stderr, "{what}: {message}")
    } else {
        writeln!(stderr, "\x1b[{colour}m{what}:\x1b[0m {message}")
    };
}
