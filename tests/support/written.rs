//! Files written by tests: store files, and files in memory.

use hregion::io::FileWriter;
use hregion::{CellRef, HFileWriterOptions, SeekKey, StoreFileOrigin, StoreFileWriter};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Writes a store file of cells, which are in order.
pub(crate) fn write_store_file<V: AsRef<[u8]>>(
    options: HFileWriterOptions,
    path: impl AsRef<Path>,
    cells: impl IntoIterator<Item = (SeekKey, V)>,
    origin: &StoreFileOrigin,
) {
    let mut writer = StoreFileWriter::create(options, path).expect("a file");
    for (key, value) in cells {
        writer.append(CellRef::new(&key, value.as_ref())).expect("a cell in order");
    }
    writer.finish(origin).expect("a file");
}

/// Returns the origin of a file that a job wrote for a bulk load, at a time in milliseconds.
pub(crate) fn job_origin(timestamp: i64) -> StoreFileOrigin {
    StoreFileOrigin::BulkLoad {
        timestamp,
        source_task: b"test".to_vec(),
        exclude_from_minor_compaction: false,
        skip_reset_seq_id: false,
    }
}

/// A file in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryWriter(Arc<Mutex<Vec<u8>>>);

impl MemoryWriter {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no thread panics while holding the lock").clone()
    }
}

impl FileWriter for MemoryWriter {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().expect("no thread panics while holding the lock").extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
