//! Which regions and families receive the edits of a log, and when they may be opened.

use super::{
    GONE, ROOT, SERVER, below, crashed, expected, families, files, flushed, open, options, put, recover,
    refuse, replayed, values, write_log,
};
use hregion::io::Storage;
use hregion::io::faulty::FaultyStorage;
use hregion::{
    Compaction, ErrorKind, Family, Get, ManualClock, Put, RegionInfo, RegionOptions, RegionOutcome,
    RootRecovery, Table, TableChanges, TableName,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Logs have cells of a deleted family, and a family of the same name is added.
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

/// The same for the options of a region that alter the descriptor when it is opened.
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
        // The descriptor applies to all regions.
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

    // A region with directories of families is damaged.
    let storage = crashed();
    storage.create_dir_all(&dir.join("f")).unwrap();
    refuse(&storage, ErrorKind::Io, &dir.join(".regioninfo"));
}

/// Some releases of HBase write recovered edits to `<namespace>/<table>/<region>` of the root, without `data`
/// (HBASE-20734); later ones replay those too (HBASE-22617).
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

/// A write would get the sequence id of an edit that is only in a log, and be flushed; the recovery would
/// then skip the edit. The edits of a region that is split would be lost.
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
    // The same logs again, with edits that are in files.
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

/// Edits that a recovery has written for the region before it failed are replayed when the region is opened;
/// edits not yet written for it are still required.
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
