//! The position of a cell or a search in the sort order of a segment.
//!
//! A skip list is searched by a borrowed form of its key, which must sort exactly as the key does. Here the
//! key is a `Key<StoredCell>`, and the borrowed form a `Key<dyn KeyParts>`, made from a borrowed cell key.
//! The reference conversion is an unsizing coercion, so a search does not allocate.

use crate::cell::{self, CellKey, CellOrder, CellRef};
use bytes::Bytes;
use std::borrow::Borrow;
use std::cmp::Ordering;

/// A position in the order of cells: by prefix, key and sequence id, the last descending (read-path.md §1.3).
///
/// The prefix is stored in the list node or index entry, so most comparisons do not read the bytes of the
/// cell.
#[derive(Clone, Debug)]
pub(super) struct Key<P: ?Sized> {
    prefix: Prefix,
    seq_id: i64,
    parts: P,
}

/// The parts compared if the prefixes are equal.
pub(super) trait KeyParts {
    fn order(&self) -> CellOrder;
    fn mark(&self) -> Mark<'_>;
}

/// A key, or the start of a row, which is before all its keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark<'a> {
    Key(&'a CellKey),
    RowStart(&'a [u8]),
}

/// A cell in memory: its key, value and tags, contiguous, and their lengths.
#[derive(Clone, Debug)]
pub(super) struct StoredCell {
    bytes: Bytes,
    key_len: u32,
    tags_len: u16,
    order: CellOrder,
}

/// A position to search for.
#[derive(Debug)]
pub(super) struct SeekTarget<'k> {
    order: CellOrder,
    mark: Mark<'k>,
}

impl<P> Key<P> {
    /// Creates a key from its parts.
    #[inline]
    pub(super) fn new(prefix: Prefix, seq_id: i64, parts: P) -> Self {
        Self { prefix, seq_id, parts }
    }
}

impl<P: ?Sized> Key<P> {
    #[inline]
    pub(super) fn prefix(&self) -> Prefix {
        self.prefix
    }
}

impl Key<StoredCell> {
    /// Returns the position of a cell whose key, value and tags are in `bytes`.
    pub(super) fn of_cell(order: CellOrder, cell: CellRef<'_>, bytes: Bytes) -> Self {
        debug_assert_eq!(bytes.len(), cell.key.as_bytes().len() + cell.value.len() + cell.tags.len());
        let key_len = u32::try_from(cell.key.as_bytes().len()).expect("keys are below 2 GiB");
        let tags_len = u16::try_from(cell.tags.len()).expect("a tag area has at most 65,535 bytes");
        let parts = StoredCell { bytes, key_len, tags_len, order };
        Self { prefix: prefix(order, cell.row()), seq_id: cell.seq_id, parts }
    }

    /// Returns the position before all cells with this key.
    pub(super) fn before_key(&self) -> Self {
        let StoredCell { bytes, key_len, order, .. } = &self.parts;
        let parts = StoredCell {
            bytes: bytes.slice(..*key_len as usize),
            key_len: *key_len,
            tags_len: 0,
            order: *order,
        };
        Self { prefix: self.prefix, seq_id: i64::MAX, parts }
    }

    /// Returns the cell.
    #[inline]
    pub(super) fn cell(&self) -> CellRef<'_> {
        let StoredCell { bytes, key_len, tags_len, .. } = &self.parts;
        let (key, rest) = bytes.split_at(*key_len as usize);
        let (value, tags) = rest.split_at(rest.len() - usize::from(*tags_len));
        CellRef { key: CellKey::from_checked(key), value, tags, seq_id: self.seq_id }
    }

    /// Returns the key, value and tags, contiguous.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.parts.bytes
    }

    /// Returns the row, sharing the cell's memory.
    pub(super) fn row(&self) -> Bytes {
        self.parts.bytes.slice_ref(self.cell().row())
    }

    /// Returns the sequence id. Does not read the bytes of the cell.
    #[inline]
    pub(super) fn seq_id(&self) -> i64 {
        self.seq_id
    }
}

impl<'k> Key<SeekTarget<'k>> {
    /// Returns the position of the first cell with this key whose sequence id is not above `seq_id`.
    #[inline]
    pub(super) fn of_key(order: CellOrder, key: &'k CellKey, seq_id: i64) -> Self {
        Self { prefix: prefix(order, key.row()), seq_id, parts: SeekTarget { order, mark: Mark::Key(key) } }
    }

    /// Returns the position before all cells of a row.
    #[inline]
    pub(super) fn of_row(order: CellOrder, row: &'k [u8]) -> Self {
        let parts = SeekTarget { order, mark: Mark::RowStart(row) };
        Self { prefix: prefix(order, row), seq_id: i64::MAX, parts }
    }
}

/// The first 16 bytes of a row, as numbers that sort as the row does. Different rows may have equal prefixes;
/// the first eight bytes are often the same in all rows.
pub(super) type Prefix = (u64, u64);

/// Returns the prefix of a row. It is the same for all rows of `hbase:meta`, whose parts are compared one by
/// one, so that their first bytes do not determine the order.
#[inline]
pub(super) fn prefix(order: CellOrder, row: &[u8]) -> Prefix {
    match order {
        CellOrder::Meta => (0, 0),
        CellOrder::User => (cell::prefix(row, 0), cell::prefix(row, 8)),
    }
}

impl KeyParts for StoredCell {
    #[inline]
    fn order(&self) -> CellOrder {
        self.order
    }

    #[inline]
    fn mark(&self) -> Mark<'_> {
        let (key, _) = self.bytes.split_at(self.key_len as usize);
        Mark::Key(CellKey::from_checked(key))
    }
}

impl KeyParts for SeekTarget<'_> {
    #[inline]
    fn order(&self) -> CellOrder {
        self.order
    }

    #[inline]
    fn mark(&self) -> Mark<'_> {
        self.mark
    }
}

#[inline]
pub(super) fn compare<A: KeyParts + ?Sized, B: KeyParts + ?Sized>(a: &Key<A>, b: &Key<B>) -> Ordering {
    a.prefix.cmp(&b.prefix).then_with(|| compare_marks(a, b))
}

fn compare_marks<A: KeyParts + ?Sized, B: KeyParts + ?Sized>(a: &Key<A>, b: &Key<B>) -> Ordering {
    let order = a.parts.order();
    match (a.parts.mark(), b.parts.mark()) {
        (Mark::Key(a_key), Mark::Key(b_key)) => {
            order.compare(a_key, b_key).then_with(|| b.seq_id.cmp(&a.seq_id))
        }
        (Mark::RowStart(row), Mark::Key(key)) => order.compare_rows(row, key.row()).then(Ordering::Less),
        (Mark::Key(key), Mark::RowStart(row)) => order.compare_rows(key.row(), row).then(Ordering::Greater),
        (Mark::RowStart(a_row), Mark::RowStart(b_row)) => order.compare_rows(a_row, b_row),
    }
}

impl Ord for Key<StoredCell> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl Ord for Key<dyn KeyParts + '_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for Key<StoredCell> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialOrd for Key<dyn KeyParts + '_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<StoredCell> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialEq for Key<dyn KeyParts + '_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key<StoredCell> {}
impl Eq for Key<dyn KeyParts + '_> {}

impl<'p> Borrow<Key<dyn KeyParts + 'p>> for Key<StoredCell> {
    #[inline]
    fn borrow(&self) -> &Key<dyn KeyParts + 'p> {
        self
    }
}
