//! Regions with recovered edits: after opening, they have the same cells as after an opening by HBase.

#[cfg(feature = "crypto")]
mod encrypted;
mod roots;

use crate::support::cells;
use crate::support::files::{contents, copy_dir};
use crate::support::forward::forward;
use crate::support::golden;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::io::{FileReader, Storage};
use hregion::wal::{CompactionMarker, Marker, WalKey, WalWriterOptions};
use hregion::{
    Cell, CellRef, CellType, Clock, Compaction, DataBlockEncoding, Delete, ErrorKind, Family, FileHandles,
    Get, Limits, ManualClock, Put, Region, RegionOptions, Result, Scan, SeekKey, VerifyReport,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The folders of a variant: logs with the same settings.
fn variants() -> Vec<PathBuf> {
    let mut variants = vec![golden::root("testdata/wal/plain")];
    if let Some(all) = golden::shared("cluster/wal") {
        variants.extend(fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()));
    }
    variants.retain(|variant| variant.join("recovered/cells").exists());
    assert!(!variants.is_empty());
    variants
}

fn all_cells(region: &Region, raw: bool) -> Vec<String> {
    let rows = region.scan(Scan::new().raw(raw).max_versions(u32::MAX)).unwrap();
    let mut lines = Vec::new();
    for row in rows.map(Result::unwrap) {
        lines.extend(row.cells().map(|cell| cells::cell_json(&cell, false)));
    }
    lines
}

/// The answers of HBase: encoded name, and lines of the raw and the plain scan.
fn answers(variant: &Path) -> Vec<(String, Vec<String>, Vec<String>)> {
    let dir = variant.join("recovered/cells");
    let names = fs::read_dir(&dir).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".raw.jsonl").map(str::to_owned)
    });
    let lines = |name: &str, kind: &str| cells::lines(&dir.join(format!("{name}.{kind}.jsonl")));
    names.map(|name| (name.clone(), lines(&name, "raw"), lines(&name, "plain"))).collect()
}

fn region_dir(root: &Path, encoded: &str) -> PathBuf {
    let tables = fs::read_dir(root.join("data/default")).unwrap();
    let mut dirs = tables.map(|table| table.unwrap().path().join(encoded));
    dirs.find(|dir| dir.exists()).unwrap()
}

#[test]
fn recovered_edits_of_hbase_are_replayed() {
    for variant in variants() {
        let mut regions = 0;
        for (encoded, raw, plain) in answers(&variant) {
            let shown = format!("{} {encoded}", variant.display());
            let copied = tempfile::tempdir().unwrap();
            copy_dir(&variant.join("split"), copied.path());
            let dir = region_dir(copied.path(), &encoded);
            let before = contents(copied.path());
            let region = Region::options().writable(false).open(&dir).unwrap();
            // HBase's raw answer is from after the flush at the end of a replay, which drops expired cells.
            let found = all_cells(&region, true);
            assert!(raw.iter().all(|cell| found.contains(cell)), "{shown}");
            assert_eq!(all_cells(&region, false), plain, "{shown}");
            drop(region);
            assert_eq!(contents(copied.path()), before, "{shown}: reading changes nothing");

            for _ in 0..2 {
                let region = Region::options().writable(true).open(&dir).unwrap();
                assert_eq!(all_cells(&region, true), raw, "{shown}");
                region.close().unwrap();
                let edits = fs::read_dir(dir.join("recovered.edits")).unwrap();
                let left: Vec<_> =
                    edits.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
                assert!(left.iter().all(|name| name.ends_with(".seqid")), "{shown}: {left:?}");
            }
            regions += 1;
        }
        assert!(regions >= 2, "{}: {regions} regions", variant.display());
    }
}

const DIR: &str = "/regions/r";

fn options(storage: &FaultyStorage) -> RegionOptions {
    Region::options()
        .storage(Arc::new(storage.clone()))
        .clock(Arc::new(ManualClock::new(1000)))
        .create_if_missing(true)
        .family(Family::new("f"))
        .family(Family::new("g"))
}

fn cell(row: &str, family: &str, cell_type: CellType, value: &str) -> Cell {
    let qualifier: &[u8] = if cell_type.is_family_delete() { b"" } else { b"q" };
    let key = SeekKey::of(row.as_bytes(), family.as_bytes(), qualifier, 500, cell_type);
    Cell::from(CellRef::new(&key, value.as_bytes()))
}

/// A region with the row `a` in its files. Also returns its encoded name.
fn flushed() -> (FaultyStorage, String) {
    let storage = FaultyStorage::new();
    let region = options(&storage).open(DIR).unwrap();
    region.put(Put::new("a").cell_at("f", "q", 400, "1").cell_at("g", "q", 400, "2")).unwrap();
    let encoded = region.info().encoded_name();
    region.close().unwrap();
    (storage, encoded)
}

/// Writes recovered edits: each entry has a region, a sequence id and cells.
fn write_edits(storage: &FaultyStorage, name: &str, entries: &[(&str, i64, Vec<Cell>)]) -> PathBuf {
    let dir = Path::new(DIR).join("recovered.edits");
    storage.create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    let mut writer = WalWriterOptions::new().checksums(Some(1)).create_in(storage, &path).unwrap();
    for (region, seq_id, cells) in entries {
        let key = WalKey::new(*region, "default", *seq_id, 500);
        writer.append(&key, cells.iter().map(Cell::as_ref)).unwrap();
    }
    writer.sync().unwrap();
    writer.close().unwrap();
    storage.sync_dir(&dir).unwrap();
    storage.sync_dir(Path::new(DIR)).unwrap();
    path
}

/// Regions limit new cells to less, but a log of HBase can have tags of up to 64 KiB.
#[test]
fn long_tags_of_logs_are_stored() {
    use DataBlockEncoding::{FastDiff, None, Prefix};
    for (encoding, len) in [(None, 40_000), (FastDiff, 65_535), (Prefix, 32_768)] {
        let (storage, region) = flushed();
        let mut tags = u16::try_from(len - 2).unwrap().to_be_bytes().to_vec();
        tags.resize(len, 65);
        let key = SeekKey::of(b"t", b"f", b"q", 500, CellType::Put);
        let tagged = Cell::from(CellRef::new(&key, b"v").with_tag_bytes(&tags).unwrap());
        write_edits(&storage, "0000000000000000040", &[(&*region, 40, vec![tagged])]);
        let options = || options(&storage).alter(true).family(Family::new("f").data_block_encoding(encoding));
        for _ in 0..2 {
            let region = options().open(DIR).unwrap();
            region.compact(Compaction::Major).unwrap();
            let row = region.get(&Get::new("t")).unwrap();
            let tag = row.cells().next().unwrap().tags().next().unwrap();
            assert_eq!((tag.value.len(), tag.tag_type), (len - 3, 65), "{encoding:?}");
            assert_eq!(region.get(&Get::new("a")).unwrap().len(), 2);
            region.close().unwrap();
        }
    }
}

/// Cells are replayed with their visibility labels, and a marker hides the values with the same labels.
#[test]
fn labels_of_logs_are_kept() {
    // A format, and the ordinal of a label.
    const LABELS: [&[u8]; 3] = [&[], &[0, 2, 4, 1, 0, 2, 2, 1], &[0, 2, 4, 1, 0, 2, 2, 2]];
    let (storage, region) = flushed();
    let rows = ["x", "y", "z"].into_iter().zip(LABELS);
    let of_row = |(row, label)| {
        let markers = [(CellType::DeleteFamily, LABELS[0]), (CellType::DeleteColumn, LABELS[1])];
        markers.into_iter().chain([(CellType::Put, label)]).map(move |(kind, tags)| (row, kind, tags))
    };
    let written: Vec<(&str, CellType, &[u8])> = rows.flat_map(of_row).collect();
    let labelled = |&(row, cell_type, tags): &(&str, CellType, &[u8])| {
        Cell::from(cell(row, "f", cell_type, "").as_ref().with_tag_bytes(tags).unwrap())
    };
    let cells = written.iter().map(labelled).collect();
    write_edits(&storage, "0000000000000000040", &[(&*region, 40, cells)]);
    let check = |region: &Region, raw: bool, expected: &[(&str, CellType, &[u8])]| {
        let rows = region.scan(Scan::new().start_row("x", true).raw(raw)).unwrap();
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        let cells = rows.iter().flat_map(|row| row.cells());
        let found: Vec<_> = cells
            .map(|cell| (str::from_utf8(cell.row()).unwrap(), cell.cell_type(), cell.tag_bytes()))
            .collect();
        assert_eq!(found, expected, "{raw}");
    };
    let left = [("z", CellType::Put, LABELS[2])];
    for _ in 0..2 {
        let region = options(&storage).open(DIR).unwrap();
        check(&region, true, &written);
        check(&region, false, &left);
        region.close().unwrap();
    }
    let region = options(&storage).open(DIR).unwrap();
    region.compact(Compaction::Major).unwrap();
    check(&region, true, &left);
    check(&region, false, &left);
}

/// Replaces the contents of a file.
fn rewrite(storage: &FaultyStorage, path: &Path, bytes: &[u8]) {
    storage.remove(path).unwrap();
    let mut file = storage.create_new(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync().unwrap();
    storage.sync_dir(path.parent().unwrap()).unwrap();
}

/// A region with two logs, the second of which is torn.
fn crashed() -> FaultyStorage {
    let (storage, region) = flushed();
    let put = |row, family, value| cell(row, family, CellType::Put, value);
    let first = [
        (&*region, 1, vec![put("z", "f", "in a file already")]),
        (
            &*region,
            40,
            vec![cell("a", "f", CellType::DeleteFamily, ""), put("b", "f", "3"), put("b", "g", "4")],
        ),
        ("0123456789abcdef0123456789abcdef", 41, vec![put("c", "f", "5")]),
    ];
    write_edits(&storage, "0000000000000000041", &first);
    let second = [
        (&*region, 50, vec![put("b", "g", "6")]),
        (&*region, 51, vec![put("b", "f", "torn"), put("b", "g", "torn")]),
    ];
    let path = write_edits(&storage, "0000000000000000051", &second);
    let bytes = storage.bytes(&path).unwrap();
    // The trailer has eight bytes.
    rewrite(&storage, &path, &bytes[..bytes.len() - 12]);
    storage
}

/// The values of all cells of a plain scan.
fn values(region: &Region) -> Vec<String> {
    let rows = region.scan(Scan::new().max_versions(u32::MAX)).unwrap();
    let rows = rows.map(Result::unwrap).collect::<Vec<_>>();
    let text = |cell: CellRef<'_>| format!("{cell}={}", String::from_utf8_lossy(cell.value()));
    let text = |cell: CellRef<'_>| text(cell.with_seq_id(0));
    rows.iter().flat_map(|row| row.cells().map(text)).collect()
}

fn expected() -> Vec<String> {
    let all = [("a", "g", 400, "2"), ("b", "f", 500, "3"), ("b", "g", 500, "6"), ("c", "f", 500, "5")];
    all.map(|(row, family, time, value)| {
        format!("{row}/{family}:q/{time}/Put/vlen={}/seqid=0={value}", value.len())
    })
    .into()
}

#[test]
fn a_failing_call_of_a_recovery_loses_nothing() {
    let mut n = 0;
    loop {
        for crash in
            [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn), Some(Crash::Chance(n))]
        {
            let shown = format!("call {n}, {crash:?}");
            let storage = crashed();
            storage.fail_among_all([n]);
            let opened = options(&storage).open(DIR);
            if !storage.pending_faults().is_empty() {
                println!("{n} calls");
                assert!(opened.is_ok() && n > 20, "{n}");
                return;
            }
            if let Ok(region) = opened {
                assert_eq!(values(&region), expected(), "{shown}");
            }
            let storage = crash.map_or_else(|| storage.clone(), |crash| storage.after(crash));
            storage.heal();
            for step in 0..3 {
                let region = options(&storage).open(DIR).unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(values(&region), expected(), "{shown}, step {step}");
                region.compact(Compaction::Major).unwrap();
                assert_eq!(values(&region), expected(), "{shown}, step {step}");
                region.close().unwrap();
            }
            let region = options(&storage).open(DIR).unwrap();
            region.delete(Delete::new("b")).unwrap();
            assert_eq!(values(&region).len(), 2, "{shown}: later than what was replayed");
        }
        n += 1;
    }
}

#[test]
fn damage_before_the_end_is_an_error_and_changes_nothing() {
    let (storage, region) = flushed();
    let put = |row| vec![cell(row, "f", CellType::Put, "value")];
    let entries = [(&*region, 40, put("b")), (&*region, 41, put("c"))];
    let path = write_edits(&storage, "0000000000000000041", &entries);
    let bytes = storage.bytes(&path).unwrap();
    let at = bytes.windows(5).position(|part| part == b"value").unwrap();
    let mut damaged = bytes.clone();
    damaged[at] ^= 1;
    rewrite(&storage, &path, &damaged);
    for writable in [false, true] {
        let error = options(&storage).writable(writable).create_if_missing(writable).open(DIR).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&*path)));
    }
    rewrite(&storage, &path, &bytes);
    let opened = options(&storage).open(DIR).unwrap();
    assert_eq!(values(&opened).len(), 4);
}

/// Even if all writes of the log are in files, so that it is not replayed.
#[test]
fn files_that_a_compaction_replaced_are_left_out() {
    for (name, seq_id) in [("0000000000000000031", 31), ("0000000000000000001", 1)] {
        let (storage, encoded) = flushed();
        let family = Path::new(DIR).join("f");
        let files = storage.list_dir(&family).unwrap();
        let names: Vec<String> = files.into_iter().map(|entry| entry.name.into_string().unwrap()).collect();
        assert_eq!(names.len(), 1);
        // All its cells were dropped, so there is no other file.
        let marker = |region: &str| {
            Marker::Compaction(CompactionMarker::new("default", region, "f", names.clone(), Vec::new()))
                .to_cell(b"", 5)
        };
        let other = "0123456789abcdef0123456789abcdef";
        write_edits(&storage, "0000000000000000030", &[(other, 30, vec![marker(other)])]);
        let rows = |writable| {
            let options = options(&storage).writable(writable).create_if_missing(writable);
            values(&options.open(DIR).unwrap()).len()
        };
        assert_eq!(rows(false), 2, "a marker of another region");
        write_edits(&storage, name, &[(&encoded, seq_id, vec![marker(&encoded)])]);
        assert_eq!([rows(false), rows(true), rows(true), rows(false)], [1; 4], "{name}");
        assert!(storage.bytes(&family.join(&names[0])).is_none(), "archived");
    }
}

/// HBase does not read them.
#[test]
fn damaged_edits_that_are_in_files_are_moved_aside() {
    for kind in [ErrorKind::Corrupt, ErrorKind::Truncated] {
        let (storage, region) = flushed();
        let entries = [(&*region, 1, vec![cell("z", "f", CellType::Put, "value")])];
        let path = write_edits(&storage, "0000000000000000001", &entries);
        let mut damaged = storage.bytes(&path).unwrap();
        let find = |text: &str| damaged.windows(text.len()).position(|part| part == text.as_bytes()).unwrap();
        // The length of the key precedes its first field, the name of the region: the entry is too long then.
        let (value, key_len) = (find("value"), find(&region) - 3);
        match kind {
            ErrorKind::Corrupt => damaged[value] ^= 1,
            _ => damaged[key_len] |= 0x80,
        }
        rewrite(&storage, &path, &damaged);
        let open =
            |writable| options(&storage).writable(writable).create_if_missing(writable).open(DIR).unwrap();
        for writable in [false, true] {
            let region = open(writable);
            assert_eq!(values(&region).len(), 2);
            let warnings = region.warnings().iter().map(|warning| (warning.kind(), warning.path()));
            assert_eq!(warnings.collect::<Vec<_>>(), [(kind, Some(&*path))]);
        }
        let aside = PathBuf::from(format!("{}.1000", path.display()));
        assert_eq!((storage.bytes(&path), storage.bytes(&aside)), (None, Some(damaged)));
        assert!(open(true).warnings().is_empty());
    }
}

#[test]
fn edits_that_have_no_place_are_named_or_refused() {
    let (storage, encoded) = flushed();
    let unknown =
        [(&*encoded, 40, vec![cell("b", "gone", CellType::Put, "1"), cell("b", "f", CellType::Put, "2")])];
    write_edits(&storage, "0000000000000000040", &unknown);
    let region = options(&storage).writable(false).create_if_missing(false).open(DIR).unwrap();
    assert_eq!(values(&region).len(), 3);
    let warnings: Vec<ErrorKind> = region.warnings().iter().map(hregion::Error::kind).collect();
    assert_eq!(warnings, [ErrorKind::NoSuchFamily]);
}

/// HBase also writes a region's edits under a negative number, which is read without its sign.
#[test]
fn edits_with_a_negative_name_are_read() {
    let (storage, encoded) = flushed();
    let row = |row: &str| vec![cell(row, "f", CellType::Put, "1")];
    write_edits(&storage, "-0000000000000000040", &[(&*encoded, 40, row("b"))]);
    // Larger than any sequence id: only an upper bound.
    write_edits(&storage, "-9223372036854775808", &[(&*encoded, 41, row("c"))]);
    write_edits(&storage, "99999999999999999999", &[(&*encoded, 42, row("d"))]);
    // Edits that are in files need not be read.
    let old = write_edits(&storage, "-0000000000000000001", &[(&*encoded, 1, row("e"))]);
    let bytes = storage.bytes(&old).unwrap();
    for writable in [false, true] {
        let region = options(&storage).writable(writable).create_if_missing(writable).open(DIR).unwrap();
        assert_eq!(values(&region).len(), 5, "{:?}", values(&region));
        region.close().unwrap();
    }
    assert!(!bytes.is_empty() && storage.bytes(&old).is_none(), "removed");
}

/// If all cells of the replayed writes have expired, a file without cells keeps their sequence ids: no other
/// write gets them, and HBase, which opens the region next, needs no `.seqid` (wal.md §13).
#[test]
fn numbers_of_expired_writes_are_not_used_again() {
    let clock = Arc::new(ManualClock::new(1_000_000));
    let storage = FaultyStorage::new();
    let open = || {
        let options = Region::options().storage(Arc::new(storage.clone())).clock(clock.clone());
        let family = Family::new("f").ttl(Duration::from_secs(10));
        options.create_if_missing(true).family(family).open(DIR).unwrap()
    };
    let edits = Path::new(DIR).join("recovered.edits");
    storage.create_dir_all(&edits).unwrap();
    storage.create(&edits.join("100.seqid")).unwrap();
    let mut last = 100;
    for compacts in [false, false, true, true] {
        let region = open();
        for row in ["a", "b"] {
            region.put(Put::new(row).cell("f", "q", "1")).unwrap();
            let next = region.get(&Get::new(row)).unwrap().cells().next().unwrap().seq_id();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        clock.set(clock.now() + 1_000_000);
        if compacts {
            region.compact(Compaction::Major).unwrap();
        }
        region.close().unwrap();
    }
}

#[test]
fn logs_are_replayed_into_regions_only() {
    let options = || Region::options().replay_logs(["log"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden/small-none-row.hfile");
    assert_eq!(options().open_files([&file]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(Region::options().open_files([&file]).is_ok());
}

/// A given log is torn: its whole entries are replayed, the rest causes a warning, and the log stays.
#[test]
fn a_given_log_may_be_torn() {
    let (storage, encoded) = flushed();
    let put = |row| vec![cell(row, "f", CellType::Put, "value"), cell(row, "g", CellType::Put, "value")];
    let other = "0123456789abcdef0123456789abcdef";
    let entries = [(&*encoded, 40, put("b")), (other, 41, put("c")), (&*encoded, 42, put("d"))];
    let path = write_edits(&storage, "0000000000000000042", &entries);
    let log = Path::new("/WALs/log");
    let bytes = storage.bytes(&path).unwrap();
    storage.remove(&path).unwrap();
    storage.create(log).unwrap().write_all(&bytes[..bytes.len() - 12]).unwrap();
    for (writable, cells) in [(false, 2), (true, 2), (true, 2)] {
        let options = options(&storage).create_if_missing(false).writable(writable).replay_logs([log]);
        let region = options.open(DIR).unwrap();
        assert_eq!(values(&region).len(), 4);
        assert_eq!((region.replayed().edits, region.replayed().cells), (1, cells));
        let warnings: Vec<_> = region.warnings().iter().map(|error| (error.kind(), error.path())).collect();
        assert_eq!(warnings, [(ErrorKind::Truncated, Some(log))]);
        region.close().unwrap();
    }
    assert_eq!(storage.bytes(log).unwrap().len(), bytes.len() - 12);
}

/// Entries and the name of a dead process's log may not be on disk yet when the log is given. The families
/// are flushed one after the other.
#[test]
fn a_loss_of_power_during_the_replay_of_a_given_log_tears_no_row() {
    let log = Path::new("/WALs/log");
    let recover =
        |storage: &FaultyStorage| options(storage).create_if_missing(false).replay_logs([log]).open(DIR);
    for calls in 0.. {
        let (storage, encoded) = flushed();
        let cells = ["f", "g"].map(|family| cell("b", family, CellType::Put, "value")).to_vec();
        let path = write_edits(&storage, "0000000000000000042", &[(&*encoded, 42, cells)]);
        let bytes = storage.bytes(&path).unwrap();
        storage.remove(&path).unwrap();
        storage.sync_dir(path.parent().unwrap()).unwrap();
        storage.create(log).unwrap().write_all(&bytes).unwrap();
        storage.die_after(calls);
        let opened = recover(&storage);
        let has_died = storage.has_died();
        assert!(has_died || opened.is_ok());
        std::mem::forget(opened);
        for crash in (0..10).map(Crash::Chance).chain([Crash::Hard, Crash::Torn]) {
            let storage = storage.after(crash);
            // Until the log is synced, it may be lost.
            let region = recover(&storage).or_else(|_| options(&storage).create_if_missing(false).open(DIR));
            let values = values(&region.unwrap());
            let left = values.iter().filter(|value| value.starts_with("b/")).count();
            assert!(left == 2 || left == 0 && has_died, "{calls} {crash:?}: {values:?}");
        }
        if !has_died {
            assert!(calls > 10, "{calls}");
            break;
        }
    }
}

/// A closed log is complete. If it seems to be torn, a length in it is damaged, and acknowledged entries may
/// follow.
#[test]
fn a_closed_log_is_not_torn() {
    let (storage, encoded) = flushed();
    let log = Path::new("/WALs/log");
    let edits = Path::new(DIR).join("recovered.edits/0000000000000000042");
    storage.create_dir_all(edits.parent().unwrap()).unwrap();
    let mut flipped = Vec::new();
    for path in [log, &edits] {
        let mut writer = WalWriterOptions::new().create_in(&storage, path).unwrap();
        let mut last = 0;
        for (seq_id, row) in [(40, "b"), (41, "c"), (42, "d")] {
            last = usize::try_from(writer.offset()).unwrap();
            let cells = [cell(row, "f", CellType::Put, "value")];
            writer.append(&WalKey::new(&*encoded, "t", seq_id, 500), cells.iter().map(Cell::as_ref)).unwrap();
        }
        writer.close().unwrap();
        flipped = storage.bytes(path).unwrap();
        flipped[last] ^= 0x80;
    }
    let sound = storage.bytes(log).unwrap();
    let open = |given: Option<&Path>, writable, accept| {
        let options = options(&storage).create_if_missing(false).writable(writable);
        options.accept_torn_logs(accept).replay_logs(given).open(DIR)
    };
    let verify = |path: &Path| options(&storage).verify_file(path, |_, _| panic!("no HFile")).unwrap();
    storage.remove(&edits).unwrap();
    for (path, given) in [(log, Some(log)), (&*edits, None)] {
        if given.is_none() {
            storage.create_new(path).unwrap().sync().unwrap();
        }
        rewrite(&storage, path, &flipped);
        for writable in [false, true] {
            let error = open(given, writable, false).unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Truncated, Some(path)), "{error}");
            assert!(error.to_string().contains("the log was closed"), "{error}");
        }
        assert_eq!(storage.bytes(path).unwrap(), flipped, "it stays");
        let faults = verify(path);
        assert_eq!(faults.iter().map(hregion::Error::kind).collect::<Vec<_>>(), [ErrorKind::Truncated]);
        let region = open(given, false, true).unwrap();
        assert_eq!((values(&region).len(), region.replayed().edits), (4, 2));
        assert_eq!(region.warnings().iter().map(hregion::Error::path).collect::<Vec<_>>(), [Some(path)]);
        rewrite(&storage, path, &sound);
        assert_eq!((values(&open(given, false, false).unwrap()).len(), verify(path).len()), (5, 0));
        storage.remove(path).unwrap();
    }
}

/// A reader cannot flush to free memory. A writer can, but not within an entry, whose size has its own limit.
#[test]
fn edits_larger_than_the_limit_are_refused_to_readers() {
    let (storage, encoded) = flushed();
    let cells: Vec<Cell> = (0..100).map(|i| cell(&format!("b{i}"), "f", CellType::Put, "value")).collect();
    write_edits(&storage, "0000000000000000040", &[(&encoded, 40, cells)]);
    let options = || options(&storage).memstore_flush_size(1_000).create_if_missing(false);
    let with = |options: RegionOptions, bytes| options.limits(Limits::new().with_load_on_open_bytes(bytes));
    let read = |bytes| with(options().writable(false), bytes).open(DIR);
    assert_eq!(read(10_000).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(values(&read(20_000).unwrap()).len(), 102);
    assert_eq!(values(&with(options(), 10_000).open(DIR).unwrap()).len(), 102);
    assert_eq!(values(&read(10_000).unwrap()).len(), 102);
}

#[test]
fn verify_reads_recovered_edits() {
    let (storage, encoded) = flushed();
    let put = vec![cell("b", "f", CellType::Put, "value")];
    let path = write_edits(&storage, "0000000000000000040", &[(&encoded, 40, put)]);
    let faults = || options(&storage).verify(DIR, |_, report| drop(report.unwrap())).unwrap();
    assert_eq!(faults().len(), 0);
    let mut bytes = storage.bytes(&path).unwrap();
    let at = bytes.windows(5).position(|part| part == b"value").unwrap();
    bytes[at] ^= 1;
    rewrite(&storage, &path, &bytes);
    let faults = faults();
    assert_eq!(faults.iter().map(hregion::Error::path).collect::<Vec<_>>(), [Some(&*path)]);
    // Recovered HFiles, with which no region is opened, hide no fault of the edits, nor their own.
    let hfile = Path::new(DIR).join("f/recovered.hfiles/0123456789abcdef0123456789abcdef");
    storage.create_dir_all(hfile.parent().unwrap()).unwrap();
    storage.create(&hfile).unwrap().write_all(b"not an HFile").unwrap();
    let mut damaged = Vec::new();
    let report = |path: &Path, report: Result<VerifyReport>| {
        if !report.is_ok_and(|report| report.faults.is_empty()) {
            damaged.push(path.to_owned());
        }
    };
    let faults = options(&storage).verify(DIR, report).unwrap();
    let paths: Vec<_> = faults.iter().map(hregion::Error::path).collect();
    assert_eq!((damaged, paths), (vec![hfile.clone()], vec![Some(&*hfile), Some(&*path)]));
}

/// Verification reports, for each log, what an opening of the region would refuse, and not what it skips.
#[test]
fn verify_finds_edits_of_rows_outside_of_the_region() {
    let storage = FaultyStorage::new();
    let region = options(&storage).key_range("b", "m").open(DIR).unwrap();
    let encoded = region.info().encoded_name();
    region.close().unwrap();
    let verify = || options(&storage).verify(DIR, |_, report| drop(report.unwrap())).unwrap();
    let verify_file = |path: &Path| options(&storage).verify_file(path, |_, _| panic!("no HFile")).unwrap();
    let paths = |faults: &[hregion::Error]| -> Vec<PathBuf> {
        assert!(faults.iter().all(|fault| fault.kind() == ErrorKind::Corrupt), "{faults:?}");
        faults.iter().map(|fault| fault.path().unwrap().to_owned()).collect()
    };
    let put = |row| vec![cell(row, "f", CellType::Put, "value")];
    let of_parent = "0123456789abcdef0123456789abcdef";
    let sound = [(&*encoded, 40, put("b")), (of_parent, 41, put("m")), (&*encoded, 42, put("l"))];
    let path = write_edits(&storage, "0000000000000000042", &sound);
    assert_eq!((paths(&verify()), paths(&verify_file(&path))), (vec![], vec![]));

    let mut wrong = Vec::new();
    for (seq_id, row) in [(50, "a"), (60, "m")] {
        let entries = [(&*encoded, seq_id - 1, put("b")), (&*encoded, seq_id, put(row))];
        let path = write_edits(&storage, &format!("{seq_id:019}"), &entries);
        assert_eq!(paths(&verify_file(&path)), [&*path], "{row}");
        wrong.push(path);
    }
    let faults = verify();
    assert_eq!(paths(&faults), wrong);
    let refused = options(&storage).open(DIR).unwrap_err();
    assert_eq!(refused.to_string(), faults[0].to_string());
}

/// A storage in which another process recovers the region whenever recovered edits are about to be read.
#[derive(Debug)]
struct Raced {
    inner: FaultyStorage,
    /// The number of times that the edits reappear, from a split that is still running.
    again: AtomicU32,
}

impl Storage for Raced {
    forward!(inner: create create_new create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(inner: list_dir create_dir_all lock optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        if path.to_string_lossy().contains("recovered.edits") {
            let bytes = self.inner.bytes(path).unwrap();
            let handles = FileHandles::with_capacity(10);
            options(&self.inner).file_handles(&handles).open(DIR).unwrap().close().unwrap();
            assert!(self.inner.bytes(path).is_none());
            if self.again.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                self.inner.create(&path.with_extension("temp"))?.write_all(&bytes)?;
                let next: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
                let next = path.with_file_name(format!("{:019}", next + 1));
                self.inner.rename(&path.with_extension("temp"), &next)?;
            }
        }
        self.inner.open(path)
    }
}

#[test]
fn a_region_opens_beside_one_that_is_recovered() {
    for again in [0, 3, 1000] {
        let (storage, encoded) = flushed();
        let put = |value| vec![cell("b", "f", CellType::Put, value), cell("b", "g", CellType::Put, value)];
        write_edits(&storage, "0000000000000000040", &[(&encoded, 40, put("3"))]);
        let raced = Raced { inner: storage.clone(), again: AtomicU32::new(again) };
        let opened = Region::options().storage(Arc::new(raced)).open(DIR);
        match opened {
            Ok(region) => assert_eq!(values(&region).len(), 4),
            Err(error) => assert_eq!((error.kind(), again), (ErrorKind::Io, 1000), "{error}"),
        }
        assert_eq!(values(&options(&storage).open(DIR).unwrap()).len(), 4);
    }
}
