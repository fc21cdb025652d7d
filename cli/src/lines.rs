//! Lines of a file or of standard input, unpacked if need be.

use crate::failure::Fault;
use crate::progress::Progress;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The lines of a text, without those that are empty.
pub(crate) struct Lines<'p> {
    path: &'p Path,
    input: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
    /// The longest line that is read.
    limit: u64,
}

const BUFFER: usize = 128 << 10;

impl<'p> Lines<'p> {
    /// The lines of a file; of standard input, if it is called `-`. A name that ends with `.gz` is that of a packed file.
    pub(crate) fn open(path: &'p Path, limit: u64, progress: &Progress) -> Result<Self, Fault> {
        let input: Box<dyn BufRead> = if is_stdin(path) {
            Box::new(BufReader::with_capacity(BUFFER, progress.watch_read(io::stdin())))
        } else {
            let file = File::open(path).map_err(|error| Fault::io("open", path, &error))?;
            let file = BufReader::with_capacity(BUFFER, progress.watch_read(file));
            if path.extension().is_some_and(|extension| extension == "gz") {
                Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
            } else {
                Box::new(file)
            }
        };
        Ok(Self { path, input, line: Vec::new(), number: 0, limit })
    }

    /// The next line that is not empty, as it is but for its end; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        loop {
            self.line.clear();
            self.number += 1;
            let read = (&mut self.input)
                .take(self.limit)
                .read_until(b'\n', &mut self.line)
                .map_err(|error| Fault::io("read", self.path, &error))?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == self.limit {
                return Err(self.wrong(&format!("longer than {} MiB", self.limit >> 20)));
            }
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            }
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(&self.line));
            }
        }
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn path(&self) -> &'p Path {
        self.path
    }

    /// Something that is wrong with the line that was read last.
    pub(crate) fn wrong(&self, message: &str) -> Fault {
        Fault::invalid_file(self.path, format!("line {}: {message}", self.number))
    }
}

/// Whether a path stands for standard input, or for standard output.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
