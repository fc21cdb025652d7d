//! The key part of a cell (hfile.md §2.2), borrowed and owned.

use super::{CellType, StringBinary};
use crate::error::{Corruption, Error};
use std::fmt;
use std::ops::Deref;

/// The timestamp of a search key before every version: `Long.MAX_VALUE`.
pub const LATEST_TIMESTAMP: i64 = i64::MAX;
/// The timestamp of a search key after every version.
pub const OLDEST_TIMESTAMP: i64 = i64::MIN;

/// The size of row length, family length, timestamp and type: a key without row, family and qualifier.
pub(crate) const FIXED_LEN: usize = 2 + 1 + 8 + 1;
const TIMESTAMP_AND_TYPE: usize = 9;
/// The smallest key: no row, no family, the latest timestamp, the type `Maximum`.
const SMALLEST: [u8; FIXED_LEN] = [0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255, 255];
/// The maximum length of a row.
pub const MAX_ROW_LEN: usize = i16::MAX as usize;
/// The maximum length of a family.
pub const MAX_FAMILY_LEN: usize = i8::MAX as usize;

/// The key part of a `KeyValue`: the *flat key* (HBase: `KeyValue.KeyOnlyKeyValue`). An unsized view of
/// bytes, like `str`.
///
/// | field | bytes | |
/// |---|---|---|
/// | row length | 2 | 0 to 32,767 |
/// | row | | |
/// | family length | 1 | 0 to 127 |
/// | family | | |
/// | qualifier | | the rest |
/// | timestamp | 8 | milliseconds, signed |
/// | type | 1 | [`CellType`] |
///
/// Invariant: the two lengths fit the key, and the type code exists. [`CellKey::new`] checks this; all other
/// methods rely on it. Keys do not implement an order: [`CellOrder`](super::CellOrder) compares them.
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CellKey([u8]);

impl CellKey {
    /// Checks that `bytes` are a flat key.
    ///
    /// # Errors
    ///
    /// If its lengths do not fit, or its type code does not exist.
    pub fn new(bytes: &[u8]) -> Result<&Self, Corruption> {
        check(bytes)?;
        Ok(Self::from_checked(bytes))
    }

    /// Converts bytes that [`check`] has accepted as a key. For other bytes the accessors panic.
    #[inline]
    #[allow(unsafe_code, reason = "the only way to create an unsized view of bytes, like str")]
    pub(crate) fn from_checked(bytes: &[u8]) -> &Self {
        debug_assert!(check(bytes).is_ok());
        // SAFETY: `CellKey` is `repr(transparent)` over `[u8]`, so both references have the same layout and
        // lifetime.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Self) }
    }

    /// Returns the whole key.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    fn row_len(&self) -> usize {
        usize::from(u16::from_be_bytes([self.0[0], self.0[1]]))
    }

    /// Returns the row.
    #[inline]
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.0[2..2 + self.row_len()]
    }

    /// Returns the family.
    #[inline]
    #[must_use]
    pub fn family(&self) -> &[u8] {
        let at = 2 + self.row_len();
        let len = usize::from(self.0[at]);
        &self.0[at + 1..at + 1 + len]
    }

    /// Whether `family` is the family. Families are short: an inline loop is cheaper than a call of `memcmp`.
    #[inline]
    pub(crate) fn is_of_family(&self, family: &[u8]) -> bool {
        let mine = self.family();
        mine.len() == family.len() && mine.iter().zip(family).all(|(a, b)| a == b)
    }

    /// Returns the qualifier.
    #[inline]
    #[must_use]
    pub fn qualifier(&self) -> &[u8] {
        let family_at = 2 + self.row_len();
        let family_len = usize::from(self.0[family_at]);
        &self.0[family_at + 1 + family_len..self.0.len() - TIMESTAMP_AND_TYPE]
    }

    /// Returns the row, family and qualifier.
    #[inline]
    pub(crate) fn split(&self) -> (&[u8], &[u8], &[u8]) {
        let (row, rest) = self.0[2..].split_at(self.row_len());
        let (&family_len, rest) = rest.split_first().expect("a key has a family length");
        let (family, rest) = rest.split_at(usize::from(family_len));
        (row, family, &rest[..rest.len() - TIMESTAMP_AND_TYPE])
    }

    /// Returns the family's length, the family and the qualifier.
    #[inline]
    pub(crate) fn column_bytes(&self) -> &[u8] {
        &self.0[2 + self.row_len()..self.0.len() - TIMESTAMP_AND_TYPE]
    }

    /// Returns the timestamp in milliseconds.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        let at = self.0.len() - TIMESTAMP_AND_TYPE;
        let (bytes, _) = self.0[at..].split_first_chunk().expect("a key ends with timestamp and type");
        i64::from_be_bytes(*bytes)
    }

    /// Returns the type code.
    #[inline]
    pub(crate) fn type_code(&self) -> u8 {
        self.0[self.0.len() - 1]
    }

    /// Whether this is the key before all others of its row.
    #[inline]
    pub(crate) fn is_first_on_row(&self) -> bool {
        self.column_bytes() == [0]
            && self.timestamp() == LATEST_TIMESTAMP
            && self.type_code() == CellType::Maximum.code()
    }

    /// Returns the type.
    #[inline]
    #[must_use]
    pub fn cell_type(&self) -> CellType {
        CellType::from_code(self.type_code()).expect("a key's type exists")
    }
}

/// Fails for a row that is too long for a key.
#[inline]
pub(crate) fn check_row_len(row: &[u8]) -> Result<(), Error> {
    if row.len() <= MAX_ROW_LEN { Ok(()) } else { Err(row_too_long(row.len())) }
}

#[cold]
fn row_too_long(len: usize) -> Error {
    Error::invalid_argument(format!("a row has at most {MAX_ROW_LEN} bytes, not {len}"))
}

/// Checks that `bytes` are a flat key.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<(), Corruption> {
    check_type(bytes, |code| CellType::from_code(code).is_some())
}

/// Checks that `bytes` are the flat key of a stored cell, not a search key.
#[inline]
pub(crate) fn check_stored(bytes: &[u8]) -> Result<(), Corruption> {
    check_type(bytes, is_stored)
}

/// Whether a type code may occur in a stored cell.
#[inline]
pub(crate) fn is_stored(code: u8) -> bool {
    // one bit for each code up to 14
    const STORED: u32 = 1 << 4 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 14;
    1u32.checked_shl(code.into()).is_some_and(|bit| STORED & bit != 0)
}

#[inline]
fn check_type(bytes: &[u8], exists: impl Fn(u8) -> bool) -> Result<(), Corruption> {
    let [high, low, .., code] = *bytes else {
        return Err(short(bytes.len()));
    };
    let row_len = usize::from(u16::from_be_bytes([high, low]));
    // the family length must exist, followed by timestamp and type; if the row is too long, there is none
    let family_len = bytes.get(2 + row_len).copied().map_or(usize::MAX, usize::from);
    if row_len > MAX_ROW_LEN
        || family_len > MAX_FAMILY_LEN
        || FIXED_LEN + row_len + family_len > bytes.len()
        || !exists(code)
    {
        return Err(invalid_key(bytes, row_len, family_len, code));
    }
    Ok(())
}

/// Returns the error for an invalid key.
#[cold]
fn invalid_key(bytes: &[u8], row_len: usize, family_len: usize, code: u8) -> Corruption {
    let room = bytes.len().saturating_sub(FIXED_LEN);
    if bytes.len() < FIXED_LEN {
        short(bytes.len())
    } else if row_len > room.min(MAX_ROW_LEN) {
        Corruption::out_of_range("row length", len_i64(row_len), 0, len_i64(room.min(MAX_ROW_LEN)))
    } else if family_len > (room - row_len).min(MAX_FAMILY_LEN) {
        let most = (room - row_len).min(MAX_FAMILY_LEN);
        Corruption::out_of_range("family length", len_i64(family_len), 0, len_i64(most))
    } else {
        unknown_type(code)
    }
}

#[cold]
fn short(len: usize) -> Corruption {
    Corruption::out_of_range("key length", len_i64(len), len_i64(FIXED_LEN), i32::MAX.into())
}

#[cold]
pub(crate) fn unknown_type(code: u8) -> Corruption {
    Corruption::Unknown { what: "cell type", value: code.into() }
}

fn len_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

impl fmt::Display for CellKey {
    /// Writes the key as HBase does: `row/family:qualifier/timestamp/type`. A precision limits the bytes of
    /// each part that are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (row, family, qualifier) = self.split();
        fmt::Display::fmt(&StringBinary(row), f)?;
        f.write_str("/")?;
        if !family.is_empty() {
            fmt::Display::fmt(&StringBinary(family), f)?;
            f.write_str(":")?;
        }
        fmt::Display::fmt(&StringBinary(qualifier), f)?;
        f.write_str("/")?;
        match self.timestamp() {
            LATEST_TIMESTAMP => f.write_str("LATEST_TIMESTAMP")?,
            OLDEST_TIMESTAMP => f.write_str("OLDEST_TIMESTAMP")?,
            timestamp => write!(f, "{timestamp}")?,
        }
        write!(f, "/{}", self.cell_type().name())
    }
}

impl fmt::Debug for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An owned search key. Setting it again reuses its memory, so seeks in a loop do not allocate.
///
/// | constructor | row | family, qualifier | timestamp | type |
/// |---|---|---|---|---|
/// | [`first_on_row`](Self::first_on_row) | row | empty | latest | Maximum |
/// | [`last_on_row`](Self::last_on_row) | row | empty | oldest | Minimum |
/// | [`first_on_column`](Self::first_on_column) | row | given | latest | Maximum |
/// | [`last_on_column`](Self::last_on_column) | row | given | oldest | Minimum |
///
/// HBase: `PrivateCellUtil.createFirstOnRow` and similar methods (hfile.md §3.3).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SeekKey(Vec<u8>);

impl SeekKey {
    /// Creates the smallest key, that of the empty row.
    #[must_use]
    pub fn new() -> Self {
        Self::first_on_row(b"")
    }

    /// Like [`new`](Self::new), with room for a longer key.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let mut key = Vec::with_capacity(bytes);
        key.extend_from_slice(&SMALLEST);
        Self(key)
    }

    /// Creates the key before all others of a row.
    #[must_use]
    pub fn first_on_row(row: &[u8]) -> Self {
        Self::of(row, b"", b"", LATEST_TIMESTAMP, CellType::Maximum)
    }

    /// Creates the key after all others of a row.
    #[must_use]
    pub fn last_on_row(row: &[u8]) -> Self {
        Self::of(row, b"", b"", OLDEST_TIMESTAMP, CellType::Minimum)
    }

    /// Creates the key before every version of a column.
    #[must_use]
    pub fn first_on_column(row: &[u8], family: &[u8], qualifier: &[u8]) -> Self {
        Self::of(row, family, qualifier, LATEST_TIMESTAMP, CellType::Maximum)
    }

    /// Creates the key after every version of a column.
    #[must_use]
    pub fn last_on_column(row: &[u8], family: &[u8], qualifier: &[u8]) -> Self {
        Self::of(row, family, qualifier, OLDEST_TIMESTAMP, CellType::Minimum)
    }

    /// Creates a key of these parts; the timestamp is in milliseconds.
    ///
    /// # Panics
    ///
    /// If the row is longer than [`MAX_ROW_LEN`] or the family longer than [`MAX_FAMILY_LEN`].
    #[must_use]
    pub fn of(row: &[u8], family: &[u8], qualifier: &[u8], timestamp: i64, cell_type: CellType) -> Self {
        let mut key = Self(Vec::with_capacity(FIXED_LEN + row.len() + family.len() + qualifier.len()));
        key.set(row, family, qualifier, timestamp, cell_type);
        key
    }

    /// Sets the whole key; the timestamp is in milliseconds.
    ///
    /// # Panics
    ///
    /// If the row is longer than [`MAX_ROW_LEN`] or the family longer than [`MAX_FAMILY_LEN`].
    #[inline]
    pub fn set(
        &mut self,
        row: &[u8],
        family: &[u8],
        qualifier: &[u8],
        timestamp: i64,
        cell_type: CellType,
    ) -> &mut Self {
        self.0.clear();
        self.0.reserve(FIXED_LEN + row.len() + family.len() + qualifier.len());
        put_key(&mut self.0, row, family, qualifier, timestamp, cell_type);
        self
    }

    /// Sets the key to [`first_on_row`](Self::first_on_row).
    pub fn set_first_on_row(&mut self, row: &[u8]) -> &mut Self {
        self.set(row, b"", b"", LATEST_TIMESTAMP, CellType::Maximum)
    }

    /// Sets the key to [`last_on_row`](Self::last_on_row).
    pub fn set_last_on_row(&mut self, row: &[u8]) -> &mut Self {
        self.set(row, b"", b"", OLDEST_TIMESTAMP, CellType::Minimum)
    }

    /// Sets the key to [`first_on_column`](Self::first_on_column).
    pub fn set_first_on_column(&mut self, row: &[u8], family: &[u8], qualifier: &[u8]) -> &mut Self {
        self.set(row, family, qualifier, LATEST_TIMESTAMP, CellType::Maximum)
    }

    /// Sets the key to [`last_on_column`](Self::last_on_column).
    pub fn set_last_on_column(&mut self, row: &[u8], family: &[u8], qualifier: &[u8]) -> &mut Self {
        self.set(row, family, qualifier, OLDEST_TIMESTAMP, CellType::Minimum)
    }

    /// Copies the key of a cell.
    pub fn set_key(&mut self, key: &CellKey) -> &mut Self {
        self.0.clear();
        self.0.extend_from_slice(key.as_bytes());
        self
    }

    /// Returns the key, borrowed.
    #[inline]
    #[must_use]
    pub fn as_key(&self) -> &CellKey {
        CellKey::from_checked(&self.0)
    }
}

/// Appends a flat key.
pub(crate) fn put_key(
    out: &mut Vec<u8>,
    row: &[u8],
    family: &[u8],
    qualifier: &[u8],
    timestamp: i64,
    cell_type: CellType,
) {
    let row_len = i16::try_from(row.len()).expect("a row has at most 32,767 bytes");
    let family_len = i8::try_from(family.len()).expect("a family has at most 127 bytes");
    out.extend_from_slice(&row_len.to_be_bytes());
    out.extend_from_slice(row);
    out.extend_from_slice(&family_len.to_be_bytes());
    out.extend_from_slice(family);
    out.extend_from_slice(qualifier);
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.push(cell_type.code());
}

impl Default for SeekKey {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for SeekKey {
    type Target = CellKey;

    #[inline]
    fn deref(&self) -> &CellKey {
        self.as_key()
    }
}

impl AsRef<CellKey> for SeekKey {
    fn as_ref(&self) -> &CellKey {
        self
    }
}

impl From<&CellKey> for SeekKey {
    fn from(key: &CellKey) -> Self {
        Self(key.as_bytes().to_vec())
    }
}

impl fmt::Display for SeekKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_key(), f)
    }
}

impl fmt::Debug for SeekKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_key(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = SeekKey::of(b"row1", b"f", b"qual", 5, CellType::DeleteColumn);
        let key = CellKey::new(key.as_bytes()).unwrap();
        assert_eq!(key.split(), (&b"row1"[..], &b"f"[..], &b"qual"[..]));
        assert_eq!((key.row(), key.family(), key.qualifier()), key.split());
        assert_eq!((key.timestamp(), key.cell_type()), (5, CellType::DeleteColumn));
        assert_eq!(key.to_string(), "row1/f:qual/5/DeleteColumn");
        assert_eq!(SeekKey::first_on_row(b"\x00r").to_string(), "\\x00r//LATEST_TIMESTAMP/Maximum");
    }

    #[test]
    fn stored_codes_agree_with_the_types() {
        for code in 0..=u8::MAX {
            assert_eq!(is_stored(code), CellType::from_code(code).is_some_and(CellType::is_stored), "{code}");
        }
    }

    proptest! {
        #[test]
        fn checked_keys_never_panic(
            bytes in proptest::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..40),
        ) {
            if let Ok(key) = CellKey::new(&bytes) {
                let len = key.row().len() + key.family().len() + key.qualifier().len();
                prop_assert_eq!(len + FIXED_LEN, bytes.len());
                let _ = (key.timestamp(), key.cell_type(), key.to_string());
            }
        }
    }
}
