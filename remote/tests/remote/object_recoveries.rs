//! The logs of dead servers are recovered in a bucket.

use crate::fake_s3::FakeS3;
use crate::history::{Rows, table_rows, turns};
use crate::tables::{ROOT, client, client_with, free_locks, options, prepare};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{Cell, CellRef, CellType, Result, RootRecovery, SeekKey, Table};
use std::path::Path;

/// The length of the parts in which long objects are uploaded.
const PART: usize = 10_000;

/// Writes a log with a row of each region of the table, with edits of several parts. Returns the rows.
fn write_log(server: &FakeS3) -> Rows {
    let storage = client(server);
    let log = Path::new(ROOT).join("WALs/server/log.1");
    let mut writer = WalWriterOptions::new().create_in(&*storage, &log).unwrap();
    let regions = Table::open_with(ROOT, "t", options(client(server))).unwrap().regions();
    let (mut rows, mut seq_id) = (Rows::new(), 1_i64 << 40);
    for (row, region) in ["c", "z"].into_iter().zip(regions) {
        let value = row.repeat(3 * PART);
        let cells = ["f", "g"].map(|family| {
            let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"q", 7, CellType::Put);
            Cell::from(CellRef::new(&key, value.as_bytes()))
        });
        seq_id += 1;
        let key = WalKey::new(region.encoded_name(), "t", seq_id, 7);
        writer.append(&key, cells.iter().map(Cell::as_ref)).unwrap();
        rows.insert(row.to_owned(), value);
    }
    writer.sync().unwrap();
    rows
}

fn recover(server: &FakeS3) -> Result<RootRecovery> {
    Table::recover(ROOT, options(client_with(server, |options| options.upload_part_bytes(PART))))
}

#[test]
fn a_recovery_is_cut_off_at_each_request() {
    for is_made in [false, true] {
        for at in turns(if is_made { 20 } else { 1 }, 53) {
            let server = FakeS3::start();
            let mut expected = prepare(client(&server), ROOT, &["m"]).acknowledged;
            free_locks(&server);
            expected.extend(write_log(&server));
            server.die_at(at, is_made);
            let recovered = recover(&server);
            let is_over = !server.revive();
            let context = format!("request {at}, made: {is_made}, {recovered:?}");
            free_locks(&server);
            let read = || table_rows(&Table::open_with(ROOT, "t", options(client(&server))).unwrap());
            // Each row is complete, or missing.
            assert!(read().iter().all(|(row, value)| expected.get(row) == Some(value)), "{context}");
            let again = recover(&server).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(!is_over || again.logs.is_empty() && again.regions.is_empty(), "{context}: {again:?}");
            assert!(read() == expected, "{context}");
            let keys = server.keys();
            assert!(!keys.iter().any(|key| key.starts_with("root/WALs/")), "{context}: {keys:?}");
            assert!(keys.iter().any(|key| key == "root/oldWALs/log.1"), "{context}: {keys:?}");
            if is_over {
                assert_eq!(recovered.unwrap().logs.len(), 1, "{context}");
                println!("{at} requests");
                break;
            }
        }
    }
}
