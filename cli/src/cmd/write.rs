//! `hregion write`: writes an HFile from a list of cells.

use crate::cell_file::{CellFile, CellFiles};
use crate::cell_source::CellSource;
use crate::failure::{CommandError, Exit, Failure};
use crate::new_file::check_output;
use crate::output::Output;
use crate::settings::check_not_stdout;
use crate::sort::{self, Sorting};
use crate::text;
use crate::text_rows::BadLines;
use crate::vfs;
use crate::write_args::{List, WriteArgs};
use serde_json::json;
use std::fs::Metadata;
use std::iter;
use std::path::{Path, PathBuf};

/// Write an HFile from cells in JSON lines
///
/// Input is in the format of `cells --json`:
/// {"row","family","qualifier","timestamp","type","value","sequence_id","tags"}. The last three members are
/// optional. Cells must be in HBase's order, unless --sort is given. With --columns, input is text in the
/// format of HBase's ImportTsv, in any order.
///
/// The file is written under a temporary name, and renamed when it is complete; in S3 it appears when it is
/// complete. With --json, prints {"path","cells","bytes"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// List of cells, by path or URL (- for standard input; .gz is decompressed) [default: -]
    #[arg(default_value = "-", hide_default_value = true)]
    cells: PathBuf,

    /// HFile to write, by path or URL
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    writing: WriteArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion write cells.jsonl.gz --out new.hfile --encoding FAST_DIFF --compression ZSTD --bloom ROW --mvcc
  hregion cells --json old.hfile | jq -c 'select(.type == \"Put\")' | hregion write --out puts.hfile
  hregion write --sort --sort-memory 4G cells.jsonl --out new.hfile --bulkload
  hregion write cells.jsonl --out new.hfile --encryption AES --master-key-file master.hex";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    check_not_stdout(&args.out)?;
    let writing = &args.writing;
    let inputs: Vec<_> = iter::once(&args.cells).chain(writing.files()).cloned().collect();
    check_output(&args.out, args.force, &inputs)?;
    let encryption = writing.encryption()?;
    let encrypted = encryption.is_some();
    let files =
        CellFiles::new(&writing.settings, writing.zstd_dictionary.as_ref(), encryption, args.force, out)?;
    let order = writing.settings.order();
    start_progress(std::slice::from_ref(&args.cells), out);
    let mut file = files.create(&args.out)?;
    let List { cells, bad_lines, has_seq_ids } = writing.open(&args.cells, writing.settings.bulkload, out)?;
    let sorting =
        Sorting { order, sort: writing.sorts(), memory: &writing.list.memory, file: &args.out, encrypted };
    let without_tags = writing.settings.tags == Some(false);
    let others_have = append_all(&mut *sort::in_order(cells, sorting, out)?, &mut file, without_tags)?;
    if writing.settings.mvcc != Some(true) && (has_seq_ids || others_have) {
        out.warn("sequence ids are not kept (use --mvcc to keep them)");
    }
    warn_of(&bad_lines, out);
    finish(file, &args.out, out)
}

/// Starts the progress bar for reading lists.
pub(crate) fn start_progress(lists: &[PathBuf], out: &mut Output) {
    let lens = lists.iter().map(|list| match vfs::is_url(list) {
        true => Some(vfs::len(list)),
        false => list.metadata().ok().filter(Metadata::is_file).map(|meta| meta.len()),
    });
    match lens.sum() {
        Some(bytes) => out.start_progress(bytes, false),
        None => out.start_unknown_progress(false),
    }
}

/// Prints the number of skipped lines.
pub(crate) fn warn_of(bad_lines: &BadLines, out: &Output) {
    if bad_lines.count() > 0 {
        out.warn(&format!("{} malformed lines were skipped", bad_lines.count()));
    }
}

/// Appends all cells, or all cells without their tags. Returns whether one of them has a sequence id other
/// than 0.
fn append_all(
    cells: &mut dyn CellSource,
    file: &mut CellFile,
    without_tags: bool,
) -> Result<bool, CommandError> {
    let mut has_seq_ids = false;
    while let Some(cell) = cells.peek() {
        has_seq_ids |= cell.seq_id() != 0;
        let cell = if without_tags { cell.with_tag_bytes(&[]).unwrap_or(cell) } else { cell };
        file.append(cell).map_err(|error| cells.locate_error(error))?;
        cells.advance()?;
    }
    Ok(has_seq_ids)
}

/// Finishes the file and prints a summary.
pub(crate) fn finish(file: CellFile, path: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let cells = file.cells();
    let bytes = file.finish()?;
    if out.is_json() {
        out.json_line(&json!({ "path": text::json_path(path), "cells": cells, "bytes": bytes }))?;
    } else {
        out.summary(&format!("{}: cells {cells}, bytes {bytes}", text::path(path)));
    }
    Ok(Exit::Done)
}
