//! The start of a log (wal.md §2; HBase: `WALHeader`, `AbstractProtobufLogWriter`).
//!
//! ```text
//! "PWAL", varint length of the message, message
//! ```
#![warn(clippy::indexing_slicing)]

use super::checksum;
use super::source::{Input, Source, Stop};
use crate::block::codec::Codec;
use crate::block::crypto::{BlockCipher, MasterKeys};
use crate::error::Corruption;
use crate::proto::wal::WALHeader;
use prost::Message;

pub(super) const MAGIC: [u8; 4] = *b"PWAL";
/// The start of a Hadoop `SequenceFile`: a log of HBase before 0.96.
const SEQUENCE_FILE: [u8; 3] = *b"SEQ";

/// The name that HBase's writers write, and the one that this crate writes.
const WRITER: &str = "ProtobufLogWriter";
/// The writers whose logs HBase reads.
const WRITERS: [&str; 4] =
    [WRITER, "AsyncProtobufLogWriter", "SecureProtobufLogWriter", "SecureAsyncProtobufLogWriter"];
const CELL_CODEC: &str = "org.apache.hadoop.hbase.regionserver.wal.WALCellCodec";
/// The codec of the cells of encrypted logs.
const SECURE_CELL_CODEC: &str = "org.apache.hadoop.hbase.regionserver.wal.SecureWALCellCodec";
/// The codecs whose cells are in the plain form in a log without dictionaries and without a key. HBase 1.x
/// writes the first into such logs if `SecureProtobufLogWriter` is set, and encryption is off. The second is
/// Phoenix's; an index update of its older versions has the length -1, and is refused.
const PLAIN_CELL_CODECS: [&str; 2] =
    [SECURE_CELL_CODEC, "org.apache.hadoop.hbase.regionserver.wal.IndexedWALEditCodec"];

/// The settings with which a log was written. The default is HBase's: without compression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalHeader {
    compression: bool,
    tag_compression: bool,
    value_compression: Option<Codec>,
    writer_class: Option<String>,
    /// The wrapped data key, if the cells are encrypted.
    encryption_key: Option<Vec<u8>>,
    log_id: Option<u64>,
}

impl WalHeader {
    /// Whether names, rows and columns are compressed with dictionaries
    /// (`hbase.regionserver.wal.enablecompression`).
    #[must_use]
    pub fn has_compression(&self) -> bool {
        self.compression
    }

    /// Whether tags are compressed with a dictionary (`hbase.regionserver.wal.tags.enablecompression`).
    #[must_use]
    pub fn has_tag_compression(&self) -> bool {
        self.tag_compression
    }

    /// Returns the codec of the values, if they are compressed
    /// (`hbase.regionserver.wal.value.enablecompression`).
    #[must_use]
    pub fn value_compression(&self) -> Option<Codec> {
        self.value_compression
    }

    /// Returns the class that wrote the log, without its package.
    #[must_use]
    pub fn writer_class(&self) -> Option<&str> {
        self.writer_class.as_deref()
    }

    /// Whether the cells are encrypted (`hbase.regionserver.wal.encryption`). Keys of entries never are.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encryption_key.is_some()
    }

    /// Returns the id of the log, if it has checksums: only logs written by this crate do (wal.md §16).
    #[must_use]
    pub fn log_id(&self) -> Option<u64> {
        self.log_id
    }

    /// Returns the header of a log with dictionaries.
    pub(super) fn with_compression(self, tags: bool, values: Option<Codec>) -> Self {
        Self { compression: true, tag_compression: tags, value_compression: values, ..self }
    }

    /// Returns the header of a log with checksums.
    pub(crate) fn with_log_id(self, log_id: u64) -> Self {
        Self { log_id: Some(log_id), ..self }
    }

    /// Returns the cipher of the cells, if they are encrypted.
    pub(super) fn cipher(&self, keys: &MasterKeys) -> Result<Option<BlockCipher>, Corruption> {
        let wrapped = self.encryption_key.as_deref();
        wrapped.map(|wrapped| BlockCipher::of(wrapped, keys, "encrypted write-ahead log")).transpose()
    }

    /// Reads the header of a log, up to its first entry.
    pub(super) fn read(input: &mut Input, max_bytes: usize) -> Result<Self, Stop> {
        input.mark();
        read_magic(input)?;
        let len = input.varint("length of the header")?;
        if len > max_bytes as u64 && len <= input.left() {
            let limit = max_bytes as u64;
            return Err(Corruption::Limit { what: "bytes of the header", value: len, limit }.into());
        }
        let message = input.take(usize::try_from(len).unwrap_or(usize::MAX), "header")?;
        let header = WALHeader::decode(message)
            .map_err(|_| Corruption::Malformed("header that is not a WALHeader message"))?;
        check_not_hidden(&header, message.len())?;
        let bytes = input.marked();
        let end = bytes.len();
        let log_id = match &header.hregion_seal {
            None => None,
            Some(field) => Some(checksum::check_header(field, bytes, end)?),
        };
        Ok(Self::from_proto(header, log_id)?)
    }

    fn from_proto(header: WALHeader, log_id: Option<u64>) -> Result<Self, Corruption> {
        if let Some(class) = header.writer_cls_name.as_deref().filter(|class| !WRITERS.contains(class)) {
            return Err(Corruption::unsupported("writer class", class.to_owned()));
        }
        let codec = header.cell_codec_cls_name.as_deref().filter(|name| !name.is_empty());
        let codec = codec.unwrap_or(CELL_CODEC);
        let is_encrypted = header.encryption_key.is_some();
        if is_encrypted && codec != SECURE_CELL_CODEC {
            return Err(Corruption::unsupported("cell codec of an encrypted log", codec.to_owned()));
        }
        // Nothing is compressed in an encrypted log, whatever its header says.
        let compression = header.has_compression.unwrap_or_default() && !is_encrypted;
        let is_plain = !compression && PLAIN_CELL_CODECS.contains(&codec);
        if codec != CELL_CODEC && !is_plain {
            return Err(Corruption::unsupported("cell codec", codec.to_owned()));
        }
        let flag = |flag: Option<bool>| compression && flag.unwrap_or_default();
        let value_compression = match (flag(header.has_value_compression), header.value_compression_algorithm)
        {
            (false, _) => None,
            (true, None) => {
                return Err(Corruption::Malformed("header with compressed values, but without their codec"));
            }
            (true, Some(ordinal)) => Some(
                Codec::from_ordinal(ordinal)
                    .ok_or_else(|| Corruption::Unknown { what: "codec of values", value: ordinal.into() })?,
            ),
        };
        Ok(Self {
            compression,
            tag_compression: flag(header.has_tag_compression),
            value_compression,
            writer_class: header.writer_cls_name,
            encryption_key: header.encryption_key,
            log_id,
        })
    }

    /// Returns the bytes at the start of a log.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let message = WALHeader {
            has_compression: Some(self.compression),
            encryption_key: None,
            has_tag_compression: Some(self.tag_compression),
            writer_cls_name: Some(WRITER.to_owned()),
            cell_codec_cls_name: Some(CELL_CODEC.to_owned()),
            has_value_compression: Some(self.value_compression.is_some()),
            value_compression_algorithm: self.value_compression.map(Codec::ordinal),
            hregion_seal: self.log_id.map(checksum::of_header),
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(message.encode_length_delimited_to_vec());
        if self.log_id.is_some() {
            let end = bytes.len();
            checksum::seal(&mut bytes, end);
        }
        bytes
    }
}

/// The first bytes of the field with the log's id: its number (1000), its type and its length.
pub(super) const LOG_ID_FIELD: [u8; 3] = [0xC2, 0x3E, 12];
/// The length of the field's value.
pub(super) const LOG_ID_LEN: usize = 12;

/// Fails if a header of `len` bytes has an unknown field, although its writer encrypts: the field can be the
/// key, with a damaged number. The encrypted cells would be read as plain ones, and look torn.
fn check_not_hidden(header: &WALHeader, len: usize) -> Result<(), Corruption> {
    let encrypts = header.cell_codec_cls_name.as_deref() == Some(SECURE_CELL_CODEC);
    if encrypts && header.encryption_key.is_none() && header.encoded_len() != len {
        return Err(Corruption::Malformed("header of a writer that encrypts, whose key cannot be found"));
    }
    Ok(())
}

/// Reads the magic. Fewer bytes are a tear if they are the start of the magic.
fn read_magic(input: &mut Input) -> Result<(), Stop> {
    let there = usize::try_from(input.left()).unwrap_or(usize::MAX).min(MAGIC.len());
    let bytes = input.take(there, "magic")?;
    if bytes.starts_with(&SEQUENCE_FILE) {
        let name = "SequenceFile (HBase before 0.96)";
        return Err(Corruption::unsupported("format of write-ahead logs", name).into());
    }
    if !MAGIC.starts_with(bytes) {
        let mut found = [0; 8];
        found.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        return Err(Corruption::BadMagic { what: "write-ahead log", expected: "PWAL", found }.into());
    }
    if there < MAGIC.len() {
        let (needed, available) = (MAGIC.len() as u64, there as u64);
        return Err(Stop::Torn(Corruption::Truncated { what: "magic", needed, available }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::io::MemoryFile;
    use std::sync::Arc;

    fn read(bytes: &[u8]) -> Result<WalHeader, Stop> {
        WalHeader::read(&mut Input::new(Arc::new(MemoryFile::new("log", bytes.to_vec())), 1 << 20), 1 << 20)
    }

    fn kind(bytes: &[u8]) -> ErrorKind {
        match read(bytes) {
            Err(Stop::Damaged(corruption)) => corruption.kind(),
            other => panic!("{other:?}"),
        }
    }

    fn log(message: &WALHeader) -> Vec<u8> {
        [&b"PWAL"[..], &message.encode_length_delimited_to_vec()].concat()
    }

    /// The headers of §14.
    #[test]
    fn headers_have_the_bytes_of_the_vectors() {
        let classes = [
            b"\x22\x11ProtobufLogWriter".as_slice(),
            b"\x2a\x35org.apache.hadoop.hbase.regionserver.wal.WALCellCodec",
        ]
        .concat();
        let header = |len, flags: &[u8], last: &[u8]| [&b"PWAL"[..], &[len], flags, &classes, last].concat();
        let packed = |codec| WalHeader::default().with_compression(true, codec);
        for (written, bytes) in [
            (WalHeader::default(), header(0x50, b"\x08\0\x18\0", b"\x30\0")),
            (packed(None), header(0x50, b"\x08\x01\x18\x01", b"\x30\0")),
            (packed(Some(Codec::Gz)), header(0x52, b"\x08\x01\x18\x01", b"\x30\x01\x38\x01")),
            (packed(Some(Codec::Snappy)), header(0x52, b"\x08\x01\x18\x01", b"\x30\x01\x38\x03")),
        ] {
            assert_eq!(written.to_bytes(), bytes);
            let expected = WalHeader { writer_class: Some(WRITER.to_owned()), ..written };
            assert_eq!(read(&bytes).unwrap(), expected);
            for len in 0..bytes.len() {
                assert!(matches!(read(&bytes[..len]), Err(Stop::Torn(_))), "{len}");
            }
        }
    }

    #[test]
    fn checksums_are_checked() {
        let bytes = WalHeader::default().with_log_id(77).to_bytes();
        assert_eq!(read(&bytes).unwrap().log_id(), Some(77));
        for bit in (5 * 8)..(bytes.len() * 8) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // a flip in the field's number hides the field, and in a class changes its name
            if let Ok(header) = read(&bad) {
                assert_eq!(header.log_id(), None, "{bit}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(kind(b"SEQ\x06"), ErrorKind::Unsupported);
        assert_eq!(kind(b"PWAX"), ErrorKind::Corrupt);
        assert_eq!(kind(b"x"), ErrorKind::Corrupt);
        assert_eq!(kind(b"PWAL\x01\x08"), ErrorKind::Corrupt);
        let refused = |message: WALHeader| match read(&log(&message)) {
            Err(Stop::Damaged(corruption)) => corruption.to_string(),
            other => panic!("{other:?}"),
        };
        let encrypted = WALHeader { encryption_key: Some(vec![1]), ..WALHeader::default() };
        assert_eq!(
            refused(encrypted),
            format!("cell codec of an encrypted log {CELL_CODEC} is not supported")
        );
        let writer = WALHeader { writer_cls_name: Some("Other".into()), ..WALHeader::default() };
        assert_eq!(refused(writer), "writer class Other is not supported");
        let codec =
            WALHeader { cell_codec_cls_name: Some("x.IndexedWALEditCodec".into()), ..WALHeader::default() };
        assert_eq!(refused(codec), "cell codec x.IndexedWALEditCodec is not supported");
        for codec in PLAIN_CELL_CODECS {
            let plain = WALHeader { cell_codec_cls_name: Some(codec.into()), ..WALHeader::default() };
            assert!(!read(&log(&plain)).unwrap().has_compression(), "{codec}");
            let packed = WALHeader { has_compression: Some(true), ..plain };
            assert_eq!(refused(packed), format!("cell codec {codec} is not supported"));
        }
        let values = WALHeader {
            has_compression: Some(true),
            has_value_compression: Some(true),
            ..WALHeader::default()
        };
        assert!(refused(values.clone()).contains("codec"));
        let unknown = WALHeader { value_compression_algorithm: Some(9), ..values };
        assert_eq!(refused(unknown), "codec of values 9 does not exist");
    }

    #[test]
    fn a_header_with_a_key_is_of_an_encrypted_log() {
        let message = WALHeader {
            has_compression: Some(true),
            encryption_key: Some(b"wrapped".to_vec()),
            has_tag_compression: Some(true),
            cell_codec_cls_name: Some(SECURE_CELL_CODEC.into()),
            has_value_compression: Some(true),
            value_compression_algorithm: Some(1),
            ..WALHeader::default()
        };
        let bytes = log(&message);
        let header = read(&bytes).unwrap();
        assert!(header.is_encrypted() && !header.has_compression() && !header.has_tag_compression());
        assert_eq!(header.value_compression(), None);
        let without_keys = header.cipher(&MasterKeys::default()).unwrap_err();
        assert_eq!(
            without_keys.to_string(),
            "encrypted write-ahead log (AES) is not supported: give the cluster's master key"
        );
        // the number of the field with the key becomes 10
        let at = bytes.windows(2).position(|field| field == b"\x12\x07").unwrap();
        for flip in [0x40, 0x41] {
            let mut hidden = bytes.clone();
            hidden[at] ^= flip;
            assert_eq!(kind(&hidden), ErrorKind::Corrupt);
        }
        let none = WALHeader { encryption_key: None, has_compression: None, ..message };
        assert!(!read(&log(&none)).unwrap().is_encrypted());
    }

    #[test]
    fn flags_count_only_with_compression() {
        let message = WALHeader {
            has_tag_compression: Some(true),
            has_value_compression: Some(true),
            value_compression_algorithm: Some(1),
            ..WALHeader::default()
        };
        assert_eq!(read(&log(&message)).unwrap(), WalHeader::default());
        assert_eq!(read(b"PWAL\0").unwrap(), WalHeader::default());
    }
}
