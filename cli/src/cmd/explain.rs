//! `hregion explain`: why a read returns what it returns.

use crate::args::FileArgs;
use crate::explain_output::ExplainOutput;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, CellArgs, Row, RowArgs};
use crate::source::InputSource;
use crate::target_args::TargetArgs;
use clap::Subcommand;

/// Explain why a get or a scan returns what it returns
///
/// Prints every stored cell of the rows read, from all files and from memory, with the rule that keeps or
/// hides it; then every file, with the reason why it is read or skipped. With --json, first
/// {"cell","from","kept","reason","by"} for each cell, then {"file","read","reason"} for each file. "from" is
/// a file or memstore; "by" is the cell that hides this one, if any.
///
/// Reasons of cells: returned, newer_versions, delete_marker, ttl, cell_ttl, time_range, column, family,
/// filter, limit, raw_only (a delete marker), not_yet_visible, duplicate. Of files: may_match, time_range,
/// ttl, key_range, bloom, family.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    read: Read,
}

const EXAMPLES: &str = "\
Examples:
  hregion explain get data/default/users user1
  hregion explain get data/default/users user1 --columns cf:name --now 1700000000000
  hregion explain scan data/default/users/5d4f0e2b --prefix user1 --limit 10 --json";

#[derive(Debug, Subcommand)]
enum Read {
    /// Explain `hregion get`
    Get {
        #[command(flatten)]
        target: TargetArgs,

        /// Row to read
        #[arg(allow_hyphen_values = true, value_parser = query_args::row_to_get)]
        row: Row,

        #[command(flatten)]
        cells: CellArgs,

        #[command(flatten)]
        reading: FileArgs,
    },
    /// Explain `hregion scan`
    ///
    /// If --limit ends the scan early, ends with the last row.
    Scan {
        #[command(flatten)]
        target: TargetArgs,

        #[command(flatten)]
        rows: Box<RowArgs>,

        #[command(flatten)]
        cells: Box<CellArgs>,

        #[command(flatten)]
        reading: FileArgs,
    },
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut lines = ExplainOutput::default();
    let files = match &args.read {
        Read::Get { target, row: Row(row), cells, reading } => {
            let source = InputSource::open(target, reading, cells, None, out)?;
            source.explain_get(row, cells, &mut |cell| lines.cell(cell, out))?
        }
        Read::Scan { target, rows, cells, reading } => {
            let source = InputSource::open(target, reading, cells, None, out)?;
            source.explain_scan(rows, cells, &mut |cell| lines.cell(cell, out))?
        }
    };
    lines.files(&files, out)?;
    Ok(Exit::Done)
}
