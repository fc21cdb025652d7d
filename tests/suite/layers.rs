//! Layering: each module of `src` imports only modules of the layers below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The base, which any module may use: errors, bounds, integers, hashes.
const BASE: &[&str] = &["error", "binary", "limits", "coding", "hash", "metrics", "clock", "sync"];
/// Cells and requests: one layer, whose modules may use each other.
const CELLS: &[&str] = &["cell", "schema", "filter", "op", "proto"];

/// Each module, and the modules it may use in addition to the base. All others are forbidden.
const LAYERS: &[(&str, &[&[&str]])] = &[
    ("error", &[]),
    ("binary", &[]),
    ("limits", &[]),
    ("coding", &[]),
    ("hash", &[]),
    ("metrics", &[]),
    ("clock", &[]),
    ("sync", &[]),
    ("cell", &[CELLS]),
    ("schema", &[CELLS]),
    ("filter", &[CELLS]),
    ("op", &[CELLS]),
    ("proto", &[CELLS]),
    ("io", &[]),
    ("block", &[CELLS]),
    // the second tier is a file; its tests make blocks of cells
    ("cache", &[&["cell", "io", "block"]]),
    // cells that are read ahead have the layout of a block
    ("memstore", &[CELLS, &["block"]]),
    ("mvcc", &[CELLS]),
    // values are compressed like blocks
    ("wal", &[CELLS, &["io", "block"]]),
    ("hfile", &[CELLS, &["io", "block", "cache"]]),
    ("layout", &[CELLS, &["io"]]),
    ("store", &[CELLS, &["io", "block", "cache", "hfile", "layout", "memstore", "mvcc"]]),
    ("region", &[CELLS, &["io", "cache", "hfile", "layout", "store", "wal", "mvcc", "memstore"]]),
    ("locator", &[CELLS, &["io", "cache", "layout", "region"]]),
    ("table", &[CELLS, &["io", "cache", "hfile", "layout", "region", "store", "wal", "locator"]]),
    // internal hooks for benches, and bodies of fuzz targets: they use every module under test
    ("bench", &[CELLS, &["block", "cache", "hfile", "memstore", "mvcc", "store"]]),
    (
        "fuzzing",
        &[
            CELLS,
            &[
                "io", "block", "cache", "hfile", "layout", "memstore", "wal", "store", "region", "locator",
                "table",
            ],
        ],
    ),
];

/// Exceptions: these modules may use only the listed parts of the base.
const NO_FORMATS: &[(&str, &[&str])] = &[
    ("io", &["error", "limits", "sync"]),
    ("binary", &[]),
    ("hash", &[]),
    ("metrics", &["sync"]),
    ("clock", &[]),
    ("sync", &[]),
];

#[test]
fn imports_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exported = exports(&fs::read_to_string(src.join("lib.rs")).unwrap());
    let mut faults = Vec::new();
    let mut modules = BTreeSet::new();
    for path in rust_files(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        for name in used(&fs::read_to_string(&path).unwrap()) {
            let target = exported.get(&name).unwrap_or(&name);
            if *target != module && !allowed(&module).contains(target.as_str()) {
                faults.push(format!("{}: {module} uses {target}", relative.display()));
            }
        }
        modules.insert(module);
    }
    assert!(modules.contains("block") && modules.contains("cell"), "{modules:?}");
    assert!(faults.is_empty(), "imports that point up or aside:\n{}", faults.join("\n"));
}

fn allowed(module: &str) -> BTreeSet<&'static str> {
    let Some((_, lists)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        panic!("src/{module} is in no layer")
    };
    let base = NO_FORMATS.iter().find(|(name, _)| *name == module).map_or(BASE, |(_, base)| base);
    lists.iter().copied().chain([base]).flatten().copied().collect()
}

/// Returns the first names after `crate::`, outside comments and tests.
fn used(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut names = BTreeSet::new();
    for (at, marker) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + marker.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(head(rest)),
        }
    }
    names
}

/// Returns the first name of each path in a group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                found.extend(head(group[start..at].trim()));
                break;
            }
            ',' if depth == 0 => {
                found.extend(head(group[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn head(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

/// Removes comments, and the tests at the end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Maps each name that `lib.rs` exports at the root to its module.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in code(lib).split(';') {
        let Some((module, names)) = line.split_once("pub use ").and_then(|(_, path)| path.split_once("::"))
        else {
            continue;
        };
        let names = names.trim_start_matches('{').trim_end().trim_end_matches('}');
        for name in names.split(',').map(|n| n.trim().rsplit("::").next().unwrap_or_default()) {
            found.insert(name.to_owned(), module.trim().to_owned());
        }
    }
    found
}

/// Methods of `src/io` with a default that an implementation does not override, and why. A wrapper that does
/// not forward such a method uses the default instead of the wrapped value's method.
const OMITTED: &[(&str, &str, &[&str], &str)] = &[
    ("Storage", "LocalStorage", &["can_rename", "can_read_removed"], "as the default says"),
    ("Storage", "LocalStorage", &["rename_new"], "not on every system; the library does not call it"),
    ("Storage", "LocalStorage", &["end_writing", "can_hide_writes"], "what is written can be read"),
    ("Storage", "FaultyStorage", &["rename_new"], "the library does not call it"),
    ("Storage", "FaultyStorage", &["can_hide_writes"], "what is written can be read"),
    ("Storage", "FaultyStorage", &["full_path"], "files in memory: all paths are full"),
    ("Storage", "RemoteStorage", &["create_scratch", "hard_link"], "there are no such files"),
    ("Storage", "NoLinks", &["hard_link"], "what is tested"),
    ("Storage", "AppendsOnly", &["hard_link"], "HDFS has none"),
    ("LogFile", "LocalLogFile", &["can_overwrite", "max_len"], "as the default says"),
    ("LogFile", "LocalLogFile", &["is_unchanged"], "what a failed write has left is not known"),
    ("LogFile", "FaultyWriter", &["is_unchanged"], "what a failed write has left is not known"),
    ("LogFile", "HdfsLog", &["max_len"], "a log of any length is appended to"),
    ("LogFile", "HdfsLog", &["is_unchanged"], "what a failed append has left is not known"),
    ("LogFile", "FailsOnceFile", &["is_unchanged"], "HDFS does not know"),
    ("LogFile", "AppendedLog", &["is_unchanged"], "HDFS does not know"),
    ("LogFile", "HdfsLog", &["syncer"], "a sync waits for what is appended before"),
    ("LogFile", "FailsOnceFile", &["syncer"], "HDFS has none"),
    ("LogFile", "AppendedLog", &["syncer"], "HDFS has none"),
    ("LogFile", "ObjectLog", &["syncer"], "what is appended is durable"),
    ("LogFile", "UnsyncedLog", &["syncer"], "its syncs take time, and are counted"),
    ("FileReader", "LocalFile", &["read_in_place", "is_remote"], "it is not in memory"),
    ("FileReader", "MmapFile", &["is_remote", "may_read_ahead"], "it may change when it is closed"),
    ("FileReader", "RemoteFile", &["read_in_place", "may_read_ahead"], "it is not in memory"),
    (
        "FileReader",
        "DroppedFile",
        &["identity", "read_in_place", "is_remote", "may_read_ahead"],
        "a file of a page, not in memory",
    ),
    ("FileReader", "MemoryFile", &["identity", "is_remote", "may_read_ahead"], "it is not in a file system"),
    ("FileReader", "Watched", &["read_in_place"], "each read advances the bar"),
    ("FileReader", "Tee", &["read_in_place", "may_read_ahead"], "what is read is written to another file"),
    ("FileReader", "FaultyFile", &["read_in_place", "may_read_ahead"], "each read may fail"),
    ("FileReader", "FaultyReader", &["read_in_place", "is_remote", "may_read_ahead"], "each read may fail"),
    ("FileReader", "CountingFile", &["read_in_place", "is_remote", "may_read_ahead"], "each read counts"),
    ("FileReader", "Recorded", &["read_in_place", "is_remote", "may_read_ahead"], "each read is recorded"),
    (
        "FileReader",
        "Damaged",
        &["identity", "read_in_place", "is_remote", "may_read_ahead"],
        "a file of a test",
    ),
    ("FileReader", "OnDisk", &["is_remote", "may_read_ahead"], "a file of a test"),
    ("FileReader", "Shared", &["identity", "read_in_place", "is_remote"], "a file of a test"),
    (
        "FileReader",
        "SlowFile",
        &["identity", "read_in_place", "is_remote", "may_read_ahead"],
        "each read takes long",
    ),
    (
        "FileReader",
        "Growing",
        &["identity", "read_in_place", "is_remote", "may_read_ahead"],
        "a file of a test",
    ),
    (
        "FileReader",
        "Bytes",
        &["identity", "read_in_place", "is_remote", "may_read_ahead"],
        "a file of a test",
    ),
];

/// Methods that are defined by others.
const DERIVED: &[&str] = &["is_empty"];

#[test]
fn storages_and_files_leave_out_no_method_by_accident() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let io = without_comments(&fs::read_to_string(root.join("src/io/mod.rs")).unwrap());
    let mut left: BTreeSet<String> = BTreeSet::new();
    for (name, of, methods, reason) in OMITTED {
        assert!(!reason.is_empty());
        left.extend(methods.iter().map(|method| format!("{name} for {of}: {method}")));
    }
    let (mut missing, mut found) = (Vec::new(), 0);
    let dirs = "src arrow cli client datafusion remote tests benches examples python web".split(' ');
    for path in dirs.flat_map(|dir| rust_files(&root.join(dir))) {
        let text = without_comments(&fs::read_to_string(&path).unwrap());
        for name in ["FileReader", "LogFile", "Storage"] {
            let all = methods(block(&io, io.find(&format!("pub trait {name}:")).unwrap()));
            assert!(all.len() >= 5, "{name}: {all:?}");
            for (of, body) in implementations(&text, name) {
                found += 1;
                let defined = methods(body);
                let absent = all.iter().filter(|method| !defined.contains(*method));
                for method in absent.filter(|method| !DERIVED.contains(&method.as_str())) {
                    let method = format!("{name} for {of}: {method}");
                    if !left.remove(&method) {
                        missing.push(format!("{}: {method}", path.display()));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "methods that are neither defined nor forwarded: {missing:#?}");
    assert!(left.is_empty(), "not omitted: {left:?}");
    assert!(found > 35, "{found} implementations");
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Returns the text between the first brace after `at` and its closing brace.
fn block(text: &str, at: usize) -> &str {
    let start = at + text[at..].find('{').unwrap() + 1;
    let mut depth = 1;
    for (i, c) in text[start..].char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return &text[start..start + i];
        }
    }
    panic!("a block that does not end")
}

/// Returns the type and the block of each implementation of a trait.
fn implementations<'t>(text: &'t str, name: &str) -> Vec<(&'t str, &'t str)> {
    let marker = format!("{name} for ");
    let mut found = Vec::new();
    for (at, marker) in text.match_indices(&marker) {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = text[line..at].trim_start();
        let is_other = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if before.starts_with("impl") && !is_other {
            let of = &text[at + marker.len()..];
            let end = of.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap();
            found.push((&of[..end], block(text, at)));
        }
    }
    found
}

/// Returns the methods of a block: those defined there, and those that `forward!` defines.
fn methods(body: &str) -> BTreeSet<String> {
    let (mut found, mut depth) = (BTreeSet::new(), 0);
    for line in body.lines() {
        if depth == 0
            && let Some(rest) = line.trim_start().strip_prefix("fn ")
        {
            found.extend(head(rest));
        }
        let count = |c| i32::try_from(line.matches(c).count()).unwrap();
        depth += count('{') - count('}');
    }
    for forwarded in body.split("forward!(").skip(1) {
        let (list, _) = forwarded.split_once(')').unwrap();
        for call in list.split_once(':').unwrap().1.split_whitespace() {
            match call {
                "optional" => found.extend(OPTIONAL.map(str::to_owned)),
                call => drop(found.insert(call.to_owned())),
            }
        }
    }
    found
}

/// The methods that `optional` of `forward!` forwards.
const OPTIONAL: [&str; 7] = [
    "create_scratch",
    "can_rename",
    "rename_new",
    "end_writing",
    "can_hide_writes",
    "full_path",
    "can_read_removed",
];

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a folder of sources").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_reading_of_imports_is_not_blind() {
    let text = "use crate::{Error, block::{Block, codec}, cell};\n/// [x](crate::wal::Wal)\n\
                let x = crate::hfile::open();\n\
                #[cfg(test)]\nmod tests { use crate::region; }";
    let expected = ["Error", "block", "cell", "hfile"].map(str::to_owned);
    assert_eq!(used(text), BTreeSet::from(expected));
    let exported = exports("pub use block::{Block, data::Encoding};\npub use error::Error;");
    assert_eq!(exported["Encoding"], "block");
    assert_eq!(exported["Error"], "error");
}

#[test]
fn the_reading_of_methods_is_not_blind() {
    let text = "impl<S: Storage> io::Storage for Gate<S> {\n    forward!(inner: open optional);\n    \
                fn lock(&self) {\n        fn inner() {}\n    }\n}\nimpl OtherStorage for X {}\n";
    let [(of, body)] = implementations(text, "Storage")[..] else { panic!("one implementation") };
    assert_eq!(of, "Gate");
    let mut expected = BTreeSet::from(OPTIONAL.map(str::to_owned));
    expected.extend(["open", "lock"].map(str::to_owned));
    assert_eq!(methods(body), expected);
}

/// The formatter breaks code, but not comments or strings.
#[test]
fn no_line_is_longer_than_the_width() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = fs::read_to_string(root.join("rustfmt.toml")).unwrap();
    let width = settings.lines().find_map(|line| line.strip_prefix("max_width = ")).unwrap();
    let width: usize = width.parse().unwrap();
    let dirs = "src arrow cli client datafusion remote tests benches fuzz examples python web".split(' ');
    let mut files: Vec<PathBuf> = dirs.flat_map(|dir| rust_files(&root.join(dir))).collect();
    let is_built =
        |path: &Path| path.strip_prefix(root).is_ok_and(|path| path.iter().any(|part| part == "target"));
    files.retain(|path| !is_built(path));
    let mut long = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > width);
        long.extend(lines.map(|(at, _)| format!("{}:{}", path.display(), at + 1)));
    }
    assert!(files.len() > 500 && long.is_empty(), "{} files, {long:#?}", files.len());
}
