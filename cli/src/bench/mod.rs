//! Quick measurements of reads and writes of a region on this machine.

mod rows;
mod workload;

pub(crate) use rows::Rows;
pub(crate) use workload::Workload;

use crate::failure::CommandError;
use crate::stats::{Distribution, Unit};
use hregion::{BlockCache, Compaction, Durability, Family, Get, MemoryLimit, Put, Region, RowBuf, Scan};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The workloads to measure.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) rows: Rows,
    pub(crate) threads: u16,
    /// The duration of each workload; a fill ends when all rows are written.
    pub(crate) time: Duration,
    /// The capacity of the block cache, in bytes.
    pub(crate) cache: u64,
    pub(crate) family: Family,
}

/// The result of a workload.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) operations: u64,
    pub(crate) time: Duration,
    /// The time of each operation in nanoseconds; empty for scans, whose operations are rows.
    pub(crate) latency: Distribution,
    /// Blocks found in the block cache, and blocks and parts of them that were read from the file.
    pub(crate) cache: (u64, u64),
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.operations as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// A region to be measured.
pub(crate) struct Bench {
    setup: Setup,
    region: Region,
    cache: BlockCache,
}

const QUALIFIER: &str = "q";

impl Bench {
    /// Creates an empty region in a directory that does not exist.
    pub(crate) fn create(dir: &Path, setup: &Setup) -> Result<Self, CommandError> {
        let cache = BlockCache::with_capacity(setup.cache);
        let region = Region::options()
            .cache(&cache)
            .create_if_missing(true)
            .family(setup.family.clone())
            // A flush in between would also be measured.
            .memstore_flush_size(u64::MAX)
            .memory_limit(&MemoryLimit::new(u64::MAX))
            .open(dir)?;
        Ok(Self { setup: setup.clone(), region, cache })
    }

    /// Writes all rows into one file.
    pub(crate) fn fill(&self) -> Result<(), CommandError> {
        for number in 0..self.setup.rows.count {
            self.put(number, Durability::SkipWal)?;
        }
        self.region.flush()?;
        self.region.compact(Compaction::Major)?;
        Ok(())
    }

    pub(crate) fn close(self) -> Result<(), CommandError> {
        Ok(self.region.close()?)
    }

    /// Runs a workload.
    pub(crate) fn run(&self, workload: Workload) -> Result<Measured, CommandError> {
        let (metrics, partial_reads) = (self.region.metrics(), self.cache.stats().partial_reads);
        let start = Instant::now();
        let results = thread::scope(|scope| {
            let worker = |thread| move || self.work(workload, thread, start);
            let workers: Vec<_> = (0..self.setup.threads)
                .map(|thread| thread::Builder::new().spawn_scoped(scope, worker(thread)))
                .collect::<Result<_, _>>()
                .map_err(|error| CommandError::no_thread(&error))?;
            let ended = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| Err(CommandError::lacking("a thread panicked")))
            });
            ended.collect::<Result<Vec<_>, _>>()
        })?;
        let time = start.elapsed();
        let (mut operations, mut latency) = (0, empty());
        for (count, times) in &results {
            operations += count;
            latency.merge(times);
        }
        let metrics = self.region.metrics().since(&metrics);
        let partial_reads = self.cache.stats().partial_reads - partial_reads;
        let cache = (metrics.data_block_hits, metrics.data_blocks_read + partial_reads);
        Ok(Measured { operations, time, latency, cache })
    }

    /// Runs one thread's part of a workload. Returns the number of operations, and their times.
    fn work(
        &self,
        workload: Workload,
        thread: u16,
        start: Instant,
    ) -> Result<(u64, Distribution), CommandError> {
        let Setup { rows, threads, time, .. } = &self.setup;
        let (mut count, mut latency, mut found) = (0, empty(), RowBuf::new());
        if workload == Workload::Scan {
            while count == 0 || start.elapsed() < *time {
                let scanned = self.scan()?;
                if scanned != rows.count {
                    return Err(self.wrong(format!("a scan returned {scanned} of {} rows", rows.count)));
                }
                count += scanned;
            }
            return Ok((count, latency));
        }
        let mut get = Get::new("").column(self.setup.family.name().to_vec(), QUALIFIER);
        let mut last = Instant::now();
        let numbers: Box<dyn Iterator<Item = u64>> = match workload.durability() {
            Some(_) => Box::new((u64::from(thread)..rows.count).step_by(usize::from(*threads))),
            None => Box::new(rows.random(thread.into())),
        };
        for number in numbers {
            match workload.durability() {
                Some(durability) => self.put(number, durability)?,
                None => {
                    let exists = workload == Workload::RandomRead;
                    get.set_row(rows.key(if exists { number } else { number + rows.count }));
                    self.region.get_into(&get, &mut found)?;
                    let value = found.as_row().cells().next().map(|cell| cell.value());
                    if value != exists.then(|| rows.value(number)).as_deref() {
                        return Err(self.wrong(format!("a get returned another value for row {number}")));
                    }
                }
            }
            count += 1;
            let now = Instant::now();
            latency.add(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
            last = now;
            if now - start >= *time && !workload.is_whole() {
                break;
            }
        }
        Ok((count, latency))
    }

    fn put(&self, number: u64, durability: Durability) -> Result<(), CommandError> {
        let rows = &self.setup.rows;
        let put = Put::new(rows.key(number)).durability(durability);
        let family = self.setup.family.name().to_vec();
        Ok(self.region.put(put.cell(family, QUALIFIER, rows.value(number)))?)
    }

    #[cold]
    fn wrong(&self, message: String) -> CommandError {
        CommandError::corrupt(self.region.path(), message)
    }

    /// Returns the number of rows.
    fn scan(&self) -> Result<u64, CommandError> {
        let (view, scan) = (self.region.view(), Scan::new());
        let (mut rows, mut count) = (view.scan(&scan)?, 0);
        while rows.next_row()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

fn empty() -> Distribution {
    Distribution::new("latency", "Latency", Unit::Nanoseconds)
}
