//! Filters: selection of cells beyond ranges and columns (read-path.md §13 to §16; HBase: package
//! `org.apache.hadoop.hbase.filter`). This module depends on cells only.
//!
//! A [`Filter`] is a description: it is built by its constructors or parsed from an expression of HBase's
//! filter language, and is cheap to clone. A [`FilterEvaluator`] evaluates a filter for one read: it is given
//! rows and cells in order and returns a verdict on each. It works on any cells, for instance those of an
//! HFile:
//!
//! ```
//! use hregion::filter::{Filter, FilterEvaluator, Verdict};
//! use hregion::{CellRef, CellType, SeekKey};
//!
//! # fn main() -> hregion::Result<()> {
//! let filter = Filter::parse("PrefixFilter('user') AND ValueFilter(=, 'substring:ada')")?;
//! let mut state = FilterEvaluator::new(&filter);
//! let key = SeekKey::of(b"user1", b"cf", b"name", 1_700_000_000_000, CellType::Put);
//! assert!(!state.filter_row_key(b"user1")?);
//! assert_eq!(state.filter_cell(CellRef::new(&key, b"Ada Lovelace"))?, Verdict::Include);
//! assert_eq!(state.filter_cell(CellRef::new(&key, b"Grace Hopper"))?, Verdict::Skip);
//! # Ok(())
//! # }
//! ```

mod cell_filter;
mod column;
mod compare;
mod decimal;
mod description;
mod evaluator;
mod fuzzy;
mod key;
mod language;
mod list;
mod page;
mod pattern;
mod proto;
mod ranges;
mod row;
mod skip;
#[cfg(test)]
mod tests;
mod value;
mod verdict;

pub use cell_filter::{CellFilter, CustomFilter};
pub use compare::{BitOperator, Comparator, Compare};
pub use description::{Filter, MAX_DEPTH};
pub use evaluator::FilterEvaluator;
#[cfg(feature = "cluster")]
pub(crate) use proto::{comparator_message, compare_number, filter_message};
pub use value::SingleColumnValue;
pub use verdict::Verdict;
