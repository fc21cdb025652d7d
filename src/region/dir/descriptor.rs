//! The descriptor of a table beside its regions (HBase: `FSTableDescriptors`).
#![warn(clippy::indexing_slicing)]

use super::list_if_there;
use crate::error::{Corruption, Result};
use crate::io::{Storage, read_file};
use crate::schema::{RegionInfo, TableDescriptor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What people write into a descriptor is not more.
const DESCRIPTOR_BYTES: u64 = 64 << 20;

/// The descriptor with the greatest number that is whole, as far as its name tells its length.
pub(super) fn read_descriptor(
    storage: &Arc<dyn Storage>,
    table: &Path,
    info: &RegionInfo,
) -> Result<Option<TableDescriptor>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    let mut torn = None;
    // before 0.96 it lay in the table's directory
    for dir in [table.join(".tabledesc"), table.to_owned()] {
        for entry in list_if_there(&**storage, &dir)? {
            let Some((number, len)) = descriptor_number(&entry.name).filter(|_| !entry.is_dir) else {
                continue;
            };
            let path = dir.join(&entry.name);
            if len.is_some_and(|len| len != entry.len) {
                torn = Some(path);
            } else if newest.as_ref().is_none_or(|(n, _)| *n < number) {
                newest = Some((number, path));
            }
        }
        if newest.is_some() {
            break;
        }
    }
    let Some((_, path)) = newest else {
        return match torn {
            None => Ok(None),
            Some(path) => {
                let corruption =
                    Corruption::Malformed("table descriptor of another length than its name says");
                Err(corruption.at(&path, 0))
            }
        };
    };
    let bytes = read_file(&**storage, &path, DESCRIPTOR_BYTES)?;
    let at = |corruption: Corruption| corruption.at(&path, 0);
    let descriptor = TableDescriptor::parse_file(&bytes).map_err(at)?;
    if descriptor.table() != info.table() {
        return Err(at(Corruption::Malformed("the table descriptor is that of another table")));
    }
    Ok(Some(descriptor))
}

/// The number in the name of a descriptor, `.tableinfo[.<number>[.<length>]]`, and the length.
fn descriptor_number(name: &str) -> Option<(u64, Option<u64>)> {
    let Some(rest) = name.strip_prefix(".tableinfo")?.strip_prefix('.') else {
        return (name == ".tableinfo").then_some((0, None));
    };
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|c| c.is_ascii_digit()));
    match rest.split_once('.') {
        None => Some((number(rest)?, None)),
        Some((digits, len)) => Some((number(digits)?, Some(number(len)?))),
    }
}
