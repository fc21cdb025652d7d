//! The load-on-open section, as far as it can be read.

use super::faults::Faults;
use super::layout::Layout;
use super::references::{BlockLocation, References};
use super::walk::{Walk, WalkStep};
use crate::block::BlockType;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::hfile::Trailer;
use crate::hfile::bloom::FilterKind;
use crate::hfile::source::BlockSource;

/// The contents of the section: plain payloads, and the offsets of their blocks.
#[derive(Debug, Default)]
pub(in crate::hfile) struct LoadOnOpen {
    /// The start of the section, or the trailer's offset if the section is not where it should be.
    pub(in crate::hfile) start: u64,
    pub(in crate::hfile) data_root: Option<(u64, Vec<u8>)>,
    pub(in crate::hfile) meta_root: Option<(u64, Vec<u8>)>,
    pub(in crate::hfile) info: Option<(u64, Vec<u8>)>,
    pub(in crate::hfile) filters: Vec<(FilterKind, BlockLocation, Vec<u8>)>,
    /// Whether the whole section was valid.
    pub(in crate::hfile) is_whole: bool,
}

impl LoadOnOpen {
    /// Reads the section. Fails if the file cannot be read, or has a format that this build does not support.
    pub(in crate::hfile) fn read(
        source: &BlockSource,
        trailer: &Trailer,
        layout: &mut Layout,
        faults: &mut Faults,
    ) -> Result<Self> {
        let (start, end) = (trailer.load_on_open_data_offset(), trailer.offset());
        let mut section = Self { start, is_whole: true, ..Self::default() };
        let limit = source.context().limits.load_on_open_bytes as u64;
        if end - start > limit {
            let what = "bytes of the load-on-open section";
            faults.add(Corruption::Limit { what, value: end - start, limit }, start, None);
            return Ok(Self { start: end, ..Self::default() });
        }
        let mut walk = Walk::new(source, start, end).of_load_on_open();
        while let Some(step) = walk.next(&References::default())? {
            match step {
                WalkStep::Block { at, header } => {
                    let block_type = header.block_type();
                    if at == start && block_type != BlockType::RootIndex {
                        // the offset is wrong, so the section's location is unknown
                        let what = "block at load_on_open_data_offset";
                        let expected = BlockType::RootIndex.name();
                        let corruption = Corruption::BadMagic { what, expected, found: block_type.magic() };
                        faults.add(corruption, trailer.offset(), None);
                        return Ok(Self { start: end, ..Self::default() });
                    }
                    layout.see(at, &header, Some(true), faults);
                    section.take(at, block_type, std::mem::take(walk.payload()));
                }
                WalkStep::Damage { at, error, .. } => {
                    refuse_unknown(&error)?;
                    faults.record(error)?;
                    layout.damage(at);
                    section.is_whole = false;
                }
            }
        }
        section.report_missing(trailer, faults);
        Ok(section)
    }

    fn take(&mut self, at: u64, block_type: BlockType, payload: Vec<u8>) {
        match block_type {
            BlockType::RootIndex if at == self.start => self.data_root = Some((at, payload)),
            BlockType::RootIndex if self.meta_root.is_none() => self.meta_root = Some((at, payload)),
            BlockType::FileInfo if self.info.is_none() => self.info = Some((at, payload)),
            BlockType::GeneralBloomMeta => self.add_filter(FilterKind::General, at, block_type, payload),
            BlockType::DeleteFamilyBloomMeta => {
                self.add_filter(FilterKind::DeleteFamily, at, block_type, payload);
            }
            _ => {}
        }
    }

    fn add_filter(&mut self, kind: FilterKind, offset: u64, block_type: BlockType, payload: Vec<u8>) {
        if self.filters.iter().all(|(k, ..)| *k != kind) {
            self.filters.push((kind, BlockLocation { offset, block_type }, payload));
        }
    }

    /// Reports a missing meta index or file info, unless something was damaged: that may have been the
    /// missing block.
    fn report_missing(&self, trailer: &Trailer, faults: &mut Faults) {
        for (is_there, message) in [
            (self.meta_root.is_some(), "no meta index in the load-on-open section"),
            (self.info.is_some(), "no file info in the load-on-open section"),
        ] {
            if self.is_whole && !is_there {
                faults.add(Corruption::Malformed(message), trailer.offset(), None);
            }
        }
    }
}

/// Fails if the codec is not built in or its dictionary was not given: no block can be read, but none is
/// faulty.
fn refuse_unknown(error: &Error) -> Result<()> {
    if error.kind() == ErrorKind::Unsupported { Err(error.clone()) } else { Ok(()) }
}
