//! Every flipped bit of every file of a small table, and of a snapshot of it, causes an error or the same
//! answers (hfile.md §15.9, wal.md §16). Names of files are not changed.

use crate::support::crashes::one_in;
use crate::support::rng::Rng;
use crate::support::trackers::with_list;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    Delete, Family, ManualClock, Put, Region, RegionInfo, RegionOptions, Result, Row, Scan,
    SnapshotDescription, Storage, Table,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROOT: &str = "/hbase";
/// The number of bits that the short form flips in each file.
const SAMPLE: usize = 150;

#[test]
fn flipped_bits_of_a_table_end_in_an_error_or_in_the_same_answers() {
    let mut rng = Rng::new(0x5eed_f11b);
    let mut bits = |_: &str, bits: usize| -> Vec<usize> {
        if bits <= SAMPLE { (0..bits).collect() } else { (0..SAMPLE).map(|_| rng.below(bits)).collect() }
    };
    flip(&mut bits);
}

#[test]
#[ignore = "a step of .ci/run: hundreds of thousands of cases"]
fn every_flipped_bit_of_a_table_ends_in_an_error_or_in_the_same_answers() {
    let chosen = one_in(1).map(|n| usize::try_from(n).unwrap());
    // `flips` flips all bits of HFiles.
    let is_chosen = |kind: &str, bit: &usize| kind != "HFile" || bit.is_multiple_of(61);
    flip(&mut |kind, bits| {
        chosen.clone().take_while(|bit| *bit < bits).filter(|bit| is_chosen(kind, bit)).collect()
    });
}

/// The content of a root: rows with all versions, and key ranges.
#[derive(Debug, PartialEq)]
struct Answers {
    table: (Vec<Row>, Vec<RegionInfo>),
    snapshot: Option<(Vec<Row>, Vec<RegionInfo>)>,
}

/// A root without damage.
struct Subject {
    storage: FaultyStorage,
    answers: Answers,
    snapshots: Vec<SnapshotDescription>,
    /// The files with content.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// The outcomes of flips in files of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    files: usize,
    detected: usize,
    /// The same answers.
    harmless: usize,
    /// Other answers.
    silent: usize,
}

fn flip(choose: &mut dyn FnMut(&str, usize) -> Vec<usize>) {
    let mut counts = BTreeMap::<&str, Counts>::new();
    let mut cut_off = Subject::new(cut_off());
    // The other table has similar HFiles.
    cut_off.files.retain(|path, _| kind(path) != "HFile");
    for subject in [Subject::new(whole()), cut_off] {
        let cases: Vec<(&PathBuf, Vec<usize>)> = subject
            .files
            .iter()
            .map(|(path, bytes)| (path, choose(kind(path), content_len(bytes) * 8)))
            .collect();
        for (path, _) in &cases {
            counts.entry(subject.kind(path)).or_default().files += 1;
        }
        for (kind, found) in subject.flip_all(&cases) {
            let total = counts.entry(kind).or_default();
            total.detected += found.detected;
            total.harmless += found.harmless;
            total.silent += found.silent;
        }
    }
    for (kind, counts) in &counts {
        eprintln!("{kind:<16} {counts:?}");
    }
    let sum = |count: fn(&Counts) -> usize| counts.values().map(count).sum::<usize>();
    let (detected, harmless, silent) = (sum(|c| c.detected), sum(|c| c.harmless), sum(|c| c.silent));
    eprintln!("{detected} errors, {harmless} same answers, {silent} other answers");
    assert_eq!(silent, 0, "damage went unnoticed");
    // All bits of these are checked.
    let sealed = ["change", "descriptor", "list of files", "manifest", "reference", "region info"];
    for kind in sealed {
        let of = counts.get(kind).copied().unwrap_or_default();
        assert!(of.files > 0 && of.detected > 0 && of.harmless == 0, "{kind}: {of:?}");
    }
    for kind in ["HFile", "log", "snapshot info"] {
        assert!(counts.get(kind).is_some_and(|of| of.detected > 0), "{kind}");
    }
}

/// Returns the length of a file without most of the zeros at its end: a log may be longer than its entries.
fn content_len(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| bytes.len().min(last + 16))
}

/// Returns the kind of a file with content.
fn kind(path: &Path) -> &'static str {
    let name = path.file_name().unwrap().to_str().unwrap();
    let below = |dir: &str| path.parent().is_some_and(|parent| parent.ends_with(dir));
    match name {
        ".regioninfo" => "region info",
        ".snapshotinfo" => "snapshot info",
        "data.manifest" => "manifest",
        _ if below(".tabledesc") => "descriptor",
        _ if below(".filelist") => "list of files",
        _ if below("recovered.edits") => "log",
        _ if name.starts_with(".change.") => "change",
        _ if name.contains('.') => "reference",
        _ => "HFile",
    }
}

fn options(storage: &FaultyStorage) -> RegionOptions {
    let clock = Arc::new(ManualClock::new(1_000_000));
    Region::options().compaction_enabled(false).storage(Arc::new(storage.clone())).clock(clock)
}

fn put(table: &Table, rows: impl IntoIterator<Item = u32>, value: &str) {
    for row in rows {
        let put = Put::new(format!("{row:02}")).cell("f", "q", value.to_owned());
        table.put(put.cell("g", "q", value.to_owned())).unwrap();
    }
}

/// Creates a table of two regions with two families, one with a list of its files.
fn made() -> (FaultyStorage, Table) {
    let storage = FaultyStorage::new();
    let tracked = with_list(Family::new("g"));
    let families = [Family::new("f").max_versions(3), tracked];
    let options = options(&storage).writable(true);
    let table = Table::create_with(ROOT, "ns:t", &families, &["10"], options).unwrap();
    put(&table, 0..20, "first");
    table.flush().unwrap();
    (storage, table)
}

/// Ends the use of a table as when its process dies.
fn abandon(table: &Table) {
    for info in table.regions() {
        table.region(info.start_key()).unwrap().abort().unwrap();
    }
}

/// A root with a split table that has references, a snapshot, and writes that are only in logs.
fn whole() -> FaultyStorage {
    let (storage, table) = made();
    table.split("05").unwrap();
    put(&table, 3..7, "second");
    table.snapshot("s").unwrap();
    put(&table, (0..20).step_by(2), "third");
    table.delete(Delete::new("04")).unwrap();
    abandon(&table);
    storage.after(Crash::OfTheProcess)
}

/// A root with a table whose split was cut off after its new regions were complete.
fn cut_off() -> FaultyStorage {
    let mut last = None;
    for calls in 0.. {
        let (storage, table) = made();
        put(&table, 3..7, "second");
        storage.die_after(calls);
        let split = table.split("05");
        let storage = storage.after(Crash::OfTheProcess);
        let names = storage.names();
        if names.iter().any(|name| kind(name) == "change") {
            last = Some(storage);
        } else if split.is_ok() {
            break;
        }
    }
    last.expect("a split announces itself")
}

impl Subject {
    fn new(storage: FaultyStorage) -> Self {
        let contents =
            storage.names().into_iter().filter_map(|name| Some((name.clone(), storage.bytes(&name)?)));
        let files = contents.filter(|(_, bytes)| !bytes.is_empty()).collect();
        let answers = answers(&storage).unwrap();
        assert_eq!(answers.table.0.len(), answers.table.0.iter().filter(|row| !row.is_empty()).count());
        assert!(answers.table.0.len() >= 19 && answers.table.1.len() >= 2, "{answers:?}");
        let mut subject = Self { storage, answers, snapshots: Vec::new(), files };
        subject.snapshots = subject.listed(None).unwrap();
        assert!(subject.read(None).is_ok_and(|same| same));
        subject
    }

    /// Returns the kind of a file. Of a region that does not serve, HFiles and the `.regioninfo` of a parent
    /// may be read, but no other file.
    fn kind(&self, path: &Path) -> &'static str {
        let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
        let region = names.iter().find(|name| name.len() == 32);
        let serves = |name: &&str| self.answers.table.1.iter().any(|info| info.encoded_name() == *name);
        match kind(path) {
            "reference" | "region info" | "list of files" if !region.is_none_or(serves) => "not serving",
            kind => kind,
        }
    }

    /// Flips bits of files, on two threads.
    fn flip_all(&self, cases: &[(&PathBuf, Vec<usize>)]) -> BTreeMap<&'static str, Counts> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut counts = BTreeMap::<&str, Counts>::new();
            while let Some((path, bits)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let of = counts.entry(self.kind(path)).or_default();
                for bit in bits {
                    match self.read(Some((path, *bit))) {
                        Err(_) => of.detected += 1,
                        Ok(true) => of.harmless += 1,
                        Ok(false) => {
                            eprintln!("{}: bit {bit} went unnoticed", path.display());
                            of.silent += 1;
                        }
                    }
                }
            }
            counts
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(work);
            let mut counts = work();
            for (kind, found) in other.join().expect("no case panics") {
                let total = counts.entry(kind).or_default();
                total.detected += found.detected;
                total.harmless += found.harmless;
                total.silent += found.silent;
            }
            counts
        })
    }

    /// Reads a whole copy with a flipped bit. Returns whether all answers are right, or an error if none is
    /// wrong.
    fn read(&self, flip: Option<(&Path, usize)>) -> Result<bool> {
        let storage = self.storage.after(Crash::OfTheProcess);
        if let Some((path, bit)) = flip {
            storage.create(path).unwrap().write_all(&self.flipped(path, bit)).unwrap();
        }
        let mut outcomes = vec![answers(&storage).map(|found| found == self.answers)];
        let kind = flip.map(|(path, _)| kind(path));
        if matches!(kind, Some("manifest" | "snapshot info")) {
            outcomes.push(self.listed(flip).map(|found| found == self.snapshots));
        }
        // Opening for writing replays logs, and resolves changes.
        if matches!(kind, None | Some("log" | "change" | "list of files" | "reference")) {
            let opened = Table::open_with(ROOT, "ns:t", options(&storage).writable(true));
            let found = opened.and_then(|table| {
                let found = rows(&table);
                abandon_what_opens(&table);
                found
            });
            outcomes.push(found.map(|found| found == self.answers.table.0));
        }
        if outcomes.iter().any(|outcome| matches!(outcome, Ok(false))) {
            return Ok(false);
        }
        outcomes.into_iter().collect::<Result<Vec<_>>>().map(|_| true)
    }

    fn flipped(&self, path: &Path, bit: usize) -> Vec<u8> {
        let mut bytes = self.files[path].clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    }

    /// Lists the snapshots of a copy on disk.
    fn listed(&self, flip: Option<(&Path, usize)>) -> Result<Vec<SnapshotDescription>> {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in self.files.iter().filter(|(path, _)| path.starts_with("/hbase/.hbase-snapshot"))
        {
            let to = dir.path().join(path.strip_prefix(ROOT).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let flipped = flip.filter(|(flipped, _)| flipped == path);
            let flipped = flipped.map(|(path, bit)| self.flipped(path, bit));
            fs::write(to, flipped.as_ref().unwrap_or(bytes)).unwrap();
        }
        Table::list_snapshots(dir.path())
    }
}

/// As [`abandon`], with regions that may be damaged.
fn abandon_what_opens(table: &Table) {
    for info in table.regions() {
        if let Ok(region) = table.region(info.start_key()) {
            region.abort().unwrap();
        }
    }
}

fn rows(table: &Table) -> Result<Vec<Row>> {
    let (view, scan) = (table.view(), Scan::new().max_versions(u32::MAX));
    view.scan(&scan)?.collect()
}

fn answers(storage: &FaultyStorage) -> Result<Answers> {
    let table = Table::open_with(ROOT, "ns:t", options(storage))?;
    let table = (rows(&table)?, table.regions());
    let has_snapshot = storage.names().iter().any(|name| kind(name) == "snapshot info");
    let snapshot = has_snapshot.then(|| {
        let snapshot = Table::open_snapshot_with(ROOT, "s", options(storage))?;
        Ok((rows(&snapshot)?, snapshot.regions()))
    });
    Ok(Answers { table, snapshot: snapshot.transpose()? })
}
