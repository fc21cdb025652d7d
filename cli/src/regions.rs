//! The regions that a path leads to: one, or those of a table in the order of their rows.

use crate::failure::{Failure, Fault};
use crate::target::{Kind, check_local};
use hregion::{Region, RegionOptions};
use std::fs;
use std::path::{Path, PathBuf};

/// Regions to read, in the order of their rows.
#[derive(Debug)]
pub(crate) struct Regions {
    options: RegionOptions,
    places: Vec<Place>,
}

/// A region, and which rows it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    start: Vec<u8>,
    end: Vec<u8>,
    /// The greater, the younger.
    id: i64,
}

const REGION_INFO: &str = ".regioninfo";
const TABLE_DESCRIPTOR: &str = ".tabledesc";
/// The region of the catalog, which older releases wrote no `.regioninfo` for.
const META: &str = "1588230740";

/// What a directory is.
pub(crate) fn kind_of(dir: &Path, kind: Option<Kind>) -> Result<Kind, Fault> {
    check_local(dir)?;
    if let Some(kind) = kind {
        return Ok(kind);
    }
    if dir.is_file() {
        return Err(Fault::unsupported(dir, "a file, expected the directory of a region or a table")
            .with_hint(Some("`hregion cells` prints what a file holds")));
    }
    let is_region =
        |dir: &Path| dir.join(REGION_INFO).is_file() || dir.file_name().is_some_and(|name| name == META);
    if is_region(dir) {
        return Ok(Kind::Region);
    }
    if dir.join(TABLE_DESCRIPTOR).is_dir() || region_dirs(dir)?.iter().any(|dir| is_region(dir)) {
        return Ok(Kind::Table);
    }
    if dir.parent().is_some_and(is_region) {
        return Ok(Kind::Family);
    }
    if has_files_alone(dir)? {
        return Ok(Kind::Family);
    }
    Err(Fault::unsupported(dir, "neither a region nor a table: no .regioninfo, no .tabledesc in it")
        .with_hint(Some("--as says what it is")))
}

/// Whether there is nothing but files in a directory, and any: of a family that has no region, as one for a bulk load.
fn has_files_alone(dir: &Path) -> Result<bool, Fault> {
    let fault = |error| Fault::io("list", dir, &error);
    let mut found = false;
    for entry in fs::read_dir(dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        found |= entry.path().is_file();
        if entry.path().is_dir() {
            return Ok(false);
        }
    }
    Ok(found)
}

/// The directories that are named as those of regions are.
fn region_dirs(table: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault = |error| Fault::io("list", table, &error);
    let mut dirs = Vec::new();
    for entry in fs::read_dir(table).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let is_name = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if entry.file_name().as_encoded_bytes().iter().all(is_name) && entry.path().is_dir() {
            dirs.push(entry.path());
        }
    }
    Ok(dirs)
}

impl Regions {
    /// The region of a directory, or those of a table's.
    pub(crate) fn find(dir: &Path, kind: Option<Kind>, options: RegionOptions) -> Result<Self, Failure> {
        let dirs = match kind_of(dir, kind)? {
            Kind::Region => {
                return Ok(Self {
                    options,
                    places: vec![Place { path: dir.to_owned(), ..Place::default() }],
                });
            }
            Kind::Table => region_dirs(dir)?,
            Kind::Hfile | Kind::Family | Kind::Snapshot | Kind::Wal => {
                let message = "neither a region nor a table, and only those are read so";
                return Err(Fault::unsupported(dir, message).into());
            }
        };
        let places = dirs.into_iter().map(|path| {
            let region = options.clone().open(&path)?;
            let info = region.info();
            Ok(Place {
                start: info.start_key().to_vec(),
                end: info.end_key().to_vec(),
                id: info.region_id(),
                path,
            })
        });
        Ok(Self { places: serving(places.collect::<hregion::Result<_>>()?), options })
    }

    /// The regions in order, but for those whose rows, from a first one on to before a last, are not `wanted`.
    pub(crate) fn places(
        &self,
        wanted: impl Fn(&[u8], &[u8]) -> bool,
    ) -> impl DoubleEndedIterator<Item = ClosedRegion<'_>> {
        let wanted = self.places.iter().filter(move |place| wanted(&place.start, &place.end));
        wanted.map(|place| ClosedRegion { place, options: &self.options })
    }
}

/// A region that is to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosedRegion<'r> {
    place: &'r Place,
    options: &'r RegionOptions,
}

impl ClosedRegion<'_> {
    /// Opens it.
    pub(crate) fn open(self) -> hregion::Result<Region> {
        self.options.clone().open(&self.place.path)
    }
}

/// The regions that serve rows, in the order of the rows. Those that were split or merged, and whose rows younger ones have,
/// stay for a while.
fn serving(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_by(|a, b| (&a.start, a.id).cmp(&(&b.start, b.id)));
    let is_parent = |place: &Place| covers(places.iter().filter(|other| other.id > place.id), place);
    let serving = places.iter().filter(|place| !is_parent(place)).cloned();
    serving.collect()
}

/// Whether regions, in the order of their first rows, have all the rows of another.
fn covers<'p>(places: impl Iterator<Item = &'p Place>, place: &Place) -> bool {
    let mut covered = place.start.as_slice();
    for other in places {
        if other.start.as_slice() > covered {
            return false;
        }
        if other.end.is_empty() || !place.end.is_empty() && other.end >= place.end {
            return true;
        }
        covered = covered.max(&other.end);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(start: &str, end: &str, id: i64) -> Place {
        Place { path: format!("{start}-{end}-{id}").into(), start: start.into(), end: end.into(), id }
    }

    fn names(places: &[(&str, &str, i64)]) -> Vec<String> {
        let places = places.iter().map(|&(start, end, id)| place(start, end, id)).collect();
        serving(places).iter().map(|place| place.path.display().to_string()).collect()
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
