//! The bytes of a file, and those that a loss of power preserves.

use super::{Chance, Crash};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of bytes that a disk writes atomically.
const UNIT: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// Shared with the storages that were recorded or remain after a crash.
    pub(super) bytes: Arc<Vec<u8>>,
    synced: usize,
    /// Whether the file was given another name by a hard link: its names are then independent of each other.
    pub(super) is_linked: bool,
    /// The synced bytes of units overwritten since the last sync, by unit number.
    replaced: BTreeMap<usize, Vec<u8>>,
}

impl Content {
    /// Returns the content after a crash.
    pub(super) fn after(&self, crash: Crash, chance: &mut Chance) -> Self {
        let bytes = self.bytes_after(crash, chance);
        let is_linked = self.is_linked;
        Self { synced: bytes.len(), bytes, is_linked, replaced: BTreeMap::new() }
    }

    fn bytes_after(&self, crash: Crash, chance: &mut Chance) -> Arc<Vec<u8>> {
        let rest = self.bytes.len() - self.synced;
        if rest == 0 && self.replaced.is_empty() || crash == Crash::OfTheProcess {
            return Arc::clone(&self.bytes);
        }
        let mut left = match crash {
            Crash::OfTheProcess => unreachable!("all is left"),
            Crash::Hard => self.bytes[..self.synced].to_vec(),
            Crash::Torn => self.bytes[..self.synced + rest / 2].to_vec(),
            Crash::Chance(_) => {
                let len = self.synced + chance.below(rest + 1);
                let mut bytes = self.bytes[..len].to_vec();
                for unit in bytes[self.synced..].chunks_mut(UNIT) {
                    if chance.below(3) == 0 {
                        unit.fill(0);
                    }
                }
                bytes
            }
        };
        for (n, (unit, old)) in self.replaced.iter().enumerate() {
            let is_old = match crash {
                Crash::OfTheProcess => false,
                Crash::Hard => true,
                Crash::Torn => n >= self.replaced.len() / 2,
                Crash::Chance(_) => chance.below(2) == 0,
            };
            if is_old {
                left[unit * UNIT..][..old.len()].copy_from_slice(old);
            }
        }
        Arc::new(left)
    }

    /// Overwrites the bytes from an offset on, and extends the file if needed.
    pub(super) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let over = offset..self.synced.min(offset + bytes.len());
        if !over.is_empty() {
            for unit in over.start / UNIT..over.end.div_ceil(UNIT) {
                let old = &self.bytes[unit * UNIT..self.synced.min((unit + 1) * UNIT)];
                self.replaced.entry(unit).or_insert_with(|| old.to_vec());
            }
        }
        let all = Arc::make_mut(&mut self.bytes);
        all.resize(all.len().max(offset + bytes.len()), 0);
        all[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.bytes.len();
        self.replaced.clear();
    }

    pub(super) fn truncate(&mut self, len: usize) {
        Arc::make_mut(&mut self.bytes).truncate(len);
        self.synced = self.synced.min(self.bytes.len());
        self.replaced.retain(|unit, old| {
            old.truncate(self.synced.saturating_sub(unit * UNIT));
            !old.is_empty()
        });
    }
}
