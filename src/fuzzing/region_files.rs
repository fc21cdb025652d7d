//! The small files of a region's directory, names of store files, and manifests of snapshots.

use super::store_files::write;
use crate::cell::CellOrder;
use crate::hash::checksum::crc32;
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use crate::layout::Snapshot;
use crate::layout::file_list::FileList;
use crate::layout::file_name::{FileName, Target};
use crate::layout::reference::Reference;
use crate::layout::tracker::StoreFileTracker;
use crate::schema::{RegionInfo, TableDescriptor};
use std::path::Path;
use std::sync::Arc;

/// The description of a snapshot of a table, of which `testdata` has a manifest: name, table, version.
const SNAPSHOT_INFO: &[u8] = b"\x0a\x01s\x12\x06joined\x28\x02";

/// Checks a file's name or content: it is refused, or its contents are consistent and, if this crate writes
/// such files, it is written to the same bytes. The first byte selects the kind of file; the rest is the name
/// or content.
pub fn region_files(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    match kind % 6 {
        0 => name(bytes),
        1 => drop(Reference::parse(bytes)),
        2 => list(bytes),
        3 => region_info(bytes),
        4 => descriptor(bytes),
        _ => manifest(bytes),
    }
}

/// Checks that no name leads out of a family's directory.
fn name(bytes: &[u8]) {
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    let Some(parsed) = FileName::parse(name) else { return };
    // a table may be called `a..b`, but no path component may be `..`
    let mut folders = Vec::new();
    if let FileName::Reference(_, region) = parsed {
        folders.push(region);
    }
    match parsed.target() {
        Target::HFile(file) => folders.push(file),
        Target::Link { table, region, file } => {
            folders.extend([table.namespace(), table.qualifier(), region, file]);
        }
    }
    for folder in folders {
        assert!(!folder.contains('/') && !matches!(folder, "" | "." | ".."), "{parsed:?}");
    }
}

/// Checks a list unchanged, and with its length and checksum corrected.
fn list(bytes: &[u8]) {
    let _ = FileList::parse(bytes);
    let message = bytes.get(4..bytes.len().saturating_sub(4)).unwrap_or(bytes);
    let Ok(len) = u32::try_from(message.len()) else { return };
    let sealed = [&len.to_be_bytes(), message, &crc32(message).to_be_bytes()].concat();
    if let Ok(list) = FileList::parse(&sealed) {
        assert_eq!(FileList::parse(&sealed), Ok(list));
    }
}

fn region_info(bytes: &[u8]) {
    let Ok(info) = RegionInfo::parse_file(bytes) else { return };
    assert_eq!(RegionInfo::parse_file(&info.to_file()).as_ref(), Ok(&info));
    assert!(info.end_key().is_empty() || info.contains(info.start_key()));
    assert!(!info.contains(info.end_key()) || info.end_key().is_empty());
    let _ = info.to_string();
    assert_eq!(info.is_encoded_as(&info.encoded_name()), info.replica_id() == 0, "{info}");
}

fn descriptor(bytes: &[u8]) {
    let Ok(descriptor) = TableDescriptor::parse_file(bytes) else { return };
    let names: Vec<_> = descriptor.families().map(|family| family.name()).collect();
    assert!(names.is_sorted_by(|a, b| CellOrder::User.compare_rows(a, b).is_lt()));
    for family in descriptor.families() {
        family.check_readable().expect("a family that can be");
        let _ = StoreFileTracker::from_settings(|key| descriptor.setting(family.name(), key));
    }
}

/// Checks that a snapshot with this manifest is refused, or has missing files, as none exist.
fn manifest(bytes: &[u8]) {
    let (storage, root) = (FaultyStorage::new(), Path::new("root"));
    write(&storage, &root.join(".hbase-snapshot/s/.snapshotinfo"), SNAPSHOT_INFO);
    write(&storage, &root.join(".hbase-snapshot/s/data.manifest"), bytes);
    let before = storage.names();
    let Ok(snapshot) = Snapshot::open(&storage, root, "s") else { return };
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    for (_, region) in snapshot.regions() {
        let dir = snapshot.region_dir(&shared, region);
        assert!(dir.path().starts_with("root/data/default/joined"), "{dir:?}");
        for family in dir.families() {
            if let Ok(found) = snapshot.store_files(&dir, region, family.name()) {
                assert!(found.files.is_empty(), "{found:?}");
            }
        }
    }
    assert_eq!(storage.names(), before, "reading changes nothing");
}
