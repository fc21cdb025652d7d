//! Compaction: merges files of a store into one (read-path.md §17).
//!
//! | file | contents |
//! |---|---|
//! | `candidate` | the metadata of a file for the selection |
//! | `config` | settings, with HBase's defaults |
//! | `policy` | the common part of the selection, and files to drop without reading them |
//! | `exploring`, `ratio` | which run of files to compact |
//! | `window`, `date_tiered` | windows of time, and which files of a window to compact |
//! | `fifo` | files as a queue |
//! | `major` | whether a major compaction is due |
//! | `merge`, `outputs` | the new files |
//! | `explain` | the cells they would have, and the reasons for dropping the others |

mod candidate;
mod config;
mod date_tiered;
mod explain;
mod exploring;
mod fifo;
mod major;
mod merge;
mod outputs;
mod policy;
mod ratio;
mod window;

pub(crate) use candidate::CandidateFile;
pub(crate) use config::CompactionConfig;
pub(crate) use merge::CompactionJob;
pub(crate) use policy::{Selection, select, unneeded};
