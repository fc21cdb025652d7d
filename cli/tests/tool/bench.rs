//! `hregion bench`: runs the requested measurements, checks the results of reads, and leaves no files.

use crate::support::{code, hregion, json_lines, last_error, members, ok, run, stderr, stdout};
use serde_json::Value;
use std::fs;

const MEMBERS: [&str; 13] = [
    "workload",
    "rows",
    "value_bytes",
    "threads",
    "operations",
    "seconds",
    "per_second",
    "p50_us",
    "p99_us",
    "p999_us",
    "max_us",
    "cache_hits",
    "cache_misses",
];

#[test]
fn every_workload_is_measured() {
    let scratch = tempfile::tempdir().unwrap();
    let svg = scratch.path().join("times.svg");
    let output = hregion()
        .args(["bench", "--json", "--rows", "3000", "--seconds", "0.05", "--threads", "2", "--svg"])
        .arg(&svg)
        .env("TMPDIR", scratch.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines = json_lines(&stdout(&output));
    let names: Vec<&str> = lines.iter().map(|line| line["workload"].as_str().unwrap()).collect();
    assert_eq!(names, ["fill", "fill-sync", "random-read", "missing-read", "scan"]);
    for line in &lines {
        assert_eq!(members(line), MEMBERS);
        let number = |member: &str| line[member].as_f64().unwrap();
        assert!(number("operations") > 0.0 && number("per_second") > 0.0, "{line}");
        let rate = number("operations") / number("seconds");
        assert!((rate / number("per_second") - 1.0).abs() < 0.01, "{line}");
        let times = ["p50_us", "p99_us", "p999_us", "max_us"].map(|member| line[member].as_f64());
        match line["workload"].as_str() {
            Some("scan") => assert_eq!(times, [None; 4]),
            _ => assert!(times.iter().all(Option::is_some) && times.is_sorted(), "{line}"),
        }
    }
    assert_eq!(lines[0]["operations"], 3000);
    assert_eq!(lines[4]["operations"].as_u64().unwrap() % 3000, 0);
    // The file has a few blocks, which are read once.
    assert!(lines[2]["cache_hits"].as_u64() > lines[2]["cache_misses"].as_u64(), "{}", lines[2]);
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(">random-read: "), "{picture}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "the region is left");
}

#[test]
fn workloads_and_families_are_chosen() {
    let line = |args: &[&str]| -> Value {
        let all = [&["bench", "--json", "--rows", "2000", "--seconds", "0.02"], args].concat();
        let mut lines = json_lines(&ok(&all));
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    };
    let family = "f:DATA_BLOCK_ENCODING=FAST_DIFF,COMPRESSION=SNAPPY,BLOOMFILTER=ROW";
    let read = line(&["random-read", "--family", family, "--value-bytes", "0"]);
    assert_eq!((&read["workload"], read["value_bytes"].as_u64()), (&"random-read".into(), Some(0)));
    let cold = line(&["random-read", "--cache-bytes", "1000"]);
    assert!(cold["cache_misses"].as_u64() > cold["cache_hits"].as_u64(), "{cold}");
    let text = ok(&["bench", "scan", "--rows", "100", "--seconds", "0"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    for args in [&["--rows", "0"][..], &["--seconds", "-1"], &["sort"], &["--family", "f:NO"]] {
        let output = run(&[&["bench", "--json"], args].concat());
        assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (2, Some("Usage")), "{args:?}");
    }
}
