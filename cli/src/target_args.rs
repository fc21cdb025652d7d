//! Which rows a command reads: the arguments of all commands that read more than files.

use crate::row_output::Format;
use crate::target::Kind;
use std::path::PathBuf;

/// Where rows are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// An HFile, or the directory of a family, a region or a table
    pub(crate) target: PathBuf,

    /// What the target is, if it is not to be found by looking
    #[arg(long = "as", value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
}

/// How rows are printed.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct FormatArgs {
    /// How cells are printed [default: hbase]
    #[arg(long, value_name = "FORMAT", hide_default_value = true, help_heading = "Output")]
    pub(crate) format: Option<Format>,
}
