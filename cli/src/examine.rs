//! Printing, checking and measuring the cells of a file in one pass.

use crate::cell_line::{CellFormat, FileName, LineStyle};
use crate::cell_source::CellSource as _;
use crate::failure::{CommandError, Failure};
use crate::hbase_flags::HBaseFlags;
use crate::histogram::Histogram;
use crate::output::Output;
use crate::sequence::Sequence;
use crate::stored_file::StoredFile;
use crate::text;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::{CellOrder, CellRef, HFile};
use serde_json::json;
use std::io::{self, Write};

/// Walks all cells. Cells printed before an error are correct. The lines of a `named` file have its name.
pub(crate) fn walk(
    stored: &StoredFile,
    look: Option<LineStyle>,
    named: Option<&FileName>,
    flags: &HBaseFlags,
    out: &mut Output,
) -> Result<(), Failure> {
    let file = &stored.file;
    // A single file is shown as stored, as in HBase; the files of a directory as the readers of its table see
    // them.
    let of_cells = if named.is_some() && out.is_json() { Sequence::of(file)?.of_cells } else { None };
    let with_seq_ids = of_cells.is_some() || file.has_seq_ids();
    let format = look.map(|look| CellFormat::new(out.is_json(), with_seq_ids, look));
    let mut examiner = Examiner::new(file, flags, out);
    let mut line = Vec::new();
    let mut cells = stored.cells()?;
    while let Some(cell) = cells.peek() {
        if let Some(format) = format {
            format.set_line(&mut line, &of_cells.map_or(cell, |seq_id| cell.with_seq_id(seq_id)));
            if let Some(name) = named {
                name.add_to(&mut line, format);
            }
            out.write_all(&line)?;
        }
        if let Some(examiner) = &mut examiner {
            examiner.add(&cell, out);
        }
        cells.advance()?;
    }
    match examiner {
        Some(examiner) => examiner.finish(out),
        None => Ok(()),
    }
}

/// The checks and statistics of `hbase hfile`.
struct Examiner<'f> {
    file: &'f HFile,
    /// The order to check rows against.
    order: Option<CellOrder>,
    families: bool,
    stats: Option<Stats>,
    row: Vec<u8>,
    family: Vec<u8>,
    cells: u64,
    disorder: Option<CommandError>,
}

impl<'f> Examiner<'f> {
    fn new(file: &'f HFile, flags: &HBaseFlags, out: &Output) -> Option<Self> {
        if !(flags.check_rows || flags.check_families || flags.stats) {
            return None;
        }
        let order = if flags.check_rows { file.order() } else { None };
        if flags.check_rows && order.is_none() {
            out.warn(&format!("{}: the order of rows is unknown, and not checked", text::path(file.path())));
        }
        Some(Self {
            file,
            order,
            families: flags.check_families,
            stats: flags.stats.then(Stats::default),
            row: Vec::new(),
            family: Vec::new(),
            cells: 0,
            disorder: None,
        })
    }

    fn add(&mut self, cell: &CellRef<'_>, out: &Output) {
        let first = self.cells == 0;
        let new_row = first || cell.row() != self.row;
        if let Some(order) = self.order
            && new_row
            && !first
            && order.compare_rows(&self.row, cell.row()).is_ge()
            && self.disorder.is_none()
        {
            let (row, before) = (StringBinary(cell.row()), StringBinary(&self.row));
            let message = format!("row {row:.64} follows row {before:.64}");
            self.disorder = Some(CommandError::corrupt(self.file.path(), message));
        }
        if self.families && (first || cell.family() != self.family) {
            self.check_family(cell.family(), out);
        }
        if let Some(stats) = &mut self.stats {
            stats.add(cell, new_row, &self.row);
        }
        if new_row {
            self.row.clear();
            self.row.extend_from_slice(cell.row());
        }
        self.cells += 1;
    }

    fn check_family(&mut self, family: &[u8], out: &Output) {
        let path = self.file.path();
        let shown = text::path(path);
        if self.cells > 0 {
            out.warn(&format!(
                "{shown}: family {} follows family {}",
                StringBinary(family),
                StringBinary(&self.family)
            ));
        }
        // A relative path may lack the name of the directory.
        if !vfs::absolute(path).components().any(|part| part.as_os_str().as_encoded_bytes() == family) {
            out.warn(&format!("{shown}: family {} is not in the path", StringBinary(family)));
        }
        self.family.clear();
        self.family.extend_from_slice(family);
    }

    fn finish(self, out: &mut Output) -> Result<(), Failure> {
        if let Some(mut stats) = self.stats {
            stats.end_row(&self.row);
            if out.is_json() {
                out.json_line(&stats.json())?;
            } else {
                stats.print(out)?;
            }
        }
        self.disorder.map_or(Ok(()), |fault| Err(fault.into()))
    }
}

/// Size distributions of keys, values and rows.
#[derive(Debug, Default)]
struct Stats {
    key_bytes: Histogram,
    value_bytes: Histogram,
    row_bytes: Histogram,
    row_cells: Histogram,
    bytes_of_row: u64,
    cells_of_row: u64,
    biggest_bytes: u64,
    biggest_row: Vec<u8>,
}

/// The two lengths before a cell, which HBase counts as part of the row's size.
const LENGTHS: u64 = 8;

impl Stats {
    /// Adds a cell; `row` is the row of the previous cell.
    fn add(&mut self, cell: &CellRef<'_>, new_row: bool, row: &[u8]) {
        if new_row {
            self.end_row(row);
        }
        let (key, value) = (cell.key().as_bytes().len() as u64, cell.value().len() as u64);
        self.key_bytes.add(key);
        self.value_bytes.add(value);
        self.bytes_of_row += LENGTHS + key + value;
        self.cells_of_row += 1;
    }

    fn end_row(&mut self, row: &[u8]) {
        if self.cells_of_row == 0 {
            return;
        }
        self.row_bytes.add(self.bytes_of_row);
        self.row_cells.add(self.cells_of_row);
        if self.bytes_of_row > self.biggest_bytes {
            self.biggest_bytes = self.bytes_of_row;
            self.biggest_row = row.to_vec();
        }
        (self.bytes_of_row, self.cells_of_row) = (0, 0);
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Stats:")?;
        self.key_bytes.print(out, "Key length")?;
        self.row_bytes.print(out, "Row size (bytes)")?;
        self.row_cells.print(out, "Row size (columns)")?;
        self.value_bytes.print(out, "Val length")?;
        writeln!(out, "Key of biggest row: {}", StringBinary(&self.biggest_row))
    }

    fn json(&self) -> serde_json::Value {
        json!({ "stats": {
            "key_bytes": self.key_bytes.json(),
            "row_bytes": self.row_bytes.json(),
            "row_cells": self.row_cells.json(),
            "value_bytes": self.value_bytes.json(),
            "biggest_row": StringBinary(&self.biggest_row).to_string(),
        }})
    }
}
