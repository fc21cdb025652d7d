//! `hregion count`: counts rows and cells.

use crate::args::FileArgs;
use crate::cell_source::CellSource as _;
use crate::failure::{CommandError, Exit, Failure};
use crate::faults::Faults;
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::part_sums::{Named, Sum, sum_parts};
use crate::probe;
use crate::query_args::{CellArgs, RowArgs};
use crate::server_args::{ServerArgs, ServerTable};
use crate::source::{Draws, InputSource, SourcePart};
use crate::stored_file::StoredFile;
use crate::target::Kind;
use crate::target_args::TargetArgs;
use crate::vfs;
use hregion::{RegionInfo, RowRef, TableName};
use serde_json::json;
use std::io::Write as _;

/// Count rows and cells
///
/// For an HFile without options that select cells, reads, checks and counts all stored cells; the counts
/// recorded in the file are not used. Follows links; for a reference, counts its half of the file. Otherwise
/// counts the rows and cells that `hregion scan` prints; for a namespace or a root directory, counts each
/// table, then prints the sum. If a table cannot be read, its error is printed, the others are counted, and
/// there is no sum. Regions are read on several threads. With --zookeeper, --bootstrap or --site, counts a
/// table of a running cluster.
///
/// With --json: {"rows":1,"cells":2}; for a namespace or a root directory {"table","rows","cells"} for each
/// table, then {"summary":{"tables","rows","cells"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    jobs: JobArgs,

    #[command(flatten)]
    rows: RowArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion count 8e8ab58dcf39412d
  hregion count --json 8e8ab58dcf39412d | jq .rows
  hregion count data/default/users --versions all
  hregion count /hbase --jobs 8";

/// The numbers of rows and cells.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    rows: u64,
    cells: u64,
}

/// Counts rows whose cells come one after the other, and their cells.
#[derive(Debug, Default)]
struct Counter {
    counts: Counts,
    /// The last row.
    row: Vec<u8>,
}

impl Counter {
    /// Adds cells of a row, which may be the row of the previous cells.
    fn add(&mut self, row: &[u8], cells: u64) {
        if self.counts.rows == 0 || row != self.row {
            self.counts.rows += 1;
            self.row.clear();
            self.row.extend_from_slice(row);
        }
        self.counts.cells += cells;
    }

    /// Returns a function that counts the rows passed to it.
    fn taking(&mut self) -> impl FnMut(RowRef<'_>) -> Result<(), Failure> {
        |row| {
            self.add(row.key(), row.len() as u64);
            Ok(())
        }
    }
}

impl Sum for Counts {
    fn merge(&mut self, next: Self) {
        self.rows += next.rows;
        self.cells += next.cells;
    }
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(table) = args.server.table(&args.target, &args.cells, Some(&args.reading))? {
        print(count_served(&table, args)?, out)?;
        return Ok(Exit::Done);
    }
    let is_file = match args.target.kind {
        None => !probe::is_dir(&args.target.target)?,
        Some(kind) => kind == Kind::Hfile,
    };
    let chooses = args.rows.is_given() || args.cells.is_given();
    if is_file && !chooses {
        print(count_stored(args, out)?, out)?;
        return Ok(Exit::Done);
    }
    let draws = Draws { prints: false, all: args.rows.is_all() };
    let mut faults = Faults::default();
    let sources =
        InputSource::open_all(&args.target, &args.reading, &args.cells, Some(draws), &mut faults, out)?;
    match &sources[..] {
        sources if !args.rows.has_limit() => count_all(sources, faults, args, out),
        [(None, source)] => {
            print(count_first(source, args)?, out)?;
            Ok(Exit::Done)
        }
        _ => Err(CommandError::usage("--limit: expected one table, not a directory of tables").into()),
    }
}

fn print(counts: Counts, out: &mut Output) -> Result<(), Failure> {
    let Counts { rows, cells } = counts;
    if out.is_json() {
        out.json_line(&json!({ "rows": rows, "cells": cells }))?;
    } else {
        writeln!(out, "rows {rows}\ncells {cells}")?;
    }
    Ok(())
}

/// Counts the rows and cells that servers return, of several regions at once.
fn count_served(table: &ServerTable, args: &Args) -> Result<Counts, Failure> {
    let mut counter = Counter::default();
    if args.rows.has_limit() || args.cells.may_end_scan() {
        table.scan(&args.rows, &args.cells, counter.taking())?;
        return Ok(counter.counts);
    }
    let count = |region: &RegionInfo| {
        let mut counter = Counter::default();
        table.scan_region(region, &args.rows, &args.cells, counter.taking())?;
        Ok(counter.counts)
    };
    args.jobs.in_order(&table.regions(&args.rows)?, count, |counts: Result<Counts, Failure>| {
        counter.counts.merge(counts?);
        Ok(())
    })?;
    Ok(counter.counts)
}

/// Counts the rows and cells that HBase would return, in the order of the regions, up to a number of rows.
fn count_first(source: &InputSource, args: &Args) -> Result<Counts, Failure> {
    let mut counter = Counter::default();
    source.scan(&args.rows, &args.cells, counter.taking())?;
    Ok(counter.counts)
}

/// Counts the rows and cells that HBase would return of a part.
fn count_part(source: &InputSource, part: &SourcePart<'_>, args: &Args) -> Result<Counts, Failure> {
    let mut counter = Counter::default();
    source.scan_part(&part.open()?, &args.rows, &args.cells, counter.taking())?;
    Ok(counter.counts)
}

/// Counts the rows and cells of each source, and prints them; of several tables also their sum, if all can be
/// read. `faults` are those of tables that cannot be opened.
fn count_all(sources: &[Named], mut faults: Faults, args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let (mut tables, mut all) = (0_u64, Counts::default());
    let is_one = matches!(sources, [(None, _)]);
    if !is_one && !out.is_json() {
        writeln!(out, "{:>12} {:>12}", "rows", "cells")?;
    }
    let count = |source: &InputSource, part: &SourcePart<'_>| count_part(source, part, args);
    let mut done = |table: Option<&TableName>, counted: Result<Counts, Failure>| {
        let Some(counts) = faults.take(table, counted, out)? else { return Ok(()) };
        let Some(table) = table else { return print(counts, out) };
        tables += 1;
        all.merge(counts);
        let Counts { rows, cells } = counts;
        if out.is_json() {
            out.json_line(&json!({ "table": table.to_string(), "rows": rows, "cells": cells }))?;
        } else {
            writeln!(out, "{rows:>12} {cells:>12}  {table}")?;
        }
        out.flush_aside()
    };
    let counted = if args.cells.may_end_scan() {
        sources.iter().try_for_each(|(table, source)| done(table.as_ref(), count_first(source, args)))
    } else {
        sum_parts(sources, (&args.rows, args.jobs), Counts::default, count, done)
    };
    let Counts { rows, cells } = all;
    if is_one || counted.is_err() || !faults.is_empty() {
        return faults.end(counted, out);
    }
    if out.is_json() {
        out.json_line(&json!({ "summary": { "tables": tables, "rows": rows, "cells": cells } }))?;
    } else {
        writeln!(out, "{rows:>12} {cells:>12}  {tables} tables")?;
    }
    Ok(Exit::Done)
}

/// Counts the rows and cells stored in a file, or in the half to which a reference refers.
fn count_stored(args: &Args, out: &mut Output) -> Result<Counts, Failure> {
    let options = args.reading.options(out)?;
    let TargetArgs { target: path, kind } = &args.target;
    out.start_progress(vfs::len(path), false);
    let stored = StoredFile::open(path, *kind, &options, out)?;
    let mut counter = Counter::default();
    let mut cells = stored.cells()?;
    while let Some(cell) = cells.peek() {
        counter.add(cell.row(), 1);
        cells.advance()?;
    }
    Ok(counter.counts)
}
