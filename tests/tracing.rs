//! The events that a subscriber of crate `tracing` receives.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hregion::io::faulty::{Call, FaultyStorage};
use hregion::{Compaction, ErrorKind, Family, Put, Region, Scheduler};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Collects the events as lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

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

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "hregion"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Uses a region in its events, and collects what it is answered.
#[derive(Clone, Default)]
struct Meddler {
    region: Arc<Mutex<Option<Region>>>,
    answers: Arc<Mutex<Vec<[Option<ErrorKind>; 3]>>>,
}

impl Subscriber for Meddler {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "hregion"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let region = self.region.lock().unwrap().clone();
        let Some(region) = region else { return };
        let answers = [region.flush(), region.compact(Compaction::Major), region.close()];
        self.answers.lock().unwrap().push(answers.map(|answer| answer.err().map(|error| error.kind())));
        assert!(region.health().is_sound() && region.metrics().flushes < 3);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// It is called with the locks of the flush or compaction held.
#[test]
fn a_subscriber_that_uses_the_region_does_not_wait_for_itself() {
    let meddler = Meddler::default();
    tracing::subscriber::with_default(meddler.clone(), || {
        let region = Region::options()
            .create_if_missing(true)
            .family(Family::new("f"))
            .storage(Arc::new(FaultyStorage::new()))
            .scheduler(&Scheduler::inline())
            .open("/r")
            .unwrap();
        *meddler.region.lock().unwrap() = Some(region.clone());
        for _ in 0..2 {
            region.put(Put::new("r").cell("f", "q", "v")).unwrap();
            region.flush().unwrap();
        }
        region.compact(Compaction::Major).unwrap();
        *meddler.region.lock().unwrap() = None;
        region.close().unwrap();
    });
    let refused = Some(ErrorKind::InvalidArgument);
    let (of_flush, of_compaction) = ([refused; 3], [None, refused, refused]);
    assert_eq!(*meddler.answers.lock().unwrap(), [[of_flush; 4].as_slice(), &[of_compaction; 2]].concat());
}

#[test]
fn flushes_compactions_and_failures_are_traced() {
    let (lines, storage) = (Lines::default(), FaultyStorage::new());
    tracing::subscriber::with_default(lines.clone(), || {
        let region = Region::options()
            .create_if_missing(true)
            .family(Family::new("f"))
            .storage(Arc::new(storage.clone()))
            .scheduler(&Scheduler::inline())
            .open("/r")
            .unwrap();
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
    assert_eq!(*lines.0.lock().unwrap(), expected);
}
