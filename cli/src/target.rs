//! The kinds of targets, and how they are detected.

use crate::directories;
use crate::failure::{CommandError, Failure, hint_if_missing};
use crate::output::Output;
use crate::probe;
use crate::vfs::{self, check_readable};
use clap::ValueEnum;
use hregion::io::FileReader;
use hregion::region::FileKind;
use hregion::{HFile, HFileHalf, HFileOptions, Region};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// File of cells
    Hfile,
    /// Directory of HFiles
    Family,
    /// Directory of families
    Region,
    /// Directory of regions
    Table,
    /// Directory of tables
    Namespace,
    /// HBase's root directory, which contains `data`
    Root,
    /// Directory of a snapshot
    Snapshot,
    /// Write-ahead log, or a directory of logs
    Wal,
}

const DIRECTORY: &str = "a directory, expected a file: `scan`, `get`, `count` and `stats` read those of \
                         families, regions, tables and snapshots";
const WAL: &str = "a write-ahead log, expected a file of cells: `hregion wal` prints its entries";

/// Opens an HFile. A link is followed.
pub(crate) fn open(
    path: &Path,
    kind: Option<Kind>,
    options: &HFileOptions,
    out: &Output,
) -> Result<HFile, Failure> {
    let link = match kind {
        None => linked(path)?,
        Some(_) => None,
    };
    let file = options.open_reader(reader(link.as_deref().unwrap_or(path), kind, out)?)?;
    for warning in file.warnings() {
        out.warn(&CommandError::from(warning).with_hint(None).line());
    }
    Ok(file)
}

/// Returns the kind of a target: an HFile or a directory of HFiles.
pub(crate) fn kind_of(path: &Path, kind: Option<Kind>) -> Result<Kind, CommandError> {
    check_readable(path)?;
    match kind {
        None if !probe::is_dir(path)? => Ok(Kind::Hfile),
        kind => {
            if let Some(kind) = kind {
                directories::check_as(path, kind)?;
            }
            directories::kind_of(path, kind)
        }
    }
}

/// Opens an HFile for reading. Any other target is refused with its detected or given kind.
pub(crate) fn reader(path: &Path, kind: Option<Kind>, out: &Output) -> Result<Arc<dyn FileReader>, Failure> {
    match kind {
        None => {}
        Some(Kind::Hfile) => directories::check_as(path, Kind::Hfile)?,
        Some(Kind::Wal) => return Err(CommandError::unsupported(path, WAL).into()),
        Some(Kind::Family | Kind::Region | Kind::Table | Kind::Namespace | Kind::Root | Kind::Snapshot) => {
            return Err(CommandError::unsupported(path, DIRECTORY).into());
        }
    }
    check_regular(path)?;
    let file = vfs::open(path).map_err(|error| CommandError::io("open", path, &error))?;
    if kind.is_none()
        && let Some(what) = other_kind(path, &*file)
    {
        return Err(CommandError::unsupported(path, what).into());
    }
    Ok(out.progress().watch(file))
}

/// Fails if a file is neither an HFile nor a reference or link in a region; the error names what it is.
pub(crate) fn check_hfile(path: &Path, out: &Output) -> Result<(), Failure> {
    match kind_of_file(path)? {
        FileKind::Reference | FileKind::Link => check_regular(path).map_err(Failure::from),
        _ => reader(path, None, out).map(drop),
    }
}

/// Fails if a path is not that of a regular file.
pub(crate) fn check_regular(path: &Path) -> Result<(), CommandError> {
    if vfs::is_url(path) {
        check_readable(path)?;
        let found = vfs::status(path).map_err(|error| CommandError::io("open", path, &error))?;
        return match found {
            Some(entry) if entry.is_dir => Err(CommandError::unsupported(path, DIRECTORY)),
            _ => Ok(()),
        };
    }
    let meta = std::fs::metadata(path).map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let hint = if is_missing { hint_if_missing(path) } else { None };
        CommandError::io("open", path, &error).with_hint(hint)
    })?;
    if meta.is_dir() {
        return Err(CommandError::unsupported(path, DIRECTORY));
    }
    if !meta.is_file() {
        // opening a pipe would block until it has a writer
        let message = "not a regular file: HFiles are read from their end, which a pipe does not have";
        return Err(CommandError::unsupported(path, message));
    }
    Ok(())
}

/// Whether a file is a reference to a half of another one.
pub(crate) fn is_reference(path: &Path) -> Result<bool, CommandError> {
    Ok(kind_of_file(path)? == FileKind::Reference)
}

/// Returns the half of an HFile to which a reference refers; `None` if the file is not a reference.
pub(crate) fn half_of(path: &Path) -> Result<Option<HFileHalf>, CommandError> {
    if !is_reference(path)? {
        return Ok(None);
    }
    check_regular(path)?;
    Ok(HFileHalf::of(&vfs::storage(), path)?)
}

/// Returns the HFile to repair for the file at a path: for a link, its target.
pub(crate) fn to_salvage(path: &Path) -> Result<PathBuf, CommandError> {
    check_regular(path)?;
    if is_reference(path)? {
        let hint = Some("`hregion inspect` names that file");
        return Err(CommandError::unsupported(path, REFERENCE).with_hint(hint));
    }
    Ok(linked(path)?.unwrap_or_else(|| path.to_owned()))
}

/// Returns the HFile to which a link leads; `None` if the file is not a link.
fn linked(path: &Path) -> Result<Option<PathBuf>, CommandError> {
    match kind_of_file(path)? {
        FileKind::Link => Ok(Region::options().storage(vfs::storage()).hfile_of(path)?),
        _ => Ok(None),
    }
}

/// Distinguishes references and links from all other files. No other file is read, because it may be damaged.
pub(crate) fn kind_of_file(path: &Path) -> Result<FileKind, CommandError> {
    check_readable(path)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_region = |name: &str| name.bytes().all(|digit| digit.is_ascii_hexdigit());
    // A link begins with its table's name and an equals sign; a reference ends with the other region's name.
    match name.contains('=') || name.rsplit_once('.').is_some_and(|(_, end)| is_region(end)) {
        true => Ok(FileKind::of(&vfs::storage(), path)?),
        false => Ok(FileKind::Unknown),
    }
}

/// Whether a file begins like a write-ahead log or, if it ends before that is certain, is where logs are.
pub(crate) fn is_log(path: &Path) -> bool {
    vfs::open(path).is_ok_and(|file| other_kind(path, &*file) == Some(WAL))
}

const REFERENCE: &str = "a reference to a part of another file, not cells";
/// Longer than any reference, shorter than any HFile.
const REFERENCE_LEN: u64 = 200;

/// Returns the kind of a file that begins like another known kind of file, not like an HFile, or is a log.
fn other_kind(path: &Path, file: &dyn FileReader) -> Option<&'static str> {
    let mut magic = [0; 4];
    if file.len() < magic.len() as u64 {
        // A log that a server has only just begun is known by its place.
        let kind = FileKind::of(&vfs::storage(), path);
        return matches!(kind, Ok(FileKind::Log)).then_some(WAL);
    }
    file.read_exact_at(&mut magic, 0).ok()?;
    match &magic {
        b"PWAL" => Some(WAL),
        b"SEQ\x06" => Some("a Hadoop sequence file, perhaps a log of HBase 0.94, which is not supported"),
        b"PBUF" => Some("a protobuf message, perhaps a reference to a part of another file, not cells"),
        _ if file.len() < REFERENCE_LEN && is_reference_name(path) => Some(REFERENCE),
        _ => None,
    }
}

/// Whether the path has the name of a reference: a file's name, a dot, a region's name.
fn is_reference_name(path: &Path) -> bool {
    let is_name = |name: &str| name.len() == 32 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let parts = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
    parts.is_some_and(|(file, region)| is_name(file.split('_').next().unwrap_or(file)) && is_name(region))
}
