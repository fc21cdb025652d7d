//! Arguments shared by `write` and `bulkload`.

use crate::args::{LineArgs, read_key};
use crate::cell_source::{JsonCells, ListedCells};
use crate::failure::CommandError;
use crate::output::Output;
use crate::settings::Settings;
use crate::sort::SortArgs;
use crate::text_rows::{BadLines, TextArgs};
use hregion::{Encryption, Limits};
use std::path::{Path, PathBuf};

/// Options for writing files.
#[derive(clap::Args, Debug)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(crate) sorting: SortArgs,

    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    lines: LineArgs,

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

impl WriteArgs {
    /// Opens a list of cells: JSON lines, or text.
    pub(crate) fn open<'p>(&self, path: &'p Path, out: &Output) -> Result<List<'p>, CommandError> {
        let limits = self.lines.limits();
        if let Some(cells) = self.text.open(path, &limits, out.progress())? {
            let bad_lines = cells.bad_lines();
            return Ok(List { cells: Box::new(cells), bad_lines, has_seq_ids: false });
        }
        let cells = JsonCells::open(path, self.settings.order(), &limits, out.progress())?;
        let has_seq_ids = cells.has_seq_id();
        Ok(List { cells: Box::new(cells), bad_lines: BadLines::default(), has_seq_ids })
    }

    /// Whether cells are sorted: if asked, or the input is text.
    pub(crate) fn sorts(&self) -> bool {
        self.sorting.sort || self.text.is_given()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.lines.limits()
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
