//! Mutations that read before they write, that depend on a condition, or that are applied together.

use hregion::{
    Append, CellRef, CheckAndMutate, Compare, Delete, Durability, ErrorKind, Family, Get, Increment,
    ManualClock, Mutation, Put, Region, Result, Row, Scan, TimeRange,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Creates a region of the rows from `a` to before `x`, with its clock at 1000. Returns it with the clock and
/// the directory.
fn region() -> (TempDir, Region, Arc<ManualClock>) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1000));
    let region = Region::options()
        .clock(Arc::clone(&clock) as _)
        .create_if_missing(true)
        .durability(Durability::SyncWal)
        .family(Family::new("f").max_versions(3))
        .family(Family::new("g"))
        .key_range("a", "x")
        .open(dir.path())
        .unwrap();
    (dir, region, clock)
}

fn shown(cell: CellRef<'_>) -> String {
    format!("{}={}", cell.key(), cell.value().escape_ascii())
}

fn cells(row: &Row) -> Vec<String> {
    row.cells().map(shown).collect()
}

fn get(region: &Region, row: &str) -> Vec<String> {
    cells(&region.get(&Get::new(row)).unwrap())
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Returns all stored cells, to check that nothing was written.
fn everything(region: &Region) -> Vec<String> {
    let view = region.view();
    let scan = Scan::new().raw(true).max_versions(u32::MAX);
    view.scan(&scan).unwrap().flat_map(|row| cells(&row.unwrap())).collect()
}

fn number(row: &Row, qualifier: &str) -> i64 {
    i64::from_be_bytes(row.value("f", qualifier).unwrap().try_into().unwrap())
}

#[test]
fn counters_count_and_time_does_not_go_back() {
    let (_dir, region, clock) = region();
    let counted = region.increment(Increment::new("r").column("f", "b", 5).column("f", "a", -1)).unwrap();
    // ordered by qualifier, not by insertion
    assert_eq!(counted.cells().map(|cell| cell.qualifier().to_vec()).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!((number(&counted, "a"), number(&counted, "b")), (-1, 5));
    assert!(counted.cells().all(|cell| cell.timestamp() == 1000 && cell.seq_id() > 0));
    region.flush().unwrap();
    clock.set(10);
    let counted = region.increment(Increment::new("r").column("f", "b", 7)).unwrap();
    assert_eq!((number(&counted, "b"), counted.cells().next().unwrap().timestamp()), (12, 1001));
    clock.set(5000);
    let silent = region.increment(Increment::new("r").column("f", "b", 1).return_results(false)).unwrap();
    assert!(silent.is_empty());
    assert_eq!(number(&region.get(&Get::new("r")).unwrap(), "b"), 13);
    // the value is after the time range, so it counts as missing
    let early = Increment::new("r").column("f", "b", 2).time_range(TimeRange::new(0, 1000).unwrap());
    assert_eq!(number(&region.increment(early).unwrap(), "b"), 2);
    // both start from the same old value; the later one is stored
    let twice = region.increment(Increment::new("r").column("f", "c", 3).column("f", "c", 4)).unwrap();
    assert_eq!(twice.len(), 2);
    assert_eq!(number(&region.get(&Get::new("r").column("f", "c")).unwrap(), "c"), 4);
}

#[test]
fn values_grow_and_keep_their_tags() {
    let (_dir, region, clock) = region();
    region.put(Put::new("r").cell("f", "q", "old").ttl(Duration::from_millis(100))).unwrap();
    clock.set(1050);
    let append = || Append::new("r").column("g", "", "new").column("f", "q", "new");
    assert_eq!(cells(&region.append(append()).unwrap()), ["r/f:q/1050/Put=oldnew", "r/g:/1050/Put=new"]);
    let ttl = |region: &Region| -> Vec<Vec<u8>> {
        let row = region.get(&Get::new("r").column("f", "q")).unwrap();
        row.cells().flat_map(|cell| cell.tags().map(|tag| tag.value.to_vec())).collect()
    };
    assert_eq!(ttl(&region), [100i64.to_be_bytes()]);
    region.append(append().ttl(Duration::from_millis(200))).unwrap();
    assert_eq!(ttl(&region), [200i64.to_be_bytes()]);
    // an expired value counts as missing
    clock.set(1300);
    assert_eq!(cells(&region.append(append()).unwrap())[0], "r/f:q/1300/Put=new");
}

/// As in HBase, a time to live of `i64::MAX` adds no tag, and does not remove an existing one.
#[test]
fn the_greatest_time_to_live_is_none() {
    let (_dir, region, clock) = region();
    region
        .put(
            Put::new("r")
                .cell("f", "q", "old")
                .cell("f", "n", 1u64.to_be_bytes().to_vec())
                .ttl(Duration::MAX),
        )
        .unwrap();
    region.mutate_row("r", vec![Put::new("r").cell("g", "q", "old").ttl(Duration::MAX).into()]).unwrap();
    region.put(Put::new("r").cell("g", "n", "short").ttl(Duration::from_millis(500))).unwrap();
    clock.set(1400);
    let row = region.get(&Get::new("r")).unwrap();
    assert_eq!(row.cells().map(|cell| cell.tags().count()).collect::<Vec<_>>(), [0, 0, 1, 0]);
    let appended = region.append(Append::new("r").column("f", "q", "er").ttl(Duration::MAX)).unwrap();
    assert_eq!(cells(&appended), ["r/f:q/1400/Put=older"]);
    let counted = region.increment(Increment::new("r").column("f", "n", 2).ttl(Duration::MAX)).unwrap();
    assert_eq!(number(&counted, "n"), 3);
    region.append(Append::new("r").column("g", "n", "er").ttl(Duration::MAX)).unwrap();
    let row = region.get(&Get::new("r").column("g", "n")).unwrap();
    assert_eq!(row.cells().next().unwrap().tags().count(), 1);
    // any smaller time to live is added to the timestamp, saturating
    region.put(Put::new("r").cell("f", "q", "long").ttl(Duration::from_millis(i64::MAX as u64 - 1))).unwrap();
    assert_eq!(cells(&region.get(&Get::new("r").column("f", "q")).unwrap()), ["r/f:q/1400/Put=long"]);
}

/// The new value would have the timestamp `i64::MAX`, which no read returns: HBase acknowledges the write.
#[test]
fn nothing_is_added_to_a_value_with_the_greatest_timestamp() {
    let (_dir, region, _) = region();
    let last = i64::MAX - 2;
    let put = Put::new("r").cell_at("f", "n", last, 1i64.to_be_bytes().to_vec()).cell_at("f", "s", last, "a");
    region.put(put).unwrap();
    let add = || region.increment(Increment::new("r").column("f", "n", 1));
    let append = || region.append(Append::new("r").column("f", "s", "b"));
    assert_eq!((number(&add().unwrap(), "n"), append().unwrap().len()), (2, 1));
    for is_flushed in [false, true] {
        let before = everything(&region);
        for error in [add().unwrap_err(), append().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains("timestamp"), "{error}");
        }
        assert_eq!(everything(&region), before);
        let row = region.get(&Get::new("r")).unwrap();
        assert_eq!((number(&row, "n"), row.value("f", "s")), (2, Some(&b"ab"[..])));
        if !is_flushed {
            region.flush().unwrap();
        }
    }
}

#[test]
fn failed_mutations_change_nothing() {
    let (_dir, region, _) = region();
    region.put(Put::new("r").cell("f", "text", "seven").cell("f", "empty", "")).unwrap();
    let before = everything(&region);
    let increment = |row: &'static str| Increment::new(row);
    assert_eq!(
        kind(region.increment(increment("r").column("f", "new", 1).column("f", "text", 1))),
        ErrorKind::NotACounter
    );
    assert_eq!(kind(region.increment(increment("r").column("f", "empty", 1))), ErrorKind::NotACounter);
    assert_eq!(
        kind(region.increment(increment("r").column("f", "a", 1).column("h", "a", 1))),
        ErrorKind::NoSuchFamily
    );
    // the row is checked before the family
    assert_eq!(kind(region.increment(increment("x").column("h", "a", 1))), ErrorKind::WrongRegion);
    assert_eq!(kind(region.increment(increment("r"))), ErrorKind::InvalidArgument);
    assert_eq!(kind(region.append(Append::new("r"))), ErrorKind::InvalidArgument);
    assert_eq!(kind(region.append(Append::new("A").column("f", "q", "v"))), ErrorKind::WrongRegion);

    let put = || Put::new("r").cell("f", "q", "v");
    let mutate = |mutations: Vec<Mutation>| kind(region.mutate_row("r", mutations));
    assert_eq!(mutate(vec![]), ErrorKind::InvalidArgument);
    assert_eq!(
        mutate(vec![put().into(), Put::new("s").cell("f", "q", "v").into()]),
        ErrorKind::InvalidArgument
    );
    assert_eq!(mutate(vec![put().into(), Delete::new("r").family("h").into()]), ErrorKind::NoSuchFamily);
    assert_eq!(
        mutate(vec![put().into(), increment("r").column("f", "text", 1).into()]),
        ErrorKind::NotACounter
    );

    let check = |family: &'static str, row: &'static str| CheckAndMutate::if_not_exists(row, family, "q");
    // the family of the condition is checked before the row
    let put_x = || Put::new("x").cell("h", "q", "v");
    assert_eq!(kind(region.check_and_mutate(check("h", "x").then(put_x()))), ErrorKind::NoSuchFamily);
    assert_eq!(kind(region.check_and_mutate(check("f", "x").then(put_x()))), ErrorKind::WrongRegion);
    assert_eq!(kind(region.check_and_mutate(check("f", "r"))), ErrorKind::InvalidArgument);
    assert_eq!(kind(region.check_and_mutate(check("f", "r").then(put_x()))), ErrorKind::InvalidArgument);
    // families of mutations are checked after the condition is met
    let put_h = || Put::new("r").cell("f", "q", "v").cell("h", "q", "v");
    assert_eq!(kind(region.check_and_mutate(check("f", "r").then(put_h()))), ErrorKind::NoSuchFamily);
    let wrong = CheckAndMutate::if_equals("r", "f", "text", "eight").then(put_h());
    assert!(!region.check_and_mutate(wrong).unwrap().success);
    assert_eq!(everything(&region), before);
}

#[test]
fn a_value_has_a_greatest_length() {
    let (_dir, region, _) = region();
    let half = vec![b'x'; 6 << 20];
    region.append(Append::new("r").column("f", "q", half.clone())).unwrap();
    assert_eq!(kind(region.append(Append::new("r").column("f", "q", half))), ErrorKind::InvalidArgument);
    assert_eq!(region.get(&Get::new("r")).unwrap().value("f", "q").unwrap().len(), 6 << 20);
}

#[test]
fn mutations_of_a_row_are_made_at_once() {
    let (_dir, region, _) = region();
    region.put(Put::new("r").cell_at("f", "a", 5, "old").cell_at("f", "n", 5, vec![0; 8])).unwrap();
    let before = region.view();
    let answer = region
        .mutate_row(
            "r",
            vec![
                Delete::new("r").version("f", "a").into(),
                // reads the row as it was before the delete
                Append::new("r").column("f", "a", "+").into(),
                Put::new("r").cell_at("g", "p", 7, "first").into(),
                Put::new("r").cell_at("g", "p", 7, "second").into(),
                Increment::new("r").column("f", "n", 1).return_results(false).into(),
            ],
        )
        .unwrap();
    assert_eq!(cells(&answer), ["r/f:a/1000/Put=old+"]);
    assert_eq!(get(&region, "r")[0], "r/f:a/1000/Put=old+");
    assert_eq!(get(&region, "r")[2], "r/g:p/7/Put=second");
    assert_eq!(everything(&region).len(), 6);
    let after = region.view();
    assert_eq!(after.read_point(), before.read_point() + 1);
    assert_eq!(before.get(&Get::new("r")).unwrap().value("f", "a"), Some(&b"old"[..]));
}

/// Each marker was compared with all before it, and each column of an increment was moved for those after it,
/// with the row locked: that took minutes.
#[test]
fn many_columns_are_read_before_they_are_written() {
    const MANY: usize = 100_000;
    let (_dir, region, _) = region();
    let put = Put::new("r").cell_at("f", "q7", 5, "newest").cell_at("f", "q7", 4, "older");
    region.put(put.cell_at("f", "q8", 5, "only").cell_at("f", "p", 5, "another")).unwrap();
    let columns = || (0..MANY).rev().map(|n| format!("q{n}"));
    let delete = columns().fold(Delete::new("r"), |delete, column| delete.version("f", column));
    // The second version of the column.
    region.delete(delete.version("f", "q7")).unwrap();
    assert_eq!(get(&region, "r"), ["r/f:p/5/Put=another"]);

    let counted = columns().fold(Increment::new("c"), |counted, column| counted.column("g", column, 2));
    let counted = region.increment(counted.column("f", "n", 3)).unwrap();
    assert_eq!((counted.cells().count(), number(&counted, "n")), (MANY + 1, 3));
}

#[test]
fn conditions() {
    let (_dir, region, clock) = region();
    region.put(Put::new("r").cell_at("f", "q", 2000, "b").cell_at("f", "q", 500, "a")).unwrap();
    let check = |compare, value: &'static str| {
        let check = CheckAndMutate::if_matches("r", "f", "q", compare, value);
        region.check_and_mutate(check.then(Put::new("r").cell("g", "q", value))).unwrap().success
    };
    // the given value is the left operand
    assert!(check(Compare::Less, "a") && !check(Compare::Greater, "a") && check(Compare::Equal, "b"));
    // the timestamp is not before the checked cell's
    assert_eq!(get(&region, "r"), ["r/f:q/2000/Put=b", "r/g:q/2000/Put=b"]);

    let range = TimeRange::new(0, 1000).unwrap();
    let old = CheckAndMutate::if_equals("r", "f", "q", "a");
    assert!(!region.check_and_mutate(old.clone().then(Delete::new("r"))).unwrap().success);
    clock.set(3000);
    let old = old.time_range(range).then(Delete::new("r").column("g", "q"));
    let done = region.check_and_mutate(old.then(Append::new("r").column("f", "q", "c"))).unwrap();
    assert_eq!((done.success, cells(&done.cells)), (true, vec!["r/f:q/3000/Put=bc".to_owned()]));
    assert_eq!(get(&region, "r"), ["r/f:q/3000/Put=bc"]);
}

/// As in HBase. The calls' documentation says how to avoid it.
#[test]
fn timestamps_and_not_the_order_of_calls_decide() {
    let (_dir, region, _) = region();
    let succeeds = |check: CheckAndMutate| region.check_and_mutate(check).unwrap().success;
    let owner = |name: &'static str| Put::new("r").cell("f", "owner", name);
    let acquire = |name| succeeds(CheckAndMutate::if_not_exists("r", "f", "owner").then(owner(name)));
    assert!(acquire("a") && !acquire("b"));
    assert!(succeeds(CheckAndMutate::if_equals("r", "f", "owner", "a").then(owner(""))));
    assert!(acquire("b") && !acquire("c"));
    region.delete(Delete::new("r").column("f", "owner")).unwrap();
    assert!(acquire("c") && acquire("d") && get(&region, "r").is_empty());

    let replaced = |delete: Delete| {
        region.mutate_row("s", vec![delete.into(), Put::new("s").cell("f", "q", "v").into()]).unwrap();
        get(&region, "s")
    };
    assert_eq!(replaced(Delete::new("s").timestamp(999)), ["s/f:q/1000/Put=v"]);
    assert!(replaced(Delete::new("s")).is_empty());

    region.put(Put::new("t").cell_at("f", "q", 5000, "job")).unwrap();
    assert!(succeeds(CheckAndMutate::if_equals("t", "f", "q", "job").then(Delete::new("t"))));
    assert_eq!(get(&region, "t"), ["t/f:q/5000/Put=job"]);

    let set = |count: i64| Put::new("u").cell("f", "n", count.to_be_bytes().to_vec());
    let counted = || number(&region.get(&Get::new("u")).unwrap(), "n");
    for _ in 0..3 {
        region.increment(Increment::new("u").column("f", "n", 1)).unwrap();
    }
    region.put(set(0)).unwrap();
    assert_eq!(counted(), 3);
    let three = 3_i64.to_be_bytes().to_vec();
    assert!(succeeds(CheckAndMutate::if_equals("u", "f", "n", three).then(set(0))));
    assert_eq!(counted(), 0);
}

#[test]
fn a_batch_applies_its_valid_mutations() {
    let (_dir, region, _) = region();
    region.put(Put::new("c").cell_at("f", "q", 5, "v").cell_at("f", "q", 4, "older")).unwrap();
    let results = region.batch(vec![
        Put::new("b").cell("f", "q", "v").into(),
        Put::new("x").cell("f", "q", "v").into(),
        Put::new("b").cell("h", "q", "v").into(),
        Increment::new("b").column("f", "q", 1).into(),
        // both read the row as it was before the batch
        Delete::new("c").version("f", "q").into(),
        Delete::new("c").version("f", "q").into(),
        Put::new("").cell("f", "q", "v").into(),
        Put::new("b").cell("f", "q", "later").into(),
    ]);
    let kinds: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.kind())).collect();
    let invalid = Some(ErrorKind::InvalidArgument);
    let (region_, family) = (Some(ErrorKind::WrongRegion), Some(ErrorKind::NoSuchFamily));
    assert_eq!(kinds, [None, region_, family, invalid, None, None, invalid, None]);
    assert_eq!(get(&region, "b"), ["b/f:q/1000/Put=later"]);
    assert_eq!(get(&region, "c"), ["c/f:q/4/Put=older"]);
    assert!(region.batch(vec![]).is_empty());
    let point = region.view().read_point();
    assert!(region.batch(vec![Put::new("b").into()])[0].is_err());
    assert_eq!(region.view().read_point(), point);
}

#[test]
fn a_region_that_is_read_only_takes_nothing() {
    let (dir, region, _) = region();
    region.put(Put::new("r").cell("f", "q", "v")).unwrap();
    region.flush().unwrap();
    drop(region);
    let region = Region::open(dir.path()).unwrap();
    let put = || Put::new("r").cell("f", "q", "w");
    let batch = region.batch(vec![put().into(), put().into()]);
    assert_eq!(batch.len(), 2);
    let check = CheckAndMutate::if_not_exists("r", "f", "n").then(put());
    for result in batch.into_iter().chain([
        region.increment(Increment::new("r").column("f", "n", 1)).map(drop),
        region.append(Append::new("r").column("f", "q", "w")).map(drop),
        region.mutate_row("r", vec![put().into()]).map(drop),
        region.check_and_mutate(check).map(drop),
    ]) {
        let error = result.unwrap_err();
        assert!(error.message().contains("open for reading only"), "{error}");
    }
    assert_eq!(region.get(&Get::new("r")).unwrap().value("f", "q"), Some(&b"v"[..]));
}

#[test]
fn increments_of_many_threads_add_up() {
    const TIMES: i64 = 300;
    let (_dir, region, _) = region();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let flushing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                region.flush().unwrap();
                thread::yield_now();
            }
        });
        let counting: Vec<_> = (1..=4)
            .map(|amount| {
                let region = &region;
                scope.spawn(move || {
                    let mut last = 0;
                    for _ in 0..TIMES {
                        let counted = Increment::new("r").column("f", "n", amount).column("g", "n", 1);
                        let sum = number(&region.increment(counted).unwrap(), "n");
                        assert!(sum > last);
                        last = sum;
                        // other rows, in one batch
                        let rows = ["b", "c", "d"].map(|row| Put::new(row).cell("f", "q", "v").into());
                        assert!(region.batch(rows.into()).iter().all(Result::is_ok));
                    }
                })
            })
            .collect();
        counting.into_iter().for_each(|thread| thread.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        flushing.join().unwrap();
    });
    let row = region.get(&Get::new("r")).unwrap();
    assert_eq!(number(&row, "n"), TIMES * (1 + 2 + 3 + 4));
    assert_eq!(row.value("g", "n"), Some(&(4 * TIMES).to_be_bytes()[..]));
}

#[test]
fn one_of_many_wins_a_race() {
    const ROUNDS: usize = 200;
    let (_dir, region, _) = region();
    for round in 0..ROUNDS {
        let winners = AtomicUsize::new(0);
        let row = format!("row-{round}");
        thread::scope(|scope| {
            for thread in 0..4 {
                let (region, winners, row) = (&region, &winners, &row);
                scope.spawn(move || {
                    let name = format!("{thread}");
                    let check = CheckAndMutate::if_not_exists(row.clone(), "f", "owner");
                    let put = Put::new(row.clone()).cell("f", "owner", name.clone());
                    let won = Increment::new(row.clone()).column("g", "won", 1);
                    let result = region.check_and_mutate(check.then(put).then(won)).unwrap();
                    if result.success {
                        winners.fetch_add(1, Ordering::Relaxed);
                        let owner = region.get(&Get::new(row).column("f", "owner")).unwrap();
                        assert_eq!(owner.value("f", "owner"), Some(name.as_bytes()));
                    }
                });
            }
        });
        assert_eq!(winners.into_inner(), 1, "{row}");
        let won = region.get(&Get::new(&row).column("g", "won")).unwrap();
        assert_eq!(won.value("g", "won"), Some(&1i64.to_be_bytes()[..]));
    }
}
