//! A salvaged file is sound and has every undamaged cell, and the report names the lost parts.

use crate::support::rng::Rng;
use crate::support::written::MemoryWriter;
use crate::support::{golden, open};
use hregion::io::MemoryFile;
use hregion::io::faulty::FaultyStorage;
use hregion::{
    BlockType, BloomType, Cell, CellOrder, CellRef, CellType, ChecksumType, Codec, DataBlockEncoding,
    ErrorKind, HFile, HFileWriter, HFileWriterOptions, Limits, Result, SalvageReport, SeekKey,
    StoreFileOrigin, StoreFileWriter,
};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const CODECS: [(Codec, bool); 3] =
    [(Codec::None, true), (Codec::Gz, cfg!(feature = "gz")), (Codec::Snappy, cfg!(feature = "snappy"))];
const BLOCKS: usize = 50;
const MAX_SEQ_ID: i64 = 77;

/// A file, its cells, and the cells of each data block.
struct Sample {
    name: String,
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    blocks: Vec<Block>,
    bloom: Option<BloomType>,
}

/// A data block, and the indices of its cells.
struct Block {
    offset: usize,
    end: usize,
    cells: std::ops::Range<usize>,
}

fn cells(rng: &mut Rng, tags: bool, mvcc: bool) -> Vec<Cell> {
    (0..BLOCKS * 12)
        .map(|i| {
            let (row, qualifier) = (format!("row-{:05}", i / 3), format!("q{}", i % 3));
            let cell_type = if rng.below(9) == 0 { CellType::Delete } else { CellType::Put };
            let time = 1_700_000_000_000 + i64::try_from(rng.below(1000)).unwrap();
            let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), time, cell_type);
            let value: Vec<u8> = (0..rng.below(60)).map(|_| rng.next().to_be_bytes()[0]).collect();
            let area = if tags && rng.below(2) == 0 { &b"\0\x03\x40ab\0\x02\x41c"[..] } else { &[] };
            let seq_id = if mvcc { 1 + i64::try_from(rng.below(70)).unwrap() } else { 0 };
            let cell = CellRef::new(&key, &value).with_seq_id(seq_id).with_tag_bytes(area);
            Cell::from(cell.expect("sound tags"))
        })
        .collect()
}

fn sample(
    encoding: DataBlockEncoding,
    codec: Codec,
    (tags, compress_tags, mvcc): (bool, bool, bool),
) -> Sample {
    let cells = cells(&mut Rng::new(50), tags, mvcc);
    let bloom = if mvcc { Some(BloomType::RowCol) } else { Some(BloomType::Row) };
    let options = HFileWriter::options()
        .data_block_encoding(encoding)
        .codec(codec)
        .tags(tags)
        .compress_tags(compress_tags)
        .mvcc(mvcc)
        .bloom(bloom)
        .bloom_chunk_bytes(128)
        .block_size(850)
        .create_time(5);
    let name = format!("{encoding:?}-{codec:?}-{tags}-{compress_tags}-{mvcc}");
    Sample::new(name, options, cells, bloom)
}

impl Sample {
    fn new(name: String, options: HFileWriterOptions, cells: Vec<Cell>, bloom: Option<BloomType>) -> Self {
        let file = MemoryWriter::default();
        let mut writer = StoreFileWriter::create_in(options, Box::new(file.clone())).unwrap();
        cells.iter().for_each(|cell| writer.append(cell.as_ref()).unwrap());
        writer.add_file_info("own", "entry").unwrap();
        writer.finish(&StoreFileOrigin::flush(MAX_SEQ_ID)).unwrap();
        let bytes = file.bytes();
        let open = open::open_bytes(HFile::options(), &name, bytes.clone()).unwrap();
        assert_eq!(open.index_levels(), 1);
        let starts: Vec<usize> = open
            .root_index()
            .map(|(key, _)| {
                cells.partition_point(|cell| CellOrder::User.compare(cell.as_ref().key(), key).is_lt())
            })
            .chain([cells.len()])
            .collect();
        let place = |at: u64| usize::try_from(at).unwrap();
        let blocks: Vec<Block> = open
            .root_index()
            .zip(starts.windows(2))
            .map(|((_, handle), range)| Block {
                offset: place(handle.offset),
                end: place(handle.end()),
                cells: range[0]..range[1],
            })
            .collect();
        Self { name, bytes, cells, blocks, bloom }
    }

    /// Returns the file with some data blocks damaged, each differently, and the remaining cells.
    fn damaged(&self, faults: &[usize]) -> (Vec<u8>, Vec<Cell>) {
        let mut bytes = self.bytes.clone();
        for (n, &fault) in faults.iter().enumerate() {
            let block = &self.blocks[fault];
            match n % 3 {
                // a bit of the payload; all of the header; most of the block
                0 => bytes[usize::midpoint(block.offset + 33, block.end)] ^= 4,
                1 => bytes[block.offset..block.offset + 33].fill(0xee),
                _ => bytes[block.offset + 5..block.end - 2].fill(0),
            }
        }
        let left = self.blocks.iter().enumerate().filter(|(n, _)| !faults.contains(n));
        let left = left.flat_map(|(_, block)| self.cells[block.cells.clone()].to_vec()).collect();
        (bytes, left)
    }

    /// Returns the range of the first block of a type.
    fn section_block(&self, block_type: BlockType) -> std::ops::Range<usize> {
        let open = open::open_bytes(HFile::options(), &self.name, self.bytes.clone()).unwrap();
        let found = open.block_headers().map(Result::unwrap).find(|(_, h)| h.block_type() == block_type);
        let (at, header) = found.unwrap();
        let at = usize::try_from(at).unwrap();
        at..at + header.total_size()
    }

    fn trailer(&self) -> std::ops::Range<usize> {
        self.bytes.len() - 4096..self.bytes.len()
    }

    fn key(&self, cell: usize) -> SeekKey {
        SeekKey::from(self.cells[cell].as_ref().key())
    }

    /// Compares the blocks that a report names as lost with the damaged ones.
    fn assert_named(&self, faults: &[usize], report: &SalvageReport) {
        let offsets: Vec<u64> = report.lost.iter().map(|lost| lost.offset).collect();
        let expected: Vec<u64> = faults.iter().map(|&n| self.blocks[n].offset as u64).collect();
        assert_eq!(offsets, expected, "{}: {:?}", self.name, report.lost);
        for (lost, &fault) in report.lost.iter().zip(faults) {
            let range = &self.blocks[fault].cells;
            match range.start.checked_sub(1) {
                // only the index has the first key of the first block
                None => assert!(lost.after.is_none() || lost.after == Some(self.key(0)), "{}", self.name),
                Some(last) if !faults.contains(&(fault - 1)) => assert_eq!(lost.after, Some(self.key(last))),
                Some(_) => {}
            }
            if !faults.contains(&(fault + 1)) {
                let next = Some(range.end).filter(|&n| n < self.cells.len());
                assert_eq!(lost.before, next.map(|n| self.key(n)), "{}", self.name);
            }
            for cell in range.clone() {
                let is_before = |a: &SeekKey, b: &SeekKey| CellOrder::User.compare(a, b).is_lt();
                let key = self.key(cell);
                assert!(lost.after.as_ref().is_none_or(|after| !is_before(&key, after)));
                assert!(lost.before.as_ref().is_none_or(|before| !is_before(before, &key)));
            }
            assert_eq!(lost.cells, None);
            assert_eq!(lost.reason.offset(), Some(lost.offset));
        }
    }

    /// Salvages the bytes, and compares the new file with the old one and with the expected cells.
    fn assert_salvaged(&self, bytes: Vec<u8>, left: &[Cell]) -> SalvageReport {
        let (report, new) = salvage(bytes).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let old = open::open_bytes(HFile::options(), "old", self.bytes.clone()).unwrap();
        assert_eq!(open::all_cells(&new).unwrap(), left, "{}: {report:?}", self.name);
        assert_eq!(report.cells, left.len() as u64);
        assert_eq!(report.bytes, new.file_len());
        assert_eq!(new.data_block_encoding(), old.data_block_encoding());
        assert_eq!((new.codec(), new.order()), (old.codec(), old.order()));
        assert_eq!(new.has_seq_ids(), old.has_seq_ids(), "{}", self.name);
        assert_eq!(new.has_tags(), old.has_tags(), "{}", self.name);
        let info = new.file_info();
        assert_eq!(info.tags_compressed(), old.file_info().tags_compressed(), "{}", self.name);
        assert!(info.time_range().unwrap().is_some());
        assert_eq!(info.bloom_filter_type(), Ok(self.bloom));
        report
    }
}

/// Salvages a file and checks that the result has no faults.
fn salvage(bytes: Vec<u8>) -> Result<(SalvageReport, HFile)> {
    let storage = FaultyStorage::new();
    let options = HFile::options().storage(Arc::new(storage.clone()));
    let path = Path::new("dir/new");
    let salvaged = options.salvage_reader(Arc::new(MemoryFile::new("damaged", bytes)), path);
    let report = match salvaged {
        Ok(report) => report,
        Err(error) => {
            assert!(storage.names().is_empty(), "no file: {error}");
            return Err(error);
        }
    };
    assert_eq!(storage.names(), [path]);
    let faults = options.verify(path).unwrap().faults;
    assert!(faults.is_empty(), "{faults:?}");
    let new = options.open(path).unwrap();
    assert!(new.warnings().is_empty());
    Ok((report, new))
}

/// Returns samples of every encoding and some codecs, with and without tags and sequence ids.
fn samples() -> impl Iterator<Item = Sample> {
    let codecs = CODECS.into_iter().filter(|(_, built_in)| *built_in).map(|(codec, _)| codec);
    let settings = codecs.flat_map(|codec| DataBlockEncoding::ALL.map(|encoding| (encoding, codec)));
    settings.zip(0..).map(|((encoding, codec), n)| {
        let is_delta = !matches!(encoding, DataBlockEncoding::None | DataBlockEncoding::RowIndexV1);
        let carried =
            [(false, false, true), (true, false, false), (true, is_delta, true), (false, false, false)];
        sample(encoding, codec, carried[(n + n / 5) % carried.len()])
    })
}

const FAULTS: [usize; 3] = [7, 23, 41];

#[test]
fn of_fifty_blocks_with_three_damaged_the_others_are_kept() {
    for sample in samples() {
        assert!((40..70).contains(&sample.blocks.len()), "{}: {}", sample.name, sample.blocks.len());
        let last = sample.blocks.len() - 1;
        for faults in [&FAULTS[..], &[0, 1, 2], &[5, 6, last]] {
            let (bytes, left) = sample.damaged(faults);
            let report = sample.assert_salvaged(bytes, &left);
            sample.assert_named(faults, &report);
            assert!(report.guesses.is_empty() && report.faults.is_empty() && report.dropped.is_empty());
            assert_eq!(report.cells_before, Some(sample.cells.len() as u64));
        }
        let report = sample.assert_salvaged(sample.bytes.clone(), &sample.cells);
        assert!(report.is_complete() && report.faults.is_empty());
    }
}

#[test]
fn exactly_fifty_blocks() {
    // one block for each group of equal keys
    let cells: Vec<Cell> = (0..BLOCKS * 4)
        .map(|n| {
            let row = format!("row{:03}", n / 4);
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put);
            let value = n.to_string();
            Cell::from(CellRef::new(&key, value.as_bytes()).with_seq_id(i64::try_from(200 - n).unwrap()))
        })
        .collect();
    let options = HFileWriter::options().block_size(1);
    let sample = Sample::new("fifty".into(), options, cells, None);
    assert_eq!(sample.blocks.len(), BLOCKS);
    let (bytes, left) = sample.damaged(&FAULTS);
    assert_eq!(left.len(), 47 * 4);
    let report = sample.assert_salvaged(bytes, &left);
    assert_eq!((report.blocks, report.cells), (47, 47 * 4));
    sample.assert_named(&FAULTS, &report);
}

#[test]
fn file_info_is_taken_over() {
    let sample = sample(DataBlockEncoding::FastDiff, Codec::None, (false, false, true));
    let (bytes, _) = sample.damaged(&FAULTS);
    let (_, new) = salvage(bytes).unwrap();
    let info = new.file_info();
    assert_eq!(info.max_seq_id(), Ok(Some(MAX_SEQ_ID)));
    assert_eq!(info.create_time(), Ok(Some(5)));
    assert_eq!(info.get(b"own"), Some(&b"entry"[..]));
}

/// The bytes of a file without checksums that has three meta blocks, and the place of the meta index.
fn with_meta_blocks() -> (Vec<u8>, usize) {
    let file = MemoryWriter::default();
    let options = HFileWriter::options().checksum(ChecksumType::Null);
    let mut writer = options.create_in(Box::new(file.clone())).unwrap();
    let key = SeekKey::of(b"row", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, b"value")).unwrap();
    for name in ["meta1", "meta2", "meta3"] {
        writer.add_meta_block(name, name.repeat(2)).unwrap();
    }
    writer.finish().unwrap();
    let bytes = file.bytes();
    let magic = BlockType::RootIndex.magic();
    let at = bytes.windows(magic.len()).rposition(|window| window == magic).unwrap();
    (bytes, at)
}

#[test]
fn of_meta_blocks_with_the_same_name_the_first_is_kept() {
    let (mut bytes, index) = with_meta_blocks();
    let at = index + bytes[index..].windows(5).position(|window| window == b"meta3").unwrap();
    bytes[at + 4] = b'1';
    let (report, new) = salvage(bytes).unwrap();
    assert_eq!((report.cells, report.dropped), (1, vec!["meta block meta1".to_owned()]));
    assert_eq!(new.meta_block_names().collect::<Vec<_>>(), [b"meta1", b"meta2"]);
    assert_eq!(new.meta_block(b"meta1").unwrap().unwrap(), b"meta1meta1"[..]);
}

#[test]
fn meta_blocks_that_together_take_too_much_memory_are_dropped() {
    let file = MemoryWriter::default();
    let mut writer = HFileWriter::options().create_in(Box::new(file.clone())).unwrap();
    let key = SeekKey::of(b"row", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, b"value")).unwrap();
    for (name, len) in [("meta1", 700), ("meta2", 1_400), ("meta3", 700)] {
        writer.add_meta_block(name, vec![7_u8; len]).unwrap();
    }
    writer.finish().unwrap();
    // each of them can be read, but a compressed file could have any number of the largest
    let limits = Limits::new().with_block_bytes(1_500);
    let options = HFile::options().storage(Arc::new(FaultyStorage::new())).limits(limits);
    let damaged = Arc::new(MemoryFile::new("damaged", file.bytes()));
    let opened = options.open_reader(damaged.clone()).unwrap();
    assert_eq!(opened.meta_block(b"meta2").unwrap().unwrap().len(), 1_400);
    let path = Path::new("dir/new");
    let report = options.salvage_reader(damaged, path).unwrap();
    assert_eq!((report.cells, report.dropped), (1, vec!["meta block meta2".to_owned()]));
    let new = options.open(path).unwrap();
    assert_eq!(new.meta_block_names().collect::<Vec<_>>(), [b"meta1", b"meta3"]);
    assert_eq!(new.meta_block(b"meta3").unwrap().unwrap(), vec![7_u8; 700]);
}

#[test]
fn meta_blocks_that_overlap_are_refused() {
    let (mut bytes, index) = with_meta_blocks();
    let entry = |bytes: &[u8], name: &[u8]| {
        let found = bytes[index..].windows(5).position(|window| window == name);
        index + found.unwrap() - 1 - 12
    };
    let (first, second) = (entry(&bytes, b"meta1"), entry(&bytes, b"meta2"));
    bytes.copy_within(first..first + 12, second);
    let opened = HFile::options().open_reader(Arc::new(MemoryFile::new("file", bytes.clone())));
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("meta index overlap"), "{error}");
    let (report, new) = salvage(bytes).unwrap();
    assert_eq!((report.cells, new.meta_block_names().count()), (1, 0));
}

#[test]
fn without_a_trailer() {
    for sample in samples() {
        let (mut bytes, left) = sample.damaged(&FAULTS);
        bytes[sample.trailer()].fill(0x5a);
        let report = sample.assert_salvaged(bytes, &left);
        sample.assert_named(&FAULTS, &report);
        assert_eq!(report.cells_before, None);
        assert!(report.guesses[0].contains(sample_codec(&sample).name()), "{:?}", report.guesses);
    }
}

/// Most files of `hbase:meta` are also in the order of other tables. Its region accepts only files in its own
/// order.
#[test]
fn the_place_of_a_file_without_a_trailer_shows_that_it_is_of_meta() {
    let cell = |row: &&str| {
        let key = SeekKey::of(row.as_bytes(), b"info", b"state", 1, CellType::Put);
        Cell::from(CellRef::new(&key, b"OPEN"))
    };
    let sample = |rows: &[&str]| {
        let cells = rows.iter().map(cell).collect();
        let sample = Sample::new(rows.concat(), HFileWriter::options().order(CellOrder::Meta), cells, None);
        let mut bytes = sample.bytes.clone();
        bytes[sample.trailer()].fill(0x5a);
        (bytes, sample.cells)
    };
    let (in_meta, only) = ("/hbase/data/hbase/meta/1588230740/info/file", CellOrder::Meta);
    for (rows, damaged, out, order) in [
        (&["t,,1", "t,b,2", "u,,3"], "damaged", "new", CellOrder::User),
        (&["t,,1", "t,b,2", "u,,3"], "damaged", in_meta, only),
        (&["t,,1", "t,b,2", "u,,3"], in_meta, "new", only),
        (&["t,,1", "t,b,2", "t,b!,3"], "damaged", "new", only),
    ] {
        let (bytes, cells) = sample(rows);
        let options = HFile::options().storage(Arc::new(FaultyStorage::new()));
        let report = options.salvage_reader(Arc::new(MemoryFile::new(damaged, bytes)), out).unwrap();
        assert!(report.is_complete(), "{rows:?} {damaged} {out}: {report:?}");
        let new = options.open(out).unwrap();
        assert_eq!(new.order(), Some(order), "{rows:?} {damaged} {out}: {report:?}");
        assert_eq!(open::all_cells(&new).unwrap(), cells, "{rows:?} {damaged} {out}");
    }
}

fn sample_codec(sample: &Sample) -> Codec {
    open::open_bytes(HFile::options(), "old", sample.bytes.clone()).unwrap().codec()
}

#[test]
fn without_file_info() {
    for sample in samples() {
        let (mut bytes, left) = sample.damaged(&FAULTS);
        let info = sample.section_block(BlockType::FileInfo);
        bytes[info.start + 40..info.end].fill(7);
        let report = sample.assert_salvaged(bytes.clone(), &left);
        sample.assert_named(&FAULTS, &report);
        assert!(report.guesses.iter().any(|guess| guess.starts_with("encoding ")));
        assert_eq!(report.faults.len(), 1, "{:?}", report.faults);

        bytes[sample.trailer()].fill(0);
        let report = sample.assert_salvaged(bytes, &left);
        sample.assert_named(&FAULTS, &report);
    }
}

#[test]
fn without_a_root_index() {
    for sample in samples() {
        let (mut bytes, left) = sample.damaged(&FAULTS);
        let root = sample.section_block(BlockType::RootIndex);
        bytes[root.start + 33..root.end].fill(9);
        let report = sample.assert_salvaged(bytes.clone(), &left);
        sample.assert_named(&FAULTS, &report);

        bytes[root.clone()].fill(9);
        let report = sample.assert_salvaged(bytes.clone(), &left);
        sample.assert_named(&FAULTS, &report);

        // the whole load-on-open section: its bytes can be distinguished from data only by their position
        let trailer = sample.trailer();
        bytes[root.start..trailer.start].fill(3);
        let (report, new) = salvage(bytes).unwrap();
        assert_eq!(open::all_cells(&new).unwrap(), left);
        assert_eq!(report.lost.len(), 3, "{:?}", report.lost);
    }
}

#[test]
fn a_file_whose_tail_is_gone() {
    for sample in samples() {
        for cut in [sample.blocks[30].offset + 50, sample.blocks[30].offset, sample.trailer().start - 10] {
            let bytes = sample.bytes[..cut].to_vec();
            let kept = sample.blocks.iter().filter(|block| block.end <= cut).count();
            let left = &sample.cells[..sample.blocks[kept - 1].cells.end];
            let (report, new) = salvage(bytes).unwrap();
            assert_eq!(open::all_cells(&new).unwrap(), left);
            if kept < sample.blocks.len() {
                assert_eq!(report.lost.len(), 1, "{}: {:?}", sample.name, report.lost);
                assert_eq!(report.lost[0].after, Some(sample.key(left.len() - 1)));
                assert_eq!(report.lost[0].before, None);
            }
        }
    }
}

#[test]
fn a_block_that_is_cut_out_is_missed() {
    let sample = sample(DataBlockEncoding::Diff, Codec::None, (false, false, true));
    let block = &sample.blocks[9];
    let mut bytes = sample.bytes.clone();
    bytes.drain(block.offset..block.end);
    let left = [&sample.cells[..block.cells.start], &sample.cells[block.cells.end..]].concat();
    let report = sample.assert_salvaged(bytes, &left);
    assert_eq!(report.lost.len(), 1, "{report:?}");
    assert_eq!(report.lost[0].after, Some(sample.key(block.cells.start - 1)));
    assert_eq!(report.lost[0].before, Some(sample.key(block.cells.end)));
}

#[test]
fn where_nothing_is_sound_there_is_no_file() {
    let sample = sample(DataBlockEncoding::None, Codec::None, (false, false, true));
    let all: Vec<usize> = (0..sample.blocks.len()).collect();
    let (bytes, left) = sample.damaged(&all);
    assert!(left.is_empty());
    assert_eq!(salvage(bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    for bytes in [Vec::new(), b"no HFile".to_vec(), vec![0; 10_000], vec![0xff; 100_000]] {
        let error = salvage(bytes).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated | ErrorKind::Unsupported));
    }
}

#[test]
fn an_empty_file_is_salvaged_as_one() {
    let sample = Sample::new("empty".into(), HFileWriter::options(), Vec::new(), None);
    let (report, new) = salvage(sample.bytes).unwrap();
    assert!(report.is_complete());
    assert_eq!(new.entry_count(), 0);
}

/// Whether all cells of `part` are in `all`, in the same order.
fn is_subsequence(part: &[Cell], all: &[Cell]) -> bool {
    let mut rest = all.iter();
    part.iter().all(|cell| rest.any(|other| other == cell))
}

#[test]
fn random_damage_gives_cells_of_the_file_or_none() {
    let rng = &mut Rng::new(0x5a17a6e);
    let samples: Vec<Sample> = samples().collect();
    let (mut files, mut incomplete, mut refused) = (0, 0, 0);
    for round in 0..400 {
        let sample = &samples[round % samples.len()];
        let mut bytes = sample.bytes.clone();
        for _ in 0..=rng.below(6) {
            let at = rng.below(bytes.len());
            let most = 1 << rng.below(13);
            let len = 1 + rng.below(most);
            let end = (at + len).min(bytes.len());
            match rng.below(6) {
                0 => bytes.truncate(at.max(1)),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let copy = bytes[at..end].to_vec();
                    let to = rng.below(bytes.len());
                    drop(bytes.splice(to..to, copy));
                }
                3 => bytes[at..end].fill_with(|| rng.next().to_be_bytes()[0]),
                _ => bytes[at] ^= 1 << rng.below(8),
            }
            if bytes.is_empty() {
                break;
            }
        }
        match salvage(bytes) {
            Ok((report, new)) => {
                let cells = open::all_cells(&new).unwrap();
                assert!(is_subsequence(&cells, &sample.cells), "{}: round {round}", sample.name);
                assert!(
                    cells.len() == sample.cells.len() || !report.is_complete(),
                    "{}: round {round}: {} of {}: {report:?}",
                    sample.name,
                    cells.len(),
                    sample.cells.len()
                );
                files += 1;
                incomplete += usize::from(!report.is_complete());
            }
            Err(_) => refused += 1,
        }
    }
    assert!(files > 300, "{files}");
    eprintln!("{files} files, {incomplete} with losses, {refused} refused");
}

#[test]
fn files_of_hbase_are_salvaged_whole() {
    let mut files = 0;
    for golden in golden::in_folder(&golden::root("testdata/golden")) {
        if golden.is_refused() || open::missing_feature(&golden).is_some() {
            continue;
        }
        let storage = FaultyStorage::new();
        let options = open::options(&golden).storage(Arc::new(storage));
        let reader = || Arc::new(MemoryFile::new(&golden.name, fs::read(golden.hfile()).unwrap()));
        let report = options.salvage_reader(reader(), "new").unwrap();
        assert!(report.is_complete(), "{}: {:?}", golden.name, report.lost);
        assert!(report.faults.is_empty() && report.guesses.is_empty(), "{}: {report:?}", golden.name);
        let (old, new) = (options.open_reader(reader()).unwrap(), options.open("new").unwrap());
        assert_eq!(open::all_cells(&new).unwrap(), open::all_cells(&old).unwrap(), "{}", golden.name);
        assert_eq!(new.file_info().bloom_filter_type(), old.file_info().bloom_filter_type());
        assert_eq!(new.has_seq_ids(), old.has_seq_ids());
        assert_eq!(new.trailer().is_encrypted(), old.trailer().is_encrypted());
        assert_eq!(new.order(), old.order());
        for (key, value) in old.file_info().iter().filter(|(key, _)| !key.starts_with(b"hfile.")) {
            let found = new.file_info().get(key);
            let of_cells = [b"TIMERANGE".as_slice(), b"LAST_BLOOM_KEY"].contains(&key);
            // a salvaged copy does not replace the compacted files
            let of_compaction = key == b"COMPACTION_EVENT_KEY" && found.is_none() && !value.is_empty();
            assert!(
                found == Some(value) || of_cells || of_compaction,
                "{}: {}",
                golden.name,
                String::from_utf8_lossy(key)
            );
        }
        let names = |file: &HFile| file.meta_block_names().map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(names(&new), names(&old));
        let faults = options.verify("new").unwrap().faults;
        assert!(faults.is_empty(), "{}: {faults:?}", golden.name);
        files += 1;
    }
    assert!(files > 50, "{files}");
}
