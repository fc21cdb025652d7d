//! HBase's shell on local files: commands are parsed here and executed by the library.

mod admin;
mod alter;
mod catalog;
mod columns;
mod command;
mod completion;
mod converter;
mod editor;
mod help;
mod interrupt;
mod lexer;
mod maintenance;
mod options;
mod parser;
mod print;
mod read;
mod schema;
mod session;
mod snapshot;
mod value;
mod variables;
mod write;

pub(crate) use catalog::Catalog;
pub(crate) use editor::interact;
pub(crate) use session::{Flow, Session};
