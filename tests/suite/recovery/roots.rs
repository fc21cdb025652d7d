//! Root directories with logs of servers that have died.

use super::{all_cells, answers, cell, contents, copy_dir, region_dir, rewrite, variants};
use crate::support::forward::forward;
use crate::support::golden;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::io::{FileReader, MemoryFile, Storage};
use hregion::wal::{CompactionMarker, Marker, WalKey, WalReader, WalWriterOptions};
use hregion::{
    Cell, CellRef, CellType, Compaction, Delete, ErrorKind, Family, Get, Limits, ManualClock, Put, Region,
    RegionInfo, RegionOptions, RegionOutcome, RegionRecovery, ReplayReport, Result, RootRecovery, Scan,
    SeekKey, Table, TableChanges, TableName,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fs, io};

/// The regions, with what was replayed, but without the names of files, which a plan does not have.
fn replayed(found: &RootRecovery) -> Vec<(String, String, RegionOutcome, ReplayReport)> {
    let one = |one: &RegionRecovery| {
        let mut report = one.replayed.clone();
        report.flushed.clear();
        (one.table.to_string(), one.region.clone(), one.outcome, report)
    };
    found.regions.iter().map(one).collect()
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn roots_of_killed_servers_have_the_cells_of_hbase() {
    let mut roots = 0;
    for variant in variants() {
        let crashed = variant.join("crashed");
        if !crashed.join("data").exists() {
            println!("SKIPPED: only logs in {}", crashed.display());
            continue;
        }
        let root = tempfile::tempdir().unwrap();
        copy_dir(&crashed, root.path());
        let before = contents(root.path());
        let planned = Table::plan_recovery(root.path(), Region::options()).unwrap();
        assert!(contents(root.path()) == before, "a plan changes nothing");
        let done = Table::recover(root.path(), Region::options()).unwrap();
        assert_eq!(replayed(&planned), replayed(&done));
        assert_eq!((done.logs.len(), &done.logs), (4, &planned.logs));
        let gone: Vec<_> = done.regions.iter().filter(|one| one.outcome == RegionOutcome::Gone).collect();
        assert!(gone.iter().all(|one| one.table.namespace() == "hbase"), "{gone:?}");
        let parents = done.regions.iter().filter(|one| one.outcome == RegionOutcome::Parent);
        assert_eq!(parents.count(), 1, "the region of w2 that was split");
        let answers = answers(&variant);
        assert!(answers.len() >= 2);
        for (encoded, raw, plain) in answers {
            let shown = format!("{} {encoded}", variant.display());
            let region = Region::open(region_dir(root.path(), &encoded)).unwrap();
            assert_eq!(all_cells(&region, true), raw, "{shown}");
            assert_eq!(all_cells(&region, false), plain, "{shown}");
        }
        assert_eq!((count(&root.path().join("oldWALs")), count(&root.path().join("WALs"))), (4, 0));
        let before = contents(root.path());
        let again = Table::recover(root.path(), Region::options()).unwrap();
        assert!(again.regions.is_empty() && again.logs.is_empty(), "{again:?}");
        assert!(contents(root.path()) == before, "nothing is left to do");
        roots += 1;
    }
    // testdata has only logs
    assert!(roots >= 4 || golden::shared("cluster/wal").is_none(), "{roots} roots");
}

#[test]
fn recovered_edits_of_a_root_are_replayed_without_logs() {
    for variant in variants() {
        let root = tempfile::tempdir().unwrap();
        copy_dir(&variant.join("split"), root.path());
        let planned = Table::plan_recovery(root.path(), Region::options()).unwrap();
        let done = Table::recover(root.path(), Region::options()).unwrap();
        assert_eq!(replayed(&planned), replayed(&done));
        assert!(done.regions.iter().all(|one| one.outcome == RegionOutcome::Replayed), "{done:?}");
        let answers = answers(&variant);
        assert!(answers.len() >= 2, "{}", variant.display());
        for (encoded, raw, plain) in answers {
            let region = Region::open(region_dir(root.path(), &encoded)).unwrap();
            assert_eq!(all_cells(&region, true), raw, "{} {encoded}", variant.display());
            assert_eq!(all_cells(&region, false), plain, "{} {encoded}", variant.display());
        }
        let again = Table::recover(root.path(), Region::options()).unwrap();
        assert!(again.regions.is_empty(), "{again:?}");
    }
}

const ROOT: &str = "/hbase";
const SERVER: &str = "/hbase/WALs/h,1,2";
/// The name of a region that does not exist.
const GONE: &str = "0123456789abcdef0123456789abcdef";

fn options(storage: &FaultyStorage) -> RegionOptions {
    Region::options().storage(Arc::new(storage.clone())).clock(Arc::new(ManualClock::new(1000)))
}

fn recover(storage: &FaultyStorage) -> Result<RootRecovery> {
    Table::recover(ROOT, options(storage))
}

fn open(storage: &FaultyStorage, writable: bool) -> Table {
    Table::open_with(ROOT, "t", options(storage).writable(writable)).unwrap()
}

fn families() -> [Family; 2] {
    [Family::new("f"), Family::new("g")]
}

fn put(row: &str, family: &str, value: &str) -> Cell {
    cell(row, family, CellType::Put, value)
}

/// A root with a table `t` of two regions with two families. Returns the encoded names of the regions.
///
/// The row `old` was written with the first sequence ids, then deleted, and is in no file any more.
fn flushed() -> (FaultyStorage, [String; 2]) {
    let storage = FaultyStorage::new();
    let table = Table::create_with(ROOT, "t", &families(), &["m"], options(&storage)).unwrap();
    for row in ["old", "a-old"] {
        table.put(Put::new(row).cell_at("f", "q", 300, "0").cell_at("g", "q", 300, "0")).unwrap();
        table.delete(Delete::new(row)).unwrap();
    }
    for row in ["a", "n"] {
        table.put(Put::new(row).cell_at("f", "q", 400, "1").cell_at("g", "q", 400, "2")).unwrap();
    }
    for row in ["a", "n"] {
        let region = table.region(row).unwrap();
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
    }
    let names: Vec<String> = table.regions().iter().map(RegionInfo::encoded_name).collect();
    table.close().unwrap();
    (storage, names.try_into().unwrap())
}

/// The entries of a log: region, sequence id, and cells.
type Entries<'e> = [(&'e str, i64, Vec<Cell>)];

/// Writes a log, synced with its directory. It has a trailer if it was rolled.
fn write_log(
    storage: &FaultyStorage,
    server: &str,
    name: &str,
    entries: &Entries<'_>,
    rolled: bool,
) -> PathBuf {
    let dir = Path::new(server);
    storage.create_dir_all(dir).unwrap();
    let path = dir.join(name);
    let mut writer = WalWriterOptions::new().checksums(Some(1)).create_in(storage, &path).unwrap();
    for (region, seq_id, cells) in entries {
        let key = WalKey::new(*region, "t", *seq_id, 500);
        writer.append(&key, cells.iter().map(Cell::as_ref)).unwrap();
    }
    writer.sync().unwrap();
    if rolled {
        writer.close().unwrap();
    }
    for dir in dir.ancestors() {
        storage.sync_dir(dir).unwrap();
    }
    path
}

/// The same log without its last bytes.
fn tear(storage: &FaultyStorage, path: &Path) {
    let bytes = storage.bytes(path).unwrap();
    rewrite(storage, path, &bytes[..bytes.len() - 4]);
}

/// A root whose server was killed: a log that was rolled, and one that is torn.
fn crashed() -> FaultyStorage {
    let (storage, [one, two]) = flushed();
    let first = [
        (&*one, 1, vec![put("a-old", "f", "0"), put("a-old", "g", "0")]),
        (&*two, 1, vec![put("old", "f", "0"), put("old", "g", "0")]),
        (&*one, 40, vec![cell("a", "f", CellType::DeleteFamily, ""), put("b", "f", "3"), put("b", "g", "4")]),
        (GONE, 41, vec![put("b", "f", "gone")]),
        (&*two, 60, vec![put("o", "f", "5"), put("o", "g", "6")]),
    ];
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &first, true);
    let second = [
        (&*one, 50, vec![put("b", "g", "7")]),
        (&*two, 61, vec![cell("n", "g", CellType::DeleteFamily, "")]),
        (&*two, 62, vec![put("torn", "f", "8"), put("torn", "g", "9")]),
    ];
    let path = write_log(&storage, SERVER, "h%2C1%2C2.2000", &second, false);
    tear(&storage, &path);
    storage
}

fn expected() -> Vec<String> {
    let all = [
        ("a", "g", 400, "2"),
        ("b", "f", 500, "3"),
        ("b", "g", 500, "7"),
        ("n", "f", 400, "1"),
        ("o", "f", 500, "5"),
        ("o", "g", 500, "6"),
    ];
    all.map(|(row, family, time, value)| format!("{row}/{family}:q/{time}={value}")).into()
}

/// The cells that reads of the table return, all versions.
fn values(table: &Table) -> Vec<String> {
    let mut rows = table.scan(Scan::new().max_versions(u32::MAX)).unwrap();
    let mut found = Vec::new();
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let text = |cell: CellRef<'_>| {
        let column = format!("{}/{}:{}", utf8(cell.row()), utf8(cell.family()), utf8(cell.qualifier()));
        format!("{column}/{}={}", cell.timestamp(), utf8(cell.value()))
    };
    while let Some(row) = rows.next_row().unwrap() {
        found.extend(row.cells().map(text));
    }
    found
}

/// The names of the files below a directory.
fn below(storage: &FaultyStorage, dir: &str) -> Vec<String> {
    let names = storage.names().into_iter().map(|path| Path::new("/").join(path));
    let names = names.filter(|path| path.starts_with(dir));
    names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn logs_are_split_replayed_and_archived() {
    let storage = crashed();
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
    let done = recover(&storage).unwrap();
    assert_eq!(replayed(&planned), replayed(&done));
    let report = |edits, cells, skipped| (edits, cells, skipped);
    let mut found: Vec<_> = done
        .regions
        .iter()
        .map(|one| (one.outcome, report(one.replayed.edits, one.replayed.cells, one.replayed.skipped)))
        .collect();
    found.sort_by_key(|(_, counts)| *counts);
    assert_eq!(
        found,
        [
            (RegionOutcome::Gone, (1, 1, 1)),
            (RegionOutcome::Replayed, (3, 5, 2)),
            (RegionOutcome::Replayed, (3, 6, 2)),
        ]
    );
    assert_eq!(done.logs.len(), 2);
    let torn = &done.torn[0];
    assert_eq!((done.torn.len(), torn.kind(), torn.path()), (1, ErrorKind::Truncated, Some(&*done.logs[1])));
    assert!(torn.to_string().contains("bytes are left"), "{torn}");
    assert_eq!(values(&open(&storage, false)), expected());
    assert_eq!(below(&storage, "/hbase/oldWALs"), ["h%2C1%2C2.1000", "h%2C1%2C2.2000"]);
    assert!(storage.list_dir(Path::new("/hbase/WALs")).unwrap().is_empty());
    let edits = storage.names().into_iter().filter(|path| path.to_string_lossy().contains("recovered.edits"));
    assert_eq!(edits.count(), 0);
}

#[test]
fn a_failing_call_of_a_root_recovery_loses_nothing() {
    let mut n = 0;
    let mut recoveries = 0;
    loop {
        for crash in
            [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn), Some(Crash::Chance(n))]
        {
            let shown = format!("call {n}, {crash:?}");
            let storage = crashed();
            let logs = below(&storage, "/hbase/WALs");
            storage.fail_among_all([n]);
            let found = recover(&storage);
            if !storage.pending_faults().is_empty() {
                println!("{n} calls, {recoveries} recoveries");
                assert!(found.is_ok() && n > 100, "{n}");
                return;
            }
            let storage = crash.map_or_else(|| storage.clone(), |crash| storage.after(crash));
            storage.heal();
            let seen = values(&open(&storage, false));
            let has = |cell: &str| seen.iter().any(|line| line.starts_with(cell));
            for row in ["b", "o", "torn"] {
                assert_eq!(has(&format!("{row}/f:q")), has(&format!("{row}/g:q")), "{shown}: {seen:?}");
            }
            if below(&storage, "/hbase/WALs") != logs {
                assert_eq!(seen, expected(), "{shown}: a log has left its place");
            }
            // Fails once more, anywhere.
            storage.fail_among_all([(n * 31 + 7) % 280]);
            let failed = recover(&storage);
            let storage = crash.map_or_else(|| storage.clone(), |crash| storage.after(crash));
            storage.heal();
            if failed.is_ok() {
                assert_eq!(values(&open(&storage, false)), expected(), "{shown}");
            }
            for step in 0..2 {
                let found = recover(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert!(step == 0 || found.regions.is_empty() && found.logs.is_empty(), "{shown}: {found:?}");
                assert_eq!(values(&open(&storage, false)), expected(), "{shown}, step {step}");
                assert_eq!(below(&storage, "/hbase/WALs").len(), 0, "{shown}");
                let table = open(&storage, true);
                for row in ["a", "n"] {
                    table.region(row).unwrap().compact(Compaction::Major).unwrap();
                }
                assert_eq!(values(&table), expected(), "{shown}, step {step}");
                table.close().unwrap();
                recoveries += 1;
            }
            let table = open(&storage, true);
            table.delete(Delete::new("b")).unwrap();
            assert_eq!(values(&table).len(), 4, "{shown}: later than what was replayed");
        }
        n += 1;
    }
}

/// Logs whose edits are in files, as if a recovery had been interrupted before it moved them.
#[test]
fn a_log_that_is_replayed_again_brings_nothing_back() {
    let storage = crashed();
    let logs: Vec<(PathBuf, Vec<u8>)> = ["h%2C1%2C2.1000", "h%2C1%2C2.2000"]
        .map(|name| Path::new(SERVER).join(name))
        .map(|path| (path.clone(), storage.bytes(&path).unwrap()))
        .into();
    recover(&storage).unwrap();
    let table = open(&storage, true);
    for row in ["a", "b", "n", "o"] {
        table.delete(Delete::new(row)).unwrap();
    }
    for row in ["a", "n"] {
        table.region(row).unwrap().flush().unwrap();
        table.region(row).unwrap().compact(Compaction::Major).unwrap();
    }
    table.close().unwrap();
    for (path, bytes) in logs {
        storage.create_dir_all(Path::new(SERVER)).unwrap();
        storage.create(&path).unwrap().write_all(&bytes).unwrap();
    }
    let found = recover(&storage).unwrap();
    let replayed = found.regions.iter().filter(|one| one.outcome == RegionOutcome::Replayed);
    assert!(replayed.clone().all(|one| one.replayed.cells == one.replayed.skipped), "{found:?}");
    assert_eq!(replayed.count(), 2);
    assert_eq!(values(&open(&storage, false)), Vec::<String>::new());
}

/// What HBase leaves when it dies while it splits a log: the server's directory with another name, a file
/// that is being written, and one that has its name, with the same edits in other bytes.
#[test]
fn a_split_that_hbase_began_is_finished() {
    let storage = crashed();
    storage.rename(Path::new(SERVER), Path::new("/hbase/WALs/h,1,2-splitting")).unwrap();
    let region = open(&storage, false).region("b").unwrap().info().encoded_name();
    let edits = Path::new("/hbase/data/default/t").join(&region).join("recovered.edits");
    storage.create_dir_all(&edits).unwrap();
    let log = "h%2C1%2C2.1000";
    for name in [format!("{:019}-{log}.temp", 1), format!("{:019}-{log}-worker.temp", 1)] {
        storage.create(&edits.join(name)).unwrap().write_all(b"PWAL").unwrap();
    }
    let mut writer = WalWriterOptions::new().create_in(&storage, &edits.join(format!("{:019}", 50))).unwrap();
    writer.append(&WalKey::new(&*region, "t", 50, 500), [put("b", "g", "7").as_ref()]).unwrap();
    writer.close().unwrap();
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
    let found = recover(&storage).unwrap();
    assert_eq!(replayed(&planned), replayed(&found), "the edit counts twice");
    let one = found.regions.iter().find(|one| one.region == region).unwrap();
    assert_eq!((one.replayed.edits, one.replayed.cells), (4, 7));
    assert_eq!(values(&open(&storage, false)), expected());
    let left: Vec<_> = storage.list_dir(&edits).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(left.len(), 1, "the file of another worker: {left:?}");
}

/// All files but locks.
fn files(storage: &FaultyStorage) -> Vec<(PathBuf, Vec<u8>)> {
    let names = storage.names().into_iter().filter(|path| !path.ends_with(".hregion.lock"));
    names.map(|path| (path.clone(), storage.bytes(&path).unwrap())).collect()
}

/// Fails to recover, with a plan too, and checks that nothing has changed.
fn refuse(storage: &FaultyStorage, kind: ErrorKind, path: &Path) -> String {
    let before = files(storage);
    let error = recover(storage).unwrap_err();
    assert_eq!((error.kind(), error.path()), (kind, Some(path)), "{error}");
    assert!(files(storage) == before, "{error}: nothing has changed");
    if kind != ErrorKind::Locked {
        let planned = Table::plan_recovery(ROOT, options(storage)).unwrap_err();
        assert_eq!(planned.to_string(), error.to_string());
    }
    error.to_string()
}

#[test]
fn damage_is_an_error_and_changes_nothing() {
    let storage = crashed();
    let path = Path::new(SERVER).join("h%2C1%2C2.2000");
    let bytes = storage.bytes(&path).unwrap();
    let mut damaged = bytes.clone();
    // A checksum finds that the name of a region is another.
    let at = bytes.windows(34).position(|part| part.starts_with(b"\x0a\x20")).unwrap() + 2;
    damaged[at] ^= 1;
    rewrite(&storage, &path, &damaged);
    refuse(&storage, ErrorKind::Corrupt, &path);

    rewrite(&storage, &path, b"not a log");
    refuse(&storage, ErrorKind::Corrupt, &path);

    // The header of a log with an encryption key.
    rewrite(&storage, &path, b"PWAL\x05\x08\0\x12\x01k");
    let message = refuse(&storage, ErrorKind::Unsupported, &path);
    assert!(message.contains("encryption of write-ahead logs"), "{message}");

    rewrite(&storage, &path, &bytes);
    recover(&storage).unwrap();
    assert_eq!(values(&open(&storage, false)), expected());
}

#[test]
fn names_that_hbase_does_not_give_are_damage() {
    let storage = crashed();
    let path = write_log(&storage, SERVER, "other.3000", &[("..", 70, vec![put("b", "f", "1")])], true);
    refuse(&storage, ErrorKind::Corrupt, &path);
    storage.remove(&path).unwrap();
    let mut writer = WalWriterOptions::new().create_in(&storage, &path).unwrap();
    writer.append(&WalKey::new(GONE, "../t", 70, 500), [put("b", "f", "1").as_ref()]).unwrap();
    writer.close().unwrap();
    refuse(&storage, ErrorKind::Corrupt, &path);
}

/// Of the logs of servers, what a recovery refuses, or the opening of a region after it, is a fault.
#[test]
fn verify_finds_names_and_rows_that_no_recovery_takes() {
    let (storage, [one, _]) = flushed();
    let verify = |path: &Path| options(&storage).verify_file(path, |_, _| panic!("no HFile")).unwrap();
    let entry = |region, row| (region, 70, vec![put(row, "f", "1")]);
    let sound = [entry(&*one, "b"), entry(GONE, "b"), entry(GONE, "z")];
    for (dir, wrong) in [(SERVER, entry("..", "b")), ("/hbase/oldWALs", entry(&*one, "z"))] {
        let path = write_log(&storage, dir, "h%2C1%2C2.1", &sound, true);
        assert_eq!(verify(&path).len(), 0, "{dir}");
        let path = write_log(&storage, dir, "h%2C1%2C2.2", &[&sound[..], &[wrong]].concat(), true);
        let faults = verify(&path);
        assert_eq!(faults.len(), 1, "{dir}: {faults:?}");
        assert_eq!((faults[0].kind(), faults[0].path()), (ErrorKind::Corrupt, Some(&*path)));
        if dir == SERVER {
            assert_eq!(refuse(&storage, ErrorKind::Corrupt, &path), faults[0].to_string());
        }
    }
    let path = Path::new(SERVER).join("h%2C1%2C2.3");
    let mut writer = WalWriterOptions::new().create_in(&storage, &path).unwrap();
    writer.append(&WalKey::new(GONE, "../t", 70, 500), [put("b", "f", "1").as_ref()]).unwrap();
    writer.close().unwrap();
    assert_eq!(verify(&path).len(), 1);
}

#[test]
fn only_the_newest_log_of_a_server_may_be_torn() {
    let (storage, [one, _]) = flushed();
    let entries = [(&*one, 40, vec![put("b", "f", "3")]), (&*one, 41, vec![put("b", "g", "4")])];
    // By number, not by name.
    let older = write_log(&storage, SERVER, "h%2C1%2C2.900", &entries, false);
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &[(&one, 42, vec![put("c", "f", "5")])], true);
    // Of another writer, of another server, and a checksum of Hadoop.
    let meta = write_log(&storage, SERVER, "h%2C1%2C2.meta.800.meta", &[], false);
    let other = write_log(&storage, "/hbase/WALs/i,1,2-splitting", "i%2C1%2C2.700", &[], false);
    storage.create(&Path::new(SERVER).join(".h%2C1%2C2.900.crc")).unwrap().write_all(b"crc").unwrap();
    tear(&storage, &meta);
    tear(&storage, &other);
    let bytes = storage.bytes(&older).unwrap();
    tear(&storage, &older);
    let message = refuse(&storage, ErrorKind::Truncated, &older);
    assert!(message.contains("its server went on with a newer log"), "{message}");
    rewrite(&storage, &older, &bytes);
    let found = recover(&storage).unwrap();
    let torn: Vec<_> = found.torn.iter().map(|error| error.path().unwrap()).collect();
    assert_eq!(torn, [&*meta, &*other]);
    assert_eq!(values(&open(&storage, false))[2..5].len(), 3);
}

/// A length is damaged in a log that its server closed. It is the newest: a torn one would be accepted.
#[test]
fn a_closed_log_is_not_torn() {
    let (storage, [one, _]) = flushed();
    let path = Path::new(SERVER).join("h%2C1%2C2.900");
    storage.create_dir_all(Path::new(SERVER)).unwrap();
    let mut writer = WalWriterOptions::new().create_in(&storage, &path).unwrap();
    let mut last = 0;
    for (seq_id, family) in [(40, "f"), (41, "g")] {
        last = usize::try_from(writer.offset()).unwrap();
        let cell = put("b", family, "3");
        writer.append(&WalKey::new(&*one, "t", seq_id, 500), [cell.as_ref()]).unwrap();
    }
    writer.close().unwrap();
    Path::new(SERVER).ancestors().for_each(|dir| storage.sync_dir(dir).unwrap());
    let sound = storage.bytes(&path).unwrap();
    let mut flipped = sound.clone();
    flipped[last] ^= 0x80;
    rewrite(&storage, &path, &flipped);
    let message = refuse(&storage, ErrorKind::Truncated, &path);
    assert!(message.contains("the log was closed"), "{message}");
    let planned = Table::plan_recovery(ROOT, options(&storage).accept_torn_logs(true)).unwrap();
    assert_eq!(planned.torn.iter().map(hregion::Error::path).collect::<Vec<_>>(), [Some(&*path)]);
    rewrite(&storage, &path, &sound);
    recover(&storage).unwrap();
    let found = values(&open(&storage, false));
    assert!(
        ["b/f:q/500=3", "b/g:q/500=3"].iter().all(|cell| found.contains(&(*cell).to_owned())),
        "{found:?}"
    );
}

/// HBase leaves such a log when a data node fails: what was not acknowledged is in the next log, too.
#[test]
fn a_torn_log_before_a_newer_one_is_accepted_if_asked() {
    // Torn in its last entry, in its header, and empty.
    for len in [None, Some(7), Some(0)] {
        let (storage, [one, _]) = flushed();
        let (acknowledged, again) = (put("b", "f", "3"), put("b", "g", "4"));
        let first = [(&*one, 40, vec![acknowledged]), (&*one, 41, vec![again.clone()])];
        let torn = write_log(&storage, SERVER, "h%2C1%2C2.900", &first, false);
        let bytes = storage.bytes(&torn).unwrap();
        rewrite(&storage, &torn, &bytes[..len.unwrap_or(bytes.len() - 4)]);
        write_log(&storage, SERVER, "h%2C1%2C2.1000", &[(&one, 41, vec![again])], true);
        let message = refuse(&storage, ErrorKind::Truncated, &torn);
        assert!(message.contains("accept_torn_logs (--accept-torn-logs)"), "{len:?}: {message}");
        let accepting = || options(&storage).accept_torn_logs(true);
        let planned = Table::plan_recovery(ROOT, accepting()).unwrap();
        let done = Table::recover(ROOT, accepting()).unwrap();
        assert_eq!(replayed(&planned), replayed(&done), "{len:?}");
        for found in [&planned, &done] {
            let torn_logs: Vec<_> = found.torn.iter().map(|one| (one.kind(), one.path())).collect();
            assert_eq!(torn_logs, [(ErrorKind::Truncated, Some(&*torn))], "{len:?}");
            assert!(found.torn[0].to_string().contains("went on with a newer log"), "{}", found.torn[0]);
        }
        let found = values(&open(&storage, false));
        assert_eq!(found.contains(&"b/f:q/500=3".to_owned()), len.is_none(), "{len:?}: {found:?}");
        assert!(found.contains(&"b/g:q/500=4".to_owned()), "{len:?}: {found:?}");
        assert_eq!(below(&storage, "/hbase/oldWALs").len(), 2, "{len:?}");
    }
    // Damage is none the less.
    let (storage, _) = flushed();
    let path = write_log(&storage, SERVER, "h%2C1%2C2.900", &[], true);
    rewrite(&storage, &path, b"not a log");
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &[], true);
    let error = Table::recover(ROOT, options(&storage).accept_torn_logs(true)).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&*path)));
}

/// Logs have cells of a family that was deleted since, and a family of its name is added.
#[test]
fn an_added_family_gets_no_cells_of_a_deleted_one() {
    let (storage, [one, _]) = flushed();
    let entries = [(&*one, 40, vec![put("b", "f", "1"), put("b", "h", "deleted")])];
    let add = TableChanges::new().family(Family::new("h"));
    let edits = format!("/hbase/data/default/t/{one}/recovered.edits");
    for (dir, name) in [(SERVER, "h%2C1%2C2.1000"), (&*edits, "0000000000000000040")] {
        write_log(&storage, dir, name, &entries, true);
        let error = Table::alter(ROOT, "t", &add, &options(&storage)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        // Other changes do not depend on the logs.
        let other = TableChanges::new().family(Family::new("g").max_versions(2));
        Table::alter(ROOT, "t", &other, &options(&storage)).unwrap();
        recover(&storage).unwrap();
    }
    Table::alter(ROOT, "t", &add, &options(&storage)).unwrap();
    let found = values(&open(&storage, true));
    assert!(found.contains(&"b/f:q/500=1".to_owned()), "{found:?}");
    assert!(!found.iter().any(|cell| cell.contains("/h:")), "{found:?}");
}

/// The same for the options of a region, which alter the descriptor when it is opened.
#[test]
fn an_option_adds_no_family_with_cells_of_a_deleted_one() {
    let descriptors = |storage: &FaultyStorage| -> Vec<(PathBuf, Vec<u8>)> {
        let all = files(storage).into_iter();
        all.filter(|(path, _)| path.to_string_lossy().contains(".tableinfo")).collect()
    };
    let (_, [one, two]) = flushed();
    let table = Path::new("/hbase/data/default/t");
    let edits_of = |region: &str| table.join(region).join("recovered.edits").to_str().unwrap().to_owned();
    let log = "h%2C1%2C2.1000";
    for (dir, name, region) in [
        (edits_of(&one), "0000000000000000040", &one),
        (SERVER.to_owned(), log, &one),
        // The descriptor is that of all regions.
        (edits_of(&two), "0000000000000000040", &two),
        (SERVER.to_owned(), log, &two),
        ("/elsewhere".to_owned(), log, &one),
    ] {
        let (storage, _) = flushed();
        let row = if *region == one { "b" } else { "o" };
        let cells = vec![put(row, "f", "1"), put(row, "h", "deleted")];
        let path = write_log(&storage, &dir, name, &[(region, 40, cells)], true);
        let before = descriptors(&storage);
        let options = || match dir.as_str() {
            "/elsewhere" => options(&storage).writable(true).replay_logs([&path]),
            _ => options(&storage).writable(true),
        };
        let added = || options().family(Family::new("h")).alter(true);
        let of_region = added().open(table.join(&one)).map(drop);
        let of_table = Table::open_with(ROOT, "t", added()).and_then(|table| table.region("a").map(drop));
        for refused in [of_region, of_table] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{dir}: {error}");
            assert!(error.to_string().contains(&*path.to_string_lossy()), "{dir}: {error}");
            assert_eq!(descriptors(&storage), before, "{dir}");
        }
        // Other changes do not depend on the logs.
        if dir != SERVER {
            let other = options().family(Family::new("g").max_versions(2)).alter(true);
            other.open(table.join(&one)).unwrap().close().unwrap();
        }
        recover(&storage).unwrap();
        if dir != "/elsewhere" {
            options().family(Family::new("h")).alter(true).open(table.join(&one)).unwrap().close().unwrap();
            let found = values(&open(&storage, true));
            assert!(found.contains(&format!("{row}/f:q/500=1")), "{dir}: {found:?}");
            assert!(!found.iter().any(|cell| cell.contains("/h:")), "{dir}: {found:?}");
        }
    }
}

/// HBase can leave recovered edits of a region that was archived while its log was split (HBASE-24189).
#[test]
fn edits_of_a_region_without_a_region_info_are_skipped() {
    let storage = crashed();
    let dir = Path::new("/hbase/data/default/t").join(GONE);
    let edits = dir.join("recovered.edits");
    let name = format!("{:019}", 41);
    write_log(&storage, edits.to_str().unwrap(), &name, &[(GONE, 41, vec![put("b", "f", "gone")])], true);
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
    let done = recover(&storage).unwrap();
    assert_eq!(replayed(&planned), replayed(&done));
    let gone = done.regions.iter().find(|one| one.region == GONE).unwrap();
    assert_eq!((gone.outcome, gone.replayed.edits), (RegionOutcome::Gone, 1));
    assert_eq!(values(&open(&storage, false)), expected());
    assert!(storage.list_dir(Path::new("/hbase/WALs")).unwrap().is_empty());
    assert_eq!(below(&storage, edits.to_str().unwrap()), [name], "nothing is added, nothing removed");

    // One with directories of families is a region that is damaged.
    let storage = crashed();
    storage.create_dir_all(&dir.join("f")).unwrap();
    refuse(&storage, ErrorKind::Io, &dir.join(".regioninfo"));
}

/// HBase reads no markers but those of compactions when it splits and replays logs.
#[test]
fn markers_that_no_replay_needs_are_not_read() {
    let (storage, [one, _]) = flushed();
    let marker = |qualifier: &str, value: &[u8]| {
        let key = SeekKey::of(b"a", b"METAFAMILY", qualifier.as_bytes(), 500, CellType::Put);
        vec![Cell::from(CellRef::new(&key, value))]
    };
    // The action 9 of a flush, the event 9 of a region, and no message at all.
    let unknown = |region: &str, action: u8| {
        let mut value = vec![8, action, 18, 1, b't', 26, 32];
        value.extend_from_slice(region.as_bytes());
        value
    };
    let entries = [
        (&*one, 40, marker("HBASE::FLUSH", &unknown(&one, 9))),
        (&*one, 41, marker("HBASE::REGION_EVENT", &unknown(&one, 9))),
        (&*one, 42, marker("HBASE::BULK_LOAD", b"\xff")),
        (&*one, 43, vec![put("b", "f", "3")]),
    ];
    let edits = format!("/hbase/data/default/t/{one}/recovered.edits");
    for (dir, name) in [(SERVER, "h%2C1%2C2.1000"), (&*edits, "0000000000000000043")] {
        let path = write_log(&storage, dir, name, &entries, true);
        let file = storage.open(&path).unwrap();
        let mut log = WalReader::new(file, &Limits::new()).unwrap();
        for _ in 0..3 {
            assert!(log.next_entry().unwrap().unwrap().marker().is_err());
        }
        let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
        let done = recover(&storage).unwrap();
        assert_eq!(replayed(&planned), replayed(&done));
        assert_eq!((done.regions[0].replayed.edits, done.regions[0].replayed.cells), (1, 1));
        assert!(values(&open(&storage, false)).contains(&"b/f:q/500=3".to_owned()));
    }
    // Those of compactions are read.
    let path =
        write_log(&storage, SERVER, "log.1", &[(&one, 50, marker("HBASE::COMPACTION", b"\xff"))], true);
    refuse(&storage, ErrorKind::Corrupt, &path);
}

/// Some releases of HBase write recovered edits to `<namespace>/<table>/<region>` of the root, without `data`
/// (HBASE-20734); later ones replay those, too (HBASE-22617).
#[test]
fn edits_in_the_wrong_directory_are_not_overlooked() {
    let (storage, [one, two]) = flushed();
    let (right, wrong) = (Path::new("/hbase/data/default/t"), Path::new("/hbase/default/t"));
    let edits = wrong.join(&one).join("recovered.edits");
    storage.create_dir_all(&edits).unwrap();
    for name in ["0000000000000000040-h%2C1%2C2.1000.temp", "1000.seqid"] {
        storage.create(&edits.join(name)).unwrap();
    }
    let region = options(&storage).writable(true).open(right.join(&one)).unwrap();
    region.put(Put::new("c").cell_at("f", "q", 600, "1")).unwrap();
    let row = region.get(&Get::new("c")).unwrap();
    assert!(row.cells().next().unwrap().seq_id() > 1000, "the number was used");
    region.close().unwrap();

    let name = format!("{:019}", 2000);
    let path =
        write_log(&storage, edits.to_str().unwrap(), &name, &[(&one, 2000, vec![put("b", "f", "3")])], true);
    for writable in [false, true] {
        let error = options(&storage).writable(writable).open(right.join(&one)).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, Some(&*path)), "{error}");
        assert!(error.to_string().contains("move it to the region's recovered.edits"), "{error}");
        let other = options(&storage).writable(writable).open(right.join(&two)).unwrap();
        other.close().unwrap();
    }
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &[(&one, 2001, vec![put("d", "f", "4")])], true);
    refuse(&storage, ErrorKind::Unsupported, &path);
    storage.create_dir_all(&right.join(&one).join("recovered.edits")).unwrap();
    storage.rename(&path, &right.join(&one).join("recovered.edits").join(&name)).unwrap();
    recover(&storage).unwrap();
    let found = values(&open(&storage, true));
    for cell in ["b/f:q/500=3", "c/f:q/600=1", "d/f:q/500=4"] {
        assert!(found.iter().any(|line| line == cell), "{cell}: {found:?}");
    }
}

#[test]
fn a_split_parent_keeps_its_edits() {
    let storage = FaultyStorage::new();
    let table = TableName::parse("t").unwrap();
    let region = |start: &str, end: &str, id| {
        RegionInfo::new(table.clone(), start.to_owned(), end.to_owned(), id).unwrap().encoded_name()
    };
    let create = |start: &str, end: &str, id| {
        let options = families().into_iter().fold(options(&storage), RegionOptions::family);
        let options = options.clock(Arc::new(ManualClock::new(id))).create_if_missing(true).table("t");
        let dir = Path::new("/hbase/data/default/t").join(region(start, end, id));
        options.key_range(start.to_owned(), end.to_owned()).open(&dir).unwrap().close().unwrap();
        dir
    };
    let (parent, low, _) = (create("", "", 1000), create("", "m", 2000), create("m", "", 2000));
    let name = |dir: &Path| dir.file_name().unwrap().to_str().unwrap().to_owned();
    let entries = [
        (&*name(&parent), 40, vec![put("b", "f", "1"), put("b", "g", "2")]),
        (&*name(&low), 50, vec![put("b", "f", "3"), put("b", "g", "4")]),
    ];
    write_log(&storage, SERVER, "log.1", &entries, true);
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
    for _ in 0..2 {
        let found = recover(&storage).unwrap();
        let of = |found: &RootRecovery| {
            let of = found.regions.iter().find(|one| one.region == name(&parent)).cloned();
            of.map(|one| (one.outcome, one.replayed))
        };
        if let Some((outcome, report)) = of(&found) {
            assert_eq!((outcome, report.cells, report.skipped), (RegionOutcome::Parent, 2, 2));
            assert_eq!(of(&planned), Some((outcome, report)));
        } else {
            assert!(found.regions.is_empty(), "{found:?}");
        }
        assert_eq!(
            below(&storage, parent.join("recovered.edits").to_str().unwrap()),
            [format!("{:019}", 40)]
        );
        assert_eq!(values(&open(&storage, false)), ["b/f:q/500=3", "b/g:q/500=4"]);
    }
}

#[test]
fn an_open_region_or_another_recovery_is_an_error() {
    let storage = crashed();
    let region = open(&storage, false).regions().remove(0);
    let dir = Path::new("/hbase/data/default/t").join(region.encoded_name());
    let lock = storage.lock(&dir.join(".hregion.lock")).unwrap();
    refuse(&storage, ErrorKind::Locked, &dir);
    drop(lock);
    let lock = storage.lock(&Path::new(ROOT).join(".hregion.lock")).unwrap();
    let message = refuse(&storage, ErrorKind::Locked, Path::new(ROOT));
    assert!(message.contains("being recovered"), "{message}");
    drop(lock);
    recover(&storage).unwrap();
    assert_eq!(values(&open(&storage, false)), expected());
    // A plan needs no locks.
    let table = open(&storage, true);
    table.region("a").unwrap();
    Table::plan_recovery(ROOT, options(&storage)).unwrap();
}

/// A write would get the sequence id of an edit that is only in a log, and be flushed; the recovery would
/// then leave the edit out. A region that is split would not get its edits at all.
#[test]
fn a_region_with_edits_in_logs_is_recovered_before_it_is_written_to() {
    let storage = crashed();
    let logs = ["h%2C1%2C2.1000", "h%2C1%2C2.2000"].map(|name| Path::new(SERVER).join(name));
    let logs = logs.map(|path| (path.clone(), storage.bytes(&path).unwrap()));
    let table = open(&storage, true);
    let writes = [
        table.put(Put::new("a").cell_at("f", "q", 600, "8")),
        table.put(Put::new("n").cell_at("f", "q", 600, "8")),
        table.split("b").map(drop),
        table.snapshot("s").map(drop),
        table.compact(Compaction::Major),
    ];
    for written in writes {
        let error = written.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("h%2C1%2C2.1000"), "{error}");
    }
    table.close().unwrap();
    recover(&storage).unwrap();
    assert_eq!(values(&open(&storage, false)), expected());
    // The same logs, whose edits are in files now.
    for (path, bytes) in logs {
        storage.create_dir_all(Path::new(SERVER)).unwrap();
        storage.create(&path).unwrap().write_all(&bytes).unwrap();
    }
    let table = open(&storage, true);
    for row in ["a", "n"] {
        table.put(Put::new(row).cell_at("f", "q", 600, "8")).unwrap();
    }
    assert_eq!(values(&table).len(), expected().len() + 1, "one row is new, one version is replaced");
}

/// Edits that a recovery has given to the region before it failed are replayed when the region is opened;
/// those that it has not given to it are still needed.
#[test]
fn a_region_may_be_opened_once_it_has_all_its_recovered_edits() {
    let (storage, [one, _]) = flushed();
    let edits = Path::new("/hbase/data/default/t").join(&one).join("recovered.edits");
    let first = [(&*one, 40, vec![put("b", "f", "3"), put("b", "g", "4")])];
    let second = [(&*one, 50, vec![put("c", "f", "5")])];
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &first, true);
    write_log(&storage, SERVER, "h%2C1%2C2.2000", &second, true);
    write_log(&storage, edits.to_str().unwrap(), &format!("{:019}", 50), &second, true);
    let written = open(&storage, true).put(Put::new("a").cell_at("f", "q", 600, "8"));
    assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidArgument);
    write_log(&storage, edits.to_str().unwrap(), &format!("{:019}", 40), &first, true);
    let table = open(&storage, true);
    table.put(Put::new("a").cell_at("f", "q", 600, "8")).unwrap();
    table.close().unwrap();
    recover(&storage).unwrap();
    let found = values(&open(&storage, false));
    for cell in ["a/f:q/600=8", "b/f:q/500=3", "b/g:q/500=4", "c/f:q/500=5"] {
        assert!(found.iter().any(|line| line == cell), "{cell}: {found:?}");
    }
}

/// A storage like HDFS: a log that its server has not closed seems to be empty until its writing is ended.
#[derive(Debug)]
struct Hides {
    inner: FaultyStorage,
    ended: Mutex<BTreeSet<PathBuf>>,
}

impl Hides {
    fn options(inner: &FaultyStorage) -> RegionOptions {
        let hides = Self { inner: inner.clone(), ended: Mutex::default() };
        options(inner).storage(Arc::new(hides))
    }
}

impl Storage for Hides {
    forward!(inner: create create_new create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(inner: list_dir create_dir_all lock create_scratch can_rename rename_new full_path);
    forward!(inner: can_read_removed);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let is_closed = |bytes: &Vec<u8>| bytes.ends_with(b"LAWP");
        let is_log = path.to_string_lossy().contains("h%2C1%2C2");
        let is_open = is_log && self.inner.bytes(path).is_some_and(|bytes| !is_closed(&bytes));
        if is_open && !self.ended.lock().unwrap().contains(path) {
            return Ok(Arc::new(MemoryFile::new(path, Vec::new())));
        }
        self.inner.open(path)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.ended.lock().unwrap().insert(path.to_owned());
        Ok(())
    }

    fn can_hide_writes(&self, _: &Path) -> bool {
        true
    }
}

/// Edits that cannot be seen are not overlooked: nothing is done until a recovery has ended the writing of
/// the log.
#[test]
fn a_log_that_was_not_closed_may_hide_edits() {
    let (storage, [one, _]) = flushed();
    let whole = Table::open_with(ROOT, "t", options(&storage).writable(true)).unwrap();
    whole.snapshot("s").unwrap();
    whole.close().unwrap();
    let dir = Path::new("/hbase/data/default/t").join(&one);
    let add = TableChanges::new().family(Family::new("h"));
    let edits = [(&*one, 40, vec![put("b", "f", "3"), put("b", "g", "4"), put("b", "h", "deleted")])];
    let log = write_log(&storage, SERVER, "h%2C1%2C2.1000", &edits, false);
    let before = files(&storage);
    let refused = || {
        let hides = || Hides::options(&storage);
        let table = Table::open_with(ROOT, "t", hides().writable(true)).unwrap();
        let all = [
            table.put(Put::new("a").cell("f", "q", "8")),
            table.split("b").map(drop),
            hides().writable(true).open(&dir).map(drop),
            hides().writable(true).alter(true).family(Family::new("h")).open(&dir).map(drop),
            hides().replay_logs([&log]).open(&dir).map(drop),
            Table::alter(ROOT, "t", &add, &hides()).map(drop),
            Table::clone_snapshot(ROOT, "s", "u", hides()).map(drop),
            Table::plan_recovery(ROOT, hides()).map(drop),
        ];
        table.close().unwrap();
        all
    };
    for (at, done) in refused().into_iter().enumerate() {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{at}: {error}");
        assert!(error.to_string().contains("recovery of the root"), "{at}: {error}");
    }
    let unchanged = |(path, _): &(PathBuf, Vec<u8>)| !path.ends_with(".hregion.lock");
    let after: Vec<_> = files(&storage).into_iter().filter(unchanged).collect();
    assert!(after == before.into_iter().filter(unchanged).collect::<Vec<_>>(), "{after:?}");
    // Reads do not need the logs of servers.
    let table = Table::open_with(ROOT, "t", Hides::options(&storage)).unwrap();
    assert!(table.get(&Get::new("b")).unwrap().is_empty());

    let done = Table::recover(ROOT, Hides::options(&storage)).unwrap();
    assert_eq!((done.logs.len(), done.regions.len()), (1, 1), "{done:?}");
    let table = Table::open_with(ROOT, "t", Hides::options(&storage).writable(true)).unwrap();
    table.put(Put::new("a").cell("f", "q", "8")).unwrap();
    assert!(values(&table).contains(&"b/f:q/500=3".to_owned()), "{:?}", values(&table));
    table.close().unwrap();

    // A log that its server has closed is read as it is: it may have no edits that are needed.
    write_log(&storage, SERVER, "h%2C1%2C2.2000", &[(GONE, 41, vec![put("b", "f", "gone")])], true);
    Hides::options(&storage).writable(true).open(&dir).unwrap().close().unwrap();
    Table::clone_snapshot(ROOT, "s", "u", Hides::options(&storage)).unwrap().close().unwrap();
    Table::plan_recovery(ROOT, Hides::options(&storage)).unwrap();
    // The writing of a given log is ended.
    let given =
        write_log(&storage, "/elsewhere", "h%2C1%2C2.1000", &[(&*one, 90, vec![put("c", "f", "9")])], false);
    let region = Hides::options(&storage).writable(true).replay_logs([given]).open(&dir).unwrap();
    assert_eq!(region.replayed().cells, 1);
    region.close().unwrap();
}

#[test]
fn more_regions_than_are_written_at_once_are_recovered() {
    let storage = FaultyStorage::new();
    let splits: Vec<String> = (1..250).map(|i| format!("{i:03}")).collect();
    let table = Table::create_with(ROOT, "t", &families(), &splits, options(&storage)).unwrap();
    let names: Vec<String> = table.regions().iter().map(RegionInfo::encoded_name).collect();
    table.close().unwrap();
    let cells = |i: usize| vec![put(&format!("{i:03}"), "f", "1"), put(&format!("{i:03}"), "g", "2")];
    let entries: Vec<_> = names.iter().enumerate().map(|(i, name)| (&**name, 40, cells(i))).collect();
    write_log(&storage, SERVER, "log.1", &entries, true);
    storage.limit_handles(150);
    let found = recover(&storage).unwrap();
    assert_eq!((found.regions.len(), values(&open(&storage, false)).len()), (250, 500));
}

/// Of the markers, a split keeps those of compactions: the files they name are left out and archived.
#[test]
fn markers_of_compactions_reach_the_regions() {
    let (storage, [one, _]) = flushed();
    let family = Path::new("/hbase/data/default/t").join(&one).join("f");
    let file = storage.list_dir(&family).unwrap().remove(0).name.into_string().unwrap();
    let marker = CompactionMarker::new("t", &*one, "f", vec![file.clone()], Vec::new());
    let entries = [(&*one, 30, vec![Marker::Compaction(marker).to_cell(b"", 5)])];
    write_log(&storage, SERVER, "log.1", &entries, true);
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
    let found = recover(&storage).unwrap();
    assert_eq!(replayed(&planned), replayed(&found));
    assert_eq!(found.regions[0].replayed.cells, 0);
    assert!(storage.bytes(&family.join(&file)).is_none(), "archived");
    assert_eq!(values(&open(&storage, false)).len(), 3);
}

#[cfg(unix)]
#[test]
fn links_are_refused_and_lead_nowhere() {
    use std::os::unix::fs::symlink;

    let (golden, outside) = (variants()[0].join("split"), tempfile::tempdir().unwrap());
    for link in ["WALs", "WALs/h,1,2", "WALs/h,1,2/log.1", "oldWALs", "data/default/w1/recovered.edits"] {
        let root = tempfile::tempdir().unwrap();
        copy_dir(&golden, root.path());
        let server = root.path().join("WALs/h,1,2");
        fs::create_dir_all(&server).unwrap();
        let table = root.path().join("data/default/w1");
        let region = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().file_name());
        let region = region.filter_map(|name| name.into_string().ok()).find(|name| name.len() == 32).unwrap();
        let log = server.join("log.0");
        let mut writer = WalWriterOptions::new().create(&log).unwrap();
        writer.append(&WalKey::new(&*region, "w1", 1, 1), [put("row", "a", "1").as_ref()]).unwrap();
        writer.close().unwrap();
        let path = match link.strip_prefix("data/default/w1/") {
            Some(rest) => table.join(&region).join(rest),
            None => root.path().join(link),
        };
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&path).unwrap(),
            other => assert_eq!(other.unwrap_err().kind(), io::ErrorKind::NotFound, "{link}"),
        }
        symlink(outside.path(), &path).unwrap();
        let error = Table::recover(root.path(), Region::options()).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{link}: {error}");
        assert_eq!(count(outside.path()), 0, "{link}");
    }
}

#[test]
fn a_root_that_does_not_exist_is_an_error() {
    let storage = FaultyStorage::new();
    assert_eq!(Table::plan_recovery("/none", options(&storage)).unwrap_err().kind(), ErrorKind::Io);
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    assert_eq!(Table::recover(&none, Region::options()).unwrap_err().kind(), ErrorKind::Io);
    assert!(!none.exists());
}
