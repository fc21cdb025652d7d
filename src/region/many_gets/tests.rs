use super::*;
use crate::cell::{CellRef, CellType, SeekKey};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::ThreadId;

/// Gets of `n` rows, in another order than that of the rows.
fn gets(n: u8) -> Vec<Get> {
    (0..u16::from(n)).map(|i| Get::new([(i * 79 % u16::from(n)) as u8])).collect()
}

/// A read of a cell, by way of a network.
fn slow_read(get: &Get, row: &mut RowBuf) -> Result<()> {
    thread::sleep(Duration::from_millis(1));
    row.clear();
    row.push(CellRef::new(&SeekKey::of(get.row(), b"f", b"q", 1, CellType::Put), b"value"));
    Ok(())
}

/// Reads rows slowly, and returns them and the threads that have read.
fn read_by(threads: usize, gets: &[Get]) -> (Vec<Row>, HashSet<ThreadId>) {
    let by = Mutex::new(HashSet::new());
    let read = |get: &Get, row: &mut RowBuf| {
        by.lock().unwrap().insert(thread::current().id());
        slow_read(get, row)
    };
    let rows = read_rows(gets, CellOrder::User, threads, read).unwrap();
    (rows, by.into_inner().unwrap())
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
    for failing in [&[0][..], &[1, 90], &[40, 41, 42, 99], &[57, 23, 80]] {
        let read = |get: &Get, row: &mut RowBuf| {
            let number = get.row()[0];
            if failing.contains(&number) {
                return Err(Error::invalid_argument(format!("row {number}")));
            }
            slow_read(get, row)
        };
        let error = read_rows(&gets(100), CellOrder::User, 4, read).unwrap_err();
        let first = failing.iter().min().unwrap();
        assert!(error.to_string().ends_with(&format!("row {first}")), "{error} {failing:?}");
    }
}

#[test]
fn a_panic_is_passed_on() {
    let read = |get: &Get, row: &mut RowBuf| {
        assert!(get.row()[0] < 50, "a panic that the caller sees");
        slow_read(get, row)
    };
    let read = || read_rows(&gets(100), CellOrder::User, 4, read);
    let panic = catch_unwind(AssertUnwindSafe(read)).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a panic that the caller sees"));
    assert_eq!(read_by(4, &gets(20)).0.len(), 20);
}

#[test]
fn threads_are_started_if_they_save_time() {
    let threads = |micros, done, left| useful_threads(Duration::from_micros(micros), done, left);
    assert_eq!([threads(99, 8, 1000), threads(120, 40, 60), threads(8000, 8000, 900)], [1; 3]);
    assert_eq!([threads(120, 40, 960), threads(100, 100, 10_000), threads(198, 2, 1000)], [cores(); 3]);
    assert_eq!([threads(100, 1, 99), threads(20_000, 1, 1000)], [MAX_HELPERS; 2]);
    assert_eq!([threads(20_000, 1, 3), threads(20_000, 1, 1), threads(20_000, 1, 0)], [3, 1, 1]);
}

#[test]
fn the_number_of_helping_threads_is_limited() {
    let helpers = Helpers(AtomicUsize::new(0));
    let some = helpers.take(40);
    let rest = helpers.take(40);
    assert_eq!((some.0, rest.0, helpers.take(1).0), (40, MAX_HELPERS - 40, 0));
    drop(some);
    assert_eq!(helpers.take(50).0, 40);
    drop(rest);
    assert_eq!((helpers.take(0).0, helpers.take(100).0), (0, MAX_HELPERS));
}
