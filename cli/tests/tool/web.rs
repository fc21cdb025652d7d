//! The answers of the page in `web/` equal the tool's.

use crate::support::{code, corrupt, golden, golden_names, json_lines, ok, run, stdout, testdata};
use hregion::{
    BlockHandle, CellRef, CellType, ChecksumType, HFile, HFileWriter, LocalFile, MemoryFile, SeekKey,
};
use hregion_web::Session;
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;

/// Files that need a key or a dictionary, which the page does not support.
const NEED_MORE: [&str; 2] = ["small-encrypted", "codec-zstd-dictionary"];

fn open(path: &str) -> Session {
    Session::open(Arc::new(LocalFile::open(path).unwrap()), |_, _| {})
}

fn ask(session: &Session, request: &Value) -> Value {
    serde_json::from_str(&session.answer(&request.to_string())).unwrap()
}

/// Converts the integers that JavaScript would round to strings.
fn exact(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none_or(|n| n.unsigned_abs() >= 1 << 53) => {
            number.to_string().into()
        }
        Value::Array(items) => items.iter().map(exact).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), exact(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Returns the cells of all pages.
fn all_cells(session: &Session, limit: u64) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), json!({}));
    while next != Value::Null {
        next["op"] = "cells".into();
        next["limit"] = limit.into();
        next["value_bytes"] = (1_u64 << 30).into();
        let page = ask(session, &next);
        assert_eq!(page["error"], Value::Null);
        let cells = page["cells"].as_array().unwrap();
        assert!(cells.len() as u64 <= limit);
        found.extend_from_slice(cells);
        next = page["next"].clone();
    }
    found
}

/// Returns the headers of all blocks.
fn all_blocks(session: &Session, limit: u64) -> Vec<Value> {
    let (mut found, mut offset) = (Vec::new(), json!(0));
    while offset != Value::Null {
        let page = ask(session, &json!({ "op": "blocks", "offset": offset, "limit": limit }));
        assert_eq!(page["error"], Value::Null);
        found.extend_from_slice(page["blocks"].as_array().unwrap());
        offset = page["next"].clone();
    }
    found
}

/// Adds the entries of the index's leaves below a path.
fn add_leaves(session: &Session, path: &[usize], found: &mut Vec<Value>) {
    let answer = ask(session, &json!({ "op": "index", "path": path, "limit": 1000 }));
    let entries = answer["entries"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(answer["count"], entries.len());
    if answer["data"] == true {
        return found.extend_from_slice(entries);
    }
    (0..entries.len()).for_each(|entry| add_leaves(session, &[path, &[entry]].concat(), found));
}

#[test]
fn golden_files_are_shown_as_the_tool_prints_them() {
    for name in golden_names() {
        if NEED_MORE.contains(&name.as_str()) {
            continue;
        }
        let path = golden(&format!("{name}.hfile"));
        let session = open(&path);
        let mut expected = json_lines(&ok(&["inspect", "--json", "--blocks", &path])).remove(0);
        let blocks = expected.as_object_mut().unwrap().remove("blocks").unwrap();
        let mut summary = ask(&session, &json!({ "op": "summary" }));
        let shown = summary.as_object_mut().unwrap();
        shown.retain(|member, _| expected.get(member).is_some());
        assert_eq!(summary, exact(&expected), "{name}");

        let mut headers = all_blocks(&session, 3);
        let keys: Vec<(Value, Value)> = headers
            .iter_mut()
            .filter_map(|header| {
                let header = header.as_object_mut().unwrap();
                header.remove("size").unwrap();
                let key = header.remove("key").filter(|key| !key.is_null());
                key.map(|key| (header["offset"].clone(), key))
            })
            .collect();
        assert_eq!(Value::from(headers), exact(&blocks), "{name}");
        let mut leaves = Vec::new();
        add_leaves(&session, &[], &mut leaves);
        let leaves: Vec<(Value, Value)> =
            leaves.iter().map(|leaf| (leaf["offset"].clone(), leaf["key"].clone())).collect();
        assert_eq!(keys, leaves, "{name}");

        let cells = exact(&json_lines(&ok(&["cells", "--json", &path])).into());
        assert_eq!(Value::from(all_cells(&session, 1000)), cells, "{name}");
        verified(&session, &path);
    }
}

/// Compares a verification with the tool's. Returns the number of faults.
fn verified(session: &Session, path: &str) -> usize {
    let lines = json_lines(&stdout(&run(&["verify", "--json", path])));
    let expected: Vec<Value> = lines.iter().filter(|line| line.get("kind").is_some()).map(exact).collect();
    let answer = ask(session, &json!({ "op": "verify" }));
    let faults = match answer.get("error") {
        Some(error) => vec![error.clone()],
        None => answer["faults"].as_array().unwrap().clone(),
    };
    assert_eq!(faults, expected, "{path}");
    if let Some(summary) = lines.iter().find_map(|line| line.get("summary"))
        && answer.get("error").is_none()
    {
        assert_eq!((&answer["blocks"], &answer["cells"]), (&summary["blocks"], &summary["cells"]), "{path}");
    }
    faults.len()
}

#[test]
fn pages_of_cells_join_forward_and_backward() {
    for name in
        ["shape-equal-keys-none", "shape-equal-keys-diff", "small-none-levels-5", "cells-prefix-tags2-mvcc1"]
    {
        let session = open(&golden(&format!("{name}.hfile")));
        let cells = all_cells(&session, 1000);
        assert_eq!(all_cells(&session, 7), cells, "{name}");
        if name.starts_with("shape-equal-keys") {
            // more cells than keys
            continue;
        }
        let at = cells.len() / 2;
        let before = ask(&session, &json!({ "op": "cells", "before": cells[at], "limit": 5 }));
        let shown = before["cells"].as_array().unwrap();
        let from = cells.iter().position(|cell| *cell == shown[0]).unwrap();
        assert!(from < at && at - from >= 5, "{name}: {from} {at}");
        assert_eq!(shown, &cells[from..from + shown.len()], "{name}");
        let none = ask(&session, &json!({ "op": "cells", "before": cells[0] }));
        assert_eq!(none["cells"], json!([]), "{name}");
    }
}

/// The cells of all blocks together equal those of the file, if no two blocks have the same key.
#[test]
fn each_cell_is_in_one_block() {
    let mut checked = 0;
    for name in golden_names() {
        if NEED_MORE.contains(&name.as_str()) {
            continue;
        }
        let session = open(&golden(&format!("{name}.hfile")));
        if ask(&session, &json!({ "op": "summary" }))["searchable"] == false {
            continue;
        }
        let keys: Vec<Value> = all_blocks(&session, 1000)
            .into_iter()
            .filter(|block| !block["key"].is_null())
            .map(|block| block["key"].clone())
            .collect();
        if keys.windows(2).any(|two| two[0] == two[1]) {
            continue;
        }
        let mut found = Vec::new();
        for key in &keys {
            let request =
                json!({ "op": "cells", "key": key, "block": true, "limit": 1000, "value_bytes": 1 << 30 });
            let mut answer = ask(&session, &request);
            loop {
                found.extend_from_slice(answer["cells"].as_array().unwrap());
                let mut next = answer["next"].clone();
                if next.is_null() {
                    break;
                }
                for (member, value) in request.as_object().unwrap() {
                    if next[member].is_null() {
                        next[member] = value.clone();
                    }
                }
                answer = ask(&session, &next);
            }
        }
        assert_eq!(found, all_cells(&session, 1000), "{name}");
        checked += usize::from(keys.len() > 1);
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn rows_are_found_as_by_seek() {
    let path = golden("small-none-row.hfile");
    let session = open(&path);
    let cells = all_cells(&session, 1000);
    let row = cells[cells.len() / 2]["row"].as_str().unwrap();
    for wanted in [row, &row[..row.len() - 1], "", "\\xFF\\xFF"] {
        let expected = json_lines(&ok(&["seek", "--json", &path, wanted]));
        let page = ask(&session, &json!({ "op": "cells", "row": wanted, "limit": 1 }));
        assert_eq!(page["cells"], exact(&expected.into()), "{wanted}");
    }
    let bloom = |row: &str| ask(&session, &json!({ "op": "bloom", "row": row }));
    for cell in &cells {
        let says = bloom(cell["row"].as_str().unwrap());
        assert_eq!((&says["may_contain_row"], &says["found"]), (&json!(true), &json!(true)), "{says}");
    }
    let absent = (0..100).filter(|at| bloom(&format!("absent-{at}"))["may_contain_row"] == false).count();
    assert!(absent > 80, "{absent}");
    assert_eq!(bloom("absent-1")["found"], false);
}

#[test]
fn damage_is_an_answer() {
    let mut damaged = 0;
    for entry in fs::read_dir(testdata("corrupt")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".hfile") {
            continue;
        }
        let path = corrupt(&name);
        let session = open(&path);
        let faults = verified(&session, &path);
        damaged += usize::from(faults > 0);
        assert!(faults > 0 || name.starts_with("sound-") || code(&run(&["verify", &path])) == 0, "{name}");
        let summary = ask(&session, &json!({ "op": "summary" }));
        if let Some(error) = summary.get("error") {
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{name}: {error}");
            assert!(faults > 0, "{name}");
        }
        for request in [
            json!({ "op": "blocks", "limit": 1000 }),
            json!({ "op": "index" }),
            json!({ "op": "index", "path": [0] }),
            json!({ "op": "cells", "limit": 1000 }),
            json!({ "op": "cells", "row": "\\xFF" }),
            json!({ "op": "bloom", "row": "r", "column": "f:q" }),
        ] {
            let answer = ask(&session, &request);
            assert!(answer.is_object(), "{name}: {request}");
            // a file that cannot be opened has no other answer
            if let Some(error) = summary.get("error") {
                assert_eq!(answer["error"], *error, "{name}: {request}");
            }
        }
    }
    assert!(damaged > 50, "{damaged}");
}

/// Writes cells, each with a row and a qualifier.
fn finish(mut writer: HFileWriter, cells: &[(&str, Vec<u8>)]) {
    for (row, qualifier) in cells {
        let key = SeekKey::of(row.as_bytes(), b"f", qualifier, 5, CellType::Put);
        writer.append(CellRef::new(&key, b"v")).unwrap();
    }
    writer.finish().unwrap();
}

/// The page draws the answers.
#[test]
fn long_keys_and_many_entries_make_no_long_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.hfile");
    // each cell in a separate block
    let mut writer = HFileWriter::options().block_size(1).create(&path).unwrap();
    for entry in 0..2000 {
        writer.add_file_info(format!("entry {entry:04}"), "v").unwrap();
    }
    writer.add_file_info("a long value", vec![b'v'; 1 << 20]).unwrap();
    writer.add_file_info(vec![b'b'; 1 << 20], "v").unwrap();
    let long = |byte: u8, len: usize, last: u8| [vec![byte; len], vec![last]].concat();
    let mut cells: Vec<_> = (0..100).map(|last| ("r", long(b'a', 100_000, last))).collect();
    // too long to be displayed
    cells.extend([0, 1].map(|last| ("r", long(b'b', 200_000, last))));
    finish(writer, &cells);

    let session = open(path.to_str().unwrap());
    let answer = |request: Value| {
        let answer = session.answer(&request.to_string());
        assert!(answer.len() < 8 << 20, "{request}: {} bytes", answer.len());
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    let summary = answer(json!({ "op": "summary" }));
    let info = summary["file_info"].as_object().unwrap();
    assert_eq!(info.len(), 1000);
    let inspected = json_lines(&ok(&["inspect", "--json", path.to_str().unwrap()])).remove(0);
    let all = inspected["file_info"].as_object().unwrap();
    assert_eq!(summary["file_info_left_out"], all.len() - info.len());
    let lengths = info.iter().flat_map(|(name, value)| [name.as_str(), value.as_str().unwrap_or("")]);
    let lengths: Vec<usize> = lengths.map(str::len).filter(|len| *len > 100).collect();
    assert!(lengths.len() == 2 && lengths.iter().all(|len| *len < 70_000), "{lengths:?}");
    assert!(summary["first_key"]["qualifier"].as_str().is_some_and(|name| name.starts_with("aaa")));

    let (mut found, mut pages, mut next) = (Vec::new(), 0, json!({}));
    let error = loop {
        (next["op"], next["limit"]) = ("cells".into(), 1000.into());
        let page = answer(next);
        found.extend_from_slice(page["cells"].as_array().unwrap());
        pages += 1;
        next = page["next"].clone();
        if next.is_null() {
            break page["error"]["kind"].clone();
        }
    };
    assert_eq!((error.as_str(), found.len()), (Some("Limit"), 100));
    assert!((2..10).contains(&pages), "{pages}");

    let (mut blocks, mut answers, mut offset) = (Vec::new(), 0, json!(0));
    while !offset.is_null() {
        let page = answer(json!({ "op": "blocks", "offset": offset, "limit": 1000 }));
        blocks.extend_from_slice(page["blocks"].as_array().unwrap());
        offset = page["next"].clone();
        answers += 1;
    }
    assert!((2..10).contains(&answers), "{answers}");
    let data: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "DATA").collect();
    assert_eq!(data.len(), cells.len());
    assert!(!data[0]["key"].is_null() && data[data.len() - 1]["key"].is_null());

    let mut path: Vec<usize> = Vec::new();
    while answer(json!({ "op": "index", "path": path }))["data"] != true {
        path.push(0);
    }
    let (mut from, mut count) = (0, 1);
    while from < count {
        let page = answer(json!({ "op": "index", "path": path, "from": from, "limit": 1000 }));
        let entries = page["entries"].as_array().unwrap().len();
        assert!(entries > 0);
        from += entries as u64;
        count = page["count"].as_u64().unwrap();
    }
    assert_eq!(from, count);
}

/// Replaces the last place of some bytes.
fn replace_last(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = (0..=bytes.len() - old.len()).rfind(|at| bytes[*at..].starts_with(old)).unwrap();
    bytes[at..at + old.len()].copy_from_slice(new);
}

/// Without a known order of keys, only the offsets of blocks show that an index leads back. If it does so on
/// each of its levels, it has no end.
#[test]
fn an_index_that_leads_back_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("back.hfile");
    // without checksums of the changed bytes
    let options = HFileWriter::options().checksum(ChecksumType::Null).block_size(1);
    let writer = options.index_chunk_size(1).index_min_entries(1).create(&path).unwrap();
    finish(writer, &["a", "b", "c", "d"].map(|row| (row, b"q".to_vec())));
    let file = HFile::open(&path).unwrap();
    // the index blocks above the leaves, each with one block
    let leaves = [[0, 0, 0], [0, 0, 1], [0, 1, 0]].map(|at| file.index_entries(&at).unwrap().unwrap());
    assert_eq!((file.index_levels(), leaves.each_ref().map(Vec::len)), (5, [2, 1, 1]));
    let bytes_of =
        |handle: BlockHandle| [&handle.offset.to_be_bytes()[..], &handle.on_disk_size.to_be_bytes()].concat();
    let mut bytes = fs::read(&path).unwrap();
    replace_last(&mut bytes, &bytes_of(leaves[1][0].1), &bytes_of(leaves[0][0].1));
    let comparator = file.trailer().comparator_class_name();
    replace_last(&mut bytes, comparator.as_bytes(), &vec![b'x'; comparator.len()]);
    let session = Session::open(Arc::new(MemoryFile::new("file", bytes)), |_, _| {});
    assert_eq!(ask(&session, &json!({ "op": "summary" }))["searchable"], false);
    let blocks = all_blocks(&session, 1000);
    let keys = blocks.iter().filter(|block| block["type"] == "DATA").map(|block| block["key"].is_null());
    assert_eq!(keys.collect::<Vec<_>>(), [false, false, true, true]);
}

#[test]
fn wrong_requests_are_answered() {
    let session = open(&golden("small-none-row.hfile"));
    let long = "r".repeat(1 << 16);
    for request in [
        json!({}),
        json!({ "op": "delete" }),
        json!({ "op": "cells", "limit": -1 }),
        json!({ "op": "cells", "row": 5 }),
        json!({ "op": "cells", "row": long }),
        json!({ "op": "cells", "row": "r", "column": long }),
        json!({ "op": "cells", "key": { "row": "r" } }),
        json!({ "op": "cells", "block": 1 }),
        json!({ "op": "index", "path": [99_999] }),
        json!({ "op": "index", "path": "0" }),
        json!({ "op": "bloom" }),
    ] {
        assert_eq!(ask(&session, &request)["error"]["kind"], "request", "{request}");
    }
    let answer: Value = serde_json::from_str(&session.answer("[")).unwrap();
    assert_eq!(answer["error"]["kind"], "request");
    assert!(ask(&session, &json!({ "op": "blocks", "offset": 7 }))["error"]["message"].is_string());
    assert_eq!(ask(&session, &json!({ "op": "blocks", "offset": u64::MAX }))["blocks"], json!([]));
}

#[test]
fn a_verification_says_how_far_it_is() {
    let bytes = fs::read(golden("small-none-row.hfile")).unwrap();
    let (len, last) = (bytes.len() as u64, Rc::new(Cell::new(0)));
    let seen = Rc::clone(&last);
    let session = Session::open(Arc::new(MemoryFile::new("file", bytes)), move |done, all| {
        assert!(seen.get() <= done && done <= all && all == len);
        seen.set(done);
    });
    assert_eq!(ask(&session, &json!({ "op": "verify" }))["faults"], json!([]));
    assert!(last.get() > 0);
}
