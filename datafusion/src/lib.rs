//! SQL over HBase's tables, snapshots, regions and HFiles, by Apache DataFusion.
//!
//! [`HregionTable`] is a [`TableProvider`](datafusion::catalog::TableProvider):
//!
//! ```
//! use datafusion::execution::context::SessionContext;
//! use hregion::{Region, Table};
//! use hregion_arrow::{Column, Layout, Mapping, RowKey, ValueType};
//! use hregion_datafusion::HregionTable;
//! use std::sync::Arc;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = "../testdata/region/split-references/root/data/default/halves";
//! let table = Table::open_dir(dir, Region::options())?;
//! let columns = vec![Column::parse("p:q0=utf8")?, Column::parse("q:q1=utf8")?];
//! let layout = Layout::Columns(Mapping::new(RowKey::whole(ValueType::Utf8), columns)?);
//!
//! let context = SessionContext::new();
//! context.register_table("t", Arc::new(HregionTable::new(table, layout)))?;
//! let rows = context.sql("SELECT row, \"p:q0\" FROM t WHERE row < 'row-0010'").await?.collect().await?;
//! # assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10);
//! # Ok(())
//! # }
//! ```
//!
//! The parts of a query that the reader executes, and when they are exact, are described in `docs/sql.md` of
//! the repository. Errors of the reader are [`External`](datafusion::error::DataFusionError::External) errors
//! of DataFusion, with the reader's error as their source.

#[cfg(feature = "codec")]
mod codec;
mod columns;
mod csv;
mod error;
mod exec;
#[cfg(feature = "codec")]
mod groups;
mod key;
mod literal;
mod partition;
mod predicate;
mod presence;
mod provider;
mod ranges;
mod reading;
mod scan;
mod source;
mod stdout;
mod target;
mod text;
#[cfg(feature = "codec")]
mod wire;

#[cfg(feature = "codec")]
pub use codec::HregionCodec;
pub use csv::CsvWriter;
pub use exec::{HregionExec, RowRange};
pub use provider::HregionTable;
pub use reading::{ReadingArgs, read_mapping};
pub use stdout::{Stdout, parse_args};
pub use target::{Target, TargetOptions};
pub use text::{AllFloats, check_values, printable};

/// The stack in bytes that threads need to plan and evaluate queries with long chains of terms: DataFusion
/// does so by recursion, and the depth of a chain of OR equals its length. Only the used part of a stack
/// takes memory.
pub const STACK_BYTES: usize = 32 << 20;
