//! Damaged files are refused as early as required, and never read as different cells. Errors name the fault
//! and its place. Reads use no more memory than the limits allow.

use crate::support::alloc::measure;
use crate::support::cells::{self, cell_json};
use crate::support::golden;
use crate::support::open::{self, assert_refusal, has_sequence_ids};
use hregion::{Cell, CellRef, CellType, Error, ErrorKind, HFile, HFileOptions, HFileWriter, Limits, SeekKey};
use std::path::{Path, PathBuf};

/// More than any of the sound files requires, and far less than the damaged ones request.
const LIMIT: usize = 1 << 20;
/// The memory that reads may use under that limit: a stored block, the same block decoded, and the rest.
const MEMORY: usize = 4 * LIMIT;

/// One entry of `expect.json`.
struct Case {
    name: String,
    path: PathBuf,
    sound: PathBuf,
    kind: String,
    rejected_at: String,
}

fn cases() -> Vec<Case> {
    let folder = golden::root("testdata/corrupt");
    let list = golden::parse(&folder.join("expect.json"));
    let entry = |case: &serde_json::Value| {
        let text = |name: &str| case[name].as_str().expect("a string").to_owned();
        Case {
            path: folder.join(text("file")),
            name: text("file"),
            sound: folder.join(text("sound")),
            kind: text("kind"),
            rejected_at: text("rejected_at"),
        }
    };
    list.as_array().expect("a list of files").iter().map(entry).collect()
}

/// The result of each way to read a file.
struct Outcome {
    open: Option<Error>,
    scan: Option<Error>,
    seek: Vec<Error>,
    /// Whether all cells returned equal those of the sound file.
    right: bool,
    warnings: Vec<Error>,
    /// The number of existing rows that the Bloom filter denied.
    denied: usize,
}

impl Outcome {
    fn errors(&self) -> impl Iterator<Item = &Error> {
        self.open.iter().chain(&self.scan).chain(&self.seek)
    }
}

fn read(options: HFileOptions, path: &Path, sound: &[Cell]) -> Outcome {
    let mut outcome =
        Outcome { open: None, scan: None, seek: Vec::new(), right: true, warnings: Vec::new(), denied: 0 };
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) => {
            outcome.open = Some(error);
            return outcome;
        }
    };
    let mut expected = sound.iter();
    let count = open::scan(&file, |cell| outcome.right &= expected.next().map(Cell::as_ref) == Some(cell));
    match count {
        Ok(count) => outcome.right &= count == sound.len(),
        Err(error) => outcome.scan = Some(error),
    }
    for cell in sound {
        if let Err(error) = seek(&file, cell, &mut outcome) {
            outcome.seek.push(error);
        }
        outcome.denied += usize::from(!file.may_contain_row(cell.as_ref().row()));
    }
    outcome.warnings = file.warnings();
    outcome
}

fn seek(file: &HFile, cell: &Cell, outcome: &mut Outcome) -> hregion::Result<()> {
    let mut scanner = file.scanner();
    let seek = scanner.seek(cell.as_ref().key())?;
    outcome.right &= seek.code() == 0 && scanner.peek() == Some(cell.as_ref());
    Ok(())
}

#[test]
fn damaged_files_are_refused_in_time_and_never_read_as_something_else() {
    let cases = cases();
    assert_eq!(cases.len(), 71);
    for case in &cases {
        let name = &case.name;
        let sound = open::all_cells(&HFile::open(&case.sound).unwrap()).unwrap();
        let outcome = read(HFile::options(), &case.path, &sound);
        let late = outcome.errors().map(|e| format!("\n  {e:?}")).collect::<String>();
        for error in outcome.errors() {
            assert_refusal(error, name);
        }
        assert_eq!(outcome.denied, 0, "{name}: rows that are there were denied");
        // only a verification checks the order of the cells in a block
        assert!(outcome.right || case.kind == "order", "{name}: other cells came out{late}");
        let (opened, scanned) = (outcome.open.is_none(), outcome.scan.is_none());
        match case.rejected_at.as_str() {
            "open" => assert!(!opened, "{name} was opened"),
            "scan" => assert!(!opened || !scanned, "{name} was read to its end"),
            "seek" => assert!(outcome.errors().next().is_some(), "{name}: every seek succeeded"),
            "filter" => {
                assert!(outcome.errors().next().is_none(), "{name}: the data should read:{late}");
                assert!(!outcome.warnings.is_empty(), "{name}: no warning of the filter");
            }
            "accept" => {
                assert!(opened && scanned, "{name} should read:{late}");
                let by_order = outcome.seek.iter().all(|e| e.kind() == ErrorKind::Unsupported);
                assert!(outcome.seek.is_empty() || case.kind == "comparator" && by_order, "{name}:{late}");
                assert!(!outcome.warnings.is_empty(), "{name}: no warning");
            }
            "verify" | "any" => {}
            other => panic!("{name}: unknown {other}"),
        }
    }
    let refused = cases.iter().filter(|c| c.rejected_at != "accept").count();
    eprintln!("{} damaged files, {refused} to be refused", cases.len());
}

#[test]
fn a_verification_finds_every_damage() {
    for case in cases().iter().filter(|case| !matches!(case.rejected_at.as_str(), "accept" | "any")) {
        assert!(faults(&case.path) > 0, "{}: {}", case.name, case.kind);
    }
}

/// Returns the number of faults that a verification finds. A file that cannot be opened has one.
fn faults(path: &Path) -> usize {
    match HFile::options().verify(path) {
        Ok(report) => {
            for fault in &report.faults {
                assert!(!fault.message().is_empty());
            }
            report.faults.len()
        }
        Err(error) => {
            assert_refusal(&error, &path.display().to_string());
            1
        }
    }
}

#[test]
fn sound_files_have_no_faults() {
    let mut sound: Vec<PathBuf> = cases().into_iter().map(|case| case.sound).collect();
    sound.sort();
    sound.dedup();
    for path in sound {
        let report = HFile::options().verify(&path).unwrap();
        assert!(report.faults.is_empty(), "{}: {:?}", path.display(), report.faults);
        let lines = cells::lines(&path.with_extension("cells.jsonl.gz"));
        let sequence_ids = has_sequence_ids(&lines);
        let mut expected = lines.iter();
        let file = HFile::open(&path).unwrap();
        open::scan(&file, |cell| assert_eq!(Some(&cell_json(&cell, sequence_ids)), expected.next())).unwrap();
        assert_eq!(expected.next(), None, "{}", path.display());
        assert_eq!(usize::try_from(report.cells), Ok(lines.len()));
    }
}

#[test]
fn golden_files_have_no_faults() {
    let mut files = 0;
    for golden in golden::all().iter().filter(|g| !g.is_refused() && open::missing_feature(g).is_none()) {
        let report = open::options(golden).verify(golden.hfile()).unwrap();
        assert!(report.faults.is_empty(), "{}: {:?}", golden.name, report.faults);
        assert_eq!(usize::try_from(report.cells), Ok(golden.cells), "{}", golden.name);
        files += 1;
    }
    assert!(files > 50, "{files}");
}

#[test]
fn no_damage_takes_more_memory_than_the_limits_allow() {
    let mut most = 0;
    for case in cases() {
        let sound = open::all_cells(&HFile::open(&case.sound).unwrap()).unwrap();
        let limits = Limits::new().with_block_bytes(LIMIT).with_load_on_open_bytes(LIMIT);
        for options in [HFile::options().limits(limits.clone()), HFile::options()] {
            let (_, usage) = measure(|| read(options, &case.path, &sound));
            assert!(usage.peak <= MEMORY, "{}: {} bytes", case.name, usage.peak);
            most = most.max(usage.peak);
        }
        let (_, usage) = measure(|| HFile::options().limits(limits).verify(&case.path).is_ok());
        assert!(usage.peak <= MEMORY, "{}: {} bytes to verify", case.name, usage.peak);
    }
    eprintln!("at most {most} bytes at one time");
}

#[test]
fn blocks_over_the_limit_are_refused_before_they_are_read() {
    let plain = golden::root("testdata/corrupt/sound-plain.hfile");
    for limits in [Limits::new().with_block_bytes(64), Limits::new().with_load_on_open_bytes(64)] {
        let read = HFile::options().limits(limits).open(&plain).and_then(|file| open::scan(&file, |_| {}));
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert!(error.offset().is_some(), "{error}");
    }
}

#[test]
fn blocks_over_the_limit_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.hfile");
    let mut writer = HFileWriter::options().create(&path).unwrap();
    let key = SeekKey::of(b"row", b"f", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, &vec![b'v'; 2 * MEMORY])).unwrap();
    writer.finish().unwrap();
    let file = HFile::options().limits(Limits::new().with_block_bytes(LIMIT)).open(&path).unwrap();
    let (read, usage) = measure(|| open::scan(&file, |_| {}));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Limit);
    assert!(usage.peak <= LIMIT, "{} bytes", usage.peak);
}

#[test]
fn an_index_block_without_the_entries_it_counts_takes_no_memory() {
    let count = LIMIT / 4 - 2;
    // the fuzz target's selection of a block below the root, in an unknown order
    let mut input = vec![3, 0];
    input.extend(u32::try_from(count).unwrap().to_be_bytes());
    input.resize(input.len() + 4 * (count + 1), 0);
    let ((), usage) = measure(|| hregion::fuzzing::block_index(&input));
    assert!(usage.peak <= LIMIT / 8, "{} bytes", usage.peak);
}

#[test]
fn three_separate_faults_are_found_in_one_run() {
    let sound = golden::root("testdata/corrupt/sound-plain.hfile");
    let bytes = std::fs::read(&sound).unwrap();
    let starts: Vec<usize> = data_blocks(&bytes);
    let damaged = [1, starts.len() / 2, starts.len() - 2].map(|n| starts[n]);
    let mut copy = bytes;
    for at in damaged {
        copy[at + 60] ^= 4;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("three-faults.hfile");
    std::fs::write(&path, copy).unwrap();
    let report = HFile::options().verify(&path).unwrap();
    for at in damaged {
        let offset = u64::try_from(at).unwrap();
        assert!(report.faults.iter().any(|f| f.offset() == Some(offset)), "{at}: {:?}", report.faults);
    }
}

/// Returns the offsets of the data blocks, found by their magic.
fn data_blocks(bytes: &[u8]) -> Vec<usize> {
    bytes.windows(8).enumerate().filter(|(_, w)| *w == b"DATABLK*").map(|(at, _)| at).collect()
}

#[test]
fn a_file_of_unknown_order_is_read_but_not_searched() {
    let file = HFile::open(golden::root("testdata/corrupt/trailer-comparator.hfile")).unwrap();
    let error = file.scanner().seek(&SeekKey::first_on_row(b"r")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
