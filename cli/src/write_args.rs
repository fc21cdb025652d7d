//! Arguments shared by `write`, `bulkload` and `import`.

use crate::args::{LineArgs, read_key};
use crate::cell_json::CellParser;
use crate::cell_source::{JsonCells, ListedCells, ManyLists};
use crate::failure::CommandError;
use crate::output::Output;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::sort::SortArgs;
use crate::text_rows::{BadLines, TextArgs};
use hregion::{CellOrder, Clock as _, Encryption, Limits, SystemClock};
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
    /// Sort the cells by key and sequence id; the sort is stable
    #[arg(long, help_heading = "Sorting")]
    sort: bool,

    #[command(flatten)]
    pub(crate) list: ListArgs,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Zstandard dictionary to compress with
    #[arg(long, value_name = "FILE", help_heading = "HFile settings")]
    pub(crate) zstd_dictionary: Option<PathBuf>,

    /// File with the cluster's master key in hexadecimal, for --encryption AES
    #[arg(long, value_name = "FILE", help_heading = "HFile settings")]
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
    /// Opens a list of cells: JSON lines, or text. `now` is the timestamp of rows without one.
    fn open<'p>(
        &self,
        path: &'p Path,
        parser: CellParser,
        order: CellOrder,
        now: i64,
        bad_lines: BadLines,
        progress: &Progress,
    ) -> Result<List<'p>, CommandError> {
        let limits = self.limits();
        if let Some(cells) = self.text.open(path, now, &bad_lines, &limits, progress)? {
            return Ok(List { cells: Box::new(cells), bad_lines, has_seq_ids: false });
        }
        let cells = JsonCells::open(path, parser, order, &limits, progress)?;
        let has_seq_ids = cells.has_seq_id();
        Ok(List { cells: Box::new(cells), bad_lines, has_seq_ids })
    }

    /// Opens lists of new cells of a table as one. Rows without a timestamp have the same one in all of them.
    pub(crate) fn open_all<'p>(
        &'p self,
        paths: &'p [PathBuf],
        order: CellOrder,
        out: &Output,
    ) -> Result<(ManyLists<'p>, BadLines), CommandError> {
        let (now, bad_lines, progress) = (SystemClock.now(), BadLines::default(), out.progress().clone());
        let counted = bad_lines.clone();
        let open = move |path: &'p Path| {
            let parser = CellParser::of_new_cells();
            let list = self.open(path, parser, order, now, counted.clone(), &progress)?;
            Ok(list.cells)
        };
        Ok((ManyLists::open(paths, Box::new(open))?, bad_lines))
    }

    pub(crate) fn limits(&self) -> Limits {
        self.lines.limits()
    }
}

impl WriteArgs {
    /// Opens a list of cells: JSON lines, or text. For a bulk load, they are new cells of a table.
    pub(crate) fn open<'p>(
        &self,
        path: &'p Path,
        is_load: bool,
        out: &Output,
    ) -> Result<List<'p>, CommandError> {
        let (order, now) = (self.settings.order(), SystemClock.now());
        let parser = if is_load { CellParser::of_new_cells() } else { CellParser::default() };
        self.list.open(path, parser, order, now, BadLines::default(), out.progress())
    }

    /// Whether cells are sorted: if asked, or the input is text.
    pub(crate) fn sorts(&self) -> bool {
        self.sort || self.list.text.is_given()
    }

    /// Returns the files that these arguments name, besides the list of cells.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.zstd_dictionary.iter().chain(&self.master_key_file)
    }

    /// Returns the encryption of the files; `None` if they are not encrypted.
    pub(crate) fn encryption(&self) -> Result<Option<Encryption>, CommandError> {
        if self.master_key_file.is_some() && self.settings.encryption.is_none() {
            return Err(CommandError::usage(
                "--master-key-file: expected --encryption AES, or NONE to write unencrypted",
            ));
        }
        self.settings.encryption(self.master_key_file.as_deref().map(read_key).transpose()?)
    }
}
