//! Sorted cells in an unnamed temporary file, which disappears when the process ends.

use super::chunk::{Chunk, HEADER, lengths, put_record, record};
use super::encrypted::{EncryptedFile, RunKey};
use crate::cell_source::CellSource;
use crate::failure::CommandError;
use crate::merge::Merge;
use crate::progress::Progress;
use hregion::CellRef;
use indicatif::ProgressBarIter;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// A file of sorted cells.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    /// `None` if the file is not encrypted.
    key: Option<RunKey>,
    dir: PathBuf,
    bytes: u64,
}

/// Cells with line numbers.
pub(super) trait Numbered: CellSource {
    fn line(&self) -> u64;
}

impl Numbered for Chunk {
    fn line(&self) -> u64 {
        self.line()
    }
}

impl Numbered for Merge<RunCells> {
    fn line(&self) -> u64 {
        self.source().map_or(0, RunCells::line)
    }
}

impl Run {
    /// Writes all cells to a new file in a directory; with `encrypted`, under a new key.
    pub(super) fn write(
        cells: &mut impl Numbered,
        dir: &Path,
        buffer: usize,
        encrypted: bool,
    ) -> Result<Self, CommandError> {
        let fault = |error: io::Error| CommandError::io("write a temporary file in", dir, &error);
        let key = encrypted.then(|| RunKey::new(dir)).transpose()?;
        let file = EncryptedFile::new(tempfile::tempfile_in(dir).map_err(fault)?, key.as_ref());
        let mut file = BufWriter::with_capacity(buffer, file);
        let (mut bytes, mut put) = (0, Vec::new());
        while let Some(cell) = cells.peek() {
            put.clear();
            put_record(&mut put, &cell, cells.line());
            file.write_all(&put).map_err(fault)?;
            bytes += put.len() as u64;
            cells.advance()?;
        }
        let mut file = file.into_inner().map_err(|error| fault(error.into_error()))?.into_inner();
        file.rewind().map_err(fault)?;
        Ok(Self { file, key, dir: dir.to_owned(), bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Opens the run for reading.
    pub(super) fn read(self, buffer: usize, progress: &Progress) -> Result<RunCells, CommandError> {
        let file = EncryptedFile::new(progress.watch_read(self.file), self.key.as_ref());
        let mut cells = RunCells {
            file: BufReader::with_capacity(buffer, file),
            dir: self.dir,
            left: self.bytes,
            here: Vec::new(),
        };
        cells.advance()?;
        Ok(cells)
    }
}

/// The cells of a run.
#[derive(Debug)]
pub(super) struct RunCells {
    file: BufReader<EncryptedFile<ProgressBarIter<File>>>,
    dir: PathBuf,
    left: u64,
    /// The current record; empty at the end.
    here: Vec<u8>,
}

impl RunCells {
    /// Returns the line number of the current cell.
    pub(super) fn line(&self) -> u64 {
        if self.here.is_empty() { 0 } else { record(&self.here).1 }
    }

    fn read_record(&mut self) -> io::Result<()> {
        let mut header = [0; HEADER];
        self.file.read_exact(&mut header)?;
        self.here.extend_from_slice(&header);
        self.here.resize(HEADER + lengths(&header).iter().sum::<usize>(), 0);
        self.file.read_exact(&mut self.here[HEADER..])
    }
}

impl CellSource for RunCells {
    fn peek(&self) -> Option<CellRef<'_>> {
        (!self.here.is_empty()).then(|| record(&self.here).0)
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        self.here.clear();
        if self.left > 0 {
            self.read_record()
                .map_err(|error| CommandError::io("read a temporary file in", &self.dir, &error))?;
            self.left = self.left.saturating_sub(self.here.len() as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellOrder, CellType, SeekKey};

    /// Writes and reads a run of cells whose values are all `MARKER`, and returns its bytes in the file.
    fn run(encrypted: bool) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let mut chunk = Chunk::new(CellOrder::User);
        for i in 0..1000_u64 {
            let key = SeekKey::of(&i.to_be_bytes(), b"f", b"q", 1, CellType::Put);
            chunk.push(&CellRef::new(&key, MARKER), i);
        }
        chunk.sort();
        let run = Run::write(&mut chunk, dir.path(), 4 << 10, encrypted).unwrap();
        let mut bytes = Vec::new();
        let mut file = run.file.try_clone().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        file.rewind().unwrap();
        assert_eq!(bytes.len() as u64, run.bytes());
        let mut cells = run.read(100, &Progress::none()).unwrap();
        for i in 0..1000_u64 {
            let cell = cells.peek().unwrap();
            assert_eq!((cell.row(), cell.value()), (i.to_be_bytes().as_slice(), MARKER));
            assert_eq!(cells.line(), i);
            cells.advance().unwrap();
        }
        assert!(cells.peek().is_none());
        bytes
    }

    const MARKER: &[u8] = b"a value that shows";

    fn shows(bytes: &[u8]) -> bool {
        bytes.windows(MARKER.len()).any(|window| window == MARKER)
    }

    #[test]
    fn a_run_in_the_clear_shows_its_cells() {
        assert!(shows(&run(false)));
    }

    #[cfg(feature = "crypto")]
    #[test]
    fn an_encrypted_run_does_not_show_its_cells() {
        let (first, second) = (run(true), run(true));
        assert!(!shows(&first) && !shows(&second));
        assert_ne!(first, second, "each run has a key of its own");
    }

    #[cfg(not(feature = "crypto"))]
    #[test]
    fn a_run_that_cannot_be_encrypted_is_refused() {
        let mut chunk = Chunk::new(CellOrder::User);
        let error = Run::write(&mut chunk, Path::new("."), 10, true).unwrap_err();
        assert!(error.line().contains("build with the feature `crypto`"), "{}", error.line());
    }
}
