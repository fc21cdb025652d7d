//! The common part of `flush` and `compact`: opens a region, or all regions of a table, changes it, and
//! prints the number of files of each family.

use crate::directories::{hint_of, kind_of};
use crate::failure::{CommandError, Exit, Failure, lacks_settings};
use crate::output::Output;
use crate::regions::{Regions, check_serves};
use crate::target::Kind;
use crate::vfs::check_writable;
use hregion::cell::StringBinary;
use hregion::{Region, RegionOptions, Table};
use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::Path;

/// Changes the region at a directory, or each region of a table, and then the table. The failure of one does
/// not stop the others, nor does output that cannot be written; the first failure is returned, later ones are
/// printed.
pub(crate) fn run(
    dir: &Path,
    options: RegionOptions,
    out: &mut Output,
    change: impl Fn(&Region) -> hregion::Result<()>,
    then: impl FnOnce(&Table, &Output) -> hregion::Result<()>,
) -> Result<Exit, Failure> {
    check_writable(dir)?;
    let kind = check_kind(dir)?;
    if kind == Kind::Region {
        check_serves(dir)?;
    }
    // A compaction in the background could take files that `change` compacts again.
    let options = options.writable(true).compaction_enabled(false);
    let regions = Regions::find(dir, Some(kind), options)?;
    let mut first = Ok(());
    for place in regions.regions_and_holes(|_, _| true) {
        let changed = place.open(&out.warner()).and_then(|region| {
            let before = store_files(&region);
            change(&region)?;
            Ok((region, before))
        });
        let done = match changed {
            Ok((region, before)) => {
                let printed = print(&region, before, kind == Kind::Table, out);
                // fails if replaced files are left
                let closed = region.close().map_err(Failure::from);
                match printed {
                    // all regions are changed, though nothing reads the output
                    Err(Failure::ClosedPipe) => closed,
                    printed => printed.and(closed),
                }
            }
            Err(error) => Err(error.into()),
        };
        first = keep_first(first, done, out);
    }
    if let Regions::Of(table) = &regions {
        let done = then(table, out).map_err(Failure::from);
        first = keep_first(first, done, out);
    }
    first?;
    Ok(Exit::Done)
}

/// Returns the first failure of two, and prints the other one, if it differs.
pub(crate) fn keep_first(
    first: Result<(), Failure>,
    next: Result<(), Failure>,
    out: &Output,
) -> Result<(), Failure> {
    if let (Err(Failure::Fault(earlier)), Err(Failure::Fault(later))) = (&first, &next)
        && earlier.line() != later.line()
    {
        out.print_error(later);
    }
    first.and(next)
}

/// Returns whether a directory is a region's or a table's. Fails for any other directory.
pub(crate) fn check_kind(dir: &Path) -> Result<Kind, CommandError> {
    match kind_of(dir, None)? {
        kind @ (Kind::Region | Kind::Table) => Ok(kind),
        kind => {
            let message = "expected the directory of a region or of a table";
            Err(CommandError::invalid_file(dir, message).with_hint(hint_of(kind)))
        }
    }
}

/// Fails if a region that a dry run has opened could not be opened for writing, because the settings of its
/// families are unknown.
pub(crate) fn check_known(region: &Region) -> Result<(), CommandError> {
    match region.warnings().iter().find(|warning| lacks_settings(warning)) {
        Some(unknown) => Err(unknown.into()),
        None => Ok(()),
    }
}

/// Prints the number of files of each family, before and now.
fn print(
    region: &Region,
    before: Vec<(String, usize)>,
    with_region: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let encoded = region.info().encoded_name();
    for ((family, before), (_, files)) in before.into_iter().zip(store_files(region)) {
        if out.is_json() {
            let mut line = Map::new();
            if with_region {
                line.insert("region".into(), Value::from(encoded.as_str()));
            }
            line.insert("family".into(), family.into());
            line.insert("files_before".into(), before.into());
            line.insert("files".into(), files.into());
            out.json_line(&Value::from(line))?;
        } else {
            let of = if with_region { format!("{encoded} ") } else { String::new() };
            writeln!(out, "{of}{family}: files {files}, before {before}")?;
        }
    }
    Ok(())
}

fn store_files(region: &Region) -> Vec<(String, usize)> {
    let files = |name: &[u8]| region.store_file_count(name).unwrap_or(0);
    region.families().map(|family| (StringBinary(family.name()).to_string(), files(family.name()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{Family, Put};

    #[test]
    fn a_region_is_not_compacted_while_it_is_changed() {
        let (dir, family) = (tempfile::tempdir().unwrap(), Family::new("f"));
        let options = || Region::options().create_if_missing(true).compaction_enabled(false);
        let region = options().family(family).open(dir.path()).unwrap();
        for _ in 0..3 {
            region.put(Put::new("r").cell("f", "q", "v")).unwrap();
            region.flush().unwrap();
        }
        region.close().unwrap();
        let change = |region: &Region| {
            assert_eq!((region.store_file_count("f"), region.health().compactions_pending), (Some(3), 0));
            Ok(())
        };
        run(dir.path(), Region::options(), &mut Output::new(true, true), change, |_, _| Ok(())).unwrap();
    }
}
