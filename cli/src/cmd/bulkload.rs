//! `hregion bulkload`: writes a directory for HBase's bulk load.

use crate::cell_file::CellFiles;
use crate::cmd::write;
use crate::failure::{CommandError, Exit, Failure};
use crate::lines::is_stdin;
use crate::load_dir::{LoadDir, check_output};
use crate::output::Output;
use crate::region_files::{RegionFiles, Written};
use crate::settings::{Bloom, Settings, WriterKind};
use crate::sort::{self, Sorting};
use crate::split_keys;
use crate::text;
use crate::write_args::{List, WriteArgs};
use hregion::cell::StringBinary;
use hregion::{BloomType, CellOrder};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Write a directory for HBase's bulk load
///
/// Input is JSON lines as for `write`, with cells of any families. The directory has a subdirectory
/// for each family, with one file for each region that has cells. The cells of a family must be in HBase's
/// order, unless --sort is given. With --columns, input is text in the format of HBase's ImportTsv, in any
/// order.
///
/// Files are like those of HBase's own jobs: they record the time and the task that wrote them, they can
/// contain tags, and sequence ids are 0, because HBase assigns new ones (except with --skip-reset-seqid). The
/// default Bloom filter is ROW. The directory is renamed into place when it is complete. With the feature
/// remote, it may be a URL of S3 or HDFS. In S3, each file appears when it is complete, and the directory is
/// complete when the command has ended without an error.
///
/// With --json, prints {"path","family","start","end","cells","bytes"} for each file.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// List of cells, by path or URL (- for standard input; .gz is decompressed)
    cells: PathBuf,

    /// File with the split points of the table's regions, one row per line; bytes as \xHH
    #[arg(long, value_name = "SPLITS")]
    regions: PathBuf,

    /// Directory to write, by path or URL
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Replace the directory if it exists and is local
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    writing: WriteArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion bulkload cells.jsonl.gz --regions splits.txt --out load --sort --compression GZ
  hregion bulkload users.csv --columns HBASE_ROW_KEY,cf:name,cf:age --separator , --quoted --skip-lines 1 \\
      --regions splits.txt --out load
  hbase completebulkload load table";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if is_stdin(&args.cells) && is_stdin(&args.regions) {
        // it would have only split points, and no cells
        return Err(CommandError::usage("--regions: standard input is already the list of cells").into());
    }
    check_output(&args.out, args.force)?;
    let encryption = args.writing.encryption()?;
    let encrypted = encryption.is_some();
    let dictionary = args.writing.zstd_dictionary.as_ref();
    let files = CellFiles::new(&settings(args)?, dictionary, encryption, false, out)?;
    let limits = args.writing.list.limits();
    let splits = split_keys::read(&args.regions, &limits)?;
    write::start_progress(std::slice::from_ref(&args.cells), out);
    let dir = LoadDir::create(&args.out)?;
    let filled = fill(args, &files, &dir, &splits, encrypted, out);
    let written = dir.complete(filled, args.force, out)?;
    print(&written, &splits, &args.out, out)
}

/// Writes the files.
fn fill(
    args: &Args,
    files: &CellFiles,
    dir: &LoadDir,
    splits: &[Vec<u8>],
    encrypted: bool,
    out: &mut Output,
) -> Result<Vec<Written>, Failure> {
    let List { cells, bad_lines, .. } = args.writing.open(&args.cells, true, out)?;
    let keeps_seq_ids = args.writing.settings.skip_reset_seqid;
    let create = Box::new(|_: &[u8], path: &Path| {
        dir.note(path);
        files.create(path)
    });
    let mut load = RegionFiles::new(dir.path(), splits.to_vec(), keeps_seq_ids, create);
    let sorting = Sorting {
        order: args.writing.settings.order(),
        sort: args.writing.sorts(),
        memory: &args.writing.list.memory,
        file: &args.out,
        encrypted,
    };
    load.append_all(&mut *sort::in_order(cells, sorting, out)?)?;
    write::warn_of(&bad_lines, out);
    Ok(load.finish()?)
}

/// Returns the settings of a file for a bulk load.
fn settings(args: &Args) -> Result<Settings, CommandError> {
    let given = &args.writing.settings;
    let cannot = [
        ("--writer hfile", given.writer == Some(WriterKind::Hfile)),
        ("--tags=false", given.tags == Some(false)),
        ("--mvcc=false", given.mvcc == Some(false)),
        ("--comparator meta", given.order() != CellOrder::User),
    ];
    if let Some((name, _)) = cannot.iter().find(|(_, given)| *given) {
        return Err(CommandError::usage(format!("{name}: not supported for bulk-load files")));
    }
    let mut settings = given.clone();
    settings.bulkload = true;
    settings.tags = Some(true);
    settings.mvcc = Some(true);
    settings.bloom.get_or_insert(Bloom(Some(BloomType::Row)));
    Ok(settings)
}

/// Prints the files, with the rows between which their regions are.
fn print(files: &[Written], splits: &[Vec<u8>], dir: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let bound = |at: Option<usize>| {
        at.and_then(|at| splits.get(at)).map(|row| StringBinary(row).to_string()).unwrap_or_default()
    };
    for file in files {
        let (path, cells, bytes) = (dir.join(&file.path), file.cells, file.bytes);
        let (start, end) = (bound(file.region.checked_sub(1)), bound(Some(file.region)));
        if out.is_json() {
            out.json_line(&json!({
                "path": text::json_path(&path),
                "family": StringBinary(&file.family).to_string(),
                "start": start,
                "end": end,
                "cells": cells,
                "bytes": bytes,
            }))?;
        } else {
            let path = text::path(&path);
            writeln!(out, "{path}: from '{start}' to '{end}', cells {cells}, bytes {bytes}")?;
        }
    }
    if !out.is_json() {
        let cells: u64 = files.iter().map(|file| file.cells).sum();
        out.summary(&format!("files {}, cells {cells}", files.len()));
    }
    Ok(Exit::Done)
}
