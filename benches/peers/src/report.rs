//! Converts the lines of a run to Markdown: the tables of README.md and docs/speed.md, then all numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

/// Rows of the table of stores: a name, and workloads.
const STORES: [(&str, &[&str]); 15] = [
    ("get of a column, one file", &["get-hot"]),
    ("get of a column, four files and a MemStore", &["get-5runs"]),
    ("get of a row, one file / five runs", &["get-row-hot", "get-row-5runs"]),
    ("get of a row that is not there, one file / five runs", &["get-missing-hot", "get-missing-5runs"]),
    ("ten versions with two markers, five runs", &["versions-5runs"]),
    ("scan, one file / five runs", &["scan-hot", "scan-5runs"]),
    ("scan backward, one file / five runs", &["scan-reverse-hot", "scan-reverse-5runs"]),
    ("scan with a filter of values, one file", &["scan-filter-hot"]),
    ("get, a tenth of the data fits the cache, uniform / Zipf", &["get-cold", "get-zipf-cold"]),
    ("the same, rows that are not there", &["get-missing-cold"]),
    ("the same, scan of 100 rows / of all", &["scan100-cold", "scan-cold"]),
    ("put, no log", &["put-nolog"]),
    ("put, log given to the system / synced", &["put-log", "put-sync"]),
    ("replay of the log", &["replay"]),
    ("flush / major compaction", &["flush", "compact"]),
];

/// Rows of the table of files: a name, and a workload without its encoding.
const FILES: [(&str, &str); 6] = [
    ("scan, blocks cached", "file-scan-hot"),
    ("scan, no block cache", "file-scan-cold"),
    ("seek of a random row, cached", "file-seek-hot"),
    ("seek of a row that is not there, cached", "file-missing-hot"),
    ("seek, no block cache", "file-seek-cold"),
    ("row denied by the Bloom filter", "file-missing-bloom"),
];

/// Rows of the table of compressed files.
const COMPRESSED: [(&str, &str); 2] =
    [("scan, no block cache", "file-scan-cold"), ("seek, no block cache", "file-seek-cold")];

/// If other processes used more CPUs than this, numbers are not for publication.
const NOISY: f64 = 0.15;

fn is_lsm(engine: &str) -> bool {
    matches!(engine.split(':').next(), Some("rocksdb" | "lsm-tree"))
}

/// A measurement: workload, threads, rows.
type What = (String, u64, u64);

#[derive(Default)]
struct Results {
    /// The values of each engine, for each pass.
    values: BTreeMap<What, BTreeMap<String, BTreeMap<u64, f64>>>,
    /// p50 and p99, of the pass with the lower p50.
    latencies: BTreeMap<What, BTreeMap<String, [f64; 2]>>,
    units: BTreeMap<String, String>,
    /// In the order of their first lines.
    workloads: Vec<String>,
    engines: Vec<String>,
    about: Vec<String>,
    failed: Vec<String>,
    runs: Vec<Value>,
    noise: Vec<f64>,
    hbase_version: Option<String>,
}

impl Results {
    fn read(text: &str, cpu: bool) -> Self {
        let mut results = Results::default();
        for line in text.lines() {
            // a file that is still being written may end within a line
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                results.line(&line, cpu);
            }
        }
        results
    }

    fn line(&mut self, line: &Value, cpu: bool) {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_string();
        if line["run"].is_object() {
            self.runs.push(line["run"].clone());
            return;
        }
        for (name, list) in [("about", &mut self.about), ("failed", &mut self.failed)] {
            if line[name].is_string() && !list.contains(&text(name)) {
                list.push(text(name));
            }
        }
        if line["version"].is_string() {
            self.hbase_version = Some(text("version"));
        }
        let (Some(value), Some(threads)) = (line["value"].as_f64(), line["threads"].as_u64()) else { return };
        let mut engine = text("engine");
        if !matches!(line["variant"].as_str(), None | Some("default")) {
            engine = format!("{engine}:{}", text("variant"));
        }
        let number = |name: &str| line[name].as_u64().unwrap_or_default();
        let what = (text("workload"), threads, number("n"));
        if !self.workloads.contains(&what.0) {
            self.workloads.push(what.0.clone());
        }
        if !self.engines.contains(&engine) {
            self.engines.push(engine.clone());
        }
        self.units.insert(what.0.clone(), text("unit"));
        self.noise.extend(line["noise_cpus"].as_f64());
        let value = if cpu { line["cpu_value"].as_f64().unwrap_or(value) } else { value };
        if let (Some(p50), Some(p99)) = (line["p50_us"].as_f64(), line["p99_us"].as_f64()) {
            let latency =
                self.latencies.entry(what.clone()).or_default().entry(engine.clone()).or_insert([p50, p99]);
            if p50 < latency[0] {
                *latency = [p50, p99];
            }
        }
        self.values.entry(what).or_default().entry(engine).or_default().insert(number("pass"), value);
    }

    /// hregion's speed as a multiple of the fastest of `others`: the lowest of the passes.
    fn ratio(&self, what: &What, others: impl Fn(&str) -> bool) -> Option<f64> {
        let engines = self.values.get(what)?;
        let ratios = engines.get("hregion")?.iter().filter_map(|(pass, own)| {
            let of_pass = engines.iter().filter(|(name, _)| others(name)).filter_map(|(_, v)| v.get(pass));
            Some(own / of_pass.copied().reduce(f64::max)?)
        });
        ratios.reduce(f64::min)
    }

    /// The workloads, in the order of the lines, with threads and rows.
    fn measured(&self) -> impl Iterator<Item = &What> {
        self.workloads.iter().flat_map(|name| self.values.keys().filter(move |what| &what.0 == name))
    }
}

/// A ratio with two digits.
fn digits(ratio: f64) -> String {
    match ratio {
        r if r < 9.95 => format!("{r:.1}"),
        r if r < 99.5 => format!("{r:.0}"),
        r => format!("{:.0}", (r / 10.0).round() * 10.0),
    }
}

fn shown(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_string(), digits)
}

/// A number with commas.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate with three digits.
fn rate(value: f64) -> String {
    match value {
        v if v >= 1e8 => format!("{:.0}M", v / 1e6),
        v if v >= 1e7 => format!("{:.1}M", v / 1e6),
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e5 => format!("{:.0}k", v / 1e3),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

/// Returns the tables for the lines in `text`; with `cpu`, with rates by CPU time where they exist.
pub fn tables(text: &str, cpu: bool) -> String {
    let results = Results::read(text, cpu);
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = stores(&results, &mut out)
        .and_then(|()| files(&results, &mut out))
        .and_then(|()| all(&results, &mut out));
    out
}

fn stores(results: &Results, out: &mut String) -> std::fmt::Result {
    let sizes: BTreeSet<u64> = results
        .values
        .keys()
        .filter(|what| STORES[0].1.contains(&what.0.as_str()))
        .map(|what| what.2)
        .collect();
    let Some(&n) = sizes.last() else { return Ok(()) };
    let passes = results.runs.last().and_then(|run| run["passes"].as_u64()).unwrap_or(1);
    let number = if passes > 1 { format!("the lower of {passes} passes") } else { "of one pass".to_string() };
    let hbase = results.hbase_version.as_ref().map_or_else(|| "HBase".to_string(), |v| format!("HBase {v}"));
    let measured = |name: &str| results.engines.iter().any(|e| e.split(':').next() == Some(name));
    let lsm = match (measured("rocksdb"), measured("lsm-tree")) {
        (true, false) => "RocksDB (without lsm-tree)",
        (false, true) => "lsm-tree (without RocksDB)",
        _ => "the faster of RocksDB and lsm-tree",
    };
    writeln!(
        out,
        "The table shows how many times as fast hregion is as {hbase}, and as {lsm}:\n\
         21 means 21 times as fast, 0.9 means slower. {} rows of 16 bytes, values of 100 bytes, one thread.\n\
         Each number is {number}.\n",
        thousands(n)
    )?;
    writeln!(out, "| | HBase | best LSM |\n|---|--:|--:|")?;
    for (name, workloads) in STORES {
        let cell = |others: &dyn Fn(&str) -> bool| {
            let ratios = workloads.iter().map(|w| shown(results.ratio(&(w.to_string(), 1, n), others)));
            ratios.collect::<Vec<_>>().join(" / ")
        };
        let (hbase, lsm) = (cell(&|e| e == "hbase"), cell(&is_lsm));
        writeln!(out, "| {name} | {hbase} | {lsm} |")?;
    }
    threads(results, n, out)?;
    writeln!(out)?;
    let mut parts = Vec::new();
    for (engine, name) in [("lmdb", "LMDB"), ("redb", "redb")] {
        let of = |w: &str| results.ratio(&(w.to_string(), 1, n), |e| e == engine).map(|r| digits(1.0 / r));
        if let (Some(get), Some(scan)) = (of("get-hot"), of("scan-hot")) {
            parts.push(format!(
                "{name} gets a column {get} times as fast as hregion, and scans {scan} times as fast."
            ));
        }
    }
    if !parts.is_empty() {
        writeln!(out, "{}\n", parts.join("\n"))?;
    }
    Ok(())
}

/// The ratio of the reads of two threads to those of one.
fn threads(results: &Results, n: u64, out: &mut String) -> std::fmt::Result {
    let many = results.values.keys().map(|what| what.1).max().unwrap_or(1);
    let passes = |workload: &str, threads| {
        results.values.get(&(workload.to_string(), threads, n)).and_then(|engines| engines.get("hregion"))
    };
    let mut ratios = Vec::new();
    for workload in ["get-hot", "get-zipf-hot", "get-5runs"] {
        if let (Some(one), Some(all)) = (passes(workload, 1), passes(workload, many)) {
            ratios.extend(one.iter().filter_map(|(pass, rate)| Some(all.get(pass)? / rate)));
        }
    }
    let (Some(low), Some(high)) =
        (ratios.iter().copied().reduce(f64::min), ratios.iter().copied().reduce(f64::max))
    else {
        return Ok(());
    };
    if many == 1 {
        return Ok(());
    }
    writeln!(out, "\nWith {many} threads, gets read {low:.1} to {high:.1} times as many rows as with one.")
}

fn files(results: &Results, out: &mut String) -> std::fmt::Result {
    let mut sizes: Vec<u64> =
        results.values.keys().filter(|what| what.0.starts_with("file-")).map(|what| what.2).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let Some((&large, small)) = sizes.split_last() else { return Ok(()) };
    write!(
        out,
        "How many times as fast hregion is as HBase's `HFileScanner` on files that HBase wrote, of {} rows",
        thousands(large)
    )?;
    match small.first() {
        Some(&small) => writeln!(out, "\n(in brackets: {} rows):\n", thousands(small))?,
        None => writeln!(out, ":\n")?,
    }
    let small = small.first().copied();
    files_by(&crate::files::ENCODINGS, &FILES, large, small, results, out)?;
    writeln!(out, "Without a data block encoding, by codec:\n")?;
    files_by(&crate::files::CODECS, &COMPRESSED, large, small, results, out)
}

/// A table with a column for each kind of file.
fn files_by(
    kinds: &[&str],
    rows: &[(&str, &str)],
    large: u64,
    small: Option<u64>,
    results: &Results,
    out: &mut String,
) -> std::fmt::Result {
    writeln!(out, "| | {} |\n|---|{}", kinds.join(" | "), "--:|".repeat(kinds.len()))?;
    for (name, workload) in rows {
        write!(out, "| {name} |")?;
        for kind in kinds {
            let cell = |n| {
                let what = (format!("{workload}/{}", kind.to_lowercase()), 1, n);
                shown(results.ratio(&what, |e| e == "hbase"))
            };
            write!(out, " {}", cell(large))?;
            if let Some(small) = small {
                write!(out, " ({})", cell(small))?;
            }
            write!(out, " |")?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// All rates and latencies, versions, and the load of the machine.
fn all(results: &Results, out: &mut String) -> std::fmt::Result {
    let names = results.engines.join(" | ");
    let columns = "---:|".repeat(results.engines.len());
    writeln!(out, "All values, pass by pass:\n")?;
    writeln!(out, "| workload | rows | threads | unit | {names} |\n|---|--:|--:|---|{columns}")?;
    for what in results.measured() {
        write!(out, "| {} | {} | {} | {} |", what.0, thousands(what.2), what.1, results.units[&what.0])?;
        for engine in &results.engines {
            let passes = results.values[what].get(engine);
            let cell: Vec<String> = passes.into_iter().flat_map(BTreeMap::values).map(|&v| rate(v)).collect();
            write!(out, " {} |", cell.join(" / "))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "\nLatency in microseconds, p50 / p99:\n")?;
    writeln!(out, "| workload | rows | threads | {names} |\n|---|--:|--:|{columns}")?;
    for what in results.measured() {
        let Some(engines) = results.latencies.get(what) else { continue };
        write!(out, "| {} | {} | {} |", what.0, thousands(what.2), what.1)?;
        for engine in &results.engines {
            let cell = engines.get(engine).map(|[p50, p99]| format!("{p50:.2} / {p99:.2}"));
            write!(out, " {} |", cell.unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    writeln!(out)?;
    for about in &results.about {
        writeln!(out, "- {about}")?;
    }
    for run in &results.runs {
        writeln!(out, "- {} CPUs, {}", run["cpus"], run["cpu"].as_str().unwrap_or_default())?;
    }
    let mut noise = results.noise.clone();
    noise.sort_unstable_by(f64::total_cmp);
    if let (Some(median), Some(most)) = (noise.get(noise.len() / 2), noise.last()) {
        let noisy = noise.iter().filter(|n| **n > NOISY).count();
        writeln!(
            out,
            "- Other processes used {median:.2} CPUs in the median of the samples, {most:.2} at most.\n  \
             It was more than {NOISY}, which is too much for numbers to publish, in {noisy} of {} samples.",
            noise.len()
        )?;
    }
    let planned = results.runs.iter().flat_map(|run| run["engines"].as_array().into_iter().flatten());
    let missing: BTreeSet<&str> =
        planned.filter_map(Value::as_str).filter(|e| !results.engines.iter().any(|m| m == e)).collect();
    for engine in missing {
        writeln!(out, "- not measured: {engine}")?;
    }
    for failed in &results.failed {
        writeln!(out, "- failed: {failed}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(engine: &str, workload: &str, pass: u64, value: f64) -> String {
        format!(r#"{{"engine":"{engine}","variant":"default","workload":"{workload}","threads":1,"n":1000,"#)
            + &format!(r#""pass":{pass},"value":{value},"unit":"gets/s"}}"#)
    }

    #[test]
    fn a_ratio_is_the_lowest_of_the_passes() {
        let lines = [
            line("hregion", "get-hot", 1, 210.0),
            line("hbase", "get-hot", 1, 10.0),
            line("rocksdb", "get-hot", 1, 300.0),
            line("lsm-tree", "get-hot", 1, 100.0),
            line("hbase", "get-hot", 2, 20.0),
            line("hregion", "get-hot", 2, 440.0),
            line("rocksdb", "get-hot", 2, 110.0),
        ];
        let text = tables(&lines.join("\n"), false);
        assert!(text.contains("| get of a column, one file | 21 | 0.7 |"), "{text}");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let text = tables(&line("hregion", "get-hot", 1, 1.0), false);
        assert!(text.contains("| get of a column, one file | – | – |"), "{text}");
        assert!(!text.contains("HFileScanner"), "{text}");
        assert_eq!(tables("", false).lines().filter(|l| l.starts_with("| get")).count(), 0);
    }

    #[test]
    fn numbers_have_two_digits() {
        assert_eq!(
            [0.94, 2.35, 9.96, 13.4, 99.6, 163.0].map(digits),
            ["0.9", "2.4", "10", "13", "100", "160"]
        );
        assert_eq!([7, 1000, 1_000_000].map(thousands), ["7", "1,000", "1,000,000"]);
    }
}
