//! Values and delete markers with visibility labels (read-path.md §9.13): a marker hides the values that have
//! the same labels, wherever the cells are, and compactions and flushes drop only hidden values.

use crate::support::no_sync::NoSync;
use crate::support::written::job_origin;
use hregion::region::CellReason;
use hregion::{
    Append, CellRef, CellType, Compaction, Delete, Family, Get, HFileWriter, KeepDeletedCells, Put, Region,
    Row, Scan, SeekKey, StoreFileWriter,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// No tags; a format and the ordinal of a label; another ordinal; a time to live, which is not a label.
const TAGS: [&[u8]; 4] =
    [&[], &[0, 2, 4, 1, 0, 2, 2, 1], &[0, 2, 4, 1, 0, 2, 2, 2], &[0, 9, 8, 0, 0x7f, 0, 0, 0, 0, 0, 0]];

const KINDS: [CellType; 5] = [
    CellType::Put,
    CellType::Delete,
    CellType::DeleteColumn,
    CellType::DeleteFamilyVersion,
    CellType::DeleteFamily,
];

#[derive(Clone, Copy, Debug)]
struct Write {
    row: &'static str,
    qualifier: &'static str,
    timestamp: i64,
    kind: CellType,
    tags: &'static [u8],
}

/// The order of cells in a file.
type Place = (&'static str, &'static str, i64, i16);

impl Write {
    fn place(&self) -> Place {
        (self.row, self.qualifier, -self.timestamp, -i16::from(self.kind.code()))
    }

    fn has_label(&self) -> bool {
        self.tags.get(2) == Some(&4)
    }

    fn hides(&self, put: &Self) -> bool {
        let is_covered = match self.kind {
            CellType::Put => false,
            CellType::DeleteFamily | CellType::DeleteColumn => put.timestamp <= self.timestamp,
            _ => put.timestamp == self.timestamp,
        };
        let same_labels = if self.has_label() { self.tags == put.tags } else { !put.has_label() };
        let in_column = self.kind.is_family_delete() || self.qualifier == put.qualifier;
        self.row == put.row && in_column && is_covered && same_labels
    }
}

fn write() -> impl Strategy<Value = Write> {
    let (row, qualifier) = (prop_oneof![Just("a"), Just("b")], prop_oneof![Just(""), Just("p"), Just("q")]);
    let kind = prop_oneof![3 => Just(0usize), 2 => 1..KINDS.len()];
    (row, qualifier, 1i64..9, kind, 0..TAGS.len()).prop_map(|(row, qualifier, timestamp, kind, tags)| {
        let kind = KINDS[kind];
        let qualifier = if kind.is_family_delete() { "" } else { qualifier };
        Write { row, qualifier, timestamp, kind, tags: TAGS[tags] }
    })
}

/// Files of cells. Each version of a column is written only once, because only one of two would be kept.
fn files() -> impl Strategy<Value = Vec<BTreeMap<Place, Write>>> {
    vec(vec(write(), 1..16), 1..5).prop_map(|files| {
        let mut versions = BTreeSet::new();
        let mut is_new = |write: &Write| write.kind != CellType::Put || versions.insert(write.place());
        let of_file = |writes: Vec<Write>| -> BTreeMap<Place, Write> {
            writes.into_iter().filter(&mut is_new).map(|write| (write.place(), write)).collect()
        };
        files.into_iter().map(of_file).filter(|file| !file.is_empty()).collect()
    })
}

fn region(dir: &Path, keep: KeepDeletedCells) -> Region {
    let family = Family::new("f").max_versions(100).keep_deleted_cells(keep).block_size(64);
    let options = Region::options().create_if_missing(true).storage(Arc::new(NoSync::default()));
    options.family(family).open(dir.join("region")).unwrap()
}

fn load<'w>(region: &Region, path: &Path, cells: impl IntoIterator<Item = &'w Write>) {
    let mut writer = StoreFileWriter::create(HFileWriter::options().block_size(64).tags(true), path).unwrap();
    for cell in cells {
        let (row, qualifier) = (cell.row.as_bytes(), cell.qualifier.as_bytes());
        let key = SeekKey::of(row, b"f", qualifier, cell.timestamp, cell.kind);
        writer.append(CellRef::new(&key, b"v").with_tag_bytes(cell.tags).unwrap()).unwrap();
    }
    writer.finish(&job_origin(5000)).unwrap();
    region.bulk_load(&[("f", path)]).unwrap();
}

fn text(cell: CellRef<'_>) -> String {
    format!("{} {:?}", cell.key(), cell.tag_bytes())
}

fn found(region: &Region, scan: &Scan) -> Vec<String> {
    let rows = region.view().scan(scan).unwrap().collect::<hregion::Result<Vec<Row>>>().unwrap();
    rows.iter().flat_map(Row::cells).map(text).collect()
}

/// Compares all reads with the values that no marker hides.
fn check(region: &Region, visible: &[&Write], layout: &str) -> Result<(), TestCaseError> {
    let name = |cell: &&Write| {
        let (row, qualifier) = (cell.row.as_bytes(), cell.qualifier.as_bytes());
        let key = SeekKey::of(row, b"f", qualifier, cell.timestamp, cell.kind);
        text(CellRef::new(&key, b"v").with_tag_bytes(cell.tags).unwrap())
    };
    let all = Scan::new().max_versions(u32::MAX);
    prop_assert_eq!(found(region, &all), visible.iter().map(name).collect::<Vec<_>>(), "{}", layout);
    for row in ["a", "b"] {
        let of_row: Vec<_> = visible.iter().filter(|cell| cell.row == row).map(name).collect();
        let get = Get::new(row).max_versions(u32::MAX);
        let cells: Vec<_> = region.get(&get).unwrap().cells().map(text).collect();
        prop_assert_eq!(&cells, &of_row, "{}", layout);
        let back = Scan::new().rows(row..=row).max_versions(u32::MAX).reversed(true);
        prop_assert_eq!(&found(region, &back), &of_row, "{}", layout);
        let of_column: Vec<_> =
            visible.iter().filter(|cell| (cell.row, cell.qualifier) == (row, "q")).map(name).collect();
        let cells = region.get(&Get::new(row).column("f", "q").max_versions(u32::MAX)).unwrap();
        prop_assert_eq!(&cells.cells().map(text).collect::<Vec<_>>(), &of_column, "{}", layout);
    }
    let mut hidden_by_others = Vec::new();
    region
        .explain(&all, |explained| {
            if explained.reason == CellReason::DeleteMarker {
                let (cell, by) = (write_of(explained.cell), explained.by.map(write_of));
                let is_by_it = by.is_some_and(|by| by.hides(&cell));
                hidden_by_others.extend((!is_by_it).then(|| text(explained.cell)));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    prop_assert_eq!(hidden_by_others, Vec::<String>::new(), "{}", layout);
    Ok(())
}

fn write_of(cell: CellRef<'_>) -> Write {
    let one_of = |all: &[&'static str], bytes: &[u8]| -> &'static str {
        all.iter().copied().find(|one| one.as_bytes() == bytes).unwrap()
    };
    Write {
        row: one_of(&["a", "b"], cell.row()),
        qualifier: one_of(&["", "p", "q"], cell.qualifier()),
        timestamp: cell.timestamp(),
        kind: cell.cell_type(),
        tags: TAGS.into_iter().find(|tags| *tags == cell.tag_bytes()).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_marker_hides_what_has_its_labels_in_every_layout(files in files(), kept: bool) {
        let dir = tempfile::tempdir().unwrap();
        let keep = if kept { KeepDeletedCells::True } else { KeepDeletedCells::False };
        let region = region(dir.path(), keep);
        for (number, file) in files.iter().enumerate() {
            load(&region, &dir.path().join(format!("{number}.hfile")), file.values());
        }
        let cells: Vec<&Write> = files.iter().flat_map(BTreeMap::values).collect();
        let is_visible = |put: &&&Write| {
            put.kind == CellType::Put && !cells.iter().any(|marker| marker.hides(put))
        };
        let mut visible: Vec<&Write> = cells.iter().filter(is_visible).copied().collect();
        visible.sort_by_key(|cell| cell.place());
        check(&region, &visible, "files")?;
        region.compact_files("f", 0, 2).unwrap();
        check(&region, &visible, "after a compaction of two files")?;
        region.compact(Compaction::Major).unwrap();
        check(&region, &visible, "after a major compaction")?;
        if !kept {
            let raw = found(&region, &Scan::new().raw(true).max_versions(u32::MAX));
            prop_assert_eq!(raw.len(), visible.len(), "markers and what they hide are gone: {:?}", raw);
        }
    }
}

/// An append keeps the labels of the value, so there is a value with labels in memory.
#[test]
fn a_flush_keeps_values_with_labels_that_a_marker_without_covers() {
    let dir = tempfile::tempdir().unwrap();
    let region = region(dir.path(), KeepDeletedCells::False);
    let value = Write { row: "a", qualifier: "q", timestamp: 9, kind: CellType::Put, tags: TAGS[1] };
    load(&region, &dir.path().join("file"), &[value]);
    region.append(Append::new("a").column("f", "q", "w")).unwrap();
    // A hidden value precedes it.
    let later = 1 << 43;
    region.put(Put::new("a").cell_at("f", "q", later, "hidden")).unwrap();
    region.delete(Delete::new("a").family_at("f", later)).unwrap();
    let check = |layout: &str| {
        let row = region.get(&Get::new("a").max_versions(u32::MAX)).unwrap();
        let left: Vec<_> = row.cells().map(|cell| (cell.value(), cell.tag_bytes())).collect();
        assert_eq!(left, [(&b"vw"[..], TAGS[1]), (b"v", TAGS[1])], "{layout}");
    };
    check("memory");
    region.flush().unwrap();
    check("flushed");
    region.compact(Compaction::Major).unwrap();
    check("compacted");
}

/// The marker of such a delete has no labels, and does not apply to a labelled version.
#[test]
fn a_delete_of_the_newest_version_is_of_one_without_labels() {
    let dir = tempfile::tempdir().unwrap();
    let region = region(dir.path(), KeepDeletedCells::False);
    let put = |timestamp, tags| Write { row: "a", qualifier: "q", timestamp, kind: CellType::Put, tags };
    let cells = [put(9, TAGS[1]), put(8, TAGS[3]), put(7, TAGS[2]), put(6, TAGS[0])];
    load(&region, &dir.path().join("file"), &cells);
    let left = || -> Vec<i64> {
        let row = region.get(&Get::new("a").max_versions(u32::MAX)).unwrap();
        row.cells().map(|cell| cell.timestamp()).collect()
    };
    region.delete(Delete::new("a").version("f", "q")).unwrap();
    assert_eq!(left(), [9, 7, 6]);
    region.delete(Delete::new("a").version("f", "q")).unwrap();
    assert_eq!(left(), [9, 7]);
    // No unlabelled version remains.
    region.delete(Delete::new("a").version("f", "q")).unwrap();
    assert_eq!(left(), [9, 7]);
    region.delete(Delete::new("a")).unwrap();
    region.flush().unwrap();
    region.compact(Compaction::Major).unwrap();
    assert_eq!(left(), [9, 7]);
}
