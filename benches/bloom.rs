//! Probing a chunk of a Bloom filter.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::BloomHashType;
use hregion::bench::BloomChunk;
use std::hint::black_box;

const ROWS: usize = 100_000;

fn probe(c: &mut Criterion) {
    let rows: Vec<_> = (0..ROWS).map(|i| support::row(2 * i)).collect();
    for hash in [BloomHashType::Murmur, BloomHashType::Murmur3, BloomHashType::Jenkins] {
        let chunk = BloomChunk::new(128 << 10, hash, rows.iter().map(|row| &row[..]));
        let mut group = c.benchmark_group(format!("bloom/probe/{}", hash.name()));
        group.throughput(Throughput::Elements(1));
        for (case, keys) in [("present", support::present(ROWS)), ("absent", support::absent(ROWS))] {
            let found = keys.iter().filter(|key| chunk.probe(key.row())).count();
            let expected = if case == "present" { keys.len()..=keys.len() } else { 0..=keys.len() / 50 };
            assert!(expected.contains(&found), "{found} of {}", keys.len());
            let mut next = keys.iter().cycle();
            group.bench_function(case, |b| {
                b.iter(|| chunk.probe(black_box(next.next().expect("a cycle has no end")).row()));
            });
        }
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = probe);
criterion_main!(benches);
