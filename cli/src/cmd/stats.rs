//! `hregion stats`: prints statistics of cells.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::new_file::check_output;
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs};
use crate::source::{Draws, InputSource};
use crate::stats::{self, Stats};
use crate::target_args::TargetArgs;
use crate::text_file::TextFile;
use hregion::{Clock as _, SystemClock};
use std::path::PathBuf;

/// Show how large, how many and how old the cells are
///
/// Reads the cells that a raw scan of all versions reads: each cell once, including older versions and delete
/// markers, from 1970 on. Prints the size distributions of rows, cells, keys and values; the cells per row,
/// versions per column and ages of cells; and the heaviest rows. Memory use does not depend on the amount of
/// data. The size of a cell is that in a block without encoding: 8 bytes for its lengths, key, value and
/// tags.
///
/// With --json: one object:
/// {"rows","columns","cells","bytes","types","families","timestamps","row_bytes","row_cells",
/// "cell_bytes","key_bytes","value_bytes","column_versions","age_millis","future_cells","heaviest_rows"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// Number of heaviest rows to list
    #[arg(long, value_name = "ROWS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    top: u16,

    /// The current time in milliseconds, for ages [default: now]
    #[arg(long, value_name = "MILLIS")]
    now: Option<i64>,

    /// Also draw a picture
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    svg: Option<PathBuf>,

    /// Replace the picture if it exists
    #[arg(long, requires = "svg", help_heading = "Output")]
    force: bool,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion stats 8e8ab58dcf39412d
  hregion stats data/default/users --top 50 --svg users.svg
  hregion stats --json data/default/users/5d4f0e2b | jq .value_bytes.p99";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(svg) = &args.svg {
        if svg.as_os_str() == "-" {
            return Err(CommandError::usage("--svg: expected a file").into());
        }
        check_output(svg, args.force, std::slice::from_ref(&args.target.target))?;
    }
    let draws = Draws { prints: false, all: true };
    let source = InputSource::open(&args.target, &args.reading, &CellArgs::default(), Some(draws), out)?;
    let now = args.now.unwrap_or_else(|| SystemClock.now());
    let mut stats = Stats::new(now, args.top.into());
    source.for_each_stored(&RowArgs::default(), |cell| {
        stats.add(&cell);
        Ok(())
    })?;
    stats.finish();
    if let Some(svg) = &args.svg {
        let mut file = TextFile::create(svg, args.force)?;
        file.write(stats::draw(&stats).as_bytes())?;
        file.finish()?;
    }
    if out.is_json() {
        out.json_line(&stats.json())?;
    } else {
        stats::print(&stats, out).map_err(Failure::from)?;
    }
    Ok(Exit::Done)
}
