//! The descriptor of a region's directory: missing, given, different from the families, or altered.

use super::files_in;
use crate::support::files::copy_dir;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    Compaction, Durability, ErrorKind, Family, Get, Put, Region, RegionOptions, Table, TableChanges,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A region directory copied without its table descriptor: all versions can be read, and it cannot be written
/// unless the settings of all families are given.
#[test]
fn a_region_without_its_descriptor_is_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("data/default/t");
    let families = [Family::new("f").max_versions(5), Family::new("g")];
    let created = Table::create(dir.path(), "t", &families, &[""; 0]).unwrap();
    let region = created.region("r").unwrap();
    for version in 1..=5 {
        region.put(Put::new("r").cell_at("f", "q", version, "v").cell_at("g", "q", version, "v")).unwrap();
        region.flush().unwrap();
    }
    let path = dir.path().join("copy");
    copy_dir(region.path(), &path);
    drop((region, created));
    assert!(table.exists());
    let all = Get::new("r").max_versions(u32::MAX);
    let region = Region::open(&path).unwrap();
    assert_eq!(region.get(&all).unwrap().len(), 10);
    assert_eq!(region.get(&Get::new("r")).unwrap().len(), 2);
    let [warning] = region.warnings() else { panic!("{:?}", region.warnings()) };
    assert!(warning.to_string().contains("no table descriptor"), "{warning}");
    let before = files_in(&path.join("f"));
    let open = |families: &[Family]| {
        let options = Region::options().writable(true).create_if_missing(true);
        families.iter().cloned().fold(options, RegionOptions::family).open(&path)
    };
    for given in [&[][..], &families[..1]] {
        let error = open(given).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidArgument, Some(path.as_path())));
    }
    assert_eq!(files_in(&path.join("f")), before);
    let descriptor = fs::read_dir(table.join(".tabledesc")).unwrap().next().unwrap().unwrap().path();
    let region = Region::options().descriptor_file(&descriptor).open(&path).unwrap();
    assert!(region.warnings().is_empty() && region.families().eq(&families));
    let region = open(&families).unwrap();
    assert!(region.warnings().is_empty());
    region.compact(Compaction::Major).unwrap();
    assert_eq!(region.get(&all).unwrap().len(), 6);
}

/// A given descriptor supplies the settings of the table, not only those of its families.
#[test]
fn a_given_descriptor_has_the_settings_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let created = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    let path = dir.path().join("copy");
    copy_dir(created.region("r").unwrap().path(), &path);
    created.close().unwrap();
    let kept = TableChanges::new().set("READONLY", "true").set("hbase.hstore.time.to.purge.deletes", "9");
    Table::alter(dir.path(), "t", &kept, &Region::options()).unwrap();
    let descriptors = dir.path().join("data/default/t/.tabledesc");
    let descriptor = fs::read_dir(descriptors).unwrap().next().unwrap().unwrap().path();
    let put = |options: RegionOptions| {
        let region = options.writable(true).open(&path).unwrap();
        let put = region.put(Put::new("r").cell("f", "q", "v"));
        region.close().unwrap();
        put
    };
    put(Region::options().family(Family::new("f"))).unwrap();
    let refused = |options: RegionOptions| {
        let error = put(options).unwrap_err();
        assert!(error.to_string().contains("READONLY"), "{error}");
    };
    refused(Region::options().descriptor_file(&descriptor));
    assert!(!path.join(".tabledesc").exists());
    // The descriptor that the region then has is complete.
    refused(Region::options().descriptor_file(&descriptor).alter(true));
    refused(Region::options());
}

#[test]
fn families_that_differ_from_the_descriptor_are_refused_or_alter_it() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f").max_versions(5), Family::new("g")];
    drop(Table::create(dir.path(), "t", &families, &["m"]).unwrap());
    let table = dir.path().join("data/default/t");
    let region_dirs: Vec<PathBuf> = fs::read_dir(&table)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(".regioninfo").exists())
        .collect();
    let path = &region_dirs[0];
    let options = || Region::options().writable(true);
    let same = options().family(families[0].clone()).open(path).unwrap();
    assert_eq!(same.families().count(), 2);
    drop(same);
    let changed = Family::new("f").max_versions(3).ttl(Duration::from_secs(60));
    let error = options().family(changed.clone()).open(path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    for part in ["f: VERSIONS is 5, given 3", "f: TTL is 2147483647, given 60"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let new = Family::new("h").configuration("my.setting", "1");
    let error = options().family(new.clone()).open(path).unwrap_err();
    assert!(error.to_string().contains("there is no family h"), "{error}");
    assert_eq!(
        Region::options().family(new.clone()).open(path).unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    let error = Region::options().alter(true).family(new.clone()).open(path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "reading alters nothing");

    let region = options().alter(true).family(changed.clone()).family(new.clone()).open(path).unwrap();
    let row = if region.info().contains(b"a") { "a" } else { "z" };
    for i in 0..100 {
        region.put(Put::new(row).cell("h", format!("q{i}"), "v").cell("f", "q", "v")).unwrap();
    }
    drop(region);
    for path in &region_dirs {
        let region = Region::options().open(path).unwrap();
        assert_eq!(region.families().collect::<Vec<_>>(), [&changed, &families[1], &new]);
    }
    let found = Table::open(dir.path(), "t").unwrap().get(&Get::new(row).family("h")).unwrap();
    assert_eq!(found.len(), 100, "the cells of the new family");
    let descriptors = files_in(&table.join(".tabledesc"));
    assert_eq!(descriptors, [".tableinfo.0000000002"]);
}

#[test]
fn an_alteration_is_there_as_a_whole_or_not_at_all() {
    let begin = || {
        let storage = FaultyStorage::new();
        let options = Region::options().storage(Arc::new(storage.clone()));
        let table = Table::create_with("/root", "t", &[Family::new("f")], &[""; 0], options).unwrap();
        let path = table.region("r").unwrap().path().to_owned();
        drop(table);
        (storage, path)
    };
    let alter = |storage: &FaultyStorage, path: &Path| {
        let options = Region::options().storage(Arc::new(storage.clone())).writable(true).alter(true);
        options.family(Family::new("f").max_versions(7)).family(Family::new("g")).open(path)
    };
    let (sound, path) = begin();
    let before = sound.calls();
    drop(alter(&sound, &path).unwrap());
    for n in 0..sound.calls() - before {
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(n)] {
            let (storage, path) = begin();
            storage.die_after(n);
            std::mem::forget(alter(&storage, &path));
            let left = storage.after(crash);
            let region = Region::options().storage(Arc::new(left.clone())).writable(true).open(&path);
            let region = region.unwrap_or_else(|error| panic!("{crash:?} at {n}: {error}"));
            let families: Vec<Family> = region.families().cloned().collect();
            let altered = [Family::new("f").max_versions(7), Family::new("g")];
            assert!(families == [Family::new("f")] || families == altered, "{crash:?} at {n}: {families:?}");
            let put =
                families.iter().fold(Put::new("r"), |put, family| put.cell(family.name().to_vec(), "q", "v"));
            region.put(put).unwrap();
            drop(region);
            let region = Region::options().storage(Arc::new(left.clone())).open(&path).unwrap();
            assert_eq!(region.get(&Get::new("r")).unwrap().len(), families.len());
        }
        let (storage, path) = begin();
        storage.fail_after(n);
        drop(alter(&storage, &path));
        let region = alter(&storage, &path).unwrap_or_else(|error| panic!("again after call {n}: {error}"));
        assert_eq!(region.families().count(), 2);
        // Later writes to the new family are not lost with the name of the descriptor.
        let put = Put::new("r").cell("f", "q", "v").cell("g", "q", "v");
        region.put(put.durability(Durability::FsyncWal)).unwrap();
        std::mem::forget(region);
        for crash in [Crash::Hard, Crash::Torn, Crash::Chance(n)] {
            let left = Region::options().storage(Arc::new(storage.after(crash)));
            let region = left.writable(true).open(&path).unwrap();
            assert_eq!(region.get(&Get::new("r")).unwrap().len(), 2, "{crash:?} after call {n} failed");
        }
    }
}
