//! Sources of cells.

use crate::cell_json::{CellBuf, CellParser};
use crate::failure::CommandError;
use crate::lines::Lines;
use crate::progress::Progress;
use hregion::{CellOrder, CellRef, ErrorKind, HFile, HFileScanner, Limits};
use std::mem;
use std::path::Path;

/// A cursor over cells.
pub(crate) trait CellSource {
    /// Returns the current cell; `None` at the end.
    fn peek(&self) -> Option<CellRef<'_>>;

    /// Moves to the next cell.
    fn advance(&mut self) -> Result<(), CommandError>;

    /// Converts an error about the current cell into a fault that names its origin.
    fn locate_error(&self, error: hregion::Error) -> CommandError {
        error.into()
    }
}

/// The cells of a list, in input order.
pub(crate) trait ListedCells<'p>: CellSource {
    /// Returns the line number of the current cell.
    fn line(&self) -> u64;

    fn path(&self) -> &'p Path;
}

/// Cells from JSON lines, in input order.
pub(crate) struct JsonCells<'p> {
    lines: Lines<'p>,
    parser: CellParser,
    here: CellBuf,
    before: CellBuf,
    at_end: bool,
    /// The expected order of the cells.
    order: CellOrder,
}

impl<'p> JsonCells<'p> {
    /// Opens a list and moves to its first cell.
    pub(crate) fn open(
        path: &'p Path,
        order: CellOrder,
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Self, CommandError> {
        let mut cells = Self {
            lines: Lines::open(path, limits, progress)?,
            parser: CellParser::default(),
            here: CellBuf::default(),
            before: CellBuf::default(),
            at_end: false,
            order,
        };
        cells.advance()?;
        Ok(cells)
    }

    /// Whether the current cell has a sequence id.
    pub(crate) fn has_seq_id(&self) -> bool {
        self.here.has_seq_id()
    }
}

impl CellSource for JsonCells<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        (!self.at_end).then(|| self.here.as_cell())
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        mem::swap(&mut self.here, &mut self.before);
        let Some(line) = self.lines.next()? else {
            self.at_end = true;
            return Ok(());
        };
        match self.parser.parse(line, &mut self.here) {
            Ok(()) => Ok(()),
            Err(wrong) => Err(self.lines.wrong(&format!("{wrong}"))),
        }
    }

    fn locate_error(&self, error: hregion::Error) -> CommandError {
        let disorder = error.kind() == ErrorKind::InvalidArgument
            && self.order.compare(self.before.as_cell().key(), self.here.as_cell().key()).is_gt();
        let fault = CommandError::in_line(self.lines.path(), self.line(), error);
        if disorder { fault.with_hint(Some("--sort sorts them")) } else { fault }
    }
}

impl<'p> ListedCells<'p> for JsonCells<'p> {
    fn line(&self) -> u64 {
        self.lines.number()
    }

    fn path(&self) -> &'p Path {
        self.lines.path()
    }
}

/// The cells of an HFile.
#[derive(Debug)]
pub(crate) struct FileCells<'f> {
    scanner: HFileScanner<'f>,
    with_seq_ids: bool,
}

impl<'f> FileCells<'f> {
    pub(crate) fn open(file: &'f HFile) -> Result<Self, CommandError> {
        let mut scanner = file.scanner();
        scanner.seek_to_first()?;
        Ok(Self { scanner, with_seq_ids: file.has_seq_ids() })
    }

    /// Whether the file stores sequence ids.
    pub(crate) fn has_seq_ids(&self) -> bool {
        self.with_seq_ids
    }
}

impl CellSource for FileCells<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        self.scanner.peek()
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        self.scanner.advance()?;
        Ok(())
    }
}
