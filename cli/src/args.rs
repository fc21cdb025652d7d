//! The command line: arguments shared by all commands. The arguments of each command are in its own file.

use crate::cmd::{
    bench, bulkload, cells, check, compact, completions, convert, copy, count, diff, du, explain, export,
    flush, get, import, inspect, load, locate, man, merge, recover, regions, replay, report, salvage, scan,
    seek, shell, snapshot, split, stats, verify, wal, write,
};
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::{probe, vfs};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use hregion::wal::WalReaderOptions;
use hregion::{BlockCache, HFile, HFileOptions, Limits, Region, RegionOptions};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Read, check, write and repair the files of Apache HBase without HBase
///
/// Data goes to standard output, everything else to standard error. With --json, output is JSON lines, one
/// object per line. Byte strings are printed and parsed as in HBase: printable ASCII unchanged, other bytes
/// as \xHH.
#[derive(Debug, Parser)]
#[command(name = "hregion", bin_name = "hregion", version)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_HELP)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print JSON lines
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,

    /// Suppress progress, summaries and most warnings
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::Args),
    Cells(cells::Args),
    Seek(seek::Args),
    Scan(scan::Args),
    Get(get::Args),
    Explain(explain::Args),
    Count(count::Args),
    Stats(stats::Args),
    Du(du::Args),
    Verify(verify::Args),
    Check(check::Args),
    Report(report::Args),
    Diff(diff::Args),
    Export(Box<export::Args>),
    Write(Box<write::Args>),
    Convert(Box<convert::Args>),
    Bulkload(Box<bulkload::Args>),
    Salvage(salvage::Args),
    Flush(flush::Args),
    Compact(compact::Args),
    Load(load::Args),
    Import(Box<import::Args>),
    Copy(Box<copy::Args>),
    Split(split::Args),
    Merge(merge::Args),
    Shell(shell::Args),
    Wal(wal::Args),
    Recover(recover::Args),
    Snapshot(snapshot::Args),
    Locate(locate::Args),
    Regions(regions::Args),
    Replay(replay::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0  success
  1  success, and the answer is no (files differ, no such table)
  2  usage error or invalid argument
  3  corrupt input
  4  unsupported version, codec or feature
  5  I/O error: not found, no permission, disk full, locked"
    };
}

const EXIT_CODES: &str = exit_codes!();

const AFTER_HELP: &str = concat!(
    exit_codes!(),
    "

Examples:
  hregion inspect table/region/family/8e8ab58dcf39412d
  hregion cells --json 8e8ab58dcf39412d | jq -r .row | uniq -c
  hregion seek 8e8ab58dcf39412d 'user1\\x00' cf:name
  hregion verify --json family/* | tail -1"
);

/// Limits of memory for reading.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Reading")]
pub(crate) struct LimitArgs {
    /// Maximum size of a block or log entry, with suffix K, M or G [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_block_bytes: Option<usize>,

    /// Maximum memory allocated at once for a file [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_memory_bytes: Option<usize>,
}

impl LimitArgs {
    /// Returns the library's limits.
    pub(crate) fn limits(self) -> Limits {
        let mut limits = Limits::new();
        if let Some(bytes) = self.limit_memory_bytes {
            limits = limits.with_memory_bytes(bytes);
        }
        if let Some(bytes) = self.limit_block_bytes {
            limits = limits.with_block_bytes(bytes);
        }
        limits
    }

    fn is_given(self) -> bool {
        self.limit_block_bytes.is_some() || self.limit_memory_bytes.is_some()
    }
}

/// Master keys of encrypted files and logs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Reading")]
pub(crate) struct KeyArgs {
    /// File with the cluster's master key in hexadecimal, for encrypted files and logs
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,

    /// File with the previous master key in hexadecimal, tried if the master key does not fit
    #[arg(long, value_name = "FILE", requires = "master_key_file")]
    alternate_master_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Builds the options for logs.
    pub(crate) fn wal_options(&self, limits: Limits) -> Result<WalReaderOptions, CommandError> {
        let mut options = WalReaderOptions::new().limits(limits);
        if let Some(key) = self.master_key()? {
            options = options.master_key(key);
        }
        if let Some(key) = self.alternate_master_key()? {
            options = options.alternate_master_key(key);
        }
        Ok(options)
    }

    fn master_key(&self) -> Result<Option<Vec<u8>>, CommandError> {
        self.master_key_file.as_deref().map(read_key).transpose()
    }

    fn alternate_master_key(&self) -> Result<Option<Vec<u8>>, CommandError> {
        self.alternate_master_key_file.as_deref().map(read_key).transpose()
    }
}

/// Options for reading files.
#[derive(Args, Debug)]
#[command(next_help_heading = "Reading")]
pub(crate) struct FileArgs {
    /// Zstandard dictionary with which files were compressed
    #[arg(long, value_name = "FILE")]
    zstd_dictionary: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    limits: LimitArgs,

    /// Maximum size of a row in one family, if whole rows are read [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_row_bytes: Option<usize>,

    /// Skip the verification of checksums; damaged bytes may be returned as data
    #[arg(long)]
    no_checksums: bool,
}

impl FileArgs {
    /// Builds the library's options; warns if checksums are off.
    pub(crate) fn options(&self, out: &Output) -> Result<HFileOptions, Failure> {
        self.warn_of_checksums(out);
        let mut options = HFile::options()
            .storage(vfs::storage())
            .limits(self.limits())
            .verify_checksums(!self.no_checksums);
        if let Some(dictionary) = self.zstd_dictionary()? {
            options = options.zstd_dictionary(dictionary);
        }
        if let Some(key) = self.master_key()? {
            options = options.master_key(key);
        }
        if let Some(key) = self.keys.alternate_master_key()? {
            options = options.alternate_master_key(key);
        }
        Ok(options)
    }

    /// Builds the options for regions; warns if checksums are off.
    pub(crate) fn region_options(&self, out: &Output) -> Result<RegionOptions, Failure> {
        self.warn_of_checksums(out);
        let mut options = Region::options()
            .storage(vfs::storage())
            .cache(&BlockCache::with_capacity(CACHE))
            .limits(self.limits())
            .verify_checksums(!self.no_checksums);
        if let Some(dictionary) = self.zstd_dictionary()? {
            options = options.zstd_dictionary(dictionary);
        }
        if let Some(key) = self.master_key()? {
            options = options.master_key(key);
        }
        if let Some(key) = self.keys.alternate_master_key()? {
            options = options.alternate_master_key(key);
        }
        Ok(options)
    }

    /// Builds the options for regions that a command changes. They are not compacted in the background: the
    /// command ends soon, or compacts them itself.
    pub(crate) fn options_to_change(&self, out: &Output) -> Result<RegionOptions, Failure> {
        Ok(self.region_options(out)?.writable(true).compaction_enabled(false))
    }

    /// Whether damaged bytes may be read as data.
    #[cfg(feature = "arrow")]
    pub(crate) fn ignores_checksums(&self) -> bool {
        self.no_checksums
    }

    /// Returns the memory that may be allocated at once for one file, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.limits().load_on_open_bytes
    }

    /// Whether any of these arguments was given.
    pub(crate) fn is_given(&self) -> bool {
        self.zstd_dictionary.is_some()
            || self.keys.master_key_file.is_some()
            || self.limits.is_given()
            || self.limit_row_bytes.is_some()
            || self.no_checksums
    }

    /// Returns the files that these arguments name.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let KeyArgs { master_key_file, alternate_master_key_file } = &self.keys;
        self.zstd_dictionary.iter().chain(master_key_file).chain(alternate_master_key_file)
    }

    fn warn_of_checksums(&self, out: &Output) {
        if self.no_checksums {
            out.warn_of_checksums();
        }
    }

    fn zstd_dictionary(&self) -> Result<Option<Vec<u8>>, CommandError> {
        self.zstd_dictionary.as_deref().map(read_small).transpose()
    }

    pub(crate) fn master_key(&self) -> Result<Option<Vec<u8>>, CommandError> {
        self.keys.master_key()
    }

    /// Builds the options for logs.
    pub(crate) fn wal_options(&self) -> Result<WalReaderOptions, CommandError> {
        self.keys.wal_options(self.limits())
    }

    pub(crate) fn limits(&self) -> Limits {
        let limits = self.limits.limits();
        match self.limit_row_bytes {
            Some(bytes) => limits.with_row_bytes(bytes),
            None => limits,
        }
    }
}

/// Options for reading line-based input.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct LineArgs {
    /// Maximum length of an input line, up to 2G, with suffix K, M or G [default: 256M]
    #[arg(long, value_name = "BYTES", value_parser = parse_line_bytes, help_heading = "Input")]
    limit_line_bytes: Option<usize>,
}

impl LineArgs {
    pub(crate) fn limits(self) -> Limits {
        let limits = Limits::new();
        match self.limit_line_bytes {
            Some(bytes) => limits.with_line_bytes(bytes),
            None => limits,
        }
    }
}

/// Capacity of the block cache of a region, in bytes.
const CACHE: u64 = 64 << 20;

/// Reads a dictionary, a key, or another small file. A pipe or a device is read only once, because it may
/// have no more data, and a pipe may have lost its writer.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>, CommandError> {
    static SPECIAL: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());
    if vfs::is_url(path) || !probe::is_special(path)? {
        return read_within(path, 64);
    }
    let mut special = SPECIAL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = special.get(path) {
        return Ok(bytes.clone());
    }
    let bytes = read_within(path, 64)?;
    special.insert(path.to_owned(), bytes.clone());
    Ok(bytes)
}

/// Reads a file. Fails if it has more than `most` MiB.
pub(crate) fn read_within(path: &Path, most: u64) -> Result<Vec<u8>, CommandError> {
    let limit = most << 20;
    let bytes = read_up_to(path, limit + 1).map_err(|error| CommandError::io("read", path, &error))?;
    if bytes.len() as u64 > limit {
        let message = format!("larger than {most} MiB, the limit for this file");
        return Err(CommandError::invalid_file(path, message));
    }
    Ok(bytes)
}

/// Reads the first `most` bytes of a file, or all that it has.
pub(crate) fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if vfs::is_url(path) {
        let file = vfs::open(path)?;
        bytes.resize(usize::try_from(file.len().min(most)).unwrap_or(usize::MAX), 0);
        file.read_exact_at(&mut bytes, 0)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Reads a key from a file of hexadecimal digits.
pub(crate) fn read_key(path: &Path) -> Result<Vec<u8>, CommandError> {
    parse_key(path, &read_small(path)?)
}

fn parse_key(path: &Path, text: &[u8]) -> Result<Vec<u8>, CommandError> {
    let digits: Option<Vec<u8>> = text
        .trim_ascii()
        .iter()
        .map(|&digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    match digits {
        Some(digits) if matches!(digits.len(), 32 | 48 | 64) => {
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(CommandError::invalid_file(path, "expected an AES key of 32, 48 or 64 hexadecimal digits")),
    }
}

pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err("expected a number of bytes, such as 65536, 64K or 1G".into()),
    };
    let count: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    let bytes = count.checked_mul(unit).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| "too many bytes".into())
}

/// Parses the maximum length of a line. Neither HBase nor the format of temporary files takes larger cells.
fn parse_line_bytes(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        bytes if bytes <= 2 << 30 => Ok(bytes),
        _ => Err("expected at most 2G, the maximum size of a cell".into()),
    }
}

/// Parses the command line. Help and usage errors are printed, and end the program with the returned exit
/// code.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let args: Vec<OsString> = std::env::args_os().collect();
    Cli::try_parse_from(&args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = crate::streams::check_output().and_then(|()| error.print());
            Output::new(false, false).finish(printed.map(|()| Exit::Done).map_err(Failure::from))
        }
        kind => {
            // parsing failed, so --json must be looked up in the raw arguments
            let json = args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json");
            if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
                // a failure to write to standard error cannot be reported
                let _ = error.print();
                return ExitCode::from(Exit::Usage as u8);
            }
            let fault = CommandError::usage(one_line(&error)).with_hint(Some("try --help"));
            Output::new(json, false).finish(Err(fault.into()))
        }
    })
}

/// Returns the complete command, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Joins clap's message into one line, without usage and colour.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "missing arguments".into();
    }
    let text = error.render().to_string();
    let lines = text.strip_prefix("error: ").unwrap_or(&text).lines().map(str::trim);
    let said =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let mut out = String::new();
    for line in said.filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out += if line.starts_with("tip:") { "; " } else { " " };
        }
        out += line;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("65536"), Ok(65536));
        assert_eq!(parse_bytes("64k"), Ok(65536));
        assert_eq!(parse_bytes("1GiB"), Ok(1 << 30));
        for wrong in ["", "K", "1T", "-1", "1.5G", "99999999999999999999", "18446744073709551615G", "é"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_are_not_longer_than_the_largest_cell() {
        assert_eq!(parse_line_bytes("1M"), Ok(1 << 20));
        assert_eq!(parse_line_bytes("2G"), Ok(2 << 30));
        for wrong in ["2147483649", "4G"] {
            assert!(parse_line_bytes(wrong).unwrap_err().contains("at most 2G"), "{wrong}");
        }
    }

    #[test]
    fn files_that_are_read_as_a_whole_have_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![b' '; 1 << 20]).unwrap();
        assert_eq!(read_within(&path, 1).unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
        let line = read_within(&path, 1).unwrap_err().line();
        assert!(line.contains("larger than 1 MiB"), "{line}");
        assert_eq!(read_within(&path, 2).unwrap().len(), (1 << 20) + 1);
        assert_eq!(read_up_to(&path, 3).unwrap(), b"   ");
    }

    #[test]
    fn keys_are_hexadecimal() {
        let path = Path::new("key");
        assert_eq!(
            parse_key(path, b"000102030405060708090a0b0c0d0e0F\n").unwrap(),
            (0..16).collect::<Vec<u8>>()
        );
        assert!(parse_key(path, b"0001").is_err());
        assert!(parse_key(path, &[b'g'; 32]).is_err());
    }
}
