//! MOB files are verified, listed and checked.

use super::{STAGES, copy_of, mob_files, stage};
use crate::support::files::contents;
use crate::support::golden;
use hregion::{
    CellRef, CellType, Error, ErrorKind, FindingKind, HFileWriter, Region, RegionInfo, SeekKey, Severity,
    Table,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Verifies the MOB files of a table. Returns their number, and the number of faults.
fn verified(table: &Table) -> (usize, usize) {
    let (mut files, mut faults) = (0, 0);
    let others = table.verify_mob_files(|_, report| {
        files += 1;
        faults += report.map_or(1, |report| report.faults.len());
    });
    (files, faults + others.unwrap().len())
}

#[test]
fn mob_files_are_verified() {
    let (_dir, root) = copy_of("flushed");
    let table = Table::open(&root, "mob").unwrap();
    assert_eq!(verified(&table), (8, 0));
    for path in mob_files(&root) {
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..300).step_by(7) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&path, flipped).unwrap();
            let (files, faults) = verified(&table);
            assert!(files == 8 && faults > 0, "{}: {at}", path.display());
        }
        std::fs::write(&path, bytes).unwrap();
    }
    let [first, .., last] = &mob_files(&root)[..] else { panic!("at least two") };
    std::fs::rename(first, last).unwrap();
    assert_eq!(verified(&table), (7, 1), "cells of another family");
}

/// The MOB files of a clone are links to files of the cloned table.
#[test]
fn links_to_mob_files_are_verified_as_what_they_lead_to() {
    let (_dir, root) = copy_of("cloned");
    let clone = Table::open(&root, "copy").unwrap();
    let snapshot = Table::open_snapshot(&root, "shot").unwrap();
    assert_eq!((verified(&clone), verified(&snapshot)), ((12, 0), (8, 0)));
    let region = "d03fd4b3e06fa777620047d45772c63d";
    let archived = root.join("archive/data/default/mob").join(region);
    // The other entries are in `.links-<file>`.
    let path = contents(&archived).into_keys().find(|path| path.extension().is_none()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((verified(&clone), verified(&snapshot)), ((11, 1), (7, 1)));
    let live = root.join("mobdir").join(path.strip_prefix(root.join("archive")).unwrap());
    std::fs::create_dir_all(live.parent().unwrap()).unwrap();
    std::fs::write(live, bytes).unwrap();
    assert_eq!((verified(&clone), verified(&snapshot)), ((12, 0), (8, 0)));
}

/// Verifies a region, or a family of it, with its MOB files. Returns their paths, and the faults.
fn verified_region(dir: &Path, family: Option<&[u8]>) -> (Vec<PathBuf>, Vec<Error>) {
    let (mut paths, mut faults) = (Vec::new(), Vec::new());
    let others = Region::options().verify_with_mob_files(dir, family, |path, report| {
        paths.push(path.to_owned());
        match report {
            Ok(report) => faults.extend(report.faults),
            Err(error) => faults.push(error),
        }
    });
    faults.extend(others.unwrap());
    (paths, faults)
}

/// Returns the faults of a region, without those within MOB files.
fn faults_of_region(dir: &Path) -> Vec<Error> {
    let mut faults = Vec::new();
    let others = Region::options().verify(dir, |_, report| faults.extend(report.unwrap().faults));
    faults.extend(others.unwrap());
    faults
}

#[test]
fn a_region_is_verified_with_the_mob_files_of_its_cells() {
    let (_dir, root) = copy_of("flushed");
    let table = Table::open(&root, "mob").unwrap();
    let regions: Vec<PathBuf> =
        table.regions().iter().map(|info| root.join("data/default/mob").join(info.encoded_name())).collect();
    for region in &regions {
        // Two store files of each of three families, and a MOB file for each of two families.
        let (paths, faults) = verified_region(region, None);
        assert_eq!((paths.len(), faults.len()), (10, 0), "{faults:?}");
        assert_eq!(paths.iter().filter(|path| path.starts_with(root.join("mobdir"))).count(), 4);
        assert_eq!(verified_region(region, Some(b"m")).0.len(), 4);
        assert_eq!(verified_region(region, Some(b"p")).0.len(), 2);
    }
    for path in mob_files(&root) {
        let bytes = std::fs::read(&path).unwrap();
        let of_region = |region: &&PathBuf| {
            path.to_str().unwrap().ends_with(region.file_name().unwrap().to_str().unwrap())
        };
        let region = regions.iter().find(of_region).unwrap();
        let other = regions.iter().find(|other| *other != region).unwrap();
        // Values that cannot be read are a fault, unless the fault of the file itself is found.
        let mut flipped = bytes.clone();
        flipped[50] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let unreadable = faults_of_region(region);
        assert!(unreadable.len() == 1 && unreadable[0].kind() == ErrorKind::Corrupt, "{unreadable:?}");
        assert_eq!(unreadable[0].path(), Some(&*path));
        let (_, faults) = verified_region(region, None);
        assert!(!faults.is_empty() && faults.iter().all(|fault| fault.path() == Some(&*path)), "{faults:?}");
        assert_eq!(verified_region(other, None).1.len(), 0);
        // One fault for all values in it.
        std::fs::remove_file(&path).unwrap();
        let missing = faults_of_region(region);
        assert!(missing.len() == 1 && missing[0].is_not_found(), "{missing:?}");
        assert_eq!(missing[0].path(), Some(&*path));
        assert_eq!(verified_region(region, None).1.len(), 1);
        assert_eq!(faults_of_region(other).len(), 0);
        // A sound file with other values.
        let files = mob_files(&root);
        let of_other = files.iter().find(|file| file.parent() == path.parent()).unwrap();
        std::fs::copy(of_other, &path).unwrap();
        let lacking = faults_of_region(region);
        assert!(lacking.len() == 1 && lacking[0].kind() == ErrorKind::Corrupt, "{lacking:?}");
        assert_eq!(lacking[0].path(), Some(&*path));
        std::fs::write(&path, bytes).unwrap();
    }
}

/// The values to which cells of the other store files refer are looked up.
#[test]
fn a_store_file_that_cannot_be_opened_hides_no_missing_value() {
    let (_dir, root) = copy_of("flushed");
    let table = Table::open(&root, "mob").unwrap();
    for info in table.regions() {
        let region = root.join("data/default/mob").join(info.encoded_name());
        let mut of_region = mob_files(&root);
        of_region.retain(|path| {
            let name = path.to_str().unwrap();
            name.ends_with(&info.encoded_name()) && path.parent().unwrap().ends_with("m")
        });
        assert_eq!(of_region.len(), 2);
        let values: Vec<Vec<u8>> = of_region.iter().map(|path| std::fs::read(path).unwrap()).collect();
        of_region.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        let missing = |faults: &[Error]| {
            let of_values = faults.iter().filter(|fault| fault.is_not_found());
            of_values.filter_map(|fault| Some(fault.path()?.to_owned())).collect::<BTreeSet<PathBuf>>()
        };
        let all = missing(&verified_region(&region, Some(b"m")).1);
        assert_eq!(all, of_region.iter().cloned().collect());
        let mut seen = BTreeSet::new();
        let files = std::fs::read_dir(region.join("m")).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.is_file()) {
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            let (_, faults) = verified_region(&region, Some(b"m"));
            assert!(faults.iter().any(|fault| fault.path() == Some(&*file)), "{faults:?}");
            let of_others = missing(&faults);
            assert_eq!(of_others.len(), 1, "{faults:?}");
            seen.extend(of_others);
            std::fs::write(&file, bytes).unwrap();
        }
        assert_eq!(seen, all);
        of_region.iter().zip(values).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
}

/// The MOB files of a clone and of a snapshot are in the archive.
#[test]
fn regions_of_clones_and_snapshots_are_verified_with_their_values() {
    let (_dir, root) = copy_of("cloned");
    let clone = root.join("data/default/copy");
    let snapshot = Table::open_snapshot(&root, "shot").unwrap();
    let of_snapshot = || {
        let faults = snapshot.regions().into_iter().map(|region| {
            snapshot.verify_region(&region, |_, report| assert!(report.unwrap().faults.is_empty())).unwrap()
        });
        faults.map(|faults| faults.len()).sum::<usize>()
    };
    let of_clone = || {
        let regions = Table::open(&root, "copy").unwrap().regions();
        let faults = |info: &RegionInfo| verified_region(&clone.join(info.encoded_name()), None).1.len();
        regions.iter().map(faults).sum::<usize>()
    };
    let archived = root.join("archive/data/default/mob/d03fd4b3e06fa777620047d45772c63d");
    let path = contents(&archived).into_keys().find(|path| path.extension().is_none()).unwrap();
    assert_eq!((of_clone(), of_snapshot()), (0, 0));
    std::fs::remove_file(&path).unwrap();
    assert_eq!((of_clone(), of_snapshot()), (1, 1));
}

#[test]
fn the_mob_files_of_a_table_are_listed() {
    for (name, table, count) in [("flushed", "mob", 8), ("cloned", "copy", 12)] {
        let root = stage(name).join("root");
        let files = Table::open(&root, table).unwrap().mob_files().unwrap();
        assert_eq!(files.len(), count);
        assert!(files.iter().all(|file| file.path.is_file() && ["m", "n"].contains(&&*file.family)));
    }
    let snapshot = Table::open_snapshot(stage("cloned").join("root"), "shot").unwrap();
    assert_eq!(snapshot.mob_files().unwrap().len(), 8);
    let plain = Table::open(golden::root("testdata/region/split-references/root"), "halves").unwrap();
    assert!(plain.mob_files().unwrap().is_empty());
}

/// Returns the findings of a check of a root directory.
fn findings(root: &Path) -> Vec<(FindingKind, Severity, PathBuf)> {
    let report = Table::check_root(root, Region::options()).unwrap();
    report.findings.into_iter().map(|finding| (finding.kind, finding.severity, finding.path)).collect()
}

#[test]
fn a_check_finds_mob_files_that_are_missing_or_unused() {
    for name in STAGES {
        let found = findings(&stage(name).join("root"));
        assert!(found.is_empty(), "{name}: {found:?}");
    }
    let (dir, root) = copy_of("flushed");
    for path in mob_files(&root) {
        let aside = dir.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        assert_eq!(findings(&root), [(FindingKind::MissingMobFile, Severity::Error, path.clone())]);
        let archived = root.join("archive").join(path.strip_prefix(root.join("mobdir")).unwrap());
        std::fs::create_dir_all(archived.parent().unwrap()).unwrap();
        std::fs::rename(&aside, &archived).unwrap();
        assert!(findings(&root).is_empty());
        std::fs::rename(&archived, &path).unwrap();
    }
    let used = mob_files(&root).swap_remove(0);
    let bytes = std::fs::read(&used).unwrap();
    std::fs::write(&used, b"").unwrap();
    assert_eq!(findings(&root), [(FindingKind::EmptyFile, Severity::Error, used.clone())]);
    std::fs::write(&used, bytes).unwrap();
    let name = used.file_name().unwrap().to_str().unwrap();
    let unused = used.with_file_name(format!("{}{}", "0".repeat(32), &name[32..]));
    std::fs::copy(&used, &unused).unwrap();
    let table = root.join("data/default/mob");
    let expected = [(FindingKind::UnusedMobFile, Severity::Info, unused)];
    assert_eq!(findings(&root), expected);
    let of_table = Table::check_dir(&table, Region::options()).unwrap();
    assert_eq!(of_table.findings[0].path, expected[0].2);
    let stray = used.with_file_name("stray");
    std::fs::write(&stray, b"x").unwrap();
    assert_eq!(findings(&root)[0], (FindingKind::UnknownFile, Severity::Warning, stray.clone()));
    std::fs::remove_file(&stray).unwrap();
    // A store file that does not list the MOB files it needs may need any.
    let region = Table::open(&root, "mob").unwrap().regions()[0].encoded_name();
    let path = table.join(&region).join("m").join("0a".repeat(16));
    let mut writer = HFileWriter::options().tags(true).create(&path).unwrap();
    let key = SeekKey::of(b"row-001", b"m", b"q9", 9, CellType::Put);
    writer.append(CellRef::new(&key, b"v").with_tag_bytes(&[0, 2, 9, 1]).unwrap()).unwrap();
    writer.finish().unwrap();
    assert_eq!(findings(&root), [(FindingKind::Unsupported, Severity::Warning, table)]);
    // So may one whose bytes are lost.
    std::fs::write(&path, b"").unwrap();
    assert_eq!(findings(&root), [(FindingKind::EmptyFile, Severity::Error, path.clone())]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(findings(&root), expected);
}

/// The target of the link is missing, and so are the values of the cells.
#[test]
fn a_check_finds_links_of_clones_to_mob_files_that_are_gone() {
    let (_dir, root) = copy_of("cloned");
    let archived = root.join("archive/data/default/mob/d03fd4b3e06fa777620047d45772c63d");
    let path = contents(&archived).into_keys().find(|path| path.extension().is_none()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let missing = root.join("mobdir").join(path.strip_prefix(root.join("archive")).unwrap());
    let name = path.file_name().unwrap().to_str().unwrap();
    let found = findings(&root);
    let [(kind, severity, link), lost] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*kind, *severity), (FindingKind::DanglingLink, Severity::Warning));
    assert!(
        link.starts_with(root.join("mobdir/data/default/copy")) && link.to_str().unwrap().ends_with(name)
    );
    assert_eq!(*lost, (FindingKind::MissingMobFile, Severity::Error, missing));
}
