//! Determines the format of blocks by trial.

use crate::block::codec::Decompressor;
use crate::block::data::{DataBlock, DataFormat};
use crate::block::{BlockType, Codec, DataBlockEncoding};
use crate::cell::{CellFormat, CellOrder, SeekKey};
use crate::coding::Cursor;
use crate::error::Result;
use crate::hfile::FileInfo;
use crate::hfile::bloom::BloomMeta;
use crate::hfile::source::BlockSource;
use crate::hfile::verify::data::decode;
use crate::hfile::verify::references::References;
use crate::hfile::verify::walk::{Walk, WalkStep};
use std::cmp::Ordering;

/// The number of blocks used to find the codec.
const SAMPLES: usize = 8;

const ORDERS: [CellOrder; 2] = [CellOrder::User, CellOrder::Meta];

/// Returns the codec that fits the most of the first valid blocks; `None` if none fits. The source must have
/// [`ANY_CODEC`].
pub(super) fn find_codec(
    source: &BlockSource,
    decompressor: impl Fn(Codec) -> Decompressor,
) -> Result<Option<Codec>> {
    let candidates = Codec::ALL.map(|codec| (codec, decompressor(codec)));
    let mut fits = [0; Codec::ALL.len()];
    let mut walk = Walk::new(source, 0, source.reader.len()).of_stored();
    let (mut samples, mut plain) = (0, Vec::new());
    while let Some(step) = walk.next(&References::default())? {
        let WalkStep::Block { header, .. } = step else { continue };
        let Ok(payload) = source.context().decrypt(walk.stored_payload(&header)) else { continue };
        let plain_len = header.uncompressed_size_without_header() as usize;
        for ((_, decompressor), fits) in candidates.iter().zip(&mut fits) {
            plain.clear();
            *fits += usize::from(decompressor.decompress(&payload, plain_len, &mut plain).is_ok());
        }
        samples += 1;
        if samples == SAMPLES {
            break;
        }
    }
    let found = candidates.iter().zip(fits).rev().max_by_key(|(_, fits)| *fits).filter(|(_, fits)| *fits > 0);
    Ok(found.map(|((codec, _), _)| *codec))
}

/// The codec for a walk that finds blocks of any codec; with [`Codec::None`], the walk would compare sizes.
pub(super) const ANY_CODEC: Codec = Codec::Gz;

/// The findings of a walk over all blocks.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) info: Option<FileInfo>,
    pub(super) general_bloom: Option<BloomMeta>,
    /// The offset of the first block after all data.
    pub(super) section: Option<u64>,
    /// The end of the last valid block that belongs before the load-on-open section.
    pub(super) data_end: u64,
    candidates: Vec<Candidate>,
}

/// A possible format of the cells, and how well it fits.
#[derive(Debug)]
struct Candidate {
    format: DataFormat,
    /// The number of blocks that the format fits.
    blocks: u64,
    last_key: Option<SeekKey>,
    /// The number of cells that sort before their predecessor, for each order.
    disorder: [u64; ORDERS.len()],
}

impl Survey {
    /// Walks over a part of a file. With a known format, no others are tried.
    pub(super) fn of(
        source: &BlockSource,
        end: u64,
        references: &References,
        format: Option<DataFormat>,
    ) -> Result<Self> {
        let mut survey = Self { candidates: candidates(format), ..Self::default() };
        let limits = &source.context().limits;
        let (limit, info_limit) = (limits.block_bytes, limits.load_on_open_bytes);
        let (mut payload, mut decoded) = (Vec::new(), Vec::new());
        let mut walk = Walk::new(source, 0, end);
        while let Some(step) = walk.next(references)? {
            let WalkStep::Block { at, header } = step else { continue };
            let block_type = header.block_type();
            let is_after_data = matches!(
                block_type,
                BlockType::RootIndex
                    | BlockType::FileInfo
                    | BlockType::GeneralBloomMeta
                    | BlockType::DeleteFamilyBloomMeta
            );
            if is_after_data {
                survey.section.get_or_insert(at);
            } else {
                survey.data_end = at + header.total_size() as u64;
            }
            if !block_type.is_data() {
                survey.see_other(at, block_type, walk.payload(), info_limit);
                continue;
            }
            survey.section = None;
            let encoding = encoding_of(block_type, walk.payload());
            for candidate in survey.candidates.iter_mut().filter(|c| Some(c.format.encoding) == encoding) {
                payload.clear();
                payload.extend_from_slice(walk.payload());
                if let Ok((block, _)) = decode(&candidate.format, limit, &mut payload, &mut decoded) {
                    candidate.add(&block);
                }
            }
        }
        Ok(survey)
    }

    fn see_other(&mut self, at: u64, block_type: BlockType, payload: &[u8], info_limit: usize) {
        match block_type {
            BlockType::FileInfo => {
                self.info = FileInfo::parse(payload, info_limit).ok().or_else(|| self.info.take());
            }
            BlockType::GeneralBloomMeta => self.general_bloom = BloomMeta::parse(payload, at).ok(),
            _ => {}
        }
    }

    /// Returns the format that fits the most blocks; among those, the one with the fewest cells out of order,
    /// then the one with the fewest features. `None` if no format fits.
    pub(super) fn format(&self) -> Option<DataFormat> {
        self.best().map(|candidate| candidate.format)
    }

    /// Returns the order of the cells, if there are any; `likely` if both orders fit equally well.
    pub(super) fn order(&self, likely: CellOrder) -> Option<CellOrder> {
        let [user, meta] = self.best()?.disorder;
        Some(match meta.cmp(&user) {
            Ordering::Less => CellOrder::Meta,
            Ordering::Equal => likely,
            Ordering::Greater => CellOrder::User,
        })
    }

    fn best(&self) -> Option<&Candidate> {
        let score = |c: &&Candidate| (c.blocks, std::cmp::Reverse(c.disorder.into_iter().min()));
        self.candidates.iter().rev().max_by_key(score).filter(|candidate| candidate.blocks > 0)
    }
}

impl Candidate {
    fn add(&mut self, block: &DataBlock) {
        self.blocks += 1;
        let mut position = block.first();
        loop {
            let key = block.key(&position);
            if let Some(last) = &self.last_key {
                for (order, disorder) in ORDERS.iter().zip(&mut self.disorder) {
                    *disorder += u64::from(order.compare(last, key).is_gt());
                }
            }
            self.last_key.get_or_insert_default().set_key(key);
            if !block.advance(&mut position) {
                break;
            }
        }
    }
}

/// Returns all possible formats, those with the fewest features first.
fn candidates(known: Option<DataFormat>) -> Vec<Candidate> {
    let mut formats = Vec::new();
    for encoding in DataBlockEncoding::ALL {
        for (tags, mvcc) in [(false, false), (false, true), (true, false), (true, true)] {
            let format = DataFormat { encoding, cells: CellFormat { tags, mvcc }, tags_compressed: false };
            formats.push(format);
            if tags && !format.keeps_cells_plain() {
                formats.push(DataFormat { tags_compressed: true, ..format });
            }
        }
    }
    let formats = known.map_or(formats, |known| vec![known]);
    let disorder = [0; ORDERS.len()];
    formats.into_iter().map(|format| Candidate { format, blocks: 0, last_key: None, disorder }).collect()
}

/// Returns the encoding given in a block.
fn encoding_of(block_type: BlockType, payload: &[u8]) -> Option<DataBlockEncoding> {
    if block_type == BlockType::Data {
        return Some(DataBlockEncoding::None);
    }
    let id = Cursor::new(payload).u16("encoding id").ok()?;
    DataBlockEncoding::ALL.into_iter().find(|encoding| encoding.id() == id)
}
