//! Reads from a bucket, a web server and HDFS, and writes to buckets and HDFS: their costs, and the effects
//! of misbehaving servers.
#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod costs;
#[cfg(feature = "hdfs")]
mod cut_proxy;
#[cfg(feature = "hdfs")]
mod fake_name_nodes;
#[path = "../../../tests/support/fake_s3.rs"]
mod fake_s3;
mod faults;
#[cfg(feature = "hdfs")]
mod hdfs;
#[cfg(feature = "hdfs")]
mod hdfs_data_nodes;
#[cfg(feature = "hdfs")]
mod hdfs_failures;
#[cfg(feature = "hdfs")]
mod hdfs_kills;
#[cfg(feature = "hdfs")]
mod hdfs_locks;
#[cfg(feature = "hdfs")]
mod hdfs_silence;
#[cfg(feature = "hdfs")]
mod hdfs_writes;
mod history;
mod locks;
mod object_failures;
mod object_loads;
mod object_locks;
mod object_recoveries;
mod object_snapshots;
mod object_splits;
mod object_tables;
mod object_uploads;
mod object_writes;
mod support;
mod tables;
#[path = "../../../tests/support/trackers.rs"]
mod trackers;
#[cfg(feature = "http")]
mod web;
