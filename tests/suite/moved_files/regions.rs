//! Reads of a table whose regions another process replaces: it splits or merges them, and archives them.

use super::{Act, Moves, OfStorage, ROOT, compact, moves, options};
use crate::support::trackers::with_list;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Compaction, Error, ErrorKind, Family, Filter, Get, Put, Result, RowRef, Scan, Storage, Table};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ROWS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// A table of four regions with two rows each, and a snapshot of the empty table.
fn in_four() -> FaultyStorage {
    in_four_in(FaultyStorage::new(), |family| family)
}

/// The same in a storage, with families changed by `set`.
fn in_four_in(files: FaultyStorage, set: fn(Family) -> Family) -> FaultyStorage {
    let shared: Arc<dyn Storage> = Arc::new(files.clone());
    let families = [Family::new("f").max_versions(3), Family::new("g")].map(set);
    let table = Table::create_with(ROOT, "t", &families, &["c", "e", "g"], options(shared)).unwrap();
    table.snapshot("empty").unwrap();
    for row in ROWS {
        let put = Put::new(row).cell_at("f", "a", 1, "v").cell_at("f", "b", 1, "v");
        table.put(put.cell_at("g", "q", 2, "v")).unwrap();
        table.put(Put::new(row).cell_at("f", "a", 2, "w")).unwrap();
    }
    table.close().unwrap();
    files
}

fn text(row: RowRef<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let cells = row.cells().map(|cell| {
        let (family, qualifier) = (text(cell.family()), text(cell.qualifier()));
        format!("{family}:{qualifier}/{}={}", cell.timestamp(), text(cell.value()))
    });
    let cells: Vec<String> = cells.collect();
    format!("{}: {}", text(row.key()), cells.join(" "))
}

fn rows(table: &Table, scan: Scan) -> Result<Vec<String>> {
    table.scan(scan)?.map(|row| Ok(text(row?.as_row()))).collect()
}

/// Returns the results of calls with at most three results each.
fn results(table: &Table, scan: Scan) -> Result<Vec<String>> {
    let (mut scanner, mut found) = (table.scan(scan)?, Vec::new());
    loop {
        let call = scanner.next_results(Some(3))?;
        found.extend(call.results.iter().map(|result| text(result.row.as_row())));
        if !call.more {
            return Ok(found);
        }
    }
}

fn for_each_row(table: &Table, scan: &Scan) -> Result<Vec<String>> {
    let mut found = Vec::new();
    table.for_each_row(scan, |row| {
        found.push(text(row));
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn explained(table: &Table, scan: &Scan) -> Result<Vec<String>> {
    let explained = table.explain(scan, |_| ControlFlow::Continue(()))?;
    Ok(vec![format!("{} rows", explained.rows)])
}

type Read = fn(&Table) -> Result<Vec<String>>;

const READS: [(&str, Read); 14] = [
    ("scan", |table| rows(table, Scan::new())),
    ("reversed scan", |table| rows(table, Scan::new().reversed(true))),
    ("raw scan", |table| rows(table, Scan::new().raw(true).max_versions(u32::MAX))),
    ("range", |table| rows(table, Scan::new().rows("b".."g"))),
    ("reversed range", |table| {
        rows(table, Scan::new().reversed(true).start_row("g", false).stop_row("b", true))
    }),
    ("batches", |table| rows(table, Scan::new().batch(2))),
    ("limit", |table| rows(table, Scan::new().limit(6))),
    ("filter", |table| rows(table, Scan::new().filter(Filter::parse("FirstKeyOnlyFilter()")?))),
    ("filter that ends", |table| {
        rows(table, Scan::new().filter(Filter::parse("WHILE RowFilter(<, 'binary:f')")?))
    }),
    ("results", |table| results(table, Scan::new())),
    ("for_each_row", |table| for_each_row(table, &Scan::new().reversed(true))),
    ("explanation", |table| explained(table, &Scan::new())),
    ("gets", |table| ROWS.iter().map(|row| Ok(text(table.get(&Get::new(*row))?.as_row()))).collect()),
    ("view", |table| {
        let view = table.view();
        let gets: Vec<Get> = ["h", "a", "f"].into_iter().map(Get::new).collect();
        let mut found: Vec<String> = view.get_many(&gets)?.iter().map(|row| text(row.as_row())).collect();
        for scan in [Scan::new(), Scan::new().reversed(true)] {
            let scanned: Vec<String> =
                view.scan(&scan)?.map(|row| Ok(text(row?.as_row()))).collect::<Result<_>>()?;
            found.extend(scanned);
        }
        Ok(found)
    }),
];

/// Opens the table for writing, as another process.
fn change(storage: Arc<dyn Storage>, change: impl FnOnce(&Table)) {
    let table = Table::open_with(ROOT, "t", options(storage).writable(true)).unwrap();
    change(&table);
    table.close().unwrap();
}

fn split(table: &Table, row: &str) {
    table.split(row).unwrap();
    table.compact(Compaction::Major).unwrap();
}

/// Merges a region and the next one.
fn merge(table: &Table, at: usize) {
    let regions = table.regions();
    table.merge(&regions[at], &regions[at + 1]).unwrap();
    table.compact(Compaction::Major).unwrap();
}

const CHANGES: [(&str, OfStorage<()>); 5] = [
    ("compaction", compact),
    ("split", |storage| change(storage, |table| split(table, "d"))),
    ("merge", |storage| change(storage, |table| merge(table, 1))),
    ("merges to one region", |storage| {
        change(storage, |table| {
            for _ in 0..3 {
                merge(table, 0);
            }
        });
    }),
    ("other bounds", |storage| {
        change(storage, |table| {
            merge(table, 1);
            split(table, "d");
            merge(table, 0);
        });
    }),
];

#[test]
fn rows_of_regions_that_are_replaced_meanwhile_are_read_once() {
    let before = in_four();
    for (changed, change) in CHANGES {
        for (i, (read_by, read)) in READS.into_iter().enumerate() {
            let opened = Table::open_with(ROOT, "t", options(Arc::new(before.clone()))).unwrap();
            let expected = read(&opened).unwrap();
            assert!(!expected.is_empty());
            for n in (i % 3..).step_by(3) {
                let context = format!("{read_by}, {changed}, call {n}");
                let moves = moves(&before.after(Crash::OfTheProcess), n, change);
                let table = Table::open_with(ROOT, "t", options(Arc::clone(&moves) as _));
                let table = table.unwrap_or_else(|error| panic!("{context}: {error}"));
                let found = read(&table).unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(found, expected, "{context}");
                if moves.act.lock().unwrap().1.is_some() {
                    assert!(n > 20, "{context}");
                    break;
                }
            }
        }
    }
}

/// Another process splits a region, and dies while it moves the files of the parent to the archive.
#[test]
fn rows_of_a_region_that_is_being_archived_are_read() {
    let objects = FaultyStorage::new();
    objects.has_objects();
    for (kind, before) in [
        ("directories", in_four()),
        ("lists", in_four_in(FaultyStorage::new(), with_list)),
        ("objects", in_four_in(objects, with_list)),
    ] {
        let open = |files: &FaultyStorage, writable| {
            Table::open_with(ROOT, "t", options(Arc::new(files.clone())).writable(writable)).unwrap()
        };
        // A second file of each family.
        let table = open(&before, true);
        table.put(Put::new("c").cell_at("f", "z", 1, "v").cell_at("g", "z", 1, "v")).unwrap();
        table.close().unwrap();
        let expected = rows(&open(&before, false), Scan::new()).unwrap();
        assert_eq!(expected.len(), 8, "{kind}");
        for n in 0.. {
            let files = before.after(Crash::OfTheProcess);
            let readers = [open(&files, false), open(&files, false)];
            let other = open(&files, true);
            other.split("d").unwrap();
            for info in other.regions() {
                other.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
            }
            files.die_after(n);
            let archived = other.archive_parents();
            drop(other);
            let has_died = files.has_died();
            files.heal();
            for (reader, reversed) in readers.iter().zip([false, true]) {
                let context = format!("{kind}, call {n}, reversed {reversed}");
                let found = rows(reader, Scan::new().reversed(reversed));
                let mut found = found.unwrap_or_else(|error| panic!("{context}: {error}"));
                if reversed {
                    found.reverse();
                }
                assert_eq!(found, expected, "{context}");
            }
            if !has_died {
                assert_eq!((archived.unwrap().len(), n > 10), (1, true), "{kind}, {n} calls");
                break;
            }
        }
    }
}

/// Another process changes the regions after each row.
#[test]
fn a_scan_follows_one_change_after_another() {
    let files = in_four();
    let table = Table::open_with(ROOT, "t", options(Arc::new(files.clone()))).unwrap();
    let mut scanner = table.scan(Scan::new()).unwrap();
    let mut keys = Vec::new();
    while let Some(row) = scanner.next_row().unwrap() {
        keys.push(row.key().to_vec());
        change(Arc::new(files.clone()), |table| match table.regions().len() {
            1 => split(table, "f"),
            regions => merge(table, regions - 2),
        });
    }
    assert_eq!(keys, ROWS.map(|row| row.as_bytes().to_vec()));
}

#[test]
fn a_table_that_is_gone_is_an_error() {
    let files = in_four();
    let table = Table::open_with(ROOT, "t", options(Arc::new(files.clone()))).unwrap();
    let view = table.view();
    let first = view.get(&Get::new("a")).unwrap();
    Table::delete_table(ROOT, "t", &options(Arc::new(files.clone()))).unwrap();
    assert_eq!(view.get(&Get::new("a")).unwrap(), first);
    for _ in 0..2 {
        let error = view.get(&Get::new("h")).unwrap_err();
        assert!(error.message().contains("split, merged or removed"), "{error}");
    }
}

fn truncate(storage: Arc<dyn Storage>, preserve: bool) {
    Table::truncate(ROOT, "t", preserve, &options(storage)).unwrap();
}

fn create_again(storage: Arc<dyn Storage>) {
    Table::delete_table(ROOT, "t", &options(Arc::clone(&storage))).unwrap();
    let families = [Family::new("f"), Family::new("g")];
    let table = Table::create_with(ROOT, "t", &families, &["d"], options(storage)).unwrap();
    for row in ["a", "h"] {
        table.put(Put::new(row).cell_at("f", "a", 9, "other")).unwrap();
    }
    table.close().unwrap();
}

/// Each of these creates another table of the same name.
const REPLACEMENTS: [(&str, OfStorage<()>); 4] = [
    ("truncation", |storage| truncate(storage, false)),
    ("truncation with the same bounds", |storage| truncate(storage, true)),
    ("creation", create_again),
    ("restoration", |storage| {
        Table::restore_snapshot(ROOT, "empty", options(storage)).unwrap().close().unwrap();
    }),
];

/// Removes the mark that distinguishes a table from others of its name, which HBase does not write.
fn as_of_hbase(storage: &dyn Storage) {
    let dir = Path::new(ROOT).join("data/default/t/.tabledesc");
    for entry in storage.list_dir(&dir).unwrap() {
        if entry.name.to_str().unwrap().starts_with(".clone.") {
            storage.remove(&dir.join(&entry.name)).unwrap();
        }
    }
}

/// A read must not continue from rows of one table to rows of the other.
#[test]
fn another_table_of_the_name_is_not_read_as_the_rest() {
    REPLACEMENTS.into_iter().for_each(|(replaced, replace)| check_replaced(replaced, replace));
}

/// HBase writes no such mark. A restoration keeps the names of regions, and cannot be detected then.
#[test]
fn another_table_that_hbase_made_is_not_read_as_the_rest() {
    let others: [(&str, OfStorage<()>); 3] = [
        ("truncation by HBase", |storage| {
            truncate(Arc::clone(&storage), false);
            as_of_hbase(&*storage);
        }),
        ("truncation with the same bounds by HBase", |storage| {
            truncate(Arc::clone(&storage), true);
            as_of_hbase(&*storage);
        }),
        ("creation by HBase", |storage| {
            create_again(Arc::clone(&storage));
            as_of_hbase(&*storage);
        }),
    ];
    others.into_iter().for_each(|(replaced, replace)| check_replaced(replaced, replace));
}

fn check_replaced(replaced: &str, replace: OfStorage<()>) {
    let before = in_four();
    let replaced_files = before.after(Crash::OfTheProcess);
    replace(Arc::new(replaced_files.clone()));
    for reversed in [false, true] {
        let scan = || Scan::new().reversed(reversed);
        let [old, new] = [&before, &replaced_files].map(|files| {
            let table = Table::open_with(ROOT, "t", options(Arc::new(files.clone()))).unwrap();
            rows(&table, scan()).unwrap()
        });
        assert!(old.len() == 8 && new.len() <= 2 && new != old, "{replaced}: {new:?}");
        let mut refused = 0;
        for n in 0.. {
            let context = format!("{replaced}, reversed {reversed}, call {n}");
            let files = before.after(Crash::OfTheProcess);
            let other: Arc<dyn Storage> = Arc::new(files.clone());
            let act: Act = Box::new(move || replace(other));
            let moves = Arc::new(Moves { files, act: Mutex::new((n, Some(act))) });
            let table = Table::open_with(ROOT, "t", options(Arc::clone(&moves) as _));
            match table.and_then(|table| rows(&table, scan())) {
                Ok(found) => assert!(found == old || found == new, "{context}: {found:?}"),
                Err(error) if error.kind() == ErrorKind::RegionNotFound => {
                    assert!(error.message().contains("open the table again"), "{context}: {error}");
                    refused += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Io | ErrorKind::TableNotFound),
                        "{context}: {error}"
                    );
                }
            }
            if moves.act.lock().unwrap().1.is_some() {
                assert!(n > 20, "{context}");
                break;
            }
        }
        assert!(refused > 1, "{replaced}, reversed {reversed}");
    }
}
