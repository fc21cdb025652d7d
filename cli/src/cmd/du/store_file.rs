//! The data of a store file that `hregion du` reads.

use crate::block_totals::BlockTotals;
use crate::block_usage::blocks_of;
use crate::directories::DATA;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::probe::{self, len_of};
use crate::text;
use crate::usage::Usage;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::region::FileKind;
use hregion::{HFileOptions, TableName};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The first and the last row.
pub(super) type Rows = (Vec<u8>, Vec<u8>);

/// A store file.
pub(super) struct StoreFile {
    pub(super) path: PathBuf,
    /// The names of the table, the region and the family, if it is below `data`.
    pub(super) names: [Option<String>; 3],
    pub(super) usage: Usage,
    pub(super) encoding: Option<&'static str>,
    pub(super) compression: Option<&'static str>,
    pub(super) rows: Option<Rows>,
    /// The number of other files of the family that have rows between these.
    pub(super) overlap: Option<usize>,
    /// The blocks, if requested.
    pub(super) blocks: Option<BlockTotals>,
}

impl StoreFile {
    /// Opens a file.
    pub(super) fn open(
        path: &Path,
        kind: FileKind,
        options: &HFileOptions,
        blocks: bool,
    ) -> Result<Self, Failure> {
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
    let is_below_data = next().is_some_and(|name| name == DATA);
    Ok([table.map(|table| table.to_string()), region, family].map(|name| name.filter(|_| is_below_data)))
}

pub(super) fn print_json(file: &StoreFile, out: &mut Output) -> Result<(), Failure> {
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

/// Whether a file is in a directory of files that are being written.
fn is_unfinished(path: &Path) -> bool {
    path.ancestors().skip(1).any(|dir| dir.file_name().is_some_and(|name| name == ".tmp"))
}

/// Sets the overlap of each file of a family. Returns the maximum number of files whose ranges of rows
/// include the same row.
pub(super) fn set_overlaps(files: &mut [StoreFile]) -> Option<usize> {
    let ranges: Vec<Rows> = files.iter().filter_map(|file| file.rows.clone()).collect();
    for file in files {
        let touches =
            |rows: &Rows| ranges.iter().filter(|(first, last)| *first <= rows.1 && rows.0 <= *last).count();
        file.overlap = file.rows.as_ref().map(|rows| touches(rows).saturating_sub(1));
    }
    // The maximum is reached where one of the files begins.
    let at = |row: &Vec<u8>| ranges.iter().filter(|(first, last)| first <= row && row <= last).count();
    ranges.iter().map(|(first, _)| at(first)).max()
}
