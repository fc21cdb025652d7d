//! The cache, compared with a linear search in a list.

use super::*;
use bytes::Bytes;

/// Reference implementation: a list of all known regions of a table.
#[derive(Default)]
struct Naive(Vec<RegionLocations>);

impl Naive {
    fn get(&self, row: &[u8]) -> Option<&RegionLocations> {
        let floor = self.0.iter().filter(|known| known.region().start_key() <= row);
        floor.max_by_key(|known| known.region().start_key()).filter(|known| known.region().contains(row))
    }

    fn get_before(&self, row: &[u8]) -> Option<&RegionLocations> {
        let below = self.0.iter().filter(|known| row.is_empty() || known.region().start_key() < row);
        below.max_by_key(|known| known.region().start_key()).filter(|known| {
            let end = known.region().end_key();
            end.is_empty() || !row.is_empty() && end >= row
        })
    }

    fn insert(&mut self, new: &RegionLocations, source: LocationOrigin) {
        let (start, end) = (new.region().start_key(), new.region().end_key());
        let in_the_way = |known: &RegionLocations| {
            let other = known.region().start_key();
            other == start || other > start && (end.is_empty() || other < end)
        };
        let is_younger = |known: &RegionLocations| known.region().region_id() > new.region().region_id();
        let around = self.get(start).is_some_and(is_younger);
        let within = || self.0.iter().any(|known| in_the_way(known) && is_younger(known));
        if source == LocationOrigin::Prefetched && (around || within()) {
            return;
        }
        let same = self.0.iter().find(|known| {
            known.region().start_key() == start && known.region().region_id() == new.region().region_id()
        });
        let is_newer = same.is_some_and(|known| known.server().is_some() && known.seq_num() > new.seq_num());
        let replica = if is_newer { same.unwrap().replicas()[0].clone() } else { new.replicas()[0].clone() };
        let new = RegionLocations::new(new.region().clone(), [replica]);
        self.0.retain(|known| !in_the_way(known));
        self.0.push(new);
    }

    fn on_fault(&mut self, used: &RegionLocations, fault: &RegionException) {
        match fault {
            RegionException::ServerGone => self.0.retain(|known| known.server() != used.server()),
            RegionException::RegionMoved { server, seq_num } => {
                for known in &mut self.0 {
                    let seq_num = seq_num.unwrap();
                    if known.region().name() == used.region().name()
                        && (known.server() == used.server() || seq_num > known.seq_num())
                    {
                        let moved = Replica::on(server.clone(), seq_num);
                        *known = RegionLocations::new(known.region().clone(), [moved]);
                    }
                }
            }
            _ => self.0.retain(|known| {
                known.region().name() != used.region().name()
                    || known.server() != used.server()
                    || known.seq_num() > used.seq_num()
            }),
        }
    }
}

#[test]
fn an_iterator_of_locations_may_use_the_cache() {
    let (cache, table) = (MetaCache::new(), TableName::parse("t").unwrap());
    let region = |start: &str, end: &str| {
        let info = RegionInfo::new(table.clone(), start.as_bytes().to_vec(), end.as_bytes().to_vec(), 1);
        RegionLocations::new(info.unwrap(), [Replica::UNKNOWN])
    };
    cache.insert(region("", "c"), LocationOrigin::LookedUp);
    let known = Arc::clone(cache.tables.load().get(&table).unwrap());
    let is_free = |_: &RegionLocations| assert!(known.changing.try_lock().is_ok());
    cache.insert_all(
        [region("c", "m"), region("m", "")].into_iter().inspect(is_free),
        LocationOrigin::LookedUp,
    );
    assert_eq!(cache.len(&table), 3);
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// A table whose regions split, merge and move.
struct Truth {
    table: TableName,
    regions: Vec<RegionLocations>,
    id: i64,
    rng: Rng,
}

impl Truth {
    fn row(&mut self) -> Bytes {
        let row = format!("row-{:04}", self.rng.below(2_000));
        // some keys are prefixes of others, or lack the common prefix
        match self.rng.below(20) {
            0 => format!("{row}\0").into(),
            1 => row[..self.rng.below(8)].to_owned().into(),
            2 => format!("{}{row}", self.rng.below(10)).into(),
            _ => row.into(),
        }
    }

    fn server(&mut self) -> ServerName {
        let id = self.rng.below(5);
        ServerName::new("h", 1, i64::try_from(id).unwrap()).unwrap()
    }

    fn region(&mut self, start: &[u8], end: &[u8]) -> RegionLocations {
        self.id += 1;
        let (start, end) = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
        let region = RegionInfo::new(self.table.clone(), start, end, self.id).unwrap();
        RegionLocations::new(region, [Replica::on(self.server(), self.id)])
    }

    fn split(&mut self) {
        let at = self.row();
        let i = self.regions.iter().position(|region| region.region().contains(&at)).unwrap();
        let (start, end) = (self.regions[i].region().start_key(), self.regions[i].region().end_key());
        let (start, end) = (start.to_vec(), end.to_vec());
        if start != at && !at.is_empty() {
            let daughters = [self.region(&start, &at), self.region(&at, &end)];
            self.regions.splice(i..=i, daughters);
        }
    }

    fn merge(&mut self) {
        if self.regions.len() > 1 {
            let i = self.rng.below(self.regions.len() - 1);
            let start = self.regions[i].region().start_key().to_vec();
            let end = self.regions[i + 1].region().end_key().to_vec();
            let merged = self.region(&start, &end);
            self.regions.splice(i..=i + 1, [merged]);
        }
    }

    fn move_one(&mut self) -> RegionLocations {
        let (i, server) = (self.rng.below(self.regions.len()), self.server());
        self.id += 1;
        let moved = RegionLocations::new(self.regions[i].region().clone(), [Replica::on(server, self.id)]);
        std::mem::replace(&mut self.regions[i], moved)
    }
}

/// Performs `steps` changes and lookups; returns how many lookups found a region.
fn compare(steps: usize, seed: u64) -> usize {
    let table = TableName::parse("ns:t").unwrap();
    let mut truth = Truth { table: table.clone(), regions: Vec::new(), id: 0, rng: Rng(seed) };
    let all = truth.region(b"", b"");
    truth.regions.push(all);
    // outdated locations, which may arrive late
    let mut old: Vec<RegionLocations> = truth.regions.clone();
    let (cache, mut naive) = (MetaCache::new(), Naive::default());
    let mut hits = 0;
    for step in 0..steps {
        let row = truth.row();
        // grows and shrinks alternately, to cover many and few regions
        let grows = step / 20_000 % 2 == 0;
        match truth.rng.below(100) {
            0..12 if grows => truth.split(),
            0..8 => truth.merge(),
            8..12 => truth.split(),
            12..16 => old.push(truth.move_one()),
            16..45 => {
                let i = truth.rng.below(truth.regions.len());
                let new = truth.regions[i].clone();
                let source = [LocationOrigin::LookedUp, LocationOrigin::Prefetched][truth.rng.below(2)];
                naive.insert(&new, source);
                cache.insert(new, source);
            }
            45..48 => {
                let source =
                    [LocationOrigin::LookedUp, LocationOrigin::Prefetched, LocationOrigin::Prefetched]
                        [truth.rng.below(3)];
                let late = old[truth.rng.below(old.len())].clone();
                naive.insert(&late, source);
                cache.insert(late, source);
            }
            48..51 => {
                if let Some(found) = naive.get(&row).cloned() {
                    let moved =
                        RegionException::RegionMoved { server: truth.server(), seq_num: Some(truth.id) };
                    let fault = [
                        RegionException::NotServingRegion,
                        RegionException::Unknown,
                        RegionException::RegionOpening,
                        moved,
                    ][truth.rng.below(4)]
                    .clone();
                    if fault.is_relocation() {
                        naive.on_fault(&found, &fault);
                    }
                    cache.on_fault(&found, 0, &fault);
                }
            }
            51 => {
                let late = old[truth.rng.below(old.len())].clone();
                naive.on_fault(&late, &RegionException::NotServingRegion);
                cache.on_fault(&late, 0, &RegionException::NotServingRegion);
            }
            52 => {
                cache.remove_row(&table, &row);
                if let Some(name) = naive.get(&row).map(|found| found.region().name()) {
                    naive.0.retain(|known| known.region().name() != name);
                }
            }
            53 => {
                let gone = old[truth.rng.below(old.len())].region().clone();
                cache.remove_region(&gone);
                naive.0.retain(|known| known.region().name() != gone.name());
            }
            54 if step % 50 == 0 => {
                let server = truth.server();
                cache.clear_server(&server);
                naive.0.retain(|known| known.server() != Some(&server));
            }
            55 if step % 500 == 0 => {
                cache.clear_table(&table);
                naive.0.clear();
            }
            choice => {
                let before = choice % 4 == 0;
                let (found, expected) = if before {
                    (cache.get_before(&table, &row), naive.get_before(&row))
                } else {
                    (cache.get(&table, &row).map(RegionLocations::from), naive.get(&row))
                };
                assert_eq!(found.as_ref(), expected, "step {step}, row {row:?}, before: {before}");
                hits += usize::from(found.is_some());
            }
        }
        assert_eq!(cache.len(&table), naive.0.len(), "step {step}");
        if step % 1_000 == 0 {
            naive.0.sort_by(|a, b| a.region().start_key().cmp(b.region().start_key()));
            assert_eq!(cache.regions_of(&table), naive.0, "step {step}");
            if old.len() > 5_000 {
                old.drain(..4_000);
            }
        }
    }
    hits
}

#[test]
fn the_cache_agrees_with_a_list() {
    let hits = compare(100_000, 7);
    assert!(hits > 10_000, "{hits}");
}

#[test]
#[ignore = "takes a minute"]
fn the_cache_agrees_with_a_list_for_long() {
    assert!(compare(1_000_000, 8) > 100_000);
}

fn region(start: &'static str, end: &'static str, id: i64) -> RegionInfo {
    RegionInfo::new(TableName::parse("t").unwrap(), start, end, id).unwrap()
}

fn on(region: &RegionInfo, server: i64, seq_num: i64) -> RegionLocations {
    RegionLocations::new(region.clone(), [Replica::on(ServerName::new("h", 1, server).unwrap(), seq_num)])
}

#[test]
fn parents_do_not_hide_a_merged_region() {
    let (cache, table) = (MetaCache::new(), TableName::parse("t").unwrap());
    cache.insert(on(&region("", "c", 1), 1, 1), LocationOrigin::LookedUp);
    cache.insert(on(&region("c", "m", 1), 1, 1), LocationOrigin::LookedUp);
    let merged = on(&region("", "z", 2), 1, 5);
    cache.insert(merged.clone(), LocationOrigin::LookedUp);
    assert_eq!(cache.regions_of(&table), std::slice::from_ref(&merged));
    assert_eq!(cache.get(&table, b"n").as_deref(), Some(&merged));
    // a parent that arrives late replaces nothing
    cache.insert(on(&region("c", "m", 1), 1, 9), LocationOrigin::Prefetched);
    assert_eq!(cache.get(&table, b"n").as_deref(), Some(&merged));
    cache.insert(on(&region("", "c", 1), 1, 9), LocationOrigin::Prefetched);
    assert_eq!(cache.regions_of(&table), [merged]);
}

#[test]
fn a_late_fault_keeps_a_newer_location() {
    let (cache, table) = (MetaCache::new(), TableName::parse("t").unwrap());
    let region = region("", "", 1);
    let (old, new) = (on(&region, 1, 5), on(&region, 2, 6));
    cache.insert(new.clone(), LocationOrigin::LookedUp);
    cache.insert(old.clone(), LocationOrigin::LookedUp);
    assert_eq!(cache.get(&table, b"a").as_deref(), Some(&new), "the greater sequence number wins");
    cache.on_fault(&old, 0, &RegionException::NotServingRegion);
    assert_eq!(cache.get(&table, b"a").as_deref(), Some(&new));
    // a redirect is followed even if its sequence number is smaller
    let moved =
        RegionException::RegionMoved { server: ServerName::new("h", 1, 3).unwrap(), seq_num: Some(2) };
    cache.on_fault(&old, 0, &moved);
    assert_eq!(cache.get(&table, b"a").as_deref(), Some(&new));
    cache.on_fault(&new, 0, &moved);
    assert_eq!(cache.get(&table, b"a").as_deref(), Some(&on(&region, 3, 2)));
    cache.on_fault(&on(&region, 3, 2), 0, &RegionException::RegionOpening);
    cache.clear_server(&ServerName::new("h", 1, 4).unwrap());
    assert_eq!(cache.get(&table, b"a").as_deref(), Some(&on(&region, 3, 2)));
    cache.on_fault(&on(&region, 3, 2), 0, &RegionException::ServerGone);
    assert!(cache.is_empty(&table));
}

#[test]
fn copies_are_known_one_by_one() {
    let (cache, table) = (MetaCache::new(), TableName::parse("t").unwrap());
    let server = |id| ServerName::new("h", 1, id).unwrap();
    let both = |a, b| {
        RegionLocations::new(region("", "", 1), [Replica::on(server(1), a), Replica::on(server(2), b)])
    };
    cache.insert(both(5, 5), LocationOrigin::LookedUp);
    cache.insert(both(4, 6), LocationOrigin::LookedUp);
    assert_eq!(cache.get(&table, b"").as_deref(), Some(&both(5, 6)));
    cache.on_fault(&both(5, 6), 1, &RegionException::NotServingRegion);
    let left = cache.get(&table, b"").unwrap();
    assert_eq!(left.replicas(), [Replica::on(server(1), 5), Replica::UNKNOWN]);
    cache.insert(on(&region("", "", 1), 1, 7), LocationOrigin::LookedUp);
    assert_eq!(cache.get(&table, b"").unwrap().replicas().len(), 1, "there are fewer copies now");
}

#[test]
fn a_region_can_have_as_many_copies_as_ids() {
    let (cache, table) = (MetaCache::new(), TableName::parse("t").unwrap());
    let copies = vec![Replica::on(ServerName::new("h", 1, 1).unwrap(), 1); 1 << 16];
    for _ in 0..2 {
        cache.insert(RegionLocations::new(region("", "", 1), copies.clone()), LocationOrigin::LookedUp);
        assert_eq!(cache.get(&table, b"").unwrap().replicas().len(), copies.len());
    }
}
