//! Names of tables (HBase: `TableName`).

use crate::error::{Corruption, Error, Result};
use crate::proto;
use std::fmt;

/// The zeros of the decimal digits with 16-bit codes: nine more follow each (Unicode: category Nd).
const ZEROS: [char; 37] = [
    '0', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}',
    '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{1090}',
    '\u{17e0}', '\u{1810}', '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}', '\u{1b50}', '\u{1bb0}',
    '\u{1c40}', '\u{1c50}', '\u{a620}', '\u{a8d0}', '\u{a900}', '\u{a9d0}', '\u{a9f0}', '\u{aa50}',
    '\u{abf0}', '\u{ff10}',
];

/// The name of a table: a namespace and a name in it (HBase: `TableName`). Displayed as in HBase: without the
/// namespace if that is `default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    namespace: String,
    qualifier: String,
}

impl TableName {
    /// The namespace of table names without one.
    pub const DEFAULT_NAMESPACE: &str = "default";

    /// The name that neither a namespace nor a table may have, because ZooKeeper reserves a znode of that
    /// name for itself.
    ///
    /// HBase: `TableName.DISALLOWED_TABLE_NAME`.
    const DISALLOWED: &str = "zookeeper";

    /// Creates the name of a table in a namespace.
    ///
    /// # Errors
    ///
    /// If the name is invalid. A namespace consists of letters, digits and `_`; the name in it may also
    /// contain `-` and `.`, but not begin with them. Neither is empty.
    pub fn new(namespace: impl Into<String>, qualifier: impl Into<String>) -> Result<Self> {
        let name = Self { namespace: namespace.into(), qualifier: qualifier.into() };
        if !name.is_legal() {
            return Err(Error::invalid_argument(format!(
                "invalid table name {:?} in namespace {:?}",
                name.qualifier, name.namespace
            )));
        }
        Ok(name)
    }

    /// Parses a displayed name: `table` or `namespace:table`.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new).
    pub fn parse(name: &str) -> Result<Self> {
        match name.split_once(':') {
            Some((namespace, qualifier)) => Self::new(namespace, qualifier),
            None => Self::new(Self::DEFAULT_NAMESPACE, name),
        }
    }

    /// Returns the name of the catalog, `hbase:meta`.
    #[must_use]
    pub fn meta() -> Self {
        Self { namespace: "hbase".into(), qualifier: "meta".into() }
    }

    pub(super) fn from_proto(name: proto::region::TableName) -> Result<Self, Corruption> {
        let part = |part: Option<Vec<u8>>| String::from_utf8(part.unwrap_or_default()).ok();
        let (namespace, qualifier) = (part(name.namespace), part(name.qualifier));
        namespace
            .zip(qualifier)
            .map(|(namespace, qualifier)| Self { namespace, qualifier })
            .filter(Self::is_legal)
            .ok_or(Corruption::Malformed("invalid table name"))
    }

    pub(super) fn to_proto(&self) -> proto::region::TableName {
        proto::region::TableName {
            namespace: Some(self.namespace.clone().into_bytes()),
            qualifier: Some(self.qualifier.clone().into_bytes()),
        }
    }

    /// Whether the name is legal. An illegal name could lead out of the root directory.
    fn is_legal(&self) -> bool {
        let (namespace, qualifier) = (&self.namespace, &self.qualifier);
        !namespace.is_empty()
            && namespace.chars().all(|c| is_letter_or_digit(c) || c == '_')
            && !qualifier.is_empty()
            && !qualifier.starts_with(['-', '.'])
            && qualifier.chars().all(|c| is_letter_or_digit(c) || matches!(c, '_' | '-' | '.'))
            && namespace != Self::DISALLOWED
            && qualifier != Self::DISALLOWED
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the name in the namespace.
    #[must_use]
    pub fn qualifier(&self) -> &str {
        &self.qualifier
    }

    /// Returns the displayed name as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Whether this is the catalog, whose rows have a special order.
    #[must_use]
    pub fn is_meta(&self) -> bool {
        self.is_system() && self.qualifier == "meta"
    }

    /// Whether this is a table of HBase itself, such as `hbase:acl` (HBase: `TableName.isSystemTable`).
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.namespace == "hbase"
    }

    /// Whether a master creates the table when it first starts (HBase 2: `TableNamespaceManager`). If the
    /// table exists without its rows, no master starts.
    pub(crate) fn is_made_by_master(&self) -> bool {
        self.is_meta() || self.is_system() && self.qualifier == "namespace"
    }
}

/// Whether a character is a letter or a decimal digit. HBase checks UTF-16 code units, and a surrogate is
/// neither (Java: `Character.isAlphabetic`, `Character.isDigit`).
fn is_letter_or_digit(c: char) -> bool {
    let is_digit = || ZEROS.iter().any(|&zero| u32::from(c).wrapping_sub(u32::from(zero)) < 10);
    c <= '\u{ffff}' && (c.is_alphabetic() || is_digit())
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace != Self::DEFAULT_NAMESPACE {
            write!(f, "{}:", self.namespace)?;
        }
        f.write_str(&self.qualifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_read() {
        for name in ["t", "ns1:t-1.x_", "hbase:meta", "tä"] {
            assert_eq!(TableName::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(TableName::parse("default:t").unwrap().to_string(), "t");
        for name in ["", ":t", "ns:", "ns:a:b", ".t", "..", "-t", "a/b", "n.s:t", "t\0"] {
            assert!(TableName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_that_hbase_refuses_are_illegal() {
        let names =
            ["zookeeper", "zookeeper:t", "ns:zookeeper", "t\u{20000}", "\u{20000}:t", "m²", "½:t", "t①"];
        for name in names {
            assert!(TableName::parse(name).is_err(), "{name}");
        }
        for name in ["zookeeper2", "Zookeeper", "t\u{4e00}", "t\u{660}", "t\u{669}", "Ⅳ:t"] {
            TableName::parse(name).unwrap();
        }
    }
}
