//! What a path leads to: the kinds of things that the commands know.

use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::probe;
use crate::regions;
use clap::ValueEnum;
use hregion::io::{FileReader, LocalFile};
use hregion::{HFile, HFileOptions};
use std::path::Path;
use std::sync::Arc;

/// Kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A file of cells
    Hfile,
    /// A directory of HFiles
    Family,
    /// A directory of families
    Region,
    /// A directory of regions
    Table,
    /// A frozen list of files
    Snapshot,
    /// A write-ahead log
    Wal,
}

const DIRECTORY: &str = "a directory, expected a file: `scan`, `get`, `count` and `stats` read those of families, regions and tables";
const WAL: &str = "a write-ahead log: reading logs is not built yet";

/// Opens an HFile.
pub(crate) fn open(
    path: &Path,
    kind: Option<Kind>,
    options: &HFileOptions,
    out: &Output,
) -> Result<HFile, Failure> {
    let file = options.open_reader(reader(path, kind, out)?)?;
    for warning in file.warnings() {
        out.warn(&Fault::from(warning).with_hint(None).line());
    }
    Ok(file)
}

/// What a path leads to that is an HFile or a directory of HFiles.
pub(crate) fn kind_of(path: &Path, kind: Option<Kind>) -> Result<Kind, Fault> {
    check_local(path)?;
    match kind {
        None if !probe::is_dir(path)? => Ok(Kind::Hfile),
        kind => regions::kind_of(path, kind),
    }
}

/// The bytes of an HFile. Anything else is refused by its name, as what it is or as what it is said to be.
pub(crate) fn reader(path: &Path, kind: Option<Kind>, out: &Output) -> Result<Arc<dyn FileReader>, Failure> {
    match kind {
        None | Some(Kind::Hfile) => {}
        Some(Kind::Wal) => return Err(Fault::unsupported(path, WAL).into()),
        Some(Kind::Family | Kind::Region | Kind::Table | Kind::Snapshot) => {
            return Err(Fault::unsupported(path, DIRECTORY).into());
        }
    }
    check_local(path)?;
    let meta = std::fs::metadata(path).map_err(|error| Fault::io("open", path, &error))?;
    if meta.is_dir() {
        return Err(Fault::unsupported(path, DIRECTORY).into());
    }
    if !meta.is_file() {
        // a pipe would not even open before somebody writes to it
        let message = "not a regular file: HFiles are read from their end, which a pipe does not have";
        return Err(Fault::unsupported(path, message).into());
    }
    let file = LocalFile::open(path).map_err(|error| Fault::io("open", path, &error))?;
    if kind.is_none()
        && let Some(what) = other_kind(path, &file)
    {
        return Err(Fault::unsupported(path, what).into());
    }
    Ok(out.progress().watch(file))
}

/// Fails, by its name, if a file is none of cells.
pub(crate) fn check_hfile(path: &Path, out: &Output) -> Result<(), Failure> {
    reader(path, None, out).map(drop)
}

/// Fails if a path leads to an object store.
pub(crate) fn check_local(path: &Path) -> Result<(), Fault> {
    match path.to_str().and_then(|path| path.split_once("://")) {
        None => Ok(()),
        Some((scheme, _)) => {
            Err(Fault::unsupported(path, format!("{scheme}: object stores are not built in")))
        }
    }
}

const REFERENCE: &str = "a reference to a part of another file, not cells";
/// Longer than any reference, shorter than any HFile.
const REFERENCE_LEN: u64 = 200;

/// What a file is, if it begins as none of the blocks of an HFile does but as another kind of file.
fn other_kind(path: &Path, file: &LocalFile) -> Option<&'static str> {
    let mut magic = [0; 4];
    file.read_exact_at(&mut magic, 0).ok()?;
    match &magic {
        b"PWAL" => Some(WAL),
        b"SEQ\x06" => {
            Some("a Hadoop sequence file, perhaps a log of HBase 0.94: reading logs is not built yet")
        }
        b"PBUF" => Some("a protobuf message, perhaps a reference to a part of another file, not cells"),
        _ if file.len() < REFERENCE_LEN && is_reference_name(path) => Some(REFERENCE),
        _ => None,
    }
}

/// Whether it is named as references are: a file's name, a dot, a region's name.
fn is_reference_name(path: &Path) -> bool {
    let is_name = |name: &str| name.len() == 32 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let parts = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
    parts.is_some_and(|(file, region)| is_name(file.split('_').next().unwrap_or(file)) && is_name(region))
}
