//! Sessions with servers that fail, send wrong answers or close connections: each ends with an error or the
//! right answer, in time.

mod administration;
mod batches;
mod cancelled;
mod catalog;
pub(crate) mod fake;
mod idle;
mod next_region;
mod replicas;
mod scans;

use crate::fault::Fault;
use crate::rng::Rng;
use crate::setback::{Setback, Wait};
use crate::tries::Tries;
use crate::{Client, ClientBuilder, Table};
use fake::{Cluster, Mischief, ROWS, expected_row, row_key};
use hregion::locator::{RegionException, RetryPolicy};
use hregion::{Get, Increment, Put, Result, Row, Scan, ServerName, TableName};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

/// The time limit of an operation. A session has several, and the machine may be slow.
const OPERATION: Duration = Duration::from_millis(400);
const CALL: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(30);

fn client(cluster: &Cluster, scanner_timeout: Duration, gzip: bool) -> Client {
    client_of(Client::builder(), cluster, scanner_timeout, gzip)
}

fn client_of(builder: ClientBuilder, cluster: &Cluster, scanner_timeout: Duration, gzip: bool) -> Client {
    let retries =
        RetryPolicy::default().pause(Duration::from_millis(1)).attempts(12).operation_timeout(OPERATION);
    let builder = builder.retries(retries).max_response_size(1 << 20).gzip(gzip);
    let builder = builder.rpc_timeout(CALL).scanner_timeout(scanner_timeout);
    builder.connect_timeout(Duration::from_millis(200)).bootstrap(&cluster.addresses()).unwrap()
}

fn is_expected(row: &Row, at: usize) -> bool {
    row.cells()
        .map(|cell| (cell.family(), cell.qualifier(), cell.value()))
        .eq(expected_row(at).as_row().cells().map(|cell| (cell.family(), cell.qualifier(), cell.value())))
        && (row.is_empty() || row.key() == row_key(at).as_bytes())
}

/// Reads rows by a scan, and compares them with the expected ones.
async fn scan(table: &Table, random: &mut Rng) -> Result<()> {
    let (low, high) = (random.below(ROWS), random.below(ROWS + 1));
    let (low, high) = (low.min(high), low.max(high));
    let reversed = random.below(2) == 0;
    let (start, stop) = if reversed { (high, low) } else { (low, high) };
    let mut scan =
        Scan::new().start_row(row_key(start), true).stop_row(row_key(stop), false).reversed(reversed);
    scan = scan.caching([0, 1, 7][random.below(3)]);
    let limit = [0, 1, 50][random.below(3)];
    scan = scan.limit(limit as u64);
    let batch = [0, 0, 2][random.below(3)];
    scan = scan.batch(batch);
    let mut wanted: Vec<usize> =
        if reversed { (stop + 1..=start).rev().collect() } else { (start..stop).collect() };
    wanted.retain(|at| *at < ROWS);
    if limit > 0 {
        wanted.truncate(limit);
    }
    let mut scanner = table.scan(scan)?;
    let mut wanted = wanted.into_iter();
    let mut cells = Vec::new();
    let mut current = None;
    loop {
        let result = scanner.next().await?;
        let key = result.as_ref().map(|result| result.row.key().to_vec());
        if current.is_some() && key != current {
            let at = wanted.next().expect("no more rows than there are");
            let expected = expected_row(at);
            let expected: Vec<_> = expected.cells().map(|cell| cell.value().to_vec()).collect();
            assert_eq!((current.as_deref(), &cells), (Some(row_key(at).as_bytes()), &expected));
            cells.clear();
        }
        current = key;
        let Some(result) = result else { break };
        assert!(batch == 0 || result.row.len() <= batch as usize);
        cells.extend(result.row.cells().map(|cell| cell.value().to_vec()));
    }
    assert_eq!(wanted.next(), None, "rows are missing");
    Ok(())
}

/// Adds to the session's own counter. Each increment takes effect at most once.
async fn increment(table: &Table, cluster: &Cluster, random: &mut Rng) -> Result<()> {
    let row = format!("{}-{}", row_key(random.below(ROWS)), random.next());
    let before = cluster.counter(&row);
    let done = table.increment(Increment::new(row.clone()).column("f", "n", 5)).await;
    let counter = cluster.counter(&row);
    match &done {
        Ok(cells) => {
            assert_eq!(counter, before + 5);
            assert_eq!(cells.value("f", "n"), Some(&counter.to_be_bytes()[..]));
        }
        Err(_) => assert!([before, before + 5].contains(&counter), "{before} {counter}"),
    }
    done.map(drop)
}

/// Executes one operation; panics at a wrong answer.
async fn operation(table: &Table, cluster: &Cluster, random: &mut Rng) -> Result<()> {
    match random.below(7) {
        0 | 1 => {
            let at = random.below(ROWS + 20);
            let row = table.get(&Get::new(row_key(at))).await?;
            assert!(is_expected(&row, at), "{row:?}");
        }
        2 => {
            let rows: Vec<usize> = (0..10).map(|_| random.below(ROWS + 20)).collect();
            let gets: Vec<Get> = rows.iter().map(|at| Get::new(row_key(*at))).collect();
            for (row, at) in table.get_many(&gets).await?.iter().zip(rows) {
                assert!(is_expected(row, at), "{row:?}");
            }
        }
        4 => increment(table, cluster, random).await?,
        3 => table.put(Put::new(row_key(random.below(ROWS))).cell("f", "put", "v")).await?,
        _ => scan(table, random).await?,
    }
    Ok(())
}

/// The numbers of results of sessions.
#[derive(Default)]
struct Ends {
    right: u64,
    errors: BTreeMap<String, u64>,
}

impl Ends {
    fn add(&mut self, other: Self) {
        self.right += other.right;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
    }
}

/// Runs one of many sessions.
async fn session(cluster: &Cluster, builder: &ClientBuilder, seed: u64, ends: &RefCell<Ends>) {
    let mut random = Rng::new(seed);
    cluster.behave(seed, Mischief::of_session(&mut random));
    let begin = Instant::now();
    let builder = builder.clone().tags(seed.is_multiple_of(4));
    let client = client_of(builder, cluster, CALL, random.below(3) == 0);
    let table = client.table(&TableName::parse("t").unwrap());
    for _ in 0..3 {
        match operation(&table, cluster, &mut random).await {
            Ok(()) => ends.borrow_mut().right += 1,
            Err(error) => *ends.borrow_mut().errors.entry(error.kind().name().to_owned()).or_default() += 1,
        }
    }
    let took = begin.elapsed();
    assert!(took < PATIENCE, "the session of seed {seed} took {took:?}");
}

/// The sessions that have not run yet.
struct Queue {
    next: AtomicU64,
    count: u64,
    seed: u64,
}

impl Queue {
    fn take(&self) -> Option<u64> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.count).then(|| self.seed.wrapping_add(at))
    }
}

/// Waits until the runtime is on time. More concurrent sessions than the machine can handle would all time
/// out, and check nothing.
async fn on_time() {
    loop {
        let begin = Instant::now();
        sleep(Duration::from_millis(1)).await;
        if begin.elapsed() < CALL / 8 {
            return;
        }
    }
}

/// Runs sessions on this thread, for several clusters at a time, as most of their time is spent waiting.
fn sessions_of(queue: &Arc<Queue>, clusters: u64) -> Ends {
    let most = usize::try_from(clusters).unwrap();
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(most).build().unwrap();
    let ends = Rc::new(RefCell::new(Ends::default()));
    runtime.block_on(LocalSet::new().run_until(async {
        let mut tasks = Vec::new();
        let turn = Rc::new(tokio::sync::Mutex::new(()));
        #[cfg(feature = "tls")]
        let authority = Rc::new(crate::tls::tests::Authority::new());
        for number in 0..clusters {
            let (queue, ends, turn) = (Arc::clone(queue), Rc::clone(&ends), Rc::clone(&turn));
            #[cfg(feature = "tls")]
            let authority = Rc::clone(&authority);
            tasks.push(spawn_local(async move {
                #[cfg(feature = "tls")]
                let (cluster, builder) = if number % 4 == 0 {
                    let builder = Client::builder().tls(authority.tls()).unwrap();
                    (Cluster::over(authority.acceptor()).await, builder)
                } else {
                    (Cluster::start().await, Client::builder())
                };
                #[cfg(not(feature = "tls"))]
                let (cluster, builder) = (Cluster::start().await, Client::builder());
                loop {
                    let begins = turn.lock().await;
                    on_time().await;
                    drop(begins);
                    let Some(seed) = queue.take() else { break };
                    session(&cluster, &builder, seed, &ends).await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    }));
    ends.take()
}

/// Runs sessions on a number of threads, which share the clusters.
fn sessions(count: u64, seed: u64, clusters: u64, threads: u64) {
    let queue = Arc::new(Queue { next: AtomicU64::new(0), count, seed });
    let mut ends = Ends::default();
    thread::scope(|scope| {
        let run = |_| scope.spawn(|| sessions_of(&queue, clusters.min(count).div_ceil(threads)));
        let threads: Vec<_> = (0..threads).map(run).collect();
        for thread in threads {
            ends.add(thread.join().unwrap());
        }
    });
    let Ends { right, errors } = ends;
    println!("{count} sessions: {right} right answers, errors {errors:?}");
    assert_eq!(right + errors.values().sum::<u64>(), 3 * count);
    assert!(right > 0 && !errors.is_empty());
}

/// The results of gets of rows of one region.
async fn results_of(table: &Table, rows: &[usize]) -> Vec<Result<Row>> {
    let gets = rows.iter().map(|at| crate::multi::Action::get(&Get::new(row_key(*at))).unwrap());
    table.multi(gets.collect(), Tries::of_reads(&table.core, &table.name)).await
}

#[tokio::test]
async fn without_mischief_all_answers_are_right() {
    let cluster = Cluster::start().await;
    for gzip in [false, true] {
        let client = client(&cluster, CALL, gzip);
        let table = client.table(&TableName::parse("t").unwrap());
        let mut random = Rng::new(5);
        for _ in 0..200 {
            operation(&table, &cluster, &mut random).await.unwrap();
        }
    }
}

#[tokio::test]
async fn calls_that_read_and_that_write_have_times_of_their_own() {
    let cluster = Cluster::start().await;
    let name = TableName::parse("t").unwrap();
    let retries = RetryPolicy::no_retries().operation_timeout(4 * PATIENCE);
    let builder = || Client::builder().retries(retries).rpc_timeout(2 * PATIENCE);
    let short = Duration::from_millis(500);
    let table = |builder: ClientBuilder| builder.bootstrap(&cluster.addresses()).unwrap().table(&name);
    let (reads, writes) = (table(builder().read_timeout(short)), table(builder().write_timeout(short)));
    for table in [&reads, &writes] {
        // after this call the regions are known
        table.get(&Get::new(row_key(0))).await.unwrap();
    }
    cluster.behave(1, Mischief::SILENCE);
    let (get, put) = (Get::new(row_key(0)), Put::new(row_key(0)).cell("f", "q", "v"));
    let read = tokio::time::timeout(PATIENCE, reads.get(&get)).await.expect("an end in time");
    assert_eq!(read.unwrap_err().kind(), hregion::ErrorKind::Io);
    let written = tokio::time::timeout(PATIENCE, writes.put(put)).await.expect("an end in time");
    assert_eq!(written.unwrap_err().kind(), hregion::ErrorKind::Io);
}

/// A region has moved away and back, and its first server is opening it: each server has a record only of the
/// last move that it took part in.
#[tokio::test]
async fn servers_that_name_each_other_are_asked_until_one_has_the_region() {
    const TIME: Duration = Duration::from_millis(300);
    let cluster = Cluster::start().await;
    let table = || {
        let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
        cluster.redirect_for(TIME);
        (client.table(&TableName::parse("t").unwrap()), Instant::now())
    };
    let (get, begin) = table();
    assert!(is_expected(&get.get(&Get::new(row_key(1))).await.unwrap(), 1));
    assert!(begin.elapsed() >= TIME);
    let (batch, begin) = table();
    for (row, at) in results_of(&batch, &[0, 45, 90]).await.into_iter().zip([0, 45, 90]) {
        assert!(is_expected(&row.unwrap(), at));
    }
    assert!(begin.elapsed() >= TIME);
    let (scan, begin) = table();
    let mut scanner = scan.scan(Scan::new()).unwrap();
    for at in 0..ROWS {
        assert!(is_expected(&scanner.next_row().await.unwrap().unwrap(), at));
    }
    assert_eq!(scanner.next_row().await.unwrap(), None);
    assert!(begin.elapsed() >= TIME);
}

/// A single redirect is followed at once.
#[test]
fn a_server_that_is_named_is_asked_without_a_pause() {
    let fault = |kind| Fault { kind, ..Fault::no_answer("h", "Get") };
    let moved = || {
        let server = ServerName::new("h", 1, 5).unwrap();
        fault(RegionException::RegionMoved { server, seq_num: None })
    };
    let mut redirected = false;
    for (mut fault, wait) in [
        (moved(), Wait::For(Duration::ZERO)),
        (moved(), Wait::Usual),
        (moved(), Wait::Usual),
        (fault(RegionException::NotServingRegion), Wait::Usual),
        (moved(), Wait::For(Duration::ZERO)),
    ] {
        redirected = fault.is_redirect_after(redirected);
        assert_eq!(Setback::of_fault(fault).unwrap().wait, wait);
    }
}

#[test]
fn sessions_end_in_an_error_or_the_right_answer() {
    sessions(100, 1, 100, 1);
}

#[test]
#[ignore = "takes minutes"]
fn many_sessions_end_in_an_error_or_the_right_answer() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (count, seed) = (number("HREGION_OPS").unwrap_or(5000), number("HREGION_SEED").unwrap_or(1 << 32));
    let clusters = number("HREGION_CLUSTERS").unwrap_or(128);
    println!("HREGION_SEED={seed} HREGION_OPS={count} HREGION_CLUSTERS={clusters}");
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    sessions(count, seed, clusters, threads);
    // the memory of the clients, and of the servers, which are in the same process
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        println!("at most {kib} KiB of memory");
        assert!(kib < MAX_KIB, "{kib} KiB of memory");
    }
}

/// The maximum memory for sessions of 128 clusters at a time.
const MAX_KIB: u64 = 256 << 10;
