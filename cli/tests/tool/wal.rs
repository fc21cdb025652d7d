//! `hregion wal`: the entries of logs written by HBase, torn ends, and the entries that options omit.

use crate::library::files::{copy_dir, files_below};
use crate::support::{
    code, golden, hregion, json_lines, last_error, members, ok, plain, run, stderr, stdout, temp_file,
    testdata,
};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const VARIANTS: [&str; 4] = ["plain", "dictionary", "values-gz", "values-snappy"];

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Returns the entries that HBase read from a log, in the form of the tool, without markers.
fn expected(answers: &Path) -> Vec<(Value, bool)> {
    let lines = json_lines(&fs::read_to_string(answers).unwrap());
    let entries = lines.into_iter().filter(|line| line["region"].is_string());
    entries
        .map(|mut entry| {
            let mut is_marker = false;
            for cell in entry["cells"].as_array_mut().unwrap() {
                is_marker |= cell.as_object_mut().unwrap().remove("marker").is_some();
            }
            let entry = serde_json::json!({
                "position": entry["end"], "region": entry["region"], "table": entry["table"],
                "sequence_id": entry["sequence"], "write_time": entry["write_time"], "cells": entry["cells"],
            });
            (entry, is_marker)
        })
        .collect()
}

fn without_markers(out: &str) -> Vec<(Value, bool)> {
    let split = |mut entry: Value| {
        let is_marker = entry.as_object_mut().unwrap().remove("marker").is_some();
        (entry, is_marker)
    };
    json_lines(out).into_iter().map(split).collect()
}

/// The logs of a variant that were read completely, with the files of HBase's answers.
fn logs(variant: &str) -> Vec<(PathBuf, PathBuf)> {
    let root = testdata("wal").join(variant);
    let of_split = files_below(&root.join("split")).into_iter().filter_map(|log| {
        let region = log.ancestors().nth(2).unwrap().file_name().unwrap();
        let name = format!("{}.jsonl", log.file_name().unwrap().to_str().unwrap());
        let answers = root.join("split-read").join(region).join(name);
        answers.exists().then_some((log.clone(), answers))
    });
    let of_servers = files_below(&root.join("crashed")).into_iter().filter_map(|log| {
        let name = format!("{}.jsonl", log.file_name().unwrap().to_str().unwrap());
        let answers = root.join("read").join(name);
        answers.exists().then_some((log, answers))
    });
    of_split.chain(of_servers).collect()
}

#[test]
fn entries_are_those_that_hbase_reads() {
    let mut markers = 0;
    for variant in VARIANTS {
        let logs = logs(variant);
        assert!(logs.len() >= 2, "{variant}: {logs:?}");
        for (log, answers) in logs {
            let found = without_markers(&ok(&["wal", "--json", &text(&log)]));
            let expected = expected(&answers);
            assert!(!expected.is_empty());
            markers += expected.iter().filter(|(_, is_marker)| *is_marker).count();
            assert_eq!(found, expected, "{}", log.display());
        }
    }
    assert!(markers > 0);
}

#[test]
fn inspect_counts_the_entries_of_regions() {
    for (variant, log) in
        VARIANTS.iter().flat_map(|variant| logs(variant).into_iter().map(move |log| (variant, log.0)))
    {
        let log = text(&log);
        let entries = json_lines(&ok(&["wal", "--json", &log]));
        let header = json_lines(&ok(&["inspect", "--json", &log])).remove(0);
        assert_eq!(header["header"]["compression"], *variant != "plain", "{header}");
        assert!(header["kind"] == "wal" && header.get("regions").is_none(), "{header}");
        let found = json_lines(&ok(&["inspect", "--json", "--entries", &log])).remove(0);
        assert_eq!(found["header"], header["header"]);
        assert_eq!(
            (&found["entries"], &found["end_offset"]),
            (&entries.len().into(), &entries.last().unwrap()["position"])
        );
        let mut counted = 0;
        for region in found["regions"].as_array().unwrap() {
            let own: Vec<_> = entries.iter().filter(|entry| entry["region"] == region["region"]).collect();
            counted += own.len();
            let (markers, writes): (Vec<&Value>, Vec<&Value>) =
                own.iter().copied().partition(|entry| entry["marker"].is_object());
            let cells: usize = writes.iter().map(|entry| entry["cells"].as_array().unwrap().len()).sum();
            let ids = || own.iter().map(|entry| entry["sequence_id"].as_i64().unwrap());
            assert_eq!(
                *region,
                serde_json::json!({
                    "region": region["region"], "table": own[0]["table"], "entries": own.len(),
                    "markers": markers.len(), "cells": cells,
                    "first_sequence_id": ids().min(), "last_sequence_id": ids().max(),
                })
            );
        }
        assert_eq!(counted, entries.len(), "{found}");
        let lines = ok(&["inspect", "--entries", "--as", "wal", &log]);
        assert!(lines.contains(&format!("    entries = {}\n", entries.len())), "{lines}");
    }
    let log = logs("plain")[0].0.clone();
    let torn = tempfile::NamedTempFile::new().unwrap();
    let bytes = fs::read(&log).unwrap();
    let whole = json_lines(&ok(&["wal", "--json", &text(&log)]));
    let last = whole.last().unwrap()["position"].as_u64().unwrap();
    fs::write(torn.path(), &bytes[..usize::try_from(last).unwrap() - 1]).unwrap();
    let output = run(&["inspect", "--entries", "--json", &text(torn.path())]);
    let found = json_lines(&stdout(&output)).remove(0);
    assert_eq!(
        (code(&output), &found["end"], &found["entries"]),
        (0, &"torn".into(), &(whole.len() - 1).into())
    );
    assert!(!stderr(&output).is_empty());
    for wrong in [&["inspect", "-m", &text(&log)][..], &["inspect", "--entries", &plain()]] {
        assert_eq!(code(&run(wrong)), 2, "{wrong:?}");
    }
}

/// A log in which nothing, or not even the magic, is written yet is one by its place.
#[test]
fn logs_without_a_magic_are_known_by_their_place() {
    let root = tempfile::tempdir().unwrap();
    for place in ["WALs/server,16020,1", "oldWALs", "data/default/t/0a/recovered.edits"] {
        let dir = root.path().join(place);
        fs::create_dir_all(&dir).unwrap();
        let log = text(&dir.join("0000000000000000007"));
        for bytes in ["", "P", "PWA"] {
            fs::write(&log, bytes).unwrap();
            let output = run(&["inspect", "--entries", "--json", &log]);
            assert_eq!(code(&output), 0, "{place} {bytes}: {}", stderr(&output));
            let found = json_lines(&stdout(&output)).remove(0);
            let found = (&found["kind"], &found["header"], &found["end"], &found["entries"]);
            assert_eq!(found, (&"wal".into(), &Value::Null, &"torn".into(), &0.into()), "{place} {bytes}");
            assert_eq!(code(&run(&["cells", &log])), 4, "{place} {bytes}");
        }
        // as a path from the directory of another server
        let beside = Path::new("..").join(dir.file_name().unwrap()).join("0000000000000000007");
        let output = hregion().current_dir(&dir).arg("inspect").arg(&beside).output().unwrap();
        assert_eq!(code(&output), 0, "{place}: {}", stderr(&output));
    }
    let other = text(&root.path().join("0000000000000000007"));
    fs::write(&other, "").unwrap();
    assert_eq!(code(&run(&["inspect", &other])), 3);
}

/// Copies the logs of a server to a directory with another name, and a file that is not a log.
fn copy_of_server(server: &Path, dir: &Path) -> PathBuf {
    let copy = dir.join("copy");
    fs::create_dir(&copy).unwrap();
    for log in files_below(server) {
        fs::copy(&log, copy.join(log.file_name().unwrap())).unwrap();
    }
    fs::write(copy.join("1.seqid"), b"").unwrap();
    copy
}

/// Recognized by the name of the directory, or by its first file: prints each log separately, and then the
/// sums.
#[test]
fn inspect_takes_directories_of_logs() {
    let dir = tempfile::tempdir().unwrap();
    let server = testdata("wal/dictionary/crashed/WALs/localhost,35995,1795161567891");
    let region = testdata("wal/plain/split/data/default/w1/98dba62d65639a55f56c67ca8316b411");
    let empty = dir.path().join("oldWALs");
    fs::create_dir(&empty).unwrap();
    for (target, count, options) in [
        (server.parent().unwrap().to_owned(), 2, &["--as", "wal"][..]),
        (server.parent().unwrap().to_owned(), 2, &[]),
        (copy_of_server(&server, dir.path()), 2, &[]),
        (server, 2, &[]),
        (region.join("recovered.edits"), 2, &[]),
        (empty, 0, &[]),
    ] {
        let target = text(&target);
        let inspect = |more: &[&str], path: &str| ok(&[&["inspect"], options, more, &[path]].concat());
        let object = |more: &[&str], path: &str| {
            let [object] = json_lines(&inspect(more, path)).try_into().expect("one object");
            object
        };
        let logs: Vec<String> = files_below(Path::new(&target)).iter().map(|log| text(log)).collect();
        let logs: Vec<&String> = logs.iter().filter(|log| !log.ends_with(".seqid")).collect();
        assert_eq!(logs.len(), count, "{target}");
        let each: Vec<Value> = logs.iter().map(|log| object(&["--json"], log)).collect();
        let bytes: u64 = each.iter().map(|log| log["length"].as_u64().unwrap()).sum();
        let expected = json!({"path": target, "kind": "wal", "length": bytes, "logs": each});
        assert_eq!(object(&["--json"], &target), expected);

        let each: Vec<Value> = logs.iter().map(|log| object(&["--json", "--entries"], log)).collect();
        let found = object(&["--json", "--entries"], &target);
        assert_eq!(members(&found), ["path", "kind", "length", "logs", "entries", "cells", "regions"]);
        assert_eq!(found["logs"], json!(each));
        let sum = |of: &[&Value], name: &str| of.iter().map(|one| one[name].as_u64().unwrap()).sum::<u64>();
        for name in ["entries", "cells"] {
            assert_eq!(found[name], sum(&each.iter().collect::<Vec<_>>(), name), "{target} {name}");
        }
        let of_logs: Vec<&Value> = each.iter().flat_map(|log| log["regions"].as_array().unwrap()).collect();
        let mut seen = 0;
        for region in found["regions"].as_array().unwrap() {
            let own = of_logs.iter().copied().filter(|one| one["region"] == region["region"]);
            let own: Vec<&Value> = own.collect();
            let ids = |name: &str| own.iter().map(|one| one[name].as_i64().unwrap()).collect::<Vec<_>>();
            let expected = json!({
                "region": region["region"], "table": own[0]["table"], "entries": sum(&own, "entries"),
                "markers": sum(&own, "markers"), "cells": sum(&own, "cells"),
                "first_sequence_id": ids("first_sequence_id").iter().min(),
                "last_sequence_id": ids("last_sequence_id").iter().max(),
            });
            assert_eq!(*region, expected, "{target}");
            seen += own.len();
        }
        assert_eq!(seen, of_logs.len(), "{target}");

        let lines: String = logs.iter().map(|log| inspect(&["--entries"], log)).collect();
        let sums = inspect(&["--entries"], &target);
        let sums = sums.strip_prefix(&lines).unwrap_or_else(|| panic!("{sums}"));
        let first = format!("Logs: {target}\n    logs = {count}\n    length = {bytes}\n    entries = ");
        assert!(sums.starts_with(&first), "{sums}");
        assert_eq!(code(&run(&["inspect", "-m", &target])), 2);
    }
}

/// Such directories have no cells, and `verify` reads them like those under a root.
#[test]
fn directories_of_logs_are_no_cells() {
    let dir = tempfile::tempdir().unwrap();
    let server = testdata("wal/dictionary/crashed/WALs/localhost,35995,1795161567891");
    let copy = text(&copy_of_server(&server, dir.path()));
    let summary = |args: &[&str]| {
        let lines = json_lines(&stdout(&run(&[&["verify", "--json"], args].concat())));
        lines.last().unwrap()["summary"].clone()
    };
    let expected = summary(&[&text(&server)]);
    assert_eq!(expected["files"], 2);
    assert_eq!(summary(&[&copy]), expected);
    assert_eq!(summary(&["--as", "wal", &copy]), expected);
    let out = text(&dir.path().join("out"));
    for command in [&["cells"][..], &["count"], &["stats", "--by", "file"], &["convert", "--out", &out]] {
        let output = run(&[command, &["--json", &copy]].concat());
        assert_eq!(
            (code(&output), last_error(&output)["kind"].as_str()),
            (4, Some("Unsupported")),
            "{command:?}"
        );
        assert!(stderr(&output).contains("`hregion wal`"), "{}", stderr(&output));
    }
}

#[test]
fn entries_have_a_limit() {
    let log = text(&logs("plain").pop().unwrap().0);
    for command in [&["wal"][..], &["inspect", "--entries"]] {
        let over = run(&[command, &["--json", "--limit-block-bytes", "64", &log]].concat());
        assert_eq!((code(&over), last_error(&over)["kind"].as_str()), (3, Some("Limit")), "{command:?}");
        assert!(stderr(&over).contains("--limit-block-bytes"), "{}", stderr(&over));
        ok(&[command, &["--limit-block-bytes", "1M", &log]].concat());
    }
}

#[test]
fn the_logs_of_a_directory_are_read_in_the_order_of_their_names() {
    let dir = testdata("wal/dictionary/split/data/default/w2");
    let each: String = files_below(&dir).iter().map(|log| ok(&["wal", "--json", &text(log)])).collect();
    assert_eq!(ok(&["wal", "--json", &text(&dir)]), each);

    let copy = tempfile::tempdir().unwrap();
    fs::copy(&files_below(&dir)[0], copy.path().join("16")).unwrap();
    for name in ["16.seqid", "15_seqid"] {
        fs::write(copy.path().join(name), b"").unwrap();
    }
    fs::write(copy.path().join(".16.crc"), b"crc\0....").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(copy.path(), copy.path().join("again")).unwrap();
    let found = ok(&["wal", "--json", &text(copy.path())]);
    assert_eq!(
        json_lines(&found).len(),
        json_lines(&ok(&["wal", "--json", &text(&files_below(&dir)[0])])).len()
    );
    #[cfg(unix)]
    assert!(stderr(&run(&["wal", "--json", &text(copy.path())])).contains("a symbolic link among logs"));
}

#[test]
fn regions_and_rows_are_selected() {
    let dir = text(&testdata("wal/dictionary/split"));
    let all = json_lines(&ok(&["wal", "--json", &dir]));
    let region = all[0]["region"].as_str().unwrap();
    let of_region = json_lines(&ok(&["wal", "--json", &dir, "--region", region]));
    let expected: Vec<_> = all.iter().filter(|entry| entry["region"] == region).cloned().collect();
    assert!(expected.len() < all.len());
    assert_eq!(of_region, expected);

    let row = all[0]["cells"][0]["row"].as_str().unwrap();
    let of_row = json_lines(&ok(&["wal", "--json", &dir, "--row", row]));
    let cells = |entries: &[Value]| -> Vec<Value> {
        let cells = entries.iter().flat_map(|entry| entry["cells"].as_array().unwrap().clone());
        cells.filter(|cell| cell["row"] == row).collect()
    };
    assert_eq!(cells(&of_row), cells(&all));
    assert!(of_row.iter().all(|entry| !entry["cells"].as_array().unwrap().is_empty()));
    assert_eq!(ok(&["wal", "--json", &dir, "--row", "no such row"]), "");

    // Text has a line for each entry and each cell.
    let cells: usize = of_row.iter().map(|entry| entry["cells"].as_array().unwrap().len()).sum();
    let lines = ok(&["wal", &dir, "--row", row]);
    assert_eq!(lines.lines().count(), of_row.len() + cells, "{lines}");
}

#[test]
fn a_torn_end_is_a_message_or_an_error() {
    let log = logs("plain")[0].0.clone();
    let whole = json_lines(&ok(&["wal", "--json", &text(&log)]));
    let bytes = fs::read(&log).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let last = whole[whole.len() - 2]["position"].as_u64().unwrap();
    let torn = dir.path().join("torn");
    fs::write(&torn, &bytes[..usize::try_from(last).unwrap() + 7]).unwrap();
    let output = run(&["wal", "--json", &text(&torn)]);
    assert_eq!(code(&output), 0);
    assert_eq!(json_lines(&stdout(&output)), whole[..whole.len() - 1]);
    assert!(stderr(&output).contains("7 bytes are left"), "{}", stderr(&output));

    let output = run(&["wal", "--json", "--strict", &text(&torn)]);
    assert_eq!(code(&output), 3);
    let error = last_error(&output);
    assert_eq!((error["kind"].as_str(), error["offset"].as_u64()), (Some("Truncated"), Some(last)));
    assert_eq!(json_lines(&stdout(&output)).len(), whole.len());
    assert_eq!(code(&run(&["wal", "--strict", &text(&log)])), 0);
}

#[test]
fn what_is_no_log_is_an_error() {
    let output = run(&["wal", "--json", &plain()]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (3, Some("Corrupt")));
    assert!(stderr(&output).contains("in its WALs and oldWALs"), "{}", stderr(&output));
    let output = run(&["wal", "--json", "no such file"]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (5, Some("Io")));
}

/// A pipe is refused, rather than treated as an empty log or a file without bytes.
#[cfg(unix)]
#[test]
fn a_pipe_is_no_log() {
    let log = logs("plain").remove(0).0;
    for command in ["wal", "du"] {
        let mut cat = std::process::Command::new("cat");
        let mut cat = cat.arg(&log).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let pipe = cat.stdout.take().unwrap();
        let output = hregion().args([command, "--json", "/dev/stdin"]).stdin(pipe).output().unwrap();
        cat.wait().unwrap();
        let said = stderr(&output);
        assert!(code(&output) == 4 && said.contains("not a regular file"), "{command}: {said}");
        assert_eq!(last_error(&output)["path"], "/dev/stdin");
    }
}

/// With the master key, encrypted logs are read, and roots with them recovered; without it, refused.
#[test]
fn encrypted_logs_need_the_master_key() {
    let key = temp_file("wal.key", b"000102030405060708090a0b0c0d0e0f\n");
    let wrong = temp_file("wal-wrong.key", b"ff0102030405060708090a0b0c0d0e0f\n");
    let with_key = ["--master-key-file", &key];
    let hint = "check --master-key-file";
    if cfg!(feature = "crypto") {
        let refused = run(&["cells", &golden("small-encrypted.hfile"), "--master-key-file", &wrong]);
        assert!(code(&refused) == 3 && stderr(&refused).contains(hint), "{}", stderr(&refused));
    }
    let root = tempfile::tempdir().unwrap();
    let all = logs("encrypted");
    assert_eq!(all.len(), 2);
    for (log, answers) in all {
        let log = text(&log);
        for command in [&["wal"][..], &["inspect", "--entries"], &["verify"]] {
            let refused = run(&[command, &["--json", &log]].concat());
            assert_eq!(code(&refused), 4, "{command:?}");
            assert!(stderr(&refused).contains("use --master-key-file"), "{}", stderr(&refused));
            if cfg!(feature = "crypto") {
                let refused = run(&[command, &["--json", &log, "--master-key-file", &wrong]].concat());
                assert_eq!(code(&refused), 3, "{command:?}");
                // `verify` prints faults on standard output only
                assert!(stdout(&refused).contains("this is not the master key"), "{}", stdout(&refused));
                assert_eq!(stderr(&refused).contains(hint), command[0] != "verify", "{}", stderr(&refused));
            }
        }
        if !cfg!(feature = "crypto") {
            continue;
        }
        let found = ok(&[&["wal", "--json", &log][..], &with_key].concat());
        assert_eq!(without_markers(&found), expected(&answers), "{log}");
        let alternate = ["--master-key-file", &wrong, "--alternate-master-key-file", &key];
        assert_eq!(ok(&[&["wal", "--json", &log][..], &alternate].concat()), found);
        let report = ok(&[&["inspect", "--json", &log][..], &with_key].concat());
        assert_eq!(json_lines(&report)[0]["header"]["encrypted"], true);
        ok(&[&["verify", &log][..], &with_key].concat());
    }
    copy_dir(&testdata("wal/encrypted/split"), root.path());
    let root = text(root.path());
    let refused = run(&["recover", &root]);
    assert_eq!(code(&refused), 4);
    assert!(stderr(&refused).contains("use --master-key-file"), "{}", stderr(&refused));
    if cfg!(feature = "crypto") {
        ok(&[&["recover", &root][..], &with_key].concat());
        assert!(ok(&["scan", &text(&Path::new(&root).join("data/default/secret"))]).contains("logged-1"));
    }
}
