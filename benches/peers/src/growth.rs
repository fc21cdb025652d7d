//! The growth of hregion's costs with rows, files, versions, columns and regions, all cached: a chart for
//! each.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hregion::{
    BlockCache, BloomType, CellType, Durability, Family, Get, HFile, MemoryLimit, Put, Region, RegionOptions,
    RowBuf, Scan, SeekKey, Table,
};
use serde_json::json;

use crate::chart::Chart;
use crate::measure::{Opts, scans, single, touch};
use crate::sys::{self, Noise};
use crate::workload::{self, Draw, TIMESTAMP, mix, row, value};

const FAMILY: &[u8] = workload::FAMILY;
const QUALIFIER: &[u8] = workload::QUALIFIER;

/// The measurements, and their sizes.
#[derive(Debug)]
pub struct Plan {
    pub rows: Vec<u64>,
    /// Cells of the stores whose number of rows stays the same.
    pub cells: u64,
    pub files: Vec<u64>,
    pub versions: Vec<u64>,
    pub columns: Vec<u64>,
    pub regions: Vec<u64>,
    pub opts: Opts,
    pub dir: PathBuf,
    /// The directory for the charts and the numbers.
    pub out: PathBuf,
}

const CHARTS: [(&str, &str, &str); 6] = [
    ("rows", "rows in one file", NANOS),
    ("files", "files, which overlap", NANOS),
    ("versions", "versions of a column", NANOS),
    ("columns", "columns of a row", NANOS),
    ("regions", "regions of a table", NANOS),
    ("memory", "regions of a table", "for all regions"),
];
const NANOS: &str = "nanoseconds";

/// The number of times that a region is opened for a measurement.
const OPENS: u32 = 10;

/// Measures, and writes the charts and `growth.jsonl`.
pub fn run(plan: &Plan) -> Result<()> {
    fs::create_dir_all(&plan.out).with_context(|| plan.out.display().to_string())?;
    let scratch = plan.dir.join(format!("growth-{}", std::process::id()));
    let mut growth = Growth { plan, scratch, lines: Vec::new() };
    let measured = growth.measure();
    let removed = if growth.scratch.exists() { fs::remove_dir_all(&growth.scratch) } else { Ok(()) };
    measured?;
    removed?;
    growth.draw()
}

/// A number: its chart, its line, and its size.
struct Point {
    chart: &'static str,
    line: &'static str,
    size: u64,
    value: f64,
    /// CPUs used by other processes during the measurement.
    noise: f64,
}

struct Growth<'p> {
    plan: &'p Plan,
    scratch: PathBuf,
    lines: Vec<Point>,
}

impl Growth<'_> {
    fn measure(&mut self) -> Result<()> {
        for &rows in &self.plan.rows {
            self.rows(rows)?;
        }
        for &files in &self.plan.files {
            self.files(files)?;
        }
        for &versions in &self.plan.versions {
            self.versions(versions)?;
        }
        for &columns in &self.plan.columns {
            self.columns(columns)?;
        }
        for &regions in &self.plan.regions {
            self.regions(regions)?;
        }
        Ok(())
    }

    fn add(&mut self, chart: &'static str, line: &'static str, size: u64, value: f64, noise: f64) {
        eprintln!("growth: {chart} {size}: {line}: {value:.1}");
        self.lines.push(Point { chart, line, size, value, noise });
    }

    /// Measures `op`, which returns its number of units, in nanoseconds per unit.
    fn time(
        &mut self,
        chart: &'static str,
        line: &'static str,
        size: u64,
        op: impl FnMut() -> u64,
    ) -> Result<()> {
        let sample = single(&self.plan.opts, "units/s", op)?;
        self.add(chart, line, size, 1e9 / sample.value, sample.noise);
        Ok(())
    }

    /// Measures a scan of `units` rows or cells.
    fn scan(
        &mut self,
        chart: &'static str,
        line: &'static str,
        size: u64,
        units: u64,
        region: &Region,
        scan: &Scan,
    ) -> Result<()> {
        let sample = scans(&self.plan.opts, units, || {
            let (mut cells, mut x) = (0, 0);
            let view = region.view();
            let mut rows = view.scan(scan)?;
            while let Some(row) = rows.next_row()? {
                for cell in row.cells() {
                    x ^= touch(cell.value());
                    cells += 1;
                }
            }
            black_box(x);
            ensure!(cells == units, "a scan returned {cells} cells of {units}");
            Ok(())
        })?;
        self.add(chart, line, size, 1e9 / sample.value, sample.noise);
        Ok(())
    }

    /// Measures the time to open a region, and returns the region.
    fn open(
        &mut self,
        chart: &'static str,
        size: u64,
        options: impl Fn() -> RegionOptions,
    ) -> Result<Region> {
        let dir = self.scratch.clone();
        let noise = Noise::start();
        let start = Instant::now();
        for _ in 0..OPENS {
            drop(black_box(options().open(&dir)?));
        }
        let nanos = start.elapsed().as_nanos() as f64 / f64::from(OPENS);
        self.add(chart, "open", size, nanos, noise.cpus());
        Ok(options().open(&dir)?)
    }

    /// Removes the region of the last size.
    fn clear(&self) -> Result<()> {
        if self.scratch.exists() {
            fs::remove_dir_all(&self.scratch)?;
        }
        Ok(fs::create_dir_all(&self.scratch)?)
    }

    fn rows(&mut self, rows: u64) -> Result<()> {
        self.clear()?;
        let cache = BlockCache::with_capacity(u64::MAX >> 1);
        let options = || options(&cache, family());
        let region = options().open(&self.scratch)?;
        let first = rows - rows / 10;
        for i in 0..first {
            region.put(put(i))?;
        }
        let noise = Noise::start();
        let start = Instant::now();
        for i in first..rows {
            region.put(put(i))?;
        }
        let nanos = start.elapsed().as_nanos() as f64 / (rows - first).max(1) as f64;
        self.add("rows", "put, no log", rows, nanos, noise.cpus());
        region.flush()?;
        region.close()?;
        let region = self.open("rows", rows, options)?;
        warm(&region)?;
        self.gets("rows", rows, rows, &region)?;
        self.scan("rows", "scan, a row", rows, rows, &region, &Scan::new())?;
        let paths = region.hfile_paths(FAMILY).context("the family")?;
        ensure!(paths.len() == 1, "{} files", paths.len());
        self.seeks(rows, &paths[0])
    }

    /// Measures seeks in a file without a cache.
    fn seeks(&mut self, rows: u64, path: &Path) -> Result<()> {
        let file = HFile::options().verify_checksums(true).open(path)?;
        let (mut cells, mut key, mut draw) = (file.scanner(), SeekKey::new(), Draw::uniform(rows, 0, 1));
        self.time("rows", "seek in a file, no cache", rows, || {
            let wanted = row(draw.draw());
            key.set(&wanted, FAMILY, QUALIFIER, TIMESTAMP as i64, CellType::Put);
            cells.seek(&key).expect("the file is sound");
            assert_eq!(cells.peek().map(|cell| cell.row() == wanted), Some(true));
            1
        })
    }

    /// Measures gets of a column, of existing and missing rows.
    fn gets(&mut self, chart: &'static str, size: u64, rows: u64, region: &Region) -> Result<()> {
        let (mut get, mut found) = (Get::new([]).column(FAMILY, QUALIFIER), RowBuf::new());
        let mut draws = [Draw::uniform(rows, 0, 1), Draw::missing(rows, 0, 1)];
        for (line, is_there, draw) in
            [("get of a column", true, 0), ("get of a row that is not there", false, 1)]
        {
            self.time(chart, line, size, || {
                get.set_row(row(draws[draw].draw()));
                let has = region.get_into(&get, &mut found).expect("the file is sound");
                assert_eq!(has, is_there);
                1
            })?;
        }
        Ok(())
    }

    fn files(&mut self, files: u64) -> Result<()> {
        self.clear()?;
        let (rows, cache) = (self.plan.cells, BlockCache::with_capacity(u64::MAX >> 1));
        let options = || options(&cache, family());
        let region = options().open(&self.scratch)?;
        for file in 0..files {
            for i in (0..rows).filter(|i| mix(i ^ 0x00C0_FFEE_0000_0005) % files == file) {
                region.put(put(i))?;
            }
            region.flush()?;
        }
        ensure!(region.store_file_count(FAMILY) == Some(files as usize), "files of {files}");
        region.close()?;
        let region = self.open("files", files, options)?;
        warm(&region)?;
        self.gets("files", files, rows, &region)?;
        self.scan("files", "scan, a row", files, rows, &region, &Scan::new())
    }

    fn versions(&mut self, versions: u64) -> Result<()> {
        self.clear()?;
        let (rows, cache) = ((self.plan.cells / versions).max(1), BlockCache::with_capacity(u64::MAX >> 1));
        let all = u32::try_from(versions)?;
        let region = options(&cache, family().max_versions(all)).open(&self.scratch)?;
        for i in 0..rows {
            for version in 0..versions {
                let timestamp = (TIMESTAMP - version) as i64;
                region.put(unlogged(i).cell_at(FAMILY, QUALIFIER, timestamp, value(i).to_vec()))?;
            }
        }
        region.flush()?;
        warm(&region)?;
        let mut found = RowBuf::new();
        for (line, max) in [("get of the newest", 1), ("get of all, a version", all)] {
            let mut get = Get::new([]).column(FAMILY, QUALIFIER).max_versions(max);
            let mut draw = Draw::uniform(rows, 0, 1);
            self.time("versions", line, versions, || {
                get.set_row(row(draw.draw()));
                region.get_into(&get, &mut found).expect("the file is sound");
                let cells = found.as_row().len() as u64;
                assert_eq!(cells, u64::from(max));
                cells
            })?;
        }
        let scan = |max| Scan::new().max_versions(max);
        self.scan("versions", "scan of the newest, a row", versions, rows, &region, &scan(1))?;
        self.scan("versions", "scan of all, a version", versions, rows * versions, &region, &scan(all))
    }

    fn columns(&mut self, columns: u64) -> Result<()> {
        self.clear()?;
        let (rows, cache) = ((self.plan.cells / columns).max(1), BlockCache::with_capacity(u64::MAX >> 1));
        let region = options(&cache, family()).open(&self.scratch)?;
        let qualifiers: Vec<Vec<u8>> = (0..columns).map(|c| format!("q{c:06}").into_bytes()).collect();
        let noise = Noise::start();
        let start = Instant::now();
        for i in 0..rows {
            let cell = |put: Put, qualifier: &Vec<u8>| {
                put.cell_at(FAMILY, qualifier.clone(), TIMESTAMP as i64, value(i).to_vec())
            };
            region.put(qualifiers.iter().fold(unlogged(i), cell))?;
        }
        let nanos = start.elapsed().as_nanos() as f64 / (rows * columns) as f64;
        self.add("columns", "put of a row, a column", columns, nanos, noise.cpus());
        region.flush()?;
        warm(&region)?;
        let mut found = RowBuf::new();
        let (mut draw, mut at) = (Draw::uniform(rows, 0, 1), Draw::uniform(columns, 1, 1));
        let mut gets: Vec<Get> = Vec::new();
        gets.extend(qualifiers.iter().map(|qualifier| Get::new([]).column(FAMILY, qualifier.clone())));
        self.time("columns", "get of a column", columns, || {
            let get = &mut gets[at.draw() as usize];
            get.set_row(row(draw.draw()));
            assert!(region.get_into(get, &mut found).expect("the file is sound"));
            1
        })?;
        let mut get = Get::new([]).family(FAMILY);
        self.time("columns", "get of a row, a column", columns, || {
            get.set_row(row(draw.draw()));
            region.get_into(&get, &mut found).expect("the file is sound");
            let cells = found.as_row().len() as u64;
            assert_eq!(cells, columns);
            cells
        })?;
        self.scan("columns", "scan, a column", columns, rows * columns, &region, &Scan::new())
    }

    fn regions(&mut self, regions: u64) -> Result<()> {
        self.clear()?;
        let (rows, cache) = (self.plan.cells, BlockCache::with_capacity(u64::MAX >> 1));
        // rows are spread evenly
        let split = |n: u64| ((u128::from(n) << 64) / u128::from(regions)) as u64;
        let splits: Vec<_> = (1..regions).map(|n| split(n).to_be_bytes()).collect();
        let name = "t";
        let created = Region::options().cache(&cache).memory_limit(&MemoryLimit::new(u64::MAX));
        let table = Table::create_with(&self.scratch, name, &[family()], &splits, created)?;
        for i in 0..rows {
            table.put(put(i))?;
        }
        table.close()?;
        drop(table);
        sys::trim();
        let (resident, files) = (sys::rss(), sys::open_files());
        let noise = Noise::start();
        let start = Instant::now();
        let table = Table::open_with(&self.scratch, name, Region::options().cache(&cache))?;
        for info in table.regions() {
            black_box(table.region(info.start_key())?);
        }
        let nanos = start.elapsed().as_nanos() as f64 / regions as f64;
        let (opened, noise) = (sys::rss() - resident, noise.cpus());
        self.add("regions", "open, a region", regions, nanos, noise);
        self.add("memory", "resident bytes after opening", regions, opened.max(1.0), noise);
        let mut scanned = table.scan(Scan::new())?;
        while scanned.next_row()?.is_some() {}
        let (mut get, mut found) = (Get::new([]).column(FAMILY, QUALIFIER), RowBuf::new());
        let mut draw = Draw::uniform(rows, 0, 1);
        self.time("regions", "get of a column", regions, || {
            get.set_row(row(draw.draw()));
            assert!(table.get_into(&get, &mut found).expect("the table is sound"));
            1
        })?;
        let sample = scans(&self.plan.opts, rows, || {
            let (mut cells, mut x) = (0, 0);
            let mut scanned = table.scan(Scan::new())?;
            while let Some(row) = scanned.next_row()? {
                row.cells().for_each(|cell| x ^= touch(cell.value()));
                cells += row.len() as u64;
            }
            black_box(x);
            ensure!(cells == rows, "a scan returned {cells} cells of {rows}");
            Ok(())
        })?;
        self.add("regions", "scan, a row", regions, 1e9 / sample.value, sample.noise);
        let files = sys::open_files().saturating_sub(files).max(1);
        self.add("memory", "open files after a scan", regions, files as f64, 0.0);
        Ok(())
    }

    /// Writes the numbers and the charts.
    fn draw(&self) -> Result<()> {
        let cpus = std::thread::available_parallelism()?;
        let machine = format!("{cpus} × {}", sys::cpu_model());
        let mut text = format!("{}\n", json!({ "machine": machine, "cells": self.plan.cells }));
        for point in &self.lines {
            let noise = (point.noise * 1000.0).round() / 1000.0;
            let line = json!({ "chart": point.chart, "line": point.line, "size": point.size,
                "value": (point.value * 10.0).round() / 10.0, "noise_cpus": noise });
            writeln!(text, "{line}")?;
        }
        let path = self.plan.out.join("growth.jsonl");
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        for (chart, x, y) in CHARTS {
            let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
            for point in self.lines.iter().filter(|point| point.chart == chart) {
                lines.entry(point.line).or_default().push((point.size as f64, point.value));
            }
            if !lines.is_empty() {
                let title = format!("{chart}, {machine}");
                let lines = lines.into_iter().collect();
                Chart { title, x, y, lines }.write(&self.plan.out.join(format!("{chart}.svg")))?;
            }
        }
        Ok(())
    }
}

/// Reads all blocks into the cache.
fn warm(region: &Region) -> Result<()> {
    let (view, scan) = (region.view(), Scan::new().max_versions(u32::MAX));
    let mut rows = view.scan(&scan)?;
    while rows.next_row()?.is_some() {}
    Ok(())
}

fn family() -> Family {
    Family::new(FAMILY).bloom(BloomType::Row)
}

/// Options of a region that only the harness flushes and compacts.
fn options(cache: &BlockCache, family: Family) -> RegionOptions {
    Region::options()
        .cache(cache)
        .create_if_missing(true)
        .compaction_enabled(false)
        .memstore_flush_size(u64::MAX)
        .memory_limit(&MemoryLimit::new(u64::MAX))
        .family(family)
}

fn unlogged(i: u64) -> Put {
    Put::new(row(i).to_vec()).durability(Durability::SkipWal)
}

fn put(i: u64) -> Put {
    unlogged(i).cell_at(FAMILY, QUALIFIER, TIMESTAMP as i64, value(i).to_vec())
}
