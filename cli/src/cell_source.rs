//! Sources of cells.

use crate::cell_json::{CellBuf, CellParser};
use crate::failure::CommandError;
use crate::lines::Lines;
use crate::progress::Progress;
use hregion::{CellOrder, CellRef, ErrorKind, HFile, HFileScanner, Limits};
use std::mem;
use std::path::{Path, PathBuf};
use std::slice;

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

/// The cells of one or several lists, in input order.
pub(crate) trait ListedCells<'p>: CellSource {
    /// Returns the line number of the current cell, over all lists.
    fn line(&self) -> u64;

    /// Returns the offsets of the lists read so far.
    fn offsets(&self) -> ListOffsets<'p>;
}

/// The offsets of lists: the number of lines before each.
#[derive(Clone, Debug)]
pub(crate) struct ListOffsets<'p>(Vec<(u64, &'p Path)>);

impl<'p> ListOffsets<'p> {
    /// Returns the offset of the only list.
    pub(crate) fn of(path: &'p Path) -> Self {
        Self(vec![(0, path)])
    }

    /// A cell was rejected; names the list and the line it came from.
    pub(crate) fn locate(&self, line: u64, error: hregion::Error) -> CommandError {
        match self.0.iter().rev().find(|(before, _)| *before < line) {
            Some((before, path)) => CommandError::in_line(path, line - before, error),
            None => error.into(),
        }
    }
}

/// Opens a list.
type OpenList<'p> = dyn Fn(&'p Path) -> Result<Box<dyn ListedCells<'p> + 'p>, CommandError> + 'p;

/// The cells of several lists, one list after the other. Each is opened when the previous ones have been
/// read.
pub(crate) struct ManyLists<'p> {
    open: Box<OpenList<'p>>,
    rest: slice::Iter<'p, PathBuf>,
    here: Option<Box<dyn ListedCells<'p> + 'p>>,
    offsets: ListOffsets<'p>,
    /// The number of lines before the current list.
    before: u64,
}

impl<'p> ManyLists<'p> {
    /// Opens lists, and moves to the first cell.
    pub(crate) fn open(paths: &'p [PathBuf], open: Box<OpenList<'p>>) -> Result<Self, CommandError> {
        let offsets = ListOffsets(Vec::new());
        let mut lists = Self { open, rest: paths.iter(), here: None, offsets, before: 0 };
        lists.skip_ended()?;
        Ok(lists)
    }

    /// Moves to the next list that has cells, if the current one has ended.
    fn skip_ended(&mut self) -> Result<(), CommandError> {
        while self.peek().is_none() {
            self.before = self.line();
            let Some(path) = self.rest.next() else { return Ok(()) };
            self.offsets.0.push((self.before, path.as_path()));
            self.here = Some((self.open)(path)?);
        }
        Ok(())
    }
}

impl CellSource for ManyLists<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        self.here.as_ref().and_then(|list| list.peek())
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        if let Some(list) = &mut self.here {
            list.advance()?;
        }
        self.skip_ended()
    }

    fn locate_error(&self, error: hregion::Error) -> CommandError {
        match &self.here {
            Some(list) => list.locate_error(error),
            None => error.into(),
        }
    }
}

impl<'p> ListedCells<'p> for ManyLists<'p> {
    fn line(&self) -> u64 {
        self.before + self.here.as_ref().map_or(0, |list| list.line())
    }

    fn offsets(&self) -> ListOffsets<'p> {
        self.offsets.clone()
    }
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
        parser: CellParser,
        order: CellOrder,
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Self, CommandError> {
        let mut cells = Self {
            lines: Lines::open(path, limits, progress)?,
            parser,
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
        let Some(line) = self.lines.next_json()? else {
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
        if disorder { fault.with_hint(Some("use --sort to sort them")) } else { fault }
    }
}

impl<'p> ListedCells<'p> for JsonCells<'p> {
    fn line(&self) -> u64 {
        self.lines.number()
    }

    fn offsets(&self) -> ListOffsets<'p> {
        ListOffsets::of(self.lines.path())
    }
}

/// The cells of an HFile.
#[derive(Debug)]
pub(crate) struct FileCells<'f> {
    scanner: HFileScanner<'f>,
}

impl<'f> FileCells<'f> {
    pub(crate) fn open(file: &'f HFile) -> Result<Self, CommandError> {
        let mut scanner = file.scanner();
        scanner.seek_to_first()?;
        Ok(Self { scanner })
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
