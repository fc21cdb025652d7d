//! Requests of a dead process that are carried out late.

use super::*;
use crate::support::trackers::TRACKER;
use hregion::io::faulty::Crash;

/// A path, and the bytes of the file there.
type Content = (PathBuf, Vec<u8>);

/// Returns the region infos of some regions.
fn infos(storage: &FaultyStorage, names: &[String]) -> Vec<Content> {
    let path = |name: &String| Path::new(ROOT).join("data/ns/t").join(name).join(".regioninfo");
    names.iter().map(|name| (path(name), storage.bytes(&path(name)).unwrap())).collect()
}

/// Creates files, as late requests do.
fn put_files(storage: &FaultyStorage, files: &[Content]) {
    for (path, bytes) in files {
        storage.create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = storage.create_new(path).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    }
}

/// The late region does not belong to a table that was created since, either.
#[test]
fn a_late_region_of_a_former_table_is_ignored() {
    let (storage, dir) = (bucket(), Path::new(ROOT).join("data/ns/t"));
    let mut late: Vec<Content> = Vec::new();
    for n in 0..4 {
        late.extend(infos(&storage, &region_names(&storage)));
        delete(&storage).unwrap();
        put_files(&storage, &late);
        assert_eq!(values(&storage, T), None, "{n}");
        assert!(Table::is_absent(&dir, &storage).unwrap(), "{n}");
        assert!(Table::has_unfinished_deletion(&dir, &storage).unwrap(), "{n}");
        // The late files are removed.
        delete(&storage).unwrap();
        assert_eq!(objects(&storage).len(), 1, "{n}");
        let table = create(&storage).unwrap();
        assert_eq!(cells(&table), [""; 0], "{n}");
        fill(&table, "old");
        table.close().unwrap();
        assert!(infos(&storage, &region_names(&storage)).iter().all(|info| !late.contains(info)), "{n}");
        // Also beside the new table.
        put_files(&storage, &late);
        assert_eq!(values(&storage, T), Some(old_values()), "{n}");
        use_table(&storage, &n.to_string());
    }
}

/// Another program has created a table whose descriptor has the same number as the previous table's.
#[test]
fn of_two_deletions_the_last_one_stays() {
    // The names of the files of deletions are random.
    for n in 0..8 {
        let (storage, other) = (bucket(), FaultyStorage::new());
        delete(&storage).unwrap();
        other.has_objects();
        let later = options(&other).clock(Arc::new(ManualClock::new(9000)));
        Table::create_with(ROOT, T, &families(), &["m"], later).unwrap().close().unwrap();
        let paths = objects(&other).into_iter().map(|path| Path::new(ROOT).join("data/ns/t").join(path));
        let files: Vec<Content> = paths.map(|path| (path.clone(), other.bytes(&path).unwrap())).collect();
        put_files(&storage, &files);
        assert_eq!(values(&storage, T), Some(Vec::new()), "{n}");
        let late = infos(&storage, &region_names(&storage));
        delete(&storage).unwrap();
        assert_eq!(objects(&storage).len(), 1, "{n}");
        put_files(&storage, &late);
        assert_eq!(values(&storage, T), None, "{n}");
        let table = create(&storage).unwrap();
        table.close().unwrap();
        assert!(infos(&storage, &region_names(&storage)).iter().all(|info| !late.contains(info)), "{n}");
    }
}

/// A truncation, or a split, was cut off, and its requests to create the new regions are carried out after
/// the table is deleted.
#[test]
fn a_late_region_does_not_bring_a_deleted_table_back() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, true, &options(storage));
    let split = |storage: &FaultyStorage| {
        let options = options(storage).compaction_enabled(false).writable(true);
        Table::open_with(ROOT, T, options)?.split("c")
    };
    // A region with references is not split.
    let unchanged = bucket();
    let table = Table::open_with(ROOT, T, options(&unchanged).writable(true)).unwrap();
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
    type Change<'c> = &'c dyn Fn(&FaultyStorage) -> Result<()>;
    let changes: [Change<'_>; 2] = [&truncate, &|storage| split(storage).map(drop)];
    for change in changes {
        let done = unchanged.copy();
        let before = region_names(&done);
        change(&done).unwrap();
        let mut late = region_names(&done);
        late.retain(|name| !before.contains(name));
        assert_eq!(late.len(), 2);
        let late_infos = infos(&done, &late);
        let mut cut_off = 0;
        for n in 0.. {
            let storage = unchanged.copy();
            storage.die_after(n);
            let changed = change(&storage);
            if !storage.has_died() {
                changed.unwrap();
                break;
            }
            let storage = storage.after(Crash::OfTheProcess);
            let is_change = |path: &&PathBuf| path.to_str().unwrap().starts_with(".change.");
            let changes = |storage: &FaultyStorage| objects(storage).iter().filter(is_change).count();
            if changes(&storage) == changes(&unchanged) || region_names(&storage) != before {
                continue;
            }
            cut_off += 1;
            delete(&storage).unwrap_or_else(|error| panic!("call {n}: {error}"));
            assert_eq!(values(&storage, T), None, "call {n}");
            put_files(&storage, &late_infos);
            assert_eq!(values(&storage, T), None, "call {n}");
            let table = create(&storage).unwrap_or_else(|error| panic!("call {n}: {error}"));
            assert_eq!(cells(&table), [""; 0], "call {n}");
            table.close().unwrap();
            assert!(region_names(&storage).iter().all(|name| !late.contains(name)), "call {n}");
            use_table(&storage, &format!("call {n}"));
            delete(&storage).unwrap();
            assert_eq!(values(&storage, T), None, "call {n}");
        }
        assert!(cut_off > 1, "{cut_off}");
    }
}

/// The process dies before the catalog has the table. Lists track the files of all families, by a setting of
/// the families or of the table; a table of the same name may have been deleted before.
#[test]
fn a_creation_that_was_cut_off_is_repeated() {
    let by_table = |storage: &FaultyStorage| {
        let changes = TableChanges::new().set(TRACKER, "FILE").family(Family::new("f"));
        Table::create_configured(ROOT, T, &changes, &["m"], options(storage))
    };
    type Create<'c> = &'c dyn Fn(&FaultyStorage) -> Result<Table>;
    let creations: [(Create<'_>, bool); 4] =
        [(&create, false), (&create, true), (&by_table, false), (&by_table, true)];
    for (i, (create, is_again)) in creations.into_iter().enumerate() {
        let mut repeated = 0;
        for n in 0.. {
            let died = FaultyStorage::new();
            died.has_objects();
            catalog::add_catalog_of(&died, with_list);
            if is_again {
                create(&died).unwrap().close().unwrap();
                delete(&died).unwrap();
            }
            died.die_after(n);
            let is_over = create(&died).is_ok();
            let died = died.after(Crash::OfTheProcess);
            if is_over {
                break;
            }
            let shown = format!("creation {i}, call {n} was the last");
            let has_descriptor = objects(&died).iter().any(|path| path.starts_with(".tabledesc"));
            let is_known = catalog::has_rows(&died);
            repeated += usize::from(has_descriptor && !is_known);
            let storage = died.after(Crash::OfTheProcess);
            match create(&storage) {
                Ok(table) => table.close().unwrap(),
                Err(error) => assert!(is_known && error.is_already_exists(), "{shown}: {error}"),
            }
            assert_eq!(catalog::check(&storage, T, &shown), 2, "{shown}");
            assert_eq!(values(&storage, T), Some(Vec::new()), "{shown}");
            let error = create(&storage).map(drop).unwrap_err();
            assert!(error.is_already_exists(), "{shown}: {error}");
            // Not the same table.
            if has_descriptor && !is_known && !is_again {
                let other = Table::create_with(ROOT, T, &[listed("other")], &["m"], options(&died));
                let error = other.map(drop).unwrap_err();
                assert!(error.is_already_exists() && catalog::has_rows(&died), "{shown}: {error}");
            }
        }
        assert!(repeated > 1, "creation {i}: {repeated}");
    }
}

/// No region ids remain except for the regions of a creation that was cut off, and too few for a snapshot.
#[test]
fn new_regions_need_ids() {
    let at_end = |storage: &FaultyStorage| options(storage).clock(Arc::new(ManualClock::new(i64::MAX)));
    let create =
        |storage: &FaultyStorage| Table::create_with(ROOT, T, &families(), &["m"], at_end(storage)).map(drop);
    let mut refused = 0;
    for n in 0.. {
        let storage = FaultyStorage::new();
        storage.has_objects();
        storage.die_after(n);
        let is_over = create(&storage).is_ok();
        match create(&storage.after(Crash::OfTheProcess)) {
            Err(error) if error.kind() == ErrorKind::Unsupported => refused += 1,
            Err(error) => assert!(error.is_already_exists(), "call {n}: {error}"),
            Ok(()) => assert!(!is_over),
        }
        if is_over {
            break;
        }
    }
    assert!(refused > 0);
    let storage = bucket_since(false);
    let cloned = Table::clone_snapshot(ROOT, "s", "clone", at_end(&storage)).map(drop);
    assert_eq!(cloned.unwrap_err().kind(), ErrorKind::Unsupported);
    let restored = Table::restore_snapshot(ROOT, "s", at_end(&storage)).map(drop);
    assert_eq!(restored.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(values(&storage, "clone"), None);
    assert_eq!(values(&storage, T), Some(later_values()));
}

/// The request that creates the descriptor of a creation that was cut off is carried out after another table
/// of the same name exists.
#[test]
fn a_late_descriptor_of_a_creation_is_ignored() {
    let new = || {
        let storage = FaultyStorage::new();
        storage.has_objects();
        storage
    };
    let first = |storage: &FaultyStorage| {
        Table::create_with(ROOT, T, &[listed("x")], &["m"], options(storage)).map(drop)
    };
    let descriptors = |storage: &FaultyStorage| -> Vec<PathBuf> {
        objects(storage).into_iter().filter(|path| path.starts_with(".tabledesc")).collect()
    };
    let done = new();
    first(&done).unwrap();
    let late = Path::new(ROOT).join("data/ns/t").join(&descriptors(&done)[0]);
    let bytes = done.bytes(&late).unwrap();
    let mut cut_off = 0;
    for n in 0.. {
        let storage = new();
        storage.die_after(n);
        if first(&storage).is_ok() {
            break;
        }
        let storage = storage.after(Crash::OfTheProcess);
        if objects(&storage).is_empty() || !descriptors(&storage).is_empty() {
            continue;
        }
        cut_off += 1;
        create(&storage).unwrap().close().unwrap();
        put_files(&storage, &[(late.clone(), bytes.clone())]);
        let table = open(&storage, T, true).unwrap();
        fill(&table, "old");
        table.close().unwrap();
        assert_eq!(values(&storage, T), Some(old_values()), "call {n}");
    }
    assert!(cut_off > 1, "{cut_off}");
}
