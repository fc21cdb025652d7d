//! The short flags of `hbase hfile`.

use crate::cell_line::LineStyle;

/// The parts to print or check, as in `hbase hfile`.
#[derive(clap::Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Flags of `hbase hfile`")]
pub(crate) struct HBaseFlags {
    /// Print trailer, file info and Bloom filters
    #[arg(short = 'm', long)]
    pub(crate) meta: bool,

    /// Print cells with their values and tags
    #[arg(short = 'p', long)]
    pub(crate) values: bool,

    /// Print the keys of cells
    #[arg(short = 'e', long)]
    pub(crate) keys: bool,

    /// Print the root of the block index
    #[arg(short = 'b', long)]
    pub(crate) block_index: bool,

    /// Print the header of every block
    #[arg(short = 'h', long)]
    pub(crate) blocks: bool,

    /// Check that rows are in order
    #[arg(short = 'k', long)]
    pub(crate) check_rows: bool,

    /// Check that all cells are of the family in the path
    #[arg(short = 'a', long)]
    pub(crate) check_families: bool,

    /// Print statistics of keys, values and rows
    #[arg(short = 's', long)]
    pub(crate) stats: bool,
}

impl HBaseFlags {
    /// Returns the style for printing cells; `None` if no flag selects them.
    pub(crate) fn look(&self) -> Option<LineStyle> {
        if self.values {
            Some(LineStyle::KeyValue)
        } else if self.keys {
            Some(LineStyle::Key)
        } else {
            None
        }
    }

    /// Whether parts of the file other than its cells are printed.
    pub(crate) fn any_part(&self) -> bool {
        self.meta || self.block_index || self.blocks
    }

    /// Whether cells must be read for printing or checking.
    pub(crate) fn reads_cells(&self) -> bool {
        self.values || self.keys || self.check_rows || self.check_families || self.stats
    }
}
