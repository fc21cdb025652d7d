//! Filters as protocol buffers, as clients send them to servers (HBase: `ProtobufUtil.toFilter`, and
//! `toByteArray` and `parseFrom` of each filter and comparator).
//!
//! | file | contents |
//! |---|---|
//! | `read`, `write` | filters |
//! | `comparator` | comparators, both ways |

mod comparator;
mod read;
#[cfg(test)]
mod tests;
mod write;

#[cfg(feature = "cluster")]
use super::Comparator;
use super::Filter;
use crate::error::{Error, Result};
use crate::op::Compare;
use bytes::Bytes;
use prost::Message;

/// The package of HBase's own filters and comparators.
const PACKAGE: &str = "org.apache.hadoop.hbase.filter.";

/// Maximum number of regular expressions in one message: each takes memory when compiled, even if it is
/// short.
const MAX_EXPRESSIONS: usize = 200;

impl Filter {
    /// Decodes HBase's message of a filter: the name of its class, and that class's serialization.
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
    /// Masks of a `FuzzyRowFilter` are interpreted as by HBase 2.6. Masks of clients before 2.4.18, which
    /// HBase 2.6 misreads, are interpreted as by those clients.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or HBase would refuse its contents. If it is not supported:
    /// classes other than HBase's, regular expressions for Joni or with unsupported flags or constructs, more
    /// than 200 regular expressions, filters that nest deeper than [`MAX_DEPTH`](super::MAX_DEPTH). The error
    /// names the cause.
    pub fn from_proto_bytes(message: impl Into<Bytes>) -> Result<Self> {
        read::Reader::new().filter(decode("Filter", message.into())?, 1)
    }

    /// Encodes the filter as HBase's message, with the bytes that a client of HBase 2.6 would send.
    /// [`from_proto_bytes`](Self::from_proto_bytes) of the result returns an equal filter.
    ///
    /// # Errors
    ///
    /// If HBase has no such filter: user-defined filters, and numbers that exceed HBase's types.
    pub fn to_proto_bytes(&self) -> Result<Vec<u8>> {
        Ok(write::filter(self)?.encode_to_vec())
    }
}

/// Decodes a message of the class.
fn decode<M: Message + Default>(class: &str, bytes: Bytes) -> Result<M> {
    M::decode(bytes).map_err(|_| Error::invalid_argument(format!("bytes that are no message of {class}")))
}

#[cold]
fn missing(class: &str, field: &str) -> Error {
    Error::invalid_argument(format!("a message of {class} without {field}"))
}

/// The operators in the order of their numbers in `CompareType`.
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

/// Returns the message of a filter.
#[cfg(feature = "cluster")]
pub(crate) fn filter_message(filter: &Filter) -> Result<crate::proto::filter::Filter> {
    write::filter(filter)
}

/// Returns the message of a comparator.
#[cfg(feature = "cluster")]
pub(crate) fn comparator_message(comparator: &Comparator) -> Result<crate::proto::filter::Filter> {
    comparator::write(comparator)
}

/// Returns the number of an operator in `CompareType`.
pub(crate) fn compare_number(compare: Compare) -> Option<i32> {
    let at = COMPARE_TYPES.iter().position(|other| *other == compare)?;
    i32::try_from(at).ok()
}
