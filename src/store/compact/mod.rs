//! Compaction: which files of a store become one (read-path.md §17).
//!
//! | file | what it is |
//! |---|---|
//! | `candidate` | what the choice knows of a file |
//! | `config` | the settings, with HBase's defaults |
//! | `policy` | the frame of the choice, and which files need not be read at all |
//! | `exploring` | which run of files is worth it |
//! | `major` | whether it is time to take all of them |
//! | `merge` | the new file |

mod candidate;
mod config;
mod exploring;
mod major;
mod merge;
mod policy;

pub(crate) use candidate::CandidateFile;
pub(crate) use config::CompactionConfig;
pub(crate) use policy::{expired, select};
