//! Operation scripts (replay.md): what is to be done with one region, line by line, and what it answers.

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
