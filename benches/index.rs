//! Searching an index block.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::SeekKey;
use hregion::bench::Index;
use std::hint::black_box;

fn search(c: &mut Criterion) {
    let mut group = c.benchmark_group("index/search");
    group.throughput(Throughput::Elements(1));
    for entries in [100, 2_000, 50_000] {
        // an entry for every 64 rows
        let keys: Vec<_> = (0..entries).map(|i| SeekKey::first_on_row(&support::row(128 * i))).collect();
        let index = Index::new(&keys).expect("ascending keys");
        let wanted = support::present(64 * entries);
        for key in &wanted[..10] {
            assert_eq!(index.search(key), keys.iter().rposition(|k| k.row() <= key.row()));
        }
        let mut next = wanted.iter().cycle();
        group.bench_function(format!("{entries}"), |b| {
            b.iter(|| index.search(black_box(next.next().expect("a cycle has no end"))));
        });
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = search);
criterion_main!(benches);
