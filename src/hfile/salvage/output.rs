//! The new file, written like the damaged one as far as its properties are known.

use super::known::KnownKeys;
use crate::block::BlockHeader;
use crate::block::Codec;
use crate::block::codec::is_bare_zstd;
use crate::cell::{CellRef, StringBinary};
use crate::error::Result;
use crate::hfile::file_info::names;
use crate::hfile::options::HFileOptions;
use crate::hfile::store_file_writer::Tracked;
use crate::hfile::{Encryption, FileInfo, HFileWriter, MIN_BYTES_PER_CHECKSUM};
use crate::limits::Limits;
use std::path::Path;

/// The maximum block size taken over from a block of the damaged file.
const MAX_BLOCK_SIZE: usize = 1 << 20;

/// The file being written.
#[derive(Debug)]
pub(super) struct Output {
    writer: HFileWriter,
    tracked: Tracked,
}

/// The first valid data block, from which the block options of the new file are derived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) header: &'a BlockHeader,
    pub(super) stored: &'a [u8],
    /// The size of its cells in bytes when plain.
    pub(super) plain_len: usize,
}

impl Output {
    pub(super) fn create(
        known: &KnownKeys,
        options: &HFileOptions,
        path: &Path,
        sample: Option<Sample<'_>>,
    ) -> Result<Self> {
        let encryption = known.is_encrypted().then(|| Encryption::like_input(options)).transpose()?;
        let (format, codec) = (known.format, known.source.codec());
        let Limits { block_bytes, load_on_open_bytes, .. } = options.limits;
        let mut new = HFileWriter::options()
            .storage(std::sync::Arc::clone(&options.storage))
            .order(known.order)
            .data_block_encoding(format.encoding)
            .codec(codec)
            .tags(format.cells.tags)
            .compress_tags(format.tags_compressed)
            .mvcc(format.cells.mvcc)
            .bloom(known.bloom)
            .encryption(encryption)
            // a cell may take more bytes in the new file's format, and the file info have more entries
            .limits(
                options
                    .limits
                    .clone()
                    .with_block_bytes(block_bytes.saturating_mul(2))
                    .with_load_on_open_bytes(load_on_open_bytes.saturating_mul(2)),
            );
        if let Some(hash) = known.hash {
            new = new.bloom_hash(hash);
        }
        if let Some(dictionary) = options.zstd_dictionary.as_ref().filter(|_| codec == Codec::Zstd) {
            new = new.zstd_dictionary(std::sync::Arc::clone(dictionary));
        }
        if known
            .trailer
            .as_ref()
            .map_or_else(|| !known.source.context().has_checksums, |t| t.major_version() == 2)
            && !format.cells.tags
            && !known.is_encrypted()
        {
            new = new.version_2();
        }
        if let Some(sample) = sample {
            let compressed = known.source.context().decrypt(sample.stored);
            let compressed = compressed.map_err(|corruption| corruption.at(known.source.reader.path(), 0))?;
            new = new
                .zstd_framed(!is_bare_zstd(&compressed))
                .block_size(sample.plain_len.clamp(1, MAX_BLOCK_SIZE));
            if let Some((checksum, bytes)) =
                sample.header.checksum_type().zip(sample.header.bytes_per_checksum())
            {
                new = new.checksum(checksum).bytes_per_checksum(bytes.max(MIN_BYTES_PER_CHECKSUM));
            }
        }
        if let Some(millis) = known.info.as_ref().and_then(|info| info.create_time().ok().flatten()) {
            new = new.create_time(millis);
        }
        new.delete_family_bloom = is_of_store(known.info.as_ref());
        Ok(Self { writer: new.create(path)?, tracked: Tracked::new() })
    }

    #[inline]
    pub(super) fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        self.writer.append(cell)?;
        self.tracked.count(&cell);
        Ok(())
    }

    pub(super) fn add_meta_block(&mut self, name: &[u8], content: &[u8]) -> Result<()> {
        self.writer.add_meta_block(name, content)
    }

    /// Finishes the file and returns its length.
    pub(super) fn finish(mut self, known: &mut KnownKeys, is_complete: bool) -> Result<u64> {
        if is_of_store(known.info.as_ref()) {
            self.tracked.put(self.writer.info_mut())?;
        }
        for (key, value) in known.info.iter().flat_map(FileInfo::iter) {
            if is_rewritten(key) {
                continue;
            }
            // The new file may have fewer cells, so it must not replace the files that the damaged one was
            // compacted from.
            if key == names::COMPACTION_EVENT.as_bytes() && names_files(known.info.as_ref()) {
                known.dropped.push(format!("file info {}", StringBinary(key)));
                continue;
            }
            // the only entry with a count that cannot be derived from the cells
            if key == names::MOB_CELLS_COUNT.as_bytes() && !is_complete {
                known.dropped.push(format!("file info {}", StringBinary(key)));
                continue;
            }
            self.writer.add_file_info(key, value)?;
        }
        self.writer.finish()
    }
}

/// Whether the file is a store file, with the entries that a store tracks. True if unknown, because it is
/// better to have these entries.
fn is_of_store(info: Option<&FileInfo>) -> bool {
    info.is_none_or(|info| TRACKED.iter().any(|name| info.get(name.as_bytes()).is_some()))
}

const TRACKED: [&str; 3] = [names::TIME_RANGE, names::EARLIEST_PUT_TS, names::DELETE_FAMILY_COUNT];

/// Whether the file info lists files that this one was compacted from, or its list cannot be read.
fn names_files(info: Option<&FileInfo>) -> bool {
    info.is_some_and(|info| match info.compaction_event() {
        Ok(files) => files.is_some_and(|files| !files.is_empty()),
        Err(_) => true,
    })
}

/// Whether the writer itself derives the entry from the cells and the options.
fn is_rewritten(key: &[u8]) -> bool {
    key.starts_with(b"hfile.") || names::OF_FORMAT.iter().chain(&TRACKED).any(|name| name.as_bytes() == key)
}
