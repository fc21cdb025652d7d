//! The measurements of one engine in one pass, in a separate process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};
use crate::lines::Lines;
use crate::measure::{
    Get, GetMany, GetMissing, GetRow, Op, Opts, Sample, Scan100, Versions, Way, WideColumn, WideRow, bulk,
    full_scan, inserts, memtable_memory, once, reads, replay, verify,
};
use crate::sys;
use crate::workload::{
    COLUMNS, Draw, Key, Kind, LOGICAL, Order, RUNS, Rng, VERSION_CELLS, VERSIONS, VISIBLE, Value, Zipf, key,
    row, run_of, value, version_cell, versioned, wide,
};

#[derive(Clone, Debug)]
pub struct Params {
    pub engine: String,
    pub variant: String,
    pub n: u64,
    pub block: usize,
    /// The cache of the part `cold`, in percent of the data.
    pub cold_percent: f64,
    pub pass: u64,
    pub dir: PathBuf,
    pub opts: Opts,
    pub threads: usize,
    pub parts: Vec<String>,
}

impl Params {
    fn wants(&self, part: &str) -> bool {
        self.parts.iter().any(|p| p == part)
    }

    /// Measures with one thread, then with all.
    fn thread_counts(&self) -> Vec<usize> {
        if self.threads > 1 { vec![1, self.threads] } else { vec![1] }
    }
}

/// Measures the parts named by `params`, and prints their lines.
pub fn run<E: Engine>(params: &Params) -> Result<()> {
    let logical = params.n as f64 * LOGICAL as f64;
    let config = Config {
        dir: params.dir.clone(),
        block: params.block,
        // enough for all blocks and an engine's overhead
        cache: (logical * 3.0) as u64 + (256 << 20),
        bloom_bits: 10.0,
        memtable: ((logical / RUNS as f64) as u64 * 3).max(512 << 20),
        versions: 1,
        variant: params.variant.clone(),
    };
    let lines = Lines {
        engine: params.engine.clone(),
        variant: params.variant.clone(),
        n: params.n,
        pass: params.pass,
    };
    lines.about(&E::about(&config));
    let run = Run { params, lines, caps: E::caps(), order: Order::new(params.n), config };
    if params.wants("writes") || params.wants("logs") {
        run.writes::<E>()?;
    }
    if params.wants("wide") {
        run.wide::<E>()?;
    }
    if params.wants("versions") {
        run.versions::<E>()?;
    }
    if params.wants("runs5") || params.wants("hot") || params.wants("cold") {
        run.narrow::<E>()?;
    }
    Ok(())
}

struct Run<'p> {
    params: &'p Params,
    lines: Lines,
    caps: Caps,
    order: Order,
    config: Config,
}

impl Run<'_> {
    /// The configuration for a store in a separate empty directory.
    fn fresh(&self, name: &str) -> Result<Config> {
        let dir = self.params.dir.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(Config { dir, ..self.config.clone() })
    }

    fn writes<E: Engine>(&self) -> Result<()> {
        let opts = &self.params.opts;
        let config = self.fresh("writes")?;
        // with this many rows, HBase's MemStore has reached its flush size of 128 MB
        let rows = self.params.n.min(1_000_000);
        if self.params.wants("writes") && self.caps.put_no_log {
            self.lines.number("memstore-memory", memtable_memory::<E>(&config, rows)?, "B/row");
        }
        for threads in self.params.thread_counts() {
            if threads > 1 && !self.caps.put_threads {
                continue;
            }
            let put = |name, log| {
                self.lines.measure(name, threads, || inserts::<E>(&config, rows, threads, log, opts))
            };
            if self.params.wants("writes") && self.caps.put_no_log {
                put("put-nolog", Log::Off)?;
            }
            if self.params.wants("logs") && self.caps.put_log {
                put("put-log", Log::Os)?;
            }
            if self.params.wants("logs") && self.caps.put_sync {
                put("put-sync", Log::Sync)?;
            }
        }
        if self.params.wants("logs") && self.caps.put_log {
            self.lines.measure("replay", 1, || replay::<E>(&config, rows, opts))?;
        }
        if self.params.wants("writes") {
            self.lines.measure("bulk", 1, || bulk::<E>(&config, &self.order, opts))?;
        }
        remove(&config.dir)
    }

    /// Rows with one cell: in five runs, in one run, and in one run with a small cache.
    fn narrow<E: Engine>(&self) -> Result<()> {
        let (n, opts) = (self.params.n, &self.params.opts);
        let megabytes = n as f64 * LOGICAL as f64 / 1e6;
        let config = self.fresh("narrow")?;
        let engine: E = fill_narrow(&config, &self.order)?;
        if self.caps.runs {
            if let Some(runs) = engine.runs() {
                ensure!(runs as u64 == RUNS - 1, "{runs} runs on disk, expected {}", RUNS - 1);
            }
            verify(&engine, &self.order)?;
        }
        if self.caps.runs && self.params.wants("runs5") {
            self.narrow_reads(&engine, "5runs")?;
            let once = |name, megabytes, work: &dyn Fn() -> Result<()>| {
                self.lines.measure(name, 1, || once(opts, "MB/s", megabytes, work))
            };
            once("flush", megabytes / RUNS as f64, &|| engine.flush())?;
            sys::trim();
            once("compact", megabytes, &|| engine.compact())?;
        } else {
            engine.flush()?;
            engine.compact()?;
        }
        engine.close()?;
        let cold = ((megabytes * 1e4 * self.params.cold_percent) as u64).max(8 << 20);
        for (shape, cache) in [("hot", config.cache), ("cold", cold)] {
            if !self.params.wants(shape) || (shape == "cold" && !self.caps.cache) {
                continue;
            }
            sys::trim();
            sys::warm_page_cache(&config.dir);
            let engine = E::open(&Config { cache, ..config.clone() })?;
            if let Some(runs) = engine.runs() {
                ensure!(runs == 1, "{runs} runs on disk, expected 1");
            }
            verify(&engine, &self.order)?;
            if shape == "hot" {
                self.lines.number("disk", engine.disk_bytes(&config) as f64 / n as f64, "B/row");
            }
            self.narrow_reads(&engine, shape)?;
            engine.close()?;
        }
        remove(&config.dir)
    }

    fn narrow_reads<E: Engine>(&self, engine: &E, shape: &str) -> Result<()> {
        let (n, pass, opts) = (self.params.n, self.params.pass, &self.params.opts);
        let uniform = |t: usize| Draw::uniform(n, t, pass);
        let missing = |t: usize| Draw::missing(n, t, pass);
        let put = |name: &str, threads: usize, take: &dyn Fn() -> Result<Sample>| {
            self.lines.measure(&format!("{name}-{shape}"), threads, take)
        };
        sys::trim();
        sys::reset_peak();
        warm(engine, n)?;
        for threads in self.params.thread_counts() {
            put("get", threads, &|| reads(engine, threads, opts, "gets/s", uniform, Get))?;
        }
        if shape != "5runs" {
            let zipf = Zipf::new(n, 0.99);
            let mut rng = Rng::new(3000 + pass);
            let indexes: Arc<Vec<u32>> =
                Arc::new((0..1 << 20).map(|_| zipf.sample(&mut rng) as u32).collect());
            let zipf = |t: usize| Draw::Table {
                at: indexes.len() / 2 * t % indexes.len(),
                indexes: indexes.clone(),
            };
            for threads in self.params.thread_counts() {
                put("get-zipf", threads, &|| reads(engine, threads, opts, "gets/s", zipf, Get))?;
            }
        }
        if shape == "cold" {
            for (name, sorted) in [("get-many", false), ("get-many-sorted", true)] {
                let many = GetMany { order: &self.order, sorted };
                put(name, 1, &|| reads(engine, 1, opts, "gets/s", uniform, many))?;
            }
        }
        put("get-missing", 1, &|| reads(engine, 1, opts, "gets/s", missing, GetMissing))?;
        if shape != "cold" {
            put("get-row", 1, &|| reads(engine, 1, opts, "gets/s", uniform, GetRow))?;
        }
        put("scan100", 1, &|| reads(engine, 1, opts, "rows/s", uniform, Scan100))?;
        put("scan", 1, &|| full_scan(engine, n, n, opts, Way::Forward))?;
        put("scan-reverse", 1, &|| full_scan(engine, n, n, opts, Way::Reverse))?;
        if shape == "hot" {
            put("scan-filter", 1, &|| full_scan(engine, n, n, opts, Way::Filtered))?;
        }
        self.lines.number(&format!("peak-rss-{shape}"), sys::peak_rss_mb(), "MB");
        Ok(())
    }

    /// Rows of ten columns.
    fn wide<E: Engine>(&self) -> Result<()> {
        let opts = &self.params.opts;
        let rows = (self.params.n / COLUMNS).max(1);
        let config = self.fresh("wide")?;
        let engine: E = fill_wide(&config, rows)?;
        let uniform = |t: usize| Draw::uniform(rows, t, self.params.pass);
        for shape in ["5runs", "hot"] {
            if shape == "hot" {
                engine.flush()?;
                engine.compact()?;
            } else if !self.caps.runs {
                continue;
            }
            verify_wide(&engine, rows)?;
            engine.reader()?.scan(&[], usize::MAX, |_, _| {});
            let put = |name: &str, take: &dyn Fn() -> Result<Sample>| {
                self.lines.measure(&format!("{name}-{shape}"), 1, take)
            };
            put("wide-row", &|| reads(&engine, 1, opts, "gets/s", uniform, WideRow))?;
            put("wide-column", &|| reads(&engine, 1, opts, "gets/s", uniform, WideColumn))?;
            put("wide-scan", &|| full_scan(&engine, rows * COLUMNS, rows, opts, Way::Forward))?;
        }
        engine.close()?;
        remove(&config.dir)
    }

    /// Rows of one column with ten versions and two delete markers. An engine without runs has them in order.
    fn versions<E: Engine>(&self) -> Result<()> {
        let opts = &self.params.opts;
        let rows = (self.params.n / VERSION_CELLS).max(1);
        let config = Config { versions: 100, ..self.fresh("versions")? };
        let engine: E = fill_versions(&config, rows)?;
        verify_versions(&engine, rows)?;
        engine.reader()?.scan(&[], usize::MAX, |_, _| {});
        let uniform = |t: usize| Draw::uniform(rows, t, self.params.pass);
        for (name, most) in [("versions-5runs", VERSIONS as usize), ("newest-5runs", 1)] {
            self.lines.measure(name, 1, || reads(&engine, 1, opts, "gets/s", uniform, Versions(most)))?;
        }
        engine.close()?;
        remove(&config.dir)
    }
}

fn remove(dir: &Path) -> Result<()> {
    std::fs::remove_dir_all(dir)?;
    sys::trim();
    Ok(())
}

/// Writes the cells 0..total in five runs, the last of them in the memtable; or, in an engine without runs,
/// all of `sorted` at once.
fn fill<E: Engine>(
    config: &Config,
    total: u64,
    mut put: impl FnMut(&mut E::Writer<'_>, u64) -> Result<()>,
    sorted: Pairs<'_>,
) -> Result<E> {
    let caps = E::caps();
    if !caps.runs {
        E::bulk(config, sorted)?;
        return E::open(config);
    }
    let engine = E::open(config)?;
    for run in 0..RUNS {
        let mut writer = engine.writer(if caps.put_no_log { Log::Off } else { Log::Os })?;
        for cell in (0..total).filter(|&cell| run_of(cell) == run) {
            put(&mut writer, cell)?;
        }
        writer.finish()?;
        if run + 1 < RUNS {
            engine.flush()?;
        }
    }
    Ok(engine)
}

/// Writes a row of one cell for each index in `order`.
pub fn fill_narrow<E: Engine>(config: &Config, order: &Order) -> Result<E> {
    fill(
        config,
        order.0.len() as u64,
        |writer: &mut E::Writer<'_>, i| writer.put(&key(i), &value(i)),
        &mut order.sorted().map(|i| (key(i), value(i))),
    )
}

/// Writes `rows` rows of ten columns, their cells spread over the runs.
pub fn fill_wide<E: Engine>(config: &Config, rows: u64) -> Result<E> {
    let order = Order::new(rows);
    let row_cells = |i| (0..COLUMNS).map(move |c| (wide(i, c), value(i * COLUMNS + c)));
    fill(
        config,
        rows * COLUMNS,
        |writer: &mut E::Writer<'_>, c| writer.put(&wide(c / COLUMNS, c % COLUMNS), &value(c)),
        &mut order.sorted().flat_map(row_cells),
    )
}

pub fn verify_wide<E: Engine>(engine: &E, rows: u64) -> Result<()> {
    let mut reader = engine.reader()?;
    let mut rng = Rng::new(42);
    for _ in 0..2000 {
        let i = rng.below(rows);
        let (mut c, mut same) = (0, true);
        let n = reader.get_row(&row(i), COLUMNS as usize, |v| {
            same &= v == value(i * COLUMNS + c);
            c += 1;
        });
        ensure!(same && n as u64 == COLUMNS, "wide row {i}: {n} cells");
        let c = i % COLUMNS;
        let same = reader.get(&wide(i, c), |v| v == value(i * COLUMNS + c));
        ensure!(same == Some(true), "column {c} of wide row {i}");
    }
    Ok(())
}

/// Writes `rows` rows of one column with ten versions and two delete markers, spread over the runs.
pub fn fill_versions<E: Engine>(config: &Config, rows: u64) -> Result<E> {
    let order = Order::new(rows);
    let row_cells = |i| {
        let cell = |v| {
            let (timestamp, kind) = version_cell(v);
            (versioned(i, timestamp, kind), value(i * VERSION_CELLS + v))
        };
        let mut cells: Vec<(Key, Value)> = (0..VERSION_CELLS).map(cell).collect();
        cells.sort_unstable();
        cells
    };
    let put = |writer: &mut E::Writer<'_>, c: u64| {
        let (timestamp, kind) = version_cell(c % VERSION_CELLS);
        match kind {
            Kind::Put => writer.put_version(c / VERSION_CELLS, timestamp, kind, &value(c)),
            _ => writer.put_version(c / VERSION_CELLS, timestamp, kind, &[]),
        }
    };
    fill(config, rows * VERSION_CELLS, put, &mut order.sorted().flat_map(row_cells))
}

pub fn verify_versions<E: Engine>(engine: &E, rows: u64) -> Result<()> {
    let mut reader = engine.reader()?;
    let mut rng = Rng::new(42);
    for _ in 0..2000 {
        let i = rng.below(rows);
        let (mut at, mut same) = (0, true);
        let n = reader.get_versions(&row(i), VERSION_CELLS as usize, VERSIONS as usize, |v| {
            same &= VISIBLE.get(at).is_some_and(|&age| v == value(i * VERSION_CELLS + age));
            at += 1;
        });
        ensure!(same && n == VISIBLE.len(), "versions of row {i}: {n}");
    }
    Ok(())
}

/// Scans everything and gets random rows, to fill the cache.
fn warm<E: Engine>(engine: &E, n: u64) -> Result<()> {
    let mut reader = engine.reader()?;
    reader.scan(&[], usize::MAX, |_, _| {});
    let mut rng = Rng::new(77);
    for _ in 0..n.min(1_000_000) {
        Get.run(&mut reader, rng.below(n));
    }
    Ok(())
}
