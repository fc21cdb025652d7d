//! Partitions of the rows to be read: regions, and parts of them that begin at a block.

use crate::ranges::RangeSet;
use crate::source::Part;

/// Rows that are read one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) ranges: RangeSet,
    /// The approximate numbers of stored cells and bytes, before any selection.
    pub(crate) cells: u64,
    pub(crate) bytes: u64,
}

/// Divides row ranges into about `target` partitions, in row order. No partition is empty.
///
/// If there are fewer regions, each is at least one partition, and large ones are divided at blocks, into
/// parts of at least `min_bytes`. If there are more regions, neighbours share a partition.
pub(crate) fn divide(ranges: &RangeSet, parts: &[Part], target: usize, min_bytes: u64) -> Vec<Partition> {
    let target = target.max(1);
    let mut pieces: Vec<Partition> = Vec::new();
    let of_part = |part: &Part| RangeSet::range(part.start.clone(), part.end.clone()).intersect(ranges);
    let bytes: Vec<u64> = parts.iter().map(|part| bytes_of(part, &of_part(part))).collect();
    let total = sum(bytes.iter().copied()).max(1);
    let mut start = Vec::new();
    for (at, (part, bytes)) in parts.iter().zip(&bytes).enumerate() {
        // rows of no region also belong to a partition: reading them is an error
        let end = parts.get(at + 1).map(|next| next.start.clone());
        let own = RangeSet::range(start, end.clone()).intersect(ranges);
        start = end.unwrap_or_default();
        let share = u128::from(*bytes) * u128::try_from(target).unwrap_or(1) / u128::from(total);
        let count = match parts.len() < target {
            true => u64::try_from(share).unwrap_or(1).min(bytes / min_bytes.max(1)).max(1),
            false => 1,
        };
        let own = cut(&own, part, *bytes, count);
        pieces.extend(own.into_iter().filter(|ranges| !ranges.is_empty()).map(|ranges| {
            let bytes = bytes_of(part, &ranges);
            Partition { cells: share_of(part.cells, bytes, part), bytes, ranges }
        }));
    }
    join(pieces, target)
}

/// Adds numbers of cells or bytes, saturating. Trailers may contain any number, and files may be sparse, of
/// any length.
pub(crate) fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn bytes_of(part: &Part, ranges: &RangeSet) -> u64 {
    let is_read = |at: usize, row: &[u8]| {
        let next = part.blocks.get(at + 1).map(|(row, _)| &row[..]);
        ranges.overlaps(row, next) || ranges.contains(row)
    };
    let blocks = part.blocks.iter().enumerate();
    match ranges.is_all() {
        true => sum(part.blocks.iter().map(|(_, bytes)| *bytes)),
        false => sum(blocks.filter(|(at, (row, _))| is_read(*at, row)).map(|(_, (_, bytes))| *bytes)),
    }
}

/// Returns the share of a region's cells in some of its bytes.
fn share_of(cells: u64, bytes: u64, part: &Part) -> u64 {
    let all = sum(part.blocks.iter().map(|(_, bytes)| *bytes)).max(1);
    u64::try_from(u128::from(cells) * u128::from(bytes) / u128::from(all)).unwrap_or(u64::MAX)
}

/// Cuts ranges of a region into `count` parts of about equal size, at the first rows of blocks.
fn cut(ranges: &RangeSet, part: &Part, bytes: u64, count: u64) -> Vec<RangeSet> {
    let (mut cuts, mut left, mut done) = (Vec::new(), ranges.clone(), 0_u64);
    let step = (bytes / count.max(1)).max(1);
    let mut at = step;
    let read = part.blocks.iter().filter(|(row, _)| ranges.contains(row));
    for (row, bytes) in read {
        if done >= at && u64::try_from(cuts.len()).unwrap_or(u64::MAX) + 1 < count {
            cuts.push(left.intersect(&RangeSet::below(row.clone())));
            left = left.intersect(&RangeSet::from(row.clone()));
            at = at.saturating_add(step);
        }
        done = done.saturating_add(*bytes);
    }
    cuts.push(left);
    cuts
}

/// Joins neighbours until there are no more than `target` partitions.
fn join(pieces: Vec<Partition>, target: usize) -> Vec<Partition> {
    if pieces.len() <= target {
        return pieces;
    }
    let per = pieces.len().div_ceil(target);
    let joined = pieces.chunks(per).map(|chunk| Partition {
        ranges: RangeSet::of(chunk.iter().flat_map(|piece| piece.ranges.ranges().to_vec()).collect()),
        cells: sum(chunk.iter().map(|piece| piece.cells)),
        bytes: sum(chunk.iter().map(|piece| piece.bytes)),
    });
    joined.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: &str, end: Option<&str>, blocks: &[&str]) -> Part {
        Part {
            start: start.into(),
            end: end.map(Into::into),
            blocks: blocks.iter().map(|row| (row.as_bytes().to_vec(), 100)).collect(),
            cells: 50 * blocks.len() as u64,
            may_have_latest: false,
        }
    }

    #[test]
    fn partitions_are_disjoint_and_complete() {
        let parts = [part("", Some("m"), &["a", "b", "c", "d"]), part("m", None, &["m", "n"])];
        let some = RangeSet::range(b"b".to_vec(), Some(b"n".to_vec())).union(&RangeSet::point(b"z"));
        for ranges in [RangeSet::all(), some, RangeSet::point(b"c"), RangeSet::empty()] {
            for target in [1, 2, 3, 4, 6, 20] {
                let partitions = divide(&ranges, &parts, target, 1);
                assert!(partitions.len() <= target, "{partitions:?}");
                let mut all = RangeSet::empty();
                for partition in &partitions {
                    assert!(!partition.ranges.is_empty());
                    assert!(all.intersect(&partition.ranges).is_empty());
                    all = all.union(&partition.ranges);
                }
                assert_eq!(all, ranges, "{target}");
            }
        }
        let starts = |target: usize, min: u64| -> Vec<Vec<u8>> {
            let divided = divide(&RangeSet::all(), &parts, target, min);
            divided.iter().map(|partition| partition.ranges.ranges()[0].start.clone()).collect()
        };
        assert_eq!(starts(1, 1), [b""]);
        assert_eq!(starts(2, 1), [&b""[..], b"m"]);
        assert_eq!(starts(6, 1), [&b""[..], b"b", b"c", b"d", b"m", b"n"]);
        assert_eq!(starts(6, 200), [&b""[..], b"c", b"m"]);
        let cells: u64 = divide(&RangeSet::all(), &parts, 6, 1).iter().map(|piece| piece.cells).sum();
        assert_eq!(cells, 300);
    }

    #[test]
    fn files_may_say_any_numbers() {
        let mut parts = [part("", Some("m"), &["a", "b"]), part("m", None, &["m", "n"])];
        for part in &mut parts {
            part.cells = u64::MAX;
            part.blocks.iter_mut().for_each(|(_, bytes)| *bytes = u64::MAX);
        }
        for target in [1, 2, 4] {
            let partitions = divide(&RangeSet::all(), &parts, target, 1);
            assert_eq!(partitions.len(), target);
            for partition in partitions {
                assert_eq!((partition.cells, partition.bytes), (u64::MAX, u64::MAX));
            }
        }
    }

    #[test]
    fn rows_of_no_region_are_read() {
        let parts = [part("b", Some("d"), &["b"]), part("k", None, &["k"])];
        let partitions = divide(&RangeSet::all(), &parts, 2, 1);
        let all = partitions.iter().fold(RangeSet::empty(), |all, part| all.union(&part.ranges));
        assert!(all.is_all());
        assert_eq!(divide(&RangeSet::all(), &[], 2, 1).len(), 0);
    }
}
