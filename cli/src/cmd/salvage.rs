//! `hregion salvage`: recovers the intact blocks of a damaged file.

use crate::args::FileArgs;
use crate::cell_line;
use crate::failure::{CommandError, Exit, Failure};
use crate::new_file::{OutputStorage, check_output};
use crate::output::Output;
use crate::settings::check_not_stdout;
use crate::target::{self, Kind};
use crate::text;
use crate::vfs::{self, check_local};
use hregion::{LostBlock, SalvageReport, SeekKey};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;

/// Write a sound file from the sound blocks of a damaged one
///
/// The new file has every cell of every sound data block, with the encoding, codec, Bloom filters and file
/// info of the damaged one. Other damaged parts (index, filters, file info, trailer) are rebuilt, from the
/// blocks if necessary; guesses are reported. The damaged file is not changed. Links are followed.
///
/// If the damaged file is encrypted, so is the new one, with a new data key wrapped by the master key.
///
/// Exit code 0 if no cell was lost, 3 if some were: the lost key ranges are printed, with the reason. Entries
/// of the file info and meta blocks that the new file lacks are named on standard error. If nothing can be
/// read, no file is written, and an error gives the reason. If only the last step fails, the sync of the
/// directory, the new file is complete. With --json:
/// {"lost":{"offset","after","before","cells","reason"}} for each lost block, then
/// {"summary":{"blocks","cells","cells_before","bytes","lost","faults","guesses","dropped"}}. No lost cell
/// sorts before the key in "after" or after the key in "before"; null is the start or end of the file.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Damaged HFile
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// New HFile to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace the new file if it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion salvage damaged --out sound
  hregion salvage --json damaged --out sound | jq -r 'select(.lost) | .lost.after.row'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    check_not_stdout(&args.out)?;
    check_local(&args.out)?;
    let file = target::to_salvage(&args.file)?;
    let inputs: Vec<_> = [&args.file, &file].into_iter().chain(args.reading.files()).cloned().collect();
    check_output(&args.out, args.force, &inputs)?;
    let options = args.reading.options(out)?;
    out.start_progress(vfs::len(&file), false);
    let reader = target::reader(&file, Some(Kind::Hfile), out)?;
    let options = options.storage(OutputStorage::shared(args.force));
    let report = options.salvage_reader(reader, &args.out)?;
    let exit = if report.is_complete() { Exit::Done } else { Exit::Corrupt };
    out.found(exit);
    for lost in &report.lost {
        print_lost(lost, out)?;
    }
    if report.lost_beyond > 0 {
        out.warn(&format!("{} more blocks were lost than are listed", report.lost_beyond));
    }
    for fault in &report.faults {
        out.warn(&format!(
            "a fault that lost no cells: {}",
            CommandError::from(fault.clone()).with_hint(None).line()
        ));
    }
    for guess in &report.guesses {
        out.warn(&format!("guessed: {}", text::printable(guess)));
    }
    for what in &report.dropped {
        out.warn_always(&format!("not in the new file: {}", text::printable(what)));
    }
    summarize(&report, out)?;
    Ok(exit)
}

fn print_lost(lost: &LostBlock, out: &mut Output) -> Result<(), Failure> {
    let fault = CommandError::from(lost.reason.clone()).with_hint(None);
    if out.is_json() {
        let lost = json!({
            "offset": lost.offset,
            "after": key_json(lost.after.as_ref()),
            "before": key_json(lost.before.as_ref()),
            "cells": lost.cells,
            "reason": fault.error_json(),
        });
        return out.json_line(&json!({ "lost": lost }));
    }
    let shown = |key: &Option<SeekKey>, none: &str| {
        key.as_ref().map_or_else(|| none.to_owned(), |key| key.as_key().to_string())
    };
    let (after, before) = (shown(&lost.after, "the start"), shown(&lost.before, "the end"));
    let cells = lost.cells.map_or_else(String::new, |cells| format!("{cells} cells, "));
    Ok(writeln!(out, "lost at {}: {cells}from {after} to {before}: {}", lost.offset, fault.line())?)
}

fn key_json(key: Option<&SeekKey>) -> Value {
    let Some(key) = key else { return Value::Null };
    let mut line = Vec::new();
    cell_line::put_json_key(&mut line, key);
    serde_json::from_slice(&line).unwrap_or(Value::Null)
}

fn summarize(report: &SalvageReport, out: &mut Output) -> Result<(), Failure> {
    let lost = report.lost.len() as u64 + report.lost_beyond;
    let (blocks, cells) = (report.blocks, report.cells);
    if !out.is_json() {
        let of = report.cells_before.map_or_else(String::new, |before| format!(" of {before}"));
        out.summary(&format!("kept: blocks {blocks}, cells {cells}{of}; lost: blocks {lost}"));
        return Ok(());
    }
    let faults: Vec<Value> =
        report.faults.iter().map(|fault| CommandError::from(fault.clone()).finding_json()).collect();
    out.json_line(&json!({ "summary": {
        "blocks": blocks,
        "cells": cells,
        "cells_before": report.cells_before,
        "bytes": report.bytes,
        "lost": lost,
        "faults": faults,
        "guesses": report.guesses,
        "dropped": report.dropped,
    }}))
}
