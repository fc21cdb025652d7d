//! Comparison operators (HBase: `CompareOperator`).

use std::cmp::Ordering;

/// A comparison operator (HBase: `CompareOperator`). The left operand is the given value in a condition, and
/// the cell's in a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// Never holds.
    NoOp,
}

impl Compare {
    /// All operators.
    pub const ALL: [Self; 7] = [
        Self::Less,
        Self::LessOrEqual,
        Self::Equal,
        Self::NotEqual,
        Self::GreaterOrEqual,
        Self::Greater,
        Self::NoOp,
    ];

    /// Returns the operator as written in HBase's filter language.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
            Self::NoOp => "NO_OP",
        }
    }

    /// Parses a symbol returned by [`symbol`](Self::symbol). Returns `None` for any other string.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compare| compare.symbol() == symbol)
    }

    /// Whether the operator holds for two values, given the ordering of the left one relative to the right
    /// one.
    #[inline]
    #[must_use]
    pub fn matches(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
            Self::NoOp => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_agree_with_their_symbols() {
        for compare in Compare::ALL {
            assert_eq!(Compare::from_symbol(compare.symbol()), Some(compare));
            for (ordering, sign) in [(Ordering::Less, '<'), (Ordering::Equal, '='), (Ordering::Greater, '>')]
            {
                let expected = match compare {
                    Compare::NotEqual => sign != '=',
                    _ => compare.symbol().contains(sign),
                };
                assert_eq!(compare.matches(ordering), expected, "{compare:?} {ordering:?}");
            }
        }
        assert_eq!(Compare::from_symbol("=="), None);
    }
}
