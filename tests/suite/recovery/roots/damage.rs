//! Damaged and torn logs, and file names that HBase does not produce.

use super::super::rewrite;
use super::{
    GONE, ROOT, SERVER, below, crashed, expected, flushed, open, options, put, recover, refuse, replayed,
    tear, values, write_log,
};
use hregion::io::Storage;
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{ErrorKind, Table};
use std::path::Path;

#[test]
fn damage_is_an_error_and_changes_nothing() {
    let storage = crashed();
    let path = Path::new(SERVER).join("h%2C1%2C2.2000");
    let bytes = storage.bytes(&path).unwrap();
    let mut damaged = bytes.clone();
    // A changed region name, detected by a checksum.
    let at = bytes.windows(34).position(|part| part.starts_with(b"\x0a\x20")).unwrap() + 2;
    damaged[at] ^= 1;
    rewrite(&storage, &path, &damaged);
    refuse(&storage, ErrorKind::Corrupt, &path);

    rewrite(&storage, &path, b"not a log");
    refuse(&storage, ErrorKind::Corrupt, &path);

    // The header of a log with an encryption key.
    let header =
        b"PWAL\x42\x08\0\x12\x01k\x2a\x3borg.apache.hadoop.hbase.regionserver.wal.SecureWALCellCodec";
    rewrite(&storage, &path, header);
    let message = refuse(&storage, ErrorKind::Unsupported, &path);
    assert!(message.contains("encrypted write-ahead log (AES)"), "{message}");

    rewrite(&storage, &path, &bytes);
    recover(&storage).unwrap();
    assert_eq!(values(&open(&storage, false)), expected());
}

#[test]
fn names_that_hbase_does_not_give_are_damage() {
    let storage = crashed();
    let path = write_log(&storage, SERVER, "other.3000", &[("..", 70, vec![put("b", "f", "1")])], true);
    refuse(&storage, ErrorKind::Corrupt, &path);
    storage.remove(&path).unwrap();
    let mut writer = WalWriterOptions::new().create_in(&storage, &path).unwrap();
    writer.append(&WalKey::new(GONE, "../t", 70, 500), [put("b", "f", "1").as_ref()]).unwrap();
    writer.close().unwrap();
    refuse(&storage, ErrorKind::Corrupt, &path);
}

/// Verification reports, for the logs of servers, what a recovery, or the opening of a region after it, would
/// refuse.
#[test]
fn verify_finds_names_and_rows_that_no_recovery_takes() {
    let (storage, [one, _]) = flushed();
    let verify = |path: &Path| options(&storage).verify_file(path, |_, _| panic!("no HFile")).unwrap();
    let entry = |region, row| (region, 70, vec![put(row, "f", "1")]);
    let sound = [entry(&*one, "b"), entry(GONE, "b"), entry(GONE, "z")];
    for (dir, wrong) in [(SERVER, entry("..", "b")), ("/hbase/oldWALs", entry(&*one, "z"))] {
        let path = write_log(&storage, dir, "h%2C1%2C2.1", &sound, true);
        assert_eq!(verify(&path).len(), 0, "{dir}");
        let path = write_log(&storage, dir, "h%2C1%2C2.2", &[&sound[..], &[wrong]].concat(), true);
        let faults = verify(&path);
        assert_eq!(faults.len(), 1, "{dir}: {faults:?}");
        assert_eq!((faults[0].kind(), faults[0].path()), (ErrorKind::Corrupt, Some(&*path)));
        if dir == SERVER {
            assert_eq!(refuse(&storage, ErrorKind::Corrupt, &path), faults[0].to_string());
        }
    }
    let path = Path::new(SERVER).join("h%2C1%2C2.3");
    let mut writer = WalWriterOptions::new().create_in(&storage, &path).unwrap();
    writer.append(&WalKey::new(GONE, "../t", 70, 500), [put("b", "f", "1").as_ref()]).unwrap();
    writer.close().unwrap();
    assert_eq!(verify(&path).len(), 1);
}

#[test]
fn only_the_newest_log_of_a_server_may_be_torn() {
    let (storage, [one, _]) = flushed();
    let entries = [(&*one, 40, vec![put("b", "f", "3")]), (&*one, 41, vec![put("b", "g", "4")])];
    // Compared by number, not by name.
    let older = write_log(&storage, SERVER, "h%2C1%2C2.900", &entries, false);
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &[(&one, 42, vec![put("c", "f", "5")])], true);
    // A log of another writer, one of another server, and a checksum file of Hadoop.
    let meta = write_log(&storage, SERVER, "h%2C1%2C2.meta.800.meta", &[], false);
    let other = write_log(&storage, "/hbase/WALs/i,1,2-splitting", "i%2C1%2C2.700", &[], false);
    storage.create(&Path::new(SERVER).join(".h%2C1%2C2.900.crc")).unwrap().write_all(b"crc").unwrap();
    tear(&storage, &meta);
    tear(&storage, &other);
    let bytes = storage.bytes(&older).unwrap();
    tear(&storage, &older);
    let message = refuse(&storage, ErrorKind::Truncated, &older);
    assert!(message.contains("its server went on with a newer log"), "{message}");
    rewrite(&storage, &older, &bytes);
    let found = recover(&storage).unwrap();
    let torn: Vec<_> = found.torn.iter().map(|error| error.path().unwrap()).collect();
    assert_eq!(torn, [&*meta, &*other]);
    assert_eq!(values(&open(&storage, false))[2..5].len(), 3);
}

/// A length is damaged in a log that its server closed. It is the newest log, so a torn one would be
/// accepted.
#[test]
fn a_closed_log_is_not_torn() {
    let (storage, [one, _]) = flushed();
    let path = Path::new(SERVER).join("h%2C1%2C2.900");
    storage.create_dir_all(Path::new(SERVER)).unwrap();
    let mut writer = WalWriterOptions::new().create_in(&storage, &path).unwrap();
    let mut last = 0;
    for (seq_id, family) in [(40, "f"), (41, "g")] {
        last = usize::try_from(writer.offset()).unwrap();
        let cell = put("b", family, "3");
        writer.append(&WalKey::new(&*one, "t", seq_id, 500), [cell.as_ref()]).unwrap();
    }
    writer.close().unwrap();
    Path::new(SERVER).ancestors().for_each(|dir| storage.sync_dir(dir).unwrap());
    let sound = storage.bytes(&path).unwrap();
    let mut flipped = sound.clone();
    flipped[last] ^= 0x80;
    rewrite(&storage, &path, &flipped);
    let message = refuse(&storage, ErrorKind::Truncated, &path);
    assert!(message.contains("the log was closed"), "{message}");
    let planned = Table::plan_recovery(ROOT, options(&storage).accept_torn_logs(true)).unwrap();
    assert_eq!(planned.torn.iter().map(hregion::Error::path).collect::<Vec<_>>(), [Some(&*path)]);
    rewrite(&storage, &path, &sound);
    recover(&storage).unwrap();
    let found = values(&open(&storage, false));
    assert!(
        ["b/f:q/500=3", "b/g:q/500=3"].iter().all(|cell| found.contains(&(*cell).to_owned())),
        "{found:?}"
    );
}

/// HBase leaves such a log when a data node fails: unacknowledged entries are also in the next log.
#[test]
fn a_torn_log_before_a_newer_one_is_accepted_if_asked() {
    // Torn in its last entry, torn in its header, and empty.
    for len in [None, Some(7), Some(0)] {
        let (storage, [one, _]) = flushed();
        let (acknowledged, again) = (put("b", "f", "3"), put("b", "g", "4"));
        let first = [(&*one, 40, vec![acknowledged]), (&*one, 41, vec![again.clone()])];
        let torn = write_log(&storage, SERVER, "h%2C1%2C2.900", &first, false);
        let bytes = storage.bytes(&torn).unwrap();
        rewrite(&storage, &torn, &bytes[..len.unwrap_or(bytes.len() - 4)]);
        write_log(&storage, SERVER, "h%2C1%2C2.1000", &[(&one, 41, vec![again])], true);
        let message = refuse(&storage, ErrorKind::Truncated, &torn);
        assert!(message.contains("accept_torn_logs (--accept-torn-logs)"), "{len:?}: {message}");
        let accepting = || options(&storage).accept_torn_logs(true);
        let planned = Table::plan_recovery(ROOT, accepting()).unwrap();
        let done = Table::recover(ROOT, accepting()).unwrap();
        assert_eq!(replayed(&planned), replayed(&done), "{len:?}");
        for found in [&planned, &done] {
            let torn_logs: Vec<_> = found.torn.iter().map(|one| (one.kind(), one.path())).collect();
            assert_eq!(torn_logs, [(ErrorKind::Truncated, Some(&*torn))], "{len:?}");
            assert!(found.torn[0].to_string().contains("went on with a newer log"), "{}", found.torn[0]);
        }
        let found = values(&open(&storage, false));
        assert_eq!(found.contains(&"b/f:q/500=3".to_owned()), len.is_none(), "{len:?}: {found:?}");
        assert!(found.contains(&"b/g:q/500=4".to_owned()), "{len:?}: {found:?}");
        assert_eq!(below(&storage, "/hbase/oldWALs").len(), 2, "{len:?}");
    }
    // Damage is still refused.
    let (storage, _) = flushed();
    let path = write_log(&storage, SERVER, "h%2C1%2C2.900", &[], true);
    rewrite(&storage, &path, b"not a log");
    write_log(&storage, SERVER, "h%2C1%2C2.1000", &[], true);
    let error = Table::recover(ROOT, options(&storage).accept_torn_logs(true)).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&*path)));
}
