//! Maps the columns of a table to columns of record batches.

use crate::error::{Error, Result, shown};
use crate::ordered;
use crate::value_type::ValueType;
use hregion::Scan;
use hregion::cell::{StringBinary, from_string_binary};
use hregion::op::Columns;
use std::collections::BTreeSet;

/// Which columns of a table are read, as which types. A row of the table is a row of the batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub(crate) row: RowKey,
    pub(crate) columns: Vec<Column>,
    pub(crate) invalid: Invalid,
}

/// The mapping of a row key to columns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowKey {
    /// The row key is one value.
    Whole(KeyPart),
    /// Parts between separators. The last part may contain the separator, and so may those whose type has a
    /// [width](ValueType::width), such as a `long`, and those in an [ordered](ValueType::Ordered) encoding,
    /// whose bytes determine their end, except a `BlobCopy` in ascending order.
    Separated {
        /// The bytes between two parts; not empty.
        separator: Vec<u8>,
        /// The parts, at least one.
        parts: Vec<KeyPart>,
    },
    /// Parts of fixed widths in bytes, and a last part with the rest.
    Widths {
        /// The parts with their widths.
        parts: Vec<(KeyPart, usize)>,
        /// The part after them. Without one, a row key must not have more bytes.
        rest: Option<KeyPart>,
    },
}

/// A part of the row key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart {
    pub(crate) name: String,
    pub(crate) ty: ValueType,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub(crate) family: Vec<u8>,
    pub(crate) qualifier: Vec<u8>,
    pub(crate) name: String,
    pub(crate) ty: ValueType,
    pub(crate) versions: bool,
    pub(crate) timestamp: bool,
}

/// The treatment of a value that does not have its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invalid {
    /// The batch fails, with an error that names row, column and bytes.
    #[default]
    Error,
    /// The value is null, and counted. A row key is still an error.
    Null,
}

impl KeyPart {
    /// Creates a part with the name of its column.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: ValueType) -> Self {
        Self { name: name.into(), ty }
    }

    /// Returns the name of its column in the batches.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.ty
    }
}

impl Column {
    /// Creates a column whose name in the batches is `family:qualifier`, in HBase's printable form.
    #[must_use]
    pub fn new(family: impl Into<Vec<u8>>, qualifier: impl Into<Vec<u8>>, ty: ValueType) -> Self {
        let (family, qualifier) = (family.into(), qualifier.into());
        let name = format!("{}:{}", StringBinary(&family), StringBinary(&qualifier));
        Self { family, qualifier, name, ty, versions: false, timestamp: false }
    }

    /// Parses `FAMILY:QUALIFIER=TYPE`. `TYPE[]` selects all versions, newest first, and `TYPE@` adds the
    /// timestamps, in a column with the suffix `_timestamp`.
    ///
    /// # Errors
    ///
    /// If the text has another form, or there is no such type.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.rsplit_once('=').and_then(|(column, ty)| Some((column.split_once(':')?, ty)));
        let Some(((family, qualifier), ty)) = parts.filter(|((family, _), _)| !family.is_empty()) else {
            return Err(Error::mapping(format!("{text:?}: expected FAMILY:QUALIFIER=TYPE")));
        };
        let (ty, timestamp) = ty.strip_suffix('@').map_or((ty, false), |ty| (ty, true));
        let (ty, versions) = ty.strip_suffix("[]").map_or((ty, false), |ty| (ty, true));
        let column = Self::new(from_string_binary(family), from_string_binary(qualifier), ty.parse()?);
        Ok(column.versions(versions).timestamp(timestamp))
    }

    /// Sets the name of the column in the batches.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets whether the column is a list of all versions, newest first.
    #[must_use]
    pub fn versions(mut self, all: bool) -> Self {
        self.versions = all;
        self
    }

    /// Sets whether to add a column with the timestamps. Its name has the suffix `_timestamp`.
    #[must_use]
    pub fn timestamp(mut self, with: bool) -> Self {
        self.timestamp = with;
        self
    }

    /// Returns the family.
    #[must_use]
    pub fn family(&self) -> &[u8] {
        &self.family
    }

    /// Returns the qualifier.
    #[must_use]
    pub fn qualifier(&self) -> &[u8] {
        &self.qualifier
    }

    /// Returns the name of the column in the batches.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type of a value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.ty
    }

    /// Whether the column is a list of all versions.
    #[must_use]
    pub fn has_versions(&self) -> bool {
        self.versions
    }

    /// Whether there is a column with the timestamps, after the column.
    #[must_use]
    pub fn has_timestamp(&self) -> bool {
        self.timestamp
    }

    /// The name of the column of timestamps.
    pub(crate) fn timestamp_name(&self) -> String {
        format!("{}_timestamp", self.name)
    }
}

impl RowKey {
    /// Maps the row key to one value, in the column `row`.
    #[must_use]
    pub fn whole(ty: ValueType) -> Self {
        Self::Whole(KeyPart::new("row", ty))
    }

    /// Returns the parts, in their order.
    #[must_use]
    pub fn parts(&self) -> Vec<&KeyPart> {
        match self {
            Self::Whole(part) => vec![part],
            Self::Separated { parts, .. } => parts.iter().collect(),
            Self::Widths { parts, rest } => parts.iter().map(|(part, _)| part).chain(rest).collect(),
        }
    }

    /// Checks that a row key has the parts, whatever their types.
    ///
    /// # Errors
    ///
    /// If it lacks a part, or has more bytes than the parts.
    pub fn check(&self, key: &[u8]) -> Result<()> {
        self.each_part(key, |_| ())
    }

    /// Cuts a row key.
    ///
    /// # Errors
    ///
    /// If the row key lacks a part, or has more bytes than the parts.
    pub(crate) fn cut<'k>(&self, key: &'k [u8]) -> Result<Vec<&'k [u8]>> {
        let mut cut = Vec::new();
        self.each_part(key, |part| cut.push(part))?;
        Ok(cut)
    }

    fn each_part<'k>(&self, key: &'k [u8], take: impl FnMut(&'k [u8])) -> Result<()> {
        let wrong = || Error::Value(format!("row {}: expected the parts of the mapping", shown(key)));
        self.try_each_part(key, take).ok_or_else(wrong)
    }

    /// Passes the parts of a row key to `take`. Returns `None` if it does not have them.
    fn try_each_part<'k>(&self, key: &'k [u8], mut take: impl FnMut(&'k [u8])) -> Option<()> {
        let mut left = key;
        match self {
            Self::Whole(_) => take(left),
            Self::Separated { separator, parts } => {
                for part in parts.iter().take(parts.len().saturating_sub(1)) {
                    let width = match part.ty {
                        ValueType::Ordered(ordered) => ordered::length(ordered, left),
                        ty => ty.width(),
                    };
                    let at = match width {
                        // a self-delimiting value may contain the bytes of a separator
                        Some(width) => left.get(width..)?.starts_with(separator).then_some(width)?,
                        None => left.windows(separator.len()).position(|window| window == separator)?,
                    };
                    take(left.get(..at)?);
                    left = left.get(at + separator.len()..)?;
                }
                take(left);
            }
            Self::Widths { parts, rest } => {
                for (_, width) in parts {
                    let (part, after) = left.split_at_checked(*width)?;
                    take(part);
                    left = after;
                }
                match rest {
                    Some(_) => take(left),
                    None if !left.is_empty() => return None,
                    None => {}
                }
            }
        }
        Some(())
    }
}

impl Mapping {
    /// Creates a mapping of columns, with the row key before them.
    ///
    /// # Errors
    ///
    /// If there is no column, a column is given twice, two have one name in the batches, a separator is
    /// empty, there are no parts of the row key, or a part has a width that no value of its type has.
    pub fn new(row: RowKey, columns: Vec<Column>) -> Result<Self> {
        if columns.is_empty() {
            return Err(Error::mapping("a mapping needs at least one column"));
        }
        match &row {
            RowKey::Separated { separator, .. } if separator.is_empty() => {
                return Err(Error::mapping("the separator of the row key is empty"));
            }
            row if row.parts().is_empty() => return Err(Error::mapping("the row key has no parts")),
            RowKey::Widths { parts, .. } => {
                if let Some((part, width)) =
                    parts.iter().find(|(part, width)| !part.ty.may_have_width(*width))
                {
                    let KeyPart { name, ty } = part;
                    let message = format!("{name}: no value of type {ty} has the width {width}");
                    return Err(Error::mapping(message));
                }
            }
            _ => {}
        }
        let mut names = BTreeSet::new();
        let timestamps = columns.iter().filter(|column| column.timestamp).map(Column::timestamp_name);
        let of_columns = columns.iter().map(|column| column.name.clone());
        let of_row = row.parts().into_iter().map(|part| part.name.clone());
        for name in of_row.chain(of_columns).chain(timestamps) {
            if !names.insert(name.clone()) {
                return Err(Error::mapping(format!("two columns have the name {name}")));
            }
        }
        let mut given = BTreeSet::new();
        for column in &columns {
            if !given.insert((&column.family, &column.qualifier)) {
                let (family, qualifier) = (StringBinary(&column.family), StringBinary(&column.qualifier));
                return Err(Error::mapping(format!("the column {family}:{qualifier} is mapped twice")));
            }
        }
        Ok(Self { row, columns, invalid: Invalid::Error })
    }

    /// Sets the treatment of a value that does not have its type.
    #[must_use]
    pub fn on_invalid(mut self, invalid: Invalid) -> Self {
        self.invalid = invalid;
        self
    }

    /// Returns the treatment of a value that does not have its type.
    #[must_use]
    pub fn invalid(&self) -> Invalid {
        self.invalid
    }

    /// Returns the mapping of the row key.
    #[must_use]
    pub fn row(&self) -> &RowKey {
        &self.row
    }

    /// Returns the columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Narrows a scan to the mapped columns, regardless of its previous columns, and to the mapped number of
    /// versions. Its filter sees these columns only: any other one is missing for a
    /// [`SingleColumnValueFilter`](hregion::Filter::single_column_value).
    ///
    /// Its rows are whole: those of a scan with [batches](Scan::batch) of cells, or
    /// [parts](Scan::allow_partial) of rows, would be several rows.
    #[must_use]
    pub fn select(&self, scan: Scan) -> Scan {
        let versions = if self.has_versions() { u32::MAX } else { 1 };
        let mut columns = Columns::default();
        for column in &self.columns {
            columns.add_column(column.family.clone(), column.qualifier.clone());
        }
        scan.family_map(columns).max_versions(versions).batch(0).allow_partial(false)
    }

    /// Whether a column is a list of all versions.
    #[must_use]
    pub fn has_versions(&self) -> bool {
        self.columns.iter().any(|column| column.versions)
    }
}
