//! `hregion convert`: converts HFiles to one HFile or a list of cells.

use crate::args::FileArgs;
use crate::cell_csv;
use crate::cell_file::CellFiles;
use crate::cell_line;
use crate::cell_source::CellSource;
use crate::cmd::write;
use crate::concurrent_changes::read_listed;
use crate::failure::{CommandError, Exit, Failure};
use crate::merge::Merge;
use crate::new_file::check_output;
use crate::output::Output;
use crate::probe;
use crate::sequence::Sequence;
use crate::settings::{FileCipher, Pair, Settings, WriterKind, check_not_stdout};
use crate::source::bytes_of_all;
use crate::store_files;
use crate::stored_file::{StoredCells, StoredFile};
use crate::text;
use crate::text_file::TextOutput;
use clap::ValueEnum;
use hregion::{CellOrder, CellRef, HFile, HFileHalf};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Re-encode, recompress or merge HFiles, or list their cells
///
/// Encoding, compression, Bloom filter and order default to those of the first file; tags and sequence ids
/// are kept if any file has them. A file converted from a single file keeps the entries of its file info; a
/// merged file has the greatest of the sequence ids. Cells are merged by key, and none is dropped. Cells with
/// the same key are ordered by sequence id, the greatest first; all cells of a bulk-loaded file have the
/// sequence id of the file. Then cells of newer files come first, then cells of files named earlier.
///
/// For a directory, reads all store files that its regions read; for a reference, the cells of its half.
/// Cells of several families can only be listed.
///
/// With --to jsonl or csv, writes a list: JSON lines as printed by `cells --json`, or comma-separated values
/// with a header line, with byte strings as in HBase. Settings of HFiles are then refused. If the name ends
/// with .gz, the list is compressed; - is standard output.
///
/// If any input file is encrypted, so is the output, with a new data key wrapped by the master key;
/// --encryption NONE writes it unencrypted. A list of cells is never encrypted. Listing an encrypted file
/// therefore needs --encryption NONE, except to standard output.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFiles, or directories of families, regions or tables
    #[arg(required = true, value_name = "TARGET")]
    files: Vec<PathBuf>,

    /// File to write, by path or URL
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "hfile")]
    to: Form,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    settings: Settings,

    /// Zstandard dictionary to compress with
    #[arg(long, value_name = "FILE", help_heading = "HFile settings")]
    out_zstd_dictionary: Option<PathBuf>,

    #[command(flatten)]
    reading: FileArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// HFile
    Hfile,
    /// JSON lines
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
}

const EXAMPLES: &str = "\
Examples:
  hregion convert old.hfile --out new.hfile --encoding FAST_DIFF --compression ZSTD
  hregion convert family/* --out merged.hfile
  hregion convert clear.hfile --out encrypted.hfile --encryption AES --master-key-file master.hex
  hregion convert old.hfile --to csv --out - | head";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let stdout = args.out.as_os_str() == "-";
    if args.to == Form::Hfile {
        check_not_stdout(&args.out)?;
    } else {
        check_list(args)?;
    }
    let given = args.files.iter().chain(args.reading.files()).chain(&args.out_zstd_dictionary);
    let given: Vec<_> = given.cloned().collect();
    if !stdout {
        check_output(&args.out, args.force, &given)?;
    }
    let options = args.reading.options(out)?;
    out.start_progress(bytes_of_all(&args.files, None), stdout);
    let (mut files, mut halves) = (Vec::new(), Vec::new());
    let (paths, places) = inputs(args, out)?;
    for path in &paths {
        let open = |path: &Path| StoredFile::open(path, None, &options, out);
        // The files of a directory were listed.
        let is_given = args.files.contains(path);
        let StoredFile { file, half } = if is_given { open(path)? } else { read_listed(path, open)? };
        out.warn_of_mob(&file);
        files.push(file);
        halves.push(half);
    }
    if !stdout {
        // the files of directories, and the targets of links and references
        let hfiles = files.iter().map(|file| file.path().to_owned());
        check_output(&args.out, args.force, &paths.iter().cloned().chain(hfiles).collect::<Vec<_>>())?;
    }
    let order = common_order(&files)?;
    let sequences = files.iter().map(Sequence::of).collect::<Result<Vec<_>, _>>()?;
    // of otherwise equal cells, the merge takes the first source's, from the newest file
    let mut newest: Vec<usize> = (0..files.len()).collect();
    newest.sort_by_key(|&at| (Reverse(sequences[at].of_file), places[at]));
    let is_merged = files.len() > 1;
    let open = |at: usize| {
        let seq_id = sequences[at].of_cells.filter(|_| is_merged);
        Input::open(&files[at], seq_id, halves[at].as_ref())
    };
    let sources = newest.into_iter().map(open).collect::<Result<Vec<_>, CommandError>>()?;
    let has_seq_ids = sources.iter().any(Input::has_seq_ids);
    let mut cells = Merge::new(order, sources);
    check_encryption(args, &files, out)?;
    if args.to != Form::Hfile {
        return list(&mut cells, args, out);
    }
    let mut settings = args.settings.clone();
    settings.mvcc.get_or_insert(has_seq_ids);
    let mut settings = settings.or_of(&files)?;
    if settings.tags == Some(false) && files.iter().any(HFile::has_tags) {
        out.warn("--tags=false: tags are dropped");
    }
    let encryption = settings.encryption(args.reading.master_key()?)?;
    let kept = match files.as_slice() {
        [file] => kept_info(file, &args.settings),
        _ => merged_info(&sequences, &settings),
    };
    let blocks = match files.as_slice() {
        [file] if settings.writer_kind() == WriterKind::Hfile => meta_blocks(file)?,
        _ => Vec::new(),
    };
    let dictionary = args.out_zstd_dictionary.as_ref();
    let is_bulk_load = kept.iter().any(|(key, _)| key == b"BULKLOAD_TIMESTAMP");
    // the entries of a plain file are kept unchanged
    settings.bulkload |= is_bulk_load && settings.writer_kind() == WriterKind::Store;
    let files =
        CellFiles::new(&settings, dictionary, encryption, args.force, out)?.with_missing(kept, blocks);
    let mut file = files.create(&args.out)?;
    let without_tags = settings.tags == Some(false);
    while let Some(cell) = cells.peek() {
        let cell = if without_tags { cell.with_tag_bytes(&[]).unwrap_or(cell) } else { cell };
        file.append(cell).map_err(|error| cells.locate_error(error))?;
        cells.advance()?;
    }
    write::finish(file, &args.out, out)
}

/// Fails if an encrypted input would be written in the clear, without being requested; warns if it was.
fn check_encryption(args: &Args, files: &[HFile], out: &Output) -> Result<(), CommandError> {
    let encrypted = files.iter().any(|file| file.trailer().is_encrypted());
    let in_the_clear = args.settings.encryption == Some(FileCipher::None);
    if args.to != Form::Hfile && encrypted && args.out.as_os_str() != "-" && !in_the_clear {
        let message = "the input is encrypted, but a list of its cells is not";
        let hint = Some("use --encryption NONE to write it unencrypted");
        return Err(CommandError::invalid_file(&args.out, message).with_hint(hint));
    }
    if encrypted && in_the_clear {
        out.warn_always("--encryption NONE: the input is encrypted, the output is not");
    }
    Ok(())
}

/// Fails if a setting of HFiles is given for a list of cells, which has none.
fn check_list(args: &Args) -> Result<(), CommandError> {
    if args.settings.encryption == Some(FileCipher::Aes) {
        return Err(CommandError::usage("--encryption AES: not allowed for a list of cells"));
    }
    let dictionary = args.out_zstd_dictionary.as_ref().map(|_| "--out-zstd-dictionary");
    match args.settings.first_given().or(dictionary) {
        None => Ok(()),
        Some(name) => Err(CommandError::usage(format!("{name}: not allowed for a list of cells"))),
    }
}

/// Returns the files to convert, each with its position among those with its sequence id: the files of a
/// directory are listed from the oldest.
fn inputs(args: &Args, out: &Output) -> Result<(Vec<PathBuf>, Vec<usize>), Failure> {
    let (mut paths, mut places, mut families) = (Vec::new(), Vec::new(), BTreeSet::new());
    for path in &args.files {
        let first = paths.len();
        if !probe::is_dir(path)? {
            places.push(first);
            paths.push(path.clone());
            continue;
        }
        for file in store_files::find(path, None, &args.reading, out)? {
            families.extend(file.family);
            paths.push(file.path);
        }
        places.extend((first..paths.len()).rev());
    }
    if families.len() > 1 && args.to == Form::Hfile {
        let message = "cells of several families cannot be written to one HFile";
        return Err(CommandError::usage(message).with_hint(Some("use --to jsonl to list them")).into());
    }
    Ok((paths, places))
}

/// The cells of an HFile, or of the half to which a reference refers.
struct Input<'f> {
    cells: StoredCells<'f>,
    /// The sequence id of all cells, if they do not have their own.
    seq_id: Option<i64>,
    with_seq_ids: bool,
}

impl<'f> Input<'f> {
    fn open(file: &'f HFile, seq_id: Option<i64>, half: Option<&HFileHalf>) -> Result<Self, CommandError> {
        let with_seq_ids = file.has_seq_ids() || seq_id.is_some();
        Ok(Self { cells: StoredCells::open(file, half)?, seq_id, with_seq_ids })
    }

    fn has_seq_ids(&self) -> bool {
        self.with_seq_ids
    }
}

impl CellSource for Input<'_> {
    #[inline]
    fn peek(&self) -> Option<CellRef<'_>> {
        let cell = self.cells.peek()?;
        Some(self.seq_id.map_or(cell, |seq_id| cell.with_seq_id(seq_id)))
    }

    #[inline]
    fn advance(&mut self) -> Result<(), CommandError> {
        self.cells.advance()
    }
}

/// Returns the cell order shared by all files.
pub(crate) fn common_order(files: &[HFile]) -> Result<CellOrder, CommandError> {
    let order = files.iter().find_map(HFile::order).unwrap_or_default();
    match files.iter().find(|file| file.order().is_some_and(|other| other != order)) {
        None => Ok(order),
        Some(file) => Err(CommandError::invalid_file(
            file.path(),
            "its cell order differs from that of the files before: only one of them has the order of \
             hbase:meta",
        )),
    }
}

/// Entries of the file info that describe the cells; the writer generates its own.
const OF_CELLS: [&[u8]; 10] = [
    b"KEY_VALUE_VERSION",
    b"MAX_MEMSTORE_TS_KEY",
    b"DATA_BLOCK_ENCODING",
    b"INDEX_BLOCK_ENCODING",
    b"TIMERANGE",
    b"EARLIEST_PUT_TS",
    b"DELETE_FAMILY_COUNT",
    b"BLOOM_FILTER_TYPE",
    b"BLOOM_FILTER_PARAM",
    b"LAST_BLOOM_KEY",
];
/// Entries of a store file, and of a bulk-loaded file.
const OF_STORE: [&[u8]; 2] = [b"MAX_SEQ_ID_KEY", b"COMPACTION_EVENT_KEY"];
const OF_BULK_LOAD: [&[u8]; 4] =
    [b"BULKLOAD_TIMESTAMP", b"BULKLOAD_SOURCE_TASK", b"EXCLUDE_FROM_MINOR_COMPACTION", b"SKIP_RESET_SEQ_ID"];
const MAJOR: &[u8] = b"MAJOR_COMPACTION_KEY";

/// Returns the entries of the file info that stay valid in another file with the same cells, without those
/// that `given` replaces.
fn kept_info(file: &HFile, given: &Settings) -> Vec<Pair> {
    let of_store = given.seqid.is_some() || given.major.is_some();
    let is_of_no_files = matches!(file.file_info().compaction_event(), Ok(Some(files)) if files.is_empty());
    let keeps = |key: &[u8]| {
        // the new file replaces none of the files that this one was compacted from
        let names_files = key == OF_STORE[1] && !is_of_no_files;
        let of_cells = OF_CELLS.contains(&key) || key.starts_with(b"hfile.") || names_files;
        let replaced = (given.bulkload
            && (OF_STORE.contains(&key) || OF_BULK_LOAD.contains(&key) || key == MAJOR))
            || (of_store && OF_BULK_LOAD.contains(&key))
            || (given.seqid.is_some() && key == OF_STORE[0])
            || (given.major.is_some() && key == MAJOR);
        !of_cells && !replaced
    };
    let entries = file.file_info().iter().filter(|(key, _)| keeps(key));
    entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Returns the greatest sequence id of the files, unless one is given.
fn merged_info(sequences: &[Sequence], settings: &Settings) -> Vec<Pair> {
    if settings.bulkload || settings.seqid.is_some() || settings.writer_kind() == WriterKind::Hfile {
        return Vec::new();
    }
    let greatest = sequences.iter().filter_map(|sequence| sequence.of_file).max();
    greatest.map(|id| (OF_STORE[0].to_vec(), id.to_be_bytes().to_vec())).into_iter().collect()
}

fn meta_blocks(file: &HFile) -> Result<Vec<Pair>, CommandError> {
    let mut blocks = Vec::new();
    for name in file.meta_block_names() {
        if let Some(content) = file.meta_block(name)? {
            blocks.push((name.to_vec(), content.to_vec()));
        }
    }
    Ok(blocks)
}

/// Writes the cells as lines.
fn list(cells: &mut Merge<Input<'_>>, args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut text = TextOutput::create(&args.out, args.force)?;
    if args.to == Form::Csv {
        text.write(cell_csv::HEADER, out)?;
    }
    let (mut line, mut count) = (Vec::new(), 0_u64);
    while let Some(cell) = cells.peek() {
        let with_seq_id = cells.source().is_some_and(Input::has_seq_ids);
        line.clear();
        if args.to == Form::Csv {
            cell_csv::put_csv(&mut line, &cell, with_seq_id);
        } else {
            cell_line::put_json(&mut line, &cell, with_seq_id);
            line.push(b'\n');
        }
        text.write(&line, out)?;
        count += 1;
        cells.advance()?;
    }
    let to_stdout = matches!(text, TextOutput::Stdout);
    text.finish()?;
    if to_stdout {
        return Ok(Exit::Done);
    }
    if out.is_json() {
        out.json_line(&json!({ "path": text::json_path(&args.out), "cells": count }))?;
    } else {
        out.summary(&format!("{}: cells {count}", text::path(&args.out)));
    }
    Ok(Exit::Done)
}
