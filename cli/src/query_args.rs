//! Arguments that select the rows and cells of `scan`, `get` and `count`.

use crate::failure::CommandError;
use crate::scan_rows::{RowScan, with_prefix};
use crate::selection::Selection;
use hregion::cell::{StringBinary, from_string_binary};
use hregion::{Clock, Cursor, Filter, Get, ManualClock, Scan, SystemClock, TimeRange};
use std::fmt;
use std::sync::Arc;

/// Selects the cells of a row.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cells")]
pub(crate) struct CellArgs {
    /// Columns as family:qualifier, or families, separated by commas [default: all]
    ///
    /// Bytes are written as \xHH, a comma in a name as \x2C.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = given_column)]
    columns: Vec<GivenColumn>,

    /// Maximum versions per column, or `all`, of those the family keeps [default: 1; copy, diff: all]
    #[arg(long, value_name = "N", value_parser = versions)]
    versions: Option<u32>,

    /// Filter expression in HBase's filter language; bytes in quotes as \xHH
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    filter: Option<Filter>,

    /// Range of timestamps in milliseconds, end exclusive: A..B, A.. or ..B
    #[arg(long, value_name = "RANGE", value_parser = time_range)]
    time_range: Option<TimeRange>,

    /// Include delete markers and deleted cells; with --versions all, all stored cells
    #[arg(long)]
    raw: bool,

    /// Time by which cells expire, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MILLIS", allow_negative_numbers = true)]
    now: Option<i64>,
}

/// A family, or a column of it.
type Column = (Vec<u8>, Option<Vec<u8>>);

/// A column, and the text of the argument. It has a type, as `family:qualifier=type`, if an equals sign is in
/// the text itself: one of the qualifier is then written as `\x3D`.
#[derive(Clone)]
struct GivenColumn {
    column: Column,
    text: String,
}

/// Selects a range of rows.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RangeArgs {
    /// First row, inclusive [default: the first that exists]
    #[arg(long, value_name = "ROW", allow_hyphen_values = true, value_parser = bytes)]
    start: Option<Row>,

    /// Row to stop before [default: none]
    #[arg(long, value_name = "ROW", allow_hyphen_values = true, value_parser = bytes)]
    stop: Option<Row>,

    /// Only rows with this prefix
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = bytes)]
    #[arg(conflicts_with_all = ["start", "stop"])]
    prefix: Option<Row>,
}

/// Selects rows.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rows")]
pub(crate) struct RowArgs {
    #[command(flatten)]
    range: RangeArgs,

    /// Maximum number of rows; 0 for all [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,

    /// Scan from the last row to the first; --start is then the greatest row
    #[arg(long)]
    reversed: bool,

    /// Split rows into pieces of at most this many cells
    #[arg(long, value_name = "CELLS")]
    batch: Option<u32>,

    /// Continue where a scan with --limit ended, at:ROW or after:ROW
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true, value_parser = cursor)]
    #[arg(conflicts_with = "start")]
    resume: Option<Cursor>,
}

/// The key of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) Vec<u8>);

impl CellArgs {
    /// Selects all stored cells.
    pub(crate) fn of_all_stored() -> Self {
        Self { versions: Some(u32::MAX), raw: true, ..Self::default() }
    }

    /// Selects all versions if their number is not given.
    pub(crate) fn or_all_versions(self) -> Self {
        Self { versions: self.versions.or(Some(u32::MAX)), ..self }
    }

    /// Restricts the selection to one family.
    pub(crate) fn within(&self, family: &[u8]) -> Result<Self, CommandError> {
        if let Some((other, _)) = self.columns().find(|(name, _)| name != family) {
            let (other, family) = (StringBinary(other), StringBinary(family));
            return Err(CommandError::usage(format!(
                "--columns: {other} is not in the family {family}, which is read"
            )));
        }
        let mut cells = self.clone();
        if cells.columns.is_empty() {
            cells.columns.push(GivenColumn::new((family.to_vec(), None)));
        }
        Ok(cells)
    }

    /// Returns the columns if they have types, as `family:qualifier=type`.
    pub(crate) fn typed_columns(&self) -> Option<Vec<String>> {
        let has_type =
            |given: &GivenColumn| given.text.split_once(':').is_some_and(|(_, name)| name.contains('='));
        let typed = self.columns.iter().any(has_type);
        typed.then(|| self.columns.iter().map(|given| given.text.clone()).collect())
    }

    /// Whether columns were given, with types or without.
    #[cfg(feature = "arrow")]
    pub(crate) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|given| &given.column)
    }

    /// Replaces the columns; for lists of versions, all are read unless a number was given.
    #[cfg(feature = "arrow")]
    pub(crate) fn of_columns(
        self,
        columns: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
        all_versions: bool,
    ) -> Self {
        let columns =
            columns.map(|(family, qualifier)| GivenColumn::new((family, Some(qualifier)))).collect();
        let cells = Self { columns, ..self };
        if all_versions { cells.or_all_versions() } else { cells }
    }

    fn selection(&self) -> Selection {
        Selection {
            columns: self.columns().cloned().collect(),
            versions: self.versions.unwrap_or(1),
            time_range: self.time_range.unwrap_or_default(),
            filter: self.filter.clone(),
            ..Selection::default()
        }
    }

    /// Builds a get of a row.
    pub(crate) fn get(&self, row: &[u8]) -> Get {
        self.selection().get(row.to_vec())
    }

    /// Builds a scan of all rows, to be narrowed.
    pub(crate) fn scan(&self) -> Scan {
        self.selection().scan().raw(self.raw)
    }

    /// Whether a region that returns nothing may end the scan, so that the regions must be read in order.
    pub(crate) fn may_end_scan(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::may_end_scan)
    }

    /// Returns the scan of one row that a raw get is.
    pub(crate) fn raw_scan(&self, row: &[u8]) -> Scan {
        self.scan().start_row(row.to_vec(), true).stop_row(row.to_vec(), true)
    }

    /// Whether the time by which cells expire was given.
    pub(crate) fn has_now(&self) -> bool {
        self.now.is_some()
    }

    /// Returns the time by which cells expire, if it was given.
    pub(crate) fn now(&self) -> Option<i64> {
        self.now
    }

    /// Returns the same selection by another time.
    pub(crate) fn at(&self, now: Option<i64>) -> Self {
        Self { now, ..self.clone() }
    }

    /// Whether to read all stored cells unchanged.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// Returns the clock by which cells expire.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        match self.now {
            Some(now) => Arc::new(ManualClock::new(now)),
            None => Arc::new(SystemClock),
        }
    }

    /// Whether any of these arguments was given.
    pub(crate) fn is_given(&self) -> bool {
        !self.columns.is_empty()
            || self.versions.is_some()
            || self.filter.is_some()
            || self.time_range.is_some()
            || self.raw
            || self.now.is_some()
    }
}

impl From<RangeArgs> for RowArgs {
    fn from(range: RangeArgs) -> Self {
        Self { range, ..Self::default() }
    }
}

impl RowArgs {
    /// Builds a scan of the rows.
    pub(crate) fn scan(&self, cells: &CellArgs) -> RowScan {
        let mut scan = cells.scan().reversed(self.reversed);
        if let Some(Row(prefix)) = &self.range.prefix {
            scan = with_prefix(scan, prefix.clone(), self.reversed);
        }
        if let Some(Row(start)) = &self.range.start {
            scan = scan.start_row(start.clone(), true);
        }
        if let Some(Row(stop)) = &self.range.stop {
            scan = scan.stop_row(stop.clone(), false);
        }
        if let Some(cells) = self.batch {
            scan = scan.batch(cells);
        }
        if let Some(cursor) = self.resume.as_ref().filter(|cursor| !self.is_before_prefix(cursor)) {
            scan = scan.resume(cursor);
        }
        RowScan { scan, limit: self.limit }
    }

    /// Whether a cursor comes before all rows with the prefix, in the direction of the scan, so that the scan
    /// begins with these.
    fn is_before_prefix(&self, cursor: &Cursor) -> bool {
        let row = cursor.row();
        self.range.prefix.as_ref().is_some_and(|Row(prefix)| match self.reversed {
            false => row < prefix.as_slice(),
            true => row.is_empty() || row > prefix.as_slice() && !row.starts_with(prefix),
        })
    }

    /// Whether all rows are read.
    pub(crate) fn is_all(&self) -> bool {
        self.range.start.is_none()
            && self.range.stop.is_none()
            && self.range.prefix.is_none()
            && self.limit.is_none()
            && self.resume.is_none()
    }

    /// Whether only a number of rows are read.
    pub(crate) fn has_limit(&self) -> bool {
        self.limit.is_some_and(|rows| rows > 0)
    }

    /// Whether rows are read in descending order.
    pub(crate) fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// Whether the selection can contain rows in [`start`, `end`); an empty bound is unbounded.
    pub(crate) fn overlaps(&self, start: &[u8], end: &[u8]) -> bool {
        let bytes =
            |row: &Option<Row>| row.as_ref().map(|Row(row)| row.clone()).filter(|row| !row.is_empty());
        let resumed = self.resume.as_ref().map(|cursor| cursor.row().to_vec()).filter(|row| !row.is_empty());
        let (first, last) =
            match (resumed.or_else(|| bytes(&self.range.start)), bytes(&self.range.stop), self.reversed) {
                (start, stop, false) => (start, stop),
                (start, stop, true) => (stop, start),
            };
        let begins_after = first.is_some_and(|first| !end.is_empty() && first.as_slice() >= end);
        let ends_before = last.is_some_and(|last| match self.reversed {
            false => last.as_slice() <= start,
            true => last.as_slice() < start,
        });
        let has_none_of_prefix = self.range.prefix.as_ref().is_some_and(|Row(prefix)| {
            let is_after = start > prefix.as_slice() && !start.starts_with(prefix);
            is_after || !end.is_empty() && prefix.as_slice() >= end
        });
        !begins_after && !ends_before && !has_none_of_prefix
    }

    /// Whether any of these arguments was given.
    pub(crate) fn is_given(&self) -> bool {
        !self.is_all() || self.reversed || self.batch.is_some()
    }
}

/// Parses a row in its printed form.
pub(crate) fn bytes(text: &str) -> Result<Row, String> {
    Ok(Row(from_string_binary(text)))
}

/// Returns an argument that is a row. Rejects what may be a mistyped option, which would be read as the row.
pub(crate) fn no_option(text: &str) -> Result<String, String> {
    match text.strip_prefix("--") {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            Err(format!("neither an option nor a row; write the row as \\x2D-{rest}"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Parses an argument that is a row.
pub(crate) fn row(text: &str) -> Result<Row, String> {
    bytes(&no_option(text)?)
}

/// Parses an argument that is a row to read.
pub(crate) fn row_to_get(text: &str) -> Result<Row, String> {
    match row(text)? {
        Row(row) if row.is_empty() => Err("expected a row that is not empty".into()),
        row => Ok(row),
    }
}

impl GivenColumn {
    /// A column without a type.
    fn new(column: Column) -> Self {
        let (family, qualifier) = &column;
        let qualifier = qualifier.iter().map(|name| format!(":{}", StringBinary(name)));
        let text = StringBinary(family).to_string() + &qualifier.collect::<String>().replace('=', "\\x3D");
        Self { column, text }
    }
}

/// Shows what is selected, however it was written.
impl fmt::Debug for GivenColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt(f)
    }
}

fn given_column(text: &str) -> Result<GivenColumn, String> {
    Ok(GivenColumn { column: column(text)?, text: text.to_owned() })
}

fn column(text: &str) -> Result<Column, String> {
    let (family, qualifier) = match text.split_once(':') {
        Some((family, qualifier)) => (family, Some(from_string_binary(qualifier))),
        None => (text, None),
    };
    match family {
        "" => Err("expected family:qualifier, or a family".into()),
        family => Ok((from_string_binary(family), qualifier)),
    }
}

fn versions(text: &str) -> Result<u32, String> {
    match text {
        "all" => Ok(u32::MAX),
        text => text
            .parse()
            .ok()
            .filter(|&versions| versions > 0)
            .ok_or_else(|| "expected a number above 0, or `all`".into()),
    }
}

fn time_range(text: &str) -> Result<TimeRange, String> {
    let (min, max) = text.split_once("..").ok_or("expected A..B, A.. or ..B")?;
    let bound = |text: &str, open| match text {
        "" => Ok(open),
        text => text.parse().map_err(|_| format!("expected a number of milliseconds, not {text:?}")),
    };
    TimeRange::new(bound(min, 0)?, bound(max, i64::MAX)?).map_err(|error| error.message())
}

fn filter(text: &str) -> Result<Filter, String> {
    Filter::parse(with_bytes(text)).map_err(|error| error.message())
}

/// Replaces `\xHH` in the quoted texts of a filter by the bytes. Regular expressions have their own escapes.
fn with_bytes(expression: &str) -> Vec<u8> {
    let (mut bytes, mut is_regex, mut between) = (Vec::with_capacity(expression.len()), false, "");
    for (i, part) in expression.split('\'').enumerate() {
        if i > 0 {
            bytes.push(b'\'');
        }
        if i.is_multiple_of(2) {
            between = part;
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        // after a doubled quote the text continues
        if i == 1 || !between.is_empty() {
            is_regex = part.starts_with("regexstring");
        }
        if is_regex {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        for byte in from_string_binary(part) {
            if byte == b'\'' {
                bytes.push(byte);
            }
            bytes.push(byte);
        }
    }
    bytes
}

/// Formats a position between rows: `at:ROW` or `after:ROW`.
pub(crate) fn show_cursor(cursor: &Cursor) -> String {
    format!("{}:{}", if cursor.includes_row() { "at" } else { "after" }, StringBinary(cursor.row()))
}

fn cursor(text: &str) -> Result<Cursor, String> {
    match text.split_once(':') {
        Some(("at", row)) => Ok(Cursor::new(from_string_binary(row), true)),
        Some(("after", row)) => Ok(Cursor::new(from_string_binary(row), false)),
        _ => Err("expected at:ROW or after:ROW, as printed by a scan with --limit".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        rows: RowArgs,
        #[command(flatten)]
        cells: CellArgs,
    }

    fn parse(args: &[&str]) -> Result<Line, clap::Error> {
        Line::try_parse_from([&["scan"], args].concat())
    }

    #[test]
    fn a_cursor_leads_to_no_rows_without_the_prefix() {
        let scan = |args: &[&str]| {
            let line = parse(args).unwrap();
            line.rows.scan(&line.cells).scan
        };
        let expected = scan(&["--prefix", "b"]);
        assert_eq!(scan(&["--prefix", "b", "--resume", "after:a"]), expected);
        assert_eq!(scan(&["--prefix", "b", "--resume", "after:b1"]), expected.start_row("b1", false));
        let expected = scan(&["--prefix", "b", "--reversed"]);
        for cursor in ["at:c", "at:"] {
            assert_eq!(scan(&["--prefix", "b", "--reversed", "--resume", cursor]), expected);
        }
        let resumed = scan(&["--prefix", "b", "--reversed", "--resume", "at:b1"]);
        assert_eq!(resumed, expected.start_row("b1", true));
        // without a row, a scan backward begins at the end of the table
        let line = parse(&["--reversed", "--resume", "at:"]).unwrap();
        assert!(line.rows.overlaps(b"", b"m") && line.rows.overlaps(b"m", b""));
    }

    #[test]
    fn quoted_texts_of_a_filter_have_bytes() {
        for (text, expression) in [
            ("PrefixFilter('\\xFFa\\x27''\\x5Cx41')", &b"PrefixFilter('\xFFa''''\\x41')"[..]),
            (
                "RowFilter(=, 'binary:\\x00') AND PrefixFilter('')",
                &b"RowFilter(=, 'binary:\0') AND PrefixFilter('')"[..],
            ),
            ("ValueFilter(=, 'regexstring:a''\\x2E')", &b"ValueFilter(=, 'regexstring:a''\\x2E')"[..]),
            (
                "ColumnRangeFilter('', true, '\\xff', false)",
                &b"ColumnRangeFilter('', true, '\xFF', false)"[..],
            ),
        ] {
            assert_eq!(filter(text).unwrap(), Filter::parse(expression).unwrap(), "{text}");
        }
        assert!(filter("PrefixFilter('a").unwrap_err().contains("a quote at the end"));
    }

    #[test]
    fn options_make_a_scan() {
        let line = parse(&[
            "--start",
            "a\\x00",
            "--stop",
            "-b",
            "--columns",
            "f:q\\x2C,g,h:",
            "--versions",
            "all",
            "--time-range",
            "5..10",
            "--raw",
        ]);
        let line = line.unwrap();
        let expected = Scan::new()
            .start_row(&b"a\0"[..], true)
            .stop_row("-b", false)
            .column("f", "q,")
            .family("g")
            .column("h", "")
            .max_versions(u32::MAX)
            .time_range(TimeRange::new(5, 10).unwrap())
            .raw(true);
        assert_eq!(line.rows.scan(&line.cells).scan, expected);
        let line = parse(&["--prefix", "ab", "--now", "7"]).unwrap();
        assert_eq!(line.rows.scan(&line.cells).scan, Scan::new().prefix("ab"));
        assert_eq!(line.cells.get(b"r"), Get::new("r"));
        assert!(line.cells.clock().now() == 7 && line.rows.is_given() && line.cells.is_given());
        let line =
            parse(&["--filter", "PageFilter(2)", "--batch", "3", "--limit", "5", "--resume", "after:a\\x00"]);
        let line = line.unwrap();
        let scan = line.rows.scan(&line.cells);
        let expected = Scan::new().filter(Filter::parse("PageFilter(2)").unwrap()).batch(3);
        assert_eq!(scan.scan, expected.start_row(&b"a\0"[..], false));
        assert_eq!(scan.limit, Some(5));
        assert_eq!(parse(&["--now", "-7"]).unwrap().cells.clock().now(), -7);
        let none = parse(&[]).unwrap();
        assert!(!none.rows.is_given() && !none.cells.is_given() && none.rows.is_all());
    }

    #[test]
    fn equals_signs_of_qualifiers_are_no_types() {
        let cells = |columns: &str| parse(&["--columns", columns]).unwrap().cells;
        let named = Get::new("r").column("f", "a=b");
        for untyped in ["f", "f:a", "f:a\\x3Db", "a=b:q,f"] {
            assert_eq!(cells(untyped).typed_columns(), None, "{untyped}");
        }
        assert_eq!(cells("f:a\\x3Db").get(b"r"), named);
        // without types, an equals sign needs no other form
        assert_eq!(cells("f:a=b").get(b"r"), named);
        let typed = cells("f:a\\x3Db=utf8,g:\\x2C=long@").typed_columns().unwrap();
        assert_eq!(typed, ["f:a\\x3Db=utf8", "g:\\x2C=long@"]);
        assert_eq!(format!("{:?}", cells("f:\\x61")), format!("{:?}", cells("f:a")));
    }

    #[test]
    fn cells_within_a_family() {
        let cells = |args: &[&str]| parse(args).unwrap().cells;
        assert_eq!(cells(&[]).within(b"f").unwrap().get(b"r"), Get::new("r").family("f"));
        assert_eq!(
            cells(&["--columns", "f:q"]).within(b"f").unwrap().get(b"r"),
            Get::new("r").column("f", "q")
        );
        assert!(cells(&["--columns", "f:q,g"]).within(b"f").is_err());
    }

    #[test]
    fn prefixes_are_read_in_both_directions() {
        let scan = |args: &[&str]| {
            let line = parse(args).unwrap();
            line.rows.scan(&line.cells).scan
        };
        assert_eq!(scan(&["--prefix", "ab"]), Scan::new().prefix("ab"));
        let reversed = || Scan::new().reversed(true);
        let expected = reversed().start_row("b", false).stop_row(&b"a\xff"[..], true);
        assert_eq!(scan(&["--prefix", "a\\xFF", "--reversed"]), expected);
        let all = reversed().start_row("", true).stop_row(&b"\xff"[..], true);
        assert_eq!(scan(&["--prefix", "\\xFF", "--reversed"]), all);
    }

    #[test]
    fn cursors_come_back() {
        for cursor in [Cursor::new("", false), Cursor::new(&b"a:\0"[..], true)] {
            assert_eq!(super::cursor(&show_cursor(&cursor)).as_ref(), Ok(&cursor));
        }
    }

    #[test]
    fn invalid_options_are_rejected() {
        for wrong in [
            &["--versions", "0"][..],
            &["--versions", "many"],
            &["--columns", ":q"],
            &["--time-range", "5"],
            &["--time-range", "9..5"],
            &["--time-range", "-1.."],
            &["--prefix", "a", "--start", "b"],
            &["--resume", "a"],
            &["--resume", "at:a", "--start", "b"],
            &["--filter", "Page(1)"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(time_range(".."), Ok(TimeRange::ALL));
        assert_eq!(time_range("5.."), Ok(TimeRange::since(5)));
    }

    #[test]
    fn regions_outside_are_known() {
        let rows = |args: &[&str]| parse(args).unwrap().rows;
        let all = rows(&[]);
        assert!(all.overlaps(b"", b"") && all.overlaps(b"a", b"b"));
        let some = rows(&["--start", "b", "--stop", "d"]);
        let overlaps = |rows: &RowArgs, bounds: &[(&str, &str)]| -> Vec<bool> {
            bounds.iter().map(|(start, end)| rows.overlaps(start.as_bytes(), end.as_bytes())).collect()
        };
        let bounds = [("", "b"), ("", "b\0"), ("c", ""), ("d", ""), ("cz", "e")];
        assert_eq!(overlaps(&some, &bounds), [false, true, true, false, true]);
        let reversed = rows(&["--start", "d", "--stop", "b", "--reversed"]);
        assert_eq!(overlaps(&reversed, &bounds), [false, true, true, true, true]);
        let prefix = rows(&["--prefix", "b"]);
        let bounds = [("", "b"), ("b", "ba"), ("bz", ""), ("c", ""), ("a", "c")];
        assert_eq!(overlaps(&prefix, &bounds), [false, true, true, false, true]);
    }
}
