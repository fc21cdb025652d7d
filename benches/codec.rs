//! Compressing and decompressing blocks of a table, with every built-in codec.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::bench::{EncodedBlock, compress, decompress};
use hregion::{Codec, DataBlockEncoding};
use std::hint::black_box;

fn codec(c: &mut Criterion) {
    let cells = support::cells(support::rows().min(5_000));
    for encoding in [DataBlockEncoding::None, DataBlockEncoding::FastDiff] {
        let block = EncodedBlock::new(&cells, encoding, 64 << 10).expect("cells of a table");
        let plain = block.payload();
        for codec in Codec::ALL {
            let Ok(payload) = compress(codec, plain) else { continue };
            let mut out = Vec::new();
            decompress(codec, &payload, plain.len(), &mut out).expect("what was compressed");
            assert!(out == plain);
            let case = format!("{}/{}", codec.name().to_ascii_lowercase(), support::name(encoding));
            let mut group = c.benchmark_group("codec");
            group.throughput(Throughput::Bytes(plain.len() as u64));
            group.bench_function(format!("decompress/{case}"), |b| {
                b.iter(|| {
                    out.clear();
                    decompress(codec, black_box(&payload), plain.len(), &mut out)
                });
            });
            group
                .bench_function(format!("compress/{case}"), |b| b.iter(|| compress(codec, black_box(plain))));
        }
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = codec);
criterion_main!(benches);
