//! The tables named by the arguments, and the mappings of their columns.

use crate::Failure;
use hregion_arrow::{Invalid, Layout, Mapping};
use hregion_datafusion::{HregionTable, Target, read_mapping};
use std::collections::BTreeMap;
use std::path::Path;

/// The mappings read so far, by file: a pipe cannot be read again for another table.
#[derive(Default)]
pub(crate) struct Mappings(BTreeMap<String, Mapping>);

impl Mappings {
    fn of(&mut self, path: &str) -> Result<Mapping, Failure> {
        if let Some(mapping) = self.0.get(path) {
            return Ok(mapping.clone());
        }
        let mapping = read_mapping(Path::new(path))?;
        self.0.insert(path.to_owned(), mapping.clone());
        Ok(mapping)
    }
}

/// Opens a target as an SQL table.
pub(crate) fn open(
    target: &Target,
    map: Option<&str>,
    infer: Option<usize>,
    invalid_as_null: bool,
    mappings: &mut Mappings,
) -> Result<HregionTable, Failure> {
    let mapping = match (map, infer) {
        (Some(path), _) => Some(mappings.of(path)?),
        (None, Some(rows)) => Some(target.infer(rows)?),
        (None, None) => None,
    };
    let layout = match mapping {
        Some(mapping) if invalid_as_null => Layout::Columns(mapping.on_invalid(Invalid::Null)),
        Some(mapping) => Layout::Columns(mapping),
        None if invalid_as_null => return Err(Failure::usage("--invalid-as-null: needs typed columns")),
        None => Layout::Cells,
    };
    Ok(target.table(layout)?)
}

/// Returns the mapping file of each table.
pub(crate) fn maps<'a>(maps: &'a [String], names: &[&'a str]) -> Result<BTreeMap<&'a str, &'a str>, Failure> {
    let (mut found, mut of_all) = (BTreeMap::new(), None);
    for map in maps {
        // a name before the sign is a table's name, or else a part of the file's name
        let named = map.split_once('=').filter(|(name, _)| names.contains(name));
        let earlier = match named {
            Some((name, file)) => found.insert(name, file),
            None => of_all.replace(map.as_str()),
        };
        if earlier.is_some() {
            let what = named.map_or("all tables", |(name, _)| name);
            return Err(Failure::usage(format!("--map: two maps for {what}")));
        }
    }
    for name in names {
        if let Some(file) = of_all {
            found.entry(*name).or_insert(file);
        }
    }
    Ok(found)
}
