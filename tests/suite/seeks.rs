//! Seeks return the same as HBase's: `seekTo`, `seekBefore`, and the first cell that is not before a key.
//!
//! HBase's answers for a few keys are beside the files of `testdata`. The answers for all golden files are
//! written by `tests/suite/oracle.rs` and read from the folder `HREGION_EXPECT`.

use crate::support::cells::{json_lines, parse, parse_key, without_tags};
use crate::support::golden::{self, Golden};
use crate::support::open::{self, has_sequence_ids, here, missing_feature};
use hregion::{BlockCache, CellOrder, HFile, HFileScanner, Result, SeekKey};
use serde_json::Value;
use std::cmp::Ordering;
use std::env;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

#[test]
fn seeks_agree_with_hbase() {
    let folder = golden::root("testdata/golden");
    let count = compare_all(&golden::in_folder(&folder), |g| g.beside("seek.jsonl.gz"));
    assert!(count > 5_000, "only {count} keys");
}

#[test]
#[ignore = "needs HBase's answers for all golden files: HREGION_EXPECT"]
fn seeks_agree_with_hbase_in_every_golden_file() {
    let expect =
        PathBuf::from(env::var_os("HREGION_EXPECT").expect("HREGION_EXPECT, the folder of the answers"));
    let goldens = golden::whole();
    assert!(!goldens.is_empty(), "no folder with all golden files");
    let count = compare_all(&goldens, |g| expect.join("seek").join(format!("{}.jsonl.gz", g.name)));
    assert!(count > 100_000, "only {count} keys");
}

/// Compares every file that HBase reads, and returns the number of keys.
fn compare_all(goldens: &[Golden], answers: impl Fn(&Golden) -> PathBuf) -> usize {
    let (mut files, mut keys) = (0, 0);
    let mut faults = Vec::new();
    for golden in goldens.iter().filter(|g| g.read_by_current && !g.is_refused()) {
        if let Some(feature) = missing_feature(golden) {
            eprintln!("{}: not built in: {feature}", golden.name);
            continue;
        }
        keys += compare(golden, &answers(golden), &mut faults);
        files += 1;
    }
    eprintln!("{files} files, {keys} keys, {} answers differ", faults.len());
    assert!(faults.is_empty(), "the first of them:\n{}", faults[..faults.len().min(20)].join("\n"));
    keys
}

/// A file and the data needed to check seeks in it.
struct Judge<'a> {
    golden: &'a Golden,
    order: CellOrder,
    lines: Vec<String>,
    keys: Vec<SeekKey>,
    sequence_ids: bool,
    faults: &'a mut Vec<String>,
}

fn compare(golden: &Golden, answers: &Path, faults: &mut Vec<String>) -> usize {
    let lines = golden.cell_lines();
    let mut judge = Judge {
        golden,
        order: open::order(golden),
        keys: lines.iter().map(|line| parse_key(&parse(line))).collect(),
        sequence_ids: has_sequence_ids(&lines),
        lines,
        faults,
    };
    let cache = BlockCache::with_capacity(64 << 20);
    let file = open::options(golden).cache(&cache).open(golden.hfile()).expect("a golden file");
    let answers = json_lines(answers);
    let mut keys: Vec<SeekKey> = answers.iter().map(|answer| parse_key(&answer["key"])).collect();
    for (key, answer) in keys.iter().zip(&answers) {
        judge.seek_to(&file, key, answer).unwrap_or_else(|e| panic!("{}: {key:?}: {e}", golden.name));
    }
    let mut scanner = file.scanner();
    for key in &keys {
        judge.seek(&mut scanner, key).unwrap_or_else(|e| panic!("{}: {key:?}: {e}", golden.name));
    }
    keys.sort_by(|a, b| judge.order.compare(a, b));
    judge.reseek(&file, &keys).unwrap_or_else(|e| panic!("{}: {e}", golden.name));
    keys.len()
}

impl Judge<'_> {
    /// Checks `seekTo` and `seekBefore`, if HBase's answer has the member.
    fn seek_to(&mut self, file: &HFile, key: &SeekKey, answer: &Value) -> Result<()> {
        let mut scanner = file.scanner();
        let code = scanner.seek_to(key)?.code();
        self.same("seek_to", key, &code.to_string(), &answer["seek"].to_string());
        self.same_cell("seek_to", key, &scanner, &answer["cell"], code == 1);
        if let Some(before) = answer.get("before") {
            let found = scanner.seek_before(key)?;
            self.same("seek_before", key, &found, &!before.is_null());
            self.same_cell("seek_before", key, &scanner, before, true);
        }
        Ok(())
    }

    /// When HBase moves backward it returns wrong compressed tags. Its answers then omit the tags.
    fn same_cell(
        &mut self,
        what: &str,
        key: &SeekKey,
        scanner: &HFileScanner<'_>,
        expected: &Value,
        moved_back: bool,
    ) {
        let expected = (!expected.is_null()).then(|| expected.to_string());
        let tags_are_left_out = moved_back
            && self.golden.made.contains("--compress-tags")
            && expected.as_ref().is_some_and(|line| without_tags(line) == line);
        let found = here(scanner, self.sequence_ids).map(|mut line| {
            if tags_are_left_out && without_tags(&line).len() < line.len() {
                line.truncate(without_tags(&line).len());
                line.push('}');
            }
            line
        });
        self.same(what, key, &found, &expected);
    }

    /// Checks the first cell not before the key, and the last one before it, against a search in the list of
    /// all cells.
    fn seek(&mut self, scanner: &mut HFileScanner<'_>, key: &SeekKey) -> Result<()> {
        let at = open::first_not_before(self.order, &self.keys, key);
        let exact = self.keys.get(at).is_some_and(|k| self.order.compare(k, key).is_eq());
        let code = scanner.seek(key)?.code();
        self.same("seek", key, &(code == 0), &exact);
        self.assert_at("seek", key, scanner, Some(at));
        let before = at.checked_sub(1);
        let found = scanner.seek_before(key)?;
        self.same("seek_before", key, &found, &before.is_some());
        self.assert_at("seek_before", key, scanner, before);
        // then advances, across the end of a block if necessary
        if found {
            let more = scanner.advance()?;
            self.same("advance", key, &more, &(at < self.lines.len()));
            self.assert_at("advance", key, scanner, Some(at));
        }
        Ok(())
    }

    /// Reseeks forward through sorted keys with one scanner.
    fn reseek(&mut self, file: &HFile, sorted: &[SeekKey]) -> Result<()> {
        let mut scanner = file.scanner();
        scanner.seek_to_first()?;
        for key in sorted {
            scanner.reseek(key)?;
            let at = open::first_not_before(self.order, &self.keys, key);
            self.assert_at("reseek", key, &scanner, Some(at));
            if let (Some(cell), Some(next)) = (scanner.peek(), scanner.next_indexed_key()) {
                self.same("next_indexed_key", key, &self.order.compare(cell.key(), next), &Ordering::Less);
            }
        }
        Ok(())
    }

    fn assert_at(&mut self, what: &str, key: &SeekKey, scanner: &HFileScanner<'_>, at: Option<usize>) {
        let expected = at.and_then(|at| self.lines.get(at)).cloned();
        self.same(what, key, &here(scanner, self.sequence_ids), &expected);
    }

    fn same<T: PartialEq + Debug>(&mut self, what: &str, key: &SeekKey, found: &T, expected: &T) {
        if found != expected {
            let name = &self.golden.name;
            self.faults.push(format!("{name}: {what} {key:?}: expected {expected:?}, found {found:?}"));
        }
    }
}

#[test]
fn a_bloom_filter_never_denies_a_row_that_is_there() {
    let mut rows = 0;
    for golden in golden::all().iter().filter(|g| !g.is_refused() && missing_feature(g).is_none()) {
        let file = open::options(golden).open(golden.hfile()).unwrap();
        let mut last = Vec::new();
        for line in golden.cell_lines() {
            let key = parse_key(&parse(&line));
            if last != key.row() {
                assert!(file.may_contain_row(key.row()), "{}: {key:?}", golden.name);
                last = key.row().to_vec();
                rows += 1;
            }
        }
    }
    assert!(rows > 1000, "only {rows} rows");
}
