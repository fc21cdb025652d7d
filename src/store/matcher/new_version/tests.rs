//! The same answers as HBase's own way gives, and how much work they are.

mod eager;

use super::*;
use eager::Eager;
use proptest::prelude::*;
use std::cmp::Reverse;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    qualifier: &'static str,
    timestamp: Reverse<i64>,
    type_code: Reverse<u8>,
    seq_id: Reverse<i64>,
}

impl Written {
    fn new(qualifier: &'static str, timestamp: i64, cell_type: CellType, seq_id: i64) -> Self {
        let qualifier = if cell_type.is_family_delete() { "" } else { qualifier };
        let (timestamp, type_code) = (Reverse(timestamp), Reverse(cell_type.code()));
        Self { qualifier, timestamp, type_code, seq_id: Reverse(seq_id) }
    }

    fn version(&self) -> Version<'_> {
        Version {
            qualifier: self.qualifier.as_bytes(),
            timestamp: self.timestamp.0,
            type_code: self.type_code.0,
            seq_id: self.seq_id.0,
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
    // few ids: what one mutation writes has the same
    let cell = (prop_oneof![Just(""), Just("a"), Just("b")], 1i64..9, kinds, 1i64..20);
    proptest::collection::vec(cell, 0..40).prop_map(|cells| {
        let mut row: Vec<Written> = cells
            .into_iter()
            .map(|(qualifier, ts, kind, id)| Written::new(qualifier, ts, kind, id))
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

const MANY: i64 = 40_000;

/// The steps that a row takes, with the versions that are not hidden.
fn steps(kept: u32, row: &mut [Written]) -> (usize, usize) {
    row.sort();
    let mut tracker = NewVersionTracker::new(kept);
    tracker.reset();
    let mut visible = 0;
    for cell in &*row {
        if cell.type_code.0 == PUT {
            visible += usize::from(!tracker.is_deleted(cell.version()).unwrap());
        } else {
            tracker.add(cell.version()).unwrap();
        }
    }
    (tracker.family.work.0 + tracker.counts.work.0, visible)
}

/// Markers that are written one after the other, and values before and after all of them.
fn marked(kind: CellType, id_of: impl Fn(i64) -> i64) -> Vec<Written> {
    let markers = (1..=MANY).map(|ts| Written::new("", ts, kind, id_of(ts)));
    let columns = ["a", "b", "c", "d"].into_iter();
    let puts = columns.flat_map(|q| {
        [(1, 0), (MANY / 2, 1), (MANY, 2), (MANY + 1, 3), (MANY + 2, 3 * MANY)]
            .map(|(ts, id)| Written::new(q, ts, CellType::Put, id))
    });
    markers.chain(puts).collect()
}

#[test]
fn many_markers_of_the_family_are_not_looked_at_for_each_other() {
    let linear = 3 * usize::try_from(MANY).unwrap();
    for kind in [CellType::DeleteFamily, CellType::DeleteFamilyVersion] {
        for id_of in [|ts| 10 + ts, |ts| 10 + MANY - ts, |ts| 10 + ts * 7919 % MANY] {
            for kept in [1, 3, u32::MAX] {
                let (steps, visible) = steps(kept, &mut marked(kind, id_of));
                assert!(steps < linear && visible >= 4, "{kind:?}: {steps} steps, {visible} visible");
            }
        }
    }
}

/// A marker for each of many versions, which are all there.
#[test]
fn many_markers_of_versions_are_not_looked_at_for_each_other() {
    for kind in [CellType::Delete, CellType::DeleteFamilyVersion] {
        let pair = |ts| [Written::new("a", ts, CellType::Put, ts), Written::new("a", ts, kind, MANY + ts)];
        let (steps, visible) = steps(3, &mut (1..=MANY).flat_map(pair).collect::<Vec<_>>());
        assert!(steps < 20 * usize::try_from(MANY).unwrap(), "{kind:?}: {steps} steps");
        assert_eq!(visible, 0);
    }
}
