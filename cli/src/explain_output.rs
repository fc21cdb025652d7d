//! Printing of explained cells and files.

use crate::cell_line::{self, LineStyle};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use hregion::CellRef;
use hregion::region::{CellReason, ExplainedCell, ExplainedFile};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

/// The width of the longest reason.
const WIDTH: usize = 15;

/// Prints explained cells, one a line, and then files.
#[derive(Debug, Default)]
pub(crate) struct ExplainOutput {
    line: Vec<u8>,
}

impl ExplainOutput {
    pub(crate) fn cell(&mut self, explained: ExplainedCell<'_>, out: &mut Output) -> Result<(), Failure> {
        self.line.clear();
        if out.is_json() {
            put_json(&mut self.line, explained);
        } else {
            put_text(&mut self.line, explained);
        }
        self.line.push(b'\n');
        Ok(out.write_all(&self.line)?)
    }

    pub(crate) fn files(&self, files: &[ExplainedFile], out: &mut Output) -> Result<(), Failure> {
        for file in files {
            let ExplainedFile { path, reason, .. } = file;
            if out.is_json() {
                let path = text::json_path(path);
                out.json_line(&json!({"file": path, "read": reason.is_read(), "reason": reason.name()}))?;
            } else {
                let read = if reason.is_read() { "read" } else { "not read" };
                writeln!(out, "{reason:WIDTH$}  {read}  {}", text::path(path))?;
            }
        }
        Ok(())
    }
}

fn put_json(out: &mut Vec<u8>, explained: ExplainedCell<'_>) {
    let ExplainedCell { cell, path, reason, by, .. } = explained;
    out.extend_from_slice(b"{\"cell\":");
    put_json_cell(out, cell);
    out.extend_from_slice(b",\"from\":");
    let from = Value::from(path.map_or_else(|| "memstore".into(), text::json_path));
    out.extend_from_slice(text::json(&from).as_bytes());
    let kept = reason == CellReason::Returned;
    out.extend_from_slice(format!(",\"kept\":{kept},\"reason\":\"{reason}\"").as_bytes());
    if let Some(by) = by {
        out.extend_from_slice(b",\"by\":");
        put_json_cell(out, by);
    }
    out.push(b'}');
}

fn put_json_cell(out: &mut Vec<u8>, cell: CellRef<'_>) {
    cell_line::put_json(out, &cell, cell.seq_id() != 0);
}

fn put_text(out: &mut Vec<u8>, explained: ExplainedCell<'_>) {
    let ExplainedCell { cell, path, reason, by, .. } = explained;
    out.extend_from_slice(format!("{reason:WIDTH$}  ").as_bytes());
    cell_line::put_text(out, &cell, LineStyle::Plain);
    out.extend_from_slice(b"  in ");
    out.extend_from_slice(path.map_or_else(|| "memstore".into(), name_of).as_bytes());
    if let Some(by) = by {
        out.extend_from_slice(b"  by ");
        cell_line::put_text(out, &by, LineStyle::Plain);
    }
}

/// Returns the name of a file; the directory is in the list of files.
fn name_of(path: &Path) -> String {
    text::path(path.file_name().map_or(path, Path::new))
}
