//! From several files of a store to one (read-path.md §17).

use super::{Inner, Region, lock};
use crate::error::Result;
use crate::metrics::ReadCounts;
use crate::store::StoreFile;
use crate::store::compact::{self, CompactionConfig};

/// Which files to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compaction {
    /// All of them: delete markers and what they hide go.
    Major,
    /// Those that the policy chooses, if there are enough that are alike (HBase: `ExploringCompactionPolicy`).
    Minor,
}

impl Region {
    /// Compacts the files of each family.
    ///
    /// Reads go on meanwhile. Files that are no longer needed are moved to the archive of HBase's root directory, if the region is in
    /// one, and removed otherwise; views that are open still read them.
    ///
    /// # Errors
    ///
    /// If the region is read-only, or a file cannot be read or written. The files are what they were then.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        self.0.compact_all(compaction)
    }

    /// As [`compact`](Self::compact), of one family.
    ///
    /// # Errors
    ///
    /// As there, or if the family is unknown.
    pub fn compact_family(&self, family: impl AsRef<[u8]>, compaction: Compaction) -> Result<()> {
        self.0.compact(self.0.store_index(family.as_ref())?, compaction)
    }

    /// Compacts the `count` files of a family that begin with the `from`-th oldest, or those of them that there are.
    ///
    /// Files that have expired as a whole are dropped first, and not counted.
    ///
    /// # Errors
    ///
    /// As [`compact_family`](Self::compact_family).
    pub fn compact_files(&self, family: impl AsRef<[u8]>, from: usize, count: usize) -> Result<()> {
        let store = self.0.store_index(family.as_ref())?;
        self.0.compact_chosen(store, |files, _| {
            let mut files: Vec<StoreFile> = files.to_vec();
            files.sort_by_key(|file| (file.max_seq_id(), file.bulk_load_time().is_some()));
            files.into_iter().skip(from).take(count).collect()
        })
    }
}

impl Inner {
    /// Compacts every store.
    pub(super) fn compact_all(&self, compaction: Compaction) -> Result<()> {
        (0..self.stores.len()).try_for_each(|store| self.compact(store, compaction))
    }

    fn compact(&self, store: usize, compaction: Compaction) -> Result<()> {
        self.compact_chosen(store, |files, now| match compaction {
            Compaction::Major => files.to_vec(),
            Compaction::Minor => {
                let candidates: Vec<_> = files.iter().map(StoreFile::candidate).collect();
                let config = CompactionConfig::default();
                let ttl = self.stores[store].family.ttl_millis();
                let chosen = compact::select(&candidates, &[], &config, now, ttl, false, false);
                let chosen = chosen.map_or_else(Vec::new, |selection| selection.files);
                chosen.into_iter().map(|i| files[i].clone()).collect()
            }
        })
    }

    /// Drops files that have expired, and merges those that are chosen of the others.
    fn compact_chosen(
        &self,
        store: usize,
        choose: impl FnOnce(&[StoreFile], i64) -> Vec<StoreFile>,
    ) -> Result<()> {
        self.check_writable()?;
        let _compacting = lock(&self.compacting);
        let now = self.clock.now();
        self.drop_expired(store, now)?;
        let files = self.states.load().stores[store].files.clone();
        let inputs = choose(&files, now);
        if inputs.is_empty() {
            return Ok(());
        }
        let all_files = inputs.len() == files.len();
        let smallest = self.mvcc.smallest_read_point();
        let output = self.stores[store].compact(&inputs, all_files, smallest, now)?;
        self.replace(store, &inputs, vec![output])?;
        self.counters.add(&ReadCounts { compactions: 1, ..ReadCounts::default() });
        Ok(())
    }

    /// Drops the files of which every cell has expired (§17.5, "unneeded files").
    fn drop_expired(&self, store: usize, now: i64) -> Result<()> {
        let family = &self.stores[store].family;
        let files = self.states.load().stores[store].files.clone();
        let candidates: Vec<_> = files.iter().map(StoreFile::candidate).collect();
        let expired = compact::expired(&candidates, &[], now, family.ttl_millis(), family.min_versions);
        let expired: Vec<StoreFile> = expired.into_iter().map(|i| files[i].clone()).collect();
        match expired.is_empty() {
            true => Ok(()),
            false => self.replace(store, &expired, Vec::new()),
        }
    }

    /// Puts files in place of others, which go to the archive.
    fn replace(&self, store: usize, inputs: &[StoreFile], outputs: Vec<StoreFile>) -> Result<()> {
        self.swap(store, |state| state.compacted(inputs, outputs));
        inputs.iter().try_for_each(|file| {
            self.dir.archive(self.stores[store].family.name(), &self.stores[store].dir.join(file.name()))
        })
    }
}
