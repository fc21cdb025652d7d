//! A second implementation of the delta encodings: slow, following the specification step by step, into owned
//! cells.

use super::*;

/// A decoder that reads byte by byte and keeps everything.
struct Naive<'a> {
    format: &'a DataFormat,
    bytes: std::collections::VecDeque<u8>,
    dictionary: Vec<(Vec<u8>, usize)>,
    clock: usize,
    key: Vec<u8>,
    value: Vec<u8>,
    cells: Vec<Cell>,
}

/// The cells of a payload in a delta encoding, or `None` if the payload is malformed.
pub(super) fn decode(format: &DataFormat, payload: &[u8]) -> Option<Vec<Cell>> {
    let mut naive = Naive {
        format,
        bytes: payload.iter().copied().collect(),
        dictionary: Vec::new(),
        clock: 0,
        key: Vec::new(),
        value: Vec::new(),
        cells: Vec::new(),
    };
    let id = u16::try_from(naive.big_endian(2)?).ok()?;
    if id != format.encoding.id() {
        return None;
    }
    naive.big_endian(4)?;
    let mut family = Vec::new();
    if format.encoding == DataBlockEncoding::Diff {
        let len = naive.byte()?;
        if len > 127 {
            return None;
        }
        family = naive.run(len.into())?;
    }
    loop {
        match format.encoding {
            DataBlockEncoding::Prefix => naive.prefix()?,
            DataBlockEncoding::Diff => naive.diff(&family)?,
            _ => naive.fast_diff()?,
        }
        naive.tail()?;
        if naive.bytes.is_empty() {
            return Some(naive.cells);
        }
    }
}

impl Naive<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }

    fn run(&mut self, len: usize) -> Option<Vec<u8>> {
        (len <= self.bytes.len()).then(|| self.bytes.drain(..len).collect())
    }

    fn big_endian(&mut self, len: usize) -> Option<u64> {
        Some(self.run(len)?.iter().fold(0, |n, &b| n * 256 + u64::from(b)))
    }

    fn cint(&mut self) -> Option<usize> {
        let mut value = 0u64;
        for place in 0..5 {
            let byte = self.byte()?;
            value += u64::from(byte % 128) * 128u64.pow(place);
            if byte < 128 {
                return usize::try_from(value).ok().filter(|_| value < 1 << 31);
            }
        }
        None
    }

    fn first(&self) -> bool {
        self.cells.is_empty()
    }

    fn row_len(&self) -> usize {
        usize::from(self.key[0]) * 256 + usize::from(self.key[1])
    }

    fn family(&self) -> Vec<u8> {
        let at = 2 + self.row_len();
        self.key[at + 1..at + 1 + usize::from(self.key[at])].to_vec()
    }

    fn old_timestamp(&self) -> [u8; 8] {
        let len = self.key.len();
        self.key[len - 9..len - 1].try_into().unwrap()
    }

    /// Records the key and value of the next cell.
    fn keep(&mut self, key: Vec<u8>, value: Vec<u8>) -> Option<()> {
        key_value::checked_key(&key).ok()?;
        (self.key, self.value) = (key, value);
        Some(())
    }

    fn tail(&mut self) -> Option<()> {
        let mut tags = Vec::new();
        if self.format.cells.tags {
            let len = self.cint()?;
            if len > 65535 {
                return None;
            }
            if self.format.tags_compressed {
                while tags.len() < len {
                    let tag = self.dictionary_tag()?;
                    tags.extend(u16::try_from(tag.len()).ok()?.to_be_bytes());
                    tags.extend(tag);
                }
            } else {
                tags = self.run(len)?;
            }
            if tags.len() != len || crate::cell::tags::check(&tags).is_err() {
                return None;
            }
        }
        let mut seq_id = 0;
        if self.format.cells.mvcc {
            let first = i64::from(self.byte()?.cast_signed());
            seq_id = match first {
                -112.. => first,
                -120.. => self.big_endian(usize::try_from(-112 - first).ok()?)?.cast_signed(),
                _ => !self.big_endian(usize::try_from(-120 - first).ok()?)?.cast_signed(),
            };
        }
        let key = crate::cell::CellKey::from_checked(&self.key);
        self.cells.push(Cell::from(CellRef { key, value: &self.value, tags: &tags, seq_id }));
        Some(())
    }

    fn dictionary_tag(&mut self) -> Option<Vec<u8>> {
        self.clock += 1;
        let first = self.byte()?;
        if first != 0xff {
            let index = usize::from(first) * 256 + usize::from(self.byte()?);
            let entry = self.dictionary.get_mut(index)?;
            entry.1 = self.clock;
            return Some(entry.0.clone());
        }
        let mut len = 0u128;
        for place in 0..10 {
            let byte = self.byte()?;
            len += u128::from(byte % 128) << (7 * place);
            if byte < 128 {
                break;
            } else if place == 9 {
                return None;
            }
        }
        if len == 0 || len > 65535 {
            return None;
        }
        let tag = self.run(len as usize)?;
        if self.dictionary.len() < 127 {
            self.dictionary.push((tag.clone(), self.clock));
        } else {
            *self.dictionary.iter_mut().min_by_key(|(_, used)| *used)? = (tag.clone(), self.clock);
        }
        Some(tag)
    }

    fn prefix(&mut self) -> Option<()> {
        let (suffix, value, common) = (self.cint()?, self.cint()?, self.cint()?);
        let mut key = self.key.get(..common)?.to_vec();
        key.extend(self.run(suffix)?);
        let value = self.run(value)?;
        self.keep(key, value)
    }

    /// The row, family and qualifier of a key of `len` bytes.
    fn columns(&mut self, len: usize, common: usize, family: &[u8]) -> Option<Vec<u8>> {
        let qualifier_end = len.checked_sub(9)?;
        let mut key = self.key.get(..common)?.to_vec();
        while key.len() < 2 {
            key.push(self.byte()?);
        }
        let row_len = usize::from(key[0]) * 256 + usize::from(key[1]);
        if row_len > 32767 {
            return None;
        }
        if common < 2 + row_len || self.first() {
            // the row length may be unchanged by chance, but then only its bytes are common
            key.extend(self.run((2 + row_len).checked_sub(key.len())?)?);
            key.push(u8::try_from(family.len()).ok()?);
            key.extend(family);
            key.extend(self.run(qualifier_end.checked_sub(key.len())?)?);
        } else {
            if common < 2 + row_len + 1 + family.len() || common > self.key.len() - 9 {
                return None;
            }
            key.extend(self.run(qualifier_end.checked_sub(common)?)?);
        }
        Some(key)
    }

    fn diff(&mut self, family: &[u8]) -> Option<()> {
        let flags = self.byte()?;
        if self.first() && flags & 0x0f != 0 {
            return None;
        }
        let key_len = if flags & 1 != 0 { self.key.len() } else { self.cint()? };
        let value_len = if flags & 2 != 0 { self.value.len() } else { self.cint()? };
        let common = self.cint()?;
        let mut key = self.columns(key_len, common, family)?;
        let stored = self.run(usize::from(flags >> 4 & 7) + 1)?;
        let mut timestamp = 0i64;
        for (place, byte) in stored.into_iter().enumerate() {
            timestamp |= i64::from(byte) << (8 * place);
        }
        if flags & 0x80 != 0 {
            timestamp = 0i64.wrapping_sub(timestamp);
        }
        if flags & 8 != 0 {
            timestamp = i64::from_be_bytes(self.old_timestamp()).wrapping_sub(timestamp);
        }
        key.extend(timestamp.to_be_bytes());
        key.push(if flags & 4 != 0 { *self.key.last()? } else { self.byte()? });
        let value = self.run(value_len)?;
        self.keep(key, value)
    }

    fn fast_diff(&mut self) -> Option<()> {
        let flags = self.byte()?;
        if self.first() {
            let (key, value, common) = (self.cint()?, self.cint()?, self.cint()?);
            if flags != 0 || common != 0 {
                return None;
            }
            let (key, value) = (self.run(key)?, self.run(value)?);
            return self.keep(key, value);
        }
        if flags & 0x80 != 0 {
            return None;
        }
        let key_len = if flags & 0x08 != 0 { self.key.len() } else { self.cint()? };
        let value_len = if flags & 0x10 != 0 { self.value.len() } else { self.cint()? };
        let common = self.cint()?;
        let mut key = self.columns(key_len, common, &self.family())?;
        let same = usize::from(flags & 7);
        key.extend(&self.old_timestamp()[..same]);
        key.extend(self.run(8 - same)?);
        key.push(if flags & 0x20 != 0 { *self.key.last()? } else { self.byte()? });
        if flags & 0x40 == 0 {
            let value = self.run(value_len)?;
            return self.keep(key, value);
        }
        (value_len == self.value.len()).then_some(())?;
        self.keep(key, self.value.clone())
    }
}
