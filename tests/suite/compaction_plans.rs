//! Compactions follow their plans: in the files taken and in the cells kept.

use crate::support::files::{copy_dir, files_below, replace_in_descriptor};
use crate::support::rng::Rng;
use hregion::region::{CellReason, CompactionPlan};
use hregion::{
    CellRef, Compaction, Delete, ErrorKind, Family, Get, HFile, KeepDeletedCells, ManualClock, Put, Region,
    RegionOptions, Table,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_000_000;

/// A cell without its sequence id, which a compaction may drop.
fn name(cell: CellRef<'_>) -> String {
    format!("{} {:?} {:?}", cell.key(), cell.value(), cell.tag_bytes())
}

/// Returns the plan of each family, and the cells that it would keep and drop.
fn plan(region: &Region, compaction: Compaction) -> (Vec<CompactionPlan>, BTreeMap<Vec<u8>, Cells>) {
    let mut cells: BTreeMap<Vec<u8>, Cells> = BTreeMap::new();
    let plans = region.plan_compaction(compaction, |explained| {
        let of_family = cells.entry(explained.cell.family().to_vec()).or_default();
        match explained.reason {
            CellReason::Returned => of_family.kept.push(name(explained.cell)),
            reason => of_family.dropped.push((name(explained.cell), reason)),
        }
        ControlFlow::Continue(())
    });
    (plans.unwrap(), cells)
}

#[derive(Debug, Default)]
struct Cells {
    kept: Vec<String>,
    dropped: Vec<(String, CellReason)>,
}

fn cells_of(file: &Path) -> Vec<String> {
    let file = HFile::options().open(file).unwrap();
    let mut scanner = file.scanner();
    let mut cells = Vec::new();
    let mut more = scanner.seek_to_first().unwrap();
    while more {
        cells.push(name(scanner.peek().unwrap()));
        more = scanner.advance().unwrap();
    }
    cells
}

/// Plans a compaction, runs it, and compares. Returns the number of files taken, and the reasons.
fn check(region: &Region, compaction: Compaction) -> (usize, BTreeSet<CellReason>) {
    let names = |family: &[u8]| -> BTreeSet<String> {
        region.store_file_names(family).unwrap().into_iter().collect()
    };
    let families: Vec<Vec<u8>> = region.families().map(|family| family.name().to_vec()).collect();
    let before: Vec<_> = families.iter().map(|family| names(family)).collect();
    let listed = files_below(region.path());
    let (plans, mut cells) = plan(region, compaction);
    assert_eq!(files_below(region.path()), listed, "nothing is written");
    region.compact(compaction).unwrap();
    let (mut taken, mut reasons) = (0, BTreeSet::new());
    for (plan, before) in plans.iter().zip(before) {
        let Cells { mut kept, dropped } = cells.remove(&plan.family).unwrap_or_default();
        let after = names(&plan.family);
        let of_plan = plan.files.len() + plan.expired_files.len();
        assert_eq!(before.intersection(&after).count(), before.len() - of_plan, "{plan:?}");
        let dir = region.path().join(String::from_utf8(plan.family.clone()).unwrap());
        let mut new: Vec<String> =
            after.difference(&before).flat_map(|file| cells_of(&dir.join(file))).collect();
        new.sort();
        kept.sort();
        assert_eq!(new, kept, "{plan:?}, dropped: {dropped:#?}");
        assert_eq!(plan.cells_after, kept.len() as u64);
        assert_eq!(plan.cells_before, (kept.len() + dropped.len()) as u64);
        assert_eq!(plan.dropped.values().sum::<u64>(), dropped.len() as u64);
        assert_eq!(plan.bytes_after == plan.bytes_before, dropped.is_empty(), "{plan:?}");
        taken += of_plan;
        reasons.extend(plan.dropped.keys());
    }
    (taken, reasons)
}

/// Families with all the rules by which compactions drop cells.
fn families() -> Vec<Family> {
    let ttl = Duration::from_secs(60);
    vec![
        Family::new("a").max_versions(2),
        Family::new("b").max_versions(3).min_versions(1).ttl(ttl),
        Family::new("c").max_versions(2).keep_deleted_cells(KeepDeletedCells::True),
        Family::new("d").max_versions(2).new_version_behavior(true),
        Family::new("e").max_versions(3).keep_deleted_cells(KeepDeletedCells::Ttl).ttl(ttl),
        Family::new("g").max_versions(2).ttl(ttl).new_version_behavior(true).min_versions(1),
    ]
}

/// Writes a random cell or marker of each family.
fn write(region: &Region, rng: &mut Rng, now: i64) {
    for family in families() {
        let family = family.name().to_vec();
        let row = format!("r{}", rng.below(4));
        let qualifier = ["", "p", "q"][rng.below(3)];
        let timestamp = now - 1_000 * i64::try_from(rng.below(100)).unwrap();
        match rng.below(9) {
            0 => region.delete(Delete::new(row).family_at(family, timestamp)),
            1 => region.delete(Delete::new(row).column_at(family, qualifier, timestamp)),
            2 => region.delete(Delete::new(row).version_at(family, qualifier, timestamp)),
            3 => region.delete(Delete::new(row).family_version(family, timestamp)),
            4 => {
                let put = Put::new(row).cell_at(family, qualifier, timestamp, "expires");
                region.put(put.ttl(Duration::from_secs(70)))
            }
            _ => region.put(Put::new(row).cell_at(family, qualifier, timestamp, format!("{timestamp}"))),
        }
        .unwrap();
    }
}

#[test]
fn random_regions_are_compacted_as_planned() {
    let (mut taken, mut reasons) = (0, BTreeSet::new());
    for seed in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let options = Region::options().writable(true).create_if_missing(true);
        let options = options.clock(Arc::clone(&clock) as _).durability(hregion::Durability::SkipWal);
        let region =
            families().into_iter().fold(options, RegionOptions::family).open(dir.path().join("r")).unwrap();
        let mut rng = Rng::new(seed);
        let mut now = NOW;
        for step in 0..4 {
            for _ in 0..3 {
                for _ in 0..20 {
                    write(&region, &mut rng, now);
                }
                region.flush().unwrap();
                now += 10_000;
                clock.set(now);
            }
            let compaction = if step % 2 == 0 { Compaction::Minor } else { Compaction::Major };
            // An open scan keeps cells that it may still return.
            let view = (step == 3).then(|| region.view());
            let (files, of_step) = check(&region, compaction);
            drop(view);
            taken += files;
            reasons.extend(of_step);
        }
        now += 1_000_000;
        clock.set(now);
        reasons.extend(check(&region, Compaction::Major).1);
    }
    assert!(taken > 500, "{taken}");
    let expected = [
        CellReason::NewerVersions,
        CellReason::DeleteMarker,
        CellReason::Ttl,
        CellReason::CellTtl,
        CellReason::Duplicate,
        CellReason::PurgedMarker,
    ];
    assert_eq!(reasons, BTreeSet::from(expected));
}

/// Files that have expired as a whole are dropped first.
#[test]
fn expired_files() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let options = Region::options().writable(true).create_if_missing(true).clock(Arc::clone(&clock) as _);
    let region =
        options.family(Family::new("f").ttl(Duration::from_secs(100))).open(dir.path().join("r")).unwrap();
    for timestamp in [NOW, NOW + 50_000, NOW + 90_000] {
        region.put(Put::new("r").cell_at("f", "q", timestamp, "v")).unwrap();
        region.flush().unwrap();
    }
    clock.set(NOW + 120_000);
    let (plans, _) = plan(&region, Compaction::Major);
    assert_eq!((plans[0].files.len(), plans[0].expired_files.len(), plans[0].all_files), (2, 1, true));
    assert_eq!(plans[0].dropped, BTreeMap::from([(CellReason::Ttl, 1), (CellReason::NewerVersions, 1)]));
    // The newest file is read although it has expired.
    clock.set(NOW + 1_000_000);
    assert_eq!(check(&region, Compaction::Major).0, 3);
    assert!(plan(&region, Compaction::Minor).0[0].files.is_empty());
}

/// Also if the region is open for reading only. Its rows can be read with any settings.
#[test]
fn plans_follow_the_settings_of_compactions() {
    let root = tempfile::tempdir().unwrap();
    let family = Family::new("f").configuration("hbase.hstore.compaction.min", "2");
    let options = Region::options().compaction_enabled(false);
    let table = Table::create_with(root.path(), "t", &[family], &[""; 0], options).unwrap();
    let region = table.region("r").unwrap();
    for value in ["older", "newer"] {
        region.put(Put::new("r").cell("f", "q", value)).unwrap();
        region.flush().unwrap();
    }
    let path = region.path().to_owned();
    drop(region);
    table.close().unwrap();
    let region = Region::open(&path).unwrap();
    assert_eq!(plan(&region, Compaction::Minor).0[0].files.len(), 2);
    let table = root.path().join("data/default/t");
    replace_in_descriptor(&table, b"compaction.min\x12\x012", b"compaction.min\x12\x01x");
    let region = Region::open(&path).unwrap();
    assert_eq!(region.get(&Get::new("r")).unwrap().len(), 1);
    let error = region.plan_compaction(Compaction::Minor, |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

/// Tables that HBase wrote, with references, links and bulk-loaded files.
#[test]
fn tables_of_hbase_are_compacted_as_planned() {
    let (mut taken, mut replaced) = (0, 0);
    for stage in ["bulk-loaded", "clone-references", "split-references", "tracked-split"] {
        for compaction in [Compaction::Minor, Compaction::Major] {
            let dir = tempfile::tempdir().unwrap();
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/region").join(stage).join("root");
            copy_dir(&from, dir.path());
            let regions = files_below(dir.path()).into_iter().filter(|path| path.ends_with(".regioninfo"));
            for info in regions.filter(|path| path.starts_with(dir.path().join("data"))) {
                let region = info.parent().unwrap();
                let read_only = Region::open(region).unwrap();
                let planned = plan(&read_only, compaction).0;
                drop(read_only);
                let region = match Region::options().writable(true).open(region) {
                    Err(error) if error.to_string().contains("was split or merged") => {
                        replaced += 1;
                        continue;
                    }
                    opened => opened.unwrap(),
                };
                assert_eq!(plan(&region, compaction).0, planned);
                taken += check(&region, compaction).0;
            }
        }
    }
    assert!(taken > 5, "{taken}");
    assert!((1..20).contains(&replaced), "{replaced}");
}
