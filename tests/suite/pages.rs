//! The pages for users and contributors: what they name exists, and their numbers are the recorded ones.

use super::layers::rust_files;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(page: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every path in backticks that the pages name is that of a file, or the end of one.
#[test]
fn pages_name_files_that_exist() {
    let root = Path::new(ROOT);
    let sources: Vec<PathBuf> = ["src", "arrow", "cli", "tests", "benches", "web"]
        .iter()
        .flat_map(|dir| rust_files(&root.join(dir)))
        .collect();
    let pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/client.md",
        "docs/settings.md",
        "docs/speed.md",
        "docs/tuning.md",
        "testdata/README.md",
    ];
    let mut missing = Vec::new();
    for page in pages {
        for quoted in read(page).split('`').skip(1).step_by(2) {
            let is_path = quoted.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            let is_file = [".rs", ".md", ".sh", ".toml"].iter().any(|end| quoted.ends_with(end));
            let is_dir = quoted.starts_with("src/");
            let exists = root.join(quoted).exists() || sources.iter().any(|source| source.ends_with(quoted));
            if is_path && (is_file || is_dir) && !exists {
                missing.push(format!("{page}: {quoted}"));
            }
        }
    }
    assert!(missing.is_empty(), "no such files: {missing:#?}");
}

/// The instructions in `docs/tuning.md` that `benches/counts.rs` counts are those that it has recorded.
#[test]
fn the_numbers_of_the_tuning_page_are_those_recorded() {
    let record = read("benches/record/counts.csv");
    let counts: HashMap<&str, u32> = record
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[0], fields[2].parse::<u32>().unwrap_or_else(|error| panic!("{line}: {error}")))
        })
        .collect();
    let with_comma = |workload: &str| {
        let count = counts[workload];
        if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
    };
    let page = read("docs/tuning.md");
    // the start of a row of a table, the number of a column, and what was counted
    let cells = [
        ("| instructions, scan of a file, a cell |", 1, "file-scan"),
        ("| seek in a file without a cache, part of a block |", 1, "file-seek"),
        ("| seek in a file without a cache, part of a block |", 4, "file-seek-fast-diff"),
        ("| seek in a file without a cache, part of a block |", 5, "file-seek-row-index"),
        ("| get, cache for a tenth of the data |", 1, "get-cold"),
        ("| get, cache for a tenth of the data |", 4, "get-cold-fast-diff"),
        ("| get, cache for a tenth of the data |", 5, "get-cold-row-index"),
        ("| instructions, scan of a file, NONE, a cell |", 1, "file-scan"),
        ("| instructions, scan of a file, NONE, a cell |", 4, "file-scan-zstd"),
        ("| instructions, seek without a cache, NONE, part of a block |", 3, "file-seek"),
    ];
    for (start, column, workload) in cells {
        let row =
            page.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no row {start}"));
        let cell = row.split('|').nth(column + 1).map(str::trim);
        assert_eq!(cell, Some(with_comma(workload).as_str()), "{row}: column {column}, {workload}");
    }
    let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let times = |workload: &str| f64::from(counts[workload]) / f64::from(counts["get-hot"]);
    let hot = format!("A get that finds all in memory takes {} instructions", with_comma("get-hot"));
    let cold = format!(
        "takes {:.1} times as many with NONE and {:.0} times with FAST_DIFF",
        times("get-cold"),
        times("get-cold-fast-diff")
    );
    for sentence in [hot, cold] {
        assert!(text.contains(&sentence), "docs/tuning.md does not say: {sentence}");
    }
}
