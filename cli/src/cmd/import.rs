//! `hregion import`: loads a list of cells into a table.

use crate::args::FileArgs;
use crate::cell_source::CellSource;
use crate::cmd::write;
use crate::failure::{CommandError, Exit, Failure};
use crate::lines::check_list;
use crate::output::Output;
use crate::sort::{self, Sorting};
use crate::table_load::TableLoad;
use crate::write_args::ListArgs;
use hregion::cell::StringBinary;
use hregion::{CellOrder, CellRef, Family};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Load rows of text, or cells in JSON lines, into a table
///
/// Input is text in the format of HBase's ImportTsv with --columns, otherwise JSON lines as printed by `scan
/// --json` and `cells --json`, in any order. The cells are sorted and written to HFiles, one for each family
/// and region, with the settings of the family. The files are then moved into the regions, as in a bulk load:
/// all cells of a region become visible at once. Nothing is loaded if a line is malformed or a file cannot be
/// written. If the process dies while files are moved, some regions and families have their cells, and others
/// do not.
///
/// The cells are newer than cells of the table with the same timestamp. Several lists are read as one. If
/// they have several cells of the same column and timestamp, the one with the greatest sequence id is read,
/// or else the first. All rows of text without a timestamp have the same one. Delete markers are not loaded
/// into a family with NEW_VERSION_BEHAVIOR, for which the order of all writes matters.
///
/// No other process may write to the table at the same time. After a failure, the command can be repeated:
/// cells that are loaded again replace themselves, if their timestamps are in the input or given by
/// --timestamp.
///
/// With --json, prints {"cells","files","regions","skipped_lines"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of the table, by path or URL of S3 or HDFS
    table: PathBuf,

    /// Lists of cells, by path or URL (- for standard input; .gz is decompressed)
    #[arg(required = true, value_name = "CELLS")]
    cells: Vec<PathBuf>,

    #[command(flatten)]
    list: ListArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion import data/default/users users.csv --columns HBASE_ROW_KEY,cf:name,cf:age --separator , \\
      --quoted --skip-lines 1
  hregion scan --json --versions all /backup/data/default/users --prefix user1 | \\
      hregion import data/default/users -
  hregion export /backup/data/default/users --to jsonl --versions all --out users && \\
      hregion import data/default/users users/*.jsonl";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let check_lists = || -> Result<(), Failure> {
        args.cells.iter().try_for_each(|list| check_list(list))?;
        Ok(())
    };
    let load = TableLoad::begin(&args.table, args.cells.iter(), &args.reading, check_lists, out)?;
    let (cells, skipped) = write_files(args, &load, out)?;
    let regions = load.regions().len();
    let files = load.finish()?.loaded;
    if out.is_json() {
        let line = json!({ "cells": cells, "files": files, "regions": regions, "skipped_lines": skipped });
        out.json_line(&line)?;
    } else {
        writeln!(out, "cells {cells}, files {files}")?;
    }
    Ok(Exit::Done)
}

/// Writes the files of all lists. Returns the numbers of cells and of skipped lines.
fn write_files(args: &Args, load: &TableLoad, out: &mut Output) -> Result<(u64, u64), Failure> {
    let mut files = load.files();
    write::start_progress(&args.cells, out);
    let (cells, bad_lines) = args.list.open_all(&args.cells, CellOrder::User, out)?;
    let sorting = Sorting {
        order: CellOrder::User,
        sort: true,
        memory: &args.list.memory,
        // next to which sorted runs are written, if it is local
        file: &load.dir().join("cells"),
        // the files of some family may be
        encrypted: args.reading.master_key()?.is_some(),
    };
    let sorted = sort::in_order(Box::new(cells), sorting, out)?;
    files.append_all(&mut OrderedDeletes::refuse(sorted, load, &args.table)?)?;
    write::warn_of(&bad_lines, out);
    Ok((files.finish()?.iter().map(|file| file.cells).sum(), bad_lines.count()))
}

/// Cells without delete markers of families with NEW_VERSION_BEHAVIOR. A marker hides what was written before
/// it, and loaded cells are all written at once.
struct OrderedDeletes<'s> {
    cells: Box<dyn CellSource + 's>,
    families: Vec<Vec<u8>>,
    table: &'s Path,
}

impl<'s> OrderedDeletes<'s> {
    fn refuse(
        cells: Box<dyn CellSource + 's>,
        load: &TableLoad,
        table: &'s Path,
    ) -> Result<Self, CommandError> {
        let families = load.regions().first().into_iter().flat_map(|region| region.families());
        let ordered = families.filter(|family| family.has_new_version_behavior());
        let cells = Self { cells, families: ordered.map(Family::name).map(<[u8]>::to_vec).collect(), table };
        cells.check()?;
        Ok(cells)
    }

    fn check(&self) -> Result<(), CommandError> {
        let is_refused = |cell: &CellRef<'_>| {
            cell.cell_type().is_delete() && self.families.iter().any(|family| family == cell.family())
        };
        match self.cells.peek().filter(is_refused) {
            None => Ok(()),
            Some(cell) => {
                let family = StringBinary(cell.family());
                let message = format!("{cell:.64} is a delete marker, and {family} has NEW_VERSION_BEHAVIOR");
                Err(CommandError::unsupported(self.table, message))
            }
        }
    }
}

impl CellSource for OrderedDeletes<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        self.cells.peek()
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        self.cells.advance()?;
        self.check()
    }

    fn locate_error(&self, error: hregion::Error) -> CommandError {
        self.cells.locate_error(error)
    }
}
