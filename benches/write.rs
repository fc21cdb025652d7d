//! Writing files to memory: every encoding, two of them with all codecs, with and without a Bloom filter.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::io::FileWriter;
use hregion::{BloomType, Cell, CellRef, Codec, DataBlockEncoding, HFileWriter};
use std::io;
use std::path::Path;
use support::name;

/// A file that discards its contents, so that the disk is not measured.
#[derive(Debug)]
struct Nowhere;

impl FileWriter for Nowhere {
    fn path(&self) -> &Path {
        Path::new("nowhere")
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns `None` if the codec is not built in.
fn write(cells: &[Cell], encoding: DataBlockEncoding, codec: Codec, bloom: Option<BloomType>) -> Option<u64> {
    let options = HFileWriter::options().data_block_encoding(encoding).codec(codec).bloom(bloom);
    let mut writer = options.create_in(Box::new(Nowhere)).ok()?;
    for cell in cells {
        writer.append(cell.as_ref()).expect("cells in order");
    }
    Some(writer.finish().expect("a file that takes everything"))
}

fn writes(c: &mut Criterion) {
    let cells = support::cells(support::rows());
    let bytes = |cell: CellRef<'_>| cell.key().as_bytes().len() + cell.value().len();
    let bytes: usize = cells.iter().map(|cell| bytes(cell.as_ref())).sum();
    let codecs = [Codec::None, Codec::Lz4, Codec::Snappy, Codec::Zstd, Codec::Gz];
    for encoding in DataBlockEncoding::ALL {
        let all = matches!(encoding, DataBlockEncoding::None | DataBlockEncoding::FastDiff);
        for codec in codecs.into_iter().take(if all { codecs.len() } else { 1 }) {
            let codec_name = codec.name().to_ascii_lowercase();
            let mut group = c.benchmark_group(format!("write/{}/{codec_name}/64KiB", name(encoding)));
            group.throughput(Throughput::Bytes(bytes as u64)).sample_size(10);
            for (case, bloom) in [("plain", None), ("bloom", Some(BloomType::Row))] {
                if write(&cells[..1], encoding, codec, bloom).is_none() {
                    continue;
                }
                group.bench_function(case, |b| b.iter(|| write(&cells, encoding, codec, bloom)));
            }
        }
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = writes }
criterion_main!(benches);
