//! Exports to files of record batches: Parquet, Arrow, and CSV of typed columns.

use super::{Args, Form, ScanEnd, ServedEnd, Take, check_directory, export_parts, finish};
use crate::batch_export::{self, BatchExport, PartFormat};
use crate::export_dir::ExportDir;
use crate::export_manifest::MANIFEST;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::probe;
use crate::query_args::RowArgs;
use crate::source::{Draws, InputSource, SourcePart};
use crate::text;
use crate::vfs;
use hregion::RegionInfo;
use hregion_arrow::files::FileFormat;
use serde_json::{Map, json};
use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;

/// Returns the export to files of record batches, if that is the format.
pub(super) fn of_args(args: &Args) -> Result<Option<BatchExport>, Failure> {
    let is_typed = args.batches.has_mapping() || args.cells.typed_columns().is_some();
    let format = match args.to {
        Form::Parquet => PartFormat::Batches(FileFormat::Parquet),
        Form::Arrow => PartFormat::Batches(FileFormat::Arrow),
        Form::Csv if is_typed => PartFormat::Csv { is_packed: args.gzip },
        Form::Jsonl | Form::Csv if args.check || args.batches.is_given() => {
            let message = "--check, --mapping, --invalid-as-null and --row-group-bytes are for parquet and \
                           arrow, and for csv with typed columns";
            return Err(CommandError::usage(message).into());
        }
        Form::Jsonl
            if args.cells.typed_columns().is_some_and(|columns| batch_export::are_typed(&columns)) =>
        {
            // as qualifiers, they would select nothing
            let message = "--columns: types are only allowed for parquet, arrow and csv";
            return Err(CommandError::usage(message).into());
        }
        Form::Jsonl | Form::Csv => return Ok(None),
    };
    if args.gzip && matches!(format, PartFormat::Batches(_)) {
        return Err(CommandError::usage("--gzip: not allowed for parquet and arrow").into());
    }
    let (source, range) = (text::path(&args.target.target), format!("{:?}", args.range));
    let export = BatchExport::new(format, &args.batches, &args.cells, &source, &range)?;
    Ok(Some(if args.reading.ignores_checksums() { export.without_checksums() } else { export }))
}

/// Writes files of record batches. Those that an export of the same rows has completed are kept, and its time
/// is that of all.
pub(super) fn export(args: &Args, mut export: BatchExport, out: &mut Output) -> Result<Exit, Failure> {
    check_directory(args)?;
    if !args.server.is_given() {
        let partial = ExportDir::partial(&args.out)?;
        // Files next to a complete export at a URL are not continued.
        let is_continued =
            !args.force || !vfs::is_url(&args.out) || !probe::is_file(&args.out.join(MANIFEST))?;
        let earlier = if is_continued { export.time_of_partial(&partial)? } else { None };
        let hint = "omit --now to use the same time, or remove the directory to start over";
        export = export.at_time_of(&partial, earlier).map_err(|refused| refused.with_hint(Some(hint)))?;
        if let Some(earlier) = earlier {
            out.summary(&format!("continuing an export with cells as of {earlier}"));
        }
    }
    let rows = RowArgs::from(args.range.clone());
    // Files of a running cluster's regions are never kept; locally, the next attempt replaces them.
    let is_kept = !args.server.is_given() || !vfs::is_url(&args.out);
    let open = |path: &Path| match is_kept {
        true => ExportDir::resume(path, args.force),
        false => ExportDir::create(path, args.force),
    };
    let (dir, files) = export_parts(args, &rows, &export.cells, open, out, |info, region, dir, scan| {
        export.export(info, region, dir, scan)
    })?;
    let mut members = Map::from_iter([("request".to_owned(), export.request().clone())]);
    members.extend(export.now().map(|now| (batch_export::NOW.to_owned(), now.into())));
    finish(dir, &files, members, args, out)
}

/// Compares files of record batches with the source. Prints those that differ.
pub(super) fn check(args: &Args, mut export: BatchExport, out: &mut Output) -> Result<Exit, Failure> {
    let manifest = batch_export::Manifest::read(&args.out, &export)?;
    if !args.server.is_given() {
        export = export.at_time_of(&args.out, manifest.now())?;
    }
    let (rows, cells) = (RowArgs::from(args.range.clone()), &export.cells);
    let mut found = Vec::new();
    let take = |compared: Result<_, Failure>| {
        found.push(compared?);
        Ok(())
    };
    if let Some(table) = args.server.table(&args.target, cells, Some(&args.reading))? {
        let end = ServedEnd::find(&table, &rows, cells)?;
        let compare = |region: &RegionInfo| {
            let scan = |take: Take<'_>| end.scan(&table, region, (&rows, cells), take);
            export.compare(&manifest, Some(region), &args.out, scan)
        };
        args.jobs.in_order(&table.regions(&rows)?, compare, take)?;
    } else {
        let draws = Draws { prints: false, all: true };
        let source = InputSource::open(&args.target, &args.reading, cells, Some(draws), out)?;
        let end = ScanEnd::of(cells);
        let compare = |part: &SourcePart<'_>| {
            let opened = part.open()?;
            let info = matches!(part, SourcePart::Closed(..)).then_some(&opened.info);
            let is_scanned = Cell::new(false);
            let scan = |take: Take<'_>| {
                is_scanned.set(true);
                end.scan(|| source.scan_part(&opened, &rows, cells, take))
            };
            let compared = export.compare(&manifest, info, &args.out, scan)?;
            if end.is_possible && !is_scanned.get() {
                // The file is damaged or not listed, but the rows decide whether later regions have any.
                end.scan(|| source.scan_part(&opened, &rows, cells, |_| Ok(())))?;
            }
            Ok::<_, Failure>(compared)
        };
        end.jobs(args.jobs).in_order(&source.parts_of(&rows), compare, take)?;
    }
    let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let unlisted = manifest.unlisted(&args.out)?;
    let unlisted = unlisted.into_iter().map(|name| (name, "the manifest does not list it".to_owned()));
    let gone =
        manifest.others(&names).into_iter().map(|name| (name, "the source has no such region".to_owned()));
    let wrong = found.into_iter().filter_map(|(name, wrong)| Some((name, wrong?)));
    let wrong: Vec<_> = wrong.chain(gone).chain(unlisted).collect();
    let exit = if wrong.is_empty() { Exit::Done } else { Exit::No };
    out.found(exit);
    for (name, message) in &wrong {
        if out.is_json() {
            out.json_line(&json!({ "file": name, "message": message }))?;
        } else {
            writeln!(out, "{}: {}", text::printable(name), text::printable(message))?;
        }
    }
    out.summary(&format!("files {}, different {}", names.len(), wrong.len()));
    Ok(exit)
}
