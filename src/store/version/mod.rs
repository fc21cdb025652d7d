//! The contents of a store at one moment: segments and files, replaced as a whole (HBase: `StoreFileManager`,
//! `MemStore`).

pub(in crate::store) mod file;
mod open_files;

pub(crate) use file::{SeqIds, StoreFile, StoreFileUse};
pub(crate) use open_files::{OpenedFiles, open_files};

use crate::block::bloom::HashedRow;
use crate::cache::CacheFill;
use crate::cell::CellOrder;
use crate::memstore::Segment;
use crate::metrics::ReadCounts;
use crate::op::Query;
use crate::schema::{BloomType, Family};
use crate::store::matcher::ScanInfo;
use crate::store::read::key_value_scanner::KeyValueScanner;
use crate::store::read::reversed_heap::ReversedScanner;
use bytes::Bytes;
use file::{Match, compare_by_seq_id};
use std::sync::Arc;

/// The cells of a store: each is in one segment or file. A flush or compaction makes a new state; readers of
/// an old one keep using it.
#[derive(Clone, Debug)]
pub(crate) struct StoreVersion {
    pub(crate) family: Bytes,
    pub(crate) order: CellOrder,
    /// Whether the family's files have a row-and-column Bloom filter.
    pub(crate) has_column_bloom: bool,
    pub(super) has_bloom: bool,
    new_version_behavior: bool,
    /// Whether scans of columns delay seeks until the cells are needed.
    pub(crate) lazy_seek: bool,
    /// Whether any file has tags.
    files_have_tags: bool,
    file_times: FileTimes,
    /// The segment that is written to.
    pub(crate) active: Arc<Segment>,
    /// Segments that are no longer written to, from the oldest to the newest: a flat one, and those to be
    /// merged into it (HBase: `CompactionPipeline`).
    pub(crate) pipeline: Vec<Arc<Segment>>,
    /// Segments to be flushed to a file, from the oldest to the newest.
    pub(crate) frozen: Vec<Arc<Segment>>,
    /// In the order of read-path.md §6.2, oldest first.
    pub(crate) files: Vec<StoreFile>,
}

impl StoreVersion {
    /// Creates a state of files in the order of read-path.md §6.2, oldest first.
    pub(crate) fn new(family: &Family, order: CellOrder, files: Vec<StoreFile>) -> Self {
        Self {
            files_have_tags: have_tags(&files),
            file_times: FileTimes::of(&files),
            family: family.name.clone(),
            order,
            has_column_bloom: family.bloom == Some(BloomType::RowCol),
            has_bloom: family.bloom.is_some(),
            new_version_behavior: family.new_version_behavior,
            lazy_seek: true,
            active: Arc::new(Segment::new(order)),
            pipeline: Vec::new(),
            frozen: Vec::new(),
            files,
        }
    }

    /// Returns the state with the segments of the pipeline and the active one, unless it is empty, moved to
    /// the frozen ones.
    pub(crate) fn freeze(&self) -> Self {
        let mut next = self.with_active_in_pipeline();
        next.frozen.append(&mut next.pipeline);
        next
    }

    /// Returns the state with the active segment, unless it is empty, moved to the pipeline.
    pub(crate) fn with_active_in_pipeline(&self) -> Self {
        let mut next = self.clone();
        // Failed writes leave a segment without cells that uses memory.
        if next.active.memory() > 0 {
            let active = std::mem::replace(&mut next.active, Arc::new(Segment::new(self.order)));
            next.pipeline.extend(Some(active).filter(|segment| !segment.is_empty()));
        }
        next
    }

    /// Returns the state with the segments of the pipeline replaced by a flat one. Unchanged if the pipeline
    /// has other segments by now.
    pub(crate) fn flushed_in_memory(&self, segments: &[Arc<Segment>], flat: Segment) -> Self {
        let mut next = self.clone();
        if next.pipeline.iter().map(Arc::as_ptr).eq(segments.iter().map(Arc::as_ptr)) {
            next.pipeline = vec![Arc::new(flat)];
        }
        next
    }

    /// Returns the state with the frozen segments replaced by a flat one.
    pub(crate) fn with_frozen_merged(&self, flat: Segment) -> Self {
        Self { frozen: vec![Arc::new(flat)], ..self.clone() }
    }

    /// Whether the active segment has this many bytes, or a share of the pipeline's if that is more, because
    /// a merge takes time in proportion to all cells. False for far larger segments, which a replay leaves:
    /// flattening them would delay a writer for too long. 0 for never.
    #[inline]
    pub(crate) fn is_in_memory_flush_due(&self, size: u64) -> bool {
        let active = self.active.memory();
        active >= size && size > 0 && {
            let flat: u64 = self.pipeline.iter().map(|segment| segment.memory()).sum();
            let size = size.max(flat / 16);
            (size..=size.saturating_mul(8)).contains(&active)
        }
    }

    /// Returns the segments, from the oldest to the newest.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.frozen.iter().chain(&self.pipeline).chain([&self.active])
    }

    /// Returns the state with segments replaced by files, if any.
    pub(crate) fn flushed(
        &self,
        segments: &[Arc<Segment>],
        files: impl IntoIterator<Item = StoreFile>,
    ) -> Self {
        let mut next = self.clone();
        next.frozen.retain(|frozen| !segments.iter().any(|flushed| Arc::ptr_eq(frozen, flushed)));
        next.files.extend(files);
        next.with_files_in_order()
    }

    /// Returns the state with files replaced by others.
    pub(crate) fn compacted(&self, inputs: &[StoreFile], outputs: Vec<StoreFile>) -> Self {
        let mut next = self.clone();
        next.files.retain(|file| !inputs.iter().any(|input| input.name() == file.name()));
        next.files.extend(outputs);
        next.with_files_in_order()
    }

    fn with_files_in_order(mut self) -> Self {
        self.files.sort_by(compare_by_seq_id);
        self.files_have_tags = have_tags(&self.files);
        self.file_times = FileTimes::of(&self.files);
        self
    }

    /// Whether any cell may have tags. Of the cells in memory, this covers those visible at a read point
    /// taken before the call.
    #[inline]
    pub(crate) fn may_have_tags(&self) -> bool {
        self.files_have_tags || self.segments().any(|segment| segment.has_tags())
    }

    /// Whether a segment or file has a later timestamp than all older ones, as far as is cheap to see.
    #[inline]
    pub(super) fn has_later_times(&self) -> bool {
        let is_later = |segment: &Arc<Segment>| segment.time_range().1 > self.file_times.newest;
        self.file_times.rise || self.segments().any(is_later)
    }

    /// Returns the bytes of cells in memory.
    pub(crate) fn memstore_size(&self) -> u64 {
        self.segments().map(|segment| segment.data_size()).sum()
    }

    /// Whether no cells are in memory.
    pub(crate) fn has_no_memory(&self) -> bool {
        self.memstore_size() == 0
    }

    /// Returns the bytes used by cells in memory, including their index.
    pub(crate) fn memory(&self) -> u64 {
        self.segments().map(|segment| segment.memory()).sum()
    }

    /// Returns the segments and files that a query may read. Checks the files' Bloom filters if `filtered`.
    #[inline]
    pub(super) fn sources<'s>(
        &'s self,
        query: &Query<'_>,
        info: &ScanInfo,
        filtered: bool,
        counts: &mut ReadCounts,
    ) -> Sources<'s> {
        let cutoff = info.cutoff(query.raw);
        let mut sources = Sources::default();
        counts.files_considered += self.files.len() as u64;
        for file in &self.files {
            match file.may_match(query, cutoff, self.new_version_behavior, filtered && self.has_bloom) {
                Match::Yes => sources.files.push(file),
                Match::NotByTime => counts.files_skipped_by_time += 1,
                Match::NotByKey => counts.files_skipped_by_key += 1,
                Match::NotByBloom => counts.files_skipped_by_bloom += 1,
            }
        }
        for segment in self.segments() {
            if self.segment_may_match(segment, query, cutoff) {
                sources.segments.push(segment);
            }
        }
        sources
    }

    /// Whether a query may read a file, or the check that excludes it.
    pub(super) fn match_of(&self, file: &StoreFile, query: &Query<'_>, info: &ScanInfo) -> Match {
        file.may_match(query, info.cutoff(query.raw), self.new_version_behavior, self.has_bloom)
    }

    /// Returns the only file that a get may read, as far as is known without its Bloom filter. `None` if
    /// there are several candidates, or none.
    #[inline]
    pub(super) fn only_file(&self, query: &Query<'_>, info: &ScanInfo) -> Option<&StoreFile> {
        let [file] = self.files.as_slice() else { return None };
        let cutoff = info.cutoff(query.raw);
        let may_match = |segment: &Arc<Segment>| self.segment_may_match(segment, query, cutoff);
        let alone = !self.segments().any(may_match);
        (alone && file.may_match(query, cutoff, self.new_version_behavior, false) == Match::Yes)
            .then_some(file)
    }

    /// Drops the files whose Bloom filters exclude a query. Returns their number.
    pub(super) fn filter(
        &self,
        sources: &mut Sources<'_>,
        query: &Query<'_>,
        counts: &mut ReadCounts,
    ) -> usize {
        if !self.has_bloom {
            return 0;
        }
        let mut row = HashedRow::new(query.start);
        let before = sources.files.len();
        sources.files.retain(|file| file.passes_filter(query, &mut row));
        let ruled_out = before - sources.files.len();
        counts.files_skipped_by_bloom += ruled_out as u64;
        ruled_out
    }

    #[inline]
    fn segment_may_match(&self, segment: &Segment, query: &Query<'_>, cutoff: i64) -> bool {
        if segment.is_empty() || query.get_like && !segment.may_contain_row(query.start) {
            return false;
        }
        let (min, max) = segment.time_range();
        let range = query.time_range;
        let in_time =
            if self.new_version_behavior { range.contains_or_before(max) } else { range.overlaps(min, max) };
        in_time && max >= cutoff
    }
}

/// The segments and files that a query may read, each from the oldest to the newest.
#[derive(Debug, Default)]
pub(super) struct Sources<'s> {
    pub(super) files: InlineVec<&'s StoreFile>,
    pub(super) segments: InlineVec<&'s Arc<Segment>>,
}

/// The greatest timestamps of files.
#[derive(Clone, Copy, Debug)]
struct FileTimes {
    /// The greatest of all files; `i64::MAX` if it is unknown.
    newest: i64,
    /// Whether a file has a greater timestamp than all older ones.
    rise: bool,
}

impl FileTimes {
    fn of(files: &[StoreFile]) -> Self {
        let mut times = Self { newest: i64::MIN, rise: false };
        for (at, file) in files.iter().enumerate() {
            let newest = file.newest_time();
            times.rise |= at > 0 && newest > times.newest;
            times.newest = times.newest.max(newest);
        }
        times
    }
}

/// Whether cells of files may have tags.
pub(crate) fn have_tags(files: &[StoreFile]) -> bool {
    files.iter().any(|file| file.hfile().has_tags())
}

impl<'s> Sources<'s> {
    /// Returns the number of sources.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.files.len() + self.segments.len()
    }

    /// Returns the file, if it is the only source.
    #[inline]
    pub(super) fn only_file(&self) -> Option<&'s StoreFile> {
        if self.len() == 1 { self.files.iter().next() } else { None }
    }

    /// Creates scanners, from the oldest source to the newest, without a position.
    pub(super) fn scanners(&self, query: &Query<'_>) -> Vec<KeyValueScanner<'s>> {
        let non_null_column = query.columns.first().is_some_and(|first| !first.is_empty());
        let mut scanners = Vec::with_capacity(self.len());
        let fill = CacheFill::of_read(query.cache_blocks);
        scanners.extend(self.files.iter().map(|file| {
            let mut scanner = file.scanner(Some(query.read_point), non_null_column);
            scanner.set_cache_fill(fill);
            KeyValueScanner::File(scanner)
        }));
        let segments = self.segments.iter().map(|segment| segment.scanner(query.read_point));
        scanners.extend(segments.map(|scanner| {
            // One row is rarely long.
            KeyValueScanner::Segment(if query.get_like { scanner } else { scanner.reading_ahead() })
        }));
        scanners
    }

    /// Same as [`scanners`](Self::scanners), from row to row backward.
    pub(super) fn reversed_scanners(&self, query: &Query<'_>) -> Vec<ReversedScanner<'s>> {
        let mut scanners = Vec::with_capacity(self.len());
        let fill = CacheFill::of_read(query.cache_blocks);
        scanners.extend(self.files.iter().map(|file| {
            let mut scanner = file.reversed_scanner(query.read_point);
            scanner.set_cache_fill(fill);
            ReversedScanner::File(scanner)
        }));
        let segments = self.segments.iter().map(|segment| segment.reversed_scanner(query.read_point));
        scanners.extend(segments.map(ReversedScanner::Segment));
        scanners
    }
}

/// A list that allocates only if it is longer than [`NEAR`].
#[derive(Debug)]
pub(super) struct InlineVec<T> {
    near: [Option<T>; NEAR],
    len: usize,
    rest: Vec<T>,
}

/// Up to this many items are stored inline.
const NEAR: usize = 6;

impl<T: Copy> InlineVec<T> {
    #[inline]
    fn push(&mut self, item: T) {
        match self.near.get_mut(self.len) {
            Some(place) => *place = Some(item),
            None => self.rest.push(item),
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.near[..self.len.min(NEAR)].iter().flatten().chain(&self.rest).copied()
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<T> {
        match self.near.get(at) {
            Some(&item) => item,
            None => self.rest.get(at - NEAR).copied(),
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(T) -> bool) {
        if !self.rest.is_empty() {
            let all = std::mem::take(self);
            all.iter().filter(|&item| keep(item)).for_each(|item| self.push(item));
            return;
        }
        let mut kept = 0;
        for i in 0..self.len {
            if let Some(item) = self.near[i].filter(|&item| keep(item)) {
                self.near[kept] = Some(item);
                kept += 1;
            }
        }
        self.len = kept;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl<T> Default for InlineVec<T> {
    #[inline]
    fn default() -> Self {
        Self { near: [const { None }; NEAR], len: 0, rest: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellRef, CellType, SeekKey};

    /// Cells deleted in the meantime, which are in no file any more, would come back.
    #[test]
    fn segments_that_were_frozen_while_they_were_merged_do_not_come_back() {
        let state = StoreVersion::new(&Family::new("f"), CellOrder::User, Vec::new());
        let key = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
        state.active.insert(CellRef::new(&key, b"v").with_seq_id(1));
        let state = state.with_active_in_pipeline();
        let segments = state.pipeline.clone();
        let merge = || Segment::flat(&segments).unwrap();
        let merged = state.flushed_in_memory(&segments, merge());
        assert!(matches!(&*merged.pipeline, [only] if only.is_flat()));
        let frozen = state.freeze();
        for later in [frozen.flushed(&frozen.frozen, None), frozen] {
            let count = later.frozen.len();
            let later = later.flushed_in_memory(&segments, merge());
            assert_eq!((later.pipeline.len(), later.frozen.len()), (0, count));
        }
    }
}
