//! The store files of a directory: those that its regions read, in order.

use crate::args::FileArgs;
use crate::concurrent_changes::{in_archive, list_again};
use crate::directories::{family_of_region, hint_of, tables_below};
use crate::failure::{CommandError, Failure};
use crate::output::{Output, Warner};
use crate::probe;
use crate::regions::{Regions, open_snapshot};
use crate::source::files_in;
use crate::target::{self, Kind};
use hregion::region::MobFile;
use hregion::{Region, RegionInfo, RegionOptions, Table};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A store file: an HFile, a reference or a link.
#[derive(Clone, Debug)]
pub(crate) struct StoreFile {
    pub(crate) path: PathBuf,
    pub(crate) family: Option<Vec<u8>>,
}

/// The store files of a region. Files without a region are in one without a name.
#[derive(Clone, Debug)]
pub(crate) struct RegionFiles {
    pub(crate) region: Option<RegionInfo>,
    pub(crate) families: Vec<FamilyFiles>,
}

/// The store files of a family.
#[derive(Clone, Debug)]
pub(crate) struct FamilyFiles {
    pub(crate) family: Option<Vec<u8>>,
    pub(crate) files: Vec<StoreFile>,
}

impl StoreFile {
    fn alone(path: PathBuf) -> Self {
        Self { path, family: None }
    }
}

/// Returns the store files of a family, a region, a table, a snapshot, a namespace or a root directory, in
/// the order of tables, regions, families and of the files in a family, oldest first. Any other target is one
/// file. Their cells are to be read: warns if logs of servers may have more.
pub(crate) fn find(
    path: &Path,
    kind: Option<Kind>,
    reading: &FileArgs,
    out: &Output,
) -> Result<Vec<StoreFile>, Failure> {
    let kind = target::kind_of(path, kind)?;
    let regions = of_kind(path, kind, reading, (out, &out.warner_of_reads()))?.into_iter();
    Ok(regions.flat_map(|region| region.families).flat_map(|family| family.files).collect())
}

/// Like [`find`], with the regions and families that have no files, and without a warning.
pub(crate) fn by_region(
    path: &Path,
    kind: Option<Kind>,
    reading: &FileArgs,
    out: &Output,
) -> Result<Vec<RegionFiles>, Failure> {
    of_kind(path, target::kind_of(path, kind)?, reading, (out, &out.warner()))
}

fn of_kind(
    path: &Path,
    kind: Kind,
    reading: &FileArgs,
    (out, warner): (&Output, &Warner),
) -> Result<Vec<RegionFiles>, Failure> {
    let options = || reading.region_options(out);
    let alone = |paths: Vec<PathBuf>| {
        let files = paths.into_iter().map(StoreFile::alone).collect();
        vec![RegionFiles { region: None, families: vec![FamilyFiles { family: None, files }] }]
    };
    match kind {
        Kind::Hfile => Ok(alone(vec![path.to_owned()])),
        Kind::Wal => {
            let error = CommandError::unsupported(path, "write-ahead logs, expected files of cells");
            Err(error.with_hint(hint_of(Kind::Wal)).into())
        }
        Kind::Family => match family_of_region(path)? {
            Some((region, name)) => {
                let name = name.as_encoded_bytes();
                let mut regions = of_regions(&region, Kind::Region, options()?, warner)?;
                for region in &mut regions {
                    region.families.retain(|family| family.family.as_deref() == Some(name));
                }
                Ok(regions)
            }
            None => Ok(alone(files_in(path)?)),
        },
        kind @ (Kind::Region | Kind::Table | Kind::Snapshot) => of_regions(path, kind, options()?, warner),
        kind @ (Kind::Namespace | Kind::Root) => {
            let options = options()?;
            if kind == Kind::Root {
                warner.warn_of_old_tables(path);
            }
            let tables = tables_below(path, kind)?.into_iter();
            let regions = tables.map(|table| of_regions(&table, Kind::Table, options.clone(), warner));
            Ok(regions.collect::<Result<Vec<_>, _>>()?.concat())
        }
    }
}

/// Returns the MOB files (IS_MOB) of a table, a snapshot, a namespace or a root directory, as files of the
/// artificial region that HBase uses for the MOB files of each table. The links of a clone are followed.
/// Other targets have none.
pub(crate) fn mob_regions(
    path: &Path,
    kind: Option<Kind>,
    reading: &FileArgs,
    out: &Output,
) -> Result<Vec<RegionFiles>, Failure> {
    let options = || reading.region_options(out);
    let tables = match target::kind_of(path, kind)? {
        Kind::Snapshot => vec![open_snapshot(path, options()?)?],
        kind @ (Kind::Table | Kind::Namespace | Kind::Root) => {
            let dirs = tables_below(path, kind)?.into_iter();
            let tables = dirs.map(|dir| Ok::<_, Failure>(Table::open_dir(dir, options()?)?));
            tables.collect::<Result<_, Failure>>()?
        }
        _ => Vec::new(),
    };
    let mut regions = Vec::new();
    for table in tables {
        let mut families: BTreeMap<String, Vec<StoreFile>> = BTreeMap::new();
        let region = RegionInfo::new(table.name().clone(), ".mob", "", 0)?;
        for MobFile { family, path, .. } in table.mob_files()? {
            let file = StoreFile { path, family: Some(family.clone().into_bytes()) };
            families.entry(family).or_default().push(file);
        }
        if families.is_empty() {
            continue;
        }
        let families = families.into_iter();
        let families = families
            .map(|(family, files)| FamilyFiles { family: Some(family.into_bytes()), files })
            .collect();
        regions.push(RegionFiles { region: Some(region), families });
    }
    Ok(regions)
}

/// Returns the files of the regions that serve reads.
fn of_regions(
    dir: &Path,
    kind: Kind,
    options: RegionOptions,
    warner: &Warner,
) -> Result<Vec<RegionFiles>, Failure> {
    list_again(|| {
        let regions = Regions::find(dir, Some(kind), options.clone())?;
        let places = regions.regions_and_holes(|_, _| true).into_iter();
        places.map(|place| Ok(of_region(&place.open(warner)?)?)).collect()
    })
}

fn of_region(region: &Region) -> Result<RegionFiles, CommandError> {
    let mut families = Vec::new();
    for family in region.families() {
        let mut files = Vec::new();
        // a legal name is text
        let dir = region.path().join(&*String::from_utf8_lossy(family.name()));
        let names = region.store_file_names(family.name()).unwrap_or_default().into_iter();
        for (name, hfile) in names.zip(region.hfile_paths(family.name()).unwrap_or_default()) {
            let path = place_of(dir.join(name), hfile)?;
            files.push(StoreFile { path, family: Some(family.name().to_vec()) });
        }
        families.push(FamilyFiles { family: Some(family.name().to_vec()), files });
    }
    Ok(RegionFiles { region: Some(region.info().clone()), families })
}

/// Whether a file of a family has a name that HBase gives to HFiles there. Regions skip all others, except
/// references and links.
pub(crate) fn has_store_file_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (digits, suffix) = name.split_at(name.find('_').unwrap_or(name.len()));
    let is_hex = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    // a MOB file has the name of the region that wrote it
    let is_region = suffix.len() == 33 && suffix.bytes().skip(1).all(is_hex);
    let is_known = suffix.is_empty() || suffix == "_del" || suffix.starts_with("_SeqId_") || is_region;
    !digits.is_empty() && digits.bytes().all(is_hex) && is_known
}

/// Whether a file outside of any region is named as HBase names new store files: 32 hexadecimal digits.
pub(crate) fn begins_as_store_file_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.get(..32).is_some_and(|name| name.iter().all(u8::is_ascii_hexdigit))
}

/// Returns the location of a file of a family, from its path there and its HFile. It is elsewhere if a
/// snapshot has it and the region no longer does: in the archive, or at the target of a link.
pub(crate) fn place_of(path: PathBuf, hfile: PathBuf) -> Result<PathBuf, CommandError> {
    if probe::is_file(&path)? {
        return Ok(path);
    }
    // the name of a reference ends with that of the other region
    if !path.file_name().unwrap_or_default().as_encoded_bytes().contains(&b'.') {
        return Ok(hfile);
    }
    if let Some(archived) = in_archive(&path)? {
        return Ok(archived);
    }
    Err(CommandError::unsupported(&path, "a reference that only the manifest of the snapshot has")
        .with_hint(Some("`hregion scan --raw --versions all` prints the cells of the snapshot")))
}
