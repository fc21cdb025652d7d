//! Determines the regions of a table that serve rows from the regions that have directories (hfile.md §15.4).

use super::RegionInfo;

/// Returns the regions that serve rows, in row order. Regions that were split or merged stay on the disk for
/// some time; they are left out if younger regions contain all of their rows.
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
}
