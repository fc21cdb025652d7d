//! External sorting: sorted runs in temporary files, merged a bounded number at a time.

mod chunk;
mod encrypted;
mod run;

use crate::cell_source::{CellSource, ListOffsets, ListedCells};
use crate::failure::CommandError;
use crate::merge::Merge;
use crate::new_file::directory;
use crate::output::Output;
use crate::progress::Progress;
use crate::vfs;
use chunk::Chunk;
use hregion::{CellOrder, CellRef};
use run::{Run, RunCells};
use std::path::{Path, PathBuf};

/// The memory for sorting.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Sorting")]
pub(crate) struct SortArgs {
    /// Memory for sorting, with suffix K, M or G; larger inputs use temporary files
    ///
    /// Temporary files are in $TMPDIR, if set, or next to the output if it is local.
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = crate::args::parse_bytes)]
    sort_memory: usize,
}

/// The maximum number of runs merged at once.
const FAN_IN: usize = 64;

/// Cells in order.
pub(crate) struct SortedCells<'p> {
    offsets: ListOffsets<'p>,
    cells: Sorted,
}

enum Sorted {
    /// All cells fit into memory.
    Memory(Chunk),
    Runs(Merge<RunCells>),
}

/// The parameters of sorting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sorting<'a> {
    pub(crate) order: CellOrder,
    /// Whether to sort.
    pub(crate) sort: bool,
    pub(crate) memory: &'a SortArgs,
    /// The output file.
    pub(crate) file: &'a Path,
    /// Whether the output is encrypted. If so, temporary files are encrypted, too.
    pub(crate) encrypted: bool,
}

/// Returns the cells of a list, in input order or sorted.
pub(crate) fn in_order<'p>(
    mut input: Box<dyn ListedCells<'p> + 'p>,
    sorting: Sorting<'_>,
    out: &mut Output,
) -> Result<Box<dyn CellSource + 'p>, CommandError> {
    match sorting.sort {
        true => Ok(Box::new(sort(&mut *input, sorting, out)?)),
        false => Ok(input),
    }
}

/// Returns the directory of temporary files, if none is given.
fn dir_of(output: &Path) -> PathBuf {
    if vfs::is_url(output) { std::env::temp_dir() } else { directory(output).to_owned() }
}

/// Sorts all cells of a list.
fn sort<'p>(
    input: &mut dyn ListedCells<'p>,
    sorting: Sorting<'_>,
    out: &mut Output,
) -> Result<SortedCells<'p>, CommandError> {
    let Sorting { order, memory, file, encrypted, .. } = sorting;
    let mut sorter = Sorter {
        order,
        dir: std::env::var_os("TMPDIR").map_or_else(|| dir_of(file), PathBuf::from),
        buffer: (memory.sort_memory / FAN_IN).clamp(4 << 10, 1 << 20),
        encrypted,
        levels: Vec::new(),
    };
    let mut chunk = Chunk::new(order);
    while let Some(cell) = input.peek() {
        if !chunk.is_empty() && chunk.bytes_with(&cell) > memory.sort_memory {
            sorter.push(&mut chunk)?;
        }
        chunk.push(&cell, input.line());
        input.advance()?;
    }
    let offsets = input.offsets();
    if sorter.levels.is_empty() {
        chunk.sort();
        return Ok(SortedCells { offsets, cells: Sorted::Memory(chunk) });
    }
    sorter.push(&mut chunk)?;
    drop(chunk);
    out.start_progress(sorter.bytes(), false);
    Ok(SortedCells { offsets, cells: Sorted::Runs(sorter.finish(out.progress())?) })
}

/// Collects runs.
struct Sorter {
    order: CellOrder,
    dir: PathBuf,
    /// The buffer size for reading or writing a run, in bytes.
    buffer: usize,
    encrypted: bool,
    /// Level 0 has runs of chunks; a run of each further level merges `FAN_IN` runs of the level below. Runs
    /// are in input order within each level, and from the last level to the first.
    levels: Vec<Vec<Run>>,
}

impl Sorter {
    /// Sorts the chunk and writes it to a file.
    fn push(&mut self, chunk: &mut Chunk) -> Result<(), CommandError> {
        chunk.sort();
        let run = Run::write(chunk, &self.dir, self.buffer, self.encrypted)?;
        chunk.clear();
        self.add(0, run)
    }

    /// Adds a run; `FAN_IN` runs of a level are merged into one of the next.
    fn add(&mut self, level: usize, run: Run) -> Result<(), CommandError> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(run);
        if self.levels[level].len() < FAN_IN {
            return Ok(());
        }
        let runs = std::mem::take(&mut self.levels[level]);
        let mut merged = self.merge(runs, &Progress::none())?;
        let run = Run::write(&mut merged, &self.dir, self.buffer, self.encrypted)?;
        self.add(level + 1, run)
    }

    fn merge(&self, runs: Vec<Run>, progress: &Progress) -> Result<Merge<RunCells>, CommandError> {
        let read = runs.into_iter().map(|run| run.read(self.buffer, progress));
        Ok(Merge::new(self.order, read.collect::<Result<_, CommandError>>()?))
    }

    fn bytes(&self) -> u64 {
        self.levels.iter().flatten().map(Run::bytes).sum()
    }

    /// Merges all runs, from the oldest to the newest.
    fn finish(mut self, progress: &Progress) -> Result<Merge<RunCells>, CommandError> {
        let runs = std::mem::take(&mut self.levels).into_iter().rev().flatten().collect();
        self.merge(runs, progress)
    }
}

impl SortedCells<'_> {
    /// Returns the line number of the current cell.
    fn line(&self) -> u64 {
        match &self.cells {
            Sorted::Memory(chunk) => chunk.line(),
            Sorted::Runs(runs) => runs.source().map_or(0, RunCells::line),
        }
    }
}

impl CellSource for SortedCells<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        match &self.cells {
            Sorted::Memory(chunk) => chunk.peek(),
            Sorted::Runs(runs) => runs.peek(),
        }
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        match &mut self.cells {
            Sorted::Memory(chunk) => chunk.advance(),
            Sorted::Runs(runs) => runs.advance(),
        }
    }

    fn locate_error(&self, error: hregion::Error) -> CommandError {
        self.offsets.locate(self.line(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell_json::CellParser;
    use crate::cell_source::JsonCells;
    use crate::merge::compare;
    use hregion::{Cell, CellType, Limits, SeekKey};
    use std::fmt::Write as _;

    #[test]
    fn sorting_on_disk_is_stable_over_all_levels() {
        let dir = tempfile::tempdir().unwrap();
        // few distinct keys, so that the order of equal cells shows; the value is the index of the line
        let (mut text, mut expected, mut state) = (String::new(), Vec::new(), 1_u64);
        for i in 0..9000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (row, seq_id) = (state >> 60, i64::try_from(state >> 40 & 3).unwrap());
            let key = format!(r#""row":"{row}","family":"f","qualifier":"","timestamp":1,"type":"Put""#);
            writeln!(text, r#"{{{key},"value":"{i}","sequence_id":{seq_id}}}"#).unwrap();
            let key = SeekKey::of(row.to_string().as_bytes(), b"f", b"", 1, CellType::Put);
            expected.push(Cell::from(CellRef::new(&key, i.to_string().as_bytes()).with_seq_id(seq_id)));
        }
        expected.sort_by(|a, b| compare(CellOrder::User, &a.as_ref(), &b.as_ref()));
        let list = dir.path().join("cells.jsonl");
        std::fs::write(&list, text).unwrap();
        // 1: each cell is a run, so that there are three levels
        for (sort_memory, encrypted) in [(1, false), (5000, false), (5000, true), (1 << 20, false)] {
            if encrypted && !cfg!(feature = "crypto") {
                continue;
            }
            let mut out = Output::new(false, true);
            let mut input = JsonCells::open(
                &list,
                CellParser::default(),
                CellOrder::User,
                &Limits::new(),
                out.progress(),
            )
            .unwrap();
            let memory = SortArgs { sort_memory };
            let sorting =
                Sorting { order: CellOrder::User, sort: true, memory: &memory, file: &list, encrypted };
            let mut sorted = sort(&mut input, sorting, &mut out).unwrap();
            for cell in &expected {
                assert_eq!(sorted.peek().map(Cell::from).as_ref(), Some(cell), "{sort_memory}");
                assert_eq!(sorted.line().to_string(), (1 + text_of(cell)).to_string());
                sorted.advance().unwrap();
            }
            assert!(sorted.peek().is_none());
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the list");
    }

    fn text_of(cell: &Cell) -> u64 {
        std::str::from_utf8(cell.as_ref().value()).unwrap().parse().unwrap()
    }
}
