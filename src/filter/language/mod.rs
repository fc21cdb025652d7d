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
//! The `)` of parentheses around filters may be missing at the end. A keyword must follow a blank or a `)`;
//! SKIP and WHILE may also follow a `(` or begin the expression. A blank or a `(` must follow a keyword.

mod argument;
mod parser;
mod print;
mod simple;
#[cfg(test)]
pub(super) mod tests;

pub(super) use parser::parse;
pub(super) use print::print;
