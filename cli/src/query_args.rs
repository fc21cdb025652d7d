//! Which rows and cells `scan`, `get` and `count` are to read.

use crate::failure::Fault;
use crate::selection::Selection;
use hregion::cell::parse_binary;
use hregion::{Clock, ManualClock, Scan, SystemClock, TimeRange};
use std::sync::Arc;

/// Which cells of a row.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which cells")]
pub(crate) struct CellArgs {
    /// Columns as family:qualifier, and whole families; bytes as \xHH, a comma as \x2C [default: all]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = column)]
    columns: Vec<Column>,

    /// How many versions of a column, or `all`; no more than the family keeps are found [default: 1]
    #[arg(long, value_name = "N", value_parser = versions)]
    versions: Option<u32>,

    /// Timestamps from one on to before another, in milliseconds: A..B, A.. or ..B
    #[arg(long, value_name = "RANGE", value_parser = time_range)]
    time_range: Option<TimeRange>,

    /// All that is stored, delete markers and what they hide
    #[arg(long)]
    raw: bool,

    /// What time it is, in milliseconds: cells that have expired by then are not there [default: now]
    #[arg(long, value_name = "MILLIS")]
    now: Option<i64>,
}

/// A family, or a column of it.
type Column = (Vec<u8>, Option<Vec<u8>>);

/// Which rows.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which rows")]
pub(crate) struct RowArgs {
    /// The first row [default: the first there is]
    #[arg(long, value_name = "ROW", allow_hyphen_values = true, value_parser = bytes)]
    start: Option<Row>,

    /// The row before which to end [default: behind the last there is]
    #[arg(long, value_name = "ROW", allow_hyphen_values = true, value_parser = bytes)]
    stop: Option<Row>,

    /// Only rows that begin with this
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, value_parser = bytes, conflicts_with_all = ["start", "stop"])]
    prefix: Option<Row>,

    /// So many rows at most
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
}

/// Bytes of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) Vec<u8>);

impl CellArgs {
    /// What a read selects.
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            columns: self.columns.clone(),
            versions: self.versions.unwrap_or(1),
            time_range: self.time_range.unwrap_or_default(),
            ..Selection::default()
        }
    }

    /// Whether to read what is stored as it is.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// The clock by which cells expire.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        match self.now {
            Some(now) => Arc::new(ManualClock::new(now)),
            None => Arc::new(SystemClock),
        }
    }

    /// The name of an option that was given, if there is one.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--columns", !self.columns.is_empty()),
            ("--versions", self.versions.is_some()),
            ("--time-range", self.time_range.is_some()),
            ("--raw", self.raw),
            ("--now", self.now.is_some()),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

impl RowArgs {
    /// A scan of the rows, with at most so many of them.
    pub(crate) fn scan(&self, cells: &CellArgs, limit: Option<u64>) -> Scan {
        let mut scan = cells.selection().scan().raw(cells.raw);
        if let Some(Row(prefix)) = &self.prefix {
            scan = scan.prefix(prefix.clone());
        }
        if let Some(Row(start)) = &self.start {
            scan = scan.start_row(start.clone(), true);
        }
        if let Some(Row(stop)) = &self.stop {
            scan = scan.stop_row(stop.clone(), false);
        }
        match limit {
            Some(rows) => scan.limit(rows),
            None => scan,
        }
    }

    /// Whether any of the rows may be from `start` on and before `end`; an empty bound is none.
    pub(crate) fn overlaps(&self, start: &[u8], end: &[u8]) -> bool {
        let first = self.start.as_ref().or(self.prefix.as_ref());
        let begins_behind = first.is_some_and(|Row(first)| !end.is_empty() && first.as_slice() >= end);
        let ends_before = match (&self.stop, &self.prefix) {
            (Some(Row(stop)), _) if !stop.is_empty() => stop.as_slice() <= start,
            (_, Some(Row(prefix))) => start > prefix.as_slice() && !start.starts_with(prefix),
            _ => false,
        };
        !begins_behind && !ends_before
    }

    /// The name of an option that was given, if there is one.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--start", self.start.is_some()),
            ("--stop", self.stop.is_some()),
            ("--prefix", self.prefix.is_some()),
            ("--limit", self.limit.is_some()),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

/// A row that is taken as it is printed.
pub(crate) fn bytes(text: &str) -> Result<Row, String> {
    Ok(Row(parse_binary(text)))
}

fn column(text: &str) -> Result<Column, String> {
    let (family, qualifier) = match text.split_once(':') {
        Some((family, qualifier)) => (family, Some(parse_binary(qualifier))),
        None => (text, None),
    };
    match family {
        "" => Err("expected family:qualifier, or a family".into()),
        family => Ok((parse_binary(family), qualifier)),
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

/// Fails if cells or rows were chosen where all are read.
pub(crate) fn check_none_given(rows: &RowArgs, cells: &CellArgs) -> Result<(), Fault> {
    match rows.given().or_else(|| cells.given()) {
        None => Ok(()),
        Some(name) => Err(Fault::usage(format!(
            "{name}: of an HFile all cells are counted; expected a directory of a region or a table"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use hregion::Get;

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
            .raw(true)
            .limit(3);
        assert_eq!(line.rows.scan(&line.cells, Some(3)), expected);
        let line = parse(&["--prefix", "ab", "--now", "7"]).unwrap();
        assert_eq!(line.rows.scan(&line.cells, None), Scan::new().prefix("ab"));
        assert_eq!(line.cells.selection().get(b"r".to_vec()), Get::new("r"));
        assert_eq!(
            (line.cells.clock().now(), line.rows.given(), line.cells.given()),
            (7, Some("--prefix"), Some("--now"))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            &["--versions", "0"][..],
            &["--versions", "many"],
            &["--columns", ":q"],
            &["--time-range", "5"],
            &["--time-range", "9..5"],
            &["--time-range", "-1.."],
            &["--prefix", "a", "--start", "b"],
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
        let prefix = rows(&["--prefix", "b"]);
        let bounds = [("", "b"), ("b", "ba"), ("bz", ""), ("c", ""), ("a", "c")];
        assert_eq!(overlaps(&prefix, &bounds), [false, true, true, false, true]);
    }
}
