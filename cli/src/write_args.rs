//! Arguments shared by `write` and `bulkload`.

use crate::args::{LineArgs, read_key};
use crate::failure::CommandError;
use crate::settings::Settings;
use crate::sort::SortArgs;
use hregion::Encryption;
use std::path::PathBuf;

/// Options for writing files.
#[derive(clap::Args, Debug)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(crate) sorting: SortArgs,

    #[command(flatten)]
    pub(crate) lines: LineArgs,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Compress by Zstandard with this dictionary
    #[arg(long, value_name = "FILE", help_heading = "The file")]
    pub(crate) zstd_dictionary: Option<PathBuf>,

    /// Master key of the cluster, in hexadecimal, for --encryption AES
    #[arg(long, value_name = "FILE", help_heading = "The file")]
    master_key_file: Option<PathBuf>,
}

impl WriteArgs {
    /// Returns the encryption of the files; `None` if they are not encrypted.
    pub(crate) fn encryption(&self) -> Result<Option<Encryption>, CommandError> {
        if self.master_key_file.is_some() && self.settings.encryption.is_none() {
            return Err(CommandError::usage(
                "--master-key-file: expected --encryption AES, or NONE to write in the clear",
            ));
        }
        self.settings.encryption(self.master_key_file.as_deref().map(read_key).transpose()?)
    }
}
