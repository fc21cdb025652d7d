//! The properties of a damaged file, from its metadata and by trial.

use super::survey::{ANY_CODEC, Survey, find_codec};
use crate::block::codec::Decompressor;
use crate::block::crypto::BlockCipher;
use crate::block::data::DataFormat;
use crate::block::decode::BlockContext;
use crate::block::index::SlotUse;
use crate::block::{BlockHandle, BlockType, BloomHashType};
use crate::cell::CellOrder;
use crate::error::{Error, ErrorKind, Result};
use crate::hfile::bloom::{BloomMeta, BloomType, FilterKind};
use crate::hfile::open::{
    block_context, data_format, index_context, parse_meta_index, read_trailer, unknown_comparator,
};
use crate::hfile::options::HFileOptions;
use crate::hfile::source::BlockSource;
use crate::hfile::verify::faults::Faults;
use crate::hfile::verify::index::{DataIndex, TreeReader};
use crate::hfile::verify::layout::Layout;
use crate::hfile::verify::load_on_open::LoadOnOpen;
use crate::hfile::verify::references::{BlockLocation, Reference, References};
use crate::hfile::{FileInfo, Trailer};
use crate::io::FileReader;
use std::sync::Arc;

/// The information needed to copy the cells of a file.
#[derive(Debug)]
pub(super) struct KnownKeys {
    pub(super) source: Arc<BlockSource>,
    pub(super) trailer: Option<Trailer>,
    pub(super) info: Option<FileInfo>,
    pub(super) format: DataFormat,
    pub(super) order: CellOrder,
    pub(super) bloom: Option<BloomType>,
    /// The hash function of the filters, if a filter's metadata gives it.
    pub(super) hash: Option<BloomHashType>,
    pub(super) index: DataIndex,
    pub(super) references: References,
    /// The names and handles of the meta blocks.
    pub(super) meta_blocks: Vec<(Vec<u8>, BlockHandle)>,
    /// The offset of the load-on-open section, where all data ends; `None` if it cannot be determined.
    pub(super) section: Option<u64>,
    pub(super) faults: Faults,
    pub(super) guesses: Vec<String>,
    pub(super) dropped: Vec<String>,
}

impl KnownKeys {
    /// Reads the metadata of a file with a valid trailer, and determines what is damaged from the blocks.
    /// `likely` is the order to assume for cells that fit both orders.
    pub(super) fn by_trailer(
        reader: &Arc<dyn FileReader>,
        options: &HFileOptions,
        likely: CellOrder,
    ) -> Result<Self> {
        let (trailer, ..) = read_trailer(&**reader)?;
        let context = block_context(&trailer, options)
            .map_err(|corruption| corruption.at(reader.path(), trailer.offset()))?;
        let mut known = Self::nothing(reader, context);
        let section = LoadOnOpen::read(&known.source, &trailer, &mut Layout::default(), &mut known.faults)?;
        // an offset at which nothing is valid may be wrong
        known.section = section.data_root.is_some().then_some(section.start);
        let stated = trailer.load_on_open_data_offset();
        let order = trailer.cell_order();
        if order.is_none() {
            known.faults.add(unknown_comparator(&trailer), trailer.offset(), None);
        }
        known.read_index(&section, &trailer, order)?;
        let bloom = section.filters.iter().find(|(kind, ..)| *kind == FilterKind::General);
        let bloom = bloom.and_then(|(_, location, payload)| BloomMeta::parse(payload, location.offset).ok());
        let info = known.read_info(&section);
        known.trailer = Some(trailer);
        known.conclude(info, order.ok_or(likely), bloom, Some(stated))?;
        Ok(known)
    }

    /// Determines everything from the blocks of a file whose trailer is unusable for `reason`; `None` if no
    /// block is valid. `likely` is the order to assume for cells that fit both orders.
    pub(super) fn by_blocks(
        reader: &Arc<dyn FileReader>,
        options: &HFileOptions,
        reason: &Error,
        likely: CellOrder,
    ) -> Result<Option<Self>> {
        let decompressor = |codec| Decompressor::new(codec, options.zstd_dictionary.clone());
        let cipher = find_cipher(&**reader, options)?;
        for has_checksums in [true, false] {
            let context = |codec| BlockContext {
                has_checksums,
                verify_checksums: options.verify_checksums,
                decompressor: decompressor(codec),
                cipher: cipher.clone(),
                limits: options.limits.clone(),
            };
            let probe = Self::nothing(reader, context(ANY_CODEC));
            let Some(codec) = find_codec(&probe.source, decompressor)? else { continue };
            let mut known = Self::nothing(reader, context(codec));
            known.faults.record(reason.clone())?;
            let checksums = if has_checksums { "with" } else { "without" };
            known.guesses.push(format!("codec {}, blocks {checksums} checksums", codec.name()));
            if cipher.is_some() {
                known.guesses.push("encryption AES, by the wrapped key in the damaged trailer".into());
            }
            known.conclude(None, Err(likely), None, None)?;
            return Ok(Some(known));
        }
        Ok(None)
    }

    /// Whether the file is encrypted, so that the new one must be too.
    pub(super) fn is_encrypted(&self) -> bool {
        self.source.context().cipher.is_some()
    }

    fn nothing(reader: &Arc<dyn FileReader>, context: BlockContext) -> Self {
        let reader_again = Arc::clone(reader);
        let format = DataFormat::default();
        Self {
            source: Arc::new(BlockSource::new(reader_again, context, format, 0)),
            trailer: None,
            info: None,
            format: DataFormat::default(),
            order: CellOrder::User,
            bloom: None,
            hash: None,
            index: DataIndex::default(),
            references: References::default(),
            meta_blocks: Vec::new(),
            section: None,
            faults: Faults::new(reader.path()),
            guesses: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Returns where the walk over the data ends.
    pub(super) fn end(&self) -> u64 {
        let end = self.trailer.as_ref().map_or_else(|| self.source.reader.len(), Trailer::offset);
        self.section.unwrap_or(end)
    }

    fn read_info(&mut self, section: &LoadOnOpen) -> Option<FileInfo> {
        let (at, payload) = section.info.as_ref()?;
        let limit = self.source.context().limits.load_on_open_bytes;
        FileInfo::parse(payload, limit)
            .map_err(|corruption| {
                self.faults.add(corruption, *at, Some(BlockType::FileInfo.name()));
            })
            .ok()
    }

    fn read_index(
        &mut self,
        section: &LoadOnOpen,
        trailer: &Trailer,
        order: Option<CellOrder>,
    ) -> Result<()> {
        let limits = &self.source.context().limits;
        let context = index_context(trailer, order, self.source.context(), SlotUse::Unused);
        let levels = trailer.num_data_index_levels().max(1);
        if let Some((at, payload)) = section.data_root.as_ref().filter(|_| levels <= limits.index_levels) {
            let mut tree =
                TreeReader { source: &self.source, context, levels, room: limits.load_on_open_bytes };
            let count = trailer.data_index_count();
            self.index = tree.read(*at, payload, count, &mut self.references, &mut self.faults)?;
            self.references.index_is_whole = self.index.is_whole;
        }
        if let Some((offset, payload)) = &section.meta_root {
            let location = BlockLocation { offset: *offset, block_type: BlockType::RootIndex };
            match parse_meta_index(payload, trailer.meta_index_count(), &context) {
                Ok(entries) => self.meta_blocks = entries,
                Err(corruption) => location.report(corruption, &mut self.faults),
            }
            for (_, handle) in &self.meta_blocks {
                let block_type = BlockType::Meta;
                self.references.push(Reference {
                    handle: *handle,
                    block_type,
                    named_by: location,
                    number: 0,
                });
            }
        }
        for (_, named_by, payload) in &section.filters {
            let Ok(meta) = BloomMeta::parse(payload, context.end) else { continue };
            for (handle, _) in meta.chunks() {
                let block_type = BlockType::BloomChunk;
                self.references.push(Reference { handle, block_type, named_by: *named_by, number: 0 });
            }
        }
        self.references.sort();
        Ok(())
    }

    /// Determines the properties that are still missing. `order` is the trailer's or, without one, the order
    /// to assume for cells that fit both. `stated` is the end of the data according to the trailer.
    fn conclude(
        &mut self,
        info: Option<FileInfo>,
        order: Result<CellOrder, CellOrder>,
        bloom: Option<BloomMeta>,
        stated: Option<u64>,
    ) -> Result<()> {
        (self.info, self.hash) = (info, bloom.as_ref().map(BloomMeta::hash));
        let mut format = self.format_by_info()?;
        if self.section.is_none() || self.info.is_none() || format.is_none() || order.is_err() {
            let survey = Survey::of(&self.source, self.end(), &self.references, format)?;
            let stated = stated.filter(|&at| survey.data_end <= at && survey.section.is_none_or(|s| at <= s));
            self.section = self.section.or(stated).or(survey.section);
            if self.info.is_none() {
                self.info = survey.info.clone();
                format = self.format_by_info()?;
            }
            if self.info.is_none() {
                self.guess_bloom(bloom.as_ref().or(survey.general_bloom.as_ref()));
            }
            self.hash = self.hash.or_else(|| survey.general_bloom.as_ref().map(BloomMeta::hash));
            self.format = format.unwrap_or_else(|| self.guess_format(&survey));
            self.order = order.unwrap_or_else(|likely| self.guess_order(&survey, likely));
        } else {
            (self.format, self.order) = (format.unwrap_or_default(), order.unwrap_or_default());
        }
        if let Some(info) = &self.info {
            self.bloom = info.bloom_filter_type().ok().flatten();
        }
        Ok(())
    }

    /// Returns the format of the cells from the file info, if it gives one. Fails for an encoding that no
    /// build supports.
    fn format_by_info(&mut self) -> Result<Option<DataFormat>> {
        let Some(info) = &self.info else { return Ok(None) };
        match data_format(info) {
            Ok(format) => Ok(Some(format)),
            Err(corruption) => {
                let at = self.section.unwrap_or_else(|| self.source.reader.len());
                let error = self.source.error(corruption, at, BlockType::FileInfo);
                if error.kind() == ErrorKind::Unsupported {
                    return Err(error);
                }
                self.faults.record(error).map(|()| None)
            }
        }
    }

    fn guess_format(&mut self, survey: &Survey) -> DataFormat {
        let Some(format) = survey.format() else { return DataFormat::default() };
        let with = |has: bool| if has { "with" } else { "without" };
        let (tags, mvcc) = (with(format.cells.tags), with(format.cells.mvcc));
        let compressed = if format.tags_compressed { " (compressed)" } else { "" };
        let encoding = format.encoding.name();
        self.guesses.push(format!("encoding {encoding}, {tags} tags{compressed}, {mvcc} sequence ids"));
        format
    }

    fn guess_order(&mut self, survey: &Survey, likely: CellOrder) -> CellOrder {
        let Some(order) = survey.order(likely) else { return likely };
        let name = if order == CellOrder::Meta { "hbase:meta" } else { "user tables" };
        self.guesses.push(format!("the order of {name}"));
        order
    }

    /// Guesses the type of a filter from the first keys of its chunks.
    fn guess_bloom(&mut self, meta: Option<&BloomMeta>) {
        self.guesses.push("no file info: the origin of the cells is unknown".into());
        let Some(meta) = meta else { return };
        let (bloom, name) = match meta.check_flat_keys() {
            Ok(()) => (BloomType::RowCol, "ROWCOL"),
            Err(_) => (BloomType::Row, "ROW"),
        };
        self.bloom = Some(bloom);
        self.guesses.push(format!("Bloom filter {name}"));
    }
}

/// The number of bytes at the end of a file in which to search for the wrapped key: the trailer, and room for
/// bytes after it.
const KEY_WITHIN: u64 = 64 << 10;

/// Returns the cipher of a file whose trailer is damaged, if its wrapped key is intact.
fn find_cipher(reader: &dyn FileReader, options: &HFileOptions) -> Result<Option<BlockCipher>> {
    if options.master_keys.iter().next().is_none() {
        return Ok(None);
    }
    let from = reader.len().saturating_sub(KEY_WITHIN);
    let mut tail = vec![0; usize::try_from(reader.len() - from).unwrap_or_default()];
    reader.read_exact_at(&mut tail, from).map_err(|error| Error::io("read", reader.path(), error))?;
    Ok(options.master_keys.iter().find_map(|key| BlockCipher::find(&tail, key)))
}
