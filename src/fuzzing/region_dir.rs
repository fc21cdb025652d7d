//! Whole region directories with hostile content.

use super::input::Input;
use super::store_files::{rows, write};
use crate::clock::ManualClock;
use crate::io::faulty::FaultyStorage;
use crate::op::{Put, Scan};
use crate::region::{Compaction, Region};
use crate::schema::Family;
use std::path::Path;
use std::sync::Arc;

/// The names of files that are replaced in a valid region or added to it. In the input, each file is a byte
/// that selects one of these names, or is followed by a name; then two bytes for the length of the content,
/// and the content.
const NAMES: [&str; 24] = [
    ".regioninfo",
    ".tabledesc/.tableinfo.0000000001.99",
    ".tabledesc/.tableinfo.0000000002",
    ".tabledesc/.tableinfo",
    ".tableinfo.0000000003",
    "f/.filelist/f1",
    "f/.filelist/f2",
    "f/.filelist/f1.7",
    "f/.filelist/f2.7",
    "f/.filelist/f1.18446744073709551615",
    "f/0a",
    "f/0b_SeqId_7_",
    "f/0c.1b",
    "f/t=1b-0a",
    "f/notes",
    "f/recovered.hfiles/0a",
    "g/0a",
    "h/0a",
    ".tmp/f/0a",
    "recovered.edits/7.seqid",
    "recovered.edits/0000000000000000007",
    ".splits/x/f/0a",
    ".hregion.lock",
    "f",
];

const DIR: &str = "root/data/default/t/region";

/// Checks a region's directory with hostile files in it: opening it for reading changes nothing; reads,
/// writes and compactions end in an error or an answer; a region that was written opens again with everything
/// that was flushed.
pub fn region_dir(input: &[u8]) {
    let storage = FaultyStorage::new();
    let options =
        || Region::options().storage(Arc::new(storage.clone())).clock(Arc::new(ManualClock::new(1_000)));
    let families = [Family::new("f"), Family::new("g").max_versions(3)];
    let mut input = Input::new(input);
    let settings = input.byte();
    let tracker = ["DEFAULT", "FILE", "MIGRATION", ""][usize::from(settings % 4)];
    let family = match tracker {
        "" => families[0].clone(),
        tracker => families[0]
            .clone()
            .configuration("hbase.store.file-tracker.impl", tracker)
            .configuration("hbase.store.file-tracker.migration.src.impl", "DEFAULT")
            .configuration("hbase.store.file-tracker.migration.dst.impl", "FILE"),
    };
    let created = options().create_if_missing(true).family(family).family(families[1].clone()).open(DIR);
    let created = created.expect("a new region");
    created.put(Put::new("r").cell("f", "q", "v").cell("g", "q", "v")).expect("a put");
    created.close().expect("a region that is closed");
    while !input.is_empty() {
        let pick = usize::from(input.byte());
        let name = match NAMES.get(pick) {
            Some(name) => (*name).to_owned(),
            None => {
                let name = String::from_utf8_lossy(input.run(40)).replace(['/', '\0'], "_");
                if matches!(&*name, "" | "." | "..") {
                    continue;
                }
                format!("f/{name}")
            }
        };
        let len = usize::from(input.u16());
        let rest = input.rest();
        let (content, rest) = rest.split_at(len.min(rest.len()));
        input = Input::new(rest);
        let path = Path::new(DIR).join(name);
        if storage.is_writable(&path) {
            write(&storage, &path, content);
        }
    }
    let before = storage.names();
    if let Ok(region) = options().open(DIR) {
        let _ = rows(&region, &Scan::new().max_versions(u32::MAX));
        let _ = (region.warnings().len(), region.health().is_healthy());
    }
    assert_eq!(storage.names(), before, "reading changes nothing");
    let Ok(region) = options().writable(true).open(DIR) else { return };
    let names: Vec<Vec<u8>> = region.families().map(|family| family.name().to_vec()).collect();
    let row =
        if region.info().start_key().is_empty() { b"x".to_vec() } else { region.info().start_key().to_vec() };
    let put =
        names.iter().fold(Put::new(row.clone()), |put, family| put.cell_at(family.clone(), "new", 999, "v"));
    let is_put = region.put(put).is_ok();
    let _ = region.compact(Compaction::Minor);
    let closed = region.close();
    drop(region);
    if is_put && closed.is_ok() {
        let region = options().open(DIR).expect("a region that was closed opens");
        if let Ok(found) = rows(&region, &Scan::new().raw(true).max_versions(u32::MAX)) {
            let found = found.iter().find(|found| found.key() == row);
            let new =
                found.map_or(0, |found| found.cells().filter(|cell| cell.qualifier() == b"new").count());
            assert!(new >= names.len(), "what was flushed is there");
        }
    }
    let Ok(region) = options().writable(true).open(DIR) else { return };
    let _ = region.compact(Compaction::Major);
    let _ = rows(&region, &Scan::new());
}
