//! Pages of cells.

use crate::answer::{NoAnswer, fault};
use crate::request::Request;
use crate::{cell_line, report};
use hregion::{CellRef, HFile, HFileScanner, Result, SeekKey};
use serde_json::{Value, json};

/// The maximum number of bytes of a value in an answer.
const VALUE: usize = 4096;

/// Returns cells: from `key` or `row` on, or the last ones before the key `before`, otherwise from the first;
/// if `block` is true, up to the end of the first cell's block. `skip` of them are omitted: cells with the
/// same key on the previous page. Cells read before damage are correct.
pub(crate) fn cells(file: &HFile, request: &Request) -> Result<Value, NoAnswer> {
    let (limit, mut skip) = (request.limit()?, request.count("skip", 0)?);
    let most = request.count("value_bytes", VALUE)?;
    let mut cells = file.scanner();
    if request.has("before") {
        skip = 0;
        match start_before(&mut cells, request.key("before")?, limit)? {
            Some(start) => drop(cells.seek(&start)?),
            None => return Ok(json!({ "cells": [], "next": null, "error": null })),
        }
    } else if request.has("key") {
        cells.seek(&request.key("key")?)?;
    } else if request.has("row") {
        let (row, column) = (request.row()?, request.column()?.unwrap_or_default());
        cells.seek(&SeekKey::first_on_column(&row, &column.0, &column.1))?;
    } else {
        cells.seek_to_first()?;
    }
    let of_block = request.flag("block")?;
    let mut page = Page { cells: Vec::new(), bytes: 0, of_block, with_seq_ids: file.has_seq_ids(), most };
    let (next, error) = match page.read(file, &mut cells, limit, skip) {
        Ok(next) => (next, None),
        Err(damage) => (None, Some(fault(&damage))),
    };
    Ok(json!({ "cells": page.cells, "next": next, "error": error }))
}

/// Returns the key of the cell that is `count` cells before a key, or of the first one. Cells with the same
/// key count as one.
fn start_before(cells: &mut HFileScanner<'_>, key: SeekKey, count: usize) -> Result<Option<SeekKey>> {
    let (mut start, mut found) = (key, None);
    for _ in 0..count {
        match cells.seek_before(&start) {
            Ok(true) => {}
            Ok(false) => break,
            // the cells after damage
            Err(_) if found.is_some() => break,
            Err(damage) => return Err(damage),
        }
        let Some(cell) = cells.peek() else { break };
        start = SeekKey::from(cell.key());
        found = Some(start.clone());
    }
    Ok(found)
}

/// The cells of an answer.
struct Page {
    cells: Vec<Value>,
    /// The bytes of their keys, tags and displayed values.
    bytes: usize,
    /// Whether the answer ends with the block.
    of_block: bool,
    with_seq_ids: bool,
    /// The maximum number of displayed bytes of a value.
    most: usize,
}

impl Page {
    /// Adds cells. Returns the members of the request for the next ones: the key of the next cell, and the
    /// number of earlier cells with the same key. In a file of unknown order only the number of cells
    /// determines the position.
    fn read(
        &mut self,
        file: &HFile,
        cells: &mut HFileScanner<'_>,
        limit: usize,
        skip: usize,
    ) -> Result<Option<Value>> {
        // the last key, and the number of cells with it
        let mut last: Option<(SeekKey, usize)> = None;
        let mut seen = 0;
        // the index key of the block after this one
        let until = cells.next_indexed_key().map(SeekKey::from);
        while let Some(cell) = cells.peek() {
            if self.of_block && cells.next_indexed_key() != until.as_deref() {
                break;
            }
            let same = match &last {
                Some((key, count)) if key.as_key() == cell.key() => *count,
                _ => 0,
            };
            report::check_key(cell.key())?;
            if self.cells.len() == limit || self.bytes >= report::ANSWER_BYTES {
                return Ok(Some(match file.order() {
                    Some(_) => json!({ "key": report::key(cell.key()), "skip": same }),
                    None => json!({ "skip": seen }),
                }));
            }
            if seen >= skip {
                self.add(&cell);
            }
            seen += 1;
            last = Some((SeekKey::from(cell.key()), same + 1));
            cells.advance()?;
        }
        Ok(None)
    }

    fn add(&mut self, cell: &CellRef<'_>) {
        let value = cell.value();
        let shown = value.get(..self.most).unwrap_or(value);
        self.bytes += cell.key().as_bytes().len() + shown.len() + cell.tag_bytes().len();
        let mut line = Vec::new();
        cell_line::put_json(&mut line, &cell.with_value(shown), self.with_seq_ids);
        let mut json: Value = serde_json::from_slice(&line).unwrap_or(Value::Null);
        if shown.len() < value.len() {
            json["value_length"] = value.len().into();
        }
        self.cells.push(json);
    }
}
