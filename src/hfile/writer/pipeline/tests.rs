use super::*;
use crate::block::{ChecksumType, Codec, DataBlockEncoding};
use crate::cell::{CellRef, CellType, SeekKey};
use crate::error::{ErrorKind, Result};
use crate::hfile::bloom::BloomType;
use crate::hfile::writer::{HFileWriter, HFileWriterOptions};
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use crate::limits::Limits;
use std::num::NonZeroU32;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const PATH: &str = "dir/file";

/// The codecs of this build.
fn codecs() -> impl Iterator<Item = Codec> {
    let all = [Codec::Gz, Codec::Snappy, Codec::Lz4, Codec::Zstd, Codec::Lzo, Codec::Bzip2, Codec::Brotli];
    all.into_iter().chain([Codec::Lzma]).filter(|codec| codec.require().is_ok())
}

fn options(encoding: DataBlockEncoding, codec: Codec, block_size: usize, limit: usize) -> HFileWriterOptions {
    HFileWriter::options()
        .data_block_encoding(encoding)
        .codec(codec)
        .block_size(block_size)
        .bloom(BloomType::Row)
        // several leaves, levels and chunks
        .index_chunk_size(1 << 10)
        .bloom_chunk_bytes(1 << 9)
        .create_time(1)
        .limits(Limits::new().with_write_behind_bytes(limit))
}

fn append(writer: &mut HFileWriter, cells: u64) -> Result<()> {
    let mut key = SeekKey::new();
    for i in 0..cells {
        let mut value = i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().to_vec();
        // some cells are larger than a block
        value.resize(if i % 500 == 77 { 9_000 } else { 8 + i as usize % 90 }, 7);
        key.set(format!("row-{i:08}").as_bytes(), b"f", b"q", 5, CellType::Put);
        writer.append(CellRef::new(&key, &value).with_seq_id(i as i64))?;
    }
    Ok(())
}

fn write(storage: &FaultyStorage, options: HFileWriterOptions, cells: u64) -> Result<u64> {
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let has_helper = options.limits.write_behind_bytes > 0;
    let mut writer = options.storage(shared).create(PATH)?;
    append(&mut writer, cells)?;
    assert_eq!(writer.sink.has_pipeline(), has_helper);
    writer.finish()
}

#[test]
fn a_file_is_the_same_with_a_helper_and_without() {
    for codec in codecs() {
        // for the slow codecs, a few blocks suffice to find a difference
        let cells = if matches!(codec, Codec::Lzma | Codec::Brotli | Codec::Bzip2) { 900 } else { 4_000 };
        for encoding in DataBlockEncoding::ALL {
            for block_size in [1_000, 4 << 10, 64 << 10] {
                let mut files = [0, 1, 20_000, 4 << 20].map(|limit| {
                    let storage = FaultyStorage::new();
                    write(&storage, options(encoding, codec, block_size, limit), cells).unwrap();
                    (storage.calls(), storage.bytes(Path::new(PATH)).unwrap())
                });
                let first = files[0].clone();
                assert!(files.iter_mut().all(|file| *file == first), "{codec:?} {encoding:?} {block_size}");
            }
        }
    }
}

#[test]
fn a_write_that_fails_leaves_no_file() {
    let Some(codec) = codecs().next() else { return };
    let write = |storage: &FaultyStorage| {
        write(storage, options(DataBlockEncoding::FastDiff, codec, 1_000, 4 << 20), 400)
    };
    let storage = FaultyStorage::new();
    write(&storage).unwrap();
    let calls = storage.calls();
    assert!(calls > 20, "{calls}");
    for n in 0..calls - 1 {
        let storage = FaultyStorage::new();
        storage.fail_after(n);
        write(&storage).unwrap_err();
        assert!(storage.names().is_empty(), "{n}");
    }
}

/// Waits until the helper has processed all blocks.
fn settle(pipeline: &Pipeline) {
    for Pending { job, .. } in &pipeline.blocks {
        loop {
            match job.claim() {
                Claim::Empty => break,
                Claim::Running => {}
                Claim::Waiting(task) => {
                    job.set(task);
                    HELPER.push(job);
                }
                Claim::Done(_) => panic!("it has not panicked"),
            }
            sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_panic_of_the_helper_is_an_error_of_the_writer() {
    let Some(codec) = codecs().next() else { return };
    let storage = FaultyStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let options = options(DataBlockEncoding::None, codec, 1_000, 4 << 20).storage(shared);
    let mut writer = options.create(PATH).unwrap();
    append(&mut writer, 12).unwrap();
    assert!(!writer.sink.has_pipeline());
    let compressor = Compressor::panicking(codec);
    writer.sink.begin_pipeline(compressor, 4 << 20);
    let mut key = SeekKey::of(b"s", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, &[1; 2_000])).unwrap();
    key.set(b"t", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, &[1; 2_000])).unwrap();
    settle(writer.sink.pipeline().unwrap());
    let error = writer.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("panicked"), "{error}");
    assert!(storage.names().is_empty());
}

fn pipeline(codec: Codec, limit: usize) -> (Pipeline, BlockWriter) {
    let compressor = || Compressor::new(codec, &Default::default()).unwrap();
    let per_sum = NonZeroU32::new(16 << 10).unwrap();
    let blocks = BlockWriter::new(compressor(), None, ChecksumType::Crc32c, per_sum);
    (Pipeline::new(compressor(), &blocks, limit).unwrap(), blocks)
}

#[test]
fn what_is_held_and_kept_is_bounded() {
    let Some(codec) = codecs().next() else { return };
    let (mut pipeline, mut blocks) = pipeline(codec, 80_000);
    let mut take = |pipeline: &mut Pipeline| {
        let Some(Ok(block)) = pipeline.take(&mut blocks) else { panic!("no block") };
        let len = block.plain_size;
        pipeline.reuse(block);
        len
    };
    for n in 0..100 {
        let len = [10, 3_000, 39_000, 300_000][n % 4];
        pipeline.push(|out| out.resize(len, n as u8));
        let mut last = 0;
        while pipeline.is_full() {
            last = take(&mut pipeline);
        }
        assert!(pipeline.held <= 80_000 && pipeline.blocks.len() <= MAX_BLOCKS);
        // a block that is larger than the limit is not held
        assert_eq!(last == 300_000, len == 300_000);
        let kept = pipeline.memory.iter().map(|memory| memory.plain.capacity() + memory.stored.capacity());
        assert!(kept.sum::<usize>() <= 2 * 80_000);
    }
    for _ in 0..2 * MAX_BLOCKS {
        pipeline.push(|out| out.push(1));
        while pipeline.is_full() {
            take(&mut pipeline);
        }
    }
    assert_eq!(pipeline.blocks.len(), MAX_BLOCKS);
    assert!(pipeline.memory.len() <= MAX_BLOCKS);
}

#[test]
fn without_a_limit_there_is_no_pipeline() {
    let Some(codec) = codecs().next() else { return };
    let (_, blocks) = pipeline(codec, 1);
    let compressor = Compressor::new(codec, &Default::default()).unwrap();
    assert!(Pipeline::new(compressor, &blocks, 0).is_none());
}
