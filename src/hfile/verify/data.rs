//! The contents of blocks: chunks are measured, cells are decoded and counted.

use super::Verification;
use super::faults::{display_number, mismatch};
use super::references::{BlockLocation, Reference};
use crate::block::data::{self, DataBlock, DataFormat, Trust};
use crate::block::{BlockHeader, BlockType, DataBlockEncoding};
use crate::coding::Cursor;
use crate::error::{Corruption, Result};

impl Verification<'_> {
    /// Compares the contents of a block with the metadata; `named` is the entry that refers to the block.
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
        let location = BlockLocation { offset: at, block_type: header.block_type() };
        let Some(format) = self.format else { return Ok(()) };
        let expected = match format.encoding {
            DataBlockEncoding::None => BlockType::Data,
            _ => BlockType::EncodedData,
        };
        if header.block_type() != expected {
            let found = header.block_type().magic();
            let corruption = Corruption::BadMagic { what: "block type", expected: expected.name(), found };
            location.report(corruption, &mut self.faults);
            self.damage(at);
            return Ok(());
        }
        let size = unencoded_size(&format, payload);
        let block =
            match decode(&format, self.source.context().limits.block_bytes, payload, &mut self.decoded) {
                Ok((block, len)) => {
                    let size =
                        size.and_then(|size| mismatch("unencoded size", display_number(len as u64), size));
                    if let Some(corruption) = size {
                        location.report(corruption, &mut self.faults);
                    }
                    block
                }
                Err(corruption) => {
                    location.report(corruption, &mut self.faults);
                    self.damage(at);
                    return Ok(());
                }
            };
        self.check_index_key(&block, location, named);
        let named_biggest =
            self.info.as_ref().and_then(|(_, info)| info.key_of_biggest_cell().ok().flatten());
        let (filters, faults, source) = (&mut self.filters, &mut self.faults, self.source);
        let wrong = self.tally.add_block(&block, format.cells, self.order, named_biggest, |cell| {
            filters.iter_mut().try_for_each(|filter| filter.see(cell, source, faults))
        })?;
        for corruption in wrong.into_iter().flatten() {
            location.report(corruption, &mut self.faults);
        }
        let buffer = if format.keeps_cells_plain() { payload } else { &mut self.decoded };
        *buffer = block.into_buffer();
        Ok(())
    }

    /// Checks that a block's index key is after the last cell before the block, and not after its first cell
    /// (hfile.md §10.6).
    fn check_index_key(&mut self, block: &DataBlock, location: BlockLocation, named: Option<Reference>) {
        let Some(number) = named.map(|named| named.number) else { return };
        let Some((key, order)) = self.index.key(number).zip(self.order) else { return };
        if order.compare(block.key(&block.first()), key).is_lt() {
            let message = "first cell of the block is before its index key";
            location.report(Corruption::Malformed(message), &mut self.faults);
        }
        // readers take the first index key as the file's first key
        if self.index.is_whole && number == 0 && block.key(&block.first()).family() != key.family() {
            let message = "first cell of the file is of another family than its index key";
            location.report(Corruption::Malformed(message), &mut self.faults);
        }
        if self.tally.last_key.as_ref().is_some_and(|last| order.compare(last, key).is_ge()) {
            let message = "last cell before the block is not before its index key";
            location.report(Corruption::Malformed(message), &mut self.faults);
        }
    }
}

/// Returns the cells of a data block, and their size in bytes when plain, which is at most `limit`.
///
/// One of the two buffers becomes the block's: `payload`, or `decoded` if an encoding must be undone.
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

/// Returns the plain size of the cells as recorded in a block with a delta encoding (hfile.md §7).
fn unencoded_size(format: &DataFormat, payload: &[u8]) -> Option<i64> {
    if format.keeps_cells_plain() {
        return None;
    }
    let mut cursor = Cursor::new(payload);
    cursor.u16("encoding id").ok()?;
    cursor.i32("unencoded size").ok().map(i64::from)
}
