//! Cells as comma-separated values (RFC 4180, but with line feeds).

use crate::cell_line::{put_binary, put_decimal, put_json_tags};
use hregion::CellRef;

/// The header line.
pub(crate) const HEADER: &[u8] = b"row,family,qualifier,timestamp,type,value,sequence_id,tags\n";

/// Appends a cell. The sequence id is written only if the file stores sequence ids; tags, if any, as in JSON.
pub(crate) fn put_csv(out: &mut Vec<u8>, cell: &CellRef<'_>, with_seq_id: bool) {
    for part in [cell.row(), cell.family(), cell.qualifier()] {
        put_field(out, |out| put_binary(out, part));
        out.push(b',');
    }
    put_decimal(out, cell.timestamp());
    out.push(b',');
    out.extend_from_slice(cell.cell_type().name().as_bytes());
    out.push(b',');
    put_field(out, |out| put_binary(out, cell.value()));
    out.push(b',');
    if with_seq_id {
        put_decimal(out, cell.seq_id());
    }
    out.push(b',');
    if !cell.tag_bytes().is_empty() {
        put_field(out, |out| put_json_tags(out, cell));
    }
    out.push(b'\n');
}

/// Appends a field, quoted if it contains a comma or a quote, or spaces that a reader might trim.
fn put_field(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put(out);
    let field = &out[start..];
    if !field.iter().any(|byte| matches!(byte, b',' | b'"')) && field.trim_ascii().len() == field.len() {
        return;
    }
    let field = out.split_off(start);
    out.push(b'"');
    for &byte in &field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellType, SeekKey};

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let key = SeekKey::of(b"a,b", b"f", b"say \"q\"", -5, CellType::Put);
        let cell = CellRef::new(&key, b" v\n").with_seq_id(7).with_tag_bytes(&[0, 2, 8, 0]).unwrap();
        let mut line = Vec::new();
        put_csv(&mut line, &cell, true);
        let expected = r#""a,b",f,"say ""q""",-5,Put," v\x0A",7,"[{""type"":8,""value"":""\\x00""}]""#;
        assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
        let key = SeekKey::of(b"r", b"", b"", 0, CellType::DeleteFamily);
        let mut line = Vec::new();
        put_csv(&mut line, &CellRef::new(&key, b""), false);
        assert_eq!(line, b"r,,,0,DeleteFamily,,,\n");
        assert_eq!(HEADER.split(|&b| b == b',').count(), 8);
    }
}
