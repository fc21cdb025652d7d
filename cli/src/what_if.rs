//! Estimates the sizes with other encodings and codecs, on samples of files.

use crate::concurrent_changes::read_listed;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::probe;
use crate::text;
use hregion::io::{FileWriter, MemoryFile};
use hregion::{Cell, CellRef, Codec, DataBlockEncoding, ErrorKind, HFile, HFileOptions, HFileWriter};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The approximate number of bytes of a family's cells that are read.
const SAMPLE: u64 = 4 << 20;
/// The approximate number of bytes of cells read at one place of a file.
const PIECE: u64 = 128 << 10;

const CODECS: [Codec; 5] = [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Gz, Codec::Zstd];

type Setting = (DataBlockEncoding, Codec);

/// The files of each family of each table.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<[Option<String>; 2], Vec<(PathBuf, u64)>>);

/// The sizes of a family's sample.
#[derive(Debug, Default)]
struct Sizes {
    /// In the settings of the files.
    now: u64,
    other: BTreeMap<usize, u64>,
}

impl Samples {
    /// Adds a file that has cells.
    pub(crate) fn add(&mut self, [table, _, family]: [Option<String>; 3], path: &Path, bytes: u64) {
        self.0.entry([table, family]).or_default().push((path.to_owned(), bytes));
    }

    /// Reads the samples, and prints the estimates of each family.
    pub(crate) fn print(&self, options: &HFileOptions, out: &mut Output) -> Result<(), Failure> {
        let encodings = DataBlockEncoding::ALL.into_iter();
        let settings: Vec<Setting> =
            encodings.flat_map(|encoding| CODECS.map(|codec| (encoding, codec))).collect();
        for ([table, family], files) in &self.0 {
            let all = files.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
            let mut sizes = Sizes::default();
            for (path, bytes) in files {
                let share = u128::from(SAMPLE) * u128::from(*bytes) / u128::from(all.max(1));
                let open = |path: &Path| Ok::<_, CommandError>(options.open(path)?);
                let file = match read_listed(path, open) {
                    // Another process has removed it.
                    Err(_) if !probe::exists(path)? => continue,
                    file => file?,
                };
                sizes.add(&file, u64::try_from(share).unwrap_or(SAMPLE), &settings)?;
            }
            if !out.is_json() {
                let [table, family] =
                    [table, family].map(|name| text::printable(name.as_deref().unwrap_or("-")));
                writeln!(out, "\n{table} {family}, sample of {} bytes", sizes.now)?;
            }
            for (at, size) in &sizes.other {
                let Some((encoding, codec)) = settings.get(*at) else { continue };
                let (encoding, compression) = (encoding.name(), codec.name());
                let bytes = u128::from(all) * u128::from(*size) / u128::from(sizes.now.max(1));
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                if out.is_json() {
                    out.json_line(&json!({ "what_if": {
                        "table": table, "family": family, "encoding": encoding, "compression": compression,
                        "sample_bytes": size, "bytes": bytes,
                    }}))?;
                } else {
                    let percent = u128::from(bytes) * 100 / u128::from(all.max(1));
                    writeln!(out, "{bytes:>14} {percent:>5} %  {encoding} {compression}")?;
                }
            }
        }
        Ok(())
    }
}

impl Sizes {
    /// Adds cells of a file: about `bytes`, in pieces at even distances.
    fn add(&mut self, file: &HFile, bytes: u64, settings: &[Setting]) -> Result<(), Failure> {
        let cells = sample(file, bytes)?;
        let now = (file.data_block_encoding(), file.codec());
        let Some(size) = written(file, &cells, now)? else {
            return Err(
                CommandError::unsupported(file.path(), format!("{} is not written", now.1.name())).into()
            );
        };
        self.now += size;
        for (at, setting) in settings.iter().enumerate() {
            // none for a codec that this build lacks
            if let Some(size) = written(file, &cells, *setting)? {
                *self.other.entry(at).or_default() += size;
            }
        }
        Ok(())
    }
}

/// Returns cells of pieces of a file, in order.
fn sample(file: &HFile, bytes: u64) -> Result<Vec<Cell>, Failure> {
    let keys: Vec<_> = file.root_index().map(|(key, _)| key).collect();
    let pieces = usize::try_from(bytes.div_ceil(PIECE)).unwrap_or(1).clamp(1, keys.len().max(1));
    let (mut cells, mut scanner): (Vec<Cell>, _) = (Vec::new(), file.scanner());
    for piece in 0..pieces {
        let Some(key) = keys.get(piece * keys.len() / pieces) else { break };
        if piece == 0 {
            scanner.seek_to_first()?;
        } else {
            scanner.seek(key)?;
        }
        let mut read = 0;
        while let Some(cell) = scanner.peek()
            && read < PIECE
        {
            let is_new = cells.last().is_none_or(|last| is_after(file, last.as_ref(), cell));
            if is_new {
                read += (cell.key().as_bytes().len() + cell.value().len()) as u64;
                cells.push(Cell::from(cell));
            }
            if !scanner.advance()? {
                break;
            }
        }
    }
    Ok(cells)
}

/// Whether a cell was not read with the previous piece.
fn is_after(file: &HFile, last: CellRef<'_>, cell: CellRef<'_>) -> bool {
    let order = file.order().unwrap_or_default();
    order.compare(last.key(), cell.key()).then_with(|| cell.seq_id().cmp(&last.seq_id())).is_lt()
}

/// Returns the bytes of the blocks of cells, written with other settings; `None` if this build lacks the
/// codec.
fn written(file: &HFile, cells: &[Cell], (encoding, codec): Setting) -> Result<Option<u64>, Failure> {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let options = HFileWriter::options()
        .data_block_encoding(encoding)
        .codec(codec)
        .tags(file.has_tags())
        .compress_tags(matches!(file.file_info().tags_compressed(), Ok(Some(true))))
        .mvcc(file.has_seq_ids())
        .order(file.order().unwrap_or_default());
    let mut writer = match options.create_in(Box::new(Memory(file.path().to_owned(), Arc::clone(&bytes)))) {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(None),
        created => created?,
    };
    cells.iter().try_for_each(|cell| writer.append(cell.as_ref()))?;
    writer.finish()?;
    let bytes = std::mem::take(&mut *bytes.lock().unwrap_or_else(PoisonError::into_inner));
    let new = HFile::options().open_reader(Arc::new(MemoryFile::new(file.path(), bytes)))?;
    // without the index and the trailer, which do not grow with the sample as they do with the file
    Ok(Some(new.trailer().load_on_open_data_offset()))
}

/// A file that is written to memory.
#[derive(Debug)]
struct Memory(PathBuf, Arc<Mutex<Vec<u8>>>);

impl FileWriter for Memory {
    fn path(&self) -> &Path {
        &self.0
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
