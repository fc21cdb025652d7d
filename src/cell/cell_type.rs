//! The types of cells and their codes (hfile.md §2.3; HBase: `KeyValue.Type`).

/// What a cell does: put a value, or hide older ones.
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

    /// The type of a code; `None` for a code that does not exist.
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

    /// The type of a name, as in [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The code, as stored.
    #[inline]
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// HBase's name: `Put`, `DeleteColumn` …
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

    /// Whether a stored cell may have it: all but `Minimum` and `Maximum`.
    #[inline]
    #[must_use]
    pub fn is_stored(self) -> bool {
        !matches!(self, Self::Minimum | Self::Maximum)
    }

    /// Whether it hides other cells.
    #[inline]
    #[must_use]
    pub fn is_delete(self) -> bool {
        self.is_stored() && self != Self::Put
    }

    /// Whether it is one of the two that concern a whole family, which the delete-family Bloom filter holds.
    #[inline]
    #[must_use]
    pub fn is_family_delete(self) -> bool {
        matches!(self, Self::DeleteFamily | Self::DeleteFamilyVersion)
    }
}
