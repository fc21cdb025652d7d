use super::*;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::filter::Filter;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::ThreadId;

/// Gets of `n` rows, in an order that differs from that of the rows.
fn gets(n: u8) -> Vec<Get> {
    (0..u16::from(n)).map(|i| Get::new([(i * 79 % u16::from(n)) as u8])).collect()
}

/// A read of a cell through a network.
fn slow_read(get: &Get, row: &mut RowBuf) -> Result<()> {
    thread::sleep(Duration::from_millis(1));
    row.clear();
    row.push(CellRef::new(&SeekKey::of(get.row(), b"f", b"q", 1, CellType::Put), b"value"));
    Ok(())
}

/// Reads rows by a function.
struct By<F>(Arc<F>);

impl<F> By<F> {
    fn new(read: F) -> Self {
        Self(Arc::new(read))
    }
}

impl<F: Fn(&Get, &mut RowBuf) -> Result<()> + Send + Sync + 'static> RowSource for By<F> {
    fn read(&self, get: &Get, row: &mut RowBuf) -> Result<()> {
        (self.0)(get, row)
    }

    fn share(&self) -> SharedRead {
        let read = Arc::clone(&self.0);
        Box::new(move |get, row| read(get, row))
    }
}

/// Reads rows slowly, and returns them and the threads that have read them.
fn read_by(threads: usize, gets: &[Get]) -> (Vec<Row>, HashSet<ThreadId>) {
    let by = Arc::new(Mutex::new(HashSet::new()));
    let read = {
        let by = Arc::clone(&by);
        move |get: &Get, row: &mut RowBuf| {
            by.lock().unwrap().insert(thread::current().id());
            slow_read(get, row)
        }
    };
    let rows = read_rows(gets, CellOrder::User, &GetThreads::new(threads), &By::new(read)).unwrap();
    // no thread uses anything of the call any more
    (rows, Arc::into_inner(by).unwrap().into_inner().unwrap())
}

#[test]
fn slow_gets_are_read_by_several_threads() {
    for n in [0, 1, 2, 3, 7, 97, 251] {
        let gets = gets(n);
        let (alone, by_one) = read_by(1, &gets);
        let (together, by) = read_by(4, &gets);
        assert_eq!(alone, together);
        assert!(alone.iter().map(Row::key).eq(gets.iter().map(Get::row)));
        assert!(by_one.len() <= 1 && by.len() <= 4, "{by_one:?} {by:?}");
        assert!(n < 7 || by.len() > 1, "{n} {by:?}");
    }
    assert_eq!(read_by(0, &gets(9)).1.len(), 1);
}

#[test]
fn the_first_error_is_returned() {
    for failing in [&[0][..], &[1, 90], &[40, 41, 42, 99], &[57, 23, 80], &[99], &[98, 97]] {
        let read = |get: &Get, row: &mut RowBuf| {
            let number = get.row()[0];
            if failing.contains(&number) {
                return Err(Error::invalid_argument(format!("row {number}")));
            }
            slow_read(get, row)
        };
        let error = read_rows(&gets(100), CellOrder::User, &GetThreads::new(4), &By::new(read)).unwrap_err();
        let first = failing.iter().min().unwrap();
        assert!(error.to_string().ends_with(&format!("row {first}")), "{error} {failing:?}");
    }
}

#[test]
fn a_panic_is_passed_on() {
    // on the calling thread, and on others
    for from in [0, 5, 50, 70, 99] {
        let left = Arc::new(());
        let read = {
            let held = Arc::clone(&left);
            move |get: &Get, row: &mut RowBuf| {
                assert!(
                    get.row()[0] < from,
                    "a panic that the caller sees, {}",
                    Arc::strong_count(&held) > 1
                );
                slow_read(get, row)
            }
        };
        let read = || read_rows(&gets(100), CellOrder::User, &GetThreads::new(4), &By::new(read));
        let panic = catch_unwind(AssertUnwindSafe(read)).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "a panic that the caller sees, true");
        assert_eq!(Arc::strong_count(&left), 1, "a thread still reads");
        assert_eq!(read_by(4, &gets(20)).0.len(), 20);
    }
}

/// Reads that read further rows, in all threads at once.
#[test]
fn gets_within_gets_end() {
    fn read_nested(level: usize, n: u8) -> Result<Vec<Row>> {
        let read: SharedRead = Box::new(move |get, row| {
            if level > 0 {
                let rows = read_nested(level - 1, 6)?;
                assert!(rows.iter().map(Row::key).eq(gets(6).iter().map(Get::row)));
            }
            slow_read(get, row)
        });
        read_rows(&gets(n), CellOrder::User, &GetThreads::new(3), &By::new(read))
    }
    thread::scope(|scope| {
        let callers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_nested(2, 12).unwrap())).collect();
        for caller in callers {
            assert!(caller.join().unwrap().iter().map(Row::key).eq(gets(12).iter().map(Get::row)));
        }
    });
}

#[test]
fn threads_help_if_they_save_time() {
    let threads = |micros, done, left| {
        let taken = Taken::after(Duration::from_micros(micros), done, left, 1000)?;
        Some((taken.0, std::ptr::eq(taken.1, &WAITERS)))
    };
    assert_eq!([threads(14, 8, 1000), threads(16, 16, 100), threads(8000, 8000, 60)], [None; 3]);
    // other tests may have taken the threads that gets without waits need
    let shared = [threads(20, 8, 960), threads(100, 100, 10_000), threads(198, 2, 1000)];
    assert!(shared.iter().flatten().all(|&(n, waits)| (1..cores()).contains(&n) && !waits), "{shared:?}");
    let most = |taken: Option<(usize, bool)>, most| {
        assert!(taken.is_none_or(|(n, waits)| (1..=most).contains(&n) && waits), "{taken:?}");
    };
    most(threads(100, 1, 99), MAX_HELPERS);
    most(threads(20_000, 1, 1000), MAX_HELPERS);
    most(threads(20_000, 1, 3), 2);
    assert_eq!([threads(20_000, 1, 1), threads(20_000, 1, 0)], [None; 2]);
    // before the first get, based on the times of earlier ones
    let before = |micros, gets, most| Taken::before(Duration::from_micros(micros), gets, most).map(|t| t.0);
    assert_eq!([before(0, 1000, 9), before(2, 50, 9), before(2, 1000, 0), before(100, 1000, 9)], [None; 4]);
    assert!(before(2, 1000, 9).is_none_or(|n| (1..cores()).contains(&n)));
}

#[test]
fn the_number_of_helping_threads_is_limited() {
    let helpers = Helpers::new(1, 1);
    let take = |wanted, limit| helpers.take(wanted, limit).0;
    let some = helpers.take(40, 64);
    let rest = helpers.take(40, 64);
    assert_eq!((some.0, rest.0, take(1, 64)), (40, 24, 0));
    drop(some);
    assert_eq!((take(50, 64), take(50, 30), take(50, 10)), (40, 6, 0));
    drop(rest);
    assert_eq!((take(0, 64), take(100, 64), take(3, 1)), (0, 64, 1));
}

#[test]
fn the_time_of_a_get_is_remembered() {
    let threads = GetThreads::new(4);
    threads.note(Duration::from_micros(300), 100, 2);
    assert_eq!(threads.last(), Duration::from_micros(6));
    threads.note(Duration::from_secs(1), STRIDE - 1, 1);
    assert_eq!(threads.last(), Duration::from_micros(6));
    threads.note(Duration::from_micros(700), 100, 1);
    assert_eq!(threads.last(), Duration::from_micros(6), "about the same");
    threads.note(Duration::from_micros(20), 100, 1);
    assert_eq!(threads.last(), Duration::from_nanos(200));
    // short gets are then read by several threads: tests have at least two processors
    let threads = GetThreads::new(2);
    threads.note(Duration::from_millis(1), 100, 1);
    let by = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&by);
    let read = By::new(move |get: &Get, row: &mut RowBuf| {
        seen.lock().unwrap().insert(thread::current().id());
        slow_read(get, row)
    });
    assert_eq!(read_rows(&gets(100), CellOrder::User, &threads, &read).unwrap().len(), 100);
    assert!((1..=2).contains(&by.lock().unwrap().len()));
    assert!(threads.last() >= Duration::from_millis(1));
}

/// Gets of different columns, next to each other, and gets of the same row.
#[test]
fn gets_are_the_same_in_other_threads() {
    let gets: Vec<Get> = (0..200_u8)
        .map(|i| match i % 5 {
            0 => Get::new([i / 3]).column("f", "q"),
            1 | 2 => Get::new([i / 3]),
            3 => Get::new([]),
            _ if i > 150 => Get::new([i]).filter(Filter::page(u64::from(i))),
            _ => Get::new(vec![i; usize::from(i)]).max_versions(i.into()),
        })
        .collect();
    let numbered = in_row_order(&gets, CellOrder::User);
    assert!(numbered.is_sorted_by_key(|&(i, get)| (get.row(), i)));
    let packed = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&packed);
    let read = By::new(move |get: &Get, row: &mut RowBuf| {
        seen.lock().unwrap().insert(format!("{get:?}"));
        slow_read(get, row)
    });
    let rows = read_rows(&gets, CellOrder::User, &GetThreads::new(4), &read).unwrap();
    assert!(rows.iter().map(Row::key).eq(gets.iter().map(Get::row)));
    assert_eq!(*packed.lock().unwrap(), gets.iter().map(|get| format!("{get:?}")).collect());
}
