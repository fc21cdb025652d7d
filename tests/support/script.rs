//! Operation scripts and their answers, for the model. The format is JSON lines, one operation each.

use super::cells::text;
use super::model::{Cell, DeleteCell, Found, Model, Mutation, PutCell, Query, Refusal, Settings, Times};
use hregion::cell::{StringBinary, from_string_binary};
use hregion::{CellType, KeepDeletedCells};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Operations that the model does not support. A script with any of them is skipped.
const UNKNOWN: [&str; 5] = ["increment", "append", "check_and_mutate", "mutate_row", "crash"];

/// Members of reads that the model does not support. Only that read is skipped.
const UNKNOWN_ASKED: [&str; 4] = ["filter", "batch", "max_result_size", "allow_partial"];

/// Whether the model can play a script.
pub(crate) fn is_for_the_model(script: &[Value]) -> bool {
    !script.iter().any(|operation| UNKNOWN.contains(&text(&operation["op"])))
}

/// Plays a script on the model.
pub(crate) struct Player {
    model: Model,
    /// Open scanners and their read points.
    scanners: HashMap<String, i64>,
}

impl Player {
    /// Starts with the line that creates the region.
    pub(crate) fn new(create: &Value) -> Self {
        let families = array(&create["families"]).iter().map(|family| {
            let number = |name: &str| family[name].as_u64().map(|n| u32::try_from(n).expect("small numbers"));
            let keep = family["keep_deleted_cells"].as_str().unwrap_or("FALSE");
            let settings = Settings {
                max_versions: number("versions").unwrap_or(1),
                min_versions: number("min_versions").unwrap_or(0),
                ttl: number("ttl"),
                keep_deleted: KeepDeletedCells::from_name(keep).expect("FALSE, TRUE or TTL"),
                new_version_behavior: family["new_version_behavior"] == true,
            };
            (bytes(&family["name"]), settings)
        });
        let keys = ["start_key", "end_key"].map(|name| create.get(name).map_or(Vec::new(), bytes));
        let [start, end] = keys;
        let model = Model::new(families.collect(), integer(&create["now"])).with_keys(start, end);
        Self { model, scanners: HashMap::new() }
    }

    /// Plays an operation. Returns `None` if it has no answer, or if the model does not support the read.
    pub(crate) fn play(&mut self, operation: &Value) -> Option<Result<Value, Refusal>> {
        let model = &mut self.model;
        let done = match text(&operation["op"]) {
            "clock" => {
                model.set_clock(integer(&operation["now"]));
                Ok(())
            }
            "put" | "delete" => model.apply(&mutation(operation)),
            "batch" => {
                let mutations: Vec<Mutation> = array(&operation["mutations"]).iter().map(mutation).collect();
                let status: Vec<&str> = model.batch(&mutations).into_iter().map(status).collect();
                return Some(Ok(json!({ "status": status })));
            }
            "flush" => model.flush(&names(operation)),
            "compact" if operation["major"] == true => model.compact(&names(operation), 0, usize::MAX),
            "compact" => {
                model.compact(&names(operation), size(&operation["from"]), size(&operation["count"]))
            }
            "bulkload" => model.bulk_load(&loaded(operation)),
            "reopen" => {
                self.scanners.clear();
                model.reopen();
                Ok(())
            }
            "files" => {
                let files: serde_json::Map<String, Value> =
                    model.files().map(|(family, count)| (binary(family), json!(count))).collect();
                return Some(Ok(json!({ "files": files })));
            }
            "get" if is_known(operation) => {
                let found = model.get(&Query { raw: false, ..get(operation) });
                return Some(found.map(|cells| {
                    if operation["existence_only"] == true {
                        return json!({ "exists": !cells.is_empty() });
                    }
                    json!({ "cells": cells.iter().map(cell).collect::<Vec<_>>() })
                }));
            }
            "scan" if is_known(operation) => {
                let found = model.scan(&scan(operation));
                return Some(
                    found.map(
                        |rows| json!({ "rows": rows.iter().map(|cells| row(cells)).collect::<Vec<_>>() }),
                    ),
                );
            }
            "open_scanner" => {
                self.close(&operation["scanner"]);
                // the model does not check whether the scanner is refused: it only keeps the cells that such
                // a scanner may still return
                let read_point = self.model.hold();
                self.scanners.insert(text(&operation["scanner"]).into(), read_point);
                return None;
            }
            "close_scanner" => {
                self.close(&operation["scanner"]);
                return None;
            }
            "get" | "scan" | "next" => return None,
            other => panic!("no operation of scripts: {other}"),
        };
        match done {
            Ok(()) => None,
            Err(refusal) => Some(Err(refusal)),
        }
    }

    fn close(&mut self, scanner: &Value) {
        if let Some(read_point) = self.scanners.remove(text(scanner)) {
            self.model.release(read_point);
        }
    }
}

/// Formats an answer as a line.
pub(crate) fn answer(id: &Value, answer: Result<Value, Refusal>) -> Value {
    match answer {
        Ok(result) => json!({ "id": id, "result": result }),
        Err(refusal) => json!({ "id": id, "error": exception(refusal) }),
    }
}

fn exception(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoSuchColumnFamily => "NoSuchColumnFamilyException",
        Refusal::WrongRegion => "WrongRegionException",
        Refusal::FailedSanityCheck => "FailedSanityCheckException",
        Refusal::DoNotRetry => "DoNotRetryIOException",
    }
}

fn status(done: Result<(), Refusal>) -> &'static str {
    match done {
        Ok(()) => "SUCCESS",
        Err(Refusal::NoSuchColumnFamily) => "BAD_FAMILY",
        Err(_) => "SANITY_CHECK_FAILURE",
    }
}

/// Whether the model supports all members of a read.
fn is_known(operation: &Value) -> bool {
    UNKNOWN_ASKED.iter().all(|name| matches!(operation.get(name), None | Some(Value::Null)))
}

fn mutation(operation: &Value) -> Mutation {
    let row = bytes(&operation["row"]);
    let cells = operation["cells"].as_array().map_or(&[][..], Vec::as_slice);
    match text(&operation["op"]) {
        "put" => {
            let cell = |cell: &Value| PutCell {
                family: bytes(&cell[0]),
                qualifier: bytes(&cell[1]),
                timestamp: timestamp(&cell[2]),
                value: bytes(&cell[3]),
            };
            Mutation::Put { row, cells: cells.iter().map(cell).collect(), ttl: operation["ttl"].as_i64() }
        }
        "delete" => {
            let cell = |cell: &Value| DeleteCell {
                kind: match text(&cell[0]) {
                    "column" => CellType::DeleteColumn,
                    "version" => CellType::Delete,
                    "family" => CellType::DeleteFamily,
                    "family_version" => CellType::DeleteFamilyVersion,
                    other => panic!("no kind of marker: {other}"),
                },
                family: bytes(&cell[1]),
                qualifier: bytes(&cell[2]),
                timestamp: timestamp(&cell[3]),
            };
            let cells = cells.iter().map(cell).collect();
            Mutation::Delete { row, cells, timestamp: timestamp(&operation["timestamp"]) }
        }
        other => panic!("no mutation of batches: {other}"),
    }
}

/// HBase's LATEST_TIMESTAMP means the time of the clock.
fn timestamp(value: &Value) -> Option<i64> {
    value.as_i64().filter(|timestamp| *timestamp != i64::MAX)
}

fn loaded(operation: &Value) -> Vec<(Vec<u8>, Vec<Cell>)> {
    let cell = |cell: &Value| Cell {
        row: bytes(&cell[0]),
        qualifier: bytes(&cell[1]),
        timestamp: integer(&cell[2]),
        kind: CellType::from_name(text(&cell[3])).expect("a type of cells"),
        value: bytes(&cell[4]),
        ttl: None,
        seq_id: 0,
    };
    let file =
        |file: &Value| (bytes(&file["family"]), array(&file["cells"]).iter().map(cell).collect::<Vec<_>>());
    array(&operation["files"]).iter().map(file).collect()
}

fn names(operation: &Value) -> Vec<Vec<u8>> {
    operation["families"].as_array().into_iter().flatten().map(bytes).collect()
}

fn get(operation: &Value) -> Query {
    let row = bytes(&operation["row"]);
    Query { start: row.clone(), stop: row, include_stop: true, ..asked(operation) }
}

fn scan(operation: &Value) -> Query {
    let flag = |name: &str, default| operation[name].as_bool().unwrap_or(default);
    let row = |name: &str| operation.get(name).filter(|row| !row.is_null()).map_or(Vec::new(), bytes);
    let mut query = Query {
        start: row("start"),
        include_start: flag("include_start", true),
        stop: row("stop"),
        include_stop: flag("include_stop", false),
        reversed: flag("reversed", false),
        raw: flag("raw", false),
        limit: operation["limit"]
            .as_u64()
            .filter(|limit| *limit > 0)
            .map(|limit| limit.try_into().expect("small numbers")),
        ..asked(operation)
    };
    if operation["prefix"].is_string() {
        query.start = row("prefix");
        query.include_start = true;
        // the stop row is the successor of the prefix: the last byte below 0xff is incremented and the rest
        // removed
        query.stop = query.start.clone();
        while query.stop.pop_if(|last| *last == u8::MAX).is_some() {}
        if let Some(last) = query.stop.last_mut() {
            *last += 1;
        }
        query.include_stop = false;
    }
    query
}

fn asked(operation: &Value) -> Query {
    let mut query = Query::default();
    for family in names(operation) {
        query.families.insert(family, Vec::new());
    }
    for column in operation["columns"].as_array().into_iter().flatten() {
        query.families.entry(bytes(&column[0])).or_default().push(bytes(&column[1]));
    }
    if let Some(versions) = operation["versions"].as_u64() {
        query.versions = u32::try_from(versions).expect("small numbers");
    }
    let times = |range: &Value| Times(integer(&range[0]), integer(&range[1]));
    if operation["time_range"].is_array() {
        query.times = times(&operation["time_range"]);
    }
    for (family, range) in operation["family_time_ranges"].as_object().into_iter().flatten() {
        query.family_times.insert(from_string_binary(family), times(range));
    }
    query.store_limit = operation["store_limit"].as_i64().and_then(|limit| usize::try_from(limit).ok());
    query.store_offset =
        operation["store_offset"].as_u64().map_or(0, |offset| offset.try_into().expect("small numbers"));
    query
}

fn row(cells: &[Found]) -> Value {
    json!({ "row": binary(&cells[0].1.row), "cells": cells.iter().map(cell).collect::<Vec<_>>() })
}

fn cell((family, cell): &Found) -> Value {
    let Cell { qualifier, timestamp, kind, value, .. } = cell;
    let shown = json!([binary(family), binary(qualifier), timestamp, kind.name(), binary(value)]);
    let Some(ttl) = cell.ttl else { return shown };
    let mut members = array(&shown).to_vec();
    members.push(json!([[8, binary(&ttl.to_be_bytes())]]));
    Value::Array(members)
}

fn binary(bytes: &[u8]) -> String {
    StringBinary(bytes).to_string()
}

fn bytes(value: &Value) -> Vec<u8> {
    from_string_binary(text(value))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("expected a list, found {value}"))
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("expected an integer, found {value}"))
}

fn size(value: &Value) -> usize {
    value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}
