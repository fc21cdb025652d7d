//! A store file of a region: its path, and the metadata of its HFile.

use super::blocks::BlockMap;
use super::total::Total;
use crate::concurrent_changes::read_listed;
use crate::failure::CommandError;
use crate::probe::len_of;
use crate::store_files::place_of;
use crate::target;
use crate::text;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::region::{FileKind, SnapshotStoreFile};
use hregion::{CellKey, HFile, HFileOptions, RegionOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The number of entries of a root index that are kept, spread over all.
const ROOT_ENTRIES: usize = 24;

/// The location of a store file.
#[derive(Clone, Debug)]
pub(crate) struct FileEntry {
    /// The directory's name; `None` for a file that is in no region.
    pub(crate) family: Option<String>,
    pub(crate) path: PathBuf,
    pub(crate) kind: FileKind,
}

impl FileEntry {
    /// A file by itself. No other file is read.
    pub(crate) fn of_file(path: PathBuf) -> Result<Self, CommandError> {
        let kind = target::kind_of_file(&path)?;
        Ok(Self { family: None, path, kind })
    }

    /// A file of a snapshot, where it is now.
    pub(crate) fn of_snapshot(file: SnapshotStoreFile) -> Result<Self, CommandError> {
        let path = place_of(file.path, file.hfile)?;
        let kind = FileKind::of(&vfs::storage(), &path)?;
        Ok(Self { family: Some(file.family), path, kind })
    }
}

/// A store file. References and links have the cells of another file.
#[derive(Debug)]
pub(crate) struct StoreFile {
    entry: FileEntry,
    /// The bytes, and the cells and times if they are its own.
    pub(crate) total: Total,
    /// The HFile that it is, refers to or links to.
    target: Option<PathBuf>,
    hfile: Option<Value>,
    /// The reason that the file, or a part of it, cannot be read.
    pub(crate) fault: Option<CommandError>,
}

/// The options for reading files.
#[derive(Clone, Debug)]
pub(crate) struct FileReading {
    pub(crate) files: HFileOptions,
    pub(crate) regions: RegionOptions,
    /// The number of pieces in the map of a file's blocks.
    pub(crate) pieces: usize,
}

impl StoreFile {
    /// Reads the metadata of a file and the headers of its blocks. Parts that cannot be read are missing.
    pub(crate) fn read(entry: FileEntry, reading: &FileReading) -> Self {
        let total = Total { files: 1, ..Total::default() };
        let mut file = Self { entry, total, target: None, hfile: None, fault: None };
        file.fault = file.fill(reading).err();
        file
    }

    fn fill(&mut self, reading: &FileReading) -> Result<(), CommandError> {
        let listed = self.entry.path.clone();
        read_listed(&listed, |path| self.fill_from(path, reading))
    }

    /// Like [`fill`](Self::fill), from where the file is now.
    fn fill_from(&mut self, path: &Path, reading: &FileReading) -> Result<(), CommandError> {
        let bytes = len_of(path)?;
        self.total.bytes = bytes;
        let is_elsewhere = matches!(self.entry.kind, FileKind::Reference | FileKind::Link);
        if bytes == 0 && self.entry.kind == FileKind::StoreFile {
            // HBase ignores empty files of regions
            return Ok(());
        }
        let target = match is_elsewhere {
            true => reading.regions.hfile_of(path)?,
            false => Some(path.to_owned()),
        };
        self.target = target.clone();
        let Some(target) = target else { return Ok(()) };
        let file = reading.files.open(&target)?;
        let times = file.file_info().time_range().map_err(|corruption| corruption.at(&target, 0))?;
        let times = times.filter(|_| file.entry_count() > 0).map(|range| (range.min, range.max));
        if !is_elsewhere {
            (self.total.cells, self.total.times) = (Some(file.entry_count()), times);
        }
        let mut hfile = metadata(&file, &target, times)?;
        let mut blocks = BlockMap::new(reading.pieces);
        let headers = file.block_headers().try_for_each(|header| {
            let (offset, header) = header?;
            blocks.add(offset, &header);
            Ok::<_, hregion::Error>(())
        });
        hfile["blocks"] = blocks.json();
        let root = root_index(&file);
        hfile["root_index"] = root.as_ref().map_or(Value::Null, |entries| entries.clone().into());
        self.hfile = Some(hfile);
        headers?;
        root?;
        Ok(())
    }

    /// The family that has the file, by its directory.
    pub(crate) fn family(&self) -> Option<&str> {
        self.entry.family.as_deref()
    }

    pub(crate) fn json(&self) -> Value {
        let FileEntry { family, path, kind } = &self.entry;
        let name = path.file_name().map_or_else(String::new, |name| text::json_path(Path::new(name)));
        let kind = match kind {
            FileKind::Reference => "reference",
            FileKind::Link => "link",
            _ => "file",
        };
        let target = self.target.as_ref().filter(|target| *target != path);
        json!({
            "family": family, "name": name, "path": text::json_path(path), "kind": kind,
            "bytes": self.total.bytes, "cells": self.total.cells,
            "oldest": self.total.times.map(|times| times.0), "newest": self.total.times.map(|times| times.1),
            "target": target.map(|target| text::json_path(target)),
            "error": self.fault.as_ref().map(CommandError::line),
            "hfile": self.hfile,
        })
    }
}

/// Returns the contents of the trailer and the file info.
fn metadata(file: &HFile, path: &Path, times: Option<(i64, i64)>) -> Result<Value, CommandError> {
    let (trailer, info) = (file.trailer(), file.file_info());
    let at = |corruption: hregion::Corruption| CommandError::from(corruption.at(path, 0));
    let warning = |fault: &hregion::Error| CommandError::from(fault).with_hint(None).line();
    let row = |key: Option<&CellKey>| {
        key.filter(|_| file.entry_count() > 0).map(|key| StringBinary(key.row()).to_string())
    };
    Ok(json!({
        "bytes": file.file_len(), "cells": file.entry_count(),
        "oldest": times.map(|times| times.0), "newest": times.map(|times| times.1),
        "first_row": row(file.first_key()), "last_row": row(file.last_key()),
        "version": format!("{}.{}", trailer.major_version(), trailer.minor_version()),
        "compression": file.codec().name(), "encoding": file.data_block_encoding().name(),
        "encrypted": trailer.is_encrypted(),
        "bloom": file.general_bloom().map(|bloom| bloom.bloom_type().name()),
        "bloom_keys": file.general_bloom().map(|bloom| bloom.meta().key_count()),
        "max_sequence_id": info.max_seq_id().map_err(at)?,
        "created": info.create_time().map_err(at)?.filter(|&time| time > 0),
        "major_compaction": info.major_compaction().map_err(at)?,
        "bulk_loaded": info.bulkload_timestamp().map_err(at)?,
        "delete_families": info.delete_family_count().map_err(at)?,
        "average_key_bytes": info.avg_key_len().map_err(at)?,
        "average_value_bytes": info.avg_value_len().map_err(at)?,
        "uncompressed_bytes": trailer.total_uncompressed_bytes(),
        "index_levels": file.index_levels(),
        "index_entries": if file.entry_count() == 0 { 0 } else { file.root_index().len() },
        "warnings": file.warnings().iter().map(warning).collect::<Vec<_>>(),
    }))
}

/// Returns entries of the root index, as `{"entry","row","first_data_block"}`: all, or some spread over all.
fn root_index(file: &HFile) -> hregion::Result<Vec<Value>> {
    if file.entry_count() == 0 {
        return Ok(Vec::new());
    }
    let keys: Vec<&CellKey> = file.root_index().map(|(key, _)| key).collect();
    let entry = |entry: usize| {
        let first = file.first_data_block(entry)?.map(|handle| handle.offset);
        let row = keys.get(entry).map(|key| StringBinary(key.row()).to_string());
        Ok(json!({ "entry": entry, "row": row, "first_data_block": first }))
    };
    spread(keys.len(), ROOT_ENTRIES).map(entry).collect()
}

/// Returns up to `most` numbers below `count`, evenly spread, the first and the last included.
fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let shown = count.min(most);
    (0..shown).map(move |i| if shown < 2 { 0 } else { i * (count - 1) / (shown - 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_spread_over_all() {
        assert_eq!(spread(0, 24).count(), 0);
        assert!(spread(1, 24).eq([0]));
        assert!(spread(24, 24).eq(0..24));
        assert!(spread(101, 5).eq([0, 25, 50, 75, 100]));
        let most: Vec<usize> = spread(1_000_003, 24).collect();
        assert_eq!((most.len(), most.first(), most.last()), (24, Some(&0), Some(&1_000_002)));
        assert!(most.is_sorted_by(|a, b| a < b));
    }
}
