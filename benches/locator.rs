//! A lookup of a known region among 100,000: alone and with a second thread, compared with an ordinary
//! ordered map; and with the address of its server, for which the memory of the region is read.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::locator::{LocationOrigin, MetaCache, Replica};
use hregion::{RegionInfo, RegionLocations, ServerName, TableName};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const REGIONS: usize = 100_000;

fn regions(table: &TableName) -> Vec<RegionLocations> {
    let key = |i: usize| match i % REGIONS {
        0 => String::new(),
        i => format!("user{:012}", i * 7_919),
    };
    let server = |i: usize| ServerName::new(format!("host{}", i % 100), 16_020, 1).expect("a host");
    let region = |i| RegionInfo::new(table.clone(), key(i), key(i + 1), 1).expect("a region");
    (0..REGIONS).map(|i| RegionLocations::new(region(i), [Replica::on(server(i), 2)])).collect()
}

fn look_up(c: &mut Criterion) {
    let table = TableName::parse("ns:users").expect("a name");
    let regions = regions(&table);
    let cache = MetaCache::new();
    cache.insert_all(regions.iter().cloned(), LocationOrigin::LookedUp);
    let map: BTreeMap<Vec<u8>, RegionLocations> =
        regions.iter().map(|known| (known.region().start_key().to_vec(), known.clone())).collect();
    let mut rng = support::Rng::new(5);
    let rows: Vec<Vec<u8>> =
        (0..1 << 16).map(|_| format!("user{:012}", rng.below(REGIONS * 7_919)).into_bytes()).collect();

    let cached = |row: &[u8]| cache.get(&table, row).expect("a known region");
    let in_map = |row: &[u8]| {
        let (_, found) = map
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(row)))
            .next_back()
            .expect("a region before");
        Some(found).filter(|found| found.region().contains(row)).cloned().expect("a known region")
    };
    assert!(rows.iter().all(|row| *cached(row) == in_map(row)));
    bench(c, "meta-cache", &rows, &cached);
    bench(c, "ordered-map", &rows, &in_map);
    let port = |found: &RegionLocations| found.server().expect("a server").port();
    bench(c, "meta-cache-server", &rows, &|row| port(&cached(row)));
    bench(c, "ordered-map-server", &rows, &|row| port(&in_map(row)));

    let mut group = c.benchmark_group("locator/insert/100000-regions");
    group.throughput(Throughput::Elements(1));
    let mut next = regions.iter().cycle();
    group.bench_function("meta-cache", |b| {
        b.iter(|| cache.insert(next.next().expect("a cycle has no end").clone(), LocationOrigin::LookedUp));
    });
    group.finish();
}

fn bench<T>(c: &mut Criterion, name: &str, rows: &[Vec<u8>], get: &(dyn Fn(&[u8]) -> T + Sync)) {
    let mut group = c.benchmark_group(format!("locator/lookup/{name}/100000-regions"));
    group.throughput(Throughput::Elements(1));
    let mut next = rows.iter().cycle();
    let mut one = || get(black_box(next.next().expect("a cycle has no end")));
    group.bench_function("alone", |b| b.iter(&mut one));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = rows.iter().rev().cycle();
            while !stop.load(Ordering::Relaxed) {
                black_box(get(next.next().expect("a cycle has no end")));
            }
        });
        group.bench_function("beside-another", |b| b.iter(&mut one));
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

criterion_group!(name = benches; config = support::criterion(); targets = look_up);
criterion_main!(benches);
