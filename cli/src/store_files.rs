//! The store files of a directory: those that its regions read, in order.

use crate::args::FileArgs;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::probe;
use crate::regions::{Regions, is_region, tables_below};
use crate::source::files_in;
use crate::target::{self, Kind};
use hregion::{Region, RegionInfo, RegionOptions};
use std::path::{Path, PathBuf};

/// A store file: an HFile, a reference or a link.
#[derive(Clone, Debug)]
pub(crate) struct StoreFile {
    pub(crate) path: PathBuf,
    pub(crate) region: Option<RegionInfo>,
    pub(crate) family: Option<Vec<u8>>,
}

impl StoreFile {
    fn alone(path: PathBuf) -> Self {
        Self { path, region: None, family: None }
    }
}

/// Returns the store files of a family, a region, a table, a snapshot, a namespace or a root directory, in
/// the order of tables, regions, families and of the files in a family, oldest first. Any other target is one
/// file.
pub(crate) fn find(
    path: &Path,
    kind: Option<Kind>,
    reading: &FileArgs,
    out: &Output,
) -> Result<Vec<StoreFile>, Failure> {
    let options = || reading.region_options(out);
    match target::kind_of(path, kind)? {
        Kind::Hfile | Kind::Wal => Ok(vec![StoreFile::alone(path.to_owned())]),
        Kind::Family => match path.parent().zip(path.file_name()) {
            Some((region, name)) if is_region(region)? => {
                let name = name.as_encoded_bytes();
                let mut files = of_regions(region, Kind::Region, options()?, out)?;
                files.retain(|file| file.family.as_deref() == Some(name));
                Ok(files)
            }
            _ => Ok(files_in(path)?.into_iter().map(StoreFile::alone).collect()),
        },
        kind @ (Kind::Region | Kind::Table | Kind::Snapshot) => of_regions(path, kind, options()?, out),
        kind @ (Kind::Namespace | Kind::Root) => {
            let options = options()?;
            let tables = tables_below(path, kind)?.into_iter();
            let files = tables.map(|table| of_regions(&table, Kind::Table, options.clone(), out));
            Ok(files.collect::<Result<Vec<_>, _>>()?.concat())
        }
    }
}

/// Returns the files of the regions that serve reads.
fn of_regions(
    dir: &Path,
    kind: Kind,
    options: RegionOptions,
    out: &Output,
) -> Result<Vec<StoreFile>, Failure> {
    let (regions, mut files) = (Regions::find(dir, Some(kind), options)?, Vec::new());
    for place in regions.places(|_, _| true) {
        files.extend(of_region(&place.open(&out.warner())?)?);
    }
    Ok(files)
}

fn of_region(region: &Region) -> Result<Vec<StoreFile>, CommandError> {
    let mut files = Vec::new();
    for family in region.families() {
        // a legal name is text
        let dir = region.path().join(&*String::from_utf8_lossy(family.name()));
        let names = region.store_file_names(family.name()).unwrap_or_default().into_iter();
        for (name, hfile) in names.zip(region.hfile_paths(family.name()).unwrap_or_default()) {
            files.push(StoreFile {
                path: place_of(&dir, &name, hfile)?,
                region: Some(region.info().clone()),
                family: Some(family.name().to_vec()),
            });
        }
    }
    Ok(files)
}

/// Returns where a file of a family is, which is elsewhere if a snapshot has it and the region does not any
/// more: in the archive, or where a link leads.
fn place_of(dir: &Path, name: &str, hfile: PathBuf) -> Result<PathBuf, CommandError> {
    let path = dir.join(name);
    if probe::is_file(&path)? {
        return Ok(path);
    }
    // the name of a reference ends with that of the other region
    if !name.contains('.') {
        return Ok(hfile);
    }
    let places =
        dir.ancestors().filter_map(|root| Some(root.join("archive").join(dir.strip_prefix(root).ok()?)));
    for place in places.map(|dir| dir.join(name)) {
        if probe::is_file(&place)? {
            return Ok(place);
        }
    }
    Err(CommandError::unsupported(&path, "a reference that only the manifest of the snapshot has")
        .with_hint(Some("`hregion scan --raw --versions all` prints the cells of the snapshot")))
}
