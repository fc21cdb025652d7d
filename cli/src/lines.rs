//! Lines of a file, local or remote, or of standard input, decompressed if necessary.

use crate::failure::CommandError;
use crate::progress::Progress;
use crate::streams;
use crate::vfs;
use flate2::read::MultiGzDecoder;
use hregion::{FileReader, Limits};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// The lines of a text that are not empty.
pub(crate) struct Lines<'p> {
    path: &'p Path,
    input: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
    /// Maximum length of a line in bytes.
    limit: usize,
    /// The bytes to skip at the beginning of the first line.
    mark: &'static [u8],
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

const BUFFER: usize = 128 << 10;

impl<'p> Lines<'p> {
    /// Opens a file by path or URL; `-` is standard input. A file whose name ends with `.gz` is decompressed.
    pub(crate) fn open(path: &'p Path, limits: &Limits, progress: &Progress) -> Result<Self, CommandError> {
        let input: Box<dyn BufRead> = if is_stdin(path) {
            streams::check_input().map_err(|error| CommandError::io("read", path, &error))?;
            Box::new(BufReader::with_capacity(BUFFER, progress.watch_read(io::stdin())))
        } else {
            vfs::check_readable(path)?;
            let fault = |error| CommandError::io("open", path, &error);
            let file: Box<dyn Read> = if vfs::is_url(path) {
                Box::new(FileBytes { file: vfs::open(path).map_err(fault)?, at: 0 })
            } else {
                Box::new(File::open(path).map_err(fault)?)
            };
            let file = BufReader::with_capacity(BUFFER, progress.watch_read(file));
            if path.extension().is_some_and(|extension| extension == "gz") {
                Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
            } else {
                Box::new(file)
            }
        };
        Ok(Self { path, input, line: Vec::new(), number: 0, limit: limits.line_bytes, mark: b"" })
    }

    /// Leaves out a byte order mark before the first line, as HBase's `ImportTsv` does (Hadoop:
    /// `LineRecordReader.skipUtfByteOrderMark`).
    pub(crate) fn without_mark(self) -> Self {
        Self { mark: MARK, ..self }
    }

    /// Returns the next line that is not empty, without its line ending; `None` at the end. Blanks are data.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, CommandError> {
        self.next_of(|line| !line.is_empty())
    }

    /// Like [`next`](Self::next), for JSON lines: there, a line of blanks is as good as an empty one.
    pub(crate) fn next_json(&mut self) -> Result<Option<&[u8]>, CommandError> {
        self.next_of(|line| !line.trim_ascii().is_empty())
    }

    fn next_of(&mut self, is_data: fn(&[u8]) -> bool) -> Result<Option<&[u8]>, CommandError> {
        while self.read()? {
            if is_data(&self.line) {
                return Ok(Some(&self.line));
            }
        }
        Ok(None)
    }

    /// Skips a number of lines, empty ones among them.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), CommandError> {
        for _ in 0..count {
            if !self.read()? {
                break;
            }
        }
        Ok(())
    }

    /// Reads a line, without its line ending. Returns false at the end.
    fn read(&mut self) -> Result<bool, CommandError> {
        self.line.clear();
        self.number += 1;
        let mark: &'static [u8] = if self.number == 1 { self.mark } else { b"" };
        // the line ending, and one more byte to detect a line that is too long
        let most = (self.limit as u64).saturating_add(2 + mark.len() as u64);
        let read = (&mut self.input).take(most).read_until(b'\n', &mut self.line);
        if read.map_err(|error| self.failed(&error))? == 0 {
            return Ok(false);
        }
        if self.line.starts_with(mark) {
            self.line.drain(..mark.len());
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        if self.line.len() > self.limit {
            let message = format!("line {}: over the limit of {} bytes", self.number, self.limit);
            return Err(CommandError::limit(self.path, message, "use --limit-line-bytes to raise it"));
        }
        Ok(true)
    }

    /// Returns the number of the current line, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn path(&self) -> &'p Path {
        self.path
    }

    /// Returns a fault about the format of the current line.
    pub(crate) fn wrong(&self, message: &str) -> CommandError {
        CommandError::corrupt(self.path, format!("line {}: {message}", self.number))
    }

    /// Returns a fault for a failed read: an I/O error, or damaged compressed data.
    fn failed(&self, error: &io::Error) -> CommandError {
        let message = format!("line {}: cannot decompress: {error}", self.number);
        match error.kind() {
            // errors of the system have an error number
            _ if error.raw_os_error().is_some() => CommandError::io("read", self.path, error),
            io::ErrorKind::UnexpectedEof => CommandError::truncated(self.path, message),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                CommandError::corrupt(self.path, message)
            }
            _ => CommandError::io("read", self.path, error),
        }
    }
}

/// Returns the fault of the JSON of a line, with its column but without the parser's line number, which is
/// always 1.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    let (line, column, text) = (error.line(), error.column(), error.to_string());
    match text.strip_suffix(&format!(" at line {line} column {column}")) {
        Some(what) => format!("column {column}: {what}"),
        None => text,
    }
}

/// The bytes of a file, one after the other.
struct FileBytes {
    file: Arc<dyn FileReader>,
    at: u64,
}

impl Read for FileBytes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len() - self.at;
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        // Errors of the network are not errors of the compressed data.
        self.file.read_exact_at(&mut buf[..len], self.at).map_err(io::Error::other)?;
        self.at += len as u64;
        Ok(len)
    }
}

/// Fails if a list cannot be opened. A pipe is not opened: it could not be opened again.
pub(crate) fn check_list(path: &Path) -> Result<(), CommandError> {
    if is_stdin(path) {
        return Ok(());
    }
    vfs::check_readable(path)?;
    let fault = |error: io::Error| CommandError::io("open", path, &error);
    if vfs::is_url(path) {
        return vfs::open(path).map(drop).map_err(fault);
    }
    let meta = fs::metadata(path).map_err(fault)?;
    if meta.is_dir() {
        return Err(fault(io::ErrorKind::IsADirectory.into()));
    }
    if meta.is_file() { File::open(path).map(drop).map_err(fault) } else { Ok(()) }
}

/// Whether the path is `-`: standard input, or standard output.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
