//! Reads through a cache with a second tier equal reads without a cache: for sound and damaged files, and
//! with failing calls.

use crate::support::rng::Rng;
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::{
    BlockCache, Codec, Compaction, DataBlockEncoding, Family, Get, Put, Region, Row, Scan, Storage,
};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ROWS: usize = 4_000;

fn row(number: usize) -> String {
    format!("row-{number:06}")
}

fn create(dir: &Path, family: Family) -> Region {
    let region = Region::options().create_if_missing(true).family(family).open(dir).unwrap();
    for file in 0..2 {
        for number in (file..ROWS).step_by(2) {
            let put = Put::new(row(number)).cell_at("f", "q", 7, format!("value-{number:0200}"));
            region.put(put.durability(hregion::Durability::SkipWal)).unwrap();
        }
        region.flush().unwrap();
    }
    region
}

/// A small cache, and a second tier that is large enough for every block.
fn cache(dir: &Path, storage: Option<&FaultyStorage>) -> BlockCache {
    let options = BlockCache::options().capacity(60 << 10).second_tier(dir, 4 << 20).second_tier_min_reads(1);
    let to = |storage: &FaultyStorage| Arc::new(storage.clone()) as Arc<dyn Storage>;
    storage.map(to).into_iter().fold(options, |options, to| options.second_tier_storage(to)).build()
}

fn wait(cache: &BlockCache) {
    while cache.stats().second_tier.unwrap().queued > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Reads at random with and without the cache, and compares.
fn compare(cached: &Region, plain: &Region, cache: &BlockCache, seed: u64, reads: usize) {
    let mut rng = Rng::new(seed);
    for read in 0..reads {
        let number = rng.below(ROWS + 10);
        if rng.below(4) > 0 {
            let get = Get::new(row(number));
            assert_eq!(cached.get(&get).unwrap(), plain.get(&get).unwrap());
        } else {
            let reversed = rng.below(2) == 0;
            let scan = Scan::new().start_row(row(number), true).reversed(reversed);
            let scan = scan.cache_blocks(rng.below(3) > 0);
            let most = rng.below(60);
            let rows = |region: &Region| -> Vec<Row> {
                region.scan(scan.clone()).unwrap().take(most).collect::<Result<_, _>>().unwrap()
            };
            assert_eq!(rows(cached), rows(plain));
        }
        if read % 20 == 0 {
            wait(cache);
        }
    }
    wait(cache);
}

fn families() -> Vec<Family> {
    let family = || Family::new("f").block_size(4 << 10);
    let encodings = [DataBlockEncoding::None, DataBlockEncoding::FastDiff, DataBlockEncoding::RowIndexV1];
    let mut families: Vec<Family> =
        encodings.into_iter().map(|encoding| family().data_block_encoding(encoding)).collect();
    families.push(family().codec(Codec::Gz));
    families
}

#[test]
fn answers_are_those_without_a_cache() {
    for (seed, family) in (1..).zip(families()) {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), family.clone()).close().unwrap();
        let tier = dir.path().join("tier");
        let cache = cache(&tier, None);
        let plain = Region::options().open(dir.path()).unwrap();
        let cached = Region::options().cache(&cache).open(dir.path()).unwrap();
        compare(&cached, &plain, &cache, seed, 1500);
        let stats = cache.stats().second_tier.unwrap();
        assert!(stats.hits > 50 && stats.writes > 50 && stats.mismatches == 0, "{family}: {stats:?}");
        assert!(!stats.is_disabled);
        // a file that is opened again gets no blocks of its earlier opening
        drop(cached);
        assert_eq!(cache.stats().second_tier.unwrap().blocks, 0);
        let cached = Region::options().cache(&cache).open(dir.path()).unwrap();
        compare(&cached, &plain, &cache, seed + 100, 300);
        drop((cached, cache));
        assert!(!tier.join("block-cache").exists());
    }
}

#[test]
fn a_compaction_leaves_nothing_of_its_inputs() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), families().remove(0)).close().unwrap();
    let cache = cache(&dir.path().join("tier"), None);
    let cached = Region::options().cache(&cache).writable(true).open(dir.path()).unwrap();
    let scan =
        |region: &Region| region.scan(Scan::new()).unwrap().map(|row| row.unwrap()).collect::<Vec<_>>();
    let before = scan(&cached);
    for number in 0..ROWS {
        drop(cached.get(&Get::new(row(number))).unwrap());
    }
    wait(&cache);
    assert!(cache.stats().second_tier.unwrap().blocks > 50);
    cached.compact(Compaction::Major).unwrap();
    assert_eq!(cache.stats().second_tier.unwrap().blocks, 0);
    assert_eq!(scan(&cached), before);
}

#[test]
fn damage_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), families().remove(0)).close().unwrap();
    let cache = cache(&dir.path().join("tier"), None);
    let plain = Region::options().open(dir.path()).unwrap();
    let cached = Region::options().cache(&cache).open(dir.path()).unwrap();
    compare(&cached, &plain, &cache, 5, 800);
    let file = dir.path().join("tier/block-cache");
    let mut rng = Rng::new(9);
    for round in 0..20 {
        let mut bytes = fs::read(&file).unwrap();
        for at in (rng.below(2000)..bytes.len()).step_by(2000) {
            bytes[at] ^= 1 << rng.below(8);
        }
        fs::write(&file, bytes).unwrap();
        compare(&cached, &plain, &cache, 1000 + round, 100);
    }
    let stats = cache.stats().second_tier.unwrap();
    assert!(stats.mismatches > 20 && !stats.is_disabled, "{stats:?}");
}

#[test]
fn failing_calls_of_the_tier_fail_no_read() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), families().remove(0)).close().unwrap();
    let plain = Region::options().open(dir.path()).unwrap();
    for number in (0..60).chain([100, 200, 300]) {
        let storage = FaultyStorage::new();
        storage.fail_among_all([number]);
        let cache = cache(Path::new("/tier"), Some(&storage));
        let cached = Region::options().cache(&cache).open(dir.path()).unwrap();
        compare(&cached, &plain, &cache, number, 300);
        let stats = cache.stats().second_tier.unwrap();
        assert_eq!(stats.is_disabled, cache.second_tier_failure().is_some());
        assert_eq!(stats.is_disabled, stats.failures > 0);
        assert!(stats.is_disabled || number > 60, "call {number}: {stats:?}");
    }
    for call in [Call::CreateDir, Call::Create, Call::Lock, Call::Write, Call::Read] {
        let storage = FaultyStorage::new();
        storage.break_calls(call);
        let cache = cache(Path::new("/tier"), Some(&storage));
        let cached = Region::options().cache(&cache).open(dir.path()).unwrap();
        compare(&cached, &plain, &cache, 77, 300);
        assert!(cache.stats().second_tier.unwrap().is_disabled, "{call:?}");
    }
}

#[cfg(feature = "crypto")]
#[test]
fn blocks_of_encrypted_files_never_leave_memory() {
    let dir = tempfile::tempdir().unwrap();
    let region = dir.path().join("region");
    let options = || Region::options().master_key([7; 16]);
    let family = families().remove(0).encryption(hregion::Cipher::Aes);
    let created = options().create_if_missing(true).family(family).open(&region).unwrap();
    for number in 0..ROWS {
        created.put(Put::new(row(number)).cell("f", "q", format!("value-{number:0200}"))).unwrap();
    }
    created.close().unwrap();
    let cache = cache(&dir.path().join("tier"), None);
    let cached = options().cache(&cache).open(&region).unwrap();
    for number in (0..ROWS).chain(0..ROWS) {
        assert!(!cached.get(&Get::new(row(number))).unwrap().is_empty());
    }
    wait(&cache);
    let stats = cache.stats();
    let second = stats.second_tier.unwrap();
    assert!(stats.evictions > 100 && (second.writes, second.blocks) == (0, 0), "{stats:?}");
    let bytes = fs::read(dir.path().join("tier/block-cache")).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
}
