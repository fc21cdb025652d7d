//! Mutations, single and combined (replay.md §4).

use super::error_map::ScriptError;
use super::members::{self, Members, required, tuple};
use super::query::{Parsed, parse_range};
use hregion::cell::{LATEST_TIMESTAMP, MAX_FAMILY_LEN, MAX_ROW_LEN};
use hregion::{Append, Delete, Increment, Mutation, Put, TimeRange};
use serde_json::Value;
use std::time::Duration;

/// Mutations of one row.
#[derive(Debug)]
pub(super) struct RowMutations {
    pub(super) row: Vec<u8>,
    /// `None` for those that write nothing.
    pub(super) mutations: Vec<Option<Mutation>>,
}

/// Parses the mutations of a row that is given outside. `None` are puts, increments and appends without
/// cells: a region of HBase accepts them, and writes nothing. If HBase's client would refuse to build one, or
/// one is of another row, all are refused; the latter as `alone` if there are no others.
pub(super) fn parse_mutations(
    row: &[u8],
    alone: ScriptError,
    members: &mut Members,
) -> Result<Parsed<Vec<Option<Mutation>>>, String> {
    let parse = |value: Value| {
        let mut members = Members::of(value, "a mutation")?;
        let op = required(members.text("op")?, "op")?;
        // a mutation may name its row, too
        let row = members.bytes("row")?.unwrap_or_else(|| row.to_owned());
        let writes = writes(&op, &members);
        let mutation = parse_mutation(&op, row, &mut members)?;
        members.end().map(|()| (mutation, writes))
    };
    let mutations = required(members.list_of("mutations", parse)?, "mutations")?;
    let of_other_row = if mutations.len() == 1 { alone } else { ScriptError::WrongRow };
    let check = |mutation: Mutation| if mutation.row() == row { Ok(mutation) } else { Err(of_other_row) };
    let mutations: Parsed<Vec<(Mutation, bool)>> =
        mutations.into_iter().map(|(mutation, writes)| Ok((mutation.and_then(check)?, writes))).collect();
    let writing = |all: Vec<(Mutation, bool)>| {
        all.into_iter().map(|(mutation, writes)| writes.then_some(mutation)).collect()
    };
    Ok(check_row(row).and(mutations).map(writing))
}

/// Parses an increment or append alone.
pub(super) fn parse_change(
    op: &str,
    row: Vec<u8>,
    members: &mut Members,
) -> Result<Parsed<RowMutations>, String> {
    let writes = writes(op, members);
    let mutation = parse_mutation(op, row.clone(), members)?;
    Ok(mutation.map(|mutation| RowMutations { row, mutations: vec![writes.then_some(mutation)] }))
}

/// Whether a mutation writes anything: a delete without cells is of all families.
fn writes(op: &str, members: &Members) -> bool {
    op == "delete" || !members.is_without("cells")
}

/// Parses the mutations of a batch: puts and deletes of any rows. If HBase's client would refuse to build
/// one, all are refused.
pub(super) fn parse_batch(members: &mut Members) -> Result<Parsed<Vec<Mutation>>, String> {
    let parse = |value| {
        let mut members = Members::of(value, "a mutation")?;
        let op = required(members.text("op")?, "op")?;
        let row = required(members.bytes("row")?, "row")?;
        let mutation = parse_mutation(&op, row, &mut members)?;
        members.end()?;
        match mutation {
            Ok(Mutation::Increment(_) | Mutation::Append(_)) => Err("expected puts and deletes".into()),
            mutation => Ok(mutation),
        }
    };
    Ok(required(members.list_of("mutations", parse)?, "mutations")?.into_iter().collect())
}

fn parse_mutation(op: &str, row: Vec<u8>, members: &mut Members) -> Result<Parsed<Mutation>, String> {
    Ok(match op {
        "put" => parse_put(row, members)?.map(Mutation::from),
        "delete" => parse_delete(row, members)?.map(Mutation::from),
        "increment" => parse_increment(row, members)?.map(Mutation::from),
        "append" => parse_append(row, members)?.map(Mutation::from),
        _ => return Err(format!("{op}: expected a put, delete, increment or append")),
    })
}

/// Parses an increment of a row.
fn parse_increment(row: Vec<u8>, members: &mut Members) -> Result<Parsed<Increment>, String> {
    let mut built = check_row(&row);
    let mut increment = Increment::new(row);
    for cell in members.list("cells")?.unwrap_or_default() {
        let [family, qualifier, amount] = tuple(cell, "[family, qualifier, amount]")?;
        let (family, qualifier) = (members::bytes(family)?, members::bytes(qualifier)?);
        built = built.and_then(|()| check_family(&family));
        increment = increment.column(family, qualifier, members::number(amount)?);
    }
    let settings = DeltaSettings::parse(members)?;
    Ok(built.and(settings).map(|DeltaSettings { ttl, time_range, results }| {
        let increment = increment.time_range(time_range).return_results(results);
        match ttl {
            Some(ttl) => increment.ttl(ttl),
            None => increment,
        }
    }))
}

/// Parses an append to a row.
fn parse_append(row: Vec<u8>, members: &mut Members) -> Result<Parsed<Append>, String> {
    let mut built = check_row(&row);
    let mut append = Append::new(row);
    for cell in members.list("cells")?.unwrap_or_default() {
        let [family, qualifier, bytes] = tuple(cell, "[family, qualifier, bytes]")?;
        let (family, qualifier) = (members::bytes(family)?, members::bytes(qualifier)?);
        built = built.and_then(|()| check_family(&family));
        append = append.column(family, qualifier, members::bytes(bytes)?);
    }
    let settings = DeltaSettings::parse(members)?;
    Ok(built.and(settings).map(|DeltaSettings { ttl, time_range, results }| {
        let append = append.time_range(time_range).return_results(results);
        match ttl {
            Some(ttl) => append.ttl(ttl),
            None => append,
        }
    }))
}

/// Refuses a row for which HBase's client builds no mutation.
fn check_row(row: &[u8]) -> Parsed<()> {
    if row.is_empty() || row.len() > MAX_ROW_LEN { Err(ScriptError::IllegalArgument) } else { Ok(()) }
}

/// Refuses a family for which HBase's client builds no cell.
fn check_family(family: &[u8]) -> Parsed<()> {
    if family.len() > MAX_FAMILY_LEN { Err(ScriptError::IllegalArgument) } else { Ok(()) }
}

/// Refuses a negative timestamp, with which HBase's client builds no mutation.
fn check_timestamp(timestamp: Option<i64>) -> Parsed<()> {
    if timestamp.is_some_and(i64::is_negative) { Err(ScriptError::IllegalArgument) } else { Ok(()) }
}

/// Takes a time to live in milliseconds. HBase also takes a negative one.
fn parse_ttl(members: &mut Members) -> Result<Parsed<Option<Duration>>, String> {
    let millis = members.number("ttl")?.map(u64::try_from).transpose();
    Ok(millis.map(|millis| millis.map(Duration::from_millis)).map_err(|_| ScriptError::Unsupported))
}

/// The common settings of increments and appends.
struct DeltaSettings {
    ttl: Option<Duration>,
    time_range: TimeRange,
    results: bool,
}

impl DeltaSettings {
    fn parse(members: &mut Members) -> Result<Parsed<Self>, String> {
        let (ttl, time_range) = (parse_ttl(members)?, parse_time_range(members)?);
        let results = members.flag("return", true)?;
        Ok(time_range.and_then(|time_range| Ok(Self { ttl: ttl?, time_range, results })))
    }
}

/// Takes the member `time_range`.
pub(super) fn parse_time_range(members: &mut Members) -> Result<Parsed<TimeRange>, String> {
    members.take("time_range").map_or(Ok(Ok(TimeRange::ALL)), parse_range)
}

/// Parses a put to a row.
pub(super) fn parse_put(row: Vec<u8>, members: &mut Members) -> Result<Parsed<Put>, String> {
    let mut built = check_row(&row);
    let mut put = Put::new(row);
    for cell in members.list("cells")?.unwrap_or_default() {
        let [family, qualifier, timestamp, value] = tuple(cell, "[family, qualifier, timestamp, value]")?;
        let (family, qualifier) = (members::bytes(family)?, members::bytes(qualifier)?);
        let (timestamp, value) = (parse_timestamp(timestamp)?, members::bytes(value)?);
        built = built.and_then(|()| check_family(&family)).and_then(|()| check_timestamp(timestamp));
        put = match timestamp {
            Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
            None => put.cell(family, qualifier, value),
        };
    }
    let ttl = parse_ttl(members)?;
    Ok(built.and(ttl).map(|ttl| match ttl {
        Some(ttl) => put.ttl(ttl),
        None => put,
    }))
}

/// Parses a delete of a row.
pub(super) fn parse_delete(row: Vec<u8>, members: &mut Members) -> Result<Parsed<Delete>, String> {
    let own = members.number("timestamp")?;
    let mut built = check_row(&row).and_then(|()| check_timestamp(own));
    let mut delete = Delete::new(row);
    if let Some(timestamp) = own {
        delete = delete.timestamp(timestamp);
    }
    for cell in members.list("cells")?.unwrap_or_default() {
        let [kind, family, qualifier, timestamp] = tuple(cell, "[kind, family, qualifier, timestamp]")?;
        let (family, qualifier) = (members::bytes(family)?, members::bytes(qualifier)?);
        // Not the row's own timestamp, which is that of a delete without cells.
        let timestamp = parse_timestamp(timestamp)?;
        built = built.and_then(|()| check_family(&family)).and_then(|()| check_timestamp(timestamp));
        let timestamp = timestamp.unwrap_or(LATEST_TIMESTAMP);
        let kind = members::text(kind)?;
        if kind.starts_with("family") && !qualifier.is_empty() {
            return Err(format!("{kind}: expected an empty qualifier"));
        }
        delete = match kind.as_str() {
            "column" => delete.column_at(family, qualifier, timestamp),
            "version" => delete.version_at(family, qualifier, timestamp),
            "family" => delete.family_at(family, timestamp),
            "family_version" => delete.family_version(family, timestamp),
            _ => return Err("expected a kind of column, version, family or family_version".into()),
        };
    }
    Ok(built.map(|()| delete))
}

/// Parses a timestamp; `None` means the current time.
fn parse_timestamp(value: Value) -> Result<Option<i64>, String> {
    match value {
        Value::Null => Ok(None),
        value => Ok(Some(members::number(value)?).filter(|&timestamp| timestamp != LATEST_TIMESTAMP)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(value: Value) -> Result<Parsed<Put>, String> {
        let mut members = Members::of(value, "a put")?;
        let row = required(members.bytes("row")?, "row")?;
        let put = parse_put(row, &mut members)?;
        members.end().map(|()| put)
    }

    fn delete(value: Value) -> Result<Parsed<Delete>, String> {
        let mut members = Members::of(value, "a delete")?;
        let row = required(members.bytes("row")?, "row")?;
        let delete = parse_delete(row, &mut members)?;
        members.end().map(|()| delete)
    }

    #[test]
    fn puts() {
        let cells = json!([["f", "\\x00", 5, "v"], ["f", "", null, "w"], ["f", "q", i64::MAX, ""]]);
        assert_eq!(
            put(json!({"row": "r", "cells": cells, "ttl": 7})),
            Ok(Ok(Put::new("r")
                .cell_at("f", &b"\0"[..], 5, "v")
                .cell("f", "", "w")
                .cell("f", "q", "")
                .ttl(Duration::from_millis(7))))
        );
        assert_eq!(put(json!({"row": "r"})), Ok(Ok(Put::new("r"))));
        assert_eq!(put(json!({"row": "r", "cells": [], "ttl": -1})), Ok(Err(ScriptError::Unsupported)));
        for wrong in [
            json!({"cells": []}),
            json!({"row": "r", "cells": [["f", "q", 5]]}),
            json!({"row": "r", "cells": [["f", "q", "5", "v"]]}),
            json!({"row": "r", "cells": [], "tll": 1}),
        ] {
            assert!(put(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn deletes() {
        let cells = json!([["column", "f", "q", null], ["version", "f", "q", 3], ["version", "g", "", null]]);
        assert_eq!(
            delete(json!({"row": "r", "cells": cells})),
            Ok(Ok(Delete::new("r")
                .column_at("f", "q", LATEST_TIMESTAMP)
                .version_at("f", "q", 3)
                .version_at("g", "", LATEST_TIMESTAMP)))
        );
        let cells = json!([["family", "f", "", 4], ["family_version", "g", "", 5], ["column", "g", "q", 6]]);
        assert_eq!(
            delete(json!({"row": "r", "cells": cells})),
            Ok(Ok(Delete::new("r").family_at("f", 4).family_version("g", 5).column_at("g", "q", 6)))
        );
        assert_eq!(delete(json!({"row": "r", "timestamp": 9})), Ok(Ok(Delete::new("r").timestamp(9))));
        for wrong in [
            json!({"row": "r", "cells": [["row", "f", "", 1]]}),
            json!({"row": "r", "cells": [["family", "f", "q", 1]]}),
            json!({"row": "r", "cells": [["column", "f", "q"]]}),
        ] {
            assert!(delete(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn increments_and_appends() {
        let mutations = |value| {
            let mut members = Members::of(value, "mutations").unwrap();
            parse_mutations(b"r", ScriptError::IllegalArgument, &mut members)
        };
        let both = json!({"mutations": [
            {"op": "increment", "cells": [["f", "q", -3], ["f", "", 1]], "ttl": 7, "return": false},
            {"op": "append", "cells": [["f", "q", "\\x00"]], "time_range": [1, 5]},
        ]});
        let increment = Increment::new("r")
            .column("f", "q", -3)
            .column("f", "", 1)
            .ttl(Duration::from_millis(7))
            .return_results(false);
        let range = TimeRange::new(1, 5).unwrap();
        let append = Append::new("r").column("f", "q", &b"\0"[..]).time_range(range);
        assert_eq!(mutations(both), Ok(Ok(vec![Some(increment.into()), Some(append.into())])));
        let other = json!({"op": "delete", "row": "other"});
        assert_eq!(mutations(json!({"mutations": [other]})), Ok(Err(ScriptError::IllegalArgument)));
        let both = json!({"mutations": [{"op": "delete", "row": "r"}, other]});
        assert_eq!(mutations(both), Ok(Err(ScriptError::WrongRow)));
        let nothing = json!([{"op": "put"}, {"op": "increment", "cells": []}, {"op": "append", "cells": null},
            {"op": "delete", "cells": []}]);
        let delete = Some(Delete::new("r").into());
        assert_eq!(mutations(json!({"mutations": nothing})), Ok(Ok(vec![None, None, None, delete])));
        let illegal = json!({"mutations": [{"op": "increment", "cells": [], "time_range": [5, 1]}]});
        assert_eq!(mutations(illegal), Ok(Err(ScriptError::IllegalArgument)));
        for wrong in [
            json!({}),
            json!({"mutations": [{"op": "get"}]}),
            json!({"mutations": [{"op": "increment", "cells": [["f", "q", "1"]]}]}),
            json!({"mutations": [{"op": "append", "cells": [["f", "q", 1]]}]}),
            json!({"mutations": [{"op": "append", "cells": [], "more": 1}]}),
        ] {
            assert!(mutations(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn batches_are_of_puts_and_deletes() {
        let batch = |value| parse_batch(&mut Members::of(value, "a batch").unwrap());
        let both =
            json!({"mutations": [{"op": "put", "row": "a", "cells": []}, {"op": "delete", "row": "b"}]});
        assert_eq!(batch(both), Ok(Ok(vec![Put::new("a").into(), Delete::new("b").into()])));
        for wrong in [
            json!({"mutations": [{"op": "put", "cells": []}]}),
            json!({"mutations": [{"op": "append", "row": "a", "cells": []}]}),
        ] {
            assert!(batch(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_client_does_not_build_is_refused() {
        let (row, family) = ("r".repeat(MAX_ROW_LEN + 1), "f".repeat(MAX_FAMILY_LEN + 1));
        let cells = json!([["f", "q", 1, "v"], ["f", "q", -1, "v"]]);
        for wrong in [
            json!({"op": "put", "row": "r", "cells": cells}),
            json!({"op": "put", "row": "", "cells": [["f", "q", 1, "v"]]}),
            json!({"op": "put", "row": row, "cells": [["f", "q", 1, "v"]]}),
            json!({"op": "delete", "row": "r", "timestamp": -1}),
            json!({"op": "delete", "row": "r", "cells": [["family", "f", "", i64::MIN]]}),
            json!({"op": "delete", "row": ""}),
            json!({"op": "increment", "row": "", "cells": [["f", "q", 1]]}),
            json!({"op": "put", "row": "r", "cells": [[family, "q", 1, "v"]]}),
            json!({"op": "delete", "row": "r", "cells": [["family", family, "", 1]]}),
            json!({"op": "increment", "row": "r", "cells": [[family, "q", 1]]}),
            json!({"op": "append", "row": "r", "cells": [[family, "q", "v"]]}),
            json!({"op": "append", "row": row, "cells": [["f", "q", "v"]]}),
        ] {
            let right = json!({"op": "put", "row": "r", "cells": [["f", "q", 0, "v"]]});
            let all = json!({"mutations": [right, wrong]});
            let mut members = Members::of(all, "mutations").unwrap();
            let parsed = parse_mutations(b"r", ScriptError::WrongRow, &mut members);
            assert_eq!(parsed, Ok(Err(ScriptError::IllegalArgument)), "{wrong}");
        }
        let mut members =
            Members::of(json!({"mutations": [{"op": "delete", "row": ""}]}), "a batch").unwrap();
        assert_eq!(parse_batch(&mut members), Ok(Err(ScriptError::IllegalArgument)));
    }
}
