//! The cells that a store file has: all of an HFile, or those of the half to which a reference refers.

use crate::cell_source::{CellSource, FileCells};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::target::{self, Kind};
use hregion::{CellRef, HFile, HFileHalf, HFileHalfScanner, HFileOptions};
use std::path::Path;

/// An HFile, and the half of it that is read; `None` for all.
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub(crate) file: HFile,
    pub(crate) half: Option<HFileHalf>,
}

impl StoredFile {
    /// Opens an HFile, or the HFile of a link or a reference.
    pub(crate) fn open(
        path: &Path,
        kind: Option<Kind>,
        options: &HFileOptions,
        out: &Output,
    ) -> Result<Self, Failure> {
        let half = match kind {
            None => target::half_of(path)?,
            Some(_) => None,
        };
        let hfile = half.as_ref().map_or(path, HFileHalf::hfile);
        Ok(Self { file: target::open(hfile, kind, options, out)?, half })
    }

    /// Moves to the first cell.
    pub(crate) fn cells(&self) -> Result<StoredCells<'_>, CommandError> {
        StoredCells::open(&self.file, self.half.as_ref())
    }
}

/// The cells of a store file, as they are stored.
#[derive(Debug)]
pub(crate) enum StoredCells<'f> {
    All(FileCells<'f>),
    Half(HFileHalfScanner<'f>),
}

impl<'f> StoredCells<'f> {
    /// Moves to the first cell of a file, or of a half of it.
    pub(crate) fn open(file: &'f HFile, half: Option<&HFileHalf>) -> Result<Self, CommandError> {
        let Some(half) = half else { return Ok(Self::All(FileCells::open(file)?)) };
        let mut cells = half.scanner(file)?;
        cells.seek_to_first()?;
        Ok(Self::Half(cells))
    }
}

impl CellSource for StoredCells<'_> {
    #[inline]
    fn peek(&self) -> Option<CellRef<'_>> {
        match self {
            Self::All(cells) => cells.peek(),
            Self::Half(cells) => cells.peek(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<(), CommandError> {
        match self {
            Self::All(cells) => cells.advance(),
            Self::Half(cells) => {
                cells.advance()?;
                Ok(())
            }
        }
    }
}
