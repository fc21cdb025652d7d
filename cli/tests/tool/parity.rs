//! Given the cells and the settings of a file that HBase 2.6 wrote, the tool writes the same file.
//!
//! Without compression the files are equal byte for byte. With compression only the compressed payloads may
//! differ, and the sizes, offsets and checksums that depend on their lengths.

#![cfg(all(feature = "lzo", feature = "bzip2", feature = "brotli", feature = "crypto"))]

use crate::library::golden::{self, Golden};
use hregion::cell::StringBinary;
use hregion::io::MemoryFile;
use hregion::{BlockType, Corruption, HFile, HFileOptions};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// The creation time of all golden files except those of a real region.
const CREATE_TIME: &str = "1700000000000";
const BULKLOAD_TIME: &str = "1700000000123";
/// The class of ZSTD in golden files whose command names no class.
const ZSTD: &str = "org.apache.hadoop.hbase.io.compress.aircompressor.ZstdCodec";

#[test]
fn golden_files_are_written_as_hbase_wrote_them() {
    let counts = compare_all(&golden::in_folder(&golden::root("testdata/golden")));
    assert!(counts.equal + counts.equal_but_for_compression > 60, "{counts:?}");
}

#[test]
fn all_golden_files_at_hand_are_written_as_hbase_wrote_them() {
    let Some(folder) = golden::shared("hfile") else { return };
    let counts = compare_all(&golden::in_folder(&folder));
    let files = 203 + usize::from(cfg!(feature = "crypto"));
    assert_eq!(counts.equal + counts.equal_but_for_compression, files, "{counts:?}");
}

#[derive(Debug, Default)]
struct Counts {
    /// Byte for byte.
    equal: usize,
    /// Equal except for the compressed payloads and the values that depend on their lengths; or except for
    /// encrypted payloads, which begin with a random number.
    equal_but_for_compression: usize,
}

fn compare_all(goldens: &[Golden]) -> Counts {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut counts = Counts::default();
    let mut differ = Vec::new();
    for golden in goldens {
        if !golden.hbase.starts_with("2.6") || golden.master_key().is_some() && !cfg!(feature = "crypto") {
            continue;
        }
        let name = &golden.name;
        let original = std::fs::read(golden.hfile()).expect("the file is there");
        let path = dir.path().join(name);
        let said = write_again(golden, &path);
        let Ok(ours) = std::fs::read(&path) else {
            differ.push(format!("{name}: {said}"));
            continue;
        };
        let report = options(golden).verify(&path).expect("it can be read");
        assert_eq!(usize::try_from(report.cells), Ok(golden.cells), "{name}");
        if let Some(fault) = report.faults.first() {
            differ.push(format!("{name}: {fault}"));
        }
        if ours == original {
            counts.equal += 1;
        } else if golden.setting("--compression").is_some_and(|codec| codec != "NONE")
            || golden.master_key().is_some()
        {
            match compare_uncompressed(&options(golden), &ours, &original) {
                Ok(()) => counts.equal_but_for_compression += 1,
                Err(difference) => differ.push(format!("{name}: {difference}")),
            }
        } else {
            let at = ours.iter().zip(&original).position(|(a, b)| a != b);
            differ.push(format!(
                "{name}: {} bytes, expected {}; the first that differs is at {at:?}",
                ours.len(),
                original.len()
            ));
        }
    }
    eprintln!("written: {counts:?}");
    assert!(differ.is_empty(), "{counts:?}; these differ:\n{}", differ.join("\n"));
    counts
}

/// Writes the cells of a golden file with the options of its command. Returns the tool's standard error.
fn write_again(golden: &Golden, path: &Path) -> String {
    let mut words = split_words(&golden.made).into_iter();
    assert_eq!(words.next().as_deref(), Some("hb"), "{}", golden.made);
    let command = words.next().expect("a command");
    let mut words: Vec<String> = words.collect();
    if command == "region" {
        if let Some(versions) = words.iter().position(|word| word == "--versions") {
            words.drain(versions..versions + 2);
        }
        words.extend(region_settings(golden));
    } else {
        words.extend(["--create-time".into(), CREATE_TIME.into()]);
    }
    if words.iter().any(|word| word == "--bulkload") {
        words.extend(["--bulkload-time".into(), BULKLOAD_TIME.into()]);
    }
    let key = path.with_extension("key");
    if let Some(master_key) = golden.setting("--master-key") {
        std::fs::write(&key, master_key).expect("a temporary directory");
        for name in ["--encrypt", "--master-key"] {
            let at = words.iter().position(|word| word == name).expect("a word of the command");
            words.drain(at..at + 2);
        }
        words.extend(["--encryption".into(), "AES".into(), "--master-key-file".into()]);
        words.push(key.into_os_string().into_string().expect("a path of letters"));
    }
    let zstd = golden.setting("--compression") == Some("ZSTD");
    if zstd && golden.setting("--codec").is_none() && golden.zstd_dictionary().is_none() {
        words.extend(["--codec".into(), ZSTD.into()]);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_hregion"))
        .current_dir(&golden.folder)
        .arg("write")
        .arg(golden.beside("cells.jsonl.gz"))
        .arg("--out")
        .arg(path)
        .args(words)
        .output()
        .expect("the tool runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the options that the command of a real region lacks, from the file info.
fn region_settings(golden: &Golden) -> Vec<String> {
    let original = HFile::open(golden.hfile()).expect("a file of HBase");
    let info = original.file_info();
    let event = StringBinary(info.get(b"COMPACTION_EVENT_KEY").expect("it is always there"));
    let mut words = vec![
        format!("--mvcc={}", original.has_seq_ids()),
        format!("--tags={}", original.has_tags()),
        format!("--major={}", known(info.major_compaction())),
    ];
    let pairs = [
        ("--seqid", known(info.max_seq_id()).to_string()),
        ("--create-time", known(info.create_time()).to_string()),
        ("--info", format!("COMPACTION_EVENT_KEY={event}")),
    ];
    words.extend(pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    words
}

/// Returns a value that the file info must contain.
fn known<T>(value: Result<Option<T>, Corruption>) -> T {
    value.expect("a sound value").expect("an entry of the file info")
}

/// Returns the options needed to read a golden file.
fn options(golden: &Golden) -> HFileOptions {
    let mut options = HFile::options();
    if let Some(path) = golden.zstd_dictionary() {
        options = options.zstd_dictionary(std::fs::read(path).expect("the dictionary"));
    }
    if let Some(key) = golden.master_key() {
        options = options.master_key(key);
    }
    options
}

/// Splits a line into words as a shell does. Of a shell's quoting it supports single quotes only.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn compare_uncompressed(options: &HFileOptions, ours: &[u8], original: &[u8]) -> Result<(), String> {
    let of = |bytes: &[u8]| {
        let file = options.open_reader(Arc::new(MemoryFile::new("file", bytes.to_vec())));
        file.and_then(|file| Uncompressed::of(&file)).map_err(|error| error.to_string())
    };
    let (ours, original) = (of(ours)?, of(original)?);
    for (i, (ours, original)) in ours.blocks.iter().zip(&original.blocks).enumerate() {
        if ours != original {
            return Err(format!("block {i}: {ours:?}, expected {original:?}"));
        }
    }
    if ours != original {
        return Err(format!("{ours:?}, expected {original:?}"));
    }
    Ok(())
}

/// A file without the effects of its codec: block numbers replace offsets; sizes and checksums are omitted.
#[derive(Debug, PartialEq)]
struct Uncompressed {
    blocks: Vec<Block>,
    trailer: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Block {
    header: String,
    payload: Vec<u8>,
}

impl Uncompressed {
    fn of(file: &HFile) -> hregion::Result<Self> {
        let headers: Vec<_> = file.block_headers().collect::<hregion::Result<_>>()?;
        let numbers: HashMap<i64, i64> =
            headers.iter().zip(0..).map(|((offset, _), i)| (offset.cast_signed(), i)).collect();
        let number = |offset: i64| if offset == -1 { -1 } else { numbers[&offset] };
        let (trailer, mut roots) = (file.trailer(), 0);
        let mut blocks = Vec::new();
        for (offset, _) in headers {
            let (header, payload) = file.block(offset)?;
            let block_type = header.block_type();
            let mut payload = payload.to_vec();
            let places = match block_type {
                BlockType::LeafIndex | BlockType::IntermediateIndex => leaf_places(&payload),
                BlockType::RootIndex => {
                    roots += 1;
                    let entries = [trailer.data_index_count(), trailer.meta_index_count()][roots - 1];
                    let mid_key = roots == 1 && trailer.num_data_index_levels() > 1;
                    root_places(&payload, 0, entries, mid_key)
                }
                BlockType::GeneralBloomMeta | BlockType::DeleteFamilyBloomMeta => bloom_places(&payload),
                _ => Vec::new(),
            };
            for at in places {
                let offset = i64::from_be_bytes(*payload[at..].first_chunk().expect("an offset"));
                payload[at..at + 8].copy_from_slice(&number(offset).to_be_bytes());
                payload[at + 8..at + 12].fill(0);
            }
            let header = format!(
                "{} plain {} previous {} {:?} of {:?}",
                block_type.name(),
                header.uncompressed_size_without_header(),
                number(header.prev_block_offset()),
                header.checksum_type(),
                header.bytes_per_checksum(),
            );
            blocks.push(Block { header, payload });
        }
        let trailer = vec![
            format!("version {}.{}", trailer.major_version(), trailer.minor_version()),
            format!("file info {}", number(trailer.file_info_offset())),
            format!("load on open {}", number(trailer.load_on_open_data_offset().cast_signed())),
            format!("plain index {}", trailer.uncompressed_data_index_size()),
            format!("plain {}", trailer.total_uncompressed_bytes()),
            format!("entries {} {}", trailer.data_index_count(), trailer.meta_index_count()),
            format!("cells {}", trailer.entry_count()),
            format!("levels {}", trailer.num_data_index_levels()),
            format!("first {}", number(trailer.first_data_block_offset())),
            format!("last {}", number(trailer.last_data_block_offset())),
            trailer.comparator_class_name().to_owned(),
            trailer.compression_codec().name().to_owned(),
            format!("encrypted {}", trailer.is_encrypted()),
        ];
        Ok(Self { blocks, trailer })
    }
}

fn int(payload: &[u8], at: usize) -> usize {
    let int = u32::from_be_bytes(*payload[at..].first_chunk().expect("an int"));
    int.try_into().expect("usize has 32 bits at least")
}

/// Returns the positions of the entries' offsets in a leaf or intermediate index block.
fn leaf_places(payload: &[u8]) -> Vec<usize> {
    let n = int(payload, 0);
    (0..n).map(|i| 4 * (n + 2) + int(payload, 4 + 4 * i)).collect()
}

/// Returns the positions of the entries' offsets in a root index, and of the mid-key record if there is one.
fn root_places(payload: &[u8], start: usize, entries: u32, mid_key: bool) -> Vec<usize> {
    let (mut places, mut at) = (Vec::new(), start);
    for _ in 0..entries {
        places.push(at);
        let (len, bytes) = vint(&payload[at + 12..]);
        at += 12 + bytes + len;
    }
    if mid_key {
        places.push(at);
        at += 16;
    }
    assert_eq!(at, payload.len(), "nothing after the entries");
    places
}

/// Returns the positions of the chunks' offsets in the metadata of a Bloom filter.
fn bloom_places(payload: &[u8]) -> Vec<usize> {
    let chunks = u32::try_from(int(payload, 36)).expect("it was one");
    let (len, bytes) = vint(&payload[40..]);
    root_places(payload, 40 + bytes + len, chunks, false)
}

/// Decodes a length in Hadoop's variable-length format. Returns the length and the number of bytes it takes.
fn vint(bytes: &[u8]) -> (usize, usize) {
    match bytes[0].cast_signed() {
        first @ 0.. => (first.unsigned_abs().into(), 1),
        first => {
            let len = usize::from((-112 - i16::from(first)).unsigned_abs());
            (bytes[1..=len].iter().fold(0, |n, &b| n << 8 | usize::from(b)), 1 + len)
        }
    }
}
