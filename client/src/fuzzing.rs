//! The body of a fuzz target, and its seeds. For this repository only; it may change at any time.

use crate::assembler::Assembler;
use crate::cell_block::{self, CellBlock, CellCodec, row_of};
use crate::fault::Fault;
use crate::frame::ResponseFrame;
use crate::proto;
use crate::results::{only_row, rows_of};
use bytes::Bytes;
use hregion::{CellOrder, CellRef, CellType, Row, RowBuf, Scan, ScanResult, SeekKey};
use prost::Message;
use std::cmp::Ordering;
use std::collections::VecDeque;

#[cfg(feature = "kerberos")]
pub use crate::kerberos::fuzzing::{seeds as kerberos_seeds, session as kerberos_session};

/// The row that calls of one row ask for.
const ROW: &[u8] = b"a";

/// Compressed cells may be as long as this.
const MAX_CELLS: usize = 1 << 20;

/// The bits of the kind that say that cells are compressed, and may have tags.
const GZIP: u8 = 0x80;
const SNAPPY: u8 = 0x10;
const LZ4: u8 = 0x20;
const ZSTD: u8 = 0x30;
const TAGS: u8 = 0x40;

fn codec_of(kind: u8) -> CellCodec {
    let class = match kind & (GZIP | ZSTD) {
        0 => None,
        SNAPPY => Some("org.apache.hadoop.io.compress.SnappyCodec"),
        LZ4 => Some("org.apache.hadoop.io.compress.Lz4Codec"),
        ZSTD => Some("org.apache.hadoop.io.compress.ZStandardCodec"),
        _ => Some(cell_block::GZIP),
    };
    CellCodec::of(kind & TAGS != 0, class)
}

/// Decodes an answer: a byte with its kind, a byte with the settings of a scan, and frames with their
/// lengths. Rows come out in order, and not larger than asked.
pub fn answers(input: &[u8]) {
    let [kind, settings, frames @ ..] = input else { return };
    let frames = split(Bytes::copy_from_slice(frames));
    let codec = codec_of(*kind);
    match kind % 4 {
        0 => scan(*settings, codec, frames),
        1 => frames.into_iter().for_each(|frame| {
            decode(frame, codec, |response: proto::GetResponse, cells| {
                drop(only_row(response.result.as_ref(), cells, ROW));
            });
        }),
        2 => frames.into_iter().for_each(|frame| {
            decode(frame, codec, |response: proto::MutateResponse, cells| {
                drop(only_row(response.result.as_ref(), cells, ROW));
            });
        }),
        _ => frames.into_iter().for_each(|frame| {
            decode(frame, codec, |response: proto::MultiResponse, mut cells| {
                for region in response.region_action_result {
                    for result in region.result_or_exception {
                        if let Some(exception) = &result.exception {
                            drop(Fault::of_named("server", exception));
                        }
                        drop(row_of(&result.result.unwrap_or_default(), &mut cells));
                    }
                }
            });
        }),
    }
}

/// Splits bytes at the lengths of frames; the last one may be cut off.
fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some((len, _)) = bytes.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        let mut frame = bytes.split_to(bytes.len().min(len.saturating_add(4)));
        frames.push(frame.split_off(4));
    }
    frames
}

fn decode<M: Message + Default>(frame: Bytes, codec: CellCodec, read: impl FnOnce(M, CellBlock)) {
    let Ok(frame) = ResponseFrame::parse(frame) else { return };
    if let Some(exception) = &frame.exception {
        drop(Fault::of_exception("server", exception));
    }
    if let Ok((message, cells)) = frame.decode(codec, MAX_CELLS) {
        read(message, cells);
    }
}

/// Takes the pages of a scan. A page that is refused is a reset.
fn scan(settings: u8, codec: CellCodec, frames: Vec<Bytes>) {
    let (reversed, batch) = (settings & 1 != 0, u32::from(settings >> 1 & 3));
    let scan = Scan::new().reversed(reversed).batch(batch).allow_partial(settings & 8 != 0);
    let mut assembler = Assembler::new(scan.limits(), CellOrder::User, reversed, MAX_CELLS);
    let mut results = VecDeque::new();
    for frame in frames {
        decode(frame, codec, |response: proto::ScanResponse, cells| {
            let Ok(rows) = rows_of(&response, cells) else { return };
            for (row, partial) in rows {
                if assembler.begin_row(row.key(), &mut results).is_err() {
                    assembler.forget_pieces();
                    return;
                }
                if assembler.take(row, partial, &mut results).is_err() {
                    assembler.forget_pieces();
                    return;
                }
            }
        });
    }
    assembler.end_row(&mut results);
    check(&results, reversed, if settings & 8 == 0 { batch as usize } else { 0 });
    let complete = results.iter().filter(|result| !result.partial).count() as u64;
    assert!(assembler.completed() >= complete, "{} of {complete} rows", assembler.completed());
}

fn check(results: &VecDeque<ScanResult>, reversed: bool, batch: usize) {
    for result in results {
        assert!(!result.row.is_empty());
        assert!(batch == 0 || result.row.len() <= batch);
    }
    for (one, next) in results.iter().zip(results.iter().skip(1)) {
        let order = one.row.key().cmp(next.row.key());
        let order = if reversed { order.reverse() } else { order };
        assert!(order == Ordering::Less || (order == Ordering::Equal && one.partial), "{one:?} {next:?}");
    }
}

/// Returns inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let row = |key: &str, qualifiers: &str| {
        let mut row = RowBuf::new();
        for qualifier in qualifiers.chars() {
            let key = SeekKey::of(key.as_bytes(), b"f", qualifier.to_string().as_bytes(), 1, CellType::Put);
            let cell = CellRef::new(key.as_key(), b"v");
            // a time to live of a second; codecs without tags leave it out
            row.push(cell.with_tag_bytes(b"\0\x09\x08\0\0\0\0\0\0\x03\xE8").unwrap_or(cell));
        }
        row.freeze()
    };
    let cells = [row("a", "12")];
    let result = || Some(counted(&cells[0]));
    let mutate = proto::MutateResponse { result: result(), processed: Some(true) };
    let ok = proto::ResultOrException { index: Some(0), result: result(), exception: None };
    let exception = proto::NamedException {
        name: Some("org.apache.hadoop.hbase.NotServingRegionException".into()),
        value: Some("moved".into()),
    };
    let failed = proto::ResultOrException { index: Some(1), result: None, exception: Some(exception) };
    let region = proto::RegionActionResult { result_or_exception: vec![ok, failed], ..Default::default() };
    let multi = proto::MultiResponse { region_action_result: vec![region], processed: None };
    let mut seeds = Vec::new();
    for form in [0, GZIP, TAGS, SNAPPY, LZ4, ZSTD] {
        for settings in 0..16 {
            let pages = [
                page(form, &[row("a", "12"), row("b", "3"), row("c", "1234")], &[false, false, true]),
                page(form, &[row("c", "56"), row("d", "1")], &[true, false]),
            ];
            seeds.push([&[form, settings][..], &pages.concat()].concat());
        }
        let get = proto::GetResponse { result: result() };
        seeds.push([&[form | 1, 0][..], &frame(form, &get, &cells)].concat());
        seeds.push([&[form | 2, 0][..], &frame(form, &mutate, &cells)].concat());
        seeds.push([&[form | 3, 0][..], &frame(form, &multi, &cells)].concat());
    }
    seeds
}

fn counted(row: &Row) -> proto::ResultMessage {
    let count = i32::try_from(row.len()).ok();
    proto::ResultMessage { associated_cell_count: count, ..Default::default() }
}

fn page(form: u8, rows: &[Row], partial: &[bool]) -> Vec<u8> {
    let count = |row: &Row| u32::try_from(row.len()).unwrap_or_default();
    let response = proto::ScanResponse {
        cells_per_result: rows.iter().map(count).collect(),
        partial_flag_per_result: partial.to_vec(),
        scanner_id: Some(1),
        more_results_in_region: Some(true),
        ..Default::default()
    };
    frame(form, &response, rows)
}

/// Builds the frame of an answer, with its length; `form` has the bits of the form of its cells.
fn frame(form: u8, message: &impl Message, rows: &[Row]) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let codec = codec_of(form);
    let cells = codec.compress(cell_block::encode(rows, codec.tags));
    let header = proto::ResponseHeader {
        call_id: Some(1),
        exception: None,
        cell_block_meta: Some(proto::CellBlockMeta { length: Some(len(cells.len())) }),
    };
    let body =
        [header.encode_length_delimited_to_vec(), message.encode_length_delimited_to_vec(), cells].concat();
    [&len(body.len()).to_be_bytes()[..], &body].concat()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Calls a body with the seeds, and with `cases` mutations of them.
    pub(crate) fn play(seeds: &[Vec<u8>], cases: u64, body: fn(&[u8])) {
        seeds.iter().for_each(|seed| body(seed));
        for case in 0..cases {
            let mut random = Rng::new(case);
            let mut input = seeds[random.below(seeds.len())].clone();
            for _ in 0..1 + random.below(4) {
                let (at, byte) = (random.below(input.len()), random.next().to_be_bytes()[0]);
                match random.below(5) {
                    0 if input.len() > 1 => drop(input.remove(at)),
                    1 => input.insert(at, byte),
                    2 => input[at] = byte,
                    _ => input[at] ^= 1 << (byte & 7),
                }
            }
            body(&input);
        }
    }

    #[test]
    fn seeds_and_changes_of_them_end_in_an_error_or_an_answer() {
        play(&seeds(), 20_000, answers);
    }
}
