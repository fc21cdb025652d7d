//! Compaction: which files of a store become one (read-path.md §17).
//!
//! | file | what it is |
//! |---|---|
//! | `candidate` | what the choice knows of a file |
//! | `settings`, `config` | what is set of it, with HBase's defaults |
//! | `policy` | the frame of the choice, and which files need not be read at all |
//! | `exploring`, `ratio` | which run of files is worth it |
//! | `window`, `date_tiered` | windows of time, and which files of one are |
//! | `fifo` | files as a queue |
//! | `major` | whether it is time to take all of them |
//! | `merge`, `outputs` | the new files |

mod candidate;
mod config;
mod date_tiered;
mod exploring;
mod fifo;
mod major;
mod merge;
mod outputs;
mod policy;
mod ratio;
mod settings;
mod window;

pub(crate) use candidate::CandidateFile;
pub(crate) use config::CompactionConfig;
pub(crate) use merge::Merge;
pub(crate) use policy::{Selection, select, unneeded};
pub(crate) use settings::memstore_flush_size;
