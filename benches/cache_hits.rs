//! Hit rates of the block cache, and the bytes read from the file, compared with other policies for the same
//! reads: traces of gets and scans made from a seed, over a file with HBase's default layout.
//!
//! The numbers are nearly the same in each run: no time is measured. The block cache reads a part of a block
//! for a get if the block was evicted, so its misses cost less.
//!
//! ```sh
//! cargo bench --bench cache_hits
//! ```
#![allow(clippy::print_stdout, reason = "the table is printed")]
#![allow(clippy::cast_precision_loss, reason = "ratios")]

#[path = "support/policies.rs"]
mod policies;
mod support;

use hregion::{BlockCache, Durability, Family, Get, HFile, Put, Region, Result, Scan};
use policies::{Lru, LruBlockCache, Policy, S3Fifo, TinyLfu};
use std::path::Path;
use support::Rng;

/// The number of data blocks of the file, of 64 KiB, and the number of reads of each trace.
struct Size {
    blocks: usize,
    reads: usize,
}

fn size() -> Size {
    if support::measures() {
        Size { blocks: 1_000, reads: 400_000 }
    } else {
        Size { blocks: 40, reads: 2_000 }
    }
}

/// A read of a row, or of consecutive rows.
#[derive(Clone, Copy)]
enum Read {
    Get(usize),
    Scan(usize, usize),
}

/// Draws numbers below `n`: the number `k` with a probability proportional to `1 / (k + 1)^0.99`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let mut sums: Vec<f64> = Vec::with_capacity(n);
        for k in 1..=n {
            sum += (k as f64).powf(-0.99);
            sums.push(sum);
        }
        Self(sums)
    }

    fn draw(&self, rng: &mut Rng) -> usize {
        let most = self.0.last().copied().unwrap_or_default();
        let at = most * (rng.below(1 << 30) as f64 / f64::from(1 << 30));
        self.0.partition_point(|sum| *sum <= at).min(self.0.len() - 1)
    }
}

/// Returns the traces: their names, their content, and their reads.
fn traces(rows: usize, in_block: usize, reads: usize) -> Vec<(&'static str, Vec<Read>)> {
    let zipf = Zipf::new(rows);
    let draw = |rng: &mut Rng| zipf.draw(rng);
    let mut scattered: Vec<usize> = (0..rows).collect();
    support::shuffle(&mut scattered, &mut Rng::new(1));
    let every = |one: &mut dyn FnMut(&mut Rng, usize) -> Read| {
        let mut rng = Rng::new(2);
        (0..reads).map(|n| one(&mut rng, n)).collect::<Vec<_>>()
    };
    let part = rows / 10;
    let longest = 20 * in_block;
    vec![
        ("gets, Zipf", every(&mut |rng, _| Read::Get(draw(rng)))),
        ("gets, Zipf, popular rows far apart", every(&mut |rng, _| Read::Get(scattered[draw(rng)]))),
        ("gets, uniform", every(&mut |rng, _| Read::Get(rng.below(rows)))),
        (
            "gets, Zipf, other rows popular after each tenth",
            every(&mut |rng, n| Read::Get((draw(rng) + n * 10 / reads * (rows * 3 / 10)) % rows)),
        ),
        (
            "gets, Zipf, and 10 scans of all rows",
            every(&mut |rng, n| match n % (reads / 10) {
                0 => Read::Scan(0, rows),
                _ => Read::Get(draw(rng)),
            }),
        ),
        (
            "scans of up to 20 blocks, Zipf",
            every(&mut |rng, _| {
                let from = draw(rng);
                Read::Scan(from, (from + 1 + rng.below(longest)).min(rows))
            })
            .into_iter()
            .take(reads / 40)
            .collect(),
        ),
        ("a fifth of the rows scanned 20 times", (0..20).map(|_| Read::Scan(part, 3 * part)).collect()),
    ]
}

fn row(number: usize) -> Vec<u8> {
    format!("row-{number:08}").into_bytes()
}

/// Creates a region of one file. Returns the file.
fn create(path: &Path, rows: usize) -> Result<HFile> {
    let family = Family::new("d").bloom(None);
    let region = Region::options().create_if_missing(true).family(family).open(path)?;
    for number in 0..rows {
        let put = Put::new(row(number)).cell("d", "name", vec![b'v'; 100]);
        region.put(put.durability(Durability::SkipWal))?;
    }
    region.close()?;
    let found = std::fs::read_dir(path.join("d")).expect("the directory of the family");
    let mut files = found.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    HFile::open(files.next().expect("a file"))
}

/// The cost of a trace.
struct Cost {
    hits: f64,
    bytes: Option<u64>,
}

/// Returns the number of bytes that this process has read, where the system counts them.
fn bytes_read() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}

/// Plays a trace with the block cache.
fn play(path: &Path, capacity: u64, reads: &[Read]) -> Result<Cost> {
    let cache = BlockCache::with_capacity(capacity);
    let region = Region::options().cache(&cache).open(path)?;
    let before = bytes_read();
    for read in reads {
        match *read {
            Read::Get(number) => assert!(!region.get(&Get::new(row(number)))?.is_empty()),
            Read::Scan(from, to) => {
                let scan = Scan::new().start_row(row(from), true).stop_row(row(to), false);
                assert_eq!(region.scan(scan)?.count(), to - from);
            }
        }
    }
    let bytes = bytes_read().zip(before).map(|(after, before)| after - before);
    let counts = region.metrics();
    let (hits, misses) = (counts.data_block_hits as f64, counts.data_blocks_read as f64);
    Ok(Cost { hits: hits / (hits + misses), bytes })
}

/// Plays a trace with another policy, which reads whole blocks.
fn simulate(policy: &mut dyn Policy, blocks: &[usize], block_bytes: u64) -> Cost {
    let hits = blocks.iter().filter(|block| policy.access(**block)).count();
    Cost { hits: hits as f64 / blocks.len() as f64, bytes: Some((blocks.len() - hits) as u64 * block_bytes) }
}

fn main() -> Result<()> {
    let size = size();
    let dir = tempfile::tempdir().expect("a directory for the region");
    let rows = size.blocks * 475;
    let file = create(dir.path(), rows)?;
    let ends: Vec<usize> = file.root_index().skip(1).map(|(key, _)| first_row(key.row())).collect();
    assert_eq!(file.index_levels(), 1);
    let block_of = |row: usize| ends.partition_point(|end| *end <= row);
    let blocks = block_of(rows) + 1;
    let block_bytes = file.file_len() / blocks as u64;
    println!("{rows} rows in {blocks} blocks of {block_bytes} bytes; hits in percent, and MB read");
    let blocks_of = |read: &Read| match *read {
        Read::Get(row) => block_of(row)..=block_of(row),
        Read::Scan(from, to) => block_of(from)..=block_of(to - 1),
    };
    let traces: Vec<(&str, Vec<Read>, Vec<usize>)> = traces(rows, rows / blocks, size.reads)
        .into_iter()
        .map(|(name, reads)| {
            let used = reads.iter().flat_map(blocks_of).collect();
            (name, reads, used)
        })
        .collect();
    for percent in [2, 10, 30] {
        let capacity = (blocks * percent / 100).max(10);
        println!("\ncache of {capacity} blocks\n");
        println!(
            "| reads | block cache | LRU | LruBlockCache | TinyLFU | S3-FIFO |\n|---|--:|--:|--:|--:|--:|"
        );
        for (name, reads, used) in &traces {
            let mut costs = vec![play(dir.path(), capacity as u64 * block_bytes, reads)?];
            let mut policies: [Box<dyn Policy>; 4] = [
                Box::new(Lru::new(capacity)),
                Box::new(LruBlockCache::new(capacity)),
                Box::new(TinyLfu::new(capacity)),
                Box::new(S3Fifo::new(capacity)),
            ];
            costs.extend(policies.iter_mut().map(|policy| simulate(&mut **policy, used, block_bytes)));
            let shown = costs.iter().map(|cost| {
                let bytes =
                    cost.bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes / 1_000_000).to_string());
                format!("{:.1} · {bytes}", cost.hits * 100.0)
            });
            println!("| {name} | {} |", shown.collect::<Vec<_>>().join(" | "));
        }
    }
    Ok(())
}

/// Returns the first row that is not before a key of the index, which may be shorter than a row.
fn first_row(key: &[u8]) -> usize {
    let digits = key.strip_prefix(b"row-").expect("a key between two rows");
    let digits = std::str::from_utf8(digits).expect("digits");
    format!("{digits:0<8}").parse().expect("a number")
}
