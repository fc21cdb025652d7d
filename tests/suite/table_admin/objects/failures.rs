//! Every call fails once.

use super::*;
use crate::support::crashes::one_in;
use hregion::io::faulty::Crash;

/// Returns a new bucket, optionally with a catalog.
type Bucket = fn(bool) -> FaultyStorage;

/// Runs `change` on a copy of a bucket whose call `n` fails, or in which the process dies at that call.
/// Returns whether it succeeded, and the copy; `None` if `change` makes fewer calls.
fn failed(
    before: &FaultyStorage,
    n: u64,
    dies: bool,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
) -> Option<(bool, FaultyStorage)> {
    let storage = before.copy();
    if dies {
        storage.die_after(n);
    } else {
        storage.fail_among_all([n]);
    }
    let is_ok = change(&storage).is_ok();
    if dies {
        if !storage.has_died() {
            assert!(is_ok && n > 40, "{n}");
            return None;
        }
        return Some((is_ok, storage.after(Crash::OfTheProcess)));
    }
    if !storage.pending_faults().is_empty() {
        assert!(is_ok && n > 90, "{n}");
        return None;
    }
    Some((is_ok, storage))
}

fn each_failure(
    every: usize,
    bucket: Bucket,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
    check: &dyn Fn(bool, FaultyStorage, u64, &str),
) {
    // Without a catalog, and with one if the call is odd.
    let buckets = [false, true].map(bucket);
    for dies in [false, true] {
        // With a catalog, there are more calls. If `HREGION_EVERY` is even, all numbers are of one bucket.
        let mut was_over = false;
        for n in one_in(every) {
            let shown = format!("call {n}, dies: {dies}");
            let found = failed(&buckets[usize::from(n % 2 == 1)], n, dies, change);
            let is_over = found.is_none();
            if let Some((is_ok, storage)) = found {
                check(is_ok, storage, n, &shown);
            } else if was_over {
                break;
            }
            was_over = is_over;
        }
    }
}

/// Whether `change` succeeds although the call number `call` of the storage fails. In about half of the
/// cases, only the answer to the call is lost.
fn succeeds_despite(
    storage: &FaultyStorage,
    call: u64,
    change: impl Fn(&FaultyStorage) -> Result<()>,
) -> bool {
    storage.lose_answers(call % 4 < 2);
    storage.fail_among_all([call]);
    let is_ok = change(storage).is_ok();
    storage.heal();
    is_ok
}

/// After an attempt that failed at the call `n`: optionally uses the table; optionally repeats the change
/// with one of the first `calls` calls failing; then repeats it, unless it has succeeded. Checks that the
/// table has the rows `after` at the end.
fn complete(
    storage: &FaultyStorage,
    n: u64,
    calls: u64,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
    after: &[String],
    shown: &str,
) {
    let is_made = || values(storage, T).as_deref() == Some(after);
    if n % 3 == 1 {
        use_table(storage, shown);
    }
    if n.is_multiple_of(2) {
        assert!(!succeeds_despite(storage, (n * 31 + 7) % calls, change) || is_made(), "{shown}");
    }
    if !is_made() || n % 5 > 1 {
        change(storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
    }
    assert_eq!(values(storage, T).as_deref(), Some(after), "{shown}");
    use_table(storage, shown);
    check_root(storage, shown);
    check_changes(storage, shown);
}

fn is_one_of(seen: Option<&Vec<String>>, is_ok: bool, after: Option<&Vec<String>>, shown: &str) {
    assert!(seen == after || !is_ok && seen == Some(&old_values()), "{shown}: {seen:?}");
}

fn a_deletion_is_done_or_not(every: usize) {
    each_failure(every, bucket_with, &delete, &|is_ok, storage, n, shown| {
        is_one_of(values(&storage, T).as_ref(), is_ok, None, shown);
        if n % 3 == 1 && values(&storage, T).is_some() {
            use_table(&storage, shown);
            assert!(values(&storage, T).unwrap().len() > 8, "{shown}");
        }
        if n % 2 == 0 {
            let again = succeeds_despite(&storage, (n * 31 + 7) % 90, delete);
            assert!(!again || values(&storage, T).is_none(), "{shown}");
        }
        // It is repeated, or the table is created if it no longer exists.
        if values(&storage, T).is_some() || n % 5 > 1 {
            if let Err(error) = delete(&storage) {
                assert_eq!(error.kind(), ErrorKind::TableNotFound, "{shown}");
            }
            // Also if there were no regions left.
            let (dir, left) = (Path::new(ROOT).join("data/ns/t"), objects(&storage));
            assert!(
                left.len() == 1 && left[0].to_string_lossy().starts_with(".change."),
                "{shown}: {left:?}"
            );
            assert!(Table::is_absent(&dir, &storage).unwrap(), "{shown}");
            assert!(!Table::has_unfinished_deletion(&dir, &storage).unwrap(), "{shown}");
            check_root(&storage, shown);
        }
        assert_eq!(values(&storage, T), None, "{shown}");
        let created = succeeds_despite(&storage, (n * 17 + 3) % 60, |storage| create(storage).map(drop));
        match values(&storage, T) {
            Some(found) => {
                assert_eq!(found, [""; 0], "{shown}");
                // Adds it to the catalog, if that has failed.
                match create(&storage) {
                    Ok(table) => {
                        assert!(!created && n % 2 == 1, "{shown}");
                        table.close().unwrap();
                    }
                    Err(error) => assert!(error.is_already_exists(), "{shown}: {error}"),
                }
            }
            None => {
                assert!(!created, "{shown}");
                create(&storage).unwrap_or_else(|error| panic!("{shown}: {error}")).close().unwrap();
            }
        }
        use_table(&storage, shown);
        check_root(&storage, shown);
        delete(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(values(&storage, T), None, "{shown}");
        check_root(&storage, shown);
    });
}

fn a_truncation_is_done_or_not(every: usize) {
    for preserve in [true, false] {
        let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, preserve, &options(storage));
        each_failure(every, bucket_with, &truncate, &|is_ok, storage, n, shown| {
            let shown = &format!("{shown}, {preserve}");
            is_one_of(values(&storage, T).as_ref(), is_ok, Some(&Vec::new()), shown);
            complete(&storage, n, 120, &truncate, &[], shown);
            assert_eq!(region_names(&storage).len(), if preserve { 2 } else { 1 }, "{shown}");
        });
    }
}

/// Checks that only undone changes remain: their files stay as long as their parents exist.
fn check_changes(storage: &FaultyStorage, shown: &str) {
    let left = objects(storage);
    let is_open = |path: &PathBuf| {
        let bytes = storage.bytes(&Path::new(ROOT).join("data/ns/t").join(path)).unwrap();
        path.to_str().unwrap().starts_with(".change.")
            && !String::from_utf8(bytes).unwrap().lines().any(|line| line == "undone")
    };
    assert!(!left.iter().any(is_open), "{shown}: {left:?}");
}

fn a_restoration_is_done_or_not(every: usize) {
    let restored = Some(old_values());
    each_failure(every, bucket_since, &restore, &|is_ok, storage, n, shown| {
        let seen = values(&storage, T);
        assert!(seen == restored || !is_ok && seen == Some(later_values()), "{shown}: {seen:?}");
        complete(&storage, n, 170, &restore, &old_values(), shown);
        assert_eq!(region_names(&storage).len(), 2, "{shown}");
        // A table that is created from nothing is complete too.
        delete(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let created = succeeds_despite(&storage, (n * 17 + 3) % 150, restore);
        let seen = values(&storage, T);
        assert!(seen == restored || !created && seen.is_none(), "{shown}: {seen:?}");
        restore(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(values(&storage, T), restored, "{shown}");
        check_root(&storage, shown);
    });
}

fn an_alteration_is_done_or_not(every: usize) {
    let changes = TableChanges::new().delete_family("f").family(listed("h")).set("DURABILITY", "SYNC_WAL");
    let alter = |storage: &FaultyStorage| Table::alter(ROOT, T, &changes, &options(storage));
    let left: Vec<String> = old_values().into_iter().filter(|cell| !cell.contains("/f:")).collect();
    each_failure(every, bucket_with, &alter, &|is_ok, storage, n, shown| {
        let has_h = |storage: &FaultyStorage| {
            let region = open(storage, T, false).unwrap().region("a").unwrap();
            region.families().any(|family| family.name() == b"h")
        };
        let check = |is_ok: bool| {
            let after = if has_h(&storage) { &left } else { &old_values() };
            let seen = values(&storage, T).unwrap();
            assert!(seen == *after && (has_h(&storage) || !is_ok), "{shown}: {seen:?}");
        };
        check(is_ok);
        let is_written = n % 3 == 1;
        if is_written {
            use_table(&storage, shown);
        } else {
            check(succeeds_despite(&storage, (n * 31 + 7) % 120, alter));
        }
        // The family is added again, whether the call was repeated or not.
        let repeats = !has_h(&storage) || n % 2 == 0;
        if repeats && let Err(error) = alter(&storage) {
            assert_eq!(error.kind(), ErrorKind::NoSuchFamily, "{shown}");
        }
        let expected = left.len() + if is_written { 2 } else { 0 };
        assert_eq!(values(&storage, T).unwrap().len(), expected, "{shown}");
        let add = |storage: &FaultyStorage| {
            Table::alter(ROOT, T, &TableChanges::new().family(listed("f")), &options(storage))
        };
        let added = succeeds_despite(&storage, (n * 13 + 5) % 70, add);
        let has_f = || {
            let region = open(&storage, T, false).unwrap().region("a").unwrap();
            region.families().any(|family| family.name() == b"f")
        };
        assert!(!added || has_f(), "{shown}");
        add(&storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(has_f(), "{shown}");
        assert_eq!(values(&storage, T).unwrap().len(), expected, "{shown}: old cells of a new family");
        let table = open(&storage, T, true).unwrap();
        table.put(Put::new("c").cell_at("f", "q", 5, "new").cell_at("h", "q", 5, "new")).unwrap();
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap();
        assert_eq!(values(&storage, T).unwrap().len(), expected + 2, "{shown}");
        check_root(&storage, shown);
    });
}

#[test]
fn some_calls_fail() {
    a_deletion_is_done_or_not(13);
    a_truncation_is_done_or_not(17);
    an_alteration_is_done_or_not(17);
    a_restoration_is_done_or_not(29);
}

#[test]
#[ignore = "long"]
fn each_call_fails() {
    a_deletion_is_done_or_not(1);
    a_truncation_is_done_or_not(1);
    an_alteration_is_done_or_not(1);
    a_restoration_is_done_or_not(1);
}
