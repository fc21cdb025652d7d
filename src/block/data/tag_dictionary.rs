//! Tags as references to tags of earlier cells (hfile.md §7.7; HBase: `TagCompressionContext`,
//! `LRUDictionary`).
//!
//! Writer and reader fill the same 127 slots in the same order. When all are in use, both replace the least
//! recently used one. The dictionary is empty at the start of a block.

use super::plain_cells::PlainCells;
use crate::cell::{Tag, Tags};
use crate::coding::{Cursor, put_varint};
use crate::error::Corruption;
use std::ops::Range;

const SLOTS: u8 = 127;
/// The byte before a literal tag. No reference starts with it, since all are below 127.
const LITERAL: u8 = 0xff;

/// The slots in use, from the most to the least recently used: a list linked by slot numbers.
struct Recency {
    newer: [u8; SLOTS as usize],
    older: [u8; SLOTS as usize],
    newest: u8,
    oldest: u8,
    len: u8,
}

impl Recency {
    const fn new() -> Self {
        let links = [0; SLOTS as usize];
        Self { newer: links, older: links, newest: 0, oldest: 0, len: 0 }
    }

    /// Returns the slot for a new entry: the next free one, or the least recently used.
    fn insert(&mut self) -> u8 {
        if self.len == SLOTS {
            let slot = self.oldest;
            self.move_to_front(slot);
            return slot;
        }
        let slot = self.len;
        self.len += 1;
        self.push(slot);
        slot
    }

    /// Makes a slot in use the most recently used.
    fn move_to_front(&mut self, slot: u8) {
        if slot == self.newest {
            return;
        }
        let (newer, older) = (self.newer[usize::from(slot)], self.older[usize::from(slot)]);
        if slot == self.oldest {
            self.oldest = newer;
        } else {
            self.newer[usize::from(older)] = newer;
        }
        self.older[usize::from(newer)] = older;
        self.push(slot);
    }

    fn push(&mut self, slot: u8) {
        self.newer[usize::from(self.newest)] = slot;
        self.older[usize::from(slot)] = self.newest;
        self.newest = slot;
    }
}

/// The dictionary of the reader. An entry refers to the cells decoded so far, so tags are not stored twice.
pub(super) struct TagDecoder<'a> {
    recency: Recency,
    /// The tags that the dictionary had before these cells.
    before: &'a [u8],
    /// The offset of a tag, from its two length bytes on, and its size including them. Offsets count from the
    /// start of `before`, and those in the cells from its end.
    entries: [(usize, usize); SLOTS as usize],
    /// Whether a tag has taken the slot of another one.
    replaces: bool,
}

impl<'a> TagDecoder<'a> {
    /// Creates a dictionary with tags, each after its length, that were added in this order.
    pub(super) fn with(before: &'a [u8]) -> Self {
        let entries = [(0, 0); SLOTS as usize];
        let mut dictionary = Self { recency: Recency::new(), before, entries, replaces: false };
        let mut from = 0;
        for tag in Tags::new(before) {
            let size = 3 + tag.value.len();
            dictionary.add(from, size);
            from += size;
        }
        dictionary
    }

    /// Returns the tags of the cells, each with its length, in the order in which they were added; `None` if
    /// others have taken some of their slots.
    pub(super) fn into_added(self) -> Option<Vec<Range<usize>>> {
        let used = self.entries.into_iter().take(self.recency.len.into());
        (!self.replaces).then(|| used.map(|(from, size)| from..from + size).collect())
    }

    fn add(&mut self, from: usize, size: usize) {
        self.replaces |= self.recency.len == SLOTS;
        let slot = self.recency.insert();
        self.entries[usize::from(slot)] = (from, size);
    }

    /// Decodes tags from the payload into the cells, `len` bytes in plain form.
    pub(super) fn take(
        &mut self,
        payload: &mut Cursor<'_>,
        cells: &mut PlainCells<'_>,
        len: usize,
    ) -> Result<(), Corruption> {
        let mut left = len;
        while left > 0 {
            let (from, len) = match payload.u8("tag")? {
                LITERAL => {
                    let tag = literal(payload)?;
                    let from = self.before.len() + cells.position();
                    let size = 2 + usize::from(tag.0);
                    left = take_from(left, size)?;
                    cells.put_array(tag.0.to_be_bytes());
                    cells.put_short(tag.1, tag.1.len());
                    self.add(from, size);
                    continue;
                }
                high => self.entry(u16::from_be_bytes([high, payload.u8("tag")?]))?,
            };
            left = take_from(left, len)?;
            match from.checked_sub(self.before.len()) {
                Some(from) => cells.copy_back(from, len),
                None => cells.put_short(self.before.get(from..).unwrap_or_default(), len),
            }
        }
        Ok(())
    }

    /// Returns the entry of an index, which becomes the most recently used.
    fn entry(&mut self, index: u16) -> Result<(usize, usize), Corruption> {
        match u8::try_from(index) {
            Ok(slot) if slot < self.recency.len => {
                self.recency.move_to_front(slot);
                Ok(self.entries[usize::from(slot)])
            }
            _ => Err(Corruption::Unknown { what: "tag dictionary index", value: index.into() }),
        }
    }
}

/// Reads a literal tag: its length, and its type and value.
fn literal<'a>(payload: &mut Cursor<'a>) -> Result<(u16, &'a [u8]), Corruption> {
    let len = payload.varint("tag length")?;
    match u16::try_from(len) {
        Ok(short @ 1..) => Ok((short, payload.take(short.into(), "tag")?)),
        _ => {
            let len = i64::try_from(len).unwrap_or(i64::MAX);
            Err(Corruption::out_of_range("tag length", len, 1, u16::MAX.into()))
        }
    }
}

fn take_from(left: usize, size: usize) -> Result<usize, Corruption> {
    left.checked_sub(size).ok_or(Corruption::Malformed("tags longer than the cell's tags length"))
}

/// The dictionary of the writer.
pub(super) struct TagEncoder {
    recency: Recency,
    /// The type and value of each tag.
    entries: Vec<Vec<u8>>,
}

impl TagEncoder {
    pub(super) const fn new() -> Self {
        Self { recency: Recency::new(), entries: Vec::new() }
    }

    /// Removes all tags, for the next block.
    pub(super) fn clear(&mut self) {
        self.recency = Recency::new();
        self.entries.clear();
    }

    /// Appends tags.
    pub(super) fn put<'a>(&mut self, out: &mut Vec<u8>, tags: impl Iterator<Item = Tag<'a>>) {
        for tag in tags {
            self.put_tag(out, tag);
        }
    }

    fn put_tag(&mut self, out: &mut Vec<u8>, tag: Tag<'_>) {
        let known = |entry: &Vec<u8>| entry.split_first() == Some((&tag.tag_type, tag.value));
        if let Some(slot) = self.entries.iter().position(known).and_then(|slot| u8::try_from(slot).ok()) {
            self.recency.move_to_front(slot);
            out.extend_from_slice(&u16::from(slot).to_be_bytes());
            return;
        }
        out.push(LITERAL);
        put_varint(out, 1 + tag.value.len() as u64);
        out.push(tag.tag_type);
        out.extend_from_slice(tag.value);
        let slot = usize::from(self.recency.insert());
        if slot == self.entries.len() {
            self.entries.push(Vec::new());
        }
        let entry = &mut self.entries[slot];
        entry.clear();
        entry.push(tag.tag_type);
        entry.extend_from_slice(tag.value);
    }
}
