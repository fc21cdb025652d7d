//! An unreadable file causes an error, not a short answer.

use crate::golden_tables::golden_snapshots;
use crate::{mapped, rows, session};
use hregion::{Family, HFile, Put, Table};
use hregion_arrow::Layout;
use hregion_datafusion::HregionTable;
use std::fs;
use std::path::Path;

fn table(root: &Path) -> Table {
    let families = [Family::new("f").block_size(1024)];
    let table = Table::create(root, "t", &families, &["0500", "0700"]).unwrap();
    for row in 0..1000 {
        let put = Put::new(format!("{row:04}")).cell_at("f", "n", 5, i64::from(row).to_be_bytes().to_vec());
        table.put(put).unwrap();
    }
    for info in table.regions() {
        table.region(info.start_key()).unwrap().flush().unwrap();
    }
    table.close().unwrap();
    Table::open(root, "t").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_blocks_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let open = table(dir.path());
    let path = open.region("0600").unwrap().hfile_paths("f").unwrap().remove(0);
    let handle = HFile::open(&path).unwrap().root_index().nth(3).unwrap().1;
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(handle.offset).unwrap() + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    for partitions in [1, 4] {
        for sql in ["SELECT * FROM t", "SELECT count(*) FROM t", "SELECT row FROM t WHERE \"f:n\" = -1"] {
            let context = session(mapped(&open, &["f:n=long"]), partitions, 100);
            let error = rows(&context, sql).await.unwrap_err().to_string();
            assert!(error.contains("checksum"), "{sql}: {error}");
        }
        // other regions can be read
        let context = session(mapped(&open, &["f:n=long"]), partitions, 100);
        let found = rows(&context, "SELECT * FROM t WHERE row < '0500'").await.unwrap();
        assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_region_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let open = table(dir.path());
    let gone = open.region("0600").unwrap().path().to_owned();
    fs::remove_dir_all(gone).unwrap();
    let open = Table::open(dir.path(), "t").unwrap();
    for partitions in [1, 2, 8] {
        for sql in ["SELECT * FROM t", "SELECT count(*) FROM t", "SELECT row FROM t WHERE row >= '0400'"] {
            let context = session(mapped(&open, &["f:n=long"]), partitions, 100);
            assert!(rows(&context, sql).await.is_err(), "{partitions}: {sql}");
        }
        let context = session(mapped(&open, &["f:n=long"]), partitions, 100);
        for (condition, count) in [("row < '0500'", 500), ("row >= '0700'", 300)] {
            let found = rows(&context, &format!("SELECT row FROM t WHERE {condition}")).await.unwrap();
            assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), count);
        }
    }
    fs::remove_dir_all(open.region("").unwrap().path()).unwrap();
    fs::remove_dir_all(open.region("0800").unwrap().path()).unwrap();
    let Ok(empty) = Table::open(dir.path(), "t") else { return };
    let context = session(mapped(&empty, &["f:n=long"]), 2, 100);
    assert!(rows(&context, "SELECT * FROM t").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_without_regions_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let golden = golden_snapshots().into_iter().find(|dir| dir.ends_with("joined-snap")).unwrap();
    let snapshot = dir.path().join(".hbase-snapshot").join("joined-snap");
    fs::create_dir_all(&snapshot).unwrap();
    fs::copy(golden.join(".snapshotinfo"), snapshot.join(".snapshotinfo")).unwrap();
    // the first field, which has a length of two bytes, is the descriptor; the others are the regions
    let manifest = fs::read(golden.join("data.manifest")).unwrap();
    let [0x0a, low @ 0x80..=0xff, high @ 0..=0x7f, ..] = manifest[..] else { panic!("{manifest:x?}") };
    let end = 3 + (usize::from(low & 0x7f) | usize::from(high) << 7);
    assert!(end < manifest.len());
    fs::write(snapshot.join("data.manifest"), &manifest[..end]).unwrap();
    let open = Table::open_snapshot(dir.path(), "joined-snap").unwrap();
    for condition in ["true", "family = X'66'", "qualifier = X'71'", "family = X'66' AND qualifier > X'71'"] {
        let context = session(HregionTable::new(open.clone(), Layout::Cells), 2, 100);
        let error = rows(&context, &format!("SELECT row FROM t WHERE {condition}")).await.unwrap_err();
        assert!(error.to_string().contains("no region"), "{condition}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_another_type_are_errors_if_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let open = table(dir.path());
    let context = session(mapped(&open, &["f:n=int", "f:none=utf8"]), 2, 100);
    for sql in [
        "SELECT \"f:n\" FROM t",
        "SELECT row FROM t WHERE \"f:n\" > -1",
        "SELECT row FROM t WHERE \"f:n\" <> 5",
    ] {
        let error = rows(&context, sql).await.unwrap_err().to_string();
        assert!(error.contains("f:n"), "{error}");
    }
    // the first query does not decode the values, and in the second no value has these bytes
    assert!(rows(&context, "SELECT row FROM t").await.is_ok());
    let found = rows(&context, "SELECT row FROM t WHERE \"f:n\" = 5").await.unwrap();
    assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
    // an unknown family is also an error
    let context = session(mapped(&open, &["x:n=int"]), 2, 100);
    assert!(rows(&context, "SELECT * FROM t").await.is_err());
}
