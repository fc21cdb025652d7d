//! The reads and writes that a user requests, and the query that a read becomes for one family.

mod check_and_mutate;
mod columns;
mod compare;
mod cursor;
mod delete;
mod delta;
mod durability;
mod get;
#[cfg(feature = "cluster")]
mod message;
mod mutation;
mod put;
mod query;
mod scan;
mod select;
mod time_range;

pub use check_and_mutate::CheckAndMutate;
pub(crate) use check_and_mutate::Condition;
pub use columns::Columns;
pub use compare::Compare;
pub use cursor::Cursor;
pub use delete::Delete;
pub use delta::{Append, Increment};
pub(crate) use delta::{Delta, DeltaCell};
pub use durability::Durability;
pub use get::Get;
pub use mutation::Mutation;
pub(crate) use mutation::{check_new_row, check_timestamp};
pub use put::Put;
pub(crate) use query::Query;
pub use scan::{Scan, ScanLimits, ScanRows, next_prefix};
pub(crate) use select::Select;
pub use select::{Consistency, Isolation, ReadFrom};
pub use time_range::TimeRange;
