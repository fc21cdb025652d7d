//! Every call of the storage fails once, and a crash happens there.

use super::*;
use crate::support::crashes::crashes_at;
use crate::support::trackers::with_list;
use hregion::io::faulty::Crash;

/// The family f, whose files are tracked by a list.
fn listed() -> Family {
    with_list(Family::new("f"))
}

/// What happens after a call has failed: nothing, or power is lost. No table is open, so the death of the
/// process would change nothing.
fn crashes(n: u64) -> Vec<Option<Crash>> {
    let all = [None, Some(Crash::Hard), Some(Crash::Torn), Some(Crash::Chance(n))];
    crashes_at(n, &all)
}

/// Runs `change` on a copy of a root, with the call `n` failing and then a crash. Returns whether it
/// succeeded, and the copy; `None` if `change` makes fewer calls.
fn failed(
    before: &FaultyStorage,
    n: u64,
    crash: Option<Crash>,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
) -> Option<(bool, FaultyStorage)> {
    let storage = before.copy();
    storage.fail_among_all([n]);
    let is_ok = change(&storage).is_ok();
    if !storage.pending_faults().is_empty() {
        assert!(is_ok && n > 60, "{n}");
        println!("{n} calls");
        return None;
    }
    Some((is_ok, after(&storage, crash)))
}

/// Makes another call fail after the failure of the call `n`. In half of the cases, only its answer is lost.
fn fail_again(storage: &FaultyStorage, n: u64, call: u64) {
    storage.lose_answers(n % 4 < 2);
    storage.fail_among_all([call]);
}

fn after(storage: &FaultyStorage, crash: Option<Crash>) -> FaultyStorage {
    let storage = crash.map_or_else(|| storage.clone(), |crash| storage.after(crash));
    storage.heal();
    storage
}

fn no_remains(storage: &FaultyStorage) -> bool {
    // "t", ".t.new", ".t.old" and "..t.new.<random>.tmp"
    let of_table = |path: &PathBuf| {
        let below = path.strip_prefix("hbase/.tmp/data/ns").ok()?;
        let name = below.iter().next()?.to_str()?.trim_start_matches('.').to_owned();
        Some(name == "t" || name.starts_with("t."))
    };
    !storage.names().iter().any(|path| of_table(path) == Some(true))
}

#[test]
fn a_deletion_is_done_or_not() {
    let delete = |storage: &FaultyStorage| Table::delete_table(ROOT, T, &options(storage));
    let before = root_with(&listed());
    for n in 0.. {
        for crash in crashes(n) {
            let shown = format!("call {n}, {crash:?}");
            let Some((is_ok, storage)) = failed(&before, n, crash, &delete) else { return };
            let seen = values(&storage, T);
            assert!(seen.is_none() || !is_ok && seen == Some(old_values()), "{shown}: {seen:?}");
            // Fails once more, at any call.
            fail_again(&storage, n, (n * 31 + 7) % 90);
            let again = delete(&storage).is_ok();
            let storage = after(&storage, crash);
            let seen = values(&storage, T);
            assert!(seen.is_none() || !again && seen == Some(old_values()), "{shown}: {seen:?}");
            if let Err(error) = delete(&storage) {
                assert_eq!(error.kind(), ErrorKind::TableNotFound, "{shown}");
            }
            assert_eq!(values(&storage, T), None, "{shown}");
            assert!(no_remains(&storage), "{shown}: {:?}", storage.names());
            assert_eq!(values(&storage, "other"), Some(old_values()), "{shown}");
            let table = Table::create_with(ROOT, T, &[Family::new("f")], &["m"], options(&storage)).unwrap();
            assert_eq!(cells(&table), [""; 0], "{shown}");
        }
    }
}

#[test]
fn files_of_a_deleted_table_are_never_lost() {
    let before = root();
    let files = store_files(&before, "");
    for n in 0.. {
        for crash in crashes(n).into_iter().filter(|crash| !matches!(crash, Some(Crash::Chance(_)))) {
            let shown = format!("call {n}, {crash:?}");
            let storage = before.copy();
            storage.fail_among_all([n]);
            let deleted = Table::delete_table(ROOT, T, &options(&storage));
            if !storage.pending_faults().is_empty() {
                assert!(deleted.is_ok() && n > 60, "{n}");
                return;
            }
            let storage = after(&storage, crash);
            let found = ["", ".tmp", "archive"].map(|below| store_files(&storage, below)).concat();
            let missing: Vec<_> = files.iter().filter(|file| !found.contains(file)).collect();
            assert!(missing.is_empty(), "{shown}: {missing:?}");
            // A table of the same name is created instead of repeating the call.
            if values(&storage, T).is_none() {
                fail_again(&storage, n, (n * 17 + 3) % 60);
                let create = || Table::create_with(ROOT, T, &[Family::new("f")], &["m"], options(&storage));
                let created = create().map(|table| table.close());
                storage.heal();
                let table = match created {
                    Ok(_) => open(&storage, T, true).unwrap(),
                    Err(error) if error.is_already_exists() => open(&storage, T, true).unwrap(),
                    Err(_) if values(&storage, T).is_some() => open(&storage, T, true).unwrap(),
                    Err(_) => create().unwrap(),
                };
                assert_eq!(cells(&table), [""; 0], "{shown}");
                assert_eq!(store_files(&storage, "archive"), files, "{shown}");
                assert!(no_remains(&storage), "{shown}");
            }
        }
    }
}

#[test]
fn a_truncation_is_done_or_not_or_can_be_repeated() {
    let before = root_with(&listed());
    for preserve in [true, false] {
        let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, preserve, &options(storage));
        let mut gaps = 0;
        for n in 0.. {
            let mut is_done = false;
            for crash in crashes(n) {
                let shown = format!("call {n}, {crash:?}, {preserve}");
                let Some((is_ok, storage)) = failed(&before, n, crash, &truncate) else {
                    is_done = true;
                    break;
                };
                let seen = values(&storage, T);
                gaps += usize::from(seen.is_none());
                let is_old = seen == Some(old_values());
                assert!(
                    seen == Some(Vec::new()) || !is_ok && (seen.is_none() || is_old),
                    "{shown}: {seen:?}"
                );
                // Fails once more, at any call.
                fail_again(&storage, n, (n * 31 + 7) % 120);
                let again = truncate(&storage).is_ok();
                let storage = after(&storage, crash);
                let seen = values(&storage, T);
                assert!(!again || seen == Some(Vec::new()), "{shown}: {seen:?}");
                truncate(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(values(&storage, T), Some(Vec::new()), "{shown}");
                assert!(no_remains(&storage), "{shown}: {:?}", storage.names());
                assert_eq!(region_names(&storage).len(), if preserve { 2 } else { 1 }, "{shown}");
                assert_eq!(values(&storage, "other"), Some(old_values()), "{shown}");
                let table = open(&storage, T, true).unwrap();
                fill(&table, "new");
                table.close().unwrap();
                assert_eq!(values(&storage, T).unwrap().len(), 8, "{shown}");
            }
            if is_done {
                break;
            }
        }
        assert!(gaps > 0, "some failures are between the two renames");
    }
}

/// Between the two renames of a truncation, the table can also be deleted, or created with other families.
#[test]
fn an_interrupted_truncation_can_be_given_up() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, true, &options(storage));
    let (before, mut gaps) = (root(), 0);
    for n in 0.. {
        let Some((_, storage)) = failed(&before, n, Some(Crash::Hard), &truncate) else { break };
        if values(&storage, T).is_some() {
            continue;
        }
        gaps += 1;
        if n % 2 == 0 {
            Table::delete_table(ROOT, T, &options(&storage)).unwrap();
            assert_eq!(truncate(&storage).unwrap_err().kind(), ErrorKind::TableNotFound);
        }
        assert_eq!(values(&storage, T), None);
        let table = Table::create_with(ROOT, T, &[Family::new("h")], &[""; 0], options(&storage)).unwrap();
        assert_eq!(cells(&table), [""; 0]);
        table.close().unwrap();
        assert!(no_remains(&storage));
        truncate(&storage).unwrap();
        assert_eq!(open(&storage, T, false).unwrap().region("a").unwrap().families().len(), 1);
    }
    assert!(gaps > 0);
}

fn family_names(storage: &FaultyStorage) -> Vec<String> {
    let region = open(storage, T, false).unwrap().region("a").unwrap();
    region.families().map(|family| String::from_utf8(family.name().to_vec()).unwrap()).collect()
}

#[test]
fn an_alteration_is_done_or_not() {
    let changes = TableChanges::new()
        .delete_family("f")
        .family(Family::new("g").max_versions(7))
        .family(Family::new("h"))
        .set("DURABILITY", "SYNC_WAL")
        .unset("none");
    let alter = |storage: &FaultyStorage| Table::alter(ROOT, T, &changes, &options(storage));
    let left: Vec<String> = old_values().into_iter().filter(|cell| !cell.contains("/f:")).collect();
    let check = |storage: &FaultyStorage, is_ok: bool, shown: &str| {
        let (families, seen) = (family_names(storage), values(storage, T).unwrap());
        if families == ["f", "g"] {
            assert!(!is_ok && seen == old_values(), "{shown}: {seen:?}");
        } else {
            assert_eq!((families, seen), (vec!["g".to_owned(), "h".to_owned()], left.clone()), "{shown}");
        }
    };
    let before = root_with(&listed());
    for n in 0.. {
        for crash in crashes(n) {
            let shown = format!("call {n}, {crash:?}");
            let Some((is_ok, storage)) = failed(&before, n, crash, &alter) else { return };
            check(&storage, is_ok, &shown);
            fail_again(&storage, n, (n * 31 + 7) % 120);
            let again = alter(&storage).is_ok();
            let storage = after(&storage, crash);
            check(&storage, again, &shown);
            // The family is added again, whether the call was repeated or not.
            if family_names(&storage) == ["f", "g"] || n % 2 == 0 {
                if let Err(error) = alter(&storage) {
                    assert_eq!(error.kind(), ErrorKind::NoSuchFamily, "{shown}");
                }
                assert_eq!(values(&storage, T), Some(left.clone()), "{shown}");
            }
            let add = TableChanges::new().family(listed());
            fail_again(&storage, n, (n * 13 + 5) % 70);
            let added = Table::alter(ROOT, T, &add, &options(&storage)).is_ok();
            let storage = after(&storage, crash);
            assert!(!added || family_names(&storage) == ["f", "g", "h"], "{shown}");
            Table::alter(ROOT, T, &add, &options(&storage)).unwrap();
            assert_eq!(values(&storage, T), Some(left.clone()), "{shown}: old cells of a new family");
            let table = open(&storage, T, true).unwrap();
            table.put(Put::new("b").cell_at("f", "q", 5, "new").cell_at("h", "q", 5, "new")).unwrap();
            assert_eq!(cells(&table).len(), 6, "{shown}");
            if crash.is_none() {
                table.delete(Delete::new("a")).unwrap();
                table.flush().unwrap();
                table.compact(Compaction::Major).unwrap();
            }
            table.close().unwrap();
            let count = if crash.is_none() { 4 } else { 6 };
            assert_eq!(values(&storage, T).unwrap().len(), count, "{shown}");
        }
    }
}
