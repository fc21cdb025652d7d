//! `hregion replay`: executes an operation script on a scratch region.

use crate::args::LineArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::lines::Lines;
use crate::output::Output;
use crate::progress::Progress;
use crate::script::{Line, Override, Replayer, Stop};
use crate::vfs::check_local;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Execute an operation script on a scratch region, and print the results
///
/// A script has one operation per line, as JSON: first
/// {"id":1,"op":"create","now":1000,"families":[{"name":"f"}]}, then writes, gets, scans, flushes,
/// compactions. The system clock is not used. Each result is a line, too: {"id":17,"result":…}, or
/// {"id":17,"error":"…"} with the name of HBase's exception. If the library does not support an operation,
/// such as a filter with some pattern, the error is Unsupported, and the script continues.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Script (- for standard input; .gz is decompressed)
    script: PathBuf,

    /// Create the region in this directory, and keep it [default: a temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,

    /// Override a setting of all families: encoding, bloom, block_size or compression; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    overrides: Vec<Override>,

    /// Also explain each get and scan, and fail if the explanation differs from the result
    #[arg(long, hide = true)]
    explain: bool,

    #[command(flatten)]
    lines: LineArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion replay deletes.script.jsonl | diff - deletes.expect.jsonl
  hregion replay deletes.script.jsonl --set encoding=FAST_DIFF --set block_size=64
  hregion replay deletes.script.jsonl --dir region && hregion scan region --raw";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(dir) = &args.dir {
        check_local(dir)?;
        check_empty(dir)?;
    }
    let mut lines = Lines::open(&args.script, &args.lines.limits(), &Progress::none())?;
    let mut player = Replayer::new(args.dir.as_deref(), args.overrides.clone())?.explaining(args.explain);
    let mut before = None;
    let mut answer = Vec::new();
    while let Some(line) = lines.next_json()? {
        let line = Line::parse(line).map_err(|message| lines.wrong(&message))?;
        if before >= Some(line.id()) {
            return Err(lines.wrong("id: expected a greater number than in the line before").into());
        }
        before = Some(line.id());
        answer.clear();
        match player.play(line, &mut answer) {
            Ok(()) => match out.write_all(&answer).map_err(Failure::from) {
                // a kept region must have the whole script even if the answers are not read
                Err(Failure::ClosedPipe) if args.dir.is_some() => {}
                written => written?,
            },
            Err(Stop::Script(message)) => return Err(lines.wrong(&message).into()),
            Err(Stop::Failed(error)) => return Err(error.into()),
        }
    }
    if args.dir.is_some() {
        player.close()?;
    }
    Ok(Exit::Done)
}

/// Fails if the directory is not empty: a script must start without data.
fn check_empty(dir: &Path) -> Result<(), CommandError> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(CommandError::invalid_file(dir, "the directory is not empty: a script starts without data"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CommandError::io("read", dir, &error)),
    }
}
