//! Processes that write to a region in HDFS, and are killed.

use crate::hdfs_writes::{client, fresh, open_in};
use crate::history::{Rows, Step, expect_locked, put, rows};
use crate::locks::LOCK;
use hregion::{ErrorKind, Storage as _};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "hdfs_kills::a_process_that_is_killed";

/// Starts this test in another process, which writes to a region until it is killed.
fn start_child(dir: &Path, seed: u64, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", CHILD])
        .env("HREGION_KILLED", format!("{seed} {from} {}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// The process started by [`start_child`]. Run separately, it does nothing.
#[test]
#[ignore = "needs a server"]
fn a_process_that_is_killed() {
    let Ok(given) = std::env::var("HREGION_KILLED") else { return };
    let mut words = given.splitn(3, ' ');
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let (seed, from) = (number(), number());
    let dir = PathBuf::from(words.next().unwrap());
    let region = open_in(client(), &dir).unwrap();
    println!("\nopen");
    for number in from.. {
        println!("begin {number}");
        Step::number(seed, number).run(&region).unwrap();
        println!("done {number}");
    }
}

#[test]
#[ignore = "needs a server"]
fn no_acknowledged_write_is_lost_when_the_process_is_killed() {
    const KILLS: u64 = 24;
    const SEED: u64 = 7;
    let (dir, storage) = (fresh("killed"), client());
    open_in(storage.clone(), &dir).unwrap().close().unwrap();
    let (mut model, mut next, mut steps) = (Rows::new(), 0, 0);
    for kill in 0..KILLS {
        let mut child = start_child(&dir, SEED, next);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_open = |line: &io::Result<String>| line.as_ref().unwrap() == "open";
        assert!(lines.by_ref().any(|line| is_open(&line)), "kill {kill}");
        let id = child.id().to_string();
        // Some are killed at the start of a step, others within it.
        let wait = Duration::from_millis(kill * 97 % 1300);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(wait);
            assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
        });
        let (mut done, mut begun) = (None, None);
        for line in lines.map_while(io::Result::ok) {
            match line.split_once(' ') {
                Some(("begin", number)) => begun = number.parse::<u64>().ok(),
                Some(("done", number)) => done = number.parse::<u64>().ok(),
                _ => {}
            }
        }
        killer.join().unwrap();
        assert!(!child.wait().unwrap().success());
        let first = next;
        for number in first..done.map_or(first, |done| done + 1) {
            Step::number(SEED, number).apply(&mut model);
            steps += 1;
        }
        storage.end_writing(&dir.join(LOCK)).unwrap();
        let region = open_in(storage.clone(), &dir).unwrap();
        let found = rows(&region);
        next = done.map_or(first, |done| done + 1);
        if found != model {
            let begun = begun.filter(|begun| Some(*begun) != done).expect("a step had begun");
            Step::number(SEED, begun).apply(&mut model);
            assert_eq!(found, model, "kill {kill}");
        }
        next = begun.map_or(next, |begun| next.max(begun + 1));
        region.close().unwrap();
    }
    println!("{KILLS} kills, {steps} steps");
    assert!(steps > KILLS);
}

/// A living process keeps its lock, however long it is idle. The lock of a killed process becomes free when
/// its lease expires.
#[test]
#[ignore = "needs a server"]
fn a_lock_lasts_as_long_as_its_process() {
    let (idle, killed) = (fresh("idle"), fresh("stopped"));
    let (first, second) = (client(), client());
    let region = open_in(first, &idle).unwrap();
    region.put(put("a", "1")).unwrap();
    open_in(second.clone(), &killed).unwrap().close().unwrap();
    let mut child = start_child(&killed, 11, 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(io::Result::ok);
    assert!(lines.by_ref().any(|line| line == "done 3"));
    child.kill().unwrap();
    child.wait().unwrap();
    let since = Instant::now();
    let recovered = loop {
        match open_in(second.clone(), &killed) {
            Ok(region) => break region,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "{error}"),
        }
        assert!(since.elapsed() < Duration::from_secs(120));
        expect_locked(open_in(second.clone(), &idle));
        std::thread::sleep(Duration::from_secs(3));
    };
    assert!(since.elapsed() > Duration::from_secs(25), "{:?}", since.elapsed());
    let (mut model, mut next) = (Rows::new(), 0);
    let found = rows(&recovered);
    // It may have completed more steps before it died.
    while next < 4 || next < 10_000 && found != model {
        Step::number(11, next).apply(&mut model);
        next += 1;
    }
    assert!(found == model, "{found:?} is after no number of steps");
    recovered.close().unwrap();
    while since.elapsed() < Duration::from_secs(75) {
        expect_locked(open_in(second.clone(), &idle));
        std::thread::sleep(Duration::from_secs(5));
    }
    region.put(put("b", "2")).unwrap();
    region.flush().unwrap();
    region.close().unwrap();
    assert_eq!(rows(&open_in(second, &idle).unwrap()).len(), 2);
}
