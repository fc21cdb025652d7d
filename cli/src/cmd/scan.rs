//! `hregion scan`: rows as HBase would answer.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs, show_cursor};
use crate::row_output::RowOutput;
use crate::source::{Draws, Source};
use crate::target_args::{FormatArgs, TargetArgs};
use crate::text;
use serde_json::json;

/// Print rows as HBase would answer
///
/// Of a region, or of all regions of a table: the versions that the families keep, without what is deleted or has expired.
/// Of an HFile, or files without a region, which do not say what their family keeps: all versions that are asked for.
/// A line a cell. With --json: {"row","family","qualifier","timestamp","type","value","sequence_id","tags"}, sequence_id and
/// tags where there are some.
///
/// If --limit ends the scan before its end, standard error says from where --resume goes on: at:ROW or after:ROW; with --json
/// as {"cursor"}.
///
/// Nothing is changed. Rows printed before an error are right.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    rows: RowArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion scan data/default/users --prefix user1 --limit 10
  hregion scan data/default/users/5d4f0e2b --columns cf:name --versions all --json
  hregion scan data/default/users --raw --format csv > users.csv
  hregion scan 8e8ab58dcf39412d --filter \"ColumnPrefixFilter('n') AND ValueFilter(=, 'substring:ada')\"";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let draws = Draws { prints: true, all: args.rows.is_all() };
    let source = Source::open(&args.target, &args.reading, &args.cells, Some(draws), out)?;
    let mut rows = RowOutput::begin(args.format.format, out)?;
    if let Some(cursor) = source.scan(&args.rows, &args.cells, |row| rows.write(row, out))? {
        let cursor = show_cursor(&cursor);
        if out.is_json() {
            out.summary(&text::json(&json!({ "cursor": cursor })));
        } else {
            out.summary(&format!("there may be more: --resume '{cursor}'"));
        }
    }
    Ok(Exit::Done)
}
