//! Hostile store files, read and compacted by a region.

use super::hfile::reseal;
use super::input::Input;
use crate::cell::{CellRef, Row};
use crate::clock::ManualClock;
use crate::error::{ErrorKind, Result};
use crate::hfile::HFile;
use crate::io::faulty::FaultyStorage;
use crate::io::{MemoryFile, Storage};
use crate::limits::Limits;
use crate::op::{Get, Scan};
use crate::region::{Compaction, Region, RegionOptions};
use crate::schema::Family;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// More rows than any input needs.
const MAX_ROWS: usize = 5_000;
const LIMIT: usize = 1 << 20;
const DIR: &str = "region";

/// Checks one to three files with recomputed checksums as the files of a store: reads and compactions end in
/// an error or an answer. If a verification finds no fault in any of the files, then they can be read, a
/// reversed scan returns the rows of a scan in reverse, gets return the same as the scan, and a minor
/// compaction changes no answer.
///
/// The first byte chooses the number of files; two bytes before each file but the last give its length.
pub fn store_files(input: &[u8]) {
    let mut input = Input::new(input);
    let count = usize::from(input.byte() % 3) + 1;
    let mut files = Vec::new();
    for i in 0..count {
        let rest = input.rest();
        let len = if i + 1 == count { rest.len() } else { usize::from(input.u16()) };
        let rest = input.rest();
        let (file, rest) = rest.split_at(len.min(rest.len()));
        let mut file = file.to_vec();
        reseal(&mut file);
        files.push(file);
        input = Input::new(rest);
    }
    let storage = FaultyStorage::new();
    let Some(name) = files.iter().find_map(|file| family_of(file)) else { return };
    let sound = files.iter().all(|file| is_sound(file));
    create(&storage, &name);
    for (i, file) in files.iter().enumerate() {
        let path = Path::new(DIR).join(String::from_utf8_lossy(&name).as_ref()).join(format!("0{i}"));
        write(&storage, &path, file);
    }
    let region = options(&storage).open(DIR);
    let read = region.as_ref().map(|region| read(region, sound));
    if sound && region.is_ok() {
        assert!(matches!(read, Ok(Ok(_))), "files without a fault are not read: {read:?}");
    }
    drop(region);
    let Ok(writable) = options(&storage).writable(true).open(DIR) else { return };
    let before = rows(&writable, &Scan::new().max_versions(u32::MAX));
    let count = writable.store_file_count(&name).unwrap_or_default();
    let compacted = writable.compact_files(&name, 0, count);
    if let (true, Ok(before)) = (sound, before) {
        compacted.expect("files without a fault are compacted");
        let after = rows(&writable, &Scan::new().max_versions(u32::MAX)).expect("files of hregion are read");
        assert_same(&after, &before, "a minor compaction");
    }
    let _ = writable.compact(Compaction::Major);
    let _ = rows(&writable, &Scan::new());
}

fn options(storage: &FaultyStorage) -> RegionOptions {
    let limits = Limits::default().with_block_bytes(LIMIT).with_load_on_open_bytes(LIMIT);
    Region::options()
        .storage(Arc::new(storage.clone()))
        .clock(Arc::new(ManualClock::new(1_000)))
        .limits(limits)
}

/// Returns the family of a file's first cell, if that is valid as a directory name.
fn family_of(file: &[u8]) -> Option<Vec<u8>> {
    let file = HFile::options()
        .open_reader(Arc::new(MemoryFile::new("input", Bytes::copy_from_slice(file))))
        .ok()?;
    let name = file.first_key()?.family().to_vec();
    (std::str::from_utf8(&name).is_ok() && Family::new(name.clone()).check().is_ok()).then_some(name)
}

fn is_sound(file: &[u8]) -> bool {
    let report =
        HFile::options().verify_reader(Arc::new(MemoryFile::new("input", Bytes::copy_from_slice(file))));
    report.is_ok_and(|report| report.faults.is_empty())
}

/// Creates a region of one family that keeps everything.
fn create(storage: &FaultyStorage, name: &[u8]) {
    let family = Family::new(name.to_vec()).max_versions(u32::MAX);
    let created = options(storage).create_if_missing(true).family(family).open(DIR);
    drop(created.expect("a new region"));
}

pub(super) fn write(storage: &FaultyStorage, path: &Path, bytes: &[u8]) {
    let file = storage.create(path).and_then(|mut file| file.write_all(bytes));
    file.expect("a storage that does not fail");
}

/// Returns all rows of a scan, up to a limit.
pub(super) fn rows(region: &Region, scan: &Scan) -> Result<Vec<Row>> {
    let view = region.view();
    view.scan(scan)?.take(MAX_ROWS).collect()
}

/// Reads in several ways; with valid files, the results must agree.
fn read(region: &Region, sound: bool) -> Result<()> {
    let raw = rows(region, &Scan::new().raw(true).max_versions(u32::MAX));
    let forward = rows(region, &Scan::new().max_versions(3));
    let reversed = rows(region, &Scan::new().max_versions(3).reversed(true));
    let some = forward.as_ref().map(|rows| rows.iter().step_by(rows.len().div_ceil(8).max(1)).cloned());
    let some: Vec<Row> = some.map(Iterator::collect).unwrap_or_default();
    let gets: Vec<Result<Row>> =
        some.iter().map(|row| region.get(&Get::new(row.key()).max_versions(3))).collect();
    for error in [raw.as_ref().err(), forward.as_ref().err(), reversed.as_ref().err()].into_iter().flatten() {
        assert_ne!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    if !sound {
        return Ok(());
    }
    raw?;
    let (forward, mut reversed) = (forward?, reversed?);
    if forward.len() < MAX_ROWS {
        reversed.reverse();
        assert_same(&forward, &reversed, "a reversed scan");
    }
    for (row, found) in some.iter().zip(gets) {
        assert_same(std::slice::from_ref(row), &[found?], "a get");
    }
    Ok(())
}

/// Compares cells without their sequence ids, which compactions may drop.
fn assert_same(left: &[Row], right: &[Row], what: &str) {
    let (mut left, mut right) = (left.iter().flat_map(Row::cells), right.iter().flat_map(Row::cells));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return,
            (Some(a), Some(b)) => {
                assert!(
                    a.key() == b.key() && a.value() == b.value(),
                    "{what}: {a} = {:?}, not {b} = {:?}",
                    Bytes::copy_from_slice(a.value()),
                    Bytes::copy_from_slice(b.value())
                );
            }
            (a, b) => {
                let show =
                    |cell: Option<CellRef<'_>>| cell.map_or_else(|| "the end".to_owned(), |c| c.to_string());
                panic!("{what}: {}, not {}", show(a), show(b));
            }
        }
    }
}
