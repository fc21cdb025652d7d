//! `hregion report`: its data equal the output of the commands that it summarizes, and its page is one file
//! in which no content of a table becomes markup.

use crate::library::files::copy_dir;
use crate::support::{
    code, json_lines, last_error, members, names, ok, plain, run, stderr, stdout, testdata,
};
use hregion::{Compaction, Family, Put, Table};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The current time, for ages.
const NOW: &str = "1900000000000";
/// Bytes of a row and of a family that would end a script, or begin one.
const HOSTILE: &str = "</script><script>alert(1)</script><!-- \"'&amp;\u{2028}\x1b";
const HOSTILE_FAMILY: &str = "<img src=x onerror=alert(2)>";

fn report(target: &Path, more: &[&str]) -> Output {
    let mut args = vec!["report", "--now", NOW, target.to_str().unwrap()];
    args.extend(more);
    run(&args)
}

/// Returns the data of a report.
fn data(target: &Path, more: &[&str]) -> Value {
    let output = report(target, &[&["--json", "--quiet"], more].concat());
    let [data] = json_lines(&stdout(&output)).try_into().unwrap_or_else(|lines| panic!("{lines:?}"));
    data
}

/// Returns the data in a page.
fn data_of(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().unwrap_or_else(|| panic!("{member} of {value}"))
}

fn any_file(dir: &Path) -> PathBuf {
    let mut paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.is_file()).unwrap()
}

/// The files of all regions of the only table.
fn files(data: &Value) -> Vec<&Value> {
    list(&data["tables"][0], "regions").iter().flat_map(|region| list(region, "files")).collect()
}

/// Creates a table with hostile names: four regions, two families, several files, a delete marker. Returns
/// its directory, and its regions' directories in the order of their keys.
pub(crate) fn hostile(root: &Path) -> (PathBuf, Vec<PathBuf>) {
    let families = [Family::new("d").max_versions(3), Family::new(HOSTILE_FAMILY)];
    let table = Table::create(root, "shop:orders", &families, &["<b>", "k", "u"]).unwrap();
    for round in 0..4_i64 {
        for (i, later) in (0..60_usize).zip(0_i64..) {
            let row = format!("{}{:03}", ["a", HOSTILE, "m", "z"][i % 4], i);
            let time = 1_899_000_000_000 + round * 240_000_000 + later;
            let put = Put::new(row).cell_at("d", "<q>", time, vec![b'v'; i * 7]);
            table.put(put.cell_at(HOSTILE_FAMILY, "q", time, "v")).unwrap();
        }
        if round == 2 {
            table.delete(hregion::Delete::new("z003")).unwrap();
        }
        table.flush().unwrap();
        if round == 1 {
            table.compact(Compaction::Major).unwrap();
        }
    }
    let dir = root.join("data/shop/orders");
    let regions = table.regions().iter().map(|info| dir.join(info.encoded_name())).collect();
    table.close().unwrap();
    (dir, regions)
}

#[test]
fn the_data_are_those_of_other_commands() {
    for (stage, name) in [("split-references", "halves"), ("clone-references", "cloned")] {
        let target = testdata("region").join(stage).join("root/data/default").join(name);
        let path = target.to_str().unwrap();
        let data = data(&target, &[]);
        let expected = ["hregion", "target", "kind", "now", "summary", "tables", "findings", "unread"];
        assert_eq!(members(&data), expected);
        assert_eq!(
            (&data["kind"], &data["unread"], &data["target"]),
            (&json!("table"), &json!([]), &json!(path))
        );
        let [table] = list(&data, "tables") else { panic!("one table") };
        assert_eq!(members(table), ["table", "path", "total", "families", "gaps", "regions", "statistics"]);

        let du = files_of_du(path);
        assert_eq!(measured(table), du);
        let sum = |member: &str| du.iter().filter_map(|file| file[member].as_i64()).sum::<i64>();
        let total = &table["total"];
        assert_eq!((&total["files"], &total["bytes"]), (&json!(du.len()), &json!(sum("bytes"))));
        assert_eq!(total["cells"].as_i64().unwrap_or(0), sum("cells"));
        assert_eq!(total["newest"].as_i64(), du.iter().filter_map(|file| file["newest"].as_i64()).max());
        assert_eq!(&data["summary"]["total"], total);

        // the cells equal those of stats, and the findings those of check
        check_statistics(table, path);
        let mut findings = json_lines(&stdout(&run(&["check", "--json", path])));
        let summary = findings.pop().unwrap()["summary"].clone();
        assert_eq!(data["findings"], json!(findings));
        for severity in ["errors", "warnings", "infos", "regions"] {
            assert_eq!(data["summary"][severity], summary[severity], "{severity}");
        }
        assert_eq!(list(table, "gaps"), [] as [Value; 0]);

        // a file that is a reference or a link shows its target HFile
        for file in files(&data) {
            assert_eq!(file["kind"] == "file", file["target"].is_null(), "{file}");
            assert_eq!(file["error"], Value::Null);
            let of = file["target"].as_str().unwrap_or_else(|| file["path"].as_str().unwrap());
            check_file(&file["hfile"], of);
        }
    }
}

/// Returns the part of `du`'s output that a report also has, by path.
fn files_of_du(path: &str) -> Vec<Value> {
    let mut files = json_lines(&ok(&["du", "--json", path]));
    for file in &mut files {
        let said = ["table", "region", "family", "path", "bytes", "cells", "oldest", "newest"];
        file.as_object_mut().unwrap().retain(|member, _| said.contains(&member.as_str()));
    }
    files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
    files
}

/// Returns the files of a table in a report, in the form of [`files_of_du`].
fn measured(table: &Value) -> Vec<Value> {
    let mut files = Vec::new();
    for region in list(table, "regions") {
        for file in list(region, "files") {
            files.push(json!({
                "table": table["table"], "region": region["encoded"], "family": file["family"],
                "path": file["path"], "bytes": file["bytes"], "cells": file["cells"],
                "oldest": file["oldest"], "newest": file["newest"],
            }));
        }
    }
    files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
    files
}

/// Compares the statistics of a report with the output of `stats`.
fn check_statistics(table: &Value, path: &str) {
    let mut statistics = table["statistics"].clone();
    assert_eq!(statistics.as_object_mut().unwrap().shift_remove("unread_regions"), Some(json!(0)), "{path}");
    assert_eq!(statistics, json_lines(&ok(&["stats", "--json", "--now", NOW, path]))[0], "{path}");
}

/// Compares a report's data of an HFile with the output of `inspect`.
fn check_file(hfile: &Value, path: &str) {
    let inspected = &json_lines(&ok(&["inspect", "--json", "--blocks", path]))[0];
    let blocks = list(inspected, "blocks");
    let map = &hfile["blocks"];
    assert_eq!((&map["count"], &map["per_piece"]), (&json!(blocks.len()), &json!(1)));
    let pieces = list(map, "pieces");
    assert_eq!(pieces.len(), blocks.len());
    for (i, (piece, block)) in pieces.iter().zip(blocks).enumerate() {
        assert_eq!(piece["offset"], block["offset"]);
        let size: u64 =
            ["data", "index", "bloom", "other"].map(|of| piece[of].as_u64().unwrap()).iter().sum();
        let header = if inspected["trailer"]["minor_version"] == 0 { 24 } else { 33 };
        assert_eq!(size, block["on_disk_size"].as_u64().unwrap() + header, "{path}");
        if let Some(next) = blocks.get(i + 1) {
            assert_eq!(piece["offset"].as_u64().unwrap() + size, next["offset"].as_u64().unwrap());
        }
        let is_data = block["type"].as_str().unwrap().ends_with("DATA");
        assert_eq!(piece["data"] != 0, is_data);
    }
    let of_type = |name: &str| blocks.iter().filter(|block| block["type"] == name).count();
    for total in list(map, "types") {
        assert_eq!(total["blocks"], of_type(total["type"].as_str().unwrap()));
    }
    assert_eq!(
        (&hfile["bytes"], &hfile["cells"]),
        (&inspected["length"], &inspected["trailer"]["entry_count"])
    );
    assert_eq!(hfile["index_levels"], inspected["trailer"]["num_data_index_levels"]);
    assert_eq!(hfile["first_row"], inspected["first_key"]["row"]);
    assert_eq!(hfile["max_sequence_id"], inspected["file_info"]["MAX_SEQ_ID_KEY"]);
    let root = list(hfile, "root_index");
    assert!(root.len() <= 24 && root.len() as u64 <= hfile["index_entries"].as_u64().unwrap());
    if hfile["cells"] != 0 {
        assert_eq!(root[0]["first_data_block"], inspected["root_index"][0]["first_data_block"]);
    }
}

#[test]
fn every_kind_of_directory_of_tables_is_a_target() {
    let root = testdata("region/clone-references/root");
    let of = |target: &Path| data(target, &["--no-cells"]);
    let (whole, namespace) = (of(&root), of(&root.join("data/default")));
    assert_eq!((&whole["kind"], &namespace["kind"]), (&json!("root"), &json!("namespace")));
    let tables =
        |data: &Value| list(data, "tables").iter().map(|table| table["table"].clone()).collect::<Vec<_>>();
    assert_eq!(tables(&namespace), ["cloned", "joined"]);
    assert!(tables(&whole).ends_with(&tables(&namespace)));
    let checked = json_lines(&stdout(&run(&["check", "--json", root.to_str().unwrap()])));
    assert_eq!(whole["summary"]["meta"], checked.last().unwrap()["summary"]["meta"]);
    assert_eq!(whole["tables"][0]["statistics"], Value::Null);

    let region = root.join("data/default/joined").join(region_of(&namespace, 1));
    let alone = data(&region, &[]);
    assert_eq!((&alone["kind"], &alone["findings"]), (&json!("region"), &json!([])));
    let [table] = list(&alone, "tables") else { panic!("one table") };
    assert_eq!(table["table"], "joined");
    assert_eq!(list(table, "regions"), &list(&namespace["tables"][1], "regions")[..1]);
    assert_eq!(table["statistics"]["unread_regions"], 0);
    assert_eq!(table["statistics"]["cells"], json_lines(&ok(&count_of(&region)))[0]["cells"]);

    let logs = testdata("wal/dictionary/crashed/WALs");
    let log = any_file(&fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path());
    for (target, options, exit, kind) in [
        (logs, &["--as", "wal"][..], 4, "Unsupported"),
        (log.clone(), &["--as", "wal"], 4, "Unsupported"),
        (log, &[], 4, "Unsupported"),
        (root.join("missing"), &[], 5, "Io"),
        (plain().into(), &["--as", "table"], 2, "InvalidArgument"),
        (root, &["--as", "snapshot"], 2, "InvalidArgument"),
    ] {
        let output = report(&target, &[&["--json"], options].concat());
        let found = (code(&output), last_error(&output)["kind"].clone());
        assert_eq!(found, (exit, json!(kind)), "{target:?} {options:?}");
    }
}

/// Returns the only table of a report, and its only region.
fn only(data: &Value) -> (&Value, &Value) {
    let [table] = list(data, "tables") else { panic!("one table") };
    let [region] = list(table, "regions") else { panic!("one region") };
    (table, region)
}

/// Files, references and a link are reported as in the report of their table.
#[test]
fn a_family_and_a_file_are_shown_in_their_region() {
    let table = testdata("region/split-references/root/data/default/halves");
    let whole = data(&table, &["--no-cells"]);
    let check = |target: &Path, kind: &str, region: &Value, files: &[Value]| {
        let found = data(target, &[]);
        let (shown, only) = only(&found);
        assert_eq!((&found["kind"], &found["findings"]), (&json!(kind), &json!([])), "{target:?}");
        assert_eq!((&found["unread"], &shown["table"]), (&json!([]), &json!("halves")), "{target:?}");
        assert_eq!(shown["path"], target.to_str().unwrap());
        for member in ["encoded", "path", "start", "end", "id", "serves"] {
            assert_eq!(only[member], region[member], "{target:?} {member}");
        }
        assert_eq!(list(only, "files"), files, "{target:?}");
        assert_eq!(shown["total"]["files"], files.len());
        check_statistics(shown, target.to_str().unwrap());
    };
    let mut kinds = BTreeSet::new();
    for region in list(&whole["tables"][0], "regions") {
        let path = Path::new(region["path"].as_str().unwrap());
        for family in list(region, "families") {
            let name = family["family"].as_str().unwrap();
            let files = list(region, "files").iter().filter(|file| file["family"] == name);
            check(&path.join(name), "family", region, &files.cloned().collect::<Vec<_>>());
        }
        for file in list(region, "files") {
            kinds.insert(file["kind"].as_str().unwrap());
            let path = Path::new(file["path"].as_str().unwrap());
            check(path, "hfile", region, std::slice::from_ref(file));
        }
    }
    assert_eq!(kinds, BTreeSet::from(["file", "link", "reference"]));
}

/// The files of a split region, copied without it; a golden file; damaged files.
#[test]
fn files_in_no_region_are_shown_without_names() {
    let parent = "region/split-references/root/data/default/halves/36870a128e2b61b11b5b6154f73464e8/p";
    let dir = tempfile::tempdir().unwrap();
    let family = dir.path().join("copied");
    copy_dir(&testdata(parent), &family);
    let golden = PathBuf::from(plain());
    for (target, kind, count) in [(&family, "family", 3), (&golden, "hfile", 1)] {
        let found = data(target, &[]);
        assert_eq!((&found["kind"], &found["unread"]), (&json!(kind), &json!([])));
        assert_eq!((&found["summary"]["tables"], &found["summary"]["regions"]), (&json!(0), &json!(0)));
        assert_eq!(found["summary"]["total"]["files"], count);
        let (table, region) = only(&found);
        assert_eq!((&table["table"], &table["path"]), (&Value::Null, &json!(target.to_str().unwrap())));
        let unknown = ["encoded", "start", "end", "id"].map(|member| region[member].is_null());
        assert_eq!((unknown, &region["serves"]), ([true; 4], &json!(true)));
        assert_eq!(table["families"], json!([{"family": null, "total": table["total"]}]));
        for file in list(region, "files") {
            assert_eq!((&file["family"], &file["kind"]), (&Value::Null, &json!("file")));
            check_file(&file["hfile"], file["path"].as_str().unwrap());
        }
        check_statistics(table, target.to_str().unwrap());
    }

    let bytes = fs::read(&golden).unwrap();
    for len in [0, bytes.len() - 40] {
        let cut = dir.path().join("cut");
        fs::write(&cut, &bytes[..len]).unwrap();
        let page = dir.path().join(format!("{len}.html"));
        let output = report(&cut, &["--no-cells", "--json", "--out", page.to_str().unwrap()]);
        assert_eq!(code(&output), 3, "{len}");
        let found = data_of(&fs::read_to_string(&page).unwrap());
        let [fault] = list(&found, "unread") else { panic!("one fault: {}", found["unread"]) };
        assert_eq!(fault["path"], cut.to_str().unwrap());
        let (_, region) = only(&found);
        let [file] = list(region, "files") else { panic!("one file") };
        assert_eq!((file["error"].is_string(), &file["bytes"]), (true, &json!(len)));
    }
}

/// A snapshot of a merged region, with references, and one with possibly missing files.
#[test]
fn a_snapshot_is_shown_where_its_files_are() {
    let mob = testdata("mob/cloned/root/.hbase-snapshot/shot");
    let found = data(&mob, &["--no-cells"]);
    assert_eq!(measured(&found["tables"][0]), files_of_du(mob.to_str().unwrap()));
    let regions = list(&found["tables"][0], "regions");
    let of_mob: Vec<&Value> = regions.iter().filter(|region| region["serves"] == false).collect();
    assert_eq!(of_mob.iter().map(|region| list(region, "files").len()).collect::<Vec<_>>(), [8]);

    let root = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), root.path());
    let target = root.path().join(".hbase-snapshot/joined-snap");
    let path = target.to_str().unwrap();
    let sound = data(&target, &[]);
    let table = &sound["tables"][0];
    assert_eq!((&sound["kind"], &sound["findings"]), (&json!("snapshot"), &json!([])));
    assert_eq!((&table["table"], &table["gaps"]), (&json!("joined"), &json!([])));
    assert_eq!(measured(table), files_of_du(path));
    check_statistics(table, path);
    let info = json_lines(&ok(&["snapshot", "info", "--json", root.path().to_str().unwrap(), "joined-snap"]));
    for (region, expected) in list(table, "regions").iter().zip(list(&info[0], "regions")) {
        for member in ["encoded", "start", "end"] {
            assert_eq!(region[member], expected[member]);
        }
        assert_eq!(expected["files"], list(region, "files").len());
        assert_eq!(region["serves"], true);
    }
    for file in files(&sound) {
        let of = file["target"].as_str().unwrap_or_else(|| file["path"].as_str().unwrap());
        check_file(&file["hfile"], of);
    }

    // after the table is deleted, all of it is in the archive
    let (data_dir, archive) =
        (root.path().join("data/default/joined"), root.path().join("archive/data/default"));
    fs::remove_dir_all(archive.join("joined")).unwrap();
    fs::rename(&data_dir, archive.join("joined")).unwrap();
    let archived = data(&target, &[]);
    assert_eq!(measured(&archived["tables"][0]), files_of_du(path));
    assert_eq!(archived["tables"][0]["statistics"], table["statistics"]);
    assert_eq!(archived["summary"]["total"], sound["summary"]["total"]);

    // a missing file hides no other
    let whole = files(&archived).into_iter().find(|file| file["kind"] == "file").unwrap();
    fs::remove_file(whole["path"].as_str().unwrap()).unwrap();
    assert_eq!(code(&report(&target, &["--json"])), 5);
    let broken = data(&target, &[]);
    assert_eq!(broken["tables"][0]["statistics"]["unread_regions"], 1);
    assert!(list(&broken, "unread").iter().any(|fault| fault["kind"] == "Io"), "{}", broken["unread"]);
    let left: Vec<&Value> = files(&archived).into_iter().filter(|file| *file != whole).collect();
    assert_eq!(files(&broken), left);
}

/// The command that counts the stored cells of a region.
fn count_of(region: &Path) -> [&str; 6] {
    ["count", region.to_str().unwrap(), "--raw", "--versions", "all", "--json"]
}

fn region_of(data: &Value, table: usize) -> String {
    data["tables"][table]["regions"][0]["encoded"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_broken_is_shown_and_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (table, regions) = hostile(dir.path());
    let sound = data(&table, &[]);
    assert_eq!(code(&report(&table, &["--json"])), 0);
    assert_eq!((list(&sound["tables"][0], "regions").len(), &sound["findings"]), (4, &json!([])));

    // a region is missing, and a file of another one is truncated
    fs::remove_dir_all(&regions[1]).unwrap();
    let file = any_file(&regions[2].join("d"));
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 40]).unwrap();

    let output = report(&table, &["--json"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains(file.to_str().unwrap()), "{}", stderr(&output));
    let broken = data(&table, &[]);
    let found = &broken["tables"][0];
    assert_eq!(found["gaps"], json!([{"kind": "hole", "start": "<b>", "end": "k", "regions": [0, 1]}]));
    assert_eq!(list(found, "regions").len(), 3);
    let mut checked = json_lines(&stdout(&run(&["check", "--json", table.to_str().unwrap()])));
    checked.pop();
    assert_eq!(broken["findings"], json!(checked));
    assert!(checked.iter().any(|finding| finding["kind"] == "hole"));
    // the file, and the region that cannot be read because of it
    let unread = list(&broken, "unread");
    assert!(unread.iter().any(|fault| fault["path"] == file.to_str().unwrap()), "{unread:?}");
    assert_eq!(found["statistics"]["unread_regions"], 1);
    let cells = |table: &Value, region: usize| table["regions"][region]["total"]["cells"].as_u64().unwrap();
    assert_eq!(found["statistics"]["cells"], cells(found, 0) + cells(found, 2));
    for shown in files(&broken) {
        let is_cut = shown["path"] == file.to_str().unwrap();
        assert_eq!((shown["hfile"].is_null(), shown["error"].is_null()), (is_cut, !is_cut), "{shown}");
        let before = files(&sound).into_iter().find(|other| other["path"] == shown["path"]).unwrap();
        assert!(is_cut || shown == before);
    }

    // the same with overlapping regions, one of which has no readable region info
    fs::write(regions[3].join(".regioninfo"), b"PBUF").unwrap();
    let broken = data(&table, &[]);
    let last = list(&broken["tables"][0], "regions").last().unwrap();
    assert_eq!((&last["serves"], &last["start"]), (&json!(false), &Value::Null));
    assert!(!list(last, "files").is_empty());
    assert_eq!(
        broken["tables"][0]["gaps"][1],
        json!({"kind": "hole", "start": "u", "end": "", "regions": [1]})
    );
}

/// Outside a root directory, the `.regioninfo` determines whether a directory belongs to a family.
#[test]
#[cfg(unix)]
fn what_cannot_be_examined_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (table, regions) = hostile(dir.path());
    let copy = dir.path().join("copy");
    copy_dir(&table, &copy);
    let sound = data(&table, &["--no-cells"]);

    // links to themselves
    let namespace = dir.path().join("data/shop");
    let links: Vec<PathBuf> = [&namespace, &table, &regions[0], &regions[0].join("d")]
        .into_iter()
        .map(|dir| dir.join("0123456789abcdef"))
        .collect();
    for link in &links {
        std::os::unix::fs::symlink(link, link).unwrap();
    }
    let found = data(&namespace, &["--no-cells", "--as", "namespace"]);
    assert_eq!(found["tables"], sound["tables"]);
    let unread = list(&found, "unread");
    for link in &links {
        assert!(unread.iter().any(|fault| fault["path"] == link.to_str().unwrap()), "{link:?}: {unread:?}");
    }

    let damaged = regions[0].file_name().unwrap().to_str().unwrap();
    let info = copy.join(damaged).join(".regioninfo");
    fs::write(&info, b"PBUF").unwrap();
    let found = data(&copy, &["--no-cells"]);
    let unread = list(&found, "unread");
    assert_eq!(unread.len(), 1, "{unread:?}");
    assert_eq!(unread[0]["path"], info.to_str().unwrap());
    let shown = list(&found["tables"][0], "regions");
    assert_eq!(shown.len(), 4);
    for region in shown {
        assert_eq!(list(region, "files").is_empty(), region["encoded"] == damaged, "{region}");
    }
}

#[test]
fn a_table_without_a_sound_region_hides_no_other() {
    let root = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), root.path());
    let namespace = root.path().join("data/default");
    let table = namespace.join("cloned");
    let regions: Vec<PathBuf> = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path()).collect();
    let infos: Vec<PathBuf> =
        regions.iter().map(|region| region.join(".regioninfo")).filter(|info| info.is_file()).collect();
    for info in &infos {
        fs::write(info, b"PBUF").unwrap();
    }
    fs::create_dir(namespace.join("empty")).unwrap();
    for (target, tables) in [(&namespace, 3), (&table, 1)] {
        assert_eq!(code(&report(target, &["--json"])), 3);
        let data = data(target, &["--no-cells"]);
        assert_eq!(list(&data, "tables").len(), tables);
        assert_eq!(list(&data["tables"][0], "regions").len(), infos.len());
        let unreadable = list(&data, "findings").iter().filter(|one| one["kind"] == "unreadable");
        assert_eq!(unreadable.count(), infos.len(), "{:#}", data["findings"]);
        let is_empty = |fault: &&Value| fault["kind"] == "TableNotFound";
        assert_eq!(list(&data, "unread").iter().filter(is_empty).count(), usize::from(tables == 3));
    }
}

#[test]
fn overlaps_name_their_regions() {
    let dir = tempfile::tempdir().unwrap();
    let (table, regions) = hostile(dir.path());
    // a younger region with rows of two others
    let other = tempfile::tempdir().unwrap();
    let younger = Table::create(other.path(), "shop:orders", &[Family::new("d")], &["c", "p"]).unwrap();
    let middle = younger.regions()[1].encoded_name();
    younger.close().unwrap();
    copy_dir(&other.path().join("data/shop/orders").join(&middle), &table.join(&middle));
    let found = data(&table, &["--no-cells"]);
    let shown = list(&found["tables"][0], "regions");
    let at = |name: &str| shown.iter().position(|region| region["encoded"] == name).unwrap();
    let encoded = |at: usize| regions[at].file_name().unwrap().to_str().unwrap();
    assert_eq!(shown.len(), 5);
    for gap in list(&found["tables"][0], "gaps") {
        assert_eq!(gap["kind"], "overlap");
        assert!(list(gap, "regions").contains(&json!(at(&middle))), "{gap}");
    }
    let named: Vec<&Value> =
        list(&found["tables"][0], "gaps").iter().flat_map(|gap| list(gap, "regions")).collect();
    assert!(named.contains(&&json!(at(encoded(1)))) && named.contains(&&json!(at(encoded(2)))));
    assert!(!named.contains(&&json!(at(encoded(3)))));
}

#[test]
fn the_page_is_one_file_without_markup_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let (table, _) = hostile(dir.path());
    let out = dir.path().join("report.html");
    let output = report(&table, &["--json", "--out", out.to_str().unwrap()]);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let page = fs::read_to_string(&out).unwrap();
    assert_eq!(data_of(&page), json_lines(&stdout(&output))[0]);
    assert!(stdout(&output).contains("alert(1)") && stdout(&output).contains("onerror"));

    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    for hostile in ["<img", "<b>", "<q>", "alert(1)</", "\u{2028}", "\x1b"] {
        assert!(!page.contains(hostile), "{hostile:?}");
    }
    for loader in [" src=", "<link", "<iframe", "@import", "href=\"h", "url(h"] {
        let (before, _) = page.split_once("<script type=\"application/json\"").unwrap();
        assert!(!before.contains(loader), "{loader}");
    }
    check_tags(&page);
    // only the page was written
    assert!(names(dir.path()).iter().all(|name| !name.ends_with(".tmp")), "{:?}", names(dir.path()));
}

/// Timestamps in nanoseconds are too large for the numbers of JavaScript.
#[test]
fn the_page_has_large_numbers_as_text() {
    const NANOS: i64 = 1_700_000_000_123_456_789;
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell_at("f", "q", NANOS, "v")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    let out = dir.path().join("report.html");
    let printed = data(&dir.path().join("data/default/t"), &["--out", out.to_str().unwrap()]);
    let drawn = data_of(&fs::read_to_string(&out).unwrap());
    for (data, expected) in [(&printed, json!(NANOS)), (&drawn, json!(NANOS.to_string()))] {
        assert_eq!(files(data)[0]["hfile"]["newest"], expected);
        assert_eq!(data["tables"][0]["statistics"]["timestamps"]["max"], expected);
    }
}

/// Checks that the elements of a page are closed in order. The contents of scripts and styles are text.
fn check_tags(page: &str) {
    let (mut open, mut rest): (Vec<String>, &str) = (Vec::new(), page);
    while let Some((_, tag)) = rest.split_once('<') {
        let (inside, after) = tag.split_once('>').expect("a tag is closed");
        rest = after;
        let name: String =
            inside.chars().take_while(|c| c.is_ascii_alphanumeric() || "/!".contains(*c)).collect();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed)),
            None if name == "!DOCTYPE" || name == "meta" => {}
            None => {
                if name == "script" || name == "style" {
                    let end = format!("</{name}>");
                    rest = &rest[rest.find(&end).expect("it ends")..];
                }
                open.push(name);
            }
        }
    }
    assert_eq!(open, [] as [String; 0]);
}

#[test]
fn a_page_is_written_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let table = testdata("region/bulk-loaded/root/data/default/loaded");
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    fs::write(path("taken"), "mine").unwrap();
    fs::create_dir(path("directory")).unwrap();
    for (out, exit, kind) in [
        (path("taken"), 2, "InvalidArgument"),
        (path("taken/below.html"), 5, "Io"),
        (path("missing/report.html"), 5, "Io"),
        ("-".into(), 2, "Usage"),
        ("s3://bucket/report.html".into(), 4, "Unsupported"),
    ] {
        let output = report(&table, &["--json", "--no-cells", "--out", &out]);
        assert_eq!((code(&output), &last_error(&output)["kind"]), (exit, &json!(kind)), "{out}");
        assert_eq!(names(dir.path()).len(), 2, "{out}");
        assert_eq!(fs::read(path("taken")).unwrap(), b"mine");
    }
    // only a page of this command is replaced
    fs::write(path("empty"), "").unwrap();
    fs::write(path("other.html"), "<!DOCTYPE html>\n".repeat(100)).unwrap();
    for name in ["taken", "empty", "other.html", "directory"] {
        let before = fs::read(path(name)).ok();
        let output = report(&table, &["--json", "--no-cells", "--force", "--out", &path(name)]);
        assert_eq!((code(&output), &last_error(&output)["kind"]), (2, &json!("InvalidArgument")), "{name}");
        assert!(last_error(&output)["path"].as_str().unwrap().ends_with(name));
        assert_eq!(fs::read(path(name)).ok(), before, "{name}");
        assert_eq!(names(dir.path()).len(), 4);
    }

    let output = report(&table, &[]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--out FILE"), "{}", stderr(&output));

    let args = ["--out", &path("page"), "--no-cells", "--force"];
    for args in [&args[..3], &args] {
        let output = report(&table, args);
        assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
    }
    let whole = fs::read(path("page")).unwrap();
    assert!(whole.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(names(dir.path()).len(), 5);
    // the same page again, although it was truncated
    fs::write(path("page"), &whole[..1000]).unwrap();
    assert_eq!(code(&report(&table, &["--force", "--out", &path("page")])), 0);
    assert!(fs::read(path("page")).unwrap().ends_with(b"</html>\n"));
}

#[test]
fn many_files_have_smaller_maps() {
    let dir = tempfile::tempdir().unwrap();
    let (table, regions) = hostile(dir.path());
    let one = any_file(&regions[3].join("d"));
    for i in 0..1200 {
        fs::copy(&one, one.with_file_name(format!("{i:032x}"))).unwrap();
    }
    let data = data(&table, &["--no-cells"]);
    let most = 60_000 / files(&data).len();
    assert!((8..60).contains(&most), "{most}");
    for file in files(&data) {
        let map = &file["hfile"]["blocks"];
        let blocks: u64 = list(map, "pieces").iter().map(|piece| piece["blocks"].as_u64().unwrap()).sum();
        assert!(list(map, "pieces").len() <= most);
        assert_eq!(map["count"], blocks);
    }
}
