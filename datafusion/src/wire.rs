//! Numbers, byte strings and lists as bytes, with a version and a checksum.

use std::fmt;

/// The first bytes: no protocol buffers message begins with them.
const MAGIC: &[u8; 8] = b"\xffhregion";
const VERSION: u8 = 1;
/// The length of the checksum, at the end.
const SUM: usize = 8;

/// Bytes that differ from the written ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damaged {
    Version(u8),
    Checksum,
    Contents,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "a plan of hregion has version {version}, expected {VERSION}")
            }
            Self::Checksum => f.write_str("a plan of hregion is damaged: the checksum is wrong"),
            Self::Contents => f.write_str("a plan of hregion is damaged"),
        }
    }
}

/// FNV-1a: it detects any single changed byte. It does not protect against deliberate changes.
fn checksum(bytes: &[u8]) -> u64 {
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        Self(bytes)
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.byte(flag.into());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    pub(crate) fn size(&mut self, size: usize) {
        self.number(u64::try_from(size).unwrap_or(u64::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.0.extend(bytes);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T>(
        &mut self,
        list: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let list = list.into_iter();
        self.size(list.len());
        list.for_each(|item| write(self, item));
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.number(checksum(&self.0));
        self.0
    }
}

pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// Whether the bytes begin like the output of a [`Writer`].
    pub(crate) fn is_own(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Checks version and checksum.
    pub(crate) fn new(bytes: &'b [u8]) -> Result<Self, Damaged> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Damaged::Contents)?;
        let (version, _) = rest.split_first().ok_or(Damaged::Contents)?;
        if *version != VERSION {
            return Err(Damaged::Version(*version));
        }
        let end = bytes.len().checked_sub(SUM).ok_or(Damaged::Contents)?;
        let (signed, sum) = bytes.split_at_checked(end).ok_or(Damaged::Contents)?;
        if sum != checksum(signed).to_be_bytes() {
            return Err(Damaged::Checksum);
        }
        signed.get(MAGIC.len() + 1..).map(Self).ok_or(Damaged::Contents)
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damaged::Contents)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        self.take(1)?.first().copied().ok_or(Damaged::Contents)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Damaged> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damaged::Contents),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let bytes = self.take(8)?.try_into().map_err(|_| Damaged::Contents)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(crate) fn size(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.number()?).map_err(|_| Damaged::Contents)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], Damaged> {
        let len = self.size()?;
        self.take(len)
    }

    pub(crate) fn owned(&mut self) -> Result<Vec<u8>, Damaged> {
        self.bytes().map(<[u8]>::to_vec)
    }

    pub(crate) fn text(&mut self) -> Result<String, Damaged> {
        String::from_utf8(self.owned()?).map_err(|_| Damaged::Contents)
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Option<T>, Damaged> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Vec<T>, Damaged> {
        let count = self.size()?;
        // each item has at least eight bytes, so that a count takes no more memory than the bytes
        if count > self.0.len() / 8 {
            return Err(Damaged::Contents);
        }
        (0..count).map(|_| read(self)).collect()
    }

    /// Reads indices into a list of `len` items.
    pub(crate) fn places(&mut self, len: usize) -> Result<Vec<usize>, Damaged> {
        let places = self.list(Self::size)?;
        if places.iter().all(|place| *place < len) { Ok(places) } else { Err(Damaged::Contents) }
    }

    /// Fails if any bytes remain.
    pub(crate) fn end(self) -> Result<(), Damaged> {
        if self.0.is_empty() { Ok(()) } else { Err(Damaged::Contents) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_byte_is_found() {
        let mut writer = Writer::new();
        writer.list([&b"ab"[..], b""], Writer::bytes);
        writer.option(Some(7), Writer::number);
        let bytes = writer.finish();
        let read = |bytes: &[u8]| -> Result<(Vec<Vec<u8>>, Option<u64>), Damaged> {
            let mut reader = Reader::new(bytes)?;
            let list = reader.list(|reader| Ok(reader.bytes()?.to_vec()))?;
            let number = reader.option(Reader::number)?;
            reader.end().map(|()| (list, number))
        };
        assert_eq!(read(&bytes).unwrap(), (vec![b"ab".to_vec(), Vec::new()], Some(7)));
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at]).is_err());
            for mask in 1..=255 {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                assert!(read(&damaged).is_err(), "{at} {mask}");
            }
        }
        let mut newer = bytes;
        newer[MAGIC.len()] = VERSION + 1;
        assert_eq!(read(&newer), Err(Damaged::Version(VERSION + 1)));
    }

    /// Impossible contents with a correct checksum are errors too.
    #[test]
    fn counts_and_lengths_are_those_of_the_bytes() {
        for number in [3, 1 << 20, u64::MAX] {
            let mut writer = Writer::new();
            writer.number(number);
            writer.number(0);
            let bytes = writer.finish();
            assert_eq!(Reader::new(&bytes).unwrap().bytes().is_ok(), number == 3);
            let list = Reader::new(&bytes).unwrap().list(Reader::number);
            assert_eq!(list, Err(Damaged::Contents));
        }
    }
}
