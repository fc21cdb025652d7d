//! The pages for users and contributors: their links and file names lead to existing files, and their numbers
//! are the recorded ones.

use super::layers::rust_files;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The pages whose paths in backticks begin at the root of the repository, or are the ends of such paths.
const PAGES: [&str; 22] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "arrow/README.md",
    "cli/README.md",
    "client/README.md",
    "docs/client.md",
    "docs/compatibility.md",
    "docs/embedding.md",
    "docs/recovery.md",
    "docs/settings.md",
    "docs/spark.md",
    "docs/speed.md",
    "docs/sql.md",
    "docs/tuning.md",
    "interop/README.md",
    "python/README.md",
    "remote/README.md",
    "testdata/README.md",
    "web/README.md",
];

/// The pages whose paths begin elsewhere.
const OTHER_PAGES: [&str; 12] = [
    "benches/README.md",
    "benches/export/README.md",
    "benches/peers/README.md",
    "datafusion/README.md",
    "datafusion/ballista/README.md",
    "docs/spec/cli.md",
    "docs/spec/hfile.md",
    "docs/spec/locator.md",
    "docs/spec/read-path.md",
    "docs/spec/replay.md",
    "docs/spec/wal.md",
    "fuzz/README.md",
];

fn read(page: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every path in backticks on the pages is the path of a file, or its end.
#[test]
fn pages_name_files_that_exist() {
    let root = Path::new(ROOT);
    let sources: Vec<PathBuf> = ["src", "arrow", "cli", "tests", "benches", "web"]
        .iter()
        .flat_map(|dir| rust_files(&root.join(dir)))
        .collect();
    let mut missing = Vec::new();
    for page in PAGES {
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

/// Returns the lines of a page that are not in a block of code.
fn lines_of_text(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the names by which links lead to the headings of a page.
fn anchors(page: &str) -> Vec<String> {
    let letters = |heading: &str| {
        let letters = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        letters.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    lines_of_text(page)
        .filter_map(|line| line.strip_prefix('#'))
        .map(|h| letters(h.trim_start_matches('#')))
        .collect()
}

/// Every link of the pages within the repository leads to a file, and to a heading if it names one.
#[test]
fn links_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    for page in PAGES.iter().chain(&OTHER_PAGES) {
        let text = read(page);
        let dir = Path::new(page).parent().expect("a page is in a directory");
        let without_code = lines_of_text(&text).flat_map(|line| line.split('`').step_by(2));
        let without_code = without_code.collect::<String>();
        for after in without_code.split("](").skip(1) {
            let link = after.split(')').next().unwrap_or_default();
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { PathBuf::from(page) } else { dir.join(file) };
            let path = Path::new(ROOT).join(target);
            let leads = match anchor {
                "" => path.exists(),
                _ => fs::read_to_string(&path).is_ok_and(|page| anchors(&page).iter().any(|a| a == anchor)),
            };
            if !leads {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

/// The instruction counts in `docs/tuning.md` equal the recorded ones of `benches/counts.rs`.
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
    // the beginning of a row of a table, the number of a column, and the name of the count
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
