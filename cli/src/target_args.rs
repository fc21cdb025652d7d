//! Arguments for targets and output formats.

use crate::failure::CommandError;
use crate::row_output::Format;
use crate::target::{self, Kind};
use std::path::PathBuf;

/// The target that rows are read from.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// HFile, or directory of a family, region, table or snapshot
    pub(crate) target: PathBuf,

    /// Kind of TARGET [default: detected]
    #[arg(long = "as", value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
}

impl TargetArgs {
    /// Returns the kind of the target, as given or detected.
    pub(crate) fn kind(&self) -> Result<Kind, CommandError> {
        target::kind_of(&self.target, self.kind)
    }
}

/// The output format of rows.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct FormatArgs {
    /// Output format of cells [default: hbase]
    #[arg(long, value_name = "FORMAT", hide_default_value = true, help_heading = "Output")]
    pub(crate) format: Option<Format>,
}
