//! Checking that regions cover all rows exactly once (locator.md §4.4, §16.4; hfile.md §15.4).

use crate::binary::StringBinary;
use crate::error::{Error, ErrorKind};
use crate::schema::RegionInfo;
use bytes::Bytes;

/// Rows of a table in [`start`, `end`) that are in no region or in several. An empty bound is unbounded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "both variants have the same fields")]
pub enum RegionInconsistency {
    /// No region contains the rows.
    Hole { start: Bytes, end: Bytes },
    /// Two or more regions contain the rows.
    Overlap { start: Bytes, end: Bytes },
}

impl RegionInconsistency {
    /// Returns the start and the end.
    #[must_use]
    pub fn bounds(&self) -> (&[u8], &[u8]) {
        let (Self::Hole { start, end } | Self::Overlap { start, end }) = self;
        (start, end)
    }

    /// Whether the fault affects any of the rows in [`start`, `end`); an empty bound is unbounded.
    #[must_use]
    pub fn touches(&self, start: &[u8], end: &[u8]) -> bool {
        let (own_start, own_end) = self.bounds();
        (end.is_empty() || own_start < end) && (own_end.is_empty() || start < own_end)
    }

    /// Converts the fault into an error.
    #[must_use]
    pub fn to_error(&self) -> Error {
        let (start, end) = self.bounds();
        let (start, end) = (StringBinary(start), StringBinary(end));
        let message = match self {
            Self::Hole { .. } => format!("no region has the rows [{start}, {end})"),
            Self::Overlap { .. } => format!("several regions have the rows [{start}, {end})"),
        };
        Error::locating(ErrorKind::Inconsistent, message)
    }
}

/// Returns the faults of the regions of one table, in row order. The regions must be in the order of their
/// start keys.
pub fn check_region_chain<'r>(regions: impl IntoIterator<Item = &'r RegionInfo>) -> Vec<RegionInconsistency> {
    let mut faults = Vec::new();
    // the end of the rows covered so far; `None` is unbounded
    let mut covered: Option<&[u8]> = Some(&[]);
    for region in regions {
        let (start, end) = (region.start_key(), region.end_key());
        match covered {
            Some(covered) if start > covered => {
                let (start, end) = (Bytes::copy_from_slice(covered), Bytes::copy_from_slice(start));
                faults.push(RegionInconsistency::Hole { start, end });
            }
            Some(covered) if start == covered => {}
            _ => {
                let covered = covered.unwrap_or_default();
                let end = if end.is_empty() || !covered.is_empty() && covered < end { covered } else { end };
                let (start, end) = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
                faults.push(RegionInconsistency::Overlap { start, end });
            }
        }
        covered = match covered {
            Some(covered) if !end.is_empty() => Some(covered.max(end)),
            _ => None,
        };
    }
    if let Some(covered) = covered {
        let start = Bytes::copy_from_slice(covered);
        faults.push(RegionInconsistency::Hole { start, end: Bytes::new() });
    }
    faults
}

/// Returns the regions that serve rows, in row order. Regions that were split or merged stay on the disk for
/// a while; they are left out once younger regions contain all of their rows.
#[must_use]
pub fn serving(mut regions: Vec<RegionInfo>) -> Vec<RegionInfo> {
    regions.sort_by(|a, b| (a.start_key(), a.region_id()).cmp(&(b.start_key(), b.region_id())));
    // for each region, the greatest end up to it, to skip the regions that end before a given one
    let mut last_end = End(&[]);
    let ends: Vec<End<'_>> = regions
        .iter()
        .enumerate()
        .map(|(i, region)| {
            let end = End(region.end_key());
            last_end = if i == 0 { end } else { last_end.max(end) };
            last_end
        })
        .collect();
    let is_parent = |region: &RegionInfo| {
        let start = region.start_key();
        let from = ends.partition_point(|end| !end.0.is_empty() && end.0 <= start);
        let to = regions.partition_point(|other| End(region.end_key()).is_after(other.start_key()));
        let others = regions.get(from..to).unwrap_or_default().iter();
        covers(others.filter(|other| other.region_id() > region.region_id()), region)
    };
    let are_parents: Vec<bool> = regions.iter().map(is_parent).collect();
    let mut are_parents = are_parents.into_iter();
    regions.retain(|_| !are_parents.next().unwrap_or_default());
    regions
}

/// Whether `regions`, in the order of their start keys, contain all rows of `region`.
fn covers<'r>(regions: impl Iterator<Item = &'r RegionInfo>, region: &RegionInfo) -> bool {
    let mut covered = region.start_key();
    for other in regions {
        if other.start_key() > covered {
            return false;
        }
        if End(other.end_key()) >= End(region.end_key()) {
            return true;
        }
        covered = covered.max(other.end_key());
    }
    false
}

/// The end of a region; an empty end is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End<'k>(&'k [u8]);

impl End<'_> {
    fn is_after(self, row: &[u8]) -> bool {
        self.0.is_empty() || row < self.0
    }
}

impl Ord for End<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.is_empty(), self.0).cmp(&(other.0.is_empty(), other.0))
    }
}

impl PartialOrd for End<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::TableName;
    use proptest::prelude::*;

    fn regions(places: &[(&str, &str, i64)]) -> Vec<RegionInfo> {
        let region = |(start, end, id): &(&str, &str, i64)| {
            RegionInfo::new(TableName::parse("t").unwrap(), start.to_string(), end.to_string(), *id).unwrap()
        };
        places.iter().map(region).collect()
    }

    fn names(places: &[(&str, &str, i64)]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let name = |region: &RegionInfo| {
            format!("{}-{}-{}", text(region.start_key()), text(region.end_key()), region.region_id())
        };
        serving(regions(places)).iter().map(name).collect()
    }

    #[test]
    fn regions_come_in_the_order_of_their_rows() {
        assert_eq!(names(&[("m", "", 1), ("", "c", 1), ("c", "m", 1)]), ["-c-1", "c-m-1", "m--1"]);
    }

    #[test]
    fn parents_are_left_out() {
        let split = [("", "", 1), ("", "m", 2), ("m", "", 2)];
        assert_eq!(names(&split), ["-m-2", "m--2"]);
        let split_again = [("", "", 1), ("", "m", 2), ("m", "", 2), ("", "c", 3), ("c", "m", 3)];
        assert_eq!(names(&split_again), ["-c-3", "c-m-3", "m--2"]);
        let merged = [("", "c", 1), ("c", "m", 1), ("", "m", 2), ("m", "", 1)];
        assert_eq!(names(&merged), ["-m-2", "m--1"]);
        let merged_unevenly = [("a", "c", 1), ("c", "m", 1), ("", "z", 2)];
        assert_eq!(names(&merged_unevenly), ["-z-2"]);
    }

    #[test]
    fn a_parent_with_a_hole_below_it_stays() {
        assert_eq!(names(&[("", "z", 1), ("", "m", 2), ("n", "z", 2)]), ["-z-1", "-m-2", "n-z-2"]);
        assert_eq!(names(&[("", "", 1), ("", "m", 2), ("m", "z", 2)]), ["--1", "-m-2", "m-z-2"]);
    }

    #[test]
    fn holes_and_overlaps_are_found() {
        let faults = |places: &[(&str, &str, i64)]| check_region_chain(&serving(regions(places)));
        let hole = |start: &'static str, end: &'static str| RegionInconsistency::Hole {
            start: start.into(),
            end: end.into(),
        };
        let overlap = |start: &'static str, end: &'static str| RegionInconsistency::Overlap {
            start: start.into(),
            end: end.into(),
        };
        assert_eq!(faults(&[("", "c", 1), ("c", "m", 1), ("m", "", 1)]), []);
        assert_eq!(faults(&[]), [hole("", "")]);
        assert_eq!(faults(&[("a", "c", 1), ("d", "m", 1)]), [hole("", "a"), hole("c", "d"), hole("m", "")]);
        assert_eq!(faults(&[("", "m", 1), ("k", "", 1)]), [overlap("k", "m")]);
        assert_eq!(faults(&[("", "", 1), ("k", "m", 1)]), [overlap("k", "m")]);
        assert_eq!(faults(&[("", "", 1), ("k", "", 1)]), [overlap("k", "")]);
        assert_eq!(
            faults(&[("", "z", 1), ("c", "d", 1), ("e", "", 1)]),
            [overlap("c", "d"), overlap("e", "z")]
        );
        assert_eq!(faults(&[("", "m", 1), ("", "m", 1), ("m", "", 1)]), [overlap("", "m")]);
        assert_eq!(faults(&[("", "", 1), ("", "", 1)]), [overlap("", "")]);
        assert!(overlap("c", "e").touches(b"d", b"") && !hole("c", "e").touches(b"e", b""));
        assert!(!hole("c", "e").touches(b"", b"c") && hole("c", "").touches(b"x", b"y"));
    }

    proptest! {
        #[test]
        fn faults_agree_with_the_regions_of_each_row(
            places in proptest::collection::vec(("[a-f]?", "[a-f]?", 0i64..4), 0..12),
        ) {
            let table = TableName::parse("t").unwrap();
            let all: Vec<RegionInfo> = places
                .into_iter()
                .filter_map(|(start, end, id)| RegionInfo::new(table.clone(), start, end, id).ok())
                .collect();
            let serving = serving(all.clone());
            let faults = check_region_chain(&serving);
            for row in ["\0", "a", "b", "c", "d", "e", "f", "g"].map(str::as_bytes) {
                let count = |regions: &[RegionInfo]| {
                    regions.iter().filter(|region| region.contains(row)).count()
                };
                prop_assert_eq!(count(&serving) == 0, count(&all) == 0);
                let touching = |wanted: fn(&RegionInconsistency) -> bool| {
                    let end = [row, &[0]].concat();
                    faults.iter().any(|fault| wanted(fault) && fault.touches(row, &end))
                };
                let hole = touching(|f| matches!(f, RegionInconsistency::Hole { .. }));
                prop_assert_eq!(hole, count(&serving) == 0);
                let overlap = touching(|f| matches!(f, RegionInconsistency::Overlap { .. }));
                prop_assert_eq!(overlap, count(&serving) > 1);
                // the youngest region of each row is one that serves rows
                let youngest = |regions: &[RegionInfo]| {
                    regions.iter().filter(|region| region.contains(row)).map(RegionInfo::region_id).max()
                };
                prop_assert_eq!(youngest(&serving), youngest(&all));
            }
        }
    }
}
