//! Compares the client with HBase's own, on a running cluster.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they did"
)]

#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../../tests/support/hbase.rs"]
mod hbase;
#[path = "../../../tests/support/json_cell.rs"]
mod json_cell;
#[cfg(feature = "kerberos")]
mod kerberos;
mod live;
#[cfg(any(feature = "kerberos", feature = "tls"))]
#[allow(dead_code, reason = "each feature uses a part")]
#[path = "../../../tests/support/site.rs"]
mod site;
mod speed;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod zookeeper_tls;
