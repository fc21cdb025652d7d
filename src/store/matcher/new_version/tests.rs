//! Compares the results with those of an ordered list of eras, as in HBase.

mod eager;

use super::*;
use eager::Eager;
use proptest::prelude::*;
use std::cmp::Reverse;

/// No tags; a format, and the ordinal of a label.
const TAGS: [&[u8]; 3] = [&[], &[0, 2, 4, 1, 0, 2, 2, 1], &[0, 2, 4, 1, 0, 2, 2, 2]];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    qualifier: &'static str,
    timestamp: Reverse<i64>,
    type_code: Reverse<u8>,
    seq_id: Reverse<i64>,
    tags: &'static [u8],
}

impl Written {
    fn new(qualifier: &'static str, timestamp: i64, cell_type: CellType, seq_id: i64) -> Self {
        Self::tagged(qualifier, timestamp, cell_type, seq_id, &[])
    }

    fn tagged(
        qualifier: &'static str,
        timestamp: i64,
        cell_type: CellType,
        seq_id: i64,
        tags: &'static [u8],
    ) -> Self {
        let qualifier = if cell_type.is_family_delete() { "" } else { qualifier };
        let (timestamp, type_code) = (Reverse(timestamp), Reverse(cell_type.code()));
        Self { qualifier, timestamp, type_code, seq_id: Reverse(seq_id), tags }
    }

    fn version(&self) -> Version<'_> {
        Version {
            qualifier: self.qualifier.as_bytes(),
            timestamp: self.timestamp.0,
            type_code: self.type_code.0,
            seq_id: self.seq_id.0,
            tags: self.tags,
        }
    }
}

fn row() -> impl Strategy<Value = Vec<Written>> {
    let kinds = prop_oneof![
        4 => Just(CellType::Put),
        1 => Just(CellType::Delete),
        1 => Just(CellType::DeleteColumn),
        1 => Just(CellType::DeleteFamilyVersion),
        1 => Just(CellType::DeleteFamily),
    ];
    let tags = prop_oneof![4 => Just(TAGS[0]), 1 => Just(TAGS[1]), 1 => Just(TAGS[2])];
    // Few ids, because all cells of one mutation have the same.
    let cell = (prop_oneof![Just(""), Just("a"), Just("b")], 1i64..9, kinds, 1i64..20, tags);
    proptest::collection::vec(cell, 0..40).prop_map(|cells| {
        let mut row: Vec<Written> = cells
            .into_iter()
            .map(|(qualifier, ts, kind, id, tags)| Written::tagged(qualifier, ts, kind, id, tags))
            .collect();
        row.sort();
        row
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn all_that_hbase_hides_is_hidden(kept in prop_oneof![1u32..5, Just(u32::MAX)], row in row()) {
        let (mut tracker, mut eager) = (NewVersionTracker::new(kept), Eager::new(kept));
        tracker.reset();
        eager.reset();
        for (i, cell) in row.iter().enumerate() {
            if cell.type_code.0 == PUT {
                let hidden = tracker.is_deleted(cell.version()).unwrap();
                prop_assert_eq!(hidden, eager.is_deleted(cell.version()).unwrap(), "{} of {:#?}", i, row);
            } else {
                tracker.add(cell.version()).unwrap();
                eager.add(cell.version()).unwrap();
            }
        }
    }
}

/// In a row with a marker for each of many timestamps, in any order of sequence ids, the versions found are
/// those written after the last marker that reaches back to them.
#[test]
fn many_markers_of_the_family() {
    const MANY: i64 = 40_000;

    for id_of in [|ts| 10 + ts, |ts| 10 + MANY - ts, |ts| 10 + ts * 7919 % MANY] {
        let markers: Vec<(i64, i64)> = (1..=MANY).map(|ts| (ts, id_of(ts))).collect();
        let mut row: Vec<Written> =
            markers.iter().map(|&(ts, id)| Written::new("", ts, CellType::DeleteFamily, id)).collect();
        let puts = [
            (1, 0),
            (MANY / 2, 1),
            (MANY - 1, MANY / 2),
            (MANY, 2 * MANY),
            (MANY + 1, 3),
            (MANY + 2, 3 * MANY),
        ];
        row.extend(puts.map(|(ts, id)| Written::new("a", ts, CellType::Put, id)));
        row.sort();
        let mut tracker = NewVersionTracker::new(100);
        tracker.reset();
        for cell in row {
            if cell.type_code.0 != PUT {
                tracker.add(cell.version()).unwrap();
                continue;
            }
            let (timestamp, id) = (cell.timestamp.0, cell.seq_id.0);
            let hidden = markers.iter().any(|&(reach, marker)| timestamp <= reach && id <= marker);
            assert_eq!(tracker.is_deleted(cell.version()).unwrap(), hidden, "{timestamp} {id}");
        }
    }
}

/// In a column with a delete for each of many versions, in any order of sequence ids, the versions found are
/// those written again, as many as the family keeps. Deletes are not moved for each other: that took minutes.
#[test]
fn many_deletes_of_versions() {
    const MANY: i64 = 200_000;

    for nth in [|ts: i64| ts, |ts: i64| MANY - ts, |ts: i64| ts * 7919 % MANY] {
        let again = [MANY, MANY / 2, MANY / 3, 1];
        let mut row = Vec::new();
        for ts in 1..=MANY {
            row.push(Written::new("a", ts, CellType::Put, 10 + 2 * nth(ts)));
            row.push(Written::new("a", ts, CellType::Delete, 11 + 2 * nth(ts)));
        }
        row.extend(again.map(|ts| Written::new("a", ts, CellType::Put, 3 * MANY + ts)));
        row.sort();
        let mut tracker = NewVersionTracker::new(3);
        tracker.reset();
        let mut found = Vec::new();
        for cell in row {
            if cell.type_code.0 != PUT {
                tracker.add(cell.version()).unwrap();
            } else if !tracker.is_deleted(cell.version()).unwrap() {
                found.push(cell.timestamp.0);
            }
        }
        assert_eq!(found, again[..3]);
    }
}

/// In a column with as many versions as the family keeps, all are found, whether the newest was written first
/// or last.
#[test]
fn many_versions() {
    const MANY: i64 = 200_000;

    for id_of in [|ts: i64| ts, |ts: i64| MANY - ts] {
        let mut tracker = NewVersionTracker::new(200_000);
        tracker.reset();
        for ts in (0..MANY).rev() {
            let put = Written::new("a", ts, CellType::Put, id_of(ts));
            assert!(!tracker.is_deleted(put.version()).unwrap());
        }
        assert!(tracker.is_deleted(Written::new("a", -1, CellType::Put, 2 * MANY).version()).unwrap());
    }
}
