//! Write numbers and read points, compared with sets.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

#[test]
fn a_write_waits_for_those_before_it() {
    let mvcc = Mvcc::new(5);
    let (first, second, third) = (mvcc.begin(), mvcc.begin(), mvcc.begin());
    assert_eq!([first.seq_id(), second.seq_id(), third.seq_id()], [6, 7, 8]);
    mvcc.complete(second);
    assert_eq!(mvcc.read_point(), 5);
    drop(first);
    assert_eq!(mvcc.read_point(), 7);
    mvcc.complete_and_wait(third);
    assert_eq!(mvcc.read_point(), 8);
}

#[test]
fn waiting_ends_when_the_write_before_ends() {
    let mvcc = Mvcc::new(0);
    let (first, second) = (mvcc.begin(), mvcc.begin());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            mvcc.complete_and_wait(second);
            done.store(true, Ordering::Relaxed);
        });
        thread::sleep(Duration::from_millis(5));
        assert!(!done.load(Ordering::Relaxed));
        mvcc.complete(first);
    });
    assert!(done.into_inner());
    assert_eq!(mvcc.read_point(), 2);
}

#[test]
fn a_shared_write_is_completed_by_another_thread_or_taken_back() {
    let mvcc = Arc::new(Mvcc::new(0));
    let (first, second) = (mvcc.begin().share(&mvcc), mvcc.begin().share(&mvcc));
    let second = second.unshare(&mvcc).unwrap();
    assert_eq!((second.seq_id(), mvcc.read_point()), (2, 0));
    thread::spawn(move || drop(first)).join().unwrap();
    assert_eq!(mvcc.read_point(), 1);
    mvcc.complete(second);
    assert_eq!((mvcc.read_point(), Arc::strong_count(&mvcc)), (2, 1));
}

#[test]
fn the_points_move_on_while_nothing_is_pending() {
    let mvcc = Mvcc::new(5);
    mvcc.advance_to(9).unwrap();
    assert_eq!((mvcc.read_point(), mvcc.begin().seq_id()), (9, 10));
    let write = mvcc.begin();
    mvcc.advance_to(11).unwrap();
    let pending = mvcc.advance_to(12).unwrap_err();
    assert!(pending.to_string().contains("1 writes are pending"), "{pending}");
    mvcc.complete(write);
    assert!(mvcc.advance_to(i64::MAX).unwrap_err().to_string().contains("beyond"));
    mvcc.advance_to(-1).unwrap();
    assert_eq!(mvcc.read_point(), 11);
    mvcc.advance_to(MAX_START).unwrap();
    assert_eq!(mvcc.begin().seq_id(), MAX_START + 1);
}

#[test]
fn read_points_in_use_hold_the_smallest_down() {
    let mvcc = Arc::new(Mvcc::new(1));
    assert_eq!(mvcc.smallest_read_point(), 1);
    let (one, seen) = mvcc.register(|number| number * 10);
    assert_eq!((one.get(), seen), (1, 10));
    drop(mvcc.begin());
    let (two, ()) = mvcc.register(|_| ());
    let (two_again, ()) = mvcc.register(|_| ());
    drop(mvcc.begin());
    assert_eq!((two.get(), mvcc.read_point(), mvcc.smallest_read_point()), (2, 3, 1));
    drop(two);
    drop(one);
    assert_eq!(mvcc.smallest_read_point(), 2);
    drop(two_again);
    assert_eq!(mvcc.smallest_read_point(), 3);
}

/// As with short scans beside a view that is kept for long.
#[test]
fn read_points_that_are_not_in_use_are_forgotten() {
    let mvcc = Arc::new(Mvcc::new(1));
    let oldest = mvcc.register(|_| ()).0;
    // The scans overlap: the last point is always in use.
    let mut scan = mvcc.register(|_| ()).0;
    for _ in 0..1_000 {
        drop(mvcc.begin());
        let (next, again) = (mvcc.register(|_| ()).0, mvcc.register(|_| ()).0);
        drop(scan);
        drop(again);
        scan = next;
        assert_eq!(mvcc.smallest_read_point(), 1);
        assert!(unpoisoned(mvcc.readers.lock()).points.len() <= 5);
    }
    drop(oldest);
    assert_eq!(mvcc.smallest_read_point(), scan.get());
    drop(scan);
    let readers = unpoisoned(mvcc.readers.lock());
    assert_eq!((readers.points.len(), readers.unused), (0, 0));
}

#[test]
fn a_panic_while_registering_releases_the_read_point() {
    let mvcc = Arc::new(Mvcc::new(1));
    let panic = catch_unwind(AssertUnwindSafe(|| mvcc.register(|_| panic!("as tests do"))));
    assert!(panic.is_err());
    drop(mvcc.begin());
    assert_eq!(mvcc.smallest_read_point(), 2);
}

#[test]
fn threads_see_whole_prefixes() {
    const WRITES: i64 = 4_000;
    let mvcc = Arc::new(Mvcc::new(0));
    let complete: Vec<_> = (0..=WRITES).map(|_| AtomicBool::new(false)).collect();
    let at = |i: i64| &complete[i as usize];
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..WRITES / 4 {
                    let write = mvcc.begin();
                    at(write.seq_id()).store(true, Ordering::Relaxed);
                    if i % 3 == 0 { mvcc.complete_and_wait(write) } else { mvcc.complete(write) }
                }
            });
        }
        let mut checked = 0;
        while checked < WRITES {
            let (point, ()) = mvcc.register(|_| ());
            assert!((checked + 1..=point.get()).all(|i| at(i).load(Ordering::Relaxed)));
            assert!(mvcc.smallest_read_point() <= point.get());
            checked = point.get();
        }
    });
    assert_eq!((mvcc.read_point(), mvcc.smallest_read_point()), (WRITES, WRITES));
}

proptest! {
    /// Compares with sets of numbers.
    #[test]
    fn it_agrees_with_sets_of_numbers(steps in proptest::collection::vec((0u8..5, 0usize..8), 0..80)) {
        let mvcc = Arc::new(Mvcc::new(0));
        let (mut writes, mut readers) = (Vec::new(), Vec::new());
        let (mut newest, mut pending) = (0, BTreeSet::new());
        for (step, i) in steps {
            match step {
                0 | 1 => {
                    let write = mvcc.begin();
                    newest += 1;
                    prop_assert_eq!(write.seq_id(), newest);
                    pending.insert(newest);
                    writes.push(write);
                }
                2 if i < writes.len() => {
                    let write = writes.swap_remove(i);
                    pending.remove(&write.seq_id());
                    mvcc.complete(write);
                }
                3 => readers.push(mvcc.register(|number| number).0),
                4 if i < readers.len() => drop(readers.swap_remove(i)),
                _ => {}
            }
            let read_point = pending.first().map_or(newest, |first| first - 1);
            prop_assert_eq!(mvcc.read_point(), read_point);
            let smallest = readers.iter().map(ReadPoint::get).chain([read_point]).min();
            prop_assert_eq!(Some(mvcc.smallest_read_point()), smallest);
        }
    }
}

#[test]
fn registered_points_are_those_in_use() {
    let mvcc = Arc::new(Mvcc::new(0));
    let register = || mvcc.register(|_| ()).0;
    let write = || mvcc.complete_and_wait(mvcc.begin());
    let (first, again) = (register(), register());
    write();
    let second = register();
    write();
    let third = register();
    assert_eq!(mvcc.registered_points(), [0, 1, 2]);
    drop(second);
    assert_eq!(mvcc.registered_points(), [0, 2]);
    drop((first, third));
    assert_eq!(mvcc.registered_points(), [0]);
    drop(again);
    assert!(mvcc.registered_points().is_empty());
}
