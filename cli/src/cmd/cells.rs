//! `hregion cells`: prints every stored cell.

use super::inspect;
use crate::args::FileArgs;
use crate::cell_line::{CellFormat, LineStyle};
use crate::examine;
use crate::failure::{Exit, Failure};
use crate::hbase_flags::HBaseFlags;
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs};
use crate::source::InputSource;
use crate::target::{self, Kind};
use crate::target_args::TargetArgs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Print every stored cell, in file order
///
/// Nothing is hidden: older versions and delete markers are printed, too. One line per cell, as in HBase:
/// row/family:qualifier/timestamp/type/vlen=3/seqid=7; with -p also the value and tags. With --json:
/// {"row","family","qualifier","timestamp","type","value","sequence_id","tags"}, with sequence_id if the file
/// stores sequence ids, and tags if the cell has any. Links are followed; of a reference, the cells of its
/// half are printed, in the order of their keys.
///
/// Cells printed before an error are correct.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFiles
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    flags: HBaseFlags,

    #[command(flatten)]
    reading: FileArgs,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  hregion cells 8e8ab58dcf39412d
  hregion cells -p 8e8ab58dcf39412d | head
  hregion cells --json 8e8ab58dcf39412d | jq 'select(.type != \"Put\")'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let look = args.flags.look().unwrap_or(LineStyle::Plain);
    let bytes = args.files.iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum();
    out.start_progress(bytes, true);
    for path in &args.files {
        if target::is_reference(path)? {
            half(path, args, look, out)?;
            continue;
        }
        let file = target::open(path, None, &options, out)?;
        examine::walk(&file, Some(look), &args.flags, out)?;
        if args.flags.any_part() {
            inspect::print(&file, &args.flags, out)?;
        }
    }
    Ok(Exit::Done)
}

/// Prints the cells of the half of a file that a reference refers to.
fn half(path: &Path, args: &Args, look: LineStyle, out: &mut Output) -> Result<(), Failure> {
    let target = TargetArgs { target: path.to_owned(), kind: Some(Kind::Hfile) };
    let source = InputSource::open(&target, &args.reading, &CellArgs::default(), None, out)?;
    let (format, mut line) = (CellFormat::new(out.is_json(), true, look), Vec::new());
    source.for_each_stored(&RowArgs::default(), |cell| {
        format.set_line(&mut line, &cell);
        Ok(out.write_all(&line)?)
    })
}
