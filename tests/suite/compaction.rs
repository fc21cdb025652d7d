//! The selection of files for compactions, according to the families' settings.

use hregion::io::faulty::{Crash, FaultyStorage};
#[cfg(feature = "gz")]
use hregion::{Codec, HFile};
use hregion::{
    Compaction, Delete, Family, Get, KeepDeletedCells, ManualClock, Put, Region, Result, Scan, Table,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const HOUR: i64 = 3_600_000;
/// The start of a 6-hour window and of a 24-hour window.
const NOW: i64 = 20_000 * 24 * HOUR;
const DATE_TIERED: &str = "org.apache.hadoop.hbase.regionserver.DateTieredStoreEngine";

struct Bed {
    storage: FaultyStorage,
    clock: Arc<ManualClock>,
    region: Region,
}

fn open(storage: &FaultyStorage, clock: &Arc<ManualClock>, family: Option<&Family>) -> Result<Region> {
    let mut options =
        Region::options().storage(Arc::new(storage.clone())).clock(clock.clone()).create_if_missing(true);
    if let Some(family) = family {
        options = options.family(family.clone());
    }
    options.open("/regions/r")
}

impl Bed {
    fn new(family: &Family) -> Self {
        let (storage, clock) = (FaultyStorage::new(), Arc::new(ManualClock::new(NOW)));
        let region = open(&storage, &clock, Some(family)).unwrap();
        Self { storage, clock, region }
    }

    /// Flushes a file with one cell for each age in hours.
    fn file(&self, ages: &[i64]) {
        for age in ages {
            let row = format!("row-{age}");
            let put = Put::new(row).cell_at("f", "q", NOW - age * HOUR, age.to_string());
            self.region.put(put).unwrap();
        }
        self.region.flush().unwrap();
    }

    fn count(&self) -> usize {
        self.region.store_file_count("f").unwrap()
    }

    fn cells(&self) -> Vec<String> {
        cells(&self.region)
    }
}

fn cells(region: &Region) -> Vec<String> {
    let view = region.view();
    let scan = Scan::new().max_versions(u32::MAX);
    let rows: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
    rows.iter().flat_map(|row| row.cells().map(|c| format!("{} {:?}", c.key(), c.value()))).collect()
}

fn tiered() -> Family {
    Family::new("f").max_versions(3).configuration("hbase.hstore.engine.class", DATE_TIERED)
}

#[test]
fn a_major_compaction_cuts_at_windows_of_time() {
    let bed = Bed::new(&tiered());
    bed.file(&[0, 10, 30]);
    bed.file(&[1, 11, 200]);
    bed.region.delete(Delete::new("row-10").column_at("f", "q", NOW)).unwrap();
    let before = bed.cells();
    bed.region.compact(Compaction::Minor).unwrap();
    assert_eq!(bed.count(), 2);
    bed.region.flush().unwrap();
    bed.region.compact(Compaction::Major).unwrap();
    // one file each: from now on; the last 24 hours; the day before; older, in windows of four and of 16 days
    assert_eq!((bed.count(), bed.cells()), (4, before.clone()));
    let names = bed.region.store_file_names("f").unwrap();
    // the settings are in the descriptor
    let Bed { storage, clock, region } = bed;
    drop(region);
    let region = open(&storage, &clock, None).unwrap();
    assert_eq!((region.store_file_names("f").unwrap(), cells(&region)), (names, before.clone()));
    region.compact(Compaction::Major).unwrap();
    assert_eq!((region.store_file_count("f"), cells(&region)), (Some(4), before));
}

#[test]
fn a_minor_compaction_takes_a_window() {
    let bed = Bed::new(&tiered());
    bed.file(&[100]);
    for age in [20, 15, 10] {
        bed.file(&[age]);
    }
    bed.file(&[0]);
    let before = bed.cells();
    bed.region.compact(Compaction::Minor).unwrap();
    assert_eq!((bed.count(), bed.cells()), (3, before));
    // after enough time they are in one window
    bed.clock.set(NOW + 400 * 24 * HOUR);
    bed.region.compact(Compaction::Minor).unwrap();
    assert_eq!(bed.count(), 1);
}

#[test]
fn outputs_without_cells_leave_no_file_but_one_for_the_sequence_id() {
    let bed = Bed::new(&tiered());
    bed.file(&[0, 10, 30]);
    for age in [0, 10, 30] {
        bed.region.delete(Delete::new(format!("row-{age}"))).unwrap();
    }
    bed.region.flush().unwrap();
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!((bed.count(), bed.cells()), (1, Vec::new()));
}

#[test]
fn failures_of_a_tiered_compaction_lose_nothing() {
    let begin = || {
        let bed = Bed::new(&tiered());
        bed.file(&[0, 10, 30]);
        bed.file(&[1, 11, 200]);
        bed
    };
    let bed = begin();
    let (expected, before) = (bed.cells(), bed.storage.calls());
    bed.region.compact(Compaction::Major).unwrap();
    let calls = bed.storage.calls() - before;
    assert!(calls > 20, "{calls}");
    for n in 0..calls {
        let Bed { storage, clock, region } = begin();
        storage.fail_after(n);
        // Power is lost at each call, including those that undo the work before the failure.
        storage.fork_at_random(1, n);
        let done = region.compact(Compaction::Major).is_ok();
        for (at, fork) in storage.take_forks().iter().enumerate() {
            for crash in [Crash::Hard, Crash::Chance(n)] {
                let region = open(&fork.after(crash), &clock, None).unwrap();
                assert_eq!(cells(&region), expected, "{crash:?} at {at}, call {n} failed");
            }
        }
        assert_eq!(cells(&region), expected, "call {n} failed, {done}");
        drop(region);
        assert_eq!(cells(&open(&storage, &clock, None).unwrap()), expected, "opened after call {n} failed");

        let Bed { storage, clock, region } = begin();
        storage.die_after(n);
        let _ = region.compact(Compaction::Major);
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
            let region = open(&storage.after(crash), &clock, None).unwrap();
            assert_eq!(cells(&region), expected, "{crash:?} at call {n}");
            region.compact(Compaction::Major).unwrap();
            assert_eq!(cells(&region), expected, "{crash:?} at call {n}, compacted again");
        }
    }
}

#[test]
fn a_fifo_store_only_drops_expired_files() {
    const POLICY: &str = "hbase.hstore.defaultengine.compactionpolicy.class";
    let family =
        Family::new("f").ttl(Duration::from_secs(24 * 3600)).configuration(POLICY, "FIFOCompactionPolicy");
    let bed = Bed::new(&family);
    for age in [20, 15, 10, 5, 0] {
        bed.file(&[age]);
    }
    for compaction in [Compaction::Minor, Compaction::Major] {
        bed.region.compact(compaction).unwrap();
        assert_eq!(bed.count(), 5);
    }
    let names = bed.region.store_file_names("f").unwrap();
    bed.clock.set(NOW + 10 * HOUR);
    let before = bed.cells();
    bed.region.compact(Compaction::Minor).unwrap();
    assert_eq!((bed.region.store_file_names("f").unwrap(), bed.cells()), (names[2..].to_vec(), before));
    // the newest file keeps the sequence id
    bed.clock.set(NOW + 1000 * HOUR);
    bed.region.compact(Compaction::Minor).unwrap();
    assert_eq!(bed.region.store_file_names("f").unwrap(), names[4..]);

    let clock = Arc::new(ManualClock::new(NOW));
    for wrong in [family.clone().max_versions(2).min_versions(1), Family::new("f")] {
        let wrong = wrong.configuration(POLICY, "FIFOCompactionPolicy");
        let error = open(&FaultyStorage::new(), &clock, Some(&wrong)).unwrap_err();
        assert!(error.to_string().contains("FIFO"), "{error}");
    }
    let unknown = Family::new("f").configuration(POLICY, "com.example.Policy");
    let error = open(&FaultyStorage::new(), &clock, Some(&unknown)).unwrap_err();
    assert!(error.to_string().contains("com.example.Policy"), "{error}");
}

/// With NEW_VERSION_BEHAVIOR a minor compaction keeps all cells, except those of an expired file.
#[test]
fn a_compaction_does_not_read_an_expired_file() {
    let bed = Bed::new(&Family::new("f").ttl(Duration::from_secs(2 * 3600)).new_version_behavior(true));
    bed.file(&[0]);
    bed.file(&[1, 0]);
    bed.file(&[2]);
    bed.clock.set(NOW + HOUR + 1);
    let raw = || {
        let (view, scan) = (bed.region.view(), Scan::new().raw(true).max_versions(u32::MAX));
        let rows: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
        rows.iter().map(|row| (row.key().to_vec(), row.len())).collect::<Vec<_>>()
    };
    let (expired, fresh) = ((b"row-1".to_vec(), 1), (b"row-0".to_vec(), 1));
    // all cells of the newest file have expired, and one cell of the second
    bed.region.compact_files("f", 2, 1).unwrap();
    bed.region.compact_files("f", 1, 1).unwrap();
    assert_eq!((raw(), bed.count()), (vec![fresh.clone(), expired], 3));
    bed.region.compact_files("f", 0, 3).unwrap();
    assert_eq!((raw(), bed.count()), (vec![fresh], 1));
}

/// MIN_VERSIONS keeps cells that have expired, so a compaction of their file for that reason would drop none
/// (HBase: `HStore.getStoreFileTtl`).
#[test]
fn a_single_file_with_expired_cells_is_rewritten_unless_they_are_kept() {
    for (min_versions, taken) in [(0, 1), (1, 0)] {
        let bed = Bed::new(&Family::new("f").ttl(Duration::from_secs(3600)).min_versions(min_versions));
        bed.file(&[0]);
        bed.region.compact(Compaction::Major).unwrap();
        // later than any jitter of the period of major compactions
        bed.clock.set(NOW + 20 * 24 * HOUR);
        let plans = bed.region.plan_compaction(Compaction::Minor, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((plans[0].files.len(), plans[0].expired_files.len()), (taken, 0), "{min_versions}");
    }
}

#[test]
fn young_markers_outlive_a_major_compaction() {
    let family = Family::new("f").configuration("hbase.hstore.time.to.purge.deletes", HOUR.to_string());
    let bed = Bed::new(&family);
    bed.file(&[5]);
    bed.region.delete(Delete::new("row-5").column_at("f", "q", NOW)).unwrap();
    bed.region.flush().unwrap();
    let raw = || {
        let (view, scan) = (bed.region.view(), Scan::new().raw(true).max_versions(u32::MAX));
        view.scan(&scan).unwrap().map(|row| row.unwrap().len()).sum::<usize>()
    };
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!((raw(), bed.cells().len()), (1, 0), "the marker alone");
    bed.clock.set(NOW + HOUR);
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!(raw(), 1);
    bed.clock.set(NOW + HOUR + 1);
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!(raw(), 0);
}

#[test]
fn files_are_compacted_by_name() {
    let bed = Bed::new(&Family::new("f").max_versions(9));
    for age in [4, 3, 2, 1] {
        bed.file(&[age, 7]);
    }
    let (names, before) = (bed.region.store_file_names("f").unwrap(), bed.cells());
    let error = bed.region.compact_named_files("f", &[&names[3], &names[0], &names[1]]).unwrap_err();
    assert!(error.to_string().contains(&names[2]), "{error}");
    assert_eq!(bed.region.store_file_names("f").unwrap(), names);
    bed.region.compact_named_files("f", &[&names[2], &names[1]]).unwrap();
    let after = bed.region.store_file_names("f").unwrap();
    assert_eq!((after.len(), &after[0], &after[2]), (3, &names[0], &names[3]));
    assert_eq!(bed.cells(), before);
    let error = bed.region.compact_named_files("f", &[&names[0], &names[1]]).unwrap_err();
    assert!(error.to_string().contains(&names[1]), "{error}");
    assert_eq!(bed.region.store_file_names("f").unwrap(), after);
    bed.region.compact_named_files("f", &[] as &[&str]).unwrap();
    assert!(bed.region.compact_named_files("nobody's", &after).is_err());
    assert_eq!(bed.region.store_file_names("nobody's"), None);
}

#[test]
fn a_store_of_stripes_is_read_and_compacted_as_others_are() {
    let engine = "org.apache.hadoop.hbase.regionserver.StripeStoreEngine";
    let bed = Bed::new(&Family::new("f").configuration("hbase.hstore.engine.class", engine));
    // the layout of stripes: files with disjoint rows, and newer files of level 0
    for ages in [[1, 2], [5, 6], [2, 5]] {
        bed.file(&ages);
    }
    let before = bed.cells();
    assert_eq!(before.len(), 4);
    bed.region.compact(Compaction::Minor).unwrap();
    assert_eq!((bed.count(), bed.cells()), (1, before));
}

#[cfg(feature = "gz")]
#[test]
fn compactions_may_have_a_codec_of_their_own() {
    let bed = Bed::new(&Family::new("f").configuration("COMPRESSION_COMPACT_MAJOR", "GZ"));
    let codecs = || {
        let options = HFile::options().storage(Arc::new(bed.storage.clone()));
        let paths = bed.region.hfile_paths("f").unwrap();
        paths.iter().map(|path| options.open(path).unwrap().codec()).collect::<Vec<_>>()
    };
    bed.file(&[1]);
    bed.file(&[2]);
    assert_eq!(codecs(), [Codec::None; 2]);
    bed.region.compact_files("f", 0, 1).unwrap();
    assert_eq!(codecs(), [Codec::None; 2]);
    // all files, but no major compaction (HBase: `CompactionRequestImpl.isMajor`)
    bed.region.compact_files("f", 0, 2).unwrap();
    assert_eq!(codecs(), [Codec::None]);
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!(codecs(), [Codec::Gz]);
    let unknown = Family::new("f").configuration("COMPRESSION_COMPACT", "ARC");
    let error = Region::options().create_if_missing(true).family(unknown).open("/nowhere/r").unwrap_err();
    assert!(error.to_string().contains("COMPRESSION_COMPACT"), "{error}");
}

/// The number of cells of a half is not known: a half of a file with one cell must not be considered empty.
#[test]
fn a_fifo_store_keeps_halves_of_small_files() {
    const POLICY: &str = "hbase.hstore.defaultengine.compactionpolicy.class";
    let family =
        Family::new("f").ttl(Duration::from_secs(24 * 3600)).configuration(POLICY, "FIFOCompactionPolicy");
    let clock = Arc::new(ManualClock::new(NOW));
    let options = Region::options().storage(Arc::new(FaultyStorage::new())).clock(clock);
    let none: [&str; 0] = [];
    let table = Table::create_with("/hbase", "t", &[family], &none, options.writable(true)).unwrap();
    for row in ["m", "n", "o"] {
        table.put(Put::new(row).cell("f", "q", "v")).unwrap();
        table.flush().unwrap();
    }
    let rows = || table.scan(Scan::new()).unwrap().map(|row| row.unwrap().key().to_vec()).collect::<Vec<_>>();
    let expected = rows();
    assert_eq!(expected.len(), 3);
    table.split("k").unwrap();
    for compaction in [Compaction::Minor, Compaction::Major] {
        table.compact(compaction).unwrap();
        assert_eq!(rows(), expected, "{compaction:?}");
    }
}

/// With NEW_VERSION_BEHAVIOR, values hidden by a marker that a view does not see do not count as versions, so
/// later values must be kept (read-path.md §23.33).
#[test]
fn what_was_written_after_a_view_is_kept_by_a_compaction() {
    let bed = Bed::new(&Family::new("f").max_versions(2).new_version_behavior(true));
    let put = |timestamp: i64| {
        bed.region.put(Put::new("r").cell_at("f", "q", timestamp, timestamp.to_string())).unwrap();
    };
    [7, 8].into_iter().for_each(put);
    let view = bed.region.view();
    bed.region.delete(Delete::new("r").column_at("f", "q", 8)).unwrap();
    [5, 6].into_iter().for_each(put);
    bed.region.delete(Delete::new("r").version_at("f", "q", 6)).unwrap();
    put(4);
    let (before, seen) = (bed.cells(), view.get(&Get::new("r").max_versions(2)).unwrap());
    assert_eq!((before.len(), seen.len()), (2, 2));
    bed.region.flush().unwrap();
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!(bed.cells(), before);
    assert_eq!(view.get(&Get::new("r").max_versions(2)).unwrap(), seen);
    drop(view);
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!(bed.cells(), before);
}

/// The sequence ids of old files are dropped only if all files are compacted (HBase:
/// `Compactor.getFileDetails`).
#[test]
fn a_compaction_of_old_files_keeps_the_sequence_ids_that_are_needed() {
    // Of values with one timestamp, the last one is returned. The first is not compacted with the others.
    let bed = Bed::new(&Family::new("f"));
    for value in ["first", "second", "third"] {
        bed.region.put(Put::new("r").cell_at("f", "q", NOW, value)).unwrap();
        bed.region.flush().unwrap();
    }
    bed.clock.set(NOW + 30 * 24 * HOUR);
    bed.region.compact_files("f", 1, 2).unwrap();
    assert_eq!(bed.region.get(&Get::new("r")).unwrap().value("f", "q"), Some(&b"third"[..]));
    // With NEW_VERSION_BEHAVIOR, a kept marker hides earlier writes.
    let family = Family::new("f").keep_deleted_cells(KeepDeletedCells::True).new_version_behavior(true);
    let bed = Bed::new(&family);
    bed.region.delete(Delete::new("r").column_at("f", "q", NOW)).unwrap();
    bed.region.put(Put::new("r").cell_at("f", "q", NOW - 1, "later")).unwrap();
    bed.region.flush().unwrap();
    let before = bed.cells();
    assert_eq!(before.len(), 1);
    bed.clock.set(NOW + 30 * 24 * HOUR);
    bed.region.compact(Compaction::Major).unwrap();
    assert_eq!(bed.cells(), before);
}
