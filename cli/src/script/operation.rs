//! The lines of a script (replay.md §1), each with one operation.

use super::bulk_load::BulkFile;
use super::check::{Check, parse_check};
use super::error_map::ScriptError;
use super::family::Create;
use super::members::{self, Members, required};
use super::mutation::{RowMutations, parse_batch, parse_change, parse_delete, parse_mutations, parse_put};
use super::query::{Parsed, ScanOf, parse_get, parse_scan};
use crate::lines::json_fault;
use hregion::{Delete, Get, Mutation, Put};

/// A line of a script.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) id: i64,
    pub(super) operation: Operation,
}

/// An operation.
#[derive(Debug)]
pub(super) enum Operation {
    Create(Create),
    Clock(i64),
    Put(Parsed<Put>),
    Delete(Parsed<Delete>),
    /// An increment or append.
    Change(Parsed<RowMutations>),
    MutateRow(Parsed<RowMutations>),
    Batch(Parsed<Vec<Mutation>>),
    Check(Parsed<Check>),
    /// Flushes these families, or all.
    Flush(Option<Vec<Vec<u8>>>),
    Compact(Option<Vec<Vec<u8>>>, Chosen),
    BulkLoad(Vec<BulkFile>),
    Files,
    Reopen,
    /// Ends the process, as far as the region can tell, and opens the region again.
    Crash,
    Get(Parsed<Get>),
    Exists(Parsed<Get>),
    Scan(Parsed<ScanOf>),
    OpenScanner(String, Parsed<ScanOf>),
    /// Reads up to this many rows of an open scanner, or all.
    Next(String, Option<usize>),
    CloseScanner(String),
}

/// The files of a family that a compaction takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    All,
    /// `count` files, starting with index `from`; 0 is the oldest.
    Some {
        from: usize,
        count: usize,
    },
}

impl Line {
    /// Parses a line.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        let value = serde_json::from_slice(line).map_err(|error| json_fault(&error))?;
        let mut members = Members::of(value, "an operation")?;
        let id = required(members.number("id")?, "id")?;
        let op = required(members.text("op")?, "op")?;
        // marks operations for which HBase's answers are not the expected ones
        members.text("quirk")?;
        let operation = Operation::parse(&op, &mut members).map_err(|message| format!("{op}: {message}"))?;
        members.end().map_err(|message| format!("{op}: {message}"))?;
        Ok(Self { id, operation })
    }

    /// Returns the number of the operation.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }
}

impl Operation {
    fn parse(op: &str, members: &mut Members) -> Result<Self, String> {
        Ok(match op {
            "create" => Self::Create(Create::parse(members)?),
            "clock" => Self::Clock(required(members.number("now")?, "now")?),
            "put" => Self::Put(parse_put(parse_row(members)?, members)?),
            "delete" => Self::Delete(parse_delete(parse_row(members)?, members)?),
            "increment" | "append" => Self::Change(parse_change(op, parse_row(members)?, members)?),
            "mutate_row" => {
                let row = parse_row(members)?;
                let mutations = parse_mutations(&row, ScriptError::WrongRow, members)?;
                Self::MutateRow(mutations.map(|mutations| RowMutations { row, mutations }))
            }
            "batch" => Self::Batch(parse_batch(members)?),
            "check_and_mutate" => Self::Check(parse_check(members)?),
            "flush" => Self::Flush(parse_families(members)?),
            "compact" => Self::Compact(parse_families(members)?, Chosen::parse(members)?),
            "bulkload" => Self::BulkLoad(required(members.list_of("files", BulkFile::parse)?, "files")?),
            "files" => Self::Files,
            "reopen" => Self::Reopen,
            "crash" => Self::Crash,
            "get" => {
                let existence_only = members.flag("existence_only", false)?;
                let get = parse_get(members)?;
                if existence_only { Self::Exists(get) } else { Self::Get(get) }
            }
            "scan" => Self::Scan(parse_scan(members)?),
            "open_scanner" => {
                let scanner = parse_scanner(members)?;
                let mut scan = Members::of(required(members.take("scan"), "scan")?, "a scan")?;
                let parsed = parse_scan(&mut scan)?;
                scan.end()?;
                Self::OpenScanner(scanner, parsed)
            }
            "next" => {
                let rows = members.number("rows")?.map(|rows| not_negative(rows, "rows")).transpose()?;
                Self::Next(parse_scanner(members)?, rows)
            }
            "close_scanner" => Self::CloseScanner(parse_scanner(members)?),
            _ => return Err("there is no such operation".into()),
        })
    }
}

impl Chosen {
    fn parse(members: &mut Members) -> Result<Self, String> {
        let is_major = members.flag("major", false)?;
        let mut number = |name, default| not_negative(members.number(name)?.unwrap_or(default), name);
        let (from, count) = (number("from", 0)?, number("count", 2)?);
        Ok(if is_major { Self::All } else { Self::Some { from, count } })
    }
}

/// Takes the names of families; `None` are all of them.
fn parse_families(members: &mut Members) -> Result<Option<Vec<Vec<u8>>>, String> {
    Ok(members.list_of("families", members::bytes)?.filter(|families| !families.is_empty()))
}

fn parse_row(members: &mut Members) -> Result<Vec<u8>, String> {
    required(members.bytes("row")?, "row")
}

fn parse_scanner(members: &mut Members) -> Result<String, String> {
    required(members.text("scanner")?, "scanner")
}

fn not_negative(number: i64, name: &str) -> Result<usize, String> {
    usize::try_from(number).map_err(|_| format!("{name}: expected 0 or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Operation, String> {
        Line::parse(line.as_bytes()).map(|line| line.operation)
    }

    #[test]
    fn operations() {
        let line = Line::parse(br#"{"id":7,"op":"clock","now":12,"quirk":"never_ends"}"#).unwrap();
        assert_eq!(line.id, 7);
        assert!(matches!(line.operation, Operation::Clock(12)));
        assert!(matches!(parse(r#"{"id":1,"op":"flush"}"#), Ok(Operation::Flush(None))));
        let flush = parse(r#"{"id":1,"op":"flush","families":["f"]}"#);
        assert!(matches!(flush, Ok(Operation::Flush(Some(families))) if families == [b"f"]));
        let compact = parse(r#"{"id":1,"op":"compact","from":1,"count":3}"#);
        assert!(matches!(compact, Ok(Operation::Compact(None, Chosen::Some { from: 1, count: 3 }))));
        let compact = parse(r#"{"id":1,"op":"compact","families":[]}"#);
        assert!(matches!(compact, Ok(Operation::Compact(None, Chosen::Some { from: 0, count: 2 }))));
        let compact = parse(r#"{"id":1,"op":"compact","major":true,"families":["g"],"from":1}"#);
        assert!(matches!(compact, Ok(Operation::Compact(Some(_), Chosen::All))));
        let next = parse(r#"{"id":1,"op":"next","scanner":"s","rows":2}"#);
        assert!(matches!(next, Ok(Operation::Next(name, Some(2))) if name == "s"));
        let open = parse(r#"{"id":1,"op":"open_scanner","scanner":"s","scan":{"start":"a"}}"#);
        assert!(matches!(open, Ok(Operation::OpenScanner(_, Ok(_)))));
        assert!(matches!(
            parse(r#"{"id":1,"op":"get","row":"r","existence_only":true}"#),
            Ok(Operation::Exists(Ok(_)))
        ));
        assert!(matches!(parse(r#"{"id":1,"op":"crash"}"#), Ok(Operation::Crash)));
    }

    #[test]
    fn errors_name_the_wrong_member() {
        for (line, expected) in [
            ("[]", "expected an operation, which is an object"),
            (r#"{"op":"files"}"#, "id: missing"),
            (r#"{"id":1}"#, "op: missing"),
            (r#"{"id":1,"op":"truncate"}"#, "truncate: there is no such operation"),
            (r#"{"id":1,"op":"files","of":"f"}"#, "files: of: there is no such member here"),
            (r#"{"id":1,"op":"compact","from":-1}"#, "compact: from: expected 0 or more"),
            (r#"{"id":1,"op":"next","scanner":"s","rows":-1}"#, "next: rows: expected 0 or more"),
            (
                r#"{"id":1,"op":"open_scanner","scanner":"s","scan":{"row":""}}"#,
                "open_scanner: row: there is no such member here",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err(), expected, "{line}");
        }
        assert!(parse("{\"id\":1,").is_err());
    }
}
