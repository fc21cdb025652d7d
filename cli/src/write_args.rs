//! How cells of a list are written: the arguments that `write` and `bulkload` share.

use crate::settings::Settings;
use crate::sort::SortArgs;
use std::path::PathBuf;

/// How to write.
#[derive(clap::Args, Debug)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(crate) sorting: SortArgs,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Compress by Zstandard with a dictionary
    #[arg(long, value_name = "FILE", help_heading = "The file")]
    pub(crate) zstd_dictionary: Option<PathBuf>,
}
