//! What is in a block: chunks are measured, cells are decoded and counted.

use super::Verification;
use super::faults::{mismatch, shown};
use super::references::{Place, Reference};
use crate::block::data::{self, DataBlock, DataFormat, Trust};
use crate::block::{BlockHeader, BlockType, DataBlockEncoding};
use crate::coding::Cursor;
use crate::error::{Corruption, Result};

impl Verification<'_> {
    /// Compares what a block holds with what is known of it; `named` is what names it.
    pub(super) fn see_block(
        &mut self,
        at: u64,
        header: &BlockHeader,
        named: Option<Reference>,
        payload: &mut Vec<u8>,
    ) -> Result<()> {
        match header.block_type() {
            BlockType::Data | BlockType::EncodedData => self.see_data(at, header, named, payload),
            BlockType::BloomChunk => {
                if let Some(filter) = named.and_then(|named| self.filters.get_mut(named.number)) {
                    filter.bytes += payload.len() as u64;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn see_data(
        &mut self,
        at: u64,
        header: &BlockHeader,
        named: Option<Reference>,
        payload: &mut Vec<u8>,
    ) -> Result<()> {
        let place = Place { offset: at, block_type: header.block_type() };
        let Some(format) = self.format else { return Ok(()) };
        let expected = match format.encoding {
            DataBlockEncoding::None => BlockType::Data,
            _ => BlockType::EncodedData,
        };
        if header.block_type() != expected {
            let found = header.block_type().magic();
            let corruption = Corruption::BadMagic { what: "block type", expected: expected.name(), found };
            place.blame(corruption, &mut self.faults);
            self.damage(at);
            return Ok(());
        }
        let size = unencoded_size(&format, payload);
        let block = match decode(&format, self.source.context.limits.block_bytes, payload, &mut self.decoded)
        {
            Ok((block, len)) => {
                let size = size.and_then(|size| mismatch("unencoded size", shown(len as u64), size));
                if let Some(corruption) = size {
                    place.blame(corruption, &mut self.faults);
                }
                block
            }
            Err(corruption) => {
                place.blame(corruption, &mut self.faults);
                self.damage(at);
                return Ok(());
            }
        };
        self.check_index_key(&block, place, named);
        let named_biggest =
            self.info.as_ref().and_then(|(_, info)| info.key_of_biggest_cell().ok().flatten());
        let (filters, faults, source) = (&mut self.filters, &mut self.faults, self.source);
        let wrong = self.tally.add_block(&block, format.cells, self.order, named_biggest, |cell| {
            filters.iter_mut().try_for_each(|filter| filter.see(cell, source, faults))
        })?;
        for corruption in wrong.into_iter().flatten() {
            place.blame(corruption, &mut self.faults);
        }
        let buffer = if format.keeps_cells_plain() { payload } else { &mut self.decoded };
        *buffer = block.into_buffer();
        Ok(())
    }

    /// The index key of a block is behind the last cell before it, and not behind its first (hfile.md §10.6).
    fn check_index_key(&mut self, block: &DataBlock, place: Place, named: Option<Reference>) {
        let Some(number) = named.map(|named| named.number) else { return };
        let Some((key, order)) = self.index.key(number).zip(self.order) else { return };
        if order.compare(block.key(&block.first()), key).is_lt() {
            let message = "first cell of the block is before its index key";
            place.blame(Corruption::Malformed(message), &mut self.faults);
        }
        // the first index key is what an open file has for its first key
        if self.index.is_whole && number == 0 && block.key(&block.first()).family() != key.family() {
            let message = "first cell of the file is of another family than its index key";
            place.blame(Corruption::Malformed(message), &mut self.faults);
        }
        if self.tally.last_key.as_ref().is_some_and(|last| order.compare(last, key).is_ge()) {
            let message = "last cell before the block is not before its index key";
            place.blame(Corruption::Malformed(message), &mut self.faults);
        }
    }
}

/// The cells of a data block, and the bytes they have when plain, of which there are `limit` at most.
///
/// One of the two buffers goes into the block: the payload's, or the other one if the encoding must be undone.
pub(in crate::hfile) fn decode(
    format: &DataFormat,
    limit: usize,
    payload: &mut Vec<u8>,
    decoded: &mut Vec<u8>,
) -> Result<(DataBlock, usize), Corruption> {
    if format.keeps_cells_plain() {
        let cells = data::plain_cells(format, payload)?;
        let (bytes, len) = (std::mem::take(payload), cells.len());
        return Ok((DataBlock::new(bytes, cells, format.cells, Trust::Unchecked, None)?, len));
    }
    decoded.clear();
    data::decode(format, payload, limit, decoded)?;
    let len = decoded.len();
    Ok((DataBlock::new(std::mem::take(decoded), 0..len, format.cells, Trust::Decoded(None), None)?, len))
}

/// The size that a block of a delta encoding says its cells have when plain (hfile.md §7).
fn unencoded_size(format: &DataFormat, payload: &[u8]) -> Option<i64> {
    if format.keeps_cells_plain() {
        return None;
    }
    let mut cursor = Cursor::new(payload);
    cursor.u16("encoding id").ok()?;
    cursor.i32("unencoded size").ok().map(i64::from)
}
