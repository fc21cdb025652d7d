//! Writes varied files, each with its cells as JSON lines next to it, for HBase to check
//! (`interop/check/run`).
//!
//! `interop_files DIR` writes about a hundred files, the same in every run; `interop_files --cells N FILE`
//! writes one large file.

use hregion::cell::{MAX_ROW_LEN, StringBinary};
use hregion::{
    BloomHashType, BloomType, Cell, CellOrder, CellRef, CellType, ChecksumType, Cipher, Codec, Compaction,
    DataBlockEncoding, Encryption, Family, HFile, HFileWriter, HFileWriterOptions, Put, Region, Result,
    SeekKey, StoreFileOrigin, StoreFileWriter,
};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gz, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const CHECKSUMS: [ChecksumType; 3] = [ChecksumType::Crc32c, ChecksumType::Crc32, ChecksumType::Null];
const BLOOMS: [Option<BloomType>; 4] =
    [None, Some(BloomType::Row), Some(BloomType::RowCol), Some(BloomType::RowPrefixFixedLength(5))];
const HASHES: [BloomHashType; 3] = [BloomHashType::Murmur, BloomHashType::Jenkins, BloomHashType::Murmur3];
/// Tags, compressed tags, sequence ids.
const CARRIED: [(bool, bool, bool); 5] = [
    (false, false, true),
    (true, false, true),
    (true, true, true),
    (false, false, false),
    (true, true, false),
];
const BLOCK_SIZES: [usize; 5] = [1 << 16, 1 << 12, 700, 1, 1 << 14];
const INDEX_CHUNKS: [(usize, usize); 4] = [(128 << 10, 16), (512, 4), (100, 2), (2000, 16)];
const ROUNDS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let files = match args.as_slice() {
        ["--cells", count, path] => large(count.parse()?, Path::new(path)).map(|()| 1)?,
        [dir] => all(Path::new(dir))?,
        _ => return Err("usage: interop_files DIR | --cells N FILE".into()),
    };
    writeln!(std::io::stderr(), "{files} files written")?;
    Ok(())
}

fn all(dir: &Path) -> Result<usize, Box<dyn Error>> {
    let mut folder = Folder { dir: dir.to_owned(), files: 0 };
    spread(&mut folder)?;
    special(&mut folder)?;
    encrypted(&mut folder)?;
    for encoding in DataBlockEncoding::ALL {
        region(&mut folder, encoding)?;
    }
    Ok(folder.files)
}

/// Writes files with varied settings, each encoding with each codec.
fn spread(folder: &mut Folder) -> Result<(), Box<dyn Error>> {
    let mut rng = Rng(2026);
    for round in 0..ROUNDS {
        for encoding in DataBlockEncoding::ALL {
            for codec in CODECS {
                // settings are drawn independently, so that every pair of them occurs eventually
                let (tags, compress_tags, mvcc) = rng.pick(&CARRIED);
                let (index_chunk, min_entries) = rng.pick(&INDEX_CHUNKS);
                let options = HFileWriter::options()
                    .data_block_encoding(encoding)
                    .codec(codec)
                    .zstd_framed(true)
                    .bloom(rng.pick(&BLOOMS))
                    .bloom_chunk_bytes(rng.pick(&[128 << 10, 64, 1000]))
                    .bloom_hash(rng.pick(&HASHES))
                    .tags(tags)
                    .compress_tags(compress_tags)
                    .mvcc(mvcc)
                    .checksum(rng.pick(&CHECKSUMS))
                    .bytes_per_checksum(rng.pick(&[16 << 10, 512, 64]))
                    .block_size(rng.pick(&BLOCK_SIZES))
                    .index_chunk_size(index_chunk)
                    .index_min_entries(min_entries)
                    .encoded_ratio(rng.pick(&[0.0, 0.0, 0.7]))
                    .create_time(1_700_000_000_000);
                let count = 20 + rng.below(500);
                let cells = cells(&mut rng, count, tags, mvcc);
                let name = format!("{round:02}-{}-{}", encoding.name(), codec.name());
                folder.store_file(&name, options, &cells, mvcc)?;
            }
        }
    }
    Ok(())
}

/// Writes files at the limits of the format.
fn special(folder: &mut Folder) -> Result<(), Box<dyn Error>> {
    let rng = &mut Rng(32_767);
    let options = || HFileWriter::options().bloom(BloomType::Row).create_time(1_700_000_000_000);
    folder.store_file("empty", options(), &[], true)?;
    folder.hfile("empty-plain", HFileWriter::options(), &[])?;
    for encoding in DataBlockEncoding::ALL {
        let name = encoding.name();
        let options = || options().data_block_encoding(encoding);
        folder.store_file(&format!("one-cell-{name}"), options(), &cells(rng, 1, false, true), true)?;
        let big = [cell(b"row", b"q", 1, &random_bytes(rng, 300_000)), cell(b"row2", b"q", 1, b"small")];
        folder.store_file(&format!("cell-over-a-block-{name}"), options(), &big[..1], true)?;
        folder.store_file(&format!("cells-over-a-block-{name}"), options().codec(Codec::Gz), &big, true)?;
        let many = cells(rng, 3000, false, true);
        let deep = options().block_size(1).index_chunk_size(200).index_min_entries(4);
        folder.store_file(&format!("deep-index-{name}"), deep, &many, true)?;
        let rows: Vec<Cell> = (0..40)
            .map(|n| {
                let mut row = vec![b'r'; MAX_ROW_LEN - 2];
                row.extend([b'a' + n / 7, b'a' + n % 7]);
                cell(&row, b"q", 1, b"v")
            })
            .collect();
        folder.store_file(&format!("long-rows-{name}"), options().block_size(100_000), &rows, true)?;
        let same: Vec<Cell> = (0..200).map(|n| cell(b"row", b"q", 9, format!("{n}").as_bytes())).collect();
        folder.store_file(&format!("equal-keys-{name}"), options().block_size(100), &same, true)?;
    }
    // HBase's class, based on aircompressor, does not read a chunk that is larger than its buffer.
    if cfg!(feature = "lzo") {
        let big = [cell(b"row", b"q", 1, &random_bytes(rng, 300_000)), cell(b"row2", b"q", 1, b"small")];
        folder.store_file("cells-over-a-block-LZO", options().codec(Codec::Lzo), &big, true)?;
    }
    let older = HFileWriter::options().version_2().codec(Codec::Gz).block_size(2000);
    folder.store_file("version-2", older.bloom(BloomType::RowCol), &cells(rng, 400, false, true), true)?;
    let mut meta: Vec<Cell> = (0..300)
        .map(|n| cell(format!("t{},{},{n}", n % 7, n * 37 % 100).as_bytes(), b"server", 1, b"host"))
        .collect();
    meta.sort_by(|a, b| CellOrder::Meta.compare(a.as_ref().key(), b.as_ref().key()));
    let options = HFileWriter::options().order(CellOrder::Meta).block_size(500);
    folder.store_file("meta", options, &meta, true)
}

/// Returns the bytes of one of HBase's master keys, 0 1 2 …: the first key with 16 bytes, the alternate one
/// with 32.
fn master_key(long: bool) -> Vec<u8> {
    (0..if long { 32 } else { 16 }).collect()
}

/// Writes encrypted files, each encoding with each codec and each master key.
fn encrypted(folder: &mut Folder) -> Result<(), Box<dyn Error>> {
    let rng = &mut Rng(9);
    let options = |long| {
        let encryption = Encryption::aes(master_key(long));
        HFileWriter::options().bloom(BloomType::Row).create_time(1_700_000_000_000).encryption(encryption)
    };
    for encoding in DataBlockEncoding::ALL {
        for codec in CODECS {
            for long in [false, true] {
                let (tags, compress_tags, mvcc) = rng.pick(&CARRIED);
                let (index_chunk, min_entries) = rng.pick(&INDEX_CHUNKS);
                let options = options(long)
                    .data_block_encoding(encoding)
                    .codec(codec)
                    .zstd_framed(true)
                    .bloom(rng.pick(&BLOOMS))
                    .bloom_chunk_bytes(rng.pick(&[128 << 10, 64, 1000]))
                    .tags(tags)
                    .compress_tags(compress_tags)
                    .mvcc(mvcc)
                    .checksum(rng.pick(&CHECKSUMS))
                    .bytes_per_checksum(rng.pick(&[16 << 10, 512, 64]))
                    .block_size(rng.pick(&BLOCK_SIZES))
                    .index_chunk_size(index_chunk)
                    .index_min_entries(min_entries);
                let count = 20 + rng.below(300);
                let cells = cells(rng, count, tags, mvcc);
                let name = format!("encrypted-{}-{}-{long}", encoding.name(), codec.name());
                folder.store_file(&name, options, &cells, mvcc)?;
            }
        }
    }
    folder.store_file("encrypted-empty", options(false), &[], true)?;
    let encryption = Encryption::aes(master_key(false)).data_key([7; 16]);
    let cells = cells(rng, 100, false, true);
    folder.hfile("encrypted-plain", HFileWriter::options().encryption(encryption), &cells)?;
    let big = [cell(b"row", b"q", 1, &random_bytes(rng, 300_000))];
    folder.store_file("encrypted-cell-over-a-block", options(true), &big, true)
}

/// Writes the files of an encrypted family of a region: two flushes, a minor and a major compaction.
fn region(folder: &mut Folder, encoding: DataBlockEncoding) -> Result<(), Box<dyn Error>> {
    let name = encoding.name();
    let dir = folder.dir.join(format!("region-{name}"));
    let family = Family::new("f").encryption(Cipher::Aes).data_block_encoding(encoding).codec(Codec::Gz);
    let region = Region::options()
        .create_if_missing(true)
        .family(family.max_versions(3).block_size(1000))
        .master_key(master_key(false))
        .open(&dir)?;
    let mut values = BTreeSet::new();
    for round in 0..3 {
        for row in 0..150 {
            let value = format!("value {round} {row}");
            region.put(Put::new(format!("row{:04}", row * 7 % 150)).cell("f", "q", value.clone()))?;
            values.insert(value.into_bytes());
        }
        region.flush()?;
        folder.take_store_files(&dir, &format!("encrypted-region-{name}-flush{round}"))?;
        if round == 1 {
            region.compact_files("f", 0, 2)?;
            folder.take_store_files(&dir, &format!("encrypted-region-{name}-minor"))?;
        }
    }
    region.compact(Compaction::Major)?;
    let found = folder.take_store_files(&dir, &format!("encrypted-region-{name}-major"))?;
    if found != values {
        return Err(format!("{} values after a major compaction", found.len()).into());
    }
    drop(region);
    Ok(fs::remove_dir_all(&dir)?)
}

/// Writes one file of many cells, without its cells next to it.
fn large(count: u64, path: &Path) -> Result<()> {
    let options =
        HFileWriter::options().data_block_encoding(DataBlockEncoding::FastDiff).bloom(BloomType::Row);
    let mut writer = StoreFileWriter::create(options, path)?;
    let mut key = SeekKey::new();
    for n in 0..count {
        let (row, qualifier) = (format!("user{:012}", n / 4), format!("column{}", n % 4));
        let time = 1_700_000_000_000 + (n % 1000).cast_signed();
        key.clone_from(&SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), time, CellType::Put));
        writer.append(CellRef::new(&key, &n.to_be_bytes()).with_seq_id((n % 100).cast_signed()))?;
    }
    writer.finish(&StoreFileOrigin::flush(100)).map(drop)
}

struct Folder {
    dir: PathBuf,
    files: usize,
}

impl Folder {
    fn store_file(
        &mut self,
        name: &str,
        options: HFileWriterOptions,
        cells: &[Cell],
        mvcc: bool,
    ) -> Result<(), Box<dyn Error>> {
        let mut writer = StoreFileWriter::create(options, self.path(name))?;
        for cell in cells {
            writer.append(cell.as_ref())?;
        }
        writer.finish(&StoreFileOrigin::flush(7))?;
        self.put_cells(name, cells, mvcc)
    }

    fn hfile(
        &mut self,
        name: &str,
        options: HFileWriterOptions,
        cells: &[Cell],
    ) -> Result<(), Box<dyn Error>> {
        let mut writer = options.create(self.path(name))?;
        for cell in cells {
            writer.append(cell.as_ref())?;
        }
        writer.finish()?;
        self.put_cells(name, cells, true)
    }

    /// Copies the store files of a region's family `f`, whose names are generated. Returns all values in
    /// them.
    fn take_store_files(&mut self, region: &Path, name: &str) -> Result<BTreeSet<Vec<u8>>, Box<dyn Error>> {
        let mut values = BTreeSet::new();
        for (n, entry) in fs::read_dir(region.join("f"))?.enumerate() {
            let (name, options) = (format!("{name}-{n}"), HFile::options().master_key(master_key(false)));
            fs::copy(entry?.path(), self.path(&name))?;
            let file = options.open(self.path(&name))?;
            let (mut cells, mut scanner) = (Vec::new(), file.scanner());
            let mut more = scanner.seek_to_first()?;
            while more {
                cells.extend(scanner.peek().map(Cell::from));
                more = scanner.advance()?;
            }
            values.extend(cells.iter().map(|cell| cell.as_ref().value().to_vec()));
            self.put_cells(&name, &cells, file.has_seq_ids())?;
        }
        Ok(values)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.hfile"))
    }

    fn put_cells(&mut self, name: &str, cells: &[Cell], mvcc: bool) -> Result<(), Box<dyn Error>> {
        let mut out = BufWriter::new(File::create(self.dir.join(format!("{name}.jsonl")))?);
        for cell in cells {
            put_cell(&mut out, &cell.as_ref(), mvcc)?;
        }
        out.flush()?;
        self.files += 1;
        Ok(())
    }
}

fn put_cell(out: &mut impl Write, cell: &CellRef<'_>, mvcc: bool) -> std::io::Result<()> {
    let text = |bytes| StringBinary(bytes).to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let (row, family, qualifier) = (text(cell.row()), text(cell.family()), text(cell.qualifier()));
    let (time, cell_type, value) = (cell.timestamp(), cell.cell_type().name(), text(cell.value()));
    write!(out, "{{\"row\":\"{row}\",\"family\":\"{family}\",\"qualifier\":\"{qualifier}\",")?;
    write!(out, "\"timestamp\":{time},\"type\":\"{cell_type}\",\"value\":\"{value}\"")?;
    if mvcc {
        write!(out, ",\"sequence_id\":{}", cell.seq_id())?;
    }
    for (n, tag) in cell.tags().enumerate() {
        let before = if n == 0 { ",\"tags\":[" } else { "," };
        write!(out, "{before}{{\"type\":{},\"value\":\"{}\"}}", tag.tag_type, text(tag.value))?;
    }
    writeln!(out, "{}}}", if cell.tag_bytes().is_empty() { "" } else { "]" })
}

fn cell(row: &[u8], qualifier: &[u8], seq_id: i64, value: &[u8]) -> Cell {
    let key = SeekKey::of(row, b"f", qualifier, 1_700_000_000_000, CellType::Put);
    Cell::from(CellRef::new(&key, value).with_seq_id(seq_id))
}

/// Returns cells of all types, in order: rows with common prefixes, several versions, values of any bytes,
/// tags.
fn cells(rng: &mut Rng, count: usize, tags: bool, mvcc: bool) -> Vec<Cell> {
    const TYPES: [CellType; 8] = [
        CellType::Put,
        CellType::Put,
        CellType::Put,
        CellType::Put,
        CellType::Delete,
        CellType::DeleteColumn,
        CellType::DeleteFamily,
        CellType::DeleteFamilyVersion,
    ];
    let mut keys: Vec<SeekKey> = (0..count)
        .map(|_| {
            let mut row = format!("row{:04}", rng.below(count / 2 + 1)).into_bytes();
            if rng.below(10) == 0 {
                row.extend(random_bytes(rng, 3));
            }
            let cell_type = rng.pick(&TYPES);
            let qualifier = match cell_type {
                CellType::DeleteFamily | CellType::DeleteFamilyVersion => String::new(),
                _ => format!("q{}", rng.below(9)),
            };
            let time = 1_700_000_000_000 + i64::from(rng.byte() % 5);
            SeekKey::of(&row, b"f", qualifier.as_bytes(), time, cell_type)
        })
        .collect();
    keys.sort_by(|a, b| CellOrder::User.compare(a, b));
    // HBase expects the newest of equal keys first, and finds only one of them
    keys.dedup_by(|a, b| CellOrder::User.compare(a, b).is_eq());
    let values: Vec<Vec<u8>> = keys
        .iter()
        .map(|_| {
            let len = rng.below(60);
            random_bytes(rng, len)
        })
        .collect();
    let areas: Vec<Vec<u8>> = keys.iter().map(|_| if tags { area(rng) } else { Vec::new() }).collect();
    let of_parts = keys.iter().zip(&values).zip(&areas);
    of_parts
        .map(|((key, value), area)| {
            let seq_id = if mvcc { i64::from(rng.byte()) << (rng.byte() % 30) } else { 0 };
            let cell = CellRef::new(key, value).with_seq_id(seq_id).with_tag_bytes(area);
            Cell::from(cell.expect("tags that fit"))
        })
        .collect()
}

/// Returns up to two tags; some values recur.
fn area(rng: &mut Rng) -> Vec<u8> {
    let mut area = Vec::new();
    for _ in 0..rng.below(3) {
        let value = vec![b'a' + rng.byte() % 3; usize::from(rng.byte() % 9)];
        let len = u16::try_from(value.len() + 1).expect("a short tag");
        area.extend(len.to_be_bytes());
        area.push(64 + rng.byte() % 4);
        area.extend(value);
    }
    area
}

fn random_bytes(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.byte()).collect()
}

/// A pseudorandom generator with the same numbers in every run: splitmix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let below = self.next() % u64::try_from(end.max(1)).expect("a small number");
        usize::try_from(below).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
