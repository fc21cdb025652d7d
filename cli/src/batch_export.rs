//! Exports to Parquet and Arrow, and of typed columns to CSV: one file per region, kept if it is complete
//! when the export is repeated.

mod check;
mod part_file;

pub(crate) use check::Manifest;
pub(crate) use part_file::PartFormat;

use crate::args::read_small;
use crate::export_dir::ExportDir;
use crate::export_manifest::{Exported, file_name};
use crate::failure::{CommandError, Failure};
use crate::file_sum::{FileSum, Summing, hex};
use crate::probe;
use crate::query_args::CellArgs;
use crate::vfs;
use hregion::{CellRef, Clock as _, Region, RegionInfo, RowRef, SystemClock};
use hregion_arrow::files::FileFormat;
use hregion_arrow::{BatchBuilder, BatchLimits, Column, Error, Invalid, Layout, Mapping, RowKey, ValueType};
use part_file::PartFile;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// Options for typed columns.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct BatchArgs {
    /// JSON file that maps the row key and columns to typed columns
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    mapping: Option<PathBuf>,

    /// Write null for values that are not of their type, and count them [default: fail]
    #[arg(long, help_heading = "Output")]
    invalid_as_null: bool,

    /// Approximate size of a Parquet row group, with suffix K, M or G [default: 64M]
    #[arg(long, value_name = "BYTES", value_parser = crate::args::parse_bytes, help_heading = "Output")]
    row_group_bytes: Option<usize>,
}

/// An export to files of record batches.
#[derive(Debug)]
pub(crate) struct BatchExport {
    format: PartFormat,
    layout: Layout,
    row_group_bytes: usize,
    /// The source and the options of the export: a file is kept if they are the same.
    request: Value,
    /// The cells that are read.
    pub(crate) cells: CellArgs,
}

/// The member with the time by which cells expire, of descriptions and of the manifest.
pub(crate) const NOW: &str = "now";

/// Takes the rows of a part.
type Take<'t> = &'t mut dyn FnMut(RowRef<'_>) -> Result<(), Failure>;

impl BatchArgs {
    /// Whether any of these arguments was given.
    pub(crate) fn is_given(&self) -> bool {
        self.mapping.is_some() || self.invalid_as_null || self.row_group_bytes.is_some()
    }

    /// Whether a mapping was given.
    pub(crate) fn has_mapping(&self) -> bool {
        self.mapping.is_some()
    }
}

/// Whether all columns have types.
pub(crate) fn are_typed(columns: &[String]) -> bool {
    columns.iter().all(|column| Column::parse(column).is_ok())
}

impl BatchExport {
    /// Reads the mapping. `source` and `range` select the exported rows.
    pub(crate) fn new(
        format: PartFormat,
        args: &BatchArgs,
        cells: &CellArgs,
        source: &str,
        range: &str,
    ) -> Result<Self, Failure> {
        if args.row_group_bytes.is_some() && !matches!(format, PartFormat::Batches(FileFormat::Parquet)) {
            return Err(CommandError::usage("--row-group-bytes: only Parquet has row groups").into());
        }
        let typed = cells.typed_columns();
        let mapping = match (&args.mapping, typed) {
            (Some(_), _) if cells.has_columns() => {
                return Err(CommandError::usage("--columns: not allowed with --mapping").into());
            }
            (Some(path), _) => {
                let wrong = |message: String| CommandError::invalid_file(path, message);
                let text = String::from_utf8(read_small(path)?).map_err(|error| wrong(error.to_string()))?;
                Some(Mapping::from_json(&text).map_err(|error| wrong(error.to_string()))?)
            }
            (None, Some(columns)) => {
                let columns = columns.iter().map(|column| Column::parse(column)).collect::<Result<_, _>>();
                let wrong = |error: Error| CommandError::usage(format!("--columns: {error}"));
                let mapping =
                    columns.and_then(|columns| Mapping::new(RowKey::whole(ValueType::Binary), columns));
                Some(mapping.map_err(wrong)?)
            }
            (None, None) => None,
        };
        let (mut cells, mut mapped) = (cells.clone(), Value::Null);
        let layout = match mapping {
            None if args.invalid_as_null => {
                return Err(CommandError::usage("--invalid-as-null: needs typed columns").into());
            }
            None => Layout::Cells,
            Some(_) if cells.is_raw() => {
                return Err(CommandError::usage("--raw: not allowed with typed columns").into());
            }
            Some(mut mapping) => {
                if args.invalid_as_null {
                    mapping = mapping.on_invalid(Invalid::Null);
                }
                let columns = mapping.columns().iter();
                let columns = columns.map(|column| (column.family().to_vec(), column.qualifier().to_vec()));
                cells = cells.of_columns(columns, mapping.has_versions());
                mapped = serde_json::from_str(&mapping.to_json()).unwrap_or(Value::Null);
                Layout::Columns(mapping)
            }
        };
        let row_group_bytes = args.row_group_bytes.unwrap_or(hregion_arrow::files::ROW_GROUP_BYTES);
        // The time is not part of the request: it may be from an earlier run.
        let selection = format!("{range} {:?}", cells.at(None));
        let request = json!({
            "source": source,
            "format": format.name(),
            "mapping": mapped,
            "row_group_bytes": row_group_bytes,
            "selection": selection,
        });
        Ok(Self { format, layout, row_group_bytes, request, cells })
    }

    /// Marks the export as read without checksums: another export does not keep its files.
    pub(crate) fn without_checksums(mut self) -> Self {
        self.request["checksums"] = false.into();
        self
    }

    /// Sets the time by which cells expire: that of the export in `dir`, which is continued or compared, or
    /// the given one, or else now. Fails if the given one differs.
    pub(crate) fn at_time_of(mut self, dir: &Path, earlier: Option<i64>) -> Result<Self, CommandError> {
        if let (Some(earlier), Some(given)) = (earlier, self.cells.now())
            && earlier != given
        {
            let message = format!("--now {given}: the export has cells as of {earlier}");
            let hint = Some("omit --now to use the same time");
            return Err(CommandError::invalid_file(dir, message).with_hint(hint));
        }
        let now = earlier.or_else(|| self.cells.now()).unwrap_or_else(|| SystemClock.now());
        self.cells = self.cells.at(Some(now));
        Ok(self)
    }

    /// Returns the time by which cells expire, if it is known here and not at the servers.
    pub(crate) fn now(&self) -> Option<i64> {
        self.cells.now()
    }

    /// Returns the time of an interrupted export of the same request that has complete files in `dir`.
    pub(crate) fn time_of_partial(&self, dir: &Path) -> Result<Option<i64>, Failure> {
        if !probe::is_dir(dir)? {
            return Ok(None);
        }
        let mut first: Option<i64> = None;
        for (path, _) in vfs::list(dir).map_err(|error| CommandError::io("list", dir, &error))? {
            if !path.to_string_lossy().ends_with(&format!(".{}", self.format.name())) {
                continue;
            }
            let description = part_file::description(&path)?.unwrap_or_default();
            if description["request"] == self.request
                && let Some(time) = description[NOW].as_i64()
            {
                first = Some(first.map_or(time, |first| first.min(time)));
            }
        }
        Ok(first)
    }

    /// Returns the source and the options of the export.
    pub(crate) fn request(&self) -> &Value {
        &self.request
    }

    fn name(&self, info: Option<&RegionInfo>) -> String {
        file_name(info, self.format.name())
    }

    fn builder(&self) -> Result<BatchBuilder, Error> {
        BatchBuilder::new(self.layout.clone(), None, BatchLimits::default())
    }

    /// Writes the rows of a region, or of files without one, to a file in `dir`, unless it exists.
    pub(crate) fn export(
        &self,
        info: Option<&RegionInfo>,
        region: Option<&Region>,
        dir: &ExportDir,
        scan: impl FnOnce(Take<'_>) -> Result<(), Failure>,
    ) -> Result<Exported, Failure> {
        let own = self.name(info);
        let state = region.map(state_of).transpose()?.flatten();
        for name in dir.names_of(&own) {
            let path = dir.path().join(&name);
            let Some(kept) = self.kept(&path, state.as_deref())? else { continue };
            let sum = sum_of(&path, |_| Ok(()));
            let sum = sum.map_err(|error| CommandError::io("read", &path, &error))?;
            if kept["sha256"].as_str() == sum.sha256.as_deref() {
                dir.add(&name, &sum)?;
                let count = |count: &str| kept.get(count).and_then(Value::as_u64).unwrap_or(0);
                let counts = ["rows", "cells"].map(count);
                return Ok(Exported::describe(&name, info, counts, &sum, contents_of(&kept)));
            }
        }
        let name = dir.name_new(own);
        let path = dir.path().join(&name);
        let mut builder = self.builder().map_err(|error| fault(&path, error))?;
        // an existing file is from another export, or damaged
        let mut file = PartFile::create(&path, self.format, &builder.schema(), self.row_group_bytes)?;
        let mut sum = CellSum::default();
        let write = |builder: &mut BatchBuilder, file: &mut PartFile| {
            while let Some(batch) = builder.next_batch() {
                file.write(&path, &batch)?;
            }
            Ok::<_, Failure>(())
        };
        scan(&mut |row| {
            sum.add(row);
            builder.push(row).map_err(|error| fault(&path, error))?;
            write(&mut builder, &mut file)
        })?;
        builder.flush().map_err(|error| fault(&path, error))?;
        write(&mut builder, &mut file)?;
        let (counts, contents) = sum.finish();
        let mut description = json!({
            "request": self.request,
            "state": state,
            "rows": counts[0],
            "cells": counts[1],
            "contents": contents,
            "invalid": builder.invalid(),
        });
        let sum = file.finish(&path, &description.to_string())?;
        dir.add(&name, &sum)?;
        let file = Exported::describe(&name, info, counts, &sum, contents_of(&description));
        // Not in the file itself, which is the same whenever it was exported.
        description[NOW] = self.cells.now().into();
        part_file::describe(&path, description, &sum)?;
        Ok(file)
    }

    /// Returns the description of a file that is complete, of the same request, time and state.
    fn kept(&self, path: &Path, state: Option<&str>) -> Result<Option<Value>, Failure> {
        let description = part_file::description(path)?;
        Ok(description.filter(|description| {
            description["request"] == self.request
                && description[NOW].as_i64() == self.cells.now()
                && description["state"].as_str() == state
                && state.is_some()
        }))
    }
}

/// The number of bytes of a file read at once.
const BUFFER: usize = 64 << 10;

/// Reads a file, and passes its bytes on to `take`.
fn sum_of(path: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<FileSum> {
    let (file, mut buffer) = (vfs::open(path)?, vec![0; BUFFER]);
    let mut sum = Summing::new(true);
    while sum.bytes < file.len() {
        let left = usize::try_from(file.len() - sum.bytes).unwrap_or(BUFFER);
        let part = buffer.get_mut(..left.min(BUFFER)).unwrap_or_default();
        file.read_exact_at(part, sum.bytes)?;
        take(part)?;
        sum.add(part);
    }
    Ok(sum.sum())
}

/// The members of the manifest that only these formats have.
fn contents_of(description: &Value) -> Map<String, Value> {
    ["contents", "invalid"].into_iter().map(|name| (name.to_owned(), description[name].clone())).collect()
}

/// The number of bytes read at the end of a file: its trailer and, before it, the time when it was written.
const END: u64 = 64 << 10;

/// Returns the identity of the region's state when it was read: the settings of its families, and its files
/// by their full paths, lengths and ends, so that a rewritten file counts as another one. `None` if cells are
/// not flushed, because their number and size do not identify them.
fn state_of(region: &Region) -> Result<Option<String>, CommandError> {
    if region.memstore_size() > 0 {
        return Ok(None);
    }
    let mut sum = Sha256::new();
    let mut add = |bytes: &[u8]| {
        sum.update((bytes.len() as u64).to_be_bytes());
        sum.update(bytes);
    };
    for family in region.families() {
        add(format!("{family:?}").as_bytes());
        let mut paths = region.hfile_paths(family.name()).unwrap_or_default();
        paths.sort();
        for path in paths {
            match end_of(&path) {
                Ok((full, len, end)) => {
                    add(full.as_os_str().as_encoded_bytes());
                    add(&len.to_be_bytes());
                    add(&end);
                }
                // it can still be read, because it is open
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    add(b"moved since");
                    add(path.as_os_str().as_encoded_bytes());
                }
                Err(error) => return Err(CommandError::io("read", &path, &error)),
            }
        }
    }
    Ok(Some(hex(sum.finalize())))
}

/// Returns the full path of a file, its length, and its last bytes.
fn end_of(path: &Path) -> io::Result<(PathBuf, u64, Vec<u8>)> {
    let file = vfs::open(path)?;
    let len = file.len();
    let at = len.saturating_sub(END);
    let mut end = vec![0; usize::try_from(len - at).unwrap_or_default()];
    file.read_exact_at(&mut end, at)?;
    Ok((vfs::full(path)?, len, end))
}

/// Counts rows and cells, and sums the contents of cells.
#[derive(Debug, Default)]
struct CellSum {
    rows: u64,
    cells: u64,
    sum: Sha256,
    /// Bytes to be added to the sum, which takes longer for many short parts than for a long one.
    pending: Vec<u8>,
}

/// The number of pending bytes at which they are added to a sum.
const PENDING: usize = 16 << 10;

impl CellSum {
    /// Adds a row: its key, which the cells do not repeat, and their number.
    fn add(&mut self, row: RowRef<'_>) {
        self.rows += 1;
        self.add_len(row.key().len());
        self.add_len(row.len());
        self.add_bytes(row.key());
        row.cells().for_each(|cell| self.add_cell(&cell));
    }

    /// Adds the value of a cell, and its key after the row: the length of the family, the family, the
    /// qualifier, the timestamp and the type.
    fn add_cell(&mut self, cell: &CellRef<'_>) {
        self.cells += 1;
        // the row is after its length, of two bytes
        let key = cell.key().as_bytes().get(2 + cell.row().len()..).unwrap_or_default();
        self.add_len(key.len());
        self.add_len(cell.value().len());
        self.add_bytes(key);
        self.add_bytes(cell.value());
    }

    /// Adds a length. Those of HBase have 31 bits.
    fn add_len(&mut self, len: usize) {
        self.pending.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }

    /// Adds bytes; many at once are not copied.
    fn add_bytes(&mut self, bytes: &[u8]) {
        if self.pending.len() + bytes.len() < PENDING {
            return self.pending.extend_from_slice(bytes);
        }
        self.sum.update(&self.pending);
        self.sum.update(bytes);
        self.pending.clear();
    }

    /// Returns the numbers of rows and cells, and the SHA-256 of the cells.
    fn finish(mut self) -> ([u64; 2], String) {
        self.sum.update(&self.pending);
        ([self.rows, self.cells], hex(self.sum.finalize()))
    }
}

/// Converts an error about rows or values.
fn fault(path: &Path, error: Error) -> Failure {
    match error {
        Error::Read(error) => error.into(),
        Error::Mapping(message) | Error::Value(message) => CommandError::invalid(message).into(),
        error => CommandError::corrupt(path, error.to_string()).into(),
    }
}

/// Converts an error about writing.
fn write_fault(path: &Path, error: &Error) -> Failure {
    CommandError::io("write", path, &io::Error::other(error.to_string())).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellType, RowBuf, SeekKey};
    use std::collections::BTreeSet;

    /// Summing a large row, or a large value, makes no copy of it.
    #[test]
    fn large_rows_are_summed_in_parts() {
        let (mut row, mut sum) = (RowBuf::new(), CellSum::default());
        for n in 0..1000_u32 {
            let key = SeekKey::of(b"r", b"f", &n.to_be_bytes(), 5, CellType::Put);
            row.push(CellRef::new(&key, &vec![0; if n == 500 { 8 * PENDING } else { 1000 }]));
        }
        sum.add(row.as_row());
        assert!(sum.pending.capacity() < 4 * PENDING, "{}", sum.pending.capacity());
        let mut summed = [&1_u32.to_be_bytes()[..], &1000_u32.to_be_bytes(), b"r"].concat();
        for cell in row.as_row().cells() {
            let (time, code) = (5_i64.to_be_bytes(), [CellType::Put.code()]);
            let key = [&b"\x01f"[..], cell.qualifier(), &time, &code].concat();
            for len in [key.len(), cell.value().len()] {
                summed.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
            }
            summed.extend_from_slice(&key);
            summed.extend_from_slice(cell.value());
        }
        assert_eq!(sum.finish(), ([1, 1000], hex(Sha256::digest(&summed))));
    }

    /// Cells whose bytes are the same one after the other, but in other rows or parts, have another sum.
    #[test]
    fn sums_tell_the_parts_of_cells() {
        let summed = |cells: &[[&str; 4]]| {
            let (mut row, mut sum) = (RowBuf::new(), CellSum::default());
            for [key, family, qualifier, value] in cells.iter().map(|parts| parts.map(str::as_bytes)) {
                if !row.as_row().is_empty() && row.as_row().key() != key {
                    sum.add(row.as_row());
                    row.clear();
                }
                let key = SeekKey::of(key, family, qualifier, 5, CellType::Put);
                row.push(CellRef::new(&key, value));
            }
            sum.add(row.as_row());
            sum.finish().1
        };
        let sums = [
            summed(&[["r", "f", "q", "v"], ["r", "f", "r", "v"]]),
            summed(&[["r", "f", "q", "v"], ["s", "f", "r", "v"]]),
            summed(&[["r", "f", "qv", ""], ["r", "f", "r", "v"]]),
            summed(&[["r", "fq", "", "v"], ["r", "f", "r", "v"]]),
            summed(&[["r", "f", "q", "v"]]),
        ];
        assert_eq!(BTreeSet::from(sums).len(), 5);
    }
}
