//! Rows of HBase's tables and files as Apache Arrow record batches.
//!
//! ```
//! use hregion::{Scan, Table};
//! use hregion_arrow::{BatchLimits, Batches, Column, Layout, Mapping, RowKey, ValueType};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = "../testdata/region/split-references/root";
//! let table = Table::open(root, "halves")?;
//! // a row of a batch is a cell: row, family, qualifier, timestamp, type, value
//! let cells = Batches::of_table(&table, Scan::new(), Layout::Cells, BatchLimits::default())?;
//! # let mut count = 0;
//! for batch in cells {
//!     println!("{} cells", batch?.num_rows());
//! #   count += 1;
//! }
//! # assert!(count > 0);
//!
//! // a row of a batch is a row, with typed columns
//! let columns = vec![Column::parse("p:0=binary@")?, Column::parse("q:0=binary[]")?];
//! let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns)?;
//! let rows = Batches::of_table(&table, Scan::new(), Layout::Columns(mapping), BatchLimits::default())?;
//! # for batch in rows { batch?; }
//! # Ok(())
//! # }
//! ```
//!
//! A value that does not have its type is an [`Error::Value`], which names row, column and bytes; by
//! [`Invalid::Null`] it is null, and counted. [`Infer`] proposes a mapping.
//!
//! [`csv`] writes comma-separated values. With the feature `files`, [`files`] writes and reads Parquet and
//! Arrow's file format.

#![cfg_attr(
    test,
    allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "the numbers of tests are small")
)]

mod batch_builder;
mod batches;
pub mod csv;
mod decimal;
mod error;
mod field_builder;
#[cfg(feature = "files")]
pub mod files;
mod infer;
mod layout;
mod mapping;
mod mapping_json;
mod ordered;
mod value;
mod value_type;

pub use batch_builder::{BatchBuilder, BatchLimits};
pub use batches::{Batches, Rows};
pub use error::{Error, Result};
pub use infer::Infer;
pub use layout::Layout;
pub use mapping::{Column, Invalid, KeyPart, Mapping, RowKey};
pub use value_type::{DecimalType, OrderedType, ValueType};

#[cfg(test)]
mod value_tests;
