//! Walks over the blocks and copies the valid cells.

use super::known::KnownKeys;
use super::losses::Losses;
use super::output::{Output, Sample};
use super::{LostBlock, SalvageReport};
use crate::block::data::DataBlock;
use crate::block::{BlockHeader, BlockType, DataBlockEncoding};
use crate::cell::{CellKey, CellOrder, CellRef, SeekKey, StringBinary};
use crate::error::{Corruption, Error, Result};
use crate::hfile::options::HFileOptions;
use crate::hfile::verify::data::decode;
use crate::hfile::verify::walk::{Walk, WalkStep};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The state of the copy.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    known: KnownKeys,
    options: &'a HFileOptions,
    path: &'a Path,
    /// `None` before the first cell kept.
    output: Option<Output>,
    losses: Losses,
    blocks: u64,
    cells: u64,
    last_key: Option<SeekKey>,
    link: Link,
    /// The meta blocks to write, by name. The file bounds their number, but not their size: they may be
    /// compressed.
    meta_blocks: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The number of bytes of meta blocks that may still be kept.
    meta_room: usize,
    /// The number of meta blocks that no index names.
    nameless: u64,
    decoded: Vec<u8>,
}

/// The expected offset of the previous data block in the header of the next valid one.
#[derive(Clone, Copy, Debug)]
enum Link {
    /// This offset; -1 for none.
    At(i64),
    /// The offset `last`, or one among the damaged bytes from `from` on.
    Damaged { last: i64, from: u64 },
    /// Blocks were missing, so the offsets have shifted.
    Shifted,
}

impl<'a> Copy<'a> {
    /// Copies everything valid. Fails, without creating a file, if nothing is valid.
    pub(super) fn all(known: KnownKeys, options: &'a HFileOptions, path: &'a Path) -> Result<SalvageReport> {
        let meta_room = options.limits.block_bytes;
        let mut copy = Self {
            known,
            options,
            path,
            output: None,
            losses: Losses::default(),
            blocks: 0,
            cells: 0,
            last_key: None,
            link: Link::At(-1),
            meta_blocks: BTreeMap::new(),
            meta_room,
            nameless: 0,
            decoded: Vec::new(),
        };
        copy.walk()?;
        copy.check_end();
        copy.finish()
    }

    fn walk(&mut self) -> Result<()> {
        let source = Arc::clone(&self.known.source);
        let mut walk = Walk::new(&source, 0, self.known.end());
        while let Some(step) = walk.next(&self.known.references)? {
            match step {
                WalkStep::Block { at, header } if header.block_type().is_data() => {
                    let mut payload = std::mem::take(walk.payload());
                    self.see_data(at, &header, &mut payload, walk.stored_payload(&header))?;
                    *walk.payload() = payload;
                }
                WalkStep::Block { at, header } => self.see_other(at, &header, walk.payload()),
                WalkStep::Damage { at, to, claim, error } => self.see_damage(at, to, claim, error)?,
            }
        }
        Ok(())
    }

    /// Returns the number of the data block at an offset, by the index.
    fn number(&self, at: u64) -> Option<usize> {
        let named = self.known.references.at(at).filter(|r| r.block_type == BlockType::Data);
        named.map(|named| named.number)
    }

    fn lose(&mut self, at: u64, reason: Error) {
        let key = self.number(at).and_then(|number| self.known.index.key(number));
        self.losses.add(at, self.last_key.as_deref(), key, reason);
    }

    fn see_other(&mut self, at: u64, header: &BlockHeader, payload: &[u8]) {
        if self.number(at).is_some() {
            let (expected, found) = (BlockType::Data.name(), header.block_type().magic());
            let corruption = Corruption::BadMagic { what: "block that the index names", expected, found };
            self.lose(at, self.known.source.error(corruption, at, BlockType::Data));
        }
        // in the order of the file
        let named = self.known.meta_blocks.binary_search_by_key(&at, |(_, handle)| handle.offset);
        if header.block_type() != BlockType::Meta {
            return;
        }
        match named.ok().and_then(|named| self.known.meta_blocks.get(named)) {
            // the first of equal names is kept
            Some((name, _)) if self.meta_blocks.contains_key(name) => {}
            Some((name, _)) => {
                if let Some(room) = self.meta_room.checked_sub(payload.len()) {
                    self.meta_room = room;
                    self.meta_blocks.insert(name.clone(), payload.to_vec());
                }
            }
            None => self.nameless += 1,
        }
    }

    fn see_damage(&mut self, at: u64, to: u64, claim: Option<(BlockType, u64)>, error: Error) -> Result<()> {
        if let Link::At(last) = self.link {
            self.link = Link::Damaged { last, from: at };
        }
        let named: Vec<_> = self.known.references.within(at..to).copied().collect();
        let data = named.iter().filter(|r| r.block_type == BlockType::Data).map(|r| r.handle.offset);
        if self.known.references.index_is_whole {
            // the index refers to all data blocks
            let data: Vec<u64> = data.collect();
            if data.is_empty() {
                return self.known.faults.record(error);
            }
            data.into_iter().for_each(|at| self.lose(at, error.clone()));
            return Ok(());
        }
        let is_known = named
            .iter()
            .any(|r| r.block_type != BlockType::Data && (r.handle.offset, r.handle.end()) == (at, to));
        let is_claimed = claim.is_some_and(|(block_type, end)| !block_type.is_data() && end == to);
        if is_known || is_claimed && named.is_empty() {
            return self.known.faults.record(error);
        }
        self.lose(at, error);
        Ok(())
    }

    fn see_data(
        &mut self,
        at: u64,
        header: &BlockHeader,
        payload: &mut Vec<u8>,
        stored: &[u8],
    ) -> Result<()> {
        let at_block = |copy: &Self, corruption| copy.known.source.error(corruption, at, header.block_type());
        if let Err(corruption) = self.check_link(at, header) {
            // these bytes are part of a value in a damaged block, which has already been recorded as lost
            let error = at_block(self, corruption);
            return self.known.faults.record(error);
        }
        let format = self.known.format;
        let is_encoded = format.encoding != DataBlockEncoding::None;
        let expected = if is_encoded { BlockType::EncodedData } else { BlockType::Data };
        let limit = self.known.source.context().limits.block_bytes;
        let mut decoded = std::mem::take(&mut self.decoded);
        let block = if header.block_type() == expected {
            decode(&format, limit, payload, &mut decoded)
        } else {
            let found = header.block_type().magic();
            Err(Corruption::BadMagic { what: "block type", expected: expected.name(), found })
        };
        let (block, plain_len) = match block {
            Ok(decoded) => decoded,
            Err(corruption) => {
                self.lose(at, at_block(self, corruption));
                self.decoded = decoded;
                return Ok(());
            }
        };
        self.copy_cells(at, &block, Sample { header, stored, plain_len })?;
        *(if format.keeps_cells_plain() { payload } else { &mut decoded }) = block.into_buffer();
        self.decoded = decoded;
        Ok(())
    }

    /// Compares the previous block's offset in a valid data block with the expected one. Fails if the block
    /// cannot belong to this file.
    fn check_link(&mut self, at: u64, header: &BlockHeader) -> Result<(), Corruption> {
        let found = header.prev_block_offset();
        let is_named = self.number(at).is_some();
        let mismatch = |expected| {
            let what = "offset of the block before of the same type";
            Corruption::Mismatch { what, expected, found }
        };
        match self.link {
            Link::At(expected) if found != expected && !is_named => {
                self.lose(at, self.known.source.error(mismatch(expected), at, header.block_type()));
                self.link = Link::Shifted;
                return Ok(());
            }
            Link::Damaged { last, from } if !is_named => {
                let in_damage = u64::try_from(found).is_ok_and(|found| (from..at).contains(&found));
                if found != last && !in_damage {
                    return Err(mismatch(last));
                }
            }
            // this block's original offset is unknown too, and the next block records the original one
            Link::Shifted => return Ok(()),
            _ => {}
        }
        self.link = Link::At(at.cast_signed());
        Ok(())
    }

    /// Copies the cells that are in order after those already copied.
    fn copy_cells(&mut self, at: u64, block: &DataBlock, sample: Sample<'_>) -> Result<()> {
        let upper = self.number(at).and_then(|number| self.known.index.key(number + 1)).map(SeekKey::from);
        let (cells_before, mut left_out) = (self.cells, LeftOut::default());
        let mut position = block.first();
        loop {
            let here = position;
            let more = block.advance(&mut position);
            let cell = block.cell(&here);
            let next = more.then(|| block.key(&position));
            match self.refusal(&cell, next, upper.as_deref(), left_out.is_last) {
                Some(why) => left_out.add(self.known.order, cell.key, why),
                None => {
                    self.keep(cell, sample)?;
                    left_out.is_last = false;
                }
            }
            if !more {
                break;
            }
        }
        self.blocks += u64::from(self.cells > cells_before);
        if let Some((why, keys)) = left_out.found {
            let reason = self.known.source.error(Corruption::Malformed(why), at, sample.header.block_type());
            self.losses.add_cells(at, left_out.count, keys, reason);
        }
        Ok(())
    }

    /// Returns the reason that a cell cannot follow those already copied. `next` is the key after it in its
    /// block; `upper` is a key that all cells of the block must be before. `strictly` is whether the previous
    /// cell was refused, so that this one may be a duplicate of one that was kept.
    #[inline]
    fn refusal(
        &self,
        cell: &CellRef<'_>,
        next: Option<&CellKey>,
        upper: Option<&CellKey>,
        strictly: bool,
    ) -> Option<&'static str> {
        let order = self.known.order;
        if self.known.format.cells.mvcc && cell.seq_id < 0 {
            return Some("a cell of the block has a negative sequence id");
        }
        if upper.is_some_and(|upper| order.compare(cell.key, upper).is_ge()) {
            return Some("a cell of the block is not before the next index key");
        }
        let last = self.last_key.as_deref();
        if let Some(last) = last {
            let found = order.compare(last, cell.key);
            if found.is_gt() || strictly && found.is_eq() {
                return Some(DISORDER);
            }
            if last.family() != cell.family() {
                return Some("a cell of the block is of another family");
            }
        }
        // if two cells are out of order, the first is refused if the second fits after the last cell kept
        let is_stray = |next| {
            order.compare(cell.key, next).is_gt() && last.is_none_or(|last| order.compare(last, next).is_le())
        };
        next.is_some_and(is_stray).then_some(DISORDER)
    }

    #[inline]
    fn keep(&mut self, cell: CellRef<'_>, sample: Sample<'_>) -> Result<()> {
        let output = match &mut self.output {
            Some(output) => output,
            none => none.insert(Output::create(&self.known, self.options, self.path, Some(sample))?),
        };
        output.append(cell)?;
        self.losses.close(cell.key);
        self.last_key.get_or_insert_default().set_key(cell.key);
        self.cells += 1;
        Ok(())
    }

    /// Checks for cells missing at the end, or where nothing was damaged.
    fn check_end(&mut self) {
        let end = self.known.end();
        let path = self.known.source.reader.path().to_owned();
        if self.losses.are_open() {
            return;
        }
        let named_last = self.known.info.as_ref().and_then(|info| info.last_key().ok().flatten());
        let order = self.known.order;
        let has_all = match (named_last, self.last_key.as_deref()) {
            (Some(named), Some(last)) => order.compare(last, named).is_ge(),
            (named, _) => named.is_none(),
        };
        if !has_all {
            return self.lose(end, Corruption::Malformed(LAST_KEY).at(&path, end));
        }
        if self.known.trailer.is_none() && self.known.section.is_none() {
            return self.lose(end, Corruption::Malformed(NO_END).at(&path, end));
        }
        let entries = self.known.trailer.as_ref().map(|trailer| (trailer.entry_count(), trailer.offset()));
        let Some((entries, at)) = entries.filter(|(entries, _)| *entries != self.cells) else { return };
        let shown = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (expected, found) = (shown(self.cells), shown(entries));
        let corruption = Corruption::Mismatch { what: "entry_count", expected, found };
        if entries > self.cells && self.losses.list.is_empty() && !self.known.index.is_whole {
            self.lose(at, corruption.at(&path, at));
        } else if self.losses.list.is_empty() {
            self.known.faults.add(corruption, at, None);
        }
    }

    fn finish(mut self) -> Result<SalvageReport> {
        let is_empty = self.known.trailer.as_ref().is_some_and(|trailer| trailer.entry_count() == 0);
        let mut output = match self.output.take() {
            Some(output) => output,
            None if is_empty && self.losses.list.is_empty() => {
                Output::create(&self.known, self.options, self.path, None)?
            }
            None => return Err(self.no_valid_cells()),
        };
        for (name, _) in &self.known.meta_blocks {
            match self.meta_blocks.remove(name) {
                Some(content) => output.add_meta_block(name, &content)?,
                None => self.known.dropped.push(format!("meta block {}", StringBinary(name))),
            }
        }
        if self.nameless > 0 {
            self.known.dropped.push(format!("{} meta blocks, whose names are lost", self.nameless));
        }
        let bytes = output.finish(&mut self.known, self.losses.list.is_empty())?;
        Ok(SalvageReport {
            blocks: self.blocks,
            cells: self.cells,
            bytes,
            cells_before: self.known.trailer.as_ref().map(|trailer| trailer.entry_count()),
            lost_beyond: self.losses.beyond,
            lost: self.losses.into_list(),
            faults: self.known.faults.into_list(),
            guesses: self.known.guesses,
            dropped: self.known.dropped,
        })
    }

    /// Returns the reason that no file was written.
    fn no_valid_cells(self) -> Error {
        let none = Corruption::Malformed("the file has no valid data block");
        let none = none.at(self.known.source.reader.path(), 0);
        let lost: Option<LostBlock> = self.losses.into_list().into_iter().next();
        lost.map_or(none, |lost| lost.reason)
    }
}

const DISORDER: &str = "cells of the block are not in order";
const LAST_KEY: &str = "hfile.LASTKEY is after the last cell found";
const NO_END: &str = "the file ends before the load-on-open section";

/// The cells of a block that were not kept.
#[derive(Debug, Default)]
struct LeftOut {
    count: u64,
    /// The reason for the first of them, and their least and greatest keys.
    found: Option<(&'static str, (SeekKey, SeekKey))>,
    /// Whether the previous cell was one of them.
    is_last: bool,
}

impl LeftOut {
    fn add(&mut self, order: CellOrder, key: &CellKey, why: &'static str) {
        self.count += 1;
        self.is_last = true;
        let (_, (least, greatest)) =
            self.found.get_or_insert_with(|| (why, (SeekKey::from(key), SeekKey::from(key))));
        if order.compare(key, least).is_lt() {
            least.set_key(key);
        }
        if order.compare(key, greatest).is_gt() {
            greatest.set_key(key);
        }
    }
}
