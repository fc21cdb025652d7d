//! Cells from rows of text: fields between separators, one line a row (HBase: `ImportTsv`).

use crate::cell_json::CellBuf;
use crate::cell_source::{CellSource, ListOffsets, ListedCells};
use crate::failure::CommandError;
use crate::lines::Lines;
use crate::progress::Progress;
use hregion::cell::{MAX_FAMILY_LEN, MAX_ROW_LEN, StringBinary, from_string_binary};
use hregion::{CellRef, Limits};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::str;

/// The format of lines of cells.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Text")]
pub(crate) struct TextArgs {
    /// Read text with these fields in each line, separated by commas
    ///
    /// A field is HBASE_ROW_KEY, family:qualifier, HBASE_TS_KEY, HBASE_CELL_TTL (in milliseconds), or empty
    /// to skip it; bytes are written as \xHH. Empty lines and a byte order mark at the start are skipped;
    /// blanks are data.
    #[arg(long, value_name = "FIELDS", value_parser = fields)]
    columns: Option<Fields>,

    /// Byte between fields [default: tab]
    #[arg(long, value_name = "BYTE", requires = "columns", value_parser = separator)]
    separator: Option<u8>,

    /// Accept fields in double quotes, which may contain the separator, and a quote as two quotes
    #[arg(long, requires = "columns")]
    quoted: bool,

    /// Timestamp of rows without one, in milliseconds [default: now]
    #[arg(long, value_name = "MILLIS", requires = "columns")]
    timestamp: Option<i64>,

    /// Write no cells for empty fields
    #[arg(long, requires = "columns")]
    skip_empty_columns: bool,

    /// Skip malformed lines, and print their number
    #[arg(long, requires = "columns")]
    skip_bad_lines: bool,

    /// Number of lines to skip at the start, empty ones included [default: 0]
    #[arg(long, value_name = "N", requires = "columns", default_value_t = 0, hide_default_value = true)]
    skip_lines: u64,
}

/// The meaning of the fields of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    all: Vec<Field>,
    row: usize,
    timestamp: Option<usize>,
    ttl: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Row,
    Timestamp,
    Ttl,
    Column(Vec<u8>, Vec<u8>),
    Skipped,
}

/// Parses `HBASE_ROW_KEY,cf:a,cf:b`, as `-Dimporttsv.columns`.
fn fields(text: &str) -> Result<Fields, String> {
    let mut all = Vec::new();
    for field in text.split(',').map(str::trim) {
        all.push(match field {
            "" => Field::Skipped,
            "HBASE_ROW_KEY" => Field::Row,
            "HBASE_TS_KEY" => Field::Timestamp,
            "HBASE_CELL_TTL" => Field::Ttl,
            "HBASE_CELL_VISIBILITY" | "HBASE_ATTRIBUTES_KEY" => {
                return Err(format!("{field} is not supported"));
            }
            column => {
                let (family, qualifier) = column.split_once(':').unwrap_or((column, ""));
                let family = from_string_binary(family);
                if family.is_empty() || family.len() > MAX_FAMILY_LEN {
                    return Err(format!("{column}: expected family:qualifier"));
                }
                Field::Column(family, from_string_binary(qualifier))
            }
        });
    }
    let only = |wanted: &Field, name: &str| {
        let mut places = all.iter().enumerate().filter(|(_, field)| *field == wanted).map(|(at, _)| at);
        match (places.next(), places.next()) {
            (at, None) => Ok(at),
            _ => Err(format!("{name} is given twice")),
        }
    };
    let row = only(&Field::Row, "HBASE_ROW_KEY")?.ok_or("expected HBASE_ROW_KEY among the fields")?;
    let (timestamp, ttl) = (only(&Field::Timestamp, "HBASE_TS_KEY")?, only(&Field::Ttl, "HBASE_CELL_TTL")?);
    if !all.iter().any(|field| matches!(field, Field::Column(..))) {
        return Err("expected a column among the fields".into());
    }
    Ok(Fields { all, row, timestamp, ttl })
}

fn separator(text: &str) -> Result<u8, String> {
    match from_string_binary(text)[..] {
        [byte] if !matches!(byte, b'\n' | b'\r' | b'"') => Ok(byte),
        _ => Err("expected one byte other than a quote or a line end".into()),
    }
}

impl TextArgs {
    /// Whether the input is text.
    pub(crate) fn is_given(&self) -> bool {
        self.columns.is_some()
    }

    /// Opens a text and moves to its first cell; `None` if the input is not a text. `now` is the timestamp of
    /// rows without one, if none is given. Lines that are skipped are counted in `bad_lines`.
    pub(crate) fn open<'p>(
        &self,
        path: &'p Path,
        now: i64,
        bad_lines: &BadLines,
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Option<TextCells<'p>>, CommandError> {
        let Some(fields) = self.columns.clone() else { return Ok(None) };
        let mut lines = Lines::open(path, limits, progress)?.without_mark();
        lines.skip(self.skip_lines)?;
        let text = Text {
            separator: self.separator.unwrap_or(b'\t'),
            quoted: self.quoted,
            timestamp: self.timestamp.unwrap_or(now),
        };
        let mut cells = TextCells {
            lines,
            fields,
            text,
            skips_empty: self.skip_empty_columns,
            skips_bad: self.skip_bad_lines,
            row: Row::default(),
            next_field: 0,
            here: CellBuf::default(),
            at_end: false,
            bad_lines: bad_lines.clone(),
        };
        cells.advance()?;
        Ok(Some(cells))
    }
}

/// The cells of a text, in input order.
pub(crate) struct TextCells<'p> {
    lines: Lines<'p>,
    fields: Fields,
    text: Text,
    skips_empty: bool,
    skips_bad: bool,
    row: Row,
    /// The field of the next cell of the row.
    next_field: usize,
    here: CellBuf,
    at_end: bool,
    bad_lines: BadLines,
}

/// The number of lines that were skipped because they are malformed.
#[derive(Clone, Debug, Default)]
pub(crate) struct BadLines(Rc<Cell<u64>>);

impl BadLines {
    pub(crate) fn count(&self) -> u64 {
        self.0.get()
    }
}

/// The properties of all lines.
#[derive(Clone, Copy, Debug)]
struct Text {
    separator: u8,
    quoted: bool,
    /// Of rows without their own.
    timestamp: i64,
}

/// The fields of a line.
#[derive(Debug, Default)]
struct Row {
    /// Their bytes, one after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    timestamp: i64,
    ttl: Option<u64>,
}

impl Row {
    fn field(&self, at: usize) -> Option<&[u8]> {
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        self.bytes.get(start..*self.ends.get(at)?)
    }

    /// Splits a line into fields.
    fn split(&mut self, line: &[u8], separator: u8, quoted: bool) -> Result<(), String> {
        self.bytes.clear();
        self.ends.clear();
        let mut rest = line;
        loop {
            rest = match rest.split_first() {
                Some((b'"', inner)) if quoted => {
                    let after = self.unquote(inner)?;
                    if after.first().is_some_and(|&byte| byte != separator) {
                        return Err("expected a separator after a quoted field".into());
                    }
                    after
                }
                _ => {
                    let end = rest.iter().position(|&byte| byte == separator).unwrap_or(rest.len());
                    let (field, after) = rest.split_at(end);
                    self.bytes.extend_from_slice(field);
                    after
                }
            };
            self.ends.push(self.bytes.len());
            match rest.split_first() {
                None => return Ok(()),
                Some((_, after)) => rest = after,
            }
        }
    }

    /// Appends the field up to the closing quote, and returns what follows that.
    fn unquote<'l>(&mut self, line: &'l [u8]) -> Result<&'l [u8], String> {
        let mut rest = line;
        loop {
            let Some(end) = rest.iter().position(|&byte| byte == b'"') else {
                return Err("a quote is not closed on its line".into());
            };
            let (field, after) = rest.split_at(end);
            self.bytes.extend_from_slice(field);
            let after = after.get(1..).unwrap_or_default();
            match after.split_first() {
                Some((b'"', more)) => {
                    self.bytes.push(b'"');
                    rest = more;
                }
                _ => return Ok(after),
            }
        }
    }

    /// Reads a line, and checks what all its cells have in common.
    fn read(&mut self, line: &[u8], fields: &Fields, text: Text) -> Result<(), String> {
        self.split(line, text.separator, text.quoted)?;
        // perhaps of a text with another separator, all lines of which would be rows without cells
        if self.ends.len() == 1 {
            return Err(format!("no separator {}", StringBinary(&[text.separator])));
        }
        if self.ends.len() > fields.all.len() {
            return Err(format!("{} fields, expected {} at most", self.ends.len(), fields.all.len()));
        }
        match self.field(fields.row) {
            None | Some([]) => return Err("no row key".into()),
            Some(row) if row.len() > MAX_ROW_LEN => {
                return Err(format!("a row key of {} bytes, expected {MAX_ROW_LEN} at most", row.len()));
            }
            Some(_) => {}
        }
        self.timestamp = match fields.timestamp {
            None => text.timestamp,
            Some(at) => self.number(at, "timestamp")?.unwrap_or(text.timestamp),
        };
        if self.timestamp < 0 {
            return Err(format!("timestamp {}: negative: HBase cannot read such a cell", self.timestamp));
        }
        self.ttl = match fields.ttl {
            None => None,
            Some(at) => match self.number(at, "time to live")? {
                None => None,
                Some(millis) => Some(
                    u64::try_from(millis)
                        .ok()
                        .filter(|millis| *millis > 0)
                        .ok_or("a time to live below 1")?,
                ),
            },
        };
        Ok(())
    }

    /// Parses a field; `None` if it is empty.
    fn number(&self, at: usize, what: &str) -> Result<Option<i64>, String> {
        let field = self.field(at).ok_or_else(|| format!("no {what}"))?;
        if field.is_empty() {
            return Ok(None);
        }
        let number = str::from_utf8(field).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| format!("{what} {}: expected a number", StringBinary(field)))
    }
}

impl TextCells<'_> {
    /// Moves to the next cell of the row. Returns false if there is none.
    fn advance_in_row(&mut self) -> bool {
        while let Some(field) = self.fields.all.get(self.next_field) {
            let at = self.next_field;
            self.next_field += 1;
            let (Field::Column(family, qualifier), Some(value)) = (field, self.row.field(at)) else {
                continue;
            };
            if value.is_empty() && self.skips_empty {
                continue;
            }
            let key = self.row.field(self.fields.row).unwrap_or_default();
            self.here.set_put(key, family, qualifier, self.row.timestamp, value, self.row.ttl);
            return true;
        }
        false
    }
}

impl CellSource for TextCells<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        (!self.at_end).then(|| self.here.as_cell())
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        while !self.advance_in_row() {
            let Some(line) = self.lines.next()? else {
                self.at_end = true;
                return Ok(());
            };
            match self.row.read(line, &self.fields, self.text) {
                Ok(()) => self.next_field = 0,
                Err(_) if self.skips_bad => self.bad_lines.0.update(|count| count + 1),
                Err(message) => return Err(self.lines.wrong(&message)),
            }
        }
        Ok(())
    }

    fn locate_error(&self, error: hregion::Error) -> CommandError {
        CommandError::in_line(self.lines.path(), self.lines.number(), error)
    }
}

impl<'p> ListedCells<'p> for TextCells<'p> {
    fn line(&self) -> u64 {
        self.lines.number()
    }

    fn offsets(&self) -> ListOffsets<'p> {
        ListOffsets::of(self.lines.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &str, separator: u8, quoted: bool) -> Result<Vec<String>, String> {
        let mut row = Row::default();
        row.split(line.as_bytes(), separator, quoted)?;
        let field = |at| String::from_utf8(row.field(at).unwrap().to_vec()).unwrap();
        Ok((0..row.ends.len()).map(field).collect())
    }

    #[test]
    fn lines_are_split_at_separators() {
        assert_eq!(split("a\t\tb\t", b'\t', false).unwrap(), ["a", "", "b", ""]);
        assert_eq!(split("\"a,b\",c", b',', false).unwrap(), ["\"a", "b\"", "c"]);
        assert_eq!(split("\"a,\"\"b\"\"\",c,\"\"", b',', true).unwrap(), ["a,\"b\"", "c", ""]);
        assert_eq!(split("a\"b,c", b',', true).unwrap(), ["a\"b", "c"]);
        assert!(split("\"a", b',', true).is_err() && split("\"a\"b,c", b',', true).is_err());
    }

    #[test]
    fn fields_are_those_of_import_tsv() {
        let parsed = fields("cf:a, HBASE_ROW_KEY,,cf:\\x00,d,HBASE_TS_KEY,HBASE_CELL_TTL").unwrap();
        assert_eq!((parsed.row, parsed.timestamp, parsed.ttl), (1, Some(5), Some(6)));
        let column = |family: &[u8], qualifier: &[u8]| Field::Column(family.to_vec(), qualifier.to_vec());
        assert_eq!(parsed.all[0], column(b"cf", b"a"));
        assert_eq!(parsed.all[2..5], [Field::Skipped, column(b"cf", b"\0"), column(b"d", b"")]);
        for wrong in [
            "cf:a",
            "HBASE_ROW_KEY",
            "HBASE_ROW_KEY,HBASE_ROW_KEY,cf:a",
            "HBASE_ROW_KEY,:a",
            "HBASE_ROW_KEY,cf:a,HBASE_CELL_VISIBILITY",
            "HBASE_ROW_KEY,cf:a,HBASE_TS_KEY,HBASE_TS_KEY",
        ] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
        assert_eq!((separator(","), separator("\\x01")), (Ok(b','), Ok(1)));
        assert!(separator(",,").is_err() && separator("\"").is_err());
    }

    #[test]
    fn timestamps_that_hbase_does_not_read_are_refused() {
        let columns = fields("HBASE_ROW_KEY,cf:a,HBASE_TS_KEY").unwrap();
        let read = |line: &str, timestamp| {
            Row::default().read(line.as_bytes(), &columns, Text { separator: b',', quoted: false, timestamp })
        };
        assert!(read("r,v,0", 1).is_ok() && read("r,v,", 1).is_ok());
        assert!(read("r,v,-1", 1).unwrap_err().contains("timestamp -1: negative"));
        assert!(read("r,v,", -1).unwrap_err().contains("timestamp -1: negative"));
    }

    proptest! {
        #[test]
        fn quoted_fields_are_read_back(fields in prop::collection::vec("[a\",\t]{0,4}", 1..5)) {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let quoted: Vec<_> = fields.iter().map(quote).collect();
            prop_assert_eq!(split(&quoted.join(","), b',', true).unwrap(), fields);
        }

        #[test]
        fn no_line_makes_it_panic(line in "[a\",\t0-9\n]{0,12}", quoted: bool) {
            let columns = fields("HBASE_ROW_KEY,cf:a,HBASE_TS_KEY").unwrap();
            let text = Text { separator: b',', quoted, timestamp: 1 };
            let mut row = Row::default();
            if row.read(line.as_bytes(), &columns, text).is_ok() {
                prop_assert!(!row.field(0).unwrap().is_empty());
            }
        }
    }
}
