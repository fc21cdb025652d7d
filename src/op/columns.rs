//! The families and columns that a read names (HBase: `Get.addColumn`).

use bytes::Bytes;

/// The families of a read, each either whole or restricted to some columns. Initially empty, which means all
/// families (HBase: `Get.getFamilyMap`, `Scan.getFamilyMap`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<(Bytes, Vec<Bytes>)>);

impl Columns {
    /// Adds a whole family. Columns of the family that were added before no longer restrict it.
    pub fn add_family(&mut self, family: impl Into<Bytes>) {
        let at = self.index_or_insert(family.into());
        self.0[at].1.clear();
    }

    /// Adds a column. Restricts its family to the columns added, even if the whole family was added before.
    pub fn add_column(&mut self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>) {
        let (at, qualifier) = (self.index_or_insert(family.into()), qualifier.into());
        let qualifiers = &mut self.0[at].1;
        if let Err(place) = qualifiers.binary_search(&qualifier) {
            qualifiers.insert(place, qualifier);
        }
    }

    fn index_or_insert(&mut self, family: Bytes) -> usize {
        match self.0.binary_search_by(|(name, _)| name.cmp(&family)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (family, Vec::new()));
                at
            }
        }
    }

    /// Whether no family is named, which means all families.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the families named, in order, each with its columns in order. A whole family has an empty
    /// slice.
    pub fn families(&self) -> impl ExactSizeIterator<Item = (&[u8], &[Bytes])> {
        self.0.iter().map(|(family, qualifiers)| (family.as_ref(), qualifiers.as_slice()))
    }

    /// Returns the columns of a family, in order: an empty slice for a whole family, `None` if the family is
    /// not read.
    #[must_use]
    pub fn of(&self, family: &[u8]) -> Option<&[Bytes]> {
        if self.0.is_empty() {
            return Some(&[]);
        }
        let at = self.0.binary_search_by(|(name, _)| name.as_ref().cmp(family)).ok()?;
        Some(&self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_narrow_families_and_sort() {
        let mut columns = Columns::default();
        assert_eq!(columns.of(b"f"), Some(&[][..]));
        columns.add_family("f");
        columns.add_column("f", "b");
        columns.add_column("f", "a");
        columns.add_column("f", "b");
        assert_eq!(columns.of(b"f").unwrap(), ["a", "b"]);
        assert_eq!(columns.of(b"g"), None);
        columns.add_family("f");
        assert_eq!(columns.of(b"f"), Some(&[][..]));
    }
}
