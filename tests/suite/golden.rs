//! Every HFile written by HBase has exactly the cells that HBase reads from it.

use crate::support::cells::{cell_json, parse, parse_key};
use crate::support::golden::{self, Golden};
use crate::support::open::{self, has_sequence_ids, missing_feature};
use hregion::{ErrorKind, HFile};
use std::sync::Arc;

#[test]
fn golden_files_read_to_the_cells_that_hbase_reads() {
    let counts = read_all(&golden::in_folder(&golden::root("testdata/golden")));
    assert!(counts.files > 70, "{counts:?}");
}

#[test]
fn all_golden_files_at_hand_read_to_the_cells_that_hbase_reads() {
    let goldens = golden::whole();
    if goldens.is_empty() {
        return;
    }
    let counts = read_all(&goldens);
    assert_eq!(counts.files + counts.refused + counts.not_built_in, 265);
}

#[derive(Debug, Default)]
struct Counts {
    files: usize,
    cells: usize,
    refused: usize,
    not_built_in: usize,
}

fn read_all(goldens: &[Golden]) -> Counts {
    let mut counts = Counts::default();
    for golden in goldens {
        let refusal = if golden.is_refused() { Some("PREFIX_TREE") } else { missing_feature(golden) };
        match refusal {
            Some(name) => {
                assert_unsupported(golden, name);
                *(if golden.is_refused() { &mut counts.refused } else { &mut counts.not_built_in }) += 1;
            }
            None => {
                counts.cells += assert_same_cells(golden);
                counts.files += 1;
            }
        }
    }
    eprintln!("read: {counts:?}");
    counts
}

/// Reads a file and compares each cell. Returns the number of cells.
fn assert_same_cells(golden: &Golden) -> usize {
    let name = &golden.name;
    let lines = golden.cell_lines();
    let sequence_ids = has_sequence_ids(&lines);
    let file = open::options(golden).open(golden.hfile()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut expected = lines.iter();
    let count = open::scan(&file, |cell| {
        let line = cell_json(&cell, sequence_ids);
        assert_eq!(Some(&line), expected.next(), "{name}: {cell}");
    })
    .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(count, lines.len(), "{name}");
    assert_eq!(count, golden.cells, "{name}");
    assert_eq!(file.entry_count(), u64::try_from(count).expect("a small number"), "{name}");
    let key = |line: Option<&String>| line.map(|l| parse_key(&parse(l)));
    assert_eq!(file.first_key().map(|k| k.row()), key(lines.first()).as_ref().map(|k| k.row()), "{name}");
    assert_eq!(file.last_key(), key(lines.last()).as_deref(), "{name}");
    assert!(file.warnings().is_empty(), "{name}: {:?}", file.warnings());
    count
}

fn assert_unsupported(golden: &Golden, what: &str) {
    let name = &golden.name;
    let read = open::options(golden).open(golden.hfile()).and_then(|file| open::scan(&file, |_| {}));
    match read {
        Ok(count) if count == 0 && golden.cells == 0 => {}
        Ok(_) => panic!("{name} reads without {what}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
            let message = error.to_string().to_lowercase();
            assert!(message.contains(&what.to_lowercase()), "{name}: {error}");
        }
    }
}

#[test]
fn mid_keys_are_those_of_hbase() {
    let mut files = 0;
    for golden in golden::all() {
        let Some(inspect) = golden.inspect() else { continue };
        if missing_feature(&golden).is_some() {
            continue;
        }
        let file = open::options(&golden).open(golden.hfile()).unwrap();
        let expected = &inspect["mid_key"];
        let found = file.mid_key().unwrap();
        match found {
            None => assert!(expected.is_null(), "{}: {expected}", golden.name),
            Some(key) => assert_eq!(key, parse_key(expected), "{}", golden.name),
        }
        files += 1;
    }
    assert!(files > 50, "{files}");
}

#[test]
fn a_file_without_its_key_or_its_dictionary_is_unsupported_by_name() {
    let mut files = 0;
    for golden in golden::in_folder(&golden::root("testdata/golden")) {
        let what = if golden.master_key().is_some() {
            "key"
        } else if golden.zstd_dictionary().is_some() {
            "dictionary"
        } else {
            continue;
        };
        if missing_feature(&golden).is_some() {
            continue;
        }
        let error = HFile::open(golden.hfile()).and_then(|file| open::scan(&file, |_| {})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{}: {error}", golden.name);
        assert!(error.to_string().contains(what), "{}: {error}", golden.name);
        files += 1;
    }
    assert!(files >= usize::from(cfg!(feature = "crypto")) + usize::from(cfg!(feature = "zstd")), "{files}");
}

#[test]
fn a_file_in_memory_reads_as_one_on_disk() {
    let mut files = 0;
    for golden in golden::in_folder(&golden::root("testdata/golden")) {
        if golden.is_refused() || missing_feature(&golden).is_some() {
            continue;
        }
        let bytes = std::fs::read(golden.hfile()).unwrap();
        let file = open::open_bytes(open::options(&golden), &golden.name, bytes).unwrap();
        let on_disk = open::options(&golden).open(golden.hfile()).unwrap();
        assert_eq!(open::all_cells(&file).unwrap(), open::all_cells(&on_disk).unwrap(), "{}", golden.name);
        files += 1;
    }
    assert!(files > 50, "{files}");
}

/// Files of other projects: their names, and the number of cells in each.
const FOREIGN: [(&str, usize); 9] = [
    ("hudi_1_0_hbase_2_4_13_16KB_GZ_20000_fake_first_key.hfile", 20_000),
    ("hudi_1_0_hbase_2_4_13_1KB_GZ_10000_large_keys_deep_index.hfile", 10_000),
    ("hudi_1_0_hbase_2_4_13_1KB_GZ_20000_large_keys.hfile", 20_000),
    ("hudi_1_0_hbase_2_4_9_16KB_GZ_20000.hfile", 20_000),
    ("hudi_1_0_hbase_2_4_9_16KB_GZ_200_20_non_unique.hfile", 4_200),
    ("hudi_1_0_hbase_2_4_9_16KB_NONE_5000.hfile", 5_000),
    ("hudi_1_0_hbase_2_4_9_512KB_GZ_20000.hfile", 20_000),
    ("hudi_1_0_hbase_2_4_9_64KB_NONE_5000.hfile", 5_000),
    ("hudi_1_0_hbase_2_4_9_no_entry.hfile", 0),
];

#[test]
#[cfg(feature = "gz")]
fn files_of_other_projects_read() {
    let Some(folder) = golden::shared("foreign") else { return };
    for (name, cells) in FOREIGN {
        let file = HFile::open(folder.join(name)).unwrap();
        let mut last = Vec::new();
        let count = open::scan(&file, |cell| {
            assert!(last.as_slice() <= cell.row(), "{name}: {cell}");
            last = cell.row().to_vec();
            assert!(cell.row().starts_with(b"hudi-key-"), "{name}: {cell}");
            assert!(cell.value().starts_with(b"hudi-value-"), "{name}: {cell}");
        });
        assert_eq!(count.unwrap_or_else(|e| panic!("{name}: {e}")), cells, "{name}");
    }
}

#[test]
#[cfg(feature = "gz")]
fn files_of_other_projects_that_cannot_be_read_are_refused() {
    let Some(folder) = golden::shared("foreign") else { return };
    let version_1 = HFile::open(folder.join("hbase_8e8ab58dcf39412da19833fcd8f687ac.hfile")).unwrap_err();
    assert_eq!(version_1.kind(), ErrorKind::Unsupported);
    assert!(version_1.to_string().contains("version 1"), "{version_1}");

    let corrupt = crate::support::cells::read(&folder.join("hbase_corrupt_block.hfile.gz"));
    let reader = Arc::new(hregion::io::MemoryFile::new("corrupt", corrupt));
    let error = HFile::options().open_reader(reader).and_then(|file| open::scan(&file, |_| {})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    open::assert_refusal(&error, "hbase_corrupt_block");

    let reference = folder.join("a6a6562b777440fd9c34885428f5cb61.21e75333ada3d5bafb34bb918f29576c");
    let error = HFile::open(reference).unwrap_err();
    open::assert_refusal(&error, "a reference, which is no HFile");
}
