//! A full check of a file that trusts none of its contents.
//!
//! A file describes itself redundantly: in its trailer, its file info, its indexes, its filters, and in the
//! blocks themselves. So first the metadata is read, each part as far as possible; then a walk goes from
//! block to block over all bytes and compares them with the metadata. The walk continues after damage. Totals
//! over all cells are compared only if all cells could be read, so that one fault is not reported as many.

mod cells;
pub(super) mod data;
pub(super) mod faults;
mod filters;
pub(super) mod index;
mod info;
pub(super) mod layout;
pub(super) mod load_on_open;
pub(super) mod references;
mod trailer;
pub(super) mod walk;

#[cfg(test)]
mod tests;

use self::cells::Tally;
use self::faults::Faults;
use self::filters::FilterCheck;
use self::index::{DataIndex, TreeReader};
use self::layout::Layout;
use self::load_on_open::LoadOnOpen;
use self::references::{BlockLocation, Reference, References};
use self::walk::{Walk, WalkStep};
use super::bloom::FilterKind;
use super::file_info::names;
use super::open::{
    block_context, data_format, index_context, parse_meta_index, read_trailer, unknown_comparator,
};
use super::options::HFileOptions;
use super::source::BlockSource;
use super::{FileInfo, Trailer};
use crate::block::BlockType;
use crate::block::data::DataFormat;
use crate::block::index::{IndexContext, SlotUse};
use crate::cell::CellOrder;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::FileReader;
use std::sync::Arc;

/// The result of a full check of a file: see [`HFileOptions::verify`](crate::HFileOptions::verify). HBase has
/// no such check.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The number of valid blocks.
    pub blocks: u64,
    /// The number of cells in them.
    pub cells: u64,
    /// The faults, in the order in which they were found; at most about 10,000.
    pub faults: Vec<Error>,
}

/// Checks a whole file. `progress` is called from time to time with the position of the walk and the length
/// of the file.
pub(super) fn verify(
    reader: Arc<dyn FileReader>,
    options: &HFileOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport> {
    let mut faults = Faults::new(reader.path());
    let (trailer, tail, _) = match read_trailer(&*reader) {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
        Err(error) => {
            faults.record(error)?;
            return Ok(VerifyReport { faults: faults.into_list(), ..VerifyReport::default() });
        }
    };
    let order = trailer.cell_order();
    trailer::check_alone(&trailer, &tail, &mut faults);
    if order.is_none() {
        faults.add(unknown_comparator(&trailer), trailer.offset(), None);
    }
    let at_trailer = |corruption: Corruption| corruption.at(reader.path(), trailer.offset());
    let context = match block_context(&trailer, options) {
        Ok(context) => context,
        // without the right key nothing else can be read
        Err(corruption) if corruption.kind() == ErrorKind::Unsupported => return Err(at_trailer(corruption)),
        Err(corruption) => {
            faults.record(at_trailer(corruption))?;
            return Ok(VerifyReport { faults: faults.into_list(), ..VerifyReport::default() });
        }
    };
    let source = BlockSource::new(reader, context, DataFormat::default(), 0);
    let mut verification = Verification {
        index_context: index_context(&trailer, order, source.context(), SlotUse::Unused),
        source: &source,
        trailer: &trailer,
        order,
        info: None,
        format: None,
        index: DataIndex::default(),
        references: References::default(),
        filters: Vec::new(),
        layout: Layout::default(),
        tally: Tally::default(),
        faults,
        decoded: Vec::new(),
    };
    verification.run(progress)?;
    Ok(VerifyReport {
        blocks: verification.layout.blocks,
        cells: verification.tally.cells,
        faults: verification.faults.into_list(),
    })
}

/// The state of a check.
struct Verification<'a> {
    source: &'a BlockSource,
    trailer: &'a Trailer,
    /// The order of the cells; `None` if it is unknown: the order is then not checked.
    order: Option<CellOrder>,
    index_context: IndexContext,
    /// The offset of the file info, and its contents.
    info: Option<(u64, FileInfo)>,
    /// The format of the cells; `None` if the file info could not be read: cells are then not read either.
    format: Option<DataFormat>,
    index: DataIndex,
    references: References,
    filters: Vec<FilterCheck>,
    layout: Layout,
    tally: Tally,
    faults: Faults,
    /// The output buffer for blocks with a delta encoding.
    decoded: Vec<u8>,
}

impl Verification<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let section = LoadOnOpen::read(self.source, self.trailer, &mut self.layout, &mut self.faults)?;
        self.read_info(&section)?;
        self.read_index(&section)?;
        self.read_meta_index(&section);
        self.read_filters(&section);
        let start = section.start;
        drop(section);
        self.references.sort();
        self.walk(start, progress)?;
        self.compare();
        Ok(())
    }

    fn read_info(&mut self, section: &LoadOnOpen) -> Result<()> {
        let Some((at, payload)) = &section.info else { return Ok(()) };
        let location = BlockLocation { offset: *at, block_type: BlockType::FileInfo };
        let limit = self.source.context().limits.load_on_open_bytes;
        let info = match FileInfo::parse(payload, limit) {
            Ok(info) => info,
            Err(corruption) => {
                location.report(corruption, &mut self.faults);
                return Ok(());
            }
        };
        match data_format(&info) {
            Ok(format) => self.format = Some(format),
            Err(corruption) if corruption.kind() == ErrorKind::Unsupported => {
                return Err(self.source.error(corruption, *at, BlockType::FileInfo));
            }
            Err(corruption) => location.report(corruption, &mut self.faults),
        }
        for corruption in info::check_forms(&info) {
            location.report(corruption, &mut self.faults);
        }
        self.info = Some((*at, info));
        Ok(())
    }

    fn read_index(&mut self, section: &LoadOnOpen) -> Result<()> {
        let Some((at, payload)) = &section.data_root else { return Ok(()) };
        let limits = &self.source.context().limits;
        let levels = self.trailer.num_data_index_levels().max(1);
        if levels > limits.index_levels {
            let (value, limit) = (levels.into(), limits.index_levels.into());
            let corruption = Corruption::Limit { what: "levels of the data index", value, limit };
            self.faults.add(corruption, self.trailer.offset(), None);
            return Ok(());
        }
        let mut tree = TreeReader {
            source: self.source,
            context: self.index_context,
            levels,
            room: limits.load_on_open_bytes,
        };
        let count = self.trailer.data_index_count();
        self.index = tree.read(*at, payload, count, &mut self.references, &mut self.faults)?;
        self.references.index_is_whole = self.index.is_whole;
        Ok(())
    }

    fn read_meta_index(&mut self, section: &LoadOnOpen) {
        let Some((at, payload)) = &section.meta_root else { return };
        let location = BlockLocation { offset: *at, block_type: BlockType::RootIndex };
        let entries = match parse_meta_index(payload, self.trailer.meta_index_count(), &self.index_context) {
            Ok(entries) => entries,
            Err(corruption) => return location.report(corruption, &mut self.faults),
        };
        if !entries.is_sorted_by(|(a, _), (b, _)| a <= b) {
            location.report(Corruption::Malformed("names of meta blocks do not ascend"), &mut self.faults);
        }
        for (_, handle) in entries {
            let block_type = BlockType::Meta;
            self.references.push(Reference { handle, block_type, named_by: location, number: 0 });
        }
        self.references.meta_is_whole = true;
    }

    fn read_filters(&mut self, section: &LoadOnOpen) {
        let Some((info_at, info)) = &self.info else { return };
        let mut is_whole = section.is_whole;
        for (kind, location, payload) in &section.filters {
            match FilterCheck::new(*location, *kind, payload, info, self.order, self.index_context.end) {
                Ok(filter) => {
                    filter.name_chunks(self.filters.len(), &mut self.references);
                    self.filters.push(filter);
                }
                Err(corruption) => {
                    location.report(corruption, &mut self.faults);
                    is_whole = false;
                }
            }
        }
        let has_general = section.filters.iter().any(|(kind, ..)| *kind == FilterKind::General);
        // both halves of a file split by a bulk load have its file info, but may have no filter
        let may_lack = info.get(names::BULKLOAD_TIMESTAMP.as_bytes()).is_some();
        if is_whole && !has_general && !may_lack && matches!(info.bloom_filter_type(), Ok(Some(_))) {
            let location = BlockLocation { offset: *info_at, block_type: BlockType::FileInfo };
            let message = "BLOOM_FILTER_TYPE is present, but no Bloom filter";
            location.report(Corruption::Malformed(message), &mut self.faults);
        }
        self.references.filters_are_whole = is_whole;
    }

    /// Walks over all blocks before the load-on-open section.
    fn walk(&mut self, end: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let len = self.source.reader.len();
        let is_known = end < self.trailer.offset();
        let mut walk = Walk::new(self.source, 0, end);
        self.layout.begin_part();
        while let Some(step) = walk.next(&self.references)? {
            match step {
                WalkStep::Block { at, header } => {
                    self.layout.see(at, &header, is_known.then_some(false), &mut self.faults);
                    let named = self.references.meet(at, &header, &mut self.faults);
                    self.see_block(at, &header, named, walk.payload())?;
                }
                WalkStep::Damage { at, to, error, .. } => {
                    self.faults.record(error)?;
                    self.damage(at);
                    self.references.skip(&(at..to), &mut self.faults);
                }
            }
            progress(walk.position(), len);
        }
        self.references.report_before(u64::MAX, &mut self.faults);
        progress(len, len);
        Ok(())
    }

    fn damage(&mut self, at: u64) {
        self.layout.damage(at);
        self.filters.iter_mut().for_each(FilterCheck::damage);
    }

    /// Compares the metadata with all blocks and cells read.
    fn compare(&mut self) {
        let has_all_cells = !self.layout.is_damaged && self.format.is_some();
        let cells = has_all_cells.then_some(self.tally.cells);
        trailer::check_against(self.trailer, &self.layout, self.index.ends(), cells, &mut self.faults);
        let Some((info_at, info)) = &self.info else { return };
        if let Some(format) = self.format.filter(|_| has_all_cells) {
            let location = BlockLocation { offset: *info_at, block_type: BlockType::FileInfo };
            for corruption in info::check_values(info, &self.tally, format.cells, self.trailer.version) {
                location.report(corruption, &mut self.faults);
            }
        }
        for filter in &self.filters {
            filter.finish(info, has_all_cells, &mut self.faults);
        }
    }
}
