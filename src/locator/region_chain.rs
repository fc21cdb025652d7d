//! Checks that regions cover all rows exactly once (locator.md §4.4, §15; hfile.md §15.4).

use crate::binary::StringBinary;
use crate::error::{Error, ErrorKind};
use crate::schema::RegionInfo;
use bytes::Bytes;

/// Rows of a table in [`start`, `end`) that are in no region or in several (HBase: `CatalogJanitorReport`).
/// An empty bound is unbounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionInconsistency {
    /// No region contains the rows.
    Hole {
        /// The first row.
        start: Bytes,
        /// The row after the last one.
        end: Bytes,
    },
    /// Two or more regions contain the rows.
    Overlap {
        /// The first row.
        start: Bytes,
        /// The row after the last one.
        end: Bytes,
    },
}

impl RegionInconsistency {
    /// Returns the start and the end.
    #[must_use]
    pub fn bounds(&self) -> (&[u8], &[u8]) {
        let (Self::Hole { start, end } | Self::Overlap { start, end }) = self;
        (start, end)
    }

    /// Whether any of the affected rows is in [`start`, `end`); an empty bound is unbounded.
    #[must_use]
    pub fn touches(&self, start: &[u8], end: &[u8]) -> bool {
        let (own_start, own_end) = self.bounds();
        (end.is_empty() || own_start < end) && (own_end.is_empty() || start < own_end)
    }

    /// Converts the inconsistency into an error of kind [`Inconsistent`](ErrorKind::Inconsistent).
    #[must_use]
    pub fn to_error(&self) -> Error {
        let (start, end) = self.bounds();
        let (start, end) = (StringBinary(start), StringBinary(end));
        let message = match self {
            Self::Hole { .. } => format!("no region has the rows [{start:.64}, {end:.64})"),
            Self::Overlap { .. } => format!("several regions have the rows [{start:.64}, {end:.64})"),
        };
        Error::new(ErrorKind::Inconsistent, message)
    }
}

/// Returns the inconsistencies between the regions of one table, in row order. The regions must be in the
/// order of their start keys.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{TableName, serving};
    use proptest::prelude::*;

    fn regions(places: &[(&str, &str, i64)]) -> Vec<RegionInfo> {
        let region = |(start, end, id): &(&str, &str, i64)| {
            RegionInfo::new(TableName::parse("t").unwrap(), start.to_string(), end.to_string(), *id).unwrap()
        };
        places.iter().map(region).collect()
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
