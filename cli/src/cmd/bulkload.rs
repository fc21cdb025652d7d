//! `hregion bulkload`: writes a directory for HBase's bulk load.

use crate::cell_file::{CellFile, CellFiles};
use crate::cell_source::CellSource;
use crate::cmd::write;
use crate::failure::{CommandError, Exit, Failure};
use crate::lines::Lines;
use crate::new_dir::{NewDir, is_of_bulk_load};
use crate::new_file::random_name;
use crate::output::Output;
use crate::probe;
use crate::progress::Progress;
use crate::settings::{Bloom, Settings, WriterKind};
use crate::sort::{self, Sorting};
use crate::text;
use crate::write_args::{List, WriteArgs};
use hregion::cell::{StringBinary, from_string_binary};
use hregion::{BloomType, CellOrder, CellRef, Limits};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Write a directory for HBase's bulk load
///
/// Input is JSON lines as for `write`, with cells of any families. The directory has a folder for each
/// family, with one file for each region that has cells. The cells of a family must be in HBase's order, or
/// are sorted by --sort. With --columns, input is text in the format of HBase's ImportTsv, in any order.
///
/// Files are like those of HBase's own jobs: they record when and by which task they were written, they can
/// hold tags, and sequence ids are 0, because HBase assigns new ones (except with --skip-reset-seqid). The
/// default Bloom filter is ROW. The directory is renamed into place when it is complete.
///
/// With --json prints {"path","family","start","end","cells","bytes"} for each file.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The list of cells (- for standard input; .gz is decompressed)
    cells: PathBuf,

    /// The split points of the table's regions: one row per line, bytes as \xHH
    #[arg(long, value_name = "SPLITS")]
    regions: PathBuf,

    /// The directory to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Replace the directory if it exists
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
    check_output(&args.out, args.force)?;
    let encryption = args.writing.encryption()?;
    let encrypted = encryption.is_some();
    let dictionary = args.writing.zstd_dictionary.as_ref();
    let files = CellFiles::new(&settings(args)?, dictionary, encryption, false, out)?;
    let limits = args.writing.limits();
    let splits = read_splits(&args.regions, &limits)?;
    let order = args.writing.settings.order();
    write::start_progress(&args.cells, out);
    let dir = NewDir::create(&args.out)?;
    let List { cells, bad_lines, .. } = args.writing.open(&args.cells, out)?;
    let keeps_seq_ids = args.writing.settings.skip_reset_seqid;
    let replace = args.force;
    let mut load =
        Load { dir, replace, files, splits, keeps_seq_ids, open: BTreeMap::new(), written: Vec::new() };
    let sorting = Sorting {
        order,
        sort: args.writing.sorts(),
        args: &args.writing.sorting,
        file: &args.out,
        encrypted,
    };
    load.append_all(&mut *sort::in_order(cells, sorting, out)?)?;
    write::warn_of(&bad_lines, out);
    load.finish(out)
}

/// Fails if the directory exists and must not be replaced, or cannot have been written by this command.
fn check_output(path: &Path, force: bool) -> Result<(), CommandError> {
    if !probe::exists(path)? {
        return Ok(());
    }
    if !force {
        return Err(CommandError::invalid_file(path, "it exists").with_hint(Some("--force replaces it")));
    }
    let fault = |error| CommandError::io("read", path, &error);
    let is_dir = path.symlink_metadata().map_err(fault)?.is_dir();
    let replaceable = is_dir && is_of_bulk_load(path).map_err(fault)?;
    match replaceable {
        true => Ok(()),
        false => Err(CommandError::invalid_file(
            path,
            "not a directory of files for a bulk load, it is not replaced",
        )),
    }
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

/// Reads the start rows of the regions, except the first one.
fn read_splits(path: &Path, limits: &Limits) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut lines = Lines::open(path, limits, &Progress::none())?;
    let mut splits = Vec::new();
    while let Some(line) = lines.next()? {
        let row = std::str::from_utf8(line).map(from_string_binary);
        splits.push(row.map_err(|_| lines.wrong("expected text, with bytes as \\xHH"))?);
    }
    splits.sort_unstable();
    match splits.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(splits),
        Some(pair) => Err(CommandError::invalid_file(
            path,
            format!("the row {} is given twice", StringBinary(&pair[0])),
        )),
    }
}

/// A directory being written.
struct Load {
    dir: NewDir,
    /// Whether an existing directory may be replaced.
    replace: bool,
    files: CellFiles,
    splits: Vec<Vec<u8>>,
    keeps_seq_ids: bool,
    /// The open file of each family.
    open: BTreeMap<Vec<u8>, RegionFile>,
    written: Vec<Written>,
}

/// The file of a family in a region.
struct RegionFile {
    file: CellFile,
    /// Its path in the directory.
    path: PathBuf,
    region: usize,
}

/// A complete file.
struct Written {
    path: PathBuf,
    family: Vec<u8>,
    region: usize,
    cells: u64,
    bytes: u64,
}

impl Load {
    fn append_all(&mut self, cells: &mut dyn CellSource) -> Result<(), CommandError> {
        while let Some(cell) = cells.peek() {
            self.append(cell).map_err(|failed| match failed {
                Failed::Cell(error) => cells.locate_error(error),
                Failed::Other(fault) => fault,
            })?;
            cells.advance()?;
        }
        Ok(())
    }

    fn append(&mut self, cell: CellRef<'_>) -> Result<(), Failed> {
        let cell = if self.keeps_seq_ids { cell } else { cell.with_seq_id(0) };
        let region = self.splits.partition_point(|split| split.as_slice() <= cell.row());
        if let Some(open) = self.open.get_mut(cell.family())
            && open.region == region
        {
            return open.file.append(cell).map_err(Failed::Cell);
        }
        if let Some(open) = self.open.get(cell.family())
            && region < open.region
        {
            let split = &self.splits[open.region - 1];
            let message = format!(
                "cell {cell} is out of order: the region that starts at {} was begun already",
                StringBinary(split)
            );
            return Err(Failed::Cell(hregion::Error::invalid_argument(message)));
        }
        let folder = folder(cell.family())
            .map_err(|message| Failed::Cell(hregion::Error::invalid_argument(message)))?;
        match self.open.remove(cell.family()) {
            Some(open) => self.finish_file(cell.family().to_vec(), open)?,
            None => self.dir.make_dir(&folder)?,
        }
        let path = folder.join(random_name());
        let mut file = self.files.create(&self.dir.aside().join(&path)).map_err(Failed::Cell)?;
        file.append(cell).map_err(Failed::Cell)?;
        self.open.insert(cell.family().to_vec(), RegionFile { file, path, region });
        Ok(())
    }

    fn finish_file(&mut self, family: Vec<u8>, file: RegionFile) -> Result<(), CommandError> {
        let RegionFile { file, path, region } = file;
        let cells = file.cells();
        let bytes = file.finish()?;
        self.written.push(Written { path, family, region, cells, bytes });
        Ok(())
    }

    /// Finishes all files, renames the directory into place, and prints its files.
    fn finish(mut self, out: &mut Output) -> Result<Exit, Failure> {
        for (family, file) in std::mem::take(&mut self.open) {
            self.finish_file(family, file)?;
        }
        let Self { dir, replace, splits, mut written, .. } = self;
        written.sort_by(|a, b| (&a.family, a.region).cmp(&(&b.family, b.region)));
        for file in &mut written {
            file.path = dir.path_of(&file.path);
        }
        dir.persist(replace)?;
        let bound = |at: Option<usize>| {
            at.and_then(|at| splits.get(at)).map(|row| StringBinary(row).to_string()).unwrap_or_default()
        };
        for file in &written {
            let (start, end) = (bound(file.region.checked_sub(1)), bound(Some(file.region)));
            if out.is_json() {
                out.json_line(&json!({
                    "path": text::json_path(&file.path),
                    "family": StringBinary(&file.family).to_string(),
                    "start": start,
                    "end": end,
                    "cells": file.cells,
                    "bytes": file.bytes,
                }))?;
            } else {
                let (path, cells, bytes) = (text::path(&file.path), file.cells, file.bytes);
                writeln!(out, "{path}: from {start:?} to {end:?}, cells {cells}, bytes {bytes}")?;
            }
        }
        if !out.is_json() {
            let cells: u64 = written.iter().map(|file| file.cells).sum();
            out.summary(&format!("files {}, cells {cells}", written.len()));
        }
        Ok(Exit::Done)
    }
}

/// Why a cell could not be appended.
enum Failed {
    /// The cell may be the cause.
    Cell(hregion::Error),
    Other(CommandError),
}

impl From<CommandError> for Failed {
    fn from(fault: CommandError) -> Self {
        Self::Other(fault)
    }
}

/// Returns the folder of a family, if its name is valid in HBase.
fn folder(family: &[u8]) -> Result<PathBuf, String> {
    let legal = !family.is_empty()
        && family[0] != b'.'
        && family != b"recovered.edits"
        && !family.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b':' | b'/' | b'\\'));
    match std::str::from_utf8(family) {
        Ok(name) if legal => Ok(PathBuf::from(OsStr::new(name))),
        _ => Err(format!("{:?} is not a valid family name", StringBinary(family).to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_names_of_folders() {
        assert_eq!(folder(b"cf"), Ok(PathBuf::from("cf")));
        for wrong in [&b""[..], b"..", b".x", b"a/b", b"a\\b", b"a:b", b"a\n", b"\xff", b"recovered.edits"] {
            assert!(folder(wrong).is_err(), "{wrong:?}");
        }
    }
}
