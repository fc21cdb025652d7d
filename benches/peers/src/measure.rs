//! Timed loops. Each loop uses all data that it reads and checks it. It also measures the CPU time of other
//! processes. A sample with too much of that is repeated, whatever its value.

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use crate::engine::{Config, Engine, Log, Reader, Writer, dir_bytes};
use crate::sys::{self, Noise, thread_cpu_secs, wait_quiet};
use crate::workload::{
    BELOW, COLUMNS, Draw, LOGICAL, Order, ROW, Rng, VALUE, VERSION_CELLS, VISIBLE, key, mix, row, value, wide,
};

#[derive(Clone, Debug)]
pub struct Sample {
    pub value: f64,
    /// The value for a second of the working threads' CPU time instead of a second by the clock.
    pub cpu_value: Option<f64>,
    pub unit: &'static str,
    pub ops: u64,
    pub secs: f64,
    /// p50, p99 and p99.9 in microseconds.
    pub latency: Option<[f64; 3]>,
    /// CPUs used by other processes during the measurement.
    pub noise: f64,
    pub attempts: u32,
}

impl Sample {
    fn new(value: f64, unit: &'static str, ops: u64, secs: f64, noise: f64) -> Self {
        Sample { value, cpu_value: None, unit, ops, secs, latency: None, noise, attempts: 1 }
    }

    fn of(rounds: Vec<Round>, unit: &'static str, noise: f64) -> Self {
        let mut sample = Sample::new(0.0, unit, 0, 0.0, noise);
        let mut cpu_value = 0.0;
        let mut all = None;
        for round in rounds {
            sample.value += round.units as f64 / round.secs;
            cpu_value += round.units as f64 / round.cpu;
            sample.ops += round.ops;
            sample.secs = sample.secs.max(round.secs);
            merge(&mut all, round.latency);
        }
        sample.cpu_value = Some(cpu_value);
        sample.latency = all.as_ref().map(percentiles);
        sample
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Opts {
    /// Shortest time of a measurement.
    pub secs: f64,
    /// If other processes use more CPUs than this, the sample is repeated.
    pub max_noise: f64,
    pub max_attempts: u32,
    /// Seconds to wait for a quiet machine before a sample.
    pub wait: f64,
}

/// Takes samples until one is quiet enough, and returns the quietest.
pub fn quiet(opts: &Opts, mut take: impl FnMut() -> Result<Sample>) -> Result<Sample> {
    let mut attempt = || {
        wait_quiet(opts.max_noise, opts.wait);
        take()
    };
    let mut best = attempt()?;
    for attempts in 2..=opts.max_attempts {
        if best.noise <= opts.max_noise {
            break;
        }
        let sample = attempt()?;
        if sample.noise < best.noise {
            best = sample;
        }
        best.attempts = attempts;
    }
    Ok(best)
}

/// Combines a few bytes, so that they have to arrive from memory.
#[inline(always)]
pub fn touch(bytes: &[u8]) -> u64 {
    let mut word = [0u8; 8];
    if bytes.len() >= 8 {
        word.copy_from_slice(&bytes[..8]);
    }
    u64::from_le_bytes(word) ^ bytes.last().map_or(0, |&b| u64::from(b))
}

/// Nanoseconds.
type Latency = Histogram<u32>;

fn latency() -> Latency {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("valid bounds")
}

fn merge(all: &mut Option<Latency>, one: Option<Latency>) {
    match (all.as_mut(), one) {
        (Some(all), Some(one)) => all.add(one).expect("the same bounds"),
        (None, one) => *all = one,
        (Some(_), None) => {}
    }
}

/// p50, p99 and p99.9 in microseconds.
fn percentiles(latency: &Latency) -> [f64; 3] {
    [0.5, 0.99, 0.999].map(|q| latency.value_at_quantile(q) as f64 / 1e3)
}

/// The result of one thread in a timed loop.
pub struct Round {
    ops: u64,
    units: u64,
    secs: f64,
    cpu: f64,
    latency: Option<Latency>,
}

/// Repeats `op`, which returns its number of units, for `secs` seconds. Reads the clock after every 32 calls,
/// or, if `timed`, after each.
#[inline(always)]
fn repeat(secs: f64, timed: bool, mut op: impl FnMut() -> u64) -> Round {
    let limit = Duration::from_secs_f64(secs);
    let mut latency = timed.then(latency);
    let (mut ops, mut units) = (0u64, 0u64);
    let cpu = thread_cpu_secs();
    let start = Instant::now();
    match &mut latency {
        Some(latency) => {
            let mut last = start;
            while last - start < limit {
                units += op();
                let now = Instant::now();
                latency.saturating_record((now - last).as_nanos() as u64);
                last = now;
                ops += 1;
            }
        }
        None => loop {
            for _ in 0..32 {
                units += op();
            }
            ops += 32;
            if start.elapsed() >= limit {
                break;
            }
        },
    }
    Round { ops, units, secs: start.elapsed().as_secs_f64(), cpu: thread_cpu_secs() - cpu, latency }
}

/// Measures `op` in one thread: the rate without a clock in the loop, then, for half as long, the latency
/// with one.
pub fn single(opts: &Opts, unit: &'static str, mut op: impl FnMut() -> u64) -> Result<Sample> {
    let mut take = |secs, timed| {
        let noise = Noise::start();
        let round = repeat(secs, timed, &mut op);
        Ok(Sample::of(vec![round], unit, noise.cpus()))
    };
    let rate = quiet(opts, || take(opts.secs, false))?;
    let timed = quiet(opts, || take(opts.secs / 2.0, true))?;
    Ok(Sample { latency: timed.latency, noise: rate.noise.max(timed.noise), ..rate })
}

/// Runs `body` in `threads` threads, and returns their results.
fn in_threads<T: Send>(threads: usize, body: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    if threads == 1 {
        return Ok(vec![body(0)?]);
    }
    let body = &body;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|t| scope.spawn(move || body(t))).collect();
        handles.into_iter().map(|h| h.join().expect("the thread has not panicked")).collect()
    })
}

/// An operation on row `i`.
pub trait Op: Copy + Sync {
    /// Returns the number of units: gets, or rows.
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64;
}

/// Measures `op` with a reader in each thread, like [`single`].
pub fn reads<E: Engine>(
    engine: &E,
    threads: usize,
    opts: &Opts,
    unit: &'static str,
    draw: impl Fn(usize) -> Draw + Sync,
    op: impl Op,
) -> Result<Sample> {
    let take = |secs, timed| {
        let noise = Noise::start();
        let barrier = Barrier::new(threads);
        let rounds = in_threads(threads, |t| {
            let reader = engine.reader();
            barrier.wait();
            let (mut reader, mut draw) = (reader?, draw(t));
            Ok(repeat(secs, timed, || op.run(&mut reader, draw.draw())))
        })?;
        Ok(Sample::of(rounds, unit, noise.cpus()))
    };
    let rate = quiet(opts, || take(opts.secs, false))?;
    let timed = quiet(opts, || take(opts.secs / 2.0, true))?;
    Ok(Sample { latency: timed.latency, noise: rate.noise.max(timed.noise), ..rate })
}

/// Reads a row's only cell by its whole key.
#[derive(Clone, Copy)]
pub struct Get;

impl Op for Get {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let found = reader.get(&key(i), |value| {
            assert_eq!(value.len(), VALUE);
            touch(value)
        });
        black_box(found.unwrap_or_else(|| panic!("row {i} is missing")));
        1
    }
}

/// Reads [`MANY`] rows by one call.
#[derive(Clone, Copy)]
pub struct GetMany<'o> {
    pub order: &'o Order,
    /// Whether the rows are next to each other in the order of rows.
    pub sorted: bool,
}

const MANY: u64 = 100;

impl Op for GetMany<'_> {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let n = self.order.0.len() as u64;
        let row = |k: u64| match self.sorted {
            true => u64::from(self.order.0[((i + k) % n) as usize]),
            false => mix(i * MANY + k) % n,
        };
        let keys: Vec<_> = (0..MANY).map(|k| key(row(k))).collect();
        let mut x = 0;
        let found = reader.get_many(&keys, |value| x ^= touch(value));
        black_box(x);
        assert_eq!(found as u64, MANY);
        MANY
    }
}

#[derive(Clone, Copy)]
pub struct GetMissing;

impl Op for GetMissing {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let found = reader.get(&key(i), touch);
        assert!(found.is_none(), "row {i} was never written");
        1
    }
}

/// Reads a row without naming column and timestamp, like HBase's Get of a row. A key-value store needs an
/// iterator for it.
#[derive(Clone, Copy)]
pub struct GetRow;

impl Op for GetRow {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let want = row(i);
        let mut x = 0;
        let n = reader.scan(&want, 1, |key, value| {
            assert_eq!(R::store_key(key)[..ROW], want);
            x = touch(value);
        });
        black_box(x);
        assert_eq!(n, 1, "row {i}");
        1
    }
}

/// Opens a scanner at a random row and reads 100 rows.
#[derive(Clone, Copy)]
pub struct Scan100;

impl Op for Scan100 {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let mut x = 0u64;
        let n = reader.scan(&row(i), 100, |key, value| x ^= touch(key) ^ touch(value));
        black_box(x);
        n as u64
    }
}

/// Reads all ten columns of a wide row.
#[derive(Clone, Copy)]
pub struct WideRow;

impl Op for WideRow {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let mut x = 0;
        let n = reader.get_row(&row(i), COLUMNS as usize, |value| x ^= touch(value));
        black_box(x);
        assert_eq!(n, COLUMNS as usize, "row {i}");
        1
    }
}

/// Reads one named column of a wide row.
#[derive(Clone, Copy)]
pub struct WideColumn;

impl Op for WideColumn {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let found = reader.get(&wide(i, i % COLUMNS), touch);
        black_box(found.unwrap_or_else(|| panic!("row {i} is missing")));
        1
    }
}

/// Reads up to that many versions of a column with ten versions and two markers.
#[derive(Clone, Copy)]
pub struct Versions(pub usize);

impl Op for Versions {
    #[inline(always)]
    fn run<R: Reader>(self, reader: &mut R, i: u64) -> u64 {
        let mut x = 0;
        let n = reader.get_versions(&row(i), VERSION_CELLS as usize, self.0, |value| x ^= touch(value));
        black_box(x);
        assert_eq!(n, self.0.min(VISIBLE.len()), "row {i}");
        1
    }
}

/// How [`full_scan`] scans.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Forward,
    Reverse,
    /// Forward, keeping values below [`BELOW`].
    Filtered,
}

/// Scans the store of `entries` entries until the time is over. Counts `rows` rows for each scan.
pub fn full_scan<E: Engine>(engine: &E, entries: u64, rows: u64, opts: &Opts, way: Way) -> Result<Sample> {
    let want = match way {
        Way::Filtered => (0..entries).filter(|&i| value(i)[..] < BELOW[..]).count() as u64,
        _ => entries,
    };
    let mut reader = engine.reader()?;
    scans(opts, rows, || {
        let mut x = 0u64;
        let each = |key: &[u8], value: &[u8]| x ^= touch(key) ^ touch(value);
        let n = match way {
            Way::Forward => reader.scan(&[], usize::MAX, each),
            Way::Reverse => reader.scan_rev(usize::MAX, each),
            Way::Filtered => reader.scan_filter(&BELOW, each),
        };
        black_box(x);
        ensure!(n as u64 == want, "a full scan returned {n} entries of {want}");
        Ok(())
    })
}

/// Repeats `scan`, which reads `rows` rows, until the time is over.
pub fn scans(opts: &Opts, rows: u64, mut scan: impl FnMut() -> Result<()>) -> Result<Sample> {
    quiet(opts, || {
        let noise = Noise::start();
        let cpu = thread_cpu_secs();
        let start = Instant::now();
        let mut ops = 0;
        while ops == 0 || start.elapsed().as_secs_f64() < opts.secs {
            scan()?;
            ops += 1;
        }
        let round = Round {
            ops,
            units: ops * rows,
            secs: start.elapsed().as_secs_f64(),
            cpu: thread_cpu_secs() - cpu,
            latency: None,
        };
        Ok(Sample::of(vec![round], "rows/s", noise.cpus()))
    })
}

/// Measures a function that can be run only once, in `amount` units per second.
pub fn once(opts: &Opts, unit: &'static str, amount: f64, f: impl FnOnce() -> Result<()>) -> Result<Sample> {
    wait_quiet(opts.max_noise, opts.wait);
    let noise = Noise::start();
    let start = Instant::now();
    f()?;
    let secs = start.elapsed().as_secs_f64();
    Ok(Sample::new(amount / secs, unit, 1, secs, noise.cpus()))
}

/// Options for samples that write: the kernel threads that write pages back count as other processes.
fn writing(opts: &Opts) -> Opts {
    Opts { max_noise: opts.max_noise.max(0.5), ..*opts }
}

/// Creates an empty directory for round `round` below `config.dir`.
fn round_config(config: &Config, round: u32) -> Result<Config> {
    let dir = config.dir.join(format!("round{round}"));
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(Config { dir, ..config.clone() })
}

/// Inserts `rows` rows in random order into an empty memtable, repeatedly until the time is over. With a
/// synced log, stops exactly then.
pub fn inserts<E: Engine>(
    config: &Config,
    rows: u64,
    threads: usize,
    log: Log,
    opts: &Opts,
) -> Result<Sample> {
    quiet(&writing(opts), || {
        let (mut secs, mut ops, mut noise) = (0.0, 0u64, 0.0f64);
        let mut all = None;
        for round in 0.. {
            let config = round_config(config, round)?;
            let engine = E::open(&config)?;
            let barrier = Barrier::new(threads);
            let left = Duration::from_secs_f64(opts.secs - secs);
            let meter = Noise::start();
            let rounds = in_threads(threads, |t| {
                let writer = engine.writer(log);
                let mut latency = (log == Log::Sync).then(latency);
                barrier.wait();
                let mut writer = writer?;
                let start = Instant::now();
                let (mut last, mut done) = (start, 0u64);
                for i in (t as u64..rows).step_by(threads) {
                    writer.put(&key(i), &value(i))?;
                    done += 1;
                    if let Some(latency) = &mut latency {
                        let now = Instant::now();
                        latency.saturating_record((now - last).as_nanos() as u64);
                        last = now;
                        if now - start > left {
                            break;
                        }
                    }
                }
                writer.finish()?;
                Ok((start.elapsed().as_secs_f64(), done, latency))
            })?;
            noise = noise.max(meter.cpus());
            // all rows below this were written, although threads may have ended at different times
            let sure = rounds.iter().map(|r| r.1).min().unwrap_or(0) * threads as u64;
            secs += rounds.iter().map(|r| r.0).fold(0.0, f64::max);
            for (_, done, latency) in rounds {
                ops += done;
                merge(&mut all, latency);
            }
            let mut reader = engine.reader()?;
            for i in (0..sure).step_by((sure / 1000).max(1) as usize) {
                let same = reader.get(&key(i), |v| v == value(i));
                ensure!(same == Some(true), "inserted row {i}: {same:?}");
            }
            drop(reader);
            engine.close()?;
            std::fs::remove_dir_all(&config.dir)?;
            if secs >= opts.secs {
                break;
            }
        }
        let sample = Sample::new(ops as f64 / secs, "rows/s", ops, secs, noise);
        Ok(Sample { latency: all.as_ref().map(percentiles), ..sample })
    })
}

/// Returns the memory of a memtable with `rows` rows: the growth of the process, in bytes per row.
pub fn memtable_memory<E: Engine>(config: &Config, rows: u64) -> Result<f64> {
    let config = round_config(config, 0)?;
    sys::trim();
    let before = sys::rss();
    let engine = E::open(&config)?;
    let mut writer = engine.writer(Log::Off)?;
    (0..rows).try_for_each(|i| writer.put(&key(i), &value(i)))?;
    writer.finish()?;
    let memory = (sys::rss() - before) / rows as f64;
    engine.close()?;
    std::fs::remove_dir_all(&config.dir)?;
    Ok(memory)
}

/// Writes sorted rows as a table file until the time is over.
pub fn bulk<E: Engine>(config: &Config, order: &Order, opts: &Opts) -> Result<Sample> {
    quiet(&writing(opts), || {
        let rows = order.0.len() as u64;
        let (mut secs, mut ops, mut noise) = (0.0, 0, 0.0f64);
        while secs < opts.secs {
            let config = round_config(config, 0)?;
            let meter = Noise::start();
            let start = Instant::now();
            E::bulk(&config, &mut order.sorted().map(|i| (key(i), value(i))))?;
            secs += start.elapsed().as_secs_f64();
            noise = noise.max(meter.cpus());
            ops += rows;
            ensure!(dir_bytes(&config.dir) > rows * 40, "the table file is too small");
            std::fs::remove_dir_all(&config.dir)?;
        }
        Ok(Sample::new((ops * LOGICAL as u64) as f64 / 1e6 / secs, "MB/s", ops, secs, noise))
    })
}

/// Opens a store with `rows` rows in its log and none in a table file: a copy of an open one.
pub fn replay<E: Engine>(config: &Config, rows: u64, opts: &Opts) -> Result<Sample> {
    quiet(&writing(opts), || {
        let (mut secs, mut ops, mut noise) = (0.0, 0, 0.0f64);
        while secs < opts.secs {
            let config = round_config(config, 0)?;
            let engine = E::open(&config)?;
            let mut writer = engine.writer(Log::Os)?;
            for i in 0..rows {
                writer.put(&key(i), &value(i))?;
            }
            writer.finish()?;
            let crashed = round_config(&config, 1)?;
            copy_files(&config.dir, &crashed.dir)?;
            drop(engine);
            let meter = Noise::start();
            let start = Instant::now();
            let engine = E::open(&crashed)?;
            secs += start.elapsed().as_secs_f64();
            noise = noise.max(meter.cpus());
            ops += rows;
            let mut reader = engine.reader()?;
            for i in (0..rows).step_by((rows as usize / 200).max(1)) {
                ensure!(reader.get(&key(i), |v| v == value(i)) == Some(true), "row {i} was not replayed");
            }
            drop(reader);
            drop(engine);
            std::fs::remove_dir_all(&config.dir)?;
        }
        Ok(Sample::new((ops * LOGICAL as u64) as f64 / 1e6 / secs, "MB/s", ops, secs, noise))
    })
}

/// Copies the files of a directory, except those below `to`.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let (path, to_path) = (entry?.path(), to.to_owned());
        let target = to_path.join(path.file_name().unwrap_or_default());
        if path.is_dir() && path != to {
            std::fs::create_dir(&target)?;
            copy_files(&path, &target)?;
        } else if path.is_file() {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Compares the content of a store with the written rows: gets, missing rows, full and short scans.
pub fn verify<E: Engine>(engine: &E, order: &Order) -> Result<()> {
    let n = order.0.len() as u64;
    let mut reader = engine.reader()?;
    let mut rng = Rng::new(42);
    for _ in 0..20_000.min(n) {
        let i = rng.below(n);
        let same = reader.get(&key(i), |v| v == value(i));
        ensure!(same == Some(true), "get of row {i}: {same:?}");
        let missing = n + rng.below(n);
        ensure!(reader.get(&key(missing), |_| ()).is_none(), "row {missing} was never written");
    }
    let is_entry = |at: usize, k: &[u8], v: &[u8]| {
        order.0.get(at).is_some_and(|&i| {
            let i = u64::from(i);
            <E::Reader<'_>>::store_key(k) == key(i) && v == value(i)
        })
    };
    let (mut at, mut bad) = (0, None);
    reader.scan(&[], usize::MAX, |k, v| {
        if !is_entry(at, k, v) {
            bad.get_or_insert(at);
        }
        at += 1;
    });
    ensure!(bad.is_none() && at as u64 == n, "full scan: {at} rows of {n}, differs at {bad:?}");
    let mut back = 0;
    reader.scan_rev(usize::MAX, |k, v| {
        back += 1;
        if !order.0.len().checked_sub(back).is_some_and(|at| is_entry(at, k, v)) {
            bad.get_or_insert(back);
        }
    });
    ensure!(bad.is_none() && back as u64 == n, "backward scan: {back} rows of {n}, differs at {bad:?}");
    for _ in 0..300 {
        let from = rng.below(n) as usize;
        let mut at = from;
        reader.scan(&row(u64::from(order.0[from])), 100, |k, v| {
            if !is_entry(at, k, v) {
                bad.get_or_insert(at);
            }
            at += 1;
        });
        let rows = at - from;
        ensure!(bad.is_none(), "short scan differs at {bad:?}");
        ensure!(rows == 100.min(order.0.len() - from), "short scan: {rows} rows");
    }
    Ok(())
}
