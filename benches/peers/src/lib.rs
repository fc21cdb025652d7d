//! One workload for hregion, HBase and other storage engines: the same rows, queries and checks. `README.md`
//! describes it.

pub mod chart;
pub mod engine;
pub mod engines;
pub mod files;
pub mod growth;
pub mod lines;
pub mod measure;
pub mod report;
pub mod run;
pub mod scenario;
pub mod sys;
pub mod workload;
