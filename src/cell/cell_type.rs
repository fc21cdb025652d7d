//! The types of cells and their codes (hfile.md §2.3; HBase: `KeyValue.Type`).

/// The operation of a cell: put a value, or hide older cells (HBase: `KeyValue.Type`).
///
/// `Minimum` and `Maximum` occur only in search keys and index keys, never in a stored cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum CellType {
    /// Sorts after all others.
    Minimum = 0,
    /// A value.
    Put = 4,
    /// Hides one version of a column.
    Delete = 8,
    /// Hides all versions of a family with exactly this timestamp.
    DeleteFamilyVersion = 10,
    /// Hides all versions of a column up to this timestamp.
    DeleteColumn = 12,
    /// Hides all versions of a family up to this timestamp.
    DeleteFamily = 14,
    /// Sorts before all others.
    Maximum = 255,
}

impl CellType {
    /// All types, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Minimum,
        Self::Put,
        Self::Delete,
        Self::DeleteFamilyVersion,
        Self::DeleteColumn,
        Self::DeleteFamily,
        Self::Maximum,
    ];

    /// Returns the type with this code; `None` for an unknown code.
    #[inline]
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Minimum,
            4 => Self::Put,
            8 => Self::Delete,
            10 => Self::DeleteFamilyVersion,
            12 => Self::DeleteColumn,
            14 => Self::DeleteFamily,
            255 => Self::Maximum,
            _ => return None,
        })
    }

    /// Returns the type with this name, as in [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Returns the stored code.
    #[inline]
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Returns HBase's name: `Put`, `DeleteColumn` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minimum => "Minimum",
            Self::Put => "Put",
            Self::Delete => "Delete",
            Self::DeleteFamilyVersion => "DeleteFamilyVersion",
            Self::DeleteColumn => "DeleteColumn",
            Self::DeleteFamily => "DeleteFamily",
            Self::Maximum => "Maximum",
        }
    }

    /// Whether a stored cell may have this type: all but `Minimum` and `Maximum`.
    #[inline]
    #[must_use]
    pub fn is_stored(self) -> bool {
        !matches!(self, Self::Minimum | Self::Maximum)
    }

    /// Whether a cell of this type hides other cells.
    #[inline]
    #[must_use]
    pub fn is_delete(self) -> bool {
        self.is_stored() && self != Self::Put
    }

    /// Whether this is one of the two types that apply to a whole family, which are in the delete-family
    /// Bloom filter.
    #[inline]
    #[must_use]
    pub fn is_family_delete(self) -> bool {
        matches!(self, Self::DeleteFamily | Self::DeleteFamilyVersion)
    }
}
