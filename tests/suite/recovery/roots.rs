//! Root directories with logs of dead servers.

mod damage;
mod edits;
mod markers;
mod open_logs;
mod tables;

use super::{all_cells, answers, cell, contents, copy_dir, region_dir, rewrite, variants};
use crate::log::add_table_value;
use crate::support::crashes::{crashes_at, one_in};
use crate::support::files::write_synced;
use crate::support::golden;
use crate::support::trackers::with_list;
use hregion::io::Storage;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    Cell, CellRef, CellType, Compaction, Delete, ErrorKind, Family, Get, ManualClock, Put, Region,
    RegionInfo, RegionOptions, RegionOutcome, RegionRecovery, ReplayReport, Result, RootRecovery, Scan,
    Table,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// The regions with their replayed edits, but without file names, which a plan lacks.
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

/// As [`families`], but for an object store.
fn tracked() -> [Family; 2] {
    families().map(with_list)
}

fn put(row: &str, family: &str, value: &str) -> Cell {
    cell(row, family, CellType::Put, value)
}

/// A root with a table `t` of two regions with two families. Returns the encoded names of the regions.
///
/// The row `old` was written with the first sequence ids, then deleted, and is no longer in any file.
fn flushed() -> (FaultyStorage, [String; 2]) {
    let storage = FaultyStorage::new();
    let names = create_flushed(&storage, &families());
    (storage, names)
}

/// As [`flushed`], in a given storage, with given families.
fn create_flushed(storage: &FaultyStorage, families: &[Family]) -> [String; 2] {
    let table = Table::create_with(ROOT, "t", families, &["m"], options(storage)).unwrap();
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
    names.try_into().unwrap()
}

/// The entries of a log: region, sequence id, and cells.
type Entries<'e> = [(&'e str, i64, Vec<Cell>)];

/// Writes a log of the table `t`, synced with its directory. It has a trailer if it was rolled.
fn write_log(
    storage: &FaultyStorage,
    server: &str,
    name: &str,
    entries: &Entries<'_>,
    rolled: bool,
) -> PathBuf {
    write_log_of_tables(storage, server, name, &[("t", entries)], rolled)
}

/// Like [`write_log`], with the entries of several tables.
fn write_log_of_tables(
    storage: &FaultyStorage,
    server: &str,
    name: &str,
    tables: &[(&str, &Entries<'_>)],
    rolled: bool,
) -> PathBuf {
    let dir = Path::new(server);
    storage.create_dir_all(dir).unwrap();
    let path = dir.join(name);
    let mut writer = WalWriterOptions::new().checksums(Some(1)).create_in(storage, &path).unwrap();
    let entries = tables.iter().flat_map(|(table, entries)| entries.iter().map(move |entry| (table, entry)));
    for (table, (region, seq_id, cells)) in entries {
        let key = WalKey::new(*region, *table, *seq_id, 500);
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

/// A root whose server was killed, with a rolled log and a torn one.
fn crashed() -> FaultyStorage {
    let (storage, regions) = flushed();
    write_logs(&storage, &regions, 0);
    storage
}

/// As [`crashed`], in an object store, with greater sequence ids.
fn crashed_in_objects() -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.has_objects();
    let regions = create_flushed(&storage, &tracked());
    write_logs(&storage, &regions, 1 << 40);
    storage
}

/// Writes the logs of a killed server. Entries that are in no file have sequence ids after `base`.
fn write_logs(storage: &FaultyStorage, [one, two]: &[String; 2], base: i64) {
    let later = |seq_id: i64| base + seq_id;
    let deleted = |row: &str, family: &str| cell(row, family, CellType::DeleteFamily, "");
    let first = [
        (&**one, 1, vec![put("a-old", "f", "0"), put("a-old", "g", "0")]),
        (&**two, 1, vec![put("old", "f", "0"), put("old", "g", "0")]),
        (&**one, later(40), vec![deleted("a", "f"), put("b", "f", "3"), put("b", "g", "4")]),
        (GONE, later(41), vec![put("b", "f", "gone")]),
        (&**two, later(60), vec![put("o", "f", "5"), put("o", "g", "6")]),
    ];
    write_log(storage, SERVER, "h%2C1%2C2.1000", &first, true);
    let second = [
        (&**one, later(50), vec![put("b", "g", "7")]),
        (&**two, later(61), vec![deleted("n", "g")]),
        (&**two, later(62), vec![put("torn", "f", "8"), put("torn", "g", "9")]),
    ];
    let path = write_log(storage, SERVER, "h%2C1%2C2.2000", &second, false);
    tear(storage, &path);
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
    split_replay_and_archive(&crashed());
    split_replay_and_archive(&crashed_in_objects());
}

fn split_replay_and_archive(storage: &FaultyStorage) {
    let planned = Table::plan_recovery(ROOT, options(storage)).unwrap();
    let done = recover(storage).unwrap();
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
    assert_eq!(values(&open(storage, false)), expected());
    assert_eq!(below(storage, "/hbase/oldWALs"), ["h%2C1%2C2.1000", "h%2C1%2C2.2000"]);
    assert!(storage.list_dir(Path::new("/hbase/WALs")).unwrap().is_empty());
    let is_edit = |path: &&PathBuf| {
        path.to_string_lossy().contains("recovered.edits")
            && path.extension().is_none_or(|end| end != "seqid")
    };
    assert_eq!(storage.names().iter().filter(is_edit).count(), 0);
}

#[test]
fn a_failing_call_of_a_root_recovery_loses_nothing() {
    let all = |n| [None, Some(Crash::Hard), Some(Crash::Torn), Some(Crash::Chance(n))];
    fail_each_call(&crashed(), 1, |n| crashes_at(n, &all(n)));
}

/// In an object store, everything that exists is durable.
#[test]
fn a_failing_call_of_a_root_recovery_in_an_object_store_loses_nothing() {
    fail_each_call(&crashed_in_objects(), 3, |_| vec![None]);
}

/// Recovers roots with every call, or one of several, failing, in some cases with a loss of power: no table
/// is open, so the death of the process would change nothing. Then another recovery fails, and a last one
/// succeeds.
fn fail_each_call(before: &FaultyStorage, every: usize, crashes: impl Fn(u64) -> Vec<Option<Crash>>) {
    let logs = below(before, "/hbase/WALs");
    let mut recoveries = 0;
    for n in one_in(every) {
        for crash in crashes(n) {
            let shown = format!("call {n}, {crash:?}");
            let storage = before.copy();
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
            // Fails once more, at any call; in half of the cases, only the answer is lost.
            storage.lose_answers(n % 4 < 2);
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
            if crash.is_none() {
                table.flush().unwrap();
                table.compact(Compaction::Major).unwrap();
                table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(values(&open(&storage, false)).len(), 4, "{shown}: opened again");
            }
        }
    }
}

/// Logs whose edits are in files, as if a recovery had been interrupted before moving them.
#[test]
fn a_log_that_is_replayed_again_brings_nothing_back() {
    replay_again(&crashed());
    replay_again(&crashed_in_objects());
}

fn replay_again(storage: &FaultyStorage) {
    let logs: Vec<(PathBuf, Vec<u8>)> = ["h%2C1%2C2.1000", "h%2C1%2C2.2000"]
        .map(|name| Path::new(SERVER).join(name))
        .map(|path| (path.clone(), storage.bytes(&path).unwrap()))
        .into();
    recover(storage).unwrap();
    let table = open(storage, true);
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
        write_synced(storage, &path, &bytes);
    }
    let found = recover(storage).unwrap();
    let replayed = found.regions.iter().filter(|one| one.outcome == RegionOutcome::Replayed);
    assert!(replayed.clone().all(|one| one.replayed.cells == one.replayed.skipped), "{found:?}");
    assert_eq!(replayed.count(), 2);
    assert_eq!(values(&open(storage, false)), Vec::<String>::new());
}

/// Only names and lengths of logs are examined.
#[test]
fn logs_that_may_have_edits_are_found() {
    let (storage, [one, _]) = flushed();
    let table = open(&storage, false);
    let calls = storage.all_calls();
    let logs = table.unread_logs().unwrap();
    assert_eq!(storage.all_calls(), calls, "no file is accessed before the question");
    assert_eq!((logs.root(), logs.dir()), (Path::new(ROOT), Path::new("/hbase/WALs").to_owned()));
    let found = || {
        let of_region = table.region("a").unwrap().unread_logs().unwrap();
        assert_eq!(of_region.root(), logs.root());
        let found = logs.may_have_edits().unwrap();
        assert_eq!(of_region.may_have_edits().unwrap(), found);
        found
    };
    let at = |name: &str| Path::new(SERVER).join(name);
    assert!(!found(), "there is no server");
    storage.create_dir_all(Path::new(SERVER)).unwrap();
    write_synced(&storage, Path::new("/hbase/WALs/file"), b"bytes");
    write_synced(&storage, &at(".h%2C1%2C2.1000.crc"), b"bytes");
    write_synced(&storage, &at("h%2C1%2C2.1000"), b"");
    assert!(!found(), "none of them has edits");
    storage.remove(&at("h%2C1%2C2.1000")).unwrap();
    let entries = [(&*one, 1, vec![put("a-old", "f", "0")])];
    write_log(&storage, SERVER, "h%2C1%2C2.meta.1000.meta", &entries, true);
    assert!(!found(), "it has edits of the catalog only");
    write_log(&storage, "/hbase/WALs/i,1,2-splitting", "i%2C1%2C2.1000", &entries, true);
    let calls = storage.all_calls();
    assert!(logs.may_have_edits().unwrap());
    assert_eq!(storage.all_calls() - calls, 3, "listings until a log is found");
    assert!(found());
    recover(&storage).unwrap();
    assert!(!found(), "they are recovered");

    let objects = FaultyStorage::new();
    objects.has_objects();
    create_flushed(&objects, &tracked());
    objects.create_dir_all(Path::new(SERVER)).unwrap();
    write_synced(&objects, &at("h%2C1%2C2.1000"), b"bytes");
    let logs = open(&objects, false).unread_logs().unwrap();
    let calls = objects.all_calls();
    assert!(logs.may_have_edits().unwrap());
    assert_eq!(objects.all_calls() - calls, 1, "each listing is paid for");
}

/// A reader beside a writer sees what the log of the writer had when it opened the region, so it needs no
/// warning of it.
#[test]
fn only_reads_that_may_lack_edits_have_unread_logs() {
    let storage = FaultyStorage::new();
    create_flushed(&storage, &families());
    let writer = open(&storage, true);
    writer.put(Put::new("new").cell("f", "q", "1")).unwrap();
    let reader = open(&storage, false);
    assert!(reader.exists(&Get::new("new")).unwrap(), "it is only in the log of the writer");
    assert!(!reader.unread_logs().unwrap().may_have_edits().unwrap());
    assert!(writer.unread_logs().is_none() && writer.region("new").unwrap().unread_logs().is_none());
    writer.snapshot("s").unwrap();
    writer.close().unwrap();
    let snapshot = Table::open_snapshot_with(ROOT, "s", options(&storage)).unwrap();
    let region = snapshot.region("new").unwrap();
    assert!(snapshot.unread_logs().is_none() && region.unread_logs().is_none());
    let family = region.path().join("f");
    let mut names = storage.list_dir(&family).unwrap().into_iter().map(|entry| entry.name);
    let file = family.join(names.find(|name| name.len() == 32).unwrap());
    assert!(options(&storage).open_files([file]).unwrap().unread_logs().is_none());
}

/// The state that HBase leaves when it dies while splitting a log: the server's directory under another name,
/// a file that is being written, and one under its final name, with the same edits in other bytes.
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

/// Checks that a recovery and its plan fail, and that nothing has changed.
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

/// In an object store, no file is written for a family without a list.
#[test]
fn edits_of_untracked_families_are_refused_in_an_object_store() {
    let storage = crashed();
    storage.has_objects();
    let before = files(&storage);
    let error = recover(&storage).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("needs the store file tracker FILE"), "{error}");
    assert!(files(&storage) == before, "nothing has changed");
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap_err();
    assert_eq!(planned.to_string(), error.to_string());
    let region = open(&storage, false).regions()[0].encoded_name();
    let dir = Path::new(ROOT).join("data/default/t").join(region);
    let refused = options(&storage).open(&dir).unwrap().check_write_settings().unwrap_err();
    assert_eq!(refused.message(), error.message());
}

/// A plan opens regions for reading, which needs none of the table's settings of writes.
#[test]
fn a_plan_finds_invalid_settings_of_writes_as_a_recovery_does() {
    for (key, value) in [("DURABILITY", "PERHAPS"), ("hbase.hregion.memstore.block.multiplier", "many")] {
        let storage = crashed();
        add_table_value(&storage, key, value);
        let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap_err();
        assert!(planned.to_string().contains(value), "{planned}");
        assert_eq!(recover(&storage).unwrap_err().to_string(), planned.to_string());
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

/// Without a descriptor, the settings of the families are not known.
#[test]
fn a_plan_needs_descriptors_as_the_recovery_does() {
    let root = tempfile::tempdir().unwrap();
    copy_dir(&variants()[0].join("split"), root.path());
    fs::remove_dir_all(root.path().join("data/default/w1/.tabledesc")).unwrap();
    let planned = Table::plan_recovery(root.path(), Region::options()).unwrap_err();
    let error = Table::recover(root.path(), Region::options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_eq!(planned.to_string(), error.to_string());
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
