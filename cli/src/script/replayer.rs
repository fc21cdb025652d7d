//! Plays a script on a dedicated region.

use super::bulk_load::BulkFile;
use super::check::Check;
use super::error_map::{Request, ScriptError};
use super::explained;
use super::family::{Create, FamilySettings};
use super::mutation::RowMutations;
use super::operation::{Chosen, Line, Operation};
use super::overrides::Override;
use super::query::{Parsed as Makes, ScanOf};
use super::response::Response;
use crate::failure::CommandError;
use crate::scratch_dir::ScratchDir;
use hregion::{
    BlockCache, Clock, Compaction, Durability, ErrorKind, Get, ManualClock, MemoryLimit, Mutation, Put,
    ReadView, Region, RegionScanner, ResultScanner, Row, RowBuf, Scan,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A region, its clock, and the open scanners.
#[derive(Debug)]
pub(crate) struct Replayer {
    dir: PathBuf,
    overrides: Vec<Override>,
    cache: BlockCache,
    clock: Arc<ManualClock>,
    /// Whether each get and scan is also explained, and the explanation compared with the answer.
    explains: bool,
    /// `None` until the region is created.
    stage: Option<Stage>,
    /// Has the region, unless that is kept. Dropped after the region, which flushes when it is dropped.
    _scratch: Option<ScratchDir>,
}

/// The state of a created region.
#[derive(Debug)]
struct Stage {
    create: Create,
    region: Region,
    scanners: HashMap<String, OpenScanner>,
}

/// A scanner of a script. As in HBase, it keeps its read point until it is closed, also after its last row.
#[derive(Debug)]
struct OpenScanner {
    _view: ReadView,
    results: ResultScanner,
}

/// The reason that playing stopped: an error in the script, or a failure.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The operation is invalid at this point.
    Script(String),
    Failed(hregion::Error),
}

impl From<hregion::Error> for Stop {
    fn from(error: hregion::Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) type PlayResult = Result<Response, Stop>;

const CACHE: u64 = 64 << 20;

impl Replayer {
    /// Plays on a region in `dir`, which is kept, or in a temporary directory, which is removed afterwards.
    pub(crate) fn new(dir: Option<&Path>, overrides: Vec<Override>) -> Result<Self, CommandError> {
        let (dir, scratch) = match dir {
            Some(dir) => (dir.to_owned(), None),
            None => {
                let scratch = ScratchDir::create()?;
                (scratch.path().join("region"), Some(scratch))
            }
        };
        Ok(Self {
            dir,
            overrides,
            _scratch: scratch,
            cache: BlockCache::with_capacity(CACHE),
            clock: Arc::new(ManualClock::new(0)),
            explains: false,
            stage: None,
        })
    }

    /// Explains each get and scan, and fails if the cells of the explanation are not those of the answer.
    pub(crate) fn explaining(mut self, explains: bool) -> Self {
        self.explains = explains;
        self
    }

    /// Executes an operation and appends the line of its answer, if there is one.
    pub(crate) fn play(&mut self, line: Line, out: &mut Vec<u8>) -> Result<(), Stop> {
        let answer = match line.operation {
            Operation::Create(create) => self.create(create)?,
            operation => self.operate(operation)?,
        };
        answer.put(out, line.id);
        Ok(())
    }

    fn create(&mut self, mut create: Create) -> PlayResult {
        if self.stage.is_some() {
            return Err(Stop::Script("create: the region is created already".into()));
        }
        self.clock.set(create.now);
        create.families = create.families.into_iter().map(|family| family.with(&self.overrides)).collect();
        let region = self.open(&create)?;
        self.stage = Some(Stage { create, region, scanners: HashMap::new() });
        Ok(Response::None)
    }

    fn open(&self, create: &Create) -> hregion::Result<Region> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let mut options = Region::options()
            .writable(true)
            .create_if_missing(true)
            .durability(Durability::SyncWal)
            // Nothing is flushed or compacted by itself (replay.md §5).
            .memstore_flush_size(u64::MAX)
            .memory_limit(&MemoryLimit::new(u64::MAX))
            .compaction_enabled(false)
            .cache(&self.cache)
            .clock(clock)
            .key_range(create.start_key.clone(), create.end_key.clone());
        if let Some(table) = &create.table {
            options = options.table(table);
        }
        for family in &create.families {
            options = options.family(family.family());
        }
        options.open(&self.dir)
    }

    fn operate(&mut self, operation: Operation) -> PlayResult {
        let Some(stage) = &mut self.stage else {
            return Err(Stop::Script("expected a region to be created first".into()));
        };
        match operation {
            Operation::Create(_) => Err(Stop::Script("create: not here".into())),
            Operation::Clock(now) => {
                self.clock.set(now);
                Ok(Response::None)
            }
            Operation::Put(put) => write(put, |put| stage.put(put)),
            Operation::Delete(delete) => write(delete, |delete| stage.region.delete(delete)),
            Operation::Change(change) => {
                modify(change, |change| stage.mutate_row(change).map(Response::Cells))
            }
            Operation::MutateRow(row) => modify(row, |row| {
                let cells = stage.mutate_row(row)?;
                Ok(if cells.is_empty() { Response::None } else { Response::Cells(cells) })
            }),
            Operation::Batch(Ok(mutations)) => stage.batch(mutations),
            Operation::Batch(Err(refusal)) => Ok(Response::Refused(refusal)),
            Operation::Check(check) => modify(check, |check| stage.check_and_mutate(check)),
            Operation::Flush(families) => done(stage.flush(families), Request::Upkeep),
            Operation::Compact(families, chosen) => done(stage.compact(families, chosen), Request::Upkeep),
            Operation::BulkLoad(files) => stage.bulk_load(&files, self.clock.now()),
            Operation::Files => Ok(stage.files()),
            Operation::Reopen => self.reopen(|region| region.close()),
            Operation::Crash => self.reopen(|region| region.abort()),
            Operation::Get(get) => {
                if let (true, Ok(get)) = (self.explains, &get) {
                    explained::check_get(&stage.region, get)?;
                }
                ask(get, |get: Get| stage.region.get(&get).map(Response::Cells))
            }
            Operation::Exists(get) => ask(get, |get: Get| stage.region.exists(&get).map(Response::Exists)),
            Operation::Scan(scan) => {
                if let (true, Ok(ScanOf { scan, .. })) = (self.explains, &scan) {
                    explained::check_scan(&stage.region, scan)?;
                }
                ask_scan(scan, |scan| stage.scan(&scan))
            }
            Operation::OpenScanner(name, scan) => stage.open_scanner(name, scan),
            Operation::Next(name, rows) => stage.next(&name, rows),
            Operation::CloseScanner(name) => {
                stage.scanners.remove(&name);
                Ok(Response::None)
            }
        }
    }

    /// Closes the region, which is kept.
    ///
    /// # Errors
    ///
    /// If its memory cannot be flushed; if replaced files are left.
    pub(crate) fn close(&mut self) -> hregion::Result<()> {
        let Some(Stage { region, scanners, .. }) = self.stage.take() else { return Ok(()) };
        // a scanner keeps its region open
        drop(scanners);
        region.close()
    }

    /// Ends the region by `end`, and opens it again.
    fn reopen(&mut self, end: impl FnOnce(&Region) -> hregion::Result<()>) -> PlayResult {
        let Some(Stage { create, region, scanners }) = self.stage.take() else { return Ok(Response::None) };
        // a scanner keeps its region open
        drop(scanners);
        end(&region)?;
        drop(region);
        let region = self.open(&create)?;
        self.stage = Some(Stage { create, region, scanners: HashMap::new() });
        Ok(Response::None)
    }
}

impl Stage {
    fn flush(&self, families: Option<Vec<Vec<u8>>>) -> hregion::Result<()> {
        match families {
            // As in HBase, which then returns before it looks for the families.
            Some(_) if self.region.memstore_size() == 0 => Ok(()),
            Some(families) => self.region.flush_families(&families),
            None => self.region.flush(),
        }
    }

    fn compact(&self, families: Option<Vec<Vec<u8>>>, chosen: Chosen) -> hregion::Result<()> {
        let all = || self.create.families.iter().map(|family| family.name.clone()).collect();
        let families = families.unwrap_or_else(all);
        match chosen {
            Chosen::All => {
                families.iter().try_for_each(|family| self.region.compact_family(family, Compaction::Major))
            }
            Chosen::Some { from, count } => {
                families.iter().try_for_each(|family| self.region.compact_files(family, from, count))
            }
        }
    }

    /// Writes a put. A region of HBase takes one without cells, too, and writes nothing.
    fn put(&self, put: Put) -> hregion::Result<()> {
        let is_without_cells = has_no_cells(&put);
        match self.region.put(put) {
            Err(error) if is_without_cells && error.kind() == ErrorKind::InvalidArgument => Ok(()),
            written => written,
        }
    }

    /// Writes mutations of a row. Returns the cells that they return.
    fn mutate_row(&self, RowMutations { row, mutations }: RowMutations) -> hregion::Result<Row> {
        // As in HBase, which then returns before it looks for the row.
        if mutations.is_empty() {
            return Ok(no_cells());
        }
        let writing: Vec<Mutation> = mutations.into_iter().flatten().collect();
        if writing.is_empty() {
            // only checks the row
            return self.region.exists(&Get::new(row)).map(|_| no_cells());
        }
        self.region.mutate_row(row, writing)
    }

    fn check_and_mutate(&self, Check { check, family, writes }: Check) -> hregion::Result<Response> {
        let is_known = family.is_none_or(|family| self.family(&family).is_some());
        match self.region.check_and_mutate(check) {
            // The condition holds, and nothing is to be written.
            Err(error) if !writes && is_known && error.kind() == ErrorKind::NoSuchFamily => {
                Ok(Response::Checked(true, no_cells()))
            }
            checked => checked.map(|checked| Response::Checked(checked.success, checked.cells)),
        }
    }

    fn family(&self, name: &[u8]) -> Option<&FamilySettings> {
        self.create.families.iter().find(|family| family.name == name)
    }

    fn batch(&self, mutations: Vec<Mutation>) -> PlayResult {
        let is_without_cells =
            |mutation: &Mutation| matches!(mutation, Mutation::Put(put) if has_no_cells(put));
        let without_cells: Vec<bool> = mutations.iter().map(is_without_cells).collect();
        let status = |(result, is_without_cells): (hregion::Result<()>, bool)| {
            match result.map_err(|error| (error.kind(), error)) {
                Ok(()) => Ok("SUCCESS"),
                Err((ErrorKind::NoSuchFamily, _)) => Ok("BAD_FAMILY"),
                Err((ErrorKind::WrongRegion, _)) => Ok("SANITY_CHECK_FAILURE"),
                // as for a put alone
                Err((ErrorKind::InvalidArgument, _)) if is_without_cells => Ok("SUCCESS"),
                Err((ErrorKind::InvalidArgument, _)) => Ok("FAILURE"),
                Err((_, error)) => Err(Stop::Failed(error)),
            }
        };
        let statuses = self.region.batch(mutations).into_iter().zip(without_cells).map(status);
        statuses.collect::<Result<_, _>>().map(Response::Status)
    }

    fn bulk_load(&self, files: &[BulkFile], now: i64) -> PlayResult {
        // As in HBase, a load without files flushes. The first file that is of a missing family, or has no
        // cells, is refused.
        if files.is_empty() {
            return done(self.region.flush(), Request::Upkeep);
        }
        let mut loads = Vec::with_capacity(files.len());
        for file in files {
            match self.family(&file.family) {
                None => return Ok(Response::Refused(ScriptError::DoNotRetryIo)),
                Some(_) if file.is_empty() => return Ok(Response::Refused(ScriptError::IllegalState)),
                Some(family) => loads.push((file, family)),
            }
        }
        match self.load_files(&loads, now) {
            // HBase only returns which files have rows outside of the region, and loads none of them.
            Err(error) if error.kind() == ErrorKind::WrongRegion => Ok(Response::None),
            loaded => done(loaded, Request::Upkeep),
        }
    }

    /// Writes files, and loads them. The load moves them, so they must be in the region's file system.
    fn load_files(&self, files: &[(&BulkFile, &FamilySettings)], now: i64) -> hregion::Result<()> {
        let scratch = ScratchDir::create_in(&self.region.path().join(".tmp"))?;
        let write = |(file, family): &(&BulkFile, &FamilySettings)| {
            Ok((file.family.clone(), file.write(scratch.path(), family, now)?))
        };
        let written = files.iter().map(write).collect::<hregion::Result<Vec<_>>>()?;
        self.region.bulk_load(&written)
    }

    fn files(&self) -> Response {
        let count = |family: &FamilySettings| {
            (family.name.clone(), self.region.store_file_count(&family.name).unwrap_or(0))
        };
        Response::Files(self.create.families.iter().map(count).collect())
    }

    fn scan(&self, scan: &Scan) -> hregion::Result<hregion::Result<Response>> {
        let view = self.region.view();
        let scanner = view.scan(scan)?;
        Ok(read_all(scanner))
    }

    fn open_scanner(&mut self, name: String, scan: Makes<ScanOf>) -> PlayResult {
        self.scanners.remove(&name);
        let Self { region, scanners, .. } = self;
        ask_scan(scan, |scan| {
            let scanner = OpenScanner { _view: region.view(), results: region.scan(scan)? };
            scanners.insert(name, scanner);
            Ok(Ok(Response::None))
        })
    }

    fn next(&mut self, name: &str, rows: Option<usize>) -> PlayResult {
        let Some(scanner) = self.scanners.get_mut(name) else {
            return Ok(Response::Refused(ScriptError::IllegalState));
        };
        let found = scanner.results.next_results(Some(rows.unwrap_or(usize::MAX)));
        answer(
            found.map(|found| Response::Rows { rows: found.results, more: Some(found.more) }),
            Request::Read,
        )
    }
}

fn no_cells() -> Row {
    RowBuf::new().freeze()
}

fn has_no_cells(put: &Put) -> bool {
    put.cells().next().is_none()
}

/// An operation without an answer, unless it was refused.
pub(super) fn done(done: hregion::Result<()>, asked: Request) -> PlayResult {
    answer(done.map(|()| Response::None), asked)
}

fn answer(answer: hregion::Result<Response>, asked: Request) -> PlayResult {
    answer.or_else(|error| Ok(Response::Refused(asked.script_error(error)?)))
}

/// Executes a read, unless HBase's client would refuse to build it.
pub(super) fn ask<T>(read: Makes<T>, ask: impl FnOnce(T) -> hregion::Result<Response>) -> PlayResult {
    made(read, Request::Read, ask)
}

/// Executes a put or a delete, unless HBase's client would refuse to build it.
pub(super) fn write<T>(write: Makes<T>, write_it: impl FnOnce(T) -> hregion::Result<()>) -> PlayResult {
    made(write, Request::Write, |write| write_it(write).map(|()| Response::None))
}

/// Executes a write that depends on its row, unless HBase's client would refuse to build it.
pub(super) fn modify<T>(
    write: Makes<T>,
    write_it: impl FnOnce(T) -> hregion::Result<Response>,
) -> PlayResult {
    made(write, Request::Modify, write_it)
}

fn made<T>(
    operation: Makes<T>,
    asked: Request,
    run: impl FnOnce(T) -> hregion::Result<Response>,
) -> PlayResult {
    match operation {
        Ok(operation) => answer(run(operation), asked),
        Err(refusal) => Ok(Response::Refused(refusal)),
    }
}

/// Executes a scan, unless HBase's client would refuse to build it. `ask` opens the scanner, and then returns
/// what it has read.
pub(super) fn ask_scan(
    scan: Makes<ScanOf>,
    ask: impl FnOnce(Scan) -> hregion::Result<hregion::Result<Response>>,
) -> PlayResult {
    match scan {
        Ok(ScanOf { scan, has_own_error }) => match ask(scan) {
            Ok(read) => answer(read, Request::Read),
            Err(error) => answer(Err(error), if has_own_error { Request::OddScan } else { Request::Read }),
        },
        Err(refusal) => Ok(Response::Refused(refusal)),
    }
}

fn read_all(mut scanner: RegionScanner<'_>) -> hregion::Result<Response> {
    let mut rows = Vec::new();
    let mut more = true;
    while more {
        let found = scanner.next_results(None)?;
        rows.extend(found.results);
        more = found.more;
    }
    Ok(Response::Rows { rows, more: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays lines, and returns the answers.
    fn played(lines: &[&str]) -> String {
        let mut player = Replayer::new(None, Vec::new()).unwrap();
        let mut answers = Vec::new();
        for line in lines {
            player.play(Line::parse(line.as_bytes()).unwrap(), &mut answers).unwrap();
        }
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn mutations_without_cells_write_nothing() {
        let answers = played(&[
            r#"{"id":1,"op":"create","now":1000,"end_key":"s","families":[{"name":"f"}]}"#,
            r#"{"id":2,"op":"put","row":"r","cells":[]}"#,
            r#"{"id":3,"op":"put","row":"t","cells":[]}"#,
            r#"{"id":4,"op":"batch","mutations":[{"op":"put","row":"r","cells":[]},
                {"op":"put","row":"t","cells":[]},{"op":"put","row":"r","cells":[["f","q",1,"v"]]}]}"#,
            r#"{"id":5,"op":"mutate_row","row":"r","mutations":[{"op":"put","cells":[]}]}"#,
            r#"{"id":6,"op":"mutate_row","row":"t","mutations":[{"op":"put","cells":[]}]}"#,
            r#"{"id":7,"op":"mutate_row","row":"r","mutations":[{"op":"append","cells":[]},
                {"op":"append","cells":[["f","q","w"]]}]}"#,
            r#"{"id":8,"op":"check_and_mutate","row":"r","family":"f","qualifier":"q","compare":"=",
                "value":"vw","mutations":[{"op":"put","cells":[]},{"op":"put","cells":[["f","q",1,"x"]]}]}"#,
            r#"{"id":9,"op":"increment","row":"r","cells":[]}"#,
            r#"{"id":10,"op":"append","row":"r","return":false}"#,
            r#"{"id":11,"op":"append","row":"t","cells":[]}"#,
            r#"{"id":12,"op":"mutate_row","row":"t","mutations":[]}"#,
            r#"{"id":13,"op":"put","row":"r"}"#,
        ]);
        let expected = r#"{"id":3,"error":"FailedSanityCheckException"}
{"id":4,"result":{"status":["SUCCESS","SANITY_CHECK_FAILURE","SUCCESS"]}}
{"id":6,"error":"WrongRegionException"}
{"id":7,"result":{"cells":[["f","q",1000,"Put","vw"]]}}
{"id":8,"result":{"success":true}}
{"id":9,"result":{"cells":[]}}
{"id":10,"result":{"cells":[]}}
{"id":11,"error":"WrongRegionException"}
"#;
        assert_eq!(answers, expected);
    }

    #[test]
    fn conditions_are_checked_if_mutations_write_nothing() {
        let check = |id: u8, row: &str, condition: &str, mutations: &str| {
            format!(
                r#"{{"id":{id},"op":"check_and_mutate","row":"{row}",{condition},"mutations":{mutations}}}"#
            )
        };
        let column = |family: &str, value: &str| {
            format!(r#""family":"{family}","qualifier":"q","compare":"=","value":"{value}""#)
        };
        let (put, two) =
            (r#"[{"op":"put","cells":[]}]"#, r#"[{"op":"append","cells":[]},{"op":"increment"}]"#);
        let long = r#""filter":{"value":{"op":"=","cmp":{"long":1}}}"#;
        let lines = [
            r#"{"id":1,"op":"create","now":9,"end_key":"s","families":[{"name":"f"}]}"#.to_owned(),
            r#"{"id":2,"op":"put","row":"r","cells":[["f","q",1,"v"]]}"#.to_owned(),
            check(3, "r", &column("f", "v"), put),
            check(4, "r", &column("f", "w"), two),
            check(5, "r", r#""filter":"KeyOnlyFilter()""#, two),
            check(6, "a", r#""filter":"KeyOnlyFilter()""#, put),
            check(7, "r", long, put),
            check(8, "t", &column("z", "v"), put),
            check(9, "t", &column("f", "v"), put),
            r#"{"id":10,"op":"scan"}"#.to_owned(),
        ];
        let expected = r#"{"id":3,"result":{"success":true}}
{"id":4,"result":{"success":false}}
{"id":5,"result":{"success":true}}
{"id":6,"result":{"success":false}}
{"id":7,"error":"IllegalArgumentException"}
{"id":8,"error":"NoSuchColumnFamilyException"}
{"id":9,"error":"WrongRegionException"}
{"id":10,"result":{"rows":[{"row":"r","cells":[["f","q",1,"Put","v"]]}]}}
"#;
        assert_eq!(played(&lines.each_ref().map(String::as_str)), expected);
    }

    #[test]
    fn patterns_that_take_too_many_steps_end_only_their_operation() {
        let put = format!(r#"{{"id":2,"op":"put","row":"r","cells":[["f","q",1,"{}"]]}}"#, "a".repeat(100));
        let answers = played(&[
            r#"{"id":1,"op":"create","now":9,"families":[{"name":"f"}]}"#,
            &put,
            r#"{"id":3,"op":"get","row":"r",
                "filter":{"value":{"op":"=","cmp":"regexstring:^(?=a)(a|aa)+\\1$b"}}}"#,
            r#"{"id":4,"op":"get","row":"r","existence_only":true}"#,
        ]);
        let expected = r#"{"id":3,"error":"Unsupported"}
{"id":4,"result":{"exists":true}}
"#;
        assert_eq!(answers, expected);
    }

    #[test]
    fn files_with_rows_outside_of_the_region_are_not_loaded() {
        let answers = played(&[
            r#"{"id":1,"op":"create","now":1000,"end_key":"s","families":[{"name":"f"},{"name":"g"}]}"#,
            r#"{"id":2,"op":"put","row":"a","cells":[["f","q",1,"v"]]}"#,
            r#"{"id":3,"op":"bulkload","files":[{"family":"f","cells":[["r","q",1,"Put","v"]]},
                {"family":"g","cells":[["r","q",1,"Put","v"],["t","q",1,"Put","v"]]}]}"#,
            r#"{"id":4,"op":"files"}"#,
            r#"{"id":5,"op":"bulkload","files":[{"family":"f","cells":[["t","q",1,"Put","v"]]},
                {"family":"z","cells":[["r","q",1,"Put","v"]]},{"family":"g","cells":[]}]}"#,
            r#"{"id":6,"op":"bulkload","files":[{"family":"f","cells":[["t","q",1,"Put","v"]]},
                {"family":"g","cells":[]},{"family":"z","cells":[["r","q",1,"Put","v"]]}]}"#,
        ]);
        let expected = r#"{"id":4,"result":{"files":{"f":0,"g":0}}}
{"id":5,"error":"DoNotRetryIOException"}
{"id":6,"error":"IllegalStateException"}
"#;
        assert_eq!(answers, expected);
    }

    #[test]
    fn flushes_look_for_families_only_if_there_are_cells_in_memory() {
        let answers = played(&[
            r#"{"id":1,"op":"create","now":1000,"families":[{"name":"f"}]}"#,
            r#"{"id":2,"op":"flush","families":["z"]}"#,
            r#"{"id":3,"op":"put","row":"r","cells":[["f","q",1,"v"]]}"#,
            r#"{"id":4,"op":"flush","families":["z"]}"#,
        ]);
        assert_eq!(answers, "{\"id\":4,\"error\":\"NoSuchColumnFamilyException\"}\n");
    }

    #[test]
    fn nothing_is_flushed_or_compacted_by_itself() {
        let mut player = Replayer::new(None, Vec::new()).unwrap();
        let put = r#"{"id":2,"op":"put","row":"r","cells":[["f","q",1,"v"]]}"#;
        let flush = r#"{"id":3,"op":"flush"}"#;
        // As many files as a minor compaction takes, which is due some time after the region is opened.
        let lines = [
            r#"{"id":1,"op":"create","now":1000,"families":[{"name":"f"}]}"#,
            put,
            flush,
            put,
            flush,
            put,
            flush,
            r#"{"id":4,"op":"reopen"}"#,
        ];
        for line in lines {
            player.play(Line::parse(line.as_bytes()).unwrap(), &mut Vec::new()).unwrap();
        }
        let region = &player.stage.as_ref().unwrap().region;
        assert_eq!((region.store_file_count("f"), region.health().compactions_pending), (Some(3), 0));
        // A region is flushed at 128 MiB by default.
        for timestamp in 0..28 {
            let put = Put::new("r").cell_at("f", "q", timestamp, vec![0; 5 << 20]);
            region.put(put.durability(Durability::SkipWal)).unwrap();
        }
        assert!(region.memstore_size() > 128 << 20 && !region.health().flush_pending);
        region.abort().unwrap();
    }
}
