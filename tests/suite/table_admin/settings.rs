//! Settings that an alteration or a creation accepts or refuses, and their effects.

use super::{ROOT, T, old_values, open, options, root, values};
use crate::support::files::replace_in_descriptor;
use crate::support::trackers::TRACKER;
use hregion::filter::SingleColumnValue;
use hregion::io::faulty::FaultyStorage;
use hregion::{
    Append, BloomType, Compaction, Comparator, Compare, Delete, Durability, ErrorKind, Family, Filter, Get,
    Limits, ManualClock, Put, Region, Row, Scan, Table, TableChanges,
};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// A creation also refuses settings with which no region could be opened again.
#[test]
fn settings_that_cannot_be_read_again_are_refused() {
    let storage = root();
    let none = BloomType::RowPrefixFixedLength(0);
    let tracked = |name: &str| Family::new("h").configuration(TRACKER, name);
    for family in [Family::new("h").bloom(none), tracked("NONE"), tracked("MIGRATION")] {
        let changes = TableChanges::new().family(family.clone());
        let altered = Table::alter(ROOT, T, &changes, &options(&storage)).unwrap_err();
        let created = Table::create_with(ROOT, "new", &[family], &[] as &[&str], options(&storage));
        for error in [altered, created.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    let twice =
        Table::create_with(ROOT, "new", &["f", "f"].map(Family::new), &[] as &[&str], options(&storage));
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::InvalidArgument);
    for (key, value) in [
        ("hbase.hstore.compaction.min", "few"),
        ("hbase.hstore.engine.class", "MyOwn"),
        ("hbase.hstore.checksum.algorithm", "MD5"),
    ] {
        let of_family = Family::new("f").configuration(key, value);
        for changes in [TableChanges::new().set(key, value), TableChanges::new().family(of_family)] {
            assert!(Table::alter(ROOT, T, &changes, &options(&storage)).is_err(), "{key}");
        }
    }
    assert_eq!(values(&storage, "new"), None);
    let all = Family::new("f").max_versions(u32::MAX).min_versions(u32::MAX);
    Table::alter(ROOT, T, &TableChanges::new().family(all), &options(&storage)).unwrap();
    let table = open(&storage, T, true).unwrap();
    table.put(Put::new("a").cell_at("f", "p", 4, "older")).unwrap();
    table.close().unwrap();
    assert_eq!(values(&storage, T).unwrap().len(), old_values().len() + 1);
}

/// As HBase created it before HBASE-13776: reads return all versions that MIN_VERSIONS keeps, up to VERSIONS.
#[test]
fn a_family_with_min_versions_above_its_versions_is_read_and_written() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let options = || Region::options().clock(Arc::clone(&clock) as _).writable(true);
    let family =
        |versions| Family::new("f").max_versions(versions).min_versions(3).ttl(Duration::from_secs(1));
    Table::create_with(root.path(), "t", &[family(5)], &[""; 0], options()).unwrap().close().unwrap();
    let path = root.path().join("data/default/t");
    replace_in_descriptor(&path, b"\x08VERSIONS\x12\x015", b"\x08VERSIONS\x12\x012");

    let count = |table: &Table| {
        table
            .get(&Get::new("a").max_versions(9))
            .unwrap()
            .cells()
            .map(|cell| cell.timestamp())
            .collect::<Vec<_>>()
    };
    let table = Table::open_with(root.path(), "t", options()).unwrap();
    for timestamp in 1..=4 {
        table.put(Put::new("a").cell_at("f", "q", timestamp, "v")).unwrap();
    }
    assert_eq!(count(&table), [4, 3]);
    clock.set(100_000);
    assert_eq!(count(&table), [4, 3]);
    table.flush().unwrap();
    table.region("a").unwrap().compact(Compaction::Major).unwrap();
    assert_eq!(count(&table), [4, 3]);
    table.close().unwrap();
    Table::alter(root.path(), "t", &TableChanges::new().family(Family::new("g")), &options()).unwrap();
    let changes = TableChanges::new().family(family(2));
    let error = Table::alter(root.path(), "t", &changes, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_eq!(count(&Table::open_with(root.path(), "t", options()).unwrap()), [4, 3]);
}

/// As HBase created it with `hbase.table.sanity.checks` set to false.
#[test]
fn a_table_with_a_ttl_of_0_is_read_and_written_and_can_be_changed() {
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let options = || Region::options().clock(Arc::clone(&clock) as _).writable(true);
    let family = |seconds| Family::new("f").ttl(Duration::from_secs(seconds));
    let refused = Table::create_with(root.path(), "t", &[family(0)], &[""; 0], options()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    Table::create_with(root.path(), "t", &[family(1)], &[""; 0], options()).unwrap().close().unwrap();
    let path = root.path().join("data/default/t");
    replace_in_descriptor(&path, b"\x03TTL\x12\x011", b"\x03TTL\x12\x010");

    let count = |table: &Table| table.get(&Get::new("a")).unwrap().cells().count();
    let table = Table::open_with(root.path(), "t", options()).unwrap();
    table.put(Put::new("a").cell("f", "q", "v")).unwrap();
    assert_eq!(count(&table), 1);
    clock.set(1_001);
    assert_eq!(count(&table), 0);
    table.flush().unwrap();
    table.snapshot("s").unwrap();
    table.close().unwrap();
    let alter = |changes: TableChanges| Table::alter(root.path(), "t", &changes, &options());
    alter(TableChanges::new().family(Family::new("g"))).unwrap();
    let refused = alter(TableChanges::new().family(family(0).max_versions(2))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    Table::truncate(root.path(), "t", true, &options()).unwrap();
    Table::clone_snapshot(root.path(), "s", "c", options()).unwrap().close().unwrap();
    alter(TableChanges::new().family(family(60))).unwrap();
    let table = Table::open_with(root.path(), "t", options()).unwrap();
    table.put(Put::new("a").cell("f", "q", "v")).unwrap();
    clock.set(2_000);
    assert_eq!(count(&table), 1);
}

/// The descriptor is lost, so the settings are given.
#[test]
fn a_region_is_read_with_a_given_ttl_of_0() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000));
    let options = |seconds| {
        let family = Family::new("f").ttl(Duration::from_secs(seconds));
        Region::options().clock(Arc::clone(&clock) as _).family(family)
    };
    let region = options(1).create_if_missing(true).open(dir.path()).unwrap();
    region.put(Put::new("a").cell("f", "q", "v")).unwrap();
    region.flush().unwrap();
    region.close().unwrap();
    fs::remove_dir_all(dir.path().join(".tabledesc")).unwrap();

    let refused = options(0).writable(true).open(dir.path()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    let files = fs::read_dir(dir.path().join("f")).unwrap().map(|entry| entry.unwrap().path());
    for region in [options(0).open(dir.path()).unwrap(), options(0).open_files(files).unwrap()] {
        for (now, count) in [(1_000, 1), (1_001, 0)] {
            clock.set(now);
            assert_eq!(region.get(&Get::new("a")).unwrap().cells().count(), count);
        }
    }
}

/// The clock is at 1000 (HBase: `HRegion.checkTimestamps`, `HRegion.maxCellSize`).
#[test]
fn a_table_limits_the_timestamps_of_values_and_the_length_of_cells() {
    const SLOP: &str = "hbase.hregion.keyvalue.timestamp.slop.millisecs";
    const LEN: &str = "hbase.server.keyvalue.maxsize";
    let storage = root();
    let alter = |changes: TableChanges| Table::alter(ROOT, T, &changes, &options(&storage));
    let check = |takes: &[(i64, usize)], refuses: &[(i64, usize)]| {
        let table = open(&storage, T, true).unwrap();
        let put = |(timestamp, len)| table.put(Put::new("a").cell_at("f", "p", timestamp, vec![b'x'; len]));
        takes.iter().for_each(|&cell| put(cell).unwrap());
        for &cell in refuses {
            assert_eq!(put(cell).unwrap_err().kind(), ErrorKind::InvalidArgument, "{cell:?}");
        }
        table.close().unwrap();
    };
    let (large, latest) = (11 << 20, i64::MAX);
    // lengths, row, column, timestamp and type
    let longest = (10 << 20) - 27;
    check(&[(1051, 1), (latest - 1, 1), (5, longest)], &[(5, longest + 1)]);
    alter(TableChanges::new().set(SLOP, "50").set(LEN, "12000000")).unwrap();
    check(&[(1050, 1), (5, large), (latest, 1)], &[(1051, 1), (latest - 1, 1), (5, 2 * large)]);
    alter(TableChanges::new().unset(SLOP).set(LEN, "100")).unwrap();
    check(&[(1051, 73)], &[(5, 74)]);
    let table = open(&storage, T, true).unwrap();
    let append = |len: usize| table.append(Append::new("b").column("f", "p", vec![b'x'; len]));
    append(70).unwrap();
    append(4).unwrap_err();
    append(3).unwrap();
    // A tag with a time to live also counts, unless it belongs to a put.
    let ttl = Duration::from_secs(60);
    let append = |len: usize| Append::new("c").column("f", "p", vec![b'x'; len]).ttl(ttl);
    table.append(append(61)).unwrap_err();
    table.append(append(60)).unwrap();
    table.put(Put::new("c").cell("f", "p", vec![b'x'; 73]).ttl(ttl)).unwrap();
    // earlier cells can be deleted
    table.delete(Delete::new("a").column("f", "q".repeat(200))).unwrap();
    table.close().unwrap();
    alter(TableChanges::new().set(LEN, "0")).unwrap();
    check(&[(5, large)], &[]);
    for key in [SLOP, LEN] {
        let error = alter(TableChanges::new().set(key, "x")).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

/// Two markers for the newest version that are written together apply to the same one (HBase:
/// `HRegion.miniBatchSize`).
#[test]
fn a_table_limits_how_many_mutations_are_written_together() {
    const SIZE: &str = "hbase.regionserver.minibatch.size";
    let alter = |storage: &FaultyStorage, size: &str| {
        Table::alter(ROOT, T, &TableChanges::new().set(SIZE, size), &options(storage))
    };
    // the rows of a batch, and the number of remaining versions, of three, in each
    for (size, rows, left) in [
        (None, &["a", "a"][..], 2),
        (None, &["a", "n", "a", "n"], 2),
        (Some("2"), &["a", "n", "a", "n"], 2),
        (Some("1"), &["a", "n", "a", "n"], 1),
        (Some("1"), &["a", "a"], 1),
        (Some("-1"), &["a", "a"], 2),
    ] {
        let storage = root();
        if let Some(size) = size {
            alter(&storage, size).unwrap();
        }
        let table = open(&storage, T, true).unwrap();
        for row in rows {
            table.put(Put::new(*row).cell_at("g", "p", 3, "v").cell_at("g", "p", 4, "v")).unwrap();
        }
        let batch = rows.iter().map(|row| Delete::new(*row).version("g", "p").into()).collect();
        assert!(table.batch(batch).iter().all(Result::is_ok));
        for row in rows {
            let get = Get::new(*row).column("g", "p").max_versions(9);
            let found = table.region(row).unwrap().get(&get).unwrap();
            assert_eq!(found.len(), left, "{size:?} {rows:?}");
        }
        table.close().unwrap();
    }
    for size in ["0", "x"] {
        let error = alter(&root(), size).unwrap_err();
        assert!(error.to_string().contains(SIZE), "{error}");
    }
}

/// The time is proportional to the number of mutations, not to its square.
#[test]
fn a_large_batch_is_written_however_few_are_written_together() {
    let storage = root();
    let one = TableChanges::new().set("hbase.regionserver.minibatch.size", "1");
    Table::alter(ROOT, T, &one, &options(&storage)).unwrap();
    let table = open(&storage, T, true).unwrap();
    // Two puts of each row, the second of which replaces the first.
    let puts = (0..30_000).map(|i| {
        let row = format!("{}{}", ["a", "n"][i % 2], i / 4);
        Put::new(row).cell_at("f", "q", 7, format!("{i}")).durability(Durability::SkipWal).into()
    });
    assert!(table.batch(puts.collect()).iter().all(Result::is_ok));
    for (row, value) in [("a0", "2"), ("n0", "3"), ("a7499", "29998"), ("n7499", "29999")] {
        assert_eq!(table.get(&Get::new(row)).unwrap().value("f", "q"), Some(value.as_bytes()), "{row}");
    }
    assert_eq!(table.scan(Scan::new()).unwrap().count(), 15_002);
}

/// HBase: `HRegion.isLoadingCfsOnDemandDefault`.
#[test]
fn a_table_says_whether_gets_load_families_on_demand() {
    let storage = root();
    let other = SingleColumnValue::new("g", "q", Compare::Equal, Comparator::binary("other"));
    let other = other.filter_if_missing(true).latest_version_only(false).exclude(true);
    // the needed family has no cells left, so the row is not evaluated (read-path.md §11.4)
    let get = Get::new("a").column("f", "p").column("g", "q").filter(Filter::single_column_value(other));
    for (setting, is_on_demand) in [("true", true), ("FALSE ", false), ("neither", true)] {
        let changes = TableChanges::new().set("hbase.hregion.scan.loadColumnFamiliesOnDemand", setting);
        Table::alter(ROOT, T, &changes, &options(&storage)).unwrap();
        let table = open(&storage, T, false).unwrap();
        let region = table.region("a").unwrap();
        assert_eq!(region.exists(&get).unwrap(), is_on_demand, "{setting}");
        for asked in [true, false] {
            assert_eq!(region.exists(&get.clone().load_families_on_demand(asked)).unwrap(), asked);
        }
    }
}

/// HBase: `StoreScanner.next`. The limit of the process applies too.
#[test]
fn a_table_limits_the_size_of_rows_that_are_read() {
    const SIZE: &str = "hbase.table.max.rowsize";
    let storage = root();
    let alter = |changes: TableChanges| Table::alter(ROOT, T, &changes, &options(&storage));
    let check = |limit: usize, is_refused: bool| {
        let options = options(&storage).limits(Limits::new().with_row_bytes(limit));
        let table = Table::open_with(ROOT, T, options).unwrap();
        let scanned = |scan: Scan| {
            table.scan(scan).unwrap().map(|row| row.map(|row| row.len())).sum::<Result<usize, _>>()
        };
        let many = table.get_many(&["a", "n"].map(Get::new));
        for (read, cells) in [
            (table.get(&Get::new("n")).map(|row| row.len()), 4),
            (many.map(|rows| rows.iter().map(Row::len).sum()), 8),
            (scanned(Scan::new()), 8),
            (scanned(Scan::new().reversed(true)), 8),
        ] {
            match read {
                Ok(found) => assert!(!is_refused && found == cells, "{limit}: {found}"),
                Err(error) => {
                    assert!(is_refused && error.kind() == ErrorKind::Limit, "{limit}: {error}");
                    assert!(error.to_string().contains(" has more than 59 bytes in family "), "{error}");
                }
            }
        }
        assert_eq!(scanned(Scan::new().batch(1)).unwrap(), 8);
    };
    // two cells of 30 bytes in each family
    for (setting, limit, is_refused) in
        [("60", 1000, false), ("59", 1000, true), (" 59 ", 60, true), ("1000", 59, true), ("1000", 60, false)]
    {
        alter(TableChanges::new().set(SIZE, setting)).unwrap();
        check(limit, is_refused);
    }
    // a family's own setting takes precedence
    let family = |name: &'static str, size| Family::new(name).max_versions(3).configuration(SIZE, size);
    for (g, is_refused) in [("60", false), ("59", true)] {
        alter(TableChanges::new().set(SIZE, "1").family(family("f", "60")).family(family("g", g))).unwrap();
        check(1000, is_refused);
    }
    for wrong in
        [TableChanges::new().unset(SIZE).family(family("f", "1g")), TableChanges::new().set(SIZE, "x")]
    {
        // the table's setting affects only families without their own
        let error = alter(wrong.family(Family::new("g"))).unwrap_err();
        assert!(error.to_string().contains(SIZE), "{error}");
    }
}

/// hregion ignores their meaning, except for BLOCKCACHE.
#[test]
fn attributes_of_families_that_have_no_setting_are_kept() {
    let storage = root();
    let description = |name: &str| {
        let table = open(&storage, name, false).unwrap();
        table.region("a").unwrap().description()
    };
    let changes =
        TableChanges::new().set("DURABILITY", "SYNC_WAL").set_family_attribute("g", "IN_MEMORY", "true");
    let changes = changes.set_family_attribute("g", "REPLICATION_SCOPE", "1");
    Table::alter(ROOT, T, &changes, &options(&storage)).unwrap();
    // other changes keep them
    let family = Family::new("g").max_versions(4);
    Table::alter(ROOT, T, &TableChanges::new().family(family), &options(&storage)).unwrap();
    let found = description(T);
    assert_eq!((found.table().to_string(), found.families().len()), (T.to_owned(), 2));
    assert_eq!(found.attributes()["DURABILITY"], "SYNC_WAL");
    let g = &found.families()[1];
    assert_eq!((g.name(), g.attributes()["VERSIONS"].as_str()), ("g", "4"));
    assert_eq!([&g.attributes()["IN_MEMORY"], &g.attributes()["REPLICATION_SCOPE"]], ["true", "1"]);
    assert_eq!(found.families()[0].attributes().get("IN_MEMORY"), None);

    let unset = TableChanges::new().unset_family_attribute("g", "IN_MEMORY").unset("DURABILITY");
    Table::alter(ROOT, T, &unset, &options(&storage)).unwrap();
    let found = description(T);
    assert_eq!(
        (found.attributes().get("DURABILITY"), found.families()[1].attributes().get("IN_MEMORY")),
        (None, None)
    );

    let new = TableChanges::new().family(Family::new("f")).set_family_attribute("f", "BLOCKCACHE", "false");
    let created = Table::create_configured(ROOT, "new", &new, &[""; 0], options(&storage));
    created.unwrap().close().unwrap();
    assert_eq!(description("new").families()[0].attributes()["BLOCKCACHE"], "false");

    // tables with values in MOB files are read-only
    let mob = new.set_family_attribute("f", "IS_MOB", "true");
    let created = Table::create_configured(ROOT, "mob", &mob, &[""; 0], options(&storage)).map(drop);
    for refused in [created, Table::alter(ROOT, T, &mob, &options(&storage))] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("IS_MOB of family f"), "{error}");
    }
    assert_eq!(values(&storage, "mob"), None);
    let unknown = TableChanges::new().set_family_attribute("h", "IN_MEMORY", "true");
    let error = Table::alter(ROOT, T, &unknown, &options(&storage)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchFamily);
}

/// HBase could not open a region with them.
#[test]
fn numbers_of_a_table_that_hbase_cannot_parse_are_refused() {
    let storage = root();
    let alter = |key: &str, value: &str| {
        Table::alter(ROOT, T, &TableChanges::new().set(key, value), &options(&storage))
    };
    for (key, value) in [
        ("MAX_FILESIZE", "10 GB"),
        ("MAX_FILESIZE", "9223372036854775808"),
        ("MEMSTORE_FLUSHSIZE", " 65536"),
        ("PRIORITY", "high"),
        ("REGION_REPLICATION", "2147483648"),
        ("NORMALIZER_TARGET_REGION_COUNT", "some"),
    ] {
        let error = alter(key, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(key), "{error}");
    }
    for (key, value) in [("MAX_FILESIZE", "-1"), ("PRIORITY", "200"), ("REGION_REPLICATION", "3")] {
        alter(key, value).unwrap();
    }
}

/// Otherwise writes would be acknowledged, and no flush would ever succeed.
#[test]
fn settings_with_which_no_file_can_be_written_are_refused() {
    let storage = root();
    let region = |family: Family| options(&storage).create_if_missing(true).family(family);
    let too_long = BloomType::RowPrefixFixedLength(32_768);
    let wrong = [
        Family::new("f").block_size(0),
        Family::new("f").block_size(1 << 31),
        Family::new("f").bloom(too_long),
        Family::new("f").configuration("hbase.hstore.compaction.min", "few"),
        Family::new("f").configuration("hbase.hstore.bytes.per.checksum", "1"),
    ];
    for family in &wrong {
        let changes = TableChanges::new().family(family.clone());
        let altered = Table::alter(ROOT, T, &changes, &options(&storage)).unwrap_err();
        let created =
            Table::create_with(ROOT, "new", std::slice::from_ref(family), &[""; 0], options(&storage));
        for error in [altered, created.unwrap_err(), region(family.clone()).open("/r").unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
            assert!(error.to_string().contains("family f: "), "{error}");
        }
    }
    assert_eq!(values(&storage, "new"), None);
    // A refused region has not been created, and an existing one has not been altered.
    for _ in 0..2 {
        let right = region(Family::new("f")).open("/r").unwrap();
        right.put(Put::new("a").cell("f", "q", "v")).unwrap();
        right.close().unwrap();
        for family in &wrong {
            let error = region(family.clone()).alter(true).open("/r").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
}
