//! Failing observers.

use super::{Context, open, region_of};
use hregion::io::faulty::FaultyStorage;
use hregion::region::{CompactionFilter, MiniBatch};
use hregion::{Compaction, Durability, Error, Get, Put, RegionObserver, Result, RowBuf, Scan};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Fails in the named hook.
#[derive(Debug)]
struct Failing(&'static str);

impl Failing {
    fn at(&self, hook: &str) -> Result<()> {
        if self.0 == hook { Err(Error::invalid_argument("the observer fails")) } else { Ok(()) }
    }
}

impl RegionObserver for Failing {
    fn pre_open(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_open")
    }
    fn pre_get_op(&self, _: Context<'_, '_>, _: &Get, _: &mut RowBuf) -> Result<()> {
        self.at("pre_get_op")
    }
    fn pre_put(&self, _: Context<'_, '_>, _: &mut Put) -> Result<()> {
        self.at("pre_put")
    }
    fn pre_batch_mutate(&self, _: Context<'_, '_>, _: &mut MiniBatch<'_>) -> Result<()> {
        self.at("pre_batch_mutate")
    }
    fn post_put(&self, _: Context<'_, '_>, _: &Put) -> Result<()> {
        self.at("post_put")
    }
    fn pre_flush(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_flush")
    }
    fn pre_compact(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        _: bool,
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        self.at("pre_compact")?;
        Ok(None)
    }
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, _: &mut RowBuf) -> Result<()> {
        self.at("post_scanner_next")
    }
}

#[test]
fn an_observer_that_fails_ends_the_operation() {
    let try_all = |hook: &'static str| -> Vec<bool> {
        let region = region_of(Failing(hook));
        let put = region.put(Put::new("a").cell("f", "q", "v")).is_ok();
        let batch = region.batch(vec![Put::new("b").cell("f", "q", "v").into()])[0].is_ok();
        let written = region.memstore_size() > 0;
        let get = region.get(&Get::new("a")).is_ok();
        let scan = region.view().scan(&Scan::new()).unwrap().all(|row| row.is_ok());
        let (flush, compact) = (region.flush().is_ok(), region.compact(Compaction::Major).is_ok());
        vec![put, batch, written, get, scan, flush, compact]
    };
    let expect = |fails: &[usize]| (0..7).map(|i| !fails.contains(&i)).collect::<Vec<_>>();
    for (hook, fails) in [
        ("none", &[][..]),
        ("pre_get_op", &[3]),
        ("pre_put", &[0, 1, 2]),
        ("pre_batch_mutate", &[0, 1, 2]),
        ("post_put", &[0, 1]),
        ("pre_flush", &[5]),
        ("post_scanner_next", &[4]),
    ] {
        assert_eq!(try_all(hook), expect(fails), "{hook}");
    }
    assert!(!try_all("pre_compact")[6]);
    assert!(open(&FaultyStorage::new(), &[(0, Arc::new(Failing("pre_open")))]).is_err());
}

/// Panics when a scan has read a row, and when it is closed.
#[derive(Debug)]
struct PanicsInScans;

impl RegionObserver for PanicsInScans {
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, _: &mut RowBuf) -> Result<()> {
        panic!("a panic that the region survives")
    }
    fn pre_scanner_close(&self, _: Context<'_, '_>, _: &Scan) -> Result<()> {
        panic!("one that may come with another")
    }
}

/// A second panic, when the first one drops the scanner, would abort the process.
#[test]
fn hooks_of_a_scanner_that_is_dropped_may_panic() {
    let region = region_of(PanicsInScans);
    region.put(Put::new("r").cell("f", "q", "v")).unwrap();
    let scan = || region.scan(Scan::new()).unwrap().count();
    assert!(catch_unwind(AssertUnwindSafe(scan)).is_err());
    drop(region.scan(Scan::new()).unwrap());
    assert!(region.exists(&Get::new("r")).unwrap());
}

/// Refuses to let its region be closed, or panics then.
#[derive(Debug)]
struct Open {
    panics: bool,
}

impl RegionObserver for Open {
    fn pre_close(&self, _: Context<'_, '_>) -> Result<()> {
        assert!(!self.panics, "a panic that the region survives");
        Err(Error::invalid_argument("stays open"))
    }
}

#[test]
fn a_region_that_an_observer_keeps_open_loses_nothing_when_it_is_dropped() {
    for panics in [false, true] {
        let storage = FaultyStorage::new();
        let region = open(&storage, &[(0, Arc::new(Open { panics }))]).unwrap();
        // Without a log, only a flush preserves the writes.
        let put =
            |row: &'static str| region.put(Put::new(row).cell("f", "q", "v").durability(Durability::SkipWal));
        put("r").unwrap();
        match catch_unwind(AssertUnwindSafe(|| region.close())) {
            Ok(closed) => assert!(!panics && closed.unwrap_err().to_string().contains("stays open")),
            Err(_) => assert!(panics),
        }
        put("s").unwrap();
        drop(region);
        let region = open(&storage, &[]).unwrap();
        assert_eq!(region.scan(Scan::new()).unwrap().count(), 2, "panics: {panics}");
    }
}
