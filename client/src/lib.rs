//! A client of HBase clusters (locator.md; HBase: `hbase-client`).
//!
//! Finds the region and the server of a row through `ZooKeeper`, or through the cluster's servers, and the
//! catalog, and reads and writes there, with the types of [`hregion`]: the same [`Get`](hregion::Get),
//! [`Put`](hregion::Put), [`Scan`](hregion::Scan) and [`Filter`](hregion::Filter) that an embedded
//! [`hregion::Table`] takes.
//!
//! ```no_run
//! use hregion::{Get, Put, Scan, TableName};
//! use hregion_client::Client;
//!
//! # async fn run() -> hregion::Result<()> {
//! let client = Client::builder().zookeeper("localhost:2181")?;
//! let table = client.table(&TableName::parse("users")?);
//! table.put(Put::new("row-0007").cell("info", "name", "Ann")).await?;
//! let row = table.get(&Get::new("row-0007")).await?;
//! assert_eq!(row.value("info", "name"), Some(&b"Ann"[..]));
//!
//! let mut rows = table.scan(Scan::new().rows("row-0000".."row-1000"))?;
//! while let Some(row) = rows.next_row().await? {
//!     println!("{row:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`blocking`] has the same for callers without a runtime.
//!
//! # One get
//!
//! | step | where |
//! |---|---|
//! | [`Table::get`] encodes the get | `table.rs`, `hregion::Get::to_proto_bytes` |
//! | finds the region, in the cache or else in the catalog | `tries.rs`, `client.rs`, `hregion::Locator` |
//! | on one of a few separate threads, in turn | `look_ups.rs` |
//! | which is on the server that the registry names | `registry.rs`, `hregion::locator::ZooKeeperRegistry` |
//! | and read there by a scan | `catalog.rs` |
//! | takes the connection to the region's server | `connections.rs`, `tls.rs`, `kerberos.rs` |
//! | reads other replicas of the region, if allowed, when the primary one is late | `timeline.rs` |
//! | sends a frame, and waits for the answer with its call id | `connection.rs`, `frame.rs` |
//! | decodes the cells, which must be of the row | `cell_block.rs`, `results.rs` |
//! | after a failure: corrects the location, pauses, tries again | `fault.rs`, `tries.rs` |
//!
//! # Not supported yet
//!
//! Authentication by tokens; administration other than of tables and snapshots, such as namespaces,
//! permissions and replication. Connections are encrypted with the feature `tls` (`ClientBuilder::tls`), and
//! authenticated with the feature `kerberos` (`ClientBuilder::kerberos`); those to ZooKeeper as well, if
//! configured (`ClientBuilder::zookeeper_tls`, `Kerberos::zookeeper_principal`). Without the feature, servers
//! that require authentication refuse the connection, with an error that names it.
//!
//! # Bounds
//!
//! Each operation ends within the time of an operation ([`ClientBuilder::retries`]), each call within its
//! own. Responses longer than [`ClientBuilder::max_response_size`] are refused, and read in pieces, so that a
//! length alone allocates nothing. For any response of a server, the result is an error or rows of the
//! requested regions, in order. Cells are not checked further: HBase's RPC has no checksums.

#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "the numbers of tests are small"))]

mod admin;
#[cfg(test)]
#[path = "../../tests/support/alloc.rs"]
mod alloc;
mod assembler;
pub mod blocking;
mod bounded;
mod call_id;
mod call_target;
mod catalog;
mod cell_block;
mod client;
mod connection;
mod connections;
mod fault;
mod frame;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
#[path = "../../tests/support/json_cell.rs"]
mod json_cell;
#[cfg(feature = "kerberos")]
mod kerberos;
mod look_ups;
mod master;
mod multi;
mod proto;
#[cfg(test)]
mod recorded_tests;
mod region_opener;
mod registry;
#[cfg(test)]
mod replayed_tests;
mod restore;
mod results;
#[cfg(test)]
#[path = "../../tests/support/rng.rs"]
mod rng;
mod scan_metrics;
mod scanner;
mod setback;
mod site;
mod table;
mod timeline;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod tries;

pub use client::{Client, ClientBuilder};
#[cfg(feature = "kerberos")]
pub use kerberos::{Kerberos, Protection};
pub use scan_metrics::ScanMetrics;
pub use scanner::Scanner;
pub use table::Table;
#[cfg(feature = "tls")]
pub use tls::Tls;
