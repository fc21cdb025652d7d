//! The contents of directories, without reading cells: regions, families, files.

use crate::args::FileArgs;
use crate::concurrent_changes::read_listed;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::sequence::Sequence;
use crate::store_files::{self, FamilyFiles, RegionFiles, StoreFile};
use crate::target::Kind;
use crate::text;
use clap::ValueEnum as _;
use hregion::cell::StringBinary;
use hregion::{HFileOptions, RegionInfo, RegionOptions};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

/// Prints a directory.
pub(crate) fn run(path: &Path, kind: Kind, reading: &FileArgs, out: &mut Output) -> Result<Exit, Failure> {
    let mut found = store_files::by_region(path, Some(kind), reading, out)?;
    found.extend(store_files::mob_regions(path, Some(kind), reading, out)?);
    let (options, regions) = (reading.options(out)?, reading.region_options(out)?);
    let mut list = Vec::new();
    for RegionFiles { region, families } in &found {
        let mut of_region = Vec::new();
        for FamilyFiles { family, files } in families {
            let files = files.iter().map(|file| measure(file, &options, &regions));
            let files = files.collect::<Result<Vec<Value>, Failure>>()?;
            of_region.push(json!({ "family": family.as_deref().map(shown), "files": files }));
        }
        list.push(region_json(region.as_ref(), of_region));
    }
    if !out.is_json() {
        list.iter().try_for_each(|region| print_region(region, out))?;
        return Ok(Exit::Done);
    }
    let kind = kind.to_possible_value().map(|kind| kind.get_name().to_owned());
    out.json_line(&json!({ "path": text::json_path(path), "kind": kind, "regions": list }))?;
    Ok(Exit::Done)
}

fn shown(bytes: &[u8]) -> String {
    StringBinary(bytes).to_string()
}

fn region_json(region: Option<&RegionInfo>, families: Vec<Value>) -> Value {
    json!({
        "table": region.map(|region| region.table().to_string()),
        "region": region.map(RegionInfo::encoded_name),
        "start": region.map(|region| shown(region.start_key())),
        "end": region.map(|region| shown(region.end_key())),
        "families": families,
    })
}

/// Returns the metadata of a file; for a reference or a link, those of its HFile. The sequence id is the one
/// by which readers of the table order the files.
fn measure(file: &StoreFile, options: &HFileOptions, regions: &RegionOptions) -> Result<Value, Failure> {
    read_listed(&file.path, |place| measure_at(place, file, options, regions))
}

/// Like [`measure`], of a file that is at `place` now.
fn measure_at(
    place: &Path,
    file: &StoreFile,
    options: &HFileOptions,
    regions: &RegionOptions,
) -> Result<Value, Failure> {
    let of = regions.hfile_of(place)?.filter(|path| path != place);
    let path = of.as_deref().unwrap_or(place);
    let hfile = options.open(path)?;
    let (info, has_cells) = (hfile.file_info(), hfile.entry_count() > 0);
    let times = info.time_range().map_err(|corruption| corruption.at(path, 0))?.filter(|_| has_cells);
    let sequence = Sequence::of(&hfile)?;
    let row = |key: Option<&hregion::CellKey>| key.filter(|_| has_cells).map(|key| shown(key.row()));
    Ok(json!({
        "path": text::json_path(&file.path),
        "of": of.as_deref().map(text::json_path),
        "bytes": hfile.file_len(),
        "cells": hfile.entry_count(),
        "sequence_id": sequence.of_file,
        "first": row(hfile.first_key()),
        "last": row(hfile.last_key()),
        "oldest": times.as_ref().map(|times| times.min),
        "newest": times.as_ref().map(|times| times.max),
    }))
}

/// Sums a member of files, whose values may be wrong.
fn sum_of(files: &[Value], name: &str) -> u64 {
    files.iter().filter_map(|file| file[name].as_u64()).fold(0, u64::saturating_add)
}

fn print_region(region: &Value, out: &mut Output) -> Result<(), Failure> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if region["region"].is_string() {
        let [table, name, start, end] = ["table", "region", "start", "end"].map(|name| text(&region[name]));
        writeln!(out, "{table} {name}  [{start}, {end})")?;
    }
    for family in list(&region["families"]) {
        let files = list(&family["files"]);
        let (name, bytes, cells) =
            (text(&family["family"]), sum_of(&files, "bytes"), sum_of(&files, "cells"));
        writeln!(out, "  {name}: files {}, bytes {bytes}, cells {cells}", files.len())?;
        for file in &files {
            let [path, first, last] = ["path", "first", "last"].map(|name| text(&file[name]));
            let number = |name: &str| match &file[name] {
                Value::Null => "-".to_owned(),
                number => number.to_string(),
            };
            let [bytes, cells, id, oldest, newest] =
                ["bytes", "cells", "sequence_id", "oldest", "newest"].map(number);
            writeln!(out, "    {}", text::printable(&path))?;
            write!(out, "      bytes {bytes}, cells {cells}, seqid {id}, rows {first} to {last}, ")?;
            writeln!(out, "timestamps {oldest} to {newest}")?;
            if let Some(of) = file["of"].as_str() {
                writeln!(out, "      of {}", text::printable(of))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_files_that_lie_do_not_overflow() {
        let files = [json!({ "cells": 1 }), json!({ "cells": u64::MAX }), json!({ "cells": null })];
        assert_eq!(sum_of(&files, "cells"), u64::MAX);
        assert_eq!(sum_of(&files[..1], "cells"), 1);
    }
}
