//! `hregion du`: bytes, cells and ages of store files.

use crate::args::FileArgs;
use crate::balance;
use crate::block_totals::BlockTotals;
use crate::block_usage::{BlockUsage, blocks_of};
use crate::concurrent_changes::{ATTEMPTS, read_listed};
use crate::directories::{files_below, is_snapshot, mob_dir};
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::probe::{self, len_of};
use crate::store_files::{self, FamilyFiles, RegionFiles, has_store_file_name};
use crate::target::{self, Kind};
use crate::text;
use crate::usage::Usage;
use crate::vfs;
use crate::what_if::Samples;
use hregion::cell::StringBinary;
use hregion::io::Storage;
use hregion::region::FileKind;
use hregion::{HFileOptions, RegionInfo, TableName};
use serde_json::json;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Show the bytes, cells and ages of store files
///
/// Reads the trailers of the files, and no cells. Prints the bytes, the number of cells, the oldest and the
/// newest timestamp of each file, and of each family, region and directory above; then how much compression
/// saves, and the overlap of the files of a family: how many of them a get reads at most, if their Bloom
/// filters deny nothing. References and links have few bytes and no cells of their own; those of files that
/// are being written are not known. The timestamps are those of the time range in the file: from 0 on, if it
/// has a marker that deletes all older versions. The MOB files of a table, of a namespace or of `data`, which
/// are below `mobdir` of the root, are printed after its other files. The files of a snapshot are where they
/// are now: in the directories of tables, or in the archive.
///
/// With --blocks, reads the headers of all blocks, and prints for each family how many bytes and blocks there
/// are of each type (cells, index, Bloom filters …), and how many runs of adjacent blocks they form: few runs
/// are read with few requests. With --what-if, reads a sample of each family, and prints how many bytes its
/// files would have with other encodings and codecs. With --balance, prints the regions of a table that are
/// out of balance: each that is larger than two mean regions, to be split, and neighbours that together are
/// not larger than one, to be merged; for a reference, half of its file is counted.
///
/// With --json: {"table","region","family","path","bytes","cells","oldest","newest","encoding","compression",
/// "uncompressed_bytes","first","last","overlap"} for each file, with null for what is unknown; "overlap" is
/// the number of other files of the family with rows between the first and the last. With --blocks then
/// {"blocks":{"table","family","type","blocks","bytes","uncompressed_bytes","runs"}} for each type; with
/// --what-if {"what_if":{"table","family","encoding","compression","sample_bytes","bytes"}} for each setting;
/// with --balance {"balance":{"table","action","regions","bytes","mean_bytes"}} for each advice.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Store files, directories of any level, or snapshots
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,

    /// Also print what the blocks of each type use, and whether they are adjacent
    #[arg(long)]
    blocks: bool,

    /// Also estimate the bytes with other encodings and codecs, from a sample of blocks
    #[arg(long)]
    what_if: bool,

    /// Also print which regions of tables HBase's normalizer would split or merge
    #[arg(long)]
    balance: bool,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion du /hbase/data/default/users
  hregion du --json /hbase | jq -s 'map(.bytes) | add'
  hregion du --blocks /hbase/data/default/users
  hregion du --what-if /hbase/data/default/users
  hregion du --balance /hbase";

/// The first and the last row.
type Rows = (Vec<u8>, Vec<u8>);

/// A store file.
struct StoreFile {
    path: PathBuf,
    /// The names of the table, the region and the family, if it is below `data`.
    names: [Option<String>; 3],
    usage: Usage,
    encoding: Option<&'static str>,
    compression: Option<&'static str>,
    rows: Option<Rows>,
    /// The number of other files of the family that have rows between these.
    overlap: Option<usize>,
    /// The blocks, if they are asked for.
    blocks: Option<BlockTotals>,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let storage = vfs::storage();
    if !out.is_json() {
        writeln!(out, "{}", Usage::HEADING)?;
    }
    let (mut blocks, mut samples) = (BlockUsage::default(), Samples::default());
    for target in &with_mob_dirs(&args.targets)? {
        if probe::is_dir(target)? && is_snapshot(target)? {
            print_snapshot(target, args, &options, (&mut blocks, &mut samples), out)?;
            continue;
        }
        let mut families = Families::list(target, &storage, &options, args.blocks)?;
        // The directories that the current file is in, from the target down, with what they have so far.
        let mut open: Vec<(PathBuf, Usage)> = Vec::new();
        while let Some(mut family) = families.next()? {
            let depth = set_overlaps(&mut family);
            for file in &family {
                note(file, args, &mut blocks, &mut samples);
                if out.is_json() {
                    print_json(file, out)?;
                    continue;
                }
                close(&mut open, &file.path, out)?;
                let known = open.last().map_or_else(|| target.clone(), |(dir, _)| dir.clone());
                let mut below: Vec<PathBuf> = file.path.ancestors().skip(1).map(Path::to_owned).collect();
                below.retain(|dir| dir.starts_with(&known) && (*dir != known || open.is_empty()));
                open.extend(below.into_iter().rev().map(|dir| (dir, Usage::default())));
                open.iter_mut().for_each(|(_, sum)| sum.add(Usage { depth, ..file.usage }));
                file.usage.print(&file.path, out)?;
            }
            out.flush_aside()?;
        }
        close(&mut open, Path::new(""), out)?;
    }
    blocks.print(out)?;
    if args.what_if {
        samples.print(&options, out)?;
    }
    if args.balance {
        args.targets.iter().try_for_each(|target| balance::print(target, &args.reading, out))?;
    }
    Ok(Exit::Done)
}

/// Adds what is to be known of a file for the options.
fn note(file: &StoreFile, args: &Args, blocks: &mut BlockUsage, samples: &mut Samples) {
    if let Some(of_file) = &file.blocks {
        blocks.add(file.names.clone(), of_file);
    }
    if args.what_if && file.usage.cells > Some(0) {
        samples.add(file.names.clone(), &file.path, file.usage.bytes);
    }
}

/// Prints the files of a snapshot, in the order of regions and families, and their sum.
fn print_snapshot(
    target: &Path,
    args: &Args,
    options: &HFileOptions,
    (blocks, samples): (&mut BlockUsage, &mut Samples),
    out: &mut Output,
) -> Result<(), Failure> {
    let kind = Some(Kind::Snapshot);
    let mut found = store_files::by_region(target, kind, &args.reading, out)?;
    found.extend(store_files::mob_regions(target, kind, &args.reading, out)?);
    let regions = args.reading.region_options(out)?;
    let mut sum = Usage::default();
    for RegionFiles { region, families } in found {
        for FamilyFiles { family, files } in families {
            let names = [
                region.as_ref().map(|region| region.table().to_string()),
                region.as_ref().map(RegionInfo::encoded_name),
                family.map(|family| StringBinary(&family).to_string()),
            ];
            let open = |path: &Path| -> Result<StoreFile, Failure> {
                let is_elsewhere = regions.hfile_of(path)?.is_some_and(|hfile| hfile != path);
                let kind = if is_elsewhere { FileKind::Link } else { FileKind::StoreFile };
                let file = StoreFile::open(path, kind, options, args.blocks)?;
                Ok(StoreFile { names: names.clone(), ..file })
            };
            let files = files.iter().map(|file| read_listed(&file.path, open));
            let mut files = files.collect::<Result<Vec<_>, Failure>>()?;
            let depth = set_overlaps(&mut files);
            for file in &files {
                note(file, args, blocks, samples);
                sum.add(Usage { depth, ..file.usage });
                if out.is_json() {
                    print_json(file, out)?;
                } else {
                    file.usage.print(&file.path, out)?;
                }
            }
            out.flush_aside()?;
        }
    }
    if out.is_json() { Ok(()) } else { sum.print(target, out) }
}

/// Returns the targets, each with the directory of its MOB files after it, unless another target has that.
fn with_mob_dirs(targets: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    // What cannot be read is an error when its turn comes.
    let full: Vec<PathBuf> = targets.iter().filter_map(|target| vfs::full(target).ok()).collect();
    let mut found: Vec<PathBuf> = Vec::new();
    for target in targets {
        found.push(target.clone());
        if !matches!(probe::is_dir(target), Ok(true)) {
            continue;
        }
        let Some(mob) = mob_dir(target)? else { continue };
        let place = vfs::full(&mob).map_err(|error| CommandError::io("open", &mob, &error))?;
        if !full.iter().any(|other| place.starts_with(other)) {
            found.push(mob);
        }
    }
    Ok(found)
}

/// The store files of a target, one family after another, in the order of their paths.
struct Families<'t> {
    target: &'t Path,
    storage: &'t Arc<dyn Storage>,
    options: &'t HFileOptions,
    /// Whether the headers of the blocks are read, too.
    blocks: bool,
    /// The files that are not opened yet.
    listed: VecDeque<(PathBuf, FileKind)>,
    /// The directories of all files listed so far.
    dirs: HashSet<PathBuf>,
    /// Those of them that were found in place of others.
    found_later: HashSet<PathBuf>,
    /// The directories returned, and their rows, by the table's directory and the family.
    counted: HashMap<(PathBuf, OsString), Vec<(PathBuf, Rows)>>,
    /// The last file returned; empty before the first one.
    last: PathBuf,
}

impl<'t> Families<'t> {
    /// Lists the files. None of them is opened.
    fn list(
        target: &'t Path,
        storage: &'t Arc<dyn Storage>,
        options: &'t HFileOptions,
        blocks: bool,
    ) -> Result<Self, Failure> {
        let listed = list(target, storage)?;
        let dirs = listed.iter().map(|(path, _)| dir_of(path).to_owned()).collect();
        let (found_later, counted) = (HashSet::new(), HashMap::new());
        let (listed, last) = (listed.into(), PathBuf::new());
        Ok(Self { target, storage, options, blocks, listed, dirs, found_later, counted, last })
    }

    /// Opens the files of the next family, each once; `None` after the last one. Lists files again while
    /// another process renames, archives or removes some of them: there may be others in their place.
    fn next(&mut self) -> Result<Option<Vec<StoreFile>>, Failure> {
        let mut known: HashMap<PathBuf, StoreFile> = HashMap::new();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Some(dir) = self.listed.front().map(|(path, _)| dir_of(path).to_owned()) else {
                return Ok(None);
            };
            let count = self.listed.iter().take_while(|(path, _)| dir_of(path) == dir).count();
            let (mut files, mut is_gone) = (Vec::new(), false);
            for (path, kind) in self.listed.drain(..count) {
                let opened = match known.remove(&path) {
                    Some(file) => Some(file),
                    None => unless_gone(&path, StoreFile::open(&path, kind, self.options, self.blocks))?,
                };
                match opened {
                    Some(file) => files.push(file),
                    None => is_gone = true,
                }
            }
            if is_gone && attempts < ATTEMPTS {
                known = files.into_iter().map(|file| (file.path.clone(), file)).collect();
                self.list_again(&dir)?;
            } else if let Some(file) = files.last() {
                self.last.clone_from(&file.path);
                if !self.has_counted(&dir, &files) {
                    return Ok(Some(files));
                }
                attempts = 0;
            }
        }
    }

    /// Whether the rows of a directory that was found later are those of one that was returned: its region
    /// was split since. Otherwise notes them as returned.
    fn has_counted(&mut self, dir: &Path, files: &[StoreFile]) -> bool {
        let rows = || files.iter().filter_map(|file| file.rows.as_ref());
        let (first, last) = (rows().map(|rows| &rows.0).min(), rows().map(|rows| &rows.1).max());
        let place = dir.ancestors().nth(2).zip(dir.file_name());
        let Some(((table, family), (first, last))) = place.zip(first.zip(last)) else { return false };
        let counted = self.counted.entry((table.to_owned(), family.to_owned())).or_default();
        let has_all = |(other, (from, to)): &(PathBuf, Rows)| other != dir && from <= first && last <= to;
        if self.found_later.contains(dir) && counted.iter().any(has_all) {
            return true;
        }
        counted.push((dir.to_owned(), (first.clone(), last.clone())));
        false
    }

    /// Lists a family of which a file is gone. If it has none any more, lists its table: its region may have
    /// been split or merged.
    fn list_again(&mut self, dir: &Path) -> Result<(), Failure> {
        let mut files = match dir.starts_with(self.target) {
            true => unless_gone(dir, list(dir, self.storage))?.unwrap_or_default(),
            false => list(self.target, self.storage)?,
        };
        // Of a family with other directories, some files may have been returned.
        let is_left = |path: &PathBuf| !self.last.starts_with(dir) || *path > self.last;
        files.retain(|(path, _)| dir_of(path) == dir && is_left(path));
        if files.is_empty() {
            let table = dir.ancestors().nth(2).filter(|table| table.starts_with(self.target));
            files = match table.filter(|table| *table != self.target) {
                Some(table) => unless_gone(table, list(table, self.storage))?.unwrap_or_default(),
                None => list(self.target, self.storage)?,
            };
            files.retain(|(path, _)| !self.dirs.contains(dir_of(path)));
            let found = files.iter().map(|(path, _)| dir_of(path).to_owned());
            self.found_later.extend(found.clone());
            self.dirs.extend(found);
        }
        self.listed.retain(|(path, _)| dir_of(path) != dir);
        self.listed.extend(files);
        self.listed.make_contiguous().sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(())
    }
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// Lists the store files of a target, in the order of their paths, and again while any is gone since then.
fn list(target: &Path, storage: &Arc<dyn Storage>) -> Result<Vec<(PathBuf, FileKind)>, Failure> {
    let (mut files, mut is_gone) = store_files(target, storage)?;
    for _ in 1..ATTEMPTS {
        if !is_gone {
            break;
        }
        (files, is_gone) = store_files(target, storage)?;
    }
    Ok(files)
}

/// Lists the store files of a target, in the order of their paths. Returns, too, whether any was gone since
/// it was listed.
fn store_files(
    target: &Path,
    storage: &Arc<dyn Storage>,
) -> Result<(Vec<(PathBuf, FileKind)>, bool), Failure> {
    vfs::check_readable(target)?;
    let (mut paths, mut is_gone) = (Vec::new(), false);
    match probe::is_dir(target)? {
        true => is_gone = files_below(target, &mut paths)?,
        false => {
            target::check_regular(target)?;
            paths.push(target.to_owned());
        }
    }
    let mut files = Vec::new();
    for path in paths {
        let Some(kind) = unless_gone(&path, FileKind::of(storage, &path).map_err(Failure::from))? else {
            is_gone = true;
            continue;
        };
        let is_stored = match kind {
            FileKind::Reference | FileKind::Link => true,
            FileKind::StoreFile => path == *target || has_store_file_name(&path),
            FileKind::Unknown => path == *target || begins_as_store_file_name(&path),
            _ => false,
        };
        if is_stored {
            files.push((path, kind));
        }
    }
    Ok((files, is_gone))
}

/// Returns what was found out about a file; `None` if that failed because the file is not there any more:
/// another process has renamed, archived or removed it since it was listed.
fn unless_gone<T>(path: &Path, found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Err(_) if !probe::exists(path)? => Ok(None),
        found => found.map(Some),
    }
}

/// Whether a file is in a directory of files that are being written.
fn is_unfinished(path: &Path) -> bool {
    path.ancestors().skip(1).any(|dir| dir.file_name().is_some_and(|name| name == ".tmp"))
}

/// Sets the overlap of each file of a family. Returns how many have rows in a range that all of them span.
fn set_overlaps(files: &mut [StoreFile]) -> Option<usize> {
    let ranges: Vec<Rows> = files.iter().filter_map(|file| file.rows.clone()).collect();
    for file in files {
        let touches =
            |rows: &Rows| ranges.iter().filter(|(first, last)| *first <= rows.1 && rows.0 <= *last).count();
        file.overlap = file.rows.as_ref().map(|rows| touches(rows).saturating_sub(1));
    }
    // The most files have rows where one of them begins.
    let at = |row: &Vec<u8>| ranges.iter().filter(|(first, last)| first <= row && row <= last).count();
    ranges.iter().map(|(first, _)| at(first)).max()
}

/// Prints the directories that a file is not in.
fn close(open: &mut Vec<(PathBuf, Usage)>, path: &Path, out: &mut Output) -> Result<(), Failure> {
    while let Some((dir, sum)) = open.pop_if(|(dir, _)| !path.starts_with(dir)) {
        sum.print(&dir, out)?;
    }
    Ok(())
}

/// Whether a file outside of any region is named as HBase names new store files.
fn begins_as_store_file_name(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], |name| name.as_encoded_bytes());
    name.get(..32).is_some_and(|name| name.iter().all(u8::is_ascii_hexdigit))
}

impl StoreFile {
    /// Opens a file.
    fn open(path: &Path, kind: FileKind, options: &HFileOptions, blocks: bool) -> Result<Self, Failure> {
        let (bytes, names) = (len_of(path)?, file_names(path)?);
        let usage = Usage { bytes, ..Usage::default() };
        let mut this = Self {
            path: path.to_owned(),
            names,
            usage,
            encoding: None,
            compression: None,
            rows: None,
            overlap: None,
            blocks: None,
        };
        if matches!(kind, FileKind::Reference | FileKind::Link) || bytes == 0 {
            return Ok(this);
        }
        let file = match options.open(path) {
            Err(_) if is_unfinished(path) && probe::exists(path)? => return Ok(this),
            opened => opened?,
        };
        let times = file.file_info().time_range().map_err(|corruption| corruption.at(path, 0))?;
        let has_cells = file.entry_count() > 0;
        this.usage.cells = Some(file.entry_count());
        this.usage.times = times.filter(|_| has_cells).map(|range| (range.min, range.max));
        let plain = u64::try_from(file.trailer().total_uncompressed_bytes()).ok();
        this.usage.plain = plain.filter(|_| has_cells).map(|plain| (bytes, plain));
        this.encoding = Some(file.data_block_encoding().name());
        this.compression = Some(file.codec().name());
        let keys = file.first_key().zip(file.last_key()).filter(|_| has_cells);
        this.rows = keys.map(|(first, last)| (first.row().to_vec(), last.row().to_vec()));
        this.blocks = blocks.then(|| blocks_of(&file)).transpose()?;
        Ok(this)
    }
}

/// Returns the names of the table, the region and the family of a file, if it is below `data`.
fn file_names(path: &Path) -> Result<[Option<String>; 3], Failure> {
    let full = vfs::full(path).map_err(|error| CommandError::io("open", path, &error))?;
    let mut names = full.ancestors().skip(1).map(|dir| dir.file_name().map(|name| name.to_string_lossy()));
    let mut next = || names.next().flatten().map(|name| name.into_owned());
    let (family, region, table, namespace) = (next(), next(), next(), next());
    let table = namespace.zip(table).and_then(|(namespace, table)| TableName::new(namespace, table).ok());
    let is_below_data = next().is_some_and(|name| name == "data");
    Ok([table.map(|table| table.to_string()), region, family].map(|name| name.filter(|_| is_below_data)))
}

fn print_json(file: &StoreFile, out: &mut Output) -> Result<(), Failure> {
    let ([table, region, family], usage) = (&file.names, file.usage);
    let row = |row: &Vec<u8>| StringBinary(row).to_string();
    out.json_line(&json!({
        "table": table, "region": region, "family": family,
        "path": text::json_path(&file.path), "bytes": usage.bytes, "cells": usage.cells,
        "oldest": usage.times.map(|times| times.0), "newest": usage.times.map(|times| times.1),
        "encoding": file.encoding, "compression": file.compression,
        "uncompressed_bytes": usage.plain.map(|(_, plain)| plain),
        "first": file.rows.as_ref().map(|rows| row(&rows.0)),
        "last": file.rows.as_ref().map(|rows| row(&rows.1)),
        "overlap": file.overlap,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{Compaction, Family, HFile, Put, Table};

    /// Opens all families that are left.
    fn left(families: &mut Families<'_>) -> Vec<Vec<PathBuf>> {
        let mut found = Vec::new();
        while let Some(family) = families.next().unwrap() {
            found.push(family.into_iter().map(|file| file.path).collect());
        }
        found
    }

    /// The files of a family are replaced before they are opened: by a compaction, then by those of a split.
    #[test]
    fn files_that_are_replaced_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
        for value in ["1", "2"] {
            for row in ["a", "b", "x", "y"] {
                table.put(Put::new(row).cell("f", "q", value)).unwrap();
            }
            table.flush().unwrap();
        }
        let target = dir.path().join("data/default/t");
        let (storage, options) = (vfs::storage(), HFile::options());
        let list = || Families::list(&target, &storage, &options, false).unwrap();

        let mut families = list();
        assert_eq!(families.next().unwrap().unwrap().len(), 2);
        let before: Vec<PathBuf> = families.listed.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(before.len(), 2);
        table.compact(Compaction::Major).unwrap();
        let found = left(&mut families);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
        assert_eq!(dir_of(&found[0][0]), dir_of(&before[0]));
        assert!(!before.contains(&found[0][0]));

        let mut families = list();
        let first = families.next().unwrap().unwrap().remove(0).path;
        let region = dir_of(dir_of(&found[0][0]));
        let info = table.regions().into_iter().find(|info| region.ends_with(info.encoded_name())).unwrap();
        table.split(if info.start_key().is_empty() { "b" } else { "y" }).unwrap();
        table.compact(Compaction::Major).unwrap();
        let found = left(&mut families);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        let dirs: HashSet<&Path> = found.iter().map(|family| dir_of(&family[0])).collect();
        assert!(dirs.len() == 2 && !dirs.contains(dir_of(&first)) && !dirs.contains(&*region.join("f")));
        table.close().unwrap();
    }

    /// One of the families of a region is returned, and then the region is split.
    #[test]
    fn the_rows_of_a_family_are_returned_once() {
        let dir = tempfile::tempdir().unwrap();
        let families = [Family::new("f"), Family::new("g")];
        let table = Table::create(dir.path(), "t", &families, &[""; 0]).unwrap();
        for row in ["a", "b", "x", "y"] {
            table.put(Put::new(row).cell("f", "q", "v").cell("g", "q", "v")).unwrap();
        }
        table.flush().unwrap();
        let target = dir.path().join("data/default/t");
        let (storage, options) = (vfs::storage(), HFile::options());
        let mut families = Families::list(&target, &storage, &options, false).unwrap();
        assert!(dir_of(&families.next().unwrap().unwrap()[0].path).ends_with("f"));
        table.split("m").unwrap();
        table.compact(Compaction::Major).unwrap();
        let found = left(&mut families);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|files| dir_of(&files[0]).ends_with("g")), "{found:?}");
        table.close().unwrap();
    }

    #[test]
    fn a_file_that_is_gone_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let (there, gone) = (dir.path().join("there"), dir.path().join("gone"));
        std::fs::write(&there, "").unwrap();
        let fault = || Err::<(), Failure>(CommandError::corrupt(&there, "damaged").into());
        assert!(unless_gone(&there, fault()).is_err());
        assert!(unless_gone(&gone, fault()).unwrap().is_none());
        assert!(unless_gone(&gone, Ok(())).unwrap().is_some());
    }
}
