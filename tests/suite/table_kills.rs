//! A process is killed while threads write to a table and another one flushes, compacts, splits, merges and
//! takes snapshots: no acknowledged write is lost, no row is torn, nothing deleted reappears, and the table
//! can be opened.
//!
//! The process prints its acknowledged writes before it is killed. `HREGION_OPS` sets the number of kills,
//! `HREGION_SEED` the seed, which is random by default.
#![cfg(unix)]

use crate::support::child::{Child, tell};
use crate::support::random_ops::{fresh_seed, number, say};
use crate::support::rng::Rng;
use hregion::{
    CheckAndMutate, Clock, Compaction, Delete, Durability, ErrorKind, Family, Increment, Mutation, Put,
    Region, Result, Scan, Table,
};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FAMILIES: [&str; 2] = ["f", "g"];
const WRITERS: u64 = 3;
/// The rows of a writer, spread over all regions.
const ROWS: usize = 8;

/// The newest values, by row, family and qualifier.
type State = BTreeMap<(String, &'static str, &'static str), String>;

fn row(writer: u64, row: usize) -> String {
    format!("{row}-{writer}")
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(usize),
    /// A put into one family and a delete in the other.
    Mutate(usize),
    Batch(usize),
    DeleteRow(usize),
    DeleteFamily(usize),
    Increment(usize),
    /// Puts if there is no value.
    Check(usize),
}

/// Returns a write by its number: the same in the killed process and in the checking one.
fn write_of(writer: u64, number: u64) -> Op {
    let mut rng = Rng::new((number * WRITERS + writer).wrapping_mul(0x9e37));
    let row = rng.below(ROWS);
    match rng.below(14) {
        0..5 => Op::Put(row),
        5..7 => Op::Mutate(row),
        7..9 => Op::Batch(row),
        9 => Op::DeleteRow(row),
        10 => Op::DeleteFamily(row),
        11..13 => Op::Increment(row),
        _ => Op::Check(row),
    }
}

fn put(row: String, number: u64) -> Put {
    let put = |put: Put, family: &&'static str| put.cell(*family, "q", number.to_string());
    FAMILIES.iter().fold(Put::new(row), put)
}

/// Makes a write.
fn write(table: &Table, writer: u64, number: u64) -> Result<()> {
    match write_of(writer, number) {
        Op::Put(at) => table.put(put(row(writer, at), number)),
        Op::Mutate(at) => {
            let row = row(writer, at);
            let put = Put::new(row.clone()).cell("f", "q", number.to_string());
            table.mutate_row(row.clone(), vec![put.into(), Delete::new(row).family("g").into()]).map(drop)
        }
        Op::Batch(at) => {
            let rows = [at, (at + ROWS / 2) % ROWS].map(|at| Mutation::from(put(row(writer, at), number)));
            table.batch(rows.into()).into_iter().collect()
        }
        Op::DeleteRow(at) => table.delete(Delete::new(row(writer, at))),
        Op::DeleteFamily(at) => table.delete(Delete::new(row(writer, at)).family("f")),
        Op::Increment(at) => table.increment(Increment::new(row(writer, at)).column("g", "n", 1)).map(drop),
        Op::Check(at) => {
            let row = row(writer, at);
            let check = CheckAndMutate::if_not_exists(row.clone(), "f", "q").then(put(row, number));
            table.check_and_mutate(check).map(drop)
        }
    }
}

/// Applies a write to a state.
fn apply(state: &mut State, writer: u64, number: u64) {
    let has = |state: &State, at: usize| state.contains_key(&(row(writer, at), "f", "q"));
    let put = |state: &mut State, at: usize| {
        for family in FAMILIES {
            state.insert((row(writer, at), family, "q"), number.to_string());
        }
    };
    match write_of(writer, number) {
        Op::Put(at) => put(state, at),
        Op::Batch(at) => [at, (at + ROWS / 2) % ROWS].into_iter().for_each(|at| put(state, at)),
        Op::Mutate(at) => {
            state.retain(|(of, family, _), _| *of != row(writer, at) || *family != "g");
            state.insert((row(writer, at), "f", "q"), number.to_string());
        }
        Op::DeleteRow(at) => state.retain(|(of, ..), _| *of != row(writer, at)),
        Op::DeleteFamily(at) => {
            state.retain(|(of, family, _), _| *of != row(writer, at) || *family != "f");
        }
        Op::Increment(at) => {
            let sum = state.entry((row(writer, at), "g", "n")).or_insert_with(|| "0".to_owned());
            *sum = (sum.parse::<u64>().unwrap() + 1).to_string();
        }
        Op::Check(at) if !has(state, at) => put(state, at),
        Op::Check(_) => {}
    }
}

/// A clock of microseconds that never returns the same time twice: a delete also hides what is written later
/// in the same unit of time.
#[derive(Debug, Default)]
struct UniqueClock(AtomicI64);

impl Clock for UniqueClock {
    fn now(&self) -> i64 {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        self.0.fetch_max(now, Ordering::AcqRel);
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

fn open(root: &Path, durability: Durability) -> Result<Table> {
    let clock = Arc::new(UniqueClock::default());
    let options = || {
        Region::options().durability(durability).writable(true).clock(Arc::clone(&clock) as Arc<dyn Clock>)
    };
    match Table::open_with(root, "t", options()) {
        Err(error) if error.kind() == ErrorKind::TableNotFound => {
            Table::create_with(root, "t", &FAMILIES.map(Family::new), &["4"], options())
        }
        opened => opened,
    }
}

/// Changes files and regions until the process is killed.
fn maintain(table: &Table, mut rng: Rng) {
    let refused = |done: Result<()>| match done {
        Err(error) if !matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidArgument) => {
            panic!("{error}")
        }
        _ => {}
    };
    loop {
        let row = row(rng.next() % WRITERS, rng.below(ROWS));
        match rng.below(10) {
            0..3 => table.flush().unwrap(),
            3..5 => table.compact(Compaction::Major).unwrap(),
            5 => table.compact(Compaction::Minor).unwrap(),
            6 if table.regions().len() < 4 => refused(table.split(&row).map(drop)),
            7 => {
                if let [first, second, ..] = &table.regions()[..] {
                    refused(table.merge(first, second).map(drop));
                }
            }
            8 => drop(table.archive_parents().unwrap()),
            _ => {
                let name = format!("s{}", rng.next());
                tell(&format!("snapshot {name}"));
                table.snapshot(&name).unwrap();
                tell(&format!("taken {name}"));
            }
        }
        thread::sleep(Duration::from_micros(rng.next() % 2_000));
    }
}

/// The process to be killed: prints `begin WRITER NUMBER` before each write and `done WRITER NUMBER` after
/// it.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn child() {
    let Some(root) = env::var_os("HREGION_KILL_DIR").map(PathBuf::from) else { return };
    let of_env = |name: &str| env::var(name).unwrap();
    let durability =
        [Durability::FsyncWal, Durability::SyncWal][usize::from(of_env("HREGION_KILL_SYNC") == "1")];
    let firsts: Vec<u64> =
        of_env("HREGION_KILL_FIRST").split(',').map(|first| first.parse().unwrap()).collect();
    let table = &open(&root, durability).unwrap();
    tell("open");
    thread::scope(|scope| {
        for (writer, first) in (0..).zip(&firsts) {
            scope.spawn(move || {
                for number in *first.. {
                    tell(&format!("begin {writer} {number}"));
                    write(table, writer, number).unwrap();
                    tell(&format!("done {writer} {number}"));
                }
            });
        }
        maintain(table, Rng::new(firsts.iter().sum()));
    });
}

/// The writes of a writer, according to the process's output.
#[derive(Default)]
struct Writer {
    /// The state after the last write that was acknowledged before the process was started, and the states
    /// after each later write, acknowledged or begun.
    states: Vec<State>,
    /// The number of acknowledged states. At most one more exists.
    done: usize,
    next: u64,
}

/// A snapshot, with the numbers of states of each writer that were acknowledged before it began.
struct Snapshot {
    name: String,
    before: Vec<usize>,
    /// The numbers of states that had begun when it was acknowledged.
    taken: Option<Vec<usize>>,
}

/// The writers and snapshots while one process runs.
struct Ledger {
    writers: Vec<Writer>,
    snapshots: Vec<Snapshot>,
    is_open: bool,
}

impl Ledger {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["open"] => self.is_open = true,
            ["begin", writer, number] => {
                let (writer, number): (u64, u64) = (writer.parse().unwrap(), number.parse().unwrap());
                let of = &mut self.writers[usize::try_from(writer).unwrap()];
                let mut state = of.states.last().unwrap().clone();
                apply(&mut state, writer, number);
                of.states.push(state);
                of.next = number + 1;
            }
            ["done", writer, _] => self.writers[writer.parse::<usize>().unwrap()].done += 1,
            ["snapshot", name] => {
                let before = self.writers.iter().map(|writer| writer.done).collect();
                self.snapshots.push(Snapshot { name: name.to_owned(), before, taken: None });
            }
            ["taken", _] => {
                let begun = self.writers.iter().map(|writer| writer.states.len()).collect();
                self.snapshots.last_mut().unwrap().taken = Some(begun);
            }
            _ => {}
        }
    }
}

fn read(table: &Table) -> State {
    let mut found = State::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(table.inconsistencies().is_empty(), "{:?}", table.inconsistencies());
    for row in table.scan(Scan::new()).unwrap() {
        for cell in row.unwrap().cells() {
            let family = FAMILIES.into_iter().find(|name| name.as_bytes() == cell.family()).unwrap();
            let (qualifier, value) = match cell.qualifier() {
                b"n" => ("n", i64::from_be_bytes(cell.value().try_into().unwrap()).to_string()),
                _ => ("q", text(cell.value())),
            };
            found.insert((text(cell.row()), family, qualifier), value);
        }
    }
    found
}

/// Whether each row of a writer is as in one of the states. Each row of a batch is written separately.
fn rows_are_among(found: &State, writer: u64, states: &[State]) -> bool {
    let part = |state: &State, of: &str| -> State {
        state
            .iter()
            .filter(|((row, ..), _)| row == of)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    (0..ROWS).map(|at| row(writer, at)).all(|row| {
        let found = part(found, &row);
        states.iter().any(|state| part(state, &row) == found)
    })
}

fn of_writer(state: &State, writer: u64) -> State {
    let ends = format!("-{writer}");
    state
        .iter()
        .filter(|((row, ..), _)| row.ends_with(&ends))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn kill_often(kills: u64, seed: u64) {
    say(&format!("HREGION_SEED={seed} HREGION_OPS={kills}"));
    let mut rng = Rng::new(seed);
    let (mut dir, mut state) = (tempfile::tempdir().unwrap(), State::new());
    let first = seed % 1_000_000 * 1_000_000;
    let mut next = vec![first; usize::try_from(WRITERS).unwrap()];
    let (mut writes, mut snapshots) = (0, 0);
    for kill in 0..kills {
        if kill % 20 == 0 {
            (dir, state) = (tempfile::tempdir().unwrap(), State::new());
        }
        let writer = |next: &u64| Writer { states: vec![state.clone()], done: 1, next: *next };
        let writers = next.iter().map(writer).collect();
        let ledger = Ledger { writers, snapshots: Vec::new(), is_open: false };
        let ledger = run_and_kill(dir.path(), &next, ledger, &mut rng);
        next = ledger.writers.iter().map(|writer| writer.next).collect();
        writes += ledger.writers.iter().map(|writer| writer.done - 1).sum::<usize>();
        let shown = format!("seed {seed}, kill {kill} before the writes {next:?}");
        let reader = match Table::open(dir.path(), "t") {
            Ok(table) => read(&table),
            Err(error) => {
                assert!(error.kind() == ErrorKind::TableNotFound && !ledger.is_open, "{shown}: {error}");
                State::new()
            }
        };
        let table = open(dir.path(), Durability::FsyncWal).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let found = read(&table);
        assert_eq!(found, reader, "{shown}: a writer reads what a reader reads");
        for (number, writer) in (0..).zip(&ledger.writers) {
            let found = of_writer(&found, number);
            let allowed: Vec<State> =
                writer.states[writer.done - 1..].iter().map(|state| of_writer(state, number)).collect();
            let last = write_of(number, writer.next.wrapping_sub(1));
            let is_batch = matches!(last, Op::Batch(_)) && rows_are_among(&found, number, &allowed);
            assert!(
                allowed.contains(&found) || is_batch,
                "{shown}: {last:?}: {found:?}\nnot of {allowed:#?}"
            );
        }
        for snapshot in &ledger.snapshots {
            snapshots += 1;
            check_snapshot(dir.path(), snapshot, &ledger.writers, &shown);
        }
        table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
        state = found;
    }
    println!("{kills} kills, {writes} acknowledged writes, {snapshots} snapshots");
    assert!(writes as u64 > kills * 5, "too few writes before the kills: {writes}");
}

/// An acknowledged snapshot has, for each row, a state of the time when it was taken. Another snapshot exists
/// as a whole or not at all.
fn check_snapshot(root: &Path, snapshot: &Snapshot, writers: &[Writer], shown: &str) {
    let shown = format!("{shown}, {}", snapshot.name);
    let found = match Table::open_snapshot(root, &snapshot.name) {
        Ok(table) => read(&table),
        Err(error) => {
            return assert!(snapshot.taken.is_none() && error.kind() == ErrorKind::Io, "{shown}: {error}");
        }
    };
    for (number, writer) in (0..).zip(writers) {
        let at = usize::try_from(number).unwrap();
        let end = snapshot.taken.as_ref().map_or(writer.states.len(), |taken| taken[at]);
        let states = &writer.states[snapshot.before[at] - 1..end];
        assert!(rows_are_among(&found, number, states), "{shown}: {found:?}\nnot of {states:#?}");
    }
}

/// Runs the process until it is killed, and updates the ledger from its output.
fn run_and_kill(dir: &Path, next: &[u64], mut ledger: Ledger, rng: &mut Rng) -> Ledger {
    let firsts: Vec<String> = next.iter().map(u64::to_string).collect();
    let child = Child::start(
        "table_kills::child",
        [
            ("HREGION_KILL_DIR", dir.to_str().unwrap().to_owned()),
            ("HREGION_KILL_FIRST", firsts.join(",")),
            ("HREGION_KILL_SYNC", rng.below(2).to_string()),
        ],
    );
    // Opening takes some milliseconds, a write one or less.
    thread::sleep(Duration::from_micros(rng.next() % 150_000));
    child.kill_and_end().iter().for_each(|line| ledger.hear(line));
    ledger
}

#[test]
fn a_killed_process_under_load_loses_nothing_that_was_acknowledged() {
    kill_often(number("HREGION_OPS").unwrap_or(60), number("HREGION_SEED").unwrap_or_else(fresh_seed));
}

#[test]
#[ignore = "takes minutes"]
fn a_killed_process_under_load_at_length() {
    kill_often(number("HREGION_OPS").unwrap_or(2_000), number("HREGION_SEED").unwrap_or_else(fresh_seed));
}
