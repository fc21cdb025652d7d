//! The cells of an entry: plain, with dictionaries, and encrypted (wal.md §4 to §6, §18; HBase:
//! `WALCellCodec`, `SecureWALCellCodec`).
//!
//! In memory, the cells of an entry are stored one after the other as `KeyValue`s with a tags part.
#![warn(clippy::indexing_slicing)]

use super::dictionary::{Dictionaries, Role};
use super::header::WalHeader;
use super::source::{Input, Source, Stop};
use crate::block::codec::{Codec, Compressor, CompressorOptions, Decompressor};
use crate::block::crypto::{BlockCipher, IV_LEN};
use crate::cell::key::FIXED_LEN;
use crate::cell::key_value::{self, CellFormat, checked_key};
use crate::cell::{CellRef, MAX_FAMILY_LEN, MAX_ROW_LEN, tags};
use crate::coding::{Cursor, put_varint};
use crate::error::Corruption;

/// The form of cells in memory.
pub(super) const IN_MEMORY: CellFormat = CellFormat { tags: true, mvcc: false };

/// Reads the cells of a log.
#[derive(Debug)]
pub(super) struct CellReader {
    /// `None` if the log has no dictionaries.
    pub(super) dictionaries: Option<Dictionaries>,
    values: Option<Decompressor>,
    /// `None` if the log is not encrypted.
    cipher: Option<BlockCipher>,
    /// The decrypted cell.
    decrypted: Vec<u8>,
    /// The maximum number of bytes that the cells of an entry take in memory.
    max_bytes: usize,
}

impl CellReader {
    /// Creates a reader for the cells of a log, before its first entry. Fails if a codec is not built in.
    pub(super) fn new(
        header: &WalHeader,
        cipher: Option<BlockCipher>,
        recovered_edits: bool,
        max_bytes: usize,
        max_dictionary_bytes: usize,
    ) -> Result<Self, Corruption> {
        header.value_compression().map_or(Ok(()), Codec::require)?;
        let tags = header.has_tag_compression();
        Ok(Self {
            dictionaries: header
                .has_compression()
                .then(|| Dictionaries::new(Role::Reader, tags, recovered_edits, max_dictionary_bytes)),
            values: header.value_compression().map(|codec| Decompressor::new(codec, None)),
            cipher,
            decrypted: Vec::new(),
            max_bytes,
        })
    }

    /// Whether the cells can be skipped: they have the plain form.
    pub(super) fn can_skip(&self) -> bool {
        self.dictionaries.is_none() && self.cipher.is_none()
    }

    /// Reads a cell and appends it to `out`.
    pub(super) fn read(&mut self, input: &mut Input, out: &mut Vec<u8>) -> Result<(), Stop> {
        match (&self.cipher, &mut self.dictionaries) {
            (Some(cipher), _) => read_encrypted(input, cipher, &mut self.decrypted, self.max_bytes, out),
            (None, None) => read_plain(input, self.max_bytes, out),
            (None, Some(dictionaries)) => {
                read_compressed(input, dictionaries, self.values.as_ref(), self.max_bytes, out)
            }
        }
    }
}

/// Skips a cell of a log that is neither encrypted nor has dictionaries, without checking it.
pub(super) fn skip_plain(input: &mut Input) -> Result<(), Stop> {
    take_plain(input).map(drop)
}

fn take_plain(input: &mut Input) -> Result<&[u8], Stop> {
    let len = input.take(4, "length of a cell")?;
    let len = Cursor::new(len).len("length of a cell")?;
    input.take(len, "cell")
}

fn read_plain(input: &mut Input, max_bytes: usize, out: &mut Vec<u8>) -> Result<(), Stop> {
    let cell = take_plain(input)?;
    limit(out.len(), cell.len(), max_bytes)?;
    let mut cursor = Cursor::new(cell);
    let key_len = cursor.len("key length")?;
    let value_len = cursor.len("value length")?;
    let key = checked_key(cursor.take(key_len, "key length")?)?;
    let value = cursor.take(value_len, "value length")?;
    let mut area: &[u8] = &[];
    if !cursor.is_empty() {
        let tags_len = cursor.u16("tags length")?;
        area = cursor.take(tags_len.into(), "tags length")?;
        cursor.finish("bytes after the tags of a cell")?;
        tags::check(area)?;
    }
    key_value::put(out, &CellRef { key, value, tags: area, seq_id: 0 }, IN_MEMORY);
    Ok(())
}

fn read_compressed(
    input: &mut Input,
    dictionaries: &mut Dictionaries,
    values: Option<&Decompressor>,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), Stop> {
    let key_len = read_len(input, "key length", FIXED_LEN, I32_MAX)?;
    let value_len = read_len(input, "value length", 0, I32_MAX)?;
    let tags_len = read_len(input, "tags length", 0, u16::MAX.into())?;
    if values.is_none() && value_len as u64 > input.left() {
        let (needed, available) = (value_len as u64, input.left());
        return Err(Stop::Torn(Corruption::Truncated { what: "value", needed, available }));
    }
    limit(out.len(), key_len.saturating_add(value_len).saturating_add(tags_len), max_bytes)?;

    for len in [key_len, value_len] {
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
    let key_at = out.len();
    let mut room = key_len - FIXED_LEN;
    out.extend_from_slice(&[0; 2]);
    let row_len = dictionaries.row.read(input, room.min(MAX_ROW_LEN), out)?;
    patch_u16(out, key_at, row_len);
    room -= row_len;
    let family_at = out.len();
    out.push(0);
    let family_len = dictionaries.family.read(input, room.min(MAX_FAMILY_LEN), out)?;
    if let (Some(byte), Ok(len)) = (out.get_mut(family_at), u8::try_from(family_len)) {
        *byte = len;
    }
    room -= family_len;
    room -= dictionaries.qualifier.read(input, room, out)?;
    if room > 0 {
        let signed = |len| i64::try_from(len).unwrap_or(i64::MAX);
        let (expected, found) = (signed(key_len), signed(key_len - room));
        return Err(Corruption::Mismatch { what: "key length", expected, found }.into());
    }
    out.extend_from_slice(input.take(9, "timestamp and type")?);
    checked_key(out.get(key_at..).unwrap_or_default())?;

    match values {
        None => out.extend_from_slice(input.take(value_len, "value")?),
        Some(values) => {
            let packed = read_len(input, "length of a compressed value", 0, I32_MAX)?;
            values.decompress(input.take(packed, "compressed value")?, value_len, out)?;
        }
    }
    out.extend_from_slice(&u16::try_from(tags_len).unwrap_or(u16::MAX).to_be_bytes());
    let area_at = out.len();
    match &mut dictionaries.tag {
        None => out.extend_from_slice(input.take(tags_len, "tags")?),
        Some(tag) => {
            let mut left = tags_len;
            while left > 0 {
                let too_long = Corruption::Malformed("tags longer than the cell's tags length");
                left = left.checked_sub(2).ok_or(too_long)?;
                let at = out.len();
                out.extend_from_slice(&[0; 2]);
                let len = tag.read(input, left, out)?;
                patch_u16(out, at, len);
                left -= len;
            }
        }
    }
    Ok(tags::check(out.get(area_at..).unwrap_or_default())?)
}

/// Reads an encrypted cell. `decrypted` is reused memory.
fn read_encrypted(
    input: &mut Input,
    cipher: &BlockCipher,
    decrypted: &mut Vec<u8>,
    max_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), Stop> {
    let iv_len = read_len(input, "iv length", IV_LEN, IV_LEN)?;
    let iv = Cursor::new(input.take(iv_len, "iv")?).array("iv")?;
    let len = read_len(input, "length of an encrypted cell", 0, I32_MAX)?;
    let cell = input.take(len, "encrypted cell")?;
    limit(out.len(), cell.len(), max_bytes)?;
    decrypted.clear();
    decrypted.extend_from_slice(cell);
    cipher.decrypt_in_place(iv, decrypted)?;
    Ok(parse_decrypted(decrypted, out)?)
}

/// Appends a decrypted cell to `out`.
fn parse_decrypted(cell: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
    let mut cursor = Cursor::new(cell);
    let key_len = read_len(&mut cursor, "key length", FIXED_LEN, I32_MAX)?;
    let value_len = read_len(&mut cursor, "value length", 0, I32_MAX)?;
    let tags_len = read_len(&mut cursor, "tags length", 0, u16::MAX.into())?;
    for len in [key_len, value_len] {
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
    let key_at = out.len();
    let row_len = read_len(&mut cursor, "length of a row", 0, MAX_ROW_LEN)?;
    out.extend_from_slice(&u16::try_from(row_len).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(cursor.take(row_len, "row")?);
    let family_len = read_len(&mut cursor, "length of a family", 0, MAX_FAMILY_LEN)?;
    out.push(u8::try_from(family_len).unwrap_or(u8::MAX));
    out.extend_from_slice(cursor.take(family_len, "family")?);
    let qualifier_len = read_len(&mut cursor, "length of a qualifier", 0, I32_MAX)?;
    out.extend_from_slice(cursor.take(qualifier_len, "qualifier")?);
    out.extend_from_slice(cursor.take(9, "timestamp and type")?);
    let key = out.get(key_at..).unwrap_or_default();
    if key.len() != key_len {
        let signed = |len| i64::try_from(len).unwrap_or(i64::MAX);
        let (expected, found) = (signed(key_len), signed(key.len()));
        return Err(Corruption::Mismatch { what: "key length", expected, found });
    }
    checked_key(key)?;
    out.extend_from_slice(cursor.take(value_len, "value")?);
    // HBase 2 writes the tags alone; before, their length preceded them once more.
    let stored = u16::try_from(tags_len).unwrap_or(u16::MAX);
    if cursor.rest().len() == tags_len + 2 {
        let found = cursor.u16("tags length")?;
        if found != stored {
            let (expected, found) = (stored.into(), found.into());
            return Err(Corruption::Mismatch { what: "tags length", expected, found });
        }
    }
    let area = cursor.take(tags_len, "tags")?;
    cursor.finish("bytes after an encrypted cell")?;
    tags::check(area)?;
    out.extend_from_slice(&stored.to_be_bytes());
    out.extend_from_slice(area);
    Ok(())
}

const I32_MAX: usize = i32::MAX as usize;

fn read_len<S: Source>(input: &mut S, what: &'static str, min: usize, max: usize) -> Result<usize, S::Error> {
    let len = input.varint(what)?;
    let signed = |len| i64::try_from(len).unwrap_or(i64::MAX);
    match usize::try_from(len) {
        Ok(len) if (min..=max).contains(&len) => Ok(len),
        _ => {
            let found = i64::try_from(len).unwrap_or(i64::MAX);
            Err(Corruption::out_of_range(what, found, signed(min), signed(max)).into())
        }
    }
}

fn limit(used: usize, more: usize, max_bytes: usize) -> Result<(), Corruption> {
    let value = used.saturating_add(more) as u64;
    match value > max_bytes as u64 {
        true => {
            Err(Corruption::Limit { what: "bytes of the cells of an entry", value, limit: max_bytes as u64 })
        }
        false => Ok(()),
    }
}

fn patch_u16(out: &mut [u8], at: usize, value: usize) {
    let bytes = u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&bytes);
    }
}

/// Writes the cells of a log.
#[derive(Debug)]
pub(super) struct CellWriter {
    /// `None` if the log has no dictionaries.
    pub(super) dictionaries: Option<Dictionaries>,
    values: Option<Compressor>,
    packed: Vec<u8>,
}

impl CellWriter {
    /// Creates a writer for the cells of a log, before its first entry. `zstd_framed`: whether values
    /// compressed by ZSTD have Hadoop's framing. Fails if a codec is not built in.
    pub(super) fn new(
        header: &WalHeader,
        recovered_edits: bool,
        zstd_framed: bool,
    ) -> Result<Self, Corruption> {
        let options = CompressorOptions { zstd_framed, ..CompressorOptions::default() };
        let values = header.value_compression().map(|codec| Compressor::new(codec, &options)).transpose()?;
        let tags = header.has_tag_compression();
        Ok(Self {
            dictionaries: header
                .has_compression()
                .then(|| Dictionaries::new(Role::Writer, tags, recovered_edits, usize::MAX)),
            values,
            packed: Vec::new(),
        })
    }

    /// Appends a cell to `out`. After a failure the dictionaries no longer match the log.
    pub(super) fn write(&mut self, cell: &CellRef<'_>, out: &mut Vec<u8>) -> Result<(), Corruption> {
        let Some(dictionaries) = &mut self.dictionaries else { return write_plain(cell, out) };
        let (row, family, qualifier) = cell.key.split();
        for len in [cell.key.as_bytes().len(), cell.value.len(), cell.tags.len()] {
            put_varint(out, len as u64);
        }
        dictionaries.row.write(row, out)?;
        dictionaries.family.write(family, out)?;
        dictionaries.qualifier.write(qualifier, out)?;
        out.extend_from_slice(&cell.timestamp().to_be_bytes());
        out.push(cell.key.type_code());
        match &mut self.values {
            None => out.extend_from_slice(cell.value),
            Some(values) => {
                self.packed.clear();
                values.compress_value(cell.value, &mut self.packed)?;
                put_varint(out, self.packed.len() as u64);
                out.extend_from_slice(&self.packed);
            }
        }
        match &mut dictionaries.tag {
            None => out.extend_from_slice(cell.tags),
            Some(dictionary) => {
                let mut area = Cursor::new(cell.tags);
                while !area.is_empty() {
                    let len = area.u16("tag length")?;
                    dictionary.write(area.take(len.into(), "tag")?, out)?;
                }
            }
        }
        Ok(())
    }
}

fn write_plain(cell: &CellRef<'_>, out: &mut Vec<u8>) -> Result<(), Corruption> {
    let format = CellFormat { tags: !cell.tags.is_empty(), mvcc: false };
    let len = key_value::len(cell, format);
    let Ok(len) = i32::try_from(len) else {
        return Err(Corruption::Limit { what: "bytes of a cell", value: len as u64, limit: I32_MAX as u64 });
    };
    out.extend_from_slice(&len.to_be_bytes());
    key_value::put(out, cell, format);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::header::WalHeader;
    use super::*;
    use crate::cell::{CellType, SeekKey};
    use crate::io::MemoryFile;
    use std::sync::Arc;

    const LIMIT: usize = 1 << 20;

    fn read_all(header: &WalHeader, bytes: &[u8], count: usize) -> Result<Vec<u8>, Stop> {
        let mut input = Input::new(Arc::new(MemoryFile::new("log", bytes.to_vec())), LIMIT);
        let mut reader = CellReader::new(header, None, false, LIMIT, LIMIT)?;
        let mut out = Vec::new();
        for _ in 0..count {
            reader.read(&mut input, &mut out)?;
        }
        assert_eq!(input.left(), 0);
        Ok(out)
    }

    fn headers() -> Vec<WalHeader> {
        let mut headers = vec![
            WalHeader::default(),
            WalHeader::default().with_compression(false, None),
            WalHeader::default().with_compression(true, None),
        ];
        let codecs = Codec::ALL.into_iter().filter(|codec| codec.require().is_ok());
        headers.extend(codecs.map(|codec| WalHeader::default().with_compression(true, Some(codec))));
        headers
    }

    /// The cell of §14: row-0000/a:q0/1000/Delete.
    #[test]
    fn a_plain_cell_has_the_bytes_of_the_vector() {
        let key = SeekKey::of(b"row-0000", b"a", b"q0", 1000, CellType::Delete);
        let mut out = Vec::new();
        write_plain(&CellRef::new(&key, b""), &mut out).unwrap();
        let expected = b"\0\0\0\x1f\0\0\0\x17\0\0\0\0\0\x08row-0000\x01aq0\0\0\0\0\0\0\x03\xe8\x08";
        assert_eq!(out, expected);
    }

    #[test]
    fn a_cell_of_known_names_has_the_bytes_of_the_vector() {
        let header = WalHeader::default().with_compression(true, None);
        let mut writer = CellWriter::new(&header, false, false).unwrap();
        let dictionaries = writer.dictionaries.as_mut().unwrap();
        for (dictionary, names) in [
            (&mut dictionaries.row, [&b"first"[..], b"row-0000"]),
            (&mut dictionaries.family, [&b"first"[..], b"a"]),
            (&mut dictionaries.qualifier, [&b"first"[..], b"q0"]),
        ] {
            names.iter().for_each(|name| dictionary.write(name, &mut Vec::new()).unwrap());
        }
        let key = SeekKey::of(b"row-0000", b"a", b"q0", 1000, CellType::Delete);
        let mut out = Vec::new();
        writer.write(&CellRef::new(&key, b""), &mut out).unwrap();
        assert_eq!(out, b"\x17\0\0\0\x01\0\x01\0\x01\0\0\0\0\0\0\x03\xe8\x08");
    }

    #[test]
    fn cells_survive_in_every_form() {
        let long = vec![b'v'; 70_000];
        let tags = [b"\0\x03\x08ab\0\x01\x09".as_slice(), b"\0\x03\x08ab", b""];
        let keys =
            [(&b"r"[..], &b"f"[..], &b""[..]), (b"r", b"f", b"q"), (b"", b"", b""), (b"r2", b"g", b"q")];
        for header in headers() {
            let mut writer = CellWriter::new(&header, false, false).unwrap();
            let (mut bytes, mut expected, mut count) = (Vec::new(), Vec::new(), 0);
            for (row, family, qualifier) in keys {
                let key = SeekKey::of(row, family, qualifier, -5, CellType::Put);
                for (value, tags) in [&b""[..], b"value", &long].into_iter().zip(tags) {
                    let cell = CellRef::new(&key, value).with_tag_bytes(tags).unwrap();
                    writer.write(&cell, &mut bytes).unwrap();
                    key_value::put(&mut expected, &cell, IN_MEMORY);
                    count += 1;
                }
            }
            assert!(read_all(&header, &bytes, count).unwrap() == expected, "{header:?}");
            for cut in [1, 5, 10, bytes.len() / 2] {
                let torn = read_all(&header, &bytes[..bytes.len() - cut], count);
                assert!(matches!(torn, Err(Stop::Torn(_))), "{header:?} without {cut}: {torn:?}");
            }
        }
    }

    /// Writes a cell with a value, reads it again, and returns the value as it is compressed.
    #[cfg(any(feature = "snappy", feature = "zstd"))]
    fn packed_value(codec: Codec, zstd_framed: bool, value: &[u8]) -> Vec<u8> {
        let header = WalHeader::default().with_compression(true, Some(codec));
        let key = SeekKey::of(b"r", b"f", b"q", 5, CellType::Put);
        let cell = CellRef::new(&key, value);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        CellWriter::new(&header, false, zstd_framed).unwrap().write(&cell, &mut bytes).unwrap();
        key_value::put(&mut expected, &cell, IN_MEMORY);
        assert!(read_all(&header, &bytes, 1).unwrap() == expected, "{codec:?} {zstd_framed}");
        let mut cursor = Cursor::new(&bytes);
        for what in ["key length", "value length", "tags length"] {
            cursor.varint(what).unwrap();
        }
        assert_eq!(cursor.take(9, "names").unwrap(), b"\xff\x01r\xff\x01f\xff\x01q");
        cursor.take(9, "timestamp and type").unwrap();
        let len = cursor.varint("length of a compressed value").unwrap();
        assert_eq!(len, cursor.rest().len() as u64);
        cursor.rest().to_vec()
    }

    /// HBase before HBASE-28390 cannot skip the empty group of a stream.
    #[cfg(feature = "snappy")]
    #[test]
    fn a_value_of_several_chunks_ends_with_the_last() {
        let packed = packed_value(Codec::Snappy, false, &vec![b'v'; 300_000]);
        let mut cursor = Cursor::new(&packed);
        assert_eq!(cursor.u32("plain length"), Ok(300_000));
        for _ in 0..2 {
            let len = cursor.len("length of a chunk").unwrap();
            assert!(len > 0);
            cursor.take(len, "chunk").unwrap();
        }
        assert!(cursor.is_empty());
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn values_compressed_by_zstd_are_bare_or_framed() {
        const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
        for len in [5, 300_000] {
            let value = vec![b'v'; len];
            assert!(packed_value(Codec::Zstd, false, &value).starts_with(&MAGIC), "{len}");
            let framed = packed_value(Codec::Zstd, true, &value);
            assert!(framed.starts_with(&u32::try_from(len).unwrap().to_be_bytes()), "{len}");
            assert!(framed[8..].starts_with(&MAGIC), "{len}");
        }
    }

    /// Tags alone, as HBase 2 writes them, and after their length, as HBase 1 does.
    #[test]
    fn decrypted_cells_have_tags_in_two_forms() {
        let before_tags = b"\x0f\x01\x04\x01r\x01f\x01q\0\0\0\0\0\0\0\x05\x04v";
        let key = SeekKey::of(b"r", b"f", b"q", 5, CellType::Put);
        let mut expected = Vec::new();
        let cell = CellRef::new(&key, b"v").with_tag_bytes(b"\0\x02\x40a").unwrap();
        key_value::put(&mut expected, &cell, IN_MEMORY);
        for tags in [&b"\0\x02\x40a"[..], b"\0\x04\0\x02\x40a"] {
            let mut out = Vec::new();
            let cell = [&before_tags[..], tags].concat();
            parse_decrypted(&cell, &mut out).unwrap();
            assert_eq!(out, expected);
            for len in 0..cell.len() {
                assert!(parse_decrypted(&cell[..len], &mut Vec::new()).is_err(), "{len}");
            }
            assert!(parse_decrypted(&[&cell[..], b"\0\0\0"].concat(), &mut Vec::new()).is_err());
            // the length of the key, the tags, a row, a family and a qualifier; the type
            for at in [0, 2, 3, 5, 7, 17] {
                let mut bad = cell.clone();
                bad[at] += 1;
                assert!(parse_decrypted(&bad, &mut Vec::new()).is_err(), "{at}");
            }
        }
        let contradiction = [&before_tags[..], b"\0\x03\0\x02\x40a"].concat();
        assert!(parse_decrypted(&contradiction, &mut Vec::new()).is_err());
    }

    #[test]
    fn contradictions_are_damage() {
        let plain = WalHeader::default();
        let good = b"\0\0\0\x17\0\0\0\x0e\0\0\0\x01\0\x01r\x01f\0\0\0\0\0\0\0\x01\x04v";
        read_all(&plain, good, 1).unwrap();
        for (at, byte) in
            [(0, 0x80), (3, 0x16), (3, 7), (7, 0x0f), (4, 0x80), (11, 2), (13, 9), (16 - 1, 9), (26 - 1, 5)]
        {
            let mut bad = good.to_vec();
            bad[at] = byte;
            let found = read_all(&plain, &bad, 1);
            assert!(matches!(found, Err(Stop::Damaged(_))), "{at}: {found:?}");
        }
        let packed = WalHeader::default().with_compression(true, None);
        let good = b"\x0e\x01\x04\xff\x01r\xff\x01f\xff\0\0\0\0\0\0\0\0\x01\x04v\xff\x02\x08x";
        read_all(&packed, good, 1).unwrap();
        for (at, byte) in [(0, 0x0d), (0, 0x0f), (0, 3), (2, 3), (2, 5), (3, 0), (4, 3), (6, 0x90), (19, 9)] {
            let mut bad = good.to_vec();
            bad[at] = byte;
            let found = read_all(&packed, &bad, 1);
            assert!(matches!(found, Err(Stop::Damaged(_) | Stop::Torn(_))), "{at}: {found:?}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        // a value of 2 GiB, with the header of a gzip member
        let header = WalHeader::default().with_compression(true, Some(Codec::None));
        let bytes = b"\x0e\xff\xff\xff\xff\x07\0\xff\x01r\xff\x01f\xff\0\0\0\0\0\0\0\0\x01\x04\x01v";
        let found = read_all(&header, bytes, 1);
        assert!(matches!(found, Err(Stop::Damaged(Corruption::Limit { .. }))), "{found:?}");
    }
}
