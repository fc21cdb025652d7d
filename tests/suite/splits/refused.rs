//! Refused splits, merges and writes.

use super::{
    ROOT, TABLE, add_catalog, bounds, check_catalog, compact, create, expected_bounds, families, open,
    options, put, values,
};
use hregion::io::faulty::FaultyStorage;
use hregion::{
    Compaction, ErrorKind, Family, ManualClock, Put, Region, RegionInfo, Table, TableChanges, TableName,
};
use std::path::Path;
use std::sync::Arc;

/// The directory of a split region remains while the daughters refer to its files.
#[test]
fn a_region_that_was_replaced_is_not_opened_for_writing_by_its_directory() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    table.put(put("a", "1")).unwrap();
    table.put(put("x", "1")).unwrap();
    let parent = Path::new(TABLE).join(table.regions()[0].encoded_name());
    let (bottom, top) = table.split("m").unwrap();
    table.close().unwrap();
    let refused = |dir: &Path, what: &str| {
        let error = options(&storage).writable(true).open(dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{what}: {error}");
        assert!(error.to_string().contains("was split or merged"), "{what}: {error}");
        assert!(options(&storage).open(dir).is_ok(), "{what}, for reading");
    };
    refused(&parent, "parent");
    let daughters = [bottom, top].map(|daughter| Path::new(TABLE).join(daughter.encoded_name()));
    for daughter in &daughters {
        let region = options(&storage).writable(true).open(daughter).unwrap();
        region.compact(Compaction::Major).unwrap();
        region.close().unwrap();
        refused(&parent, "parent");
    }
    let table = open(&storage, true);
    let [first, second] = &table.regions()[..] else { panic!("two regions") };
    table.merge(first, second).unwrap();
    table.put(put("b", "2")).unwrap();
    table.close().unwrap();
    daughters.iter().for_each(|daughter| refused(daughter, "merged"));
    assert_eq!(values(&open(&storage, false)).len(), 6);
}

#[test]
fn what_cannot_be_split_or_merged_is_refused() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["m"]);
    table.put(put("a", "1")).unwrap();
    table.put(put("n", "1")).unwrap();
    let [first, second] = table.regions().try_into().unwrap();
    let kind = |result: hregion::Result<RegionInfo>| result.unwrap_err().kind();
    assert_eq!(table.split("m").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(table.split("").unwrap_err().kind(), ErrorKind::InvalidArgument);
    let too_long = vec![b'x'; usize::from(i16::MAX.unsigned_abs()) + 1];
    assert_eq!(table.split(&too_long).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(kind(table.merge(&second, &first)), ErrorKind::InvalidArgument);
    assert_eq!(kind(table.merge(&first, &first)), ErrorKind::InvalidArgument);
    let name = TableName::parse("t").unwrap();
    let other = RegionInfo::new(name, "m", "", second.region_id() + 1).unwrap();
    assert_eq!(kind(table.merge(&first, &other)), ErrorKind::InvalidArgument);
    assert_eq!(table.regions(), [first.clone(), second.clone()]);
    table.close().unwrap();
    assert_eq!(table.split("c").unwrap_err().kind(), ErrorKind::Closed);
    let reading = open(&storage, false);
    assert_eq!(reading.split("c").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(kind(reading.merge(&first, &second)), ErrorKind::InvalidArgument);
    assert_eq!(reading.archive_parents().unwrap_err().kind(), ErrorKind::InvalidArgument);
    // Another process writes to the region.
    let writer = options(&storage).writable(true).open(Path::new(TABLE).join(first.encoded_name())).unwrap();
    assert_eq!(open(&storage, true).split("c").unwrap_err().kind(), ErrorKind::Locked);
    drop(writer);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lone");
    drop(Region::options().create_if_missing(true).family(Family::new("f")).open(&path).unwrap());
    let lone = Table::open_dir(dir.path(), Region::options().writable(true)).unwrap();
    assert_eq!(lone.split("c").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_table_that_disables_splits_or_merges_refuses_them() {
    let storage = FaultyStorage::new();
    create(&storage, &["m"]).close().unwrap();
    let set = |key: &str, value: &str| {
        Table::alter(ROOT, "t", &TableChanges::new().set(key, value), &options(&storage)).unwrap();
        open(&storage, true)
    };
    let refused = |result: hregion::Result<()>, key: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(key), "{error}");
    };
    let table = set("SPLIT_ENABLED", "FALSE");
    let [first, second] = table.regions().try_into().unwrap();
    refused(table.split("c").map(drop), "SPLIT_ENABLED");
    let merged = table.merge(&first, &second).unwrap();
    table.close().unwrap();
    let table = set("SPLIT_ENABLED", "true");
    table.close().unwrap();
    let policy = "org.apache.hadoop.hbase.regionserver.DisabledRegionSplitPolicy";
    let table = set("SPLIT_POLICY", policy);
    refused(table.split("c").map(drop), "SPLIT_POLICY");
    refused(table.split_point("c").map(drop), "SPLIT_POLICY");
    table.close().unwrap();
    let table = set("SPLIT_POLICY", "x.Policy");
    table.split("c").unwrap();
    table.close().unwrap();
    let table = set("MERGE_ENABLED", "false");
    let [first, second] = table.regions().try_into().unwrap();
    assert_ne!(first, merged);
    refused(table.merge(&first, &second).map(drop), "MERGE_ENABLED");
    table.put(put("a", "1")).unwrap();
    assert_eq!(table.regions(), [first, second]);
    table.close().unwrap();
}

/// HBase: `SplitTableRegionProcedure`, `RegionSplitRestriction`.
#[test]
fn a_split_restriction_keeps_rows_with_the_same_prefix_together() {
    const LEN: (&str, &str) = ("hbase.regionserver.region.split_restriction.prefix_length", "2");
    const DELIMITER: (&str, &str) = ("hbase.regionserver.region.split_restriction.delimiter", "::");
    for (kind, setting, row, expected) in [
        ("KeyPrefix", LEN, "mnop", Some("mn")),
        ("KeyPrefix", LEN, "m", Some("m")),
        // the first region begins with cc
        ("KeyPrefix", LEN, "ccd", None),
        ("KeyPrefix", (LEN.0, "1"), "cd", None),
        ("KeyPrefix", (LEN.0, "two"), "mnop", Some("mnop")),
        ("KeyPrefix", DELIMITER, "mnop", Some("mnop")),
        ("DelimitedKeyPrefix", DELIMITER, "mn::o::p", Some("mn")),
        ("DelimitedKeyPrefix", DELIMITER, "mn:o", Some("mn:o")),
        ("DelimitedKeyPrefix", DELIMITER, "cc::d", None),
        ("DelimitedKeyPrefix", LEN, "mn::o", Some("mn::o")),
        ("None", LEN, "mnop", Some("mnop")),
        ("keyprefix", LEN, "mnop", Some("mnop")),
    ] {
        let storage = FaultyStorage::new();
        create(&storage, &["cc"]).close().unwrap();
        let changes = TableChanges::new()
            .set("hbase.regionserver.region.split_restriction.type", kind)
            .set(setting.0, setting.1);
        Table::alter(ROOT, "t", &changes, &options(&storage)).unwrap();
        let table = open(&storage, true);
        table.put(put("mn", "1")).unwrap();
        table.put(put("mnz", "1")).unwrap();
        let split = table.split(row);
        let Some(start) = expected else {
            let error = split.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{kind} {row}: {error}");
            assert!(error.to_string().contains("split restriction"), "{kind} {row}: {error}");
            assert_eq!(table.regions().len(), 2, "{kind} {row}");
            continue;
        };
        let (bottom, top) = split.unwrap();
        assert_eq!((bottom.end_key(), top.start_key()), (start.as_bytes(), start.as_bytes()), "{kind} {row}");
        assert_eq!(values(&table).len(), 4, "{kind} {row}");
    }
}

/// HBase: `HRegion.checkSplit`. No server would read the second region of the catalog.
#[test]
fn the_catalog_is_not_split() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    add_catalog(&storage, &table);
    let meta = Table::open_with(ROOT, "hbase:meta", options(&storage).writable(true)).unwrap();
    for refused in [meta.split("t").map(drop), meta.split_point("t").map(drop)] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("hbase:meta"), "{error}");
    }
    meta.close().unwrap();
    check_catalog(&storage, &table);
}

/// New regions that replace one with the greatest id could have its name, and so its directory.
#[test]
fn a_region_with_the_greatest_id_is_not_replaced() {
    let storage = FaultyStorage::new();
    let greatest = options(&storage).clock(Arc::new(ManualClock::new(i64::MAX)));
    drop(Table::create_with(ROOT, "t", &families(), &[] as &[&str], greatest).unwrap());
    let table = open(&storage, true);
    table.put(put("a", "1")).unwrap();
    table.put(put("n", "1")).unwrap();
    let before = values(&table);
    assert_eq!(table.split("m").unwrap_err().kind(), ErrorKind::Unsupported);
    table.close().unwrap();
    let truncated = Table::truncate(ROOT, "t", true, &options(&storage));
    assert_eq!(truncated.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(values(&open(&storage, false)), before);
}

/// Two tables on the same storage simulate two processes.
#[test]
fn a_parent_takes_no_writes_of_another_process() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["p"]);
    table.put(put("a", "1")).unwrap();
    table.close().unwrap();
    let [stale, reopened] = [open(&storage, true), open(&storage, true)];
    stale.put(put("q", "1")).unwrap();
    let (bottom, _) = reopened.split("m").unwrap();
    reopened.put(put("b", "2")).unwrap();
    let error = stale.put(put("c", "3")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RegionNotFound, "{error}");
    assert!(stale.batch(vec![put("c", "3").into()])[0].is_err());
    reopened.close().unwrap();
    stale.put(put("q", "4")).unwrap();
    stale.close().unwrap();
    let table = open(&storage, true);
    assert_eq!(table.regions()[0], bottom);
    let keys = values(&table);
    assert_eq!(keys.iter().filter(|cell| cell.starts_with('b')).count(), 2);
    assert!(keys.contains(&"q/g/1000=4".to_owned()) && !keys.iter().any(|cell| cell.starts_with('c')));
}

/// Regions are opened one by one. One that still serves does not prove that the others do.
#[test]
fn a_parent_takes_no_writes_after_another_region_was_opened() {
    let storage = FaultyStorage::new();
    create(&storage, &["p"]).close().unwrap();
    let [stale, other] = [open(&storage, true), open(&storage, true)];
    other.split("m").unwrap();
    other.close().unwrap();
    stale.put(put("q", "1")).unwrap();
    for row in ["c", "n", "c"] {
        let error = stale.put(put(row, "2")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RegionNotFound, "{error}");
    }
    stale.close().unwrap();
    let [stale, other] = [open(&storage, true), open(&storage, true)];
    let regions = other.regions();
    other.merge(&regions[0], &regions[1]).unwrap();
    other.close().unwrap();
    stale.put(put("r", "1")).unwrap();
    assert_eq!(stale.put(put("n", "2")).unwrap_err().kind(), ErrorKind::RegionNotFound);
    stale.close().unwrap();
    let table = open(&storage, true);
    assert_eq!(bounds(&table), expected_bounds(&["", "p"]));
    assert_eq!(values(&table), ["q/f/1000=1", "q/g/1000=1", "r/f/1000=1", "r/g/1000=1"]);
}

/// An open region lacks a family that another one has received since: a merge would lose its files.
#[test]
fn regions_with_different_families_are_not_merged() {
    for name in ["a", "h"] {
        let storage = FaultyStorage::new();
        let table = create(&storage, &["m"]);
        table.put(put("b", "1")).unwrap();
        let regions = table.regions();
        let second = Path::new(TABLE).join(regions[1].encoded_name());
        let alter = options(&storage).writable(true).alter(true).family(Family::new(name));
        let alone = alter.open(second).unwrap();
        alone.put(Put::new("x").cell(name, "q", "2")).unwrap();
        alone.close().unwrap();
        let error = table.merge(&regions[0], &regions[1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        table.put(put("c", "3")).unwrap();
        table.close().unwrap();
        let table = open(&storage, true);
        let before = values(&table);
        assert_eq!(before.len(), 5);
        table.merge(&regions[0], &regions[1]).unwrap();
        assert_eq!(values(&table), before);
        compact(&table);
        assert_eq!(values(&table), before);
    }
}
