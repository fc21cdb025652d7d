//! Arguments shared by `write`, `bulkload` and `import`.

use crate::args::{LineArgs, read_key};
use crate::cell_source::{JsonCells, ListedCells};
use crate::failure::CommandError;
use crate::output::Output;
use crate::settings::Settings;
use crate::sort::SortArgs;
use crate::text_rows::{BadLines, TextArgs};
use hregion::{CellOrder, Encryption, Limits};
use std::path::{Path, PathBuf};

/// Options for reading a list of cells.
#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) memory: SortArgs,

    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    lines: LineArgs,
}

/// Options for writing files.
#[derive(clap::Args, Debug)]
pub(crate) struct WriteArgs {
    /// Sort the cells first, including sequence ids; the sort is stable
    #[arg(long, help_heading = "Sorting")]
    sort: bool,

    #[command(flatten)]
    pub(crate) list: ListArgs,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Compress by Zstandard with this dictionary
    #[arg(long, value_name = "FILE", help_heading = "The file")]
    pub(crate) zstd_dictionary: Option<PathBuf>,

    /// Master key of the cluster, in hexadecimal, for --encryption AES
    #[arg(long, value_name = "FILE", help_heading = "The file")]
    master_key_file: Option<PathBuf>,
}

/// A list of cells to write.
pub(crate) struct List<'p> {
    pub(crate) cells: Box<dyn ListedCells<'p> + 'p>,
    /// The lines that are skipped while the cells are read.
    pub(crate) bad_lines: BadLines,
    /// Whether the first cell has a sequence id.
    pub(crate) has_seq_ids: bool,
}

impl ListArgs {
    /// Opens a list of cells: JSON lines, or text.
    pub(crate) fn open<'p>(
        &self,
        path: &'p Path,
        order: CellOrder,
        out: &Output,
    ) -> Result<List<'p>, CommandError> {
        let limits = self.limits();
        if let Some(cells) = self.text.open(path, &limits, out.progress())? {
            let bad_lines = cells.bad_lines();
            return Ok(List { cells: Box::new(cells), bad_lines, has_seq_ids: false });
        }
        let cells = JsonCells::open(path, order, &limits, out.progress())?;
        let has_seq_ids = cells.has_seq_id();
        Ok(List { cells: Box::new(cells), bad_lines: BadLines::default(), has_seq_ids })
    }

    pub(crate) fn limits(&self) -> Limits {
        self.lines.limits()
    }
}

impl WriteArgs {
    /// Opens a list of cells: JSON lines, or text.
    pub(crate) fn open<'p>(&self, path: &'p Path, out: &Output) -> Result<List<'p>, CommandError> {
        self.list.open(path, self.settings.order(), out)
    }

    /// Whether cells are sorted: if asked, or the input is text.
    pub(crate) fn sorts(&self) -> bool {
        self.sort || self.list.text.is_given()
    }

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
