//! Replays concurrent with flushes and compactions.

use super::*;
use crate::cell::{CellType, SeekKey};
use crate::io::FileIdentity;
use crate::io::faulty::FaultyStorage;
use crate::op::Put;
use crate::region::Compaction;
use crate::schema::Family;
use crate::wal::{WalKey, WalWriterOptions};
use std::sync::Weak;
use std::sync::atomic::AtomicUsize;

/// A log during whose reading no flush of a region may begin.
#[derive(Debug)]
struct Watched {
    file: Arc<dyn FileReader>,
    region: Weak<RegionCore>,
    reads: AtomicUsize,
}

impl Watched {
    fn check(&self) {
        let region = self.region.upgrade().unwrap();
        assert!(region.updates.try_exclusive().is_none());
        self.reads.fetch_add(1, Ordering::Relaxed);
    }
}

impl FileReader for Watched {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.file.identity()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.check();
        self.file.read_exact_at(buf, offset)
    }

    fn read_in_place(&self, offset: u64, len: usize, read: &mut dyn FnMut(&[u8])) -> bool {
        self.check();
        self.file.read_in_place(offset, len, read)
    }

    fn is_remote(&self) -> bool {
        self.file.is_remote()
    }

    fn may_read_ahead(&self) -> bool {
        self.file.may_read_ahead()
    }
}

fn open() -> (Arc<dyn Storage>, Region) {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let options = Region::options().storage(Arc::clone(&storage)).create_if_missing(true);
    let region = options.family(Family::new("f")).open("/region").unwrap();
    (storage, region)
}

/// Cells that a marker hides may still be replayed.
#[test]
fn nothing_is_compacted_before_all_edits_are_in_files() {
    let (_, region) = open();
    for row in ["a", "b"] {
        region.put(Put::new(row).cell("f", "q", "v")).unwrap();
        region.flush().unwrap();
    }
    let compacted = || {
        region.compact(Compaction::Major).unwrap();
        region.store_file_count("f")
    };
    region.0.replaying.is_under_way.store(true, Ordering::Release);
    assert_eq!(compacted(), Some(2));
    region.0.replaying.end();
    assert_eq!(compacted(), Some(1));
}

/// A region that replays edits in several windows may be flushed between them, to free memory for another
/// region. A flush that began within a window would write only a part of its cells, and later ones would be
/// in no file.
#[test]
fn no_flush_begins_while_a_window_is_replayed() {
    let (storage, region) = open();
    let (info, path) = (region.info().clone(), PathBuf::from("/edits/log"));
    let encoded_name = info.encoded_name();
    storage.create_dir_all(durable::parent(&path)).unwrap();
    let mut log = WalWriterOptions::new().create_in(&*storage, &path).unwrap();
    let key = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
    log.append(&WalKey::new(&*encoded_name, "default", 100, 1), [CellRef::new(&key, b"v")]).unwrap();
    log.close().unwrap();
    let file = storage.open(&path).unwrap();
    let watched = Arc::new(Watched { file, region: Arc::downgrade(&region.0), reads: AtomicUsize::new(0) });
    let file = Arc::clone(&watched) as Arc<dyn FileReader>;
    let edits = RecoveredEdits {
        info,
        storage,
        reading: WalReaderOptions::new(),
        logs: vec![Log { path, file, is_given: true, is_shared: true }],
        accept_torn: false,
        encoded_name,
        files: BTreeMap::new(),
    };
    let later = LaterEdits { edits, windows: vec![ALL], flushed: vec![0] };
    region.0.replay_later(&later, &mut Replayed::default()).unwrap();
    assert!(watched.reads.load(Ordering::Relaxed) > 0 && region.memstore_size() > 0);
    assert!(region.0.updates.try_exclusive().is_some());
}
