//! Operation scripts (replay.md): operations on one region, one per line, and their answers.

mod answer;
mod bulk_load;
mod check;
mod family;
mod filter;
mod members;
mod mutation;
mod operation;
mod overrides;
mod player;
mod query;
mod refusal;

pub(crate) use operation::Line;
pub(crate) use overrides::Override;
pub(crate) use player::{Player, Stop};
