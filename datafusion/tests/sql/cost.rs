//! The blocks that queries read.

use crate::{blocks_read, each_scan, mapped, plan, rows, session};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt as _;
use hregion::{BlockCache, Family, HFile, Put, Region, Table};
use hregion_arrow::{Column, KeyPart, Layout, Mapping, RowKey, ValueType};
use hregion_datafusion::HregionTable;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const ROWS: u32 = 4000;

/// Creates a table of one file a family, with many blocks in each: `f:n` and `f:t` in every row, `g:rare` in
/// few.
fn table(root: &Path) -> Table {
    let families = ["f", "g"].map(|name| Family::new(name).block_size(1024));
    let table = Table::create(root, "t", &families, &[] as &[&str]).unwrap();
    for row in 0..ROWS {
        let put =
            Put::new(format!("row|{row:06}")).cell_at("f", "n", 5, i64::from(row).to_be_bytes().to_vec());
        let mut put = put.cell_at("f", "t", 7, format!("{row:030}"));
        if row % 500 == 7 {
            put = put.cell_at("g", "rare", 9, "rare");
        }
        put = put.cell_at("g", "filler", 9, vec![b'x'; 50]);
        table.put(put).unwrap();
    }
    table.region("").unwrap().flush().unwrap();
    table.close().unwrap();
    // without a block cache, every needed block is read
    Table::open_with(root, "t", Region::options()).unwrap()
}

/// Returns the rows at which the data blocks of a family begin.
fn block_rows(table: &Table, family: &str) -> Vec<Vec<u8>> {
    let region = table.region("").unwrap();
    let paths = region.hfile_paths(family).unwrap();
    assert_eq!(paths.len(), 1);
    let file = HFile::open(&paths[0]).unwrap();
    assert_eq!(file.index_levels(), 1);
    file.root_index().map(|(key, _)| key.row().to_vec()).collect()
}

/// Returns the number of blocks with rows of a range.
fn blocks_of(table: &Table, family: &str, start: &str, end: &str) -> u64 {
    let rows = block_rows(table, family);
    let first = rows.partition_point(|row| &row[..] <= start.as_bytes()).saturating_sub(1);
    let last = rows.partition_point(|row| &row[..] < end.as_bytes());
    (last - first) as u64
}

async fn count(table: &Table, provider: HregionTable, partitions: usize, sql: &str) -> (usize, u64) {
    let context = session(provider, partitions, 8192);
    let before = blocks_read(table);
    let batches = rows(&context, sql).await.unwrap();
    (batches.iter().map(|batch| batch.num_rows()).sum(), blocks_read(table) - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_rows_read_their_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let (start, end) = ("row|001000", "row|001200");
    let needed = blocks_of(&table, "f", start, end);
    let all = block_rows(&table, "f").len() as u64;
    assert!(needed > 5 && all > 10 * needed, "{needed} of {all}");
    let sql = format!("SELECT \"f:n\" FROM t WHERE row >= '{start}' AND row < '{end}'");
    for partitions in [1, 3] {
        let (found, read) = count(&table, mapped(&table, &["f:n=long", "f:t=utf8"]), partitions, &sql).await;
        assert_eq!(found, 200);
        let extra = partitions as u64;
        assert!((needed..=needed + extra).contains(&read), "{partitions}: {read}, expected {needed}");
        let off = mapped(&table, &["f:n=long", "f:t=utf8"]).pushdown(false);
        let (found, read) = count(&table, off, partitions, &sql).await;
        assert!(found == 200 && read >= all, "{read} of {all}");
    }
    // a point, a list of points, a prefix, and a union of ranges
    for (condition, expected, most) in [
        ("row = 'row|000123'", 1, 1),
        ("row IN ('row|000123', 'row|002000', 'row|003999')", 3, 3),
        ("row LIKE 'row|00123%'", 10, 3),
        ("row < 'row|000010' OR row >= 'row|003990'", 20, 6),
        ("row BETWEEN 'row|000100' AND 'row|000101'", 2, 2),
    ] {
        let sql = format!("SELECT row, \"f:n\" FROM t WHERE {condition}");
        let (found, read) = count(&table, mapped(&table, &["f:n=long"]), 1, &sql).await;
        assert_eq!(found, expected, "{condition}");
        assert!(read <= most, "{condition}: {read} blocks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_row_keys_are_ranges() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let parts = vec![KeyPart::new("kind", ValueType::Utf8), KeyPart::new("id", ValueType::Utf8)];
    let row = RowKey::Separated { separator: b"|".to_vec(), parts };
    let mapping = Mapping::new(row, vec![Column::parse("f:n=long").unwrap()]).unwrap();
    let provider = || HregionTable::new(table.clone(), Layout::Columns(mapping.clone()));
    let needed = blocks_of(&table, "f", "row|000500", "row|000600");
    let sql = "SELECT id FROM t WHERE kind = 'row' AND id >= '000500' AND id < '000600'";
    let (found, read) = count(&table, provider(), 1, sql).await;
    assert_eq!(found, 100);
    assert!((needed..=needed + 1).contains(&read), "{read}, expected {needed}");
    // no row key has this prefix
    let (found, read) = count(&table, provider(), 1, "SELECT id FROM t WHERE kind = 'other'").await;
    assert!(found == 0 && read <= 1, "{read} blocks");
    let (found, read) = count(&table, provider(), 1, "SELECT id FROM t WHERE kind = 'a|b'").await;
    assert!(found == 0 && read == 0, "{read} blocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_on_columns_read_other_families_for_their_rows_only() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let columns = ["f:n=long", "f:t=utf8", "g:rare=utf8"];
    let (of_f, of_g) = (block_rows(&table, "f").len() as u64, block_rows(&table, "g").len() as u64);
    let sql = "SELECT row, \"f:n\" FROM t WHERE \"g:rare\" = 'rare'";
    let (found, read) = count(&table, mapped(&table, &columns), 1, sql).await;
    assert_eq!(found, 8);
    assert!(read <= of_g + 4 * 8, "{read} blocks, g has {of_g}, f has {of_f}");
    let (found, all) = count(&table, mapped(&table, &columns).pushdown(false), 1, sql).await;
    assert!(found == 8 && all >= of_f + of_g, "{all}");
    // a condition on a column also means that no other column is needed
    let sql = "SELECT row, \"g:rare\" FROM t WHERE \"g:rare\" IS NOT NULL";
    let (found, read) = count(&table, mapped(&table, &columns), 1, sql).await;
    assert_eq!(found, 8);
    assert!(read <= of_g + 1, "{read} blocks, g has {of_g}");
    // without a condition, a row may have only the other columns
    let (found, read) = count(&table, mapped(&table, &columns), 1, "SELECT \"g:rare\" FROM t").await;
    assert!(found == ROWS as usize && read >= of_f + of_g, "{read}");
    // a family of cells is read separately from the others
    let cells = || HregionTable::new(table.clone(), Layout::Cells);
    let sql = "SELECT value FROM t WHERE family = X'67' AND qualifier = X'72617265'";
    let (found, read) = count(&table, cells(), 1, sql).await;
    assert!(found == 8 && read <= of_g + 1, "{found}, {read}");
    let (found, read) = count(&table, cells(), 1, "SELECT value FROM t WHERE family = X'00'").await;
    assert!(found == 0 && read == 0, "{found}, {read}");
}

/// Rows that fill many blocks: a count reads the whole first row, and only the columns of the others.
#[tokio::test(flavor = "multi_thread")]
async fn counts_of_wide_rows_seek_columns() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f").block_size(1024)], &[] as &[&str]).unwrap();
    for row in 0..6 {
        let mut put = Put::new(format!("row{row}"));
        for column in 0..2000 {
            put = put.cell_at("f", format!("{column:05}"), 5, "some value");
        }
        table.put(put).unwrap();
    }
    // the second row lacks the mapped column
    table.delete(hregion::Delete::new("row1").column("f", "01000")).unwrap();
    table.region("").unwrap().flush().unwrap();
    table.close().unwrap();
    let table = Table::open_with(dir.path(), "t", Region::options()).unwrap();
    let cells = HregionTable::new(table.clone(), Layout::Cells);
    let (_, all) = count(&table, cells, 1, "SELECT value FROM t").await;
    let context = session(mapped(&table, &["f:01000=utf8"]), 1, 8192);
    let before = blocks_read(&table);
    let counted = rows(&context, "SELECT count(*) AS n FROM t").await.unwrap();
    let read = blocks_read(&table) - before;
    let text = datafusion::arrow::util::pretty::pretty_format_batches(&counted).unwrap().to_string();
    assert!(text.contains("| 5 "), "{text}");
    assert!(all > 200 && read < all / 2, "{read} of {all} blocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_skip_files() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    table.close().unwrap();
    let table = Table::open_with(dir.path(), "t", Region::options().writable(true)).unwrap();
    table.put(Put::new("row|000001").cell_at("f", "n", 900, 1_i64.to_be_bytes().to_vec())).unwrap();
    table.region("").unwrap().flush().unwrap();
    table.close().unwrap();
    let table = Table::open_with(dir.path(), "t", Region::options()).unwrap();
    let time = |millis: i64| format!("arrow_cast({millis}, 'Timestamp(Millisecond, Some(\"UTC\"))')");
    let sql = format!("SELECT row FROM t WHERE \"f:n_timestamp\" >= {}", time(800));
    let (found, read) = count(&table, mapped(&table, &["f:n=long@", "f:t=utf8"]), 1, &sql).await;
    assert!(found == 1 && read <= 2, "{found} rows, {read} blocks");
    // a newer version hides older ones, so the reader does not apply an end of the times
    let sql = format!("SELECT row FROM t WHERE \"f:n_timestamp\" < {}", time(800));
    let (found, _) = count(&table, mapped(&table, &["f:n=long@", "f:t=utf8"]), 1, &sql).await;
    assert_eq!(found, ROWS as usize - 1);
    // the other column of the family may be older
    let sql = format!("SELECT row, \"f:t\" FROM t WHERE \"f:n_timestamp\" >= {}", time(800));
    let context = session(mapped(&table, &["f:n=long@", "f:t=utf8"]), 1, 100);
    let batches = rows(&context, &sql).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.column(1).null_count()).sum::<usize>(), 0);
    let (found, read) = count(
        &table,
        HregionTable::new(table.clone(), Layout::Cells),
        1,
        "SELECT row FROM t WHERE timestamp > 800",
    )
    .await;
    assert!(found == 1 && read <= 2, "{found} cells, {read} blocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_early() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let all = block_rows(&table, "f").len() as u64;
    for (sql, rows, most) in [
        ("SELECT row, \"f:n\" FROM t LIMIT 5", 5, 3),
        ("SELECT row, \"f:n\" FROM t WHERE row > 'row|002000' LIMIT 5", 5, 3),
        ("SELECT row FROM t WHERE row > 'row|002000' ORDER BY row LIMIT 5", 5, 3),
        // a condition that the reader does not apply: the first batches are small
        ("SELECT row FROM t WHERE \"f:n\" % 2 = 1 LIMIT 5", 5, all / 2),
    ] {
        let (found, read) = count(&table, mapped(&table, &["f:n=long"]), 1, sql).await;
        assert_eq!(found, rows, "{sql}");
        assert!(read <= most, "{sql}: {read} of {all} blocks");
    }
}

#[test]
fn a_query_that_is_dropped_stops_reading() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let all = block_rows(&table, "f").len() as u64;
    let queries = ["SELECT * FROM t", "SELECT * FROM t WHERE \"f:n\" < -5", "SELECT count(*) FROM t"];
    for sql in queries {
        let runtime = Runtime::new().unwrap();
        let before = blocks_read(&table);
        // a filter that drops all rows may read any number of them until the stream is dropped
        let until = runtime.block_on(async {
            let context = session(mapped(&table, &["f:n=long", "f:t=utf8"]), 1, 10);
            let plan: Arc<dyn ExecutionPlan> = plan(&context, sql).await;
            let mut stream = plan.execute(0, context.task_ctx()).unwrap();
            if sql == queries[0] {
                assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
            }
            drop(stream);
            blocks_read(&table)
        });
        // waits until the reading thread has stopped
        drop(runtime);
        let read = blocks_read(&table);
        assert!(read - until < all / 4, "{sql}: {} of {all} blocks after the stream", read - until);
        // the others wait until their batches are taken
        if sql != queries[1] {
            assert!(read - before < all / 2, "{sql}: {} of {all} blocks", read - before);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_begin_at_blocks_and_regions() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let starts_of = |partitions: usize, min: u64| {
        let provider = mapped(&table, &["f:n=long"]).min_partition_bytes(min);
        let table = &table;
        async move {
            let context = session(provider, partitions, 8192);
            let plan = plan(&context, "SELECT row FROM t").await;
            let mut starts = Vec::new();
            each_scan(&plan, &mut |scan| {
                starts = scan.row_ranges().into_iter().map(|ranges| ranges[0].0.clone()).collect();
            });
            let rows = block_rows(table, "f");
            assert!(starts.iter().skip(1).all(|start| rows.contains(start)), "{starts:?}");
            starts.len()
        }
    };
    assert_eq!(starts_of(1, 1).await, 1);
    assert_eq!(starts_of(4, 1).await, 4);
    assert_eq!(starts_of(4, 1 << 30).await, 1);
    // each block is read once, or twice where partitions meet
    let all = block_rows(&table, "f").len() as u64;
    let sql = "SELECT count(*) FROM t";
    let (_, read) = count(&table, mapped(&table, &["f:n=long"]), 4, sql).await;
    assert!((all..=all + 3).contains(&read), "{read} of {all}");
    let cache = BlockCache::with_capacity(1 << 20);
    let cached = Table::open_with(dir.path(), "t", Region::options().cache(&cache)).unwrap();
    let (found, _) = count(&cached, mapped(&cached, &["f:n=long"]), 4, "SELECT row FROM t").await;
    assert_eq!(found, ROWS as usize);
}

/// The number of rows whose counts are measured.
const MEASURED: u32 = 100_000;

/// Prints the time for a count, and for a scan of all regions as in `hregion count`: `cargo test --release --
/// --ignored --nocapture counts_take`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn counts_take_little_longer_than_scans() {
    let dir = tempfile::tempdir().unwrap();
    let splits: Vec<String> = (1..4).map(|region| format!("{:08}", region * MEASURED / 4)).collect();
    let options = Region::options().durability(hregion::Durability::SkipWal);
    let table = Table::create_with(dir.path(), "t", &[Family::new("f")], &splits, options).unwrap();
    for row in 0..MEASURED {
        let mut put = Put::new(format!("{row:08}"));
        for qualifier in ["a", "b", "c"] {
            put = put.cell_at("f", qualifier, 1, format!("{row:020}"));
        }
        table.put(put).unwrap();
    }
    table.close().unwrap();
    let columns = ["f:a=utf8", "f:b=utf8", "f:c=utf8"];
    let mut best = [Duration::MAX; 3];
    for _ in 0..5 {
        let cache = BlockCache::with_capacity(1 << 30);
        let open = || Table::open_with(dir.path(), "t", Region::options().cache(&cache)).unwrap();
        let table = open();
        let begun = std::time::Instant::now();
        let infos = table.regions();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let count = || {
            let (mut rows, mut cells) = (0, 0);
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(info) = infos.get(at) else { break (rows, cells) };
                let mut scanner = table.region(info.start_key()).unwrap().scan(hregion::Scan::new()).unwrap();
                while let Some(row) = scanner.next_row().unwrap() {
                    rows += 1;
                    cells += row.len();
                }
            }
        };
        let threads = std::thread::available_parallelism().unwrap().get();
        let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        best[0] = best[0].min(begun.elapsed());
        assert_eq!(counts.iter().map(|(rows, _)| rows).sum::<usize>(), MEASURED as usize);
        for (at, layout) in [(1, None), (2, Some(Layout::Cells))] {
            let cache = BlockCache::with_capacity(1 << 30);
            let table = Table::open_with(dir.path(), "t", Region::options().cache(&cache)).unwrap();
            let provider = match layout {
                Some(layout) => HregionTable::new(table, layout),
                None => mapped(&table, &columns).min_partition_bytes(1 << 20),
            };
            let begun = std::time::Instant::now();
            let context = session(provider, threads, 8192);
            let counted = rows(&context, "SELECT count(*) FROM t").await.unwrap();
            best[at] = best[at].min(begun.elapsed());
            assert_eq!(counted.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
        }
    }
    println!("scan {:?}, count of rows {:?}, count of cells {:?}", best[0], best[1], best[2]);
}
