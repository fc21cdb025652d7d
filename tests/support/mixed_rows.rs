//! Regions with rows of one cell, a few or many, in files that are larger than a cache.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::rng::Rng;
use hregion::{
    BlockCache, Compaction, DataBlockEncoding, Delete, Family, Get, KeepDeletedCells, Put, Region,
    RegionOptions,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

pub(crate) const ROWS: u64 = 6000;

pub(crate) fn row(number: u64) -> Vec<u8> {
    // Some rows are prefixes of others, and some are long.
    let mut row = format!("{:06}", number * 7919 % ROWS).into_bytes();
    if number.is_multiple_of(11) {
        row.extend(b"x".repeat(usize::try_from(number % 70).unwrap()));
    }
    row
}

/// Returns the number of the row at a position in the order of the rows.
pub(crate) fn number_at(place: u64) -> u64 {
    static NUMBERS: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let mut numbers: Vec<u64> = (0..ROWS).collect();
        numbers.sort_by_key(|&number| row(number));
        numbers
    });
    NUMBERS[usize::try_from(place).unwrap()]
}

/// A family with small checksum chunks, so that less is read for a row.
pub(crate) fn tuned() -> Family {
    family(DataBlockEncoding::None, 64 << 10).configuration("hbase.hstore.bytes.per.checksum", "4096")
}

pub(crate) fn family(encoding: DataBlockEncoding, block_size: u32) -> Family {
    let family = Family::new("f").max_versions(3).block_size(block_size).data_block_encoding(encoding);
    family.keep_deleted_cells(KeepDeletedCells::True)
}

pub(crate) fn options(family: Family) -> RegionOptions {
    Region::options().create_if_missing(true).family(family).durability(hregion::Durability::SkipWal)
}

/// Writes files of rows with one cell, a few or many, with versions, markers, and values of any size.
pub(crate) fn write(dir: &Path, family: Family, files: i64, seed: u64) {
    write_puts(dir, family, files, seed, |_, put| put);
}

/// As [`write`], with one file. The cells of two thirds of the rows have a tag, one of 40: a time to live.
pub(crate) fn write_tagged(dir: &Path, family: Family, seed: u64) {
    // The timestamps are from 1970.
    let centuries = Duration::from_secs(500 * 365 * 24 * 3600);
    write_puts(dir, family, 1, seed, |number, put| {
        if number.is_multiple_of(3) { put } else { put.ttl(centuries + Duration::from_secs(number % 40)) }
    });
}

fn write_puts(dir: &Path, family: Family, files: i64, seed: u64, finish: impl Fn(u64, Put) -> Put) {
    let region = options(family).open(dir).unwrap();
    let mut rng = Rng::new(seed);
    for file in 0..files {
        for number in 0..ROWS {
            if rng.below(100) < 100 / usize::try_from(files).unwrap() {
                let cells = match rng.below(100) {
                    0 => 600,
                    1..20 => 1 + rng.below(30),
                    _ => 1,
                };
                let mut put = Put::new(row(number));
                for cell in 0..cells {
                    let len = if rng.below(300) == 0 { 20_000 } else { rng.below(200) };
                    let value = number.to_be_bytes().repeat(len / 8);
                    let timestamp = 100 * file + i64::try_from(rng.below(40)).unwrap();
                    put = put.cell_at("f", format!("q{:03}", cell / 2), timestamp, value);
                }
                region.put(finish(number, put)).unwrap();
            }
            if rng.below(20) == 0 {
                let delete = Delete::new(row(number));
                let delete = match rng.below(3) {
                    0 => delete.family_at("f", 100 * file + 20),
                    1 => delete.column_at("f", "q000", 100 * file + 20),
                    _ => delete.version_at("f", "q001", 100 * file + 20),
                };
                region.delete(delete).unwrap();
            }
        }
        region.flush().unwrap();
    }
    region.close().unwrap();
}

/// As [`write`], with one file, and compacts it.
pub(crate) fn write_compacted(dir: &Path, family: Family, seed: u64) {
    write(dir, family.clone(), 1, seed);
    options(family).open(dir).unwrap().compact(Compaction::Major).unwrap();
}

pub(crate) fn get(rng: &mut Rng, number: u64) -> Get {
    let get = Get::new(row(number));
    match rng.below(5) {
        0 => get.column("f", "q000"),
        1 => get.column("f", "q001").max_versions(3),
        2 => get.max_versions(2),
        3 => get.column("f", "q100"),
        _ => get,
    }
}

pub(crate) fn cached(dir: &Path, bytes: u64) -> (Region, BlockCache) {
    let cache = BlockCache::with_capacity(bytes);
    (Region::options().cache(&cache).open(dir).unwrap(), cache)
}

/// The only store file of a region.
pub(crate) fn store_file(dir: &Path) -> PathBuf {
    let mut files = fs::read_dir(dir.join("f")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.is_file()).unwrap()
}
