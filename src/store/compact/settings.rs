//! Settings of compactions, read as Java's `Configuration` reads them.

use crate::binary::Binary;
use crate::error::{Error, Result};
use std::fmt::Display;
use std::str::FromStr;

/// What is set of a family by a key: by itself, or by its table.
pub(crate) type Setting<'f, 's> = &'f dyn Fn(&str) -> Option<&'s str>;

/// The settings of a family.
pub(super) struct Reader<'f, 's> {
    pub(super) family: &'f [u8],
    pub(super) setting: Setting<'f, 's>,
}

/// What can be set.
pub(super) trait Value: FromStr {
    /// Whether it is one that makes sense.
    fn is_sound(&self) -> bool {
        true
    }
}

impl Value for i64 {}
impl Value for u64 {}
impl Value for usize {}
impl Value for f64 {
    fn is_sound(&self) -> bool {
        self.is_finite() && *self >= 0.0
    }
}

impl<'s> Reader<'_, 's> {
    /// A number, or another if it is not set.
    pub(super) fn or<T: Value>(&self, key: &'static str, default: T) -> Result<T> {
        let Some(text) = (self.setting)(key) else { return Ok(default) };
        let value = text.trim().parse().ok().filter(Value::is_sound);
        value.ok_or_else(|| self.refused(format!("{key} cannot be {:?}", short(text))))
    }

    /// As Java reads a boolean: what is neither true nor false is the default.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        match (self.setting)(key).map(str::trim) {
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            _ => default,
        }
    }

    /// The name of a class; without its package, if that is HBase's.
    pub(super) fn class(&self, key: &'static str) -> Option<&'s str> {
        let name = (self.setting)(key)?.trim();
        let ours = name.strip_prefix("org.apache.hadoop.hbase.regionserver.");
        Some(ours.map_or(name, |ours| ours.strip_prefix("compactions.").unwrap_or(ours)))
    }

    #[cold]
    pub(super) fn refused(&self, why: impl Display) -> Error {
        Error::invalid_argument(format!("family {}: {why}", Binary(self.family)))
    }

    #[cold]
    pub(super) fn unsupported(&self, what: &str, name: &str) -> Error {
        self.refused(format!("{what} {:?} is not supported", short(name)))
    }
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
