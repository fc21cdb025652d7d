//! `hregion diff`: compares the cells of two files.

use crate::args::FileArgs;
use crate::cell_line::{self, LineStyle};
use crate::cell_source::{CellSource, FileCells};
use crate::cmd::convert::common_order;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::target;
use hregion::{Cell, CellOrder, CellRef};
use std::cmp::Ordering;
use std::io::Write as _;
use std::path::PathBuf;

/// Print the cells that are in only one of two files
///
/// Cells are equal if key, value, sequence id (0 if the file stores none) and tags are equal; duplicate cells
/// must be duplicated in both files. Encoding and compression are ignored. Cells that are only in the first
/// file are prefixed with a minus, those only in the second with a plus.
///
/// Exit code 1 if there is a difference. With --json: {"side":"left","cell":{…}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The first HFile
    left: PathBuf,

    /// The second HFile
    right: PathBuf,

    /// Ignore sequence ids when comparing cells
    #[arg(long)]
    ignore_sequence_ids: bool,

    /// Ignore tags when comparing cells
    #[arg(long)]
    ignore_tags: bool,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion diff before.hfile after.hfile
  hregion diff --json before.hfile after.hfile | jq -r 'select(.side == \"left\") | .cell.row'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let paths = [&args.left, &args.right];
    let bytes = paths.iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum();
    out.start_progress(bytes, true);
    let files =
        [target::open(&args.left, None, &options, out)?, target::open(&args.right, None, &options, out)?];
    let [left, right] = &files;
    let mut diff = Diff {
        order: common_order(&files)?,
        args,
        seq_ids: files.each_ref().map(|file| file.has_seq_ids()),
        counts: [0; 2],
        line: Vec::new(),
    };
    diff.walk(FileCells::open(left)?, FileCells::open(right)?, out)?;
    let [left, right] = diff.counts;
    if !out.is_json() {
        out.summary(&format!("only left {left}, only right {right}"));
    }
    Ok(if diff.counts == [0; 2] { Exit::Done } else { Exit::No })
}

/// One of the two files.
#[derive(Clone, Copy, Debug)]
enum Side {
    Left = 0,
    Right = 1,
}

struct Diff<'a> {
    order: CellOrder,
    args: &'a Args,
    /// Whether each file stores sequence ids.
    seq_ids: [bool; 2],
    /// The number of cells that are only in each file.
    counts: [u64; 2],
    line: Vec<u8>,
}

impl Diff<'_> {
    /// Walks both files in parallel.
    fn walk(
        &mut self,
        mut left: FileCells<'_>,
        mut right: FileCells<'_>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) if self.is_same(&a, &b) => {
                    left.advance()?;
                    right.advance()?;
                    continue;
                }
                (Some(a), Some(b)) => self.order.compare(a.key(), b.key()),
            };
            match order {
                Ordering::Less => self.print_and_advance(Side::Left, &mut left, out)?,
                Ordering::Greater => self.print_and_advance(Side::Right, &mut right, out)?,
                Ordering::Equal => self.compare_versions(&mut left, &mut right, out)?,
            }
        }
    }

    fn is_same(&self, a: &CellRef<'_>, b: &CellRef<'_>) -> bool {
        a.key() == b.key()
            && a.value() == b.value()
            && (self.args.ignore_sequence_ids || a.seq_id() == b.seq_id())
            && (self.args.ignore_tags || a.tag_bytes() == b.tag_bytes())
    }

    /// Compares cells with the same key, which may be in any order.
    fn compare_versions(
        &mut self,
        left: &mut FileCells<'_>,
        right: &mut FileCells<'_>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let mut only_right = self.take_versions(right)?;
        for cell in self.take_versions(left)? {
            let same = only_right.iter().position(|other| self.is_same(&cell.as_ref(), &other.as_ref()));
            match same {
                Some(same) => drop(only_right.remove(same)),
                None => self.print(Side::Left, &cell.as_ref(), out)?,
            }
        }
        only_right.iter().try_for_each(|cell| self.print(Side::Right, &cell.as_ref(), out))
    }

    /// Takes all cells with the key of the current one.
    fn take_versions(&self, cells: &mut FileCells<'_>) -> Result<Vec<Cell>, CommandError> {
        let mut versions: Vec<Cell> = Vec::new();
        while let Some(cell) = cells.peek() {
            if versions
                .first()
                .is_some_and(|first| self.order.compare(first.as_ref().key(), cell.key()).is_ne())
            {
                break;
            }
            versions.push(Cell::from(cell));
            cells.advance()?;
        }
        Ok(versions)
    }

    fn print_and_advance(
        &mut self,
        side: Side,
        cells: &mut FileCells<'_>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        if let Some(cell) = cells.peek() {
            self.print(side, &cell, out)?;
        }
        Ok(cells.advance()?)
    }

    fn print(&mut self, side: Side, cell: &CellRef<'_>, out: &mut Output) -> Result<(), Failure> {
        self.counts[side as usize] += 1;
        self.line.clear();
        if out.is_json() {
            self.line.extend_from_slice(match side {
                Side::Left => b"{\"side\":\"left\",\"cell\":",
                Side::Right => b"{\"side\":\"right\",\"cell\":",
            });
            cell_line::put_json(&mut self.line, cell, self.seq_ids[side as usize]);
            self.line.extend_from_slice(b"}\n");
        } else {
            self.line.extend_from_slice(match side {
                Side::Left => b"- ",
                Side::Right => b"+ ",
            });
            cell_line::put_text(&mut self.line, cell, LineStyle::KeyValue);
            self.line.push(b'\n');
        }
        Ok(out.write_all(&self.line)?)
    }
}
