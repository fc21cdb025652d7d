//! Sorted cells in a temporary file, which has no name: whenever the process ends, it is gone.

use super::chunk::{Chunk, HEADER, lengths, put_record, record};
use crate::cell_source::CellSource;
use crate::failure::Fault;
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
    dir: PathBuf,
    bytes: u64,
}

/// Cells that know their lines.
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
    /// Writes all cells to a new file in a directory.
    pub(super) fn write(cells: &mut impl Numbered, dir: &Path, buffer: usize) -> Result<Self, Fault> {
        let fault = |error: io::Error| Fault::io("write a temporary file in", dir, &error);
        let mut file = BufWriter::with_capacity(buffer, tempfile::tempfile_in(dir).map_err(fault)?);
        let (mut bytes, mut put) = (0, Vec::new());
        while let Some(cell) = cells.peek() {
            put.clear();
            put_record(&mut put, &cell, cells.line());
            file.write_all(&put).map_err(fault)?;
            bytes += put.len() as u64;
            cells.advance()?;
        }
        let mut file = file.into_inner().map_err(|error| fault(error.into_error()))?;
        file.rewind().map_err(fault)?;
        Ok(Self { file, dir: dir.to_owned(), bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins to read it.
    pub(super) fn read(self, buffer: usize, progress: &Progress) -> Result<RunCells, Fault> {
        let file = progress.watch_read(self.file);
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
    file: BufReader<ProgressBarIter<File>>,
    dir: PathBuf,
    left: u64,
    /// The cell that it stands on; empty at the end.
    here: Vec<u8>,
}

impl RunCells {
    /// The number of the line that the cell was in.
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

    fn advance(&mut self) -> Result<(), Fault> {
        self.here.clear();
        if self.left > 0 {
            self.read_record().map_err(|error| Fault::io("read a temporary file in", &self.dir, &error))?;
            self.left = self.left.saturating_sub(self.here.len() as u64);
        }
        Ok(())
    }
}
