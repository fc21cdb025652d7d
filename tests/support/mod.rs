//! Helpers shared by the tests: files written by HBase, cells as text, a seeded generator, the model.
#![allow(dead_code, reason = "not every test program uses all of it")]

pub(crate) mod alloc;
pub(crate) mod cells;
pub(crate) mod child;
pub(crate) mod churn;
pub(crate) mod crashes;
pub(crate) mod fake_zookeeper;
pub(crate) mod fault_world;
pub(crate) mod files;
pub(crate) mod forward;
pub(crate) mod golden;
pub(crate) mod hbase;
pub(crate) mod hooked_logs;
pub(crate) mod in_time;
pub(crate) mod json_cell;
pub(crate) mod mixed_rows;
pub(crate) mod model;
pub(crate) mod no_sync;
pub(crate) mod open;
pub(crate) mod protobuf;
pub(crate) mod random_ops;
pub(crate) mod recorded;
pub(crate) mod rng;
pub(crate) mod scan_modes;
pub(crate) mod script;
pub(crate) mod seeds;
pub(crate) mod seek_keys;
pub(crate) mod trackers;
pub(crate) mod written;
