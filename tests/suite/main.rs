//! The library's tests in one program, which builds and runs faster than one for each file.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they did"
)]

mod bulk_loads;
mod cache;
mod cluster;
mod cold_gets;
mod compaction;
mod compaction_plans;
mod corrupt;
mod directories;
mod encryption;
mod explain;
mod faults;
mod flips;
mod flushes;
mod fuzz_bodies;
mod get_many;
mod golden;
mod hints;
mod kills;
mod labels;
mod layers;
mod layouts;
mod limits;
mod linked_list;
mod locator;
mod log;
mod log_ends;
mod metamorphic;
mod mob;
mod model;
mod model_corpora;
mod moved_files;
mod mutations;
mod observers;
mod oracle;
mod pages;
mod partial_reads;
mod partial_scans;
mod power_cuts;
mod read_ahead;
mod reads;
mod recovery;
mod region;
mod region_golden;
mod replays;
mod restarts;
mod row_bytes;
mod salvage;
mod scanners;
mod scheduler;
mod second_tier;
mod seek_flips;
mod seeks;
mod send_sync;
mod shared_log;
mod shared_tables;
mod snapshot_cluster;
mod snapshot_writes;
mod snapshots;
mod split_cluster;
mod splits;
mod storage_panics;
#[path = "../support/mod.rs"]
mod support;
mod table_admin;
mod table_faults;
mod table_flips;
mod table_kills;
mod table_life;
mod table_observers;
mod threads;
mod tracked_cluster;
mod verify;
mod wal;
mod writer;
mod zookeeper;

use support::alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;
