//! HBase's filter language (read-path.md §16; HBase: `ParseFilter`, `ParseConstants`).
//!
//! ```text
//! any      = all { "OR" all }
//! all      = unary { "AND" unary }
//! unary    = { "SKIP" | "WHILE" } ( "(" any ")" | simple )
//! simple   = name "(" [ argument { "," argument } ] ")"
//! argument = "'" text, in which '' is one quote "'" | integer | boolean | operator
//! ```
//!
//! The `)` of parentheses around filters may be missing at the end.
//! A keyword follows a blank or a `)`, SKIP and WHILE also a `(` or the beginning; a blank or a `(` follows it.

mod argument;
mod parser;
mod print;
mod simple;
#[cfg(test)]
pub(super) mod tests;

pub(super) use parser::parse;
pub(super) use print::print;
