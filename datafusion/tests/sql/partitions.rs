//! Partitions are read on few threads, no further than requested, in batches of bounded size.

use crate::{blocks_read, each_scan, mapped, plan, rows, session};
use datafusion::arrow::array::{AsArray as _, RecordBatch};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt as _;
use hregion::region::ObserverContext;
use hregion::{Family, Put, Region, RegionObserver, RowBuf, Scan, Table};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The time limit after which a waiting test has failed.
const HUNG: Duration = Duration::from_secs(120);
const REGIONS: usize = 24;
const ROWS_OF_REGION: usize = 100;

/// Creates a table with rows `00000`, `00001`… in the given number of regions.
fn table(root: &Path, regions: usize) -> Table {
    let splits: Vec<String> = (1..regions).map(|region| format!("{:05}", region * ROWS_OF_REGION)).collect();
    let table = Table::create(root, "t", &[Family::new("f").block_size(1024)], &splits).unwrap();
    for row in 0..regions * ROWS_OF_REGION {
        let put = Put::new(format!("{row:05}")).cell_at("f", "n", 5, (row as i64).to_be_bytes().to_vec());
        table.put(put).unwrap();
    }
    for info in table.regions() {
        table.region(info.start_key()).unwrap().flush().unwrap();
    }
    table.close().unwrap();
    Table::open(root, "t").unwrap()
}

fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let of = |batch: &RecordBatch| {
        let column = batch.column(0).as_string::<i32>();
        column.iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

/// A merge takes from all partitions alternately, and continues only when it has rows of each.
#[test]
fn more_partitions_than_threads_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path(), REGIONS);
    let expected: Vec<String> = (0..REGIONS * ROWS_OF_REGION).map(|row| format!("{row:05}")).collect();
    for threads in [1, 2] {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).max_blocking_threads(threads).enable_time().build().unwrap();
        let answers = async {
            for condition in ["", "WHERE \"f:n\" >= 0", "WHERE \"f:n\" % 2 < 2"] {
                let context = session(mapped(&table, &["f:n=long"]), REGIONS, 10);
                let sql = format!("SELECT row, \"f:n\" FROM t {condition} ORDER BY row");
                let plan = plan(&context, &sql).await;
                each_scan(&plan, &mut |scan| assert_eq!(scan.row_ranges().len(), REGIONS));
                assert_eq!(texts(&rows(&context, &sql).await.unwrap()), expected, "{sql}");
            }
            // both sides of a join, each with a merge
            let context = session(mapped(&table, &["f:n=long"]), REGIONS, 10);
            let sql = "SELECT a.row FROM (SELECT row FROM t ORDER BY row LIMIT 1500) AS a \
                JOIN (SELECT row FROM t ORDER BY row LIMIT 2000) AS b ON a.row = b.row ORDER BY a.row";
            assert_eq!(texts(&rows(&context, sql).await.unwrap()), expected[..1500]);
        };
        let done = runtime.block_on(async { tokio::time::timeout(HUNG, answers).await });
        assert!(done.is_ok(), "{threads} threads: the query hangs");
    }
}

/// Stops a scan at a row, until it is released.
#[derive(Debug)]
struct Stop {
    at: usize,
    rows: AtomicUsize,
    reached: Sender<()>,
    go: Mutex<Receiver<()>>,
    closed: Sender<()>,
}

impl Stop {
    fn count_row(&self) {
        if self.rows.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            self.reached.send(()).unwrap();
            self.go.lock().unwrap().recv_timeout(HUNG).unwrap();
        }
    }
}

impl RegionObserver for Stop {
    fn post_scanner_next(
        &self,
        _: &mut ObserverContext<'_>,
        _: &Scan,
        row: &mut RowBuf,
    ) -> hregion::Result<()> {
        // empty at the end
        if !row.as_row().is_empty() {
            self.count_row();
        }
        Ok(())
    }

    fn post_scanner_filter_row(
        &self,
        _: &mut ObserverContext<'_>,
        _: &Scan,
        _: &[u8],
        has_more: bool,
    ) -> hregion::Result<bool> {
        self.count_row();
        Ok(has_more)
    }

    fn post_scanner_close(&self, _: &mut ObserverContext<'_>, _: &Scan) -> hregion::Result<()> {
        let _ = self.closed.send(());
        Ok(())
    }
}

/// A row that is read while the stream is dropped is the last one.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_ends_at_the_row_at_which_its_stream_is_dropped() {
    const AT: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    table(dir.path(), 1).close().unwrap();
    for (columns, sql) in [
        ("f:n=long", "SELECT * FROM t"),
        ("f:n=long", "SELECT count(*) FROM t"),
        // no row has a counted column
        ("f:none=long", "SELECT count(*) FROM t"),
        // a filter drops all rows
        ("f:n=long", "SELECT * FROM t WHERE \"f:n\" < 0"),
    ] {
        let (reached, is_reached) = channel();
        let (let_go, go) = channel();
        let (closed, is_closed) = channel();
        let (rows, go) = (AtomicUsize::new(0), Mutex::new(go));
        let stop = Arc::new(Stop { at: AT, rows, reached, go, closed });
        let options = Region::options().observer(0, Arc::clone(&stop) as Arc<dyn RegionObserver>);
        let table = Table::open_with(dir.path(), "t", options).unwrap();
        let context = session(mapped(&table, &[columns]), 1, 8192);
        let plan: Arc<dyn ExecutionPlan> = plan(&context, sql).await;
        let mut stream = plan.execute(0, context.task_ctx()).unwrap();
        tokio::select! {
            batch = stream.next() => panic!("{sql}: {batch:?}"),
            reached = tokio::task::spawn_blocking(move || is_reached.recv_timeout(HUNG)) => {
                reached.unwrap().unwrap();
            }
        }
        drop(stream);
        let_go.send(()).unwrap();
        is_closed.recv_timeout(HUNG).unwrap();
        assert_eq!(stop.rows.load(Ordering::SeqCst), AT, "{columns}: {sql}");
    }
}

/// Panics at a row.
#[derive(Debug)]
struct Panic(AtomicUsize);

impl RegionObserver for Panic {
    fn post_scanner_next(
        &self,
        _: &mut ObserverContext<'_>,
        _: &Scan,
        _: &mut RowBuf,
    ) -> hregion::Result<()> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < 20, "a test of panics");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_reader_is_not_a_short_answer() {
    let dir = tempfile::tempdir().unwrap();
    table(dir.path(), 2).close().unwrap();
    for sql in ["SELECT * FROM t", "SELECT count(*) FROM t", "SELECT row FROM t ORDER BY row LIMIT 50"] {
        let options = Region::options().observer(0, Arc::new(Panic(AtomicUsize::new(0))));
        let table = Table::open_with(dir.path(), "t", options).unwrap();
        let context = session(mapped(&table, &["f:n=long"]), 2, 10);
        let answer = tokio::spawn(async move { rows(&context, sql).await }).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{sql}: {answer:?}");
    }
}

/// A batch has about 16 MiB: it is completed before the maximum number of rows.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_large_values_are_small() {
    const ROWS: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for row in 0..ROWS {
        table.put(Put::new(format!("{row:05}")).cell_at("f", "v", 5, vec![b'x'; 1 << 20])).unwrap();
    }
    table.region("").unwrap().flush().unwrap();
    table.close().unwrap();
    let table = Table::open_with(dir.path(), "t", Region::options()).unwrap();
    let context = session(mapped(&table, &["f:v=utf8"]), 1, 8192);
    let plan: Arc<dyn ExecutionPlan> = plan(&context, "SELECT * FROM t").await;
    let before = blocks_read(&table);
    let mut stream = plan.execute(0, context.task_ctx()).unwrap();
    let first = stream.next().await.unwrap().unwrap();
    let read = blocks_read(&table) - before;
    // in addition, one batch waits, one is complete, and one is being read
    let most = 5 * 16;
    assert!(first.num_rows() <= 16 && read <= most && most < ROWS as u64, "{read} blocks");
    let mut all = first.num_rows();
    while let Some(batch) = stream.next().await {
        all += batch.unwrap().num_rows();
    }
    assert_eq!(all, ROWS);
}
