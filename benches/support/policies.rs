//! Cache policies with which the block cache is compared. They store only block numbers; all blocks have one
//! size.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Decides which blocks are kept in a cache.
pub(crate) trait Policy {
    /// Uses a block: returns whether it is in the cache, and inserts it if it is not.
    fn access(&mut self, block: usize) -> bool;
}

/// Evicts the block that was used least recently.
#[derive(Default)]
pub(crate) struct Lru {
    capacity: usize,
    now: u64,
    used: HashMap<usize, u64>,
    by_use: BTreeMap<u64, usize>,
}

impl Lru {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }
}

impl Policy for Lru {
    fn access(&mut self, block: usize) -> bool {
        self.now += 1;
        self.by_use.insert(self.now, block);
        if let Some(before) = self.used.insert(block, self.now) {
            self.by_use.remove(&before);
            return true;
        }
        if self.used.len() > self.capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.used.remove(&oldest);
        }
        false
    }
}

/// HBase's `LruBlockCache`: blocks used once may take a quarter, those used more often half; the quarter of
/// families in memory is not used. Evicts down to 95 percent when it is full to 99.
pub(crate) struct LruBlockCache {
    capacity: usize,
    now: u64,
    /// When each block was used, and whether it was used more than once.
    blocks: HashMap<usize, (u64, bool)>,
}

impl LruBlockCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, now: 0, blocks: HashMap::new() }
    }

    fn evict(&mut self) {
        let kept = self.capacity * 95 / 100;
        let mut to_free = self.blocks.len().saturating_sub(kept);
        let mut buckets: Vec<(usize, Vec<(u64, usize)>)> =
            vec![(self.capacity / 4, Vec::new()), (self.capacity / 2, Vec::new())];
        for (block, (used, is_multi)) in &self.blocks {
            buckets[usize::from(*is_multi)].1.push((*used, *block));
        }
        let overflow = |(size, blocks): &(usize, Vec<_>)| blocks.len().saturating_sub(*size);
        buckets.sort_by_key(overflow);
        for (n, bucket) in buckets.iter_mut().enumerate() {
            let share = overflow(bucket).min(to_free / (2 - n));
            bucket.1.sort_unstable();
            for (_, block) in bucket.1.drain(..share) {
                self.blocks.remove(&block);
                to_free -= 1;
            }
        }
    }
}

impl Policy for LruBlockCache {
    fn access(&mut self, block: usize) -> bool {
        self.now += 1;
        let now = self.now;
        if let Some(used) = self.blocks.get_mut(&block) {
            *used = (now, true);
            return true;
        }
        self.blocks.insert(block, (now, false));
        if self.blocks.len() * 100 > self.capacity * 99 {
            self.evict();
        }
        false
    }
}

/// moka's TinyLFU: a block enters if it was used more often than the one it would replace.
pub(crate) struct TinyLfu(moka::sync::Cache<usize, ()>);

impl TinyLfu {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(moka::sync::Cache::new(capacity as u64))
    }
}

impl Policy for TinyLfu {
    fn access(&mut self, block: usize) -> bool {
        let found = self.0.get(&block).is_some();
        if !found {
            self.0.insert(block, ());
        }
        self.0.run_pending_tasks();
        found
    }
}

/// S3-FIFO: a small queue for new blocks, a main queue for blocks that were used again, and the numbers of
/// blocks that have recently left the small queue.
pub(crate) struct S3Fifo {
    capacity: usize,
    small: VecDeque<usize>,
    main: VecDeque<usize>,
    ghosts: VecDeque<usize>,
    is_ghost: HashSet<usize>,
    /// How often each block in the cache was used since it entered its queue, at most 3.
    uses: HashMap<usize, u8>,
}

impl S3Fifo {
    pub(crate) fn new(capacity: usize) -> Self {
        let (small, main, ghosts) = Default::default();
        Self { capacity, small, main, ghosts, is_ghost: HashSet::new(), uses: HashMap::new() }
    }

    fn evict(&mut self) {
        if self.small.len() > self.capacity / 10 || self.main.is_empty() {
            self.evict_from_small();
        } else {
            self.evict_from_main();
        }
    }

    fn evict_from_small(&mut self) {
        while let Some(block) = self.small.pop_front() {
            if self.uses[&block] > 1 {
                self.uses.insert(block, 0);
                self.main.push_back(block);
                continue;
            }
            self.uses.remove(&block);
            self.ghosts.push_back(block);
            self.is_ghost.insert(block);
            if self.ghosts.len() > self.capacity * 9 / 10
                && let Some(forgotten) = self.ghosts.pop_front()
            {
                self.is_ghost.remove(&forgotten);
            }
            return;
        }
    }

    fn evict_from_main(&mut self) {
        while let Some(block) = self.main.pop_front() {
            match self.uses.get_mut(&block) {
                Some(uses) if *uses > 0 => {
                    *uses -= 1;
                    self.main.push_back(block);
                }
                _ => {
                    self.uses.remove(&block);
                    return;
                }
            }
        }
    }
}

impl Policy for S3Fifo {
    fn access(&mut self, block: usize) -> bool {
        if let Some(uses) = self.uses.get_mut(&block) {
            *uses = (*uses + 1).min(3);
            return true;
        }
        while self.uses.len() >= self.capacity {
            self.evict();
        }
        if self.is_ghost.remove(&block) {
            self.ghosts.retain(|ghost| *ghost != block);
            self.main.push_back(block);
        } else {
            self.small.push_back(block);
        }
        self.uses.insert(block, 0);
        false
    }
}
