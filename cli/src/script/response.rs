//! Answers of operations (replay.md §8, §9). Formatted by hand, like cells.

use super::error_map::ScriptError;
use crate::cell_line::{put_decimal, put_quoted};
use hregion::{CellRef, Row, ScanResult};

/// The answer of an operation.
#[derive(Debug)]
pub(super) enum Response {
    /// No answer: the operation succeeded.
    None,
    /// The cells of a row.
    Cells(Row),
    Exists(bool),
    /// Whether a condition held and, if it did, the cells returned by the mutations.
    Checked(bool, Row),
    /// The status of each mutation of a batch.
    Status(Vec<&'static str>),
    /// Rows; for an open scanner, also whether there may be more.
    Rows {
        rows: Vec<ScanResult>,
        more: Option<bool>,
    },
    /// The number of files of each family.
    Files(Vec<(Vec<u8>, usize)>),
    Refused(ScriptError),
}

impl Response {
    /// Appends the line of the answer, if there is one.
    pub(super) fn put(&self, out: &mut Vec<u8>, id: i64) {
        if matches!(self, Self::None) {
            return;
        }
        out.extend_from_slice(b"{\"id\":");
        put_decimal(out, id);
        match self {
            Self::None => {}
            Self::Refused(refusal) => {
                out.extend_from_slice(b",\"error\":\"");
                out.extend_from_slice(refusal.name().as_bytes());
                out.extend_from_slice(b"\"}\n");
                return;
            }
            Self::Cells(row) => {
                out.extend_from_slice(b",\"result\":{\"cells\":");
                put_cells(out, row);
            }
            Self::Exists(exists) => {
                out.extend_from_slice(b",\"result\":{\"exists\":");
                put_flag(out, *exists);
            }
            Self::Checked(success, cells) => {
                out.extend_from_slice(b",\"result\":{\"success\":");
                put_flag(out, *success);
                if !cells.is_empty() {
                    out.extend_from_slice(b",\"cells\":");
                    put_cells(out, cells);
                }
            }
            Self::Status(names) => {
                out.extend_from_slice(b",\"result\":{\"status\":");
                put_list(out, names, |out, name| put_quoted(out, name.as_bytes()));
            }
            Self::Rows { rows, more } => {
                out.extend_from_slice(b",\"result\":{\"rows\":");
                put_list(out, rows, put_row);
                if let Some(more) = more {
                    out.extend_from_slice(b",\"more\":");
                    put_flag(out, *more);
                }
            }
            Self::Files(files) => {
                out.extend_from_slice(b",\"result\":{\"files\":{");
                for (i, (family, count)) in files.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    put_quoted(out, family);
                    out.push(b':');
                    put_decimal(out, i64::try_from(*count).unwrap_or(i64::MAX));
                }
                out.push(b'}');
            }
        }
        out.extend_from_slice(b"}}\n");
    }
}

fn put_row(out: &mut Vec<u8>, result: &ScanResult) {
    out.extend_from_slice(b"{\"row\":");
    put_quoted(out, result.row.key());
    out.extend_from_slice(b",\"cells\":");
    put_cells(out, &result.row);
    if result.partial {
        out.extend_from_slice(b",\"partial\":true");
    }
    out.push(b'}');
}

fn put_cells(out: &mut Vec<u8>, row: &Row) {
    put_list(out, row.cells(), put_cell);
}

/// Appends a cell of a known row: `[family, qualifier, timestamp, type, value]`, and its tags, if any.
fn put_cell(out: &mut Vec<u8>, cell: CellRef<'_>) {
    out.push(b'[');
    put_quoted(out, cell.family());
    out.push(b',');
    put_quoted(out, cell.qualifier());
    out.push(b',');
    put_decimal(out, cell.timestamp());
    out.extend_from_slice(b",\"");
    out.extend_from_slice(cell.cell_type().name().as_bytes());
    out.extend_from_slice(b"\",");
    put_quoted(out, cell.value());
    if !cell.tag_bytes().is_empty() {
        out.push(b',');
        put_list(out, cell.tags(), |out, tag| {
            out.push(b'[');
            put_decimal(out, tag.tag_type.into());
            out.push(b',');
            put_quoted(out, tag.value);
            out.push(b']');
        });
    }
    out.push(b']');
}

fn put_list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, put: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put(out, item);
    }
    out.push(b']');
}

fn put_flag(out: &mut Vec<u8>, flag: bool) {
    out.extend_from_slice(if flag { b"true" } else { b"false" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellType, RowBuf, SeekKey};

    fn line(answer: &Response) -> String {
        let mut out = Vec::new();
        answer.put(&mut out, 17);
        String::from_utf8(out).unwrap()
    }

    fn row() -> Row {
        let mut row = RowBuf::new();
        let key = SeekKey::of(b"r\"", b"f", b"\0", 5, CellType::Put);
        row.push(CellRef::new(&key, b"v").with_seq_id(9));
        let key = SeekKey::of(b"r\"", b"f", b"q", -1, CellType::DeleteColumn);
        row.push(CellRef::new(&key, b"").with_tag_bytes(&[0, 2, 8, 1, 0, 1, 9]).unwrap());
        row.freeze()
    }

    #[test]
    fn answers_look_as_hbase_prints_them() {
        let cells = r#"[["f","\\x00",5,"Put","v"],["f","q",-1,"DeleteColumn","",[[8,"\\x01"],[9,""]]]]"#;
        let rows = format!(r#"[{{"row":"r\"","cells":{cells}}}]"#);
        let result = |inner: &str| format!("{{\"id\":17,\"result\":{{{inner}}}}}\n");
        assert_eq!(line(&Response::None), "");
        assert_eq!(line(&Response::Cells(row())), result(&format!("\"cells\":{cells}")));
        assert_eq!(line(&Response::Cells(RowBuf::new().freeze())), result("\"cells\":[]"));
        assert_eq!(line(&Response::Exists(true)), result("\"exists\":true"));
        let answer = Response::Checked(true, row());
        assert_eq!(line(&answer), result(&format!("\"success\":true,\"cells\":{cells}")));
        let answer = Response::Checked(false, RowBuf::new().freeze());
        assert_eq!(line(&answer), result("\"success\":false"));
        let answer = Response::Status(vec!["SUCCESS", "BAD_FAMILY"]);
        assert_eq!(line(&answer), result("\"status\":[\"SUCCESS\",\"BAD_FAMILY\"]"));
        let whole = ScanResult { row: row(), partial: false };
        let answer = Response::Rows { rows: vec![whole.clone()], more: None };
        assert_eq!(line(&answer), result(&format!("\"rows\":{rows}")));
        let piece = ScanResult { partial: true, ..whole };
        let rows = format!(r#"[{{"row":"r\"","cells":{cells},"partial":true}}]"#);
        let answer = Response::Rows { rows: vec![piece], more: Some(true) };
        assert_eq!(line(&answer), result(&format!("\"rows\":{rows},\"more\":true")));
        let answer = Response::Rows { rows: vec![], more: Some(false) };
        assert_eq!(line(&answer), result("\"rows\":[],\"more\":false"));
        let answer = Response::Files(vec![(b"f".to_vec(), 2), (b"g".to_vec(), 0)]);
        assert_eq!(line(&answer), result("\"files\":{\"f\":2,\"g\":0}"));
        let answer = Response::Refused(ScriptError::WrongRegion);
        assert_eq!(line(&answer), "{\"id\":17,\"error\":\"WrongRegionException\"}\n");
    }
}
