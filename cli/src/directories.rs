//! The directories of HBase: their kinds and contents.

use crate::failure::{CommandError, hint_if_missing};
use crate::logs::is_no_log;
use crate::probe;
use crate::store_files::begins_as_store_file_name;
use crate::target::{Kind, is_log};
use crate::vfs;
use hregion::{ErrorKind, Table};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const REGION_INFO: &str = ".regioninfo";
/// The suffix of a file next to a region's directory which records that the region was archived.
const EMPTIED: &str = ".emptied";

/// The start of the name of the file of a change of regions.
const CHANGE: &str = ".change.";
/// The size limit of the file of a change.
const CHANGE_BYTES: usize = 16 << 20;
const TABLE_DESCRIPTOR: &str = ".tabledesc";
/// The directories of logs, within the root.
pub(crate) const LOGS: &str = "WALs";
pub(crate) const OLD_LOGS: &str = "oldWALs";
/// The directory of logs within a region.
pub(crate) const RECOVERED_EDITS: &str = "recovered.edits";
/// The directory of HFiles within a family that HBase has written instead of recovered edits.
pub(crate) const RECOVERED_HFILES: &str = "recovered.hfiles";
/// The directory of archived files, within the root.
pub(crate) const ARCHIVE: &str = "archive";
/// The directory of the tables, within the root.
pub(crate) const DATA: &str = "data";
/// The directory of the MOB files, within the root.
pub(crate) const MOB: &str = "mobdir";
const SNAPSHOT_INFO: &str = ".snapshotinfo";
/// The directory of the snapshots, within the root.
pub(crate) const SNAPSHOT_DIR: &str = ".hbase-snapshot";
/// The region of the catalog, for which older releases wrote no `.regioninfo`.
const META: &str = "1588230740";

/// The number of hexadecimal digits of a region's name.
const NAME_LEN: usize = 32;

/// Returns the kind of a directory.
pub(crate) fn kind_of(dir: &Path, kind: Option<Kind>) -> Result<Kind, CommandError> {
    vfs::check_readable(dir)?;
    if let Some(kind) = kind {
        return Ok(kind);
    }
    if probe::is_file(dir)? {
        return Err(CommandError::unsupported(dir, "a file, expected the directory of a region or a table")
            .with_hint(Some("`hregion cells` prints the cells of a file")));
    }
    if !vfs::is_url(dir) && !probe::exists(dir)? {
        return Err(CommandError::no_such_dir(dir).with_hint(hint_if_missing(dir)));
    }
    if is_region(dir)? {
        return Ok(Kind::Region);
    }
    if is_snapshot(dir)? {
        return Ok(Kind::Snapshot);
    }
    if has_table_files(dir)? {
        return Ok(Kind::Table);
    }
    if probe::is_dir(&dir.join(DATA))? {
        return Ok(Kind::Root);
    }
    let tables = each_table(dir);
    if tables.iter().any(Result::is_ok) {
        return Ok(Kind::Namespace);
    }
    if let Some(fault) = tables.into_iter().find_map(Result::err) {
        return Err(fault);
    }
    let is_in_region = family_of_region(dir)?.is_some_and(|(_, name)| name != RECOVERED_EDITS);
    if is_in_region || is_family_directory(dir)? {
        return Ok(Kind::Family);
    }
    if is_log_directory(dir)? {
        return Ok(Kind::Wal);
    }
    let hint = match is_aside(dir) {
        // as an export leaves it
        _ if matches!(probe::is_dir(&dir.join(SNAPSHOT_DIR)), Ok(true)) => {
            "it has no tables: name a snapshot, ROOT/.hbase-snapshot/NAME, which `hregion verify` checks"
        }
        Ok(true) => "`hregion verify` checks all files below, `hregion wal` prints logs",
        _ => "a table is at ROOT/data/NAMESPACE/TABLE; `hregion scan --as family` reads HFiles of any names",
    };
    Err(CommandError::unsupported(dir, "neither a region nor a table: no .regioninfo, no .tabledesc in it")
        .with_hint(Some(hint)))
}

/// Returns the hint for a target that is not a region or a table.
pub(crate) fn hint_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Root | Kind::Namespace => Some("name one of its tables: ROOT/data/NAMESPACE/TABLE"),
        Kind::Family => Some("name the directory of its table"),
        Kind::Wal => Some("`hregion wal` prints its entries"),
        Kind::Hfile | Kind::Region | Kind::Table | Kind::Snapshot => None,
    }
}

/// Fails if a file or a directory cannot be of the kind that was given for it: nothing would be found there.
/// The command reports unreadable paths.
pub(crate) fn check_as(path: &Path, kind: Kind) -> Result<(), CommandError> {
    match why_not(path, kind) {
        Ok(Some(why)) => {
            Err(CommandError::invalid_file(path, why).with_hint(Some("omit --as to detect the kind")))
        }
        _ => Ok(()),
    }
}

/// Returns the reason that a path cannot be of a kind; `None` if it can, or does not exist.
fn why_not(path: &Path, kind: Kind) -> Result<Option<&'static str>, CommandError> {
    if !probe::is_dir(path)? {
        // A web server may respond with a page for a directory.
        let may_be = matches!(kind, Kind::Hfile | Kind::Wal) || vfs::is_web(path);
        return Ok((!may_be && probe::is_file(path)?).then_some("a file, not a directory of that kind"));
    }
    let (can_be, why) = match kind {
        // of logs
        Kind::Wal => (true, ""),
        Kind::Hfile => (false, "not an HFile: it is a directory"),
        Kind::Family => {
            let has_dirs = !entries_of(path, |path| Ok(is_shown(path) && probe::is_dir(path)?))?.is_empty();
            match has_dirs {
                true => (false, "not a family: it has directories"),
                false => (!is_snapshot(path)?, "not a family: it is a snapshot"),
            }
        }
        Kind::Region => (is_region(path)?, "not a region: it has no .regioninfo"),
        Kind::Table => {
            let can_be =
                probe::is_dir(&path.join(TABLE_DESCRIPTOR))? || !is_region(path)? && has_regions(path)?;
            (can_be, "not a table: it has neither a descriptor nor regions")
        }
        Kind::Namespace => {
            let can_be =
                !table_dirs(path)?.is_empty() || entries_of(path, |path| Ok(is_shown(path)))?.is_empty();
            (can_be, "not a namespace: none of its directories is a table")
        }
        Kind::Root => (probe::is_dir(&path.join(DATA))?, "not a root: it has no directory data"),
        Kind::Snapshot => (is_snapshot(path)?, "not a snapshot: it has no .snapshotinfo"),
    };
    Ok((!can_be).then_some(why))
}

/// Whether an entry of a directory is not hidden.
fn is_shown(path: &Path) -> bool {
    !matches!(path.file_name().unwrap_or_default().as_encoded_bytes().first(), Some(b'.' | b'_'))
}

/// Whether a directory is a region, possibly without `.regioninfo`, as in the archive. Families and tables
/// may have names that consist of the digits of one.
fn has_regions(table: &Path) -> Result<bool, CommandError> {
    for dir in region_dirs(table)? {
        if dir.file_name().and_then(|name| name.to_str()).is_some_and(is_region_name) || is_region(&dir)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a directory is a snapshot.
pub(crate) fn is_snapshot(dir: &Path) -> Result<bool, CommandError> {
    probe::is_file(&dir.join(SNAPSHOT_INFO))
}

/// Whether a directory is a region.
pub(crate) fn is_region(dir: &Path) -> Result<bool, CommandError> {
    Ok(dir.file_name().is_some_and(|name| name == META) || probe::is_file(&dir.join(REGION_INFO))?)
}

/// Whether a directory is a table: it has a descriptor, or a region if its descriptor is lost, and was not
/// deleted.
pub(crate) fn is_table(dir: &Path) -> Result<bool, CommandError> {
    Ok(has_table_files(dir)? && !is_absent(dir)?)
}

/// Whether the table of a directory was deleted, or not created completely, in a storage without renames,
/// where a part of it stays.
pub(crate) fn is_absent(dir: &Path) -> Result<bool, CommandError> {
    match Table::is_absent(dir, &*vfs::storage()) {
        // For a table with a damaged file, only a command that opens it fails.
        Err(error) if error.kind() != ErrorKind::Io => Ok(false),
        absent => Ok(absent?),
    }
}

/// Returns the directory of the region that a directory is in, and the name of the family that it then has;
/// `None` for a directory that is in no region.
pub(crate) fn family_of_region(dir: &Path) -> Result<Option<(PathBuf, OsString)>, CommandError> {
    let by_names = |dir: &Path| -> Result<_, CommandError> {
        let Some((parent, name)) = dir.parent().zip(dir.file_name()) else { return Ok(None) };
        let region = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        Ok(is_region(region)?.then(|| (region.to_owned(), name.to_owned())))
    };
    let found = by_names(dir)?;
    if found.is_some() || vfs::is_url(dir) {
        return Ok(found);
    }
    // The path may be `.`, or a symbolic link. The command reports one that does not exist.
    vfs::full(dir).map_or(Ok(None), |full| by_names(&full))
}

/// Whether a directory has a descriptor of a table, or a region.
fn has_table_files(dir: &Path) -> Result<bool, CommandError> {
    if probe::is_dir(&dir.join(TABLE_DESCRIPTOR))? {
        return Ok(true);
    }
    // A region is enough, whatever cannot be examined next to it.
    let mut fault = None;
    for inner in each_region_dir(dir)? {
        match inner.and_then(|inner| is_region(&inner)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(false), Err)
}

/// Whether a name is one that HBase gives to a region's directory.
pub(crate) fn is_region_name(name: &str) -> bool {
    name.len() == NAME_LEN && has_digits_of_region(name.as_bytes())
}

/// Whether a name consists of the digits that the names of regions have.
pub(crate) fn has_digits_of_region(name: &[u8]) -> bool {
    name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a directory contains at least one file, and only files named as HBase names them: a family without
/// a region, as for a bulk load.
fn is_family_directory(dir: &Path) -> Result<bool, CommandError> {
    let fault = |error| CommandError::io("list", dir, &error);
    let mut found = false;
    for (path, _) in vfs::list(dir).map_err(fault)? {
        if !is_shown(&path) {
            continue;
        }
        if !begins_as_store_file_name(&path) || !probe::is_file(&path)? {
            return Ok(false);
        }
        found = true;
    }
    Ok(found)
}

/// Whether a directory has logs, by its location, or because its first file begins like a log.
fn is_log_directory(dir: &Path) -> Result<bool, CommandError> {
    // The path may be `.`, or end with it.
    let full = vfs::full(dir).map_err(|error| CommandError::io("open", dir, &error))?;
    let is_of_server = full.parent().is_some_and(|parent| parent.ends_with(LOGS));
    if is_of_server || [LOGS, OLD_LOGS, RECOVERED_EDITS].iter().any(|name| full.ends_with(name)) {
        return Ok(true);
    }
    for (path, _) in vfs::list(dir).map_err(|error| CommandError::io("list", dir, &error))? {
        let is_other = path.file_name().is_some_and(is_no_log);
        if is_shown(&path) && !is_other && probe::is_file(&path)? {
            return Ok(is_log(&path));
        }
    }
    Ok(false)
}

/// Returns the directory of the MOB files (IS_MOB) of a table, or of all tables of a namespace or of `data`,
/// by that of the others: `ROOT/mobdir/data/…` for `ROOT/data/…`. `None` if there is none.
pub(crate) fn mob_dir(dir: &Path) -> Result<Option<PathBuf>, CommandError> {
    let full = vfs::full(dir).map_err(|error| CommandError::io("open", dir, &error))?;
    for path in [dir, &full] {
        // `data`, a namespace in it, or a table in that
        for data in path.ancestors().take(3).filter(|data| data.ends_with(DATA)) {
            let root = data.parent().unwrap_or_else(|| Path::new(""));
            let Ok(below) = path.strip_prefix(root) else { continue };
            let mob = root.join(MOB).join(below);
            if probe::is_dir(&mob)? {
                return Ok(Some(mob));
            }
        }
    }
    Ok(None)
}

/// Returns the directory to which some releases of HBase write recovered edits of a region by mistake:
/// `ROOT/<namespace>/<table>/<region>/recovered.edits`. `None` for a region under no root. The directory need
/// not exist.
pub(crate) fn misplaced_edits(region: &Path) -> Result<Option<PathBuf>, CommandError> {
    let full = vfs::full(region).map_err(|error| CommandError::io("open", region, &error))?;
    let data = full.ancestors().nth(3).filter(|data| data.ends_with(DATA));
    let place = data.and_then(|data| Some(data.parent()?.join(full.strip_prefix(data).ok()?)));
    Ok(place.map(|place| place.join(RECOVERED_EDITS)))
}

/// Whether a directory has files that belong to no store: logs, recovered edits, lists, descriptors, and
/// files in the archive and MOB files, whose regions have no `.regioninfo`.
pub(crate) fn is_aside(dir: &Path) -> Result<bool, CommandError> {
    const ASIDE: [&str; 7] = [RECOVERED_EDITS, ".filelist", TABLE_DESCRIPTOR, LOGS, OLD_LOGS, ARCHIVE, MOB];
    // The path may be `.`, or end with it.
    let path = vfs::full(dir).map_err(|error| CommandError::io("open", dir, &error))?;
    Ok(path.components().any(|part| ASIDE.iter().any(|name| part.as_os_str() == *name)))
}

/// Adds the files below a directory, in the order of their names. Symbolic links to directories are not
/// followed: they may be circular. Returns whether a directory was skipped because it had disappeared when it
/// was listed.
pub(crate) fn files_below(dir: &Path, files: &mut Vec<PathBuf>) -> Result<bool, CommandError> {
    let fault = |error| CommandError::io("list", dir, &error);
    let mut is_gone = false;
    for (path, is_link) in vfs::list(dir).map_err(fault)? {
        match probe::is_dir(&path)? {
            true if is_link => {}
            true => match files_below(&path, files) {
                // Another process has renamed or removed it since it was listed.
                Err(_) if !probe::exists(&path)? => is_gone = true,
                listed => is_gone |= listed?,
            },
            false => files.push(path),
        }
    }
    Ok(is_gone)
}

/// Returns the directories named like regions (HBase: `FSUtils.RegionDirFilter`), except remains of archived
/// regions in an object store, which the next compaction removes, and except directories without a region
/// info that are not regions according to the file of a change.
fn region_dirs(table: &Path) -> Result<Vec<PathBuf>, CommandError> {
    each_region_dir(table)?.into_iter().collect()
}

/// Like [`region_dirs`], with an error for each directory that cannot be examined.
pub(crate) fn each_region_dir(table: &Path) -> Result<Vec<Result<PathBuf, CommandError>>, CommandError> {
    let fault = |error| CommandError::io("list", table, &error);
    let paths: Vec<PathBuf> = vfs::list(table).map_err(fault)?.into_iter().map(|(path, _)| path).collect();
    let is_mark = |name: &&OsStr| name.as_encoded_bytes().ends_with(EMPTIED.as_bytes());
    let is_change = |name: &OsStr| name.as_encoded_bytes().starts_with(CHANGE.as_bytes());
    let mut hidden = BTreeSet::new();
    for path in paths.iter().filter(|path| path.file_name().is_some_and(is_change)) {
        hide_regions(path, &mut hidden)?;
    }
    let marks: Vec<&OsStr> = paths.iter().filter_map(|path| path.file_name()).filter(is_mark).collect();
    let is_wanted = |path: &Path| -> Result<bool, CommandError> {
        let name = path.file_name().unwrap_or_default();
        if !has_digits_of_region(name.as_encoded_bytes()) || !probe::is_dir(path)? {
            return Ok(false);
        }
        let is_marked =
            name.to_str().is_some_and(|name| marks.contains(&OsStr::new(&format!(".{name}{EMPTIED}"))));
        let is_hidden = name.to_str().is_some_and(|name| hidden.contains(name));
        Ok(!(is_marked || is_hidden) || is_region(path)?)
    };
    Ok(paths.iter().filter_map(|path| examined(path.clone(), is_wanted)).collect())
}

/// Adds the names of the new regions of a change, according to its file, unless it was made; in that case,
/// the regions that a deletion or truncation has removed.
fn hide_regions(change: &Path, hidden: &mut BTreeSet<String>) -> Result<(), CommandError> {
    let read = || {
        let file = vfs::open(change)?;
        // One with more is damaged.
        let len = usize::try_from(file.len()).ok().filter(|len| *len <= CHANGE_BYTES).unwrap_or(0);
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0).map(|()| bytes)
    };
    let bytes = match read() {
        // It has been finished in the meantime.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|error| CommandError::io("read", change, &error))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let has_line = |wanted: &str| text.lines().any(|line| line == wanted);
    let prefix = match has_line("made") {
        false => "child ",
        true if has_line("deletion") || has_line("truncation") => "parent ",
        true => return Ok(()),
    };
    hidden.extend(text.lines().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned));
    Ok(())
}

/// Returns the directories of the tables of a root, a namespace or a table, by path.
pub(crate) fn tables_below(dir: &Path, kind: Kind) -> Result<Vec<PathBuf>, CommandError> {
    each_table_below(dir, kind).into_iter().collect()
}

/// Like [`tables_below`], with an error for each directory that cannot be examined.
pub(crate) fn each_table_below(dir: &Path, kind: Kind) -> Vec<Result<PathBuf, CommandError>> {
    match kind {
        Kind::Namespace => each_table(dir),
        Kind::Root => {
            let tables = |namespace: Result<PathBuf, CommandError>| match namespace {
                Ok(namespace) => each_table(&namespace),
                Err(fault) => vec![Err(fault)],
            };
            each_entry(&dir.join(DATA), probe::is_dir).into_iter().flat_map(tables).collect()
        }
        _ => vec![Ok(dir.to_owned())],
    }
}

/// Returns the directories of tables in a namespace's, including those without a descriptor.
fn table_dirs(namespace: &Path) -> Result<Vec<PathBuf>, CommandError> {
    each_table(namespace).into_iter().collect()
}

/// Like [`table_dirs`], with an error for each directory that cannot be examined.
fn each_table(namespace: &Path) -> Vec<Result<PathBuf, CommandError>> {
    each_entry(namespace, |path| {
        let is_hidden = path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".");
        Ok(!is_hidden && probe::is_dir(path)? && is_table(path)?)
    })
}

/// Returns the entries of a directory that are wanted, sorted.
pub(crate) fn entries_of(
    dir: &Path,
    wanted: impl Fn(&Path) -> Result<bool, CommandError>,
) -> Result<Vec<PathBuf>, CommandError> {
    each_entry(dir, wanted).into_iter().collect()
}

/// Like [`entries_of`], with an error for each entry that cannot be examined, or one error if they cannot be
/// listed.
pub(crate) fn each_entry(
    dir: &Path,
    wanted: impl Fn(&Path) -> Result<bool, CommandError>,
) -> Vec<Result<PathBuf, CommandError>> {
    let entries = match vfs::list(dir) {
        Ok(entries) => entries,
        Err(error) => return vec![Err(CommandError::io("list", dir, &error))],
    };
    entries.into_iter().filter_map(|(path, _)| examined(path, &wanted)).collect()
}

/// Returns a path if it is wanted, or the error if it cannot be examined.
fn examined(
    path: PathBuf,
    wanted: impl Fn(&Path) -> Result<bool, CommandError>,
) -> Option<Result<PathBuf, CommandError>> {
    match wanted(&path) {
        Ok(is_wanted) => is_wanted.then_some(Ok(path)),
        Err(fault) => Some(Err(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_file_of_a_change_hides_directories_without_a_region_info() {
        let name = |n: u32| format!("{n:032x}");
        let changes = [
            (format!("parent {}\nchild {}\n", name(1), name(2)), vec![1, 3]),
            (format!("parent {}\nchild {}\nundone\n", name(1), name(2)), vec![1, 3]),
            (format!("parent {}\nchild {}\nmade\n", name(1), name(2)), vec![1, 2, 3]),
            (format!("deletion\nname {}\nparent {}\n", name(9), name(1)), vec![1, 2, 3]),
            (format!("deletion\nname {}\nparent {}\nmade\n", name(9), name(1)), vec![2, 3]),
            (format!("truncation\nparent {}\nchild {}\nmade\n", name(1), name(2)), vec![2, 3]),
            (format!("alteration\nname {}\nparent {}\nmade\n", name(9), name(1)), vec![1, 2, 3]),
        ];
        for (text, seen) in changes {
            let dir = tempfile::tempdir().unwrap();
            (1..=3).for_each(|n| fs::create_dir(dir.path().join(name(n))).unwrap());
            fs::write(dir.path().join(format!("{CHANGE}{}", name(9))), &text).unwrap();
            let seen: Vec<PathBuf> = seen.into_iter().map(|n| dir.path().join(name(n))).collect();
            assert_eq!(region_dirs(dir.path()).unwrap(), seen, "{text}");
            // A directory with a region info is always returned.
            fs::write(dir.path().join(name(1)).join(REGION_INFO), b"info").unwrap();
            fs::write(dir.path().join(name(2)).join(REGION_INFO), b"info").unwrap();
            assert_eq!(region_dirs(dir.path()).unwrap().len(), 3, "{text}");
        }
    }
}
