//! Files written to memory.

use hregion::io::FileWriter;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

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
