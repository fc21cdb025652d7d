//! Targets of the program: what they are, and how their columns are mapped.

use crate::{Exit, Failure};
use hregion::{HFile, HFileOptions, Region, RegionOptions, RowRef, Scan, Table};
use hregion_arrow::{Infer, Invalid, Layout, Mapping};
use hregion_datafusion::HregionTable;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

const SNAPSHOT_INFO: &str = ".snapshotinfo";
const REGION_INFO: &str = ".regioninfo";

/// Files that are read whole are no larger.
const MAX_SMALL: u64 = 1 << 20;

/// What a target is.
enum Opened {
    Table(Table),
    Region(Region),
}

/// Opens a target as a table of SQL.
pub(crate) fn open(
    target: &str,
    master_key: Option<&[u8]>,
    map: Option<&str>,
    infer: Option<usize>,
    invalid_as_null: bool,
) -> Result<HregionTable, Failure> {
    let (mut options, mut files) = (Region::options(), HFile::options());
    if let Some(key) = master_key {
        options = options.master_key(key.to_vec());
        files = files.master_key(key.to_vec());
    }
    let opened = open_as(target, options)?;
    let mapping = match (map, infer) {
        (Some(path), _) => Some(Mapping::from_json(&read_small(Path::new(path))?)?),
        (None, Some(rows)) => Some(infer_from(&opened, rows)?),
        (None, None) => None,
    };
    let invalid = if invalid_as_null { Invalid::Null } else { Invalid::Error };
    let layout = match mapping {
        Some(mapping) if invalid_as_null => Layout::Columns(mapping.on_invalid(invalid)),
        Some(mapping) => Layout::Columns(mapping),
        None if invalid_as_null => return Err(Failure::usage("--invalid-as-null: no column has a type")),
        None => Layout::Cells,
    };
    Ok(with_files(opened, layout, files))
}

fn with_files(opened: Opened, layout: Layout, files: HFileOptions) -> HregionTable {
    match opened {
        Opened::Table(table) => HregionTable::new(table, layout).files(files),
        Opened::Region(region) => HregionTable::of_region(region, layout).files(files),
    }
}

fn open_as(target: &str, options: RegionOptions) -> Result<Opened, Failure> {
    if target.contains("://") {
        return Err(Failure::new(Exit::Unsupported, "remote files are not read by this program"));
    }
    let path = fs::canonicalize(target).map_err(|error| io_failure("open", Path::new(target), &error))?;
    if path.is_file() {
        return Ok(Opened::Region(options.open_files([&path])?));
    }
    if path.join(SNAPSHOT_INFO).is_file() {
        let root = path.parent().and_then(Path::parent);
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(root), Some(name)) = (root, name) else {
            return Err(Failure::usage(format!("{target}: a snapshot that is in no root directory")));
        };
        return Ok(Opened::Table(Table::open_snapshot_with(root, name, options)?));
    }
    if path.join(REGION_INFO).is_file() {
        return Ok(Opened::Region(options.open(&path)?));
    }
    Ok(Opened::Table(Table::open_dir(&path, options)?))
}

/// Proposes the types of columns from the first rows.
fn infer_from(opened: &Opened, rows: usize) -> Result<Mapping, Failure> {
    let (mut infer, scan) = (Infer::new(), Scan::new().limit(u64::try_from(rows.max(1)).unwrap_or(1)));
    let mut add = |row: RowRef<'_>| infer.add(row);
    match opened {
        Opened::Table(table) => {
            let mut rows = table.scan(scan)?;
            while let Some(row) = rows.next_row()? {
                add(row);
            }
        }
        Opened::Region(region) => {
            let mut rows = region.scan(scan)?;
            while let Some(row) = rows.next_row()? {
                add(row);
            }
        }
    }
    Ok(infer.mapping()?)
}

/// Returns the file of the map of each table.
pub(crate) fn maps<'a>(maps: &'a [String], names: &[&'a str]) -> Result<BTreeMap<&'a str, &'a str>, Failure> {
    let mut found = BTreeMap::new();
    for map in maps {
        // a name before the sign is that of a table, or else it is of the file's name
        let named = map.split_once('=').filter(|(name, _)| names.contains(name));
        match named {
            Some((name, file)) => {
                found.insert(name, file);
            }
            None => {
                for name in names {
                    found.entry(*name).or_insert(map.as_str());
                }
            }
        }
    }
    Ok(found)
}

/// Reads the master key, in hexadecimal digits.
pub(crate) fn master_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let text = read_small(path)?;
    let digits: Option<Vec<u32>> = text.trim().chars().map(|digit| digit.to_digit(16)).collect();
    let bytes = |digits: Vec<u32>| {
        let pairs = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit));
        pairs.map(u8::try_from).collect::<Result<Vec<u8>, _>>().ok()
    };
    let key = digits.filter(|digits| matches!(digits.len(), 32 | 48 | 64)).and_then(bytes);
    let wrong = || format!("{}: expected an AES key of 32, 48 or 64 hexadecimal digits", path.display());
    key.ok_or_else(|| Failure::usage(wrong()))
}

fn read_small(path: &Path) -> Result<String, Failure> {
    let len = fs::metadata(path).map_err(|error| io_failure("open", path, &error))?.len();
    if len > MAX_SMALL {
        return Err(Failure::usage(format!("{}: too large", path.display())));
    }
    fs::read_to_string(path).map_err(|error| io_failure("read", path, &error))
}

fn io_failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot {what} {}: {error}", path.display()))
}
