//! Written files can be read back, refused files leave nothing, and memory does not grow with the file.

use crate::support::alloc::measure;
use crate::support::open;
use crate::support::rng::Rng;
use crate::support::written::MemoryWriter;
use hregion::cell::MAX_ROW_LEN;
use hregion::io::FileWriter;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    BlockType, BloomType, Cell, CellOrder, CellRef, CellType, Codec, DataBlockEncoding, ErrorKind, HFile,
    HFileWriter, HFileWriterOptions, Limits, Result, SeekKey, StoreFileOrigin, StoreFileWriter,
};
use std::io;
use std::path::Path;
use std::sync::Arc;

const CODECS: [(Codec, bool); 9] = [
    (Codec::None, true),
    (Codec::Gz, cfg!(feature = "gz")),
    (Codec::Snappy, cfg!(feature = "snappy")),
    (Codec::Lz4, cfg!(feature = "lz4")),
    (Codec::Zstd, cfg!(feature = "zstd")),
    (Codec::Lzo, cfg!(feature = "lzo")),
    (Codec::Bzip2, cfg!(feature = "bzip2")),
    (Codec::Brotli, cfg!(feature = "brotli")),
    (Codec::Lzma, cfg!(feature = "xz")),
];
const BLOOMS: [Option<BloomType>; 4] =
    [None, Some(BloomType::Row), Some(BloomType::RowCol), Some(BloomType::RowPrefixFixedLength(4))];

/// Returns a random number below `end`.
fn below<T: TryFrom<usize>>(rng: &mut Rng, end: usize) -> T {
    T::try_from(rng.below(end)).ok().expect("a small number")
}

fn key(row: &str, qualifier: &str, timestamp: i64) -> SeekKey {
    SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, CellType::Put)
}

/// Returns cells of all kinds, in order: rows with shared prefixes, several versions, deletes, equal keys.
fn random_cells(rng: &mut Rng, count: usize, tags: bool, mvcc: bool) -> Vec<Cell> {
    const TYPES: [CellType; 6] = [
        CellType::Put,
        CellType::Put,
        CellType::Delete,
        CellType::DeleteColumn,
        CellType::DeleteFamily,
        CellType::DeleteFamilyVersion,
    ];
    let mut cells: Vec<Cell> = (0..count)
        .map(|_| {
            let row = format!("row{:0width$}", rng.below(count / 3 + 1), width = 1 + rng.below(2) * 5);
            let cell_type = TYPES[rng.below(TYPES.len())];
            let qualifier = match cell_type {
                CellType::DeleteFamily | CellType::DeleteFamilyVersion => String::new(),
                _ => format!("q{}", rng.below(12)),
            };
            let timestamp = 1_600_000_000_000 + 77 * below::<i64>(rng, 5);
            let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, cell_type);
            let value = vec![b'v'; rng.below(40)];
            let mut area = Vec::new();
            for _ in 0..if tags { rng.below(3) } else { 0 } {
                let len: u8 = below(rng, 9);
                area.extend([0, len + 1, 64]);
                area.extend(vec![b't'; len.into()]);
            }
            let seq_id = if mvcc { below(rng, 100_000) } else { 0 };
            let cell = CellRef::new(&key, &value).with_seq_id(seq_id).with_tag_bytes(&area);
            Cell::from(cell.expect("sound tags"))
        })
        .collect();
    cells.sort_by(|a, b| CellOrder::User.compare(a.as_ref().key(), b.as_ref().key()));
    cells
}

/// Keeps a file for checks by other programs, if `HREGION_KEEP_WRITTEN` names a folder.
fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("HREGION_KEEP_WRITTEN") {
        std::fs::write(Path::new(&folder).join(format!("{name}.hfile")), bytes)
            .expect("a folder to write to");
    }
}

fn write(options: HFileWriterOptions, cells: &[Cell]) -> Result<Vec<u8>> {
    let file = MemoryWriter::default();
    let mut writer = StoreFileWriter::create_in(options, Box::new(file.clone()))?;
    for cell in cells {
        writer.append(cell.as_ref())?;
    }
    let len = writer.finish(&StoreFileOrigin::flush(7))?;
    let bytes = file.bytes();
    assert_eq!(len, bytes.len() as u64);
    Ok(bytes)
}

/// Checks that a file returns the cells written to it through every kind of read.
fn assert_holds(file: &HFile, cells: &[Cell], bloom: Option<BloomType>) {
    assert_eq!(open::all_cells(file).expect("a sound file"), cells);
    let keys: Vec<SeekKey> = cells.iter().map(|cell| SeekKey::from(cell.as_ref().key())).collect();
    let mut scanner = file.scanner();
    for (key, cell) in keys.iter().zip(cells) {
        scanner.seek(key).expect("a sound file");
        let first = open::first_not_before(CellOrder::User, &keys, key);
        assert_eq!(scanner.peek().map(Cell::from).as_ref(), cells.get(first));
        let cell = cell.as_ref();
        assert!(file.may_contain_row(cell.row()));
        assert!(file.may_contain_column(cell.row(), cell.qualifier()));
        assert!(!cell.cell_type().is_family_delete() || file.may_contain_delete_family(cell.row()));
    }
    assert_eq!(file.general_bloom().map(|bloom| bloom.bloom_type()), bloom.filter(|_| !cells.is_empty()));
    let report = file.verify(&HFile::options()).expect("a sound file");
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert!(file.warnings().is_empty(), "{:?}", file.warnings());
}

#[test]
fn written_files_read_back() {
    let rng = &mut Rng::new(4);
    let mut files = 0;
    for encoding in DataBlockEncoding::ALL {
        for codec in CODECS.into_iter().filter(|(_, built_in)| *built_in).map(|(codec, _)| codec) {
            for bloom in BLOOMS {
                for (tags, compress_tags) in [(false, false), (true, false), (true, true)] {
                    for mvcc in [false, true] {
                        let count = rng.below(120);
                        let cells = random_cells(rng, count, tags, mvcc);
                        // a Bzip2 block takes ten milliseconds, regardless of its length
                        let least = if codec == Codec::Bzip2 { 2000 } else { 1 };
                        let options = HFileWriter::options()
                            .data_block_encoding(encoding)
                            .codec(codec)
                            .bloom(bloom)
                            .bloom_chunk_bytes(least)
                            .tags(tags)
                            .compress_tags(compress_tags)
                            .mvcc(mvcc)
                            .block_size(least + rng.below(900))
                            .index_chunk_size(least + rng.below(400))
                            .index_min_entries(1 + rng.below(4))
                            .bytes_per_checksum(33 + below::<u32>(rng, 300));
                        let shown = format!("{options:?}");
                        let bytes = write(options, &cells).unwrap();
                        keep(&format!("{files}-{}-{}", encoding.name(), codec.name()), &bytes);
                        let file = open::open_bytes(HFile::options(), &shown, bytes).unwrap();
                        assert_eq!(file.file_info().max_seq_id(), Ok(Some(7)));
                        assert_holds(&file, &cells, bloom);
                        files += 1;
                    }
                }
            }
        }
    }
    eprintln!("{files} files");
}

#[test]
fn a_file_of_version_2_reads_back() {
    let cells = random_cells(&mut Rng::new(5), 200, false, true);
    let options = HFileWriter::options().version_2().bloom(BloomType::Row).block_size(500);
    let bytes = write(options, &cells).unwrap();
    let file = open::open_bytes(HFile::options(), "2.3", bytes.clone()).unwrap();
    assert_eq!((file.trailer().major_version(), file.trailer().minor_version()), (2, 3));
    keep("version-2", &bytes);
    assert_holds(&file, &cells, Some(BloomType::Row));
    assert!(
        HFileWriter::options().version_2().tags(true).create_in(Box::new(MemoryWriter::default())).is_err()
    );
}

/// Whether a cell after `row5/f:q/5/Put` is refused, and the file with it.
fn refuses(cell: CellRef<'_>) -> bool {
    let storage = FaultyStorage::new();
    let mut writer = HFileWriter::options()
        .limits(Limits::default().with_block_bytes(4000))
        .storage(Arc::new(storage.clone()))
        .create("dir/file")
        .expect("nothing fails yet");
    writer.append(CellRef::new(&key("row5", "q", 5), b"value")).expect("nothing fails yet");
    let refused = writer.append(cell).is_err();
    // a valid cell after it does not undo the refusal
    let rest = writer.append(CellRef::new(&key("row9", "q", 5), b"value")).and_then(|()| writer.finish());
    assert_eq!(rest.is_err(), refused);
    assert_eq!(storage.names().is_empty(), refused);
    refused
}

/// A cell of a row with an incompressible value of `len` bytes.
fn random_value(rng: &mut Rng, row: usize, len: usize) -> Cell {
    let value: Vec<u8> = (0..len).map(|_| below(rng, 256)).collect();
    Cell::from(CellRef::new(&key(&format!("row{row:05}"), "q", 5), &value))
}

#[test]
fn a_file_can_be_read_with_the_limits_that_it_is_written_with() {
    let mut rng = Rng::new(3);
    let big: Vec<Cell> = (0..12).map(|row| random_value(&mut rng, row, 6_000)).collect();
    let small: Vec<Cell> = (0..600).map(|row| random_value(&mut rng, row, 30)).collect();
    for (name, cells, limit, block_size) in
        [("big", &big, 10_000, 64 << 10), ("full", &small, 4_096, 64 << 10), ("index", &small, 4_096, 64)]
    {
        let limits = || Limits::new().with_block_bytes(limit);
        for encoding in DataBlockEncoding::ALL {
            let is_tried = |(codec, is_built_in): &(Codec, bool)| {
                *is_built_in && (name == "big" || *codec == Codec::None)
            };
            for (codec, _) in CODECS.into_iter().filter(is_tried) {
                let options = HFileWriter::options()
                    .data_block_encoding(encoding)
                    .codec(codec)
                    .bloom(BloomType::Row)
                    .block_size(block_size)
                    .limits(limits());
                let bytes = write(options, cells).unwrap();
                let file = open::open_bytes(HFile::options().limits(limits()), name, bytes).unwrap();
                assert_holds(&file, cells, Some(BloomType::Row));
                assert!(file.warnings().is_empty(), "{name}: {:?}", file.warnings());
            }
        }
    }
    // at the limit, a cell is refused or can be read
    let mut refused = 0;
    for len in 9_800..10_000 {
        let limits = || Limits::new().with_block_bytes(10_000);
        let cells = [random_value(&mut rng, 0, len)];
        match write(HFileWriter::options().limits(limits()), &cells) {
            Ok(bytes) => {
                let file = open::open_bytes(HFile::options().limits(limits()), "edge", bytes).unwrap();
                assert_eq!(open::all_cells(&file).unwrap(), cells, "{len}");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
                refused += 1;
            }
        }
    }
    assert!((10..190).contains(&refused), "{refused}");
}

/// The root of the index is read when the file is opened, and its other blocks later.
#[test]
fn the_blocks_of_an_index_fit_the_limits_whatever_their_settings() {
    let mut rng = Rng::new(5);
    let cells: Vec<Cell> = (0..600).map(|row| random_value(&mut rng, row, 30)).collect();
    let opened = Limits::new().with_load_on_open_bytes(8_192);
    for limits in [opened.clone(), opened.with_block_bytes(5_000)] {
        for (chunk_size, min_entries) in [(128 << 10, 16), (64, 1_000), (64, 200)] {
            let options = HFileWriter::options().index_chunk_size(chunk_size).index_min_entries(min_entries);
            let bytes = write(options.block_size(64).limits(limits.clone()), &cells).unwrap();
            let file = open::open_bytes(HFile::options().limits(limits.clone()), "index", bytes).unwrap();
            assert_holds(&file, &cells, None);
        }
    }
}

/// The root is longer if there are few levels.
#[test]
fn an_index_has_no_more_levels_than_the_limits_allow() {
    let mut rng = Rng::new(6);
    let cells: Vec<Cell> = (0..300).map(|row| random_value(&mut rng, row, 30)).collect();
    for levels in 1..5 {
        let mut limits = Limits::new();
        limits.index_levels = levels;
        let options = HFileWriter::options().index_chunk_size(64).index_min_entries(2).block_size(64);
        let bytes = write(options.limits(limits.clone()), &cells).unwrap();
        let file = open::open_bytes(HFile::options().limits(limits), "levels", bytes).unwrap();
        assert_eq!(file.index_levels(), levels);
        assert_holds(&file, &cells, None);
    }
}

/// Blocks of the index with keys that are long for the limits exceeded these, and the file could not be read.
#[test]
fn a_file_with_keys_that_are_too_long_to_be_read_is_refused() {
    let limits = [
        Limits::new().with_block_bytes(20_000),
        Limits::new().with_load_on_open_bytes(20_000),
        Limits::new().with_memory_bytes(20_000),
    ];
    // with the greatest length of a qualifier that fits the file info, which has two keys, or three of ROWCOL
    for (bloom, most) in [(BloomType::Row, 9_000), (BloomType::RowCol, 6_000)] {
        for limits in &limits {
            let is_written = |len: usize| {
                // keys of the index are as long as these, because they differ at the end
                let keys = (0..40).map(|i| key("row", &format!("{}{i:03}", "q".repeat(len)), 5));
                let cells: Vec<Cell> = keys.map(|key| Cell::from(CellRef::new(&key, b"value"))).collect();
                let options = HFileWriter::options().bloom(bloom).block_size(1);
                match write(options.limits(limits.clone()), &cells) {
                    Ok(bytes) => {
                        let options = HFile::options().limits(limits.clone());
                        let file = open::open_bytes(options, "keys", bytes).unwrap();
                        assert!(file.index_levels() < 8, "{len}: {}", file.index_levels());
                        assert_holds(&file, &cells, Some(bloom));
                        true
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
                        false
                    }
                }
            };
            assert!(is_written(900) && !is_written(19_000));
            let is_limit_of_blocks = limits.load_on_open_bytes > 20_000;
            for len in [3_000, 5_200, 6_000, 7_000, 9_000, 12_000, 16_000] {
                assert!(is_written(len) || !is_limit_of_blocks || len > most, "{len}");
            }
        }
    }
}

/// In memory, a small entry takes several times its bytes in the file.
#[test]
fn a_file_info_with_too_many_entries_to_be_read_is_refused() {
    let limits = Limits::new().with_load_on_open_bytes(20_000);
    let is_written = |entries: u32| {
        let file = MemoryWriter::default();
        let options = HFileWriter::options().limits(limits.clone());
        let mut writer = options.create_in(Box::new(file.clone())).unwrap();
        writer.append(CellRef::new(&key("row", "q", 5), b"value")).unwrap();
        (0..entries).for_each(|i| writer.add_file_info(i.to_be_bytes(), b"").unwrap());
        if let Err(error) = writer.finish() {
            assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
            return false;
        }
        open::open_bytes(HFile::options().limits(limits.clone()), "info", file.bytes()).unwrap();
        true
    };
    let most = (400..1_000).take_while(|&entries| is_written(entries)).last();
    assert!(most.is_some_and(|most| most < 800), "{most:?}");
}

#[test]
fn cells_of_any_size_read_back() {
    let row = |last: u8| [vec![b'r'; MAX_ROW_LEN - 1], vec![last]].concat();
    let rows: Vec<SeekKey> =
        (b'a'..b'k').map(|c| SeekKey::of(&row(c), b"f", b"q", 5, CellType::Put)).collect();
    let long: Vec<SeekKey> = (0..9).map(|i| key("row", &format!("{i}{}", "q".repeat(70_000)), 5)).collect();
    for (name, keys, value) in
        [("long-rows", rows, 10), ("long-qualifiers", long.clone(), 0), ("big-cells", long, 300_000)]
    {
        let value = vec![b'v'; value];
        let cells: Vec<Cell> = keys.iter().map(|key| Cell::from(CellRef::new(key, &value))).collect();
        for encoding in DataBlockEncoding::ALL {
            let options = HFileWriter::options()
                .data_block_encoding(encoding)
                .bloom(BloomType::RowCol)
                .index_chunk_size(40_000)
                .index_min_entries(2)
                .block_size(1000);
            let bytes = write(options, &cells).unwrap();
            keep(&format!("{name}-{}", encoding.name()), &bytes);
            let file = open::open_bytes(HFile::options(), name, bytes).unwrap();
            assert!(file.index_levels() > 1, "{name}");
            assert_holds(&file, &cells, Some(BloomType::RowCol));
            let too_long = "r".repeat(MAX_ROW_LEN + 1);
            assert!(!file.may_contain_column(too_long.as_bytes(), b"q"), "no cell has such a row");
        }
    }
}

/// Regions have a smaller limit, but HBase's files can have tags of this length.
#[test]
fn tags_of_up_to_65535_bytes_read_back() {
    // two bytes for the length, and one for the type
    let area = |bytes: u16| {
        let value = vec![b't'; usize::from(bytes) - 3];
        [(bytes - 2).to_be_bytes().as_slice(), &[64], &value].concat()
    };
    // of equal tags, the second is a reference to the first
    let areas = [u16::MAX, 32_768, 32_767, 3, u16::MAX, 32_768].map(area);
    let cells: Vec<Cell> = (0..)
        .zip(&areas)
        .map(|(row, area)| {
            let key = key(&format!("row{row}"), "q", 5);
            Cell::from(CellRef::new(&key, b"value").with_tag_bytes(area).unwrap())
        })
        .collect();
    for encoding in DataBlockEncoding::ALL {
        for compress_tags in [false, true] {
            let options = HFileWriter::options()
                .data_block_encoding(encoding)
                .tags(true)
                .compress_tags(compress_tags)
                .block_size(1 << 20);
            let bytes = write(options, &cells).unwrap();
            let name = format!("{encoding:?} {compress_tags}");
            let has_dictionary =
                compress_tags && !matches!(encoding, DataBlockEncoding::None | DataBlockEncoding::RowIndexV1);
            assert_eq!(bytes.len() < 150_000, has_dictionary, "{name}");
            let file = open::open_bytes(HFile::options(), &name, bytes).unwrap();
            assert_holds(&file, &cells, None);
            assert_eq!(file.file_info().max_tags_len(), Ok(Some(65_535)), "{name}");
        }
    }
}

/// A block ends when its encoded cells reach a share of the block size, whatever their decoded size.
#[test]
fn blocks_end_by_the_ratio_of_their_encoded_size() {
    let value = [b'v'; 100];
    let cells: Vec<Cell> =
        (0..3000).map(|i| Cell::from(CellRef::new(&key(&format!("row{i:06}"), "q", 5), &value))).collect();
    let sizes = |ratio: f32| {
        let options = HFileWriter::options().data_block_encoding(DataBlockEncoding::FastDiff);
        let options = options.block_size(1000).encoded_ratio(ratio);
        let file = open::open_bytes(HFile::options(), "ratio", write(options, &cells).unwrap()).unwrap();
        assert_holds(&file, &cells, None);
        let headers = file.block_headers().map(|header| header.unwrap().1);
        let data = headers.filter(|header| header.block_type() == BlockType::EncodedData);
        // without the encoding's id and the size of the plain cells
        data.map(|header| header.uncompressed_size_without_header() - 6).collect::<Vec<u32>>()
    };
    let by_ratio = sizes(0.5);
    let (_, full) = by_ratio.split_last().unwrap();
    assert!(full.len() > 20 && full.iter().all(|size| (500..530).contains(size)), "{by_ratio:?}");
    // by the plain size: eight cells
    assert!(sizes(0.0).iter().all(|size| *size < 300));
}

/// Prefixes of rows of `hbase:meta` are in another order than the rows, because `,` separates their parts.
#[test]
fn filters_in_the_order_of_meta_deny_no_row() {
    // a chunk has 106 keys, so some chunks begin with the second of such a pair of rows
    let pairs = (0..300).flat_map(|i| [format!("t,k{i:04}!xx,1"), format!("t,k{i:04},bzz,1")]);
    let keys: Vec<SeekKey> =
        std::iter::once("t,,0".to_owned()).chain(pairs).map(|row| key(&row, "q", 5)).collect();
    assert!(keys.is_sorted_by(|a, b| CellOrder::Meta.compare(a, b).is_lt()));
    let cells: Vec<Cell> = keys.iter().map(|key| Cell::from(CellRef::new(key, b"value"))).collect();
    for bloom in [BloomType::Row, BloomType::RowCol, BloomType::RowPrefixFixedLength(9)] {
        let options = HFileWriter::options().order(CellOrder::Meta).bloom(bloom).bloom_chunk_bytes(128);
        let file = open::open_bytes(HFile::options(), "meta", write(options, &cells).unwrap()).unwrap();
        assert!(file.general_bloom().is_some_and(|bloom| bloom.meta().chunks().len() > 4), "{bloom:?}");
        for cell in cells.iter().map(Cell::as_ref) {
            assert!(file.may_contain_row(cell.row()), "{bloom:?} {cell}");
            assert!(file.may_contain_column(cell.row(), cell.qualifier()), "{bloom:?} {cell}");
        }
    }
}

#[test]
fn a_cell_that_cannot_be_there_is_refused_and_leaves_no_file() {
    let equal = key("row5", "q", 5);
    assert!(!refuses(CellRef::new(&equal, b"value")), "an equal key is in order");
    let [row, newer] = [key("row4", "q", 5), key("row5", "q", 6)];
    assert!(refuses(CellRef::new(&row, b"value")));
    assert!(refuses(CellRef::new(&newer, b"value")));
    let family = SeekKey::of(b"row7", b"g", b"q", 5, CellType::Put);
    assert!(refuses(CellRef::new(&family, b"value")));
    let search = SeekKey::first_on_row(b"row7");
    assert!(refuses(CellRef::new(&search, b"value")));
    let good = key("row7", "q", 5);
    assert!(!refuses(CellRef::new(&good, b"value")));
    assert!(refuses(CellRef::new(&good, b"value").with_seq_id(-1)));
    assert!(
        refuses(CellRef::new(&good, b"value").with_tag_bytes(&[0, 2, 64, b'x']).unwrap()),
        "not declared"
    );
    assert!(refuses(CellRef::new(&good, &[b'v'; 5000])), "over the limit of a block");
}

#[test]
fn options_that_make_no_file_are_refused() {
    let refused = |options: HFileWriterOptions| {
        let storage = FaultyStorage::new();
        let error = options.storage(Arc::new(storage.clone())).create("dir/file").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(storage.calls(), 0);
    };
    let options = HFileWriter::options;
    refused(options().bytes_per_checksum(32));
    refused(options().block_size(0));
    refused(options().index_chunk_size(0));
    refused(options().index_min_entries(0));
    refused(options().encoded_ratio(f32::NAN));
    refused(options().bloom_error_rate(0.0));
    refused(options().bloom_error_rate(1.0));
    refused(options().bloom_error_rate(f32::NAN));
    // HBase rounds the rate of a lookup to 0 and would use 726,818 bits for each column.
    refused(options().bloom(BloomType::RowCol).bloom_error_rate(1e-8));
    refused(options().bloom_chunk_bytes(usize::MAX));
    refused(options().bloom(BloomType::RowPrefixFixedLength(0)));
    refused(options().bloom(BloomType::RowPrefixFixedLength(32_768)));
}

#[test]
fn a_bloom_filter_of_any_allowed_error_rate_is_read() {
    for (bloom, rate) in [
        (BloomType::RowCol, 4e-8),
        (BloomType::Row, f32::from_bits(1)),
        (BloomType::RowPrefixFixedLength(2), 1e-30),
        (BloomType::RowCol, 1.0 - f32::EPSILON),
    ] {
        for chunk_bytes in [1, 128 << 10] {
            let written = MemoryWriter::default();
            let options = HFileWriter::options().bloom(bloom).bloom_error_rate(rate);
            let mut writer =
                options.bloom_chunk_bytes(chunk_bytes).create_in(Box::new(written.clone())).unwrap();
            let key = SeekKey::of(b"row", b"f", b"q", 1, CellType::Put);
            writer.append(CellRef::new(&key, b"value")).unwrap();
            writer.finish().unwrap();
            let file = open::open_bytes(HFile::options(), "rates", written.bytes()).unwrap();
            assert!(file.warnings().is_empty(), "{rate} {chunk_bytes}: {:?}", file.warnings());
            let hashes = file.general_bloom().unwrap().meta().hash_count();
            assert!((1..=178).contains(&hashes), "{rate} {chunk_bytes}: {hashes}");
        }
    }
}

#[test]
fn names_are_given_once() {
    let written = MemoryWriter::default();
    let mut writer = HFileWriter::options().create_in(Box::new(written.clone())).unwrap();
    writer.add_file_info("key", "value").unwrap();
    assert!(writer.add_file_info("key", "other").is_err());
    assert!(writer.add_file_info("hfile.LASTKEY", "reserved").is_err());
    for key in ["KEY_VALUE_VERSION", "MAX_MEMSTORE_TS_KEY", "DATA_BLOCK_ENCODING", "INDEX_BLOCK_ENCODING"] {
        assert!(writer.add_file_info(key, [0, 0, 0, 1]).is_err(), "{key} says how the file is stored");
    }
    writer.add_meta_block("name", "content").unwrap();
    assert!(writer.add_meta_block("name", "other").is_err());
    // the refused cells have changed nothing
    writer.finish().unwrap();
    let file = open::open_bytes(HFile::options(), "names", written.bytes()).unwrap();
    assert_eq!(file.file_info().get(b"key"), Some(&b"value"[..]));
    assert_eq!(file.meta_block(b"name").unwrap().as_deref(), Some(&b"content"[..]));
    let mut writer =
        StoreFileWriter::create_in(HFileWriter::options(), Box::new(MemoryWriter::default())).unwrap();
    writer.add_file_info("TIMERANGE", "mine").unwrap();
    assert!(writer.finish(&StoreFileOrigin::flush(1)).is_err());
}

#[test]
fn a_writer_killed_anywhere_leaves_the_old_file_or_the_new_one() {
    let path = Path::new("dir/file");
    let (old, new) =
        (random_cells(&mut Rng::new(1), 50, true, true), random_cells(&mut Rng::new(2), 60, true, true));
    let write = |storage: &FaultyStorage, cells: &[Cell]| -> Result<u64> {
        let options = HFileWriter::options()
            .storage(Arc::new(storage.clone()))
            .tags(true)
            .bloom(BloomType::Row)
            .bloom_chunk_bytes(16)
            .block_size(300)
            .index_chunk_size(100)
            .create_time(0);
        let mut writer = StoreFileWriter::create(options, path)?;
        cells.iter().try_for_each(|cell| writer.append(cell.as_ref()))?;
        writer.finish(&StoreFileOrigin::flush(1))
    };
    let begin = |with_old: bool| {
        let storage = FaultyStorage::new();
        if with_old {
            write(&storage, &old).unwrap();
        }
        storage
    };
    for with_old in [false, true] {
        let storage = begin(with_old);
        let before = storage.bytes(path);
        let calls = storage.calls();
        write(&storage, &new).unwrap();
        let calls = storage.calls() - calls;
        let after = storage.bytes(path);
        assert!(calls > 20, "{calls}");
        for n in 0..calls {
            let storage = begin(with_old);
            storage.die_after(n);
            write(&storage, &new).unwrap_err();
            for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
                let found = storage.after(crash).bytes(path);
                assert!(found == before || found == after, "{crash:?} at call {n} of {calls}");
            }
            let storage = begin(with_old);
            storage.fail_after(n);
            write(&storage, &new).unwrap_err();
            assert!(storage.names().iter().all(|name| name == path), "no other file is left");
            let last = n + 1 == calls;
            assert_eq!(storage.bytes(path), if last { after.clone() } else { before.clone() });
        }
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let mut writer = HFileWriter::options().create(&path).unwrap();
    writer.append(CellRef::new(&key("row", "q", 1), b"value")).unwrap();
    assert_eq!(files(), 1);
    drop(writer);
    assert_eq!(files(), 0);
    let mut writer = HFileWriter::options().create(&path).unwrap();
    writer.append(CellRef::new(&key("row", "q", 1), b"value")).unwrap();
    writer.finish().unwrap();
    assert_eq!(files(), 1);
    assert_eq!(HFile::open(&path).unwrap().entry_count(), 1);
}

/// A file that discards its content.
#[derive(Debug, Default)]
struct Nowhere;

impl FileWriter for Nowhere {
    fn path(&self) -> &Path {
        Path::new("nowhere")
    }

    fn write_all(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let write = |encoding, cells: u64| {
        let options = HFileWriter::options()
            .data_block_encoding(encoding)
            .bloom(BloomType::Row)
            .bloom_chunk_bytes(4 << 10)
            .block_size(4 << 10)
            .index_chunk_size(4 << 10);
        let ((), usage) = measure(|| {
            let mut writer = StoreFileWriter::create_in(options, Box::new(Nowhere)).unwrap();
            let mut key = SeekKey::new();
            for i in 0..cells {
                key.set(
                    format!("row{:09}", i / 3).as_bytes(),
                    b"f",
                    &[b'0' + u8::try_from(i % 3).unwrap()],
                    1,
                    CellType::Put,
                );
                writer.append(CellRef::new(&key, &[b'v'; 100])).unwrap();
            }
            writer.finish(&StoreFileOrigin::flush(1)).unwrap();
        });
        usage.peak
    };
    for encoding in [DataBlockEncoding::None, DataBlockEncoding::FastDiff, DataBlockEncoding::RowIndexV1] {
        let (small, large) = (write(encoding, 10_000), write(encoding, 200_000));
        eprintln!("{encoding:?}: {small} bytes for 10,000 cells, {large} for 200,000");
        // only the index entries grow, one for each leaf and one for each Bloom chunk
        assert!(large < small + (48 << 10), "{encoding:?}: {small} {large}");
        assert!(large < 192 << 10, "{encoding:?}: {large}");
    }
}
