//! Filters as clients send them to servers: protocol buffers (HBase: `ProtobufUtil.toFilter`, and `toByteArray` and
//! `parseFrom` of each filter and comparator).
//!
//! | file | what it does |
//! |---|---|
//! | `read`, `write` | filters |
//! | `comparator` | comparators, both ways |

mod comparator;
mod read;
#[cfg(test)]
mod tests;
mod write;

use super::Filter;
use crate::error::{Error, Result};
use crate::op::Compare;
use bytes::Bytes;
use prost::Message;

/// Where HBase's own filters and comparators are.
const PACKAGE: &str = "org.apache.hadoop.hbase.filter.";

/// How many regular expressions one message may have: each takes memory once it is compiled, however short it is.
const MAX_EXPRESSIONS: usize = 200;

impl Filter {
    /// Reads HBase's message of a filter: the name of its class, and what that class has written.
    ///
    /// ```
    /// use hregion::filter::Filter;
    ///
    /// # fn main() -> hregion::Result<()> {
    /// let filter = Filter::parse("PrefixFilter('user') AND PageFilter(10)")?;
    /// let message = filter.to_proto_bytes()?; // what HBase's client would send
    /// assert_eq!(Filter::from_proto_bytes(message)?, filter);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Masks of a `FuzzyRowFilter` mean what they mean to HBase 2.6; those of clients before 2.4.18, which it misreads,
    /// what they meant to theirs.
    ///
    /// # Errors
    ///
    /// If it is no such message, HBase would refuse what it says, or it cannot be done: classes that are not HBase's,
    /// regular expressions of Joni or with flags and parts that are not supported, more than 200 of them, filters that nest
    /// deeper than [`MAX_DEPTH`](super::MAX_DEPTH). The error names it.
    pub fn from_proto_bytes(message: impl Into<Bytes>) -> Result<Self> {
        read::Reader::new().filter(decode("Filter", message.into())?, 1)
    }

    /// The filter as HBase's message, which [`from_proto_bytes`](Self::from_proto_bytes) reads to an equal filter again; the
    /// bytes are those that a client of HBase 2.6 would send.
    ///
    /// # Errors
    ///
    /// If HBase has no such filter: one of one's own, or a number that is larger than its types.
    pub fn to_proto_bytes(&self) -> Result<Vec<u8>> {
        Ok(write::filter(self)?.encode_to_vec())
    }
}

/// A message of a class.
fn decode<M: Message + Default>(class: &str, bytes: Bytes) -> Result<M> {
    M::decode(bytes).map_err(|_| Error::invalid_argument(format!("bytes that are no message of {class}")))
}

#[cold]
fn missing(class: &str, field: &str) -> Error {
    Error::invalid_argument(format!("a message of {class} without {field}"))
}

/// `CompareType` by its number, and back.
const COMPARE_TYPES: [Compare; 7] = [
    Compare::Less,
    Compare::LessOrEqual,
    Compare::Equal,
    Compare::NotEqual,
    Compare::GreaterOrEqual,
    Compare::Greater,
    Compare::NoOp,
];

fn compare_of(class: &str, number: Option<i32>) -> Result<Compare> {
    let number = number.ok_or_else(|| missing(class, "compare_op"))?;
    let compare = usize::try_from(number).ok().and_then(|at| COMPARE_TYPES.get(at).copied());
    compare.ok_or_else(|| Error::invalid_argument(format!("{class} with the operator {number}")))
}

fn number_of(compare: Compare) -> Option<i32> {
    let at = COMPARE_TYPES.iter().position(|other| *other == compare)?;
    i32::try_from(at).ok()
}
