//! `hregion diff`: compares the cells of two files, regions or tables.

use crate::args::FileArgs;
use crate::cell_line::{self, LineStyle};
use crate::cell_source::{CellSource, FileCells};
use crate::cmd::convert::common_order;
use crate::directories::check_as;
use crate::failure::{CommandError, Exit, Failure};
use crate::faults::Faults;
use crate::output::Output;
use crate::probe;
use crate::query_args::{CellArgs, RangeArgs, RowArgs};
use crate::source::{InputSource, RowCells, bytes_of_all};
use crate::target::{self, Kind};
use crate::target_args::TargetArgs;
use crate::text;
use hregion::{Cell, CellOrder, CellRef, Clock as _, SystemClock};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::iter::Peekable;
use std::path::PathBuf;
use std::vec;

/// Print the cells that are in only one of two files, regions, tables or root directories
///
/// Compares all stored cells of two HFiles. Cells are equal if key, value, sequence id (0 if the file stores
/// none) and tags are equal; duplicate cells must be duplicated in both files. Encoding and compression are
/// ignored.
///
/// For two families, regions, tables or snapshots, and for HFiles if rows or cells are selected, compares the
/// cells that HBase would return: all versions, or those selected, without sequence ids. For two namespaces
/// or root directories, compares the tables of the same name; a line with the name precedes the cells of a
/// table.
///
/// Cells that are only in the first are printed after a minus, cells only in the second after a plus.
///
/// Exit code 1 if there is a difference. With --json: {"side":"left","cell":{…}}, with "table" if there are
/// several tables.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// First HFile, or directory of a family, region, table, snapshot, namespace or root
    left: PathBuf,

    /// Second HFile or directory, of the same kind
    right: PathBuf,

    /// Kind of LEFT and RIGHT [default: detected]
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// Ignore sequence ids when comparing cells
    #[arg(long)]
    ignore_sequence_ids: bool,

    /// Ignore tags when comparing cells
    #[arg(long)]
    ignore_tags: bool,

    #[command(flatten)]
    range: RangeArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion diff before.hfile after.hfile
  hregion diff /hbase/.hbase-snapshot/monday /hbase/data/default/users --columns cf:name
  hregion diff --json before.hfile after.hfile | jq -r 'select(.side == \"left\") | .cell.row'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let paths = [&args.left, &args.right];
    out.start_progress(bytes_of_all(paths, args.kind), true);
    let rows = RowArgs::from(args.range.clone());
    let [left, right] = match is_of_files(args)? && !rows.is_given() && !args.cells.is_given() {
        true => of_files(args, out)?,
        false => of_rows(args, &rows, out)?,
    };
    if !out.is_json() {
        out.summary(&format!("only left {left}, only right {right}"));
    }
    Ok(if [left, right] == [0; 2] { Exit::Done } else { Exit::No })
}

/// Whether both are HFiles.
fn is_of_files(args: &Args) -> Result<bool, CommandError> {
    for path in [&args.left, &args.right] {
        let is_file = match args.kind {
            None => !probe::is_dir(path)? && !target::is_reference(path)?,
            Some(Kind::Hfile) => {
                check_as(path, Kind::Hfile)?;
                true
            }
            Some(_) => false,
        };
        if !is_file {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compares the stored cells of two HFiles. Returns the number of cells only in each.
fn of_files(args: &Args, out: &mut Output) -> Result<[u64; 2], Failure> {
    let options = args.reading.options(out)?;
    let files =
        [target::open(&args.left, None, &options, out)?, target::open(&args.right, None, &options, out)?];
    files.iter().for_each(|file| out.warn_of_mob(file));
    let [left, right] = &files;
    let mut diff = Diff::new(args, Some(files.each_ref().map(|file| file.has_seq_ids())));
    diff.order = common_order(&files)?;
    diff.walk(&mut FileCells::open(left)?, &mut FileCells::open(right)?, out)?;
    Ok(diff.counts)
}

/// Compares the cells that HBase would return; for directories of tables, those of tables of the same name.
/// Returns the number of cells only in each.
fn of_rows(args: &Args, rows: &RowArgs, out: &mut Output) -> Result<[u64; 2], Failure> {
    let cells = args.cells.clone().or_all_versions();
    // with one time for both: a cell that expires during the comparison is in both or in neither
    let cells = cells.at(Some(cells.now().unwrap_or_else(|| SystemClock.now())));
    let open = |path: &PathBuf, out: &mut Output| {
        let target = TargetArgs { target: path.clone(), kind: args.kind };
        let mut faults = Faults::default();
        let opened = InputSource::open_all(&target, &args.reading, &cells, None, &mut faults, out)?;
        // Without one of the tables, all cells of the other would differ.
        faults.finish()?;
        Ok::<_, Failure>(opened)
    };
    let sources = [open(&args.left, out)?, open(&args.right, out)?];
    let mut pairs = BTreeMap::<_, [Option<&InputSource>; 2]>::new();
    for (side, sources) in sources.iter().enumerate() {
        for (name, source) in sources {
            pairs.entry(name.as_ref()).or_default()[side] = Some(source);
        }
    }
    if pairs.len() > 1 && pairs.contains_key(&None) {
        return Err(CommandError::usage("expected two tables, or two directories of tables").into());
    }
    let mut diff = Diff::new(args, None);
    for (table, pair) in pairs {
        let is_meta = match table {
            Some(table) => table.is_meta(),
            None => has_meta(&pair, rows)?,
        };
        let order = if is_meta { CellOrder::Meta } else { CellOrder::User };
        (diff.order, diff.table) = (order, table.map(ToString::to_string));
        let [left, right] = pair.map(|source| open_cells(source, rows, &cells, order));
        diff.walk(&mut *left?, &mut *right?, out)?;
    }
    Ok(diff.counts)
}

/// Whether the first region of a pair is one of `hbase:meta`.
fn has_meta(pair: &[Option<&InputSource>; 2], rows: &RowArgs) -> Result<bool, CommandError> {
    match pair.iter().flatten().find_map(|source| source.parts_of(rows).into_iter().next()) {
        Some(part) => Ok(part.open()?.info.table().is_meta()),
        None => Ok(false),
    }
}

/// Opens the cells of a table; none if it does not exist.
fn open_cells<'s>(
    source: Option<&'s InputSource>,
    rows: &RowArgs,
    cells: &CellArgs,
    order: CellOrder,
) -> Result<Box<dyn CellSource + 's>, CommandError> {
    match source {
        Some(source) => Ok(Box::new(RowCells::open(source, rows, cells, order)?)),
        None => Ok(Box::new(NoCells)),
    }
}

/// A table that does not exist.
struct NoCells;

impl CellSource for NoCells {
    fn peek(&self) -> Option<CellRef<'_>> {
        None
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        Ok(())
    }
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
    /// Whether each file stores sequence ids; `None` if they are ignored.
    seq_ids: Option<[bool; 2]>,
    /// The number of cells that are only in each file.
    counts: [u64; 2],
    /// The name of the table, if there are several.
    table: Option<String>,
    /// Whether a difference in the table was printed.
    is_begun: bool,
    line: Vec<u8>,
}

impl<'a> Diff<'a> {
    fn new(args: &'a Args, seq_ids: Option<[bool; 2]>) -> Self {
        let (order, counts, line) = (CellOrder::User, [0; 2], Vec::new());
        Self { order, args, seq_ids, counts, table: None, is_begun: false, line }
    }

    /// Walks both files in parallel.
    fn walk(
        &mut self,
        left: &mut dyn CellSource,
        right: &mut dyn CellSource,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.is_begun = false;
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
                Ordering::Less => self.print_and_advance(Side::Left, left, out)?,
                Ordering::Greater => self.print_and_advance(Side::Right, right, out)?,
                Ordering::Equal => self.compare_versions(left, right, out)?,
            }
        }
    }

    fn is_same(&self, a: &CellRef<'_>, b: &CellRef<'_>) -> bool {
        self.compare(a, b).is_eq()
    }

    /// Orders cells by their compared parts.
    fn compare(&self, a: &CellRef<'_>, b: &CellRef<'_>) -> Ordering {
        let seq_ids = match self.args.ignore_sequence_ids || self.seq_ids.is_none() {
            true => Ordering::Equal,
            false => a.seq_id().cmp(&b.seq_id()),
        };
        let tags = || match self.args.ignore_tags {
            true => Ordering::Equal,
            false => a.tag_bytes().cmp(b.tag_bytes()),
        };
        let keys = || a.key().as_bytes().cmp(b.key().as_bytes());
        seq_ids.then_with(keys).then_with(|| a.value().cmp(b.value())).then_with(tags)
    }

    /// Sorts cells, with their positions.
    fn sorted<'c>(&self, cells: &'c [Cell]) -> Peekable<vec::IntoIter<(usize, CellRef<'c>)>> {
        let mut sorted: Vec<_> = cells.iter().map(Cell::as_ref).enumerate().collect();
        sorted.sort_by(|(_, a), (_, b)| self.compare(a, b));
        sorted.into_iter().peekable()
    }

    /// Compares cells with the same key, which may be in any order.
    fn compare_versions(
        &mut self,
        left: &mut dyn CellSource,
        right: &mut dyn CellSource,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let cells = [self.take_versions(left, Side::Left)?, self.take_versions(right, Side::Right)?];
        let [mut left, mut right] = cells.each_ref().map(|cells| self.sorted(cells));
        let mut only = [Vec::new(), Vec::new()];
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((_, a)), Some((_, b))) => self.compare(a, b),
            };
            let taken = [left.next_if(|_| order.is_le()), right.next_if(|_| order.is_ge())];
            if order.is_ne() {
                only.iter_mut().zip(taken).for_each(|(only, cell)| only.extend(cell));
            }
        }
        for (side, mut only) in [Side::Left, Side::Right].into_iter().zip(only) {
            // in the order in which they are stored
            only.sort_by_key(|(at, _)| *at);
            only.iter().try_for_each(|(_, cell)| self.print(side, cell, out))?;
        }
        Ok(())
    }

    /// Takes all cells with the key of the current one. Fails if they need more memory than is allowed.
    fn take_versions(&self, cells: &mut dyn CellSource, side: Side) -> Result<Vec<Cell>, CommandError> {
        let (mut versions, mut bytes) = (Vec::<Cell>::new(), 0_usize);
        let most = self.args.reading.memory_bytes();
        while let Some(cell) = cells.peek() {
            if versions
                .first()
                .is_some_and(|first| self.order.compare(first.as_ref().key(), cell.key()).is_ne())
            {
                break;
            }
            let len = cell.key().as_bytes().len() + cell.value().len() + cell.tag_bytes().len();
            bytes = bytes.saturating_add(len + size_of::<Cell>());
            if bytes > most {
                let path = [&self.args.left, &self.args.right][side as usize];
                let message = format!("the cells of one key have more than {most} bytes");
                return Err(CommandError::limit(
                    path,
                    message,
                    "use --limit-memory-bytes to raise the limit",
                ));
            }
            versions.push(Cell::from(cell));
            cells.advance()?;
        }
        Ok(versions)
    }

    fn print_and_advance(
        &mut self,
        side: Side,
        cells: &mut dyn CellSource,
        out: &mut Output,
    ) -> Result<(), Failure> {
        if let Some(cell) = cells.peek() {
            self.print(side, &cell, out)?;
        }
        Ok(cells.advance()?)
    }

    fn print(&mut self, side: Side, cell: &CellRef<'_>, out: &mut Output) -> Result<(), Failure> {
        self.counts[side as usize] += 1;
        out.found(Exit::No);
        self.line.clear();
        if out.is_json() {
            self.line.extend_from_slice(match side {
                Side::Left => b"{\"side\":\"left\",",
                Side::Right => b"{\"side\":\"right\",",
            });
            if let Some(table) = &self.table {
                let name = text::json(&Value::from(table.as_str()));
                self.line.extend_from_slice(format!("\"table\":{name},").as_bytes());
            }
            self.line.extend_from_slice(b"\"cell\":");
            let with_seq_id = self.seq_ids.is_some_and(|seq_ids| seq_ids[side as usize]);
            cell_line::put_json(&mut self.line, cell, with_seq_id);
            self.line.extend_from_slice(b"}\n");
        } else {
            if let Some(table) = self.table.as_ref().filter(|_| !self.is_begun) {
                self.line.extend_from_slice(format!("table {table}\n").as_bytes());
                self.is_begun = true;
            }
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
