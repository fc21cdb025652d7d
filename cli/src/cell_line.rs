//! Cells as lines, in JSON and text. Hand-written: a scan prints millions of them.

use crate::text;
use hregion::cell::{LATEST_TIMESTAMP, OLDEST_TIMESTAMP};
use hregion::{CellKey, CellRef};
use std::path::Path;

/// The text format of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineStyle {
    /// `row/family:qualifier/timestamp/type/vlen=3/seqid=7`, as HBase's `Cell.toString`.
    Plain,
    /// The same after `K: `, as `hbase hfile -e`.
    Key,
    /// Additionally the value after ` V: `, and the tags, as `hbase hfile -p`.
    KeyValue,
}

/// The format of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CellFormat {
    Json { with_seq_id: bool },
    Text(LineStyle),
}

impl CellFormat {
    /// JSON if `is_json`, else text of a style.
    pub(crate) fn new(is_json: bool, with_seq_id: bool, look: LineStyle) -> Self {
        if is_json { Self::Json { with_seq_id } } else { Self::Text(look) }
    }

    /// Appends a cell.
    pub(crate) fn put(self, out: &mut Vec<u8>, cell: &CellRef<'_>) {
        match self {
            Self::Json { with_seq_id } => put_json(out, cell, with_seq_id),
            Self::Text(look) => put_text(out, cell, look),
        }
    }

    /// Replaces `line` by the line of a cell.
    pub(crate) fn set_line(self, line: &mut Vec<u8>, cell: &CellRef<'_>) {
        line.clear();
        self.put(line, cell);
        line.push(b'\n');
    }
}

/// The name of the file that cells are in, for lines of several files.
#[derive(Clone, Debug)]
pub(crate) struct FileName {
    /// The end of a JSON line.
    member: String,
}

impl FileName {
    pub(crate) fn new(path: &Path) -> Self {
        Self { member: format!(",\"file\":{}}}\n", text::json(&text::json_path(path).into())) }
    }

    /// Adds the member `file` to the line of a cell. Lines of text come after the name.
    pub(crate) fn add_to(&self, line: &mut Vec<u8>, format: CellFormat) {
        if matches!(format, CellFormat::Json { .. }) && line.ends_with(b"}\n") {
            line.truncate(line.len() - 2);
            line.extend_from_slice(self.member.as_bytes());
        }
    }
}

/// Appends a cell as JSON. The sequence id is written only if the file stores sequence ids.
pub(crate) fn put_json(out: &mut Vec<u8>, cell: &CellRef<'_>, with_seq_id: bool) {
    put_json_members(out, cell.key());
    out.extend_from_slice(b",\"value\":");
    put_quoted(out, cell.value());
    if with_seq_id {
        out.extend_from_slice(b",\"sequence_id\":");
        put_decimal(out, cell.seq_id());
    }
    if !cell.tag_bytes().is_empty() {
        out.extend_from_slice(b",\"tags\":");
        put_json_tags(out, cell);
    }
    out.push(b'}');
}

/// Appends the tags of a cell as a JSON list.
pub(crate) fn put_json_tags(out: &mut Vec<u8>, cell: &CellRef<'_>) {
    out.push(b'[');
    for (i, tag) in cell.tags().enumerate() {
        out.extend_from_slice(if i == 0 { b"{\"type\":" } else { b",{\"type\":" });
        put_decimal(out, tag.tag_type.into());
        out.extend_from_slice(b",\"value\":");
        put_quoted(out, tag.value);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends a key as JSON.
pub(crate) fn put_json_key(out: &mut Vec<u8>, key: &CellKey) {
    put_json_members(out, key);
    out.push(b'}');
}

fn put_json_members(out: &mut Vec<u8>, key: &CellKey) {
    out.extend_from_slice(b"{\"row\":");
    put_quoted(out, key.row());
    out.extend_from_slice(b",\"family\":");
    put_quoted(out, key.family());
    out.extend_from_slice(b",\"qualifier\":");
    put_quoted(out, key.qualifier());
    out.extend_from_slice(b",\"timestamp\":");
    put_decimal(out, key.timestamp());
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(key.cell_type().name().as_bytes());
    out.push(b'"');
}

/// Appends a cell as text.
pub(crate) fn put_text(out: &mut Vec<u8>, cell: &CellRef<'_>, look: LineStyle) {
    if look != LineStyle::Plain {
        out.extend_from_slice(b"K: ");
    }
    put_text_key(out, cell.key());
    out.extend_from_slice(b"/vlen=");
    put_decimal(out, i64::try_from(cell.value().len()).unwrap_or(i64::MAX));
    out.extend_from_slice(b"/seqid=");
    put_decimal(out, cell.seq_id());
    if look != LineStyle::KeyValue {
        return;
    }
    out.extend_from_slice(b" V: ");
    put_binary(out, cell.value());
    for (i, tag) in (0..).zip(cell.tags()) {
        out.extend_from_slice(b" T[");
        put_decimal(out, i);
        out.extend_from_slice(b"]: [Tag type : ");
        put_decimal(out, tag.tag_type.into());
        out.extend_from_slice(b", value : ");
        put_binary(out, tag.value);
        out.push(b']');
    }
}

/// Appends a key as text: `row/family:qualifier/timestamp/type`.
pub(crate) fn put_text_key(out: &mut Vec<u8>, key: &CellKey) {
    put_binary(out, key.row());
    out.push(b'/');
    if !key.family().is_empty() {
        put_binary(out, key.family());
        out.push(b':');
    }
    put_binary(out, key.qualifier());
    out.push(b'/');
    match key.timestamp() {
        LATEST_TIMESTAMP => out.extend_from_slice(b"LATEST_TIMESTAMP"),
        OLDEST_TIMESTAMP => out.extend_from_slice(b"OLDEST_TIMESTAMP"),
        timestamp => put_decimal(out, timestamp),
    }
    out.push(b'/');
    out.extend_from_slice(key.cell_type().name().as_bytes());
}

/// Appends bytes as a JSON string of their `toStringBinary` form.
pub(crate) fn put_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    put_escaped(out, bytes, |byte, out| match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        _ => {
            out.push(b'\\');
            put_hex(out, byte);
        }
    });
    out.push(b'"');
}

/// Appends bytes in their `toStringBinary` form.
pub(crate) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    put_escaped(out, bytes, |byte, out| match byte {
        b'"' => out.push(byte),
        _ => put_hex(out, byte),
    });
}

/// Copies runs of plain bytes; passes each other byte to `special`.
#[inline]
fn put_escaped(out: &mut Vec<u8>, bytes: &[u8], mut special: impl FnMut(u8, &mut Vec<u8>)) {
    let mut rest = bytes;
    while let Some(at) =
        rest.iter().position(|&byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'\\' | b'"'))
    {
        let (run, tail) = rest.split_at(at);
        out.extend_from_slice(run);
        if let Some((&byte, tail)) = tail.split_first() {
            special(byte, out);
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
}

fn put_hex(out: &mut Vec<u8>, byte: u8) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
}

/// Appends a number in decimal, in a third of the time that `write!` takes.
pub(crate) fn put_decimal(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::cell::{StringBinary, from_string_binary};
    use hregion::{CellType, SeekKey};

    fn text(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_as_they_are_usually_printed() {
        for number in [0, 9, 10, -1, 1_700_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(text(|out| put_decimal(out, number)), number.to_string());
        }
    }

    #[test]
    fn all_bytes_are_as_the_library_prints_them() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(text(|out| put_binary(out, &bytes)), StringBinary(&bytes).to_string());
        let quoted = text(|out| put_quoted(out, &bytes));
        let read: String = serde_json::from_str(&quoted).unwrap();
        assert_eq!(read, StringBinary(&bytes).to_string());
        assert_eq!(from_string_binary(&read), bytes);
        assert!(quoted.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    }

    #[test]
    fn cells_are_as_the_library_prints_them() {
        for (family, timestamp) in [("cf", 5), ("", LATEST_TIMESTAMP), ("f", OLDEST_TIMESTAMP), ("f", -7)] {
            let key = SeekKey::of(b"r\n", family.as_bytes(), b"q", timestamp, CellType::DeleteColumn);
            let cell = CellRef::new(&key, b"value").with_seq_id(7);
            assert_eq!(text(|out| put_text(out, &cell, LineStyle::Plain)), cell.to_string());
            assert_eq!(text(|out| put_text_key(out, &key)), key.to_string());
            assert_eq!(text(|out| put_text(out, &cell, LineStyle::KeyValue)), format!("K: {cell} V: value"));
        }
    }

    #[test]
    fn json_has_the_members_that_hbase_prints() {
        let key = SeekKey::of(b"r\"\\", b"f", b"q", 5, CellType::Put);
        let cell = CellRef::new(&key, b"v").with_seq_id(7);
        let line = concat!(
            r#"{"row":"r\"\\x5C","family":"f","qualifier":"q","timestamp":5,"#,
            r#""type":"Put","value":"v","sequence_id":7}"#,
        );
        assert_eq!(text(|out| put_json(out, &cell, true)), line);
        assert_eq!(text(|out| put_json(out, &cell, false)), line.replace(",\"sequence_id\":7", ""));
    }
}
