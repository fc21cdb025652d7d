//! The numbers of requests and bytes for reads.

use crate::support::{ROWS, bucket, key, options, region_path, storage, store_file, value};
use hregion::{BlockCache, Get, HFile, Region, Scan, Storage as _};
use std::path::Path;
use std::sync::Arc;

#[test]
fn a_file_opens_by_one_request_and_a_get_takes_three() {
    let server = bucket();
    let storage = Arc::new(storage(&server));
    let path = format!("s3://bucket/{}", store_file(&storage));
    server.take_asked();
    let reader = storage.open(Path::new(&path)).unwrap();
    HFile::options().open_reader(reader).unwrap();
    let (asked, _) = server.take_asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");

    let cache = BlockCache::with_capacity(64 << 20);
    let region = Region::options().cache(&cache).storage(storage.clone()).open(region_path()).unwrap();
    region.exists(&Get::new(key(0))).unwrap();
    server.take_asked();
    for row in [ROWS / 2, ROWS / 4, ROWS - 1] {
        let found = region.get(&Get::new(key(row))).unwrap();
        assert_eq!(found.cells().next().unwrap().value(), value(row).as_bytes());
        let (asked, _) = server.take_asked();
        assert!(asked.len() <= 3, "{asked:#?}");
    }
    assert!(region.get(&Get::new("nothing")).unwrap().is_empty());
}

#[test]
fn a_region_opens_by_few_listings() {
    let server = bucket();
    let storage = Arc::new(storage(&server));
    Region::options().storage(storage.clone()).open(region_path()).unwrap();
    let (asked, _) = server.take_asked();
    let listings = asked.iter().filter(|asked| asked.contains("list-type")).count();
    // The directories of the region and of its descriptor, recovered edits, also at the path of some HBase
    // releases, and files; the directories of the family and of its file list are listed twice.
    assert!(listings <= 8, "{asked:#?}");
    assert_eq!(storage.stats().requests, asked.len() as u64);
}

#[test]
fn scans_read_what_they_must_and_little_more() {
    let server = bucket();
    let storage = Arc::new(storage(&server));
    let file = store_file(&storage);
    let len = storage.open(Path::new(&format!("s3://bucket/{file}"))).unwrap().len();
    for share in [1, 4, 10] {
        let region = Region::options().storage(storage.clone()).open(region_path()).unwrap();
        let (before, _) = (storage.stats(), server.take_asked());
        let scan = Scan::new().rows(key(0)..key(ROWS / share));
        let mut rows = 0;
        for row in region.scan(scan).unwrap() {
            let row = row.unwrap();
            assert_eq!(row.cells().next().unwrap().value(), value(rows).as_bytes());
            rows += 1;
        }
        assert_eq!(rows, ROWS / share);
        drop(region);
        let after = storage.stats();
        let (requests, bytes) = (after.requests - before.requests, after.bytes - before.bytes);
        let must = len / share as u64;
        // One more block of 64 KiB, and the blocks of the index.
        assert!(bytes <= must + must / 5 + (128 << 10), "1/{share}: {bytes} of {must} bytes");
        // The first blocks are read one by one; later requests are larger.
        assert!(requests < 8 + must / (80 << 10), "1/{share}: {requests} requests for {must} bytes");
    }
}

#[test]
fn directories_are_listed_page_by_page() {
    let server = bucket();
    for n in 0..25 {
        server.put(&format!("many/{n:02}"), vec![0; n]);
        server.put(&format!("many/dir{n:02}/file"), Vec::new());
    }
    server.put("many/%2C&<", Vec::new());
    server.put("many/empty/", Vec::new());
    server.put("many-more", Vec::new());
    server.page(7);
    let storage = storage(&server);
    let entries = storage.list_dir(Path::new("s3://bucket/many")).unwrap();
    assert_eq!(entries.len(), 52, "{entries:#?}");
    assert!(entries.is_sorted_by(|a, b| a.name < b.name));
    assert_eq!(entries.iter().filter(|entry| entry.is_dir).count(), 26);
    let file = entries.iter().find(|entry| entry.name == "24").unwrap();
    assert!(file.len == 24 && !file.is_dir);
    assert!(storage.list_dir(Path::new("s3://bucket/many/empty")).unwrap().is_empty());
    let missing = storage.list_dir(Path::new("s3://bucket/man")).unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    let limited = options(&server).listing_entries(20).build().unwrap();
    let error = limited.list_dir(Path::new("s3://bucket/many")).unwrap_err();
    assert!(error.to_string().contains("over 20 entries"), "{error}");
    assert!(storage.is_dir(Path::new("s3://bucket/many")).unwrap());
    assert!(!storage.is_dir(Path::new("s3://bucket/many-more")).unwrap());
    assert!(!storage.status(Path::new("s3://bucket/many-more")).unwrap().unwrap().is_dir);
    assert!(storage.status(Path::new("s3://bucket/man")).unwrap().is_none());
}

#[test]
fn files_are_read_at_any_offset() {
    let server = bucket();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_be_bytes()[3] ^ n.to_be_bytes()[2]).collect();
    server.put("file", bytes.clone());
    server.put("empty", Vec::new());
    let storage = options(&server).tail_bytes(1000).build().unwrap();
    let file = storage.open(Path::new("s3://bucket/file")).unwrap();
    assert_eq!(file.len(), 300_000);
    for (offset, len) in [(0, 10), (5, 200_000), (298_990, 20), (299_000, 1000), (299_999, 1), (300_000, 0)] {
        let mut buf = vec![0; len];
        file.read_exact_at(&mut buf, offset).unwrap();
        let from = usize::try_from(offset).unwrap();
        assert!(buf == bytes[from..from + len], "{offset}");
    }
    for (offset, len) in [(300_000, 1), (299_999, 2), (u64::MAX, 1)] {
        let error = file.read_exact_at(&mut vec![0; len], offset).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    }
    assert_eq!(storage.open(Path::new("s3://bucket/empty")).unwrap().len(), 0);
    let again = storage.open(Path::new("s3://bucket/file")).unwrap();
    assert!(file.identity().is_some() && file.identity() == again.identity());
    server.put("file", bytes);
    let replaced = storage.open(Path::new("s3://bucket/file")).unwrap();
    assert_ne!(file.identity(), replaced.identity());
}
