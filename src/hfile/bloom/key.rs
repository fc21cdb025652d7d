//! The keys of a Bloom filter (hfile.md §12.2).

use crate::cell::{CellKey, SeekKey};
pub use crate::schema::BloomType;

impl BloomType {
    /// Returns the filter key of a cell with this row and qualifier. `buffer` holds keys that are not part of
    /// the row.
    #[inline]
    pub(crate) fn key<'a>(self, row: &'a [u8], qualifier: &[u8], buffer: &'a mut SeekKey) -> &'a [u8] {
        match self {
            Self::Row => row,
            Self::RowPrefixFixedLength(len) => prefix(row, len),
            Self::RowCol => rowcol(row, qualifier, buffer).as_bytes(),
        }
    }
}

/// Returns the key of a row in a filter of prefixes.
#[inline]
pub(crate) fn prefix(row: &[u8], len: u32) -> &[u8] {
    usize::try_from(len).ok().and_then(|len| row.get(..len)).unwrap_or(row)
}

/// Returns the key of a column in a filter of rows with qualifiers: a flat key without a family, before all
/// versions of the column.
///
/// With an empty qualifier this is the key of the row's family deletes.
#[inline]
pub(crate) fn rowcol<'a>(row: &[u8], qualifier: &[u8], buffer: &'a mut SeekKey) -> &'a CellKey {
    buffer.set_first_on_column(row, b"", qualifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_as_hbase_hashes_them() {
        let mut buffer = SeekKey::new();
        let mut key = |bloom_type: BloomType| bloom_type.key(b"row0", b"q1", &mut buffer).to_vec();
        assert_eq!(key(BloomType::Row), b"row0");
        assert_eq!(key(BloomType::RowCol), b"\0\x04row0\0q1\x7f\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(key(BloomType::RowPrefixFixedLength(2)), b"ro");
        assert_eq!(key(BloomType::RowPrefixFixedLength(4)), b"row0");
        assert_eq!(key(BloomType::RowPrefixFixedLength(u32::MAX)), b"row0");
    }
}
