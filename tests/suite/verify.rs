//! A verification finds the faults of a file, continues after each, and finds none in a sound file.

use crate::support::golden;
use crate::support::open;
use crate::support::rng::Rng;
use crate::support::written::MemoryWriter;
use hregion::io::MemoryFile;
use hregion::io::faulty::FaultyStorage;
use hregion::{
    CellRef, CellType, ErrorKind, HFile, HFileWriter, Region, Scan, SeekKey, Storage, StoreFileOrigin,
    StoreFileWriter, VerifyReport,
};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn verify(bytes: Vec<u8>) -> hregion::Result<VerifyReport> {
    HFile::options().verify_reader(Arc::new(MemoryFile::new("file", bytes)))
}

#[test]
#[cfg(feature = "gz")]
fn files_of_other_projects_are_sound_but_for_the_damaged_one() {
    let Some(folder) = golden::shared("foreign") else { return };
    let mut sound = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("hudi_") {
            let report = HFile::options().verify(&path).unwrap();
            assert!(report.faults.is_empty(), "{}: {:?}", path.display(), report.faults);
            sound += 1;
        }
    }
    assert_eq!(sound, 9);
    let damaged = crate::support::cells::read(&folder.join("hbase_corrupt_block.hfile.gz"));
    let report = verify(damaged).unwrap();
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
    assert!(report.faults[0].message().starts_with("checksum"), "{:?}", report.faults);
}

#[test]
fn a_non_hfile_has_a_fault() {
    for bytes in [&b""[..], b"no file", &[0; 5000], &[b'D'; 300]] {
        let report = verify(bytes.to_vec()).unwrap();
        assert_eq!((report.faults.len(), report.blocks, report.cells), (1, 0, 0));
    }
}

#[test]
fn progress_ascends_to_the_length_of_the_file() {
    let path = golden::root("testdata/corrupt/sound-deep.hfile");
    let mut seen = Vec::new();
    let report = HFile::options().verify_with(&path, |at, len| seen.push((at, len))).unwrap();
    let len = fs::metadata(&path).unwrap().len();
    assert!(seen.is_sorted() && seen.iter().all(|&(_, l)| l == len));
    assert_eq!(seen.last(), Some(&(len, len)));
    assert!(u64::try_from(seen.len()).unwrap() > report.blocks / 2);
}

/// Returns the files with checksums that are small enough to be damaged in many ways.
fn small_files() -> Vec<golden::Golden> {
    let mut goldens = golden::in_folder(&golden::root("testdata/golden"));
    goldens.retain(|g| {
        let unchecked = g.hbase.starts_with("0.94") && !g.made.contains("checksum.verify=true");
        let unchecked = unchecked || g.setting("--checksum") == Some("NULL");
        let small = fs::metadata(g.hfile()).expect("the file of a manifest").len() <= 18_000;
        small && !unchecked && !g.is_refused() && open::missing_feature(g).is_none()
    });
    goldens
}

/// Flips bits of each small file, and prints how many were harmless.
fn flip(bits: impl Fn(usize, usize) -> Vec<usize>) {
    let (mut tried, mut harmless) = (0, 0);
    for (number, golden) in small_files().iter().enumerate() {
        let sound = fs::read(golden.hfile()).expect("it has been found");
        let file = open::open_bytes(open::options(golden), "sound", sound.clone()).expect("a sound file");
        let cells = open::all_cells(&file).expect("a sound file");
        for bit in bits(number, sound.len() * 8) {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let reader = Arc::new(MemoryFile::new("flipped", bytes));
            tried += 1;
            match open::options(golden).verify_reader(Arc::clone(&reader) as Arc<_>) {
                Ok(report) if report.faults.is_empty() => {
                    let file = open::options(golden).open_reader(reader).expect("it has been verified");
                    let found = open::all_cells(&file);
                    assert_eq!(found.ok().as_ref(), Some(&cells), "{}: bit {bit}", golden.name);
                    assert!(bit / 8 >= bytes_before_trailer(&file), "{}: bit {bit}", golden.name);
                    harmless += 1;
                }
                Ok(report) => assert!(report.faults.iter().all(|f| f.offset().is_some())),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
            }
        }
    }
    eprintln!("{tried} flipped bits, {harmless} harmless");
}

fn bytes_before_trailer(file: &HFile) -> usize {
    usize::try_from(file.trailer().offset()).expect("a small file")
}

#[test]
fn a_flipped_bit_that_no_verification_finds_changes_nothing() {
    flip(|number, len| {
        let mut rng = Rng::new(0xf11b_0000 + u64::try_from(number).unwrap());
        (0..200).map(|_| rng.below(len)).collect()
    });
}

#[test]
fn a_cut_is_always_found() {
    for golden in small_files() {
        let sound = fs::read(golden.hfile()).unwrap();
        for len in (0..sound.len()).step_by(97) {
            let reader = Arc::new(MemoryFile::new("cut", sound[..len].to_vec()));
            match open::options(&golden).verify_reader(reader) {
                Ok(report) => assert!(!report.faults.is_empty(), "{}: {len}", golden.name),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
            }
        }
    }
}

/// HBase's tracker starts its maximum at -1, and includes 0 for a marker that hides everything older.
#[test]
fn times_before_1970_are_no_fault() {
    for (timestamp, cell_type) in
        [(-5, CellType::Put), (-9, CellType::DeleteColumn), (-1, CellType::DeleteFamily)]
    {
        let file = MemoryWriter::default();
        let mut writer =
            StoreFileWriter::create_in(HFileWriter::options(), Box::new(file.clone())).expect("memory");
        let key = SeekKey::of(b"row", b"f", b"q", timestamp, cell_type);
        writer.append(CellRef::new(&key, b"")).expect("a cell");
        writer.finish(&StoreFileOrigin::flush(1)).expect("memory");
        let written = Arc::new(MemoryFile::new("written", file.bytes()));
        let report = HFile::options().verify_reader(written).expect("memory");
        assert!(report.faults.is_empty(), "{timestamp} {cell_type:?}: {:?}", report.faults);
    }
}

/// Writes a file of cells, each with a tag or none, in blocks of one cell.
fn tagged(tags: &[Option<(u8, &[u8])>], info: &[(&str, &[u8])]) -> Vec<u8> {
    let storage = FaultyStorage::new();
    let options = HFileWriter::options().storage(Arc::new(storage.clone())).block_size(1).tags(true);
    let mut writer = options.create("file").unwrap();
    for (i, tag) in tags.iter().enumerate() {
        let key = SeekKey::of(format!("row{i}").as_bytes(), b"f", b"q", 1, CellType::Put);
        let mut bytes = Vec::new();
        if let Some((tag_type, value)) = tag {
            bytes.extend(u16::try_from(1 + value.len()).unwrap().to_be_bytes());
            bytes.push(*tag_type);
            bytes.extend(*value);
        }
        writer.append(CellRef::new(&key, b"v").with_tag_bytes(&bytes).unwrap()).unwrap();
    }
    for (name, value) in info {
        writer.add_file_info(name.as_bytes(), value).unwrap();
    }
    writer.finish().unwrap();
    storage.bytes(Path::new("file")).unwrap()
}

/// Returns the error of a region that refuses to open or to scan a file.
fn refusal(bytes: &[u8]) -> Option<String> {
    let storage = FaultyStorage::new();
    storage.create(Path::new("file")).unwrap().write_all(bytes).unwrap();
    let region = Region::options().storage(Arc::new(storage)).open_files([Path::new("file")]);
    let scanned =
        region.and_then(|region| region.view().scan(&Scan::new())?.try_for_each(|row| row.map(drop)));
    scanned.err().map(|error| error.to_string())
}

#[test]
fn cells_that_scans_reject_are_faults() {
    let ttl = 1_000_000_i64.to_be_bytes();
    let sound = tagged(&[Some((8, &ttl)), Some((1, b"any")), None], &[]);
    assert_eq!(refusal(&sound), None);
    assert_eq!(verify(sound).unwrap().faults.len(), 0);

    let short = tagged(&[None, Some((8, &ttl[1..]))], &[]);
    assert!(refusal(&short).is_some());
    let faults = verify(short).unwrap().faults;
    assert_eq!(faults[0].message(), "TTL tag has 7 bytes, expected 8");
    assert!(faults[0].offset() > Some(0), "that of the second block");

    let max = i64::MAX.to_be_bytes();
    let info: [(&str, &[u8]); 3] =
        [("MAX_SEQ_ID_KEY", &max), ("BULKLOAD_TIMESTAMP", &ttl), ("SKIP_RESET_SEQ_ID", &[0xff])];
    let beyond = tagged(&[None], &info);
    assert!(refusal(&beyond).is_some());
    assert_eq!(
        verify(beyond).unwrap().faults[0].message(),
        "sequence id of the file is the greatest there is"
    );
}
