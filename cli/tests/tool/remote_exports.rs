//! Exports and files written to URLs equal local ones, whichever call fails, however many processes write at
//! once, and whenever one of them is killed.

use crate::batches::{files, table, text};
use crate::library::fake_s3::{FakeS3, Manner};
use crate::remote::{SETTINGS, ask, command, put, with_each_request};
use crate::support::{code, json_lines, ok, plain, run, stderr, stdout, testdata};
use hregion::{Put, Region, Storage as _, Table};
use hregion_remote::{RemoteOptions, RemoteStorage};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::iter::repeat_n;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The forms of an export, with options that make its files the same in each repetition.
const FORMS: [&str; 5] = [
    "--to jsonl --gzip --now 1800000000000",
    "--to csv --now 1800000000000",
    "--to csv --columns p:a=utf8,q:a=utf8 --invalid-as-null --now 1800000000000",
    "--to parquet --now 1800000000000",
    "--to arrow --now 1800000000000",
];

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A directory given as a URL, and the endpoint of its server.
struct Place {
    endpoint: String,
    url: String,
    storage: RemoteStorage,
}

impl Place {
    fn bucket(endpoint: &str, name: &str) -> Self {
        let mut options = RemoteOptions::default().setting("aws_endpoint", endpoint);
        for (name, value) in SETTINGS {
            options = options.setting(name, value);
        }
        let storage = options.build().unwrap();
        Self { endpoint: endpoint.to_owned(), url: format!("s3://bucket/{name}"), storage }
    }

    fn hdfs(base: &str, name: &str) -> Self {
        let storage = RemoteOptions::default().build().unwrap();
        Self { endpoint: String::new(), url: format!("{base}/{name}"), storage }
    }

    fn tool(&self, line: &str) -> Output {
        command(&self.endpoint, &words(line)).output().unwrap()
    }

    fn start(&self, line: &str) -> Child {
        let mut command = command(&self.endpoint, &words(line));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn done(&self, line: &str) -> String {
        let output = self.tool(line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    fn fails(&self, line: &str, exit: i32, expected: &str) {
        let output = self.tool(line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert!(stderr(&output).contains(expected), "{line}: {}", stderr(&output));
    }

    /// Returns the files of a directory with their bytes.
    fn files(&self, dir: &str) -> BTreeMap<String, Vec<u8>> {
        let dir = Path::new(&self.url).join(dir);
        let entries = match self.storage.list_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return BTreeMap::new(),
            entries => entries.unwrap(),
        };
        let read = |name: &str| {
            if name.starts_with('.') {
                // A file of HDFS that is being written cannot be read.
                return Vec::new();
            }
            let file = self.storage.open(&dir.join(name)).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        let names = entries.iter().map(|entry| entry.utf8_name().unwrap().to_owned());
        names.map(|name| (name.clone(), read(&name))).collect()
    }
}

/// Returns the files listed by a manifest, which must exist, without their names.
fn listed<N: AsRef<Path> + Ord>(files: &BTreeMap<N, Vec<u8>>) -> Vec<Value> {
    let bytes = |name: &str| {
        let found = files.iter().find(|(found, _)| found.as_ref() == Path::new(name));
        found.unwrap_or_else(|| panic!("no {name}")).1
    };
    let manifest: Value = serde_json::from_slice(bytes("manifest.json")).unwrap();
    let mut listed = manifest["files"].as_array().unwrap().clone();
    for file in &mut listed {
        let bytes = bytes(file["file"].as_str().unwrap());
        let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (file["sha256"].as_str(), file["bytes"].as_u64()),
            (Some(&*sum), Some(bytes.len() as u64))
        );
        file.as_object_mut().unwrap().remove("file");
    }
    listed
}

/// Whether a directory has the files of its manifest, and no others.
fn is_complete(files: &BTreeMap<String, Vec<u8>>) -> bool {
    files.contains_key("manifest.json") && listed(files).len() + 1 == files.len()
}

/// Exports in each form equal local ones, are not replaced, and are compared with their source.
fn exports_are_those_of_a_directory(place: &Place) {
    let scratch = tempfile::tempdir().unwrap();
    let halves = testdata("region/split-references/root/data/default/halves");
    for (number, form) in FORMS.into_iter().enumerate() {
        let local = scratch.path().join(number.to_string());
        ok(&words(&format!("export {} {form} --versions all --out {}", text(&halves), text(&local))));
        let line = format!("export {} {form} --versions all --out {}/{number}", text(&halves), place.url);
        let printed = json_lines(&place.done(&format!("--json {line}")));
        let found = place.files(&number.to_string());
        assert!(is_complete(&found), "{form}: {:?}", found.keys());
        assert_eq!(listed(&found), listed(&files(&local)), "{form}");
        assert_eq!(printed.len(), found.len(), "{form}");
        place.fails(&line, 2, "exists");
        assert!(place.files(&number.to_string()) == found, "{form}");
        place.done(&format!("{line} --force"));
        let replaced = place.files(&number.to_string());
        assert!(is_complete(&replaced), "{form}: {:?}", replaced.keys());
        assert_eq!(listed(&replaced), listed(&found), "{form}");
        assert!(found.keys().all(|name| name == "manifest.json" || !replaced.contains_key(name)), "{form}");
        if number > 1 {
            assert_eq!(place.done(&format!("{line} --check")), "");
        }
    }

    // A changed source, and a changed file.
    let root = scratch.path().join("root");
    let path = table(&root, 100);
    for form in ["parquet", "csv"] {
        let line = format!("export {} --to {form} --columns f:n=long@,f:t=utf8", text(&path));
        let line = format!("{line} --out {}/own-{form}", place.url);
        place.done(&line);
        assert_eq!(place.done(&format!("{line} --check")), "");
        let table = Table::open_with(&root, "t", Region::options().writable(true)).unwrap();
        table.put(Put::new("3-00003").cell_at("f", "t", 7, form)).unwrap();
        table.close().unwrap();
        let checked = place.tool(&format!("{line} --check"));
        assert_eq!((code(&checked), stdout(&checked).lines().count()), (1, 1), "{}", stderr(&checked));
    }
    let dir = Path::new(&place.url).join("own-parquet");
    let names = place.files("own-parquet");
    let name = names.keys().find(|name| name.ends_with(".parquet")).unwrap();
    let mut bytes = names[name].clone();
    bytes[20] ^= 1;
    let mut writer = place.storage.create(&dir.join(name)).unwrap();
    writer.write_all(&bytes).unwrap();
    writer.sync().unwrap();
    let line = format!("--json export {} --to parquet --columns f:n=long@,f:t=utf8 --check", text(&path));
    let checked = place.tool(&format!("{line} --out {}/own-parquet", place.url));
    let found = json_lines(&stdout(&checked));
    assert_eq!(code(&checked), 1, "{found:?}");
    let is_of_file =
        |found: &Value| found["file"] == **name && found["message"].as_str().unwrap().contains("sha256");
    assert!(found.iter().any(is_of_file), "{found:?}");

    // Files of others are kept, also beside an export.
    let beside = dir.join("notes.csv");
    place.storage.create_new(&beside).unwrap().sync().unwrap();
    let before = place.files("own-parquet");
    let line = format!("export {} --to csv --force --out {}/own-parquet", text(&path), place.url);
    place.fails(&line, 2, "does not list notes.csv");
    assert!(place.files("own-parquet") == before);
    place.storage.remove(&beside).unwrap();
    place.done(&line);
    assert!(is_complete(&place.files("own-parquet")));
    let notes = Path::new(&place.url).join("others/notes.csv");
    place.storage.create_dir_all(notes.parent().unwrap()).unwrap();
    place.storage.create_new(&notes).unwrap().sync().unwrap();
    for form in FORMS {
        place.fails(&format!("export {} {form} --out {}/others", text(&halves), place.url), 2, "notes.csv");
        place.fails(
            &format!("export {} {form} --out {}/others/notes.csv", text(&halves), place.url),
            2,
            "exists",
        );
    }
    assert_eq!(place.files("others").into_keys().collect::<Vec<_>>(), ["notes.csv"]);
}

/// Exports by processes that are killed, and by two processes at once.
fn exports_survive_kills_and_others(place: &Place, step: Duration) {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 4000);
    for (number, form) in
        ["--to parquet --columns f:n=long,f:t=utf8", "--to jsonl --gzip"].into_iter().enumerate()
    {
        let line =
            |out: &str| format!("export {} {form} --now 1800000000000 --jobs 1 --out {out}", text(&path));
        let local = scratch.path().join(format!("local-{number}"));
        ok(&words(&line(text(&local))));
        let expected = listed(&files(&local));

        let killed = format!("killed-{number}");
        let (mut kills, mut kept) = (0, 0);
        for at in 0..8 {
            let before = place.files(&killed);
            let mut child = place.start(&line(&format!("{}/{killed}", place.url)));
            thread::sleep(step * (1 << at));
            kills += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
            let found = place.files(&killed);
            if found.contains_key("manifest.json") {
                assert_eq!(listed(&found), expected);
                kept = before.keys().filter(|name| found.contains_key(*name)).count();
                break;
            }
        }
        if !place.files(&killed).contains_key("manifest.json") {
            place.done(&line(&format!("{}/{killed}", place.url)));
        }
        assert_eq!(listed(&place.files(&killed)), expected);
        println!("{form}: {kills} kills, {kept} files kept");
        assert!(kills > 0, "{form}");

        for round in 0..4 {
            let out = format!("both-{number}-{round}");
            let children = [0, 1].map(|_| place.start(&line(&format!("{}/{out}", place.url))));
            let ended = children.map(|child| child.wait_with_output().unwrap());
            let codes = ended.each_ref().map(code);
            let said = ended.map(|output| stderr(&output));
            assert!(codes.contains(&0) && codes.iter().all(|code| [0, 2, 5].contains(code)), "{said:?}");
            assert_ne!(codes, [0, 0], "{said:?}");
            let found = place.files(&out);
            assert!(is_complete(&found), "{:?} {said:?}", found.keys());
            assert_eq!(listed(&found), expected, "{said:?}");
        }
    }
}

/// Single files.
fn files_are_those_of_a_directory(place: &Place) {
    let scratch = tempfile::tempdir().unwrap();
    let dir = Path::new(&place.url).join("files");
    place.storage.create_dir_all(&dir).unwrap();
    for line in [
        format!("convert {} --to jsonl --out OUT/cells.jsonl.gz", plain()),
        format!("convert {} --create-time 7 --out OUT/converted", plain()),
        format!(
            "write {}/cells.jsonl.gz --create-time 7 --sort --sort-memory 4K --out OUT/written",
            text(scratch.path())
        ),
    ] {
        let at_url = line.replace("OUT", text(&dir));
        ok(&words(&line.replace("OUT", text(scratch.path()))));
        place.done(&at_url);
        place.fails(&at_url, 2, "--force");
        place.done(&format!("{at_url} --force"));
    }
    let found = place.files("files");
    assert_eq!(found.len(), 3);
    for (name, bytes) in found {
        assert!(fs::read(scratch.path().join(&name)).unwrap() == bytes, "{name}");
    }
    let file = dir.join("written");
    place.fails(&format!("convert {0} --force --out {0}", text(&file)), 2, "is the input");
}

/// Writes a list of cells of two families, and split points. Returns the options of a bulk load of them.
fn load_of(dir: &Path) -> String {
    let cell = |row: usize, family: &str| {
        let key = format!(r#""row":"{}-{row:03}","family":"{family}","qualifier":"q""#, row % 4);
        format!(r#"{{{key},"timestamp":7,"type":"Put","value":"v"}}"#)
    };
    let cells: Vec<String> = (0..100).flat_map(|row| [cell(row, "f"), cell(row, "g")]).collect();
    let (list, splits) = (dir.join("cells.jsonl"), dir.join("splits.txt"));
    fs::write(&list, cells.join("\n")).unwrap();
    fs::write(&splits, "1\n3\n").unwrap();
    format!("{} --regions {} --sort --create-time 7", text(&list), text(&splits))
}

/// Directories for a bulk load.
fn loads_are_those_of_a_directory(place: &Place) {
    let scratch = tempfile::tempdir().unwrap();
    let load = load_of(scratch.path());
    let out = format!("{}/load", place.url);
    let files_of = |printed: &str| -> Vec<(Value, String)> {
        let with_cells = |mut file: Value| {
            let path = file.as_object_mut().unwrap().remove("path").unwrap();
            (file, place.done(&format!("cells --json {}", path.as_str().unwrap())))
        };
        json_lines(printed).into_iter().map(with_cells).collect()
    };
    let local = ok(&words(&format!("--json bulkload {load} --out {}", text(&scratch.path().join("load")))));
    let printed = place.done(&format!("--json bulkload {load} --out {out}"));
    let files = files_of(&printed);
    assert_eq!(files, files_of(&local));
    assert_eq!(files.len(), 6, "two families in three regions");
    let names = |dir: &Path| -> Vec<String> {
        let entries = place.storage.list_dir(dir).unwrap();
        entries.iter().map(|entry| entry.utf8_name().unwrap().to_owned()).collect()
    };
    assert_eq!(names(Path::new(&out)), ["f", "g"]);
    for family in ["f", "g"] {
        let found = names(&Path::new(&out).join(family));
        assert!(found.len() == 3 && found.iter().all(|name| name.len() == 32), "{found:?}");
    }
    place.fails(&format!("bulkload {load} --out {out}"), 2, "exists");
    place.fails(&format!("bulkload {load} --force --out {out}"), 4, "not replaced");
    // Nothing remains after a failure in the middle.
    let wrong = load.replace("--sort ", "");
    place.fails(&format!("bulkload {wrong} --out {}/wrong", place.url), 2, "order");
    let parent = place.storage.list_dir(Path::new(&place.url)).unwrap();
    let left: Vec<_> = parent.iter().filter_map(|entry| entry.utf8_name()).collect();
    assert!(!left.iter().any(|name| *name == "wrong" || name.starts_with('.')), "{left:?}");
}

#[test]
fn exports_to_a_bucket_are_those_of_a_directory() {
    let server = FakeS3::start();
    let place = Place::bucket(&server.endpoint(), "exports");
    exports_are_those_of_a_directory(&place);
    files_are_those_of_a_directory(&place);
    loads_are_those_of_a_directory(&place);
    assert_eq!(server.uploads(), 0);
}

/// A request that fails, or whose answer is cut off.
#[test]
fn a_bulk_load_to_a_bucket_is_complete_or_not_there() {
    let (server, scratch) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let line = format!("--json bulkload {} --out s3://bucket/load", load_of(scratch.path()));
    let prepare = || server.keys().iter().for_each(|key| server.remove(key));
    with_each_request(&server, &line, prepare, |exit, context| {
        assert_eq!(server.keys().len(), if exit == 0 { 6 } else { 0 }, "{context}: {:?}", server.keys());
    });
    prepare();
    server.take_asked();
    assert_eq!(code(&ask(&server, &line)), 0);
    let asked = server.take_asked().0;
    let at = asked.iter().rposition(|asked| asked.starts_with("PUT load/")).unwrap() as u64 + 1;
    prepare();
    server.die_at(at, true);
    let cut = ask(&server, &line);
    server.revive();
    assert_eq!(code(&cut), 5, "{}", stderr(&cut));
    assert!(stderr(&cut).contains("may be left"), "{}", stderr(&cut));
    // It is not extended.
    let left = server.keys();
    assert_eq!((left.len(), code(&ask(&server, &line))), (6, 2));
    assert_eq!(server.keys(), left);
}

/// A process that begins to fill a directory while another one does so.
#[test]
fn a_bulk_load_to_a_bucket_has_no_files_of_others() {
    let (server, scratch) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let line = format!("bulkload {} --out s3://bucket/load", load_of(scratch.path()));
    let place = Place::bucket(&server.endpoint(), "load");
    place.done(&line);
    let asked = server.take_asked().0;
    prepare_wait(&server, asked.iter().rposition(|asked| asked.starts_with("PUT load/")).unwrap());
    let mut child = place.start(&line);
    until_waiting(&server, &mut child);
    server.put("load/f/other", b"other".to_vec());
    server.release();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains("load/f/other"), "{}", stderr(&output));
    assert_eq!(server.keys(), ["load/f/other"]);
}

/// Removes all objects, and delays a later request.
fn prepare_wait(server: &FakeS3, at: usize) {
    server.keys().iter().for_each(|key| server.remove(key));
    server.behave(repeat_n(Manner::Good, at).chain([Manner::Waits]));
}

#[test]
fn exports_to_a_bucket_survive_kills_and_others() {
    let server = FakeS3::start();
    let place = Place::bucket(&server.endpoint(), "exports");
    exports_survive_kills_and_others(&place, Duration::from_millis(15));
}

/// A request that fails, or whose answer is cut off.
#[test]
fn an_export_to_a_bucket_is_complete_or_not_there() {
    let (server, scratch) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let place = Place::bucket(&server.endpoint(), "out");
    let path = table(&scratch.path().join("root"), 200);
    for form in ["--to jsonl", "--to parquet --columns f:n=long,f:t=utf8"] {
        let line = format!("export {} {form} --now 1800000000000 --jobs 1 --out {}", text(&path), place.url);
        let local = scratch.path().join("local");
        ok(&words(&line.replace(&place.url, text(&local))));
        let expected = listed(&files(&local));
        fs::remove_dir_all(&local).unwrap();
        let prepare = || server.keys().iter().for_each(|key| server.remove(key));
        with_each_request(&server, &line, prepare, |exit, context| {
            let mut found = place.files("");
            // It is removed by an export that completes.
            found.retain(|name, _| exit == 0 || !name.starts_with(".hregion.probe."));
            match exit {
                0 => {
                    assert_eq!(listed(&found), expected, "{context}");
                    assert!(
                        is_complete(&found) || context.contains("is left"),
                        "{context}: {:?}",
                        found.keys()
                    );
                }
                _ if form.contains("jsonl") => assert!(found.is_empty(), "{context}: {:?}", found.keys()),
                _ => assert!(!found.contains_key("manifest.json"), "{context}"),
            }
        });
        // All requests from one on fail.
        prepare();
        server.take_asked();
        assert_eq!(code(&ask(&server, &line)), 0);
        let requests = server.take_asked().0.len() as u64;
        // A process repeats its last request for some seconds.
        let cuts = (1 + u64::from(form.contains("jsonl")) * requests / 6..requests)
            .step_by(1 + usize::try_from(requests).unwrap() / 3);
        for (at, is_made) in cuts.zip([false, true].into_iter().cycle()) {
            prepare();
            server.die_at(at, is_made);
            let cut = ask(&server, &line);
            server.revive();
            let left = place.files("");
            let context = format!("{form} at {at} of {requests}, {is_made}: {}", stderr(&cut));
            if left.contains_key("manifest.json") {
                assert_eq!(listed(&left), expected, "{context}");
                continue;
            }
            assert_eq!(code(&cut), 5, "{context}");
            let again = ask(&server, &line);
            assert_eq!(code(&again), 0, "{context}: {}", stderr(&again));
            let found = place.files("");
            assert!(is_complete(&found), "{context}: {:?}", found.keys());
            assert_eq!(listed(&found), expected, "{context}");
            // Files with a description are kept.
            for name in left.keys().filter_map(|name| name.strip_suffix(".json")) {
                assert!(found.contains_key(name), "{context}: {name}");
            }
        }
    }
}

/// Waits until a request of a process is held.
fn until_waiting(server: &FakeS3, child: &mut Child) {
    while !server.has_waiting() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Stops a process at its request for the manifest, the first one in `asked`, while another one completes the
/// same export. Checks that the first fails and the export stays. Returns the files before and after.
fn overtake(server: &FakeS3, place: &Place, line: &str, asked: &[String]) -> [BTreeMap<String, Vec<u8>>; 2] {
    let at = asked.iter().position(|asked| asked.starts_with("PUT out/manifest.json")).unwrap();
    server.behave(repeat_n(Manner::Good, at).chain([Manner::Waits]));
    let mut first = place.start(line);
    until_waiting(server, &mut first);
    let before = place.files("");
    place.done(line);
    let found = place.files("");
    server.release();
    let first = first.wait_with_output().unwrap();
    assert_eq!(code(&first), 5, "{}", stderr(&first));
    assert!(stderr(&first).contains("manifest.json"), "{}", stderr(&first));
    assert!(place.files("") == found && is_complete(&found), "{:?}", found.keys());
    [before, found]
}

/// A process that is about to create its manifest while another one completes its export.
#[test]
fn the_first_manifest_in_a_bucket_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 200);
    for form in ["--to jsonl", "--to parquet --columns f:n=long,f:t=utf8 --now 1800000000000"] {
        let server = FakeS3::start();
        let place = Place::bucket(&server.endpoint(), "out");
        let line = format!("export {} {form} --jobs 1 --out {}", text(&path), place.url);
        place.done(&line);
        let asked = server.take_asked().0;
        server.keys().iter().for_each(|key| server.remove(key));
        let [before, found] = overtake(&server, &place, &line, &asked);
        let kept = before.keys().filter(|name| found.contains_key(*name)).count();
        assert_eq!(kept, if form.contains("parquet") { 4 } else { 0 });
    }
}

/// A request that fails, or whose answer is cut off, while an export replaces another one.
#[test]
fn a_replaced_export_is_the_old_one_or_the_new_one() {
    let (server, scratch) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let place = Place::bucket(&server.endpoint(), "out");
    let path = table(&scratch.path().join("root"), 200);
    place.done(&format!("export {} --to csv --out {}", text(&path), place.url));
    let old = place.files("");
    assert!(is_complete(&old) && old.len() > 2, "{:?}", old.keys());
    for (form, is_made) in [("--to jsonl", true), ("--to parquet --columns f:n=long,f:t=utf8", false)] {
        let line = format!("export {} {form} --now 1800000000000 --jobs 1", text(&path));
        let local = scratch.path().join("local");
        ok(&words(&format!("{line} --out {}", text(&local))));
        let expected = listed(&files(&local));
        fs::remove_dir_all(&local).unwrap();
        let line = format!("{line} --force --out {}", place.url);
        let prepare = || {
            server.keys().iter().for_each(|key| server.remove(key));
            old.iter().for_each(|(name, bytes)| server.put(&format!("out/{name}"), bytes.clone()));
        };
        // Returns whether the export is the new one.
        let is_new = |found: &BTreeMap<String, Vec<u8>>, context: &str| {
            if found.get("manifest.json") == old.get("manifest.json") {
                assert!(old.iter().all(|(name, bytes)| found.get(name) == Some(bytes)), "{context}");
                return false;
            }
            assert_eq!(listed(found), expected, "{context}");
            true
        };
        with_each_request(&server, &line, prepare, |exit, context| {
            let mut found = place.files("");
            // It is removed by an export that completes.
            found.retain(|name, _| exit == 0 || !name.starts_with(".hregion.probe."));
            let is_new = is_new(&found, context);
            assert_eq!(is_new, exit == 0, "{context}");
            let is_alone = if is_new { is_complete(&found) } else { found == old };
            assert!(is_alone || context.contains("is left"), "{context}: {:?}", found.keys());
        });
        // All requests from the creation of the manifest on fail.
        prepare();
        server.take_asked();
        assert_eq!(code(&ask(&server, &line)), 0);
        let asked = server.take_asked().0;
        let at = asked.iter().position(|asked| asked.starts_with("PUT out/manifest.json")).unwrap() as u64;
        prepare();
        server.die_at(at + 1, is_made);
        let cut = ask(&server, &line);
        server.revive();
        let context = format!("{form} at {at}, {is_made}: {}", stderr(&cut));
        assert_eq!(code(&cut), 5, "{context}");
        assert_eq!(is_new(&place.files(""), &context), is_made, "{context}");
        let again = ask(&server, &line);
        assert_eq!(code(&again), 0, "{context}: {}", stderr(&again));
        let found = place.files("");
        assert!(is_new(&found, &context) && is_complete(&found), "{context}: {:?}", found.keys());
    }
}

/// A process that is about to replace an export while another one does so.
#[test]
fn the_first_replacement_in_a_bucket_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 200);
    for form in ["--to jsonl", "--to parquet --columns f:n=long,f:t=utf8 --now 1800000000000"] {
        let server = FakeS3::start();
        let place = Place::bucket(&server.endpoint(), "out");
        let line = format!("export {} {form} --jobs 1 --force --out {}", text(&path), place.url);
        place.done(&line);
        server.take_asked();
        place.done(&line);
        let asked = server.take_asked().0;
        overtake(&server, &place, &line, &asked);
    }
}

/// Another process replaces a file before the manifest exists.
#[test]
fn a_manifest_is_of_what_is_in_the_bucket() {
    let (server, scratch) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let place = Place::bucket(&server.endpoint(), "out");
    let path = table(&scratch.path().join("root"), 200);
    let line = format!("export {} --to jsonl --jobs 1 --out {}", text(&path), place.url);
    place.done(&line);
    let asked = server.take_asked().0;
    server.keys().iter().for_each(|key| server.remove(key));
    let last =
        asked.iter().rposition(|asked| asked.starts_with("PUT out/") && asked.contains(".jsonl")).unwrap();
    server.behave(repeat_n(Manner::Good, last).chain([Manner::Waits]));
    let mut child = place.start(&line);
    until_waiting(&server, &mut child);
    let key = server.keys().remove(0);
    server.put(&key, b"other".to_vec());
    server.release();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains(&key), "{}", stderr(&output));
    assert!(server.keys().is_empty(), "{:?}", server.keys());
    assert_eq!(code(&run(&words(&format!("export {} --to jsonl --out xy://z", text(&path))))), 4);
}

fn check_all(place: &Place) {
    exports_are_those_of_a_directory(place);
    files_are_those_of_a_directory(place);
    loads_are_those_of_a_directory(place);
    exports_survive_kills_and_others(place, Duration::from_millis(40));
}

#[test]
#[ignore = "needs a server"]
fn exports_against_moto() {
    let endpoint = std::env::var("HREGION_MOTO").expect("the endpoint of a server of moto");
    put(&endpoint, "/bucket", &[]);
    check_all(&Place::bucket(&endpoint, &unique()));
}

#[test]
#[ignore = "needs a server"]
fn exports_against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    check_all(&Place::hdfs(&base, &unique()));
}

fn unique() -> String {
    format!("exports-{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos())
}
