//! Sessions with servers that fail, send wrong answers or close connections: each ends in an error or the
//! right answer, in time.

mod administration;
mod cancelled;
mod copies;
pub(crate) mod fake;
mod idle;
mod next_region;

use crate::connections::Connections;
use crate::fault::Fault;
use crate::registry::RpcRegistry;
use crate::rng::Rng;
use crate::tries::{Setback, Tries, Wait};
use crate::{Client, ClientBuilder, Table};
use fake::{Cluster, Instead, Mischief, ROWS, expected_row, row_key};
use hregion::locator::{RegionException, RetryPolicy};
use hregion::{
    CheckAndMutate, ConnectionRegistry, Deadline, Delete, Error, Get, Increment, Put, RegionLocations,
    Result, Row, Scan, ServerName, TableName,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

/// The time of an operation. A session has several, and a slow machine.
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

/// Reads rows by a scan, and compares them with those there are.
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

/// Adds to a counter of its own. What is done is done once.
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

/// Does one operation; panics at a wrong answer.
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

/// What sessions have ended in.
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

/// The sessions that are still to be run.
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

/// Waits until the runtime is on time. More sessions at a time than the machine can answer would all end in
/// time-outs, and check nothing.
async fn on_time() {
    loop {
        let begin = Instant::now();
        sleep(Duration::from_millis(1)).await;
        if begin.elapsed() < CALL / 8 {
            return;
        }
    }
}

/// Runs sessions on this thread, with a number of clusters at a time, as most of their time is spent waiting.
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

#[tokio::test]
async fn cells_have_tags_if_they_are_asked_for() {
    let cluster = Cluster::start().await;
    for (tags, gzip) in [(false, false), (true, false), (true, true)] {
        let client = client_of(Client::builder().tags(tags), &cluster, CALL, gzip);
        let table = client.table(&TableName::parse("t").unwrap());
        let expected = if tags { fake::TAGS } else { &[] };
        let row = table.get(&Get::new(row_key(4))).await.unwrap();
        assert!(is_expected(&row, 4) && row.len() == 5);
        assert!(row.cells().all(|cell| cell.tag_bytes() == expected));
        let mut scanner = table.scan(Scan::new().caching(7)).unwrap();
        let mut rows = 0;
        while let Some(result) = scanner.next().await.unwrap() {
            assert!(is_expected(&result.row, rows));
            assert!(result.row.cells().all(|cell| cell.tag_bytes() == expected));
            rows += 1;
        }
        assert_eq!(rows, ROWS);
    }
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
async fn a_page_that_is_read_ahead_has_the_time_of_an_operation() {
    let cluster = Cluster::start().await;
    let client = client(&cluster, Duration::from_secs(3600), false);
    let table = client.table(&TableName::parse("t").unwrap());
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap();
    for at in 0..3 {
        let row = scanner.next_row().await.unwrap().unwrap();
        assert_eq!(row.key(), row_key(at).as_bytes());
    }
    cluster.behave(1, Mischief::SILENCE);
    let rest = async {
        while scanner.next().await?.is_some() {}
        Ok::<_, Error>(())
    };
    let ended = tokio::time::timeout(PATIENCE, rest).await.expect("an end in time");
    assert_eq!(ended.unwrap_err().kind(), hregion::ErrorKind::Io);
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
        // the regions are known afterwards
        table.get(&Get::new(row_key(0))).await.unwrap();
    }
    cluster.behave(1, Mischief::SILENCE);
    let (get, put) = (Get::new(row_key(0)), Put::new(row_key(0)).cell("f", "q", "v"));
    let read = tokio::time::timeout(PATIENCE, reads.get(&get)).await.expect("an end in time");
    assert_eq!(read.unwrap_err().kind(), hregion::ErrorKind::Io);
    let written = tokio::time::timeout(PATIENCE, writes.put(put)).await.expect("an end in time");
    assert_eq!(written.unwrap_err().kind(), hregion::ErrorKind::Io);
}

#[tokio::test]
async fn a_scan_without_caching_has_that_of_the_client() {
    let cluster = Cluster::start().await;
    let client = Client::builder().scanner_caching(1).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    for (scan, is_slow) in [(Scan::new(), true), (Scan::new().caching(50), false)] {
        let mut scanner = table.scan(scan).unwrap().track_metrics();
        while scanner.next_row().await.unwrap().is_some() {}
        let calls = scanner.metrics().unwrap().rpc_calls;
        assert_eq!(calls >= ROWS as u64, is_slow, "{calls} calls");
    }
}

/// A filter that drops all rows of a large table takes longer than an operation.
#[tokio::test]
async fn a_scan_without_rows_goes_on_while_servers_get_on_with_it() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).operation_timeout(OPERATION);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    for reversed in [false, true] {
        cluster.instead(Some(Instead::OfRows));
        let mut scanner = table.scan(Scan::new().reversed(reversed)).unwrap();
        let begin = Instant::now();
        assert_eq!(scanner.next_row().await.unwrap(), None);
        assert!(begin.elapsed() > 2 * OPERATION);
        for kind in [Instead::OfOneRow, Instead::WithoutRow] {
            cluster.instead(Some(kind));
            let mut scanner = table.scan(Scan::new().reversed(reversed)).unwrap();
            let ended = tokio::time::timeout(PATIENCE, scanner.next_row()).await.expect("an end in time");
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), hregion::ErrorKind::Io);
            assert!(error.message().contains("no progress"), "{kind:?}: {error}");
        }
        cluster.instead(None);
    }
}

#[tokio::test]
async fn more_results_than_were_asked_for_are_an_error() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, OPERATION, false).table(&TableName::parse("t").unwrap());
    cluster.instead(Some(Instead::EmptyResults));
    let error = table.scan(Scan::new().caching(10)).unwrap().next().await.unwrap_err();
    assert!(error.message().contains("more results or cells than asked for"), "{error}");
}

#[tokio::test]
async fn a_row_whose_parts_never_end_is_an_error() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, OPERATION, false).table(&TableName::parse("t").unwrap());
    for (cells, kind) in [(1, hregion::ErrorKind::Limit), (2, hregion::ErrorKind::Corrupt)] {
        cluster.instead(Some(Instead::SamePart(cells)));
        for limit in [0, 1] {
            let mut scanner = table.scan(Scan::new().limit(limit)).unwrap();
            let ended = tokio::time::timeout(PATIENCE, scanner.next_row()).await.expect("an end in time");
            let error = ended.unwrap_err();
            let is_of_time = error.kind() == hregion::ErrorKind::Io && cells > 1;
            assert!(error.kind() == kind || is_of_time, "{cells} cells: {error}");
        }
        // what is returned as it comes needs no memory
        let mut parts = table.scan(Scan::new().allow_partial(true)).unwrap();
        for _ in 0..if cells == 1 { 100 } else { 1 } {
            assert_eq!(parts.next().await.unwrap().map(|part| part.partial), Some(true));
        }
    }
}

/// Answers to other calls of a scanner, or of other scanners, would end a region early, or skip rows.
#[tokio::test]
async fn answers_to_other_calls_are_not_taken_for_those_of_a_scanner() {
    let cluster = Cluster::start().await;
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..60 {
        cluster.behave(seed, Mischief::WRONG_SCANNER[seed as usize % 2]);
        let client = client(&cluster, CALL, false);
        let table = client.table(&TableName::parse("t").unwrap());
        match scan(&table, &mut Rng::new(seed)).await {
            Ok(()) => right += 1,
            Err(_) => wrong += 1,
        }
    }
    assert!(right > 0 && wrong < 60, "{right} right answers, {wrong} errors");
}

/// Wherever it happens: within a row, whose parts are returned as they come, and after a row.
#[tokio::test]
async fn a_lease_that_is_not_renewed_repeats_no_cells() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let values = |row: &Row| row.cells().map(|cell| cell.value().to_vec()).collect::<Vec<_>>();
    // rows of five, one and two cells
    let expected: Vec<_> = (4..7).flat_map(|at| values(&expected_row(at))).collect();
    for lost_after in 1..expected.len() {
        let scan = Scan::new().start_row(row_key(4), true).stop_row(row_key(7), false);
        let mut scanner = table.scan(scan.batch(1).caching(1)).unwrap();
        let mut found = Vec::new();
        while let Some(result) = scanner.next().await.unwrap() {
            found.extend(values(&result.row));
            if found.len() == lost_after {
                cluster.behave(1, Mischief::SILENCE);
                // nothing is requested if the next page already is
                let renewed = scanner.renew_lease().await;
                assert!(renewed.is_err() || lost_after > 1);
                cluster.behave(1, Mischief::NONE);
            }
        }
        assert_eq!(found, expected, "the lease was lost after {lost_after} cells");
    }
}

/// A slow reader renews the lease while a page that was read ahead is there, too, and reads no further.
#[tokio::test]
async fn a_lease_that_is_renewed_goes_on() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    for caching in [1, 7] {
        let mut scanner = table.scan(Scan::new().caching(caching)).unwrap().track_metrics();
        let (mut rows, renewed) = (0, cluster.renewed());
        while let Some(row) = scanner.next_row().await.unwrap() {
            assert!(is_expected(&row, rows));
            rows += 1;
            if rows.is_multiple_of(9) {
                let calls = scanner.metrics().unwrap().rpc_calls;
                for _ in 0..4 {
                    // what is read ahead comes meanwhile
                    sleep(Duration::from_millis(5)).await;
                    scanner.renew_lease().await.unwrap();
                }
                assert!(scanner.metrics().unwrap().rpc_calls <= calls + 1, "one page is read ahead");
            }
        }
        assert_eq!(rows, ROWS);
        let metrics = scanner.metrics().unwrap();
        assert_eq!((metrics.regions_scanned, metrics.rpc_retries), (5, 0), "no region is opened again");
        let renewed = cluster.renewed() - renewed;
        assert!(renewed > ROWS / 9, "{renewed} renewals in {} pauses", ROWS / 9);
    }
    // a lease that has ended is told, and the scan goes on
    let mut scanner = loop {
        let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
        assert!(scanner.next_row().await.unwrap().is_some());
        // the first page may have a part of the row: after the second one, a page is read ahead
        if scanner.metrics().unwrap().rpc_calls == 1 {
            break scanner;
        }
    };
    cluster.end_leases();
    assert!(scanner.renew_lease().await.is_err());
    let mut rows = 1;
    while let Some(row) = scanner.next_row().await.unwrap() {
        assert!(is_expected(&row, rows));
        rows += 1;
    }
    assert_eq!(rows, ROWS);
}

/// The results of gets of rows of one region.
async fn results_of(table: &Table, rows: &[usize]) -> Vec<Result<Row>> {
    let gets = rows.iter().map(|at| crate::multi::Action::get(&Get::new(row_key(*at))).unwrap());
    table.multi(gets.collect(), Tries::of_reads(&table.core, &table.name)).await
}

#[tokio::test]
async fn each_action_of_a_region_has_its_own_error() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    cluster.fail(row_key(1), Some(("DoNotRetryIOException", "this is wrong")));
    cluster.fail(row_key(3), Some(("constraint.ConstraintException", "that is wrong")));
    let results = results_of(&table, &[0, 1, 2, 3]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(cluster.multis(), 1, "what is final is not tried again");
    for (at, text) in [(1, "this is wrong"), (3, "that is wrong")] {
        let error = results[at].as_ref().unwrap_err();
        assert!(error.message().ends_with(text), "{error}");
    }
}

#[tokio::test]
async fn whether_a_row_exists_is_said_without_its_cells() {
    let cluster = Cluster::start().await;
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    assert!(table.exists(&Get::new(row_key(1))).await.unwrap());
    assert!(!table.exists(&Get::new(row_key(ROWS))).await.unwrap());
    assert_eq!(cluster.questions(), 2);
}

/// The answer is lost with its connection, and the call is repeated.
#[tokio::test]
async fn an_increment_that_is_repeated_is_done_once() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let increment = || table.increment(Increment::new(row_key(6)).column("f", "n", 5));
    for (lost, expected) in [(0, 5), (1, 10), (3, 15)] {
        cluster.lose_answers(lost);
        let cells = increment().await.unwrap();
        assert_eq!(cells.value("f", "n"), Some(&i64::to_be_bytes(expected)[..]), "{lost} answers are lost");
        assert_eq!(cluster.counter(&row_key(6)), expected);
    }
}

/// Whatever becomes of the attempts after the one whose answer was lost.
#[tokio::test]
async fn a_write_without_an_answer_may_have_been_executed() {
    const IN_DOUBT: &str = "; it may have been executed";
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let row = || row_key(6);
    cluster.lose_answers(1000);
    let error = table.increment(Increment::new(row()).column("f", "n", 5)).await.unwrap_err();
    assert!(error.message().ends_with(IN_DOUBT), "{error}");
    assert_eq!(cluster.counter(&row()), 5);
    cluster.lose_answers(0);

    let put = || Put::new(row()).cell("f", "p", "v");
    let delete = || Delete::new(row()).column("f", "d");
    for write in 0..6 {
        // the region is known, and its server then falls silent
        cluster.behave(1, Mischief::NONE);
        assert!(is_expected(&table.get(&Get::new(row())).await.unwrap(), 6));
        cluster.behave(1, Mischief::SILENCE);
        let error = match write {
            0 => table.put(put()).await.unwrap_err(),
            1 => table.delete(delete()).await.unwrap_err(),
            2 => table.mutate_row(row(), vec![put().into(), delete().into()]).await.unwrap_err(),
            3 => {
                let check = CheckAndMutate::if_not_exists(row(), "f", "none").then(put());
                table.check_and_mutate(check).await.unwrap_err()
            }
            4 => table.batch(&[put().into()]).await.remove(0).unwrap_err(),
            // nothing is in doubt of what only reads
            _ => table.get(&Get::new(row())).await.unwrap_err(),
        };
        assert_eq!(error.message().ends_with(IN_DOUBT), write < 5, "{write}: {error}");
        assert_eq!(error.message().matches(IN_DOUBT).count(), usize::from(write < 5), "{write}: {error}");
    }
    cluster.behave(1, Mischief::NONE);
    // an exception is an answer
    cluster.fail(row(), Some(("DoNotRetryIOException", "never")));
    let error = table.batch(&[put().into()]).await.remove(0).unwrap_err();
    assert!(error.message().ends_with("never"), "{error}");
}

#[tokio::test]
async fn a_small_scan_takes_one_call() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, OPERATION, false).table(&TableName::parse("t").unwrap());
    // rows of one cell, which come whole
    for scan in [
        Scan::new().limit(1),
        Scan::new().rows(row_key(5)..row_key(6)).limit(1),
        Scan::new().start_row(row_key(50), true).reversed(true).limit(1),
    ] {
        let mut scanner = table.scan(scan.clone()).unwrap().track_metrics();
        let mut rows = 0;
        while scanner.next_row().await.unwrap().is_some() {
            rows += 1;
        }
        let metrics = scanner.metrics().unwrap();
        assert_eq!((rows, metrics.rpc_calls, metrics.regions_scanned), (1, 1, 1), "{scan:?}");
    }
}

#[tokio::test]
async fn a_batch_that_is_answered_in_parts_has_not_failed() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(PATIENCE).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    cluster.most_actions(2);
    let rows: Vec<usize> = (0..20).collect();
    let begin = Instant::now();
    let results = results_of(&table, &rows).await;
    for (at, row) in results.iter().enumerate() {
        assert!(is_expected(row.as_ref().unwrap(), at));
    }
    assert_eq!(cluster.multis(), 10);
    assert!(begin.elapsed() < PATIENCE);
    // nothing is executed any more
    cluster.most_actions(0);
    let error = results_of(&table, &[1]).await.remove(0).unwrap_err();
    assert!(error.message().contains("failed 2 times"), "{error}");
}

/// A region has moved, and back, and its first server opens it: each server knows only the last move that it
/// took part in.
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

/// One redirect is followed at once.
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

#[tokio::test]
async fn a_batch_waits_as_long_as_the_busiest_server_needs() {
    const PAUSE: Duration = Duration::from_millis(20);
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(PAUSE).overloaded_pause(5 * PAUSE).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    cluster.fail(row_key(1), Some(("CallQueueTooBigException", "later")));
    // of the other server, too, which answers before or after
    for row in [0, 3, 45] {
        cluster.fail(row_key(row), Some(("RetryImmediatelyException", "now")));
    }
    let begin = Instant::now();
    let results = results_of(&table, &[0, 1, 3, 45]).await;
    assert!(results.iter().all(Result::is_err));
    // five times as long as usual
    assert!(begin.elapsed() >= 5 * PAUSE, "{:?}", begin.elapsed());
    assert_eq!(cluster.multis(), 4);
}

#[tokio::test]
async fn a_quota_that_lasts_longer_than_the_operation_fails_its_action() {
    let cluster = Cluster::start().await;
    let builder = Client::builder().operation_timeout(Duration::from_secs(5));
    let client = builder.bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let text = "number of requests exceeded - wait 1hrs, 0mins, 0sec, 0ms";
    cluster.fail(row_key(1), Some(("quotas.RpcThrottlingException", text)));
    let results = results_of(&table, &[0, 1, 2]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert!(error.message().contains("RpcThrottlingException"), "{error}");
    assert_eq!(cluster.multis(), 1, "it is not tried again");
}

/// Servers refuse calls of more than 256 MiB.
#[tokio::test]
async fn a_large_batch_is_sent_in_several_calls() {
    let cluster = Cluster::start().await;
    let client = Client::builder().max_cell_size(0).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let put = |at: usize| Put::new(row_key(at)).cell("f", "q", vec![b'v'; 17 << 20]);
    let results = table.batch(&[put(0).into(), put(1).into()]).await;
    assert!(results.iter().all(Result::is_ok) && results.len() == 2);
    assert_eq!(cluster.multis(), 2);
}

/// A server would refuse all puts of its region.
#[tokio::test]
async fn a_put_that_is_too_long_fails_alone() {
    let cluster = Cluster::start().await;
    let client = Client::builder().max_cell_size(64).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    // 24 bytes, and 8 of the row, 1 of the family, 1 of the qualifier
    let put = |at: usize, len: usize| Put::new(row_key(at)).cell("f", "q", vec![b'v'; len]);
    let results = table.batch(&[put(0, 30).into(), put(1, 31).into(), put(2, 1).into()]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().kind(), hregion::ErrorKind::InvalidArgument);
    assert_eq!(cluster.multis(), 1);
    assert!(table.put(put(1, 30)).await.is_ok() && table.put(put(1, 31)).await.is_err());
    assert!(table.mutate_row(row_key(1), vec![put(1, 31).into()]).await.is_err());
}

#[tokio::test]
async fn conditional_writes_return_the_cells_of_increments() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let check = || {
        let check = CheckAndMutate::if_not_exists(row_key(6), "f", "none");
        check.then(Put::new(row_key(6)).cell("f", "p", "v"))
    };
    let counted = table.check_and_mutate(check().then(Increment::new(row_key(6)).column("f", "n", 1))).await;
    let counted = counted.unwrap();
    assert!(counted.success && !counted.cells.is_empty() && is_expected(&counted.cells, 6));
    // servers before 2.4 know the condition of these, too
    let plain = table.check_and_mutate(check().then(Delete::new(row_key(6)).column("f", "d"))).await;
    let plain = plain.unwrap();
    assert!(plain.success && plain.cells.is_empty());
}

/// Servers before 2.4 do not read the condition of an increment, and say so of puts and deletes only.
#[tokio::test]
async fn an_increment_without_its_condition_is_no_success() {
    let cluster = Cluster::start().await;
    cluster.be_old();
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let check = || CheckAndMutate::if_not_exists(row_key(6), "f", "none");
    let increment = || Increment::new(row_key(6)).column("f", "n", 5);
    let error = table.check_and_mutate(check().then(increment())).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("may be written without it"), "{error}");
    assert_eq!(cluster.counter(&row_key(6)), 5, "it is not repeated");
    table.increment(increment()).await.unwrap();
    let put = Put::new(row_key(6)).cell("f", "p", "v");
    assert!(table.check_and_mutate(check().then(put)).await.unwrap().success);
    let delete = Delete::new(row_key(6)).column("f", "d");
    assert!(table.check_and_mutate(check().then(delete)).await.unwrap().success);
}

/// A registry that answers nothing, and notes the time that it is given.
#[derive(Debug, Default)]
struct Silent(Mutex<Vec<Duration>>);

impl ConnectionRegistry for Silent {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        self.0.lock().unwrap().push(deadline.left());
        Err(Error::timed_out("read"))
    }

    fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
        Ok(None)
    }

    fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
        Ok(None)
    }
}

#[tokio::test]
async fn look_ups_have_the_time_of_an_operation() {
    let silent = Arc::new(Silent::default());
    let retries = RetryPolicy::no_retries().operation_timeout(OPERATION);
    let registry: Arc<dyn ConnectionRegistry> = Arc::<Silent>::clone(&silent);
    let client = Client::builder().retries(retries).registry(registry).unwrap();
    let table = TableName::parse("t").unwrap();
    assert_eq!(client.locate(&table, "r").await.unwrap_err().kind(), hregion::ErrorKind::Io);
    assert_eq!(client.regions(&table).await.unwrap_err().kind(), hregion::ErrorKind::Io);
    assert_eq!(client.check_enabled(&table).await.unwrap_err().kind(), hregion::ErrorKind::Io);
    let given = silent.0.lock().unwrap().clone();
    assert!(given.len() == 3 && given.iter().all(|given| *given <= OPERATION), "{given:?}");
}

/// Each look-up may take the time of a call.
#[tokio::test]
async fn a_catalog_that_does_not_answer_is_asked_once_for_several_rows() {
    let silent = Arc::new(Silent::default());
    let registry: Arc<dyn ConnectionRegistry> = Arc::<Silent>::clone(&silent);
    let client = Client::builder().retries(RetryPolicy::no_retries()).registry(registry).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let put = |at: usize| Put::new(row_key(at)).cell("f", "q", "v").into();
    let puts: Vec<hregion::Mutation> = (0..5).map(put).collect();
    for result in table.batch(&puts).await {
        assert_eq!(result.unwrap_err().kind(), hregion::ErrorKind::Io);
    }
    assert_eq!(silent.0.lock().unwrap().len(), 1);
}

/// Servers since 2.6 end a call that has read much, also if all of it is deleted: there may be rows after it.
#[tokio::test]
async fn a_search_of_the_catalog_goes_on_where_a_call_has_ended() {
    let cluster = Cluster::start().await;
    let table = TableName::parse("t").unwrap();
    let client = || {
        let builder = Client::builder().retries(RetryPolicy::no_retries());
        builder.bootstrap(&cluster.addresses()).unwrap()
    };
    cluster.end_searches(1);
    let found = client().locate(&table, row_key(150)).await.unwrap();
    assert!(found.region().contains(row_key(150).as_bytes()));
    cluster.end_searches(1);
    assert_eq!(client().regions(&table).await.unwrap().len(), 5);
    // the second call comes no further than the first one
    cluster.end_searches(2);
    let error = client().locate(&table, row_key(150)).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::Io);
    assert!(error.message().contains("comes to no row"), "{error}");
}

/// A registry whose first answers are errors.
#[derive(Debug)]
struct Flaky {
    cluster: RpcRegistry,
    failures: AtomicU64,
}

impl ConnectionRegistry for Flaky {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        let failing =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err(Error::timed_out("read"));
        }
        self.cluster.meta_region_locations(deadline)
    }

    fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>> {
        self.cluster.cluster_id(deadline)
    }

    fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>> {
        self.cluster.active_master(deadline)
    }
}

#[tokio::test]
async fn calls_to_all_regions_begin_again_if_the_catalog_is_not_found_at_once() {
    let cluster = Cluster::start().await;
    let table = TableName::parse("t").unwrap();
    for (failures, attempts, succeeds) in [(0, 1, true), (1, 1, false), (3, 4, true), (4, 4, false)] {
        let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(attempts);
        let builder = Client::builder().retries(retries.operation_timeout(PATIENCE));
        let connections = Arc::new(Connections::new(builder.connections.clone()));
        let runtime = tokio::runtime::Handle::current();
        let registry = RpcRegistry::new(&cluster.addresses(), connections, runtime, PATIENCE).unwrap();
        let flaky = Arc::new(Flaky { cluster: registry, failures: AtomicU64::new(failures) });
        let client = builder.registry(flaky).unwrap();
        let before = cluster.flushed();
        let flushed = client.flush_table(&table).await;
        assert_eq!(flushed.is_ok(), succeeds, "{failures} of {attempts}: {flushed:?}");
        let regions = if succeeds { client.regions(&table).await.unwrap().len() } else { 0 };
        assert_eq!(cluster.flushed() - before, regions);
    }
}

#[tokio::test]
async fn metrics_count_the_calls_and_regions_of_a_scan() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    assert_eq!(table.scan(Scan::new()).unwrap().metrics(), None);
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
    assert_eq!(scanner.metrics(), Some(crate::ScanMetrics::default()));
    let mut rows = 0;
    while scanner.next_row().await.unwrap().is_some() {
        rows += 1;
    }
    let metrics = scanner.metrics().unwrap();
    assert_eq!((rows, metrics.regions_scanned, metrics.rpc_retries), (ROWS, 5, 0));
    assert!(metrics.rpc_calls >= ROWS as u64 && metrics.bytes_in_results > 20 * ROWS as u64);
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
    // of the clients, and of the servers, which are in the same process
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        println!("at most {kib} KiB of memory");
        assert!(kib < MAX_KIB, "{kib} KiB of memory");
    }
}

/// The most memory that sessions of 128 clusters at a time may take.
const MAX_KIB: u64 = 256 << 10;
