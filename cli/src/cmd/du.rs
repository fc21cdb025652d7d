//! `hregion du`: bytes, cells and ages of store files.

mod families;
mod store_file;

use crate::args::FileArgs;
use crate::balance;
use crate::block_usage::BlockUsage;
use crate::concurrent_changes::read_listed;
use crate::directories::{is_snapshot, mob_dir};
use crate::failure::{CommandError, Exit, Failure};
use crate::faults::Faults;
use crate::output::Output;
use crate::probe;
use crate::store_files::{self, FamilyFiles, RegionFiles};
use crate::target::Kind;
use crate::usage::Usage;
use crate::vfs;
use crate::what_if::Samples;
use families::Families;
use hregion::cell::StringBinary;
use hregion::region::FileKind;
use hregion::{HFileOptions, RegionInfo};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use store_file::{StoreFile, print_json, set_overlaps};

/// Show the bytes, cells and ages of store files
///
/// Reads the trailers of the files, and no cells. Prints the bytes, the number of cells, the oldest and the
/// newest timestamp of each file, and of each family, region and directory above; then how much compression
/// saves, and the overlap of the files of a family: how many of them a get reads at most, if no Bloom filter
/// excludes one. References and links have few bytes and no cells of their own; for files that are being
/// written, cells and timestamps are unknown. Timestamps are from the time range in the file, which begins at
/// 0 if the file has a marker that deletes all older versions. The MOB files of a table, of a namespace or of
/// `data`, which are below `mobdir` of the root, are printed after its other files. The files of a snapshot
/// are listed where they are now, in the directories of tables or in the archive. A family with a file
/// that cannot be read is left out, and so are the sums that would include it.
///
/// With --blocks, reads the headers of all blocks, and prints for each family the bytes and the number of
/// blocks of each type (cells, index, Bloom filters …), and the number of runs of adjacent blocks: few runs
/// are read with few requests. With --what-if, reads a sample of each family, and estimates the bytes of its
/// files with other encodings and codecs. With --balance, prints the regions of a table that are out of
/// balance: regions larger than two mean regions, to be split, and neighbours that together are not larger
/// than one, to be merged; a reference counts as half of its file.
///
/// With --json: {"table","region","family","path","bytes","cells","oldest","newest","encoding","compression",
/// "uncompressed_bytes","first","last","overlap"} for each file, null if unknown; "overlap" is the number of
/// other files of the family with rows between the first and the last. With --blocks then
/// {"blocks":{"table","family","type","blocks","bytes","uncompressed_bytes","runs"}} for each type; with
/// --what-if {"what_if":{"table","family","encoding","compression","sample_bytes","bytes"}} for each setting;
/// with --balance {"balance":{"table","action","regions","bytes","mean_bytes"}} for each advice.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Store files, directories of any level, or snapshots
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,

    /// Also print the bytes of each type of block, and how many runs they form
    #[arg(long)]
    blocks: bool,

    /// Also estimate the bytes with other encodings and codecs, from a sample of blocks
    #[arg(long)]
    what_if: bool,

    /// Also print the regions that HBase's normalizer would split or merge
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

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    if !out.is_json() {
        writeln!(out, "{}", Usage::HEADING)?;
    }
    let (mut blocks, mut samples) = (BlockUsage::default(), Samples::default());
    let mut faults = Faults::default();
    for target in &with_mob_dirs(&args.targets)? {
        match print_target(target, args, &options, (&mut blocks, &mut samples), &mut faults, out) {
            Err(Failure::Fault(fault)) => faults.add(*fault, out),
            done => done?,
        }
    }
    if !faults.is_empty() {
        return faults.finish();
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

/// Prints the files of a target, and the sums of the directories whose files can all be read. The faults of
/// other families are added to `faults`.
fn print_target(
    target: &Path,
    args: &Args,
    options: &HFileOptions,
    (blocks, samples): (&mut BlockUsage, &mut Samples),
    faults: &mut Faults,
    out: &mut Output,
) -> Result<(), Failure> {
    if probe::is_dir(target)? && is_snapshot(target)? {
        return print_snapshot(target, args, options, (blocks, samples), out);
    }
    let storage = vfs::storage();
    let mut families = Families::list(target, &storage, options, args.blocks)?;
    // The directories that the current file is in, from the target down, with their usage so far.
    let mut open: Vec<(PathBuf, Usage)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        let mut family = match families.next() {
            Ok(Some(family)) => family,
            Ok(None) => break,
            Err(Failure::Fault(fault)) => {
                faults.add(*fault, out);
                failed.push(families.dir().to_owned());
                continue;
            }
            Err(other) => return Err(other),
        };
        let depth = set_overlaps(&mut family);
        for file in &family {
            note(file, args, blocks, samples);
            if out.is_json() {
                print_json(file, out)?;
                continue;
            }
            close(&mut open, &failed, &file.path, out)?;
            let known = open.last().map_or_else(|| target.to_owned(), |(dir, _)| dir.clone());
            let mut below: Vec<PathBuf> = file.path.ancestors().skip(1).map(Path::to_owned).collect();
            below.retain(|dir| dir.starts_with(&known) && (*dir != known || open.is_empty()));
            open.extend(below.into_iter().rev().map(|dir| (dir, Usage::default())));
            open.iter_mut().for_each(|(_, sum)| sum.add(Usage { depth, ..file.usage }));
            file.usage.print(&file.path, out)?;
        }
        out.flush_aside()?;
    }
    close(&mut open, &failed, Path::new(""), out)
}

/// Adds the data of a file that the options require.
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
    // An unreadable target causes an error when its turn comes.
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

/// Prints the directories that a file is not in, except those with a family that could not be read.
fn close(
    open: &mut Vec<(PathBuf, Usage)>,
    failed: &[PathBuf],
    path: &Path,
    out: &mut Output,
) -> Result<(), Failure> {
    while let Some((dir, sum)) = open.pop_if(|(dir, _)| !path.starts_with(dir)) {
        if !failed.iter().any(|failed| failed.starts_with(&dir)) {
            sum.print(&dir, out)?;
        }
    }
    Ok(())
}
