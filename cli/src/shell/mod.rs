//! HBase's shell: commands are parsed here, and executed by the library on local files, or by the client on a
//! running cluster.

mod admin;
mod alter;
mod catalog;
#[cfg(feature = "cluster")]
mod cluster;
mod columns;
mod command;
mod completion;
mod converter;
mod editor;
mod files;
mod help;
mod interrupt;
mod lexer;
mod maintenance;
mod options;
mod parser;
mod pending;
mod print;
mod read;
mod schema;
mod session;
mod snapshot;
mod units;
mod value;
mod variables;
mod write;

pub(crate) use catalog::Catalog;
#[cfg(feature = "cluster")]
pub(crate) use cluster::ClusterTables;
pub(crate) use editor::interact;
pub(crate) use files::Files;
pub(crate) use pending::Pending;
pub(crate) use session::{Flow, Session};
