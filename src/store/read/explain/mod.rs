//! Explains which cells of a store a read returns or a compaction keeps: every stored cell, with the rule
//! that decides on it.
//!
//! The matcher and the loop over a row are those of reads ([`RowMatch`]); but no source is left out, nothing
//! is skipped by a seek, and the matcher names the rule that decided. The effect of a filter or a limit is
//! determined by comparison with the cells that the read itself has returned.

mod column;
mod markers;
mod reason;
mod returned;
mod verdict;

pub use reason::{CellReason, FileReason};
pub(crate) use returned::ReturnedCells;

use super::heap::{KeyValueHeap, SeekMode};
use super::key_value_scanner::KeyValueScanner;
use super::merging_iterator::MergingIterator;
use super::reversed_heap::{ReversedKeyValueHeap, ReversedScanner};
use super::row_match::{RowEvaluator, RowMatch, StopReason, StoreLimit};
use crate::cache::CacheFill;
use crate::cell::{CellOrder, CellRef, SeekKey, check_row_len};
use crate::error::{Corruption, Error, Result};
use crate::op::Query;
use crate::store::matcher::{CompactionKind, Decision, FilteredCode, MatchError, ScanInfo, ScanQueryMatcher};
use crate::store::version::{StoreFile, StoreVersion};
use std::cell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use verdict::Verdicts;

/// A stored cell, and the rule that keeps or hides it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ExplainedCell<'a> {
    /// The cell as it is stored.
    pub cell: CellRef<'a>,
    /// The file it is in; `None` for the MemStore.
    pub path: Option<&'a Path>,
    /// The reason that it is returned or hidden.
    pub reason: CellReason,
    /// The cell that hides it: the marker, or the newest version of its column that hides it. `None` if no
    /// single cell does.
    pub by: Option<CellRef<'a>>,
}

/// A file of the store, and the reason that a read uses it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedFile {
    /// The path of the HFile.
    pub path: PathBuf,
    /// The reason that it is read or skipped.
    pub reason: FileReason,
}

/// Reads all cells of a store, row by row, with the reason of each.
pub(crate) struct StoreExplainer<'s> {
    heap: MergingIterator<'s>,
    /// The files of the heap; its other sources are in memory.
    files: Vec<&'s Path>,
    order: CellOrder,
    /// If there is none, the reason of all cells.
    matcher: Result<ScanQueryMatcher<'s>, CellReason>,
    key: SeekKey,
    row: Vec<u8>,
    verdicts: Verdicts,
}

/// Receives cells and their reasons.
pub(crate) type TakeExplained<'t> = dyn FnMut(ExplainedCell<'_>) -> ControlFlow<()> + 't;

impl<'s> StoreExplainer<'s> {
    /// Creates an explainer of a query of a state. If the family is not `wanted`, it reads nothing.
    pub(crate) fn new(
        state: &'s StoreVersion,
        query: &Query<'s>,
        info: &ScanInfo,
        wanted: bool,
    ) -> Result<Self> {
        check_row_len(query.start)?;
        let matcher = match wanted {
            true => Ok(ScanQueryMatcher::for_user(query, &state.family, info, state.order)?),
            false => Err(CellReason::Family),
        };
        let heap = if query.reversed {
            let files = state.files.iter().map(|file| {
                let mut scanner = file.reversed_scanner(i64::MAX);
                scanner.set_cache_fill(CacheFill::Nothing);
                ReversedScanner::File(scanner)
            });
            let segments = state.segments().map(|segment| segment.reversed_scanner(i64::MAX));
            let scanners = files.chain(segments.map(ReversedScanner::Segment)).collect();
            let mut heap = ReversedKeyValueHeap::new(scanners, state.order, true);
            heap.seek(query.start, query.include_start)?;
            MergingIterator::Reversed(Box::new(heap))
        } else {
            let segments = state.segments().map(|segment| segment.scanner(i64::MAX));
            let scanners = state.files.iter().map(file_scanner).chain(segments.map(KeyValueScanner::Segment));
            forward_heap(scanners.collect(), state.order, query.start, query.include_start)?
        };
        let files = state.files.iter().map(StoreFile::path).collect();
        Ok(Self::of(heap, files, state.order, matcher, Verdicts::of_query(query)))
    }

    /// Creates an explainer of a compaction of files.
    pub(crate) fn for_compaction(
        files: &[&'s StoreFile],
        order: CellOrder,
        kind: CompactionKind,
        family: &'s [u8],
        info: &ScanInfo,
        max_read_point: i64,
    ) -> Result<Self> {
        let matcher = ScanQueryMatcher::for_compaction(kind, family, info, max_read_point);
        let scanners = files.iter().map(|file| file_scanner(file)).collect();
        let heap = forward_heap(scanners, order, &[], true)?;
        let files = files.iter().map(|file| file.path()).collect();
        Ok(Self::of(heap, files, order, Ok(matcher), Verdicts::of_compaction()))
    }

    /// Creates an explainer of files that a compaction drops because all their cells have expired.
    pub(crate) fn of_expired(files: &[&'s StoreFile], order: CellOrder) -> Result<Self> {
        let scanners = files.iter().map(|file| file_scanner(file)).collect();
        let heap = forward_heap(scanners, order, &[], true)?;
        let files = files.iter().map(|file| file.path()).collect();
        Ok(Self::of(heap, files, order, Err(CellReason::Ttl), Verdicts::of_compaction()))
    }

    fn of(
        heap: MergingIterator<'s>,
        files: Vec<&'s Path>,
        order: CellOrder,
        matcher: Result<ScanQueryMatcher<'s>, CellReason>,
        verdicts: Verdicts,
    ) -> Self {
        Self { heap, files, order, matcher, key: SeekKey::new(), row: Vec::new(), verdicts }
    }

    /// Returns the current row, or `None` at the end.
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        self.heap.peek_row()
    }

    /// Passes all cells to `take`, each with its reason, until it breaks. For explainers of compactions.
    pub(crate) fn explain(mut self, take: &mut TakeExplained<'_>) -> Result<ControlFlow<()>> {
        while self.peek_row().is_some() {
            if self.explain_row(None, take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Passes the cells of the current row to `take`, each with its reason, and moves past the row.
    /// `returned` has the cells that the read returns; `None` if the matcher alone decides, as in a
    /// compaction.
    ///
    /// # Errors
    ///
    /// If the read has returned a cell that the rules exclude, or the reverse: it has left out a file because
    /// of a wrong Bloom filter or range in it.
    pub(crate) fn explain_row(
        &mut self,
        mut returned: Option<&mut ReturnedCells<'_>>,
        take: &mut TakeExplained<'_>,
    ) -> Result<ControlFlow<()>> {
        let Self { heap, files, order, matcher, key, row, verdicts } = self;
        let Some(first) = heap.peek_row() else { return Ok(ControlFlow::Continue(())) };
        row.clear();
        row.extend_from_slice(first);
        verdicts.begin_row();
        let decision = cell::Cell::new(None);
        let mut matched = matcher.as_mut().map(|matcher| {
            matcher.set_to_new_row(row);
            let no_limit = StoreLimit { limit: None, offset: 0 };
            let evaluator = Explaining { decision: &decision };
            let go_on = |_: CellRef<'_>| Ok(ControlFlow::Continue(()));
            // Without seeks: every cell is visited.
            RowMatch::new(*order, matcher, key, no_limit, usize::MAX, evaluator, go_on)
        });
        let mut row_done = false;
        while let Some(cell) = heap.peek().filter(|cell| cell.row() == row.as_slice()) {
            let path = files.get(heap.source_of_top()).copied();
            let (reason, by) = match &mut matched {
                Err(reason) => (**reason, None),
                Ok(_) if !verdicts.shows(cell) => (CellReason::NotYetVisible, None),
                Ok(matched) => {
                    decision.set(None);
                    if !row_done {
                        match matched.visit(cell) {
                            ControlFlow::Continue(()) => {}
                            ControlFlow::Break(StopReason::Fault) => {
                                return Err(error_of(matched.fault.take(), heap.path_of_top()));
                            }
                            ControlFlow::Break(_) => row_done = true,
                        }
                    }
                    let returned = returned.as_deref_mut();
                    let verdict = verdicts.of(cell, decision.get(), matched.matcher, returned);
                    verdict.map_err(|contradiction| contradiction.at(heap.path_of_top(), 0))?
                }
            };
            if take(ExplainedCell { cell, path, reason, by }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            heap.advance()?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl StoreVersion {
    /// Returns the files, and which of them a query reads. If the family is not `wanted`, it reads none.
    pub(crate) fn explain_files(
        &self,
        query: &Query<'_>,
        info: &ScanInfo,
        wanted: bool,
    ) -> Vec<ExplainedFile> {
        let cutoff = info.cutoff(query.raw);
        let reason = |file: &StoreFile| match wanted {
            true => FileReason::of(self.match_of(file, query, info), file.is_older_than(cutoff)),
            false => FileReason::Family,
        };
        let explain = |file: &StoreFile| ExplainedFile { path: file.path().to_owned(), reason: reason(file) };
        self.files.iter().map(explain).collect()
    }
}

/// Evaluates as the matcher does, and keeps its decision.
struct Explaining<'d> {
    decision: &'d cell::Cell<Option<Decision>>,
}

impl RowEvaluator for Explaining<'_> {
    fn evaluate(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        _: &mut SeekKey,
    ) -> Result<FilteredCode, MatchError> {
        let decision = matcher.explain_in_row(cell)?;
        self.decision.set(Some(decision));
        Ok(decision.code.into())
    }

    fn evaluate_single_cell(
        &mut self,
        _: &ScanQueryMatcher<'_>,
        _: CellRef<'_>,
        _: &mut SeekKey,
    ) -> Option<Result<FilteredCode, MatchError>> {
        None
    }

    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c> {
        cell
    }

    fn may_pause(&self) -> bool {
        false
    }

    fn pauses(&self) -> bool {
        false
    }
}

fn file_scanner(file: &StoreFile) -> KeyValueScanner<'_> {
    let mut scanner = file.full_scanner();
    scanner.set_cache_fill(CacheFill::Nothing);
    KeyValueScanner::File(scanner)
}

/// Merges scanners from a row on.
fn forward_heap<'s>(
    scanners: Vec<KeyValueScanner<'s>>,
    order: CellOrder,
    start: &[u8],
    include_start: bool,
) -> Result<MergingIterator<'s>> {
    let mut heap = KeyValueHeap::new(scanners, order, true);
    let mut key = SeekKey::new();
    if include_start {
        key.set_first_on_row(start);
    } else {
        key.set_last_on_row(start);
    }
    heap.seek(&key, SeekMode::Real)?;
    Ok(MergingIterator::Forward(heap))
}

#[cold]
fn error_of(fault: Option<MatchError>, path: &Path) -> Error {
    match fault {
        Some(MatchError::Failed(error)) => error,
        Some(MatchError::Disorder(disorder)) => Corruption::from(disorder).at(path, 0),
        None => Corruption::Malformed("invalid cells").at(path, 0),
    }
}
