//! `hregion scan`: prints rows as HBase would return them.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs, show_cursor};
use crate::row_output::RowOutput;
use crate::server_args::ServerArgs;
use crate::source::{Draws, InputSource};
use crate::target_args::{FormatArgs, TargetArgs};
use crate::text;
use serde_json::json;

/// Print rows as HBase would return them
///
/// For a region or a table, prints the versions that the families keep, without deleted or expired cells. For
/// an HFile, or files without a region, which do not record the settings of their family, prints all
/// requested versions. One line per cell. With --json:
/// {"row","family","qualifier","timestamp","type","value","sequence_id","tags"}, with sequence_id and tags if
/// present.
///
/// With --zookeeper, --bootstrap or --site, reads a table of a running cluster from its servers, which send
/// neither sequence ids nor tags.
///
/// If --limit ends the scan early, prints the position for --resume to standard error: at:ROW or after:ROW;
/// with --json as {"cursor"}.
///
/// Files are not changed. Rows printed before an error are correct.
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
    server: ServerArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion scan data/default/users --prefix user1 --limit 10
  hregion scan data/default/users/5d4f0e2b --columns cf:name --versions all --json
  hregion scan data/default/users --raw --format csv > users.csv
  hregion scan users --zookeeper localhost:2181 --limit 10
  hregion scan 8e8ab58dcf39412d --filter \"ColumnPrefixFilter('n') AND ValueFilter(=, 'substring:ada')\"";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let cursor = if let Some(table) = args.server.table(&args.target, &args.cells, Some(&args.reading))? {
        let mut rows = RowOutput::begin(args.format.format, out)?;
        table.scan(&args.rows, &args.cells, |row| rows.write(row, out))?
    } else {
        let draws = Draws { prints: true, all: args.rows.is_all() };
        let source = InputSource::open(&args.target, &args.reading, &args.cells, Some(draws), out)?;
        let mut rows = RowOutput::begin(args.format.format, out)?;
        source.scan(&args.rows, &args.cells, |row| rows.write(row, out))?
    };
    if let Some(cursor) = cursor {
        let cursor = show_cursor(&cursor);
        if out.is_json() {
            out.summary(&text::json(&json!({ "cursor": cursor })));
        } else {
            out.summary(&format!("there may be more: --resume '{cursor}'"));
        }
    }
    Ok(Exit::Done)
}
