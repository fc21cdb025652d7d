//! Random mutations, with and without an observer.

use super::{Log, Recorder, open, region_of};
use hregion::io::faulty::FaultyStorage;
use hregion::{Append, CheckAndMutate, Delete, Increment, Mutation, Put, Region, Result, Scan};
use proptest::prelude::*;
use std::time::Duration;

/// Mutations of the rows `a` to `c`, some of which are invalid.
fn mutations() -> impl Strategy<Value = Mutation> {
    let family = prop_oneof![5 => Just("f"), 3 => Just("g"), 1 => Just("unknown")];
    let timestamp = prop_oneof![3 => Just(None), 2 => (0..5i64).prop_map(Some), 1 => Just(Some(-1))];
    let cell = (family, "[pq]", timestamp, "[xy]{0,8}");
    let ttl = proptest::option::weighted(0.2, 1..100_000u64);
    let kind = 0..7usize;
    (kind, "[a-c]?", proptest::collection::vec(cell, 0..3), ttl).prop_map(|(kind, row, cells, ttl)| {
        let ttl = ttl.map(Duration::from_millis);
        match kind {
            0..3 => {
                let put = ttl.into_iter().fold(Put::new(row), Put::ttl);
                Mutation::from(cells.into_iter().fold(put, |put, (family, qualifier, timestamp, value)| {
                    match timestamp {
                        Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
                        None => put.cell(family, qualifier, value),
                    }
                }))
            }
            3 | 4 => Mutation::from(cells.into_iter().fold(
                Delete::new(row),
                |delete, (family, qualifier, timestamp, value)| match (timestamp, value.len()) {
                    (Some(timestamp), 0..4) => delete.version_at(family, qualifier, timestamp),
                    (None, 0..4) => delete.version(family, qualifier),
                    (_, 4..7) => delete.column(family, qualifier),
                    _ => delete.family(family),
                },
            )),
            5 => Mutation::from(cells.into_iter().fold(
                Increment::new(row),
                |increment, (family, qualifier, _, value)| {
                    increment.column(family, qualifier, i64::try_from(value.len()).unwrap())
                },
            )),
            _ => Mutation::from(
                cells.into_iter().fold(Append::new(row), |append, (family, qualifier, _, value)| {
                    append.column(family, qualifier, value)
                }),
            ),
        }
    })
}

/// Writes mutations in the given way, and returns the answers or errors.
fn write(region: &Region, way: usize, mutations: &[Mutation]) -> String {
    let row = |mutation: &Mutation| mutation.row().to_vec();
    match (way, mutations) {
        (0, [first, ..]) => format!("{:?}", region.mutate_row(row(first), mutations.to_vec())),
        (1, [first, ..]) => {
            let check = CheckAndMutate::if_not_exists(row(first), "f", "p");
            let check = mutations.iter().cloned().fold(check, CheckAndMutate::then);
            format!("{:?}", region.check_and_mutate(check))
        }
        (2, _) => format!("{:?}", region.batch(mutations.to_vec())),
        _ => mutations
            .iter()
            .map(|mutation| match mutation.clone() {
                Mutation::Put(put) => format!("{:?}", region.put(put)),
                Mutation::Delete(delete) => format!("{:?}", region.delete(delete)),
                Mutation::Increment(increment) => format!("{:?}", region.increment(increment)),
                Mutation::Append(append) => format!("{:?}", region.append(append)),
                other => unreachable!("{other:?}"),
            })
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn observers_that_do_nothing_change_no_write(
        steps in proptest::collection::vec((0..5usize, proptest::collection::vec(mutations(), 0..4)), 1..12),
    ) {
        let observed = region_of(Recorder("", Log::default()));
        let region = open(&FaultyStorage::new(), &[]).unwrap();
        for (way, mutations) in &steps {
            let (found, expected) = (write(&region, *way, mutations), write(&observed, *way, mutations));
            prop_assert_eq!(found, expected, "{} {:?}", way, mutations);
        }
        let all = |region: &Region| {
            let rows = region.scan(Scan::new().raw(true).max_versions(u32::MAX)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>()
        };
        prop_assert_eq!(all(&region), all(&observed));
    }
}
