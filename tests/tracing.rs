//! The events that a subscriber of the crate `tracing` receives.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hregion::io::faulty::{Call, FaultyStorage};
use hregion::{Compaction, Durability, ErrorKind, Family, Put, Region, Scheduler};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}").unwrap(),
            "task" => write!(self.0, " {value:?}").unwrap(),
            name => write!(self.0, " {name}").unwrap(),
        }
    }
}

/// Calls a function with each event.
struct OnEvent<F>(F);

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Subscriber for OnEvent<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "hregion"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        (self.0)(event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn region(storage: &FaultyStorage) -> Region {
    Region::options()
        .create_if_missing(true)
        .family(Family::new("f"))
        .storage(Arc::new(storage.clone()))
        .scheduler(&Scheduler::inline())
        .open("/r")
        .unwrap()
}

/// The subscriber is called while the locks of the flush or compaction are held.
#[test]
fn a_subscriber_that_uses_the_region_does_not_wait_for_itself() {
    let used = Arc::new(Mutex::new(None::<Region>));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let subscriber = {
        let (used, answers) = (Arc::clone(&used), Arc::clone(&answers));
        OnEvent(move |_: &Event<'_>| {
            let region = used.lock().unwrap().clone();
            let Some(region) = region else { return };
            let found = [region.flush(), region.compact(Compaction::Major), region.close()];
            answers.lock().unwrap().push(found.map(|answer| answer.err().map(|error| error.kind())));
            assert!(region.health().is_healthy() && region.metrics().flushes < 3);
        })
    };
    tracing::subscriber::with_default(subscriber, || {
        let region = region(&FaultyStorage::new());
        *used.lock().unwrap() = Some(region.clone());
        for _ in 0..2 {
            region.put(Put::new("r").cell("f", "q", "v")).unwrap();
            region.flush().unwrap();
        }
        region.compact(Compaction::Major).unwrap();
        *used.lock().unwrap() = None;
        region.close().unwrap();
    });
    let refused = Some(ErrorKind::InvalidArgument);
    let (of_flush, of_compaction) = ([refused; 3], [None, refused, refused]);
    assert_eq!(*answers.lock().unwrap(), [[of_flush; 4].as_slice(), &[of_compaction; 2]].concat());
}

/// The subscriber is called by a write, with the row locked, or by a change of the files.
#[test]
fn a_subscriber_that_uses_a_region_that_is_poisoned_does_not_wait_for_itself() {
    for broken in [Call::Sync, Call::SyncDir] {
        let used = Arc::new(Mutex::new(None::<Region>));
        let (sender, answers) = mpsc::channel();
        let subscriber = {
            let used = Arc::clone(&used);
            OnEvent(move |event: &Event<'_>| {
                let region = used.lock().unwrap().clone();
                let Some(region) = region.filter(|_| *event.metadata().level() == Level::ERROR) else {
                    return;
                };
                let found =
                    [region.flush(), region.compact(Compaction::Major), region.close(), region.abort()];
                let found = found.map(|answer| answer.err().map(|error| error.kind()));
                sender.send((found, region.health().poisoned.is_some())).unwrap();
            })
        };
        let running = thread::spawn(move || {
            tracing::subscriber::with_default(subscriber, || {
                let storage = FaultyStorage::new();
                let region = region(&storage);
                let put = || region.put(Put::new("r").cell("f", "q", "v").durability(Durability::FsyncWal));
                for _ in 0..2 {
                    put().unwrap();
                    region.flush().unwrap();
                }
                put().unwrap();
                *used.lock().unwrap() = Some(region.clone());
                storage.break_calls(broken);
                let failed = if broken == Call::Sync { put() } else { region.compact(Compaction::Major) };
                assert_eq!(failed.unwrap_err().kind(), ErrorKind::Poisoned);
                *used.lock().unwrap() = None;
                storage.repair();
            });
        });
        let answer = answers.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(answer, ([Some(ErrorKind::InvalidArgument); 4], true));
        running.join().unwrap();
    }
}

#[test]
fn flushes_compactions_and_failures_are_traced() {
    let (lines, storage) = (Arc::new(Mutex::new(Vec::new())), FaultyStorage::new());
    let subscriber = {
        let lines = Arc::clone(&lines);
        OnEvent(move |event: &Event<'_>| {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            lines.lock().unwrap().push(line.0);
        })
    };
    tracing::subscriber::with_default(subscriber, || {
        let region = region(&storage);
        let put = || region.put(Put::new("r").cell("f", "q", "v")).unwrap();
        for _ in 0..2 {
            put();
            region.flush().unwrap();
        }
        region.compact(Compaction::Major).unwrap();
        put();
        storage.break_calls(Call::Create);
        region.flush().unwrap_err();
        drop(region);
    });
    let expected = [
        "DEBUG flush started region bytes",
        "INFO flush ended region seq_id",
        "DEBUG flush started region bytes",
        "INFO flush ended region seq_id",
        "DEBUG compaction started region family files bytes all_files",
        "INFO compaction ended region family files",
        "DEBUG flush started region bytes",
        "WARN failed region \"flush\" error",
        "WARN dropped without close region unflushed",
        "DEBUG flush started region bytes",
        "WARN failed region \"flush\" error",
        "ERROR dropped, and could not be flushed region unflushed error",
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}
