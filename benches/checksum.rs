//! Verifying the checksums of a block.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::ChecksumType;
use hregion::bench::{finish_block, verify};
use std::hint::black_box;
use std::num::NonZeroU32;

fn checksum(c: &mut Criterion) {
    let per_sum = NonZeroU32::new(16 << 10).expect("not 0");
    for checksum in [ChecksumType::Crc32, ChecksumType::Crc32c] {
        let mut group =
            c.benchmark_group(format!("checksum/verify/{}", checksum.name().to_ascii_lowercase()));
        for (bytes, size) in [(4 << 10, "4KiB"), (64 << 10, "64KiB")] {
            let mut rng = support::Rng::new(1);
            let payload: Vec<u8> = (0..bytes).map(|_| rng.next().to_be_bytes()[0]).collect();
            let block = finish_block(&payload, checksum, per_sum).expect("a small block");
            verify(&block).expect("a sound block");
            group.throughput(Throughput::Bytes(block.len() as u64));
            group.bench_function(size, |b| b.iter(|| verify(black_box(&block))));
        }
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = checksum);
criterion_main!(benches);
