//! Cells and keys in the canonical JSON form, one on each line:
//! `{"row":"r1","family":"f","qualifier":"q","timestamp":5,"type":"Put",
//! "value":"v","sequence_id":7,"tags":[…]}`.

use flate2::read::GzDecoder;
use hregion::cell::{LATEST_TIMESTAMP, StringBinary, from_string_binary};
use hregion::{CellKey, CellRef, CellType, Row, SeekKey};
use serde_json::Value;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Reads a file, and decompresses it if its name ends with `.gz`.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    let done = if path.extension().is_some_and(|e| e == "gz") {
        GzDecoder::new(file).read_to_end(&mut bytes)
    } else {
        BufReader::new(file).read_to_end(&mut bytes)
    };
    done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    bytes
}

/// Reads the lines of a file, and decompresses it if its name ends with `.gz`.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    read(path).lines().map(|line| line.expect("JSON lines are UTF-8")).collect()
}

/// Parses a JSON line.
pub(crate) fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

/// Parses the lines of a file, and decompresses it if its name ends with `.gz`.
pub(crate) fn json_lines(path: &Path) -> Vec<Value> {
    lines(path).iter().map(|line| parse(line)).collect()
}

/// Returns the cells of rows, without sequence ids.
pub(crate) fn json_of(rows: &[Row]) -> Vec<Value> {
    rows.iter().flat_map(Row::cells).map(|cell| parse(&cell_json(&cell, false))).collect()
}

/// Formats a cell as a JSON line, with `sequence_id` if the file stores sequence ids.
pub(crate) fn cell_json(cell: &CellRef<'_>, sequence_ids: bool) -> String {
    let mut line = String::with_capacity(160 + cell.value().len());
    put_key(&mut line, cell.key());
    line.push_str(",\"value\":");
    put_bytes(&mut line, cell.value());
    if sequence_ids {
        write!(line, ",\"sequence_id\":{}", cell.seq_id()).expect("a String takes anything");
    }
    if !cell.tag_bytes().is_empty() {
        line.push_str(",\"tags\":[");
        for (i, tag) in cell.tags().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(line, "{comma}{{\"type\":{},\"value\":", tag.tag_type).expect("a String takes anything");
            put_bytes(&mut line, tag.value);
            line.push('}');
        }
        line.push(']');
    }
    line.push('}');
    line
}

/// Formats a key as a JSON line.
pub(crate) fn key_json(key: &CellKey) -> String {
    let mut line = String::with_capacity(160);
    put_key(&mut line, key);
    line.push('}');
    line
}

/// Returns the line of a cell without its tags, for cases in which HBase prints wrong tags.
pub(crate) fn without_tags(line: &str) -> &str {
    // a quote inside a string is escaped, so this can only be the member
    line.find(",\"tags\":[").map_or(line, |at| &line[..at])
}

fn put_key(line: &mut String, key: &CellKey) {
    line.push_str("{\"row\":");
    put_bytes(line, key.row());
    line.push_str(",\"family\":");
    put_bytes(line, key.family());
    line.push_str(",\"qualifier\":");
    put_bytes(line, key.qualifier());
    write!(line, ",\"timestamp\":{},\"type\":\"{}\"", key.timestamp(), key.cell_type().name())
        .expect("a String takes anything");
}

fn put_bytes(line: &mut String, bytes: &[u8]) {
    let text = StringBinary(bytes).to_string();
    line.push('"');
    line.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
    line.push('"');
}

/// Parses the key of a line. Missing parts are empty, the timestamp defaults to the latest and the type to
/// `Maximum`.
pub(crate) fn parse_key(line: &Value) -> SeekKey {
    let bytes = |name: &str| line.get(name).map_or(Vec::new(), |v| from_string_binary(text(v)));
    let timestamp = line.get("timestamp").map_or(LATEST_TIMESTAMP, |v| v.as_i64().expect("a timestamp"));
    let cell_type = line.get("type").map_or(CellType::Maximum, |v| {
        CellType::from_name(text(v)).unwrap_or_else(|| panic!("no cell type: {v}"))
    });
    SeekKey::of(&bytes("row"), &bytes("family"), &bytes("qualifier"), timestamp, cell_type)
}

/// Returns the text of a JSON string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a string, found {value}"))
}
