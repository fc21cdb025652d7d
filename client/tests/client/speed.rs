//! The speed of scans and gets compared with HBase's client, and the CPU time of both.
//!
//! `HREGION_OPS` sets the number of rows (50,000). To measure:
//!
//! ```sh
//! HREGION_JVM= HREGION_HEAP=3g HREGION_OPS=1000000 \
//!   cargo test --release -p hregion-client --test client -- --ignored --nocapture speed::
//! ```

use crate::hbase::{Client as Java, Cluster, programs};
use hregion::{Get, Mutation, Put, Scan, TableName};
use hregion_client::{Client, Table};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TABLE: &str = "speed";
const REGIONS: usize = 10;
/// The number of concurrent gets.
const CONCURRENT: usize = 8;
/// Passes of each side. The first ones warm the JVM.
const PASSES: usize = 4;

fn row_key(at: usize) -> String {
    format!("row-{at:07}")
}

/// Returns the CPU time of this process.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The time of an operation.
struct Spent {
    rows: usize,
    time: Duration,
    cpu: Duration,
}

impl Spent {
    async fn of(work: impl Future<Output = usize>) -> Self {
        let (start, cpu) = (Instant::now(), cpu_time());
        let rows = work.await;
        Self { rows, time: start.elapsed(), cpu: cpu_time() - cpu }
    }

    fn of_json(json: &Value) -> Self {
        let seconds = |name: &str| Duration::from_secs_f64(json[name].as_f64().unwrap());
        let rows = usize::try_from(json["rows"].as_u64().unwrap()).unwrap();
        Self { rows, time: seconds("seconds"), cpu: seconds("cpu") }
    }

    /// Prints rows a second, and the CPU seconds of a million rows.
    fn print(&self, what: &str) {
        let rows = self.rows as f64;
        let (rate, cpu) = (rows / self.time.as_secs_f64(), self.cpu.as_secs_f64() * 1e6 / rows);
        println!("{what:40} {rate:9.0} rows/s, {cpu:6.2} s of CPU for a million");
    }
}

async fn fill(java: &mut Java, table: &Table, rows: usize) {
    let splits: Vec<String> = (1..REGIONS).map(|at| row_key(at * rows / REGIONS)).collect();
    java.ask(&json!({"op": "create", "table": TABLE, "families": ["f"], "splits": splits}));
    for first in (0..rows).step_by(2000) {
        let put = |at: usize| -> Mutation { Put::new(row_key(at)).cell("f", "q", vec![b'v'; 100]).into() };
        let puts: Vec<Mutation> = (first..rows.min(first + 2000)).map(put).collect();
        assert!(table.batch(&puts).await.iter().all(Result::is_ok));
    }
    java.ask(&json!({"op": "flush", "table": TABLE}));
}

async fn scan(table: &Table) -> usize {
    let mut scanner = table.scan(Scan::new()).unwrap();
    let mut rows = 0;
    while scanner.next().await.unwrap().is_some() {
        rows += 1;
    }
    rows
}

async fn gets(table: &Table, rows: usize, gets: usize) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..CONCURRENT)
        .map(|_| {
            let (table, next) = (table.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut found = 0;
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= gets {
                        return found;
                    }
                    let row = table.get(&Get::new(row_key(i * 7919 % rows))).await.unwrap();
                    found += usize::from(!row.is_empty());
                }
            })
        })
        .collect();
    let mut found = 0;
    for worker in workers {
        found += worker.await.unwrap();
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a running HBase: Java and Maven"]
async fn speed_beside_hbases_client() {
    let rows: usize = env::var("HREGION_OPS").map_or(50_000, |rows| rows.parse().unwrap());
    let asked = rows / 5;
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&programs(), dir.path(), &["--servers", "2"]);
    let mut java = Java::of(&cluster);
    let client = Client::builder().zookeeper(cluster.zookeeper()).unwrap();
    let table = client.table(&TableName::parse(TABLE).unwrap());
    fill(&mut java, &table, rows).await;
    for _ in 0..PASSES {
        let spent = Spent::of(scan(&table)).await;
        assert_eq!(spent.rows, rows);
        spent.print("scan");
        for prefetch in [false, true] {
            let command = json!({"op": "time_scan", "table": TABLE, "prefetch": prefetch});
            let spent = Spent::of_json(&java.ask(&command));
            assert_eq!(spent.rows, rows);
            spent.print(if prefetch { "scan, HBase's client, prefetch" } else { "scan, HBase's client" });
        }
        let spent = Spent::of(gets(&table, rows, asked)).await;
        assert_eq!(spent.rows, asked);
        spent.print("8 gets at once");
        for is_async in [false, true] {
            let command = json!({"op": "time_gets", "table": TABLE, "rows": rows, "gets": asked,
                                 "threads": CONCURRENT, "async": is_async});
            let spent = Spent::of_json(&java.ask(&command));
            assert_eq!(spent.rows, asked);
            let what = if is_async { "HBase's asynchronous client" } else { "HBase's client, 8 threads" };
            spent.print(&format!("8 gets at once, {what}"));
        }
    }
}
