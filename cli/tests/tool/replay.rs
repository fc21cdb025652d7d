//! Plays operation scripts with the tool and compares the answers with a real HBase's.

#[cfg(all(unix, feature = "internals"))]
mod kills;

use crate::library::golden;
use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of answers in the scripts of the whole corpus.
const ANSWERS: usize = 55_570;

/// Answers in which HBase deviates from its own intention.
///
/// - A flush drops cells that an open scanner (a raw one, or one of older times) has not returned yet; when
///   the scanner continues, it reads the new file (read-path.md §4.4).
/// - In a backward scan, a range of rows without an end is treated as the least range (§13.5).
/// - A seek caused by an unrequested column skips one where WHILE would have ended (§23.21; 2.6.4 ends
///   there).
const FAULTS: [(&str, i64); 6] = [
    ("large-1.script.jsonl", 493),
    ("filters_columns-4.script.jsonl", 189),
    ("scanners-2.script.jsonl", 26),
    ("scanners-2.script.jsonl", 29),
    ("scanners_reversed-1.script.jsonl", 145),
    ("filters_rows-6.script.jsonl", 167),
];

/// Settings that must not change any answer.
const SETTINGS: [&[&str]; 10] = [
    &["encoding=NONE"],
    &["encoding=PREFIX"],
    &["encoding=DIFF"],
    &["encoding=FAST_DIFF"],
    &["encoding=ROW_INDEX_V1"],
    &["bloom=NONE"],
    &["bloom=ROWCOL", "compression=GZ"],
    &["bloom=ROWPREFIX_FIXED_LENGTH:1"],
    &["encoding=DIFF", "bloom=ROW", "block_size=32"],
    &["encoding=ROW_INDEX_V1", "bloom=ROWCOL", "block_size=64"],
];

/// The results of played scripts.
#[derive(Default)]
struct Tally {
    scripts: usize,
    compared: usize,
    /// Each script with differences, with their number and the first one.
    differences: Vec<(String, usize, String)>,
}

#[test]
fn scripts_at_hand_give_the_answers_of_hbase() {
    let tally = play_all(&scripts(&testdata("corpora")), &[]);
    assert!(tally.scripts > 20 && tally.compared > 1000, "{} scripts", tally.scripts);
    tally.check();
}

#[test]
fn all_scripts_give_the_answers_of_hbase() {
    let Some(scripts) = corpus() else { return };
    let tally = play_all(&scripts, &[]);
    tally.check();
    assert!(tally.compared >= ANSWERS, "{}", tally.compared);
}

#[test]
fn settings_change_no_answer() {
    let scripts = scripts(&testdata("corpora"));
    for (i, settings) in SETTINGS.iter().enumerate() {
        // each setting with a fifth of the scripts
        let some: Vec<PathBuf> = scripts.iter().skip(i % 5).step_by(5).cloned().collect();
        play_all(&some, settings).check();
    }
}

/// A step of `.ci/run`.
#[test]
#[ignore = "takes minutes"]
fn settings_change_no_answer_of_any_script() {
    let Some(scripts) = corpus() else { return };
    for settings in SETTINGS {
        let tally = play_all(&scripts, settings);
        tally.check();
        assert!(tally.compared >= ANSWERS, "{}", tally.compared);
    }
}

/// Returns the scripts of the whole corpus; `None` if it is absent.
fn corpus() -> Option<Vec<PathBuf>> {
    golden::corpus().map(|dir| scripts(&dir))
}

fn scripts(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> = paths.filter(|path| name(path).contains(".script.jsonl")).collect();
    scripts.sort();
    scripts
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Plays scripts on as many threads as there are processors.
fn play_all(scripts: &[PathBuf], settings: &[&str]) -> Tally {
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tally = play(script, settings);
                    total.lock().unwrap().add(tally);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    eprintln!("{settings:?}: {} scripts, {} answers compared", total.scripts, total.compared);
    total
}

/// Plays a script. Without settings, each get and scan is also explained: with the hidden option `--explain`,
/// the tool fails unless the cells kept by an explanation equal those of the answer, in order.
fn play(script: &Path, settings: &[&str]) -> Tally {
    let lines = read_lines(script);
    let mut args = vec!["replay".into(), script.as_os_str().to_owned()];
    if settings.is_empty() {
        args.push("--explain".into());
    }
    for setting in settings {
        args.extend(["--set".into(), setting.into()]);
    }
    // The region is not kept: in memory, no write waits for a disk.
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let output = hregion().args(&args).env("TMPDIR", scratch.path()).output().unwrap();
    let name = name(script);
    if code(&output) != 0 {
        let message =
            format!("{}; it had answered up to {:?}", stderr(&output), stdout(&output).lines().last());
        let differences = vec![(name.to_owned(), 1, message)];
        return Tally { scripts: 1, differences, ..Tally::default() };
    }
    let expected = script.with_file_name(name.replace(".script.", ".expect."));
    let (expected, given) = (by_id(read_lines(&expected)), by_id(json_lines(&stdout(&output))));
    compare(name, &lines, &expected, &given)
}

fn compare(
    name: &str,
    lines: &[Value],
    expected: &BTreeMap<i64, Value>,
    given: &BTreeMap<i64, Value>,
) -> Tally {
    let mut tally = Tally { scripts: 1, ..Tally::default() };
    let mut differences = Vec::new();
    for line in lines {
        let id = line["id"].as_i64().unwrap();
        let (expected, given) = (expected.get(&id).map(settled), given.get(&id).map(settled));
        if line.get("quirk").is_some() || FAULTS.contains(&(name.trim_end_matches(".gz"), id)) {
            continue;
        }
        if given != expected {
            let [expected, given] = [expected, given].map(|answer| answer.unwrap_or(Value::Null));
            differences.push(format!("{line}\n  expected {expected}\n  given    {given}"));
        } else {
            tally.compared += usize::from(expected.is_some());
        }
    }
    if let Some(first) = differences.first() {
        tally.differences.push((name.to_owned(), differences.len(), first.clone()));
    }
    tally
}

fn read_lines(path: &Path) -> Vec<Value> {
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    json_lines(&if is_packed { read_gz(path) } else { fs::read_to_string(path).unwrap() })
}

fn by_id(lines: Vec<Value>) -> BTreeMap<i64, Value> {
    lines.into_iter().map(|line| (line["id"].as_i64().unwrap(), line)).collect()
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.scripts += other.scripts;
        self.compared += other.compared;
        self.differences.extend(other.differences);
    }

    fn check(&self) {
        let mut differences: Vec<_> = self.differences.iter().collect();
        differences.sort();
        for (script, count, first) in &differences {
            eprintln!("{script}: {count} differ, first {first}");
        }
        let total: usize = differences.iter().map(|(_, count, _)| count).sum();
        assert_eq!(total, 0, "answers differ in {} scripts", differences.len());
    }
}

#[test]
fn answers_of_a_few_operations() {
    let script = r#"
{"id":1,"op":"create","table":"t","now":1000,"start_key":"a","end_key":"m",
  "families":[{"name":"f","versions":2},{"name":"g"}]}
{"id":2,"op":"put","row":"b","cells":[["f","q",null,"v"],["g","",5,"\\x00"]]}
{"id":3,"op":"get","row":"b"}
{"id":4,"op":"put","row":"z","cells":[["f","q",1,"v"]]}
{"id":5,"op":"put","row":"b","cells":[["z","q",1,"v"]]}
{"id":6,"op":"get","row":"z"}
{"id":7,"op":"flush"}
{"id":8,"op":"files"}
{"id":9,"op":"open_scanner","scanner":"s","scan":{}}
{"id":10,"op":"delete","row":"b"}
{"id":11,"op":"next","scanner":"s","rows":1}
{"id":12,"op":"get","row":"b","existence_only":true}
{"id":13,"op":"reopen"}
{"id":14,"op":"next","scanner":"s"}
{"id":15,"op":"scan","raw":true,"columns":[["f","q"]]}
{"id":16,"op":"scan","reversed":true}
{"id":17,"op":"crash"}
{"id":18,"op":"get","row":"b","time_range":[5,4]}
{"id":19,"op":"open_scanner","scanner":"u","scan":{"batch":1,"reversed":true}}
{"id":20,"op":"next","scanner":"u"}
{"id":21,"op":"close_scanner","scanner":"u"}
{"id":22,"op":"next","scanner":"u"}
{"id":23,"op":"bulkload","files":[{"family":"z","cells":[["b","q",1,"Put","v"]]}]}
{"id":24,"op":"bulkload","files":[{"family":"f","cells":[["c","q",1,"Put","v"],["b","q",2,"Delete",""]]}]}
{"id":25,"op":"scan"}
{"id":26,"op":"clock","now":500}
{"id":27,"op":"increment","row":"d","cells":[["f","n",3],["f","m",1]],"ttl":9000}
{"id":28,"op":"clock","now":400}
{"id":29,"op":"increment","row":"d","cells":[["f","n",4]]}
{"id":30,"op":"append","row":"d","cells":[["g","a","x"]],"return":false}
{"id":31,"op":"append","row":"d","cells":[["g","a","y"]]}
{"id":32,"op":"increment","row":"d","cells":[["g","a",1]]}
{"id":33,"op":"increment","row":"z","cells":[["z","a",1]]}
{"id":34,"op":"check_and_mutate","row":"d","family":"g","qualifier":"a","compare":"<","value":"x",
  "mutations":[{"op":"put","cells":[["f","p",null,"v"]]},{"op":"append","cells":[["g","a","z"]]}]}
{"id":35,"op":"check_and_mutate","row":"z","family":"f","qualifier":"a","compare":"=","value":null,
  "mutations":[{"op":"delete"}]}
{"id":36,"op":"check_and_mutate","row":"d","filter":"KeyOnlyFilter()","mutations":[{"op":"delete"}]}
{"id":37,"op":"check_and_mutate","row":"d","family":"f","qualifier":"p","compare":"=","value":"w",
  "mutations":[{"op":"delete"}]}
{"id":38,"op":"mutate_row","row":"d","mutations":[{"op":"delete","cells":[["family","f","",null]]},
  {"op":"put","cells":[["f","p",600,"new"]]}]}
{"id":39,"op":"mutate_row","row":"d","mutations":[{"op":"put","cells":[["f","p",700,"newer"]]},
  {"op":"put","cells":[["z","p",700,"v"]]}]}
{"id":40,"op":"batch","mutations":[{"op":"put","row":"e","cells":[["f","q",1,"v"]]},
  {"op":"put","row":"z","cells":[["f","q",1,"v"]]},
  {"op":"delete","row":"c","cells":[["family","z","",null]]}]}
{"id":41,"op":"scan","start":"d"}
{"id":42,"op":"scan","start":"e","stop":"b","reversed":true,"families":["f"],"columns":[["f","q"]]}
{"id":43,"op":"scan","reversed":true,"load_on_demand":true,
  "filter":"SingleColumnValueFilter('f','q',=,'binary:v',true,true)"}
"#;
    let expected = r#"
{"id":3,"result":{"cells":[["f","q",1000,"Put","v"],["g","",5,"Put","\\x00"]]}}
{"id":4,"error":"FailedSanityCheckException"}
{"id":5,"error":"NoSuchColumnFamilyException"}
{"id":6,"error":"WrongRegionException"}
{"id":8,"result":{"files":{"f":1,"g":1}}}
{"id":11,"result":{"rows":[{"row":"b","cells":[["f","q",1000,"Put","v"],["g","",5,"Put","\\x00"]]}],
  "more":false}}
{"id":12,"result":{"exists":false}}
{"id":14,"error":"IllegalStateException"}
{"id":15,"error":"DoNotRetryIOException"}
{"id":16,"result":{"rows":[]}}
{"id":18,"error":"IllegalArgumentException"}
{"id":20,"result":{"rows":[],"more":false}}
{"id":22,"error":"IllegalStateException"}
{"id":23,"error":"DoNotRetryIOException"}
{"id":25,"result":{"rows":[{"row":"c","cells":[["f","q",1,"Put","v"]]}]}}
{"id":27,"result":{"cells":[["f","m",500,"Put","\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01"],
  ["f","n",500,"Put","\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x03"]]}}
{"id":29,"result":{"cells":[["f","n",501,"Put","\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07",
  [[8,"\\x00\\x00\\x00\\x00\\x00\\x00#("]]]]}}
{"id":30,"result":{"cells":[]}}
{"id":31,"result":{"cells":[["g","a",401,"Put","xy"]]}}
{"id":32,"error":"DoNotRetryIOException"}
{"id":33,"error":"WrongRegionException"}
{"id":34,"result":{"success":true,"cells":[["g","a",402,"Put","xyz"]]}}
{"id":35,"error":"WrongRegionException"}
{"id":36,"result":{"success":true}}
{"id":37,"result":{"success":false}}
{"id":39,"error":"NoSuchColumnFamilyException"}
{"id":40,"result":{"status":["SUCCESS","SANITY_CHECK_FAILURE","BAD_FAMILY"]}}
{"id":41,"result":{"rows":[{"row":"d","cells":[
  ["f","m",500,"Put","\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01",[[8,"\\x00\\x00\\x00\\x00\\x00\\x00#("]]],
  ["f","n",501,"Put","\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07",[[8,"\\x00\\x00\\x00\\x00\\x00\\x00#("]]],
  ["f","p",600,"Put","new"],["g","a",402,"Put","xyz"]]},{"row":"e","cells":[["f","q",1,"Put","v"]]}]}}
{"id":42,"result":{"rows":[{"row":"e","cells":[["f","q",1,"Put","v"]]},
  {"row":"c","cells":[["f","q",1,"Put","v"]]}]}}
{"id":43,"error":"DoNotRetryIOException"}
"#;
    let output = play_text(&joined(script));
    let expected = joined(expected);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, expected.trim_start()), "{}", stderr(&output));
}

/// HBase's driver builds mutations before it plays an operation, and examines files before it loads one.
#[test]
fn what_the_client_of_hbase_refuses_has_no_effect() {
    let script = r#"
{"id":1,"op":"create","now":9,"families":[{"name":"f"}]}
{"id":2,"op":"put","row":"r","cells":[["f","q",1,"v"]]}
{"id":3,"op":"batch","mutations":[{"op":"delete","row":"r"},
  {"op":"put","row":"s","cells":[["f","q",-1,"v"]]}]}
{"id":4,"op":"batch","mutations":[{"op":"delete","row":"r"},{"op":"delete","row":""}]}
{"id":5,"op":"check_and_mutate","row":"s","family":"f","compare":"=","value":"v",
  "mutations":[{"op":"delete","cells":[["column","f","q",-1]]}]}
{"id":6,"op":"bulkload","files":[{"family":"f","cells":[]}]}
{"id":7,"op":"bulkload","files":[{"family":"z","cells":[]},{"family":"f","cells":[]}]}
{"id":8,"op":"files"}
{"id":9,"op":"bulkload","files":[]}
{"id":10,"op":"files"}
{"id":11,"op":"scan"}
"#;
    let expected = r#"
{"id":3,"error":"IllegalArgumentException"}
{"id":4,"error":"IllegalArgumentException"}
{"id":5,"error":"IllegalArgumentException"}
{"id":6,"error":"IllegalStateException"}
{"id":7,"error":"DoNotRetryIOException"}
{"id":8,"result":{"files":{"f":0}}}
{"id":10,"result":{"files":{"f":1}}}
{"id":11,"result":{"rows":[{"row":"r","cells":[["f","q",1,"Put","v"]]}]}}
"#;
    let output = play_text(&joined(script));
    assert_eq!((code(&output), stdout(&output).as_str()), (0, expected.trim_start()), "{}", stderr(&output));
}

/// Joins each indented line to the line before it.
fn joined(lines: &str) -> String {
    lines.replace("\n  ", "")
}

#[test]
fn errors_in_a_script_name_the_line() {
    const CREATE: &str = r#"{"id":1,"op":"create","now":1,"families":[{"name":"f"}]}"#;
    for (lines, expected) in [
        (vec![r#"{"id":1,"op":"files"}"#], "line 1: expected a region to be created first"),
        (vec![CREATE, r#"{"id":1,"op":"files"}"#], "line 2: id: expected a greater number"),
        (vec![CREATE, r#"{"id":2,"op":"truncate"}"#], "line 2: truncate: there is no such operation"),
        (
            vec![CREATE, r#"{"id":2,"op":"scan","order":"up"}"#],
            "line 2: scan: order: there is no such member",
        ),
        (vec![r#"{"id":1,"op":"create","now":1}"#], "line 1: create: families: expected one or more"),
        (vec!["{"], "line 1: column 1: EOF while parsing an object"),
    ] {
        let output = play_text(&lines.join("\n"));
        assert_eq!(code(&output), 3, "{lines:?}");
        assert!(stderr(&output).contains(expected), "{lines:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("at line"), "{lines:?}: {}", stderr(&output));
    }
}

#[test]
fn a_region_is_kept_where_it_is_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let (script, region) = (dir.path().join("script.jsonl"), dir.path().join("region"));
    let lines = [
        json!({"id": 1, "op": "create", "now": 1000, "families": [{"name": "f", "encoding": "PREFIX"}]}),
        json!({"id": 2, "op": "put", "row": "r", "cells": [["f", "q", null, "v"]]}),
        json!({"id": 3, "op": "flush"}),
    ];
    fs::write(&script, lines.map(|line| line.to_string()).join("\n")).unwrap();
    // a directory that another process fills to create the same region, or that a killed process has left
    let aside = dir.path().join(".region.0123456789abcdef.tmp");
    fs::create_dir_all(aside.join("f")).unwrap();
    let args = ["replay".as_ref(), script.as_os_str(), "--dir".as_ref(), region.as_os_str()];
    assert_eq!(ok(&[&args[..], &["--set".as_ref(), "encoding=DIFF".as_ref()]].concat()), "");
    assert!(aside.join("f").is_dir(), "nothing tells the two");
    let files: Vec<PathBuf> =
        fs::read_dir(region.join("f")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let inspected = json_lines(&ok(&["inspect".as_ref(), "--json".as_ref(), files[0].as_os_str()]));
    assert!(inspected[0].to_string().contains("DIFF"), "{}", inspected[0]);
    let again = run(&args);
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("the directory is not empty"), "{}", stderr(&again));
}

/// A region flushes when it is dropped. If the scratch directory were removed before, the flush would create
/// it again.
#[test]
fn nothing_is_left_of_a_scratch_region() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        json!({"id": 1, "op": "create", "now": 1000, "families": [{"name": "f"}]}),
        json!({"id": 2, "op": "put", "row": "r", "cells": [["f", "q", null, "v"]]}),
    ];
    let (script, scratch) = (dir.path().join("script.jsonl"), dir.path().join("scratch"));
    fs::write(&script, lines.map(|line| line.to_string()).join("\n")).unwrap();
    fs::create_dir(&scratch).unwrap();
    let output = hregion().arg("replay").arg(&script).env("TMPDIR", &scratch).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

/// Files of a bulk load are moved, which is not possible between file systems.
#[test]
fn a_region_that_is_kept_needs_no_temporary_directory() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        json!({"id": 1, "op": "create", "now": 1000, "families": [{"name": "f"}]}),
        json!({"id": 2, "op": "put", "row": "r", "cells": [["f", "q", null, "v"]]}),
        json!({"id": 3, "op": "bulkload", "files": [{"family": "f", "cells": [["s", "q", 1, "Put", "v"]]}]}),
    ];
    let (script, region) = (dir.path().join("script.jsonl"), dir.path().join("region"));
    fs::write(&script, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let mut replay = hregion();
    replay.arg("replay").arg(&script).arg("--dir").arg(&region).env("TMPDIR", dir.path().join("missing"));
    let output = replay.output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(ok(&["count", region.to_str().unwrap()]), "rows 2\ncells 2\n");
    let mut left = fs::read_dir(region.join(".tmp")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.any(|name| name.to_string_lossy().starts_with("hregion-")));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// Plays a script from standard input.
fn play_text(script: &str) -> std::process::Output {
    run_with_input(hregion().args(["replay", "-"]), Stdio::piped(), script.as_bytes())
}

#[test]
fn a_region_that_is_kept_has_all_of_the_script_though_no_one_reads_the_answers() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.jsonl");
    let create = r#"{"id":1,"op":"create","now":1,"families":[{"name":"f"}]}"#;
    let put = |id: usize, row: &str, value: &str| {
        format!(r#"{{"id":{id},"op":"put","row":"{row}","cells":[["f","q",null,"{value}"]]}}"#)
    };
    let mut lines = vec![create.to_owned(), put(2, "first", &"v".repeat(1000))];
    lines.extend((3..400).map(|id| format!(r#"{{"id":{id},"op":"get","row":"first"}}"#)));
    lines.push(put(400, "last", "v"));
    fs::write(&script, lines.join("\n")).unwrap();
    let region = dir.path().join("region");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let played = hregion().arg("replay").arg(&script).arg("--dir").arg(&region).stdout(writer).output();
    let played = played.unwrap();
    assert_eq!((code(&played), stderr(&played)), (0, String::new()));
    assert_eq!(ok(&["count", region.to_str().unwrap()]), "rows 2\ncells 2\n");
}
