//! Operation scripts (replay.md): operations on one region, one per line, and their answers.

mod bulk_load;
mod check;
#[cfg(all(test, feature = "cluster"))]
mod cluster_tests;
mod error_map;
mod explained;
mod family;
mod filter;
mod members;
mod mutation;
mod operation;
mod overrides;
mod query;
mod replayer;
mod response;

pub(crate) use operation::Line;
pub(crate) use overrides::Override;
pub(crate) use replayer::{Replayer, Stop};
