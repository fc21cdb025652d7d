//! The common part of `flush` and `compact`: opens a region, changes it, and prints the number of files of
//! each family.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::output::Output;
use crate::regions;
use crate::target::Kind;
use hregion::Region;
use hregion::cell::StringBinary;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

pub(crate) fn run(
    dir: &Path,
    reading: &FileArgs,
    families: &FamilyArgs,
    out: &mut Output,
    change: impl FnOnce(&Region) -> hregion::Result<()>,
) -> Result<Exit, Failure> {
    if regions::kind_of(dir, None)? != Kind::Region {
        return Err(
            CommandError::invalid_file(dir, "a table, expected the directory of one of its regions").into()
        );
    }
    let options = families.add_to(reading.region_options(out)?);
    let region = options.writable(true).open(dir)?;
    out.warner().warn_of(&region);
    let before = store_files(&region);
    change(&region)?;
    for ((family, before), (_, files)) in before.into_iter().zip(store_files(&region)) {
        if out.is_json() {
            out.json_line(&json!({ "family": family, "files_before": before, "files": files }))?;
        } else {
            writeln!(out, "{family}: files {files}, before {before}")?;
        }
    }
    Ok(Exit::Done)
}

fn store_files(region: &Region) -> Vec<(String, usize)> {
    let files = |name: &[u8]| region.store_file_count(name).unwrap_or(0);
    region.families().map(|family| (StringBinary(family.name()).to_string(), files(family.name()))).collect()
}
