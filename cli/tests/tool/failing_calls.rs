//! Each call of the tool to the operating system fails once: a command that reads gives the same answer or an
//! error; a command that writes has changed everything or nothing, and succeeds when it is repeated.
//!
//! The calls are failed by a preloaded library, `failing_calls/fail.c`. Only some of the calls of a command
//! are failed, up to `HREGION_OPS` if it is set. `HREGION_SEED` sets the seed, which selects them.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use crate::library::files::copy_dir;
use crate::library::rng::Rng;
use crate::support::{golden, hregion, ok, stderr, stdout};
use hregion::{Delete, Family, HFile, Put, Region, Scan, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The maximum number of failed calls of a command.
const MOST: u64 = 12;

/// The library that fails calls.
struct Shim {
    dir: TempDir,
    most: u64,
    random: Rng,
}

/// The result of a process.
struct Ran {
    output: Output,
    calls: u64,
    /// The name of the call that failed.
    failed: String,
}

impl Shim {
    fn build() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tool/failing_calls/fail.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-w", "-o"]).arg(dir.path().join("fail.so")).arg(source);
        let built = compiler.arg("-ldl").output().unwrap();
        assert!(built.status.success(), "{}", stderr(&built));
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let seed = number("HREGION_SEED").unwrap_or(1);
        Self { dir, most: number("HREGION_OPS").unwrap_or(MOST), random: Rng::new(seed) }
    }

    /// Runs the tool with a failing call on files below a directory; 0 for none.
    fn run(&self, below: &Path, at: u64, line: &[String]) -> Ran {
        self.run_with(below, ("FAIL_AT", &at.to_string()), line)
    }

    fn run_with(&self, below: &Path, what: (&str, &str), line: &[String]) -> Ran {
        let log = self.dir.path().join("calls");
        let mut command = hregion();
        command.args(line).env("LD_PRELOAD", self.dir.path().join("fail.so"));
        command.env("FAIL_BELOW", below).env(what.0, what.1).env("FAIL_LOG", &log);
        let output = command.output().unwrap();
        let log = fs::read_to_string(&log).unwrap();
        let (calls, failed) = log.trim().split_once(' ').unwrap();
        Ran { output, calls: calls.parse().unwrap(), failed: failed.to_owned() }
    }

    /// Selects the calls to fail, by their numbers from 1 to `calls`.
    fn chosen(&mut self, calls: u64) -> BTreeSet<u64> {
        if calls <= self.most {
            return (1..=calls).collect();
        }
        let mut chosen = BTreeSet::new();
        while (chosen.len() as u64) < self.most {
            chosen.insert(1 + self.random.next() % calls);
        }
        chosen
    }
}

/// Returns a directory, in memory if possible, where commands do not wait for a disk.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A root with the tables `a`, of two regions, with files, links and a snapshot; `b`, without rows; and `c`,
/// whose rows are in its log.
fn make_root(root: &Path) {
    let family = || Family::new("f").max_versions(3);
    let put = |row: usize, time: i64| {
        Put::new(format!("row-{row:03}")).cell_at("f", "q", time, format!("value {row} {time}").repeat(9))
    };
    let a = Table::create(root, "a", &[family()], &["row-050"]).unwrap();
    for (time, step) in [(1, 3), (2, 4)] {
        (0..100).step_by(step).for_each(|row| a.put(put(row, time)).unwrap());
        a.delete(Delete::new("row-006").column_at("f", "q", 1)).unwrap();
        a.flush().unwrap();
    }
    a.snapshot("snap").unwrap();
    a.close().unwrap();
    Table::create(root, "b", &[family()], &["row-030"]).unwrap().close().unwrap();
    let c = Table::create(root, "c", &[family()], &[] as &[&str]).unwrap();
    (0..20).for_each(|row| c.put(put(row, 3)).unwrap());
}

/// Returns the cells or the lines of the files below a directory.
fn files(dir: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
            continue;
        }
        let mut lines = BTreeSet::new();
        match HFile::open(&path) {
            Ok(file) => {
                let mut cells = file.scanner();
                cells.seek_to_first().unwrap();
                while let Some(cell) = cells.peek() {
                    lines.insert(format!("{:?} {:?}", cell.key(), cell.value()));
                    cells.advance().unwrap();
                }
            }
            Err(_) => {
                lines.extend(String::from_utf8_lossy(&fs::read(&path).unwrap()).lines().map(str::to_owned));
            }
        }
        // the names of store files are random
        let is_random = path.file_name().unwrap().len() == 32;
        let path = if is_random { path.with_file_name("store file") } else { path };
        found.entry(path.display().to_string()).or_default().append(&mut lines);
    }
}

/// Returns the cells and regions of all tables and snapshots of a root, and the files written beside it.
fn state(dir: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let root = &dir.join("root");
    let lines = |table: &Table| {
        let mut lines: BTreeSet<String> =
            table.regions().iter().map(|region| format!("region from {:?}", region.start_key())).collect();
        let mut rows = table.scan(Scan::new().raw(true).max_versions(u32::MAX)).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            lines.extend(row.cells().map(|cell| format!("{:?} {:?}", cell.key(), cell.value())));
        }
        lines
    };
    let mut found = BTreeMap::new();
    files(&dir.join("out"), &mut found);
    for entry in fs::read_dir(root.join("data/default")).unwrap() {
        let path = entry.unwrap().path();
        let table = Table::open_dir(&path, Region::options()).unwrap();
        found.insert(path.file_name().unwrap().to_string_lossy().into_owned(), lines(&table));
    }
    for snapshot in Table::list_snapshots(root).unwrap() {
        let table = Table::open_snapshot(root, snapshot.name()).unwrap();
        found.insert(format!("snapshot {}", snapshot.name()), lines(&table));
    }
    found
}

/// Counts the files below a directory by their paths, ignoring random names and digits in them.
fn shape(dir: &Path) -> BTreeMap<String, usize> {
    fn add(base: &Path, dir: &Path, found: &mut BTreeMap<String, usize>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let parts = path.strip_prefix(base).unwrap().iter().map(|part| part.to_str().unwrap());
            let without = |part: &str| {
                // distinguishes a truncated table
                let part = part.strip_prefix(".clone.").unwrap_or(part);
                // a directory of one opening of a region
                let part = match part.rsplit_once('.') {
                    Some((family, end)) if end.len() == 32 && end.bytes().all(|b| b.is_ascii_hexdigit()) => {
                        family
                    }
                    _ => part,
                };
                let is_random =
                    part.get(..32).is_some_and(|name| name.bytes().all(|b| b.is_ascii_hexdigit()));
                part.chars().skip(if is_random { 32 } else { 0 }).filter(|c| !c.is_ascii_digit()).collect()
            };
            let parts: Vec<String> = parts.map(without).collect();
            *found.entry(parts.join("/")).or_default() += 1;
            if path.is_dir() {
                add(base, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    add(dir, dir, &mut found);
    found
}

/// Returns the words of a command line, with paths in `dir` instead of the names in capitals.
fn words(line: &str, dir: &Path) -> Vec<String> {
    let names = ["ROOT", "OUT", "LOAD", "CELLS", "SPLITS", "HFILE", "ALONE"];
    let path = |name: &str| dir.join(name.to_ascii_lowercase()).into_os_string().into_string().unwrap();
    let place = |word: &str| {
        let placed = names.iter().fold(word.to_owned(), |word, name| match word.starts_with(name) {
            true => word.replacen(name, &path(name), 1),
            false => word,
        });
        placed.replace('+', " ")
    };
    line.split(' ').map(place).collect()
}

fn assert_no_panic(ran: &Ran, what: &str) {
    let errors = stderr(&ran.output);
    assert!(ran.output.status.code().is_some() && !errors.contains("panicked"), "{what}: {errors}");
    assert!(ran.output.status.success() || !errors.is_empty() || !ran.output.stdout.is_empty(), "{what}");
}

#[test]
fn a_failed_call_is_an_error_or_changes_no_answer() {
    let dir = scratch();
    let root = dir.path().join("root");
    make_root(&root);
    let mut shim = Shim::build();
    let mut tried = 0;
    for line in [
        "get ROOT/data/default/a row-006 --versions all",
        "scan ROOT/data/default/a --versions all",
        "scan ROOT/data/default/c",
        "scan ROOT/.hbase-snapshot/snap --reversed",
        "count ROOT",
        "verify ROOT/data/default/a",
        "cells ROOT/data/default/a --json",
        "inspect ROOT/data/default/a",
        "stats ROOT/data/default/a --json --now 9",
        "du ROOT --blocks",
        "check ROOT",
        "explain get ROOT/data/default/a row-006",
        "compact --dry-run ROOT/data/default/a",
        "snapshot list ROOT",
        "regions a --meta ROOT",
    ] {
        let line = words(line, dir.path());
        let whole = shim.run(dir.path(), 0, &line);
        assert!(whole.output.status.success() && whole.calls > 5, "{line:?}: {}", stderr(&whole.output));
        for at in shim.chosen(whole.calls) {
            let ran = shim.run(dir.path(), at, &line);
            let what = format!("{line:?}, call {at} of {}: {}", whole.calls, ran.failed);
            assert_no_panic(&ran, &what);
            let is_same = stdout(&ran.output) == stdout(&whole.output);
            assert!(!ran.output.status.success() || is_same, "{what}: {}", stdout(&ran.output));
            tried += 1;
        }
    }
    println!("{tried} calls failed");
    assert!(tried > 100);
}

/// The possible state after a failed command.
#[derive(Clone, Copy)]
enum Effect {
    /// The complete change, or none of it.
    Whole,
    /// The cells of some regions, or some of the files.
    Parts,
    /// The complete change, or none of it, except for files that the next attempt reuses or removes.
    #[cfg_attr(not(feature = "arrow"), allow(dead_code, reason = "no such command"))]
    Resumed,
    /// No table, because a truncation was interrupted; repeating the command completes it.
    NoTable,
}

#[test]
fn a_failed_call_changes_all_or_nothing() {
    use Effect::{NoTable, Parts, Resumed, Whole};
    let dir = scratch();
    let (original, case) = (dir.path().join("original"), dir.path().join("case"));
    let path = |name: &str| original.join(name).into_os_string().into_string().unwrap();
    make_root(Path::new(&path("root")));
    fs::create_dir(path("out")).unwrap();
    fs::copy(golden("small-none-row.hfile"), path("hfile")).unwrap();
    let table = path("root/data/default/a");
    fs::write(path("cells"), ok(&["scan", "--versions", "all", "--json", &table])).unwrap();
    fs::write(path("splits"), "row-030\n").unwrap();
    // outputs that are replaced
    fs::write(path("out/file"), "old\n").unwrap();
    let cells = fs::read_to_string(path("cells")).unwrap();
    fs::write(path("first"), cells.lines().next().unwrap()).unwrap();
    ok(&["bulkload", &path("first"), "--regions", &path("splits"), "--out", &path("out/dir")]);
    #[cfg(feature = "arrow")]
    ok(&["export", &path("root/data/default/b"), "--to", "parquet", "--out", &path("out/old")]);
    ok(&["bulkload", &path("cells"), "--sort", "--regions", &path("splits"), "--out", &path("load")]);
    let regions = Table::open(path("root"), "a").unwrap().regions();
    let merge = format!("merge ROOT a {} {}", regions[0].encoded_name(), regions[1].encoded_name());
    let mut shim = Shim::build();
    let mut tried = 0;
    for (line, effect) in [
        ("import ROOT/data/default/b CELLS", Parts),
        ("copy ROOT/data/default/a ROOT/data/default/b", Parts),
        ("load ROOT/data/default/b LOAD", Parts),
        ("export ROOT/data/default/a --to csv --out OUT/rows", Whole),
        #[cfg(feature = "arrow")]
        ("export ROOT/data/default/a --to parquet --now 9 --jobs 1 --out OUT/rows", Resumed),
        #[cfg(feature = "arrow")]
        ("export ROOT/data/default/a --to csv --columns f:q=utf8@ --now 9 --jobs 1 --out OUT/rows", Resumed),
        #[cfg(feature = "arrow")]
        ("export ROOT/data/default/a --to parquet --now 9 --jobs 1 --force --out OUT/old", Resumed),
        ("convert HFILE --out OUT/new", Whole),
        ("convert HFILE --force --out OUT/file", Whole),
        ("convert HFILE --to csv --out OUT/new", Whole),
        ("write CELLS --sort --out OUT/new", Whole),
        ("bulkload CELLS --sort --regions SPLITS --out OUT/load", Whole),
        ("bulkload CELLS --sort --regions SPLITS --force --out OUT/dir", Whole),
        ("salvage HFILE --out OUT/saved", Whole),
        ("snapshot export ROOT snap OUT/root", Parts),
        ("flush ROOT/data/default/c", Whole),
        ("compact --major ROOT/data/default/a", Whole),
        ("split ROOT a row-020", Whole),
        (&*merge, Whole),
        ("snapshot create ROOT/data/default/b new", Whole),
        ("snapshot clone ROOT snap d", Whole),
        ("snapshot restore ROOT snap", Whole),
        ("snapshot delete ROOT snap", Whole),
        ("recover ROOT", Whole),
        ("shell ROOT -e put+'a',+'row-900',+'f:q',+'v',+7", Whole),
        ("shell ROOT -e put+'b',+'a',+'f:q',+'v',+7 -e put+'b',+'z',+'f:q',+'v',+7", Parts),
        ("shell ROOT -e create+'n',+'f',+{SPLITS+=>+['m']}", Whole),
        ("shell ROOT -e alter+'a',+{NAME+=>+'g'}", Whole),
        ("shell ROOT -e truncate+'a'", NoTable),
        ("shell ROOT -e disable+'b'+;+drop+'b'", Whole),
    ] {
        let words = words(line, &case);
        copy_dir(&original, &case);
        let before = state(&case);
        let whole = shim.run(&case, 0, &words);
        assert!(whole.output.status.success(), "{line}: {}", stderr(&whole.output));
        let after = state(&case);
        let complete = shape(&case);
        fs::remove_dir_all(&case).unwrap();
        for at in shim.chosen(whole.calls) {
            copy_dir(&original, &case);
            let ran = shim.run(&case, at, &words);
            let what =
                format!("{line}, call {at} of {}: {}: {}", whole.calls, ran.failed, stderr(&ran.output));
            assert_no_panic(&ran, &what);
            let left = state(&case);
            let is_between = || match effect {
                Whole => false,
                Resumed => {
                    let left = || left.iter().filter(|(name, _)| !name.contains(".partial/"));
                    left().eq(&before) || left().eq(&after)
                }
                NoTable => left.iter().eq(before.iter().filter(|(table, _)| *table != "a")),
                Parts => {
                    let none = BTreeSet::new();
                    before.keys().all(|name| left.contains_key(name))
                        && left.iter().filter(|(name, _)| !name.contains("/.tmp/")).all(|(name, lines)| {
                            let (old, new) = (before.get(name), after.get(name));
                            old.unwrap_or(&none).is_subset(lines) && lines.is_subset(new.unwrap_or(&none))
                        })
                }
            };
            assert!(left == before || left == after || is_between(), "{what}");
            assert!(!ran.output.status.success() || left == after, "{what}");
            if ran.output.status.success() {
                assert_eq!(shape(&case), complete, "{what}: something is left without a message");
            }
            let again = shim.run(&case, 0, &words);
            let is_done = left == after && before != after;
            assert!(is_done || again.output.status.success(), "{what}, again: {}", stderr(&again.output));
            assert!(state(&case) == after, "{what}, again");
            let checked = hregion().arg("check").arg(case.join("root")).output().unwrap();
            assert!(checked.status.success(), "{what}: {}{}", stdout(&checked), stderr(&checked));
            fs::remove_dir_all(&case).unwrap();
            tried += 1;
        }
    }
    println!("{tried} calls failed");
    assert!(tried > 100);
}

/// The references of the new regions may not be archived at first, and then the region to which they refer is
/// not archived either.
#[test]
fn a_region_that_was_split_is_archived_or_an_error_says_that_it_is_not() {
    let dir = scratch();
    let (original, case) = (dir.path().join("original"), dir.path().join("case"));
    make_root(&original.join("root"));
    let mut shim = Shim::build();
    let line = words("split --compact ROOT a row-020", &case);
    let regions = |case: &Path| {
        let entries = fs::read_dir(case.join("root/data/default/a")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().len() == 32).count()
    };
    copy_dir(&original, &case);
    let whole = shim.run(&case, 0, &line);
    assert!(whole.output.status.success(), "{}", stderr(&whole.output));
    assert_eq!(regions(&case), 3);
    fs::remove_dir_all(&case).unwrap();
    let last = (1..=whole.calls).rev().take(usize::try_from(MOST).unwrap());
    for at in shim.chosen(whole.calls).into_iter().chain(last) {
        copy_dir(&original, &case);
        let ran = shim.run(&case, at, &line);
        let what = format!("call {at} of {}: {}: {}", whole.calls, ran.failed, stderr(&ran.output));
        assert_no_panic(&ran, &what);
        if ran.output.status.success() {
            assert_eq!(regions(&case), 3, "{what}");
        }
        fs::remove_dir_all(&case).unwrap();
    }
}

/// A failure to remove something is an error. The command's change is made nevertheless.
#[test]
fn what_cannot_be_removed_is_an_error() {
    let dir = scratch();
    let (original, case) = (dir.path().join("original"), dir.path().join("case"));
    let root = original.join("root");
    make_root(&root);
    fs::create_dir(original.join("out")).unwrap();
    let table = root.join("data/default/a");
    let scan = |path: &Path| ok(&["scan", "--versions", "all", "--format", "csv", path.to_str().unwrap()]);
    fs::write(original.join("cells"), ok(&["scan", "--json", table.to_str().unwrap()])).unwrap();
    // outside of a root, replaced files are removed
    let alone = Region::options().create_if_missing(true).family(Family::new("f"));
    let alone = alone.open(original.join("alone")).unwrap();
    for value in ["1", "2"] {
        alone.put(Put::new("r").cell_at("f", value, 7, value)).unwrap();
        alone.flush().unwrap();
    }
    alone.close().unwrap();
    let shim = Shim::build();
    for (line, call, can_repeat) in [
        ("compact --major ALONE --family f", "unlink", true),
        ("import ROOT/data/default/b CELLS", "unlinkat", true),
        ("copy ROOT/data/default/a ROOT/data/default/b", "unlinkat", true),
        ("snapshot delete ROOT snap", "unlink", false),
    ] {
        let words = words(line, &case);
        copy_dir(&original, &case);
        let whole = shim.run(&case, 0, &words);
        assert!(whole.output.status.success(), "{line}: {}", stderr(&whole.output));
        let (after, rows) = (state(&case), scan(&case.join("alone")));
        fs::remove_dir_all(&case).unwrap();
        copy_dir(&original, &case);
        let ran = shim.run_with(&case, ("FAIL_CALL", call), &words);
        let what = format!("{line}: {}{}", stdout(&ran.output), stderr(&ran.output));
        assert_eq!((ran.failed.as_str(), ran.output.status.code()), (call, Some(5)), "{what}");
        assert!(stderr(&ran.output).contains("cannot remove"), "{what}");
        assert!(state(&case) == after && scan(&case.join("alone")) == rows, "{what}");
        let again = shim.run(&case, 0, &words);
        assert!(!can_repeat || again.output.status.success(), "{what}: {}", stderr(&again.output));
        assert!(state(&case) == after && scan(&case.join("alone")) == rows, "{what}, again");
        let checked = hregion().arg("check").arg(case.join("root")).output().unwrap();
        assert!(checked.status.success(), "{what}: {}{}", stdout(&checked), stderr(&checked));
        fs::remove_dir_all(&case).unwrap();
    }
}

/// The region that a script keeps is closed: a failure of the close is an error.
#[test]
fn a_kept_region_is_closed_or_there_is_an_error() {
    let dir = scratch();
    let (script, region) = (dir.path().join("script"), dir.path().join("region"));
    let lines = [
        r#"{"id":1,"op":"create","now":1000,"families":[{"name":"f"}]}"#,
        r#"{"id":2,"op":"put","row":"r","cells":[["f","q",null,"v"]]}"#,
        r#"{"id":3,"op":"flush"}"#,
        r#"{"id":4,"op":"put","row":"s","cells":[["f","q",null,"v"]]}"#,
        r#"{"id":5,"op":"flush"}"#,
        r#"{"id":6,"op":"compact"}"#,
        r#"{"id":7,"op":"put","row":"t","cells":[["f","q",null,"v"]]}"#,
    ];
    fs::write(&script, lines.join("\n")).unwrap();
    let path = region.to_str().unwrap();
    let words = ["replay", script.to_str().unwrap(), "--dir", path].map(str::to_owned);
    let ran = Shim::build().run_with(&region, ("FAIL_CALL", "unlink"), &words);
    let said = stderr(&ran.output);
    assert_eq!((ran.failed.as_str(), ran.output.status.code()), ("unlink", Some(5)), "{said}");
    assert!(said.contains("cannot remove"), "{said}");
    assert_eq!(ok(&["count", path]), "rows 3\ncells 3\n");
}
