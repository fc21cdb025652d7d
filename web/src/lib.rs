//! Answers the requests of a page in a browser about an HFile, in JSON.
//!
//! [`Session`] owns the file, which it reads through a [`FileReader`](hregion::FileReader), and answers
//! requests. On `wasm32-unknown-unknown` the module `browser` connects it to a worker of the page, which
//! reads slices of the file that was dropped there. On other targets the tests of the tool call it, and
//! compare the answers.
//!
//! A request is an object with the member `op`:
//!
//! - `summary`: the output of `hregion inspect --json`, with `levels`, `codec`, `searchable`, `bloom_type`,
//!   `last_key`, `warnings`, and the number of entries of the file info that are omitted
//!   (`file_info_left_out`) because there are too many.
//! - `blocks`, from an `offset` on, at most `limit`: `blocks`, headers in the form of `inspect --blocks`,
//!   with the `size` and the index `key`; the offset `next`; `end`, where the trailer begins; `error`, if
//!   reading ended.
//! - `index`, by a `path` of numbers of entries, `from` one on, at most `limit`: `entries` of an index
//!   block with `key`, `offset`, `size`; their `count`; whether they are of `data` blocks.
//! - `cells`, from a `row` and `column`, a `key`, or the page that ends `before` one, only those of one block
//!   if `block` is true: `cells` in the form of `hregion cells --json`; `next`, members of the request for
//!   the next page; `error`.
//! - `bloom`, for a `row` and `column`: the answers of the Bloom filters, and whether the row or column is
//!   `found`.
//! - `verify`: `blocks`, `cells`, and `faults` in the form of `hregion verify --json`.
//!
//! Rows, columns and keys have HBase's `toStringBinary` form. Integers that JavaScript cannot represent, such
//! as the latest timestamp, are strings of digits. If there is no answer, there is an `error`: its kind,
//! message, offset and block.
//!
//! Answers are limited to about 4 MiB of keys and values, because they are drawn: with long ones they have
//! fewer items than `limit`. A key that is too long is null; in a cell it is an error. Long texts of the
//! summary are shortened.

mod answer;
mod blocks;
mod bloom;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod browser;
mod cells;
mod report;
mod request;
mod session;

/// Shared with the tool.
#[allow(dead_code, reason = "the tool prints text, too")]
#[path = "../../cli/src/cell_line.rs"]
mod cell_line;
#[allow(dead_code, reason = "the tool prints paths, too")]
#[path = "../../cli/src/text.rs"]
mod text;

pub use session::Session;
