//! A hit in the block cache: by key, and by the slot of the index entry, alone and with a second thread.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::bench::CachedBlocks;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

type Hit = fn(&CachedBlocks, usize) -> usize;

const BYTES: usize = 1 << 10;
const HITS: [(&str, Hit); 3] = [
    ("key", |blocks, i| blocks.by_key(i).expect("a cached block")),
    ("slot-held", |blocks, i| blocks.by_slot(i).expect("a cached block")),
    ("slot", |blocks, i| blocks.in_slot(i).expect("a cached block")),
];

fn hit(c: &mut Criterion) {
    for count in [8, 4_096] {
        let blocks = CachedBlocks::new(count, BYTES).expect("room for all");
        let mut rng = support::Rng::new(3);
        let order: Vec<usize> = (0..1 << 12).map(|_| rng.below(count)).collect();
        for (name, hit) in HITS {
            assert!(order.iter().all(|&i| hit(&blocks, i) == BYTES));
            let mut group = c.benchmark_group(format!("cache/hit/{name}/{count}-blocks"));
            group.throughput(Throughput::Elements(1));
            let mut next = order.iter().cycle();
            let mut one = || hit(&blocks, *black_box(next.next().expect("a cycle has no end")));
            group.bench_function("alone", |b| b.iter(&mut one));
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut next = order.iter().rev().cycle();
                    while !stop.load(Ordering::Relaxed) {
                        black_box(hit(&blocks, *next.next().expect("a cycle has no end")));
                    }
                });
                group.bench_function("beside-another", |b| b.iter(&mut one));
                stop.store(true, Ordering::Relaxed);
            });
        }
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = hit);
criterion_main!(benches);
