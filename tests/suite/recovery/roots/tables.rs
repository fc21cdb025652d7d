//! A table that cannot be recovered does not stop the recovery of others, and loses none of its edits.

use super::super::rewrite;
use super::{
    Entries, ROOT, SERVER, below, families, files, flushed, open, options, put, recover, replayed, values,
    write_log_of_tables,
};
use crate::support::crashes::one_in;
use hregion::io::Storage;
use hregion::io::faulty::FaultyStorage;
use hregion::{Compaction, Delete, ErrorKind, Put, RegionOutcome, RootRecovery, Table};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const U: &str = "/hbase/data/default/u";
/// A log with edits of both tables, one with edits of `t`, one with edits of `u`, and another of both.
const LOGS: [&str; 4] = ["h%2C1%2C2.1000", "h%2C1%2C2.2000", "h%2C1%2C2.3000", "h%2C1%2C2.4000"];
/// The cells of the tables after the recovery.
const OF_T: [&str; 8] = [
    "a/f:q/400=1",
    "a/g:q/400=2",
    "b/f:q/500=3",
    "b/g:q/500=4",
    "n/f:q/400=1",
    "n/g:q/400=2",
    "o/f:q/500=5",
    "p/g:q/500=6",
];
const OF_U: [&str; 3] = ["r/f:q/500=1", "r/g:q/500=2", "s/f:q/500=3"];

/// As [`flushed`], with an empty table `u` of one region, and the logs of a killed server. Returns the names
/// of the regions of `t`.
fn two_tables() -> (FaultyStorage, [String; 2]) {
    let (storage, regions) = flushed();
    let table = Table::create_with(ROOT, "u", &families(), &[""; 0], options(&storage)).unwrap();
    let of_u = table.regions()[0].encoded_name();
    table.close().unwrap();
    let [one, two] = [regions[0].as_str(), regions[1].as_str()];
    let log = |name: &str, t: &Entries<'_>, u: &Entries<'_>| {
        write_log_of_tables(&storage, SERVER, name, &[("t", t), ("u", u)], true);
    };
    log(LOGS[0], &[(one, 40, vec![put("b", "f", "3")])], &[(&*of_u, 40, vec![put("r", "f", "1")])]);
    log(LOGS[1], &[(two, 60, vec![put("o", "f", "5")])], &[]);
    log(LOGS[2], &[], &[(&*of_u, 41, vec![put("r", "g", "2")])]);
    log(
        LOGS[3],
        &[(one, 41, vec![put("b", "g", "4")]), (two, 61, vec![put("p", "g", "6")])],
        &[(&*of_u, 42, vec![put("s", "f", "3")])],
    );
    (storage, regions)
}

fn values_of(storage: &FaultyStorage, table: &str) -> Vec<String> {
    values(&Table::open_with(ROOT, table, options(storage)).unwrap())
}

fn names(logs: &[PathBuf]) -> Vec<&str> {
    logs.iter().map(|log| log.file_name().unwrap().to_str().unwrap()).collect()
}

/// The tables that were not recovered.
fn failed(found: &RootRecovery) -> BTreeSet<String> {
    found.failed.iter().map(|(table, _)| table.to_string()).collect()
}

/// The outcomes of the regions of a table.
fn outcomes(found: &RootRecovery, table: &str) -> Vec<RegionOutcome> {
    let of_table = found.regions.iter().filter(|one| one.table.to_string() == table);
    of_table.map(|one| one.outcome).collect()
}

/// Checks that a recovery has nothing left to do, and the cells of `u`.
fn assert_recovered(storage: &FaultyStorage) {
    assert_eq!(values_of(storage, "u"), OF_U);
    assert_eq!(below(storage, "/hbase/WALs"), [""; 0]);
    let again = recover(storage).unwrap();
    assert!(again.regions.is_empty() && again.logs.is_empty() && again.failed.is_empty(), "{again:?}");
}

/// Its edits, and the logs with them, stay. The other table is written to, and one of its regions emptied,
/// before the recovery is repeated.
#[test]
fn a_table_without_a_descriptor_is_left_out() {
    let (storage, _) = two_tables();
    let (descriptors, aside) = (Path::new(U).join(".tabledesc"), Path::new("/hbase/aside"));
    storage.rename(&descriptors, aside).unwrap();
    let of_u = || -> Vec<(PathBuf, Vec<u8>)> {
        let all = files(&storage).into_iter();
        all.filter(|(path, _)| Path::new("/").join(path).starts_with(U)).collect()
    };
    let before = of_u();
    let planned = Table::plan_recovery_of_tables(ROOT, options(&storage)).unwrap();
    let done = Table::recover_tables(ROOT, options(&storage)).unwrap();
    assert_eq!(replayed(&planned), replayed(&done));
    for found in [&planned, &done] {
        let [(table, error)] = &*found.failed else { panic!("{found:?}") };
        assert_eq!((&*table.to_string(), error.kind()), ("u", ErrorKind::InvalidArgument), "{error}");
        assert!(error.to_string().contains("there is no table descriptor"), "{error}");
        assert_eq!(names(&found.logs), [LOGS[1]]);
        assert_eq!(names(&found.kept_logs), [LOGS[0], LOGS[2], LOGS[3]]);
        assert_eq!(outcomes(found, "t"), [RegionOutcome::Replayed; 2]);
        assert_eq!(outcomes(found, "u"), [RegionOutcome::Failed]);
        let of_u = found.regions.iter().find(|one| one.outcome == RegionOutcome::Failed).unwrap();
        assert_eq!((of_u.replayed.edits, of_u.replayed.cells, of_u.replayed.skipped), (3, 3, 3));
    }
    assert!(of_u() == before, "nothing of the table has changed");
    assert_eq!(below(&storage, "/hbase/oldWALs"), [LOGS[1]]);
    assert_eq!(values_of(&storage, "t"), OF_T);
    let error = recover(&storage).unwrap_err();
    assert_eq!(error.to_string(), done.failed[0].1.to_string());
    assert_eq!(values_of(&storage, "t"), OF_T, "the edits are replayed again");

    let table = open(&storage, true);
    for row in ["a", "b"] {
        table.delete(Delete::new(row)).unwrap();
    }
    table.put(Put::new("o").cell_at("f", "q", 500, "later")).unwrap();
    for row in ["a", "n"] {
        table.region(row).unwrap().flush().unwrap();
        table.region(row).unwrap().compact(Compaction::Major).unwrap();
    }
    table.close().unwrap();
    let expected = values_of(&storage, "t");
    assert_eq!(expected.len(), 4, "{expected:?}");
    assert!(expected.contains(&"o/f:q/500=later".to_owned()), "{expected:?}");

    storage.rename(aside, &descriptors).unwrap();
    let done = recover(&storage).unwrap();
    assert_eq!((names(&done.logs), done.kept_logs.len()), (vec![LOGS[0], LOGS[2], LOGS[3]], 0));
    let mut of_t = done.regions.iter().filter(|one| one.table.to_string() == "t");
    assert!(of_t.all(|one| one.replayed.cells == one.replayed.skipped), "{done:?}");
    assert_eq!(values_of(&storage, "t"), expected, "no edit comes back");
    assert_recovered(&storage);
}

/// The other regions of its table are recovered, too.
#[test]
fn a_region_that_cannot_be_opened_keeps_the_logs_of_its_table() {
    let (storage, [one, two]) = two_tables();
    let family = Path::new("/hbase/data/default/t").join(&two).join("f");
    let file = family.join(storage.list_dir(&family).unwrap().remove(0).name);
    let bytes = storage.bytes(&file).unwrap();
    rewrite(&storage, &file, &bytes[..bytes.len() - 1]);
    let planned = Table::plan_recovery_of_tables(ROOT, options(&storage)).unwrap();
    let done = Table::recover_tables(ROOT, options(&storage)).unwrap();
    for found in [&planned, &done] {
        let [(table, error)] = &*found.failed else { panic!("{found:?}") };
        assert_eq!((&*table.to_string(), error.path()), ("t", Some(&*file)), "{error}");
        assert_eq!(names(&found.logs), [LOGS[2]]);
        assert_eq!(outcomes(found, "u"), [RegionOutcome::Replayed]);
        for region in found.regions.iter().filter(|region| region.region == one || region.region == two) {
            let is_one = region.region == one;
            let expected = if is_one { RegionOutcome::Replayed } else { RegionOutcome::Failed };
            assert_eq!(region.outcome, expected, "{region:?}");
        }
    }
    assert_eq!(values_of(&storage, "u"), OF_U);
    rewrite(&storage, &file, &bytes);
    assert_eq!(recover(&storage).unwrap().logs.len(), 3);
    assert_eq!(values_of(&storage, "t"), OF_T);
    assert_recovered(&storage);
}

/// If the edits of one log cannot be written for a region, those of a later log are not replayed: the earlier
/// ones would then seem to be in files.
#[test]
fn a_failing_call_loses_no_edits_of_its_table_and_does_not_stop_the_other() {
    let (before, _) = two_tables();
    let mut tables = BTreeSet::new();
    for n in one_in(2) {
        let storage = before.copy();
        storage.fail_among_all([n]);
        let found = Table::recover_tables(ROOT, options(&storage));
        if !storage.pending_faults().is_empty() {
            assert!(found.is_ok() && n > 100, "{n}");
            assert_eq!(tables.len(), 2, "both fail alone: {tables:?}");
            return;
        }
        storage.heal();
        if let Ok(found) = &found {
            let failed = failed(found);
            assert!(failed.len() <= 1, "call {n}: {found:?}");
            for (name, all) in [("t", &OF_T[..]), ("u", &OF_U[..])] {
                if failed.contains(name) {
                    let kept = if name == "t" { [0, 1, 3] } else { [0, 2, 3] };
                    assert_eq!(names(&found.kept_logs), kept.map(|at| LOGS[at]), "call {n}");
                } else {
                    assert_eq!(values_of(&storage, name), all, "call {n}: {found:?}");
                }
            }
            tables.extend(failed);
        }
        recover(&storage).unwrap_or_else(|error| panic!("call {n}: {error}"));
        assert_eq!(values_of(&storage, "t"), OF_T, "call {n}");
        assert_recovered(&storage);
    }
}
