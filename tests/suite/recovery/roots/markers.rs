//! Markers in the logs of servers.

use super::{ROOT, SERVER, flushed, open, options, put, recover, refuse, replayed, values, write_log};
use hregion::io::Storage;
use hregion::wal::{CompactionMarker, Marker, WalReader};
use hregion::{Cell, CellRef, CellType, ErrorKind, Limits, SeekKey, Table};
use std::path::Path;

/// HBase reads only the markers of compactions when it splits and replays logs.
#[test]
fn markers_that_no_replay_needs_are_not_read() {
    let (storage, [one, _]) = flushed();
    let marker = |qualifier: &str, value: &[u8]| {
        let key = SeekKey::of(b"a", b"METAFAMILY", qualifier.as_bytes(), 500, CellType::Put);
        vec![Cell::from(CellRef::new(&key, value))]
    };
    // The unknown flush action 9, the unknown region event 9, and no message at all.
    let unknown = |region: &str, action: u8| {
        let mut value = vec![8, action, 18, 1, b't', 26, 32];
        value.extend_from_slice(region.as_bytes());
        value
    };
    let entries = [
        (&*one, 40, marker("HBASE::FLUSH", &unknown(&one, 9))),
        (&*one, 41, marker("HBASE::REGION_EVENT", &unknown(&one, 9))),
        (&*one, 42, marker("HBASE::BULK_LOAD", b"\xff")),
        (&*one, 43, vec![put("b", "f", "3")]),
    ];
    let edits = format!("/hbase/data/default/t/{one}/recovered.edits");
    for (dir, name) in [(SERVER, "h%2C1%2C2.1000"), (&*edits, "0000000000000000043")] {
        let path = write_log(&storage, dir, name, &entries, true);
        let file = storage.open(&path).unwrap();
        let mut log = WalReader::new(file, &Limits::new()).unwrap();
        for _ in 0..3 {
            assert!(log.next_entry().unwrap().unwrap().marker().is_err());
        }
        let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
        let done = recover(&storage).unwrap();
        assert_eq!(replayed(&planned), replayed(&done));
        assert_eq!((done.regions[0].replayed.edits, done.regions[0].replayed.cells), (1, 1));
        assert!(values(&open(&storage, false)).contains(&"b/f:q/500=3".to_owned()));
    }
    // The markers of compactions are read.
    let path =
        write_log(&storage, SERVER, "log.1", &[(&one, 50, marker("HBASE::COMPACTION", b"\xff"))], true);
    refuse(&storage, ErrorKind::Corrupt, &path);
}

/// A split keeps only the markers of compactions: the files that they name are ignored and archived.
#[test]
fn markers_of_compactions_reach_the_regions() {
    let (storage, [one, _]) = flushed();
    let family = Path::new("/hbase/data/default/t").join(&one).join("f");
    let file = storage.list_dir(&family).unwrap().remove(0).name.into_string().unwrap();
    let marker = CompactionMarker::new("t", &*one, "f", vec![file.clone()], Vec::new());
    let entries = [(&*one, 30, vec![Marker::Compaction(marker).to_cell(b"", 5)])];
    write_log(&storage, SERVER, "log.1", &entries, true);
    let planned = Table::plan_recovery(ROOT, options(&storage)).unwrap();
    let found = recover(&storage).unwrap();
    assert_eq!(replayed(&planned), replayed(&found));
    assert_eq!(found.regions[0].replayed.cells, 0);
    assert!(storage.bytes(&family.join(&file)).is_none(), "archived");
    assert_eq!(values(&open(&storage, false)).len(), 3);
}
