//! Allocations of reads: none per cell, none per seek in cached blocks, and the same buffers for all blocks
//! of a file that is read without a cache.

mod support {
    pub(crate) mod alloc;
}
#[path = "../benches/support/mod.rs"]
mod table;

use hregion::locator::{LocationOrigin, MetaCache};
use hregion::wal::{CompactionMarker, Marker, WalKey, WalWriterOptions};
use hregion::{
    BlockCache, BloomType, Cell, Codec, Compaction, DataBlockEncoding, Delete, Durability, Family, Filter,
    Get, HFile, HFileOptions, HFileScanner, HFileWriter, Limits, Put, Region, RegionInfo, RegionLocations,
    RegionOptions, RowBuf, Scan, SeekKey, TableName,
};
use std::path::{Path, PathBuf};
use support::alloc::{CountingAlloc, measure};
use tempfile::TempDir;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

const ROWS: usize = 2_500;
const BLOCK: usize = 8 << 10;
const CODECS: [Codec; 5] = [Codec::None, Codec::Gz, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// The table in one file for each encoding and each built-in codec, each with an index of several levels.
struct Files {
    cells: Vec<Cell>,
    /// Deletes the files when dropped.
    _folder: TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    fn new() -> Self {
        let cells = table::cells(ROWS);
        let folder = tempfile::tempdir().expect("a folder for files");
        let mut paths = Vec::new();
        for encoding in DataBlockEncoding::ALL {
            for codec in CODECS {
                let path = folder.path().join(format!("{}-{}", encoding.name(), codec.name()));
                if write(&path, encoding, codec, &cells) {
                    paths.push(path);
                }
            }
        }
        assert!(paths.len() >= DataBlockEncoding::ALL.len());
        Self { cells, _folder: folder, paths }
    }

    fn each(&self, options: &HFileOptions, mut check: impl FnMut(HFile, &str)) {
        for path in &self.paths {
            let file = options.open(path).expect("a file that was written");
            let name = format!("{} {}", file.data_block_encoding().name(), file.codec().name());
            check(file, &name);
        }
    }
}

fn write(path: &Path, encoding: DataBlockEncoding, codec: Codec, cells: &[Cell]) -> bool {
    let options = HFileWriter::options()
        .data_block_encoding(encoding)
        .codec(codec)
        .block_size(BLOCK)
        .index_chunk_size(1 << 10)
        .index_min_entries(2)
        .bloom(BloomType::Row)
        .bloom_chunk_bytes(1 << 10);
    let Ok(mut writer) = options.create(path) else { return false };
    cells.iter().for_each(|cell| writer.append(cell.as_ref()).expect("cells in order"));
    writer.finish().expect("a whole file");
    true
}

/// Advances up to `cells` cells and returns the total length of their values.
fn walk(scanner: &mut HFileScanner<'_>, cells: usize) -> usize {
    let mut bytes = 0;
    for _ in 0..cells {
        let Some(cell) = scanner.peek() else { break };
        bytes += cell.value().len();
        scanner.advance().expect("a sound file");
    }
    bytes
}

#[test]
fn a_scan_of_cached_blocks_allocates_nothing() {
    let files = Files::new();
    let cache = BlockCache::with_capacity(1 << 30);
    files.each(&HFile::options().cache(&cache), |file, name| {
        assert!(file.index_levels() > 1, "{name}");
        let all = |scanner: &mut HFileScanner<'_>| {
            assert!(scanner.seek_to_first().expect("a sound file"));
            measure(|| walk(scanner, usize::MAX))
        };
        let (cold, _) = all(&mut file.scanner());
        let (hot, usage) = all(&mut file.scanner());
        assert_eq!(usage.count, 0, "{name}");
        assert_eq!(hot, cold, "{name}");
    });
}

#[test]
fn a_seek_in_cached_blocks_allocates_nothing() {
    let files = Files::new();
    let cache = BlockCache::with_capacity(1 << 30);
    let keys: Vec<SeekKey> = table::present(ROWS).into_iter().chain(table::absent(ROWS)).step_by(8).collect();
    files.each(&HFile::options().cache(&cache), |file, name| {
        let mut scanner = file.scanner();
        scanner.seek_to_first().expect("a sound file");
        walk(&mut scanner, usize::MAX);
        // the first seek allocates the path to a leaf
        scanner.seek(&keys[0]).expect("a sound file");
        let mut key = keys[0].clone();
        let ((), usage) = measure(|| {
            for wanted in &keys {
                key.set_first_on_row(wanted.row());
                scanner.seek(&key).expect("a sound file");
                key.set_last_on_row(wanted.row());
                scanner.reseek(&key).expect("a sound file");
                scanner.seek_before(&key).expect("a sound file");
                scanner.seek_to(&key).expect("a sound file");
            }
        });
        assert_eq!(usage.count, 0, "{name}");
    });
}

#[test]
fn a_probe_of_a_row_in_cached_chunks_allocates_nothing() {
    let files = Files::new();
    let cache = BlockCache::with_capacity(1 << 30);
    let (present, absent) = (table::present(ROWS), table::absent(ROWS));
    files.each(&HFile::options().cache(&cache), |file, name| {
        assert!(file.general_bloom().is_some_and(|bloom| bloom.meta().chunks().len() > 1), "{name}");
        let probe = || {
            let found = |keys: &[SeekKey]| keys.iter().filter(|key| file.may_contain_row(key.row())).count();
            (found(&present), found(&absent))
        };
        let first = probe();
        let (again, usage) = measure(probe);
        assert_eq!((usage.count, again), (0, first), "{name}");
        assert!(again.0 == present.len() && again.1 < absent.len() / 20, "{name}: {again:?}");
    });
}

/// Returns options of a new region whose writes are not logged, and so not synced.
fn unlogged() -> RegionOptions {
    Region::options().create_if_missing(true).durability(Durability::SkipWal)
}

/// Creates a region with rows in one file and in the memstore. Returns it with its folder.
fn region() -> (TempDir, Region) {
    let folder = tempfile::tempdir().expect("a folder for a region");
    let cache = BlockCache::with_capacity(1 << 30);
    let family = Family::new("f").max_versions(3);
    let region = unlogged().cache(&cache).family(family).open(folder.path()).expect("a new region");
    let write = |rows: std::ops::Range<usize>| {
        for i in rows {
            for ts in 1..4 {
                let put = ["p", "q", "a longer qualifier than those"]
                    .iter()
                    .fold(Put::new(row(i)), |put, q| put.cell_at("f", *q, ts, format!("{i}")));
                region.put(put).expect("a row of the region");
            }
            if i % 3 == 0 {
                let delete = Delete::new(row(i)).column_at("f", "q", 2).family_version("f", 1);
                region.delete(delete).expect("a row of the region");
            }
        }
    };
    write(0..1_500);
    region.flush().expect("a new file");
    write(1_500..2_000);
    (folder, region)
}

fn row(i: usize) -> String {
    format!("row{i:05}")
}

/// Reads rows of one file or of the memstore repeatedly into the same buffer.
#[test]
fn a_get_of_a_cached_row_allocates_nothing() {
    let (_folder, region) = region();
    let rows: Vec<String> = (0..2_100).map(row).collect();
    let mut buffer = RowBuf::new();
    let mut read = |get: &mut Get| {
        let mut cells = 0;
        for row in &rows {
            get.set_row(row);
            region.get_into(get, &mut buffer).expect("a sound region");
            cells += buffer.len();
        }
        cells
    };
    let column = Get::new("").column("f", "q");
    for get in
        [column.clone().max_versions(9), column, Get::new("").max_versions(9), Get::new("").family("f")]
    {
        let mut get = get;
        let warm = read(&mut get);
        let (hot, usage) = measure(|| read(&mut get));
        assert!(hot == warm && hot > 1_000, "{hot} cells, then {warm}");
        assert_eq!(usage.count, 0, "{get:?}");
    }
}

/// Looks up rows of cached regions in a table with many regions.
#[test]
fn a_lookup_of_a_known_region_allocates_nothing() {
    let (cache, table) = (MetaCache::new(), TableName::parse("ns:t").expect("a name"));
    let key = |i: usize| match i % 5_000 {
        0 => String::new(),
        i => format!("row{i:05}"),
    };
    cache.insert_all(
        (0..5_000).map(|i| {
            let region = RegionInfo::new(table.clone(), key(i), key(i + 1), 1).expect("a region");
            RegionLocations::new(region, [])
        }),
        LocationOrigin::LookedUp,
    );
    let rows: Vec<String> = (1..5_000).map(|i| format!("row{i:05}x")).collect();
    let look_up = || rows.iter().filter(|row| cache.get(&table, row.as_bytes()).is_some()).count();
    assert_eq!(look_up(), rows.len());
    let (found, usage) = measure(look_up);
    assert_eq!((found, usage.count), (rows.len(), 0));
}

/// The allocations of a scan when it begins to read memory ahead: the cells, the position after them, the
/// struct with both, and lists of copied cells and of reusable memory.
const READ_AHEAD: usize = 5;

/// Scans rows of one file and of the memstore with filters and limits.
#[test]
fn a_scan_that_filters_or_cuts_rows_allocates_nothing_for_them() {
    let (_folder, region) = region();
    let view = region.view();
    // loads all blocks into the cache
    let all = Scan::new().max_versions(9);
    for (scan, few) in [
        (Scan::new().filter(Filter::column_prefix("p")), 1),
        (
            Scan::new().filter(
                Filter::parse("ValueFilter(!=, 'substring:7') AND PageFilter(9999)").expect("a filter"),
            ),
            2,
        ),
        (Scan::new().filter(Filter::key_only(true)).max_versions(3), 3),
        (Scan::new().batch(2), 1),
        (Scan::new().max_result_size(90).allow_partial(true).max_versions(9), 1),
    ] {
        let mut scanner = view.scan(&scan).expect("a scan");
        let mut read = |results: usize| {
            (0..results)
                .map(|_| scanner.next_row().expect("a sound region").map_or(0, |row| row.len()))
                .sum::<usize>()
        };
        read(100);
        assert_eq!(view.scan(&all).expect("a scan").count(), 2_000);
        let (cells, usage) = measure(|| read(1_200));
        assert!(cells >= 1_200 * few, "{cells} cells of {scan:?}");
        // the cache occasionally allocates for its bookkeeping
        assert!(usage.count < 5 + READ_AHEAD, "{usage:?} of {scan:?}");
    }
}

/// A memstore with this many cells is read in several parts at once.
#[test]
fn a_scan_of_much_memory_allocates_for_lots_of_cells_and_not_for_each() {
    const CELLS: usize = 40_000;
    let folder = tempfile::tempdir().expect("a folder");
    let region = unlogged().family(Family::new("f")).open(folder.path()).expect("a new region");
    for i in 0..CELLS {
        let row = format!("{:08x}", i.wrapping_mul(0x9E37_79B9) % (1 << 32));
        region.put(Put::new(row).cell("f", "q", vec![b'v'; 100])).expect("a put");
    }
    let view = region.view();
    let scan = Scan::new();
    let mut scanner = view.scan(&scan).expect("a scan");
    let mut read =
        |rows: usize| (0..rows).filter(|_| scanner.next_row().expect("a sound region").is_some()).count();
    assert_eq!(read(CELLS / 2), CELLS / 2);
    let (rows, usage) = measure(|| read(CELLS));
    assert_eq!(rows, CELLS - CELLS / 2);
    assert!(usage.count < 2 * CELLS / 1_000, "{usage:?}");
}

/// Of the files named by the markers of compactions, only those still in the region take memory.
#[test]
fn names_of_files_that_are_gone_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let region = unlogged().family(Family::new("f")).open(folder.path()).unwrap();
    let encoded = region.info().encoded_name();
    region.close().unwrap();
    let open = || measure(|| drop(Region::options().open(folder.path()).unwrap())).1.peak;
    let before = open();
    let edits = folder.path().join("recovered.edits");
    std::fs::create_dir_all(&edits).unwrap();
    let mut log = WalWriterOptions::new().create(edits.join("0000000000000000900")).unwrap();
    for n in 0..40 {
        let names = (0..1_000).map(|i| format!("{n:016x}{i:016x}")).collect();
        let marker = CompactionMarker::new("default", &*encoded, "f", names, Vec::new());
        let cell = Marker::Compaction(marker).to_cell(b"", 5);
        log.append(&WalKey::new(&*encoded, "default", 800 + n, 5), [cell.as_ref()]).unwrap();
    }
    log.close().unwrap();
    let after = open();
    assert!(after < before + 2_000_000, "{before} {after}");
}

/// Small cells take little more memory than the region counts, and a put allocates little more than its own
/// parts.
#[test]
fn cells_in_memory_take_what_the_region_counts() {
    const CELLS: usize = 100_000;
    // the overhead of the list for each cell, which counts towards the flush size
    const NODE: usize = 74;
    // In arrays, cells take less, but a merge has two copies of its index.
    for (in_memory_flush_size, tenths) in [(Some(0), 14), (None, 15)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = unlogged().family(Family::new("f"));
        if let Some(bytes) = in_memory_flush_size {
            options = options.in_memory_flush_size(bytes);
        }
        let region = options.open(folder.path()).expect("a new region");
        let put = |i: usize| {
            let row = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().to_vec();
            // 100 bytes as a KeyValue
            region.put(Put::new(row).cell_at("f", "q", 5, vec![b'v'; 70])).expect("a put");
        };
        let ((), usage) = measure(|| (0..CELLS).for_each(put));
        assert_eq!(region.memstore_size(), 100 * CELLS as u64);
        let counted = (100 + NODE) * CELLS;
        assert!(usage.peak < counted * tenths / 10, "{usage:?} for {counted}");
        assert!(usage.count < 7 * CELLS, "{usage:?}");
    }
}

/// Creates a region of four files and a memstore, each with one cell of every row. Returns it with the rows.
fn five_sources(folder: &Path, cache: &BlockCache) -> (Region, Vec<String>) {
    let family = Family::new("f").max_versions(3).block_size(4 << 10);
    let region = unlogged().cache(cache).family(family).open(folder).expect("a new region");
    let rows: Vec<String> = (0..1_000).map(|i| format!("row{i:05}")).collect();
    for source in 0..5i64 {
        for row in &rows {
            let put = Put::new(row.clone());
            let put = put.cell_at("f", format!("q{}", source % 3), source, format!("value{source}"));
            region.put(put).expect("a row of the region");
        }
        if source < 4 {
            region.flush().expect("a new file");
        }
    }
    assert_eq!(region.store_file_count("f"), Some(4));
    (region, rows)
}

/// Gets rows with cells in several files and in memory, and absent rows between them.
#[test]
fn a_get_of_several_sources_allocates_nothing() {
    let folder = tempfile::tempdir().expect("a folder for a region");
    let (region, rows) = five_sources(folder.path(), &BlockCache::with_capacity(1 << 30));
    let missing: Vec<String> = rows.iter().map(|row| format!("{row}-")).collect();
    let mut buffer = RowBuf::new();
    let mut read = |get: &mut Get, rows: &[String]| {
        let mut cells = 0;
        for row in rows {
            get.set_row(row);
            region.get_into(get, &mut buffer).expect("a sound region");
            cells += buffer.len();
        }
        cells
    };
    for (mut get, per_row) in [
        (Get::new("").family("f"), 3),
        (Get::new("").max_versions(9), 5),
        (Get::new("").column("f", "q0").max_versions(9), 2),
    ] {
        for (rows, expected) in [(&rows, per_row * rows.len()), (&missing, 0)] {
            assert_eq!(read(&mut get, rows), expected);
            let (hot, usage) = measure(|| read(&mut get, rows));
            assert_eq!(hot, expected);
            assert!(usage.count < 5, "{usage:?} of {get:?}");
        }
    }
}

/// Scans one file and several sources.
#[test]
fn a_scan_allocates_nothing_for_a_row() {
    let folder = tempfile::tempdir().expect("a folder for a region");
    let (region, rows) = five_sources(folder.path(), &BlockCache::with_capacity(1 << 30));
    for files in [4, 1] {
        let (view, scan) = (region.view(), Scan::new().family("f"));
        // the first scan fills the cache; the first rows of the second scan, more than a block, allocate its
        // memory
        for pass in 0..2 {
            let mut scanner = view.scan(&scan).expect("a scan");
            for _ in 0..rows.len() / 2 {
                assert_eq!(scanner.next_row().expect("a sound region").map(|row| row.len()), Some(3));
            }
            let (rest, usage) = measure(|| {
                let mut rest = 0;
                while scanner.next_row().expect("a sound region").is_some() {
                    rest += 1;
                }
                rest
            });
            assert_eq!(rest, rows.len() / 2);
            assert!(pass == 0 || usage.count < 5, "{files} files: {usage:?}");
        }
        region.flush().expect("a new file");
        region.compact(Compaction::Major).expect("one file");
    }
    assert_eq!(region.store_file_count("f"), Some(1));
}

/// Without a cache and without reading ahead, every block is read into the same memory. A data block
/// allocates only its small reference counter. Index blocks are read occasionally.
#[test]
fn a_scan_without_a_cache_keeps_its_buffers() {
    let files = Files::new();
    let quarter = files.cells.len() / 4;
    let limits = Limits::new().with_read_ahead_bytes(0);
    files.each(&HFile::options().limits(limits), |file, name| {
        let headers = file.block_headers().map(|header| header.expect("a sound file").1);
        let blocks = headers.filter(|header| header.block_type().is_data()).count();
        assert!(blocks > 50, "{name}: {blocks} blocks");
        let mut scanner = file.scanner();
        assert!(scanner.seek_to_first().expect("a sound file"));
        walk(&mut scanner, quarter);
        let (bytes, usage) = measure(|| walk(&mut scanner, 2 * quarter));
        let values = files.cells[quarter..3 * quarter].iter().map(|cell| cell.as_ref().value().len());
        assert_eq!(bytes, values.sum::<usize>(), "{name}");
        // half of the blocks were read, and an index block takes several allocations
        assert!(usage.count <= blocks, "{name}: {usage:?} for {blocks} blocks");
        assert!(usage.peak < BLOCK / 4, "{name}: {usage:?}");
    });
}
